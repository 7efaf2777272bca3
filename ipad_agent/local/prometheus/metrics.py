"""What is counted, and from which messages.

Most counters are fed by the messages that the agent emits anyway: ``RULES`` is the one place that says which message
counts as what. Gauges are taken from the status at the moment of asking. Nothing here knows a secret or a full
identifier: labels are eIM names, sides, carriers.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from ipad_agent.events import Event, listen
from ipad_agent.local.status_model import State, Status
from ipad_agent.records import dataclass

from .text_format import Histogram, Metric

PREFIX: Final = "ipad_agent_"
_UNKNOWN: Final = "unknown"
SWITCH_BUCKETS_S: Final = (5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 180.0, 300.0, 420.0, 600.0, 900.0, 1800.0)

_POWER_SAVING: Final = {"psm": "PSM", "edrx": "eDRX"}
"""Kinds by the words of the status (``Radio.power_saving``)."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One message counts once for ``metric``; ``labels`` are facts of the message (``{eim}``) or fixed words."""

    event: str
    metric: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Amount:
    """The number in ``fact`` is added to ``metric``."""

    event: str
    metric: str
    fact: str
    labels: tuple[str, ...] = ()


COUNTERS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "polls_total": ("Polls begun.", ("eim",)),
    "polls_empty_total": ("Polls that found nothing to do.", ("eim",)),
    "packages_total": ("Orders taken from an eIM.", ("eim",)),
    "results_total": ("Results delivered to an eIM.", ("eim",)),
    "failures_total": ("What failed, by the side at fault and where it happened.", ("side", "stage")),
    "handshakes_total": ("Sessions with servers: full, resumed or refused.", ("carrier", "kind")),
    "message_bytes_total": (
        "Bytes of requests and answers, without what the carrier adds.",
        ("protocol", "function", "direction"),
    ),
    "retries_total": ("What was tried once more.", ("what",)),
    "card_resets_total": ("Steps of the reset ladder.", ("rung",)),
    "switches_total": ("Switches of the enabled profile, by how they ended.", ("outcome",)),
    "downloads_total": ("Profile downloads, by how they ended.", ("outcome",)),
    "notifications_total": ("Notifications delivered.", ()),
    "tolerances_total": ("Liberties of peers that were tolerated.", ("id",)),
    "journal_faults_total": ("Damage found in what is kept on the disk.", ()),
}

RULES: Final[tuple[Rule | Amount, ...]] = (
    Rule("IPA-4010", "polls_total", ("{eim}",)),
    Rule("IPA-4011", "polls_empty_total", ("{eim}",)),
    Rule("IPA-4020", "packages_total", ("{eim}",)),
    Rule("IPA-4030", "results_total", ("{eim}",)),
    Rule("IPA-1004", "failures_total", ("{side}", "card")),
    Rule("IPA-1005", "failures_total", ("{side}", "poll")),
    Rule("IPA-1006", "failures_total", ("agent", "unexpected")),
    Rule("IPA-1007", "failures_total", ("configuration", "poll")),
    Rule("IPA-1208", "failures_total", ("agent", "disk")),
    Rule("IPA-2003", "failures_total", ("modem", "port")),
    Rule("IPA-2016", "failures_total", ("modem", "silence")),
    Rule("IPA-4022", "failures_total", ("eIM", "package")),
    Rule("IPA-4023", "failures_total", ("eUICC", "package")),
    Rule("IPA-4070", "failures_total", ("eIM", "operation")),
    Rule("IPA-4340", "failures_total", ("eIM", "result")),
    Rule("IPA-4056", "failures_total", ("eUICC", "download")),
    Rule("IPA-4057", "failures_total", ("SM-DP+", "download")),
    Rule("IPA-4067", "failures_total", ("SM-DP+", "notification")),
    Rule("IPA-3001", "handshakes_total", ("coaps", "{kind}")),
    Rule("IPA-3009", "handshakes_total", ("https", "full")),
    Rule("IPA-3002", "handshakes_total", ("any", "refused")),
    Amount("IPA-3101", "message_bytes_total", "sent_bytes", ("esipa", "{function}", "sent")),
    Amount("IPA-3101", "message_bytes_total", "received_bytes", ("esipa", "{function}", "received")),
    Amount("IPA-3201", "message_bytes_total", "sent_bytes", ("es9", "{function}", "sent")),
    Amount("IPA-3201", "message_bytes_total", "received_bytes", ("es9", "{function}", "received")),
    Rule("IPA-2004", "retries_total", ("line",)),
    Rule("IPA-2110", "retries_total", ("read",)),
    Rule("IPA-3003", "retries_total", ("coaps session",)),
    Rule("IPA-3010", "retries_total", ("https connection",)),
    Rule("IPA-4031", "retries_total", ("result",)),
    Rule("IPA-4063", "retries_total", ("download",)),
    Rule("IPA-9037", "retries_total", ("blockwise transfer",)),
    Rule("IPA-2106", "card_resets_total", ("{rung}",)),
    Rule("IPA-4205", "switches_total", ("committed",)),
    Rule("IPA-4207", "switches_total", ("rolled back",)),
    Rule("IPA-4209", "switches_total", ("unproved",)),
    Rule("IPA-4055", "downloads_total", ("installed",)),
    Rule("IPA-4056", "downloads_total", ("refused by the card",)),
    Rule("IPA-4057", "downloads_total", ("failed",)),
    Rule("IPA-4066", "notifications_total"),
    Rule("IPA-4034", "notifications_total"),
    Rule("IPA-1202", "journal_faults_total"),
    Rule("IPA-1204", "journal_faults_total"),
    Rule("IPA-1211", "journal_faults_total"),
    Rule("IPA-1212", "journal_faults_total"),
    Rule("IPA-1213", "journal_faults_total"),
)

