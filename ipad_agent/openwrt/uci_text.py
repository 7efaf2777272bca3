"""The text of a UCI package, as ``uci export`` prints it or a person writes it into ``/etc/config``: sections out.

The grammar is libuci's: one statement a line (``package``, ``config``, ``option``, ``list``), words separated by
blanks. Single quotes keep everything, double quotes and bare words know the backslash, pieces without a blank between
them are one word, ``#`` begins a comment where a word could begin. Quoted words may go over several lines.
"""

from __future__ import annotations

import re
from typing import Final

from ipad_agent.records import dataclass, field

_NAME: Final = re.compile(r"[A-Za-z0-9_]+")
# libuci allows more in the type of a section than in its name.
_TYPE: Final = re.compile(r"[A-Za-z0-9_-]+")
_ARGUMENTS: Final = {"package": (1, 1), "config": (1, 2), "option": (2, 2), "list": (2, 2)}


class UciSyntaxError(Exception):
    """No UCI. ``line`` counts from 1."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line = line


@dataclass(slots=True)
class UciSection:
    """One section. ``name`` is None for an anonymous one; an option is a text, a list a Python list of texts."""

    type: str
    name: str | None
    line: int
    options: dict[str, str | list[str]] = field(default_factory=dict)


def parse(text: str) -> list[UciSection]:
    """The sections in order. An option that is there twice counts as written last, a section that is named twice is
    one, both as with libuci. Raises ``UciSyntaxError``."""
    sections: list[UciSection] = []
    current: UciSection | None = None
    for line, words in _statements(text):
        keyword, arguments = words[0], words[1:]
        if keyword not in _ARGUMENTS:
            raise UciSyntaxError(line, f'"{keyword}" begins no statement; package, config, option and list do')
        least, most = _ARGUMENTS[keyword]
        if not least <= len(arguments) <= most:
            raise UciSyntaxError(line, f'"{keyword}" with {len(arguments)} words behind it')
        if keyword == "config":
            current = _opened(sections, line, arguments)
        elif keyword != "package":
            if current is None:
                raise UciSyntaxError(line, f'"{keyword}" before the first "config"')
            _put(current, line, keyword, arguments[0], arguments[1])
    return sections


def _opened(sections: list[UciSection], line: int, arguments: list[str]) -> UciSection:
    kind, name = arguments[0], arguments[1] if len(arguments) > 1 else None
    if not _TYPE.fullmatch(kind):
        raise UciSyntaxError(line, f'"{kind}" is no type of a section')
    if name is not None and not _NAME.fullmatch(name):
        raise UciSyntaxError(line, f'"{name}" is no name of a section')
    same = next((section for section in sections if name is not None and section.name == name), None)
    if same is None:
        same = UciSection(kind, name, line)
        sections.append(same)
    elif same.type != kind:
        raise UciSyntaxError(line, f'a section "{name}" of the type "{same.type}" is there already')
    return same


def _put(section: UciSection, line: int, keyword: str, name: str, value: str) -> None:
    if not _NAME.fullmatch(name):
        raise UciSyntaxError(line, f'"{name}" is no name of an option')
    there = section.options.get(name)
    if keyword == "option":
        section.options[name] = value
    elif isinstance(there, list):
        there.append(value)
    else:
        # As in libuci a list that follows an option of the same name takes its value in.
        section.options[name] = [value] if there is None else [there, value]


def _statements(text: str) -> list[tuple[int, list[str]]]:
    """Each statement with the line that it begins on."""
    found: list[tuple[int, list[str]]] = []
    position, line = 0, 1
    while position < len(text):
        words, position, ended = _words(text, position, line)
        if words:
            found.append((line, words))
        line = ended
    return found


def _words(text: str, position: int, line: int) -> tuple[list[str], int, int]:
    """The words up to the end of the line, the position behind it and that line's number."""
    words: list[str] = []
    while position < len(text):
        character = text[position]
        if character == "\n":
            return words, position + 1, line + 1
        if character in " \t\r":
            position += 1
        elif character == "#":
            end = text.find("\n", position)
            position = len(text) if end < 0 else end
        else:
            word, position, line = _word(text, position, line)
            words.append(word)
    return words, position, line


def _word(text: str, position: int, line: int) -> tuple[str, int, int]:
    pieces: list[str] = []
    while position < len(text) and text[position] not in " \t\r\n":
        if text[position] in "'\"":
            piece, position, line = _quoted(text, position, line)
        elif text[position] == "\\" and position + 1 < len(text):
            piece, position = text[position + 1], position + 2
            line += piece == "\n"
        else:
            piece, position = text[position], position + 1
        pieces.append(piece)
    return "".join(pieces), position, line


def _quoted(text: str, position: int, line: int) -> tuple[str, int, int]:
    quote, began = text[position], line
    pieces: list[str] = []
    position += 1
    while position < len(text):
        character = text[position]
        if character == quote:
            return "".join(pieces), position + 1, line
        if character == "\\" and quote == '"' and position + 1 < len(text):
            position += 1
            character = text[position]
        line += character == "\n"
        pieces.append(character)
        position += 1
    raise UciSyntaxError(began, f"a quotation mark ({quote}) that is not closed")
