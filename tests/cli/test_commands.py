"""Every command as a person or a script meets it, against an agent that a test plays.

Long: every command of one program, on one fake agent.
"""

from __future__ import annotations

import base64
import io
import json
import os
import shlex
import stat
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ipad_agent.cli.ipactl import main
from ipad_agent.local.status_model import Status, Switch, to_plain
from ipad_agent.local.varlink import varlink_interface
from situations import BOOTSTRAP, EID, HAPPENINGS, OPERATOR_A, OPERATOR_B, OWED, PLANS, SITUATIONS, ago

from .fake_agent import FakeAgent, gives, refuses, shows, streams

Ipactl = Callable[..., int]
Play = Callable[..., FakeAgent]


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    """Start an agent that shows this situation and answers these methods."""
    running: list[FakeAgent] = []

    def start(situation: str | Status = "ready", **answers: Any) -> FakeAgent:
        status = SITUATIONS[situation] if isinstance(situation, str) else situation
        agent = FakeAgent(tmp_path / "socket", {"GetStatus": shows(status), **answers})
        running.append(agent)
        return agent.__enter__()

    yield start
    for agent in running:
        agent.__exit__()


@pytest.fixture
def ipactl(tmp_path: Path) -> Ipactl:
    return lambda *words: main(["--socket", str(tmp_path / "socket"), *words])


Capture = pytest.CaptureFixture[str]

# -- status and lists ------------------------------------------------------------------------------------------------


def test_status_shows_the_verdict_first_and_ends_well_when_all_is_well(
    play: Play, ipactl: Ipactl, capsys: Capture
) -> None:
    play("ready")
    assert ipactl("status") == 0
    assert capsys.readouterr().out.startswith("● ready ")


@pytest.mark.parametrize(
    ("situation", "exit"),
    [("no-card", 5), ("no-modem", 6), ("eim-unreachable", 7), ("switch-armed", 4), ("trouble", 1)],
)
def test_the_exit_status_of_status_tells_a_script_how_it_is(
    play: Play, ipactl: Ipactl, situation: str, exit: int
) -> None:
    play(situation)
    assert ipactl("status") == exit


def test_json_is_what_the_agent_said_with_nothing_lost(play: Play, ipactl: Ipactl, capsys: Capture) -> None:
    play("switch-armed", GetStatus=gives(status={**_plain("switch-armed"), "of_tomorrow": 1}))
    assert ipactl("status", "--json") == 4
    assert json.loads(capsys.readouterr().out) == {**_plain("switch-armed"), "of_tomorrow": 1}


def test_json_output_is_ascii_so_that_no_name_can_control_a_terminal(
    play: Play, ipactl: Ipactl, capsys: Capture
) -> None:
    play(_named("\x9b31mevil\u202e"))
    ipactl("status", "--json")
    assert capsys.readouterr().out.isascii()


@pytest.mark.parametrize("command", ["status", "profiles", "eims"])
def test_a_profile_s_name_cannot_control_the_terminal(
    play: Play, ipactl: Ipactl, capsys: Capture, command: str
) -> None:
    play(_named("\x1b[2Jevil\x07\u202e"))
    ipactl(command)
    assert not set("\x1b\x07\u202e\x9b") & set(capsys.readouterr().out)


def test_profiles_lists_every_profile_with_its_number(play: Play, ipactl: Ipactl, capsys: Capture) -> None:
    play("ready")
    assert ipactl("profiles") == 0
    out = capsys.readouterr().out
    assert out.count("ICCID") == 3
    assert "8943 0123 4567 8904 713 ✓" in out


def test_profiles_without_a_card_end_as_status_does(play: Play, ipactl: Ipactl) -> None:
    play("no-card")
    assert ipactl("profiles") == 5


def test_eims_of_a_fresh_card_say_what_to_do(play: Play, ipactl: Ipactl, capsys: Capture) -> None:
    play("fresh")
    assert ipactl("eims") == 7
    assert "provisioning.initial_eim" in capsys.readouterr().out


def test_profiles_eims_and_budget_in_json(play: Play, ipactl: Ipactl, capsys: Capture) -> None:
    play("ready")
    for command, name in (("profiles", "profiles"), ("eims", "eims"), ("budget", "traffic")):
        assert ipactl(command, "--json") == 0
        assert json.loads(capsys.readouterr().out) == {name: _plain("ready")[name]}


def test_owed_ends_with_waiting_while_something_is_owed(play: Play, ipactl: Ipactl, capsys: Capture) -> None:
    play(ListOwed=gives(owed=[to_plain(item) for item in OWED]))
    assert ipactl("owed") == 4
    assert "smdp.example.org" in capsys.readouterr().out


def test_nothing_owed_is_done(play: Play, ipactl: Ipactl, capsys: Capture) -> None:
    play(ListOwed=gives(owed=[]))
    assert ipactl("owed", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"owed": []}


def test_log_shows_as_many_events_as_asked_for(play: Play, ipactl: Ipactl, capsys: Capture) -> None:
    agent = play(ListEvents=gives(events=[to_plain(event) for event in HAPPENINGS]))
    assert ipactl("log", "-n", "4") == 0
    assert agent.asked("ListEvents") == [{"count": 4}]
    assert capsys.readouterr().out.count("IPA-") == 4


def test_log_in_json_is_one_event_per_line(play: Play, ipactl: Ipactl, capsys: Capture) -> None:
    play(ListEvents=gives(events=[to_plain(event) for event in HAPPENINGS]))
    ipactl("log", "--json")
    assert [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()] == [e.id for e in HAPPENINGS]


