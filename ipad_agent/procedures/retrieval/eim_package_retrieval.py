"""eIM package retrieval (SGP.32 v1.2 §3.1.1.1): deliver what is owed, then fetch and do work until none is left."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, assert_never

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.esipa import eim_package
from ipad_agent.codec.esipa.eim_package import (
    DataRequestOrder,
    DownloadTriggerOrder,
    EimPackage,
    EimPackageError,
    EuiccPackageOrder,
    MalformedPackage,
    NoPackage,
    ResultErrorCode,
    UnknownPackage,
)
from ipad_agent.codec.identifiers import Plmn, short_iccid
from ipad_agent.errors import CodecError, ModemError, StoreError
from ipad_agent.policy.switching.switch_table import Happening, Phase, Way
from ipad_agent.procedures import events, package_sentences
from ipad_agent.procedures.context import Association, Context
from ipad_agent.procedures.delivery import notification_delivery, result_delivery
from ipad_agent.procedures.download import profile_download
from ipad_agent.procedures.packages import data_request_answer, euicc_package_execution
from ipad_agent.procedures.records.owed_work import Work, WorkKind
from ipad_agent.procedures.records.switch_record import RETURN, Switch
from ipad_agent.procedures.switching import events as events_switch
from ipad_agent.procedures.switching import profile_proof, switch_transaction

MALFORMED_KEPT_BYTES: Final = 256
"""So much of a package that cannot be read goes into the journal: it is only good for telling what came."""


class PollEnd(StrEnum):
    """How a poll ended that reached the eIM; decides when the next one is."""

    NO_MORE_WORK = "no more work"
    MORE_WORK = "more work waits"
    UNKNOWN_EUICC = "the eIM does not know this eUICC"
    EIM_TROUBLE = "the eIM has trouble"
    RESULT_REFUSED = "the eIM refused a result"
    JOURNAL_FULL = "the journal is full"
    HELD = "work is held back"
    EIM_CHANGED = "the card's entry for this eIM changed"


_Order = EuiccPackageOrder | DataRequestOrder | DownloadTriggerOrder | UnknownPackage | MalformedPackage


@dataclass(frozen=True, slots=True)
class PollReport:
    """``eims_changed``: an order may have changed the card's eIM list, it must be read again."""

    end: PollEnd
    packages: int
    eims_changed: bool = False


async def poll(context: Context, eim: Association, *, fetch: bool = True) -> PollReport:
    """One poll of one eIM over one association. Without ``fetch`` only what is owed is delivered.

    Raises ``NetworkError`` or ``EimError`` when the eIM cannot be reached, ``CardError`` or ``ModemError`` when the
    card cannot, ``StoreError`` when the disk refuses; whatever was taken on stays in the journal and goes on at the
    next poll.
    """
    events.POLLING.emit(eim=eim.eim_id)
    ended: dict[bytes, bytes] = {}
    await _resume_switch(context, eim)
    await _resume_unfinished(context, eim, ended)
    accepted = await result_delivery.deliver_owed(context, eim)
    packages, eims_changed = 0, False
    told: set[bytes | None] = set()
    while True:
        if not fetch:
            end = PollEnd.HELD
            break
        if not context.work.room:
            events.NO_ROOM.emit()
            end = PollEnd.JOURNAL_FULL
            break
        package = await _fetch(context, eim)
        if isinstance(package, NoPackage):
            end = _end_of(package, eim, accepted=accepted)
            break
        if isinstance(package, MalformedPackage):
            # Told once, an eIM may do better; told for ever, both sides only burn traffic.
            if package.eim_transaction_id in told:
                events.NOT_UNDERSTOOD_AGAIN.emit(eim=eim.eim_id)
                end = PollEnd.EIM_TROUBLE
                break
            told.add(package.eim_transaction_id)
        if isinstance(package, EuiccPackageOrder) and _result_is_owed(context, eim, package):
            # Its result was refused and it is handed out again: loaded once more, the card could only say replay.
            events.ORDER_AGAIN.emit(eim=eim.eim_id)
            end = PollEnd.RESULT_REFUSED
            break
        try:
            work = _take(context, eim, package)
        except StoreError as refused:
            # Not written down, not begun: the eIM keeps the order and hands it out again.
            events.NOT_TAKEN.emit(eim=eim.eim_id, reason=refused.message)
            end = PollEnd.JOURNAL_FULL
            break
        if package.raw in ended:
            events.TRIGGER_AGAIN.emit(eim=eim.eim_id)
            outcome: profile_download.Outcome = context.work.answered(work, ended[package.raw])
        else:
            outcome = await _do(context, eim, work, package)
        packages += 1
        if isinstance(outcome, profile_download.Told):
            _remember(ended, work, outcome)
        elif outcome.result is None:
            end = PollEnd.MORE_WORK
            break
        else:
            accepted = await _bring(context, eim, outcome) and accepted
        eims_changed = eims_changed or isinstance(package, EuiccPackageOrder)
        if isinstance(package, EuiccPackageOrder) and package.request.kind == "eco" and not await _same(context, eim):
            end = PollEnd.EIM_CHANGED
            break
        if packages >= context.max_packages:
            events.ROUNDS_CAPPED.emit(eim=eim.eim_id, count=packages)
            end = PollEnd.MORE_WORK
            break
    await notification_delivery.deliver_notifications(context, eim)
    return PollReport(end, packages, eims_changed)


