"""The server's side of a download: an SM-DP+ reached directly (ES9+) or through the eIM (ESipa), as one protocol.

Whatever is wrong on that side ends in ``DownloadStop``. Only a way to the *eIM* that fails is raised as it is: then the
whole poll has failed, and the next one goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, runtime_checkable

from ipad_agent.codec.esipa.esipa_download import AuthenticateClientOk, AuthenticateClientSmds, InitiateAuthenticationOk
from ipad_agent.codec.rsp.es9_messages import EventEntries
from ipad_agent.errors import CardError, EimError, IpadError, ModemError, NetworkError, Remedy, StoreError
from ipad_agent.procedures.ports import EimLink, SmdpConnector, SmdpLink
from ipad_agent.records import dataclass

from .download_stop import DownloadStop
from .download_way import Goal

Report = Callable[[int, int | None], None]


class ServerTrouble(DownloadStop):
    """The server did not do what it was asked. ``refused``: it said no in its own words, so its session is over;
    else what it said cannot be used, or nobody knows whether it heard, and it is told to give up."""

    def __init__(
        self,
        sentence: str,
        *,
        refused: bool,
        told: bool = False,
        retry: bool = False,
        response: bytes | None = None,
        answered: bool = False,
    ) -> None:
        super().__init__(sentence, told=told, retry=retry, response=response, answered=answered)
        self.refused = refused


@runtime_checkable
class SaidByStatus(Protocol):
    """An error that is a status code of the server (SGP.22 v2.5 §5.2.6): it understood, and its session is over."""

    subject: str
    reason: str


@runtime_checkable
class WithAnswer(Protocol):
    """An error that has the server's answer as it came."""

    response: bytes


@runtime_checkable
class WithStatus(Protocol):
    """An error that is a status of HTTP, ``503``."""

    code: str


class RspServer(Protocol):
    """What a download asks of the other side."""

    @property
    def indirect(self) -> bool:
        """Whether the eIM takes part, and so knows how it goes."""

    async def initiate(self, goal: Goal, challenge: bytes, euicc_info1: bytes) -> InitiateAuthenticationOk: ...

    async def authenticate(
        self, transaction_id: bytes, response: bytes
    ) -> AuthenticateClientOk | AuthenticateClientSmds | EventEntries: ...

    async def package(self, transaction_id: bytes, response: bytes, report: Report) -> bytes: ...

    async def cancel(self, transaction_id: bytes, response: bytes) -> None: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ThroughEim:
    """The SM-DP+ behind the eIM, over the link that the poll has open anyway."""

    link: EimLink
    eim_transaction_id: bytes | None
    indirect: bool = True

    async def initiate(self, goal: Goal, challenge: bytes, euicc_info1: bytes) -> InitiateAuthenticationOk:
        try:
            return await self.link.initiate_authentication(
                challenge=challenge,
                smdp_address=goal.address,
                euicc_info1=euicc_info1,
                eim_transaction_id=self.eim_transaction_id,
            )
        except EimError as error:
            raise _of_eim(error, told=False) from error

    async def authenticate(
        self, transaction_id: bytes, response: bytes
    ) -> AuthenticateClientOk | AuthenticateClientSmds:
        try:
            return await self.link.authenticate_client(transaction_id, response)
        except EimError as error:
            raise _of_eim(error, told=True) from error

    async def package(self, transaction_id: bytes, response: bytes, report: Report) -> bytes:
        try:
            answer = await self.link.get_bound_profile_package(transaction_id, response)
        except EimError as error:
            raise _of_eim(error, told=True) from error
        report(len(answer.bpp), len(answer.bpp))
        return answer.bpp

    async def cancel(self, transaction_id: bytes, response: bytes) -> None:
        try:
            await self.link.cancel_session(transaction_id, response)
        except EimError as error:
            raise _of_eim(error, told=True) from error

    async def close(self) -> None:
        """Nothing: the link is the poll's."""


def _of_eim(error: EimError, *, told: bool) -> ServerTrouble:
    """A refusal is the eIM's own knowledge from AuthenticateClient on; before, it wants the result (§3.2.3.2)."""
    if error.retry_after_s is not None:
        raise error
    refused = error.remedy is Remedy.GIVE_UP
    return ServerTrouble(f"the eIM: {error.message}", refused=refused, told=told and refused)


class Direct:
    """An SM-DP+ or SM-DS over its own association, made when first needed."""

    indirect = False

    def __init__(self, connector: SmdpConnector, ci_pkids: tuple[bytes, ...]) -> None:
        self._connector = connector
        self._ci_pkids = ci_pkids
        self._link: SmdpLink | None = None

    async def initiate(self, goal: Goal, challenge: bytes, euicc_info1: bytes) -> InitiateAuthenticationOk:
        if goal.address is None:
            raise DownloadStop("nobody said which SM-DP+ to ask")
        await self.close()
        try:
            self._link = self._connector.connect(goal.address, ci_pkids=self._ci_pkids)
            return await self._link.initiate_authentication(challenge=challenge, euicc_info1=euicc_info1)
        except IpadError as error:
            raise of_smdp(error) from error

    async def authenticate(self, transaction_id: bytes, response: bytes) -> AuthenticateClientOk | EventEntries:
        try:
            return await self._open().authenticate_client(transaction_id, response)
        except IpadError as error:
            raise of_smdp(error) from error

    async def package(self, transaction_id: bytes, response: bytes, report: Report) -> bytes:
        try:
            return await self._open().get_bound_profile_package(transaction_id, response, progress=report)
        except IpadError as error:
            raise of_smdp(error) from error

    async def cancel(self, transaction_id: bytes, response: bytes) -> None:
        try:
            await self._open().cancel_session(transaction_id, response)
        except IpadError as error:
            raise of_smdp(error) from error

    async def close(self) -> None:
        """End the association, if there is one; an end that fails is an end."""
        link, self._link = self._link, None
        if link is not None:
            try:
                await link.close()
            except NetworkError:
                return

    def _open(self) -> SmdpLink:
        if self._link is None:
            raise DownloadStop("the connection to the SM-DP+ is closed")
        return self._link


def _answer_of(error: IpadError) -> bytes | None:
    """What the server answered, for the eIM: a message of ES9+ or nothing (SGP.32 v1.2 §2.11.2.3). Whatever else
    listens at the address that the eIM chose must not speak to it through this device."""
    answer = error.response if isinstance(error, WithAnswer) else b""
    return answer if answer.lstrip().startswith(b"{") else None


_CANNOT_NOW: Final = frozenset({"502", "503", "504"})


def _cannot_now(error: IpadError) -> bool:
    """Whether the server is there and only cannot at present: maintenance, overload, trouble behind its front. 500 is
    how some refuse for good, and any other status may be that of something else than an SM-DP+."""
    return error.retry_after_s is not None or (isinstance(error, WithStatus) and error.code in _CANNOT_NOW)


def of_smdp(error: IpadError) -> ServerTrouble:
    """What a failure on the way to an SM-DP+ means for the download; errors of the device are raised as they are."""
    if isinstance(error, CardError | ModemError | StoreError):
        raise error
    return ServerTrouble(
        f"the SM-DP+: {error.message}",
        refused=isinstance(error, SaidByStatus),
        retry=error.remedy is Remedy.RETRY,
        response=_answer_of(error),
        answered=_cannot_now(error),
    )
