"""Notifications to those who wait for them (SGP.32 v1.2 §3.7, SGP.22 v2.5 §3.5).

Through the eIM when its entry on the card says that it serves the SM-DP+s, or when there is no other way; else
straight to the receiver. In order per receiver; removed only when taken; a receiver that is dead holds up nobody else.
"""

from __future__ import annotations

from ipad_agent.codec.es10.notifications import PendingNotification
from ipad_agent.errors import CardError, EimError, IpadError, NetworkError
from ipad_agent.procedures.context import Association, Context
from ipad_agent.procedures.ports import SmdpConnector, SmdpLink
from ipad_agent.procedures.rsp.rsp_servers import of_smdp
from ipad_agent.records import dataclass, field

from . import events
from .result_delivery import direct_way, in_order, listed
from .result_removal import remove


class NoTrust(NetworkError):
    """It cannot be told which server to believe, so none is asked."""


@dataclass(slots=True)
class _Queue:
    """What waits for one receiver. ``key`` names it in the memory of pauses."""

    key: str
    address: str
    connector: SmdpConnector | None
    """The direct way; None is the way through the eIM."""
    waiting: list[PendingNotification] = field(default_factory=list)

    @property
    def newest(self) -> int:
        return max((n.seq_number for n in self.waiting if n.seq_number is not None), default=0)


@dataclass(frozen=True, slots=True)
class _Failure:
    reason: str
    dead: bool
    """Whether the others for the same receiver have to wait, instead of only this one having been refused."""
    retry_after_s: float | None = None


async def deliver_notifications(
    context: Context,
    eim: Association,
    *,
    only: str | None = None,
    through_eim: bool = False,
    only_direct: bool = False,
) -> frozenset[int]:
    """Deliver what is in the card's notification list; the numbers that were taken.

    ``only`` is the address of one receiver, which is then tried whatever happened before, and ``through_eim`` the way
    of a download through the eIM; ``only_direct`` leaves out what would need the eIM, which is in trouble. Raises
    ``NetworkError`` when the eIM itself is out of reach.
    """
    retrieved = await listed(context.card)
    kept = context.work.kept(str(context.eid))
    queues: dict[str, _Queue] = {}
    for notification in in_order(retrieved.notifications):
        if notification.seq_number in kept:
            continue
        if only is not None and notification.address != only:
            continue
        connector = None if through_eim else direct_way(context, eim, notification.address)
        if connector is None and only_direct:
            continue
        if connector is None and only is None and context.receivers.notifications.waits(eim.config, notification):
            continue
        key = f"{eim.eim_id} for {notification.address}" if connector is None else notification.address
        queues.setdefault(key, _Queue(key, notification.address, connector)).waiting.append(notification)
    taken: set[int] = set()
    for queue in queues.values():
        if only is not None or context.receivers.wait_s(queue.key, queue.newest) <= 0:
            taken |= await _deliver(context, eim, queue)
    return frozenset(taken)


async def deliver_without_eim(context: Context) -> frozenset[int]:
    """Deliver what goes straight to its receiver, on a card that no eIM manages; the numbers that were taken. What only
    an eIM could forward waits for one. Raises ``CardError`` or ``ModemError``."""
    if context.connector is None:
        return frozenset()
    kept = context.work.kept(str(context.eid))
    queues: dict[str, _Queue] = {}
    for notification in in_order((await listed(context.card)).notifications):
        address = notification.address
        if address and notification.seq_number not in kept:
            queues.setdefault(address, _Queue(address, address, context.connector)).waiting.append(notification)
    taken: set[int] = set()
    for queue in queues.values():
        if context.receivers.wait_s(queue.key, queue.newest) <= 0:
            taken |= await _deliver(context, None, queue)
    return frozenset(taken)


async def _deliver(context: Context, eim: Association | None, queue: _Queue) -> set[int]:
    """``eim`` is None only where every queue has a direct way."""
    taken: set[int] = set()
    failure: _Failure | None = None
    kept = 0
    refused: list[PendingNotification] = []
    sender = _Sender(context, eim, queue)
    try:
        for notification in queue.waiting:
            if failure is not None and failure.dead:
                kept += 1
                continue
            failed = await sender.send(notification)
            if failed is not None:
                failure, kept = failed, kept + 1
                if queue.connector is None and not failed.dead:
                    refused.append(notification)
            elif notification.seq_number is not None:
                await remove(context, (notification.seq_number,))
                taken.add(notification.seq_number)
                if queue.connector is None and eim is not None:
                    context.receivers.notifications.taken(eim.config, notification)
    finally:
        await sender.close()
        if eim is not None:
            context.receivers.notifications.refused(eim.config, refused)
    if failure is not None:
        pause_s = context.receivers.failed(
            queue.key, queue.newest, reason=failure.reason, retry_after_s=failure.retry_after_s
        )
        address = queue.address if queue.address or eim is None else eim.eim_id
        events.RECEIVER_PAUSED.emit(address=address, reason=failure.reason, count=kept, pause_s=pause_s)
    else:
        context.receivers.took(queue.key)
    return taken


class _Sender:
    """One receiver's way, opened with the first notification."""

    def __init__(self, context: Context, eim: Association | None, queue: _Queue) -> None:
        self._context = context
        self._eim = eim
        self._queue = queue
        self._link: SmdpLink | None = None

    async def send(self, notification: PendingNotification) -> _Failure | None:
        connector = self._queue.connector
        seq, address = notification.seq_number, notification.address or "the SM-DP+"
        if connector is not None:
            failure = await self._directly(connector, notification)
            if failure is None:
                events.NOTIFICATION_DELIVERED.emit(seq=seq, address=address)
        elif self._eim is not None:
            failure = await self._by_eim(self._eim, notification)
            if failure is None:
                events.NOTIFICATION_SENT.emit(eim=self._eim.eim_id, seq=seq, address=address)
        else:
            raise ValueError("a notification without an eIM needs a direct way")
        return failure

    async def _by_eim(self, eim: Association, notification: PendingNotification) -> _Failure | None:
        try:
            await eim.link.handle_notification(notification.raw)
        except EimError as refusal:
            events.NOTIFICATION_KEPT.emit(eim=eim.eim_id, seq=notification.seq_number, reason=refusal.message)
            return _Failure(refusal.message, refusal.retry_after_s is not None, refusal.retry_after_s)
        except NetworkError as cut:
            if not cut.reached:
                raise
            # It answered until now: whatever it does with notifications, it is not out of reach.
            events.NOTIFICATION_KEPT.emit(eim=eim.eim_id, seq=notification.seq_number, reason=cut.message)
            return _Failure(cut.message, dead=True)
        return None

    async def _directly(self, connector: SmdpConnector, notification: PendingNotification) -> _Failure | None:
        try:
            if self._link is None:
                pkids = await self._ci_pkids()
                self._link = connector.connect(self._queue.address, ci_pkids=pkids)
            await self._link.handle_notification(notification.raw)
        except IpadError as error:
            trouble = of_smdp(error)
            return _Failure(trouble.sentence, not trouble.refused, error.retry_after_s)
        return None

    async def _ci_pkids(self) -> tuple[bytes, ...]:
        """Raises ``NoTrust`` where the card answers but does not say whom it trusts: then this receiver waits."""
        try:
            return (await self._context.card.get_euicc_info1()).ci_pkids_for_verification
        except CardError as failure:
            if not failure.alive:
                raise
            raise NoTrust(f"the card does not say whom to trust: {failure.message}") from failure

    async def close(self) -> None:
        if self._link is not None:
            try:
                await self._link.close()
            except NetworkError:
                return
