"""The journal's bytes: records that can be cut or damaged anywhere without harming their neighbours.

A record is ``LF crc32(8 hex digits) SP json LF``. The line feed on both sides means that one damaged byte spoils
one record only, and that a torn tail can be appended to. The JSON object names its number ``n`` (counts up by one
for every record ever written) and its type ``r``:

``header``  first record of a file: format, version, next number
``entry``   a whole open entry, as rewriting the file leaves it
``open``    a new entry; its id is the record's number
``update``  facts of an entry that were added or changed
``close``   the entry is done, with its outcome

Every record of an entry carries the entry's kind, so that it can still be told what is owed when the record that
opened it is damaged.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from typing import NewType

from ipad_agent.records import dataclass, field, replace

from .json_values import UnreadableValueError, Value, dumps, loads

EntryId = NewType("EntryId", int)

FORMAT = "ipad-agent journal"
VERSION = 1

_MOST = 1 << 62
"""Of a number or a time. JSON has no bound of its own, and larger ones can neither be counted on nor be written."""

_LINE = re.compile(rb"([0-9a-f]{8}) (\{.*\})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Stamp:
    """When something was written, by all three clocks (see ``ipad_agent.clock``)."""

    wall_s: float
    monotonic_s: float
    boot_id: str


@dataclass(frozen=True, slots=True)
class Entry:
    """Something owed. ``damaged`` says that a record of it was lost, so facts may be missing or out of date."""

    id: EntryId
    kind: str
    facts: Mapping[str, Value]
    opened: Stamp
    updated: Stamp
    damaged: bool = False


@dataclass(slots=True)
class Contents:
    """What reading a journal file found."""

    entries: dict[EntryId, Entry] = field(default_factory=dict)
    next_number: int = 1
    version: int = VERSION
    damaged_records: int = 0
    torn_bytes: int = 0
    headed: bool = False
    """Whether the file begins as every journal does. One that does not has lost an unknown part of it."""


class _ForeignError(Exception):
    """A record with a good checksum whose content is not what this version writes."""


def header_record(next_number: int) -> bytes:
    return seal({"r": "header", "format": FORMAT, "version": VERSION, "next": next_number})


def entry_record(entry: Entry) -> bytes:
    return seal(
        {
            "r": "entry",
            "e": entry.id,
            "k": entry.kind,
            "f": dict(entry.facts),
            "opened": _pack(entry.opened),
            "t": _pack(entry.updated),
            "damaged": entry.damaged,
        }
    )


def open_record(number: int, entry: Entry) -> bytes:
    return seal({"n": number, "r": "open", "k": entry.kind, "t": _pack(entry.opened), "f": dict(entry.facts)})


def update_record(number: int, entry: Entry, facts: Mapping[str, Value]) -> bytes:
    return seal(
        {"n": number, "r": "update", "e": entry.id, "k": entry.kind, "t": _pack(entry.updated), "f": dict(facts)}
    )


def close_record(number: int, entry: Entry, outcome: str, at: Stamp) -> bytes:
    return seal({"n": number, "r": "close", "e": entry.id, "k": entry.kind, "t": _pack(at), "o": outcome})


def seal(record: Mapping[str, Value]) -> bytes:
    """A record as it goes to disk. Raises ``UnstorableValueError``."""
    text = dumps(record)
    return b"\n%08x %s\n" % (zlib.crc32(text), text)


def read_journal(data: bytes) -> Contents:
    """Everything intact in a journal file; any bytes whatsoever are accepted."""
    contents = Contents()
    expected: int | None = None
    chunks = [chunk for chunk in data.split(b"\n") if chunk]
    for position, chunk in enumerate(chunks):
        record = _unseal(chunk)
        if record is None:
            if position == len(chunks) - 1:
                contents.torn_bytes = len(chunk)
            else:
                contents.damaged_records += 1
            expected = None  # the gap in the numbers is explained
            continue
        try:
            number = _take(contents, record)
        except _ForeignError:
            contents.damaged_records += 1
            continue
        if record["r"] == "header":
            expected = contents.next_number
        elif number is not None:
            if expected is not None and number != expected:
                contents.damaged_records += 1
            expected = number + 1
            contents.next_number = max(contents.next_number, number + 1)
    return contents


def _unseal(chunk: bytes) -> dict[str, Value] | None:
    match = _LINE.fullmatch(chunk)
    if match is None or zlib.crc32(match[2]) != int(match[1], 16):
        return None
    try:
        return loads(match[2])
    except UnreadableValueError:
        return None


def _take(contents: Contents, record: Mapping[str, Value]) -> int | None:
    """Apply one record; returns its number, None for those that have none."""
    kind_of_record = record.get("r")
    if kind_of_record == "header":
        if record.get("format") != FORMAT:
            raise _ForeignError
        contents.headed = True
        contents.version = max(contents.version, _integer(record, "version"))
        contents.next_number = max(contents.next_number, _integer(record, "next"))
        return None
    if kind_of_record == "entry":
        entry = Entry(
            EntryId(_integer(record, "e")),
            _text(record, "k"),
            _facts(record),
            _stamp(record, "opened"),
            _stamp(record, "t"),
            record.get("damaged") is True,
        )
        contents.entries[entry.id] = entry
        contents.next_number = max(contents.next_number, entry.id + 1)
        return None
    number, kind, at = _integer(record, "n"), _text(record, "k"), _stamp(record, "t")
    if kind_of_record == "open":
        identity = EntryId(number)
        contents.entries[identity] = Entry(identity, kind, _facts(record), at, at)
        return number
    identity = EntryId(_integer(record, "e"))
    if kind_of_record == "close":
        contents.entries.pop(identity, None)
        return number
    if kind_of_record == "update":
        facts = _facts(record)
        known = contents.entries.get(identity)
        contents.entries[identity] = (
            Entry(identity, kind, facts, at, at, damaged=True)
            if known is None
            else replace(known, facts={**known.facts, **facts}, updated=at)
        )
        return number
    raise _ForeignError


def _pack(stamp: Stamp) -> Value:
    return (stamp.wall_s, stamp.monotonic_s, stamp.boot_id)


def _stamp(record: Mapping[str, Value], key: str) -> Stamp:
    match record.get(key):
        case (int() | float() as wall_s, int() | float() as monotonic_s, str() as boot_id):
            if abs(wall_s) <= _MOST and abs(monotonic_s) <= _MOST:
                return Stamp(float(wall_s), float(monotonic_s), boot_id)
    raise _ForeignError


def _facts(record: Mapping[str, Value]) -> dict[str, Value]:
    facts = record.get("f")
    if not isinstance(facts, dict):
        raise _ForeignError
    return facts


def _integer(record: Mapping[str, Value], key: str) -> int:
    value = record.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST:
        raise _ForeignError
    return value


def _text(record: Mapping[str, Value], key: str) -> str:
    value = record.get(key)
    if not isinstance(value, str):
        raise _ForeignError
    return value


def damaged_after_loss(entries: Mapping[EntryId, Entry]) -> Iterator[Entry]:
    """Entries as they stand after records of unknown content were lost: any of them may lack its last update."""
    return (replace(entry, damaged=True) for entry in entries.values())
