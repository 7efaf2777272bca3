"""What speaks against fetching work now: the configured conditions, and the scripts in ``conditions.d``."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from ipad_agent.clock import Clock
from ipad_agent.errors import ModemError
from ipad_agent.policy.instant import UNSET_BEFORE_S
from ipad_agent.policy.polling.daily_window import DailyWindow
from ipad_agent.policy.polling.hold_reason import Held
from ipad_agent.records import dataclass

from . import events, power_supply, script_runner


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Names as in section ``[conditions]`` of the configuration.

    ``signal_dbm`` asks the modem, None: it does not tell; errors of the modem's side count as that, because a modem
    that does not answer shows itself in the work it does not do.
    """

    clock: Clock
    signal_dbm: Callable[[], Awaitable[int | None]]
    folder: Path
    timeout_s: float
    windows: tuple[DailyWindow, ...] = ()
    external_power: bool = False
    min_signal_dbm: int | None = None
    clock_needed: bool = False
    supplies: Path = power_supply.SUPPLIES

    async def held(self) -> tuple[Held, ...]:
        """Everything that is not met, the cheap questions first; empty when nothing speaks against work."""
        found = [self._clock(), self._window(), self._power(), await self._signal()]
        found += [await self._script(path) for path in script_runner.executables(self.folder)]
        return tuple(held for held in found if held is not None)

    def _clock(self) -> Held | None:
        if not self.clock_needed or self.clock.wall() >= UNSET_BEFORE_S:
            return None
        return Held("clock", "the clock has not been set")

    def _window(self) -> Held | None:
        if not self.windows:
            return None
        wall_s = self.clock.wall()
        if wall_s < UNSET_BEFORE_S:
            return Held("windows", "the clock has not been set, so the time of the day is not known")
        local = time.localtime(wall_s)
        if any(local.tm_hour * 60 + local.tm_min in window for window in self.windows):
            return None
        known = ", ".join(str(window) for window in self.windows)
        return Held("windows", f"it is {local.tm_hour:02d}:{local.tm_min:02d}, outside of {known}")

    def _power(self) -> Held | None:
        if not self.external_power or power_supply.external(self.supplies):
            return None
        return Held("external_power", "the device runs on its battery")

    async def _signal(self) -> Held | None:
        if self.min_signal_dbm is None:
            return None
        try:
            dbm = await self.signal_dbm()
        except ModemError:
            return None
        if dbm is None or dbm >= self.min_signal_dbm:
            return None
        return Held("min_signal_dbm", f"the signal is {dbm} dBm, less than {self.min_signal_dbm} dBm")

    async def _script(self, path: Path) -> Held | None:
        ran = await script_runner.run(path, (), {}, timeout_s=self.timeout_s)
        events.CONDITION_SCRIPT.emit(name=ran.name, reason="no objection" if ran.ok else ran.reason)
        return None if ran.ok else Held(f"script {ran.name}", ran.reason)