TOLERANCES: Final = "IPA-90"
BEGINNING: Final = "IPA-4201"
ENDINGS: Final[Mapping[str, str]] = {"IPA-4205": "committed", "IPA-4207": "rolled back"}
"""A switch lasts from the message that it is armed to one of these."""
_WORDS: Final = {"abbreviated": "resumed"}
_CAUSES: Final[Mapping[str, tuple[Rule | Amount, ...]]] = {
    event: tuple(rule for rule in RULES if rule.event == event) for event in {rule.event for rule in RULES}
}


class Metrics:
    """Counts from ``attach`` on. ``now`` is a clock that never jumps, in seconds; ``apdus`` and ``rss_bytes`` are
    asked when somebody looks."""

    def __init__(
        self,
        *,
        now: Callable[[], float] = time.monotonic,
        apdus: Callable[[], int] | None = None,
        rss_bytes: Callable[[], int | None] | None = None,
    ) -> None:
        self._now = now
        self._apdus = apdus
        self._rss_bytes = rss_bytes or own_memory
        self._counters = {
            name: Metric(PREFIX + name, text, "counter", labels) for name, (text, labels) in COUNTERS.items()
        }
        self._switches = Histogram(
            PREFIX + "switch_duration_seconds", "From arming a switch to its end.", SWITCH_BUCKETS_S, "outcome"
        )
        self._armed_at_s: float | None = None

    def attach(self) -> Callable[[], None]:
        """Count from now on; returns the way to end that."""
        return listen(self.note)

    def note(self, event: Event[...], facts: Mapping[str, object]) -> None:
        """Count one message. Never raises: a fact that is missing is left out as a word."""
        for rule in _CAUSES.get(event.id, ()):
            values = tuple(_filled(label, facts) for label in rule.labels)
            amount = facts.get(rule.fact) if isinstance(rule, Amount) else 1
            if isinstance(amount, int | float):
                self._counters[rule.metric].add(*values, by=amount)
        if event.id.startswith(TOLERANCES):
            self._counters["tolerances_total"].add(event.id)
        if event.id == BEGINNING:
            self._armed_at_s = self._now()
        elif event.id in ENDINGS and self._armed_at_s is not None:
            self._switches.observe(self._now() - self._armed_at_s, ENDINGS[event.id])
            self._armed_at_s = None

    def text(self, status: Status) -> str:
        """The exposition: counters as they are, gauges from this status."""
        lines: list[str] = []
        for metric in (*self._counters.values(), *_gauges(status), *self._asked()):
            lines += metric.lines()
        lines += self._switches.lines()
        return "\n".join(lines) + "\n"

    def _asked(self) -> list[Metric]:
        found = []
        if self._apdus is not None:
            apdus = Metric(PREFIX + "apdus_total", "Command APDUs sent to the card.")
            apdus.set(self._apdus())
            found.append(apdus)
        rss = self._rss_bytes()
        if rss is not None:
            memory = Metric(PREFIX + "resident_memory_bytes", "Memory of the agent.", "gauge")
            memory.set(rss)
            found.append(memory)
        return found


def _filled(label: str, facts: Mapping[str, object]) -> str:
    if not label.startswith("{"):
        return label
    value = str(facts.get(label[1:-1], "unknown"))
    return _WORDS.get(value, value)


