"""The watch as plain data for the store, and back; a document nobody would have written counts as none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from ipad_agent.policy.instant import Instant

from .fallback_cause import FallbackCause
from .guardian_rules import Sign, Watch

_MOST_S: Final = 1e10
_MOST: Final = 1_000_000
_LATER: Final = frozenset({"cause", "already_there", "has_modem", "cut_off_s", "restarts", "managed"})
"""Fields that documents of the first version do not have."""


def to_document(state: Watch) -> dict[str, object]:
    """Plain data that ``from_document`` reads back to the same watch."""
    plain: dict[str, object] = {item.name: getattr(state, item.name) for item in fields(state)}
    looked = state.looked
    return plain | {
        "looked": [looked.wall_s, looked.monotonic_s, looked.boot_id],
        "sign": state.sign.name,
        "cause": state.cause.value,
    }


def from_document(document: object) -> Watch | None:
    """The watch, or None when the document is missing or not one: the guardian then begins anew."""
    if not isinstance(document, Mapping):
        return None
    looked, sign = _instant(document.get("looked")), _sign(document.get("sign"))
    if looked is None or sign is None:
        return None
    values: dict[str, Any] = {}
    for item in fields(Watch):
        if item.name in ("looked", "sign"):
            continue
        if item.name in _LATER and item.name not in document:
            continue
        value: Any = document.get(item.name)
        if item.name == "cause":
            if value not in tuple(FallbackCause):
                return None
            values["cause"] = FallbackCause(value)
            continue
        if not _fits(value, type(item.default)):
            return None
        values[item.name] = float(value) if isinstance(item.default, float) else value
    return Watch(looked=looked, sign=sign, **values)


def _fits(value: object, kind: type) -> bool:
    """The ranges also keep out NaN and the infinities."""
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and 0 <= value <= _MOST
    return isinstance(value, int | float) and 0 <= value <= _MOST_S


def _instant(value: object) -> Instant | None:
    if isinstance(value, list | tuple) and len(value) == 3 and isinstance(value[2], str):
        wall_s, monotonic_s, boot_id = value
        if _fits(wall_s, float) and _fits(monotonic_s, float):
            return Instant(float(wall_s), float(monotonic_s), boot_id)
    return None


def _sign(name: object) -> Sign | None:
    return next((sign for sign in Sign if sign.name == name), None)
