"""Profile download with an activation code that a person gives to the device (SGP.22 v2.5 §3.1, §4.1), straight from
the SM-DP+.

Session, checks and loading are those of an ordered download. What differs: the result is the caller's, every eIM hears
of the new profile by a state change, and a power cut is the end of it. Then the card is asked what became of that very
session; it is not begun again, because the code is not kept.
"""

from __future__ import annotations

from collections.abc import Iterable

from ipad_agent.codec.es10.notifications import PendingNotification
from ipad_agent.codec.esipa.device_info import IpaFeature
from ipad_agent.codec.esipa.download_trigger import ECALL_ACTIVE
from ipad_agent.codec.esipa.eim_package import StateChangeCause
from ipad_agent.codec.esipa.esipa_download import AuthenticateClientOk
from ipad_agent.codec.rsp.activation_code import ActivationCode
from ipad_agent.errors import CardError, CodecError, IpadError, ModemError, Remedy
from ipad_agent.procedures import authors
from ipad_agent.procedures.context import Context
from ipad_agent.procedures.records.last_orders import OrderOutcome
from ipad_agent.procedures.records.local_download_record import LocalDownloads
from ipad_agent.procedures.records.owed_work import Stage, Work
from ipad_agent.procedures.records.state_changes import snapshot
from ipad_agent.procedures.rsp.download_stop import DownloadStop
from ipad_agent.procedures.rsp.download_way import Goal
from ipad_agent.procedures.rsp.rsp_servers import Direct
from ipad_agent.procedures.switching.emergency_profile import emergency_enabled
from ipad_agent.procedures.usable_profiles import usable_profiles
from ipad_agent.records import replace

from . import events
from .mutual_authentication import authenticate
from .profile_download import announce
from .profile_installation import Installation, stored_result


async def download(
    context: Context,
    downloads: LocalDownloads,
    eims: Iterable[str],
    code: ActivationCode,
    *,
    confirmation_code: str | None = None,
    rules_accepted: bool = False,
) -> str:
    """The ICCID of the new profile, which is installed and not enabled. ``rules_accepted``: the person consents to
    policy rules where the card's table asks for the end user's consent.

    Raises ``DownloadStop`` where no profile came of it. Raises ``CardError`` or ``ModemError`` when the card is gone,
    and ``StoreError`` when the news cannot be noted; ``settle`` goes on then.
    """
    connector = context.connector
    if connector is None or IpaFeature.DIRECT_RSP_SERVER_COMMUNICATION not in context.capabilities.features:
        raise DownloadStop("this device has no way of its own to an SM-DP+ (download.way, trust.ci_dir)")
    if await emergency_enabled(context.card):
        raise DownloadStop("the emergency profile is enabled", reason=ECALL_ACTIVE)
    events.DOWNLOAD_BY_HAND.emit(server=code.smdp_address)
    work = downloads.begin(str(context.eid))
    rules = replace(
        context.download,
        eim_is_consent=rules_accepted,
        confirmation_code=context.download.confirmation_code if confirmation_code is None else confirmation_code,
    )
    own = replace(context, download=rules, on_order=_of_no_eim)
    goal = Goal(code.smdp_address, code.matching_id, code.smdp_oid)
    try:
        server = Direct(connector, (await context.card.get_euicc_info1()).ci_pkids_for_verification)
        try:
            session = await authenticate(own, server, goal)
            if not isinstance(session.answer, AuthenticateClientOk):
                raise DownloadStop("the server of the activation code has no profile but events, as an SM-DS does")
            installation = Installation(own, server, session, session.answer, work)
            try:
                result = await installation.run()
            finally:
                work = installation.work
        finally:
            await server.close()
    except DownloadStop as stop:
        _failed(downloads, work, stop.sentence)
        raise
    except (CardError, ModemError) as failure:
        if failure.remedy is not Remedy.GIVE_UP and not (isinstance(failure, CardError) and failure.alive):
            raise
        _failed(downloads, work, failure.message)
        raise DownloadStop(failure.message) from failure
    except IpadError as failure:  # such as a disk that does not take how far it is
        _failed(downloads, work, failure.message)
        raise DownloadStop(failure.message) from failure
    return await _ended(own, downloads, context.work.installed(work, result), result, tuple(eims))


async def settle(context: Context, downloads: LocalDownloads, eims: Iterable[str]) -> bool:
    """Find out what became of a download that was cut off; whether there was one. To be called at start-up, after the
    profiles were compared with what was known: the better reason takes the place of "undefined"."""
    told = tuple(eims)
    under_way = downloads.under_way(str(context.eid))
    for work in under_way:
        result = work.installation
        if result is None and work.stage is Stage.LOADING:
            found = await stored_result(context, work.session)
            result = None if found is None else found.raw
            if found is not None:
                events.RESULT_FOUND.emit(seq=found.seq_number)
        if result is None:
            loading = work.stage is Stage.LOADING
            when = "while the card was loading; it shows no result" if loading else "before anything reached the card"
            _failed(downloads, work, f"interrupted {when}")
            continue
        try:
            await _ended(replace(context, on_order=_of_no_eim), downloads, work, result, told)
        except DownloadStop:  # it has been said
            continue
    return bool(under_way)


async def _ended(context: Context, downloads: LocalDownloads, work: Work, result: bytes, eims: tuple[str, ...]) -> str:
    """The card gave its result. The news first: after a crash in between they are noted once more. The notification
    for the SM-DP+ is on the card and goes out with the next poll."""
    announce(context, work, result)
    iccid, reason = _said(result)
    profiles = await usable_profiles(context.card)
    if profiles is not None:
        context.on_profiles(profiles, authors.LOCAL, None)
        context.changes.learn(str(context.eid), snapshot(profiles))
    if reason is None:
        context.changes.note(eims, StateChangeCause.LOCAL)
    downloads.end(work, "installed" if reason is None else "not installed")
    if reason is not None:
        raise DownloadStop(f"the card did not install the profile: {reason}")
    return iccid


def _said(result: bytes) -> tuple[str, str | None]:
    """The ICCID, and why it is not installed; one that cannot be read is taken for a profile: the eIMs look then."""
    try:
        notification = PendingNotification.parse(result)
    except CodecError:
        return "unknown", None
    iccid = "unknown" if notification.iccid is None else str(notification.iccid)
    installation = notification.installation
    if installation is None or installation.success:
        return iccid, None
    return iccid, "for a reason that cannot be read" if installation.error_reason is None else (
        installation.error_reason.name
    )


def _failed(downloads: LocalDownloads, work: Work, reason: str) -> None:
    events.DOWNLOAD_BY_HAND_FAILED.emit(reason=reason)
    downloads.end(work, "failed")


def _of_no_eim(outcome: OrderOutcome) -> None:
    """No eIM ordered it, so it is no eIM's last order."""
