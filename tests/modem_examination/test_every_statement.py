"""What a report says of a modem is what that modem does: each statement is held against the lab's switches, or asked
once more by a reader of its own. For every personality of the lab, and for vices that none of them has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ipad_agent.lab.euicc import Quirks, default_profiles
from ipad_agent.lab.modem import PERSONALITIES, ModemOptions
from ipad_agent.modem_examination import command_survey
from ipad_agent.modem_examination.examination_report import PortFacts, document
from ipad_agent.modem_examination.modem_examination import Examination, ModemExamination

from .stand import Line, M2mCard, answers_of, away_from_fallback, euicc, examined, profiles

VICES = {
    "cuts-csim": ModemOptions(csim_answer_cap_bytes=100),
    "cuts-csim-only-way": ModemOptions(transports="csim", csim_answer_cap_bytes=100),
    "refuses-le": ModemOptions(refuse_le=True),
    "short-lines": ModemOptions(max_apdu_chars=400),
    "shorter-lines": ModemOptions(max_apdu_chars=260),
    "cgla-only": ModemOptions(transports="cgla"),
    "fetches": ModemOptions(auto_fetch=True),
    "bare-big-sessions": ModemOptions(bare_session=True, session_style="big"),
    "hex-sessions": ModemOptions(session_style="hex16"),
    "no-echo-cmee-2": ModemOptions(echo=False, cmee=2),
    "no-test-forms": ModemOptions(test_forms=False, error_style="error"),
    "noise": ModemOptions(noise_lines=("+CSQ: 12,99", "+CREG: 5"), noise_places=("between",)),
    "line-feeds": ModemOptions(wait_for_lf=True),
    "slow": ModemOptions(answer_s=0.2, apdu_s=0.3),
}
ALL = {**PERSONALITIES, **VICES}


def _whole(line: Line, *, switch: bool = False) -> Examination:
    found = examined(line, lambda examination: examination.examine(switch=switch))
    assert isinstance(found, Examination)
    return found


@pytest.mark.parametrize("name", ALL)
def test_every_statement_is_what_the_modem_does(name: str, tmp_path: Path) -> None:
    options = ALL[name]
    card = euicc(tmp_path)
    line = Line(card, options)
    found = _whole(line)
    module = found.probe.module
    assert (module.manufacturer, module.model, module.revision) == (
        options.manufacturer,
        options.model,
        options.revision,
    )
    assert module.imei == options.imei
    assert module.profile == profiles().choose(options.manufacturer, options.model, options.revision).name
    assert found.probe.line.echo is options.echo
    assert found.probe.line.error_reports == options.cmee

    ways = {way.way: way for way in found.ways}
    assert ways["cgla"].opens is (options.transports != "csim"), ways["cgla"].why
    csim_works = options.transports != "cgla" and options.csim_channels and options.csim_manage_channel
    assert ways["csim"].opens is csim_works, ways["csim"].why
    for way in ways.values():
        if not way.opens:
            assert way.why
            continue
        cap = options.csim_answer_cap_bytes if way.way == "csim" else None
        assert way.cut_at_bytes == (None if cap is None else cap)
        assert way.host_fetches is not options.auto_fetch
        assert way.le is not options.refuse_le
        fits = max(size for size in (60, 120, 240, 255) if (5 + size) * 2 <= options.max_apdu_chars)
        assert way.block_bytes == fits
        assert way.p50_ms is not None
        assert way.p95_ms is not None
        assert way.p50_ms >= (options.answer_s + options.apdu_s) * 1000 - 1

    for row in found.probe.commands:
        final = answers_of(euicc(tmp_path / "other"), options, row.command)
        assert row.works is (final == "OK"), (row, final)
        if row.verdict is command_survey.Verdict.UNKNOWN:
            assert final == row.answer or final in ("ERROR", "+CME ERROR: 4", "+CME ERROR: 100", "+CME ERROR: 3")

    assert found.card.eid == card.eid
    assert found.network.registered
    if name == "cuts-csim-only-way":
        assert found.card.standard.value == "unknown"  # what tells it is longer than what comes
        return
    assert found.card.standard.value == "SGP.32"
    assert found.card.profiles == len(away_from_fallback())
    assert found.card.enabled == 1
    assert found.card.fallback == "disabled"
    assert found.card.eims == 0


@pytest.mark.parametrize("name", ALL)
def test_an_examination_leaves_no_trace(name: str, tmp_path: Path) -> None:
    line = Line(euicc(tmp_path), ALL[name])
    before_file = (tmp_path / "card.json").read_bytes() if (tmp_path / "card.json").exists() else b""

    async def story(examination: object) -> None:
        before.update(line.state())
        await examination.examine()  # type: ignore[attr-defined]

    before: dict[str, object] = {}
    examined(line, story)
    assert line.state() == before
    assert line.closed
    after_file = (tmp_path / "card.json").read_bytes() if (tmp_path / "card.json").exists() else b""
    assert after_file == before_file


@pytest.mark.parametrize("name", PERSONALITIES)
def test_what_a_refresh_does_is_what_the_modem_does_with_it(name: str, tmp_path: Path) -> None:
    options = PERSONALITIES[name]
    line = Line(euicc(tmp_path), options)
    found = _whole(line, switch=True)
    assert found.refresh is not None
    assert found.refresh.back is True
    assert [one.order for one in found.refresh.switches] == ["ExecuteFallbackMechanism", "ReturnFromFallback"]
    for one in found.refresh.switches:
        assert one.ok
        assert one.modem_executed is (options.refresh != "ignored")
        assert one.rung == 0 if one.modem_executed else one.rung
    assert line.engine.module.uicc.iccid == away_from_fallback()[2].iccid


@pytest.mark.parametrize("name", PERSONALITIES)
def test_a_switch_that_was_asked_for_and_is_not_possible_is_told(name: str, tmp_path: Path) -> None:
    """The fallback profile is the enabled one: there is nothing to change to."""
    line = Line(euicc(tmp_path, listed=default_profiles()), PERSONALITIES[name])
    found = _whole(line, switch=True)
    assert found.refresh is None
    text = "\n".join(document(found, PortFacts("p"), made_at="2026-01-01")["summary"])
    assert "not possible" in text


@pytest.mark.parametrize(
    ("quirks", "standard"),
    [
        (Quirks(), "SGP.32"),
        (Quirks.v1_0(), "SGP.32"),
        (Quirks(consumer=True, es10c=True), "SGP.22"),
        (Quirks(isdr_aid=bytes.fromhex("A000000559101000000000000000")), "none"),
        (Quirks(require_terminal_capability=True), "SGP.32"),
        (Quirks(refuses_sgp32_tags=True), "SGP.32"),
    ],
)
def test_the_kind_of_card_is_told(quirks: Quirks, standard: str, tmp_path: Path) -> None:
    found = _whole(Line(euicc(tmp_path, quirks), PERSONALITIES["generic"]))
    assert found.card.standard.value == standard, found.card.evidence


def test_an_m2m_card_is_told_by_the_eid_of_its_ecasd() -> None:
    found = _whole(Line(M2mCard(), PERSONALITIES["generic"]))
    assert found.card.standard.value == "SGP.02"
    assert found.card.eid == M2mCard.EID.hex()


async def _whole_of(
    examination: ModemExamination, line: Line, when: Callable[[list[str]], bool], *, switch: bool
) -> None:
    await line.interrupted(asyncio.ensure_future(examination.examine(switch=switch)), when)


def _interrupted(line: Line, when: Callable[[list[str]], bool], *, switch: bool = False) -> dict[str, object]:
    """Interrupt an examination; the state before it."""
    before: dict[str, object] = {}

    async def story(examination: ModemExamination) -> None:
        before.update(line.state())
        await _whole_of(examination, line, when, switch=switch)

    examined(line, story)
    assert line.interrupted_in_time
    assert line.closed
    return before


@pytest.mark.parametrize("after_commands", range(3, 110, 6))
def test_an_interruption_at_any_command_leaves_no_trace(after_commands: int, tmp_path: Path) -> None:
    line = Line(euicc(tmp_path), replace(PERSONALITIES["generic"], cmee=2))
    before = _interrupted(line, lambda sent: len(sent) >= after_commands)
    assert line.state() == before


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("opening", ["AT+CCHO", 'AT+CSIM=10,"0070000001"'])
def test_a_channel_whose_opening_was_interrupted_is_closed(opening: str, number: int, tmp_path: Path) -> None:
    """Its number comes with the answer, which is not there yet."""
    options = replace(PERSONALITIES["generic"], apdu_s=0.5)
    if "CSIM" in opening:
        options = replace(options, transports="csim")
    line = Line(euicc(tmp_path), options)
    before = _interrupted(line, lambda sent: sum(text.startswith(opening) for text in sent) >= number)
    assert line.state() == before


def test_channels_that_others_left_open_are_told_and_left_alone(tmp_path: Path) -> None:
    line = Line(euicc(tmp_path), ModemOptions(leaked_channels=3, max_channels=3))
    found: list[Examination] = []
    before: dict[str, object] = {}

    async def story(examination: ModemExamination) -> None:
        before.update(line.state())
        found.append(await examination.examine())

    examined(line, story)
    assert line.state() == before
    assert len(line.engine.module.uicc.open_channels) >= 3
    assert not any(way.opens for way in found[0].ways)
    text = "\n".join(document(found[0], PortFacts("p"), made_at="2026-01-01")["summary"])
    assert "! No way to the card works." in text
    assert "no free logical channel" in text


@pytest.mark.parametrize("later", range(0, 14, 2))
@pytest.mark.parametrize("order", ["BF5D", "BF5E"])
@pytest.mark.parametrize("name", ["eg25", "eg916q"])
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
