"""Where the keys of a TOML text are, which the standard library's reader does not tell.

Only for texts that ``tomllib`` has read: nothing is judged here, and what is not understood has no position.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from ipad_agent.records import dataclass


class Position(NamedTuple):
    """Both count from 1; the column in characters."""

    line: int
    column: int


_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_PART: Final = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_KEY: Final = re.compile(rf"[ \t]*({_PART}(?:[ \t]*\.[ \t]*{_PART})*)[ \t]*")
_PARTS: Final = re.compile(_PART)
_OPENS: Final = {"[": "]", "{": "}"}
_STRINGS: Final = (
    re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}', re.DOTALL),
    re.compile(r"'''.*?'{3,5}", re.DOTALL),
    re.compile(r'"(?:[^"\\\n]|\\.)*"'),
    re.compile(r"'[^'\n]*'"),
)


def positions(text: str) -> Mapping[str, Position]:
    """By place as in ``ConfigError``: ``poll``, ``poll.interval_s``, ``eim[1].id``. The first wins."""
    scan = _Scan(text)
    scan.run()
    return scan.found


def position_of(place: str, known: Mapping[str, Position]) -> Position | None:
    """Where this place is, or else the table that it would belong to."""
    while place:
        if place in known:
            return known[place]
        place = place.rpartition(".")[0]
    return None


@dataclass
class _Scan:
    text: str

    def __post_init__(self) -> None:
        self.found: dict[str, Position] = {}
        self._counts: dict[str, int] = {}
        self._table = ""
        self._at = 0

    def run(self) -> None:
        while self._skip_blank() < len(self.text):
            header = self.text.startswith("[", self._at)
            if not (self._header() if header else self._pair(self._table)):
                self._to_line_end()

    def _skip_blank(self) -> int:
        blank = _BLANK.match(self.text, self._at)
        self._at = blank.end() if blank else self._at
        return self._at

    def _to_line_end(self) -> None:
        end = self.text.find("\n", self._at)
        self._at = len(self.text) if end < 0 else end

    def _header(self) -> bool:
        begin, depth = self._at, 2 if self.text.startswith("[[", self._at) else 1
        key = _KEY.match(self.text, begin + depth)
        if key is None:
            return False
        name = ".".join(_names(key.group(1)))
        if depth == 2:
            number = self._counts[name] = self._counts.get(name, -1) + 1
            self._note(name, begin)
            name = f"{name}[{number}]"
        else:
            first, dot, rest = name.partition(".")
            name = f"{first}[{self._counts[first]}]{dot}{rest}" if first in self._counts else name
        self._table, self._at = name, key.end() + depth
        self._note(name, begin)
        return True

    def _pair(self, table: str) -> bool:
        """``key = value``; the keys of an inline table are noted too."""
        key = _KEY.match(self.text, self._at)
        if key is None or not self.text.startswith("=", key.end()):
            return False
        place = table
        for name in _names(key.group(1)):
            place = f"{place}.{name}" if place else name
            self._note(place, key.start(1))
        self._at = key.end() + 1
        self._value(place)
        return True

    def _value(self, place: str) -> None:
        self._at += len(self.text[self._at :]) - len(self.text[self._at :].lstrip(" \t"))
        if self.text.startswith("{", self._at):
            self._at += 1
            while self._skip_blank() < len(self.text) and not self.text.startswith("}", self._at):
                if not self._pair(place):
                    self._at += 1  # a comma
            self._at += 1
        elif self.text.startswith("[", self._at):
            self._list()
        elif not self._string():
            end = re.compile(r"[,}\]\n#]").search(self.text, self._at)
            self._at = len(self.text) if end is None else end.start()

    def _list(self) -> None:
        closing: list[str] = []
        while self._skip_blank() < len(self.text):
            char = self.text[self._at]
            if char in _OPENS:
                closing.append(_OPENS[char])
            elif closing and char == closing[-1]:
                closing.pop()
            elif self._string():
                continue
            self._at += 1
            if not closing:
                return

    def _string(self) -> bool:
        for pattern in _STRINGS:
            match = pattern.match(self.text, self._at)
            if match is not None:
                self._at = match.end()
                return True
        return False

    def _note(self, place: str, at: int) -> None:
        line = self.text.count("\n", 0, at) + 1
        self.found.setdefault(place, Position(line, at - self.text.rfind("\n", 0, at)))


def _names(key: str) -> list[str]:
    return [part.strip("\"'") for part in _PARTS.findall(key)]
