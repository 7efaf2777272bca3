"""A switch of the enabled profile that the device orders itself: to the fallback profile and back, to the emergency
profile and back (SGP.32 v1.2 §5.9.20 to §5.9.23).

The card keeps no result of it. What the device is about to do is written down before the card is touched; what became
of it is told by the card's answer, and where that got lost, by whether another profile is enabled than before.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from ipad_agent.codec.ber.tlv_fields import ResultCode
from ipad_agent.codec.es10.profile_info import ProfileInfo
from ipad_agent.codec.esipa.eim_package import StateChangeCause
from ipad_agent.codec.identifiers import ICCID_BYTES, Iccid, short_iccid
from ipad_agent.errors import CardError, CodecError, ModemError, Remedy
from ipad_agent.policy.guardian.fallback_cause import FallbackCause
from ipad_agent.procedures import authors
from ipad_agent.procedures.cat_busy import unless_busy
from ipad_agent.procedures.context import Context
from ipad_agent.procedures.ports import Card
from ipad_agent.procedures.records.local_switch_record import LocalSwitchRecord, What
from ipad_agent.procedures.records.state_changes import snapshot
from ipad_agent.records import dataclass, replace

from . import local_events as events


class End(StrEnum):
    """How it ended. Only after ``DONE`` another profile is enabled than before."""

    DONE = "done"
    ALREADY = "it is so already"
    NOT_AVAILABLE = "the card has no such profile, or not the function"
    EMERGENCY = "the emergency profile is enabled"
    BUSY = "the card is busy"
    REFUSED = "the card refused"
    NOT_BEGUN = "it was interrupted before the card did anything"


@dataclass(frozen=True, slots=True)
class LocalSwitch:
    """``previous`` and ``enabled``: the enabled profile before and after (``ProfileInfo.identity``), None for none.
    ``code`` is the card's answer where there was one; ``by`` who wanted it."""

    what: What
    end: End
    previous: str | None
    enabled: str | None
    code: ResultCode | None = None
    by: FallbackCause = FallbackCause.GUARDIAN


@dataclass(frozen=True, slots=True)
class _Order:
    call: Callable[[Card], Awaitable[ResultCode]]
    cause: StateChangeCause
    ends: Mapping[int, End]


_ORDERS: Final[Mapping[What, _Order]] = MappingProxyType(
    {
        What.FALLBACK: _Order(
            lambda card: card.execute_fallback(),
            StateChangeCause.FALLBACK,
            {2: End.ALREADY, 5: End.BUSY, 6: End.NOT_AVAILABLE, 104: End.EMERGENCY},
        ),
        What.RETURN: _Order(
            lambda card: card.return_from_fallback(),
            StateChangeCause.FALLBACK,
            # Cards that have recorded no profile say fallbackNotAvailable(6) or commandError(7).
            {5: End.BUSY, 6: End.NOT_AVAILABLE, 7: End.NOT_AVAILABLE},
        ),
        What.EMERGENCY_ON: _Order(
            lambda card: card.enable_emergency_profile(),
            StateChangeCause.EMERGENCY_PROFILE,
            {2: End.ALREADY, 5: End.BUSY, 8: End.NOT_AVAILABLE},
        ),
        What.EMERGENCY_OFF: _Order(
            lambda card: card.disable_emergency_profile(),
            StateChangeCause.EMERGENCY_PROFILE,
            {2: End.ALREADY, 5: End.BUSY, 8: End.NOT_AVAILABLE},
        ),
    }
)


async def order(
    context: Context,
    local_switch_record: LocalSwitchRecord,
    eims: Iterable[str],
    what: What,
    by: FallbackCause = FallbackCause.GUARDIAN,
) -> LocalSwitch:
    """Have the card do it, bring it back and note for all ``eims`` why their profiles changed.

    To be called again after any trouble: an order that was carried out is not given twice. Raises ``CardError`` or
    ``ModemError`` when the card is gone and ``StoreError`` when the news cannot be noted; ``settle`` goes on then.
    """
    told = tuple(eims)
    settled = await settle(context, local_switch_record, told)
    if settled is not None and settled.what is what and settled.end is End.DONE:
        return settled
    return replace(await _order(context, local_switch_record, told, what, by), by=by)


async def _order(
    context: Context, local_switch_record: LocalSwitchRecord, told: tuple[str, ...], what: What, by: FallbackCause
) -> LocalSwitch:
    context.card.ask_anew()
    profiles = await context.card.get_profiles()
    previous = enabled_iccid(profiles)
    if (known := _known_end(what, profiles)) is not None:
        return _not_done(LocalSwitch(what, known, previous, previous))
    events.ORDERING.emit(what=what.value, previous=short_iccid(previous))
    local_switch_record.begin(str(context.eid), what, previous, by)
    try:
        code = await unless_busy(lambda: _ORDERS[what].call(context.card))
    except (CardError, ModemError) as failure:
        if isinstance(failure, CardError) and failure.remedy is Remedy.GIVE_UP:
            local_switch_record.end()
            return _not_done(LocalSwitch(what, End.NOT_AVAILABLE, previous, previous), failure.message)
        events.ANSWER_LOST.emit(what=what.value, reason=failure.message)
        found = await settle(context, local_switch_record, told)
        return found if found is not None else await _look(context, told, what, previous, by)
    if code.ok:
        await context.card.recover(expected=_target(what, profiles))
        await _unless_old(context, previous)
        return await _done(context, local_switch_record, told, what, previous, code, by)
    local_switch_record.end()
    end = _ORDERS[what].ends.get(code, End.REFUSED)
    return _not_done(LocalSwitch(what, end, previous, previous, code), code.name)


