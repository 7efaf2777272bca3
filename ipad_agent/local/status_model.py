"""The one picture of the device that every face shows: socket, D-Bus, ``ipactl``, metrics and LED.

A ``Status`` is a value: taken at one moment, complete, and made of plain data, so that a skin never asks the agent
anything else. Absent is ``None``, never an empty string. Identifiers are complete here, because the reader on the
socket was authorised; what leaves the device (log, bundle) shortens them.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import NamedTuple

from ipad_agent.printable import printable, printable_data
from ipad_agent.records import dataclass, field, fields_of, is_record

SCHEMA_VERSION = 1
"""Of the JSON form. Fields may be added within a version; none changes its meaning or goes away."""


class State(StrEnum):
    """The verdict in one word. ``docs/local-api.md`` says what each means and what to do."""

    STARTING = "starting"
    READY = "ready"
    ORDER_FAILED = "order-failed"
    POLLING = "polling"
    DOWNLOADING = "downloading"
    SWITCHING = "switching"
    ROLLING_BACK = "rolling-back"
    ROLLED_BACK = "rolled-back"
    FALLBACK = "fallback"
    EMERGENCY = "emergency"
    NO_COVERAGE = "no-coverage"
    EIM_UNREACHABLE = "eim-unreachable"
    EIM_REFUSES = "eim-refuses"
    UNMANAGED = "unmanaged"
    HELD = "held"
    CONSUMER_CARD = "consumer-card"
    IPAE_CARD = "ipae-card"
    NO_CARD = "no-card"
    NO_MODEM = "no-modem"
    TROUBLE = "trouble"


class Severity(StrEnum):
    """Good goes on by itself, waiting too, bad needs somebody or something."""

    GOOD = "good"
    BUSY = "busy"
    WAITING = "waiting"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Time:
    """``at_s``: seconds since 1970 by the device's clock of now. ``age_s``: seconds ago by a clock that never jumps,
    where that is known, so negative for what is still to come."""

    at_s: int
    age_s: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """``sentence`` says what the agent is doing and why; ``next`` what it will do next, ``next_at`` when;
    ``advice`` what a person can do, None when nothing is to be done."""

    state: State
    severity: Severity
    sentence: str
    next: str | None = None
    next_at: Time | None = None
    advice: str | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """``kind`` as words: an IoT eUICC (SGP.32), a consumer eUICC, ...; ``family`` the same as one word: iot, ipae,
    consumer or emulated. ``manageable``: this agent serves it. ``eid``: 32 digits, in the field also letters A to F."""

    eid: str
    eid_check_digits_ok: bool
    kind: str
    manageable: bool
    family: str = "iot"
    specification: str | None = None
    firmware: str | None = None
    free_memory_bytes: int | None = None
    fallback_supported: bool = False
    emergency_supported: bool = False


@dataclass(frozen=True, slots=True)
class Profile:
    """``iccid``: digits, in the field also letters A to E; ``0x`` and the card's octets where it cannot be read.
    ``iccid_check_digit_ok`` is true of digits only. ``profile_class``: test, provisioning or operational.
    ``policy_rules``: ``ppr1`` cannot be disabled, ``ppr2`` cannot be deleted. ``changed_by``: who brought it into this
    state (eIM, download, rollback, guardian, local, unknown ...), ``changed_for`` the eIM that ordered it."""

    iccid: str
    iccid_check_digit_ok: bool
    enabled: bool
    name: str | None = None
    provider: str | None = None
    nickname: str | None = None
    profile_class: str | None = None
    fallback: bool = False
    fallback_allowed: bool = False
    emergency: bool = False
    policy_rules: tuple[str, ...] = ()
    changed_by: str | None = None
    changed_at: Time | None = None
    changed_for: str | None = None


@dataclass(frozen=True, slots=True)
class LastOrder:
    """The last order of an eIM that ended, and whether all of it was done. ``words`` are the card's or the server's
    own (``profileNotInDisabledState``), ``reason`` says what they mean; both None when it went well."""

    at: Time
    what: str
    ok: bool
    words: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Poll:
    """One poll that ended. ``cost_bytes`` is UDP or TCP payload in both directions."""

    at: Time
    ok: bool
    outcome: str
    packages: int = 0
    results: int = 0
    cost_bytes: int | None = None
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class Eim:
    """``carrier`` is ``coaps`` or ``https``; ``next_reason`` the schedule's reason in words. ``answered``: whether it
    said anything at the last poll, if only an error; None before the first. ``trouble`` without ``failures``: a result
    that it does not take, while everything else goes on. ``handshake`` is how the last session over CoAP began:
    ``full``, ``abbreviated``, or ``no``, when it went on by its Connection ID (RFC 9146). ``key_known``: of an emulated
    card, that this eIM said when the device registered itself that it knows the key; None where nothing says so."""

    eim_id: str
    host: str | None = None
    carrier: str | None = None
    on_card: bool = True
    last_poll: Poll | None = None
    last_success: Time | None = None
    next_poll: Time | None = None
    next_reason: str | None = None
    failures: int = 0
    trouble: str | None = None
    answered: bool | None = None
    last_order: LastOrder | None = None
    handshake: str | None = None
    key_known: bool | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """What is going on right now. ``done`` of ``total`` in ``unit`` where that is known."""

    name: str
    since: Time
    eim_id: str | None = None
    done: int | None = None
    total: int | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the proof that a profile works. ``ok`` None: not tried yet, or not to be told on this device."""

    name: str
    ok: bool | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Switch:
    """A switch of the enabled profile that is not proved yet, or the last one that ended.

    ``phase``: armed (the card is about to be asked), proving, rolling-back, rolled-back, unproved (the time is over and
    there is no way back), and at the end committed, rolled-back or replaced (another is enabled). ``ended`` is None
    while it is under way. ``way_back``: rollback, fallback or none; ``deadline`` is when the way back is taken unless
    the new profile has been proved by then. ``previous`` and ``target`` are ICCIDs, None for no profile;
    ``target`` is ``unknown`` while only the card knows it.
    """

    phase: str
    cause: str
    previous: str | None
    target: str | None
    way_back: str
    since: Time
    deadline: Time | None = None
    stages: tuple[Stage, ...] = ()
    ended: Time | None = None


