"""The table of modules in docs/supported.md, from hw/modems.

    python tools/gen_supported.py

A test compares the page with the files.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ipad_agent.modem.module_profile import Grade, ModuleProfile
from ipad_agent.modem.module_profile_files import load_file

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs" / "supported.md"
BEGIN: Final = "<!-- modules -->\n"
END: Final = "<!-- end of modules -->\n"
MAX_SHOWN: Final = 6


def page(text: str) -> str:
    """The page with the table of now."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n" + "\n".join(_table()) + f"\n\n{END}{after}"


def _table() -> Iterator[str]:
    yield "| Profile | Modules | USB ids with known AT ports | Way to the card | Confirmed | Reported | Guesses |"
    yield "|---|---|---|---|---|---|---|"
    for path in sorted((ROOT / "hw" / "modems").glob("*.toml")):
        profile = load_file(path)
        ports_only = path.stem.endswith("-ports")
        way = "as `generic-3gpp`" if ports_only else ", then ".join(way.upper() for way in profile.uicc.order)
        cells = [f"`{path.stem}`", profile.title, _ids(profile), way]
        cells += [_keys(profile, grade) for grade in (Grade.CONFIRMED, Grade.REPORTED, Grade.GUESS)]
        yield f"| {' | '.join(cells)} |"


def _ids(profile: ModuleProfile) -> str:
    ids = sorted({one for ports in profile.usb_ports for one in ports.ids})
    shown = ", ".join(ids[:MAX_SHOWN])
    return f"{shown} and {len(ids) - MAX_SHOWN} more" if len(ids) > MAX_SHOWN else shown


def _keys(profile: ModuleProfile, grade: Grade) -> str:
    return ", ".join(sorted(key for key, evidence in profile.evidence.items() if evidence.grade is grade))


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(PAGE.relative_to(ROOT), file=sys.stderr)
