"""What is read from an agent's journal, written here by hand."""

from __future__ import annotations

from pathlib import Path

from ipad_agent.lab.bench.journal_view import Owed, boots, owed

# The checksums were made with gzip: printf '%s' "$LINE" | gzip -c | tail -c8 | head -c4 | od -An -tx4
OPEN = b'd4b0c6ab {"f":{"a":1},"k":"switch","n":1,"r":"open","t":[1,2,"b"]}'
UPDATE = b'de234bf4 {"e":1,"f":{"b":2},"k":"switch","n":2,"r":"update","t":[1,2,"b"]}'
ENTRY = b'0588930e {"damaged":false,"e":7,"f":{},"k":"result","opened":[1,2,"b"],"r":"entry","t":[1,2,"b"]}'
CLOSE = b'4721d9df {"e":1,"k":"switch","n":3,"o":"done","r":"close","t":[1,2,"b"]}'
LATER = b'6387daa7 {"e":7,"k":"result","n":8,"o":"done","r":"close","t":[1,2,"c"]}'


def read(folder: Path, *lines: bytes) -> list[Owed]:
    (folder / "journal").write_bytes(b"".join(b"\n" + line + b"\n" for line in lines))
    return owed(folder)


def test_open_entries_are_owed_until_they_are_closed(tmp_path: Path) -> None:
    assert owed(tmp_path) == []
    assert read(tmp_path, OPEN) == [Owed("switch", {"a": 1})]
    assert read(tmp_path, OPEN, UPDATE, ENTRY) == [Owed("switch", {"a": 1, "b": 2}), Owed("result", {})]
    assert read(tmp_path, OPEN, UPDATE, ENTRY, CLOSE) == [Owed("result", {})]


def test_a_line_that_is_not_whole_counts_for_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, OPEN, CLOSE[:-1]) == [Owed("switch", {"a": 1})]
    assert read(tmp_path, OPEN.replace(b'"a":1', b'"a":2'), ENTRY) == [Owed("result", {})]
    assert read(tmp_path, UPDATE) == []


def test_each_boot_that_wrote_is_named_once(tmp_path: Path) -> None:
    assert boots(tmp_path) == []
    read(tmp_path, OPEN, UPDATE, ENTRY, CLOSE, LATER)
    assert boots(tmp_path) == ["b", "c"]
