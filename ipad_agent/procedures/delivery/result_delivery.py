"""Bringing results home: deliver, read the acknowledgement, only then remove (SGP.32 v1.2 §3.3.1).

Nothing leaves the card before the eIM named its number in EimAcknowledgements; nothing leaves the journal before the
eIM took the result.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.es10.euicc_package import EuiccPackageResult
from ipad_agent.codec.es10.notifications import (
    AllPackageResults,
    Criterion,
    PendingNotification,
    RetrievedNotifications,
)
from ipad_agent.codec.esipa import eim_package
from ipad_agent.errors import CardError, CodecError, EimError, NetworkError
from ipad_agent.policy.duration_text import spell_duration
from ipad_agent.policy.polling import redelivery
from ipad_agent.policy.polling.redelivery import Answer, Redelivery
from ipad_agent.procedures import package_sentences
from ipad_agent.procedures.context import Association, Context
from ipad_agent.procedures.ports import Card, SmdpConnector
from ipad_agent.procedures.records.owed_work import Work
from ipad_agent.records import dataclass, field

from . import events
from .result_removal import remove, remove_kept

EMPTY_LIST: Final = bytes.fromhex("BF2B02A000")


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the eIM said to one result. ``refused`` is a provideEimPackageResultError code, ``seq`` the number of the
    signed result on the card (None when the card keeps none). ``reason``: why it was not taken, None when it was."""

    acknowledged: tuple[int, ...]
    refused: int | None = None
    seq: int | None = None
    reason: str | None = None

    @property
    def accepted(self) -> bool:
        """Whether the eIM took it."""
        return self.reason is None and self.refused is None

    @property
    def done(self) -> bool:
        """Whether nothing of it is left on the card."""
        return self.seq is None or self.seq in self.acknowledged


@dataclass(slots=True)
class Deliveries:
    """What was offered in one poll: ``accepted`` unless the eIM did not take one; ``offered`` are the ids of works."""

    accepted: bool = True
    offered: set[int] = field(default_factory=set)


async def deliver_owed(context: Context, eim: Association) -> Deliveries:
    """Deliver what is owed to this eIM and may be offered now: finished work first, then results only the card
    remembers. What the eIM does not take stays owed, and keeps nothing else waiting.

    Raises ``NetworkError``, and ``EimError`` of a server that is busy, with nothing lost.
    """
    await remove_kept(context)
    done = Deliveries()
    known = set(context.work.kept(str(context.eid)))
    now = context.redeliveries.now()
    for work in context.work.open(eim.eim_id):
        if work.result is None:
            continue
        seq = sequence_number(work.result)
        if redelivery.due_in_s(work.redelivery, now) <= 0:
            delivery = await offer(context, eim, work)
            done.offered.add(work.id)
            done.accepted = done.accepted and delivery.accepted
        if seq is not None:
            known.add(seq)
    tried = context.redeliveries.of(str(context.eid), eim.eim_id)
    stored = await stored_results(context.card, eim.eim_id)
    for gone in set(tried) - {result.seq_number for result in stored} if stored else ():
        context.redeliveries.ended(str(context.eid), eim.eim_id, gone)
    for result in stored:
        seq = result.seq_number
        if seq is None or seq in known or redelivery.due_in_s(tried.get(seq), now) > 0:
            continue
        events.RECOVERED_RESULT.emit(eim=eim.eim_id, seq=seq)
        done.accepted = await _offer_stored(context, eim, result, seq, tried.get(seq)) and done.accepted
    return done


async def offer(context: Context, eim: Association, work: Work) -> Delivery:
    """Bring the result of one order; one that the eIM does not take costs this delivery and nothing else.

    Raises as ``deliver_owed``.
    """
    return await _attempt(
        context,
        eim,
        work.redelivery,
        partial(deliver_work, context, eim, work),
        lambda state: context.work.failed(work, state),
    )


async def _offer_stored(
    context: Context, eim: Association, result: EuiccPackageResult, seq: int, before: Redelivery | None
) -> bool:
    """Bring a result that only the card remembers; whether the eIM took it."""
    eid = str(context.eid)
    combined = await with_notifications(context.card, result)
    delivery = await _attempt(
        context,
        eim,
        before,
        lambda: _deliver(context, eim, combined, seq=seq),
        lambda state: context.redeliveries.failed(eid, eim.eim_id, seq, state),
    )
    if delivery.accepted:
        context.redeliveries.ended(eid, eim.eim_id, seq)
    return delivery.accepted


