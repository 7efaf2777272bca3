"""``make install`` into an empty folder: what is where, what it says, and that it works and goes away again."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ipad_agent import __version__

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "packaging" / "README.md").read_text(encoding="utf-8")

Ran = subprocess.CompletedProcess[str]


def make(target: str, folder: Path, **variables: str) -> Ran:
    words = [
        f"{name}={value}" for name, value in {"DESTDIR": str(folder), "PYTHON": sys.executable, **variables}.items()
    ]
    ran = subprocess.run(["make", "-C", str(ROOT), target, *words], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran


def files(folder: Path) -> set[str]:
    return {f"/{path.relative_to(folder)}" for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As a distribution's package is made."""
    folder = tmp_path_factory.mktemp("image")
    make("install", folder, PREFIX="/usr", RESTART_STEPS="yes")
    return folder


def command(folder: Path, name: str, *words: str, prefix: str = "/usr") -> Ran:
    """Run an installed command where it lies: with the folders of its launcher below ``folder``."""
    launcher = (folder / prefix[1:] / "bin" / name).read_text(encoding="utf-8")
    here = launcher.replace(f'"{prefix}/lib', f'"{folder}{prefix}/lib').partition("\n")[2]
    # -S: the test environment's own copy of the package must not answer for this one. Libraries are not needed so far.
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", here, *words], capture_output=True, text=True, check=False, cwd="/"
    )


def test_everything_that_the_page_lists_is_installed_and_nothing_else(installed: Path) -> None:
    listed = re.findall(r"^\| [^|]*`[^|]* \| `(/[^`]*)` \|", PAGE, flags=re.MULTILINE)
    there = files(installed)
    assert listed
    for place in listed:
        assert any(name == place or (place.endswith("/") and name.startswith(place)) for name in there), place
    known = tuple(place for place in listed if place.endswith("/"))
    assert {name for name in there if name not in listed and not name.startswith(known)} == set()


def test_the_python_package_is_whole(installed: Path) -> None:
    tracked = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "ipad_agent"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert tracked
    assert {f"/usr/lib/ipad-agent/{name}" for name in tracked} <= files(installed)
    assert not [name for name in files(installed) if "__pycache__" in name], "bytecode is made where it runs"


def test_modes_are_those_of_programs_and_data_whatever_the_umask(installed: Path) -> None:
    for path in installed.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        if path.is_file():
            assert mode == (0o755 if path.parent.name == "bin" else 0o644), path


def test_commands_are_those_of_the_python_package_and_run(installed: Path) -> None:
    scripts = re.findall(r'^([a-z-]+) = "ipad_agent', (ROOT / "pyproject.toml").read_text(), flags=re.MULTILINE)
    assert {path.name for path in (installed / "usr/bin").iterdir()} == set(scripts)
    for name in ("ipactl", "ipad-agent"):
        assert command(installed, name, "--version").stdout == f"{name} {__version__}\n"


def test_commands_do_not_listen_to_the_environment(installed: Path) -> None:
    for path in (installed / "usr/bin").iterdir():
        assert path.read_text().splitlines()[0] == "#!/usr/bin/python3 -I"


def test_the_configuration_has_every_key_and_changes_nothing(installed: Path) -> None:
    config = installed / "etc/ipad-agent/config.toml"
    assert command(installed, "ipad-agent", "check-config", str(config)).stdout == f"{config}: fine\n"


def test_another_prefix_is_written_into_unit_and_commands(tmp_path: Path) -> None:
    make("install", tmp_path, PREFIX="/opt/ipad", LAB="no")
    unit = (tmp_path / "etc/systemd/system/ipad-agent.service").read_text()
    assert "\nExecStart=/opt/ipad/bin/ipad-agent run --config /etc/ipad-agent/config.toml\n" in unit
    assert "/usr/bin" not in unit
    assert (tmp_path / "etc/dbus-1/system.d/io.github.ipadagent1.conf").exists()
    assert command(tmp_path, "ipactl", "--version", prefix="/opt/ipad").returncode == 0
    found = command_python(tmp_path / "opt/ipad/lib/ipad-agent", _PROFILES)
    assert found == f"{tmp_path}/opt/ipad/share/ipad-agent/modems\n"


