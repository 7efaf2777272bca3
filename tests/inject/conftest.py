"""One PKI for all tests of this folder: making keys is the slow part."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipad_agent.lab.pki import Pki


@pytest.fixture(scope="session")
def pki_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    Pki.create(folder)
    return folder
