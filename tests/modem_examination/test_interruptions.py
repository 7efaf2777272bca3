"""An examination that is interrupted leaves the modem and the card as it found them, wherever that happens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ipad_agent.lab.modem import PERSONALITIES, ModemOptions
from ipad_agent.modem.module_profile import ProfileSet
from ipad_agent.modem_examination.modem_examination import ModemExamination

from . import expectations
from .expectations import EVERY
from .stand import Line, away_from_fallback, euicc, examined, profiles

GENERIC = "generic-3gpp"


async def _whole_of(
    examination: ModemExamination, line: Line, when: Callable[[list[str]], bool], *, switch: bool
) -> None:
    await line.interrupted(asyncio.ensure_future(examination.examine(switch=switch)), when)


def _interrupted(
    line: Line, when: Callable[[list[str]], bool], *, switch: bool = False, known: ProfileSet | None = None
) -> dict[str, object]:
    """Interrupt an examination; the state before it."""
    before: dict[str, object] = {}

    async def story(examination: ModemExamination) -> None:
        before.update(line.state())
        await _whole_of(examination, line, when, switch=switch)

    examined(line, story, known=known)
    assert line.interrupted_in_time
    assert line.closed
    return before


def _places() -> list[tuple[str, int]]:
    """Each of these personalities at some commands, each at others; the generic one at more."""
    step = 6 if EVERY else 24
    places = [(GENERIC, after) for after in range(3, 110, 6 if EVERY else 12)]
    for number, name in enumerate(expectations.interrupted()):
        places += [(name, after) for after in range(3 + number % 8 * 3 % step, 105, step) if name != GENERIC]
    return places


@pytest.mark.parametrize(("name", "after_commands"), _places())
def test_an_interruption_at_any_command_leaves_no_trace(name: str, after_commands: int, tmp_path: Path) -> None:
    line = Line(euicc(tmp_path), replace(PERSONALITIES[name], cmee=2))
    before = _interrupted(line, lambda sent: len(sent) >= after_commands)
    assert line.state() == before


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("opening", ["AT+CCHO", 'AT+CSIM=10,"0070000001"', "AT+CGLA=0,"])
def test_a_channel_whose_opening_was_interrupted_is_closed(opening: str, number: int, tmp_path: Path) -> None:
    """Its number comes with the answer, which is not there yet; session 0 is none to be closed."""
    options = replace(PERSONALITIES["tdtech-mt5700" if "CGLA" in opening else GENERIC], apdu_s=0.5)
    if "CSIM" in opening:
        options = replace(options, transports="csim")
    line = Line(euicc(tmp_path), options)
    before = _interrupted(line, lambda sent: sum(text.startswith(opening) for text in sent) >= number)
    assert line.state() == before


def _locking() -> tuple[ModemOptions, ProfileSet]:
    """A module whose profile locks the card for its port."""
    options = PERSONALITIES["telit-le910"]
    own = expectations.profile_of(options)
    uicc = replace(own.uicc, order=("csim",), lock=("AT+CSIM=1",), unlock=("AT+CSIM=0",))
    locks = replace(own, uicc=uicc)
    return options, ProfileSet(tuple(locks if one is own else one for one in profiles().profiles))


@pytest.mark.parametrize("later", [0, 1, 2, 3, 6])
@pytest.mark.parametrize("number", [1, 3])
def test_a_card_that_was_locked_for_the_port_is_given_back(number: int, later: int, tmp_path: Path) -> None:
    options, known = _locking()
    line = Line(euicc(tmp_path), replace(options, apdu_s=0.1))

    def when(sent: list[str]) -> bool:
        locked = [place for place, text in enumerate(sent) if text == "AT+CSIM=1"]
        return len(locked) >= number and len(sent) > locked[number - 1] + later

    before = _interrupted(line, when, known=known)
    assert "AT+CSIM=1" in line.lines
    assert line.state() == before


def _commands_after(name: str) -> int:
    """So many follow the order back at least; half of them ask for answers that some modems fetch themselves."""
    options = PERSONALITIES[name]
    return 7 if expectations.fetches(options, expectations.best(options) or "") else 14


def _switching() -> list[tuple[str, str, int]]:
    """Personality, order, and so many commands after it."""
    able = [name for name in expectations.interrupted() if expectations.best(PERSONALITIES[name]) is not None]
    step = 2 if EVERY else 6
    return [
        (name, order, later)
        for number, name in enumerate(able)
        for order in ("BF5D", "BF5E")
        for later in range(number * 2 % step, _commands_after(name), step)
    ]


@pytest.mark.parametrize(("name", "order", "later"), _switching())
def test_an_interruption_during_the_switch_goes_back_to_the_profile_of_before(
    name: str, order: str, later: int, tmp_path: Path
) -> None:
    """From the order there or back on, and at some commands after it."""
    line = Line(euicc(tmp_path), replace(PERSONALITIES[name], apdu_s=0.05))

    def when(sent: list[str]) -> bool:
        ordered = next((number for number, text in enumerate(sent) if order in text), None)
        return ordered is not None and len(sent) > ordered + later

    _interrupted(line, when, switch=True)
    assert line.engine.module.uicc.iccid == away_from_fallback()[2].iccid
    assert not line.engine.module.uicc.open_channels
