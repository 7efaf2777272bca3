"""How the values of ``ipactl``'s arguments are read; what cannot be meant is told before anything is done."""

from __future__ import annotations

import time
from argparse import ArgumentTypeError
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def duration(text: str) -> float:
    """``90``, ``90s``, ``10m`` or ``1h`` in seconds."""
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    number, unit = (text[:-1], units[text[-1]]) if text[-1:] in units else (text, 1.0)
    if not (number.isascii() and number.isdigit()) or not 0 < int(number) * unit <= 86_400:
        raise ArgumentTypeError(f"{text!r} is no time such as 90s, 10m or 1h, of a day at most")
    return int(number) * unit


def since(text: str) -> float:
    """``90s``, ``10m``, ``3h`` or ``2d`` ago, or a local time with or without its date, in seconds since 1970."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
    number, unit = text[:-1], units.get(text[-1:])
    if unit is not None and number.isascii() and number.isdigit() and len(number) < 7:
        return time.time() - int(number) * unit
    now = time.localtime()
    for pattern in ("%H:%M", "%H:%M:%S", "%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S"):
        try:
            read = time.strptime(text, pattern)
            day = read[:3] if "%Y" in pattern else now[:3]
            return time.mktime((*day, *read[3:6], 0, 0, -1))
        except (ValueError, OverflowError):
            continue
    raise ArgumentTypeError(f"{text!r} is no time such as 10m, 3h, 14:30 or '2026-11-20 14:30'")


def at_seconds(text: str) -> float:
    """How long to wait for a modem's answer, as ``duration``."""
    seconds = duration(text)
    if seconds > 180:
        raise ArgumentTypeError(f"{text!r} is more than 3 min; the agent can do nothing else meanwhile")
    return seconds


def baud(text: str) -> int:
    """The speed of a serial port."""
    if not (text.isascii() and text.isdigit()) or not 1200 <= int(text) <= 4_000_000:
        raise ArgumentTypeError(f"{text!r} is no speed from 1200 to 4000000")
    return int(text)


def positive(text: str) -> int:
    """How many."""
    if not (text.isascii() and text.isdigit()) or not 0 < int(text) <= 10_000:
        raise ArgumentTypeError(f"{text!r} is no number from 1 to 10000")
    return int(text)


def path(text: str) -> Path:
    """A file or folder, there or not."""
    from pathlib import Path  # it takes longer to load than most commands run

    return Path(text)


def fields(text: str) -> tuple[str, ...]:
    """Names with commas between; whether the answer has them is asked once its command is known."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise ArgumentTypeError("name at least one")
    return names
