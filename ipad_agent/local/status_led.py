"""One LED that tells how it goes, by a name in /sys/class/leds.

The kernel blinks where it can (triggers ``timer`` and ``pattern``), so that the light is right also while this
process is busy; else it is switched from here. What the LED did before comes back at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Final

from ipad_agent.records import dataclass

from . import events
from .status_model import Severity, State, Status

ROOT: Final = Path("/sys/class/leds")


class LedPattern(Enum):
    """On and off in turns, in milliseconds; one number means that it stays."""

    OFF = (0,)
    SOLID = (1,)
    SLOW = (1000, 1000)
    DOUBLE = (100, 100, 100, 700)
    FAST = (100, 100)


OF_STATE: Final[Mapping[State, LedPattern]] = {
    State.STARTING: LedPattern.SLOW,
    State.READY: LedPattern.SOLID,
    State.ORDER_FAILED: LedPattern.SOLID,
    State.POLLING: LedPattern.SLOW,
    State.DOWNLOADING: LedPattern.SLOW,
    State.SWITCHING: LedPattern.DOUBLE,
    State.ROLLING_BACK: LedPattern.FAST,
    State.ROLLED_BACK: LedPattern.FAST,
    State.FALLBACK: LedPattern.FAST,
    State.EMERGENCY: LedPattern.FAST,
    State.NO_COVERAGE: LedPattern.FAST,
    State.EIM_UNREACHABLE: LedPattern.FAST,
    State.EIM_REFUSES: LedPattern.SOLID,
    State.UNMANAGED: LedPattern.FAST,
    State.HELD: LedPattern.SOLID,
    State.CONSUMER_CARD: LedPattern.FAST,
    State.IPAE_CARD: LedPattern.SOLID,
    State.NO_CARD: LedPattern.OFF,
    State.NO_MODEM: LedPattern.OFF,
    State.TROUBLE: LedPattern.FAST,
}


def light_of(status: Status) -> LedPattern:
    """What to show. An armed switch goes before everything that works, so that nobody pulls the plug now; what is
    good after all, such as a fallback that is wanted, is no trouble."""
    chosen = OF_STATE[status.verdict.state]
    if (
        status.switch is not None
        and status.switch.deadline is not None
        and chosen in (LedPattern.SOLID, LedPattern.SLOW)
    ):
        return LedPattern.DOUBLE
    if chosen is LedPattern.FAST and status.verdict.severity is Severity.GOOD:
        return LedPattern.SOLID
    return chosen


@dataclass(frozen=True, slots=True)
class _Before:
    trigger: str
    brightness: str
    delays: tuple[str, str] | None


class Led:
    """One LED. A LED that is not there or refuses is reported once and then left alone."""

    def __init__(self, name: str, *, root: Path = ROOT) -> None:
        self._name = name
        self._folder = root / name
        self._before: _Before | None = None
        self._shown: LedPattern | None = None
        self._blinking: asyncio.Task[None] | None = None
        self._dead = False

    def show(self, light: LedPattern) -> None:
        """Show this from now on; to be called in the event loop, as often as one likes."""
        if self._dead or light is self._shown:
            return
        try:
            self._stop_blinking()
            if self._before is None:
                self._before = self._look()
            self._set(light)
            self._shown = light
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        """As it was found."""
        self._stop_blinking()
        before, self._before, self._shown = self._before, None, None
        if before is None:
            return
        with contextlib.suppress(OSError):
            if before.trigger == "none":
                self._without_trigger()
                self._write("brightness", before.brightness)
                return
            self._write("trigger", before.trigger)
            if before.delays is not None:
                self._write("delay_on", before.delays[0])
                self._write("delay_off", before.delays[1])

    # -- inside --------------------------------------------------------------------------------------------------

    def _look(self) -> _Before:
        found = re.search(r"\[([^\]]+)\]", self._read("trigger"))
        trigger = found[1] if found else "none"
        delays = None
        if trigger == "timer":
            delays = (self._read("delay_on"), self._read("delay_off"))
        return _Before(trigger, self._read("brightness"), delays)

    def _set(self, light: LedPattern) -> None:
        times = light.value
        if len(times) == 1:
            self._without_trigger()
            self._write("brightness", self._full() if times[0] else "0")
        elif not self._kernel_blinks(times):
            self._without_trigger()
            self._blinking = asyncio.get_running_loop().create_task(self._blink(times), name="led")

    def _kernel_blinks(self, times: tuple[int, ...]) -> bool:
        """Whether the kernel does it. It makes the files of a trigger anew, as root's own, so a user who may change the
        trigger need not be able to set its times."""
        try:
            if len(times) == 2 and self._has("timer"):
                self._write("trigger", "timer")
                self._write("delay_on", str(times[0]))
                self._write("delay_off", str(times[1]))
            elif self._has("pattern"):
                self._write("trigger", "pattern")
                # Brightness and duration in turns; the second pair of each level makes a step of what would be a slope.
                levels = [self._full() if number % 2 == 0 else "0" for number in range(len(times))]
                steps = (f"{level} {ms} {level} 0" for level, ms in zip(levels, times, strict=True))
                self._write("pattern", " ".join(steps))
            else:
                return False
        except OSError:
            return False
        return True

    def _without_trigger(self) -> None:
        if "[none]" not in self._read("trigger"):
            self._write("trigger", "none")

    async def _blink(self, times: tuple[int, ...]) -> None:
        full = self._full()
        try:
            while True:
                for number, ms in enumerate(times):
                    self._write("brightness", full if number % 2 == 0 else "0")
                    await asyncio.sleep(ms / 1000)
        except OSError as error:
            self._give_up(error)

    def _stop_blinking(self) -> None:
        task, self._blinking = self._blinking, None
        if task is not None:
            task.cancel()

    def _has(self, trigger: str) -> bool:
        return trigger in self._read("trigger").replace("[", " ").replace("]", " ").split()

    def _full(self) -> str:
        try:
            return str(max(1, int(self._read("max_brightness"))))
        except (OSError, ValueError):
            return "1"

    def _give_up(self, error: OSError) -> None:
        self._dead = True
        events.LED_FAILED.emit(name=self._name, reason=error.strerror or error)

    def _read(self, attribute: str) -> str:
        return (self._folder / attribute).read_text(encoding="ascii", errors="replace").strip()

    def _write(self, attribute: str, value: str) -> None:
        # Opened without O_CREAT: a name that is no LED must not become a folder full of files.
        with (self._folder / attribute).open("r+b", buffering=0) as file:
            file.write(value.encode("ascii") + b"\n")
