"""Which histories ``make test`` lives through: few that are as varied as many. ``make test-long`` takes all of them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import Final

from ipad_agent.torture.history.fault_history import History

LONG: Final = os.environ.get("TEST_LONG") == "1"


def sample(histories: Sequence[History], *, times: int) -> list[History]:
    """As few as a simple choice finds in which every fault comes so many times over every way to the card and carrier
    to the eIM (or as often as in all of them), and every kind of modem, card and schedule."""
    shown = {history: _shows(history) for history in histories}
    there = Counter(item for items in shown.values() for item in items)
    left = {item: min(times, count) for item, count in there.items()}
    chosen = []
    while left:
        best = max(shown, key=lambda history: sum(item in left for item in shown[history]))
        chosen.append(best)
        for item in shown.pop(best) & left.keys():
            left[item] -= 1
            if not left[item]:
                del left[item]
    return sorted(chosen, key=lambda history: history.seed)


def lived(histories: Sequence[History], *, times: int) -> list[History]:
    """The sample, or all for ``make test-long``."""
    return list(histories) if LONG else sample(histories, times=times)


def _shows(history: History) -> frozenset[tuple[object, ...]]:
    setting = history.setting
    return frozenset(
        {
            *((setting.way, setting.carrier, fault.kind) for fault in history.faults),
            *(("modem", setting.way, setting.modem), ("card", setting.way, setting.quirk)),
            *(("schedule", setting.preset), ("eims", setting.eims), ("uncovered", len(setting.uncovered))),
        }
    )
