"""Profile download on an eIM's order (SGP.32 v1.2 §3.2.3, §2.11.1.3), through the eIM or straight from the SM-DP+.

The order is in the journal, and with it how far it got: after a power cut the card is asked for the result of that
very session, and without one the eIM hears that there is none. Only a download of which nothing has reached the
card is begun again: after a power cut once, and after the link failed as often as ``download_cuts`` allows. An attempt
counts from the server's first answer on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ipad_agent.codec.es10.es10_download import CancelSessionReason
from ipad_agent.codec.es10.notifications import PendingNotification
from ipad_agent.codec.esipa import eim_package
from ipad_agent.codec.esipa.download_trigger import ECALL_ACTIVE, DownloadTrigger
from ipad_agent.codec.esipa.eim_package import ResultErrorCode, StateChangeCause
from ipad_agent.codec.esipa.esipa_download import AuthenticateClientOk, AuthenticateClientSmds
from ipad_agent.codec.rsp.es9_messages import EventEntries
from ipad_agent.errors import CardError, CodecError, EimError, ModemError, NetworkError, Remedy
from ipad_agent.policy.instant import Instant
from ipad_agent.procedures import authors
from ipad_agent.procedures import events as common_events
from ipad_agent.procedures.context import Association, Context
from ipad_agent.procedures.delivery import notification_delivery
from ipad_agent.procedures.records import download_cuts
from ipad_agent.procedures.records.last_orders import OrderOutcome
from ipad_agent.procedures.records.owed_work import MAX_LOADS, Stage, Work
from ipad_agent.procedures.records.state_changes import snapshot
from ipad_agent.procedures.records.switch_record import UNKNOWN
from ipad_agent.procedures.rsp.download_stop import DownloadStop
from ipad_agent.procedures.rsp.download_way import Goal, NoData, Way, choose_way, goal_of
from ipad_agent.procedures.rsp.rsp_servers import Direct, RspServer, ThroughEim
from ipad_agent.procedures.switching.emergency_profile import emergency_enabled
from ipad_agent.procedures.usable_profiles import usable_profiles
from ipad_agent.records import dataclass, replace

from . import events, immediate_enable
from .cancel_session import cancel
from .mutual_authentication import Session, authenticate
from .profile_installation import Installation, stored_result

DOWNLOAD_ORDER: Final = "profile download"
MAX_SERVERS: Final = 8
"""So many SM-DSs and SM-DP+s are asked for one order; events that go in circles end there."""
MAX_RESPONSE_BYTES: Final = 1024
"""A status with its message has some hundred bytes; what is longer is a page for people and not worth the traffic."""


@dataclass(frozen=True, slots=True)
class Told:
    """The eIM knows how it ended, by the messages of the download itself (§3.2.3.2); nothing is owed.

    ``result`` is the ProfileDownloadTriggerResult for an eIM that asks again nevertheless, ``installed`` whether it is
    a good one.
    """

    result: bytes
    installed: bool = False


Outcome = Work | Told
"""``Work`` with its result to deliver, or without one when the download is to be begun again at the next poll."""


async def carry_out(context: Context, eim: Association, work: Work, trigger: DownloadTrigger) -> Outcome:
    """Do what the trigger says. Raises as ``poll`` does; the work then goes on with ``resume``."""
    try:
        begun = await _begin(context, eim, work, trigger)
    except CardError as failure:
        if not failure.alive:
            raise
        # Nothing was begun, and the same question would get the same answer at every poll.
        return _failed(context, work, DownloadStop(failure.message))
    if not isinstance(begun, tuple):
        return begun
    run, goal = begun
    return await run.to_the_end(goal)


async def _begin(
    context: Context, eim: Association, work: Work, trigger: DownloadTrigger
) -> Outcome | tuple[_Run, Goal]:
    """An attempt and where it leads, or how it ended where there is nothing to attempt."""
    if await emergency_enabled(context.card):
        return _failed(context, work, DownloadStop("the emergency profile is enabled", reason=ECALL_ACTIVE))
    way = _way(context, eim, trigger)
    if way is not None:
        events.DOWNLOAD_ORDERED.emit(eim=eim.eim_id, way=way.value)
    try:
        goal = await goal_of(context.card, trigger.data, features=context.capabilities.features)
    except NoData as error:
        common_events.NOT_UNDERSTOOD.emit(
            eim=eim.eim_id,
            problem=f"a download order with {error.message}",
            code=ResultErrorCode.INVALID_PACKAGE_FORMAT.name,
        )
        context.on_order(_outcome(work, False, "invalidPackageFormat", error.message))
        refusal = eim_package.encode_result_error(work.transaction_id, ResultErrorCode.INVALID_PACKAGE_FORMAT)
        return context.work.answered(work, refusal)
    except DownloadStop as stop:
        return _failed(context, work, stop)
    if way is None:
        return _failed(context, work, DownloadStop("this IPA has no way to the SM-DP+ for this order"))
    server = await _server(context, eim, work, way)
    return _Run(context, eim, work, server), goal


async def resume(context: Context, eim: Association, work: Work, trigger: DownloadTrigger) -> Outcome:
    """Go on after a restart: by what the card says, not by what was hoped."""
    found = None
    if work.stage in (Stage.LOADING, Stage.INSTALLED):
        found = await stored_result(context, work.session)
    through_eim = _way(context, eim, trigger) is not Way.DIRECT
    if found is not None:
        events.RESULT_FOUND.emit(seq=found.seq_number)
        return await _installed(context, eim, work, found.raw, through_eim=through_eim)
    if work.installation is not None:
        # It left the card, perhaps through another eIM: telling this one twice does no harm.
        return context.work.answered(work, eim_package.encode_trigger_result(work.transaction_id, work.installation))
    if work.stage is Stage.LOADING:
        told = False
        if through_eim and work.session is not None:
            server = ThroughEim(eim.link, work.transaction_id)
            told = await cancel(context, server, work.session, CancelSessionReason.LOAD_BPP_EXECUTION_ERROR)
        return _failed(
            context, work, DownloadStop("interrupted while the card was loading; it shows no result", told=told)
        )
    if work.loads >= MAX_LOADS:
        return _failed(context, work, DownloadStop("interrupted in two attempts, before anything reached the card"))
    if not through_eim:
        await eim.link.reach()  # without it what is not reached behind it says nothing about the order
    return await carry_out(context, eim, work, trigger)


def _way(context: Context, eim: Association, trigger: DownloadTrigger) -> Way | None:
    return choose_way(
        trigger.data,
        entry_indirect=eim.config.indirect_download,
        features=context.capabilities.features,
        connected=context.connector is not None,
    )


async def _server(context: Context, eim: Association, work: Work, way: Way) -> RspServer:
    if way is Way.INDIRECT or context.connector is None:
        return ThroughEim(eim.link, work.transaction_id)
    info1 = await context.card.get_euicc_info1()
    return Direct(context.connector, info1.ci_pkids_for_verification)


class _Run:
    """One attempt. ``work`` is always as the journal has it."""

    def __init__(self, context: Context, eim: Association, work: Work, server: RspServer) -> None:
        self._context = context
        self._eim = eim
        self._server = server
        self._asked = 0
        self._counted = False
        self.work = work

    async def to_the_end(self, goal: Goal) -> Outcome:
        context = self._context
        try:
            result = await self._pursue(goal)
        except DownloadStop as stop:
            if stop.retry and not stop.told and self._begins_again(stop.sentence, answered=stop.answered):
                return self.work
            return _failed(context, self.work, stop)
        except (NetworkError, EimError) as failure:
            # The way to the eIM: this poll is over. The order is only if it has been cut off often enough.
            if self._begins_again(failure.message):
                raise
            return _failed(context, self.work, DownloadStop(f"the eIM: {failure.message}"))
        except CardError as failure:
            if not failure.alive:
                raise
            return _failed(context, self.work, DownloadStop(failure.message))
        except ModemError as failure:
            if failure.remedy is not Remedy.GIVE_UP:
                raise
            return _failed(context, self.work, DownloadStop(failure.message))
        finally:
            await self._server.close()
        return await _installed(context, self._eim, self.work, result, through_eim=self._server.indirect)

    def _answered(self) -> None:
        if not self._counted:
            self.work = self._context.work.attempt(self.work)
            self._counted = True

    def _begins_again(self, reason: str, *, answered: bool = False) -> bool:
        """Whether an attempt that the link ended is made again at another poll; written down if it counts.
        ``answered``: the server did not go on with it, but is there."""
        if self.work.stage is Stage.LOADING:
            return True  # what becomes of it is for ``resume`` to say, by what the card has
        if self._counted or not self._server.indirect:
            rules, now = self._context.download, Instant.now(self._context.clock)
            cuts = download_cuts.cut_off(self.work.cuts, now, answered=self._counted or answered)
            self.work = self._context.work.cut_off(self.work, cuts, counted=self._counted)
            if download_cuts.is_enough(cuts, now, max_attempts=rules.max_attempts, give_up_s=rules.give_up_s):
                return False
        events.DOWNLOAD_LATER.emit(reason=reason)
        return True

    async def _pursue(self, goal: Goal) -> bytes:
        """The installation result from this server, or from one that it points to."""
        self._asked += 1
        if self._asked > MAX_SERVERS:
            raise DownloadStop(f"the events of the SM-DS lead on and on; {MAX_SERVERS} servers were asked")
        session = await authenticate(self._context, self._server, goal, self._answered)
        if isinstance(session.answer, AuthenticateClientOk):
            installation = Installation(self._context, self._server, session, session.answer, self.work)
            try:
                return await installation.run()
            finally:
                self.work = installation.work
        goals = await self._goals(session, session.answer)
        ended = DownloadStop("the SM-DS has no event for this card")
        for next_goal in goals:
            try:
                return await self._pursue(next_goal)
            except DownloadStop as stop:
                if self.work.stage is Stage.LOADING or self._asked >= MAX_SERVERS:
                    raise
                ended = stop
        raise ended

    async def _goals(self, session: Session, answer: AuthenticateClientSmds | EventEntries) -> list[Goal]:
        if isinstance(answer, EventEntries):
            events.EVENTS_FOUND.emit(count=len(answer.entries))
            return [Goal(entry.rsp_server_address, entry.event_id) for entry in answer.entries]
        if answer.trigger is None:
            return []
        events.EVENTS_FOUND.emit(count=1)
        transaction_id = answer.trigger.eim_transaction_id
        if transaction_id is not None and isinstance(self._server, ThroughEim):
            self._server = replace(self._server, eim_transaction_id=transaction_id)
        try:
            features = self._context.capabilities.features
            return [await goal_of(self._context.card, answer.trigger.data, features=features)]
        except NoData as error:
            raise DownloadStop(f"the event of the SM-DS cannot be used: {error.message}") from error


# -- the end -----------------------------------------------------------------------------------------------------------


async def _installed(context: Context, eim: Association, work: Work, result: bytes, *, through_eim: bool) -> Outcome:
    """The card gave its result: write it down, try to enable, tell everybody, in this order."""
    trigger_result = eim_package.encode_trigger_result(work.transaction_id, result)
    work = context.work.installed(work, result) if through_eim else context.work.answered(work, trigger_result)
    seq, address = announce(context, work, result)
    enabled = _success(result) and await immediate_enable.try_enable(context, eim, work, _iccid(result))
    await _note_change(context, eim, enabled=enabled)
    if address is None:
        return context.work.answered(work, trigger_result)
    if enabled and not through_eim:
        # The network is only coming back, and a receiver that fails now would be left alone for minutes. By the end of
        # the poll, when the eIM was reached, it is there.
        return work
    taken = await notification_delivery.deliver_notifications(context, eim, only=address, through_eim=through_eim)
    if not through_eim:
        return work
    if seq in taken:
        return _told(context, work, Told(trigger_result, _success(result)))
    return context.work.answered(work, trigger_result)


def announce(context: Context, work: Work, result: bytes) -> tuple[int | None, str | None]:
    """Say how it ended; the number of the notification and its receiver, None when it cannot be read."""
    try:
        notification = PendingNotification.parse(result)
    except CodecError as error:
        events.NOT_INSTALLED.emit(reason=f"its result cannot be read: {error.message}", seq="unknown")
        context.on_order(_outcome(work, False, reason="the card's result cannot be read here"))
        return None, None
    installation = notification.installation
    if installation is not None and installation.success:
        iccid = notification.iccid.short if notification.iccid is not None else "unknown"
        events.INSTALLED.emit(iccid=iccid, seq=notification.seq_number)
        context.on_order(_outcome(work, True, what=f"{DOWNLOAD_ORDER} ({iccid})"))
    else:
        reason = installation.error_reason if installation is not None else None
        command = installation.bpp_command if installation is not None else None
        said = "for a reason that cannot be read" if reason is None else reason.name
        said = said if command is None else f"{said} in {command.name}"
        events.NOT_INSTALLED.emit(reason=said, seq=notification.seq_number)
        context.on_order(_outcome(work, False, said, "the card did not install the profile"))
    return notification.seq_number, notification.address


def _iccid(result: bytes) -> str:
    """The installed profile; ``UNKNOWN`` where the result does not tell which it is."""
    try:
        iccid = PendingNotification.parse(result).iccid
    except CodecError:
        return UNKNOWN
    return UNKNOWN if iccid is None else str(iccid)


def _success(result: bytes) -> bool:
    try:
        installation = PendingNotification.parse(result).installation
    except CodecError:
        return False
    return installation is not None and installation.success


async def _note_change(context: Context, eim: Association, *, enabled: bool) -> None:
    """The profiles are others now: the other eIMs are told, and every eIM if the new one was enabled at once."""
    known = context.changes.known_profiles()
    profiles = await usable_profiles(context.card)
    if profiles is None:
        others = (eim.eim_id, *eim.others) if enabled else eim.others
        context.changes.note(
            others, StateChangeCause.IMMEDIATE_ENABLE_PROFILE if enabled else StateChangeCause.OTHER_EIM
        )
        return
    context.on_profiles(profiles, authors.DOWNLOAD, eim.eim_id)
    now = snapshot(profiles)
    if not context.changes.learn(str(context.eid), now) and not enabled:
        return
    if enabled or (known is not None and _enabled(known) != _enabled(now)):
        context.changes.note((eim.eim_id, *eim.others), StateChangeCause.IMMEDIATE_ENABLE_PROFILE)
    else:
        context.changes.note(eim.others, StateChangeCause.OTHER_EIM)


def _enabled(profiles: Mapping[str, str]) -> set[str]:
    return {iccid for iccid, state in profiles.items() if state == "enabled"}


def _failed(context: Context, work: Work, stop: DownloadStop) -> Outcome:
    events.DOWNLOAD_FAILED.emit(reason=stop.sentence)
    context.on_order(_outcome(work, False, reason=stop.sentence))
    # The server's own words, or none (§2.11.2.3): what this IPA thinks is in its log.
    response = stop.response if stop.response is not None and len(stop.response) <= MAX_RESPONSE_BYTES else None
    result = eim_package.encode_trigger_error(work.transaction_id, stop.reason, error_response=response)
    return _told(context, work, Told(result)) if stop.told else context.work.answered(work, result)


def _outcome(
    work: Work, ok: bool, words: str | None = None, reason: str | None = None, *, what: str | None = None
) -> OrderOutcome:
    return OrderOutcome(work.eim_id, what or DOWNLOAD_ORDER, ok, words, reason)


def _told(context: Context, work: Work, told: Told) -> Told:
    context.work.settled(work, "the eIM knows")
    return told
