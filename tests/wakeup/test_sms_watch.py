"""An SMS of a known sender with the keyword is followed and deleted; all others stay as they are."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from ipad_agent.codec.short_message import ShortMessage
from ipad_agent.errors import ModemError
from ipad_agent.modem.short_messages import Announced
from ipad_agent.wakeup import sms_watch
from ipad_agent.wakeup.sms_watch import SmsRules, SmsWatch, shortened
from ipad_agent.wakeup.wake_calls import WakeCalls

CALLER, KEYWORD = "+491510000001", "Poll4711now"


class Messages:
    """``ShortMessages`` of a list."""

    def __init__(self, *messages: ShortMessage | None) -> None:
        self.stored = dict(enumerate(messages))
        self.coming = list(self.stored)
        self.refusals = 0
        self.undeletable = False
        self.over = asyncio.Event()

    async def next(self) -> Announced:
        if not self.coming:
            self.over.set()
            await asyncio.Event().wait()
        return Announced("ME", self.coming.pop(0))

    async def read(self, announced: Announced) -> ShortMessage | None:
        if self.refusals:
            self.refusals -= 1
            raise ModemError("the modem is busy")
        return self.stored[announced.index]

    async def delete(self, announced: Announced) -> None:
        if self.undeletable:
            raise ModemError("the modem refused")
        del self.stored[announced.index]


async def watched(messages: Messages) -> list[str]:
    woken: list[str] = []
    turns: list[str] = []

    @contextlib.asynccontextmanager
    async def turn() -> AsyncIterator[None]:
        turns.append("turn")
        yield

    calls = WakeCalls(6, woken.append, lambda: 0.0, lambda: None)
    watch = SmsWatch(messages, SmsRules(frozenset({CALLER}), KEYWORD), calls, turn)  # type: ignore[arg-type]
    task = asyncio.create_task(watch.run())
    await messages.over.wait()
    task.cancel()
    assert turns
    return woken


async def test_only_the_right_sender_with_nothing_but_the_keyword_is_followed() -> None:
    messages = Messages(
        ShortMessage(CALLER, "Hello"),
        ShortMessage("+491519999999", KEYWORD),
        ShortMessage(CALLER, f"{KEYWORD} and more"),
        ShortMessage(CALLER, KEYWORD.lower()),
        None,
        ShortMessage(CALLER, f" {KEYWORD}\n"),
    )
    assert await watched(messages) == ["an SMS"]
    assert sorted(messages.stored) == [0, 1, 2, 3, 4]


async def test_a_modem_that_refuses_for_a_while_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sms_watch, "AGAIN_S", 0.0)
    messages = Messages(ShortMessage(CALLER, KEYWORD))
    messages.refusals = 2
    assert await watched(messages) == ["an SMS"]
    messages = Messages(ShortMessage(CALLER, KEYWORD))
    messages.refusals = 99
    assert await watched(messages) == []


async def test_one_that_cannot_be_deleted_has_called_all_the_same() -> None:
    messages = Messages(ShortMessage(CALLER, KEYWORD))
    messages.undeletable = True
    assert await watched(messages) == ["an SMS"]


def test_a_log_has_no_whole_number_and_rules_show_no_keyword() -> None:
    assert shortened(CALLER) == "+49…01"
    assert KEYWORD not in repr(SmsRules(frozenset({CALLER}), KEYWORD))
