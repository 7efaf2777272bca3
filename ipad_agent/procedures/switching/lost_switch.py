"""A switch that the journal has lost: what the card still knows of it is asked (SGP.32 v1.2 §3.3.1, §5.9.16).

The card keeps the signed result of a switch until it was acknowledged, and with it the grant to go back if there was
one. A result that nobody acknowledged is of a switch that is not proved; without the journal nobody would look whether
the new profile works, and nobody would go back. A switch that a person accepted unproved is such a one too, once its
connection is lost for so long that the guardian acts.
"""

from __future__ import annotations

from collections.abc import Iterable

from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.codec.es10.euicc_package import EuiccPackageRequest, EuiccPackageResult
from ipad_agent.errors import CodecError
from ipad_agent.procedures.context import Context
from ipad_agent.procedures.delivery.result_delivery import stored_results
from ipad_agent.procedures.records.owed_work import Work, WorkKind
from ipad_agent.procedures.records.switch_record import shown

from . import events, switch_transaction


async def take_up(context: Context, eims: Iterable[EimConfigurationData]) -> None:
    """To be called after a start with a journal that is not whole, or when nothing else is left: let the enabled
    profile prove itself if the card keeps the result of the switch to it. Raises ``CardError`` or ``ModemError``."""
    if context.switches.open() is not None:
        return
    switched = [result for result in await stored_results(context.card) if result.switched]
    if not switched or any(operation.name == "rollback" for operation in switched[-1].results):
        return  # none, or the device is back already and only has to tell
    result = switched[-1]
    eim = next((eim for eim in eims if eim.eim_id == result.eim_id), None)
    target = await switch_transaction.enabled_iccid(context)
    if eim is None or target is None:
        return
    work = next((work for work in context.work.open(eim.eim_id) if _orders(work, result)), None)
    if work is None:
        work = context.work.adopt(eim.eim_id, eim.raw, WorkKind.PACKAGE, result.relay_raw, result.eim_transaction_id)
    elif work.result is None:
        work = context.work.answered(work, result.relay_raw)
    deadline_s = context.switching.confirm_s
    context.switches.take_up(target=target, deadline_s=deadline_s, eim_id=eim.eim_id, work=work.id)
    events.TAKEN_UP.emit(target=shown(target), deadline_s=deadline_s)


def _orders(work: Work, result: EuiccPackageResult) -> bool:
    """Whether this is the result of this order."""
    try:
        request = EuiccPackageRequest.parse(work.order)
    except CodecError:
        return False
    return request.counter == result.counter and request.eim_transaction_id == result.eim_transaction_id
