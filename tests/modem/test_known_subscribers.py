from __future__ import annotations

from typing import cast

import pytest

from ipad_agent.modem.commands import Command
from ipad_agent.modem.errors import CommandRefused, CommandTimeout
from ipad_agent.modem.modem_link import ModemLink
from ipad_agent.modem.uicc.known_subscribers import KnownSubscribers
from virtual_time import run

FIRST, SECOND, THIRD = "89490200001000000011", "89490200002000000027", "89490200003000000033"


class Link:
    """A modem with an IMSI."""

    def __init__(self, answer: str | Exception) -> None:
        self.answer = answer
        self.asked = 0

    async def run(self, command: Command) -> tuple[str, ...]:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return (self.answer,)


def known(link: Link) -> KnownSubscribers:
    return KnownSubscribers(cast(ModemLink, link))


@pytest.mark.parametrize("form", ["{}", '"{}"', "+CIMI: {}", '+CIMI:"{}"'])
def test_an_imsi_that_belongs_to_another_profile_is_an_old_one(form: str) -> None:
    async def scene() -> None:
        link = Link(form.format("262011234567890"))
        subscribers = known(link)
        await subscribers.note(FIRST)
        await subscribers.note(SECOND)  # read from the card already, the IMSI is still the first one's
        assert await subscribers.is_old(SECOND)
        assert not await subscribers.is_old(FIRST)
        link.answer = form.format("262029999999999")
        assert not await subscribers.is_old(SECOND)
        assert await subscribers.is_old(THIRD)

    run(scene())


def test_profiles_that_share_an_imsi_are_told_once_that_they_do() -> None:
    async def scene() -> None:
        subscribers = known(Link("262011234567890"))
        await subscribers.note(FIRST)
        assert await subscribers.is_old(SECOND)
        await subscribers.trust(SECOND)
        assert not await subscribers.is_old(SECOND)
        assert not await subscribers.is_old(FIRST)

    run(scene())


@pytest.mark.parametrize("answer", ["ERROR", "", "12345", CommandRefused("AT+CIMI", "+CME ERROR: 10", cme=10)])
def test_a_modem_without_an_imsi_speaks_against_nothing(answer: str | Exception) -> None:
    async def scene() -> None:
        subscribers = known(Link(answer))
        await subscribers.note(FIRST)
        assert not await subscribers.is_old(SECOND)

    run(scene())


def test_a_modem_that_does_not_answer_is_asked_once() -> None:
    async def scene() -> None:
        link = Link(CommandTimeout("no answer"))
        subscribers = known(link)
        for _ in range(3):
            assert not await subscribers.is_old(FIRST)
        assert link.asked == 1

    run(scene())
