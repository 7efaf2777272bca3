"""A Debian that boots in a container, for the packages: a chroot below, an overlay that is thrown away above.

The container has no network but its loopback: what apt needs was fetched before. As root only.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

Ran = subprocess.CompletedProcess[str]


class MachineError(AssertionError):
    """A command in the machine failed, or what was waited for did not come; with what was said."""


class Machine:
    """``base`` is a chroot made by tools/debian-chroot.sh with systemd in it; ``folder`` takes all that changes."""

    def __init__(self, base: Path, folder: Path) -> None:
        self.base = base
        self.folder = folder
        self.root = folder / "root"
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def make(self) -> None:
        """The file system, not booted yet."""
        for name in ("upper", "work", "root"):
            (self.folder / name).mkdir(parents=True)
        options = f"lowerdir={self.base},upperdir={self.folder}/upper,workdir={self.folder}/work"
        _run("mount", "-t", "overlay", "overlay", "-o", options, str(self.root))
        # In a chroot no service may start; here they shall.
        (self.root / "usr/sbin/policy-rc.d").unlink(missing_ok=True)

    def remove(self) -> None:
        """Stop it and forget everything that changed."""
        if self._nspawn is not None and self._nspawn.poll() is None:
            self._nspawn.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._nspawn.wait(60)
            self._nspawn.kill()
        _run("umount", "--lazy", str(self.root), check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def fetch(self, *packages: str) -> None:
        """Let apt download these with all they need, so that installing needs no network."""
        script = 'mount -t proc proc "$0/proc"; chroot "$0" apt-get update -qq; '
        script += 'chroot "$0" apt-get install -y -qq --download-only "$@"'
        _run("unshare", "--mount", "sh", "-ec", script, str(self.root), *packages)

    def boot(self, deadline_s: float = 180) -> None:
        """Start its systemd and wait until everything that starts at boot has started or failed."""
        environment = os.environ | {"UNIFIED_CGROUP_HIERARCHY": "1", "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
        log = (self.folder / "console.log").open("ab")
        self._nspawn = subprocess.Popen(
            [
                *("systemd-nspawn", "--boot", "--register=no", "--keep-unit", "--private-network", "--link-journal=no"),
                *("--resolv-conf=off", "--timezone=off", "--console=read-only", f"--machine=ipad-{os.getpid()}"),
                f"--directory={self.root}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
        )
        until(lambda: bool(self._find_leader()), "the container's first process", deadline_s=30)
        until(lambda: "running" in (said := self.state()) or "degraded" in said, "the end of the boot", deadline_s)

    def state(self) -> str:
        return self.run("systemctl", "is-system-running", check=False).stdout

    def power_off(self) -> None:
        """In good order."""
        assert self._nspawn is not None
        self.run("systemctl", "poweroff", check=False)
        self._nspawn.wait(120)
        self._leader = 0

    def run(self, *words: str, check: bool = True, deadline_s: float = 300) -> Ran:
        """Run a command in the booted machine as root, with a technician's environment."""
        into = ["nsenter", "-t", str(self._find_leader()), "-m", "-u", "-i", "-n", "-p", "-C"]
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        environment = ["env", "-i", path, "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"]
        return _run(*into, *environment, *words, check=check, deadline_s=deadline_s)

    def sh(self, script: str, *, check: bool = True) -> str:
        """What a shell script prints in there."""
        return self.run("sh", "-ec", script, check=check).stdout

    def json(self, *words: str) -> object:
        return json.loads(self.run(*words, check=False).stdout)

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)

    def property(self, unit: str, name: str) -> str:
        return self.run("systemctl", "show", "--property", name, "--value", unit).stdout.strip()

    def _find_leader(self) -> int:
        if not self._leader and self._nspawn is not None:
            ran = _run("pgrep", "-P", str(self._nspawn.pid), check=False)
            self._leader = int(ran.stdout.split()[0]) if ran.stdout.strip() else 0
        return self._leader


def _run(*words: str, check: bool = True, deadline_s: float = 600) -> Ran:
    ran = subprocess.run(
        words,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=deadline_s,
        stdin=subprocess.DEVNULL,
    )
    if check and ran.returncode != 0:
        raise MachineError(f"{_shown(words)}: {ran.returncode}\n{ran.stdout[-3000:]}\n{ran.stderr[-3000:]}")
    return ran


def _shown(words: Sequence[str]) -> str:
    return " ".join(words[words.index("DEBIAN_FRONTEND=noninteractive") + 1 :] if "env" in words else words)


def until(condition: Callable[[], bool], what: str, deadline_s: float = 120) -> None:
    """Ask again and again; the machine is another's, so there is no event to wait for."""
    began_s = time.monotonic()
    while not condition():
        if time.monotonic() - began_s > deadline_s:
            raise MachineError(f"waited {deadline_s:g} s in vain for {what}")
        time.sleep(0.5)
