"""Results that a card keeps for an eIM which it does not know any more.

An eIM may have taken a result without acknowledging it, or refused it, before it left the card. The card keeps the
result until RemoveNotificationFromList (SGP.32 v1.2 §3.3.1) and names nobody who would take it. It is delivered by the
entry that the eIM had, as the result of an eIM that deletes itself is. One for an eIM that was never seen here stays.
"""

from __future__ import annotations

from collections.abc import Iterable

from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.procedures.context import Context
from ipad_agent.procedures.records.owed_work import WorkKind

from . import events
from .result_delivery import results_it_tells, sequence_number, with_notifications
from .seen_eims import SeenEims


async def take_up(context: Context, seen: SeenEims, eims: Iterable[EimConfigurationData]) -> None:
    """Owe such results from now on, so that their eIMs are polled; ``eims`` are on the card. Where nobody is gone, the
    card is not asked. Raises ``CardError`` or ``ModemError``."""
    eid = str(context.eid)
    gone = seen.gone(eid, eims)
    if not gone:
        return
    stored = await results_it_tells(context.card)
    if stored is None:
        return  # looked at again with the next start
    works = [work for work in context.work.open() if work.eim_id in gone]
    owed = {None if work.result is None else sequence_number(work.result) for work in works} | context.work.kept(eid)
    for result in sorted(stored, key=lambda one: one.seq_number or 0):
        config, seq = gone.get(result.eim_id or ""), result.seq_number
        if config is None or seq is None or seq in owed or (eid, seq) in seen.taken_up:
            continue
        if any(work.result is None and work.transaction_id == result.eim_transaction_id for work in works):
            continue  # the result of an order that is still open is found by that order
        seen.taken_up.add((eid, seq))
        events.RESULT_OF_GONE_EIM.emit(eim=config.eim_id, seq=seq)
        combined = await with_notifications(context.card, result)
        work = context.work.adopt(config.eim_id, config.raw, WorkKind.PACKAGE, combined, result.eim_transaction_id)
        tried = context.redeliveries.of(eid, config.eim_id).get(seq)
        if tried is not None:
            context.work.failed(work, tried)
            context.redeliveries.ended(eid, config.eim_id, seq)
    waited_for = {result.eim_id for result in stored} | {work.eim_id for work in works}
    seen.forget(eid, gone.keys() - waited_for)
