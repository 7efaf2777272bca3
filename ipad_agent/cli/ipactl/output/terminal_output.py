"""What is written on: how wide it is, whether it shows colours, and which characters it has.

Everything that came from a card, a modem or a server goes through ``clean`` before it is shown: a profile's name must
not be able to move the cursor of the terminal it is shown on.
"""

from __future__ import annotations

import os
import unicodedata
from typing import Final, TextIO

from ipad_agent.printable import printable
from ipad_agent.records import dataclass

LABEL_WIDTH: Final = 11
INDENT: Final = "  "
GLUE: Final = "\u00a0"
"""A blank at which no line is broken: between a number and its unit."""
_UNBOUND_WIDTH: Final = 100
_NARROWEST: Final = 40
_WIDEST: Final = 120

COLOURS: Final = {"good": "32", "busy": "36", "waiting": "33", "bad": "31", "label": "2", "title": "1", "warn": "33"}

_ASCII: Final = str.maketrans(
    {
        "●": "*",
        "○": "o",
        "✓": "ok",
        "✗": "FAIL",
        "…": "..",
        "·": "-",
        "–": "-",
        "—": "-",
        "−": "-",
        "×": "x",
        "±": "+/-",
        "→": "->",
        "“": '"',
        "”": '"',
        "‘": "'",
        "’": "'",
        "█": "#",
        "░": ".",
    }
)
_ASCII_DOTS: Final = {"●": "*", "○": "o", "✗": "x"}
_PROBE: Final = "●○✓✗…·→“”█░"


@dataclass(frozen=True, slots=True)
class TerminalOutput:
    """``width`` in columns; ``unicode``: whether more than ASCII can be shown; ``terminal``: whether lines can be
    written over again."""

    width: int = _UNBOUND_WIDTH
    colour: bool = False
    unicode: bool = True
    terminal: bool = False

    @classmethod
    def of(cls, stream: TextIO) -> TerminalOutput:
        """What this stream shows. Off a terminal the width is that of ``COLUMNS``, else 100."""
        terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
        columns = terminal_size(stream)[0] if terminal else _columns()
        return cls(
            min(max(columns, _NARROWEST), _WIDEST),
            terminal and "NO_COLOR" not in os.environ,
            _can_show(_PROBE, stream.encoding),
            terminal,
        )

    def text(self, text: str) -> str:
        """As this paper can show it; whatever is not printable was let through by mistake. ``GLUE`` stays."""
        text = GLUE.join(printable(part) for part in text.split(GLUE))
        if self.unicode:
            return text
        return GLUE.join(part.translate(_ASCII).encode("ascii", "replace").decode("ascii") for part in text.split(GLUE))

    def paint(self, text: str, colour: str) -> str:
        """In a colour of ``COLOURS``, where there are colours."""
        return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if self.colour and text else text

    def hang(self, head: str, text: str, *, colour: str | None = None, indent: str = INDENT) -> list[str]:
        """``head`` in a column of its own, and ``text`` beside it, wrapped below itself."""
        first = indent + self.text(head)
        hang = " " * (LABEL_WIDTH + len(INDENT))
        first += " " * max(len(hang) - cells(first), 2)
        lines = wrap(self.text(text), self.width - len(hang), self.width - max(cells(first), len(hang))) or [""]
        painted = self.paint(first, colour) if colour else first
        return [(painted + lines[0]).rstrip(), *(hang + line for line in lines[1:])]

    def row(self, label: str, text: str) -> list[str]:
        """One fact with its name."""
        return [self._marks(line) for line in self.hang(label, text, colour="label")]

    def more(self, text: str) -> list[str]:
        """A line that belongs to the row above."""
        return self.row("", text)

    def dot(self, mark: str) -> str:
        """The mark before a sentence; of one character on every paper."""
        return mark if self.unicode else _ASCII_DOTS.get(mark, mark)

    def note(self, mark: str, text: str, colour: str) -> list[str]:
        """A sentence with a mark of one character before it."""
        lines = wrap(self.text(text), self.width - len(INDENT)) or [""]
        return [self.paint(self.dot(mark), colour) + " " + lines[0], *(INDENT + line for line in lines[1:])]

    def _marks(self, line: str) -> str:
        if not self.colour:
            return line
        return line.replace("✓", self.paint("✓", "good")).replace("✗", self.paint("✗", "bad"))

    def cut(self, text: str, width: int) -> str:
        """At most so many columns of it."""
        text = self.text(text).replace(GLUE, " ")
        if cells(text) <= width:
            return text
        end = self.text("…")
        while text and cells(text) > width - len(end):
            text = text[:-1]
        return text + end

    def bar(self, done: int, total: int, size: int) -> str:
        """How far something is, in ``size`` columns."""
        share = min(max(done / total, 0.0), 1.0) if total > 0 else 0.0
        return self.text(f"{'█' * round(share * size):░<{size}}")


def clean(text: str) -> str:
    """Without characters that control a terminal or the direction of writing; line ends become blanks."""
    return printable(text)


def cells(text: str) -> int:
    """How many columns a terminal needs for it: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def wrap(text: str, width: int, first_width: int | None = None) -> list[str]:
    """Lines of at most ``width`` columns (``first_width``: the first one), broken at blanks, and inside of words that
    are longer than a line. ``GLUE`` holds two words together and is a blank in the end."""
    lines: list[str] = []
    line, room = "", width if first_width is None else first_width
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if cells(longer) <= room:
            line = longer
            continue
        if line:
            lines.append(line)
            room = width
        while cells(word) > room:
            size = next(size for size in range(len(word), 0, -1) if cells(word[:size]) <= room or size == 1)
            lines.append(word[:size])
            word, room = word[size:], width
        line = word
    return [finished.replace(GLUE, " ") for finished in ([*lines, line] if line else lines)]


def terminal_size(stream: TextIO) -> tuple[int, int]:
    """Columns and lines of the terminal behind this stream; 100 and 24 where it does not tell."""
    try:
        columns, lines = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        columns = lines = 0
    return columns or _UNBOUND_WIDTH, lines or 24


def _columns() -> int:
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isascii() and columns.isdigit() and int(columns) > 0 else _UNBOUND_WIDTH


def _can_show(text: str, encoding: str | None) -> bool:
    try:
        text.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
