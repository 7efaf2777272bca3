"""eIM package retrieval (SGP.32 v1.2 §3.1.1.1): deliver what is owed, then fetch and do work until none is left."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
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
from ipad_agent.codec.identifiers import Plmn
from ipad_agent.errors import CardError, CodecError, EimError, ModemError, NetworkError, StoreError
from ipad_agent.policy.switching.switch_table import Happening, Phase, Way
from ipad_agent.procedures import events as common_events
from ipad_agent.procedures import package_sentences
from ipad_agent.procedures.context import Association, Context
from ipad_agent.procedures.delivery import notification_delivery, result_delivery
from ipad_agent.procedures.delivery.stored_result import stored_result_of
from ipad_agent.procedures.download import profile_download
from ipad_agent.procedures.packages import data_request_answer, euicc_package_execution
from ipad_agent.procedures.records.last_orders import OrderOutcome
from ipad_agent.procedures.records.owed_work import MAX_LOADS, Stage, Work, WorkKind
from ipad_agent.procedures.records.switch_record import RETURN, Switch, shown
from ipad_agent.procedures.switching import events as events_switch
from ipad_agent.procedures.switching import profile_proof, switch_transaction
from ipad_agent.records import dataclass

from . import events

MAX_REFUSED: Final = 24
"""So many refused results of one eIM are kept before it is asked for no more work: the journal is for all eIMs."""
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
    DOWNLOAD_CUT_OFF = "a download was cut off"
    EIM_CHANGED = "the card's entry for this eIM changed"


_Order = EuiccPackageOrder | DataRequestOrder | DownloadTriggerOrder | UnknownPackage | MalformedPackage


@dataclass(frozen=True, slots=True)
class PollReport:
    """``eims_changed``: an order may have changed the card's eIM list, it must be read again."""

    end: PollEnd
    packages: int
    eims_changed: bool = False


def _nothing_pushed() -> None:
    return None