def _gauges(status: Status) -> list[Metric]:
    def gauge(name: str, text: str, *labels: str) -> Metric:
        found[name] = Metric(PREFIX + name, text, "gauge", labels)
        return found[name]

    found: dict[str, Metric] = {}
    state = gauge("state", "1 for the state the agent is in, 0 for all others.", "state")
    for name in State:
        state.set(float(name is status.verdict.state), name.value)
    gauge("info", "Always 1; the version is in the label.", "version").set(1, status.version)
    gauge("uptime_seconds", "Since the start of the agent.").set(status.uptime_s)
    gauge("clock_set", "Whether the clock of the device can be believed.").set(float(status.clock_set))
    owed = gauge("owed", "Results and notifications that are not delivered.", "kind")
    for kind in {"result", "notification", *(item.kind for item in status.owed)}:
        owed.set(sum(item.kind == kind for item in status.owed), kind)
    success = gauge("last_success_timestamp_seconds", "When a poll went well the last time, in Unix time.", "eim")
    failures = gauge("failures_in_a_row", "Polls that failed since the last good one.", "eim")
    due = gauge("next_poll_timestamp_seconds", "When the next poll is due, in Unix time.", "eim")
    order_ok = gauge("last_order_ok", "Whether the last order of the eIM was done, 1 or 0.", "eim")
    order_at = gauge("last_order_timestamp_seconds", "When the last order of the eIM ended, in Unix time.", "eim")
    for eim in status.eims:
        if eim.last_order is not None:
            order_ok.set(float(eim.last_order.ok), eim.eim_id)
            order_at.set(eim.last_order.at.at_s, eim.eim_id)
        failures.set(eim.failures, eim.eim_id)
        if eim.last_success is not None:
            success.set(eim.last_success.at_s, eim.eim_id)
        if eim.next_poll is not None:
            due.set(eim.next_poll.at_s, eim.eim_id)
    if status.card is not None and status.card.free_memory_bytes is not None:
        gauge("card_free_memory_bytes", "Room for profiles on the eUICC.").set(status.card.free_memory_bytes)
    if status.card is not None:
        gauge("profiles", "Profiles on the eUICC.").set(len(status.profiles))
    gauge("switch_armed", "Whether a switch waits for its proof.").set(
        float(status.switch is not None and status.switch.deadline is not None)
    )
    gauge("held", "Whether a condition of the site holds work back.").set(float(bool(status.held_by)))
    if status.radio is not None and status.radio.registered is not None:
        gauge("registered", "Whether the modem is registered for data.").set(float(status.radio.registered))
    if status.radio is not None and status.radio.signal_dbm is not None:
        kind = status.radio.signal_kind or "signal"
        gauge("signal_dbm", "How well the modem hears the network.", "kind").set(status.radio.signal_dbm, kind)
    if status.radio is not None and status.radio.power_saving is not None:
        saving = gauge("power_saving", "Whether the modem asks the network for it: it is reached late then.", "kind")
        for kind, word in _POWER_SAVING.items():
            saving.set(float(word in status.radio.power_saving), kind)
    metrics = list(found.values())
    traffic = Metric(PREFIX + "traffic_bytes_total", "Bytes to and from servers.", "counter", ("carrier", "purpose"))
    for carrier, purpose, size_bytes in status.traffic.by:
        traffic.set(size_bytes, carrier, purpose)
    today = Metric(PREFIX + "traffic_today_bytes", "Bytes to and from servers since midnight (UTC).", "gauge")
    today.set(status.traffic.today_bytes)
    by_profile = Metric(
        PREFIX + "traffic_by_profile_bytes_total",
        "Bytes to and from servers while a profile was enabled; of the profile's ICCID the last four digits.",
        "counter",
        ("profile",),
    )
    sums: Counter[str] = Counter()
    for share in status.traffic.by_profile:
        sums[share.profile if share.profile == _UNKNOWN else share.profile[-4:]] += share.size_bytes
    for profile, size_bytes in sorted(sums.items()):
        by_profile.set(size_bytes, profile)
    held = Metric(PREFIX + "only_results", "Whether the traffic budget lets only results leave.", "gauge")
    held.set(float(status.traffic.only_results))
    cycles = Metric(PREFIX + "radio_cycles_total", "Times with traffic of the agent, with rest between.", "counter")
    cycles.set(status.traffic.radio.cycles)
    wake_ups = Metric(PREFIX + "wake_ups_total", "How often the agent left its rest.", "counter")
    wake_ups.set(status.traffic.radio.wake_ups)
    return [*metrics, traffic, today, by_profile, held, cycles, wake_ups]


def own_memory(statm: Path = Path("/proc/self/statm")) -> int | None:
    """Resident bytes of this process, where the kernel tells."""
    try:
        return int(statm.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None
