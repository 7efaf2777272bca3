"""From the agent's own values to the plain ones of the status model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ipad_agent.card.apdu_channel import ModemIdentity
from ipad_agent.codec.es10.notifications import PendingNotification
from ipad_agent.codec.es10.profile_info import ProfileClass, ProfileInfo
from ipad_agent.local.status_model import Card, Modem, Owed, Profile, Time
from ipad_agent.policy.instant import Instant, elapsed_s
from ipad_agent.procedures.records.owed_work import Work, WorkKind
from ipad_agent.procedures.startup.device_start import CardFacts, CardKind

_FAMILIES: Final = {
    CardKind.IOT: "iot",
    CardKind.IPAE: "ipae",
    CardKind.CONSUMER: "consumer",
    CardKind.EMULATED: "emulated",
}
_WORKS: Final = {
    WorkKind.PACKAGE: "result of a package",
    WorkKind.DATA: "answer to a question",
    WorkKind.TRIGGER: "result of a profile download",
    WorkKind.OTHER: "refusal of an order",
}


def time_of(moment: Instant, now: Instant) -> Time:
    """A moment that has been. The monotonic clock decides within one boot, so that a jump of the wall clock moves the
    moment rather than its age."""
    age_s = elapsed_s(moment, now)
    if age_s is None:  # of another boot, and the wall clock cannot be believed
        return Time(round(moment.wall_s), max(0.0, now.wall_s - moment.wall_s))
    return Time(round(now.wall_s - age_s), age_s)


def time_to_come(due_monotonic_s: float, now: Instant) -> Time:
    """A moment by the monotonic clock of this boot."""
    left_s = due_monotonic_s - now.monotonic_s
    return Time(round(now.wall_s + left_s), -left_s)


def card_of(facts: CardFacts, *, emergency_supported: bool) -> Card:
    """The card as start-up found it."""
    info = facts.info2
    versions = info.iot.versions if info.iot is not None and not info.iot.emulated else ()
    return Card(
        eid=str(facts.eid),
        eid_check_digits_ok=facts.eid.check_digits_ok,
        kind=facts.kind.value,
        manageable=facts.manageable,
        family=_FAMILIES[facts.kind],
        specification=f"SGP.32 v{max(versions)}" if versions else (f"SGP.22 v{info.svn}" if info.svn else None),
        firmware=None if info.firmware_version is None else str(info.firmware_version),
        free_memory_bytes=info.ext_card_resource.free_non_volatile_bytes,
        fallback_supported=info.iot is not None and info.iot.fallback,
        emergency_supported=emergency_supported,
    )


def profile_of(
    info: ProfileInfo, changed_by: str | None, changed_at: Time | None, changed_for: str | None = None
) -> Profile:
    """One profile, under the name that it is compared by, which is its ICCID where that can be read."""
    rules = sorted(info.policy_rules or ())
    try:
        profile_class = None if info.profile_class is None else ProfileClass(info.profile_class).name.lower()
    except ValueError:
        profile_class = None
    return Profile(
        iccid=info.identity,
        iccid_check_digit_ok=info.iccid is not None and info.iccid.luhn_ok,
        enabled=info.enabled,
        name=info.profile_name or None,
        provider=info.service_provider_name or None,
        nickname=info.nickname or None,
        profile_class=profile_class,
        fallback=info.fallback_attribute,
        fallback_allowed=bool(info.fallback_allowed),
        emergency=bool(info.ecall_indication),
        policy_rules=tuple(f"ppr{bit}" for bit in rules if bit in (1, 2)),
        changed_by=changed_by,
        changed_at=changed_at,
        changed_for=changed_for,
    )


def modem_of(identity: ModemIdentity, *, port: str | None, transport: str | None) -> Modem:
    """The modem in its own words."""
    return Modem(
        port=port,
        model=identity.model or None,
        manufacturer=identity.manufacturer or None,
        firmware=identity.revision or None,
        imei=identity.imei,
        profile=identity.profile,
        transport=transport,
    )


def what_of(work: Work) -> str:
    """What is owed for this order, in words."""
    return _WORKS[work.kind]


def owed_notifications(
    notifications: Iterable[PendingNotification], pauses: Iterable[tuple[Time, int, str | None] | None]
) -> tuple[Owed, ...]:
    """Notifications in the card's list, each with when its receiver is tried next, how often that was in vain, and why
    the last time; None for one that may be tried at any time."""
    return tuple(
        Owed(
            "notification",
            notification.address or "the eIM",
            "what the card did" if notification.event is None else notification.event.name.lower().replace("_", " "),
            seq_number=notification.seq_number,
            next_attempt=None if pause is None else pause[0],
            attempts=0 if pause is None else pause[1],
            reason=None if pause is None else pause[2],
        )
        for notification, pause in zip(notifications, pauses, strict=True)
    )
