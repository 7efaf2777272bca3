"""Run the benchmarks and write their table: ``make bench``.

    python bench/run.py [NAME...] [--quick]

Each benchmark is a file beside this one with ``measure() -> list[Figure]``. Their figures go into ``results.json``,
from there into ``README.md`` of this folder, and those named in ``IN_THE_README`` into the README of the project.
``--quick`` takes fewer rounds. To be run on a quiet machine.
"""

from __future__ import annotations

import argparse
import asyncio
import compileall
import importlib
import inspect
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from figures import Figure, machine, rows

from ipad_agent.errors import IpadError
from ipad_agent.lab.errors import BenchError

FOLDER: Final = Path(__file__).resolve().parent
BENCHMARKS: Final = {
    "agent_cost": "What the daemon costs",
    "answer_time": "How fast a person has an answer",
    "flash_size": "What it takes on a device's flash",
    "fleet_load": "What a fleet does to its eIM",
    "growth": "How it grows",
    "link_days": "What a day, an order and a download cost over which link",
    "links": "What polls and downloads cost on the wire",
    "own_code": "What our own code takes",
    "serial_line": "How much of a serial line's speed it uses",
}
QUICK: Final[dict[str, dict[str, Any]]] = {
    "agent_cost": {"polls": 60, "downloads": 2},
    "answer_time": {"rounds": 5},
    "flash_size": {},
    "fleet_load": {"devices": 50_000},
    "growth": {"names": ["eims"], "write": False},
    "link_days": {"names": "ethernet,nbiot-good"},
    "links": {"losses": "0"},
    "own_code": {"rounds": 5},
    "serial_line": {"blocks": 6, "rounds": 1, "bauds": [921600]},
}
IN_THE_README: Final = (
    "CPU to the end of the first poll",
    "memory at ready",
    "memory at ready, HTTPS only",
    "memory after 20 downloads more",
    "CPU of an idle poll",
    "ipactl status",
    "load after six hours without the eIM",
)
RESULTS: Final = FOLDER / "results.json"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


def main() -> int:
    """Measure what was asked for and write everything anew; 1 when a benchmark failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; none: all")
    parser.add_argument("--quick", action="store_true", help="fewer rounds; nothing is written")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    # As on a device, where the byte code is there.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    compileall.compile_dir(str(FOLDER.parent / "ipad_agent"), quiet=2)
    kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    failed = False
    for name in arguments.names or BENCHMARKS:
        print(f"{BENCHMARKS[name]} ...", flush=True)
        try:
            figures = _measured(name, QUICK[name] if arguments.quick else {})
        except (IpadError, BenchError, OSError, RuntimeError) as error:  # it costs its own figures only
            print(f"{name} failed: {type(error).__name__}: {error}", file=sys.stderr)
            failed = True
            continue
        print("\n".join(rows(figures)), flush=True)
        kept[name] = {
            "machine": machine(),
            "at": datetime.now(UTC).strftime("%Y-%m-%d"),
            "figures": [figure.plain() for figure in figures],
        }
    if not arguments.quick:
        RESULTS.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        write_tables(kept)
    return 1 if failed else 0


def write_tables(kept: dict[str, Any]) -> None:
    """Both tables out of the kept results."""
    for path, text in pages(kept).items():
        path.write_text(text, encoding="utf-8")


def pages(kept: dict[str, Any]) -> dict[Path, str]:
    """What the two pages say with these results."""
    lines = {FOLDER / "README.md": table(kept), FOLDER.parent / "README.md": short_table(kept)}
    return {path: _with_table(path, table_lines) for path, table_lines in lines.items()}


def table(kept: dict[str, Any]) -> list[str]:
    """All figures, by benchmark."""
    lines: list[str] = []
    for name, title in BENCHMARKS.items():
        if name in kept:
            found = kept[name]
            figures = [Figure.read(plain) for plain in found["figures"]]
            lines += [f"## {title}", "", f"`{name}.py`, {found['at']}, {found['machine']}", "", *rows(figures), ""]
    return lines[:-1]


def short_table(kept: dict[str, Any]) -> list[str]:
    """Those of the project's README, in its order."""
    figures = {plain["name"]: Figure.read(plain) for found in kept.values() for plain in found["figures"]}
    machines = dict.fromkeys(found["machine"] for found in kept.values())
    named = [figures[name] for name in IN_THE_README if name in figures]
    return [*rows(named), "", f"Measured by `make bench` on: {'; '.join(machines)}."]


def _measured(name: str, words: dict[str, Any]) -> list[Figure]:
    found: Any = importlib.import_module(name).measure(**words)
    return asyncio.run(found) if inspect.iscoroutine(found) else found


def _with_table(path: Path, lines: list[str]) -> str:
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"{path} has no place for the figures: {BEGIN} ... {END}")
    return f"{before}{BEGIN}\n\n" + "\n".join(lines) + f"\n\n{END}{after}"


if __name__ == "__main__":
    sys.exit(main())