async def poll(
    context: Context,
    eim: Association,
    *,
    fetch: bool = True,
    pushed: Callable[[], EimPackage | None] = _nothing_pushed,
) -> PollReport:
    """One poll of one eIM over one association. Without ``fetch`` only what is owed is delivered. A package that
    ``pushed`` gives comes before those that the eIM is asked for (§3.1.1.2), and is treated as they are.

    What one of its peers answers and nobody can use costs the step that it belongs to; the others are made all the
    same. Raises ``NetworkError`` when the eIM cannot be reached, ``EimError`` when it is busy or, at the end, when the
    request for work itself had no usable answer, ``CardError`` or ``ModemError`` when the card cannot be reached;
    whatever was taken on stays in the journal and goes on at the next poll. An order that the disk lets nobody write
    down waits, and nothing else.
    """
    events.POLLING.emit(eim=eim.eim_id)
    ended: dict[bytes, bytes] = {}
    # An order of an earlier poll that is carried out only now may change the eIMs as well as one that is fetched.
    eims_changed = any(work.kind is WorkKind.PACKAGE and work.result is None for work in context.work.open(eim.eim_id))
    waits = await _resume_switch(context, eim)
    waits = await _resume_unfinished(context, eim, ended) or waits
    owed = await result_delivery.deliver_owed(context, eim)
    await _look_again(context, eim, accepted=owed.accepted)
    packages = 0
    told: set[bytes | None] = set()
    trouble: EimError | NetworkError | None = None
    while True:
        if not fetch:
            end = PollEnd.HELD
            break
        if not context.work.room:
            events.NO_ROOM.emit()
            end = PollEnd.JOURNAL_FULL
            break
        refused = sum(work.redelivery is not None for work in context.work.open(eim.eim_id))
        if refused >= MAX_REFUSED:
            events.TOO_MANY_REFUSED.emit(eim=eim.eim_id, count=refused)
            end = PollEnd.RESULT_REFUSED
            break
        try:
            package = pushed() or await _fetch(context, eim)
        except (EimError, NetworkError) as error:
            if isinstance(error, NetworkError) and not error.reached:
                raise
            events.FETCH_REFUSED.emit(eim=eim.eim_id, reason=error.message)
            trouble, end = error, PollEnd.EIM_TROUBLE
            break
        if isinstance(package, NoPackage):
            end = _end_of(package, eim, accepted=owed.accepted)
            if end is PollEnd.NO_MORE_WORK:
                end = _end_of_cut_off(context, eim) or end
            break
        if isinstance(package, MalformedPackage):
            # Told once, an eIM may do better; told for ever, both sides only burn traffic.
            if package.eim_transaction_id in told:
                events.NOT_UNDERSTOOD_AGAIN.emit(eim=eim.eim_id)
                end = PollEnd.EIM_TROUBLE
                break
            told.add(package.eim_transaction_id)
        known = _known(context, eim, package)
        if known is not None:
            context.on_taken(known.order)
        if known is not None and known.result is None:
            # It goes on with the next poll; begun beside itself it would be carried out twice.
            end = _end_unfinished(known)
            break
        carried_out = known is not None and known.kind in (WorkKind.PACKAGE, WorkKind.TRIGGER)
        if carried_out:
            # Its result was refused and it is handed out again. Carried out once more, the answer could only be a lie.
            events.ORDER_AGAIN.emit(eim=eim.eim_id)
        if known is not None and known.id in owed.offered:
            end = PollEnd.RESULT_REFUSED
            break
        if waits and any(work.order == package.raw for work in context.work.open(eim.eim_id)):
            end = PollEnd.JOURNAL_FULL  # it is written down already, and goes on when the disk works
            break
        try:
            work = _take(context, eim, package) if known is None else known
        except StoreError as refusal:
            # Not written down, not begun: the eIM keeps the order and hands it out again.
            events.NOT_TAKEN.emit(eim=eim.eim_id, reason=refusal.message)
            end = PollEnd.JOURNAL_FULL
            break
        context.on_taken(work.order)
        outcome: profile_download.Outcome
        if carried_out:
            outcome = work
        elif package.raw in ended:
            events.TRIGGER_AGAIN.emit(eim=eim.eim_id)
            outcome = context.work.answered(work, ended[package.raw])
        else:
            try:
                outcome = await _do(context, eim, work, package)
            except StoreError as refused:
                events.WAITS_FOR_DISK.emit(eim=eim.eim_id, reason=refused.message)
                end = PollEnd.JOURNAL_FULL
                break
            except CardError as failure:
                if not failure.alive:
                    raise
                events.ORDER_STUCK.emit(eim=eim.eim_id, reason=failure.message)
                end = PollEnd.MORE_WORK
                break
        packages += 1
        if isinstance(outcome, profile_download.Told):
            _remember(ended, work, outcome)
        elif outcome.result is None:
            end = _end_unfinished(outcome)
            break
        else:
            owed.offered.add(outcome.id)
            owed.accepted = await _bring(context, eim, outcome) and owed.accepted
        eims_changed = eims_changed or isinstance(package, EuiccPackageOrder)
        if isinstance(package, EuiccPackageOrder) and package.request.kind == "eco" and not await _same(context, eim):
            end = PollEnd.EIM_CHANGED
            break
        if packages >= context.max_packages:
            events.ROUNDS_CAPPED.emit(eim=eim.eim_id, count=packages)
            end = PollEnd.MORE_WORK
            break
    # An eIM that is busy or fell silent is left alone; one that has no usable answer to one question may have others.
    alone = trouble is not None and (isinstance(trouble, NetworkError) or trouble.retry_after_s is not None)
    await notification_delivery.deliver_notifications(context, eim, only_direct=alone)
    if trouble is not None:
        raise trouble
    return PollReport(end, packages, eims_changed)


