"""The agent's configuration as a file: tables of plain values to TOML."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["Table", "Tables", "merged", "to_toml"]

Scalar = str | int | float | bool | Path
Table = Mapping[str, Scalar | Sequence[Scalar] | None]
Tables = Mapping[str, Table | Sequence[Table]]


def to_toml(tables: Tables) -> str:
    """``{"poll": {"first_s": 1.0}, "eim": [{...}, {...}]}`` as TOML; ``None`` leaves a key out."""
    parts: list[str] = []
    for name, content in tables.items():
        rows = [content] if isinstance(content, Mapping) else list(content)
        header = f"[{name}]" if isinstance(content, Mapping) else f"[[{name}]]"
        for row in rows:
            lines = [f"{key} = {_value(value)}" for key, value in row.items() if value is not None]
            parts.append("\n".join([header, *lines]))
    return "\n\n".join(parts) + "\n"


def merged(base: Mapping[str, Table], changes: Mapping[str, Table]) -> dict[str, Table]:
    """``base`` with the keys of ``changes`` put over it, table by table."""
    return {name: {**base.get(name, {}), **changes.get(name, {})} for name in {**base, **changes}}


def _value(value: Scalar | Sequence[Scalar]) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str | Path):
        return json.dumps(str(value), ensure_ascii=False)  # a JSON string is a TOML basic string
    return "[" + ", ".join(_value(item) for item in value) + "]"
