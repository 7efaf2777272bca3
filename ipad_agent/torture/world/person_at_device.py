"""A person on the device: what ``ipactl`` would have the agent do, by the service that socket and D-Bus call."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from ipad_agent.agent.main_loop import Agent
from ipad_agent.clock import Clock
from ipad_agent.config import Config, DownloadConfig
from ipad_agent.daemon.local_service import AgentService
from ipad_agent.local.local_verbs import Refused
from ipad_agent.store.memory_filesystem import PowerCut
from ipad_agent.torture.history.history_log import FATE, HistoryLog

from .process_fence import ProcessFence
from .virtual_time_loop import OWNER, TortureLoop

_Wish = Callable[[AgentService, str], Awaitable[object]]

WISHES: Final[Mapping[str, _Wish]] = {
    "rollback": lambda service, _: service.rollback(),
    "confirm": lambda service, _: service.confirm(),
    "fallback": lambda service, _: service.execute_fallback(),
    "fallback --return": lambda service, _: service.return_from_fallback(),
    "emergency on": lambda service, _: service.emergency(enable=True),
    "emergency off": lambda service, _: service.emergency(enable=False),
    "download": lambda service, code: service.download(code, confirmation_code=None, rules_accepted=True),
    "owed": lambda service, _: service.owed(),
}
"""By the words that a person types behind ``ipactl``; ``download`` takes the activation code."""


class PersonAtDevice:
    """Types one command after the other, whatever became of the last."""

    def __init__(
        self, loop: TortureLoop, agent: Agent, owner: ProcessFence, clock: Clock, log: HistoryLog, code: str
    ) -> None:
        unused: Any = None  # what only shows something
        config = Config(download=DownloadConfig(by_hand=True))
        self._service = AgentService(agent, config, clock, doctor=unused, metrics=unused, recorder=unused)
        self._loop, self._owner, self._log, self._code = loop, owner, log, code
        self._typed: set[asyncio.Task[None]] = set()

    def types(self, words: str) -> None:
        """Begin a command. ``KeyError`` for one that is not in ``WISHES``."""
        context = contextvars.Context()
        context.run(OWNER.set, self._owner)
        task = self._loop.create_task(self._wait_for(words, WISHES[words]), context=context)
        self._typed.add(task)
        task.add_done_callback(self._typed.discard)

    async def kill(self) -> None:
        """The agent is gone, and with it every answer."""
        while self._typed:
            for task in self._typed:
                task.cancel()
            await asyncio.sleep(0)

    async def _wait_for(self, words: str, wish: _Wish) -> None:
        try:
            await wish(self._service, self._code)
        except Refused as refused:
            self._log.tell(FATE, f"ipactl {words}: {refused}")
        except PowerCut:
            return
        else:
            self._log.tell(FATE, f"ipactl {words}: done")
