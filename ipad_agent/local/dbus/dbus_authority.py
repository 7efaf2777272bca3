"""Who may look, and who may ask the agent to do something. The bus says who asks.

Who may look is decided by the same rule as on the socket (``local.access_rights``), without polkit. Who may act is
decided by polkit, where there is one: its answer is final. Where nobody answers for it, members of the control group
may act. Root and the agent's own user always may: they could do worse without asking.
"""

from __future__ import annotations

import asyncio
import contextlib
import grp
import os
import pwd
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final, Protocol

from ipad_agent.local.access_rights import Right, granted, needed_for
from ipad_agent.records import dataclass

from .dbus_values import Variant
from .errors import RemoteFailure

_POLKIT: Final = "org.freedesktop.PolicyKit1"
_POLKIT_PATH: Final = "/org/freedesktop/PolicyKit1/Authority"
_POLKIT_INTERFACE: Final = "org.freedesktop.PolicyKit1.Authority"
_BUS: Final = "org.freedesktop.DBus"
_BUS_PATH: Final = "/org/freedesktop/DBus"
_ASK_USER: Final = 1

POLKIT_DEADLINE_S: Final = 5.0
LOOKUP_S: Final = 5.0
PASSWORD_DEADLINE_S: Final = 120.0
"""While a person types a password."""


class Peers(Protocol):
    """The part of a connection to the bus that is needed here."""

    async def call(
        self,
        destination: str,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        body: tuple[object, ...] = (),
        *,
        deadline_s: float | None = None,
    ) -> tuple[object, ...]:
        """Raises ``RemoteFailure``, ``BusLost`` and ``TimeoutError``."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a message, as the bus vouches for it. ``uid`` None: the bus does not know, or the sender is gone."""

    name: str
    uid: int | None
    pid: int | None


@dataclass(frozen=True, slots=True)
class Decision:
    """``reason`` is a sentence for the log and for the caller."""

    allowed: bool
    reason: str = ""


def groups_of(uid: int) -> frozenset[str]:
    """The names of the groups of a user, by the machine's user database."""
    try:
        user = pwd.getpwuid(uid)
    except KeyError:
        return frozenset()
    found = set()
    for gid in os.getgrouplist(user.pw_name, user.pw_gid):
        try:
            found.add(grp.getgrgid(gid).gr_name)
        except KeyError:
            continue
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class LocalRule:
    """The rule that needs nobody else. An empty name means that there is no such group. The user database may have to
    be waited for."""

    group: str
    trusted: frozenset[int]
    groups: Callable[[int], frozenset[str]] = groups_of
    read_group: str = ""
    examine_group: str = ""

    def right_of(self, uid: int) -> Right:
        """What this user may do without polkit."""
        if uid in self.trusted:
            return Right.CONTROL
        return granted(
            self.groups(uid),
            read_group=self.read_group,
            control_group=self.group,
            examine_group=self.examine_group,
        )

    @property
    def needed(self) -> str:
        """Who may look, as a piece of a sentence."""
        return needed_for(
            Right.READ, read_group=self.read_group, control_group=self.group, examine_group=self.examine_group
        )

    def decide(self, caller: Caller) -> Decision:
        """Whether this caller may act."""
        if caller.uid is None:
            return Decision(False, "the bus does not know who asks")
        if self.group and self.group in self.groups(caller.uid):
            return Decision(True)
        members = f"members of the group {self.group}" if self.group else "nobody else"
        return Decision(False, f"only root and {members} may, and polkit gave no answer")


@dataclass(frozen=True, slots=True)
class Authority:
    """Decides about callers on one connection to the bus."""

    peers: Peers
    rule: LocalRule
    lookups: Executor | None = None

    async def caller(self, name: str) -> Caller:
        """Who this is. Raises ``BusLost`` and ``TimeoutError``."""
        try:
            answer = await self.peers.call(_BUS, _BUS_PATH, _BUS, "GetConnectionCredentials", "s", (name,))
        except RemoteFailure:
            return Caller(name, None, None)
        known = answer[0] if answer and isinstance(answer[0], dict) else {}
        uid, pid = known.get("UnixUserID"), known.get("ProcessID")
        return Caller(name, uid if isinstance(uid, int) else None, pid if isinstance(pid, int) else None)

    async def decide(self, caller: Caller, action: str, *, interactive: bool) -> Decision:
        """Whether this caller may act. Raises ``BusLost``."""
        if caller.uid is None:
            return Decision(False, "the bus does not know who asks")
        if caller.uid in self.rule.trusted:
            return Decision(True)
        asked = await self._ask_polkit(caller, action, interactive=interactive)
        return await self._by_rule(caller) if asked is None else asked

    async def _by_rule(self, caller: Caller) -> Decision:
        """In a thread: the user database may be far away."""
        looking = asyncio.get_running_loop().run_in_executor(self.lookups, self.rule.decide, caller)
        try:
            async with asyncio.timeout(LOOKUP_S):
                return await looking
        except (TimeoutError, OSError):
            return Decision(False, "the user database gave no answer")

    async def _ask_polkit(self, caller: Caller, action: str, *, interactive: bool) -> Decision | None:
        """polkit's answer, or None when it gives none."""
        subject = ("system-bus-name", {"name": Variant("s", caller.name)})
        ticket = f"{caller.name}-{action}" if interactive else ""
        details: dict[str, str] = {}
        body = (subject, action, details, _ASK_USER if interactive else 0, ticket)
        try:
            answer = await self.peers.call(
                _POLKIT,
                _POLKIT_PATH,
                _POLKIT_INTERFACE,
                "CheckAuthorization",
                "(sa{sv})sa{ss}us",
                body,
                deadline_s=PASSWORD_DEADLINE_S if interactive else POLKIT_DEADLINE_S,
            )
        except RemoteFailure:
            return None
        except TimeoutError:
            if not interactive:
                return None
            await self._stop_asking(ticket)
            return Decision(False, "polkit was not given a password in time")
        verdict = answer[0] if answer else None
        if not isinstance(verdict, list) or len(verdict) != 3 or not isinstance(verdict[0], bool):
            return Decision(False, "polkit gave an answer that cannot be understood")
        if verdict[0]:
            return Decision(True)
        if verdict[1]:
            return Decision(False, "polkit wants a password for that, and nobody could be asked")
        return Decision(False, "polkit does not allow it")

    async def _stop_asking(self, ticket: str) -> None:
        """Take the question for a password off somebody's screen."""
        with contextlib.suppress(RemoteFailure, TimeoutError):
            await self.peers.call(_POLKIT, _POLKIT_PATH, _POLKIT_INTERFACE, "CancelCheckAuthorization", "s", (ticket,))
