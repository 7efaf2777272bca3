"""The journal: what is on the disk after each step, and after a cut or damage at any byte.

Long: one format, damaged in every way.
"""

from __future__ import annotations

import errno
import logging
import random
import re
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipad_agent.store import (
    NOTIFICATION,
    PACKAGE,
    RESULT,
    SWITCH,
    TRIGGER,
    DiskError,
    EntryId,
    Journal,
    JournalFullError,
    Limits,
    RealFilesystem,
    StateDirectoryBusyError,
    StateLock,
    UnknownEntryError,
    UnstorableValueError,
)
from ipad_agent.store.journal_format import read_journal, seal
from ipad_agent.store.json_values import Value
from ipad_agent.store.memory_filesystem import MemoryFilesystem, PowerCut

PATH = "/state/journal"


class StoppedClock:
    def wall(self) -> float:
        return 1_700_000_000.5

    def monotonic(self) -> float:
        return 12.25

    def boot_id(self) -> str:
        return "boot-1"


def journal(disk: MemoryFilesystem, limits: Limits | None = None) -> Journal:
    return Journal(disk, "/state", StoppedClock(), limits=limits)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.event.id for record in caplog.records if hasattr(record, "event")]


def test_a_package_noted_before_the_card_is_touched_is_owed_after_a_power_cut() -> None:
    disk = MemoryFilesystem()
    identity = journal(disk).open(PACKAGE, {"eim_id": "eim.example", "raw": b"\xbf\x51\x00"})
    disk.power_cut()
    (entry,) = journal(disk).entries(PACKAGE)
    assert entry.id == identity
    assert entry.facts == {"eim_id": "eim.example", "raw": b"\xbf\x51\x00"}
    assert (entry.opened.wall_s, entry.opened.monotonic_s, entry.opened.boot_id) == (1_700_000_000.5, 12.25, "boot-1")
    assert not entry.damaged


def test_updates_add_and_replace_facts_and_survive_a_power_cut() -> None:
    disk = MemoryFilesystem()
    first = journal(disk)
    identity = first.open(PACKAGE, {"state": "received", "eim_id": "a"})
    returned = first.update(identity, state="loaded", seq_numbers=[3, 4])
    disk.power_cut()
    (entry,) = journal(disk).entries()
    assert entry.facts == returned.facts == {"state": "loaded", "eim_id": "a", "seq_numbers": (3, 4)}


def test_a_closed_entry_is_owed_no_more_even_after_a_power_cut() -> None:
    disk = MemoryFilesystem()
    first = journal(disk)
    first.close(first.open(RESULT, {}), "acknowledged")
    kept = first.open(NOTIFICATION, {})
    disk.power_cut()
    assert [entry.id for entry in journal(disk).entries()] == [kept]


def test_entries_come_oldest_first_and_by_kind() -> None:
    book = journal(MemoryFilesystem())
    identities = [book.open(kind, {}) for kind in (RESULT, SWITCH, RESULT)]
    assert [entry.id for entry in book.entries()] == identities
    assert [entry.id for entry in book.entries(RESULT)] == [identities[0], identities[2]]
    assert book.entries(TRIGGER) == ()


def test_an_id_is_never_given_twice_also_after_the_file_was_rewritten() -> None:
    disk = MemoryFilesystem()
    first = journal(disk, Limits(garbage_bytes=0))
    used = [first.open(RESULT, {}) for _ in range(3)]
    for identity in used:
        first.close(identity, "acknowledged")
    first.idle()
    disk.power_cut()
    assert journal(disk).open(RESULT, {}) not in used


def test_a_closed_or_unknown_entry_cannot_be_updated_or_closed() -> None:
    book = journal(MemoryFilesystem())
    identity = book.open(RESULT, {})
    book.close(identity, "acknowledged")
    with pytest.raises(UnknownEntryError):
        book.update(identity, state="sent")
    with pytest.raises(UnknownEntryError):
        book.close(identity, "acknowledged")


