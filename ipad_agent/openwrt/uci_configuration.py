"""From UCI to the agent's configuration file: every section of the manual is a section type, every key an option.

``config modem`` with ``option baud '9600'`` becomes ``[modem]`` with ``baud = 9600``. All values of UCI are texts; what
a key wants is known from its reader in ``ipad_agent.config``, so a new key can be set without a change here. What is
allowed is judged by that reader too, with the place as UCI writes it (``ipad.@eim[0].host``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from ipad_agent.config import ConfigErrors, EimConfig, loads
from ipad_agent.config.config_model import SECTIONS
from ipad_agent.config.value_readers import Flag, Integer, ListOf, Number
from ipad_agent.errors import ConfigError
from ipad_agent.records import dataclass

from .uci_text import UciSection

PACKAGE: Final = "ipad"
SERVICE: Final = "service"
"""The section type of the init script; it is not part of the agent's configuration."""
SERVICE_OPTIONS: Final = ("enabled", "user")

DEFAULTS: Final[Mapping[str, Mapping[str, str]]] = {
    # /var is in memory here, and what is in this folder has to survive.
    "store": {"state_dir": "/etc/ipad-agent/state", "runtime_dir": "/var/run/ipad-agent"},
    "modem": {"lock_dir": "/var/lock"},
}
"""Where OpenWrt keeps what other systems have elsewhere; an option in UCI counts more."""

_TRUE: Final = frozenset({"1", "yes", "on", "true", "enabled"})
_FALSE: Final = frozenset({"0", "no", "off", "false", "disabled"})
_LONGEST_NUMBER: Final = 20

Value = str | bool | int | float | list["Value"]


@dataclass(frozen=True, slots=True)
class Translation:
    """``toml`` is the text of a configuration file. ``problems`` are sentences with their places; with any of them
    ``toml`` must not be used."""

    toml: str
    problems: tuple[str, ...]


def translate(sections: list[UciSection], path: Path) -> Translation:
    """The configuration in these sections, judged as if it were the file ``path``: relative paths are below its folder.

    Files named in it are not looked at.
    """
    problems: list[ConfigError] = []
    tables: dict[str, dict[str, Value]] = {name: dict(values) for name, values in DEFAULTS.items()}
    eims: list[dict[str, Value]] = []
    seen: set[str] = set()
    for section in sections:
        if section.type == SERVICE:
            problems.extend(_service_problems(section))
        elif section.type == "eim":
            place = f"eim[{len(eims)}]"
            eims.append(dict(_values(section, EimConfig, place, problems)))
        else:
            if section.type in seen:
                problems.append(ConfigError(section.type, "is there twice", allowed="one section of this type"))
            seen.add(section.type)
            kind = SECTIONS.get(section.type)
            tables.setdefault(section.type, {}).update(_values(section, kind, section.type, problems))
    toml = _toml(tables, eims)
    try:
        loads(toml.encode(), path)
    except ConfigErrors as errors:
        problems.extend(errors.problems)
    return Translation(toml, tuple(_as_uci(problem) for problem in problems))


def _service_problems(section: UciSection) -> Iterator[ConfigError]:
    for name, value in section.options.items():
        if name not in SERVICE_OPTIONS:
            yield ConfigError(f"{SERVICE}.{name}", "is not known", allowed=", ".join(SERVICE_OPTIONS))
        elif isinstance(value, list):
            yield ConfigError(f"{SERVICE}.{name}", "is a list", allowed="one value")
        elif name == "enabled" and value not in _TRUE | _FALSE:
            yield ConfigError(f"{SERVICE}.{name}", f'"{value}" is not allowed', allowed="0 or 1")


def _values(
    section: UciSection, kind: type | None, place: str, problems: list[ConfigError]
) -> Iterator[tuple[str, Value]]:
    """The options as TOML values. What is of an unknown name stays a text: the agent's own reader names it."""
    readers = {} if kind is None else {item.name: item.metadata["reader"] for item in fields(kind)}
    for name, value in section.options.items():
        reader = readers.get(name)
        try:
            yield name, _value(value, reader)
        except ValueError as error:
            problems.append(ConfigError(f"{place}.{name}", str(error), allowed=reader.allowed if reader else ""))


def _value(value: str | list[str], reader: Any) -> Value:
    """Raises ``ValueError`` with a reason."""
    if isinstance(reader, ListOf):
        # One value may be written as an option: LuCI's forms do so.
        return [_single(item, reader.item) for item in ([value] if isinstance(value, str) else value)]
    if isinstance(value, list):
        if reader is None:
            return list(value)
        raise ValueError("is a list")
    return _single(value, reader)


def _single(text: str, reader: Any) -> Value:
    if isinstance(reader, Flag):
        if text not in _TRUE | _FALSE:
            raise ValueError(f'"{text}" is not allowed')
        return text in _TRUE
    if isinstance(reader, Integer | Number):
        whole = re.fullmatch(r"[+-]?[0-9]+", text)
        if len(text) > _LONGEST_NUMBER or not (whole or re.fullmatch(r"[+-]?[0-9]+\.[0-9]+", text)):
            raise ValueError(f'"{text}" is no number')
        return int(text) if whole else float(text)
    return text


def _as_uci(problem: ConfigError) -> str:
    """With the place as ``uci set`` takes it."""
    place = f"@{problem.place}" if problem.place.startswith("eim[") else problem.place
    return f"{PACKAGE}.{place}" + str(problem).removeprefix(problem.place)


def _toml(tables: Mapping[str, Mapping[str, Value]], eims: list[dict[str, Value]]) -> str:
    lines = ["# Made from /etc/config/ipad. Change that one (uci set, uci commit): this file is written anew."]
    for name, table in tables.items():
        lines += ["", f"[{_quoted_name(name)}]", *_assignments(table)]
    for table in eims:
        lines += ["", "[[eim]]", *_assignments(table)]
    return "\n".join(lines) + "\n"


def _assignments(table: Mapping[str, Value]) -> Iterator[str]:
    for name, value in table.items():
        yield f"{_quoted_name(name)} = {_written(value)}"


def _quoted_name(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _written(name)


def _written(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(_written(item) for item in value) + "]"
    if isinstance(value, str):
        return '"' + "".join(_escaped(character) for character in value) + '"'
    return str(value)


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return f"\\u{ord(character):04X}" if ord(character) < 0x20 or ord(character) == 0x7F else character
