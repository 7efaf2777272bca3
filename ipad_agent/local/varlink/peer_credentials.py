"""Who is at the other end of a socket, and what they may do."""

from __future__ import annotations

import grp
import os
import pwd
import socket
import struct
from typing import Final, Protocol

from ipad_agent.local.access_rights import Right, granted, needed_for
from ipad_agent.records import dataclass

__all__ = ["Authority", "Credentials", "Right", "UnixAuthority"]

_UCRED: Final = struct.Struct("3i")


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
    """root and the agent's own user may do everything; members of three groups may look, look and
    have the device examined, or look, examine and act.

    A group that is empty or does not exist gives nobody anything. Groups count as the user database has them now, not
    as the calling process happens to have them.
    """

    def __init__(self, *, read_group: str, control_group: str, examine_group: str = "") -> None:
        self._read_group = read_group
        self._control_group = control_group
        self._examine_group = examine_group
        self._own_uid = os.geteuid()

    def trusted(self, peer: Credentials) -> bool:
        return peer.uid in (0, self._own_uid)

    def right_of(self, peer: Credentials) -> Right:
        if self.trusted(peer):
            return Right.CONTROL
        if peer.uid < 0:
            return Right.NONE
        numbers = _groups_of(peer)
        groups = (self._read_group, self._examine_group, self._control_group)
        names = [name for name in groups if _gid(name) in numbers]
        return granted(
            names,
            read_group=self._read_group,
            control_group=self._control_group,
            examine_group=self._examine_group,
        )

    def needed_for(self, right: Right) -> str:
        return needed_for(
            right,
            read_group=self._read_group,
            control_group=self._control_group,
            examine_group=self._examine_group,
        )


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
