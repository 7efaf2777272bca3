"""Who is at the other end of a socket, and what they may do."""

from __future__ import annotations

import grp
import os
import pwd
import socket
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol

_UCRED: Final = struct.Struct("3i")


class Right(IntEnum):
    """What a user may do; each includes those before it."""

    NONE = 0
    READ = 1
    CONTROL = 2


@dataclass(frozen=True, slots=True)
class Credentials:
    """As the kernel knows the process that connected; -1: it could not be told."""

    pid: int
    uid: int
    gid: int

    @staticmethod
    def of(connection: socket.socket) -> Credentials:
        """Of the peer of a Unix socket (SO_PEERCRED)."""
        try:
            data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
            return Credentials(*_UCRED.unpack(data))
        except (OSError, struct.error):
            return Credentials(-1, -1, -1)


class Authority(Protocol):
    """Decides who may do what."""

    def trusted(self, peer: Credentials) -> bool:
        """Whether this user may do everything whatever the groups are; looks nothing up."""

    def right_of(self, peer: Credentials) -> Right:
        """What this user may do. May have to wait for the machine's user database."""

    def needed_for(self, right: Right) -> str:
        """Who has this right, as a piece of a sentence."""


class UnixAuthority:
    """root and the agent's own user may do everything; members of two groups may look, or look and act.

    A group that is empty or does not exist gives nobody anything. Groups count as the user database has them now, not
    as the calling process happens to have them.
    """

    def __init__(self, *, read_group: str, control_group: str) -> None:
        self._read_group = read_group
        self._control_group = control_group
        self._own_uid = os.geteuid()

    def trusted(self, peer: Credentials) -> bool:
        return peer.uid in (0, self._own_uid)

    def right_of(self, peer: Credentials) -> Right:
        if self.trusted(peer):
            return Right.CONTROL
        if peer.uid < 0:
            return Right.NONE
        groups = _groups_of(peer)
        for name, right in ((self._control_group, Right.CONTROL), (self._read_group, Right.READ)):
            gid = _gid(name)
            if gid is not None and gid in groups:
                return right
        return Right.NONE

    def needed_for(self, right: Right) -> str:
        names = [self._control_group] if right is Right.CONTROL else [self._read_group, self._control_group]
        listed = " or ".join(f"group {name}" for name in names if name)
        return f"{listed} or root" if listed else "root"


def _groups_of(peer: Credentials) -> set[int]:
    groups = {peer.gid}
    try:
        entry = pwd.getpwuid(peer.uid)
    except (KeyError, OverflowError):  # a user of a container, or one that was deleted
        return groups
    return groups | set(os.getgrouplist(entry.pw_name, entry.pw_gid))


def _gid(name: str) -> int | None:
    if not name:
        return None
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None
