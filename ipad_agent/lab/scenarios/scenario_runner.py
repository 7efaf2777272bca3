"""Scenarios: short stories on the bench that must end well, with every step on record.

    @scenario("poll-empty", "A device with nothing to do polls, hears so, and stays quiet.")
    async def poll_empty(run: Run) -> None:
        async with run.bench() as bench:
            async with run.step("the agent polls"):
                ...

``run_scenario`` gives a story its deadline and turns whatever happens into a ``Report``.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import pkgutil
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TextIO

from ipad_agent.lab import message_record
from ipad_agent.lab.bench.bench_options import BenchOptions
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.bench.real_time_limits import MOVES, Waiting, stuck_after
from ipad_agent.lab.eim.errors import EimLabError
from ipad_agent.lab.errors import BenchError
from ipad_agent.lab.euicc import CardError
from ipad_agent.lab.pki import PkiError

__all__ = ["SCENARIOS", "CheckFailedError", "Report", "Run", "Scenario", "Step", "load_all", "run_scenario", "scenario"]

DEFAULT_DEADLINE_S = 120.0


class CheckFailedError(BenchError):
    """Something was not as the story has it."""


@dataclass(slots=True)
class Step:
    """One step of a story; ``t_s`` is when it ended, seconds after the beginning."""

    step: str
    ok: bool = False
    detail: str = ""
    t_s: float = 0.0


@dataclass(slots=True)
class Report:
    """How a story went. ``why`` is set when it did not end well."""

    scenario: str
    ok: bool
    steps: list[Step]
    duration_s: float
    why: str | None = None
    folder: str | None = None

    def to_json(self) -> str:
        """One JSON object on one line."""
        row = {name: value for name, value in asdict(self).items() if value is not None}
        return json.dumps(row, ensure_ascii=False)

    def to_text(self) -> str:
        """For people: a line per step, then the verdict."""
        lines = [self.scenario]
        for step in self.steps:
            detail = f"  ({step.detail})" if step.detail else ""
            lines.append(f"  {'ok  ' if step.ok else 'FAIL'} {step.t_s:7.2f} s  {step.step}{detail}")
        lines.append(f"  {'passed' if self.ok else 'failed'} in {self.duration_s:.1f} s")
        if self.why:
            lines += [f"  | {line}" for line in self.why.splitlines()]
        if self.folder:
            lines.append(f"  kept in {self.folder}")
        return "\n".join(lines)


@dataclass(slots=True)
class Run:
    """What a story works with: benches and the record of its steps."""

    folder: Path
    steps: list[Step] = field(default_factory=list)
    began_s: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    benches: int = 0

    @contextlib.asynccontextmanager
    async def bench(self, options: BenchOptions | None = None) -> AsyncIterator[Bench]:
        """A bench in a folder of its own, torn down at the end whatever happens."""
        self.benches += 1
        async with Bench(options, self.folder / f"bench-{self.benches}") as bench:
            yield bench

    @contextlib.asynccontextmanager
    async def step(self, name: str) -> AsyncIterator[Step]:
        """Record what is done inside as one step; it is bad if anything is raised, and the story ends there."""
        step = Step(name)
        self.steps.append(step)
        try:
            yield step
            step.ok = True
        except BenchError as error:
            step.detail = str(error).partition("\n")[0]
            raise
        finally:
            step.t_s = self.elapsed_s

    def moves(self) -> dict[str, float]:
        """What of the story can be seen to move: its steps, and whatever is on the bench in use."""
        bench = MOVES.get()
        return {"steps": len(self.steps), **({} if bench is None else bench())}

    def check(self, name: str, good: bool, detail: str = "") -> None:
        """Record a comparison as a step; ``CheckFailedError`` ends the story when it is not ``good``."""
        self.steps.append(Step(name, good, detail, self.elapsed_s))
        if not good:
            raise CheckFailedError(f"{name}: {detail}" if detail else name)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the story began."""
        return round(asyncio.get_running_loop().time() - self.began_s, 3)


Body = Callable[[Run], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A story: its name, one sentence about it, what happens, and by when it must be over. One that is not for every
    day is told on demand only (``make test-modems``)."""

    name: str
    about: str
    body: Body
    deadline_s: float = DEFAULT_DEADLINE_S
    every_day: bool = True


SCENARIOS: dict[str, Scenario] = {}


def scenario(
    name: str, about: str, *, deadline_s: float = DEFAULT_DEADLINE_S, every_day: bool = True
) -> Callable[[Body], Body]:
    """Register a story under a name."""

    def register(body: Body) -> Body:
        if name in SCENARIOS:
            raise ValueError(f"there are two scenarios {name!r}")
        SCENARIOS[name] = Scenario(name, about, body, deadline_s, every_day)
        return body

    return register


def load_all() -> dict[str, Scenario]:
    """Import every module of ``ipad_agent.lab.scenarios``; all stories by name."""
    from ipad_agent.lab import scenarios

    for module in pkgutil.walk_packages(scenarios.__path__, f"{scenarios.__name__}."):
        importlib.import_module(module.name)
    return SCENARIOS


async def run_scenario(story: Scenario, *, keep: bool = False) -> Report:
    """Run a story to its end or its deadline. Always returns, always tears down.

    ``keep`` leaves the folder (agent's log, card, eIM, configuration) behind and names it in the report.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"ipad-lab-{story.name}-"))
    run = Run(folder)
    message_record.SCENARIO.set(story.name)
    why: str | None = None
    limit: Waiting | None = None
    try:
        async with stuck_after(story.deadline_s, run.moves) as limit:
            await story.body(run)
        if not run.steps:
            why = "the story has no steps"
    except (BenchError, CardError, EimLabError, PkiError) as error:
        why = str(error)
    except OSError as error:  # a TimeoutError is one too
        over = limit is not None and limit.over
        why = f"not over after {limit.sentence}" if limit and over else f"{type(error).__name__}: {error}"
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    ok = why is None and all(step.ok for step in run.steps)
    return Report(story.name, ok, run.steps, run.elapsed_s, why, str(folder) if keep else None)


async def run_many(stories: list[Scenario], out: TextIO, *, as_json: bool, keep: bool = False) -> bool:
    """Run stories one after another and print each report when it is there; whether all ended well."""
    all_ok = True
    for story in stories:
        report = await run_scenario(story, keep=keep)
        all_ok = all_ok and report.ok
        print(report.to_json() if as_json else report.to_text(), file=out, flush=True)
    return all_ok