def test_metrics_are_passed_on(play: Play, ipactl: Ipactl, capsys: Capture) -> None:
    play(Metrics=gives(text="# HELP x y\nx 1\n"))
    assert ipactl("metrics") == 0
    assert capsys.readouterr().out == "# HELP x y\nx 1\n"


# -- plans and changes -----------------------------------------------------------------------------------------------


def test_plan_finds_the_profile_by_the_end_of_its_number(play: Play, ipactl: Ipactl, capsys: Capture) -> None:
    agent = play(PlanSwitch=gives(plan=to_plain(PLANS["possible"])))
    assert ipactl("plan", "4713") == 0
    assert agent.asked("PlanSwitch") == [{"iccid": OPERATOR_B}]
    assert "Nothing was changed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("iccid", "wanted"),
    [
        ("898600B5012345678901", "898600b5 0123 4567 8901"),
        ("898602B0123456789AE", "89aeF"),
        ("898602B0123456789AE", "898602B0123456789AEF"),
        ("0x98680F5B1032547698F3", "98f3"),
        ("0x98680F5B1032547698F3", "0x98680f5b1032547698f3"),
    ],
)
def test_plan_finds_profiles_with_letters_too(play: Play, ipactl: Ipactl, iccid: str, wanted: str) -> None:
    ready = SITUATIONS["ready"]
    odd = replace(ready.profiles[1], iccid=iccid, iccid_check_digit_ok=False)
    agent = play(replace(ready, profiles=(*ready.profiles, odd)), PlanSwitch=gives(plan=to_plain(PLANS["possible"])))
    assert ipactl("plan", wanted) == 0
    assert agent.asked("PlanSwitch") == [{"iccid": iccid}]


def test_letters_have_no_check_digit_that_could_be_wrong(play: Play, ipactl: Ipactl, capsys: Capture) -> None:
    ready = SITUATIONS["ready"]
    assert ready.card is not None
    odd = replace(ready.profiles[0], iccid="898600B5012345678901", iccid_check_digit_ok=False)
    card = replace(ready.card, eid="89ABCDEF890490321234512345678901", eid_check_digits_ok=False)
    play(replace(ready, profiles=(odd,), card=card))
    ipactl("profiles")
    shown = capsys.readouterr().out
    assert "8986 00B5 0123 4567 8901" in shown
    assert "✗" not in shown
    ipactl("status")
    shown = capsys.readouterr().out
    assert "89AB CDEF" in shown
    assert "check digits wrong" not in shown


def test_a_plan_that_cannot_work_ends_as_refused(play: Play, ipactl: Ipactl) -> None:
    play(PlanSwitch=gives(plan=to_plain(PLANS["impossible"])))
    assert ipactl("switch", "8943 0123 4567 8904 713", "--dry-run") == 3


@pytest.mark.parametrize("wanted", ["713", "x", "", "4٤4٤", "89430123456789047139999"])
def test_a_number_that_is_none_of_the_card_s_is_told(play: Play, ipactl: Ipactl, capsys: Capture, wanted: str) -> None:
    agent = play()
    assert ipactl("plan", wanted) in (1, 2)
    assert agent.asked("PlanSwitch") == []
    assert capsys.readouterr().err.startswith("✗ ")


def test_an_end_that_two_numbers_share_is_not_guessed(play: Play, ipactl: Ipactl, capsys: Capture) -> None:
    ready = SITUATIONS["ready"]
    twin = replace(ready.profiles[1], iccid="8900" + OPERATOR_A[4:])
    play(replace(ready, profiles=(*ready.profiles, twin)))
    assert ipactl("switch", OPERATOR_A[-6:]) == 2
    assert "2 profiles" in capsys.readouterr().err


def test_a_change_that_only_the_manager_may_order_is_refused_with_the_reason(
    play: Play, ipactl: Ipactl, capsys: Capture
) -> None:
    agent = play()
    assert ipactl("switch", OPERATOR_B, "--confirm-within", "10m") == 3
    said = " ".join(capsys.readouterr().err.split())
    assert "Only the profile's manager (eIM) may order this change" in said
    assert {request["method"].rpartition(".")[2] for request in agent.requests} == {"GetStatus"}


def test_a_change_to_the_fallback_profile_is_the_device_s_own(play: Play, ipactl: Ipactl) -> None:
    agent = play()
    assert ipactl("switch", BOOTSTRAP) == 0
    assert len(agent.asked("ExecuteFallback")) == 1


def test_a_card_without_the_function_is_not_asked_for_it(play: Play, ipactl: Ipactl) -> None:
    ready = SITUATIONS["ready"]
    assert ready.card is not None
    agent = play(replace(ready, card=replace(ready.card, fallback_supported=False)))
    assert ipactl("switch", BOOTSTRAP) == 3
    assert agent.asked("ExecuteFallback") == []


def test_going_back_to_the_profile_before_the_fallback_is_the_device_s_own(play: Play, ipactl: Ipactl) -> None:
    agent = play(_in_fallback())
    assert ipactl("switch", OPERATOR_A) == 0
    assert len(agent.asked("ReturnFromFallback")) == 1


def test_another_profile_is_not_the_way_back_from_fallback(play: Play, ipactl: Ipactl, capsys: Capture) -> None:
    agent = play(_in_fallback())
    assert ipactl("switch", OPERATOR_B) == 3
    assert agent.asked("ReturnFromFallback") == []
    assert "fallback --return" in capsys.readouterr().err


def test_what_is_enabled_already_needs_nothing(play: Play, ipactl: Ipactl, capsys: Capture) -> None:
    agent = play()
    assert ipactl("switch", OPERATOR_A) == 0
    assert "enabled already" in capsys.readouterr().out
    assert len(agent.requests) == 1


