"""One RSP session, from initiateAuthentication to its end, and the book of all of them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from .download_orders import Order
from .euicc_chain import EuiccCredentials
from .smdp_identity import CiSigners


class Step(Enum):
    """How far a session has come."""

    INITIATED = "initiated"
    AUTHENTICATED = "authenticated"
    BOUND = "bound"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    FINISHED = "finished"


@dataclass(slots=True, eq=False)
class Session:
    """What the server must remember between two requests. Signed parts are kept as bytes."""

    transaction_id: bytes
    euicc_challenge: bytes
    server_challenge: bytes
    address: str
    signers: CiSigners
    begun: datetime
    step: Step = Step.INITIATED
    euicc: EuiccCredentials | None = None
    matching_id: str = ""
    order: Order | None = None
    device_info: bytes = b""
    euicc_info2: bytes = b""
    code_required: bool = False
    smdp_signature2: bytes = b""
    """The TLV 5F37 that euiccSignature2 covers."""
    cancel_reason: int | None = None

    @property
    def name(self) -> str:
        """The transaction ID as it is written in JSON."""
        return self.transaction_id.hex().upper()


class SessionBook:
    """Sessions by transaction ID; the oldest are forgotten when there are too many."""

    def __init__(self, limit: int = 1000) -> None:
        self._limit = limit
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def add(self, session: Session) -> None:
        """Remember it."""
        self._sessions[session.transaction_id] = session
        while len(self._sessions) > self._limit:
            self._sessions.popitem(last=False)

    def get(self, transaction_id: bytes) -> Session | None:
        """The session, or None."""
        return self._sessions.get(transaction_id)

    def clear(self) -> None:
        """Forget all, as a server that starts again."""
        self._sessions.clear()

    @property
    def latest(self) -> Session | None:
        """The one begun last."""
        return next(reversed(self._sessions.values()), None)
