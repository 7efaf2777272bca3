"""What an installation takes on a device's flash: files as `make install` puts them, without the libraries.

python bench/flash_size.py
"""

from __future__ import annotations

import compileall
import os
import subprocess
import tempfile
from pathlib import Path

from figures import Figure, rows

ROOT = Path(__file__).resolve().parents[1]
PARTS = {"the agent": {"LAB": "no", "WEB": "no"}, "with the web page": {"LAB": "no"}, "with web page and lab": {}}


def measure() -> list[Figure]:
    """In MB of file contents, with and without Python's byte code."""
    found = []
    for part, words in PARTS.items():
        with tempfile.TemporaryDirectory() as folder:
            environment = dict(os.environ) | {"DESTDIR": folder, "PREFIX": "/usr"} | words
            command = ["sh", str(ROOT / "packaging" / "install.sh"), "install"]
            subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
            for path in list(Path(folder).rglob("*.pyc")):
                path.unlink()
            plain_mb = _megabytes(Path(folder))
            compileall.compile_dir(folder, quiet=2)
            about = f"installed; {_megabytes(Path(folder)):.1f} MB with its byte code"
            found.append(Figure(f"flash, {part}", "MB", plain_mb, None, about))
    return found


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink()) / 1e6


if __name__ == "__main__":
    print("\n".join(rows(measure())))
