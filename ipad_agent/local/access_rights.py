"""What users of this machine may do with the agent: one rule for the socket and for D-Bus.

Members of ``local.read_group`` may look, members of ``local.examine_group`` may look and have the device examined (the
doctor, the support bundle: both change nothing), members of ``local.control_group`` may look, examine and act, root
and the agent's own user may do everything. Everybody else learns nothing. For acting over D-Bus polkit is asked first,
where there is one.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import IntEnum


class Right(IntEnum):
    """What a user may do; each includes those before it."""

    NONE = 0
    READ = 1
    EXAMINE = 2
    CONTROL = 3


def granted(groups: Collection[str], *, read_group: str, control_group: str, examine_group: str = "") -> Right:
    """What somebody in these groups may do. An empty name gives nobody anything."""
    if control_group and control_group in groups:
        return Right.CONTROL
    if examine_group and examine_group in groups:
        return Right.EXAMINE
    return Right.READ if read_group and read_group in groups else Right.NONE


def needed_for(right: Right, *, read_group: str, control_group: str, examine_group: str = "") -> str:
    """Who has this right, as a piece of a sentence."""
    groups = ((Right.READ, read_group), (Right.EXAMINE, examine_group), (Right.CONTROL, control_group))
    listed = " or ".join(f"group {name}" for gives, name in groups if name and gives >= right)
    return f"{listed} or root" if listed else "root"
