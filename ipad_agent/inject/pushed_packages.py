"""TransferEimPackage, between any listener and the agent: a request's body in, the answer's body out.

Every package that is taken on is answered with "received"; its result goes to the eIM by ProvideEimPackageResult, as
that of a fetched one, since a switch may end the connection it was pushed over. The forms of v1.3 (BF60, BF61) go to
eIMs that are known to speak it, the older ones to all others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.codec.esipa import eim_package
from ipad_agent.codec.esipa.eim_package import (
    EimAcknowledgements,
    EimPackage,
    EuiccPackageOrder,
    MalformedPackage,
    ResultErrorCode,
    TransferredPackage,
    UnknownPackage,
)
from ipad_agent.codec.identifiers import Eid
from ipad_agent.errors import CodecError
from ipad_agent.records import dataclass

from . import events

NOTHING: Final = b""
"""The answer to acknowledgements has no content."""


class OrderTaker(Protocol):
    """The agent, as a listener sees it (``agent/injected_orders.py``)."""

    @property
    def eims(self) -> tuple[EimConfigurationData, ...]: ...

    @property
    def eid(self) -> Eid | None: ...

    async def take(self, eim_id: str, package: EimPackage) -> str | None: ...

    async def acknowledged(self, eim_id: str, numbers: tuple[int, ...]) -> str | None: ...


@dataclass(frozen=True, slots=True)
class PushedPackages:
    """``speaks_1_3`` tells of an eIM's id whether it is known to speak v1.3."""

    orders: OrderTaker
    speaks_1_3: Callable[[str], bool]

    async def answer(self, eim_ids: Sequence[str], body: bytes, *, carrier: str, newest: bool = False) -> bytes:
        """The answer to one request of a peer that is one of these eIMs, or the only one. ``newest``: the request
        showed that its eIM speaks v1.3."""
        eim_id = eim_ids[0]
        try:
            package = eim_package.parse_transfer_eim_package(body)
        except CodecError as error:
            return self._refused(eim_id, None, ResultErrorCode.INVALID_PACKAGE_FORMAT, error.message, newest)
        match package:
            case UnknownPackage():
                why = "it is of an unknown kind"
                return self._refused(eim_id, package, ResultErrorCode.UNKNOWN_PACKAGE, why, newest)
            case MalformedPackage():
                why = f"it cannot be read: {package.reason}"
                return self._refused(eim_id, package, ResultErrorCode.INVALID_PACKAGE_FORMAT, why, newest)
        sender = _sender(eim_ids, package)
        if sender is None:
            why = "whose it is cannot be told" if len(eim_ids) > 1 else "it is another eIM's"
            return self._refused(eim_id, package, ResultErrorCode.UNDEFINED_ERROR, why, newest)
        if isinstance(package, EimAcknowledgements):
            events.ACKNOWLEDGED.emit(eim=sender, count=len(package.acknowledged))
            not_done = await self.orders.acknowledged(sender, package.acknowledged)
            if not_done is not None:
                return self._refused(sender, package, ResultErrorCode.UNDEFINED_ERROR, not_done, newest)
            return NOTHING
        events.PUSHED.emit(eim=sender, carrier=carrier)
        not_taken = await self.orders.take(sender, package)
        if not_taken is not None:
            return self._refused(sender, package, ResultErrorCode.UNDEFINED_ERROR, not_taken, newest)
        if newest or self.speaks_1_3(sender):
            return eim_package.encode_package_received_with_cid(package.eim_transaction_id, self.orders.eid)
        return eim_package.encode_package_received()

    def unreadable(self, eim_ids: Sequence[str], why: str, *, newest: bool = False) -> bytes:
        """The answer to a request of which a listener cannot tell the package."""
        return self._refused(eim_ids[0], None, ResultErrorCode.INVALID_PACKAGE_FORMAT, why, newest)

    def _refused(
        self, eim_id: str, package: TransferredPackage | None, code: ResultErrorCode, why: str, newest: bool
    ) -> bytes:
        events.REFUSED.emit(eim=eim_id, reason=why)
        if newest or self.speaks_1_3(eim_id):
            transaction_id = getattr(package, "eim_transaction_id", None)
            return eim_package.encode_transfer_error_with_cid(code, transaction_id, self.orders.eid)
        return eim_package.encode_transfer_error(code)


def _sender(eim_ids: Sequence[str], package: TransferredPackage) -> str | None:
    """Whose package it is. A signed one names its eIM; the others are the peer's, if that is one eIM only."""
    if isinstance(package, EuiccPackageOrder):
        return package.request.eim_id if package.request.eim_id in eim_ids else None
    return eim_ids[0] if len(eim_ids) == 1 else None
