"""What the card holds for others: its list of notifications, with when each receiver is tried next."""

from __future__ import annotations

from ipad_agent.local.status_model import Owed, Time
from ipad_agent.procedures.context import Context
from ipad_agent.procedures.delivery.result_delivery import in_order, listed

from .model_conversion import owed_notifications


async def notifications_of(context: Context) -> tuple[Owed, ...]:
    """Ask the card. Raises ``CardError`` or ``ModemError``."""
    waiting = in_order((await listed(context.card)).notifications)
    newest: dict[str, int] = {}
    for notification in waiting:
        newest[notification.address] = max(newest.get(notification.address, 0), notification.seq_number or 0)
    now_s = context.clock.wall()
    pauses: list[tuple[Time, int, str | None] | None] = []
    for notification in waiting:
        tried = context.receivers.tried(notification.address, newest[notification.address])
        if tried is None:
            pauses.append(None)
        else:
            pauses.append((Time(round(now_s + tried.wait_s), -tried.wait_s), tried.failures, tried.reason))
    return owed_notifications(waiting, pauses)
