"""The commands that stand in the documents, and which of them cannot be run in the lab, with the reason.

Whoever writes a command of this package into a document has nothing to do here as long as it works: it is run. One that
cannot be run needs a line in ``NOT_RUN``. What is neither named there nor looks like something in ``RUN`` fails the
test: nobody's machine is to be changed by a document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
SHELL: Final = frozenset({"sh", "bash", "shell", "console"})
"""Blocks of these languages are commands; in ``console`` only the lines that begin with ``$``."""

RUN: Final = (
    r"^(ipactl|ipad-agent|ipad-agent-web)( [^|;&<>]*)?$",
    r"^curl -s -H \"Authorization: Bearer [^|;&<>]* http://127\.0\.0\.1:\d+/\S*$",
    r"^curl -sf?( -H '[^|;&<>']*')?( -d '[^|;&<>']*')? http://127\.0\.0\.1:\d+/\S*$",
    r"^(cat|grep|head|ls|tar|python3 -m json\.tool) [^|;&<>]*$",
    r"^sleep \d$",
)
"""What may be run on the machine of whoever tests."""

NOT_RUN: Final = (
    (r"^make\b", "this test runs in it; the demo is run by tests/scenarios"),
    (r"(^|/| )(pip|pipx|uv) ", "installs the package; make test-packages and the tests of the package do"),
    (r"^(python3? -m venv|git clone|cd|\. |source )", "prepares a folder of a developer"),
    (r"\btee\b", "changes the configuration of the machine"),
    (r"(^|/)ipad-agent (install|remove)-service\b", "changes the machine"),
    (r"^(cp|install|mkdir|chmod|chown|echo|printf) .*/etc/", "changes the configuration of the machine"),
    (r"^ipad-agent lab down\b", "would end the lab of all others here; tests/lab ends one of its own"),
    (r"^export IPACTL_MODEM=", "is for a shell of one's own; tests/cli runs commands with it"),
    (r"^ipad-agent lab devices\b", "needs a lab with --devices; tests/lab/devices has one"),
    (r"^ipad-agent lab eim import\b", "needs the file of an emulated card; tests/lab makes one and imports it"),
    (r"^(reboot|raspi-config)\b", "changes a Raspberry Pi"),
    (r"^ls .*(/dev/|/proc/)", "needs a modem"),
    (r"\b(systemctl|systemd-\w+|journalctl|loginctl)\b", "needs systemd as process 1"),
    (r"^(apt|apt-get|dpkg|dpkg-\w+|aptitude)\b", "installs or builds a Debian package; make test-packages does"),
    (r"^(opkg|apk|uci|ubus|service|/etc/init\.d/\S+|sysupgrade|df -h /overlay|free)\b", "needs OpenWrt"),
    (
        r"^(udevadm|usermod|adduser|gpasswd|mmcli|nmcli|lsusb|stty|minicom|picocom|modprobe)\b",
        "changes the machine, or needs a modem",
    ),
    (r"^(scripts/feeds|bitbake|bitbake-layers) |^echo .* >> (feeds\.conf|conf/local\.conf)$", "builds a whole system"),
    (r"^(reload_config|logread)\b", "needs OpenWrt"),
    (r"^(ssh|scp|rsync)\b", "needs another machine"),
    (r"^(busctl|gdbus|dbus-send)\b", "needs the system bus; tests/local/dbus has a private one"),
    (r"^varlinkctl\b", "needs systemd 257; tests/local/varlink has a foreign client"),
    (r"^ipad-agent knock\b", "needs a device that listens; the scenario knock-wake sends some"),
    (r"^ipad-agent lab run\b", "takes long; tests/scenarios runs every scenario"),
    (r"^ipad-agent lab torture\b.*--seeds [0-9]{3}", "takes long; tests/torture runs the same histories"),
    (r"^#!|^\[ |^echo \"|^exit \d", "a script of the site, not a command; tests/site runs scripts"),
)
"""Pattern and reason. ``sudo`` is taken off before."""

ENDLESS: Final = (
    r"^ipactl (watch|log -f|status --watch)",
    r"^ipad-agent (run|lab up|lab replay)\b",
    r"^ipad-agent-web --token-file",
)
"""What goes on until it is interrupted: it must still run after it has said something."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a document; ``place`` is file and line."""

    place: str
    text: str

    @property
    def reason(self) -> str | None:
        """Why it is not run; None when it is."""
        return next((reason for pattern, reason in NOT_RUN if re.search(pattern, self.text)), None)

    @property
    def may_run(self) -> bool:
        return any(re.search(pattern, self.text) for pattern in RUN)

    @property
    def endless(self) -> bool:
        return any(re.search(pattern, self.text) for pattern in ENDLESS)


def documents() -> list[Path]:
    """All that people read."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def fences(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    """(line, language, lines) of every block of code."""
    opened: tuple[int, str, str] | None = None
    lines: list[str] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        found = re.match(r"\s*(```+|~~~+)\s*([^`]*)$", line)
        if opened is None and found:
            words = found[2].split()
            opened, lines = (number, found[1], words[0] if words else ""), []
        elif opened is not None and found and found[1].startswith(opened[1]) and not found[2].strip():
            yield opened[0], opened[2], lines
            opened = None
        elif opened is not None:
            lines.append(line)


def commands(path: Path) -> list[Command]:
    """The commands of one document, in order."""
    name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
    found = []
    for line, language, lines in fences(path):
        if language in SHELL:
            found += [Command(f"{name}:{line + at}", text) for at, text in _joined(lines, prompt=language == "console")]
    return found


def _joined(lines: list[str], *, prompt: bool) -> Iterator[tuple[int, str]]:
    """Whole commands with the number of their first line: without comments, with their continuations."""
    begun: tuple[int, str] | None = None
    for at, raw in enumerate(lines, 1):
        line = raw.strip()
        if begun is None and prompt:
            if not line.startswith("$ "):
                continue
            line = line[2:]
        line = re.sub(r"(^|\s{2,})#(?!!).*$", "", line).strip()
        number, text = begun or (at, "")
        text = f"{text} {line}".strip()
        if text.endswith("\\"):
            begun = number, text[:-1].rstrip()
            continue
        begun = None
        if text:
            yield number, re.sub(r"^sudo ", "", text)


def inline(path: Path) -> Iterator[Command]:
    """Commands of this package that a sentence names, as ```ipactl plan 4713```."""
    text = path.read_text(encoding="utf-8")
    prose = re.sub(
        r"^\s*(```+)[^`]*\n.*?^\s*\1\s*$", lambda block: "\n" * block[0].count("\n"), text, flags=re.M | re.S
    )
    for number, line in enumerate(prose.splitlines(), 1):
        for found in re.findall(r"`((?:ipactl|ipad-agent) [^`]+)`", line):
            yield Command(f"{path.relative_to(ROOT).as_posix()}:{number}", found)
