"""Scripts and supplies of a site in a folder."""

from __future__ import annotations

from pathlib import Path


def script(folder: Path, name: str, text: str, *, mode: int = 0o755, shell: str = "#!/bin/sh\n") -> Path:
    """A script as an administrator would put it there."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(shell + text)
    path.chmod(mode)
    return path


def supply(folder: Path, name: str, **attributes: str) -> None:
    """A power supply as the kernel shows it; ``kind`` is its attribute ``type``."""
    place = folder / name
    place.mkdir(parents=True)
    for attribute, value in attributes.items():
        (place / ("type" if attribute == "kind" else attribute)).write_text(value + "\n")
