"""How one key of the configuration is described: its reader, its default and why it is there."""

from __future__ import annotations

from dataclasses import field
from typing import Final, TypeVar

from .value_readers import Reader

T = TypeVar("T")

DAY_S: Final = 86_400.0

PORT_NUMBER: Final = r"(?:6553[0-5]|655[0-2]\d|65[0-4]\d\d|6[0-4]\d{3}|[1-5]\d{4}|[1-9]\d{0,3})"
"""1 to 65535 as a regular expression, for addresses that hold a port."""


def key(reader: Reader[T], default: T | None, why: str) -> T:
    """Describe one key; ``default`` None with a reader that never gives None means: not set."""
    return field(default=default, metadata={"reader": reader, "why": why})  # type: ignore[return-value]  # as dataclasses
