"""The journal of what is owed: written and synced before the card is touched, read back after any crash.

An *entry* is something owed; while it is open it stands in the file. The kinds the procedures use:

``package``       a eUICC package was received and is about to be loaded, is loaded, or its result is owed
``result``        an EuiccPackageResult to deliver (eim_id, raw bytes, sequence numbers)
``notification``  a notification to deliver to a receiver
``trigger``       a profile download trigger that is being carried out
``removal``       numbers that were acknowledged and have to leave the card (eid, numbers)
``local_download``  a profile download that a person on the device ordered
``switch``        an armed profile switch: previous ICCID and deadline, to be committed or rolled back

There are two kinds of calls. ``open`` and ``update`` write down what is about to be done: they return only when their
record survives a power cut, and raise when the disk refuses, so that it is not done. ``adopt``, ``note`` and ``close``
write down what is so already: they hold in memory at once and never fail for the disk's sake. What the disk refused is
on it as soon as it takes anything again, because the file is then written anew from memory.

After a power cut at any byte, reopening finds every entry as the last call that reached the disk left it, and at most
the one call that was under way besides.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from typing import Final

from ipad_agent.clock import Clock
from ipad_agent.records import dataclass, replace

from . import events
from .errors import DiskError, JournalFullError, UnknownEntryError, UnstorableValueError
from .filesystem import File, Filesystem
from .journal_format import (
    VERSION,
    Contents,
    Entry,
    EntryId,
    Stamp,
    close_record,
    damaged_after_loss,
    entry_record,
    header_record,
    open_record,
    read_journal,
    update_record,
)
from .json_values import Value, dumps, normalise

PACKAGE: Final = "package"
RESULT: Final = "result"
NOTIFICATION: Final = "notification"
TRIGGER: Final = "trigger"
SWITCH: Final = "switch"

NEW_WORK: Final = frozenset({PACKAGE, TRIGGER})

UNREAD_PATIENCE_S: Final = 3600.0
"""So long the disk is asked again for a journal that it cannot read. Then the agent begins a new one: without any it
would take no order for ever."""

_KIND = re.compile(r"[a-z][a-z_]{0,31}")
_NEARLY = 0.75


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be owed. New work is refused from ``items`` or ``size_bytes`` on; the reserve beyond is for what
    follows from work already taken (results, notifications, a switch), and updates may always double the bytes."""

    items: int = 64
    size_bytes: int = 256 << 10
    reserve_items: int = 16
    reserve_bytes: int = 64 << 10
    file_bytes: int = 1 << 20  # beyond it the file is rewritten without waiting for an idle moment
    garbage_bytes: int = 16 << 10  # what an idle moment tolerates


