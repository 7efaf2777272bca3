"""A line for each of many devices: what the eIM saw of it, and what its agent says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

POLL_FAILED = "IPA-1005"
SHOWN_CHARACTERS = 60


@dataclass(slots=True)
class DeviceRow:
    """``asked`` (for work) and ``results`` are what the eIM heard of the device, ``failures`` the polls that its agent
    says have failed. ``problem`` is the last of these, or what is no message of an agent in its log."""

    number: int
    eid: str
    started_s: float | None = None
    running: bool = False
    asked: int = 0
    results: int = 0
    last_asked_s: float | None = None
    failures: int = 0
    problem: str = ""
    _read_bytes: int = field(default=0, repr=False)

    @property
    def facts(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "number": self.number,
            "eid": self.eid,
            "running": self.running,
            "asked": self.asked,
            "results": self.results,
            "lastAsked": self.last_asked_s,
            "failures": self.failures,
            "problem": self.problem or None,
        }

    def read_log(self, path: Path) -> None:
        """What the agent has said since the last look: a JSON object a line. Half a line waits for its other half."""
        try:
            with path.open("rb") as log:
                log.seek(self._read_bytes)
                text = log.read()
        except FileNotFoundError:
            return
        whole, _, _ = text.rpartition(b"\n")
        self._read_bytes += len(whole) + 1 if whole else 0
        for line in whole.splitlines():
            self._heard(line)

    def _heard(self, line: bytes) -> None:
        try:
            said = json.loads(line)
        except ValueError:
            self.problem = line.decode("utf-8", "replace").strip()  # why it did not start, or the end of a traceback
            return
        if isinstance(said, dict) and said.get("id") == POLL_FAILED:
            self.failures += 1
            self.problem = str(said.get("text", ""))


def summary(rows: Sequence[DeviceRow]) -> str:
    """``200 devices: 200 run, 187 have asked for work, 230 times in all, 0 polls failed, 12 results``."""
    have_asked = sum(row.asked > 0 for row in rows)
    return (
        f"{len(rows)} devices: {sum(row.running for row in rows)} run, {have_asked} have asked for work, "
        f"{sum(row.asked for row in rows)} times in all, {sum(row.failures for row in rows)} polls failed, "
        f"{sum(row.results for row in rows)} results"
    )


def table(rows: Sequence[DeviceRow], now_s: float) -> str:
    """All of them, then the sum."""
    lines = [f"{'device':>6}  {'EID':32}  {'agent':7}  {'asked':>5}  {'last':>8}  {'failed':>6}  {'results':>7}"]
    for row in rows:
        ago = "never" if row.last_asked_s is None else f"{now_s - row.last_asked_s:.0f} s ago"
        agent = "runs" if row.running else "waits" if row.started_s is None else "ended"
        line = (
            f"{row.number:>6}  {row.eid:32}  {agent:7}  {row.asked:>5}  {ago:>8}  {row.failures:>6}  {row.results:>7}"
        )
        lines.append(f"{line}  {_short(row.problem)}".rstrip())
    return "\n".join([*lines, summary(rows)])


def _short(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "..."
