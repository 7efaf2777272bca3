"""The file for the node exporter: whole or not at all, and never a trouble to the agent."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from ipad_agent.local.prometheus.textfile_collector import Textfile
from virtual_time import run


def ids(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.event.id for record in caplog.records if hasattr(record, "event")]


def test_it_is_written_again_and_again_and_others_may_read_it(tmp_path: Path) -> None:
    path, texts = tmp_path / "ipad.prom", iter(["one\n", "two\n", "three\n"])
    os.umask(before := os.umask(0o077))

    async def story() -> None:
        task = asyncio.create_task(Textfile(path, lambda: next(texts), interval_s=60).run())
        await asyncio.sleep(1)
        assert path.read_text() == "one\n"
        await asyncio.sleep(60)
        assert path.read_text() == "two\n"
        task.cancel()
        await asyncio.wait([task])

    os.umask(0o077)
    try:
        run(story())
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o644
    assert os.listdir(tmp_path) == ["ipad.prom"]


def test_the_collector_never_sees_half_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ipad.prom"
    writer = Textfile(path, lambda: "new\n", interval_s=1)
    path.write_text("old\n")
    seen: list[str] = []
    replace = os.replace

    def look(source: Path, target: Path) -> None:
        seen.append(path.read_text())
        replace(source, target)

    monkeypatch.setattr(os, "replace", look)
    writer.write()
    assert seen == ["old\n"]
    assert path.read_text() == "new\n"


def test_a_folder_that_is_not_there_is_told_once_and_also_when_it_works_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "ipad_agent")
    folder = tmp_path / "collector"
    writer = Textfile(folder / "ipad.prom", lambda: "x\n", interval_s=1)
    writer.write()
    writer.write()
    assert ids(caplog) == ["IPA-1360"]
    folder.mkdir()
    writer.write()
    writer.write()
    assert ids(caplog) == ["IPA-1360", "IPA-1361"]


def test_a_disk_that_refuses_leaves_no_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "no space")

    monkeypatch.setattr(os, "replace", refuse)
    Textfile(tmp_path / "ipad.prom", lambda: "x\n", interval_s=1).write()
    assert os.listdir(tmp_path) == []


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path = tmp_path / "ipad.prom"
    (tmp_path / f".ipad.prom.{os.getpid()}").symlink_to(victim)
    Textfile(path, lambda: "x\n", interval_s=1).write()
    assert victim.read_text() == "precious"
