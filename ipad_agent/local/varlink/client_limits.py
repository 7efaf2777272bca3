"""What the socket grants at most. The agent shares its one thread with all clients, so everything here is bounded."""

from __future__ import annotations

from typing import Final

from ipad_agent.local import rate_limits

MAX_REQUEST_BYTES: Final = 16_384
"""Of one message from a client."""
MAX_OUTSTANDING: Final = 8
"""Calls of one client that wait for their turn; beyond that nothing more is read from it."""
MAX_PIPELINED: Final = 256
"""Messages that may arrive in one piece."""
MAX_CLIENTS: Final = 32
"""Connections in total (``local.max_clients``)."""
RESERVED: Final = 4
"""Connections beyond that for root and the agent's own user, so that they are never locked out."""
MAX_PER_UID: Final = 16
"""Connections of one user."""
MAX_STRANGERS: Final = 4
"""Connections of users who may do nothing but ask what this service is, all together."""
HALF_MESSAGE_S: Final = 10.0
"""A message that has begun must end within this, however often a byte of it arrives."""
IDLE_S: Final = 600.0
"""A connection without a call is closed after this."""
WRITE_BUFFER_BYTES: Final = 262_144
"""Answers that may wait for a client to read them, apart from the one that fills this up."""
STALL_S: Final = 10.0
"""A client whose buffer stays that full for so long is dropped."""
MAX_EVENTS_WAITING: Final = 256
"""Events that wait for one subscriber; the oldest go first, and are counted."""
STATUS_GAP_S: Final = 0.2
"""Between two status replies of a subscription; changes in between are told together."""
WORK_BURST: Final = 20
WORK_PER_S: Final = 0.5
"""Calls of one user that touch card, modem, network or disk: so many at once, then so many per second."""
CALL_BURST: Final = rate_limits.CALL_BURST
CALLS_PER_S: Final = rate_limits.CALLS_PER_S
"""Calls and connections of one user who may look: so many at once, then so many per second. Further calls wait."""
STRANGER_BURST: Final = rate_limits.STRANGER_BURST
STRANGER_CALLS_PER_S: Final = rate_limits.STRANGER_CALLS_PER_S
"""The same for those who may do nothing, all together, whatever they call. Their further connections are closed."""
ACCEPTED_AT_ONCE: Final = 16
"""Connections that are taken in one go; everybody else has a turn before the next ones."""
ACCEPT_GAP_S: Final = 0.01
"""Between two goes, while there are more."""
STRANGER_IDLE_S: Final = 10.0
"""As ``IDLE_S``, for users who may do nothing."""
RIGHT_HOLDS_S: Final = 60.0
"""After this the groups of a caller are looked up again."""
RIGHTS_KEPT: Final = 64
"""Users whose right is remembered for that long."""
COMPLAIN_S: Final = 60.0
"""A user who was refused is in the log once in so long."""
COMPLAINTS: Final = 10
"""So many such entries in that time, whoever they are about."""
LOOKUP_S: Final = 5.0
"""The machine's user database has so long to tell the groups of a caller, who counts as a stranger after it."""


class Bucket(rate_limits.Bucket):
    """Grants ``WORK_BURST`` at once and ``WORK_PER_S`` in the long run."""

    def __init__(self, now_s: float) -> None:
        super().__init__(now_s, WORK_BURST, WORK_PER_S)


class Admission:
    """Who gets in. Connections are counted from ``enter`` to ``leave``."""

    def __init__(self, max_clients: int = MAX_CLIENTS) -> None:
        self._max_clients = max_clients
        self._by_uid: dict[int, int] = {}
        self._strangers = 0

    def enter(self, uid: int, *, trusted: bool) -> str | None:
        """None when it got in, otherwise why not."""
        total = sum(self._by_uid.values())
        if total >= self._max_clients + (RESERVED if trusted else 0):
            return f"there are {total} connections already"
        if self._by_uid.get(uid, 0) >= MAX_PER_UID:
            return f"this user has {MAX_PER_UID} connections already"
        self._by_uid[uid] = self._by_uid.get(uid, 0) + 1
        return None

    def leave(self, uid: int) -> None:
        """A connection that got in is gone."""
        self._by_uid[uid] -= 1
        if not self._by_uid[uid]:
            del self._by_uid[uid]

    def enter_stranger(self) -> bool:
        """Whether one more may stay that may do nothing."""
        if self._strangers >= MAX_STRANGERS:
            return False
        self._strangers += 1
        return True

    def leave_stranger(self) -> None:
        """One of them is gone."""
        self._strangers -= 1
