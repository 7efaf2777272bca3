"""Taking acknowledged results and notifications off the card.

The card is the first memory. While the disk refuses a result, it is the only one that survives: after a power cut the
journal would not know that the order has ended, and an eIM that was told the truth would be told something else. So
nothing leaves the card then; what was acknowledged is not delivered again, and leaves when the disk has caught up.
"""

from __future__ import annotations

from collections.abc import Iterable

from ipad_agent.errors import CardError
from ipad_agent.procedures.context import Context

from . import events


async def remove(context: Context, numbers: Iterable[int]) -> None:
    """Remove acknowledged numbers, results and notifications alike; unknown numbers are no error, nor is an answer that
    nobody can read: the receiver has what it was sent. Raises ``CardError`` or ``ModemError``."""
    eid, wanted = str(context.eid), tuple(dict.fromkeys(numbers))
    if context.work.unwritten:
        if wanted:
            context.work.keep(eid, wanted)
            events.KEPT_ON_CARD.emit(numbers=", ".join(map(str, wanted)))
        return
    for seq in wanted:
        try:
            status = await context.card.remove_notification(seq)
        except CardError as failure:
            if not failure.alive:
                raise
            events.REMOVAL_UNREADABLE.emit(seq=seq, reason=failure.message)
        else:
            events.REMOVED.emit(seq=seq, status=status)
        context.work.removed(eid, (seq,))


async def remove_kept(context: Context) -> None:
    """What had to stay on the card, if it may leave now. Raises as ``remove``."""
    if not context.work.unwritten:
        await remove(context, sorted(context.work.kept(str(context.eid))))
