"""Python values as D-Bus can carry them, without any D-Bus library.

D-Bus has no null: absent texts are empty, absent numbers and times 0. Strings must be valid UTF-8 without NUL, or the
bus ends the whole connection, and some of ours come from cards and servers. Printable ones are.
"""

from __future__ import annotations

from typing import Final

from ipad_agent.local.status_model import Time
from ipad_agent.printable import printable
from ipad_agent.records import dataclass

_UNSIGNED_LIMIT: Final = {"u": 2**32 - 1, "t": 2**64 - 1}
_INT32: Final = 2**31


@dataclass(frozen=True, slots=True)
class Variant:
    """A value with its D-Bus signature. Structs and arrays are tuples."""

    signature: str
    value: object


def text(value: str | None) -> str:
    """A string that every bus accepts and every program can show; what cannot be carried becomes U+FFFD."""
    return "" if value is None else printable(value)


def count(value: int | None, kind: str = "t") -> int:
    """An unsigned number for ``u`` or ``t``; what is out of range is the nearest that is in it."""
    return 0 if value is None else min(max(value, 0), _UNSIGNED_LIMIT[kind])


def integer(value: int | None) -> int:
    """A signed number for ``i``."""
    return 0 if value is None else min(max(value, -_INT32), _INT32 - 1)


def moment(value: Time | None) -> int:
    """Microseconds since 1970 by the device's clock of now, for ``t``; 0 when there is no such moment."""
    return 0 if value is None else count(value.at_s * 1_000_000)


def mapping(**values: Variant) -> dict[str, Variant]:
    """An ``a{sv}``."""
    return values


def string_map(values: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """An ``a{ss}``."""
    return {text(name): text(value) for name, value in values}