@pytest.mark.parametrize("facts", [{"a": object()}, {"a": float("nan")}, {"a": {1: 2}}])
def test_facts_that_could_not_be_read_back_are_refused_and_nothing_is_noted(facts: dict[str, object]) -> None:
    disk = MemoryFilesystem()
    book = journal(disk)
    with pytest.raises(UnstorableValueError):
        book.open(RESULT, facts)
    with pytest.raises(UnstorableValueError):
        book.open("Not A Kind", {})
    assert journal(disk).entries() == ()


# Cuts.


def test_a_torn_tail_is_dropped_earlier_records_are_intact_and_later_ones_follow(
    caplog: pytest.LogCaptureFixture,
) -> None:
    whole = MemoryFilesystem()
    book = journal(whole)
    kept = book.open(RESULT, {"raw": b"first"})
    size = len(whole.read(PATH))
    book.open(RESULT, {"raw": b"second"})
    image = whole.read(PATH)
    for cut in range(size + 2, len(image) - 1):
        caplog.clear()
        disk = MemoryFilesystem()
        disk.create(PATH).write(image[:cut])
        again = journal(disk)
        assert [entry.id for entry in again.entries()] == [kept]
        assert not again.entries()[0].damaged
        assert said(caplog) == ["IPA-1203"]
        added = again.open(RESULT, {})
        assert [entry.id for entry in journal(disk).entries()] == [kept, added]


def test_a_damaged_record_in_the_middle_is_reported_and_later_ones_are_recovered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    disk = MemoryFilesystem()
    book = journal(disk)
    book.open(RESULT, {"raw": b"first"})
    size = len(disk.read(PATH))
    book.open(RESULT, {"raw": b"damaged"})
    end = len(disk.read(PATH))
    book.open(RESULT, {"raw": b"third"})
    image = disk.read(PATH)
    for offset in range(size, end):
        caplog.clear()
        hurt = MemoryFilesystem()
        hurt.create(PATH).write(image[:offset] + bytes([image[offset] ^ 0x01]) + image[offset + 1 :])
        facts = [entry.facts["raw"] for entry in journal(hurt).entries()]
        assert facts == [b"first", b"third"]
        assert said(caplog) == ["IPA-1204"]


def test_what_is_owed_is_still_known_when_the_record_that_opened_it_is_damaged() -> None:
    disk = MemoryFilesystem()
    book = journal(disk)
    size = len(disk.read(PATH))
    identity = book.open(PACKAGE, {"eim_id": "a"})
    disk.corrupt(PATH, size + 12, b"#")
    book.update(identity, state="loaded")
    (entry,) = journal(disk).entries(PACKAGE)
    assert entry.id == identity
    assert entry.facts == {"state": "loaded"}
    assert entry.damaged
    # The mark is kept when the file is rewritten, which opening a damaged one does.
    assert journal(disk).entries()[0].damaged


def test_records_that_vanished_without_a_trace_are_noticed_by_their_numbers(caplog: pytest.LogCaptureFixture) -> None:
    disk = MemoryFilesystem()
    book = journal(disk)
    book.open(RESULT, {"raw": b"1"})
    size = len(disk.read(PATH))
    book.open(RESULT, {"raw": b"2"})
    end = len(disk.read(PATH))
    book.open(RESULT, {"raw": b"3"})
    image = disk.read(PATH)
    disk.create(PATH).write(image[:size] + image[end:])
    assert all(entry.damaged for entry in journal(disk).entries())
    assert "IPA-1204" in said(caplog)


def test_a_damaged_header_does_not_hide_the_records() -> None:
    disk = MemoryFilesystem()
    identity = journal(disk).open(RESULT, {"raw": b"x"})
    disk.corrupt(PATH, 3, b"??")
    again = journal(disk)
    assert [entry.id for entry in again.entries()] == [identity]
    assert again.open(RESULT, {}) > identity


@given(st.binary(max_size=300) | st.lists(st.binary(max_size=60)).map(b"\n".join))
def test_any_bytes_in_the_file_are_survived(data: bytes) -> None:
    disk = MemoryFilesystem()
    disk.create(PATH).write(data)
    book = journal(disk)
    identity = book.open(RESULT, {"raw": b"x"})
    assert identity in {entry.id for entry in journal(disk).entries()}


