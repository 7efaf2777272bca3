"""The command line of a modem: bytes to lines, lines to commands (ITU-T V.250 clause 5).

Pure: ``LineReader`` eats bytes and gives lines, ``split_commands`` turns one line into its commands. Nothing here
raises on any input but ``CommandSyntaxError``, and the memory is bounded by ``max_line_bytes``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

__all__ = ["Command", "CommandSyntaxError", "Form", "Line", "LineReader", "split_arguments", "split_commands"]

CR = 0x0D
LF = 0x0A
BACKSPACE = 0x08
ESCAPE = 0x1B
REPEAT = b"A/"


class CommandSyntaxError(ValueError):
    """A command line that is no command line; the modem answers ERROR."""


class Form(Enum):
    """How an extended command was written: ``AT+X``, ``AT+X?``, ``AT+X=?``, ``AT+X=...``."""

    EXECUTE = "execute"
    READ = "read"
    TEST = "test"
    SET = "set"


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a line. ``name`` is upper case (``+CSIM``, ``E``, ``&F``, ``S3``); ``text`` is what followed."""

    name: str
    form: Form
    text: str = ""

    @property
    def arguments(self) -> list[str]:
        """The comma separated parameters, quotes kept, blanks outside quotes removed."""
        return split_arguments(self.text)


@dataclass(frozen=True, slots=True)
class Line:
    """A terminated line: the text before CR. ``overlong`` when it did not fit and was thrown away."""

    text: bytes
    overlong: bool = False


class LineReader:
    """Cuts a byte stream into command lines.

    ``wait_for_lf``: the firmware runs a line at CR LF only (a bare CR waits). Otherwise CR ends the line and an LF
    right after it is dropped. ``lf_is_data``: an LF is an ordinary character and so begins the next line.
    ``terminator`` and ``eraser`` are S3 and S5. ``A/`` needs no terminator and is the line before once more (V.250
    clauses 5.2.4, 6.2.1 and 6.2.3).
    """

    def __init__(self, *, max_line_bytes: int = 2048, wait_for_lf: bool = False, lf_is_data: bool = False) -> None:
        self._max_line_bytes = max_line_bytes
        self._wait_for_lf = wait_for_lf
        self._lf_is_data = lf_is_data
        self._buffer = bytearray()
        self._overlong = False
        self._last = 0
        self._before = b"AT"
        self.terminator = CR
        self.eraser = BACKSPACE

    def push(self, byte: int) -> Line | None:
        """Take one byte; the line it completes, if it does."""
        last, self._last = self._last, byte
        if byte == self.terminator:
            return None if self._wait_for_lf and byte == CR else self._take()
        if byte == LF and not self._lf_is_data:
            if self._wait_for_lf and last == CR:
                return self._take()
            return None
        if byte == REPEAT[1] and self._buffer.upper() == REPEAT[:1]:
            self._buffer.clear()
            return Line(self._before)
        if byte == self.eraser:
            del self._buffer[-1:]
        elif byte == ESCAPE:
            self._buffer.clear()
        elif len(self._buffer) >= self._max_line_bytes:
            self._overlong = True
        else:
            self._buffer.append(byte)
        return None

    def push_text(self, text: bytes) -> bool:
        """Take bytes of which none is a control character, if they all fit; whether they were taken."""
        if len(self._buffer) + len(text) > self._max_line_bytes:
            return False
        if (self._buffer[:2] + text[:2])[:2].upper() == REPEAT or min(self.terminator, self.eraser) >= 0x20:
            return False
        self._buffer += text
        self._last = text[-1]
        return True

    def clear(self) -> None:
        """Forget a half-typed line (the port was lost)."""
        self._buffer.clear()
        self._overlong = False
        self._last = 0

    @property
    def buffered_bytes(self) -> int:
        """Bytes of the line being typed; never above ``max_line_bytes``."""
        return len(self._buffer)

    def _take(self) -> Line:
        line = Line(bytes(self._buffer), self._overlong)
        if not line.overlong and _PREFIX.search(line.text.decode("latin-1")):
            self._before = line.text
        self._buffer.clear()
        self._overlong = False
        return line


_PREFIX = re.compile(r"[aA][tT]")
_EXTENDED = re.compile(r"([+#^%$!*][A-Za-z][A-Za-z0-9!%\-./:_]*)")
_BASIC = re.compile(r"([A-CE-RT-Za-ce-rt-z]|&[A-Za-z])(\d*)")
_REGISTER = re.compile(r"([sS]\d+)(=\d*|\?)?")


def split_commands(line: str) -> list[Command] | None:
    """The commands of a line, in order; ``None`` when the line holds no ``AT`` (a modem then says nothing).

    Whatever precedes the first ``AT`` (noise, NULs) is ignored, as V.250 modems do. ``CommandSyntaxError`` on what
    cannot be read as commands.
    """
    prefix = _PREFIX.search(line)
    if prefix is None:
        return None
    body = line[prefix.end() :].strip()
    commands: list[Command] = []
    at = 0
    while at < len(body):
        if body[at] in " ;":
            at += 1
            continue
        extended = _EXTENDED.match(body, at)
        if extended:
            end = _end_of_extended(body, extended.end())
            commands.append(_extended(extended[1], body[extended.end() : end].strip()))
            at = end
            continue
        register = _REGISTER.match(body, at)
        if register:
            text = register[2] or ""
            form = Form.READ if text == "?" else Form.SET if text else Form.EXECUTE
            commands.append(Command(register[1].upper(), form, text.lstrip("=?")))
            at = register.end()
            continue
        basic = _BASIC.match(body, at)
        if basic is None:
            raise CommandSyntaxError(f"no command at {body[at : at + 8]!r}")
        commands.append(Command(basic[1].upper(), Form.SET if basic[2] else Form.EXECUTE, basic[2]))
        at = basic.end()
    return commands


def _end_of_extended(body: str, start: int) -> int:
    """Where the parameters of an extended command end: the next ``;`` outside quotes, or the end of the line."""
    quoted = False
    for index in range(start, len(body)):
        if body[index] == '"':
            quoted = not quoted
        elif body[index] == ";" and not quoted:
            return index
    return len(body)


def _extended(name: str, rest: str) -> Command:
    name = name.upper()
    if not rest:
        return Command(name, Form.EXECUTE)
    if rest == "?":
        return Command(name, Form.READ)
    if rest.replace(" ", "") == "=?":
        return Command(name, Form.TEST)
    if rest.startswith("="):
        return Command(name, Form.SET, rest[1:].strip())
    raise CommandSyntaxError(f"{name} is followed by {rest[:8]!r}")


def split_arguments(text: str) -> list[str]:
    """``'1,"a,b", 3'`` to ``['1', '"a,b"', '3']``."""
    if not text:
        return []
    parts: list[str] = []
    current: list[str] = []
    quoted = False
    for character in text:
        if character == '"':
            quoted = not quoted
        if character == "," and not quoted:
            parts.append("".join(current).strip())
            current = []
        else:
            current.append(character)
    parts.append("".join(current).strip())
    return parts