async def _resume_switch(context: Context, eim: Association) -> None:
    """A switch that is under way comes before everything else: its time is running."""
    open_switch = context.switches.open()
    if open_switch is None:
        return
    if needs_this_poll(context, open_switch):
        events_switch.RESUMED.emit(
            target=short_iccid(open_switch.target),
            phase=open_switch.phase.value,
            left_s=open_switch.left_s(context.clock),
        )
    if open_switch.phase is Phase.ARMED:
        await _resume_armed(context, eim, open_switch)
    current = context.switches.open()
    if current is not None and needs_this_poll(context, current):
        await profile_proof.see_through(context, eim)
    else:
        await profile_proof.look_again(context)


async def _resume_armed(context: Context, eim: Association, armed: Switch) -> None:
    """The card may or may not have got the order."""
    work = next((work for work in context.work.open() if work.id == armed.work), None)
    if armed.cause == RETURN:
        await switch_transaction.settle(context, armed)
    elif work is None:
        switch_transaction.end(context, armed, Happening.NOT_SWITCHED)
    elif work.result is None and work.kind is WorkKind.PACKAGE:
        await euicc_package_execution.resume(context, eim, work)
    else:
        await switch_transaction.settle(context, armed)


def needs_this_poll(context: Context, open_switch: Switch) -> bool:
    """Whether somebody has to wait for this switch: its eIM is owed the result, or it is on the way back."""
    if open_switch.phase in (Phase.ARMED, Phase.GOING_BACK, Phase.BACK):
        return True
    owed = any(work.id == open_switch.work for work in context.work.open())
    return open_switch.phase is Phase.PROVING and (owed or open_switch.way is not Way.NONE)


async def _bring(context: Context, eim: Association, work: Work) -> bool:
    """Deliver a result; one of a switch when the new profile is proved, or was given up. Whether it was accepted."""
    if context.switches.of_work(work.id) is not None:
        accepted = await profile_proof.see_through(context, eim)
        if accepted is not None:
            return accepted
        work = context.work.get(work.id)
    return (await result_delivery.deliver_work(context, eim, work)).refused is None


def _result_is_owed(context: Context, eim: Association, package: EuiccPackageOrder) -> bool:
    return any(work.order == package.raw and work.result is not None for work in context.work.open(eim.eim_id))


async def _same(context: Context, eim: Association) -> bool:
    """Whether the card still says of this eIM what this poll began with: another key or address, or that it is gone,
    counts at once."""
    configs = await context.card.get_eim_configuration()
    return any(config.same_way_as(eim.config) for config in configs)


def _remember(ended: dict[bytes, bytes], work: Work, told: profile_download.Told) -> None:
    """What this order ended with, for an eIM that hands it out again. Two orders without a transaction look the same;
    after a good end such a one counts as a new order."""
    if work.transaction_id is not None or not told.installed:
        ended[work.order] = told.result