def test_confirm_within_waits_for_the_proof(play: Play, ipactl: Ipactl, capsys: Capture) -> None:
    proving = replace(_in_fallback(), switch=Switch("proving", "local", OPERATOR_A, BOOTSTRAP, "none", ago(3)))
    steps = streams({"status": _plain("ready")}, {"status": to_plain(proving)}, {"status": _plain("fallback")})
    play(Subscribe=steps)
    assert ipactl("switch", BOOTSTRAP, "--confirm-within", "10m") == 0
    assert "enabled and works" in capsys.readouterr().out


def test_confirm_within_ends_with_waiting_when_there_is_no_proof(
    play: Play, ipactl: Ipactl, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ipad_agent.cli.ipactl.commands import action_commands

    times = iter([0.0, 5.0, 11.0])
    monkeypatch.setattr(action_commands, "time", _Clock(times))
    play(Subscribe=streams({"status": _plain("ready")}, {"status": _plain("ready")}, {"status": _plain("ready")}))
    assert ipactl("switch", BOOTSTRAP, "--confirm-within", "10s") == 4


def test_confirm_within_tells_of_a_change_that_was_taken_back(play: Play, ipactl: Ipactl, capsys: Capture) -> None:
    play(Subscribe=streams({"status": _plain("rolled-back")}))
    assert ipactl("switch", BOOTSTRAP, "--confirm-within", "1h") == 1
    assert "went back to “Operator A”" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("words", "method", "parameters"),
    [
        (["poll"], "Poll", {"eim_id": None}),
        (["poll", "--now", "eim.example.net"], "Poll", {"eim_id": "eim.example.net"}),
        (["rollback"], "Rollback", {}),
        (["confirm"], "Confirm", {}),
        (["fallback"], "ExecuteFallback", {}),
        (["fallback", "--return"], "ReturnFromFallback", {}),
        (["emergency", "on"], "Emergency", {"enable": True}),
        (["emergency", "off"], "Emergency", {"enable": False}),
    ],
)
def test_a_verb_is_passed_on_and_what_comes_next_is_said(
    play: Play, ipactl: Ipactl, capsys: Capture, words: list[str], method: str, parameters: dict[str, Any]
) -> None:
    agent = play()
    assert ipactl(*words) == 0
    assert agent.asked(method) == [parameters]
    assert capsys.readouterr().out.startswith("● ")
    assert ipactl(*words, "--json") == 0
    assert json.loads(capsys.readouterr().out)["done"] is True


def test_a_verb_that_is_refused_says_why_and_ends_with_three(play: Play, ipactl: Ipactl, capsys: Capture) -> None:
    play(Rollback=refuses("RefusedByPolicy", sentence="No change is under way.", rule="armed"))
    assert ipactl("rollback") == 3
    assert capsys.readouterr().err == "✗ No change is under way.\n"
    assert ipactl("rollback", "--json") == 3
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["name"], error["sentence"], error["exit"]) == ("RefusedByPolicy", "No change is under way.", 3)


# -- the card's number, and its reset --------------------------------------------------------------------------------


def test_eid_is_the_bare_number_for_scripts(play: Play, ipactl: Ipactl, capsys: Capture) -> None:
    play()
    assert ipactl("eid") == 0
    assert capsys.readouterr().out == f"{EID}\n"


def test_a_label_has_what_goes_on_the_box(play: Play, ipactl: Ipactl, capsys: Capture) -> None:
    play()
    assert ipactl("eid", "--label") == 0
    out = capsys.readouterr().out
    assert "8904 9032 0000 0000 0000 0000 1234 5644 ✓" in out
    assert "867698041234563" in out


def test_wrong_check_digits_are_shown_and_told_to_scripts(play: Play, ipactl: Ipactl, capsys: Capture) -> None:
    ready = SITUATIONS["ready"]
    assert ready.card is not None
    play(replace(ready, card=replace(ready.card, eid_check_digits_ok=False)))
    assert ipactl("eid", "--label") == 1
    assert "✗" in capsys.readouterr().out


def test_a_qr_code_without_its_library_says_what_to_install(
    play: Play, ipactl: Ipactl, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "qrcode", None)
    play()
    assert ipactl("eid", "--qr") == 1
    assert "python3-qrcode" in capsys.readouterr().err


def test_a_qr_code_is_drawn_with_its_quiet_zone(
    play: Play, ipactl: Ipactl, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "qrcode", _QrLibrary())
    play()
    assert ipactl("eid", "--qr") == 0
    assert capsys.readouterr().out.splitlines() == ["███", "█▀█", "███", EID]


def test_a_reset_wants_the_digits_of_this_card(play: Play, ipactl: Ipactl, capsys: Capture) -> None:
    agent = play()
    assert ipactl("reset-euicc", "--what", "eims", "--eid-ends", "0000") == 3
    assert agent.asked("MemoryReset") == []
    assert ipactl("reset-euicc", "--what", "eims", "--what", "test-profiles", "--eid-ends", EID[-4:]) == 0
    assert agent.asked("MemoryReset") == [{"what": ["eims", "test-profiles"]}]


