"""The metrics: a text that scrapers take, and counters that follow the agent's messages."""

from __future__ import annotations

import importlib
import math
import pkgutil
import string
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ipad_agent
from ipad_agent.events import _LISTENERS, CATALOGUE, Event
from ipad_agent.local.prometheus import metrics as counted
from ipad_agent.local.prometheus.metrics import COUNTERS, RULES, Amount, Metrics, own_memory
from ipad_agent.local.prometheus.text_format import MAX_SERIES, OTHER, Histogram, Metric
from ipad_agent.local.status_model import Radio, Status
from ipad_agent.modem.at.power_saving import PowerSaving
from ipad_agent.printable import printable
from situations import EIM_ID, OPERATOR_A, SITUATIONS

from .exposition_parser import Family, parse, value

for info in pkgutil.walk_packages(ipad_agent.__path__, "ipad_agent."):
    if "events" in info.name.rsplit(".", 1)[-1]:
        importlib.import_module(info.name)

READY = SITUATIONS["ready"]


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def metrics(clock: Clock) -> Iterator[Metrics]:
    made = Metrics(now=clock, apdus=lambda: 7, rss_bytes=lambda: 40 << 20)
    end = made.attach()
    yield made
    end()


def emit(id: str, **facts: object) -> None:
    """A message with these facts, and something for all the others its sentence needs."""
    event = CATALOGUE[id]
    needed = {
        name: 1.0 if (spec or "").endswith(("f", "g")) else 1
        for _, name, spec, _ in string.Formatter().parse(event.sentence)
        if name
    }
    event.emit(**{**needed, **facts})


def read(metrics: Metrics, status: Status = READY) -> dict[str, Family]:
    return parse(metrics.text(status))


# -- the table -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.event} {rule.metric}")
def test_every_message_that_counts_exists_and_has_the_facts_it_counts_by(rule: counted.Rule | Amount) -> None:
    facts = {name for _, name, _, _ in string.Formatter().parse(CATALOGUE[rule.event].sentence) if name}
    assert {label[1:-1] for label in rule.labels if label.startswith("{")} <= facts
    assert not isinstance(rule, Amount) or rule.fact in facts
    assert len(rule.labels) == len(COUNTERS[rule.metric][1])


def test_every_counter_is_fed_by_something() -> None:
    assert set(COUNTERS) - {rule.metric for rule in RULES} == {"tolerances_total"}


def test_the_messages_of_a_switch_exist() -> None:
    assert {counted.BEGINNING, *counted.ENDINGS} <= set(CATALOGUE)


# -- counting ------------------------------------------------------------------------------------------------------


def test_messages_are_counted_by_their_facts(metrics: Metrics) -> None:
    emit("IPA-4010", eim="a")
    emit("IPA-4010", eim="a")
    emit("IPA-1005", eim="a", side="network")
    emit("IPA-3001", kind="abbreviated")
    emit("IPA-3001", kind="full")
    emit("IPA-3101", eim="a", function="GetEimPackage", sent_bytes=21, received_bytes=600)
    found = read(metrics)
    assert value(found, "ipad_agent_polls_total", eim="a") == 2
    assert value(found, "ipad_agent_failures_total", side="network", stage="poll") == 1
    assert value(found, "ipad_agent_handshakes_total", carrier="coaps", kind="resumed") == 1
    assert value(found, "ipad_agent_handshakes_total", carrier="coaps", kind="full") == 1
    labels = {"protocol": "esipa", "function": "GetEimPackage"}
    assert value(found, "ipad_agent_message_bytes_total", direction="sent", **labels) == 21
    assert value(found, "ipad_agent_message_bytes_total", direction="received", **labels) == 600


