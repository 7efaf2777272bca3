"""A modem that goes away between two polls is noticed then."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ipad_agent.agent.card_requests import CardRequests
from ipad_agent.daemon.lost_port import GRACE_S, look_after_lost_port
from ipad_agent.modem.errors import PortMissing
from ipad_agent.modem.modem_link import ModemLink
from ipad_agent.modem.module_profile import ProfileSet
from virtual_time import run

from .fakes import FakeModem

NOTHING: Any = None


class Unplugged(FakeModem):
    """A port that can be away."""

    away = False

    async def open(self) -> Any:
        if self.away:
            raise PortMissing("the port is not there")
        return await super().open()


def story(tell: Callable[[Unplugged, ModemLink, CardRequests], Awaitable[None]]) -> None:
    async def scene() -> None:
        modem = Unplugged()
        link, requests = ModemLink(modem, ProfileSet(())), CardRequests(lambda: None)
        requests.serve()
        await link.ready()
        watch = asyncio.create_task(look_after_lost_port(link, requests.ask))
        await asyncio.sleep(0)
        await tell(modem, link, requests)
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch

    run(scene())


def test_a_modem_that_stays_away_fails_a_turn_of_the_agent_soon_after() -> None:
    async def tell(modem: Unplugged, link: ModemLink, requests: CardRequests) -> None:
        modem.away = True
        modem.stream.lose()
        await asyncio.sleep(GRACE_S + 1)
        assert requests.waiting
        with pytest.raises(PortMissing):
            await requests.take(NOTHING, ())

    story(tell)


def test_a_modem_that_is_back_by_then_is_opened_again_and_troubles_nobody() -> None:
    async def tell(modem: Unplugged, link: ModemLink, requests: CardRequests) -> None:
        modem.stream.lose()
        await asyncio.sleep(GRACE_S + 1)
        assert await requests.take(NOTHING, ())
        assert link.session is not None
        modem.stream.lose()
        await link.ready()  # something else needed it meanwhile
        await asyncio.sleep(GRACE_S + 1)
        assert not requests.waiting

    story(tell)


def test_a_port_that_is_given_back_on_purpose_is_not_lost() -> None:
    async def tell(modem: Unplugged, link: ModemLink, requests: CardRequests) -> None:
        await link.close()
        await asyncio.sleep(GRACE_S + 1)
        assert not requests.waiting

    story(tell)
