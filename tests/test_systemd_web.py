"""The units of the web page: off by default, at the machine's own address, and with as little as possible to reach."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ipad_agent.config import Config
from ipad_agent.web import web_command

FOLDER = Path(__file__).parent.parent / "systemd"
NAMES = ("ipad-agent-web.service", "ipad-agent-web.socket")


@pytest.fixture
def units(tmp_path: Path) -> list[str]:
    """Both, with a program that exists on every machine, as systemd-analyze insists on."""
    for name in NAMES:
        text = (FOLDER / name).read_text()
        (tmp_path / name).write_text(text.replace("ExecStart=/usr/bin/ipad-agent-web", "ExecStart=/bin/true"))
    return [str(tmp_path / name) for name in NAMES]


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    assert program is not None, "systemd-analyze is needed: tools/system-packages.sh installs it"
    return subprocess.run([program, *words], capture_output=True, text=True, timeout=60, check=False)


def settings(name: str) -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(.*)$", (FOLDER / name).read_text(), re.M))


def test_systemd_accepts_the_units_without_a_word(units: list[str]) -> None:
    result = analyze("verify", *units)
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def test_the_exposure_of_the_page_is_below_one(units: list[str]) -> None:
    result = analyze("security", "--offline=true", "--no-pager", "--threshold=9", units[0])
    assert result.returncode == 0, result.stdout[-300:]
    text = Path(units[0]).read_text()
    Path(units[0]).write_text(re.sub(r"^(PrivateNetwork|Restrict|Protect|Capability).*\n", "", text, flags=re.M))
    assert analyze("security", "--offline=true", "--no-pager", "--threshold=9", units[0]).returncode != 0


def test_the_process_may_have_the_device_examined_and_may_not_act() -> None:
    service, local = settings(NAMES[0]), Config().local
    assert service["DynamicUser"] == "yes"
    assert service["Group"] == local.examine_group != local.control_group
    assert "SupplementaryGroups" not in service
    sysusers = (FOLDER / "ipad-agent.sysusers").read_text()
    assert re.search(rf"^g {local.examine_group} -$", sysusers, re.M)


def test_it_reaches_nothing_but_the_agents_socket() -> None:
    service = settings(NAMES[0])
    assert service["PrivateNetwork"] == "yes"
    assert service["RestrictAddressFamilies"] == "AF_UNIX"
    assert "PrivateUsers" not in service, "the agent would not know the group of the process"


def test_it_is_off_until_somebody_switches_it_on_and_then_at_home() -> None:
    assert "[Install]" not in (FOLDER / NAMES[0]).read_text()
    assert settings(NAMES[1])["ListenStream"] == web_command.LISTEN
    assert web_command.LISTEN.startswith("127.0.0.1:")


def test_the_command_of_the_unit_is_one() -> None:
    program, *words = settings(NAMES[0])["ExecStart"].split()
    assert program == "/usr/bin/ipad-agent-web"
    arguments = web_command._parser().parse_args([word for word in words if not word.startswith("$")])
    assert arguments.token_file == Path("%d/web-token")
    assert settings(NAMES[0])["LoadCredential"] == "web-token:/etc/ipad-agent/keys/web-token"
