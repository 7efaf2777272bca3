"""Finding the card's stored result of one order."""

from __future__ import annotations

from ipad_agent.codec.es10.euicc_package import EuiccPackageRequest, EuiccPackageResult
from ipad_agent.errors import CodecError
from ipad_agent.procedures.context import Context
from ipad_agent.procedures.records.owed_work import Work

from .result_delivery import stored_results


async def stored_result_of(context: Context, work: Work, *, rolled_back: bool = False) -> EuiccPackageResult | None:
    """The newest result on the card for this order's eIM, counter and transaction; with ``rolled_back`` only one that
    tells of a rollback (SGP.32 v1.2 §5.9.16)."""
    try:
        request = EuiccPackageRequest.parse(work.order)
    except CodecError:
        return None  # the card will refuse what nobody can read; it stores nothing for it
    found = None
    for result in await stored_results(context.card, work.eim_id):
        if result.counter != request.counter or result.eim_transaction_id != request.eim_transaction_id:
            continue
        if not rolled_back or any(operation.name == "rollback" for operation in result.results):
            found = result
    return found
