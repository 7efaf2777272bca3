"""The list of interpretations is complete: what the code tolerates is in the document."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_tables_of_tolerances_are_current() -> None:
    """Otherwise run ``python tools/gen_interpretations.py``."""
    command = [sys.executable, str(ROOT / "tools" / "gen_interpretations.py"), "--check"]
    assert subprocess.run(command, check=False, cwd=ROOT).returncode == 0
