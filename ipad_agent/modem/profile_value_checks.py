"""What a single value of a module profile may be. Every check returns the value or raises ``ValueError``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from ipad_agent.printable import is_printable

Check = Callable[[object], Any]


def text(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 300 or not is_printable(value):
        raise ValueError("needs a text of one line")
    return value


def flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("needs true or false")
    return value


def integer(low: int, high: int) -> Check:
    def check(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"needs an integer from {low} to {high}")
        return value

    return check


def seconds(high: float) -> Check:
    def check(value: object) -> float:
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= high:
            raise ValueError(f"needs seconds from 0 to {high:g}")
        return float(value)

    return check


def list_of(item: Check) -> Check:
    def check(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list) or len(value) > 20:
            raise ValueError("needs a list of at most 20 entries")
        return tuple(item(entry) for entry in value)

    return check


def choice(*allowed: str) -> Check:
    def check(value: object) -> str:
        if value not in allowed or not isinstance(value, str):
            raise ValueError("needs one of " + ", ".join(allowed))
        return value

    return check


_SURELY_A_PATTERN: Final = re.compile(r'(?:[A-Za-z0-9 _,:"=/-]|\.[*+]?|\\[.+*^%#?()])+')
"""What most of them are made of; that need not be compiled to be known as good. A hundred are read at every start."""


def pattern(value: object) -> str:
    line = text(value)
    if _SURELY_A_PATTERN.fullmatch(line):
        return line
    try:
        re.compile(line)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"is no regular expression: {error}") from None
    return line


def command(value: object) -> str:
    line = text(value)
    if not (line.isascii() and line.upper().startswith("AT")) or ";" in line:
        raise ValueError("needs one AT command (no ';')")
    return line


def matching(shape: str, what: str) -> Check:
    def check(value: object) -> str:
        line = text(value)
        if re.fullmatch(shape, line) is None:
            raise ValueError(f"needs {what}")
        return line

    return check


def nonempty(check: Check) -> Check:
    def wrapped(value: object) -> Any:
        result = check(value)
        if not result:
            raise ValueError("must not be empty")
        return result

    return wrapped


def at_least(count: int, check: Check) -> Check:
    def wrapped(value: object) -> Any:
        result = check(value)
        if len(result) < count:
            raise ValueError(f"needs at least {count} entries")
        return result

    return wrapped


def unique(check: Check) -> Check:
    def wrapped(value: object) -> Any:
        result = check(value)
        if len(set(result)) < len(result):
            raise ValueError("names something twice")
        return result

    return wrapped
