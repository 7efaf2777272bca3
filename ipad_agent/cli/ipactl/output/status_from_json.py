"""From the JSON form of the status model back to its dataclasses.

The agent may be older or newer than this command: a field that is missing has its default (or the blank value of its
type), one that is not known here is passed over, and a word that is not in an enum stays a plain string. A value of
the wrong type is refused by ``NoAnswerError``.
"""

from __future__ import annotations

import types
from enum import StrEnum
from functools import cache
from math import inf, isfinite
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from ipad_agent.cli.ipactl.errors import NoAnswerError
from ipad_agent.records import fields_of, is_record

T = TypeVar("T")

_BLANK: dict[object, object] = {str: "", int: 0, float: 0.0, bool: False}


def read(kind: type[T], plain: object) -> T:
    """The dataclass ``kind`` with the values of this JSON object."""
    return _dataclass(kind, plain, kind.__name__)  # type: ignore[no-any-return]  # it is what was asked for


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _dataclass(kind: Any, plain: object, place: str) -> Any:
    if not isinstance(plain, dict):
        raise _wrong(place, plain)
    hints = _hints(kind)
    values: dict[str, Any] = {}
    for item in fields_of(kind).values():
        where = f"{place}.{item.name}"
        if item.name in plain and item.metadata.get("json") == "object":
            values[item.name] = _pairs(plain[item.name], where)
        elif item.name in plain:
            values[item.name] = _value(hints[item.name], plain[item.name], where)
        elif item.required:
            values[item.name] = _blank(hints[item.name], where)
    return kind(**values)


def _blank(hint: Any, place: str) -> Any:
    if isinstance(hint, types.UnionType):
        return None
    if get_origin(hint) is tuple:
        return ()
    if is_record(hint):
        return _dataclass(hint, {}, place)
    return _BLANK.get(hint, "")


def _value(hint: Any, plain: object, place: str) -> Any:
    if isinstance(hint, types.UnionType):
        (inner,) = [option for option in get_args(hint) if option is not type(None)]
        return None if plain is None else _value(inner, plain, place)
    if get_origin(hint) is tuple:
        return _tuple(get_args(hint), plain, place)
    if is_record(hint):
        return _dataclass(hint, plain, place)
    if hasattr(hint, "_fields"):
        return _named_tuple(hint, plain, place)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        if not isinstance(plain, str):
            raise _wrong(place, plain)
        return hint(plain) if plain in set(hint) else plain
    if hint is float and type(plain) in (int, float):
        return _number(plain, place)
    if type(plain) is not hint:
        raise _wrong(place, plain)
    return plain


def _number(plain: Any, place: str) -> float:
    """Python's JSON knows infinity, and numbers that no float can hold."""
    try:
        number = float(plain)
    except OverflowError:
        number = inf
    if not isfinite(number):
        raise _wrong(place, "a number out of all bounds")
    return number


def _tuple(options: tuple[Any, ...], plain: object, place: str) -> tuple[Any, ...]:
    if not isinstance(plain, list):
        raise _wrong(place, plain)
    if len(options) == 2 and options[1] is Ellipsis:
        return tuple(_value(options[0], item, f"{place}[{number}]") for number, item in enumerate(plain))
    raise TypeError(f"{place}: the model has no tuples of mixed things")


def _named_tuple(hint: Any, plain: object, place: str) -> Any:
    if not isinstance(plain, dict):
        raise _wrong(place, plain)
    hints = _hints(hint)
    return hint(
        *(
            _value(hints[name], plain[name], f"{place}.{name}") if name in plain else _blank(hints[name], place)
            for name in hint._fields
        )
    )


def _pairs(plain: object, place: str) -> tuple[tuple[str, str], ...]:
    """What is an object in JSON and pairs in the model."""
    if not isinstance(plain, dict):
        raise _wrong(place, plain)
    return tuple((str(name), str(value)) for name, value in plain.items())


def _wrong(place: str, plain: object) -> NoAnswerError:
    return NoAnswerError(
        f"The agent's answer cannot be read: {place} is {str(plain)[:40]!r}.",
        hint="Agent and ipactl are of very different versions: restart the agent after an update.",
    )
