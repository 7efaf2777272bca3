"""Answers for scripts without a reader of JSON: a line for each value, or a line for each thing.

``keyvalue``: ``name:value`` lines, lists with their length and numbers from 1, as ``mmcli -K`` has them. ``table``: the
values of the wanted fields of one thing in one line, with colons between. As with ``nmcli -t`` a colon or backslash
within a value has a backslash before it; so has a comma within a list, whose items stand behind each other with commas.
Absent is empty, true and false are yes and no. Every value is printable, so a line never ends early.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ipad_agent.printable import printable


def key_values(value: object, fields: Sequence[str] | None = None, name: str = "") -> Iterator[str]:
    """Every value below ``value``, or those whose names are wanted: a name also stands for all below it, and ``[]`` for
    every number."""
    if isinstance(value, Mapping):
        if not value and name and _wanted(name, fields):
            yield f"{name}:"
        for key, inner in value.items():
            yield from key_values(inner, fields, f"{name}.{key}" if name else printable(str(key)))
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        yield from (f"{name}.length:{len(value)}" for _ in (1,) if fields is None)
        for number, item in enumerate(value, 1):
            yield from key_values(item, fields, f"{name}[{number}]")
    elif _wanted(name, fields):
        yield f"{name}:{cell(value)}"


def row(value: object, fields: Iterable[str]) -> str:
    """The wanted values of one thing in one line."""
    return ":".join(cell(_at(value, field)) for field in fields)


def cell(value: object) -> str:
    """One value, or a list of them, as it stands in a line."""
    if isinstance(value, list):
        return ",".join(cell(item).replace(",", "\\,") for item in value)
    if isinstance(value, Mapping):
        return ",".join(cell(f"{key}={item}").replace(",", "\\,") for key, item in value.items())
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else f"{value:.3f}".rstrip("0")
    return printable(str(value)).replace("\\", "\\\\").replace(":", "\\:")


def _at(value: object, field: str) -> object:
    """What a name leads to; absent where something on the way is."""
    first, _, rest = field.partition(".")
    if not isinstance(value, Mapping):
        return None
    found = value.get(first.removesuffix("[]"))
    if first.endswith("[]"):
        items = found if isinstance(found, list) else []
        return [_at(item, rest) if rest else item for item in items]
    return _at(found, rest) if rest else found


def _wanted(name: str, fields: Sequence[str] | None) -> bool:
    if fields is None:
        return True
    plain = "".join(part.partition("[")[0] + ("[]" if "[" in part else "") + "." for part in name.split("."))
    return any(plain.startswith(field + ".") for field in fields)
