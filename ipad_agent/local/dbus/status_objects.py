"""The status as objects on the bus, and what changed between two of them. Pure.

``Registered`` of a modem and stages of a switch have three answers: ``yes``, ``no`` and ``unknown``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from ipad_agent.local.status_model import (
    Card,
    Eim,
    Guardian,
    Modem,
    Operation,
    Owed,
    Profile,
    Radio,
    Status,
    Switch,
    Trouble,
)
from ipad_agent.records import dataclass, field

from .dbus_interfaces import EIM, EUICC, MANAGER, MODEM, PROFILE, ROOT, Interface
from .dbus_values import Variant, count, integer, mapping, moment, text

Properties = Mapping[str, Variant]
Objects = Mapping[str, Mapping[str, Properties]]
"""Path to interface to property."""

SAME_MOMENT_US: Final = 2_000_000
"""A moment told as an age wanders by up to a second each way when it is made a time of day. No change to tell."""


@dataclass(slots=True)
class EimNumbers:
    """The number of an eIM in its path: given when first seen, never given to another one in this run."""

    _numbers: dict[str, int] = field(default_factory=dict)

    def of(self, eim_id: str) -> int:
        return self._numbers.setdefault(eim_id, len(self._numbers))


def objects_of(status: Status, numbers: EimNumbers) -> Objects:
    """Everything the bus shows of this status."""
    found: dict[str, dict[str, Properties]] = {ROOT: {MANAGER.name: _manager(status)}}
    if status.card is not None:
        found[f"{ROOT}/eUICC/0"] = {EUICC.name: _card(status.card)}
    if status.modem is not None:
        found[f"{ROOT}/Modem/0"] = {MODEM.name: _modem(status.modem, status.radio or Radio())}
    for profile in status.profiles:
        found[f"{ROOT}/Profile/{path_element(profile.iccid)}"] = {PROFILE.name: _profile(profile)}
    for eim in status.eims:
        found[f"{ROOT}/Eim/{numbers.of(eim.eim_id)}"] = {EIM.name: _eim(eim)}
    return found


def path_element(name: str) -> str:
    """One element of an object path: what it cannot hold becomes ``_`` and two hexadecimal digits per byte."""
    by_byte = text(name).encode("utf-8").decode("latin-1")
    return re.sub(r"[^A-Za-z0-9]", lambda found: f"_{ord(found[0]):02x}", by_byte) or "_"


@dataclass(frozen=True, slots=True)
class Changes:
    """What to tell, in this order: objects that went, objects that came, properties (path, interface, values)."""

    removed: tuple[tuple[str, tuple[str, ...]], ...]
    added: tuple[tuple[str, Mapping[str, Properties]], ...]
    changed: tuple[tuple[str, str, Properties], ...]


def changes(told: Objects, now: Objects) -> Changes:
    """From what was told last to what is."""
    removed = tuple((path, tuple(told[path])) for path in told if path not in now)
    added = tuple((path, now[path]) for path in now if path not in told)
    changed = []
    for path, interfaces in now.items():
        for interface, properties in interfaces.items() if path in told else ():
            before = told[path].get(interface, {})
            news = {name: value for name, value in properties.items() if before.get(name) != value}
            if news:
                changed.append((path, interface, news))
    return Changes(removed, added, tuple(changed))


def steady(told: Objects, now: Objects) -> Objects:
    """``now``, but with moments as they were told where they are the same moment."""
    return {
        path: {
            interface: {
                name: _steady(told.get(path, {}).get(interface, {}).get(name), value)
                for name, value in properties.items()
            }
            for interface, properties in interfaces.items()
        }
        for path, interfaces in now.items()
    }


def _steady(before: Variant | None, now: Variant) -> Variant:
    if before is None or before.signature != now.signature:
        return now
    if now.signature == "a{sv}" and isinstance(before.value, dict) and isinstance(now.value, dict):
        old = before.value
        return Variant("a{sv}", {name: _steady(old.get(name), value) for name, value in now.value.items()})
    if now.signature == "aa{sv}" and isinstance(before.value, tuple) and isinstance(now.value, tuple):
        if len(before.value) != len(now.value):
            return now
        pairs = zip(before.value, now.value, strict=True)
        rows = (_steady(Variant("a{sv}", old), Variant("a{sv}", new)).value for old, new in pairs)
        return Variant("aa{sv}", tuple(rows))
    if now.signature == "t" and isinstance(before.value, int) and isinstance(now.value, int):
        both = before.value and now.value
        if both and abs(before.value - now.value) < SAME_MOMENT_US and _is_moment(now.value):
            return before
    return now


def _is_moment(value: int) -> bool:
    """Byte counts share the type with moments; these are above 2^49 (the year 1987) or the clock was never set."""
    return value >= 1 << 49


def _filled(interface: Interface, values: Mapping[str, object]) -> Properties:
    return {name: Variant(signature, values[name]) for name, signature in interface.properties.items()}


def _three(value: bool | None) -> str:
    return "unknown" if value is None else "yes" if value else "no"


def _manager(status: Status) -> Properties:
    verdict, traffic = status.verdict, status.traffic
    return _filled(
        MANAGER,
        {
            "Version": text(status.version),
            "SchemaVersion": count(status.schema_version, "u"),
            "State": verdict.state.value,
            "Severity": verdict.severity.value,
            "Verdict": text(verdict.sentence),
            "Next": text(verdict.next),
            "NextAt": moment(verdict.next_at),
            "Advice": text(verdict.advice),
            "StartedAt": count(int((status.taken_at_s - status.uptime_s) * 1_000_000)),
            "ClockSet": status.clock_set,
            "Operation": {} if status.operation is None else _operation(status.operation),
            "Switch": {} if status.switch is None else _switch(status.switch),
            "Guardian": {} if status.guardian is None else _guardian(status.guardian, status.taken_at_s),
            "Trouble": {} if status.trouble is None else _trouble(status.trouble),
            "HeldBy": tuple((text(held.name), text(held.sentence)) for held in status.held_by),
            "Owed": tuple(_owed(owed) for owed in status.owed),
            "Warnings": tuple((text(w.id), text(w.sentence), text(w.what_to_do)) for w in status.warnings),
            "TrafficTotal": count(traffic.total_bytes),
            "TrafficToday": count(traffic.today_bytes),
            "TrafficBudget": count(traffic.budget_bytes_per_day),
            "TrafficBy": tuple((text(carrier), text(purpose), count(size)) for carrier, purpose, size in traffic.by),
            "TrafficByProfile": tuple(
                (text(share.profile), text(share.carrier), text(share.purpose), count(share.size_bytes))
                for share in traffic.by_profile
            ),
            "TrafficBudgetTotal": count(traffic.budget_bytes_total),
            "OnlyResults": traffic.only_results,
            "RadioCycles": count(traffic.radio.cycles),
            "RadioCyclesToday": count(traffic.radio.cycles_today),
            "WakeUps": count(traffic.radio.wake_ups),
            "WakeUpsToday": count(traffic.radio.wake_ups_today),
        },
    )


def _operation(operation: Operation) -> dict[str, Variant]:
    return mapping(
        Name=Variant("s", text(operation.name)),
        Since=Variant("t", moment(operation.since)),
        EimId=Variant("s", text(operation.eim_id)),
        Done=Variant("t", count(operation.done)),
        Total=Variant("t", count(operation.total)),
        Unit=Variant("s", text(operation.unit)),
    )


def _switch(switch: Switch) -> dict[str, Variant]:
    stages = tuple((text(stage.name), _three(stage.ok), text(stage.detail)) for stage in switch.stages)
    return mapping(
        Phase=Variant("s", text(switch.phase)),
        Cause=Variant("s", text(switch.cause)),
        Previous=Variant("s", text(switch.previous)),
        Target=Variant("s", text(switch.target)),
        WayBack=Variant("s", text(switch.way_back)),
        Since=Variant("t", moment(switch.since)),
        Deadline=Variant("t", moment(switch.deadline)),
        Ended=Variant("t", moment(switch.ended)),
        Stages=Variant("a(sss)", stages),
    )


def _guardian(guardian: Guardian, taken_at_s: int) -> dict[str, Variant]:
    lost = guardian.lost_for_s
    return mapping(
        Enabled=Variant("b", guardian.enabled),
        LostSince=Variant("t", 0 if lost is None else count(int((taken_at_s - lost) * 1_000_000))),
        ActsAt=Variant("t", moment(guardian.acts_at)),
        FailedCycles=Variant("u", count(guardian.failed_cycles, "u")),
        InFallback=Variant("b", guardian.in_fallback),
        FallbackCause=Variant("s", text(guardian.fallback_cause)),
        ReturnAttempts=Variant("u", count(guardian.return_attempts, "u")),
        NextReturn=Variant("t", moment(guardian.next_return)),
    )


def _trouble(trouble: Trouble) -> dict[str, Variant]:
    return mapping(
        Side=Variant("s", text(trouble.side)),
        Sentence=Variant("s", text(trouble.sentence)),
        Hint=Variant("s", text(trouble.hint)),
        Since=Variant("t", moment(trouble.since)),
        NextAttempt=Variant("t", moment(trouble.next_attempt)),
    )


def _owed(owed: Owed) -> dict[str, Variant]:
    return mapping(
        Kind=Variant("s", text(owed.kind)),
        Receiver=Variant("s", text(owed.receiver)),
        What=Variant("s", text(owed.what)),
        Since=Variant("t", moment(owed.since)),
        SeqNumber=Variant("t", count(owed.seq_number)),
        NextAttempt=Variant("t", moment(owed.next_attempt)),
        Attempts=Variant("u", count(owed.attempts, "u")),
        Reason=Variant("s", text(owed.reason)),
    )


def _card(card: Card) -> Properties:
    return _filled(
        EUICC,
        {
            "Eid": text(card.eid),
            "EidValid": card.eid_check_digits_ok,
            "Kind": text(card.kind),
            "Family": text(card.family),
            "Manageable": card.manageable,
            "Specification": text(card.specification),
            "Firmware": text(card.firmware),
            "FreeMemory": count(card.free_memory_bytes),
            "FallbackSupported": card.fallback_supported,
            "EmergencySupported": card.emergency_supported,
        },
    )


def _profile(profile: Profile) -> Properties:
    return _filled(
        PROFILE,
        {
            "Iccid": text(profile.iccid),
            "IccidValid": profile.iccid_check_digit_ok,
            "Enabled": profile.enabled,
            "Name": text(profile.name),
            "Provider": text(profile.provider),
            "Nickname": text(profile.nickname),
            "Class": text(profile.profile_class),
            "Fallback": profile.fallback,
            "FallbackAllowed": profile.fallback_allowed,
            "Emergency": profile.emergency,
            "PolicyRules": tuple(text(rule) for rule in profile.policy_rules),
            "ChangedBy": text(profile.changed_by),
            "ChangedAt": moment(profile.changed_at),
            "ChangedFor": text(profile.changed_for),
        },
    )


def _eim(eim: Eim) -> Properties:
    last, order = eim.last_poll, eim.last_order
    duration_s = 0.0 if last is None or last.duration_s is None else last.duration_s
    return _filled(
        EIM,
        {
            "EimId": text(eim.eim_id),
            "Host": text(eim.host),
            "Carrier": text(eim.carrier),
            "OnCard": eim.on_card,
            "NextPoll": moment(eim.next_poll),
            "NextReason": text(eim.next_reason),
            "LastSuccess": moment(eim.last_success),
            "Failures": count(eim.failures, "u"),
            "Trouble": text(eim.trouble),
            "Answered": bool(eim.answered),
            "LastPollAt": moment(None if last is None else last.at),
            "LastPollOk": last is not None and last.ok,
            "LastPollOutcome": text(None if last is None else last.outcome),
            "LastPollPackages": count(None if last is None else last.packages, "u"),
            "LastPollResults": count(None if last is None else last.results, "u"),
            "LastPollBytes": count(None if last is None else last.cost_bytes),
            "LastPollDuration": count(int(duration_s * 1_000_000)),
            "LastOrder": text(None if order is None else order.what),
            "LastOrderAt": moment(None if order is None else order.at),
            "LastOrderOk": order is not None and order.ok,
            "LastOrderWords": text(None if order is None else order.words),
            "LastOrderReason": text(None if order is None else order.reason),
            "Handshake": text(eim.handshake),
            "KeyKnown": eim.key_known is True,
        },
    )


def _modem(modem: Modem, radio: Radio) -> Properties:
    return _filled(
        MODEM,
        {
            "Port": text(modem.port),
            "Model": text(modem.model),
            "Manufacturer": text(modem.manufacturer),
            "Firmware": text(modem.firmware),
            "Imei": text(modem.imei),
            "ModuleProfile": text(modem.profile),
            "Transport": text(modem.transport),
            "Sim": text(modem.sim),
            "Iccid": text(modem.iccid),
            "Slot": integer(modem.slot),
            "Registration": text(radio.registration),
            "Registered": _three(radio.registered),
            "Network": text(radio.network),
            "Technology": text(radio.technology),
            "SignalDbm": integer(radio.signal_dbm),
            "SignalKind": text(radio.signal_kind),
            "PowerSaving": text(radio.power_saving),
            "Connected": _three(radio.connected),
        },
    )
