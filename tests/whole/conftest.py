"""One PKI for all tests of this folder: making keys is the slow part."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipad_agent.agent import main_loop
from ipad_agent.lab.pki import Pki

from .memory import World


@pytest.fixture(scope="session")
def pki_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    Pki.create(folder)
    return folder


@pytest.fixture
def disk_is_looked_after_hourly(monkeypatch: pytest.MonkeyPatch) -> None:
    """For days in which the disk does well: the look every minute is then most of what such a test computes."""
    monkeypatch.setattr(main_loop, "LOOK_AFTER_DISK_S", 3600.0)


@pytest.fixture
def world(pki_folder: Path) -> World:
    return World.make(pki_folder)
