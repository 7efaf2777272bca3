"""Mistakes of the program itself are seen, whatever the world does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ipad_agent.agent.main_loop import Agent
from ipad_agent.procedures.startup import device_start
from ipad_agent.torture.history.fault_history import FaultStep, History, Setting
from ipad_agent.torture.run.history_run import live_through
from ipad_agent.torture.world.agent_incarnation import Process

CALM = History(
    1, Setting(), (FaultStep(700.0, "order", (0, "list-profiles")), FaultStep(701.0, "poll now")), heal_at_s=800.0
)


def test_a_calm_history_keeps_every_promise_and_leads_to_rest() -> None:
    ended = live_through(CALM)
    assert ended.violations == ()
    assert ended.quiet_after_s < 120
    assert (ended.executed, ended.runs, ended.covered) == (2, 1, True)  # the order, and the one of the audit


def test_a_task_that_fails_unseen_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail() -> None:
        raise ValueError("nobody waits for me")

    async def live(self: Any) -> None:
        asyncio.create_task(fail())  # noqa: RUF006 - that nobody keeps it is the mistake
        await self.agent.run()

    monkeypatch.setattr(Process, "_live", live)
    assert live_through(CALM).names == {"unhandled"}


def test_an_error_that_nobody_expected_is_noticed_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def announce(facts: Any) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(device_start, "announce", announce)
    ended = live_through(CALM)
    assert "unexpected-error" in ended.names
    (found,) = [violation for violation in ended.violations if violation.name == "unexpected-error"]
    assert "in announce" in found.sentence


def test_a_program_that_ends_by_itself_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(self: Any) -> None:
        await asyncio.sleep(5.0)

    monkeypatch.setattr(Agent, "run", run)
    assert "agent-ended" in live_through(CALM).names


def test_waiting_without_a_deadline_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(self: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Agent, "run", run)
    assert live_through(CALM).names >= {"no-deadline", "not-delivered"}
