"""How much of the expected traffic is used up; shown and said. What is held back then: ``policy.traffic_limits``."""

from __future__ import annotations

from ipad_agent.agent import events
from ipad_agent.local.status_model import Traffic, Warning
from ipad_agent.policy.traffic_limits import TrafficLimits, reached
from ipad_agent.records import dataclass

ADVICE = "See `ipactl budget` for what it went to; the budget is in [budget] of the configuration."


@dataclass(frozen=True, slots=True)
class Budget:
    """As in section ``[budget]``: bytes, shares of them at which a warning is given, and the one from which on only
    results leave."""

    day_bytes: int | None = None
    total_bytes: int | None = None
    warn: tuple[float, ...] = ()
    hold_at: float | None = None

    def holds(self, total_bytes: int, today_bytes: int) -> bool:
        """Whether work is held back."""
        limits = TrafficLimits(self.day_bytes, self.total_bytes, self.hold_at)
        return reached(limits, today_bytes=today_bytes, total_bytes=total_bytes) is not None

    def warnings(self, traffic: Traffic) -> tuple[Warning, ...]:
        """One for each budget of which a share was passed."""
        used = ((traffic.today_bytes, self.day_bytes, "today's"), (traffic.total_bytes, self.total_bytes, "the whole"))
        found = []
        for spent, budget, which in used:
            if budget is not None and any(spent >= share * budget for share in self.warn):
                sentence = f"{spent / budget:.0%} of {which} traffic budget is used up."
                found.append(Warning(events.BUDGET.id, sentence[0].upper() + sentence[1:], ADVICE))
        return tuple(found)


class BudgetWatch:
    """Says once for each share that was passed."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._said: set[str] = set()

    def look(self, traffic: Traffic) -> None:
        """To be called when traffic was counted."""
        for which, spent, budget in (
            ("today's", traffic.today_bytes, self._budget.day_bytes),
            ("the whole", traffic.total_bytes, self._budget.total_bytes),
        ):
            passed = [share for share in self._budget.warn if budget is not None and spent >= share * budget]
            self._said -= {f"{which} {share}" for share in self._budget.warn if share not in passed}  # a new day
            new = [share for share in passed if f"{which} {share}" not in self._said]
            if new:
                self._said |= {f"{which} {share}" for share in new}
                events.BUDGET.emit(share=f"{max(new):.0%}", which=which, spent_bytes=spent, budget_bytes=budget)
