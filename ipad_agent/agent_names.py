"""Several agents on one machine, one for each modem: what follows from the name of one of them.

A name is one that a file, a unit (``ipad-agent@NAME``) and a part of a D-Bus name can all have as it is.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from ipad_agent.errors import ConfigError

CONFIG_FOLDER: Final = Path("/etc/ipad-agent")
STATE_FOLDER: Final = Path("/var/lib/ipad-agents")
RUNTIME_FOLDER: Final = Path("/run/ipad-agents")
"""With a folder of its own for each named agent. Not below those of the agent without a name: systemd removes that
agent's runtime folder when it stops."""
PATTERN: Final = r"[A-Za-z_][A-Za-z0-9_]{0,31}"
_TAKEN: Final = "config"
"""``config.toml`` is the file of the agent without a name."""


def checked(name: str) -> str:
    """The name; raises ``ConfigError`` for what can be none."""
    if re.fullmatch(PATTERN, name) is None or name == _TAKEN:
        raise ConfigError(
            "--modem",
            "is no name of an agent",
            allowed=f"letters, digits and _, 32 at most, not beginning with a digit, and not {_TAKEN}",
        )
    return name


def file_of(name: str) -> Path:
    """Its configuration."""
    return CONFIG_FOLDER / f"{name}.toml"


def defaults(name: str) -> dict[str, dict[str, object]]:
    """Defaults of this agent that differ from those of the model, by section and key."""
    return {
        "store": {"state_dir": STATE_FOLDER / name, "runtime_dir": RUNTIME_FOLDER / name},
        "local": {"name": name},
    }
