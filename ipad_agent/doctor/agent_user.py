"""Becoming the agent's user.

A technician runs the doctor with sudo. As root it would find every permission in order, and leave lock files of root
behind that keep the agent itself from its port.
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path


def agents_user(state_dir: Path) -> str | None:
    """The user to become: the owner of the state directory, when this process is root's and that owner is not. None
    when there is nothing to change, or no directory yet."""
    if os.geteuid() != 0:
        return None
    try:
        user = pwd.getpwuid(state_dir.stat().st_uid)
    except (OSError, KeyError):
        return None
    return user.pw_name if user.pw_uid != 0 else None


def become(state_dir: Path) -> str | None:
    """Go on as ``agents_user``, for good, with that user's groups; the user's name, or None when nothing changed.
    Raises ``OSError``."""
    name = agents_user(state_dir)
    if name is None:
        return None
    user = pwd.getpwnam(name)
    os.initgroups(name, user.pw_gid)
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    return name
