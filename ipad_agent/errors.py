"""One error tree for the whole agent.

Every error says on whose side the fault lies, what the agent does about it, and one sentence a person can use.
Rooms subclass the side they belong to; nothing outside the daemon's main loop catches ``IpadError`` wholesale.
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar


class Side(Enum):
    """Whose fault it is: the first question of whoever reads the log."""

    OURS = "agent"
    CARD = "card"
    MODEM = "modem"
    NETWORK = "network"
    EIM = "eIM"
    SMDP = "SM-DP+"
    CONFIG = "configuration"


class Remedy(Enum):
    """What happens next. No remedy is terminal: ``GIVE_UP`` ends this attempt, the schedule goes on."""

    RETRY = "retry"
    RETRY_AFTER_RESET = "retry after a card reset"
    GIVE_UP = "give up this attempt"
    ASK_PERSON = "a person has to act"


class IpadError(Exception):
    """Base of all errors the agent raises.

    ``side`` and ``remedy`` are class attributes; ``hint`` is the one sentence for a person and may be given per
    instance. ``str(error)`` is a sentence without secrets or full identifiers.
    """

    side: ClassVar[Side] = Side.OURS
    remedy: ClassVar[Remedy] = Remedy.GIVE_UP
    default_hint: ClassVar[str] = ""
    retry_after_s: float | None = None
    """When the peer said itself how long to stay away."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = self.default_hint if hint is None else hint


class CodecError(IpadError):
    """Bytes that are not what they should be. ``offset`` counts bytes from the start of the parsed buffer."""

    default_hint = "The peer sent malformed data; record the exchange and report it to the peer's maker."

    def __init__(self, message: str, *, offset: int | None = None, hint: str | None = None) -> None:
        super().__init__(message if offset is None else f"{message} (at byte {offset})", hint=hint)
        self.offset = offset


class ConfigError(IpadError):
    """A wrong key or value in the configuration; ``place`` is like ``poll.interval_s``."""

    side = Side.CONFIG
    remedy = Remedy.ASK_PERSON

    def __init__(self, place: str, problem: str, *, allowed: str = "") -> None:
        self.place = place
        self.problem = problem
        self.allowed = allowed
        self.position: tuple[int, int] | None = None
        """Line and column in the file, where that is known."""
        super().__init__(f"{place}: {problem}" + (f"; allowed: {allowed}" if allowed else ""))


class StoreError(IpadError):
    """The disk refused: full, read-only or broken."""

    remedy = Remedy.ASK_PERSON
    default_hint = "Check free space and permissions of the state directory."


class ModemError(IpadError):
    """The modem or the serial line to it failed."""

    side = Side.MODEM
    remedy = Remedy.RETRY


class CardError(IpadError):
    """The eUICC refused or is not reachable although the modem answers."""

    side = Side.CARD
    remedy = Remedy.RETRY
    answer: bytes | None = None
    """What the card answered when it did answer, but in a way that cannot be read."""
    answered: ClassVar[bool] = False
    """Whether the application on the card answered: then there is nothing that a reset could bring back."""

    @property
    def alive(self) -> bool:
        """Whether the card is there and only this one function is lost: a reset has nothing to cure, and what does not
        need the function goes on."""
        return self.answered or self.answer is not None or self.remedy is Remedy.GIVE_UP


class NetworkError(IpadError):
    """The way to a server failed: name, route, handshake, time-out.

    ``reached``: a secured session stood, so that the server has been heard, and it failed in the middle of an exchange.
    """

    side = Side.NETWORK
    remedy = Remedy.RETRY
    reached: ClassVar[bool] = False


class EimError(IpadError):
    """The eIM answered with an error or with something that is no answer."""

    side = Side.EIM
    remedy = Remedy.RETRY
