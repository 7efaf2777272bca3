"""A fleet does not stampede, and the simulation that says so polls as the agent's schedule does."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy
import pytest

from ipad_agent.errors import IpadError
from ipad_agent.fleet import poll_load as module
from ipad_agent.fleet.load_picture import load_picture
from ipad_agent.fleet.load_report import load_report
from ipad_agent.fleet.poll_load import MINUTE_S, Cut, poll_load
from ipad_agent.fleet.schedule_table import ScheduleTable, schedule_table
from ipad_agent.policy import NBIOT, NORMAL, ScheduleSettings
from ipad_agent.policy.instant import Instant
from ipad_agent.policy.polling import poll_schedule
from ipad_agent.policy.polling.poll_outcome import Outcome, back_off_s

DAY_S = 86_400.0
NOTHING = Cut(0.0, 0.0)
OUTAGE = Cut(5.3 * DAY_S, 6 * 3600.0)


def peak(table: ScheduleTable, outage: Cut = OUTAGE) -> float:
    load = poll_load(table, devices=150_000, length_s=12 * DAY_S, outage=outage, power_cut=NOTHING)
    after = load_report(load, outage, NOTHING).outage
    assert after is not None
    return after.peak


@pytest.mark.parametrize("settings", [NORMAL, NBIOT], ids=["normal", "nbiot"])
def test_after_six_hours_without_the_eim_no_ten_minutes_bring_twice_the_usual_load(settings: ScheduleSettings) -> None:
    assert peak(schedule_table(settings)) < 2.0


def test_a_back_off_that_only_doubles_would_bring_many_times_the_usual_load() -> None:
    doubling = [back_off_s(Outcome.UNREACHABLE, n, NORMAL, chance=1.0, under_way=True) for n in range(1, 41)]
    assert peak(replace(schedule_table(NORMAL), failed=tuple((60.0, most - 60.0) for most in doubling))) > 4.0


def test_everybody_who_was_refused_has_an_answer_within_a_day_and_a_half() -> None:
    load = poll_load(schedule_table(NORMAL), devices=50_000, length_s=12 * DAY_S, outage=OUTAGE, power_cut=NOTHING)
    served = load_report(load, OUTAGE, NOTHING).served_after_s
    assert served is not None
    assert served[0] < 10 * 3600.0
    assert served[2] <= 1.5 * DAY_S


class _Half:
    """Every random number is a half."""

    def random(self, count: int, dtype: Any = float) -> Any:
        return numpy.full(count, 0.5)


@pytest.mark.parametrize("settings", [NORMAL, NBIOT], ids=["normal", "nbiot"])
def test_the_vector_polls_in_the_minutes_in_which_the_agents_own_schedule_polls(settings: ScheduleSettings) -> None:
    length_s, outage, power_cut = 9 * DAY_S, Cut(2.4 * DAY_S, 1.5 * DAY_S), Cut(6 * DAY_S, 1800.0, 1.0)
    minutes = int(length_s // MINUTE_S) + 1
    answered, refused = numpy.zeros(minutes, dtype=int), numpy.zeros(minutes, dtype=int)
    part = module._Part(numpy, schedule_table(settings), 40, (1, 0))
    begin = [float(value) for value in part._next_s]
    phases = [float(value) for value in part._phase_s]
    part._random = _Half()
    part.live(length_s, outage, power_cut, answered, refused)

    expected: dict[bool, Counter[int]] = {True: Counter(), False: Counter()}
    for first_s, phase_s in zip(begin, phases, strict=True):
        for at_s, reached in _polls(settings, first_s, phase_s, length_s, outage, power_cut):
            expected[reached][int(at_s // MINUTE_S)] += 1
    assert {int(n): int(answered[n]) for n in answered.nonzero()[0]} == dict(expected[True])
    assert {int(n): int(refused[n]) for n in refused.nonzero()[0]} == dict(expected[False])
    assert refused.sum() > 40


def _polls(
    settings: ScheduleSettings, first_s: float, phase_s: float, length_s: float, outage: Cut, power_cut: Cut
) -> list[tuple[float, bool]]:
    """One device by ``poll_schedule``; the clock of its first boot began long ago."""
    boot_s, boot = -30 * DAY_S, "first"

    def instant(at_s: float) -> Instant:
        return Instant(1_800_000_000.0 + at_s, at_s - boot_s, boot)

    state = poll_schedule.settle(poll_schedule.start(None, instant(boot_s), settings, phase_s=phase_s), instant(0.0))
    told, at_s = [], first_s
    while at_s < length_s:
        if boot == "first" and at_s >= power_cut.begin_s:
            boot_s, boot = power_cut.end_s, "second"
            state = poll_schedule.start(state, instant(boot_s), settings, phase_s=phase_s)
            at_s = boot_s + poll_schedule.decide(state, instant(boot_s)).wait_s
            continue
        reached = not outage.begin_s <= at_s < outage.end_s
        told.append((at_s, reached))
        now = instant(at_s)
        outcome = Outcome.IDLE if reached else Outcome.UNREACHABLE
        state = poll_schedule.finish(poll_schedule.begin(state, now), now, outcome, settings, chance=0.5)
        at_s += poll_schedule.decide(state, now).wait_s
    return told


def test_the_picture_has_a_panel_for_what_happened() -> None:
    power_cut = Cut(9 * DAY_S, 1800.0, 0.1)
    load = poll_load(schedule_table(NORMAL), devices=2000, length_s=12 * DAY_S, outage=OUTAGE, power_cut=power_cut)
    svg = load_picture(load, load_report(load, OUTAGE, power_cut), OUTAGE, power_cut)
    root = ElementTree.fromstring(svg)
    assert len(root.findall("{http://www.w3.org/2000/svg}g")) == 2
    assert "http" not in svg.replace('xmlns="http://www.w3.org/2000/svg"', "")


def test_without_numpy_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(IpadError, match="needs NumPy") as caught:
        poll_load(schedule_table(NORMAL), devices=1, length_s=DAY_S, outage=NOTHING, power_cut=NOTHING)
    assert "python3-numpy" in caught.value.hint


def test_the_command_prints_its_figures_as_data(capsys: pytest.CaptureFixture[str]) -> None:
    from ipad_agent.cli.ipad_agent_command import run

    assert run(["lab", "fleet", "--devices", "1000", "--days", "10", "--power-cut", "0s", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["devices"] == 1000
    assert told["power_cut"] is None
    assert told["polls"] + told["refused"] == pytest.approx(10_000, rel=0.1)
