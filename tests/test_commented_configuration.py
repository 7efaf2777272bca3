"""The configuration file of packages: it changes nothing, and what it shows as a default is one."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

from ipad_agent.config import Config, load
from ipad_agent.config.commented_configuration import lines
from ipad_agent.config.config_model import SECTIONS, EimConfig


def written(tmp_path: Path, *, uncommented: bool) -> Path:
    path = tmp_path / "config.toml"
    kept = []
    for line in lines():
        if uncommented and line.startswith("#") and line[1:2].strip() and not line.endswith("="):
            line = line[1:]
        if line.startswith("[[eim]]"):  # an entry must say which eIM it is about
            break
        kept.append(line)
    path.write_text("\n".join(kept))
    return path


def test_as_installed_it_is_the_defaults(tmp_path: Path) -> None:
    config = load(written(tmp_path, uncommented=False))
    assert replace(config, path=None, origins=Config().origins) == Config()


def test_every_default_it_shows_is_the_default(tmp_path: Path) -> None:
    config = load(written(tmp_path, uncommented=True))
    for name in SECTIONS:
        assert getattr(config, name) == getattr(Config(), name), name


def test_every_key_is_in_it_once() -> None:
    keys = [line[1:].partition(" =")[0] for line in lines() if line[:1] == "#" and line[1:2].islower()]
    expected = [item.name for kind in (*SECTIONS.values(), EimConfig) for item in fields(kind)]
    assert keys == expected


def test_it_fits_a_terminal_and_is_printed_by_its_module() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "ipad_agent.config.commented_configuration"], capture_output=True, text=True, check=True
    )
    assert said.stdout.splitlines() == list(lines())
    assert max(len(line) for line in lines()) <= 120