_PROFILES = """
from ipad_agent.modem.module_profile_files import search_path
print(next(folder for folder in search_path() if folder.is_dir()))
"""


def command_python(modules: Path, program: str) -> str:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(modules)}
    return subprocess.run(
        [sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True, env=environment, cwd="/"
    ).stdout


def test_without_the_lab_the_daemon_is_whole_and_the_lab_says_where_it_is(tmp_path: Path) -> None:
    make("install", tmp_path, PREFIX="/usr", LAB="no")
    assert not [name for name in files(tmp_path) if "/lab/" in name or "/torture/" in name or "/demo" in name]
    assert command(tmp_path, "ipad-agent", "check-config", "/dev/null").returncode == 0
    for words in (["demo"], ["demo", "--plain"], ["lab", "up", "--json"]):
        ran = command(tmp_path, "ipad-agent", *words)
        assert (ran.returncode, ran.stdout) == (1, "")
        assert "ipad-agent-lab" in ran.stderr


def test_without_the_web_page_nothing_of_it_is_installed_and_the_daemon_is_whole(tmp_path: Path) -> None:
    make("install", tmp_path, PREFIX="/usr", LAB="no", WEB="no")
    assert not [name for name in files(tmp_path) if "/web/" in name or "ipad-agent-web" in name]
    assert "/usr/lib/systemd/system/ipad-agent.service" in files(tmp_path)
    assert command(tmp_path, "ipad-agent", "check-config", "/dev/null").returncode == 0


def test_growing_restart_delays_are_installed_only_where_systemd_knows_them(tmp_path: Path, installed: Path) -> None:
    drop_in = "/usr/lib/systemd/system/ipad-agent.service.d/10-restart-steps.conf"
    assert drop_in in files(installed)
    make("install", tmp_path, PREFIX="/usr")
    assert drop_in not in files(tmp_path), "unknown for a staged tree, so left out"


def test_installing_again_keeps_the_configuration(tmp_path: Path) -> None:
    make("install", tmp_path, PREFIX="/usr", LAB="no")
    config = tmp_path / "etc/ipad-agent/config.toml"
    config.write_text("# mine\n")
    make("install", tmp_path, PREFIX="/usr", LAB="no")
    assert config.read_text() == "# mine\n"


def test_uninstalling_leaves_the_configuration_alone_and_nothing_else(tmp_path: Path) -> None:
    make("install", tmp_path, PREFIX="/usr", RESTART_STEPS="yes", BYTECODE="yes")
    stranger = tmp_path / "usr/lib/udev/rules.d/10-other.rules"
    stranger.write_text("")
    make("uninstall", tmp_path, PREFIX="/usr")
    assert files(tmp_path) == {"/etc/ipad-agent/config.toml", "/usr/lib/udev/rules.d/10-other.rules"}
    assert not [path for path in tmp_path.rglob("*ipad*") if path.is_dir() and path != tmp_path / "etc/ipad-agent"]


def test_installing_needs_no_library_and_no_network(tmp_path: Path) -> None:
    """A packager's build machine has Python and nothing of ours: -S hides whatever is installed."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    python.chmod(0o755)
    unshare = shutil.which("unshare")
    words = ["make", "-C", str(ROOT), "install", f"DESTDIR={tmp_path}/image", "PREFIX=/usr", f"PYTHON={python}"]
    if unshare and os.geteuid() == 0:
        words = [unshare, "--net", *words]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_completions_and_manual_pages_are_of_this_version(installed: Path) -> None:
    share = installed / "usr/share"
    assert "complete -F _ipactl ipactl" in (share / "bash-completion/completions/ipactl").read_text()
    assert (share / "zsh/site-functions/_ipactl").read_text().startswith("#compdef ipactl\n")
    assert "complete -c ipactl" in (share / "fish/vendor_completions.d/ipactl.fish").read_text()
    assert {path.name for path in (share / "man").rglob("*.?")} == {"ipactl.1", "ipad-agent.8", "ipad-agent-web.8"}
