"""eUICC package download and execution (SGP.32 v1.2 §3.3.1).

The package goes to the card byte for byte as it came. Before that it is in the journal; after that its result is in
the journal before the card is reset or a byte is sent. When the answer got lost, the card is asked what happened.
"""

from __future__ import annotations

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.es10.euicc_package import EuiccPackageResult
from ipad_agent.codec.esipa import eim_package
from ipad_agent.codec.esipa.eim_package import ResultErrorCode, StateChangeCause
from ipad_agent.codec.identifiers import short_iccid
from ipad_agent.errors import CardError, CodecError, ModemError, Remedy
from ipad_agent.policy.switching.switch_table import Phase
from ipad_agent.procedures import authors, order_outcomes, package_sentences
from ipad_agent.procedures.context import Association, Context
from ipad_agent.procedures.delivery import events as delivery_events
from ipad_agent.procedures.delivery.result_delivery import with_notifications
from ipad_agent.procedures.delivery.stored_result import stored_result_of
from ipad_agent.procedures.records.last_orders import OrderOutcome
from ipad_agent.procedures.records.owed_work import MAX_LOADS, Work
from ipad_agent.procedures.records.state_changes import snapshot
from ipad_agent.procedures.switching import switch_transaction
from ipad_agent.procedures.switching.local_switch import enabled_iccid
from ipad_agent.procedures.usable_profiles import usable_profiles

from . import events


async def execute(context: Context, eim: Association, work: Work) -> Work:
    """Have the card execute the package; returns the work with its result, which is on the disk.

    A card or modem that fails in the middle is asked once what happened; if it fails again the error is raised and
    the work stays open for ``resume`` at the next poll.
    """
    try:
        result = await _load(context, eim, work)
    except (CardError, ModemError) as failure:
        if failure.remedy is Remedy.GIVE_UP:
            return await _could_not(context, work, failure)
        if isinstance(failure, CardError) and failure.answer is not None:
            return await _unreadable(context, eim, work, failure, failure.answer)
        events.OUTCOME_UNKNOWN.emit(reason=failure.message)
        await context.card.recover()
        return await resume(context, eim, context.work.get(work.id))
    if result.variant == "error_unsigned":
        result = await _signed_instead(context, work) or result
    return await _finish(context, eim, work, result)


async def _signed_instead(context: Context, work: Work) -> EuiccPackageResult | None:
    """The signed result that the card keeps although it answered without a signature, or something that cannot be read:
    it executed the package, and what it signed is the truth. None where it keeps none, or does not tell."""
    context.card.ask_anew()
    try:
        result = await stored_result_of(context, work)
    except (CardError, ModemError):
        return None  # what the card answered is at least something, and must not be lost over this
    if result is not None:
        delivery_events.RECOVERED_RESULT.emit(eim=work.eim_id, seq=result.seq_number)
    return result


async def resume(context: Context, eim: Association, work: Work) -> Work:
    """Find out what became of a package whose answer this device never saw (power cut, lost port, killed agent).

    The card stores the signed result together with the switch, so a stored result for this eIM and counter is the
    answer. Without one the package is loaded once more: the counter on the card makes a second execution impossible,
    and a card that did consume the counter says replayError. Then it is asked for its result again, because the list
    may have been what did not get through before; only without one is replayError all that the eIM can be told.
    """
    result = await stored_result_of(context, work)
    if result is not None:
        delivery_events.RECOVERED_RESULT.emit(eim=eim.eim_id, seq=result.seq_number)
        return await _finish(context, eim, work, result)
    if work.loads >= MAX_LOADS:
        return await _could_not(context, work, CardError("the card gave no answer in two attempts"))
    try:
        result = await _load(context, eim, work)
    except (CardError, ModemError) as failure:
        if isinstance(failure, CardError) and failure.answer is not None:
            return await _unreadable(context, eim, work, failure, failure.answer)
        loaded = context.work.get(work.id).loads > work.loads
        alive = isinstance(failure, CardError) and failure.alive
        # A card that answers, but does not tell what the way back needs, is asked twice and not for ever.
        if failure.remedy is not Remedy.GIVE_UP and (loaded or not alive):
            raise
        return await _could_not(context, work, failure)
    if result.variant == "error_unsigned":
        result = await _signed_instead(context, work) or result
    return await _finish(context, eim, work, result)


async def _load(context: Context, eim: Association, work: Work) -> EuiccPackageResult:
    await switch_transaction.arm(context, eim, work)
    context.work.about_to_load(work)
    return await context.card.load_euicc_package(work.order)


