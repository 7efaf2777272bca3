"""A figure of a benchmark, and the table that all of them make."""

from __future__ import annotations

import os
import platform
import ssl
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from missed_goals import REASONS


@dataclass(frozen=True, slots=True)
class Figure:
    """``value`` in ``unit``; less is better unless ``more_is_better``. ``goal`` is what it shall be (None: it is only
    told), ``about`` says in a few words what was measured and how the goal is meant."""

    name: str
    unit: str
    value: float
    goal: float | None
    about: str
    more_is_better: bool = False

    @property
    def reached(self) -> bool | None:
        """None: there is no goal."""
        if self.goal is None:
            return None
        return self.value >= self.goal if self.more_is_better else self.value <= self.goal

    @property
    def ratio(self) -> float | None:
        """The figure as a multiple of its goal."""
        return self.value / self.goal if self.goal else None

    def plain(self) -> dict[str, Any]:
        """As ``results.json`` has it."""
        ratio = self.ratio
        return asdict(self) | {"ratio": None if ratio is None else round(ratio, 3), "reached": self.reached}

    @property
    def reason(self) -> str | None:
        """Why it misses its goal, a sentence of ``missed_goals.py``; None when it does not, or nobody has said."""
        return REASONS.get(self.name) if self.reached is False else None

    @classmethod
    def read(cls, plain: dict[str, Any]) -> Figure:
        """Out of ``results.json``."""
        return cls(**{name: value for name, value in plain.items() if name not in ("ratio", "reached")})


def machine() -> str:
    """Which machine it was, in a line that names no host."""
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    cores, kernel = len(os.sched_getaffinity(0)), platform.release().partition("-")[0]
    return f"{model}, {cores} cores, Linux {kernel}, Python {platform.python_version()}, {ssl.OPENSSL_VERSION}"


def rows(figures: Iterable[Figure]) -> list[str]:
    """The figures as the lines of a table."""
    lines = ["| figure | value | goal | value / goal | what was measured |", "|---|---:|---:|---:|---|"]
    for figure in figures:
        goal = "" if figure.goal is None else f"{'≥' if figure.more_is_better else '≤'} {_number(figure.goal)}"
        missed = " (missed)" if figure.reached is False else ""
        value = f"{_number(figure.value)} {figure.unit}".strip()
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        about = figure.about if figure.reason is None else f"{figure.about}. Missed: {figure.reason}"
        lines.append(f"| {figure.name} | {value} | {goal}{missed} | {ratio} | {about} |")
    return lines


def _number(value: float) -> str:
    if value >= 1000 or value == int(value):
        return f"{value:,.0f}"
    if value < 0.1:
        return f"{value:.4f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
