"""Results that a card has for an order whose result in the journal it does not have any more.

A rollback replaces a result (SGP.32 v1.2 §5.9.16), and an emulated card whose state was not on the disk when the power
went makes one anew from what the card shows. Told beside each other, the eIM would hear of one order twice, the former
word perhaps last. So the journal owes what the card has.
"""

from __future__ import annotations

from ipad_agent.codec.es10.euicc_package import EuiccPackageResult
from ipad_agent.procedures.context import Context

from . import events
from .result_delivery import results_it_tells, signed_result, with_notifications


async def take_up(context: Context) -> None:
    """Owe such results instead of the former ones. Where no result is owed, the card is not asked. Raises ``CardError``
    or ``ModemError`` of a card that is gone."""
    owed = [(work, signed_result(work.result)) for work in context.work.open() if work.result is not None]
    if all(result is None for _, result in owed):
        return
    stored = await results_it_tells(context.card)
    if stored is None:
        return  # looked at again with the next start
    there = {result.seq_number for result in stored}
    for work, former in owed:
        if former is None or former.seq_number is None or former.seq_number in there:
            continue
        later = [
            result
            for result in stored
            if result.eim_id == work.eim_id and _same_package(result, former) and result.seq_number is not None
        ]
        newest = max(later, key=lambda result: result.seq_number or 0, default=None)
        if newest is not None and (newest.seq_number or 0) > former.seq_number:
            events.RESULT_MADE_ANEW.emit(eim=work.eim_id, seq=newest.seq_number, former=former.seq_number)
            context.work.made_anew(work, await with_notifications(context.card, newest))


def _same_package(one: EuiccPackageResult, other: EuiccPackageResult) -> bool:
    return (one.counter, one.eim_transaction_id) == (other.counter, other.eim_transaction_id)
