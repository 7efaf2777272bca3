"""The files in ``tests/corpus``: one input each, a folder per form of input. Its README says where they come from."""

from __future__ import annotations

import hashlib
from pathlib import Path

from .engine import Failure
from .target import Target

ROOT = Path(__file__).resolve().parent.parent / "corpus"
ORIGINS = ("nasty", "seen", "vector", "found")
"""How names of files begin."""


def files(folder: str) -> list[Path]:
    """The inputs of one folder in a fixed order; notes beside them are left out."""
    return sorted(path for path in (ROOT / folder).glob("*") if path.suffix == ".bin")


def inputs(target: Target) -> list[bytes]:
    """What the files of a target's folder hold."""
    return [path.read_bytes() for path in files(target.folder)]


def keep(failure: Failure, folder: str, trace: str, root: Path = ROOT) -> Path:
    """Save an input that failed, with a note that says how, so that it is tried by every later run."""
    path = root / folder / f"found-{hashlib.sha256(failure.data).hexdigest()[:12]}.bin"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(failure.data)
    path.with_suffix(".txt").write_text(f"{failure}\n\n{trace}", encoding="utf-8", errors="backslashreplace")
    return path
