"""Time as a value: named things to do later, run by whoever owns the clock."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Timers"]


class Timers:
    """One action per name, so that memory stays bounded whatever the host sends. ``now_s`` only moves forward."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._pending: dict[str, tuple[float, int, Callable[[], None]]] = {}
        self._count = 0

    def set(self, name: str, delay_s: float, action: Callable[[], None]) -> None:
        """Run ``action`` ``delay_s`` from now, instead of whatever was pending under this name."""
        self._count += 1
        self._pending[name] = (self.now_s + max(0.0, delay_s), self._count, action)

    def cancel(self, *names: str) -> None:
        """Forget these, if they are pending."""
        for name in names:
            self._pending.pop(name, None)

    def clear(self) -> None:
        """Forget everything (power was cut)."""
        self._pending.clear()

    def pending(self, name: str) -> bool:
        """Whether something is to be done under this name."""
        return name in self._pending

    @property
    def next_due_s(self) -> float | None:
        """When the next action is due, on the caller's clock."""
        return min((due_s for due_s, _, _ in self._pending.values()), default=None)

    def run_until(self, now_s: float) -> None:
        """Run everything due up to ``now_s``, in order, each at its own time."""
        while self._pending:
            name = min(self._pending, key=lambda key: self._pending[key][:2])
            due_s, _, action = self._pending[name]
            if due_s > now_s:
                break
            del self._pending[name]
            self.now_s = max(self.now_s, due_s)
            action()
        self.now_s = max(self.now_s, now_s)
