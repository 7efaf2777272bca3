"""Which file of a service goes where, and what is in it.

The places are those of ``make install`` with its own PREFIX: what an administrator adds belongs to ``/etc`` and
``/usr/local``, and a package of the distribution to ``/usr``. Only polkit knows no folder but ``/usr/share``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from ipad_agent.packaged_files import packaged
from ipad_agent.records import dataclass

from .errors import InstallationError

UNIT: Final = "/etc/systemd/system/ipad-agent.service"
SYSUSERS: Final = "/etc/sysusers.d/ipad-agent.conf"
TMPFILES: Final = "/etc/tmpfiles.d/ipad-agent.conf"
CONFIG: Final = "/etc/ipad-agent/config.toml"

PLACES: Final[tuple[tuple[str, str], ...]] = (
    ("systemd/*.sysusers", "/etc/sysusers.d/{stem}.conf"),
    ("systemd/*.tmpfiles", "/etc/tmpfiles.d/{stem}.conf"),
    ("systemd/*.conf", "/etc/dbus-1/system.d/{name}"),
    ("systemd/*.policy", "/usr/share/polkit-1/actions/{name}"),
    ("hw/*.rules", "/etc/udev/rules.d/{name}"),
    ("systemd/*.service", "/etc/systemd/system/{name}"),
    ("systemd/*.socket", "/etc/systemd/system/{name}"),
    ("systemd/*.timer", "/etc/systemd/system/{name}"),
    ("systemd/*.path", "/etc/systemd/system/{name}"),
    ("systemd/*.d/*.conf", "/etc/systemd/system/{folder}/{name}"),
    ("hw/modemmanager/*", "/usr/local/share/ipad-agent/modemmanager/{name}"),
    ("packaging/*.[1-8]", "/usr/local/share/man/man{section}/{name}"),
)
"""What comes from where (seen from the top of the source tree) and goes where, in the order of writing."""

COMPLETIONS: Final[Mapping[str, str]] = {
    "bash": "/usr/local/share/bash-completion/completions/ipactl",
    "zsh": "/usr/local/share/zsh/site-functions/_ipactl",
    "fish": "/usr/local/share/fish/vendor_completions.d/ipactl.fish",
}
"""Where the completions of ``ipactl`` go, by shell."""

PACKAGED_UNITS: Final = ("/usr/lib/systemd/system/ipad-agent.service", "/lib/systemd/system/ipad-agent.service")
"""Where a package of the distribution has its unit."""

RESTART_STEPS: Final = "10-restart-steps.conf"
RESTART_STEPS_SINCE: Final = 254
"""The release of systemd that knows the keys of this drop-in; an older one complains of them at every start."""


@dataclass(frozen=True, slots=True)
class ServiceFile:
    """A file to be: its place (absolute, as the device sees it) and its content."""

    target: str
    content: bytes


def service_files(program: str, systemd_release: int, completions: Mapping[str, str]) -> tuple[ServiceFile, ...]:
    """Everything that belongs to the service but the configuration, in the order in which it is to be written.

    ``program`` is what the unit starts, ``completions`` are texts by shell. Raises ``InstallationError`` when the
    program came without these files.
    """
    found = list(_from_the_package(PurePosixPath(program).parent, systemd_release))
    if UNIT not in (file.target for file in found):
        raise InstallationError(
            f"the files of the service are not in {packaged('systemd')}",
            hint="A distribution's package installs the service by itself; this command is for an installation by pip.",
        )
    return (*found, *(ServiceFile(COMPLETIONS[shell], text.encode()) for shell, text in completions.items()))


def _from_the_package(programs: PurePosixPath, systemd_release: int) -> Iterator[ServiceFile]:
    for pattern, place in PLACES:
        folder, _, names = pattern.partition("/")
        for path in sorted(packaged(folder).glob(names)):
            if path.name == RESTART_STEPS and systemd_release < RESTART_STEPS_SINCE:
                continue
            target = place.format(
                name=path.name, stem=path.stem, folder=path.parent.name, section=path.suffix.removeprefix(".")
            )
            content = path.read_bytes()
            if target.startswith("/etc/systemd/system/"):
                content = content.replace(b"/usr/bin/ipad", f"{programs}/ipad".replace("%", "%%").encode())
            yield ServiceFile(target, content)


def units_among(targets: Iterable[str]) -> tuple[str, ...]:
    """The names of the units among files at their places; drop-ins are none."""
    places = (PurePosixPath(target) for target in targets)
    return tuple(sorted(place.name for place in places if place.parent == PurePosixPath(UNIT).parent))


def systemd_release(root: Path) -> int | None:
    """The release of the systemd that is installed below ``root``, by the name of its library; None when none is."""
    libraries = [
        path
        for pattern in ("usr/lib/systemd/", "usr/lib/*/systemd/", "lib/systemd/", "usr/lib64/systemd/")
        for path in root.glob(f"{pattern}libsystemd-shared-*.so")
    ]
    numbers = [re.match(r"libsystemd-shared-(\d+)", path.name) for path in libraries]
    return max((int(number[1]) for number in numbers if number is not None), default=None)
