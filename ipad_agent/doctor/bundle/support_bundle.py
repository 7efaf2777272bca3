"""The support bundle: one file to send, in which everything is told and nobody can be recognised.

What is only needed while one is made is loaded then.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import ssl
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from ipad_agent import __version__
from ipad_agent.config import Config, SecretError
from ipad_agent.doctor.checks.host_checks import shown_time
from ipad_agent.doctor.doctor_items import Item
from ipad_agent.local.status_model import Happening, HistoryEntry, Status, to_plain
from ipad_agent.printable import printable
from ipad_agent.records import dataclass, field

from .identifier_forms import Known, known_in
from .redaction import Redactor

MAX_EVENTS: Final = 500
MAX_FILE_BYTES: Final = 4 << 20
README: Final = "README.txt"
RECORDING: Final = "recording.jsonl"
_SHOWN_EVENTS: Final = 20
_LIBRARIES: Final = (
    "aiocoap",
    "asn1tools",
    "cryptography",
    "dbus-fast",
    "dbus-next",
    "h11",
    "pyOpenSSL",
    "pyserial",
)


@dataclass(frozen=True, slots=True)
class Owing:
    """One open entry of the journal, without what it holds."""

    kind: str
    age_s: float | None
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Sources:
    """What a bundle is made of; everything may be missing. ``documents`` are the store's, by name; ``known`` is what
    must not be found in the finished bundle, besides what the status and the configuration name."""

    now_s: float
    status: Status | None = None
    doctor: Sequence[Item] = ()
    events: Sequence[Happening] = ()
    history: Sequence[HistoryEntry] = ()
    config: Config | None = None
    modem_profile: Mapping[str, object] = field(default_factory=dict)
    documents: Mapping[str, object] = field(default_factory=dict)
    journal: Sequence[Owing] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    system: Mapping[str, str] = field(default_factory=dict)
    known: Known = field(default_factory=Known)
    records_folder: Path | None = None
    """Where the flight recorder's segments are."""


def build(sources: Sources, *, salt: bytes | None = None) -> bytes:
    """A gzip-compressed tar. Raises ``BundleRefused`` when something known stands in it all the same."""
    from . import leak_check
    from .bundled_recording import bundled

    known = sources.known | known_in_status(sources.status) | known_in_history(sources.history)
    known = (known | known_in_config(sources.config)).usable
    recording, found = bundled(sources.records_folder, known)
    redactor = Redactor(known, salt=os.urandom(16) if salt is None else salt)
    archive = pack(files(sources, redactor, recording), sources.now_s)
    leak_check.check(archive, known | found)
    return archive


def files(sources: Sources, redactor: Redactor, recording: str = "") -> dict[str, str]:
    """The files by name, redacted, the first page first. ``recording`` is redacted in its own way already."""
    contents = {
        "doctor.txt": _lines(item.line() for item in sources.doctor),
        "events.txt": _lines(_event_line(event) for event in sources.events[-MAX_EVENTS:]),
        "history.txt": _lines(_history_line(entry) for entry in sources.history),
        "config.txt": _lines(_config_lines(sources.config)),
        "journal.txt": _lines(_journal_line(entry) for entry in sources.journal) or "Nothing is owed.\n",
        "versions.txt": _lines(f"{name} {version}" for name, version in sources.versions.items()),
        "system.txt": _lines(f"{name}: {value}" for name, value in sources.system.items()),
    }
    data = {
        "status.json": to_plain(sources.status),
        "modem-profile.json": sources.modem_profile,
        "documents.json": sources.documents,
    }
    redacted = {name: redactor.text(content) for name, content in contents.items()}
    redacted |= {
        name: json.dumps(redactor.plain(value), indent=1, ensure_ascii=False, default=str) + "\n"
        for name, value in data.items()
    }
    if recording:
        redacted[RECORDING] = recording
    return {README: redactor.text(_first_page(sources, sorted(redacted))), **redacted}