@dataclass(frozen=True, slots=True)
class Owed:
    """Something an eIM or an SM-DP+ has not got yet. ``kind``: result or notification. ``attempts`` in vain, ``reason``
    of the last, and ``next_attempt`` where it has a pause of its own."""

    kind: str
    receiver: str
    what: str
    since: Time | None = None
    seq_number: int | None = None
    next_attempt: Time | None = None
    attempts: int = 0
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Modem:
    """``transport``: CGLA or CSIM. ``quirks`` in words; ``profile`` is the module profile used."""

    port: str | None = None
    model: str | None = None
    manufacturer: str | None = None
    firmware: str | None = None
    imei: str | None = None
    profile: str | None = None
    transport: str | None = None
    sim: str | None = None
    iccid: str | None = None
    slot: int | None = None


@dataclass(frozen=True, slots=True)
class Radio:
    """``signal_dbm`` is the best figure the modem tells (RSRP or RSSI, see ``signal_kind``).
    ``power_saving`` tells PSM and eDRX in words, ``off`` for neither; null when the modem does not tell. ``connected``:
    whether the radio is connected (+CSCON), as the modem said last; null where it does not tell."""

    registration: str | None = None
    registered: bool | None = None
    network: str | None = None
    technology: str | None = None
    signal_dbm: int | None = None
    signal_kind: str | None = None
    power_saving: str | None = None
    connected: bool | None = None


class TrafficShare(NamedTuple):
    """What one carrier (coaps, https) moved for one purpose."""

    carrier: str
    purpose: str
    size_bytes: int


