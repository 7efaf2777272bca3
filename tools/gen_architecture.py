"""Draws docs/rooms.svg from the imports of the code: ``python tools/gen_architecture.py``.

A box is a room (a folder of ``ipad_agent``), an arrow an import of one room's file in another. An arrow that longer
ways over other rooms imply is left out, or nothing could be seen, and so is one that only names what another room
says (its ``events``); tests/test_imports.py knows every one.
"""

from __future__ import annotations

import ast
import functools
import sys
from collections import defaultdict
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "ipad_agent"
PICTURE = ROOT / "docs" / "rooms.svg"
GROUND = {"errors", "events", "clock", "printable", "records"}
"""Everything may import these; arrows to them would say nothing."""

ABOUT = {
    "codec": "bytes and messages",
    "policy": "when and whether",
    "store": "journal and documents",
    "card": "APDUs and ES10",
    "emulation": "IoT functions before SGP.22",
    "modem": "AT, ports, channels",
    "net": "CoAP, HTTPS, trust",
    "eim": "ESipa",
    "inject": "pushed packages",
    "wakeup": "SMS and knocks",
    "smdp": "ES9+ and ES11",
    "procedures": "SGP.32 clause 3",
    "site": "scripts and network",
    "recording": "what was said, on disk",
    "local": "socket, D-Bus, figures",
    "web": "a page in a browser",
    "config": "the TOML file",
    "status": "the picture of it all",
    "agent": "the running loop",
    "wiring": "the real rooms",
    "doctor": "examination, bundle",
    "conformance": "what is implemented",
    "modem_examination": "modems on a bench",
    "daemon": "the process",
    "installation": "the service around it",
    "cli": "ipad-agent, ipactl",
    "openwrt": "UCI and ubus",
    "lab": "card, modem, eIM, SM-DP+",
    "torture": "agent and lab in memory",
    "fleet": "the polls of a million devices",
}
MARKER = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0 8 4 0 8z" fill="#56708a"/></marker></defs>'
)
WIDTH, BOX_W, BOX_H, GAP_X, GAP_Y, MARGIN = 1080, 158, 46, 18, 52, 24


@functools.cache
def arrows() -> dict[str, set[str]]:
    """Which room imports which, imports for types included."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        room = parts[0]
        if len(parts) == 1:
            continue
        found[room]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").startswith("ipad_agent"):
                names = (node.module or "").split(".")[1:] or [alias.name for alias in node.names]
                if names[-1] != "events" and {alias.name for alias in node.names} != {"events"}:
                    found[room] |= {name for name in names[:1] if (PACKAGE / name).is_dir()}
    return {room: {other for other in others if other not in (room, *GROUND)} for room, others in found.items()}


def reduced(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """Without the arrows that longer ways imply."""

    def reach(room: str, seen: set[str]) -> set[str]:
        for other in graph.get(room, ()):
            if other not in seen:
                seen.add(other)
                reach(other, seen)
        return seen

    return {
        room: {one for one in others if not any(one in reach(other, set()) for other in others - {one})}
        for room, others in graph.items()
    }


def layers(graph: dict[str, set[str]]) -> list[list[str]]:
    """From the rooms that stand on nothing to those that nobody imports."""
    depth: dict[str, int] = {}

    def of(room: str, path: tuple[str, ...] = ()) -> int:
        if room not in depth and room not in path:
            depth[room] = 1 + max((of(other, (*path, room)) for other in graph.get(room, ())), default=-1)
        return depth.get(room, 0)

    for room in graph:
        of(room)
    rows: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for room in sorted(depth):
        rows[depth[room]].append(room)
    return rows


def picture() -> str:
    """The SVG."""
    graph = arrows()
    rows = layers(graph)
    place: dict[str, tuple[float, float]] = {}
    for level, row in enumerate(reversed(rows)):
        span = len(row) * BOX_W + (len(row) - 1) * GAP_X
        for number, room in enumerate(row):
            place[room] = ((WIDTH - span) / 2 + number * (BOX_W + GAP_X), MARGIN + level * (BOX_H + GAP_Y))
    height = MARGIN * 2 + len(rows) * BOX_H + (len(rows) - 1) * GAP_Y
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" role="img">',
        "<title>The rooms of ipad-agent and their imports</title>",
        MARKER,
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for room, others in sorted(reduced(graph).items()):
        for other in sorted(others):
            (x1, y1), (x2, y2) = place[room], place[other]
            down = y2 > y1
            lines.append(
                f'<line x1="{x1 + BOX_W / 2:.0f}" y1="{y1 + (BOX_H if down else 0):.0f}" x2="{x2 + BOX_W / 2:.0f}" '
                f'y2="{y2 + (0 if down else BOX_H):.0f}" stroke="#8aa0b4" stroke-width="1.2" marker-end="url(#tip)"/>'
            )
    for room, (x, y) in sorted(place.items()):
        fill = "#e8f1e4" if room in ("lab", "torture", "fleet") else "#e6eef7"
        lines.append(
            f'<rect x="{x:.0f}" y="{y:.0f}" width="{BOX_W}" height="{BOX_H}" rx="6" fill="{fill}" stroke="#56708a"/>'
            f'<text x="{x + BOX_W / 2:.0f}" y="{y + 19:.0f}" text-anchor="middle" font-size="14" font-weight="bold">'
            f"{escape(room)}</text>"
            f'<text x="{x + BOX_W / 2:.0f}" y="{y + 36:.0f}" text-anchor="middle" font-size="11" fill="#444444">'
            f"{escape(ABOUT[room])}</text>"
        )
    return "\n".join([*lines, "</svg>", ""])


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
    print(PICTURE.relative_to(ROOT), file=sys.stderr)
