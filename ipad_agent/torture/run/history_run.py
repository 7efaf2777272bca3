"""Living through one history, and telling how it ended."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ipad_agent import events
from ipad_agent.policy.polling.poll_outcome import Wake
from ipad_agent.records import dataclass
from ipad_agent.torture.faults.fault_effects import do, heal
from ipad_agent.torture.history.fault_history import History
from ipad_agent.torture.history.feature_faults import write_with
from ipad_agent.torture.history.features import NONE
from ipad_agent.torture.history.history_log import CHECK, HistoryLog
from ipad_agent.torture.promises.promise_checks import audited, check, connected, owed, permitted_way
from ipad_agent.torture.world.torture_world import START_S, Violation, World
from ipad_agent.torture.world.virtual_time_loop import EverythingWaits, TortureLoop, run

PATIENCE_S: Final = 6 * 86_400.0
"""So long the agent may take to bring everything home once nothing goes wrong any more."""
NO_WAY_S: Final = 43_200.0
"""So long a device is watched that has neither coverage nor a permitted way to it: whatever the agent tries by itself
it has tried by then, and the card offers nothing new."""
FAILING_S: Final = 7200.0
"""So long a program is watched that fails or ends again and again, which is broken promise enough."""
_FAILING: Final = frozenset({"agent-ended", "unexpected-error"})
AUDIT_S: Final = 2 * 86_400.0
_LOOKS_S: Final = (60.0, 300.0, 900.0, 3600.0)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a history ended. ``quiet_after_s``: from the healing to rest."""

    history: History
    violations: tuple[Violation, ...]
    log: HistoryLog
    quiet_after_s: float
    polls: int
    executed: int
    runs: int
    covered: bool

    @property
    def names(self) -> frozenset[str]:
        return frozenset(violation.name for violation in self.violations)

    def summary(self) -> dict[str, object]:
        """One JSON object."""
        return {
            "seed": self.history.seed,
            "ok": not self.violations,
            "violations": {violation.name: violation.sentence for violation in self.violations},
            "card": "emulated" if self.history.setting.emulated else "iot",
            "way": self.history.setting.way,
            "carrier": self.history.setting.carrier,
            "deeds": len(self.history.faults),
            "polls": self.polls,
            "executed": self.executed,
            "runs": self.runs,
            "covered": self.covered,
            "quiet_after_s": round(self.quiet_after_s),
        }


def run_seed(seed: int, *, coverage: bool = True, features: frozenset[str] = NONE) -> Ended:
    """Write the history of a seed and live through it."""
    return live_through(write_with(seed, features, coverage=coverage))


def live_through(history: History) -> Ended:
    """Live through a history. The global dice and the agent's log are as before afterwards."""
    with _silent_log(), _own_dice(history.seed):
        return run(lambda loop: _live(loop, history), now_s=START_S)


async def _live(loop: TortureLoop, history: History) -> Ended:
    world = World(loop, history)
    unlisten = events.listen(world.heard)
    start_s = loop.time()
    try:
        world.log.tell(CHECK, f"seed {history.seed}: {history.setting}")
        await world.begin()
        for fault in history.faults:
            await _until(start_s + fault.at_s)
            do(world, fault)
        await _until(start_s + history.heal_at_s)
        heal(world)
        healed_s = loop.time()
        remaining = await _rest(world)
        quiet_s = loop.time() - healed_s
        if not remaining and connected(world):
            await _audit(world)
        check(world, remaining)
    except EverythingWaits:
        world.note("no-deadline", "nothing runs and nothing will ever run again")
        remaining, quiet_s = [], 0.0
    finally:
        unlisten()
        await world.end()
    covered = connected(world)
    gc.collect(1)  # tasks that nobody asked for their end tell of their errors now, while somebody listens
    return Ended(
        history,
        tuple(world.violations.values()),
        world.log,
        quiet_s,
        sum(observed_eim.polls for observed_eim in world.observed_eims.values()),
        sum(world.ground_truth.executed.values()),
        world.runs,
        covered,
    )


async def _until(at_s: float) -> None:
    await asyncio.sleep(max(0.0, at_s - asyncio.get_running_loop().time()))


async def _rest(world: World) -> list[str]:
    """Wait until nothing is owed any more, or until patience ends; what is owed then."""
    begun_s = world.loop.time()
    hoped_s = begun_s
    looks = iter(_LOOKS_S)
    pause_s = next(looks)
    while True:
        await asyncio.sleep(pause_s)
        pause_s = next(looks, pause_s)
        remaining = owed(world)
        if not remaining and connected(world):
            return []
        if connected(world) or permitted_way(world) is not None:
            hoped_s = world.loop.time()
        elif world.loop.time() - hoped_s >= NO_WAY_S or _hopeless(world):
            return remaining
        if world.loop.time() - begun_s >= (FAILING_S if _FAILING & world.violations.keys() else PATIENCE_S):
            return remaining


def _hopeless(world: World) -> bool:
    """Nobody will ever serve this device again; there is nothing to wait for."""
    iccids = [profile.iccid for profile in world.card.state.profiles]
    return world.card.enabled_iccid is None and not any(map(world.covers, iccids))


async def _audit(world: World) -> None:
    """Every eIM that manages the card has it list its profiles: the device can still be managed."""
    # An eIM may have been taken off the card and put on it again after everything had healed.
    world.tell_tokens()
    observed_eims = world.associated
    asked = {id(observed_eim.order("list-profiles")) for observed_eim in observed_eims}
    if world.process is not None and observed_eims:
        world.process.agent.poke(Wake.COMMAND)
    begun_s = world.loop.time()
    while world.loop.time() - begun_s < AUDIT_S:
        await asyncio.sleep(60.0 if world.loop.time() - begun_s < 600.0 else 3600.0)
        if not owed(world):
            break
    if not connected(world) and permitted_way(world) is None:
        # An eIM had the last profile disabled, and the modem worked with it until its next reset.
        return
    for observed_eim in observed_eims:
        if observed_eim in world.associated and not audited(observed_eim, asked):
            world.note(
                "not-manageable", f"{observed_eim.eim_id} could not have the profiles listed: {'; '.join(owed(world))}"
            )


@contextmanager
def _silent_log() -> Iterator[None]:
    """Nothing is formatted that only the log would show; stories get the agent's words by ``events.listen``."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def _own_dice(seed: int) -> Iterator[None]:
    """CoAP's pauses before a repetition roll the global dice, on both sides."""
    state = random.getstate()
    random.seed(f"global {seed}")
    try:
        yield
    finally:
        random.setstate(state)
