"""Whether the udev rules and the unit agree on who may open which port.

The rules are evaluated as udev(7) describes them, as far as ours go: comparisons in order, assignments when all hold,
GOTO and LABEL.
"""

from __future__ import annotations

import configparser
import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from ipad_agent.modem.module_profile_files import load

ROOT = Path(__file__).parent.parent
RULES = (ROOT / "hw" / "99-ipad-agent.rules").read_text()
UNIT = (ROOT / "systemd" / "ipad-agent.service").read_text()

SYSTEMD_TTYS = ("tty[A-Z]*[0-9]", "ttymxc[0-9]*")
"""The ports that systemd's 50-udev-default.rules give to dialout."""

_TOKEN = re.compile(r'([A-Z]+)(?:\{([^}]*)\})?\s*(==|!=|\+=|=)\s*"([^"]*)"')


@dataclass
class Node:
    """A device node as udev leaves it. ``facts`` by key, with the attribute in braces."""

    facts: dict[str, str]
    group: str = "root"
    mode: int = 0o600
    links: list[str] = field(default_factory=list)

    def may_be_opened_by(self, group: str) -> bool:
        return self.group == group and self.mode & 0o060 == 0o060


def apply(rules: str, facts: Mapping[str, str]) -> Node:
    node = Node({"ACTION": "add", **facts})
    lines = [line for line in rules.splitlines() if line.strip() and not line.startswith("#")]
    at = 0
    while at < len(lines):
        tokens = _TOKEN.findall(lines[at])
        left_over = _TOKEN.sub("", lines[at]).replace(",", "").strip()
        assert not left_over, f"not understood: {left_over!r} in {lines[at]}"
        at += 1
        if not all(_holds(node.facts, *token) for token in tokens if token[2] in ("==", "!=")):
            continue
        for key, attribute, operator, value in tokens:
            if operator in ("==", "!="):
                continue
            match key:
                case "GOTO":
                    at = next(number for number, line in enumerate(lines) if line == f'LABEL="{value}"')
                case "GROUP":
                    node.group = value
                case "MODE":
                    node.mode = int(value, 8)
                case "SYMLINK":
                    node.links.append(value)
                case "ENV":
                    node.facts[f"ENV{{{attribute}}}"] = value
                case _:
                    assert key == "LABEL", key
    return node


def _holds(facts: Mapping[str, str], key: str, attribute: str, operator: str, value: str) -> bool:
    # The plural keys look at the parents too; the facts here are those of the right parent already.
    name = key.removesuffix("S") if key in ("SUBSYSTEMS", "ATTRS") else key
    found = facts.get(f"{key}{{{attribute}}}" if attribute else key, facts.get(name, ""))
    matches = any(fnmatchcase(found, pattern) for pattern in value.split("|"))
    return matches if operator == "==" else not matches


def usb_port(name: str, usb_id: str, interface: str) -> dict[str, str]:
    return {
        "SUBSYSTEM": "tty",
        "KERNEL": name,
        "SUBSYSTEMS": "usb",
        "ATTRS{idVendor}": usb_id[:4],
        "ATTRS{idProduct}": usb_id[5:],
        "ENV{ID_USB_INTERFACE_NUM}": interface,
    }


def unit_group() -> str:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(UNIT)
    return parser["Service"]["SupplementaryGroups"]


def allowed() -> list[str]:
    return re.findall(r"^DeviceAllow=char-(\S+) rw$", UNIT, flags=re.MULTILINE)


@pytest.mark.parametrize("name", ["wwan0at0", "wwan0at1", "wwan12at3"])
def test_at_ports_of_a_pcie_modem_can_be_opened_by_the_group_of_the_unit(name: str) -> None:
    node = apply(RULES, {"SUBSYSTEM": "wwan", "KERNEL": name})
    assert node.may_be_opened_by(unit_group())
    assert node.mode & 0o007 == 0
    assert "wwan_port" in allowed()


@pytest.mark.parametrize("name", ["wwan0qmi0", "wwan0mbim0", "wwan0firehose0", "wwan0xmmrpc0", "wwan0", "wwan0qcdm0"])
def test_other_ports_of_a_pcie_modem_stay_with_root(name: str) -> None:
    node = apply(RULES, {"SUBSYSTEM": "wwan", "KERNEL": name})
    assert (node.group, node.mode) == ("root", 0o600)


def test_the_second_at_port_of_a_usb_modem_is_the_agents_and_no_other_is_touched() -> None:
    node = apply(RULES, usb_port("ttyUSB3", "2c7c:0125", "03"))
    assert node.may_be_opened_by(unit_group())
    assert node.links == ["ipad-agent-modem"]
    assert node.facts["ENV{ID_MM_PORT_IGNORE}"] == "1"
    other = apply(RULES, usb_port("ttyUSB2", "2c7c:0125", "02"))
    assert (other.group, other.links) == ("root", []), "left to systemd's own rules"


def test_the_rules_are_those_of_the_module_profiles() -> None:
    spec = importlib.util.spec_from_file_location("gen_udev_rules", ROOT / "tools" / "gen_udev_rules.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.updated(RULES) == RULES, "run tools/gen_udev_rules.py"


def test_every_port_of_every_known_modem_is_given_away_only_where_its_profile_knows_a_second_at_port() -> None:
    given = 0
    for profile in load([ROOT / "hw" / "modems"]).profiles:
        for ports in profile.usb_ports:
            for usb_id in ports.ids:
                for interface in range(16):
                    node = apply(RULES, usb_port("ttyUSB0", usb_id, f"{interface:02x}"))
                    if node.links:
                        given += 1
                        assert interface == ports.second_at_interface, usb_id
    assert given >= 25


@pytest.mark.parametrize("usb_id", ["2c7c:0128", "2c7c:0700", "2c7c:0901", "1199:9071", "1a86:7523"])
def test_a_modem_with_one_at_port_or_of_which_it_is_not_known_gets_no_rule(usb_id: str) -> None:
    assert not any(apply(RULES, usb_port("ttyUSB0", usb_id, f"{number:02x}")).links for number in range(16))


def test_nothing_is_done_when_a_port_goes() -> None:
    assert apply(RULES, {"ACTION": "remove", "SUBSYSTEM": "wwan", "KERNEL": "wwan0at0"}).group == "root"


def test_every_kind_of_port_that_the_unit_allows_can_be_opened_by_its_group() -> None:
    assert unit_group() == "dialout"
    for kind in set(allowed()) - {"wwan_port"}:
        assert any(fnmatchcase(f"{kind}0", pattern) for pattern in SYSTEMD_TTYS), kind


def test_the_header_tells_to_trigger_every_subsystem_that_has_a_rule() -> None:
    for subsystem in re.findall(r'^SUBSYSTEM[!=]="(\w+)"', RULES, flags=re.MULTILINE):
        assert f"--subsystem-match={subsystem}" in RULES