RECORDS = st.fixed_dictionaries(
    {},
    optional={
        "r": st.sampled_from(["header", "entry", "open", "update", "close", "other"]) | st.integers(),
        "n": st.integers(-2, 9) | st.text(max_size=2),
        "e": st.integers(-2, 9) | st.booleans(),
        "k": st.text(max_size=3) | st.none(),
        "t": st.tuples(st.floats(0, 1), st.integers(0, 1), st.text(max_size=2)) | st.integers(),
        "opened": st.tuples(st.floats(0, 1), st.integers(0, 1), st.text(max_size=2)) | st.integers(),
        "f": st.dictionaries(st.sampled_from("ab"), st.integers(), max_size=2) | st.integers(),
        "format": st.just("ipad-agent journal") | st.integers(),
        "version": st.integers(0, 1) | st.text(max_size=1),
        "next": st.integers(0, 9) | st.none(),
        "o": st.text(max_size=2),
    },
)


@given(st.lists(RECORDS, max_size=8))
def test_records_with_a_good_checksum_but_foreign_content_are_survived(records: list[dict[str, object]]) -> None:
    disk = MemoryFilesystem()
    disk.create(PATH).write(b"".join(seal(record) for record in records))  # type: ignore[arg-type]  # foreign on purpose
    journal(disk).open(RESULT, {})


HUGE = 10**400


@pytest.mark.parametrize(
    "record",
    [
        {"n": 1, "r": "open", "k": "package", "t": (HUGE, 0, "boot-1"), "f": {}},
        {"n": 1, "r": "open", "k": "package", "t": (0, -HUGE, "boot-1"), "f": {}},
        {"n": HUGE, "r": "open", "k": "package", "t": (0, 0, "boot-1"), "f": {}},
        {"r": "header", "format": "ipad-agent journal", "version": 1, "next": 10**4300 - 1},
        {"n": 1, "r": "update", "e": 1 << 63, "k": "package", "t": (0, 0, "boot-1"), "f": {}},
    ],
)
def test_a_number_beyond_all_bounds_counts_as_damage_and_work_goes_on(record: dict[str, Value]) -> None:
    disk = MemoryFilesystem()
    disk.create(PATH).write(seal(record))
    book = journal(disk)
    assert book.entries() == ()
    kept = book.open(RESULT, {})
    assert [entry.id for entry in journal(disk).entries()] == [kept]


@pytest.mark.parametrize(
    "record",
    [
        {"r": "header", "format": "another program's journal", "version": 1, "next": 1},
        {"n": 1, "r": "open", "k": 5, "t": (0, 0, "boot-1"), "f": {}},
        {"n": 1, "r": "open", "k": "package", "t": (0, 0, "boot-1"), "f": ()},
        {"n": True, "r": "open", "k": "package", "t": (0, 0, "boot-1"), "f": {}},
    ],
)
def test_a_record_of_another_form_is_damage_whatever_its_checksum_says(record: dict[str, Value]) -> None:
    contents = read_journal(seal(record))
    assert (contents.damaged_records, contents.headed, contents.entries) == (1, False, {})


def test_facts_too_deep_to_be_written_again_count_as_damage_and_work_goes_on() -> None:
    # {"a":[[...]]} with 33 lists; the checksum is right.
    text = b'{"n":1,"r":"open","k":"package","t":[0,0,""],"f":{"a":' + b"[" * 33 + b"]" * 33 + b"}}"
    disk = MemoryFilesystem()
    disk.create(PATH).write(b"\n%08x %s\n" % (zlib.crc32(text), text))
    book = journal(disk)
    kept = book.open(RESULT, {})
    assert [entry.id for entry in journal(disk).entries()] == [kept]


# Any sequence of operations with a cut at any byte.

OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("open"), st.sampled_from([PACKAGE, RESULT, SWITCH]), st.binary(max_size=12)),
        st.tuples(st.just("update"), st.integers(0, 5), st.binary(max_size=12)),
        st.tuples(st.just("close"), st.integers(0, 5), st.just(b"")),
        st.tuples(st.just("idle"), st.just(0), st.just(b"")),
        st.tuples(st.just("reopen"), st.just(0), st.just(b"")),
    ),
    max_size=12,
)
Model = dict[int, tuple[str, bytes]]