async def _resume_switch(context: Context, eim: Association) -> bool:
    """A switch that is under way comes before everything else: its time is running. Whether its order has to wait for
    the disk."""
    open_switch = context.switches.open()
    if open_switch is None:
        return False
    if needs_this_poll(context, open_switch):
        events_switch.RESUMED.emit(
            target=shown(open_switch.target),
            phase=open_switch.phase.value,
            left_s=open_switch.left_s(context.clock),
        )
    if open_switch.phase is Phase.ARMED:
        try:
            await _resume_armed(context, eim, open_switch)
        except StoreError as refused:
            events.WAITS_FOR_DISK.emit(eim=eim.eim_id, reason=refused.message)
            return True
    current = context.switches.open()
    if current is not None and needs_this_poll(context, current):
        await profile_proof.see_through(context, eim, resumed=True)
    else:
        await profile_proof.look_again(context)
    return False


async def _look_again(context: Context, eim: Association, *, accepted: bool) -> None:
    """An open switch that nobody waits for, now that its eIM got what it is owed. An eIM that refused the result has
    answered all the same, and that is all a profile can be asked for; for a return the eIM only has to be there."""
    current = context.switches.open()
    if current is None or needs_this_poll(context, current):
        return
    answered = not accepted and current.eim_id == eim.eim_id
    if current.cause == RETURN:
        try:
            await eim.link.reach()
            answered = True
        except (NetworkError, EimError):
            return
    await profile_proof.look_again(context, proof="the eIM answered" if answered else None)


async def resume_without_eim(context: Context) -> None:
    """The open switch of a card that no eIM manages, if there is one: its time runs all the same. Nobody is owed
    anything, so it is proved when the modem is registered with the profile.

    Raises ``CardError``, ``ModemError`` or ``StoreError``; it goes on at the next call.
    """
    open_switch = context.switches.open()
    if open_switch is None:
        return
    if open_switch.phase is Phase.ARMED:
        if open_switch.cause != RETURN and all(work.id != open_switch.work for work in context.work.open()):
            switch_transaction.end(context, open_switch, Happening.NOT_SWITCHED)
        else:
            await switch_transaction.settle(context, open_switch)
    current = context.switches.open()
    if current is not None and needs_this_poll(context, current):
        with contextlib.suppress(NetworkError, EimError):  # there is nobody to be told
            await profile_proof.see_through(context, None)
    else:
        await profile_proof.look_again(context, proof="the modem is registered, and no eIM is there to be asked")


async def _resume_armed(context: Context, eim: Association, armed: Switch) -> None:
    """The card may or may not have got the order."""
    work = next((work for work in context.work.open() if work.id == armed.work), None)
    if armed.cause == RETURN:
        await switch_transaction.settle(context, armed)
    elif work is None:
        switch_transaction.end(context, armed, Happening.NOT_SWITCHED)
    elif work.kind is WorkKind.PACKAGE and (
        work.result is None or await stored_result_of(context, work, rolled_back=True) is not None
    ):
        # No result, or one that a rollback has replaced on the card before the disk took anything of either.
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
    return (await result_delivery.offer(context, eim, work)).accepted


def _known(context: Context, eim: Association, package: _Order) -> Work | None:
    """The open work of this very order, if it was taken on before: by its bytes, and a download also by its
    transaction, which no other has."""
    kind, order = _kind_of(package), _kept(package)
    for work in context.work.open(eim.eim_id):
        if work.kind is not kind:
            continue
        same_download = kind is WorkKind.TRIGGER and work.transaction_id == package.eim_transaction_id is not None
        if work.order == order or same_download:
            return work
    return None


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


async def _resume_unfinished(context: Context, eim: Association, ended: dict[bytes, bytes]) -> bool:
    """Whether an order has to wait for the disk."""
    waits = False
    for work in context.work.open(eim.eim_id):
        if work.result is not None:
            continue
        try:
            await _resume_one(context, eim, work, ended)
        except CardError as failure:
            if not failure.alive:
                raise
            events.ORDER_STUCK.emit(eim=eim.eim_id, reason=failure.message)
        except StoreError as refused:
            events.WAITS_FOR_DISK.emit(eim=eim.eim_id, reason=refused.message)
            waits = True
    return waits


