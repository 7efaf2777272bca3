"""Plain data to JSON text and back, with bytes kept as they are.

A value is ``None``, ``bool``, ``int``, ``float``, ``str``, ``bytes``, a tuple of values or a dict from text to
values. Lists are taken as tuples. Bytes travel as ``{"$bytes": "<base64>"}``; a text key that begins with ``$`` (an
eimId may be any text) travels with a second one.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

from .errors import UnstorableValueError

Value: TypeAlias = "bool | int | float | str | bytes | tuple[Value, ...] | dict[str, Value] | None"

_BYTES_KEY = "$bytes"
_MAX_DEPTH = 32
_AS_IT_IS = frozenset({str, int, bytes, bool, type(None)})
"""What most values are, and then need no look at them."""


class UnreadableValueError(ValueError):
    """Text that is not what ``dumps`` writes; the readers of files turn it into a damage report."""


def normalise(value: object, *, depth: int = 0) -> Value:
    """``value`` as it will read back: lists become tuples, mappings dicts, byte strings ``bytes``.

    Raises ``UnstorableValueError`` for anything that is no plain data, for NaN and infinities and for over 32 levels.
    """
    if depth > _MAX_DEPTH:
        raise UnstorableValueError(f"a value of over {_MAX_DEPTH} levels")
    kind = type(value)
    if kind in _AS_IT_IS:
        return value  # type: ignore[return-value]
    if kind is dict:
        return _normalised(value, depth)  # type: ignore[arg-type]
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise UnstorableValueError(f"the number {value}")
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, list | tuple):
        return tuple([normalise(item, depth=depth + 1) for item in value])
    if isinstance(value, Mapping):
        return _normalised(value, depth)
    raise UnstorableValueError(f"a {type(value).__name__}")


def _normalised(value: Mapping[object, object], depth: int) -> dict[str, Value]:
    result: dict[str, Value] = {}
    within = depth + 1
    for key, item in value.items():
        if not isinstance(key, str):
            raise UnstorableValueError(f"the key {key!r}")
        if type(item) in _AS_IT_IS and within <= _MAX_DEPTH:
            result[key] = item  # type: ignore[assignment]
        else:
            result[key] = normalise(item, depth=within)
    return result


def _to_json(value: Value) -> object:
    if isinstance(value, bytes):
        return {_BYTES_KEY: base64.b64encode(value).decode("ascii")}
    if isinstance(value, tuple):
        return [_to_json(item) for item in value]
    if isinstance(value, dict):
        return {"$" + key if key.startswith("$") else key: _to_json(item) for key, item in value.items()}
    return value


def _from_json(value: object, *, depth: int = 0) -> Value:
    if depth > _MAX_DEPTH:
        raise UnreadableValueError(f"a value of over {_MAX_DEPTH} levels")  # it could not be written again
    if isinstance(value, dict):
        if _BYTES_KEY in value:
            text = value[_BYTES_KEY]
            if len(value) != 1 or not isinstance(text, str):
                raise UnreadableValueError("a broken byte string")
            return base64.b64decode(text, validate=True)
        return {
            key[1:] if key.startswith("$$") else key: _from_json(item, depth=depth + 1) for key, item in value.items()
        }
    if isinstance(value, list):
        return tuple(_from_json(item, depth=depth + 1) for item in value)
    if isinstance(value, float) and not math.isfinite(value):
        raise UnreadableValueError(f"the number {value}")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise UnreadableValueError(f"a {type(value).__name__}")


def dumps(value: Mapping[str, Value]) -> bytes:
    """One line of ASCII JSON without line breaks. Raises ``UnstorableValueError``."""
    return text_of(normalise(value))


def text_of(plain: Value) -> bytes:
    """``dumps`` for what ``normalise`` returned; nothing is looked at a second time."""
    byte_strings = 0

    def byte_string(item: object) -> object:
        nonlocal byte_strings
        byte_strings += 1
        return _to_json(bytes(item))  # type: ignore[call-overload]  # nothing else is left over by normalise

    encoded = _encode(plain, byte_string)
    if encoded.count('"$') != byte_strings:
        # Some text begins with "$"; it may be a key.
        encoded = _encode(_to_json(plain), None)
    return encoded.encode("ascii")


def _encode(value: object, default: Callable[[object], object] | None) -> str:
    return json.JSONEncoder(
        separators=(",", ":"), ensure_ascii=True, allow_nan=False, check_circular=False, default=default
    ).encode(value)


def loads(data: bytes) -> dict[str, Value]:
    """What ``dumps`` wrote. Raises ``UnreadableValueError`` and nothing else on any other bytes."""
    try:
        value = _from_json(json.loads(data.decode("ascii")))
    except UnreadableValueError:
        raise
    except (ValueError, RecursionError, binascii.Error) as error:
        raise UnreadableValueError(str(error)) from None
    if not isinstance(value, dict):
        raise UnreadableValueError("no JSON object")
    return value
