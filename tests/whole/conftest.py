"""One PKI for all tests of this folder: making keys is the slow part."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipad_agent.lab.pki import Pki

from .memory import World


@pytest.fixture(scope="session")
def pki_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    Pki.create(folder)
    return folder


@pytest.fixture
def world(pki_folder: Path) -> World:
    return World.make(pki_folder)
