"""An eIM that cannot be reached at all: what a procedure gets that has to go on all the same."""

from __future__ import annotations

from typing import NoReturn

from ipad_agent.codec.esipa.eim_package import EimPackage, ProvideResultResponse, StateChangeCause
from ipad_agent.codec.esipa.esipa_download import (
    AuthenticateClientOk,
    AuthenticateClientSmds,
    BoundProfilePackage,
    InitiateAuthenticationOk,
)
from ipad_agent.codec.identifiers import Plmn
from ipad_agent.errors import NetworkError


class UnreachableEim:
    """Implements ``EimLink``; everything but ``close`` raises ``NetworkError`` with the reason."""

    host: str | None = None
    carrier: str | None = None
    traffic_bytes = 0
    change_untold = False

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def _raise(self) -> NoReturn:
        raise NetworkError(self._reason)

    async def reach(self) -> None:
        self._raise()

    async def get_eim_package(
        self, *, state_change: StateChangeCause | None = None, rplmn: Plmn | None = None
    ) -> EimPackage:
        self._raise()

    async def provide_eim_package_result(self, result: bytes) -> ProvideResultResponse:
        self._raise()

    async def handle_notification(self, raw: bytes) -> None:
        self._raise()

    async def initiate_authentication(
        self,
        *,
        challenge: bytes,
        smdp_address: str | None = None,
        euicc_info1: bytes | None = None,
        eim_transaction_id: bytes | None = None,
    ) -> InitiateAuthenticationOk:
        self._raise()

    async def authenticate_client(
        self, transaction_id: bytes, response: bytes
    ) -> AuthenticateClientOk | AuthenticateClientSmds:
        self._raise()

    async def get_bound_profile_package(
        self, transaction_id: bytes, prepare_download_response: bytes
    ) -> BoundProfilePackage:
        self._raise()

    async def cancel_session(self, transaction_id: bytes, response: bytes) -> None:
        self._raise()

    async def close(self) -> None:
        return None
