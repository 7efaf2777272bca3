"""hw/modemmanager/10-connection by a shell, a few lines standing in for nmcli; the real one: tests/modemmanager."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

HOOK = Path(__file__).parents[2] / "hw" / "modemmanager" / "10-connection"
NMCLI = """#!/bin/sh
echo "$*" >>"$0.log"
case "$*" in
"-t -f UUID,TYPE connection show") cat "$0.connections" ;;
*"-g connection.uuid connection show named") echo u-named ;;
*"-g connection.uuid"*) exit 10 ;;
*"-g gsm.apn"*) echo before.example ;;
esac
"""


class Machine:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nmcli = folder / "nmcli"
        self.nmcli.write_text(NMCLI)
        self.nmcli.chmod(0o755)
        self.connections("u-1:gsm", "u-2:802-3-ethernet")

    def connections(self, *lines: str) -> None:
        Path(f"{self.nmcli}.connections").write_text("".join(f"{line}\n" for line in lines))

    def hook(self, moment: str, **facts: str) -> tuple[int, str]:
        found = subprocess.run(
            ["/bin/sh", str(HOOK), moment],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={
                "PATH": f"{self.folder}:/usr/bin:/bin",
                "IPAD_MOMENT": moment,
                "IPAD_APN_MEMORY": str(self.folder / "apn-of"),
                "IPAD_CONNECTION_FILE": str(self.folder / "named"),
                **{f"IPAD_{name}": value for name, value in facts.items()},
            },
        )
        assert found.stderr == ""
        return found.returncode, found.stdout.strip()

    @property
    def changes(self) -> list[str]:
        log = Path(f"{self.nmcli}.log")
        return (
            [line for line in log.read_text().splitlines() if "modify" in line or " up " in line]
            if log.exists()
            else []
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("moment", ["post-switch", "rolled-back", "fallback"])
def test_the_connection_gets_the_apn_of_the_profile_that_is_enabled_now(machine: Machine, moment: str) -> None:
    assert machine.hook(moment, ICCID="8949", APN="iot.example") == (0, "connected with the APN iot.example")
    assert machine.changes == ["connection modify u-1 gsm.apn iot.example", "--wait 20 connection up u-1"]


@pytest.mark.parametrize("moment", ["committed", "returned"])
def test_at_the_other_moments_the_connection_is_left_alone(machine: Machine, moment: str) -> None:
    assert machine.hook(moment, ICCID="8949", APN="iot.example") == (0, "")
    assert machine.changes == []


def test_an_apn_that_only_the_connection_knew_comes_back_with_its_profile(machine: Machine) -> None:
    machine.hook("pre-switch", ICCID="8950", PREVIOUS_ICCID="8949")
    machine.hook("post-switch", ICCID="8950", PREVIOUS_ICCID="8949", APN="new.example")
    machine.hook("rolled-back", ICCID="8949", PREVIOUS_ICCID="8950")
    assert [line for line in machine.changes if "modify" in line] == [
        "connection modify u-1 gsm.apn new.example",
        "connection modify u-1 gsm.apn before.example",
    ]


def test_an_apn_that_nobody_knows_leaves_the_connection_as_it_is(machine: Machine) -> None:
    assert machine.hook("post-switch", ICCID="8949")[0] == 0
    assert machine.changes == ["--wait 20 connection up u-1"]


def test_a_profile_that_needs_no_apn_empties_it(machine: Machine) -> None:
    machine.hook("post-switch", ICCID="8949", APN="")
    assert machine.changes[0] == "connection modify u-1 gsm.apn "


@pytest.mark.parametrize("apn", ["a b", "$(touch x)", "x;y", "-h\n", "../x/", "a" * 101])
def test_what_is_no_apn_is_not_passed_on(machine: Machine, apn: str) -> None:
    assert machine.hook("post-switch", ICCID="8949", APN=apn)[0] == 1
    assert machine.changes == []


@pytest.mark.parametrize("iccid", ["../../x", "", "a/b"])
def test_an_odd_iccid_writes_no_file(machine: Machine, iccid: str) -> None:
    machine.hook("post-switch", ICCID=iccid, APN="iot.example")
    assert not (machine.folder / "apn-of").exists()


def test_several_connections_need_a_name(machine: Machine) -> None:
    machine.connections("u-1:gsm", "u-3:gsm")
    status, said = machine.hook("post-switch", ICCID="8949", APN="iot.example")
    assert (status, "several connections" in said) == (1, True)
    (machine.folder / "named").write_text("named")  # a line without an end will do
    assert machine.hook("post-switch", ICCID="8949", APN="iot.example")[0] == 0
    assert machine.changes[0] == "connection modify u-named gsm.apn iot.example"
    (machine.folder / "named").write_text("other\n")
    assert machine.hook("post-switch", ICCID="8949", APN="iot.example")[1] == "NetworkManager has no connection 'other'"
