"""Text as it may leave the agent: what cannot be shown, or changes how the rest is shown, is replaced.

Names come from cards, modems and servers. In a log, on a terminal, on the bus or in a file for the support they must
not be able to end a line, move a cursor or turn the direction of writing. That is decided here and nowhere else.

Not printable are, by Unicode's categories, the controls of ASCII and the C1 controls (Cc), which some terminals obey;
direction marks, joiners and other invisible ones (Cf); halves of characters, private and unassigned ones (Cs, Co, Cn);
line and paragraph separators U+2028 and U+2029 (Zl, Zp); and blanks of other kinds than the usual one (Zs).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

MARK: Final = "\ufffd"
"""The replacement character, as decoding puts it in for bytes that are no text."""


def is_printable(text: str) -> bool:
    """Whether ``printable`` would leave it as it is."""
    return text.isprintable()


def printable(text: str, *, mark: str = MARK) -> str:
    """The same text in one line: blanks and line ends of every kind are blanks, all else that is not printable is
    ``mark``. As long as before if ``mark`` is one character."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c.isspace() else mark for c in text)


def printable_lines(text: str) -> str:
    """As ``printable``, but the line ends ``\\n`` are kept."""
    return text if text.isprintable() else "\n".join(printable(line) for line in text.split("\n"))


def summary(text: str, most: int) -> str:
    """At most so many characters of a peer's words, with single blanks instead of what is not printable."""
    return " ".join(printable(text[: 8 * most], mark=" ").split())[:most]


def printable_data(value: object) -> object:
    """Data as JSON will have it, with every text in it printable; what is neither text, list nor object is left."""
    if isinstance(value, str):
        return printable(str(value))
    if isinstance(value, Mapping):
        return {printable_data(name): printable_data(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [printable_data(item) for item in value]
    return value


def size_text(count_bytes: int) -> str:
    """``912 B``, ``6.1 kB``, ``412 kB``, ``2.0 MB``: thousands, so that every face names the same figure."""
    if count_bytes < 1000:
        return f"{count_bytes} B"
    for unit, size_bytes in (("kB", 1e3), ("MB", 1e6), ("GB", 1e9)):
        count = count_bytes / size_bytes
        if count < 9.95:
            return f"{count:.1f} {unit}"
        if count < 999.5 or unit == "GB":
            return f"{count:.0f} {unit}"
    raise AssertionError("the last unit takes everything")