def test_messages_count_whatever_the_log_shows(metrics: Metrics, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL", "ipad_agent")
    emit("IPA-4010", eim="a")
    assert value(read(metrics), "ipad_agent_polls_total", eim="a") == 1


def test_tolerances_are_counted_by_their_id(metrics: Metrics) -> None:
    emit("IPA-9030", host="x")
    assert value(read(metrics), "ipad_agent_tolerances_total", id="IPA-9030") == 1


def test_a_switch_is_timed_from_arming_to_its_end(metrics: Metrics, clock: Clock) -> None:
    emit("IPA-4201")
    clock.now_s += 47
    emit("IPA-4205")
    emit("IPA-4201")
    clock.now_s += 500
    emit("IPA-4207")
    emit("IPA-4205")  # without a beginning
    found = read(metrics)
    name = "ipad_agent_switch_duration_seconds"
    assert found[name].samples[(f"{name}_sum", frozenset({("outcome", "committed")}))] == 47
    assert found[name].samples[(f"{name}_bucket", frozenset({("outcome", "committed"), ("le", "30")}))] == 0
    assert found[name].samples[(f"{name}_bucket", frozenset({("outcome", "committed"), ("le", "60")}))] == 1
    assert found[name].samples[(f"{name}_sum", frozenset({("outcome", "rolled back")}))] == 500


def test_a_message_without_the_fact_it_is_counted_by_is_counted_all_the_same() -> None:
    metrics = Metrics(rss_bytes=lambda: None)
    metrics.note(CATALOGUE["IPA-4010"], {})
    metrics.note(CATALOGUE["IPA-3101"], {"function": "x"})
    assert value(read(metrics), "ipad_agent_polls_total", eim="unknown") == 1


def test_nothing_is_counted_after_the_end() -> None:
    metrics, before = Metrics(), list(_LISTENERS)
    end = metrics.attach()
    end()
    assert before == _LISTENERS


# -- gauges --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SITUATIONS)
def test_every_situation_makes_a_text_that_scrapers_take(name: str, metrics: Metrics) -> None:
    found = read(metrics, SITUATIONS[name])
    states = found["ipad_agent_state"].samples
    assert sum(states.values()) == 1
    assert value(found, "ipad_agent_state", state=SITUATIONS[name].verdict.state.value) == 1
    assert value(found, "ipad_agent_resident_memory_bytes") == 40 << 20
    assert value(found, "ipad_agent_apdus_total") == 7


def test_gauges_are_those_of_the_status(metrics: Metrics) -> None:
    found = read(metrics)
    (eim,) = READY.eims
    assert eim.last_success is not None
    assert value(found, "ipad_agent_last_success_timestamp_seconds", eim=EIM_ID) == eim.last_success.at_s
    assert value(found, "ipad_agent_traffic_bytes_total", carrier="coaps", purpose="poll") == 30_011
    assert value(found, "ipad_agent_traffic_by_profile_bytes_total", profile=OPERATOR_A[-4:]) == 40_000
    assert value(found, "ipad_agent_radio_cycles_total") == 212
    assert value(found, "ipad_agent_wake_ups_total") == 230
    assert value(found, "ipad_agent_only_results") == 0
    assert value(found, "ipad_agent_owed", kind="result") == 0
    assert value(read(metrics, SITUATIONS["eim-unreachable"]), "ipad_agent_owed", kind="result") == 1
    assert value(found, "ipad_agent_switch_armed") == 0
    assert value(read(metrics, SITUATIONS["switch-armed"]), "ipad_agent_switch_armed") == 1


@pytest.mark.parametrize(
    ("saving", "psm", "edrx"),
    [
        (PowerSaving(psm=False, edrx=False), 0, 0),
        (PowerSaving(psm=True, active_s=10, update_s=3600), 1, 0),
        (PowerSaving(psm=False, edrx=True, cycle_s=20.48), 0, 1),
        (PowerSaving(psm=True, edrx=True), 1, 1),
    ],
)
def test_whether_the_modem_saves_power_is_told_by_kind(
    metrics: Metrics, saving: PowerSaving, psm: int, edrx: int
) -> None:
    found = read(metrics, replace(READY, radio=Radio(power_saving=str(saving))))
    assert value(found, "ipad_agent_power_saving", kind="psm") == psm
    assert value(found, "ipad_agent_power_saving", kind="edrx") == edrx
    assert "ipad_agent_power_saving" not in read(metrics, replace(READY, radio=Radio()))


@pytest.mark.parametrize("name", SITUATIONS)
def test_no_metric_holds_an_identifier(name: str, metrics: Metrics) -> None:
    status = SITUATIONS[name]
    text = metrics.text(status)
    assert not any(profile.iccid in text for profile in status.profiles)
    assert status.card is None or status.card.eid not in text
    assert status.modem is None or status.modem.imei is None or status.modem.imei not in text


def test_the_memory_of_this_process_is_told(tmp_path: Path) -> None:
    found = own_memory()
    assert found is not None
    assert found > 1 << 20
    assert own_memory(tmp_path / "missing") is None
    (tmp_path / "odd").write_text("x")
    assert own_memory(tmp_path / "odd") is None


# -- the text ------------------------------------------------------------------------------------------------------


@given(st.text(max_size=30), st.floats())
def test_labels_and_numbers_come_back_as_they_were(label: str, number: float) -> None:
    metric = Metric("m", "A help with \\ and\nan end of line.", "gauge", ("name",))
    metric.set(number, label)
    (family,) = parse("\n".join(metric.lines()) + "\n").values()
    ((_, labels),) = family.samples
    assert dict(labels)["name"] == (label if label.isprintable() else printable(label))
    (back,) = family.samples.values()
    assert back == number or (math.isnan(back) and math.isnan(number))
    assert "\\n" in family.help


def test_two_names_that_look_alike_are_one_series_and_not_a_text_that_scrapers_refuse() -> None:
    metric = Metric("m", "x", "gauge", ("name",))
    metric.set(1, "a\u202eb")
    metric.set(2, "a\u2066b")
    (family,) = parse("\n".join(metric.lines()) + "\n").values()
    assert list(family.samples.values()) == [2]


def test_a_lone_surrogate_is_replaced_because_it_cannot_be_sent() -> None:
    metric = Metric("m", "x", "gauge", ("name",))
    metric.set(1, "a\udc80b")
    "\n".join(metric.lines()).encode("utf-8")


def test_a_label_from_outside_cannot_fill_the_memory() -> None:
    metric = Metric("m", "x", "counter", ("name",))
    for number in range(MAX_SERIES + 50):
        metric.add(f"value {number}")
    assert len(metric.series) == MAX_SERIES + 1
    assert metric.series[(OTHER,)] == 50
    metric.add("value 3")
    assert metric.series[("value 3",)] == 2


@pytest.mark.parametrize("bad", ["", "1m", "a-b", "ü"])
def test_names_that_scrapers_refuse_are_refused_here(bad: str) -> None:
    with pytest.raises(ValueError, match="cannot be names"):
        Metric(bad, "x")
    with pytest.raises(ValueError, match="cannot be names"):
        Metric("m", "x", "gauge", (bad,))
    with pytest.raises(ValueError, match="has the labels"):
        Metric("m", "x", "gauge", ("a",)).set(1)


def test_a_value_on_a_bound_is_below_it() -> None:
    histogram = Histogram("h", "x", (1.0, 2.0), "kind")
    for number in (0.5, 1.0, 1.5, 2.0, 9.0):
        histogram.observe(number, "a")
    found = parse("\n".join(histogram.lines()) + "\n")["h"].samples
    buckets = {dict(labels).get("le"): count for (name, labels), count in found.items() if name == "h_bucket"}
    assert buckets == {"1": 2, "2": 4, "+Inf": 5}
    assert found[("h_sum", frozenset({("kind", "a")}))] == 14


@pytest.mark.parametrize(
    "text",
    [
        "m 1\n",
        "# HELP m x\n# TYPE m gauge\nm 1",
        "# HELP m x\n# TYPE m gauge\nm 1\nm 2\n",
        '# HELP m x\n# TYPE m gauge\nm{a="\\x"} 1\n',
        "# HELP m x\n# TYPE m gauge\nn 1\n",
        "# HELP m x\n# TYPE m gauge\nm one\n",
    ],
)
def test_the_reader_of_these_tests_refuses_what_scrapers_refuse(text: str) -> None:
    with pytest.raises((AssertionError, KeyError, IndexError)):
        parse(text)


def test_a_status_without_anything_makes_a_text_too() -> None:
    bare = replace(READY, card=None, eims=(), modem=None, radio=None, profiles=())
    assert "ipad_agent_profiles" not in read(Metrics(rss_bytes=lambda: None), bare)


def test_messages_nobody_counts_cost_nothing() -> None:
    metrics = Metrics(rss_bytes=lambda: None)
    before = metrics.text(READY)
    event: Event[...] = Event("IPA-0000", 20, "x", "x", {})
    metrics.note(event, {})
    assert metrics.text(READY) == before
