"""From an authenticated session to a profile on the card: checks, PrepareDownload, the package, its segments
(SGP.22 v2.5 §3.1.3, SGP.32 v1.2 §3.2.3)."""

from __future__ import annotations

from typing import NoReturn

from ipad_agent.codec.es10.es10_download import CancelSessionReason, prepare_download_request
from ipad_agent.codec.es10.notifications import PendingNotification
from ipad_agent.codec.es10.rules_authorisation_table import RulesAuthorisationTable
from ipad_agent.codec.esipa.device_info import IpaFeature
from ipad_agent.codec.esipa.esipa_download import AuthenticateClientOk
from ipad_agent.codec.rsp.bpp_contents import read_bound_package
from ipad_agent.errors import CardError, CodecError, EimError, IpadError, ModemError, NetworkError, Side
from ipad_agent.procedures.context import Context
from ipad_agent.procedures.delivery.result_delivery import listed
from ipad_agent.procedures.records.owed_work import Stage, Work
from ipad_agent.procedures.rsp.download_stop import DownloadStop
from ipad_agent.procedures.rsp.rsp_servers import RspServer, ServerTrouble

from . import confirmation_code, download_checks, events
from .cancel_session import abandon, cancel, sign, tell
from .download_checks import CardView, Objection
from .download_progress import Progress
from .mutual_authentication import Session, judged_time


