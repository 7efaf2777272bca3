"""Download orders: who may have which profile, how often, until when, and what became of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from ipad_agent.lab.crypto.bpp_protection import BspKeys
from ipad_agent.lab.smdp.profile.profile_metadata import ProfilePackage

from .errors import SmdpError


class OrderState(Enum):
    """SGP.22 §3.1.6, as far as a download can tell."""

    AVAILABLE = "available"
    DOWNLOADED = "downloaded"
    INSTALLED = "installed"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Binding:
    """A profile bound to one eUICC and its one-time key: what is needed to hand out the same package again."""

    eid: str
    euicc_otpk: bytes
    otsk: int
    ppk: BspKeys | None


@dataclass(slots=True, eq=False)
class Order:
    """One order. ``matching_id`` may be empty for an order that is reserved for ``eid`` (default SM-DP+, SM-DS event).

    ``confirmation_code`` may be tried ``code_tries`` times, the download ``max_attempts`` times. ``max_bindings`` is
    how many one-time keys of the card it may be bound to; the same key again does not count. ``reuse_otpk`` offers the
    last one to the card (bppEuiccOtpk). ``replace_keys``: the package is protected with keys of its own (PPK).
    ``final_on_error``: a cancelled or failed order is refused from then on, as SGP.22 has it.
    """

    matching_id: str
    package: ProfilePackage
    eid: str | None = None
    confirmation_code: str | None = None
    code_tries: int = 3
    released: bool = True
    expires: datetime | None = None
    max_attempts: int | None = None
    max_bindings: int | None = None
    reuse_otpk: bool = True
    replace_keys: bool = True
    final_on_error: bool = True

    state: OrderState = OrderState.AVAILABLE
    attempts: int = 0
    code_failures: int = 0
    bindings: int = 0
    binding: Binding | None = None
    cancel_reason: int | None = None

    def hash_cc(self, transaction_id: bytes) -> bytes | None:
        """hashCc that the right confirmation code gives (SGP.22 §5.6.2); None without a code."""
        if self.confirmation_code is None:
            return None
        return hash_cc(self.confirmation_code, transaction_id)


def hash_cc(confirmation_code: str, transaction_id: bytes) -> bytes:
    """SHA-256 over SHA-256 of the code and the transaction ID."""
    return hashlib.sha256(hashlib.sha256(confirmation_code.encode()).digest() + transaction_id).digest()


class OrderBook:
    """All orders, in the order they came."""

    def __init__(self) -> None:
        self._orders: list[Order] = []

    def __iter__(self) -> Iterator[Order]:
        return iter(self._orders)

    def __len__(self) -> int:
        return len(self._orders)

    def add(self, order: Order) -> Order:
        """``SmdpError`` when nobody could ever claim it, or when its matching ID is taken."""
        if not order.matching_id and order.eid is None:
            raise SmdpError("an order without matching ID needs an EID")
        if order.matching_id and any(o.matching_id == order.matching_id for o in self._orders):
            raise SmdpError(f"there is an order {order.matching_id} already")
        self._orders.append(order)
        return order

    def remove(self, order: Order) -> None:
        """Withdraw it. ``SmdpError`` when it is not here."""
        if order not in self._orders:
            raise SmdpError("no such order")
        self._orders.remove(order)

    def by_matching_id(self, matching_id: str) -> Order | None:
        """The order with this matching ID, which is not empty."""
        return next((o for o in self._orders if o.matching_id == matching_id), None)

    def reserved_for(self, eid: str) -> Order | None:
        """The first order for a card that comes without matching ID and still has something to give, else the first."""
        mine = [o for o in self._orders if o.eid == eid and not o.matching_id]
        open_ones = [o for o in mine if o.state in (OrderState.AVAILABLE, OrderState.DOWNLOADED)]
        return next(iter(open_ones or mine), None)