async def _attempt(
    context: Context,
    eim: Association,
    before: Redelivery | None,
    deliver: Callable[[], Awaitable[Delivery]],
    note: Callable[[Redelivery], object],
) -> Delivery:
    """One attempt, and what it means for the next (``policy.polling.redelivery``)."""
    trouble: EimError | NetworkError | None = None
    delivery = Delivery(())
    try:
        delivery = await deliver()
    except EimError as error:
        answer = Answer.REFUSED if error.retry_after_s is None else Answer.BUSY
        trouble, reason = error, error.message
    except NetworkError as error:
        if not error.reached:
            raise
        answer, trouble, reason = Answer.SILENT, error, error.message
    else:
        if delivery.refused is None:
            return delivery
        answer, reason = Answer.REFUSED, package_sentences.refusal(delivery.refused)
    retry_after_s = None if trouble is None else trouble.retry_after_s
    state = redelivery.failed(before, context.redeliveries.now(), answer, reason, retry_after_s=retry_after_s)
    note(state)
    if trouble is not None and state.ends_poll:
        raise trouble
    _say_waits(eim, state)
    return Delivery((), refused=delivery.refused, seq=delivery.seq, reason=reason)


def refused(context: Context, eim: Association, work: Work, reason: str) -> None:
    """Note that the eIM did not take a result that was brought outside of ``offer``: the proof of a switch has a pace
    of its own."""
    state = redelivery.failed(work.redelivery, context.redeliveries.now(), Answer.REFUSED, reason)
    context.work.failed(work, state)
    _say_waits(eim, state)


def next_try(context: Context, eim_id: str) -> tuple[float, str] | None:
    """In how many seconds the first of the results that this eIM did not take may be offered again, and what became of
    it so far; None when nothing waits like that."""
    tried = [work.redelivery for work in context.work.open(eim_id)]
    tried += context.redeliveries.of(str(context.eid), eim_id).values()
    now = context.redeliveries.now()
    waits = [(redelivery.due_in_s(state, now), state) for state in tried if state is not None]
    first_s, first = min(
        ((wait_s, state) for wait_s, state in waits if wait_s > 0), key=lambda wait: wait[0], default=(0.0, None)
    )
    return None if first is None else (first_s, redelivery.sentence(first))


def _say_waits(eim: Association, state: Redelivery) -> None:
    times = f"{state.attempts} time{'' if state.attempts == 1 else 's'}"
    events.RESULT_WAITS.emit(eim=eim.eim_id, reason=state.reason, attempts=times, wait=spell_duration(state.wait_s))


async def stored_results(card: Card, eim_id: str | None = None) -> list[EuiccPackageResult]:
    """The signed results on the card, ascending by number; only those for one eIM when given."""
    retrieved = await listed(card, AllPackageResults())
    results = [r for r in retrieved.package_results if eim_id is None or r.eim_id == eim_id]
    return sorted(results, key=lambda r: r.seq_number or 0)


async def results_it_tells(card: Card) -> tuple[EuiccPackageResult, ...] | None:
    """All signed results on the card; None where it answers something else: what cannot be read is not nothing. Raises
    ``CardError`` or ``ModemError`` of a card that is gone."""
    try:
        retrieved = await card.retrieve_notifications(AllPackageResults())
    except CardError as failure:
        if not failure.alive:
            raise
        return None
    return retrieved.package_results if retrieved.error is None else None


async def listed(card: Card, criterion: Criterion | None = None) -> RetrievedNotifications:
    """What the card has stored; nothing when it answers everything but this list.

    A list that never gets through (cut by the modem, say) must not keep the agent from new work for ever. Raises
    ``CardError`` or ``ModemError`` when the card itself is gone.
    """
    try:
        retrieved = await card.retrieve_notifications(criterion)
    except CardError as failure:
        await card.get_eid()
        events.LIST_UNREADABLE.emit(reason=failure.message)
        return RetrievedNotifications.parse(EMPTY_LIST)
    if retrieved.error is not None:
        events.LIST_UNREADABLE.emit(reason=f"RetrieveNotificationsList: {retrieved.error.name}")
    return retrieved


async def with_notifications(card: Card, result: EuiccPackageResult) -> bytes:
    """The EimPackageResult for a signed result: alone, or with the pending notifications after PSMOs (§3.3.1 step 9).

    A card that cannot list its notifications does not hold back the result.
    """
    if not package_sentences.has_psmo(result):
        return result.relay_raw
    pending = in_order((await listed(card)).notifications)
    if not pending:
        return result.relay_raw
    return eim_package.encode_epr_and_notifications(result.relay_raw, [n.raw for n in pending])


async def deliver_work(
    context: Context, eim: Association, work: Work, *, taken: Callable[[], None] = lambda: None
) -> Delivery:
    """Deliver the result of one order and close the work unless the eIM refused it, or took it without acknowledging
    it although the card has forgotten that eIM. ``taken`` is called as soon as the
    eIM took it, before the card is touched again."""
    if work.result is None:
        raise ValueError("work without a result cannot be delivered")
    seq = sequence_number(work.result)
    delivery = await _deliver(context, eim, work.result, seq=seq, taken=taken)
    if delivery.refused is None and (delivery.done or await _associated(context, eim)):
        context.work.settled(work, "delivered")
    return delivery


