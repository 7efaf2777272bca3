"""How often the agent's own traffic makes the radio leave its rest, and how often the agent leaves its own."""

from __future__ import annotations

from ipad_agent.clock import Clock


class RadioUse:
    """A radio cycle is a time with traffic of the agent: it begins with a packet, either way, after ``idle_s`` without
    any, for a network keeps the radio connected for about that long after the last packet, and lets it rest then. What
    else uses the modem is not seen: the radio may have been connected anyway.

    A wake-up is the agent leaving its rest to use modem or network: for a poll, for a look whether the device is
    connected, or because somebody asked for something of the card."""

    def __init__(self, clock: Clock, *, idle_s: float = 20.0) -> None:
        self._clock = clock
        self._idle_s = idle_s
        self._last_s: float | None = None
        self._cycles = self._wake_ups = 0

    def packet(self) -> None:
        """The agent sent or received one."""
        now_s = self._clock.monotonic()
        if self._last_s is None or now_s - self._last_s > self._idle_s:
            self._cycles += 1
        self._last_s = now_s

    def woke_up(self) -> None:
        """The agent leaves its rest."""
        self._wake_ups += 1

    def take(self) -> tuple[int, int]:
        """Cycles and wake-ups since the last time; a cycle that goes on counts where it began."""
        taken = self._cycles, self._wake_ups
        self._cycles = self._wake_ups = 0
        return taken