def pack(contents: Mapping[str, str], now_s: float) -> bytes:
    """Files into an archive; of one that is too long the end is kept."""
    import gzip
    import tarfile

    target = io.BytesIO()
    stamp = int(min(max(now_s, 0), (1 << 32) - 1))
    with (
        gzip.GzipFile(fileobj=target, mode="wb", mtime=stamp) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name, content in contents.items():
            encoded = content.encode("utf-8")[-MAX_FILE_BYTES:]
            entry = tarfile.TarInfo(f"ipad-agent-bundle/{name}")
            entry.size, entry.mtime, entry.mode = len(encoded), stamp, 0o600
            archive.addfile(entry, io.BytesIO(encoded))
    return target.getvalue()


# -- what must not be in it ----------------------------------------------------------------------------------------


def known_in_status(status: Status | None) -> Known:
    """The identifiers that the picture of the device names."""
    if status is None:
        return Known()
    named: list[str | None] = [profile.iccid for profile in status.profiles]
    if status.card is not None:
        named.append(status.card.eid)
    if status.modem is not None:
        named += [status.modem.imei, status.modem.iccid]
    if status.switch is not None:
        named += [status.switch.previous, status.switch.target]
    return Known(frozenset(text for text in named if text is not None))


def known_in_history(history: Sequence[HistoryEntry]) -> Known:
    """The profiles that it names; some are no longer on the card."""
    named = (iccid for entry in history for iccid in (entry.previous, entry.target))
    return Known(frozenset(iccid for iccid in named if iccid is not None))


def known_in_config(config: Config | None) -> Known:
    """What the configuration names, and the contents of its secret files as far as they can be read."""
    if config is None:
        return Known()
    secrets: set[bytes] = set()
    for eim in config.eim:
        if eim.psk_key_file is not None:
            try:
                secrets.add(eim.psk_key_file.read_key())
            except SecretError:
                continue
    code = config.download.confirmation_code_file
    if code is not None:
        with contextlib.suppress(SecretError):
            secrets.add(code.read_text().encode())
    imei = config.ipa.imei
    return Known(frozenset() if imei is None else frozenset({imei}), frozenset(secrets))


def known_in_journal(facts: Iterable[Mapping[str, object]]) -> Known:
    """The identifiers and matching ids in orders and results that are owed."""
    return known_in(value for entry in facts for value in entry.values() if isinstance(value, bytes))


# -- facts that cost no questions --------------------------------------------------------------------------------------


def versions() -> dict[str, str]:
    """Of this program, Python, and the libraries it uses."""
    import platform
    from importlib import metadata

    found = {"ipad-agent": __version__, "python": platform.python_version(), "openssl": ssl.OPENSSL_VERSION}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def system(root: Path = Path("/")) -> dict[str, str]:
    """Kernel and distribution; not the name of the host, which often names a customer."""
    import platform

    known = platform.uname()
    found = {"kernel": f"{known.system} {known.release}", "machine": known.machine}
    try:
        release = platform.freedesktop_os_release() if root == Path("/") else {}
    except OSError:
        release = {}
    found["distribution"] = release.get("PRETTY_NAME", "not told")
    for name, place in (("uptime_s", "proc/uptime"), ("load", "proc/loadavg")):
        try:
            found[name] = (root / place).read_text(encoding="ascii").split()[0]
        except (OSError, IndexError, UnicodeDecodeError):
            continue
    return found


def size_of(facts: Mapping[str, object]) -> int:
    """Bytes of an entry's facts, roughly as they stand on the disk."""
    return sum(len(value) if isinstance(value, bytes | str) else 8 for value in facts.values())


# -- pages ---------------------------------------------------------------------------------------------------------


def _first_page(sources: Sources, names: Sequence[str]) -> str:
    status = sources.status
    lines = [f"Support bundle of ipad-agent {__version__}, made {shown_time(sources.now_s)} by the device's clock.", ""]
    if status is None:
        lines.append("The agent was not running.")
    else:
        said = status.verdict
        lines.append(f"{said.state.value}: {said.sentence}")
        lines += [f"Next: {said.next}"] if said.next else []
        lines += [f"What to do: {said.advice}"] if said.advice else []
        lines += [f"Note: {warning.sentence}" for warning in status.warnings]
    if sources.doctor:
        last = sources.doctor[-1]
        lines += ["", "The doctor says:", f"  {last.sentence}"]
        lines += [f"  The one thing to do: {last.fix}"] if last.fix else []
        lines += ["", "What was looked at:", *(f"  {item.line()}" for item in sources.doctor[:-1])]
    if sources.events:
        lines += ["", "What happened last:", *(f"  {_event_line(event)}" for event in sources.events[-_SHOWN_EVENTS:])]
    lines += [
        "",
        "Identifiers are shortened; what follows # is the same for the same identifier within this bundle, and in no",
        "other. Keys and codes are not in it. Messages of modem, card and servers are in it only where they were",
        "recorded (recording.jsonl), with other numbers and without codes.",
        "",
        "Files: " + ", ".join(names),
    ]
    return _lines(lines)


def _event_line(event: Happening) -> str:
    return f"{shown_time(event.at_s)} {event.level:7} {event.id} {event.text}"


def _history_line(entry: HistoryEntry) -> str:
    began = "at an unknown time" if entry.at is None else shown_time(entry.at.at_s)
    began += "" if entry.clock_set else " (the clock was not set)"
    parts = [began, entry.kind, entry.what, f"by {entry.by}" + (f" {entry.eim_id}" if entry.eim_id else "")]
    parts += [f"from {entry.previous or 'none'} to {entry.target or 'none'}"] if entry.kind == "switch" else []
    parts += [entry.outcome] if entry.duration_s is None else [f"{entry.outcome} after {entry.duration_s:.0f} s"]
    parts += [entry.reason] if entry.reason else []
    return ", ".join(parts) + (f" ({entry.times} times)" if entry.times > 1 else "")


def _config_lines(config: Config | None) -> Iterable[str]:
    if config is None:
        return
    yield f"# {config.path or 'no file, defaults only'}"
    for place, value, origin in config.places():
        yield f"{place} = {value}  ({origin})"


def _journal_line(entry: Owing) -> str:
    age = "of an earlier boot" if entry.age_s is None else f"{entry.age_s:.0f} s old"
    return f"{entry.kind}, {age}, {entry.size_bytes} bytes"


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{printable(line)}\n" for line in lines)
