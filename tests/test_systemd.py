from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ipad_agent import agent_names
from ipad_agent.config import DEFAULT_PATH, Config, loads

FOLDER = Path(__file__).parent.parent / "systemd"
UNIT = FOLDER / "ipad-agent.service"


def run(*command: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which(command[0])
    assert program is not None, f"{command[0]} is needed: tools/system-packages.sh installs it"
    return subprocess.run(
        [program, *command[1:]], capture_output=True, text=True, timeout=60, check=False
    )  # fixed commands


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that exists on every machine, as systemd-analyze insists on."""
    text = UNIT.read_text()
    replaced = re.sub(r"^ExecStart=/usr/bin/ipad-agent", "ExecStart=/bin/true", text, flags=re.MULTILINE)
    assert replaced != text
    path = tmp_path / UNIT.name
    path.write_text(replaced)
    return path


def settings(path: Path = UNIT) -> dict[str, list[str]]:
    """Every assignment of a unit; several of one name in order."""
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def test_systemd_accepts_the_unit_without_a_word(unit: Path) -> None:
    result = run("systemd-analyze", "verify", str(unit))
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def test_verification_notices_a_wrong_key(unit: Path) -> None:
    unit.write_text(unit.read_text().replace("ProtectHome=", "ProtectHouse="))
    result = run("systemd-analyze", "verify", str(unit))
    assert "ProtectHouse" in result.stderr


def test_the_exposure_of_the_service_is_two_at_most(unit: Path) -> None:
    result = run("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", str(unit))
    assert result.returncode == 0, result.stdout
    assert "Overall exposure level" in result.stdout


def test_without_the_hardening_the_exposure_is_over_two(unit: Path) -> None:
    unit.write_text(re.sub(r"^(Protect|Restrict|Capability|NoNew|SystemCall).*\n", "", unit.read_text(), flags=re.M))
    assert run("systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit)).returncode != 0


def test_a_service_that_fails_is_started_again_for_ever() -> None:
    found = settings()
    assert found["Restart"] == ["on-failure"]
    assert found["StartLimitIntervalSec"] == ["0"]
    assert found["Type"] == ["notify"]
    assert found["WatchdogSec"] == ["60"]


def test_keys_that_debian_12_does_not_know_stay_in_the_drop_in() -> None:
    newer = {"RestartSteps", "RestartMaxDelaySec"}
    assert not newer & set(settings())
    assert newer == set(settings(FOLDER / "ipad-agent.service.d" / "10-restart-steps.conf"))


def test_paths_of_the_unit_are_those_the_configuration_has_by_default() -> None:
    found, config = settings(), Config()
    assert f"--config {DEFAULT_PATH}" in found["ExecStart"][0]
    assert Path("/var/lib", found["StateDirectory"][0]) == config.store.state_dir
    assert Path("/run", found["RuntimeDirectory"][0]) == config.store.runtime_dir
    assert Path("/etc", found["ConfigurationDirectory"][0]) == DEFAULT_PATH.parent
    assert found["ReadWritePaths"] == [f"-{config.modem.lock_dir}"]
    assert found["StateDirectoryMode"] == ["0700"]


def test_the_agent_can_read_the_boot_id_and_make_its_callbacks_under_the_hardening() -> None:
    found = settings()
    assert "ProcSubset" not in found, "the boot id is in /proc/sys"
    assert "MemoryDenyWriteExecute" not in found, "pyOpenSSL's callbacks fail with the cffi of the wheels"
    assert "PrivateDevices" not in found, "serial ports are real devices"


def test_only_serial_ports_are_allowed_as_devices() -> None:
    found = settings()
    assert found["DevicePolicy"] == ["closed"]
    assert {value.split()[0] for value in found["DeviceAllow"]} >= {"char-ttyUSB", "char-ttyACM", "char-ttyS"}
    assert all(re.fullmatch(r"char-(tty|wwan_)\w+ rw", value) for value in found["DeviceAllow"])


def test_the_user_of_the_unit_is_made_by_sysusers_and_may_use_serial_ports() -> None:
    sysusers = FOLDER / "ipad-agent.sysusers"
    lines = [line.split() for line in sysusers.read_text().splitlines() if line and not line.startswith("#")]
    found = settings()
    assert ["u", found["User"][0], "-"] == lines[0][:3]
    assert ["m", found["User"][0], found["SupplementaryGroups"][0]] in lines
    result = run("systemd-sysusers", "--dry-run", str(sysusers))
    assert result.returncode == 0, result.stderr
    assert "ignoring" not in result.stderr


def test_tmpfiles_lines_are_complete_and_name_known_places() -> None:
    lines = [
        line.split()
        for line in (FOLDER / "ipad-agent.tmpfiles").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert {line[1] for line in lines} == {"/etc/ipad-agent", "/etc/ipad-agent/keys", str(Config().modem.lock_dir)}
    assert all(len(line) == 6 and line[0] == "d" and re.fullmatch(r"[01][0-7]{3}", line[2]) for line in lines)


def test_every_file_for_systemd_is_one_that_packages_install() -> None:
    readme = (FOLDER.parent / "packaging" / "README.md").read_text()
    for path in FOLDER.rglob("*"):
        if path.is_file():
            assert path.relative_to(FOLDER.parent).as_posix() in readme
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # the documented way to keep the case of keys
    parser.read(UNIT)
    assert parser.sections() == ["Unit", "Service", "Install"]


def test_the_unit_for_several_modems_differs_only_where_it_names_its_modem() -> None:
    one, named = UNIT.read_text().splitlines(), (FOLDER / "ipad-agent@.service").read_text().splitlines()
    assert len(one) == len(named)
    different = {a.partition("=")[0]: b.partition("=")[2] for a, b in zip(one, named, strict=True) if a != b}
    assert different == {
        "Description": "eSIM IoT profile assistant (GSMA SGP.32 IPAd) for the modem %i",
        "ExecStart": "/usr/bin/ipad-agent run --modem %i --config /etc/ipad-agent/%i.toml",
        "StateDirectory": "ipad-agents/%i",
        "RuntimeDirectory": "ipad-agents/%i",
    }
    drop_ins = [FOLDER / f"ipad-agent{name}.service.d" / "10-restart-steps.conf" for name in ("", "@")]
    assert drop_ins[0].read_text() == drop_ins[1].read_text()


def test_systemd_accepts_the_unit_for_several_modems_without_a_word(tmp_path: Path) -> None:
    text = (FOLDER / "ipad-agent@.service").read_text().replace("/usr/bin/ipad-agent", "/bin/true")
    (tmp_path / "ipad-agent@.service").write_text(text)
    result = run("systemd-analyze", "verify", str(tmp_path / "ipad-agent@roof.service"))
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def test_the_folders_of_a_named_agent_are_those_that_its_unit_makes() -> None:
    found = settings(FOLDER / "ipad-agent@.service")
    config = loads(b"", agent_names.file_of("roof"), modem="roof")
    assert Path("/var/lib", found["StateDirectory"][0].replace("%i", "roof")) == config.store.state_dir
    assert Path("/run", found["RuntimeDirectory"][0].replace("%i", "roof")) == config.store.runtime_dir
    assert str(agent_names.file_of("%i")) in found["ExecStart"][0]
