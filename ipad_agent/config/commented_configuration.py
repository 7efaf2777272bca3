"""The configuration file as packages install it: every key with its meaning and default, all commented out.

``python -m ipad_agent.config.commented_configuration`` prints it. The file changes nothing until a key is uncommented, so an
update of the agent that brings a better default brings it to every device that did not choose otherwise.
"""

from __future__ import annotations

import inspect
import json
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Final

from .config_model import DEFAULT_PATH, SECTIONS, EimConfig

_WIDTH: Final = 100
_HEAD: Final = f"""\
The configuration of ipad-agent. Everything has a default, which is shown; a device with one USB modem
that the agent knows, and a card that knows its eIM, needs no key at all.

    ipad-agent check-config {DEFAULT_PATH}     names every mistake with its place
    systemctl restart ipad-agent                           lets the agent read it again

Times are in seconds. A relative path is below the folder of this file. Secrets are never in here: a key
file is named, and $CREDENTIALS_DIRECTORY/NAME is what systemd's LoadCredential=NAME:... provides.
"""


def lines() -> Iterator[str]:
    """The lines of the file. A line that begins with ``#`` and no space is TOML when that character is taken away,
    except for a key without a default, whose value is left out."""
    for line in _HEAD.splitlines():
        yield f"# {line}".rstrip()
    for name, kind in SECTIONS.items():
        yield from _section(f"[{name}]", kind)
    yield from _section("[[eim]]", EimConfig)


def _section(title: str, kind: type) -> Iterator[str]:
    yield ""
    yield ""
    yield from _comment(inspect.cleandoc(kind.__doc__ or ""))
    yield f"#{title}"
    for item in fields(kind):
        yield ""
        yield from _comment(item.metadata["why"])
        yield from _comment(f"Allowed: {item.metadata['reader'].allowed}")
        yield f"#{item.name} = {_toml(item.default)}".rstrip()


def _comment(text: str) -> Iterator[str]:
    for paragraph in text.split("\n\n"):
        for line in textwrap.wrap(paragraph, _WIDTH, break_on_hyphens=False, break_long_words=False):
            yield f"# {line}"


def _toml(value: object) -> str:
    """A default as TOML; nothing where there is none."""
    if value is None or value is MISSING or value == "":
        return ""
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, bytes):
        return f'"{value.hex().upper()}"'
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(item) for item in value)}]"
    if isinstance(value, str | Path):
        return json.dumps(str(value), ensure_ascii=False)
    raise TypeError(f"no TOML for a {type(value).__name__}")


if __name__ == "__main__":
    print("\n".join(lines()))