class Bookkeeper:
    """Carries out operations and keeps account of what must be, and what may be, in the journal."""

    def __init__(self, disk: MemoryFilesystem) -> None:
        self.disk = disk
        self.certain: Model = {}
        self.possible: list[Model] = [{}]

    def run(self, operations: list[tuple[str, object, bytes]]) -> None:
        """Until the end or the power cut."""
        book = self._open()
        for name, argument, raw in operations:
            chosen = self._pick(argument) if name in ("update", "close") else None
            after = dict(self.certain)
            if name == "open":
                assert isinstance(argument, str)
                # The id of an open under way is the journal's choice; any new one is accepted below.
                self.possible = [self.certain, {**self.certain, -1: (argument, raw)}]
                after[book.open(argument, {"raw": raw})] = (argument, raw)
            elif name == "reopen":
                book = self._open()
            elif name == "idle":
                book.idle()
            elif chosen is not None:
                kind, _ = self.certain[chosen]
                if name == "update":
                    after[chosen] = (kind, raw)
                    self.possible = [self.certain, after]
                    book.update(EntryId(chosen), raw=raw)
                else:
                    del after[chosen]
                    self.possible = [self.certain, after]
                    book.close(EntryId(chosen), "done")
            self.certain = after
            self.possible = [after]

    def check(self) -> None:
        book = self._open()
        assert not any(entry.damaged for entry in book.entries())
        found: Model = {}
        for entry in book.entries():
            raw = entry.facts["raw"]
            assert isinstance(raw, bytes)
            found[entry.id] = (entry.kind, raw)
        new = set(found) - set(self.certain)
        renamed = {-1 if identity in new else identity: value for identity, value in found.items()}
        assert renamed in [
            {(-1 if identity in new else identity): value for identity, value in model.items()}
            for model in self.possible
        ]
        self.certain = found
        self.possible = [found]

    def _pick(self, argument: object) -> int | None:
        assert isinstance(argument, int)
        return sorted(self.certain)[argument % len(self.certain)] if self.certain else None

    def _open(self) -> Journal:
        return journal(self.disk, Limits(garbage_bytes=0, file_bytes=900))


def run_until_cut(keeper: Bookkeeper, operations: list[tuple[str, object, bytes]], allowance: int) -> None:
    keeper.disk.allowance = allowance
    try:
        keeper.run(operations)
    except PowerCut:
        return


@settings(max_examples=300, deadline=None)
@given(OPERATIONS, OPERATIONS, st.integers(0, 2500), st.integers(0, 2500), st.integers(0, 2**32))
def test_after_a_cut_at_any_byte_every_entry_whose_call_returned_is_there_and_none_is_invented(
    first: list[tuple[str, object, bytes]],
    second: list[tuple[str, object, bytes]],
    first_cut: int,
    second_cut: int,
    seed: int,
) -> None:
    disk = MemoryFilesystem()
    keeper = Bookkeeper(disk)
    chance = random.Random(seed)
    for operations, cut in ((first, first_cut), (second, second_cut)):
        run_until_cut(keeper, operations, cut)
        disk.power_cut(chance)
        keeper.check()


@settings(max_examples=100, deadline=None)
@given(OPERATIONS, st.integers(0, 2500), st.integers(0, 2500), st.integers(0, 2**32))
def test_what_a_killed_process_left_unsynced_is_synced_before_it_is_acted_on(
    operations: list[tuple[str, object, bytes]], kill: int, cut: int, seed: int
) -> None:
    disk = MemoryFilesystem()
    keeper = Bookkeeper(disk)
    run_until_cut(keeper, operations, kill)
    disk.crash()
    keeper.check()  # reads back, and from here on relies on it
    run_until_cut(keeper, [], cut)
    disk.power_cut(random.Random(seed))
    keeper.check()


def test_the_cut_test_notices_a_disk_that_does_not_sync() -> None:
    disk = MemoryFilesystem()
    disk.honest_sync = False
    keeper = Bookkeeper(disk)
    run_until_cut(keeper, [("open", RESULT, b"1")], 5000)
    disk.power_cut()
    with pytest.raises(AssertionError):
        keeper.check()


