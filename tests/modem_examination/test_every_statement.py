"""What a report says of a modem is what that modem does: each statement is held against the lab's switches, or asked
once more by a reader of its own. For every personality of the lab, and for vices that none of them has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ipad_agent.lab.euicc import Quirks, default_profiles
from ipad_agent.lab.modem import PERSONALITIES, ModemOptions
from ipad_agent.modem_examination import command_survey
from ipad_agent.modem_examination.examination_report import PortFacts, document
from ipad_agent.modem_examination.integrator_advice import advise
from ipad_agent.modem_examination.modem_examination import Examination, ModemExamination

from . import expectations
from .stand import Line, M2mCard, answers_of, away_from_fallback, euicc, examined, outcome, profiles

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
    found = outcome(options).found
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

    assert [way.way for way in found.ways] == expectations.asked(options)
    for way in found.ways:
        assert way.opens is expectations.opens(options, way.way), way.why
        if not way.opens:
            assert way.why
            continue
        assert way.cut_at_bytes == expectations.cap(options, way.way)
        assert way.host_fetches is not expectations.fetches(options, way.way)
        assert way.le is not options.refuse_le
        assert way.block_bytes == expectations.block_bytes(options)
        assert way.failed == ()
        assert way.p50_ms is not None
        assert way.p95_ms is not None
        assert way.p50_ms >= (options.answer_s + options.apdu_s) * 1000 - 1

    finals = answers_of(euicc(tmp_path), options, [row.command for row in found.probe.commands])
    for row in found.probe.commands:
        final = finals[row.command]
        assert row.works is (final == "OK"), (row, final)
        if row.verdict is command_survey.Verdict.UNKNOWN:
            assert final == row.answer or final in ("ERROR", "+CME ERROR: 4", "+CME ERROR: 100", "+CME ERROR: 3")

    assert found.network.registered
    assert found.network.registration == f"registered at home ({expectations.network_name(options)})"
    strength = "-90 dBm (RSRP)" if "+CESQ" in options.signal_commands else "-67 dBm (RSSI)"
    assert found.network.signal == strength
    if expectations.best(options) is None:
        assert found.card.standard.value == "unknown"
        assert found.card.evidence
        return
    assert found.card.eid == outcome(options).eid
    if name == "cuts-csim-only-way":
        assert found.card.standard.value == "unknown"  # what tells it is longer than what comes
        return
    assert found.card.standard.value == "SGP.32"
    assert found.card.profiles == len(away_from_fallback())
    assert found.card.enabled == 1
    assert found.card.fallback == "disabled"
    assert found.card.eims == 0


@pytest.mark.parametrize("name", [name for name in ALL if name != "cuts-csim-only-way"])
def test_every_sentence_of_the_advice_follows_from_what_the_modem_does_and_none_is_missing(name: str) -> None:
    options = ALL[name]
    for switched in (False, True) if name in PERSONALITIES else (False,):
        found = outcome(options, switch=switched).found
        said = [one.sentence for one in advise(found)]
        wanted = expectations.advice(options, switched=switched)
        assert len(said) == len(wanted), (said, wanted)
        for begins in wanted:
            assert sum(sentence.startswith(begins) for sentence in said) == 1, (begins, said)
        report = document(found, PortFacts("p"), made_at="2026-01-01")
        assert report["recommended"] == expectations.best(options)
        assert f"firmware {options.revision}" in report["summary"][1]


@pytest.mark.parametrize("name", ALL)
def test_an_examination_leaves_no_trace(name: str) -> None:
    told = outcome(ALL[name])
    assert told.after == told.before
    assert told.line.closed
    assert told.card_file_after == told.card_file_before


@pytest.mark.parametrize("name", PERSONALITIES)
def test_what_a_refresh_does_is_what_the_modem_does_with_it(name: str) -> None:
    options = PERSONALITIES[name]
    told = outcome(options, switch=True)
    found = told.found
    assert told.line.engine.module.uicc.iccid == away_from_fallback()[2].iccid
    if expectations.best(options) is None:
        assert found.refresh is None
        return
    assert found.refresh is not None
    assert found.refresh.back is True
    assert [one.order for one in found.refresh.switches] == ["ExecuteFallbackMechanism", "ReturnFromFallback"]
    for one in found.refresh.switches:
        assert one.ok
        assert one.modem_executed is (options.refresh != "ignored")
        assert one.rung == expectations.rung(options)
        assert one.port_vanished is expectations.port_vanishes(options)


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
    found = _whole(Line(euicc(tmp_path, quirks), PERSONALITIES["generic-3gpp"]))
    assert [way.way for way in found.ways] == ["cgla", "csim"]  # the basic channel is the module's own
    assert found.card.standard.value == standard, found.card.evidence


def test_an_m2m_card_is_told_by_the_eid_of_its_ecasd() -> None:
    found = _whole(Line(M2mCard(), PERSONALITIES["generic-3gpp"]))
    assert found.card.standard.value == "SGP.02"
    assert found.card.eid == M2mCard.EID.hex()


def _told(line: Line, *, switch: bool = False) -> tuple[Examination, str]:
    """What was found, and the lines for a person."""
    found = _whole(line, switch=switch)
    return found, "\n".join(document(found, PortFacts("p"), made_at="2026-01-01")["summary"])


@pytest.mark.parametrize(
    ("slow", "over", "failed"),
    [
        ("BF56", ("+CSIM",), {"csim": ("GetCerts",)}),
        ("BF56", ("+CGLA", "+CSIM"), dict.fromkeys(("cgla", "csim"), ("GetCerts",))),
    ],
)
def test_a_module_that_waits_for_the_card_no_longer_than_its_timer_is_told(
    slow: str, over: tuple[str, ...], failed: dict[str, tuple[str, ...]], tmp_path: Path
) -> None:
    quirks = Quirks(delays_s={int(slow, 16): 2.0})
    options = ModemOptions(uicc_timer_s=1.0, uicc_timer_on=over)
    found, text = _told(Line(euicc(tmp_path, quirks), options))
    for way in found.ways:
        assert way.failed == failed.get(way.way, ())
    if "cgla" in failed:
        assert "! AT+CGLA opens, but GetCerts got no answer over it" in text
    else:
        assert "+ Use AT+CGLA: it carried everything" in text
        assert "- Do not use AT+CSIM: GetCerts got no answer over it." in text


def test_a_way_whose_first_answer_takes_longer_than_the_timer_does_not_open(tmp_path: Path) -> None:
    options = ModemOptions(uicc_timer_s=1.0, uicc_timer_on=("+CSIM",))
    found, text = _told(Line(euicc(tmp_path, Quirks(delays_s={0xBF3E: 2.0})), options))
    assert {way.way: way.opens for way in found.ways} == {"cgla": True, "csim": False}
    assert found.ways[0].p50_ms == 2000.0
    assert "AT+CSIM does not work here (the channel is lost: AT+CSIM was refused: ERROR)." in text


@pytest.mark.parametrize("name", ["quectel-rm5g", "quectel-eg25", "nordic-nrf91"])
def test_a_card_in_the_other_slot_is_told_with_the_slot_in_use_where_the_module_tells_it(
    name: str, tmp_path: Path
) -> None:
    options = PERSONALITIES[name]
    assert options.slot is not None
    other = next(number for number in options.slot.numbers if number != options.slot.active)
    found, text = _told(Line(euicc(tmp_path), replace(options, slot=replace(options.slot, card_in=other))))
    assert [(way.way, way.opens) for way in found.ways] == [("cgla", False), ("csim", False)]
    assert found.card.standard.value == "unknown"
    assert "! No way to the card works. The modem says of the card: +CME ERROR: 10." in text
    told = expectations.profile_of(options).slots.query is not None and options.slot.readable
    assert ("slot 1 of 2 is in use" in text) is told
    assert ("which slot is used" in text) is not told


def test_an_lpa_of_the_module_that_is_off_is_told_and_no_hindrance(tmp_path: Path) -> None:
    line = Line(euicc(tmp_path), PERSONALITIES["quectel-rg650e"])
    line.engine.module.vendor_lpa_enabled = line.engine.module.uicc.isdr_held = False
    found, text = _told(line)
    assert found.ways[0].usable
    assert "- The LPA in the module's firmware is switched off" in text


def test_an_lpa_of_the_module_that_is_on_and_holds_nothing_is_told(tmp_path: Path) -> None:
    line = Line(euicc(tmp_path), PERSONALITIES["quectel-rg650e"])
    line.engine.module.uicc.isdr_held = False
    _, text = _told(line)
    assert "is switched on, and the card was reached all the same" in text


def test_session_0_of_a_module_whose_profile_does_not_name_it_is_found_and_said_to_need_a_profile(
    tmp_path: Path,
) -> None:
    options = replace(PERSONALITIES["tdtech-mt5700"], manufacturer="Other", model="M1")
    found, text = _told(Line(euicc(tmp_path), options))
    assert [way.way for way in found.ways if way.opens] == ["cgla-basic"]
    assert "! The profile generic-3gpp does not try AT+CGLA with session 0: the agent uses it with a profile" in text
    assert "modem.transport" not in text


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
