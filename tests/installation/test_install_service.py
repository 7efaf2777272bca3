"""``ipad-agent install-service`` on a system below a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ipad_agent.cli.ipad_agent_command import run
from ipad_agent.installation import program_place, reload_steps, service_files, service_installation
from ipad_agent.installation.errors import InstallationError
from ipad_agent.installation.file_receipt import RECEIPT
from ipad_agent.installation.reload_steps import AFTER_INSTALLING, Step, take
from ipad_agent.installation.service_files import CONFIG, RESTART_STEPS, UNIT
from ipad_agent.installation.service_installation import Installation

TREE = Path(__file__).resolve().parents[2]
PROGRAM = Path("/opt/pipx/venvs/ipad-agent/bin/ipad-agent")


class Device:
    """A system with systemd and a program, which nobody runs."""

    def __init__(self, root: Path, release: int = 257) -> None:
        self.root = root
        self.said: list[str] = []
        self.put(f"/usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-{release}.so", "")
        self.put(str(PROGRAM), "#!/bin/sh\n").chmod(0o755)
        for folder in root.rglob("*/"):
            folder.chmod(0o755)
        root.chmod(0o755)

    def put(self, place: str, text: str) -> Path:
        path = self.at(place)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def at(self, place: str) -> Path:
        return self.root / place.lstrip("/")

    def installation(self, **others: Any) -> Installation:
        wanted: dict[str, Any] = {"program": PROGRAM, "completions": {"bash": "complete\n"}} | others
        return Installation("1.0", b"# first\n", self.root, say=self.said.append, **wanted)

    def files(self) -> dict[str, bytes]:
        found = sorted(path for path in self.root.rglob("*") if path.is_file())
        return {"/" + str(path.relative_to(self.root)): path.read_bytes() for path in found}


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path / "root")


def test_every_file_of_the_service_is_put_in_its_place_and_said(device: Device) -> None:
    before = device.files()
    assert device.installation().install()
    new = sorted(device.files().keys() - before.keys() - {RECEIPT})
    assert new == sorted(
        [
            "/etc/dbus-1/system.d/io.github.ipadagent1.conf",
            "/etc/dbus-1/system.d/io.github.ipadagent1.named.conf",
            "/etc/ipad-agent/config.toml",
            *(f"/etc/systemd/system/{path.name}" for path in (TREE / "systemd").glob("*.service")),
            *(f"/etc/systemd/system/{path.name}" for path in (TREE / "systemd").glob("*.socket")),
            "/etc/systemd/system/ipad-agent.service.d/10-restart-steps.conf",
            "/etc/systemd/system/ipad-agent@.service.d/10-restart-steps.conf",
            "/etc/sysusers.d/ipad-agent.conf",
            "/etc/tmpfiles.d/ipad-agent.conf",
            "/etc/udev/rules.d/99-ipad-agent.rules",
            "/usr/local/share/bash-completion/completions/ipactl",
            *(f"/usr/local/share/ipad-agent/modemmanager/{path.name}" for path in (TREE / "hw/modemmanager").iterdir()),
            *(
                f"/usr/local/share/man/man{path.suffix[1:]}/{path.name}"
                for path in (TREE / "packaging").glob("*.[1-8]")
            ),
            "/usr/share/polkit-1/actions/io.github.ipadagent1.policy",
        ]
    )
    for place in new:
        assert f"wrote      {place}" in device.said
        assert device.at(place).stat().st_mode & 0o777 == 0o644


def test_the_unit_starts_the_program_where_it_really_is(device: Device) -> None:
    device.installation().install()
    unit = device.at(UNIT).read_text()
    assert f"\nExecStart={PROGRAM} run --config {CONFIG}\n" in unit
    assert unit.replace(str(PROGRAM), "/usr/bin/ipad-agent") == (TREE / "systemd" / "ipad-agent.service").read_text()


def test_doing_it_again_changes_nothing(device: Device) -> None:
    device.installation().install()
    before, when = device.files(), device.at(UNIT).stat().st_mtime_ns
    device.said.clear()
    assert device.installation().install()
    assert device.files() == before
    assert device.at(UNIT).stat().st_mtime_ns == when
    assert not [line for line in device.said if line.startswith("wrote")]


def test_a_dry_run_says_what_would_be_written_and_writes_nothing(device: Device) -> None:
    before = device.files()
    assert device.installation(dry_run=True).install()
    assert device.files() == before
    assert f"would write {UNIT}" in device.said


def test_a_configuration_that_is_there_is_left_alone(device: Device) -> None:
    device.put(CONFIG, "[modem]\n")
    device.installation().install()
    assert device.at(CONFIG).read_text() == "[modem]\n"
    assert f"left alone {CONFIG} (it is yours)" in device.said


def test_a_configuration_that_is_a_dangling_link_is_left_alone(device: Device) -> None:
    device.at(CONFIG).parent.mkdir(parents=True)
    device.at(CONFIG).symlink_to("/data/config.toml")
    device.installation().install()
    assert os.readlink(device.at(CONFIG)) == "/data/config.toml"


def test_a_file_that_was_changed_by_hand_is_kept_beside_the_new_one(device: Device) -> None:
    device.installation().install()
    device.put(UNIT, "mine\n")
    device.installation().install()
    assert device.at(f"{UNIT}.old").read_text() == "mine\n"
    assert f"ExecStart={PROGRAM}" in device.at(UNIT).read_text()


def test_files_of_somebody_else_are_not_taken(device: Device) -> None:
    device.put("/etc/udev/rules.d/99-ipad-agent.rules", "# of the site\n")
    before = device.files()
    with pytest.raises(InstallationError, match=r"99-ipad-agent\.rules: there already"):
        device.installation().install()
    assert device.files() == before


def test_nothing_is_installed_beside_a_package_of_the_distribution(device: Device) -> None:
    device.put("/usr/lib/systemd/system/ipad-agent.service", "")
    with pytest.raises(InstallationError, match=r"/usr/lib/systemd/system/ipad-agent\.service: there"):
        device.installation().install()


def test_an_installation_that_was_cut_off_goes_on_where_it_ended(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.replace
    written: list[Path] = []

    def full_after_three(path: Path, target: Path) -> Path:
        if len(written) == 3:
            raise OSError(28, "No space left on device", str(target))
        written.append(target)
        return real(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full_after_three)
        with pytest.raises(InstallationError, match="No space left"):
            device.installation().install()
    assert not [path for path in device.files() if path.rsplit("/", 1)[1].startswith(".")], "no half file is left"
    assert device.installation().install()
    assert not [path for path in device.files() if path.endswith(".old")]
    assert device.installation().remove()
    assert not device.at(UNIT).exists()


def test_older_systemd_gets_no_keys_that_it_does_not_know(tmp_path: Path) -> None:
    old = Device(tmp_path / "old", release=252)
    old.installation().install()
    assert not [path for path in old.files() if path.endswith(RESTART_STEPS)]


def test_a_system_without_systemd_is_told_so(tmp_path: Path) -> None:
    device = Device(tmp_path / "root", release=0)
    device.at("/usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-0.so").unlink()
    with pytest.raises(InstallationError, match="no systemd"):
        device.installation().install()


def test_a_file_that_is_no_longer_part_of_the_service_goes_with_the_next_version(device: Device) -> None:
    device.installation(completions={"bash": "x", "fish": "y"}).install()
    device.installation().install()
    assert not [path for path in device.files() if path.endswith("ipactl.fish")]


def test_removing_leaves_what_is_the_devices_own(device: Device) -> None:
    before = device.files()
    device.installation().install()
    device.put("/var/lib/ipad-agent/journal", "owed")
    assert device.installation().remove()
    assert device.files() == before | {CONFIG: b"# first\n", "/var/lib/ipad-agent/journal": b"owed"}
    assert not device.at(f"{UNIT}.d").exists()
    assert not device.at("/usr/local/share/ipad-agent").exists()
    assert device.installation().remove()
    assert device.said[-1] == "Nothing was installed here by install-service."


def test_removing_leaves_a_file_that_was_changed_by_hand(device: Device) -> None:
    device.installation().install()
    device.put("/etc/udev/rules.d/99-ipad-agent.rules", "# mine\n")
    device.installation().remove()
    assert device.at("/etc/udev/rules.d/99-ipad-agent.rules").read_text() == "# mine\n"


@pytest.mark.parametrize(
    ("program", "word"),
    [
        ("/root/.local/bin/ipad-agent", "home folders are hidden"),
        ("/home/pi/.local/bin/ipad-agent", "home folders are hidden"),
        ("/tmp/x/ipad-agent", "a /tmp of its own"),
        ("/opt/with space/ipad-agent", "cannot be written into a unit"),
        ("/opt/none/ipad-agent", "no program"),
    ],
)
def test_a_program_that_the_service_could_not_start_is_refused(device: Device, program: str, word: str) -> None:
    if word != "no program":
        device.put(program, "").chmod(0o755)
    before = device.files()
    with pytest.raises(InstallationError, match=word) as refused:
        device.installation(program=Path(program)).install()
    assert refused.value.hint
    assert device.files() == before


def test_a_program_in_a_folder_that_is_closed_to_others_is_refused(device: Device) -> None:
    device.at("/opt/pipx").chmod(0o700)
    with pytest.raises(InstallationError, match=r"opt/pipx is closed"):
        device.installation().install()


def test_a_python_in_a_home_folder_is_refused(device: Device) -> None:
    with pytest.raises(InstallationError, match="its Python is /root/"):
        program_place.check_place(PROGRAM, device.root, Path("/root/.pyenv/bin/python3.11"))


def test_only_root_may_change_the_running_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(InstallationError, match="only root"):
        Installation("1.0").install()
    with pytest.raises(InstallationError, match="only root"):
        Installation("1.0").remove()


def test_the_user_is_made_before_the_bus_and_systemd_hear_of_it_and_udev_comes_last(tmp_path: Path) -> None:
    ran: list[str] = []

    def record(command: Sequence[str]) -> None:
        ran.append(command[0] if command[0] != "systemctl" else " ".join(command[:2]))

    steps = [Step(step.command, str(tmp_path)) for step in AFTER_INSTALLING]
    assert take(steps, record, lambda _: None, dry_run=False)
    assert ran == ["systemd-sysusers", "systemd-tmpfiles", "busctl", "systemctl daemon-reload", "udevadm", "udevadm"]


def test_a_step_that_fails_is_told_and_the_others_are_done(tmp_path: Path) -> None:
    said: list[str] = []
    steps = [Step(("busctl",), str(tmp_path)), Step(("systemctl",), str(tmp_path)), Step(("udevadm",), "/nowhere/at")]
    assert not take(steps, lambda command: "refused" if command[0] == "busctl" else None, said.append, dry_run=False)
    assert said == [
        "FAILED     busctl: refused",
        "ran        systemctl",
        "skipped    udevadm (there is no /nowhere/at)",
    ]


def test_a_dry_run_of_the_steps_runs_none(tmp_path: Path) -> None:
    def never(_: Sequence[str]) -> None:
        raise AssertionError

    assert take([Step(("busctl",), str(tmp_path))], never, lambda _: None, dry_run=True)


def test_a_complaint_is_the_last_word_of_the_program() -> None:
    assert reload_steps.run_command(["true"]) is None
    assert "nosuchfile" in (reload_steps.run_command(["ls", "/nosuchfile"]) or "")
    assert reload_steps.run_command(["no-such-program"]) == "there is no such program"


def test_a_new_version_of_the_program_restarts_a_running_service(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the running system, which here is the device's folder; what would be run is only noted."""
    monkeypatch.setattr(service_installation, "SYSTEM", device.root)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    ran: list[str] = []

    def note(steps: Sequence[Step], *_: object, **__: object) -> bool:
        ran.extend(" ".join(step.command) for step in steps)
        return True

    monkeypatch.setattr(service_installation, "take", note)
    restart = " ".join(
        (
            "systemctl",
            "try-restart",
            *(path.name.replace("@.", "@*.") for path in sorted((TREE / "systemd").glob("*.service"))),
        )
    )
    device.installation().install()
    assert ran[-1] == restart, "the unit is new"
    ran.clear()
    device.installation().install()
    assert restart not in ran, "nothing is new"
    ran.clear()
    Installation("1.1", b"", device.root, PROGRAM, {"bash": "complete\n"}, say=device.said.append).install()
    assert ran[-1] == restart
    ran.clear()
    device.installation().remove()
    assert ran[0].startswith("systemctl disable --now ipad-agent")
    assert "busctl" in ran[3]


