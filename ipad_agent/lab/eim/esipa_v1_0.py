"""An eIM of SGP.32 v1.0 and of nothing else, as one is in the field: its decoder knows the schema of that release only,
and its work belongs to connections.

What it cannot read costs it the order that is under way on this connection, which it calls aborted and forgets. A
result counts once, on the connection that its order was handed out on or by the transaction in it, and is acknowledged
by an empty success; one that belongs to nothing is answered with 5.00.
"""

from __future__ import annotations

from collections.abc import Iterable

from ipad_agent.lab.crypto import der
from ipad_agent.lab.crypto.der import DerError, Node

from .device_records import HANDED_OUT, QUEUED, Device, Order
from .esipa_messages import (
    CANCEL_SESSION,
    GET_EIM_PACKAGE,
    HANDLE_NOTIFICATION,
    INITIATE_AUTHENTICATION,
    PROVIDE_RESULT,
)

_DATA = frozenset({0x80, 0xBF20, 0xBF22, 0x83, 0x84, 0xA5, 0xA6, 0x88, 0xA8, 0xA9, 0xBF2B})
"""Tags of IpaEuiccData in v1.0."""


def unreadable(body: bytes) -> str | None:
    """What a decoder with the schema of v1.0 stumbles over in a request; None when it can read it."""
    try:
        node = der.parse(body, ber=True)
        return _check(node)
    except DerError as error:
        return str(error)


def _check(node: Node) -> str | None:
    match node.tag:
        case tag if tag == GET_EIM_PACKAGE:
            rplmn = node.find(0x81)
            odd = {one.tag for one in node.children} - {0x5A, 0x80, 0x81}
            return _named(odd) or (None if rplmn is None or len(rplmn.value) == 3 else "rPLMN (81) of another length")
        case tag if tag == PROVIDE_RESULT:
            first = node.children[0]
            if len(node.children) > 1 or first.tag not in (0xBF51, 0x30, 0xBF52, 0xBF54, 0x02):
                return _named({first.tag})
            return _check_result(first)
        case tag if tag == HANDLE_NOTIFICATION:
            return _named({one.tag for one in node.children} - {0xA0, 0xA1})
        case tag if tag == INITIATE_AUTHENTICATION:
            return _named({one.tag for one in node.children} - {0x81, 0x83, 0xBF20})
        case tag if tag == CANCEL_SESSION:
            # Its compiler keeps the tag of CancelSessionResponse.
            return _named({one.tag for one in node.get(0xA1).children} - {0xBF41})
    return None


def _check_result(node: Node) -> str | None:
    inside = node.children if node.constructed else ()
    match node.tag:
        case 0x30:
            return _named({one.tag for one in inside} - {0xBF51, 0xBF2B})
        case 0xBF52:
            data = node.find(0xA0)
            odd = {one.tag for one in inside} - {0xA0, 0x81}
            return _named(odd or (set() if data is None else {one.tag for one in data.children} - _DATA))
        case 0xBF54:
            error = node.find(0x30)
            return _named(set() if error is None else {one.tag for one in error.children} - {0x80})
    return None


def _named(tags: set[int]) -> str | None:
    return f"unexpected {', '.join(f'{tag:X}' for tag in sorted(tags))}" if tags else None


class ConnectionWork:
    """The order under way on each connection."""

    def __init__(self) -> None:
        self._orders: dict[str, tuple[Device, Order]] = {}

    def next_of(self, device: Device) -> Order | None:
        """The first order that nobody was given; what was handed out once is not handed out again."""
        return next((order for order in device.queue if order.state == QUEUED), None)

    def begin(self, peer: str, device: Device, order: Order) -> None:
        """An order goes out on this connection."""
        self._orders[peer] = (device, order)

    def abort(self, peer: str) -> Order | None:
        """Forget the order on this connection; the one that was not finished is closed and returned."""
        device, order = self._orders.pop(peer, (None, None))
        if device is None or order is None or order.state != HANDED_OUT:
            return None
        device.finish(order, ok=False)
        return order

    def of_result(self, peer: str, result: Node) -> Device | None:
        """Whose order on this connection a result is for, or the one with the transaction in it; None when there is
        none. The order is over then."""
        device, order = self._orders.pop(peer, (None, None))
        if device is not None and order is not None and order.state == HANDED_OUT:
            return device
        transaction = _transaction(result)
        for other, (device, order) in list(self._orders.items()):
            if transaction is not None and order.transaction_id == transaction and order.state == HANDED_OUT:
                del self._orders[other]
                return device
        return None


def device_by_transaction(devices: Iterable[Device], result: Node) -> Device | None:
    """Whose order has the transaction in this result: v1.0 has no EID beside it, and the connection may be new."""
    transaction = _transaction(result)
    if transaction is None:
        return None
    for device in devices:
        if any(order.transaction_id == transaction for order in (*device.queue, *device.finished)):
            return device
    return None


def _transaction(result: Node) -> bytes | None:
    try:
        package = result.get(0xBF51) if result.tag == 0x30 else result
        signed = package.children[0]
        data = signed.find(0x30) if signed.tag in (0xA0, 0xA1) else None
        found = None if data is None else data.find(0x82)
    except (DerError, IndexError):
        return None
    return None if found is None else found.value
