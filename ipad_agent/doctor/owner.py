"""Becoming the agent's user.

A technician runs the doctor with sudo. As root it would find every permission in order, and leave lock files of root
behind that keep the agent itself from its port.
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path


def become(state_dir: Path) -> str | None:
    """Go on as the owner of the state directory, for good, with that user's groups; the user's name.

    None when this process is not root's, or the directory is missing or root's own. Raises ``OSError``.
    """
    if os.geteuid() != 0:
        return None
    try:
        user = pwd.getpwuid(state_dir.stat().st_uid)
    except (OSError, KeyError):
        return None
    if user.pw_uid == 0:
        return None
    os.initgroups(user.pw_name, user.pw_gid)
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    return user.pw_name