class Installation:
    """One session that is to end with a profile. ``work`` is always as the journal has it."""

    def __init__(
        self, context: Context, server: RspServer, session: Session, ok: AuthenticateClientOk, work: Work
    ) -> None:
        self._context = context
        self._server = server
        self._session = session
        self._ok = ok
        self._transaction_id = session.transaction_id
        self.work = work

    async def run(self) -> bytes:
        """The card's ProfileInstallationResult (BF37), good or bad. Raises ``DownloadStop``; raises ``CardError`` or
        ``ModemError`` when the card is gone, with the stage in the journal."""
        self._reached(Stage.AUTHENTICATED)
        view = await self._view()
        await self._check_profile(view)
        hash_cc = await self._confirmation()
        prepared = await self._prepare(hash_cc)
        self._reached(Stage.PREPARED)
        bpp = await self._fetch(prepared)
        await self._check_package(bpp, view)
        self._reached(Stage.LOADING)
        return await self._load(bpp)

    def _reached(self, stage: Stage) -> None:
        self.work = self._context.work.reached(self.work, stage, self._transaction_id)

    # -- before the card is asked --------------------------------------------------------------------------------------

    @property
    def _judges_profile(self) -> bool:
        """Whether the profile is ours to judge; an eIM may have taken that over (eimProfileMetadataVerification)."""
        eim_does = IpaFeature.EIM_PROFILE_METADATA_VERIFICATION in self._context.capabilities.features
        return not (self._server.indirect and eim_does)

    async def _view(self) -> CardView:
        card = self._context.card
        return CardView(
            await card.get_profiles(),
            await card.get_euicc_info2(),
            await self._table(),
            self._context.download.eim_is_consent,
        )

    async def _table(self) -> RulesAuthorisationTable | None:
        try:
            return await self._context.card.get_rat()
        except CardError as error:
            if not error.alive:
                raise
            return None  # a card without the table, or with one that cannot be read, authorises nothing

    async def _check_profile(self, view: CardView) -> None:
        now_s = judged_time(self._context)
        sentence = download_checks.of_binding_certificate(self._ok, self._session.opening, now_s=now_s)
        if sentence is not None:
            await self._refuse(Objection(sentence, CancelSessionReason.UNDEFINED_REASON))
        if self._ok.metadata is not None and self._judges_profile:
            objection = download_checks.of_profile(self._ok.metadata, view)
            if objection is not None:
                await self._refuse(objection)

    async def _confirmation(self) -> bytes | None:
        hash_cc = confirmation_code.hash_for(self._ok, self._transaction_id, self._context.download.confirmation_code)
        if hash_cc is None and self._ok.smdp_signed2.confirmation_code_required:
            # Postponed keeps the order alive at the SM-DP+ until somebody has given the code.
            sentence = "the SM-DP+ wants a confirmation code and neither the order nor the configuration has one"
            await self._refuse(Objection(sentence, CancelSessionReason.POSTPONED))
        return hash_cc

    async def _refuse(self, objection: Objection) -> NoReturn:
        told = await cancel(self._context, self._server, self._transaction_id, objection.reason)
        raise DownloadStop(objection.sentence, told=told, objection=objection.reason)

    # -- the card and the server ---------------------------------------------------------------------------------------

    async def _prepare(self, hash_cc: bytes | None) -> bytes:
        try:
            request = prepare_download_request(
                smdp_signed2=self._ok.smdp_signed2.raw,
                smdp_signature2=self._ok.smdp_signature2,
                smdp_certificate=self._ok.smdp_certificate,
                hash_cc=hash_cc,
            )
        except CodecError as error:
            sentence = f"the SM-DP+'s answer cannot be given to the card: {error.message}"
            await self._refuse(Objection(sentence, CancelSessionReason.UNDEFINED_REASON))
        answer = await self._context.card.prepare_download(request)
        if answer.error is not None:
            told = await self._forward(answer.raw)
            raise DownloadStop(f"the card refused the download: {answer.error.name}", told=told)
        return answer.raw

    async def _forward(self, refusal: bytes) -> bool:
        """Bring the card's refusal to the server, which ends the session with an error; whether the eIM knows then."""
        try:
            await self._server.package(self._transaction_id, refusal, _say_nothing)
        except ServerTrouble as trouble:
            return self._server.indirect and trouble.refused
        except (NetworkError, EimError):
            return False
        return self._server.indirect

    async def _fetch(self, prepared: bytes) -> bytes:
        try:
            return await self._server.package(self._transaction_id, prepared, Progress(_say_bytes))
        except ServerTrouble as trouble:
            raise await abandon(self._context, self._server, self._transaction_id, trouble) from trouble

    async def _check_package(self, bpp: bytes, view: CardView) -> None:
        try:
            contents = read_bound_package(bpp)
        except CodecError as error:
            sentence = f"the profile package is malformed: {error.message}"
            await self._refuse(Objection(sentence, CancelSessionReason.LOAD_BPP_EXECUTION_ERROR))
        if self._ok.metadata is None and not self._judges_profile:
            return
        objection = download_checks.of_package(self._ok.metadata, contents, view)
        if objection is not None:
            await self._refuse(objection)

    # -- loading -------------------------------------------------------------------------------------------------------

    async def _load(self, bpp: bytes) -> bytes:
        progress, total = Progress(_say_segments), 0

        def on_segment(done: int, of: int) -> None:
            nonlocal total
            total = of
            progress(done, of)

        try:
            result = await self._context.card.install_profile(bpp, on_segment)
        except (CardError, ModemError) as failure:
            return await self._after_interruption(failure.message)
        except IpadError as malformed:
            if malformed.side is not Side.SMDP:
                raise
            await self._refuse(Objection(malformed.message, CancelSessionReason.LOAD_BPP_EXECUTION_ERROR))
        if result is None:
            return await self._after_interruption("the card took the whole package and gave no result")
        if total and _is_good(result):
            progress(total, total)  # the card answers the last segment with its result
        return result

    async def _after_interruption(self, problem: str) -> bytes:
        """The card did not say how it ended. If it signs the cancellation nothing was installed; if it does not, its
        session is over and a result may be stored."""
        events.LOADING_INTERRUPTED.emit(reason=problem)
        reason = CancelSessionReason.LOAD_BPP_EXECUTION_ERROR
        answer = await sign(self._context, self._transaction_id, reason)
        if answer is None:
            await self._context.card.recover()
        if answer is None or answer.error is not None:
            found = await stored_result(self._context, self._transaction_id)
            if found is not None:
                return found.raw
        told = answer is not None and await tell(self._server, self._transaction_id, answer, reason)
        raise DownloadStop(f"loading the profile was interrupted: {problem}", told=told)


async def stored_result(context: Context, transaction_id: bytes | None) -> PendingNotification | None:
    """The installation result of this very session, if it is among the card's notifications; None too when the card
    does not tell them, which must not hold up everything else for ever."""
    if transaction_id is None:
        return None
    for notification in (await listed(context.card)).notifications:
        installation = notification.installation
        if installation is not None and installation.transaction_id == transaction_id:
            return notification
    return None


def _is_good(result: bytes) -> bool:
    try:
        installation = PendingNotification.parse(result).installation
    except CodecError:
        return False
    return installation is not None and installation.success


def _say_bytes(done: int, total: int | None) -> None:
    events.PACKAGE_BYTES.emit(done=done, total="an unknown number of" if total is None else total)


def _say_segments(done: int, total: int | None) -> None:
    events.SEGMENTS.emit(done=done, total=total)


def _say_nothing(done: int, total: int | None) -> None:
    return None