async def _resume_one(context: Context, eim: Association, work: Work, ended: dict[bytes, bytes]) -> None:
    package = _package_of(work)
    if work.kind is WorkKind.PACKAGE:
        await euicc_package_execution.resume(context, eim, work)
    elif isinstance(package, DownloadTriggerOrder):
        if context.only_results and work.stage not in (Stage.LOADING, Stage.INSTALLED):
            return  # of those the card has the result, or none
        outcome = await profile_download.resume(context, eim, work, package.trigger)
        if isinstance(outcome, profile_download.Told):
            _remember(ended, work, outcome)
    elif work.loads >= MAX_LOADS:
        events.QUESTION_GIVEN_UP.emit(eim=eim.eim_id, attempts=work.loads + 1)
        reason = "the card failed each time while the answer was collected"
        context.on_order(OrderOutcome(eim.eim_id, "a question", False, "undefinedError", reason, question=True))
        refusal = eim_package.encode_result_error(work.transaction_id, ResultErrorCode.UNDEFINED_ERROR)
        context.work.answered(work, refusal)
    else:
        # Answering a question again costs nothing and is always true; but not again and again for nothing.
        context.work.about_to_load(work)
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
    cause = context.changes.pending(eim.eim_id)
    package = await eim.link.get_eim_package(state_change=cause, rplmn=await _registered_plmn(context))
    if cause is not None:
        if _understood(package) and not eim.link.change_untold:
            context.changes.told(eim.eim_id)
        else:
            events.CHANGE_NOT_TOLD.emit(eim=eim.eim_id, cause=cause.name.lower())
    return package


def _understood(package: EimPackage) -> bool:
    """Whether the answer shows that the eIM has read the question: an error, or what nobody can read, does not."""
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


def _end_of_cut_off(context: Context, eim: Association) -> PollEnd | None:
    """The end of a poll in which a download of this eIM did not get through once more; the eIM handed out that order
    long ago, and has no reason to do so again."""
    for work in context.work.open(eim.eim_id):
        if work.kind is WorkKind.TRIGGER and work.result is None and work.cuts is not None:
            return _end_unfinished(work)
    return None


def _end_unfinished(work: Work) -> PollEnd:
    """A download that was cut off once is tried again soon, one that is cut off again and again not so soon."""
    return PollEnd.DOWNLOAD_CUT_OFF if work.cuts is not None and work.cuts.count > 1 else PollEnd.MORE_WORK


def _take(context: Context, eim: Association, package: _Order) -> Work:
    order = _kept(package)
    return context.work.take(eim.eim_id, eim.config.raw, _kind_of(package), order, package.eim_transaction_id)


def _kind_of(package: _Order) -> WorkKind:
    match package:
        case EuiccPackageOrder():
            return WorkKind.PACKAGE
        case DataRequestOrder():
            return WorkKind.DATA
        case DownloadTriggerOrder():
            return WorkKind.TRIGGER
        case _:
            return WorkKind.OTHER


def _kept(package: _Order) -> bytes:
    """What of it goes into the journal."""
    return package.raw[:MALFORMED_KEPT_BYTES] if isinstance(package, MalformedPackage) else package.raw


async def _do(context: Context, eim: Association, work: Work, package: _Order) -> profile_download.Outcome:
    match package:
        case EuiccPackageOrder():
            events.PACKAGE_RECEIVED.emit(eim=eim.eim_id, what=package_sentences.of_order(package.request))
            return await euicc_package_execution.execute(context, eim, work)
        case DataRequestOrder():
            answer = await data_request_answer.answer(context, eim, package.request)
            context.on_order(OrderOutcome(eim.eim_id, "data of card and device", True, question=True))
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
    common_events.NOT_UNDERSTOOD.emit(eim=eim.eim_id, problem=problem, code=code.name)
    words = package_sentences.result_error(code)
    context.on_order(OrderOutcome(eim.eim_id, "an order that is not understood", False, words, f"it is {problem}"))
    return context.work.answered(work, eim_package.encode_result_error(work.transaction_id, code))