async def settle(context: Context, local_switch_record: LocalSwitchRecord, eims: Iterable[str]) -> LocalSwitch | None:
    """Find out what became of an order whose answer this device never saw; None when there is none.

    To be called at start-up, after the profiles were compared with what was known (``device_start.note_changes``): the
    better reason takes the place of "undefined". The UICC is reset in any case, because nobody knows whether the modem
    has seen the profile that the card has enabled.
    """
    under_way = local_switch_record.under_way(str(context.eid))
    if under_way is None:
        local_switch_record.end()
        return None
    what, previous, by = under_way
    await context.card.verify_switched()
    if await _unless_old(context, previous) == previous:
        local_switch_record.end()
        return replace(_not_done(LocalSwitch(what, End.NOT_BEGUN, previous, previous)), by=by)
    return await _done(context, local_switch_record, tuple(eims), what, previous, None, by)


def enabled_iccid(profiles: Iterable[ProfileInfo]) -> str | None:
    """The enabled profile by ``ProfileInfo.identity``; None when none is enabled."""
    return next((profile.identity for profile in profiles if profile.enabled), None)


def seen_by_modem(profile: str | None) -> str | None:
    """The ICCID that the modem must read when this profile is enabled; None where there is none, or none is known:
    then whatever the card has enabled."""
    try:
        return profile if profile is not None and len(Iccid.parse(profile).tbcd) == ICCID_BYTES else None
    except CodecError:
        return None


def emergency_active(profiles: Iterable[ProfileInfo]) -> bool:
    """Whether the enabled profile is the emergency profile (ecallIndication, SGP.32 v1.2 §2.10)."""
    return any(profile.enabled and profile.ecall_indication for profile in profiles)


def _target(what: What, profiles: Iterable[ProfileInfo]) -> str | None:
    """The profile that the card will have enabled, where it told so before."""
    for profile in profiles:
        chosen = profile.fallback_attribute if what is What.FALLBACK else profile.ecall_indication
        if what in (What.FALLBACK, What.EMERGENCY_ON) and chosen:
            return seen_by_modem(profile.identity)
    return None


async def _unless_old(context: Context, previous: str | None) -> str | None:
    """The enabled profile. A card may go on showing the old one until its reset, and with a modem that slept through
    the REFRESH both agree on what is no longer so: then a reset of our own tells."""
    enabled = enabled_iccid(await context.card.get_profiles())
    if enabled != previous:
        return enabled
    with contextlib.suppress(CardError):  # where nothing can be reset, what the card says counts
        await context.card.recover(first_rung=1)
    return enabled_iccid(await context.card.get_profiles())


def _known_end(what: What, profiles: tuple[ProfileInfo, ...]) -> End | None:
    """What needs no asking. The card decides on everything else; older ones do not tell who has the attribute."""
    emergency = emergency_active(profiles)
    if what in (What.FALLBACK, What.RETURN):
        if emergency:
            return End.EMERGENCY
        if what is What.FALLBACK and any(profile.enabled and profile.fallback_attribute for profile in profiles):
            return End.ALREADY
    return End.ALREADY if what is What.EMERGENCY_ON and emergency else None


async def _look(
    context: Context, eims: tuple[str, ...], what: What, previous: str | None, by: FallbackCause
) -> LocalSwitch:
    """As ``settle`` on a device whose disk could not take the order."""
    await context.card.verify_switched()
    if await _unless_old(context, previous) == previous:
        return _not_done(LocalSwitch(what, End.NOT_BEGUN, previous, previous))
    return await _done(context, None, eims, what, previous, None, by)


async def _done(
    context: Context,
    local_switch_record: LocalSwitchRecord | None,
    eims: tuple[str, ...],
    what: What,
    previous: str | None,
    code: ResultCode | None,
    by: FallbackCause,
) -> LocalSwitch:
    profiles = await context.card.get_profiles()
    context.on_profiles(profiles, _author(what, by), None)
    cause = _ORDERS[what].cause
    # The news first: after a crash in between, the order is settled once more and they are noted again.
    context.changes.learn(str(context.eid), snapshot(profiles))
    context.changes.note(eims, cause)
    if local_switch_record is not None:
        local_switch_record.end()
    enabled = enabled_iccid(profiles)
    events.DONE.emit(
        what=what.value, previous=short_iccid(previous), enabled=short_iccid(enabled), cause=cause.name.lower()
    )
    return LocalSwitch(what, End.DONE, previous, enabled, code, by)


def _author(what: What, by: FallbackCause) -> str:
    if what not in (What.FALLBACK, What.RETURN):
        return authors.LOCAL  # nobody but a person orders an emergency
    return {FallbackCause.PERSON: authors.LOCAL, FallbackCause.RETURN: authors.ROLLBACK}.get(by, authors.GUARDIAN)


def _not_done(switch: LocalSwitch, reason: str | None = None) -> LocalSwitch:
    said = switch.end.value if reason is None else f"{switch.end.value} ({reason})"
    events.NOT_DONE.emit(what=switch.what.value, reason=said)
    return switch
