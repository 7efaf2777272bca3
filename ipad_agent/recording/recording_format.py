"""The format of a recording: JSON Lines in numbered segment files (docs/flight-recorder.md).

The first line of each file is its header, every other one a record. A line is written at once and never changed; one
that was torn by a power cut is no JSON object with a time, and reading skips it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from ipad_agent.errors import IpadError
from ipad_agent.records import dataclass, field

VERSION: Final = 2
AT, APDU, ESIPA, ES9 = "at", "apdu", "esipa", "es9"
KINDS: Final = (AT, APDU, ESIPA, ES9)
SENT, RECEIVED = "sent", "received"
SEGMENT_PATTERN: Final = "segment-*.jsonl"
MAX_LINE_BYTES: Final = 8 << 20
WARNING: Final = (
    "This file holds identifiers of the device and its profiles, and may hold activation codes. Do not pass it on: "
    "ipactl record export makes one that may be passed on."
)
_FACTS: Final = ("function", "scheme", "address", "path", "status", "problem")


class RecordingUnreadable(IpadError):
    """There is no recording where one was named."""

    default_hint = "Name a folder with segment files, one of them, or a file of ipactl record export --format jsonl."


@dataclass(frozen=True, slots=True)
class Record:
    """One thing that was said. ``at_s`` is in seconds since 1970 by the device's clock, ``session`` the recording that
    it is of; ``data`` are its bytes: of an AT line as on the wire, of an APDU, of a message's body. ``cut_bytes``: so
    long the body was, of which only the beginning was kept; 0 for all of it. ``facts``: of a message its function,
    scheme, address, path, status, and the problem where no answer came."""

    at_s: float
    kind: str
    way: str
    data: bytes
    session: str = ""
    cut_bytes: int = 0
    facts: Mapping[str, str] = field(default_factory=dict)

    def line(self, began_s: float) -> bytes:
        """As it stands in the file, without its end."""
        entry: dict[str, object] = {"t": round(self.at_s - began_s, 4), "kind": self.kind, "way": self.way}
        entry |= {name: self.facts[name] for name in _FACTS if self.facts.get(name)}
        if self.kind == AT or (self.data[:1] in (b"{", b"<") and _is_plain(self.data)):
            entry["text"] = self.data.decode("latin-1")
        else:
            entry["hex"] = self.data.hex()
        if self.cut_bytes:
            entry["cut_bytes"] = self.cut_bytes
        return json.dumps(entry, separators=(",", ":")).encode("ascii")


def _is_plain(data: bytes) -> bool:
    return all(32 <= octet < 127 or octet in (9, 10, 13) for octet in data)


def header(*, session: str, segment: int, began_s: float, version: str, redacted: bool = False) -> bytes:
    """The first line of a file, without its end."""
    entry = {
        "recording": VERSION,
        "version": version,
        "session": session,
        "segment": segment,
        "began_s": round(began_s, 3),
        "redacted": redacted,
    }
    return json.dumps(entry if redacted else {**entry, "warning": WARNING}, separators=(",", ":")).encode("ascii")


@dataclass(slots=True)
class Recording:
    """What was read: the records in the order in which they were written, and how many lines could not be read."""

    records: list[Record]
    unreadable_lines: int = 0
    redacted: bool = False
    version: str = ""


def read(place: Path) -> Recording:
    """A folder of segments, or one file. Raises ``RecordingUnreadable``."""
    try:
        files = sorted(place.glob(SEGMENT_PATTERN)) if place.is_dir() else [place]
        contents = [file.read_bytes() for file in files]
    except OSError as error:
        raise RecordingUnreadable(f"{place} cannot be read: {error.strerror or error}") from error
    found = read_lines(line for content in contents for line in content.split(b"\n"))
    if found is None:
        raise RecordingUnreadable(f"{place} holds no recording")
    return found


def read_lines(lines: Iterable[bytes]) -> Recording | None:
    """The same of lines; None when no header is among them."""
    found = Recording([])
    began_s: float | None = None
    session = ""
    for line in lines:
        if not line.strip():
            continue
        entry = _object(line)
        if entry is not None and entry.get("recording") == VERSION and _is_number(entry.get("began_s")):
            began_s, session = float(entry["began_s"]), str(entry.get("session", ""))
            found.redacted = found.redacted or entry.get("redacted") is True
            found.version = str(entry.get("version", ""))
            continue
        record = None if entry is None or began_s is None else _record(entry, began_s, session)
        if record is None:
            found.unreadable_lines += 1
        else:
            found.records.append(record)
    return None if began_s is None else found


def _object(line: bytes) -> dict[str, Any] | None:
    if len(line) > MAX_LINE_BYTES:
        return None
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12


def _record(entry: dict[str, Any], began_s: float, session: str) -> Record | None:
    kind, way, cut = entry.get("kind"), entry.get("way"), entry.get("cut_bytes", 0)
    if not _is_number(entry.get("t")) or kind not in KINDS or way not in (SENT, RECEIVED) or not _is_number(cut):
        return None
    try:
        data = entry["text"].encode("latin-1") if "text" in entry else bytes.fromhex(entry["hex"])
    except (KeyError, AttributeError, TypeError, ValueError):
        return None
    facts = {name: entry[name] for name in _FACTS if isinstance(entry.get(name), str)}
    return Record(began_s + float(entry["t"]), kind, way, data, session, int(cut), facts)


def lines_of(records: Iterable[Record], *, version: str, redacted: bool) -> Iterator[bytes]:
    """The records as one file: a header whenever another session begins, each line with its end."""
    session: str | None = None
    number, began_s = 0, 0.0
    for record in records:
        if record.session != session:
            session, number, began_s = record.session, number + 1, record.at_s
            first = header(session=session, segment=number, began_s=began_s, version=version, redacted=redacted)
            yield first + b"\n"
            began_s = round(began_s, 3)
        yield record.line(began_s) + b"\n"
