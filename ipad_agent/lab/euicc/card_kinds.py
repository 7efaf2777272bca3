"""Kinds of cards that are in the field, by name, and what a fresh one is filled with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipad_agent.lab.euicc.state import profile_switching
from ipad_agent.lab.euicc.state.card_state import (
    DELETE,
    DISABLE,
    ENABLE,
    INSTALL,
    PROVISIONING,
    NotificationTarget,
    Profile,
)
from ipad_agent.lab.euicc.state.profile_list import default_profiles, isdp_aid, tbcd, with_check_digit

from .errors import CardError
from .quirks import Quirks

if TYPE_CHECKING:
    from .virtual_euicc import VirtualEuicc

MAX_PROFILES = 64
_EVENTS = (INSTALL, ENABLE, DISABLE, DELETE)


@dataclass(frozen=True, slots=True)
class CardKind:
    """A kind of card: its ways, and whether there is a card at all."""

    about: str
    quirks: Quirks
    inserted: bool = True


KINDS: dict[str, CardKind] = {
    "iot-v1.0": CardKind("an IoT eUICC of SGP.32 v1.0", Quirks.v1_0()),
    "iot-v1.2": CardKind("an IoT eUICC of SGP.32 v1.2", Quirks()),
    "iot-v1.3": CardKind("an IoT eUICC of SGP.32 v1.3", Quirks(iot_versions=(b"\x01\x02\x00", b"\x01\x03\x00"))),
    "consumer": CardKind("a consumer eUICC of SGP.22, without any function of SGP.32", Quirks(consumer=True)),
    "sgp02": CardKind("an M2M eUICC of SGP.02, or a plain SIM: no ISD-R for the device", Quirks(isdr_present=False)),
    "ipae": CardKind("an IoT eUICC whose own IPAe is active until the device says that it has one", Quirks(ipae=True)),
    "none": CardKind("an empty slot", Quirks(), inserted=False),
}


def card_kind(name: str) -> CardKind:
    """The kind of this name; ``CardError`` names the others."""
    if name not in KINDS:
        raise CardError(f"a card is one of {', '.join(KINDS)}, not {name!r}")
    return KINDS[name]


def fresh_profiles(count: int | None = None, iccids: Sequence[str] = ()) -> list[Profile]:
    """``count`` profiles (default: three), of which the first is enabled; ``iccids`` rename them in order.

    The first three are those of ``default_profiles``, further ones disabled and small. ``CardError`` when a number or
    an ICCID cannot be.
    """
    wanted = max(3, len(iccids)) if count is None else count
    if not max(len(iccids), 0) <= wanted <= MAX_PROFILES:
        raise CardError(f"{wanted} profiles: there are 0 to {MAX_PROFILES}, and one for each ICCID that is named")
    profiles = default_profiles()[:wanted]
    for number in range(len(profiles), wanted):
        iccid = with_check_digit(f"894902000050{number:07d}")
        profiles.append(Profile(iccid, isdp_aid(number), name=f"Profile {number}", service_provider=f"Lab {number}"))
    for profile, iccid in zip(profiles, iccids, strict=False):
        profile.iccid = iccid.upper()
        try:
            tbcd(profile.iccid)
        except ValueError as error:
            raise CardError(str(error)) from error
    if len({profile.iccid for profile in profiles}) != len(profiles):
        raise CardError("an ICCID is there twice")
    return profiles


def leave_old_notifications(card: VirtualEuicc, count: int) -> None:
    """Put ``count`` notifications onto a card whose profiles and servers are long gone.

    They are signed by the card like any other, of all four events, and stay until someone removes them.
    """
    for number in range(count):
        event = _EVENTS[number % len(_EVENTS)]
        former = Profile(
            with_check_digit(f"894902000070{number:07d}"),
            isdp_aid(0),
            profile_class=PROVISIONING,
            notify=[NotificationTarget(event, f"smdp{number % 3}.gone.example")],
        )
        profile_switching.add_notifications(card.isdr, former, event)
    card.isdr.commit()
