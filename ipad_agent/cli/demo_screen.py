"""What the demo writes on: steps with times, a bar on a terminal and a few lines elsewhere, checks at the end."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
import time
from typing import Final

BAR: Final = 30
PLAIN_SHARES: Final = (0.25, 0.5, 0.75)
"""Where no bar can be drawn, progress is told that far through."""


class Screen:
    """Writes the story; colours and bars only on a terminal."""

    def __init__(self, *, plain: bool) -> None:
        terminal = sys.stdout.isatty() and not plain
        self._colour = terminal and "NO_COLOR" not in os.environ
        self._bars = terminal
        self._width = min(shutil.get_terminal_size((100, 24)).columns, 110)
        self._began = time.monotonic()
        self._open_bar = False
        self._told: dict[str, float] = {}

    def title(self, text: str) -> None:
        print(self._paint("1", text), end="\n\n")

    def paragraph(self, text: str) -> None:
        for part in text.split("\n\n"):
            print("\n".join(_wrapped(" ".join(part.split()), self._width)), end="\n\n")

    def step(self, who: str, text: str) -> None:
        self._close_bar()
        head = self._head(who)
        body = _wrapped(text, self._width - len(head)) or [""]
        print(self._painted(head) + body[0])
        for line in body[1:]:
            print(" " * len(head) + line)
        sys.stdout.flush()

    def progress(self, who: str, text: str, done: int, total: int) -> None:
        """How far something is; calls with the same ``text`` belong together."""
        share = min(done / total, 1.0) if total > 0 else 0.0
        if self._bars:
            if text not in self._told:
                self._close_bar()
            head = self._head(who)
            size = max(min(BAR, self._width - len(head) - len(text) - 8), 1)
            bar = "█" * round(share * size)
            print(f"\r{self._painted(head)}{text}  {bar:░<{size}} {share:4.0%}", end="", flush=True)
            self._open_bar = True
        else:
            passed = [mark for mark in PLAIN_SHARES if self._told.get(text, 0.0) < mark <= share]
            if passed and share < 1:
                self.step(who, f"{text}: {share:.0%}")
        self._told[text] = share

    def check(self, good: bool, text: str) -> None:
        mark = self._paint("32", "✓") if good else self._paint("31", "✗")
        lines = _wrapped(text, self._width - 4)
        print(f"  {mark} {lines[0]}")
        for line in lines[1:]:
            print(f"    {line}")

    def _close_bar(self) -> None:
        if self._open_bar:
            print()
            self._open_bar = False

    def _head(self, who: str) -> str:
        return f"{time.monotonic() - self._began:5.1f} s  {who:<8} "

    def _painted(self, head: str) -> str:
        return self._paint("2", head[:9]) + self._paint("36", head[9:])

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text


def _wrapped(text: str, width: int) -> list[str]:
    """Lines that break at blanks only: a path or a command with a hyphen is for copying."""
    return textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=False)
