"""The published interface and its manual say what the code does."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from ipad_agent.local.status_model import State, Status
from ipad_agent.local.status_verdict import TABLE
from ipad_agent.local.varlink import idl_types, varlink_interface
from ipad_agent.local.varlink.idl_types import Field

ROOT = Path(__file__).resolve().parents[2]
MANUAL = (ROOT / "docs" / "local-api.md").read_text(encoding="utf-8")


def test_the_interface_file_and_the_manual_are_current() -> None:
    """Otherwise run ``python tools/gen_local_api.py``."""
    command = [sys.executable, str(ROOT / "tools" / "gen_local_api.py"), "--check"]
    assert subprocess.run(command, check=False, cwd=ROOT).returncode == 0


def test_the_manual_tells_every_state_in_the_order_of_importance() -> None:
    states = [
        line.split("`")[1] for line in MANUAL.splitlines() if re.match(r"\| `[a-z-]+` \| (good|busy|waiting|bad)", line)
    ]
    assert states == [row.state.value for row in TABLE]
    assert set(states) == set(State)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.state.value)
def test_the_manual_tells_the_severity_of_each_state(row: object) -> None:
    state, severity = row.state.value, row.severity.value  # type: ignore[attr-defined]  # a row of the table
    assert re.search(rf"^\| `{state}` \| {severity}\b", MANUAL, re.MULTILINE)


# What programs out there rely on. Fields may be added to the code; a line of this list may never go or change.
PROMISED = {
    "Verdict": "state severity sentence next next_at advice",
    "Card": "eid eid_check_digits_ok kind manageable family free_memory_bytes",
    "Profile": "iccid iccid_check_digit_ok enabled name provider nickname profile_class fallback changed_by changed_at",
    "PastPoll": "at ok outcome packages results cost_bytes duration_s",
    "Eim": "eim_id host carrier last_poll last_success next_poll next_reason failures trouble",
    "Operation": "name since eim_id done total unit",
    "Switch": "phase cause previous target way_back since deadline stages ended",
    "Owed": "kind receiver what since seq_number next_attempt attempts reason",
    "Trouble": "side sentence hint since next_attempt",
    "Warning": "id sentence what_to_do",
    "Status": "verdict taken_at_s clock_set uptime_s version card profiles eims operation switch guardian held_by owed "
    "modem radio traffic warnings schema_version trouble next_look",
    "Happening": "id level text at_s facts",
    "HistoryEntry": "kind what by outcome at clock_set duration_s reason eim_id previous target times",
    "Time": "at_s age_s",
}
PROMISED_METHODS = (
    "GetStatus() -> (status: Status)",
    "Subscribe(status: ?bool, events: ?bool, recent: ?int) -> (status: ?Status, event: ?Happening, lost: ?int)",
    "ListEvents(count: ?int) -> (events: []Happening)",
    "ListHistory(count: ?int) -> (history: []HistoryEntry)",
    "ListProfiles() -> (profiles: []Profile)",
    "ListEims() -> (eims: []Eim)",
    "ListOwed() -> (owed: []Owed)",
    "PlanSwitch(iccid: string) -> (plan: Plan)",
    "Poll(eim_id: ?string) -> ()",
    "Rollback() -> ()",
    "Confirm() -> ()",
    "ExecuteFallback() -> ()",
    "ReturnFromFallback() -> ()",
    "Emergency(enable: bool) -> ()",
    "MemoryReset(what: []string) -> ()",
    "Provision(data: string) -> (count: int)",
    "SetDefaultSmdp(address: string) -> ()",
    "ConfigureImmediateEnabling(enable: bool, smdp_oid: ?string, smdp_address: ?string) -> ()",
    "ActivateIpae() -> ()",
    "Download(activation_code: string, confirmation_code: ?string, accept_rules: ?bool) -> (iccid: string)",
    "Doctor() -> (item: DoctorItem)",
    "Bundle() -> (bundle: string)",
    "Metrics() -> (text: string)",
    "Record(seconds: ?float) -> (path: string)",
    "Explain(id: string) -> (level: string, sentence: string, explanation: string)",
)


@pytest.mark.parametrize("name", PROMISED)
def test_no_promised_field_has_gone(name: str) -> None:
    declared = re.search(rf"^type {name} \((.*?)\)$", varlink_interface.text(), re.MULTILINE | re.DOTALL)
    assert declared is not None
    there = re.findall(r"(\w+): ", declared[1])
    assert set(PROMISED[name].split()) <= set(there)


@pytest.mark.parametrize("method", PROMISED_METHODS)
def test_no_promised_method_has_gone_or_changed(method: str) -> None:
    assert f"method {method}\n" in varlink_interface.text()


def test_the_types_are_those_of_the_model() -> None:
    assert idl_types.fields_of(Status)[:4] == [
        Field("verdict", "Verdict"),
        Field("taken_at_s", "int"),
        Field("clock_set", "bool"),
        Field("uptime_s", "float"),
    ]
    assert [field.name for field in idl_types.fields_of(Status)] == [item.name for item in fields(Status)]


@pytest.mark.parametrize("hint", [dict[str, int], int | str, tuple[int, str], bytes, object])
def test_a_type_that_varlink_does_not_have_is_refused(hint: object) -> None:
    with pytest.raises(TypeError):
        idl_types.type_of(hint)


def test_every_name_is_one_that_varlink_allows() -> None:
    """The interface grammar: types, methods and errors begin with a capital, fields have no double underscore."""
    text = varlink_interface.text()
    assert all(
        re.fullmatch(r"[A-Z][A-Za-z0-9]*", name) for name in re.findall(r"^(?:type|method|error) (\w+)", text, re.M)
    )
    names = re.findall(r"[(,]\s*(\w+): ", re.sub(r"^#.*$", "", text, flags=re.M))
    assert len(names) > 100
    assert all(re.fullmatch(r"[A-Za-z](_?[A-Za-z0-9])*", name) for name in names)
