"""The status model as Varlink types, so that the interface file cannot say anything else than the code does."""

from __future__ import annotations

import textwrap
from dataclasses import fields, is_dataclass
from enum import StrEnum
from types import NoneType, UnionType
from typing import Final, NamedTuple, get_args, get_origin, get_type_hints

_SIMPLE: Final = {bool: "bool", int: "int", float: "float", str: "string"}
_OTHER_NAMES: Final = {"Poll": "PastPoll"}


class Field(NamedTuple):
    """``type`` in Varlink's notation; with a leading ``?`` it may be null or left out."""

    name: str
    type: str
    longest: int | None = None
    """Of a text that may be longer than a name."""


def type_of(hint: object) -> str:
    """A Python type of the model in Varlink's notation. An enumeration of ours is a string: its words have hyphens."""
    if isinstance(hint, type):
        if hint in _SIMPLE:
            return _SIMPLE[hint]
        if issubclass(hint, StrEnum):
            return "string"
        if is_record(hint):
            return name_of(hint)
    if isinstance(hint, UnionType):
        inner = [item for item in get_args(hint) if item is not NoneType]
        if len(inner) == 1:
            return "?" + type_of(inner[0])
    if get_origin(hint) is tuple:
        first, *rest = get_args(hint)
        if rest == [...]:
            return "[]" + type_of(first)
    raise TypeError(f"{hint} has no form in Varlink")


def name_of(record: type) -> str:
    """What a record is called in the interface, where methods and types share their names."""
    return _OTHER_NAMES.get(record.__name__, record.__name__)


def is_record(hint: object) -> bool:
    """Whether it is one of the model's objects."""
    return isinstance(hint, type) and (is_dataclass(hint) or hasattr(hint, "_fields"))


def fields_of(record: type) -> list[Field]:
    """Its fields in order."""
    hints = get_type_hints(record)
    if not is_dataclass(record):
        return [Field(name, type_of(hint)) for name, hint in hints.items()]
    return [
        Field(item.name, "[string]string" if item.metadata.get("json") == "object" else type_of(hints[item.name]))
        for item in fields(record)
    ]


def reachable(*roots: type) -> list[type]:
    """The records that these are made of, each before those that need it."""
    found: list[type] = []

    def visit(hint: object) -> None:
        for inner in get_args(hint):
            visit(inner)
        if isinstance(hint, type) and is_record(hint) and hint not in found:
            for needed in get_type_hints(hint).values():
                visit(needed)
            found.append(hint)

    for root in roots:
        visit(root)
    return found


def comment(text: str) -> str:
    """A docstring as lines of a comment."""
    words = text.replace("``", "").replace("None", "null")
    return "\n".join(f"# {line}" for line in textwrap.wrap(" ".join(words.split()), 100))


def struct(items: list[Field]) -> str:
    """``(a: int, b: ?string)``, in several lines when there is much of it."""
    parts = [f"{item.name}: {item.type}" for item in items]
    line = f"({', '.join(parts)})"
    return line if len(line) <= 90 else "(\n  " + ",\n  ".join(parts) + "\n)"
