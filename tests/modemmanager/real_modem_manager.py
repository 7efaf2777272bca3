"""The agent beside Debian's ModemManager and NetworkManager (``make test-modemmanager``)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .gateway import DEVICE, IPAD, ROOT, Gateway, wait_for

POLLED = "IPA-4011"  # no more work at the eIM
FILES = ROOT / "hw" / "modemmanager"
IPACTL = str(Path(sys.executable).with_name("ipactl"))


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    found = Gateway(Path("/mnt"))
    found.start()
    yield found
    found.stop()


def test_udev_tags_the_second_at_port_for_the_agent_and_leaves_the_first(gateway: Gateway) -> None:
    found = gateway.udev(with_rules=True)
    assert found["ttyUSB3"]["ID_MM_PORT_IGNORE"] == "1"
    assert "/dev/ipad-agent-modem" in found["ttyUSB3"]["DEVLINKS"].split()
    assert "ID_MM_PORT_IGNORE" not in found["ttyUSB2"]
    assert found["ttyUSB2"]["ID_MM_PORT_TYPE_AT_PRIMARY"] == "1"


def test_with_the_rules_modem_manager_takes_the_first_port_and_never_touches_the_second(gateway: Gateway) -> None:
    gateway.udev(with_rules=True)
    with gateway.modem_manager():
        modem = gateway.settled_modem()["generic"]
        assert modem["device"] == DEVICE
        assert sorted(modem["ports"]) == ["ttyUSB2 (at)", "ttyUSB3 (ignored)"]
        assert gateway.holders("ttyUSB2") == ["ModemManager"]
        assert gateway.holders("ttyUSB3") == []
        assert gateway.heard("ttyUSB3") == []


def test_without_the_rules_modem_manager_takes_both_ports(gateway: Gateway) -> None:
    gateway.udev(with_rules=False)
    with gateway.modem_manager():
        modem = gateway.settled_modem()["generic"]
        assert sorted(modem["ports"]) == ["ttyUSB2 (at)", "ttyUSB3 (at)"]
        gateway.text("mmcli", "-m", "any", "--enable")  # as NetworkManager does
        assert gateway.heard("ttyUSB3") != []


# -- the doctor --------------------------------------------------------------------------------------------------------
def doctor(gateway: Gateway, config: Path) -> str:
    return gateway.run(IPACTL, "doctor", "--config", str(config)).stdout


def test_the_doctor_names_modem_manager_and_what_to_do(gateway: Gateway) -> None:
    gateway.udev(with_rules=False)
    config = gateway.agent_config("ttyUSB3")
    with gateway.modem_manager():
        gateway.settled_modem()
        gateway.text("mmcli", "-m", "any", "--enable")
        found = " ".join(doctor(gateway, config).split())
        assert f"/dev/ttyUSB3 is also used by ModemManager (process {gateway.manager_pid})" in found
        assert "hw/99-ipad-agent.rules" in found


def test_the_doctor_has_nothing_to_say_about_a_port_of_its_own(gateway: Gateway) -> None:
    gateway.udev(with_rules=True)
    config = gateway.agent_config("ttyUSB3")
    with gateway.modem_manager():
        gateway.settled_modem()
        gateway.text("mmcli", "-m", "any", "--enable")
        found = " ".join(doctor(gateway, config).split())
        assert "/dev/ttyUSB3 is open" in found
        assert "also used" not in found
        assert "AT is answered" in found


def test_with_inhibition_the_doctor_examines_modem_managers_own_port_and_gives_it_back(gateway: Gateway) -> None:
    gateway.udev(with_rules=True)
    config = gateway.agent_config("ttyUSB2", more="inhibit_modem_manager = true")
    with gateway.modem_manager():
        gateway.settled_modem()
        found = " ".join(doctor(gateway, config).split())
        assert "which is asked to let go of it meanwhile" in found
        assert "AT is answered" in found
        assert "profile quectel-eg25" in found
        assert "Another program uses the port" not in found
        wait_for(lambda: gateway.holders("ttyUSB2") == ["ModemManager"], "ModemManager's return")


# -- inhibition --------------------------------------------------------------------------------------------------------
def test_an_agent_on_modem_managers_only_port_polls_under_inhibition_and_gives_the_modem_back(gateway: Gateway) -> None:
    gateway.udev(with_rules=True)
    config = gateway.agent_config("ttyUSB2", more="inhibit_modem_manager = true")
    with gateway.modem_manager():
        gateway.settled_modem()
        agent = gateway.spawn(*IPAD, "run", "--config", str(config), log="agent.log")
        wait_for(lambda: "IPA-2096" in gateway.log("agent.log"), "the end of the work")
        log = gateway.log("agent.log")
        assert f"lets go of the modem at {DEVICE}" in log
        assert POLLED in log
        for trouble in ("IPA-2005", "IPA-2003", "IPA-2095", "IPA-2097"):  # nobody talked in between
            assert trouble not in log
        assert f"device inhibition setup for uid '{DEVICE}'" in gateway.log("mm.log")
        assert f"device inhibition teardown for uid '{DEVICE}'" in gateway.log("mm.log")
        wait_for(lambda: gateway.holders("ttyUSB2") == ["ModemManager"], "ModemManager's return")
        assert gateway.settled_modem()["generic"]["device"] == DEVICE
        gateway.end(agent)


def test_an_agent_of_root_that_shares_modem_managers_port_says_so(gateway: Gateway) -> None:
    gateway.udev(with_rules=True)
    config = gateway.agent_config("ttyUSB2")
    with gateway.modem_manager():
        gateway.settled_modem()
        agent = gateway.spawn(*IPAD, "run", "--config", str(config), log="agent.log")
        wait_for(lambda: "IPA-2097" in gateway.log("agent.log"), "a word on ModemManager")
        assert f"ModemManager (process {gateway.manager_pid})" in gateway.log("agent.log")
        gateway.end(agent)


def test_the_agents_user_may_inhibit_with_the_two_files_and_not_without_either(gateway: Gateway) -> None:
    gateway.udev(with_rules=True)
    bus = (FILES / "ipad-agent-modemmanager.conf").read_text().replace('user="ipad"', 'user="nobody"')
    polkit = (FILES / "50-ipad-agent-modemmanager.rules").read_text().replace('"ipad"', '"nobody"')

    def inhibit() -> str:
        """Why not; nothing when it was done."""
        place = ("org.freedesktop.ModemManager1", "/org/freedesktop/ModemManager1", "org.freedesktop.ModemManager1")
        address = f"--address=unix:path={gateway.socket}"
        call = ("busctl", address, "call", *place, "InhibitDevice", "sb", DEVICE, "true")
        found = gateway.run(*call, user="nobody")
        return found.stderr if found.returncode else ""

    with gateway.modem_manager():
        gateway.settled_modem()
        assert "Access denied" in inhibit()  # the bus
        gateway.policy.write_text(bus)
        gateway.reload_bus()
        assert "PolicyKit" in inhibit()
        gateway.polkit_rules.write_text(polkit)
        wait_for(lambda: inhibit() == "", "polkit's reading of its rules")
        gateway.policy.write_text("<busconfig/>")
        gateway.reload_bus()
        wait_for(gateway.modem, "the modem's return")
        assert "Access denied" in inhibit()


# -- the connection ----------------------------------------------------------------------------------------------------
HOOK = FILES / "10-connection"
OLD, NEW = "89490200001000000011", "89490200002000000027"


def hook(gateway: Gateway, moment: str, **facts: str) -> tuple[int, str]:
    more = {f"IPAD_{name}": value for name, value in facts.items()} | {"IPAD_MOMENT": moment}
    more |= {"IPAD_APN_MEMORY": str(gateway.folder / "apn-of"), "IPAD_CONNECTION_FILE": str(gateway.folder / "named")}
    found = gateway.run(str(HOOK), moment, more=more)
    return found.returncode, found.stdout.strip()


def test_the_hook_gives_networkmanagers_connection_the_apn_and_takes_it_back(gateway: Gateway) -> None:
    gateway.udev(with_rules=True)
    with gateway.modem_manager(), gateway.network_manager():
        gateway.settled_modem()
        add = ("nmcli", "connection", "add", "type", "gsm", "con-name", "cellular", "ifname", "*", "autoconnect", "no")
        gateway.text(*add, "apn", "old.example")

        def apn() -> str:
            return gateway.text("nmcli", "-g", "gsm.apn", "connection", "show", "cellular").strip()

        assert hook(gateway, "pre-switch", ICCID=NEW, PREVIOUS_ICCID=OLD, APN="new.example") == (0, "")
        assert apn() == "old.example"
        status, said = hook(gateway, "post-switch", ICCID=NEW, PREVIOUS_ICCID=OLD, APN="new.example")
        assert (status, apn()) == (0, "new.example")
        # The lab's modem has no data mode, so the connection cannot come up; but the APN has reached the modem.
        assert "new.example" in said
        assert any('"new.example"' in line for line in gateway.heard("ttyUSB2")), gateway.heard("ttyUSB2")[-10:]
        status, said = hook(gateway, "rolled-back", ICCID=OLD, PREVIOUS_ICCID=NEW)
        assert (status, apn()) == (0, "old.example")
        assert hook(gateway, "committed", ICCID=NEW, APN="x.example") == (0, "")
        assert apn() == "old.example"


def test_the_hook_uses_modem_manager_where_there_is_no_connection(gateway: Gateway) -> None:
    gateway.udev(with_rules=True)
    with gateway.modem_manager():
        gateway.settled_modem()
        status, said = hook(gateway, "post-switch", ICCID=NEW, APN="bare.example")
        assert "ModemManager did not connect" in said  # the lab's modem has no data mode
        assert status == 1
        assert any('"bare.example"' in line for line in gateway.heard("ttyUSB2"))