def test_every_unit_that_came_with_the_program_is_stopped_before_it_goes(
    device: Device, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    for name in ("systemd", "hw", "packaging"):
        shutil.copytree(TREE / name, tree / name)
    (tree / "systemd" / "ipad-agent-other.socket").write_text("[Socket]\nListenStream=/run/other\n")
    (tree / "systemd" / "ipad-agent-other.service").write_text("[Service]\nExecStart=/usr/bin/ipad-agent-other\n")
    monkeypatch.setattr(service_files, "packaged", lambda name: tree / name)
    monkeypatch.setattr(service_installation, "SYSTEM", device.root)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    ran: list[tuple[str, ...]] = []

    def note(steps: Sequence[Step], *_: object, **__: object) -> bool:
        ran.extend(step.command for step in steps)
        return True

    monkeypatch.setattr(service_installation, "take", note)
    device.installation().install()
    assert device.at("/etc/systemd/system/ipad-agent-other.service").read_text() == (
        f"[Service]\nExecStart={PROGRAM.parent}/ipad-agent-other\n"
    )
    assert ran[-1][:2] == ("systemctl", "try-restart")
    assert {"ipad-agent.service", "ipad-agent-other.service"} <= set(ran[-1])
    assert "ipad-agent-other.socket" not in ran[-1]
    assert "ipad-agent@*.service" in ran[-1]
    assert not [word for word in ran[-1] if "@." in word]
    ran.clear()
    device.installation().remove()
    assert ran[0][:3] == ("systemctl", "disable", "--now")
    assert {"ipad-agent.service", "ipad-agent-other.service", "ipad-agent-other.socket"} <= set(ran[0])
    assert not [word for word in ran[0] if "@" in word], "a template cannot be stopped"
    assert ran[1] == ("systemctl", "disable", "ipad-agent@.service")
    assert ran[2] == ("systemctl", "stop", "ipad-agent@*.service")
    assert not device.at("/etc/systemd/system/ipad-agent-other.socket").exists()


def test_the_command_says_what_is_wrong_and_ends_with_one(device: Device, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["install-service", "--root", str(device.root), "--program", "/root/ipad-agent"]) == 1
    assert "there is no program" in capsys.readouterr().err
    assert run(["install-service", "--root", str(device.root), "--program", str(PROGRAM)]) == 0
    assert run(["remove-service", "--root", str(device.root)]) == 0
    assert "removed    /etc/systemd/system/ipad-agent.service" in capsys.readouterr().out


def test_the_completions_that_are_installed_are_those_of_the_command(device: Device) -> None:
    assert run(["install-service", "--root", str(device.root), "--program", str(PROGRAM)]) == 0
    told = subprocess.run(
        [sys.executable, "-m", "ipad_agent.cli.ipactl", "completion", "bash"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert device.at("/usr/local/share/bash-completion/completions/ipactl").read_text() == told