def test_a_reset_is_not_made_where_nobody_can_be_asked(
    play: Play, ipactl: Ipactl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{EID[-4:]}\n"))
    agent = play()
    assert ipactl("reset-euicc", "--what", "eims") == 2
    assert agent.asked("MemoryReset") == []


@pytest.mark.parametrize(("typed", "exit", "resets"), [(EID[-4:], 0, 1), ("", 3, 0), ("5646", 3, 0), ("y", 3, 0)])
def test_a_person_types_the_digits_after_reading_what_goes(
    play: Play,
    ipactl: Ipactl,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    typed: str,
    exit: int,
    resets: int,
) -> None:
    keyboard = io.StringIO(f"{typed}\n")
    monkeypatch.setattr(keyboard, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", keyboard)
    agent = play()
    assert ipactl("reset-euicc", "--what", "operational-profiles") == exit
    assert len(agent.asked("MemoryReset")) == resets
    assert "“Operator A”" in capsys.readouterr().out


# -- files -----------------------------------------------------------------------------------------------------------


def test_a_bundle_is_written_for_this_user_alone(play: Play, ipactl: Ipactl, tmp_path: Path) -> None:
    play(Bundle=gives(bundle=base64.b64encode(b"\x1f\x8b packed").decode()))
    file = tmp_path / "out.tar.gz"
    assert ipactl("bundle", "-o", str(file)) == 0
    assert file.read_bytes() == b"\x1f\x8b packed"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_bundle_is_never_written_over_another_file(play: Play, ipactl: Ipactl, tmp_path: Path) -> None:
    play(Bundle=gives(bundle="H4s="))
    file = tmp_path / "out.tar.gz"
    file.write_text("mine")
    assert ipactl("bundle", "-o", str(file)) == 1
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    assert ipactl("bundle", "-o", str(link)) == 1
    assert file.read_text() == "mine"
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("bundle", ["@@@", None, 5, "QQ", "", "QUJD"])
def test_a_damaged_bundle_is_not_written(play: Play, ipactl: Ipactl, tmp_path: Path, bundle: object) -> None:
    play(Bundle=gives(bundle=bundle))
    file = tmp_path / "out.tar.gz"
    assert ipactl("bundle", "-o", str(file)) == 1
    assert not file.exists()


def test_a_bundle_is_made_without_an_agent_too(tmp_path: Path) -> None:
    file = tmp_path / "out.tar.gz"
    done = _without_agent(tmp_path, "bundle", "-o", str(file))
    assert (done.returncode, "Looking at the device without it" in done.stderr) == (0, True)
    with tarfile.open(file) as archive:
        names = [Path(member.name).name for member in archive.getmembers()]
        first = next(member for member in archive.getmembers() if Path(member.name).name == "README.txt")
        page = archive.extractfile(first)
        assert page is not None
        assert "The agent was not running." in page.read().decode()
    assert {"README.txt", "doctor.txt", "config.txt"} <= set(names)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_bundle_that_cannot_be_made_leaves_no_empty_file(tmp_path: Path) -> None:
    file = tmp_path / "out.tar.gz"
    done = _without_agent(tmp_path, "bundle", "-o", str(file), config="[nonsense]")
    assert done.returncode == 2
    assert not file.exists()


def test_record_tells_where_and_warns(play: Play, ipactl: Ipactl, capsys: Capture) -> None:
    agent = play(Record=gives(path="/var/lib/ipad-agent/records"))
    assert ipactl("record", "start", "--for", "90s") == 0
    assert agent.asked("Record") == [{"seconds": 90.0}]
    told = capsys.readouterr().out
    assert "/var/lib/ipad-agent/records" in told
    assert "ipactl record export" in told
    assert ipactl("record", "start") == 0
    assert agent.asked("Record")[-1] == {}
    assert "until `ipactl record stop`" in capsys.readouterr().out


def test_record_stop_and_status_say_how_it_is(play: Play, ipactl: Ipactl, capsys: Capture) -> None:
    state: dict[str, object] = {"path": "/r", "max_bytes": 4 << 20, "records": 7, "ended": ""}
    agent = play(GetRecorder=gives(recording=True, left_s=60.0, **state), StopRecording=gives())
    assert ipactl("record", "status") == 0
    assert "for another 1 min" in capsys.readouterr().out
    assert ipactl("record", "stop") == 0
    assert agent.asked("StopRecording") == [{}]
    assert "is kept" in capsys.readouterr().out


def test_record_status_tells_why_it_ended(play: Play, ipactl: Ipactl, capsys: Capture) -> None:
    play(GetRecorder=gives(recording=False, path="/r", max_bytes=1, records=7, ended="the disk refused it (full)"))
    assert ipactl("record", "status") == 0
    assert "Not recording: the disk refused it (full)" in capsys.readouterr().out


# -- explain, decode, config, varlink --------------------------------------------------------------------------------


def test_explain_asks_the_agent(play: Play, ipactl: Ipactl, capsys: Capture) -> None:
    agent = play(Explain=gives(level="info", sentence="x {y}", explanation="It means z"))
    assert ipactl("explain", "ipa-1001") == 0
    assert agent.asked("Explain") == [{"id": "IPA-1001"}]
    assert "It means z." in capsys.readouterr().out


def test_explain_works_without_an_agent(ipactl: Ipactl, capsys: Capture) -> None:
    assert ipactl("explain", "1005", "--json") == 0
    assert json.loads(capsys.readouterr().out)["level"] == "warning"


def test_a_message_that_does_not_exist_is_told_either_way(play: Play, ipactl: Ipactl) -> None:
    assert ipactl("explain", "IPA-0000") == 1
    play(Explain=refuses("NotFound"))
    assert ipactl("explain", "IPA-0000") == 1


GET_EID = "BF3E 12 5A10 89049032000000000000000012345644"
"""GetEuiccDataResponse with the EID (SGP.22 §5.7.20)."""


@pytest.mark.parametrize("form", ["hex", "file", "base64", "binary"])
def test_a_message_is_read_out_in_whatever_form_it_comes(
    ipactl: Ipactl, capsys: Capture, tmp_path: Path, form: str
) -> None:
    raw = bytes.fromhex(GET_EID)
    given = tmp_path / "message"
    given.write_bytes({"hex": b"", "file": GET_EID.encode(), "base64": base64.encodebytes(raw), "binary": raw}[form])
    assert ipactl("decode", GET_EID if form == "hex" else str(given)) == 0
    assert "89049032000000000000000012345644" in capsys.readouterr().out


def test_decode_reads_the_standard_input(tmp_path: Path) -> None:
    done = _process("decode", "-", "--json", input=GET_EID)
    assert done.returncode == 0
    assert json.loads(done.stdout)["tag"] == "BF3E"


def test_decode_says_what_an_apdu_and_an_at_line_mean(ipactl: Ipactl, capsys: Capture) -> None:
    assert ipactl("decode", "81E2910003BF2D00") == 0
    assert capsys.readouterr().out.startswith("STORE DATA, last block 0")
    assert ipactl("decode", "--json", "AT+CIMI") == 0
    assert json.loads(capsys.readouterr().out) == {"lines": ["AT+CIMI    (the subscriber's number (IMSI))"]}


@pytest.mark.parametrize(
    ("given", "exit"), [("BF3E12", 1), ("/nonexistent/file", 2), ("", 1), ("00FF", 1), ("AT+NOTHING", 1), ("zz", 2)]
)
def test_what_cannot_be_read_out_is_told(ipactl: Ipactl, capsys: Capture, given: str, exit: int) -> None:
    assert ipactl("decode", given) == exit
    assert capsys.readouterr().err.startswith("✗ ")


def test_config_show_tells_every_value_and_its_origin(ipactl: Ipactl, capsys: Capture, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[poll]\npreset = "nbiot"\n')
    assert ipactl("config", "show", "--origin", "--config", str(file)) == 0
    out = capsys.readouterr().out
    assert any(
        line.split()[:3] == ["poll.preset", "=", '"nbiot"'] and f"({file}, line 2)" in line for line in out.splitlines()
    )
    assert any(line.startswith("coap.ack_timeout_s") and "(preset nbiot)" in line for line in out.splitlines())
    assert ipactl("config", "show", "--json", "--config", str(file)) == 0
    assert {"key", "value", "origin", "line"} == set(json.loads(capsys.readouterr().out)["config"][0])


def test_config_check_names_every_mistake(ipactl: Ipactl, capsys: Capture, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[poll]\nintervall_s = 5\n[nonsense]\n")
    assert ipactl("config", "check", "--config", str(file)) == 2
    assert {"poll.intervall_s", "nonsense"} <= {line.split()[1].strip(":") for line in _lines(capsys) if line[0] == "✗"}
    file.write_text("")
    assert ipactl("config", "check", "--config", str(file)) == 0


def test_a_broken_configuration_is_shown_as_such(ipactl: Ipactl, capsys: Capture, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[poll")
    assert ipactl("config", "show", "--config", str(file)) == 2
    assert capsys.readouterr().err.startswith("✗ ")


def test_varlink_call_passes_any_method_on(play: Play, ipactl: Ipactl, capsys: Capture) -> None:
    agent = play(Explain=gives(level="info"))
    assert ipactl("varlink", "call", "Explain", '{"id": "IPA-1001"}') == 0
    assert json.loads(capsys.readouterr().out) == {"level": "info"}
    assert agent.asked("Explain") == [{"id": "IPA-1001"}]


@pytest.mark.parametrize("parameters", ["{", "5", "[]"])
def test_varlink_parameters_are_an_object(play: Play, ipactl: Ipactl, parameters: str) -> None:
    agent = play()
    assert ipactl("varlink", "call", "Poll", parameters) == 2
    assert agent.requests == []


@pytest.mark.parametrize(
    ("method", "error", "says"),
    [
        ("GetStatsu", refuses("org.varlink.service.MethodNotFound", method="x"), "Perhaps GetStatus;"),
        ("io.github.ipadagent.GetProfiles", refuses("org.varlink.service.MethodNotFound", method="x"), "ListProfiles"),
        (
            "PlanSwitch",
            refuses("org.varlink.service.InvalidParameter", parameter="ICCID"),
            "parameter ICCID is missing, not known, or of another type. What to do: PlanSwitch takes (iccid: string).",
        ),
    ],
)
def test_varlink_call_says_what_the_interface_has_instead(
    play: Play, ipactl: Ipactl, capsys: Capture, method: str, error: Any, says: str
) -> None:
    name = method.removeprefix("io.github.ipadagent.")
    description = {"org.varlink.service.GetInterfaceDescription": gives(description=varlink_interface.text())}
    play(**{name: error}, **description)
    assert ipactl("varlink", "call", method) == 2
    assert says in " ".join(capsys.readouterr().err.split())


def test_varlink_info_shows_the_interface(play: Play, ipactl: Ipactl, capsys: Capture) -> None:
    service = "org.varlink.service."
    play(
        **{
            service + "GetInfo": gives(vendor="v", product="ipad-agent", version="1", url="u", interfaces=[]),
            service + "GetInterfaceDescription": gives(description="interface io.github.ipadagent\n\x1b[2J"),
        }
    )
    assert ipactl("varlink", "info") == 0
    out = capsys.readouterr().out
    assert "interface io.github.ipadagent" in out
    assert "\x1b" not in out


# -- doctor ----------------------------------------------------------------------------------------------------------


def test_the_doctor_shows_each_finding_and_ends_by_the_first_that_failed(
    play: Play, ipactl: Ipactl, capsys: Capture
) -> None:
    found = (
        {"item": {"layer": "port", "ok": True, "sentence": "Fine.", "fix": None}},
        {"item": {"layer": "sim", "ok": False, "sentence": "No card", "fix": "Insert one"}},
        {"item": {"layer": "eim", "ok": None, "sentence": "Not checked", "fix": None}},
        {"item": {"layer": "verdict", "ok": False, "sentence": "No card", "fix": "Insert one"}},
    )
    play(Doctor=streams(*found))
    assert ipactl("doctor") == 5
    assert capsys.readouterr().out.splitlines()[-1] == "  What to do: Insert one."
    assert ipactl("doctor", "--json") == 5
    assert json.loads(capsys.readouterr().out) == {"items": [item["item"] for item in found]}


@pytest.mark.parametrize(
    ("layer", "exit"),
    [("usb", 6), ("port", 6), ("at", 6), ("isd-r", 5), ("euicc", 5), ("dns", 7), ("eim", 7), ("disk", 1), ("new", 1)],
)
def test_the_doctor_s_exit_status_says_where_to_look(play: Play, ipactl: Ipactl, layer: str, exit: int) -> None:
    play(Doctor=streams({"item": {"layer": layer, "ok": False, "sentence": "x", "fix": None}}))
    assert ipactl("doctor") == exit


def test_the_doctor_works_without_an_agent(tmp_path: Path) -> None:
    done = _without_agent(tmp_path, "doctor")
    assert done.returncode == 6
    assert done.stdout.startswith("✗ The agent is not running")
    assert "What to do: " in done.stdout.splitlines()[-2] + done.stdout.splitlines()[-1]


def test_a_device_without_fault_whose_agent_does_not_run_is_not_fine(
    ipactl: Ipactl, capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from ipad_agent import doctor
    from ipad_agent.cli.ipactl import command_context
    from ipad_agent.doctor.doctor_items import Item, Layer

    async def nothing_wrong(_: object) -> AsyncIterator[Item]:
        yield Item(Layer.VERDICT, True, "Nothing is wrong.")

    monkeypatch.setattr(doctor, "run_alone", nothing_wrong)
    monkeypatch.setattr(command_context, "DEFAULT_SOCKET", str(tmp_path / "nothing"))
    monkeypatch.setattr(command_context, "DEFAULT_CONFIG", tmp_path / "none.toml")
    assert main(["doctor", "--config", str(tmp_path / "none.toml")]) == 8
    assert "But the agent is not running." in capsys.readouterr().out


def test_a_socket_that_was_named_is_not_gone_round_by_the_doctor(ipactl: Ipactl) -> None:
    assert ipactl("doctor") == 8


@pytest.mark.parametrize("id", ["1005", "ipa1005", "IPA-1005", "(IPA-1005)", "ipa_1005"])
def test_an_id_is_understood_however_it_is_typed(play: Play, ipactl: Ipactl, capsys: Capture, id: str) -> None:
    agent = play(Explain=gives(level="info", sentence="S", explanation="E"))
    assert ipactl("explain", id) == 0
    assert agent.asked("Explain") == [{"id": "IPA-1005"}]


def test_a_poll_that_has_to_wait_for_what_is_under_way_says_so(play: Play, ipactl: Ipactl, capsys: Capture) -> None:
    play("switch-armed-in-a-poll")
    assert ipactl("poll") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "is at work (poll, begun 3 min ago) and asks every manager (eIM) for work after that" in said


# -- no agent, and everything else that may be wrong -----------------------------------------------------------------


def test_without_an_agent_it_is_said_how_to_start_it(ipactl: Ipactl, capsys: Capture) -> None:
    assert ipactl("status") == 8
    assert "systemctl start ipad-agent" in capsys.readouterr().err


def test_a_socket_of_the_bench_is_not_said_to_be_the_systems_alone(ipactl: Ipactl, capsys: Capture) -> None:
    assert ipactl("status") == 8
    assert "ipad-agent run --config FILE" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("redirection", "exit", "says"),
    [
        (">&-", 0, ""),
        (">/dev/full", 1, "✗ The output cannot be written: No space left on device.\n"),
        ("--json >/dev/full", 1, "✗ The output cannot be written: No space left on device.\n"),
        ("| true", None, ""),
    ],
)
def test_an_output_that_takes_nothing_is_no_defect(
    play: Play, tmp_path: Path, redirection: str, exit: int | None, says: str
) -> None:
    play()
    line = f"{shlex.quote(sys.executable)} -m ipad_agent.cli.ipactl --socket {tmp_path}/socket status {redirection}"
    done = subprocess.run(["sh", "-c", line], stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert (exit in (None, done.returncode), done.stderr) == (True, says)


def test_a_closed_error_output_hides_the_words_and_not_the_exit_status(tmp_path: Path) -> None:
    line = f"{shlex.quote(sys.executable)} -m ipad_agent.cli.ipactl --socket {tmp_path}/socket status 2>&-"
    assert subprocess.run(["sh", "-c", line], check=False, timeout=60).returncode == 8


def test_without_an_agent_json_says_so_too(ipactl: Ipactl, capsys: Capture) -> None:
    assert ipactl("status", "--json") == 8
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["name"], error["exit"]) == ("NotRunning", 8)


@pytest.mark.parametrize("words", [[], ["--json"], ["--fields", "verdict.state"]])
def test_without_a_command_status_is_meant(play: Play, ipactl: Ipactl, capsys: Capture, words: list[str]) -> None:
    play("no-modem")
    assert ipactl(*words) == ipactl("status", *words) == 6
    out = capsys.readouterr().out
    assert out[: len(out) // 2] == out[len(out) // 2 :] != ""


def test_status_is_watched_on_a_terminal_only(play: Play, ipactl: Ipactl, capsys: Capture) -> None:
    play()
    assert ipactl("status", "--watch") == 2
    assert "needs a terminal" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["nonsense"], ["emergency"], ["log", "-n", "0"], ["reset-euicc"], ["stat"]])
def test_words_that_make_no_sense_are_a_usage_error(words: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2


@pytest.mark.parametrize("text", ["0", "-1", "10x", "2d", "٣m", "86401", "", "m"])
def test_a_time_that_is_none_is_a_usage_error(text: str) -> None:
    with pytest.raises(SystemExit) as end:
        main(["switch", OPERATOR_B, f"--confirm-within={text}"])
    assert end.value.code == 2


def test_options_may_stand_before_and_after_the_command(play: Play, tmp_path: Path, capsys: Capture) -> None:
    play()
    assert main(["--json", "status", "--socket", str(tmp_path / "socket")]) == 0
    assert json.loads(capsys.readouterr().out)["schema_version"] == 1


def test_a_reader_that_leaves_early_gets_no_complaint(play: Play, tmp_path: Path) -> None:
    play()
    command = f"{sys.executable} -m ipad_agent.cli.ipactl --socket {tmp_path}/socket status | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout.count("\n"), done.stderr) == (1, "")


def test_an_ascii_locale_gets_ascii(play: Play, tmp_path: Path) -> None:
    play("switch-armed")
    done = _process("--socket", f"{tmp_path}/socket", "status", PYTHONIOENCODING="ascii")
    assert done.returncode == 4
    assert done.stdout.isascii()
    assert done.stdout.startswith("* switching")


def test_the_configured_socket_is_found_when_the_usual_one_is_not_there(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ipad_agent.cli.ipactl import command_context

    play()
    file = tmp_path / "config.toml"
    file.write_text(f'[local]\nsocket_path = "{tmp_path}/socket"\n')
    monkeypatch.setattr(command_context, "DEFAULT_SOCKET", str(tmp_path / "nothing"))
    monkeypatch.setattr(command_context, "DEFAULT_CONFIG", file)
    assert main(["status"]) == 0
    file.write_text("[nonsense]")
    assert main(["status"]) == 8


OF_STATUS = {
    "cli",
    "cli.ipactl",
    "cli.ipactl.argument_values",
    "cli.ipactl.command_context",
    "cli.ipactl.command_line",
    "cli.ipactl.command_parser",
    "cli.ipactl.command_runner",
    "cli.ipactl.commands",
    "cli.ipactl.commands.query_commands",
    "cli.ipactl.errors",
    "cli.ipactl.exit_codes",
    "cli.ipactl.guessed_words",
    "cli.ipactl.guessed_words.suggesting_parser",
    "similar_names",
    "cli.ipactl.output",
    "cli.ipactl.output.status_from_json",
    "cli.ipactl.output.terminal_output",
    "cli.ipactl.output.value_texts",
    "cli.ipactl.screens",
    "records",
    "cli.ipactl.screens.status_screen",
    "cli.ipactl.status_exit_code",
    "cli.ipactl.varlink_client",
    "errors",
    "local",
    "local.status_model",
    "local.status_verdict",
    "printable",
}
"""All that `ipactl status` loads of this program: each module more is time that everybody waits."""
STANDARD = {"pathlib", "urllib.parse", "subprocess", "asyncio", "logging", "shutil", "tempfile", "datetime"}


def test_status_loads_these_modules_and_no_more(play: Play, tmp_path: Path) -> None:
    play()
    words = ["--socket", str(tmp_path / "socket"), "status"]
    code = (
        f"import sys; before = set(sys.modules); sys.path.insert(0, {str(Path(__file__).parents[2])!r}); "
        "from ipad_agent.cli.ipactl import main; "
        f"main({words!r}); print(sorted(set(sys.modules) - before), file=sys.stderr)"
    )
    # Without site: what an editable installation loads by itself is not the command's.
    command = [sys.executable, "-I", "-S", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    loaded = set(eval(done.stderr))
    assert {name.removeprefix("ipad_agent.") for name in loaded if name.startswith("ipad_agent.")} == OF_STATUS
    assert not loaded & STANDARD


HEAVY = {"asyncio", "ssl", "cryptography", "OpenSSL", "aiocoap", "serial", "tomllib", "subprocess", "ipad_agent.config"}


@pytest.mark.parametrize("command", ["status", "profiles", "owed", "poll"])
def test_a_question_loads_nothing_heavy(play: Play, tmp_path: Path, command: str) -> None:
    play()
    words = ["--socket", str(tmp_path / "socket"), command]
    code = (
        "import sys; from ipad_agent.cli.ipactl import main; "
        f"main({words!r}); print(sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(eval(done.stderr))
    assert not loaded & HEAVY


# -- helpers ---------------------------------------------------------------------------------------------------------


def _plain(situation: str) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(to_plain(SITUATIONS[situation])))
    return plain


def _named(name: str) -> Status:
    ready = SITUATIONS["ready"]
    profiles = tuple(replace(profile, name=name, provider=name, nickname=name) for profile in ready.profiles)
    eims = tuple(replace(eim, eim_id=name, host=name) for eim in ready.eims)
    return replace(ready, profiles=profiles, eims=eims, verdict=replace(ready.verdict, sentence=name))


def _in_fallback() -> Status:
    fallback = SITUATIONS["fallback"]
    change = Switch("committed", "fallback", OPERATOR_A, BOOTSTRAP, "none", ago(25_200), ended=ago(25_000))
    return replace(fallback, switch=change)


def _lines(capsys: Capture) -> list[str]:
    return capsys.readouterr().out.splitlines()


def _without_agent(tmp_path: Path, *words: str, config: str = "") -> subprocess.CompletedProcess[str]:
    """A command where no agent is, and no modem."""
    file = tmp_path / "config.toml"
    file.write_text(config or f'[modem]\nport = "{tmp_path}/tty"\n[store]\nstate_dir = "{tmp_path}"\n')
    code = (
        "import sys; from pathlib import Path; from ipad_agent.cli.ipactl import command_context, main; "
        f"command_context.DEFAULT_SOCKET = {str(tmp_path / 'none')!r}; "
        f"command_context.DEFAULT_CONFIG = Path({str(tmp_path / 'none')!r}); "
        f"sys.exit(main({[*words, '--config', str(file)]!r}))"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)


def _process(*words: str, input: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ipad_agent.cli.ipactl", *words],
        input=input,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **environment},
    )


class _Clock:
    """``time`` as a module, with these times."""

    def __init__(self, times: Iterator[float]) -> None:
        self._times = times

    def monotonic(self) -> float:
        return next(self._times)


class _QrLibrary:
    """Makes a code of one dark module."""

    @staticmethod
    def QRCode(border: int) -> _QrLibrary:  # noqa: N802 - the library's name
        assert border == 4
        return _QrLibrary()

    def add_data(self, text: str) -> None:
        assert text == EID

    def get_matrix(self) -> list[list[bool]]:
        rows = ("...", "...", "...", ".#.", "...")
        return [[module == "#" for module in row] for row in rows]


# -- the maker's bench -------------------------------------------------------------------------------------------------
def test_a_first_manager_wants_consent(play: Play, ipactl: Ipactl, capsys: Capture, tmp_path: Path) -> None:
    agent = play("ready")
    file = tmp_path / "initial-eim.der"
    file.write_bytes(b"\x30\x00")
    assert ipactl("provision", str(file)) == 2
    assert "--yes" in capsys.readouterr().err
    assert agent.asked("Provision") == []


@pytest.mark.parametrize("content", [None, b"", bytes(8193)])
def test_a_file_that_cannot_be_a_managers_is_not_sent(
    play: Play, ipactl: Ipactl, capsys: Capture, tmp_path: Path, content: bytes | None
) -> None:
    agent = play("ready")
    file = tmp_path / "initial-eim.der"
    if content is not None:
        file.write_bytes(content)
    assert ipactl("provision", str(file), "--yes") == 2
    assert str(file) in capsys.readouterr().err
    assert agent.asked("Provision") == []


def test_a_card_is_handed_over_only_with_its_digits(play: Play, ipactl: Ipactl, capsys: Capture) -> None:
    agent = play("ready")
    assert ipactl("card", "activate-ipae", "--eid-ends", "0000") == 3
    assert ipactl("card", "activate-ipae") == 2
    assert agent.asked("ActivateIpae") == []


# -- a download by hand ------------------------------------------------------------------------------------------------
CODE = "LPA:1$smdp.example$TOKEN"


def test_a_download_wants_consent(play: Play, ipactl: Ipactl, capsys: Capture) -> None:
    agent = play("ready", Download=gives(iccid="89490200009000000011"))
    assert ipactl("download", CODE) == 2
    assert "--yes" in capsys.readouterr().err
    assert agent.asked("Download") == []


def test_a_code_that_wants_a_confirmation_code_asks_for_it_or_takes_it_from_a_file(
    play: Play, ipactl: Ipactl, capsys: Capture, tmp_path: Path
) -> None:
    agent = play("ready", Download=gives(iccid="89490200009000000011"))
    assert ipactl("download", f"{CODE}$$1", "--yes") == 2
    assert "--confirmation-code-file" in capsys.readouterr().err
    assert ipactl("download", CODE, "--yes", "--confirmation-code-file", str(tmp_path / "none")) == 2
    assert agent.asked("Download") == []
    file = tmp_path / "code"
    file.write_text("98765432\n")
    assert ipactl("download", f"{CODE}$$1", "--yes", "--no-wait", "--confirmation-code-file", str(file)) == 0
    assert [asked["confirmation_code"] for asked in agent.asked("Download")] == ["98765432"]
    assert "98765432" not in "".join(capsys.readouterr())


def test_the_activation_code_may_come_by_the_standard_input(
    play: Play, ipactl: Ipactl, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = play("ready", Download=gives(iccid="89490200009000000011"))
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{CODE}\n"))
    assert ipactl("download", "-", "--yes", "--no-wait") == 0
    assert [asked["activation_code"] for asked in agent.asked("Download")] == [CODE]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    assert ipactl("download", "-", "--yes") == 2


def test_at_a_terminal_both_are_asked_for_and_the_code_is_not_shown(
    play: Play, ipactl: Ipactl, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = play("ready", Download=gives(iccid="89490200009000000011"))

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("getpass.getpass", lambda prompt: "98765432")
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    assert ipactl("download", f"{CODE}$$1", "--no-wait") == 3
    assert agent.asked("Download") == []
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    assert ipactl("download", f"{CODE}$$1", "--no-wait") == 0
    assert [asked["confirmation_code"] for asked in agent.asked("Download")] == ["98765432"]


def test_a_download_that_a_rule_forbids_ends_as_refused(play: Play, ipactl: Ipactl, capsys: Capture) -> None:
    play("ready", Download=refuses("RefusedByPolicy", sentence="download.by_hand is false.", rule="download.by_hand"))
    assert ipactl("download", CODE, "--yes") == 3
    assert "download.by_hand is false." in capsys.readouterr().err


def test_a_download_that_fails_says_why(play: Play, ipactl: Ipactl, capsys: Capture) -> None:
    play("ready", Download=refuses("DownloadFailed", sentence="No profile was installed: the SM-DP+ is away."))
    assert ipactl("download", CODE, "--yes") == 1
    assert "the SM-DP+ is away" in capsys.readouterr().err


def test_a_download_names_the_new_profile(play: Play, ipactl: Ipactl, capsys: Capture) -> None:
    play("ready", Download=gives(iccid="89490200009000000011"))
    assert ipactl("download", CODE, "--yes") == 0
    assert "is installed." in capsys.readouterr().out
