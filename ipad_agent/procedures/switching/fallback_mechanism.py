"""The fallback mechanism (SGP.32 v1.2 §5.9.20, §5.9.21): which profile it leads to, and from which it came, is the
card's own memory; when it is used, is ``policy.guardian.guardian_rules``'s.

Both calls may be repeated at any time: what was carried out already is found out and not done twice. A change to the
fallback profile is final for the moment, there is nothing behind it. A return is a switch that has to prove itself,
with ``execute`` as its way back; the caller arms that before it calls ``return_back``.
"""

from __future__ import annotations

from collections.abc import Iterable

from ipad_agent.policy.guardian.fallback_cause import FallbackCause
from ipad_agent.procedures.context import Context
from ipad_agent.procedures.records.local_switch_record import LocalSwitchRecord, What

from .local_switch import LocalSwitch, order


async def execute(
    context: Context,
    local_switch_record: LocalSwitchRecord,
    eims: Iterable[str],
    by: FallbackCause = FallbackCause.GUARDIAN,
) -> LocalSwitch:
    """Enable the profile with the fallback attribute; ``eims`` are all that have to be told. Raises as ``order``."""
    return await order(context, local_switch_record, eims, What.FALLBACK, by)


async def return_back(
    context: Context,
    local_switch_record: LocalSwitchRecord,
    eims: Iterable[str],
    by: FallbackCause = FallbackCause.GUARDIAN,
) -> LocalSwitch:
    """Enable the profile that was enabled before ``execute``; ``NOT_AVAILABLE`` when the card has recorded none."""
    return await order(context, local_switch_record, eims, What.RETURN, by)