class Journal:
    """The journal in ``directory`` (one file, ``journal``). Not for use by two processes at once (``StateLock``).

    Opening reads the file and never raises; damage is reported by events. A file that is there and cannot be read is
    left alone: what is owed is not known then, nothing new can be taken, and ``look`` tries it again. A disk that can
    be read but not written does not keep the journal from opening either.

    ``lost`` says that something of what was owed is not known: there was no file, or a damaged one. The card knows
    some of it.
    """

    lost = False
    removed = False
    """The file was found to be removed or replaced while the agent ran; whoever has drawn the consequence says no."""

    def __init__(self, filesystem: Filesystem, directory: str, clock: Clock, *, limits: Limits | None = None) -> None:
        self._filesystem = filesystem
        self._directory = directory
        self._path = os.path.join(directory, "journal")
        self._clock = clock
        self._limits = limits or Limits()
        self._file: File | None = None
        self._file_bytes = 0
        self._alarmed = False
        self._refused: str | None = None
        self._unread: DiskError | None = None
        self._unread_since_s = 0.0
        self._unwritten: dict[EntryId, str] = {}
        self._entries: dict[EntryId, Entry] = {}
        self._sizes: dict[EntryId, int] = {}
        self._next_number = 1
        self._begin()

    def open(self, kind: str, facts: Mapping[str, object]) -> EntryId:
        """Note something owed; returns when it is durable.

        Raises ``JournalFullError`` (nothing noted, take no new work), ``DiskError`` (it may or may not be noted: do
        not act on it) or ``UnstorableValueError``.
        """
        if not _KIND.fullmatch(kind):
            raise UnstorableValueError(f"the kind {kind!r}")
        at = self._stamp()
        identity = EntryId(self._next_number)
        entry = Entry(identity, kind, _facts(facts), at, at)
        self._refuse_overflow(entry)
        self._commit(open_record(identity, entry))
        self._put(entry)
        return identity

    def adopt(self, kind: str, facts: Mapping[str, object]) -> EntryId:
        """Note something that is owed already and only became known now; see ``note``. As long as the journal is unread
        it stands in for what may be in it: it is dropped when a switch is found there."""
        at = self._stamp()
        entry = Entry(EntryId(self._next_number), kind, _facts(facts), at, at)
        self._hold(entry, open_record(entry.id, entry))
        self._next_number = max(self._next_number, entry.id + 1)
        return entry.id

    def update(self, identity: int, **facts: object) -> Entry:
        """Add or replace facts of an open entry; returns the entry when the change is durable.

        Raises ``UnknownEntryError``, ``JournalFullError`` (twice the limit is reached), ``DiskError`` or
        ``UnstorableValueError``; the entry then stands as before.
        """
        before = self.entry(identity)
        changes = _facts(facts)
        after = replace(before, facts={**before.facts, **changes}, updated=self._stamp())
        growth = _size(after) - self._sizes[after.id]
        if growth > 0 and self.size_bytes + growth > 2 * self._limits.size_bytes:
            self._refuse(before.kind)
        self._commit(update_record(self._next_number, after, changes))
        self._put(after)
        return after

    def note(self, identity: int, **facts: object) -> Entry:
        """As ``update``, for what has happened already: it holds whatever the disk says, and beyond the caps.

        Raises ``UnknownEntryError`` or ``UnstorableValueError``.
        """
        changes = _facts(facts)
        before = self.entry(identity)
        after = replace(before, facts={**before.facts, **changes}, updated=self._stamp())
        self._hold(after, update_record(self._next_number, after, changes))
        return after

    def close(self, identity: int, outcome: str) -> None:
        """The entry is owed no more, whatever the disk says. Raises ``UnknownEntryError``."""
        entry = self.entry(identity)
        del self._entries[entry.id], self._sizes[entry.id]
        self._try_commit(close_record(self._next_number, entry, outcome, self._stamp()))
        self._watch_level()

    def unwritten(self, kind: str) -> bool:
        """Whether the disk lacks anything that was noted of entries of this kind, also of some that are closed. That a
        close is lacking does not count: after a power cut it would only be found out again."""
        return kind in self._unwritten.values()

    def entry(self, identity: int) -> Entry:
        """An open entry. Raises ``UnknownEntryError``."""
        try:
            return self._entries[EntryId(identity)]
        except KeyError:
            raise UnknownEntryError(f"journal entry {identity} is not open") from None

    def entries(self, kind: str | None = None) -> tuple[Entry, ...]:
        """What is owed, oldest first."""
        return tuple(entry for _, entry in sorted(self._entries.items()) if kind in (None, entry.kind))

    @property
    def size_bytes(self) -> int:
        """How large the facts of all open entries are, as stored."""
        return sum(self._sizes.values())

    @property
    def room_for_work(self) -> bool:
        """Whether the caps let a new package or trigger in; asked before an eIM is asked for one."""
        return len(self._entries) < self._limits.items and self.size_bytes < self._limits.size_bytes

    def idle(self) -> None:
        """Nothing else is going on: rewrite the file when it is mostly history. Never raises; a failure is reported
        and the file as it was stays in use."""
        if self._unread is not None:
            return
        if self._file is None or self._file_bytes - self.size_bytes > self._limits.garbage_bytes + self.size_bytes:
            self._try_rewrite()

    def look(self) -> bool:
        """To be called now and then: try again what the disk refused, and notice a file that was removed or replaced
        behind our back. Never raises. Whether entries came to light that were not known before."""
        if self._unread is not None:
            return self._read_late()
        self._notice_removal()
        if self._file is None:
            self._try_rewrite()
        return False

    @property
    def trouble(self) -> str | None:
        """What the disk refuses, in a sentence without its full stop; None when file and memory are the same."""
        if self._unread is not None:
            return str(self._unread)
        return self._refused if self._file is None else None

    def detach(self) -> None:
        """Close the file; everything is on disk already."""
        self._drop_file()

    # Reading back.

    def _begin(self) -> None:
        try:
            self._filesystem.make_directory(self._directory)
        except OSError as error:
            self._report(DiskError(f"{self._directory} could not be made", error))
        try:
            self._take_up(self._filesystem.read(self._path))
        except FileNotFoundError:
            self.lost = True
            self._try_rewrite()
        except OSError as error:
            refused = DiskError(f"the journal {self._path} could not be read", error)
            self._leave_unread(refused)
            events.JOURNAL_UNREAD.emit(path=self._path, problem=str(refused), hint=refused.hint)

    def _leave_unread(self, refused: DiskError) -> None:
        self._unread = refused
        self._unread_since_s = self._clock.monotonic()
        # The numbers in the file are not known: these are certainly others.
        self._next_number = max(1, int(self._clock.wall())) << 20
        self.lost = True

    def _read_late(self) -> bool:
        """Once more what could not be read at the start. Whether there was anything in it."""
        try:
            data = self._filesystem.read(self._path)
        except FileNotFoundError:
            self._unread = None
            self._try_rewrite()
            return False
        except OSError as error:
            self._unread = DiskError(f"the journal {self._path} could not be read", error)
            if self._clock.monotonic() - self._unread_since_s >= UNREAD_PATIENCE_S:
                self._give_up_unread()
            return False
        stand_ins, self._entries, self._sizes = self._entries, {}, {}
        self._unread = None
        self._take_up(data)
        found = len(self._entries)
        if not self.entries(SWITCH):  # what was made up for a switch that was not known is not needed beside it
            for entry in stand_ins.values():
                self._put(entry)
        if self._unread is not None:
            return False
        self._try_rewrite()
        events.JOURNAL_READ_LATE.emit(path=self._path, entries=found)
        return found > 0

    def _give_up_unread(self) -> None:
        kept = f"{self._path}.unread"
        try:
            self._filesystem.rename(self._path, kept)
        except OSError as error:
            self._report(DiskError(f"the journal {self._path} could not be set aside", error))
            return
        self._unread = None
        events.JOURNAL_GIVEN_UP.emit(path=self._path, kept=kept)
        self._try_rewrite()

    def _take_up(self, data: bytes) -> None:
        contents = read_journal(data)
        if contents.version > VERSION:
            self._set_aside(contents)
            return
        self._adopt(contents)
        if not contents.headed:
            fault = "without its beginning" if data.strip(b"\0 \n") else "empty"
            events.JOURNAL_HEADLESS.emit(path=self._path, fault=fault, entries=len(contents.entries))
        if contents.damaged_records or contents.torn_bytes or not contents.headed:
            self._try_rewrite()
        if self._file is None:
            self._continue_file(len(data))

    def _adopt(self, contents: Contents) -> None:
        self._next_number = max(self._next_number, contents.next_number)
        entries = tuple(contents.entries.values())
        if contents.damaged_records or not contents.headed:
            self.lost = True
            entries = tuple(damaged_after_loss(contents.entries))
        if contents.damaged_records:
            events.JOURNAL_RECORD_DAMAGED.emit(
                count=contents.damaged_records, path=self._path, entries=len(contents.entries)
            )
        if contents.torn_bytes:
            events.JOURNAL_TAIL_TORN.emit(size_bytes=contents.torn_bytes)
        for entry in entries:
            self._put(entry)

    def _set_aside(self, contents: Contents) -> None:
        kept = f"{self._path}.v{contents.version}"
        try:
            self._filesystem.rename(self._path, kept)
        except OSError as error:
            # It is not ours to overwrite, and what it says is not ours to read.
            self._leave_unread(self._report(DiskError(f"the journal {self._path} could not be set aside", error)))
            return
        self.lost = True
        events.JOURNAL_SET_ASIDE.emit(path=self._path, version=contents.version, kept=kept)
        self._try_rewrite()

    def _continue_file(self, size_bytes: int) -> None:
        """Go on in the file as it is. What a killed process wrote but did not sync was read back above and will be
        acted on, so it is synced first."""
        try:
            file = self._filesystem.append(self._path)
        except OSError as error:
            self._report(DiskError(f"the journal {self._path} could not be opened for writing", error))
            return
        self._file = file
        try:
            file.sync()
            self._filesystem.sync_directory(self._directory)
        except OSError as error:
            self._drop_file()
            self._report(DiskError(f"the journal {self._path} could not be synced", error))
            return
        self._file_bytes = size_bytes

    # Writing.

    def _hold(self, entry: Entry, record: bytes) -> None:
        self._unwritten[entry.id] = entry.kind
        self._entries[entry.id], self._sizes[entry.id] = entry, _size(entry)
        if self._try_commit(record):
            self._unwritten.pop(entry.id, None)
        self._settle()

    def _try_commit(self, record: bytes) -> bool:
        try:
            self._commit(record)
        except DiskError:  # it was said, and memory has it
            return False
        return True

    def _commit(self, record: bytes) -> None:
        if self._unread is not None:
            raise self._unread.with_traceback(None)
        self._notice_removal()
        file = self._file
        try:
            if file is None:
                # The last write failed and may have left anything: begin a clean file before adding to it.
                file = self._rewrite()
            file.write(record)
            file.sync()
        except OSError as error:
            # After a failed write or sync nobody can say what the file holds, so it is not appended to again.
            self._drop_file()
            refused = self._report(DiskError(f"the journal {self._path} could not be written", error))
            raise refused from error
        self._next_number += 1
        self._file_bytes += len(record)
        self._accepted()

    def _rewrite(self) -> File:
        """Replace the file by one that holds the open entries only. Raises ``OSError``; the old file then stays."""
        before_bytes = self._file_bytes
        image = header_record(self._next_number) + b"".join(entry_record(entry) for entry in self.entries())
        temporary = self._path + ".tmp"
        self._filesystem.make_directory(self._directory)
        try:
            new = self._filesystem.create(temporary)
            try:
                new.write(image)
                new.sync()
            finally:
                new.close()
        except OSError:
            with contextlib.suppress(OSError):
                self._filesystem.remove(temporary)
            raise
        # From here on the old file may be gone, so it must not be appended to, whatever happens.
        self._drop_file()
        self._filesystem.rename(temporary, self._path)
        self._filesystem.sync_directory(self._directory)
        self._file = file = self._filesystem.append(self._path)
        self._file_bytes = len(image)
        self._unwritten.clear()
        events.JOURNAL_COMPACTED.emit(before_bytes=before_bytes, after_bytes=len(image), entries=len(self._entries))
        return file

    def _try_rewrite(self) -> None:
        try:
            self._rewrite()
        except OSError as error:
            self._report(DiskError(f"the journal {self._path} could not be rewritten", error))
        else:
            self._accepted()

    def _notice_removal(self) -> None:
        if self._file is not None and not self._file.named(self._path):
            self._drop_file()
            self.removed = True
            events.JOURNAL_REMOVED.emit(path=self._path, entries=len(self._entries))

    def _drop_file(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError as error:
                self._report(DiskError(f"the journal {self._path} could not be closed", error))

    def _put(self, entry: Entry) -> None:
        self._entries[entry.id] = entry
        self._sizes[entry.id] = _size(entry)
        self._settle()

    def _settle(self) -> None:
        self._watch_level()
        if self._file is not None and self._file_bytes > self._limits.file_bytes:
            self._try_rewrite()

    # Limits.

    def _refuse_overflow(self, entry: Entry) -> None:
        items, size_bytes = len(self._entries) + 1, self.size_bytes + _size(entry)
        limits = self._limits
        if entry.kind in NEW_WORK:
            full = items > limits.items or size_bytes > limits.size_bytes
        else:
            full = items > limits.items + limits.reserve_items or size_bytes > limits.size_bytes + limits.reserve_bytes
        if full:
            self._refuse(entry.kind)

    def _refuse(self, kind: str) -> None:
        events.JOURNAL_FULL.emit(items=len(self._entries), size_bytes=self.size_bytes, kind=kind)
        raise JournalFullError(f"{len(self._entries)} things ({self.size_bytes} bytes) are owed already")

    def _watch_level(self) -> None:
        limits = self._limits
        level = max(len(self._entries) / limits.items, self.size_bytes / limits.size_bytes)
        if level < _NEARLY:
            self._alarmed = False
        elif not self._alarmed:
            self._alarmed = True
            events.JOURNAL_NEARLY_FULL.emit(
                items=len(self._entries),
                size_bytes=self.size_bytes,
                limit_items=limits.items,
                limit_bytes=limits.size_bytes,
            )

    def _stamp(self) -> Stamp:
        return Stamp(self._clock.wall(), self._clock.monotonic(), self._clock.boot_id())

    def _report(self, refused: DiskError) -> DiskError:
        if self._refused is None:  # every further attempt would only say it again
            events.DISK_REFUSED.emit(problem=str(refused))
        self._refused = str(refused)
        return refused

    def _accepted(self) -> None:
        if self._refused is not None:
            self._refused = None
            events.DISK_ACCEPTS.emit(path=self._path)


def _facts(facts: Mapping[str, object]) -> dict[str, Value]:
    """``facts`` as they will read back. Raises ``UnstorableValueError``."""
    normalised = normalise(facts)
    return normalised if isinstance(normalised, dict) else {}


def _size(entry: Entry) -> int:
    return len(dumps(entry.facts))
