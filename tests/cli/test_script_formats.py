"""Answers for scripts: ``--format`` and ``--fields``, their escapes, and their names."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.cli.ipactl import command_runner, main
from ipad_agent.cli.ipactl.output.field_names import ANSWERS, listing
from ipad_agent.cli.ipactl.output.script_formats import cell, key_values, row
from ipad_agent.local.status_model import Status, to_plain
from ipad_agent.local.varlink import idl_types
from ipad_agent.printable import is_printable, printable
from situations import HAPPENINGS, HISTORY, OPERATOR_A, OWED, PLANS, SITUATIONS

from .fake_agent import FakeAgent, gives, refuses, shows

Capture = pytest.CaptureFixture[str]
Ipactl = Callable[..., int]


@pytest.fixture
def ipactl(tmp_path: Path) -> Iterator[Ipactl]:
    """The command with an agent at the other end."""
    answers: dict[str, Any] = {
        "GetStatus": shows(_odd()),
        "ListOwed": gives(owed=to_plain(OWED)),
        "ListHistory": gives(history=to_plain(HISTORY)),
        "ListEvents": gives(events=to_plain(HAPPENINGS)),
        "PlanSwitch": gives(plan=to_plain(PLANS["possible"])),
        "Rollback": refuses("RefusedByPolicy", sentence="No switch."),
        "Doctor": gives(item={"layer": "verdict", "sentence": "Fine: all of it.", "ok": True, "fix": None}),
    }
    with FakeAgent(tmp_path / "socket", answers):
        yield lambda *words: main(["--socket", str(tmp_path / "socket"), *words])


def _odd() -> Status:
    """A profile whose name has every character that is written in another way."""
    ready = SITUATIONS["ready"]
    first, *others = ready.profiles
    first = replace(first, nickname=r"a:b\c,d", policy_rules=("ppr1", "ppr2"))
    return replace(ready, profiles=(first, *others))


def split(line: str) -> list[str]:
    """A line as a script takes it apart."""
    values = [""]
    characters = iter(line)
    for character in characters:
        if character == ":":
            values.append("")
        else:
            values[-1] += next(characters) if character == "\\" else character
    return values


# -- tables ------------------------------------------------------------------------------------------------------------


def test_one_field_is_one_word(ipactl: Ipactl, capsys: Capture) -> None:
    assert ipactl("--fields", "verdict.state") == 0
    assert capsys.readouterr().out == "ready\n"


def test_a_table_has_a_line_for_each_thing_in_the_order_asked_for(ipactl: Ipactl, capsys: Capture) -> None:
    assert ipactl("profiles", "--fields", "enabled,iccid,nickname,policy_rules") == 0
    first, second, third = capsys.readouterr().out.splitlines()
    assert split(first) == ["yes", OPERATOR_A, r"a:b\c,d", "ppr1,ppr2"]
    assert first == rf"yes:{OPERATOR_A}:a\:b\\c,d:ppr1,ppr2"
    assert split(second)[0] == split(third)[0] == "no"


def test_what_is_absent_is_empty_and_the_number_of_values_stays(ipactl: Ipactl, capsys: Capture) -> None:
    ipactl("status", "-o", "table", "--fields", "switch.phase,card.manageable,operation.name")
    assert capsys.readouterr().out == ":yes:\n"


def test_a_list_within_a_status_is_one_cell(ipactl: Ipactl, capsys: Capture) -> None:
    ipactl("--fields", "eims[].eim_id,profiles[].enabled")
    assert capsys.readouterr().out == "eim.example.net:yes,no,no\n"


@pytest.mark.parametrize("command", ["profiles", "eims", "owed", "history", "log", "doctor", "budget", "status"])
def test_without_fields_a_table_has_all_of_them_in_the_order_of_the_page(
    ipactl: Ipactl, capsys: Capture, command: str
) -> None:
    ipactl(command, "--format", "table")
    for line in capsys.readouterr().out.splitlines():
        assert len(split(line)) == len(ANSWERS[command].all_names())


# -- key and value -----------------------------------------------------------------------------------------------------


def test_key_and_value_numbers_what_is_in_a_list(ipactl: Ipactl, capsys: Capture) -> None:
    ipactl("profiles", "-o", "keyvalue")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "profiles.length:3"
    assert f"profiles[1].iccid:{OPERATOR_A}" in lines
    assert r"profiles[1].nickname:a\:b\\c,d" in lines
    assert "profiles[2].enabled:no" in lines


def test_key_and_value_of_some_fields_has_only_these_and_of_a_group_all_below(ipactl: Ipactl, capsys: Capture) -> None:
    ipactl("profiles", "-o", "keyvalue", "--fields", "enabled")
    assert capsys.readouterr().out.splitlines() == [
        "profiles[1].enabled:yes",
        "profiles[2].enabled:no",
        "profiles[3].enabled:no",
    ]
    ipactl("status", "-o", "keyvalue", "--fields", "verdict,clock_set")
    lines = capsys.readouterr().out.splitlines()
    assert "verdict.state:ready" in lines
    assert lines[-1] == "clock_set:yes"
    assert all(line.startswith(("verdict.", "clock_set")) for line in lines)


def test_events_in_key_and_value_are_blocks(ipactl: Ipactl, capsys: Capture) -> None:
    ipactl("log", "-o", "keyvalue")
    blocks = capsys.readouterr().out.strip("\n").split("\n\n")
    assert len(blocks) == len(HAPPENINGS)
    assert blocks[0].startswith("id:IPA-4020\nlevel:info\ntext:eim.example.net orders\\: enable")
    assert "facts.eim:eim.example.net" in blocks[0]


# -- trouble -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["keyvalue", "table"])
def test_trouble_is_no_answer(ipactl: Ipactl, capsys: Capture, form: str) -> None:
    assert ipactl("rollback", "-o", form) == 3
    out, err = capsys.readouterr()
    assert (out, "No switch." in err) == ("", True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["profiles", "--fields", "nme"], "no field 'nme'; it has iccid, "),
        (["profiles", "--fields", "verdict.state"], "no field"),
        (["status", "--fields", "verdict"], "no field 'verdict'; similar: verdict.state, "),
        (["status", "--fields", "colour"], "no field 'colour'; see the manual page"),
        (["status", "--fields", ","], "name at least one"),
        (["status", "--json", "--fields", "version"], "JSON has them all"),
        (["status", "-o", "json", "--fields", "version"], "JSON has them all"),
        (["watch", "-o", "table"], "no fixed fields"),
        (["status", "-o", "xml"], "invalid choice"),
    ],
)
def test_a_wrong_name_is_told_before_anybody_is_asked(capsys: Capture, words: list[str], says: str) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--socket", "/nowhere", *words])
    assert end.value.code == 2
    said = capsys.readouterr()
    assert says in (said.out if "json" in " ".join(words) else " ".join(said.err.split()))


# -- the names ---------------------------------------------------------------------------------------------------------

PROMISED = {
    "status": "verdict.state verdict.severity verdict.sentence verdict.next_at.at_s card.eid card.free_memory_bytes "
    "profiles[].iccid profiles[].enabled eims[].eim_id eims[].last_poll.ok switch.phase switch.stages[].name "
    "owed[].kind modem.port traffic.today_bytes warnings[].id clock_set",
    "profiles": "iccid enabled name nickname provider fallback changed_by changed_at.at_s policy_rules",
    "eims": "eim_id host carrier last_poll.at.at_s last_poll.outcome next_poll.at_s failures trouble",
    "owed": "kind receiver what seq_number attempts reason",
    "history": "kind what by outcome at.at_s at.age_s clock_set duration_s reason eim_id previous target times",
    "log": "id level text at_s facts",
    "doctor": "layer sentence ok fix",
    "budget": "total_bytes today_bytes budget_bytes_per_day by[].carrier by[].size_bytes",
    "plan": "target possible lines[].name lines[].ok steps",
    "eid": "eid check_digits_ok",
}


@pytest.mark.parametrize("command", PROMISED)
def test_no_promised_name_has_gone(command: str) -> None:
    assert set(PROMISED[command].split()) <= set(ANSWERS[command].all_names())


@pytest.mark.parametrize("command", [name for name, answer in ANSWERS.items() if answer.record is not None])
def test_the_names_are_those_of_the_interface_file(command: str) -> None:
    """By the types as Varlink has them, which are evaluated and not read."""
    record = ANSWERS[command].record
    assert record is not None
    types = {idl_types.name_of(found): found for found in idl_types.reachable(record)}

    def names(record: type) -> Iterator[str]:
        for field in idl_types.fields_of(record):
            inner = types.get(field.type.lstrip("?[]"))
            many = "[]" if "[]" in field.type and inner is not None else ""
            yield from [field.name] if inner is None else [f"{field.name}{many}.{below}" for below in names(inner)]

    assert ANSWERS[command].all_names() == tuple(names(record))


def test_every_command_with_a_fixed_answer_has_names() -> None:
    free = {"watch", "decode", "metrics", "varlink", "completion"}
    assert set(command_runner.HANDLERS) - set(ANSWERS) <= free
    assert all(names for _, names in listing())


@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_value_of_a_status_has_a_documented_name(situation: str) -> None:
    names = set(ANSWERS["status"].all_names())
    for line in key_values(json.loads(json.dumps(to_plain(SITUATIONS[situation])))):
        name = re.sub(r"\[\d+\]", "[]", line.partition(":")[0])
        value = line.partition(":")[2]
        if name.endswith(".length"):
            assert any(known.startswith(name.removesuffix(".length") + "[]") for known in names)
        elif value or name in names:
            assert name in names, line
        else:  # absent, so nothing below it is told
            assert any(known.startswith((name + ".", name + "[].")) for known in names), line


# -- any value ---------------------------------------------------------------------------------------------------------


@given(st.lists(st.text(), min_size=1, max_size=6))
def test_any_texts_come_out_of_a_line_as_they_went_in(texts: list[str]) -> None:
    line = row({f"f{number}": text for number, text in enumerate(texts)}, [f"f{n}" for n in range(len(texts))])
    assert is_printable(line)
    assert split(line) == [printable(text) for text in texts]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        *((None, ""), (True, "yes"), (False, "no"), (3, "3"), (2.0, "2"), (2.5, "2.5"), (0.1 + 0.2, "0.3")),
        *(
            (-40.0, "-40"),
            ("a\nb", "a b"),
            (["a,b", "c"], r"a\,b,c"),
            ([], ""),
            ({"eim": "a:b", "x": "1"}, r"eim=a\:b,x=1"),
        ),
    ],
)
def test_values_are_written_plainly(value: object, written: str) -> None:
    assert cell(value) == written
