"""Does what README says "On a gateway", word for word, on a Debian that boots.

    python tools/check_gateway.py SUITE NAME [FILE...]      as root; SUITE is bookworm or trixie

``NAME`` is that of a block of commands: a line ``<!-- run: NAME -->`` stands before it in one of ``PAGES``. Afterwards
the blocks ``NAME-upgrade`` and ``NAME-away`` are typed: the service has to run again, and to leave nothing of its own.
``FILE...`` are put into the folder in which the commands are typed: the wheel, or a package. Debian is made once by
tools/debian-chroot.sh in ``CHROOTS`` (default ``.chroots``); a copy of it boots under systemd-nspawn. Its modem is the
lab's, at ``/dev/ttyUSB2``, with the link that the udev rule makes; the card knows the lab's eIM, which listens on port
5684 of this machine. Whoever types answers apt with yes. At the end the answer of ``ipactl status`` is compared with
what the lab knows. No udev runs in a container: its part is only written.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from ipad_agent.installation.file_receipt import RECEIPT

ROOT: Final = Path(__file__).resolve().parents[1]
PAGES: Final = (
    *("README.md", "docs/upgrades.md"),
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("quick-start-*.md")),
)
UPGRADE: Final = "-upgrade"
AWAY: Final = "-away"
"""What the names of the blocks end with that upgrade and remove what another block installed."""
PACKAGES: Final = (
    *("systemd", "systemd-sysv", "dbus", "polkitd", "libpam-systemd", "udev"),
    *("procps", "sudo", "ca-certificates", "iproute2", "kmod"),
)
BLOCK: Final = re.compile(r"<!-- run: (?P<name>[\w-]+) -->\n+```sh\n(?P<body>.*?)\n```", re.DOTALL)
ASKED: Final = "the eIM has nothing waiting"
MODEMS: Final = {"ublox": "sara-r5"}
"""Which module the lab plays for which block, unless it is a Quectel EG25-G."""
COMMAND_TIMEOUT_S: Final = 900
BOOT_TIMEOUT_S: Final = 120
READY_TIMEOUT_S: Final = 90
EIM_PORT: Final = 5684


class CheckError(Exception):
    """What the page promises is not so."""


def blocks() -> dict[str, list[str]]:
    """The commands by the name of their block; several blocks of one name follow each other."""
    found: dict[str, list[str]] = {}
    for page in PAGES:
        for match in BLOCK.finditer((ROOT / page).read_text(encoding="utf-8")):
            lines = [line for line in match["body"].splitlines() if line and not line.startswith("#")]
            found.setdefault(match["name"], []).extend(lines)
    return found


@contextlib.contextmanager
def lab(folder: Path, personality: str) -> Iterator[dict[str, Any]]:
    """The lab with this modem; how it is reached."""
    words = f"--dir {folder} --json --provision card --eim-port {EIM_PORT} --carrier coaps".split()
    words += ["--personality", personality]
    with subprocess.Popen(
        [sys.executable, "-m", "ipad_agent", "lab", "up", *words], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise CheckError(f"the lab did not start; is port {EIM_PORT} in use?")
            yield json.loads(line)
        finally:
            process.send_signal(signal.SIGTERM)


class Gateway:
    """A Debian that runs, and a root who types."""

    def __init__(self, leader: int) -> None:
        self.leader = leader

    def type(self, command: str, *, folder: str = "/root") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *("nsenter", "--target", str(self.leader), "--mount", "--uts", "--ipc", "--pid", "--cgroup"),
                *("env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"),
                *("TERM=dumb", "LANG=C.UTF-8", "sh", "-c", f"cd {folder} && {command}"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )

    def must(self, command: str) -> str:
        done = self.type(command)
        if done.returncode != 0:
            raise CheckError(f"{command}\nended with status {done.returncode}:\n{done.stdout[-4000:]}")
        return done.stdout


@contextlib.contextmanager
def booted(root: Path, modem: Path) -> Iterator[Gateway]:
    """The Debian in ``root``, with this machine's network and the modem's line."""
    with (
        tempfile.TemporaryFile("w+") as console,
        subprocess.Popen(
            [
                *("systemd-nspawn", "--boot", "--quiet", "--register=no", "--keep-unit", "--link-journal=no"),
                *("--resolv-conf=off", "--machine=ipad-gateway", f"--directory={root}"),
                f"--bind={modem}:/dev/ttyUSB2",
            ],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            gateway = Gateway(_leader(process, console))
            deadline = time.monotonic() + BOOT_TIMEOUT_S
            while gateway.type("systemctl is-system-running").stdout.strip() not in ("running", "degraded"):
                if time.monotonic() > deadline:
                    raise CheckError(f"Debian did not boot: {gateway.type('systemctl list-jobs').stdout}")
                time.sleep(1)
            # What the udev rule does for a modem of a known family, and a board for its UART; in here there is neither.
            gateway.must("ln -s ttyUSB2 /dev/ipad-agent-modem")
            gateway.must("ln -s ttyUSB2 /dev/serial0")
            yield gateway
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(60)
            process.kill()


def _leader(process: subprocess.Popen[bytes], console: Any) -> int:
    """The init of the container, seen from here."""
    deadline = time.monotonic() + BOOT_TIMEOUT_S
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while time.monotonic() < deadline and process.poll() is None:
        for child in children.read_text().split():
            if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                return int(child)
        time.sleep(0.2)
    console.seek(0)
    raise CheckError(f"systemd-nspawn did not start Debian: {console.read()[-2000:]}")


def debian(suite: str, folder: Path) -> Path:
    """A fresh copy of that Debian."""
    base = Path(os.environ.get("CHROOTS", str(ROOT / ".chroots"))) / f"{suite}-gateway"
    architecture = subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    ).stdout.strip()
    subprocess.run(
        ["sh", str(ROOT / "tools" / "debian-chroot.sh"), suite, architecture, str(base), *PACKAGES], check=True
    )
    root = folder / "debian"
    subprocess.run(["cp", "-a", "--reflink=auto", str(base), str(root)], check=True)
    # A gateway starts what it installs, is online, and its owner says yes to apt.
    (root / "usr/sbin/policy-rc.d").unlink(missing_ok=True)
    (root / "etc/apt/apt.conf.d/90yes").write_text('APT::Get::Assume-Yes "true";\n')
    (root / "etc/machine-id").write_text("")
    (root / "etc/hostname").write_text("gateway\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n127.0.1.1 gateway\n::1 localhost\n")
    for name in ("etc/resolv.conf", "etc/ssl/certs/ca-certificates.crt"):
        (root / name).unlink(missing_ok=True)
        shutil.copyfile(f"/{name}", root / name)
    return root


def check(suite: str, name: str, files: Sequence[Path]) -> None:
    known = blocks()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ipad-gateway-")))
        folder.chmod(0o755)
        root = debian(suite, folder)
        for file in files:
            shutil.copy(file, root / "root")
        facts = stack.enter_context(lab(folder / "lab", MODEMS.get(name, "eg25")))
        modem = Path(facts["modem"]).resolve()
        os.chown(modem, 0, 20)  # dialout, as udev does
        modem.chmod(0o660)
        gateway = stack.enter_context(booted(root, modem))
        _type_all(gateway, suite, known[name])
        _compare(gateway, facts)
        print(gateway.must("systemd-analyze security --no-pager ipad-agent | tail -1").strip())
        print(
            "resident:",
            gateway.must("grep VmRSS /proc/$(systemctl show -P MainPID ipad-agent)/status").split()[1],
            "kB",
        )
        print("disk in MB:", gateway.type("du -smc /opt/pipx /usr/lib/ipad-agent 2>/dev/null").stdout.split())
        if name + UPGRADE not in known:
            print(f"{suite}: what the pages say of '{name}' is true")
            return
        first = gateway.must("systemctl show -P MainPID ipad-agent")
        # As if what runs had been installed by an older version; apt leaves a package of the same version alone.
        gateway.type(f'sed -i \'s/"version": .*/"version": "0.0.9",/\' {RECEIPT}')
        _type_all(gateway, suite, known[name + UPGRADE])
        if name == "pip" and gateway.must("systemctl show -P MainPID ipad-agent") == first:
            raise CheckError("the upgrade did not restart the agent")
        _compare(gateway, facts)
        _type_all(gateway, suite, known[name + AWAY])
        names = "-name '*ipad-agent*' -o -name '*ipadagent*' -o -name '*ipactl*'"
        places = "/etc/systemd /etc/sysusers.d /etc/tmpfiles.d /etc/dbus-1 /etc/udev /usr"
        left = gateway.type(f"find {places} {names} 2>/dev/null")
        if left.stdout.strip() or gateway.type("systemctl cat ipad-agent").returncode == 0:
            raise CheckError(f"left behind: {left.stdout}")
    print(f"{suite}: what the pages say of '{name}' is true")


def _type_all(gateway: Gateway, suite: str, commands: Sequence[str]) -> None:
    """Type them one by one. Raises ``CheckError`` at the first that fails."""
    for command in commands:
        print(f"{suite}$ {command}", flush=True)
        began = time.monotonic()
        answer = gateway.must(command)
        print("".join(f"    {line}\n" for line in answer.splitlines()[-25:]), end="")
        print(f"    ({time.monotonic() - began:.1f} s)", flush=True)


def _compare(gateway: Gateway, facts: dict[str, Any]) -> None:
    """The status, as soon as the agent is ready, against the lab: profile, EID, and whether the eIM was asked."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    status: dict[str, Any] = {"verdict": {"state": ""}}
    shown = ""
    while time.monotonic() < deadline and not (status["verdict"]["state"] == "ready" and ASKED in shown):
        time.sleep(1)
        if status["verdict"]["state"] == "ready":
            gateway.type("ipactl poll")  # a page may leave that to the schedule
        status, shown = json.loads(gateway.must("ipactl status --json")), gateway.must("ipactl status")
    text = json.dumps(status)
    enabled = next(iccid for iccid, state in facts["profiles"].items() if state == "enabled")
    for what, wanted in (("state", '"ready"'), ("EID", facts["eid"]), ("profile", enabled), ("eIM", facts["eimId"])):
        if wanted not in text:
            raise CheckError(f"ipactl status tells nothing of {what} {wanted}: {text[:3000]}")
    for wanted in ("ready", enabled[-4:], ASKED):
        if wanted not in shown:
            raise CheckError(f"the screen does not show {wanted}:\n{shown}")


if __name__ == "__main__":
    try:
        check(sys.argv[1], sys.argv[2], [Path(name) for name in sys.argv[3:]])
    except CheckError as error:
        sys.exit(f"check-gateway: {error}")
