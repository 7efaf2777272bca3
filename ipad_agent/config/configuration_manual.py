"""The manual of the configuration, made from the model: ``python -m ipad_agent.config.configuration_manual`` prints
it."""

from __future__ import annotations

import inspect
from dataclasses import fields
from pathlib import Path

from .config_model import SECTIONS, EimConfig, preset_defaults

_HEAD = """\
# Configuration

The agent reads one TOML file, `/etc/ipad-agent/config.toml` unless `--config` names another. Every key has a default
that is meant to be right, so the file may be empty; `docs/example.toml` is a short one to begin with. The agent starts
only with a file that is right in every point: a wrong key, type or value is reported with its place and what is
allowed there, all mistakes at once. `ipad-agent check-config FILE` does the same without starting anything, and also
looks whether the files named in it exist.

Times are in seconds. A relative path is below the folder of the configuration file. Secrets are never in the file: it
names files that hold them, and `$CREDENTIALS_DIRECTORY/<name>` is what systemd's `LoadCredential=<name>:...` provides.

This page is made from the code (`python -m ipad_agent.config.configuration_manual > docs/configuration.md`); a test
compares.
"""

_PRESETS = """\
## Presets

`poll.preset = "nbiot"` changes the defaults below; a key in the file counts more than the preset. On NB-IoT round
trips take seconds and traffic is counted in kilobytes, so the agent waits longer, sends smaller blocks and asks less.
"""


def render() -> str:
    """The whole page in Markdown."""
    parts = [_HEAD]
    parts += [_section(f"[{name}]", kind) for name, kind in SECTIONS.items()]
    parts.append(_section("[[eim]]", EimConfig))
    parts.append(_PRESETS + "\n" + _preset_table())
    return "\n".join(parts)


def _section(title: str, kind: type) -> str:
    lines = [f"## `{title}`", "", inspect.cleandoc(kind.__doc__ or ""), ""]
    lines += ["| Key | Default | Allowed | Why |", "|---|---|---|---|"]
    for item in fields(kind):
        default = _toml(item.default)
        allowed = item.metadata["reader"].allowed
        lines.append(f"| `{item.name}` | {default} | {_cell(allowed)} | {_cell(item.metadata['why'])} |")
    return "\n".join(lines) + "\n"


def _preset_table() -> str:
    lines = ["| Key | `normal` | `nbiot` |", "|---|---|---|"]
    for section, values in preset_defaults("nbiot").items():
        normal = {item.name: item.default for item in fields(SECTIONS[section])}
        for name, value in values.items():
            lines.append(f"| `{section}.{name}` | {_toml(normal[name])} | {_toml(value)} |")
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    """A default as it would stand in the file."""
    if value is None or value == "":
        return "not set"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float):
        return f"`{value:.10g}`"
    if isinstance(value, int):
        return f"`{value}`"
    if isinstance(value, tuple):
        return (
            "`["
            + ", ".join(f'"{item.hex().upper()}"' if isinstance(item, bytes) else f"{item}" for item in value)
            + "]`"
        )
    if isinstance(value, str | Path):
        return f'`"{value}"`'
    raise TypeError(f"no TOML for a {type(value).__name__}")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    print(render(), end="")