async def _associated(context: Context, eim: Association) -> bool:
    """Whether the card still names this eIM. One that it names is polled, and gets what the card keeps for it again;
    of one that is gone only the journal knows."""
    try:
        configs = await context.card.get_eim_configuration()
    except CardError as failure:
        if not failure.alive:
            raise
        return False  # not to be told, so the journal keeps it
    return any(config.eim_id == eim.eim_id for config in configs)


async def _deliver(
    context: Context, eim: Association, result: bytes, *, seq: int | None, taken: Callable[[], None] = lambda: None
) -> Delivery:
    answer = await eim.link.provide_eim_package_result(result)
    if answer.error is not None:
        events.RESULT_REFUSED.emit(
            eim=eim.eim_id, code=answer.error, meaning=package_sentences.eim_package_error(answer.error)
        )
        return Delivery((), refused=answer.error, seq=seq)
    taken()
    events.RESULT_SENT.emit(
        eim=eim.eim_id,
        size_bytes=len(result),
        acknowledged=", ".join(map(str, answer.acknowledged)) or "nothing to remove",
    )
    others = _for_somebody_else(context, eim, result) | await _of_other_eims(context, eim, result, answer.acknowledged)
    await remove(context, tuple(number for number in answer.acknowledged if number not in others))
    if seq is not None and seq not in answer.acknowledged:
        events.RESULT_NOT_ACKNOWLEDGED.emit(eim=eim.eim_id, seq=seq)
    return Delivery(answer.acknowledged, seq=seq)


def _for_somebody_else(context: Context, eim: Association, result: bytes) -> frozenset[int]:
    """The installation result in a trigger result, if it goes to the SM-DP+ by another way: that the eIM has it too
    does not mean that the SM-DP+ has it (§3.2.3.1)."""
    try:
        element = tlv.parse(result)
        found = element.find(0xBF37) if element.tag == 0xBF54 else None
        notification = None if found is None else PendingNotification.parse(found.raw)
    except CodecError:
        return frozenset()
    if notification is None or direct_way(context, eim, notification.address) is None:
        return frozenset()
    return frozenset({notification.seq_number})


async def _of_other_eims(
    context: Context, eim: Association, result: bytes, acknowledged: tuple[int, ...]
) -> frozenset[int]:
    """Those among the acknowledged numbers that are results for another eIM which the card still names. Numbers of what
    was just sent are not looked up."""
    if set(acknowledged) <= _numbers_in(result):
        return frozenset()
    theirs = {r.seq_number: r.eim_id for r in await stored_results(context.card) if r.eim_id in eim.others}
    found = frozenset(number for number in acknowledged if number in theirs)
    for number in sorted(found):
        events.ANOTHER_EIMS_RESULT.emit(eim=eim.eim_id, seq=number, other=theirs[number])
    return found


def _numbers_in(result: bytes) -> set[int]:
    """The numbers of what was sent: a signed result and the notifications with it, or an installation result."""
    seq = sequence_number(result)
    numbers = set() if seq is None else {seq}
    try:
        element = tlv.parse(result)
        listed = element.find(0xA0) if element.tag == 0x30 else None
        installed = element.find(0xBF37) if element.tag == 0xBF54 else None
        raws = [child.raw for child in listed] if listed is not None else []
        raws += [] if installed is None else [installed.raw]
        found = [PendingNotification.parse(raw).seq_number for raw in raws]
    except CodecError:
        return numbers
    return numbers | {number for number in found if number is not None}


def direct_way(context: Context, eim: Association, address: str) -> SmdpConnector | None:
    """How a notification for ``address`` gets there without the eIM; None when the eIM forwards it: because its entry
    on the card says so, or because there is no other way (§3.7)."""
    return context.connector if address and not eim.config.indirect_download else None


def in_order(notifications: tuple[PendingNotification, ...]) -> list[PendingNotification]:
    """Notifications ascending by number, as receivers want them (SGP.22 v2.5 §3.5)."""
    return sorted(notifications, key=lambda n: n.seq_number if n.seq_number is not None else -1)


def sequence_number(result: bytes) -> int | None:
    """The number under which the card keeps this result, when it is a signed one (also inside 30{BF51, A0}).

    None too for what the card said and nobody here can read: it is delivered all the same.
    """
    signed = signed_result(result)
    return None if signed is None else signed.seq_number


def signed_result(result: bytes) -> EuiccPackageResult | None:
    """What the card said to a package, also inside 30{BF51, A0}; None for everything else that is owed to an eIM."""
    try:
        element = tlv.parse(result)
        if element.tag == 0x30:
            element = element.require(0xBF51, "the package result")
        return EuiccPackageResult.parse(element.raw) if element.tag == 0xBF51 else None
    except CodecError:
        return None