class ProfileTraffic(NamedTuple):
    """What one carrier moved for one purpose while a profile was enabled: its ICCID, or ``unknown``."""

    profile: str
    carrier: str
    purpose: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class RadioUse:
    """``cycles``: times with traffic of the agent, each after ``power.radio_idle_s`` without any. ``wake_ups``: how
    often the agent left its rest for a poll, a look at the connection, or a request. Since the installation and since
    midnight (UTC)."""

    cycles: int = 0
    cycles_today: int = 0
    wake_ups: int = 0
    wake_ups_today: int = 0


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes to and from servers, headers of IP, UDP and TCP included, since the installation and since midnight (UTC),
    by carrier and purpose, and by profile too. ``only_results``: the budget is used up so far that only results and the
    way back of a switch leave the device."""

    total_bytes: int = 0
    today_bytes: int = 0
    budget_bytes_per_day: int | None = None
    by: tuple[TrafficShare, ...] = ()
    budget_bytes_total: int | None = None
    only_results: bool = False
    by_profile: tuple[ProfileTraffic, ...] = ()
    radio: RadioUse = RadioUse()


@dataclass(frozen=True, slots=True)
class Guardian:
    """Watches for a lasting loss of connectivity. ``lost_for_s`` None: connected as far as is known.
    ``fallback_cause``, while ``in_fallback``: guardian for such a loss, person for somebody on this device, return for
    a former profile that was tried again and did not work."""

    enabled: bool
    lost_for_s: float | None = None
    acts_at: Time | None = None
    failed_cycles: int = 0
    in_fallback: bool = False
    return_attempts: int = 0
    next_return: Time | None = None
    fallback_cause: str | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that holds work back."""

    name: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Warning:
    """Something a person should know. ``id`` is explained by ``ipactl explain``; ``what_to_do`` may be absent."""

    id: str
    sentence: str
    what_to_do: str | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why nothing can be done at the moment. ``side``: modem, card, or agent for the disk and defects of the agent;
    ``sentence`` is what failed, ``hint`` what a person can do."""

    side: str
    sentence: str
    hint: str | None = None
    since: Time | None = None
    next_attempt: Time | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """Everything, at one moment. ``taken_at_s`` by the device's clock, ``clock_set``: whether that can be believed.

    While there is ``trouble``, card and profiles are as last seen. ``next_look``: when a card that cannot be managed
    yet, or not at all, is looked at again.
    """

    verdict: Verdict
    taken_at_s: int
    clock_set: bool
    uptime_s: float
    version: str
    card: Card | None = None
    profiles: tuple[Profile, ...] = ()
    eims: tuple[Eim, ...] = ()
    operation: Operation | None = None
    switch: Switch | None = None
    guardian: Guardian | None = None
    held_by: tuple[Condition, ...] = ()
    owed: tuple[Owed, ...] = ()
    modem: Modem | None = None
    radio: Radio | None = None
    traffic: Traffic = Traffic()
    warnings: tuple[Warning, ...] = ()
    schema_version: int = SCHEMA_VERSION
    trouble: Trouble | None = None
    next_look: Time | None = None


@dataclass(frozen=True, slots=True)
class Happening:
    """One event of the log as the faces pass it on. ``level``: debug, info, warning or error. ``facts`` are pairs of
    name and value here, an object in JSON."""

    id: str
    level: str
    text: str
    at_s: int
    facts: tuple[tuple[str, str], ...] = field(default=(), metadata={"json": "object"})


@dataclass(frozen=True, slots=True)
class PlanLine:
    """One line of what a switch would need. ``ok`` None: cannot be told before."""

    name: str
    ok: bool | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a switch to ``target`` would do; nothing was changed. ``steps`` in order, as sentences."""

    target: str
    possible: bool
    lines: tuple[PlanLine, ...]
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DoctorItem:
    """What the doctor found at one layer. ``ok`` None: not checked; ``fix``: what to do about it."""

    layer: str
    sentence: str
    ok: bool | None = None
    fix: str | None = None


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One thing that was done, or is being done, on this device. ``kind``: order (of an eIM), download, switch (of the
    enabled profile), rollback, reset (of the card) or wake-up (a call that brings the next poll forward). ``by``: eim,
    person, guardian or device. ``outcome``: under-way, done, failed, refused, rolled-back, unproved, replaced or
    interrupted; ``reason`` says why, in words. ``at``: when it began; null when nobody knows, because the clock was not
    set then and the device was started anew since. ``clock_set`` false: ``at.at_s`` is of a clock that was never set,
    while ``at.age_s`` is right. ``previous`` and ``target``: ICCIDs of a switch, as far as known. ``times``: so often
    in a row; the last time is told."""

    kind: str
    what: str
    by: str
    outcome: str
    at: Time | None
    clock_set: bool = True
    duration_s: float | None = None
    reason: str | None = None
    eim_id: str | None = None
    previous: str | None = None
    target: str | None = None
    times: int = 1


@dataclass(frozen=True, slots=True)
class ConfigurationValue:
    """One key of the configuration that the agent runs with. ``value`` as it would be written in a file; ``origin``:
    default, the name of a preset, or file, then with its ``line`` there."""

    key: str
    value: str
    origin: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the agent runs with. ``path``: the file that it read, None for the defaults alone; ``changed``: the file is
    another one by now, which counts from the next start on. No value is a secret."""

    path: str | None
    changed: bool
    values: tuple[ConfigurationValue, ...]


def to_plain(value: object) -> object:
    """The JSON form: objects by field name, tuples as arrays, absent as null, every text printable. The inverse needs
    no code: skins that live in another process read the JSON."""
    if is_record(value) and not isinstance(value, type):
        return {
            item.name: printable_data(dict(getattr(value, item.name)))
            if item.metadata.get("json") == "object"
            else to_plain(getattr(value, item.name))
            for item in fields_of(type(value)).values()
        }
    if isinstance(value, tuple):
        names: tuple[str, ...] | None = getattr(value, "_fields", None)
        if names is not None:
            return {name: to_plain(item) for name, item in zip(names, value, strict=True)}
        return [to_plain(item) for item in value]
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no such numbers
    return printable(value) if isinstance(value, str) else value
