"""Enabling a new profile at once (SGP.32 v1.2 §3.4.4, §5.9.15): tried right after every installation, because only
the card knows whether it was configured for it; the attempt must be the card's next command.

It is a switch like any other, without a way back: the eIM that configured it allowed no rollback.
"""

from __future__ import annotations

from ipad_agent.errors import CardError, ModemError, Remedy, StoreError
from ipad_agent.policy.switching.switch_table import Happening, Way
from ipad_agent.procedures.cat_busy import unless_busy
from ipad_agent.procedures.context import Association, Context
from ipad_agent.procedures.records.owed_work import Work
from ipad_agent.procedures.records.switch_record import IMMEDIATE
from ipad_agent.procedures.switching import switch_transaction

from . import events


async def try_enable(context: Context, eim: Association, work: Work, installed: str) -> bool:
    """Whether the card enabled this profile (by its ICCID, or ``UNKNOWN``); it is back then. What fails here leaves the
    profile installed.

    When the answer is lost nobody knows: the card is brought back and its profiles tell.
    """
    try:
        armed = context.switches.arm(
            IMMEDIATE,
            previous=_enabled_as_known(context),
            target=installed,
            way=Way.NONE,
            deadline_s=context.switching.confirm_s,
            eim_id=eim.eim_id,
            work=work.id,
        )
    except StoreError as refused:
        events.NOT_ENABLED_AT_ONCE.emit(reason=refused.message)
        return False
    try:
        code = await unless_busy(context.card.immediate_enable)
    except (CardError, ModemError) as failure:
        events.NOT_ENABLED_AT_ONCE.emit(reason=failure.message)
        if failure.remedy is Remedy.GIVE_UP:
            switch_transaction.end(context, armed, Happening.NOT_SWITCHED)
        else:
            await context.card.recover()
            await switch_transaction.settle(context, armed)
        return False
    if not code.ok:
        events.NOT_ENABLED_AT_ONCE.emit(reason=code.name)
        switch_transaction.end(context, armed, Happening.NOT_SWITCHED)
        return False
    events.ENABLED_AT_ONCE.emit()
    await switch_transaction.conclude(context, armed, switched=True)
    return True


def _enabled_as_known(context: Context) -> str | None:
    """From memory: a question to the card in between would end the session that allows the enabling."""
    known = context.changes.known_profiles() or {}
    return next((iccid for iccid, state in known.items() if state == "enabled"), None)
