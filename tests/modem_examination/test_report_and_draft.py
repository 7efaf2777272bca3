"""The report holds no identifier unless asked for, and turns into a profile that the loader takes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ipad_agent.lab.modem import PERSONALITIES, ModemOptions
from ipad_agent.modem.module_profile import Grade
from ipad_agent.modem.module_profile_files import load
from ipad_agent.modem_examination import examination_report, profile_draft
from ipad_agent.modem_examination.errors import ReportUnreadable
from ipad_agent.modem_examination.examination_report import PortFacts

from . import expectations
from .stand import ROOT, away_from_fallback, euicc, outcome

USB = PortFacts("/dev/ttyUSB3", "2c7c:0999", 3)


def _document(options: ModemOptions, *, reveal: bool = False, switch: bool = False) -> dict[str, Any]:
    found = outcome(options, switch=switch).found
    return examination_report.document(found, USB, made_at="2026-11-30", reveal=reveal)


def _identifiers(folder: Path, options: ModemOptions) -> list[str]:
    iccids = [one.iccid for one in away_from_fallback()]
    swapped = ["".join(iccid[at + 1] + iccid[at] for at in range(0, len(iccid), 2)) for iccid in iccids]
    return [*iccids, *swapped, options.imei, euicc(folder).eid, "262"]


@pytest.mark.parametrize("name", PERSONALITIES)
def test_no_identifier_is_in_a_report_in_any_form(name: str, tmp_path: Path) -> None:
    options = PERSONALITIES[name]
    text = json.dumps(_document(options)).upper()
    for known in _identifiers(tmp_path, options)[:-1]:
        assert known.upper() not in text
        assert known.upper()[4:-4] not in text


def test_identifiers_are_there_when_they_are_asked_for() -> None:
    options = PERSONALITIES["quectel-eg25"]
    text = json.dumps(_document(options, reveal=True)).upper()
    assert options.imei in text
    assert away_from_fallback()[2].iccid in text


@pytest.mark.parametrize("name", PERSONALITIES)
@pytest.mark.parametrize("switch", [False, True])
def test_a_draft_is_taken_by_the_loader_and_fits_its_module(name: str, switch: bool, tmp_path: Path) -> None:
    options = PERSONALITIES[name]
    report = _document(options, switch=switch)
    folder = tmp_path / "modems"
    folder.mkdir()
    (folder / "our-module.toml").write_text(profile_draft.draft(report), encoding="utf-8")
    profiles = load([folder, ROOT / "hw" / "modems"])
    assert profiles.problems == ()
    chosen = profiles.named("our-module")
    assert chosen is not None
    assert chosen.matches(options.manufacturer, options.model, options.revision) > 1
    ways = [way for way in expectations.asked(options) if expectations.opens(options, way)]
    works = [way for way in ways if expectations.cap(options, way) is None]
    base = expectations.profile_of(options)
    assert sorted(chosen.uicc.order) == sorted(works or base.uicc.order)
    assert ("[uicc] is left out" in profile_draft.draft(report)) is (not works)
    assert chosen.uicc.le_on_case4 is (base.uicc.le_on_case4 and not options.refuse_le)
    assert [(ports.ids, ports.at_interface) for ports in chosen.usb] == [(("2c7c:0999",), 3)]
    keys = ("match.model", *(["uicc.order"] if works else []), "queries.registration", "usb")
    known = [chosen.evidence_for(key) for key in keys]
    assert {one.grade for one in known if one is not None} == {Grade.REPORTED}
    if switch and works:
        assert chosen.refresh.modem_executes is (options.refresh != "ignored")


def test_a_way_that_cuts_answers_is_not_in_the_draft() -> None:
    report = _document(ModemOptions(csim_answer_cap_bytes=100))
    text = profile_draft.draft(report)
    assert 'order = ["cgla"]' in text
    assert "# csim is no way to name in uicc.order: it cuts answers at 100 bytes." in text


def test_a_report_is_read_back_and_what_is_none_is_refused(tmp_path: Path) -> None:
    report = _document(PERSONALITIES["generic-3gpp"])
    path = tmp_path / "report.json"
    examination_report.write(path, report)
    assert examination_report.read(path) == report
    for number, text in enumerate(
        ("", "{}", "[]", '{"format": 1}', json.dumps({**report, "version": 2}), "[" * 100000)
    ):
        other = tmp_path / f"{number}.json"
        other.write_text(text, encoding="utf-8")
        with pytest.raises(ReportUnreadable):
            examination_report.read(other)
    with pytest.raises(ReportUnreadable, match="No such file"):
        examination_report.read(tmp_path / "absent")


@pytest.mark.parametrize(
    "changes",
    [
        {"module": {"model": 'M"1\n[uicc]\n', "manufacturer": "A\u0007\\", "revision": "x" * 500}},
        {
            "module": {"model": "M.*"},
            "ways": "many",
            "commands": [1, {"command": "AT+CCID;+CFUN=0", "verdict": "works"}],
        },
        {"module": {"model": "M"}, "advice": [{"sentence": "a\nb = 1"}], "port": {"interface": 99, "usb_id": "x"}},
        {"module": {"model": "M", "profile": "../../x"}, "made_at": 'x"\n', "refresh": {"switches": [{"ok": True}]}},
    ],
)
def test_a_hostile_report_makes_a_valid_draft(changes: dict[str, Any]) -> None:
    text = profile_draft.draft(changes)
    assert profile_draft.checked(text).init.commands == ()
    assert "CFUN" not in text


def test_a_report_without_a_module_makes_no_draft() -> None:
    with pytest.raises(ReportUnreadable, match="names no module"):
        profile_draft.draft({})


@pytest.mark.parametrize("module", ["ipad_agent.daemon.process", "ipad_agent.cli.ipactl.command_line"])
def test_neither_the_daemon_nor_another_verb_loads_the_examination(module: str) -> None:
    code = f"import sys, {module}; print([name for name in sys.modules if 'modem_examination' in name])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
