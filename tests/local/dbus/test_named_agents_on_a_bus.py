"""Two agents on one bus, each under its own name, with the policy that is installed for them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from ipad_agent import events
from ipad_agent.local.dbus import Bus
from ipad_agent.local.dbus import events as said
from ipad_agent.local.dbus.dbus_interfaces import BUS_NAME, MANAGER, ROOT

from .fake_service import FULL, FakeService
from .private_bus import LIMIT_S, PrivateBus

FOLDER = Path(__file__).parents[3] / "systemd"
NAMES = {f"{BUS_NAME}.roof", f"{BUS_NAME}.van"}


class Told:
    """The names that were taken, and those that were refused."""

    def __init__(self) -> None:
        self.taken: set[str] = set()
        self.refused: set[str] = set()
        self._news = asyncio.Event()

    def __call__(self, event: events.Event[...], facts: Mapping[str, Any]) -> None:
        if event is said.ON_THE_BUS:
            self.taken.add(facts["name"])
        elif event is said.NAME_REFUSED:
            self.refused.add(facts["name"])
        self._news.set()

    async def all(self) -> None:
        async with asyncio.timeout(LIMIT_S):
            while self.taken | self.refused < NAMES:
                self._news.clear()
                await self._news.wait()


async def _two_agents(stack: AsyncExitStack, folder: Path, policy: str) -> tuple[PrivateBus, Told]:
    """With this file as the policy, the agent's user being whoever runs the test."""
    shown = folder / policy
    shown.write_text((FOLDER / policy).read_text().replace('user="ipad"', f'user="{os.geteuid()}"'))
    bus, told = PrivateBus(policy=shown), Told()
    stack.callback(events.listen(told))
    await bus.start()
    stack.push_async_callback(bus.remove)
    for name in ("roof", "van"):
        task = asyncio.create_task(Bus(FakeService(FULL), addresses=bus.address, name=name).run())
        stack.push_async_callback(asyncio.wait, [task])
        stack.callback(task.cancel)
    await told.all()
    return bus, told


def test_each_agent_has_its_own_name_and_answers_under_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with AsyncExitStack() as stack:
            bus, told = await _two_agents(stack, tmp_path, "io.github.ipadagent1.named.conf")
            assert told.taken == NAMES
            for name in sorted(NAMES):
                assert (await bus.busctl("get-property", name, ROOT, MANAGER.name, "State")).startswith("s ")

    asyncio.run(story())


@pytest.mark.parametrize("policy", ["io.github.ipadagent1.conf"])
def test_without_their_policy_they_are_refused_their_names(policy: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with AsyncExitStack() as stack:
            _, told = await _two_agents(stack, tmp_path, policy)
            assert told.refused == NAMES

    asyncio.run(story())