async def _finish(context: Context, eim: Association, work: Work, result: EuiccPackageResult) -> Work:
    work = context.work.answered(work, result.relay_raw)
    if context.counters is not None and result.variant == "signed":
        context.counters.used(str(context.eid), work.eim_id, result.counter)
    context.on_order(order_outcomes.of_package(work.eim_id, work.order, result))
    if result.variant != "signed":
        events.PACKAGE_REFUSED.emit(what=package_sentences.of_result(result))
        if context.work.get(work.id).loads > 1:
            await _settle(context, work)  # the first attempt may have switched
        else:
            await switch_transaction.card_answered(context, work, result)
        return work
    events.PACKAGE_LOADED.emit(what=package_sentences.of_result(result))
    events.ORDER_CARRIED_OUT.emit(
        eim=work.eim_id,
        what=package_sentences.of_result(result),
        operations=len(result.results),
        failed=sum(not operation.ok for operation in result.results),
    )
    for what, words, reason in order_outcomes.failures(work.order, result):
        events.OPERATION_FAILED.emit(eim=work.eim_id, what=what, words=words, reason=reason or "no more is known")
    if result.switched:
        events.SWITCHING.emit()
    await switch_transaction.card_answered(context, work, result)
    if package_sentences.changed_profiles(result):
        await _note_change(context, eim, switched=result.switched)
    combined = await with_notifications(context.card, result)
    return work if combined == work.result else context.work.answered(work, combined)


async def _unreadable(context: Context, eim: Association, work: Work, failure: CardError, answer: bytes) -> Work:
    """The card executed the package and answered something that cannot be read.

    The card is asked for the result it keeps. Without one a package result goes to the eIM as it is; anything else is
    not worth a signature's trust. The package is not loaded again, the counter is used up.
    """
    relayed = _is_package_result(answer)
    if relayed:
        work = context.work.answered(work, answer)
    events.OUTCOME_UNKNOWN.emit(reason=failure.message)
    await context.card.recover()  # whether a profile was switched is just as unreadable
    result = await (_signed_instead if relayed else stored_result_of)(context, work)
    if result is not None:
        return await _finish(context, eim, work, result)
    if relayed:
        events.ANSWER_UNREADABLE.emit(reason=failure.message)
        what, question = order_outcomes.describe(work.order)
        reason = "the card's answer cannot be read here; the eIM got it as it is"
        context.on_order(OrderOutcome(work.eim_id, what, False, None, reason, question))
        await _settle(context, work)
        profiles = await usable_profiles(context.card)
        cause = StateChangeCause.OTHER_EIM
        if profiles is not None:
            context.on_profiles(profiles, authors.ORDER, work.eim_id)
            context.changes.learn(str(context.eid), snapshot(profiles), tell=eim.others, cause=cause)
        else:
            context.changes.note(eim.others, cause)  # perhaps for nothing; the others ask and see
        return work
    return await _could_not(context, work, failure)


def _is_package_result(answer: bytes) -> bool:
    try:
        return tlv.parse(answer).tag == 0xBF51
    except CodecError:
        return False


async def _note_change(context: Context, eim: Association, *, switched: bool) -> None:
    profiles = await usable_profiles(context.card)
    context.changes.note(eim.others, StateChangeCause.OTHER_EIM)
    if profiles is None:
        return
    context.on_profiles(profiles, authors.ORDER, eim.eim_id)
    context.changes.learn(str(context.eid), snapshot(profiles))
    if switched:
        enabled = enabled_iccid(profiles)
        events.CARD_BACK.emit(iccid="none" if enabled is None else short_iccid(enabled))


async def _could_not(context: Context, work: Work, failure: CardError | ModemError) -> Work:
    events.CARD_COULD_NOT.emit(reason=failure.message)
    what, question = order_outcomes.describe(work.order)
    context.on_order(OrderOutcome(work.eim_id, what, False, "undefinedError", failure.message, question))
    error = eim_package.encode_result_error(work.transaction_id, ResultErrorCode.UNDEFINED_ERROR)
    work = context.work.answered(work, error)
    await _settle(context, work)
    return work


async def _settle(context: Context, work: Work) -> None:
    """The order is over and nobody knows whether it switched: what is enabled now tells."""
    armed = context.switches.of_work(work.id)
    if armed is not None and armed.phase is Phase.ARMED:
        await switch_transaction.settle(context, armed)