def test_a_process_killed_while_rewriting_leaves_a_file_that_can_be_relied_on() -> None:
    for kill in range(400):
        disk = MemoryFilesystem()
        book = journal(disk, Limits(garbage_bytes=0))
        kept = book.open(RESULT, {"raw": b"x"})
        book.close(book.open(RESULT, {"raw": bytes(99)}), "acknowledged")
        disk.allowance = kill
        try:
            book.idle()
        except PowerCut:
            disk.crash()
        disk.allowance = None
        added = journal(disk).open(RESULT, {"raw": b"y"})
        disk.power_cut()
        assert [entry.id for entry in journal(disk).entries()] == [kept, added]


# A disk that refuses.


def test_when_a_rewritten_file_may_not_be_durable_nothing_is_acknowledged_in_it() -> None:
    disk = MemoryFilesystem()
    book = journal(disk, Limits(garbage_bytes=0))
    kept = book.open(RESULT, {"raw": b"x"})
    book.close(book.open(RESULT, {"raw": bytes(99)}), "acknowledged")
    disk.sync_directory_error = errno.EIO
    book.idle()
    with pytest.raises(DiskError):
        book.open(RESULT, {})
    disk.sync_directory_error = None
    added = book.open(RESULT, {"raw": b"y"})
    disk.power_cut()
    assert [entry.id for entry in journal(disk).entries()] == [kept, added]


def test_a_full_disk_refuses_new_entries_and_keeps_the_old_ones(caplog: pytest.LogCaptureFixture) -> None:
    disk = MemoryFilesystem()
    book = journal(disk)
    kept = book.open(RESULT, {"raw": b"x"})
    for free in range(0, 60, 7):
        disk.free_bytes = free
        with pytest.raises(DiskError):
            book.open(PACKAGE, {"raw": b"y"})
    disk.free_bytes = None
    added = book.open(PACKAGE, {"raw": b"z"})
    disk.power_cut()
    assert [entry.id for entry in journal(disk).entries()] == [kept, added]
    assert said(caplog) == ["IPA-1208", "IPA-1210"]  # each once, however often it was tried


def test_after_a_failed_sync_the_file_is_not_trusted_but_written_anew() -> None:
    disk = MemoryFilesystem()
    book = journal(disk)
    kept = book.open(RESULT, {"raw": b"x"})
    disk.sync_error = errno.EIO
    with pytest.raises(DiskError) as caught:
        book.update(kept, raw=b"z")
    assert "worn out" in caught.value.hint
    assert [entry.id for entry in book.entries()] == [kept]
    disk.sync_error = None
    added = book.open(RESULT, {"raw": b"y"})
    disk.power_cut()
    assert [entry.id for entry in journal(disk).entries()] == [kept, added]


def test_a_disk_that_cannot_be_written_still_tells_what_is_owed() -> None:
    disk = MemoryFilesystem()
    kept = journal(disk).open(RESULT, {})
    disk.crash()
    disk.sync_error = errno.EROFS
    book = journal(disk)
    assert [entry.id for entry in book.entries()] == [kept]
    with pytest.raises(DiskError):
        book.open(PACKAGE, {})
    disk.sync_error = None
    book.idle()
    book.open(PACKAGE, {})


def test_a_journal_that_cannot_be_read_is_not_replaced_by_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()  # reading a directory fails with EISDIR, for root too
    book = Journal(RealFilesystem(), str(tmp_path), StoppedClock())
    with pytest.raises(DiskError):
        book.open(PACKAGE, {})
    book.idle()
    book.look()
    assert (tmp_path / "journal").is_dir()
    assert book.lost
    assert book.trouble == f"the journal {tmp_path}/journal could not be read: Is a directory"


def test_a_journal_of_a_newer_version_is_kept_aside_not_misread(caplog: pytest.LogCaptureFixture) -> None:
    disk = MemoryFilesystem()
    image = seal({"r": "header", "format": "ipad-agent journal", "version": 2, "next": 9})
    disk.create(PATH).write(image)
    book = journal(disk)
    assert book.entries() == ()
    assert disk.read(PATH + ".v2") == image
    assert said(caplog) == ["IPA-1205"]
    book.open(RESULT, {})
    assert len(journal(disk).entries()) == 1


