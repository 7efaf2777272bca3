"""Whether the device is on external power, by what the kernel tells of its supplies."""

from __future__ import annotations

from pathlib import Path
from typing import Final

SUPPLIES: Final = Path("/sys/class/power_supply")


def external(folder: Path = SUPPLIES) -> bool:
    """True without any battery: whatever such a device runs on is no battery. With one, a supply (Mains, USB,
    Wireless) has to be online; where the kernel knows the battery alone, it must not be discharging."""
    supplies = [found for found in _supplies(folder) if found.get("scope") != "Device"]
    batteries = [found for found in supplies if found.get("type") in ("Battery", "UPS")]
    chargers = [found for found in supplies if found.get("type", "").startswith(("Mains", "USB", "Wireless"))]
    if not batteries or any(found.get("online") in ("1", "2") for found in chargers):
        return True
    return not chargers and all(found.get("status") != "Discharging" for found in batteries)


def _supplies(folder: Path) -> list[dict[str, str]]:
    try:
        return [
            {name: _read(path / name) for name in ("type", "online", "status", "scope")} for path in folder.iterdir()
        ]
    except OSError:
        return []


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
