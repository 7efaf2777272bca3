"""The text of a configuration file: a new one with comments, or an existing one with some values changed.

An existing file stays as it is but for the values: comments, order and whatever else it says. Whether that worked is
not believed but compared: what the new text means must be what the old one meant, with the new values.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any, Final

from ipad_agent.errors import ConfigError

Value = str | bool
Answers = Mapping[str, Value]
"""Values by their place, such as ``modem.port``."""

_HEAD: Final = """\
# The configuration of ipad-agent. Everything has a default; `man ipactl` and `ipactl config show` tell them.
# `ipactl config check` names every mistake. The agent reads it when it starts.
"""
_ASKED: Final[tuple[tuple[str, str, Value, str], ...]] = (
    ("modem", "port", "auto", "The modem's AT port, such as /dev/ttyUSB2; auto looks for a known modem."),
    (
        "provisioning",
        "initial_eim",
        "/etc/ipad-agent/initial-eim.der",
        "The eIM's configuration data, for a card that no eIM manages yet. Its operator hands it out.",
    ),
    (
        "trust",
        "ca_file",
        "/etc/ipad-agent/eim-ca.pem",
        "Who may vouch for an eIM that the card holds no key or certificate for (PEM).",
    ),
    (
        "trust",
        "ci_dir",
        "/etc/ipad-agent/ci",
        "Who may vouch for a download server (SM-DP+): a folder. With neither, downloads go through the eIM.",
    ),
    ("trust", "web_pki", True, "Whether the system's web certificates may vouch for one too."),
    ("poll", "preset", "normal", "How often and how patiently: normal, or nbiot for NB-IoT."),
)
"""Section, key, an example, and what it is; in the order of the file."""

PLACES: Final = tuple(f"{section}.{key}" for section, key, _, _ in _ASKED)


def fresh(answers: Answers) -> str:
    """A new file. What has no answer stands there as a comment."""
    lines, before = [_HEAD.rstrip()], ""
    for section, key, example, words in _ASKED:
        if section != before:
            lines += ["", f"[{section}]"]
            before = section
        value = answers.get(f"{section}.{key}")
        lines.append(f"# {words}")
        lines.append(f"# {key} = {_written(example)}" if value is None else f"{key} = {_written(value)}")
    return "\n".join(lines) + "\n"


def changed(text: str, answers: Answers) -> str:
    """The text with these values. Raises ``ConfigError`` when it is no TOML, or too unusual to be changed without
    losing something."""
    wanted = _meaning(text)
    for place, value in answers.items():
        section, _, key = place.partition(".")
        table = wanted.setdefault(section, {})
        if not isinstance(table, dict):
            raise ConfigError(section, "is no table")
        if table.get(key) != value:
            table[key] = value
            text = _with(text, section, key, value)
    try:
        same = _meaning(text) == wanted
    except ConfigError:
        same = False
    if not same:
        raise ConfigError("file", "it is written in a way that cannot be changed without losing something")
    return text


def _meaning(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError("file", f"no TOML: {error}") from None


def _with(text: str, section: str, key: str, value: Value) -> str:
    lines = text.splitlines()
    header = re.compile(rf"\s*\[\s*{re.escape(section)}\s*\]\s*(#.*)?")
    begin = next((number for number, line in enumerate(lines) if header.fullmatch(line)), None)
    written = f"{key} = {_written(value)}"
    if begin is None:
        return "\n".join([*lines, "", f"[{section}]", written]) + "\n"
    end = next((n for n in range(begin + 1, len(lines)) if lines[n].lstrip().startswith("[")), len(lines))
    there = re.compile(rf"\s*{re.escape(key)}\s*=[^#]*(#.*)?")
    for number in range(begin + 1, end):
        found = there.fullmatch(lines[number])
        if found is not None:
            lines[number] = written + (f"  {found[1]}" if found[1] else "")
            break
    else:
        lines.insert(begin + 1, written)
    return "\n".join(lines) + "\n"


def _written(value: Value) -> str:
    """A text as a JSON string in ASCII is a TOML string as well, but for what is beyond the first 65536 characters."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value.isascii():
        return json.dumps(value)
    escaped = (f"\\U{ord(c):08X}" if ord(c) > 126 else json.dumps(c)[1:-1] for c in value)
    return '"' + "".join(escaped) + '"'