# Limits.


def test_at_the_cap_new_work_is_refused_but_results_of_old_work_are_still_noted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    disk = MemoryFilesystem()
    book = journal(disk)
    packages = [book.open(PACKAGE, {"n": number}) for number in range(64)]
    assert not book.room_for_work
    with pytest.raises(JournalFullError):
        book.open(PACKAGE, {})
    with pytest.raises(JournalFullError):
        book.open(TRIGGER, {})
    book.open(SWITCH, {"previous": "8949…"})
    book.update(packages[0], state="result owed", raw=bytes(500))
    assert len(journal(disk).entries()) == 65
    assert said(caplog).count("IPA-1206") == 2  # once by each of the two journals here
    assert said(caplog).count("IPA-1207") == 2
    for identity in packages[:20]:
        book.close(identity, "acknowledged")
    assert book.room_for_work
    book.open(PACKAGE, {})


def test_the_reserve_has_an_end_too_and_nothing_owed_is_ever_dropped() -> None:
    disk = MemoryFilesystem()
    book = journal(disk)
    for number in range(80):
        book.open(RESULT, {"n": number})
    with pytest.raises(JournalFullError):
        book.open(RESULT, {})
    assert [entry.facts["n"] for entry in journal(disk).entries()] == list(range(80))


def test_the_cap_counts_bytes_as_well_as_items() -> None:
    book = journal(MemoryFilesystem(), Limits(size_bytes=1000, reserve_bytes=500))
    identity = book.open(PACKAGE, {"raw": bytes(600)})
    with pytest.raises(JournalFullError):
        book.open(PACKAGE, {"raw": bytes(300)})
    book.open(RESULT, {"raw": bytes(300)})
    with pytest.raises(JournalFullError):
        book.update(identity, raw=bytes(1600))
    assert book.entry(identity).facts["raw"] == bytes(600)


def test_an_idle_moment_rewrites_a_file_that_is_mostly_history(caplog: pytest.LogCaptureFixture) -> None:
    disk = MemoryFilesystem()
    book = journal(disk, Limits(garbage_bytes=500))
    kept = book.open(RESULT, {"raw": b"x"})
    for _ in range(20):
        book.update(kept, raw=b"y")
    before = len(disk.read(PATH))
    with caplog.at_level(logging.DEBUG, logger="ipad_agent"):
        book.idle()
        book.idle()
    assert len(disk.read(PATH)) < before / 4
    assert said(caplog) == ["IPA-1209"]
    disk.power_cut()
    assert journal(disk).entry(kept).facts == {"raw": b"y"}


def test_without_any_idle_moment_the_file_stays_bounded() -> None:
    disk = MemoryFilesystem()
    book = journal(disk, Limits(file_bytes=2000))
    kept = book.open(RESULT, {})
    for number in range(100):
        book.update(kept, number=number)
        assert len(disk.read(PATH)) < 2500
    assert journal(disk).entry(kept).facts == {"number": 99}


# The real disk.


def test_on_the_real_disk_the_journal_is_private_readable_text_and_reopens(tmp_path: Path) -> None:
    book = Journal(RealFilesystem(), str(tmp_path / "state"), StoppedClock())
    kept = book.open(PACKAGE, {"raw": b"\xbf\x51"})
    book.close(book.open(RESULT, {}), "acknowledged")
    book.detach()
    path = tmp_path / "state" / "journal"
    assert path.stat().st_mode & 0o777 == 0o600
    assert all(re.fullmatch(rb"(|[0-9a-f]{8} \{.*\})", line) for line in path.read_bytes().split(b"\n"))
    again = Journal(RealFilesystem(), str(tmp_path / "state"), StoppedClock())
    assert [entry.id for entry in again.entries()] == [kept]
    again.close(kept, "acknowledged")
    again.detach()
    assert not read_journal(path.read_bytes()).entries


def test_two_agents_cannot_use_one_state_directory(tmp_path: Path) -> None:
    with StateLock(str(tmp_path)), pytest.raises(StateDirectoryBusyError):
        StateLock(str(tmp_path))
    StateLock(str(tmp_path)).release()
