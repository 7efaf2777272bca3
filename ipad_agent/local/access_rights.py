"""What users of this machine may do with the agent: one rule for the socket and for D-Bus.

Members of ``local.read_group`` may look, members of ``local.control_group`` may look and act, root and the agent's own
user may do everything. Everybody else learns nothing. For acting over D-Bus polkit is asked first, where there is one.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import IntEnum


class Right(IntEnum):
    """What a user may do; each includes those before it."""

    NONE = 0
    READ = 1
    CONTROL = 2


def granted(groups: Collection[str], *, read_group: str, control_group: str) -> Right:
    """What somebody in these groups may do. An empty name gives nobody anything."""
    if control_group and control_group in groups:
        return Right.CONTROL
    return Right.READ if read_group and read_group in groups else Right.NONE


def needed_for(right: Right, *, read_group: str, control_group: str) -> str:
    """Who has this right, as a piece of a sentence."""
    names = [control_group] if right is Right.CONTROL else [read_group, control_group]
    listed = " or ".join(f"group {name}" for name in names if name)
    return f"{listed} or root" if listed else "root"
