"""The emergency (eCall) profile (SGP.32 v1.2 §5.9.22, §5.9.23), enabled and disabled by the device alone.

While it is enabled the card takes no package, and this agent answers data requests and download orders with
ecallActive(104). It stays enabled over resets until ``disable``, which enables the former profile again.
"""

from __future__ import annotations

from collections.abc import Iterable

from ipad_agent.codec.es10.profile_info import ProfileInfo
from ipad_agent.errors import CardError
from ipad_agent.procedures import events as common_events
from ipad_agent.procedures.context import Context
from ipad_agent.procedures.ports import Card
from ipad_agent.procedures.records.local_switch_record import LocalSwitchRecord, What
from ipad_agent.records import dataclass

from .local_switch import LocalSwitch, emergency_active, order

__all__ = ["Emergency", "disable", "emergency_active", "emergency_enabled", "enable", "find"]


@dataclass(frozen=True, slots=True)
class Emergency:
    """The emergency profile of the card."""

    profile: ProfileInfo
    enabled: bool


def find(profiles: Iterable[ProfileInfo]) -> Emergency | None:
    """The profile with the ecallIndication, the enabled one if a card should have several; None without one."""
    found = sorted((profile for profile in profiles if profile.ecall_indication), key=lambda p: not p.enabled)
    return Emergency(found[0], found[0].enabled) if found else None


async def emergency_enabled(card: Card) -> bool:
    """Whether the card says that its emergency profile is enabled. One that has no list, or none that can be read, does
    not say so, and must not be kept from its eIM for ever. Raises ``CardError`` or ``ModemError`` when it is gone."""
    try:
        return emergency_active(await card.get_profiles())
    except CardError as failure:
        if not failure.alive:
            raise
        common_events.PROFILES_UNREADABLE.emit(reason=failure.message)
        return False


async def enable(context: Context, local_switch_record: LocalSwitchRecord, eims: Iterable[str]) -> LocalSwitch:
    """Enable it; ``eims`` are all that have to be told. Raises as ``local_switch.order``."""
    return await order(context, local_switch_record, eims, What.EMERGENCY_ON)


async def disable(context: Context, local_switch_record: LocalSwitchRecord, eims: Iterable[str]) -> LocalSwitch:
    """Disable it and enable the profile that was enabled before; ``ALREADY`` when it is not enabled."""
    return await order(context, local_switch_record, eims, What.EMERGENCY_OFF)
