"""The eIM's state in SQLite: nothing is lost over a restart, and only what changed is written."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from ipad_agent.lab.eim import StateFileError, VirtualEim, build_order
from ipad_agent.lab.eim.sqlite_store import SqliteStore

from .world import EID, POLL, Card, identity, noted, provide

OTHER = "89049032000000000000000000000163"


def eim(path: Path) -> VirtualEim:
    return VirtualEim(identity(), store=SqliteStore(path), random_bytes=lambda size: b"\x0a" * size)


def test_devices_queues_and_history_survive_a_restart(tmp_path: Path) -> None:
    path, card = tmp_path / "eim.db", Card()
    first = eim(path)
    first.add_device(EID, counter=4, certificate_der=card.certificate)
    first.add_device(OTHER, token=7)
    done = first.enqueue(EID, build_order(["list-eim"]))
    first.enqueue(EID, build_order(["trigger", "LPA:1$smdp.example$M-1", "--cc", "1234"]))
    first.handle(POLL)
    first.handle(provide(card.epr(counter="05", transaction="0A" * 8)))
    assert done.state == "done"
    again = eim(path)
    assert list(again.devices) == [EID, OTHER]
    assert again.devices == first.devices
    assert list(again.history) == list(first.history)
    assert noted(again, "result")[0]["facts"]["signature"] == "right (token)"
    assert again.enqueue(OTHER, build_order(["list-eim"])).number == 3


def test_a_device_that_is_forgotten_is_gone_after_a_restart(tmp_path: Path) -> None:
    first = eim(tmp_path / "eim.db")
    first.add_device(EID)
    first.add_device(OTHER)
    del first.devices[EID]
    first.enqueue(OTHER, build_order(["list-eim"]))
    assert list(eim(tmp_path / "eim.db").devices) == [OTHER]


def test_the_history_in_the_file_is_longer_than_that_in_memory(tmp_path: Path) -> None:
    first = eim(tmp_path / "eim.db")
    first.add_device(EID)
    for _ in range(1100):
        first.handle(POLL)
    assert len(first.history) == 1000
    with sqlite3.connect(tmp_path / "eim.db") as db:
        assert db.execute("SELECT count(*) FROM history WHERE kind = 'request'").fetchone() == (1100,)
    assert len(eim(tmp_path / "eim.db").history) == 1000


def test_only_what_changed_is_written(tmp_path: Path) -> None:
    first = eim(tmp_path / "eim.db")
    first.add_device(EID)
    with sqlite3.connect(tmp_path / "eim.db") as db:
        before = db.execute("SELECT rowid, document FROM device").fetchall()
        first.handle(POLL)
        assert db.execute("SELECT rowid, document FROM device").fetchall() == before


@pytest.mark.parametrize("content", [b"not a database, but long enough for a header", b""])
def test_a_file_of_something_else_is_refused_and_an_empty_one_taken(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "eim.db"
    path.write_bytes(content)
    if content:
        with pytest.raises(StateFileError):
            SqliteStore(path)
    else:
        assert SqliteStore(path).load() == ({}, [])


def test_a_store_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "eim.db") as db:
        db.execute("PRAGMA user_version = 9")
    with pytest.raises(StateFileError, match="version 9"):
        SqliteStore(tmp_path / "eim.db")


def test_a_folder_that_is_not_there_is_an_error_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StateFileError, match="cannot be used"):
        SqliteStore(tmp_path / "no" / "eim.db")
