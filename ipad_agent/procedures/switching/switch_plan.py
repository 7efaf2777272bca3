"""What a switch to a profile would need and do, without doing any of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ipad_agent.codec.es10.profile_info import ProfileInfo
from ipad_agent.codec.identifiers import short_iccid
from ipad_agent.policy.duration_text import spell_duration
from ipad_agent.policy.instant import UNSET_BEFORE_S
from ipad_agent.procedures.context import Context
from ipad_agent.records import dataclass

from .local_switch import emergency_active

PPR1: Final = 1
"""The rule that the profile cannot be disabled (SGP.22 v2.5 §2.9.2.4)."""


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that a switch needs. ``ok`` None: it shows only when it is tried."""

    name: str
    ok: bool | None
    sentence: str


@dataclass(frozen=True, slots=True)
class SwitchPlan:
    """``possible``: nothing that is known speaks against it. ``steps`` are sentences, in order."""

    target: str
    possible: bool
    points: tuple[Point, ...]
    steps: tuple[str, ...]


async def plan(context: Context, iccid: str) -> SwitchPlan:
    """Ask card, modem and site. Raises ``CardError`` or ``ModemError``."""
    profiles = await context.card.get_profiles()
    target = _named(profiles, iccid)
    enabled = next((profile for profile in profiles if profile.enabled), None)
    points = [_target(target, iccid), _policy(enabled), _emergency(profiles), _way_back(profiles, enabled)]
    points += [_apn(context, iccid), await _network(context), _clock(context), *await _conditions(context)]
    possible = all(point.ok is not False for point in points)
    return SwitchPlan(iccid, possible, tuple(points), _steps(context, iccid, enabled) if possible else ())


def _named(profiles: Iterable[ProfileInfo], iccid: str) -> ProfileInfo | None:
    return next((profile for profile in profiles if profile.identity == iccid), None)


def _target(target: ProfileInfo | None, iccid: str) -> Point:
    if target is None:
        return Point("profile", False, f"{short_iccid(iccid)} is not on the card")
    if target.enabled:
        return Point("profile", False, f"{short_iccid(iccid)} is enabled already")
    if target.ecall_indication:
        return Point("profile", False, f"{short_iccid(iccid)} is the emergency profile, which no order enables")
    return Point("profile", True, f"{short_iccid(iccid)} is on the card and disabled")


def _policy(enabled: ProfileInfo | None) -> Point:
    if enabled is None:
        return Point("policy", None, "no profile is enabled now")
    if PPR1 in (enabled.policy_rules or ()):
        return Point("policy", False, f"{_short(enabled)} may not be disabled (its rule ppr1)")
    return Point("policy", True, f"{_short(enabled)} may be disabled")


def _emergency(profiles: tuple[ProfileInfo, ...]) -> Point:
    if emergency_active(profiles):
        return Point("emergency", False, "the emergency profile is enabled; the card refuses every order")
    return Point("emergency", True, "no emergency profile is enabled")


def _way_back(profiles: tuple[ProfileInfo, ...], enabled: ProfileInfo | None) -> Point:
    fallback = next((profile for profile in profiles if profile.fallback_attribute), None)
    if enabled is not None:
        behind = (
            "" if fallback is None or fallback is enabled else f"; behind it the fallback profile {_short(fallback)}"
        )
        return Point("way back", None, f"{_short(enabled)}, if the eIM's order allows the rollback{behind}")
    if fallback is not None:
        return Point("way back", True, f"the fallback profile {_short(fallback)}")
    return Point("way back", None, "none: no profile is enabled now, and the card has no fallback profile")


def _apn(context: Context, iccid: str) -> Point:
    apn = context.site.apn(iccid)
    if apn is None:
        return Point("APN", None, "the site's table does not know it; the card may tell it after the switch")
    return Point("APN", True, f"{apn or 'none is needed'} (site's table)")


async def _network(context: Context) -> Point:
    found = await context.network.registration()
    return Point("network", found.ok, f"now {found.detail}; coverage of the other profile shows when it is tried")


def _clock(context: Context) -> Point:
    if context.clock.wall() >= UNSET_BEFORE_S:
        return Point("clock", True, "the clock is set")
    return Point("clock", None, "the clock is not set; after a reboot the way back is taken after a short grace")


async def _conditions(context: Context) -> list[Point]:
    held = await context.site.conditions()
    if not held:
        return [Point("site", True, "no condition of the site speaks against it")]
    return [Point(f"site: {condition.name}", False, condition.sentence) for condition in held]


def _steps(context: Context, iccid: str, enabled: ProfileInfo | None) -> tuple[str, ...]:
    settings = context.switching
    back = "no profile" if enabled is None else _short(enabled)
    proof = "the eIM acknowledges the result" if settings.success == "result-acked" else "the site's application works"
    return (
        f"write down the way back to {back}, run the scripts for pre-switch",
        f"let the card enable {short_iccid(iccid)} on the eIM's order",
        "reset the SIM until card and modem agree, run the scripts for post-switch",
        f"register (usually within {spell_duration(settings.registration_s)}), get an address, find the eIM",
        f"keep the profile when {proof} within {spell_duration(settings.confirm_s)}, else go back",
    )


def _short(profile: ProfileInfo) -> str:
    return short_iccid(profile.identity)