async def _resume_unfinished(context: Context, eim: Association, ended: dict[bytes, bytes]) -> None:
    for work in context.work.open(eim.eim_id):
        if work.result is not None:
            continue
        package = _package_of(work)
        if work.kind is WorkKind.PACKAGE:
            await euicc_package_execution.resume(context, eim, work)
        elif isinstance(package, DownloadTriggerOrder):
            outcome = await profile_download.resume(context, eim, work, package.trigger)
            if isinstance(outcome, profile_download.Told):
                _remember(ended, work, outcome)
        else:
            # Answering a question again costs nothing and is always true.
            await _do(context, eim, work, package)


def _package_of(work: Work) -> _Order:
    try:
        package = eim_package.parse_get_eim_package_response(tlv.encode(0xBF4F, work.order))
    except CodecError as error:
        return MalformedPackage(work.order, work.transaction_id, error.message)
    if isinstance(package, NoPackage):
        return MalformedPackage(work.order, work.transaction_id, "no order")
    return package


async def _fetch(context: Context, eim: Association) -> EimPackage:
    package = await eim.link.get_eim_package(
        state_change=context.changes.pending(eim.eim_id), rplmn=await _registered_plmn(context)
    )
    if _was_taken(package):
        context.changes.told(eim.eim_id)
    return package


def _was_taken(package: EimPackage) -> bool:
    """Whether the question was understood, and with it what it told: an error may have had any reason, and something
    that is no message says nothing."""
    if isinstance(package, NoPackage):
        return package.code == EimPackageError.NO_EIM_PACKAGE_AVAILABLE
    return not isinstance(package, MalformedPackage)


async def _registered_plmn(context: Context) -> Plmn | None:
    """The registered network, as a courtesy to the eIM: a modem that cannot say does not hold up the poll."""
    try:
        text = await context.device.rplmn()
        return None if text is None else Plmn.parse(text)
    except (ModemError, CodecError):
        return None


def _end_of(package: NoPackage, eim: Association, *, accepted: bool) -> PollEnd:
    if package.code == EimPackageError.NO_EIM_PACKAGE_AVAILABLE:
        events.NOTHING_TO_DO.emit(eim=eim.eim_id)
        return PollEnd.NO_MORE_WORK if accepted else PollEnd.RESULT_REFUSED
    events.EIM_ERROR.emit(eim=eim.eim_id, code=package.code, meaning=package_sentences.eim_package_error(package.code))
    if package.code in {EimPackageError.EID_NOT_FOUND, EimPackageError.INVALID_EID}:
        return PollEnd.UNKNOWN_EUICC
    return PollEnd.EIM_TROUBLE


def _take(context: Context, eim: Association, package: _Order) -> Work:
    match package:
        case EuiccPackageOrder():
            kind = WorkKind.PACKAGE
        case DataRequestOrder():
            kind = WorkKind.DATA
        case DownloadTriggerOrder():
            kind = WorkKind.TRIGGER
        case _:
            kind = WorkKind.OTHER
    order = package.raw[:MALFORMED_KEPT_BYTES] if isinstance(package, MalformedPackage) else package.raw
    return context.work.take(eim.eim_id, eim.config.raw, kind, order, package.eim_transaction_id)


async def _do(context: Context, eim: Association, work: Work, package: _Order) -> profile_download.Outcome:
    match package:
        case EuiccPackageOrder():
            events.PACKAGE_RECEIVED.emit(eim=eim.eim_id, what=package_sentences.of_order(package.request))
            return await euicc_package_execution.execute(context, eim, work)
        case DataRequestOrder():
            answer = await data_request_answer.answer(context, eim, package.request)
            return context.work.answered(work, answer)
        case DownloadTriggerOrder():
            return await profile_download.carry_out(context, eim, work, package.trigger)
        case UnknownPackage():
            return _not_understood(context, eim, work, "of an unknown kind", ResultErrorCode.UNKNOWN_PACKAGE)
        case MalformedPackage():
            problem = f"malformed: {package.reason}"
            return _not_understood(context, eim, work, problem, ResultErrorCode.INVALID_PACKAGE_FORMAT)
        case _:
            assert_never(package)


def _not_understood(context: Context, eim: Association, work: Work, problem: str, code: ResultErrorCode) -> Work:
    events.NOT_UNDERSTOOD.emit(eim=eim.eim_id, problem=problem, code=code.name)
    return context.work.answered(work, eim_package.encode_result_error(work.transaction_id, code))
