"""What each procedure costs on the card, APDU by APDU: nothing is asked twice, and an idle poll asks nothing at all.

The virtual card announces answers with 61xx, so that each one is fetched (GR), 256 bytes at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A, Quirks
from ipad_agent.policy import Wake
from virtual_time import run

from .agent_bench import AgentBench

EID, INFO1, INFO2, EIMS, PROFILES, LISTS = "BF3E", "BF20", "BF22", "BF55", "BF2D", "BF2B"
PACKAGE, REMOVE = "BF51", "BF30"
OPEN = ["MANAGE CHANNEL open", "SELECT", EID, "GR"]
CLOSE = ["MANAGE CHANNEL close"]
DECLARED = ["TERMINAL CAPABILITY"]
_NAMES = {0xAA: "TERMINAL CAPABILITY", 0xA4: "SELECT", 0xC0: "GR"}


class Counted:
    """An agent whose card is listened to."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.bench = AgentBench(folder, **options)
        self.heard: list[str] = []
        transmit = self.bench.access.transmit

        def listen(apdu: bytes) -> bytes:
            if apdu[1] == 0x70:
                self.heard.append("MANAGE CHANNEL " + ("close" if apdu[2] else "open"))
            elif apdu[1] in _NAMES:
                self.heard.append(_NAMES[apdu[1]])
            elif apdu[3] == 0:  # the first block of a chain
                self.heard.append(apdu[5:7].hex().upper())
            return transmit(apdu)

        self.bench.access.transmit = listen  # type: ignore[method-assign]  # on this object

    async def start(self) -> list[str]:
        """Until the agent waits for its first poll."""
        self.bench.start()
        await self.bench.until(100)
        return self.taken()

    async def poll(self, *words: str) -> list[str]:
        """One poll, with an order when there are words for one; what it took on the card."""
        if words:
            self.bench.order(*words)
        seen = len(self.bench.network.polls())
        while len(self.bench.network.polls()) == seen:  # noqa: ASYNC110 - in virtual time
            await asyncio.sleep(600)
        await asyncio.sleep(120)
        return self.taken()

    def taken(self) -> list[str]:
        heard, self.heard[:] = list(self.heard), []
        return heard


def told(story: Callable[[Counted], Coroutine[Any, Any, None]], folder: Path, **options: Any) -> None:
    async def whole() -> None:
        counted = Counted(folder, **options)
        await story(counted)
        await counted.bench.stop()

    run(whole())


def test_the_start_asks_for_each_thing_once(pki_folder: Path) -> None:
    async def story(card: Counted) -> None:
        assert await card.start() == [
            *DECLARED,
            *OPEN,
            *(INFO2, "GR"),
            *(PROFILES, "GR", "GR"),
            *(EIMS, "GR", "GR", "GR", "GR"),
            *(LISTS, "GR"),  # without a journal, what the card still owes is asked
            *CLOSE,
        ]

    told(story, pki_folder)


def test_an_idle_poll_needs_no_apdu_once_the_lists_are_known(pki_folder: Path) -> None:
    async def story(card: Counted) -> None:
        await card.start()
        assert await card.poll() == [*OPEN, LISTS, "GR", *CLOSE]  # notifications; results were asked at the start
        for _ in range(3):
            asked = len(card.bench.network.polls())
            assert await card.poll() == []
            assert len(card.bench.network.polls()) == asked + 1

    told(story, pki_folder)


def test_a_package_that_only_reads_costs_nine_apdus(pki_folder: Path) -> None:
    async def story(card: Counted) -> None:
        await card.start()
        await card.poll()
        assert await card.poll("get-rat") == [*OPEN, PACKAGE, "GR", REMOVE, "GR", *CLOSE]
        assert len(card.bench.results) == 1
        assert await card.poll() == []

    told(story, pki_folder)


def test_an_order_of_the_eims_list_reads_it_once(pki_folder: Path) -> None:
    async def story(card: Counted) -> None:
        await card.start()
        await card.poll()
        assert await card.poll("list-eim") == [*OPEN, PACKAGE, "GR", REMOVE, "GR", *CLOSE]

    told(story, pki_folder)


def test_an_enable_order_reads_after_the_reset_what_the_reset_made_unknown(pki_folder: Path) -> None:
    async def story(card: Counted) -> None:
        await card.start()
        await card.poll()
        assert await card.poll("enable", OPERATOR_A) == [
            *OPEN,
            *(PROFILES, "GR", "GR"),  # where the device comes from, by the card itself
            *(PACKAGE, "GR"),
            # REFRESH
            *(*DECLARED, *OPEN),
            *(PROFILES, "GR", "GR"),
            *(LISTS, "GR", "GR", "GR", "GR", "GR"),  # two notifications with their certificates
            *(REMOVE, "GR", REMOVE, "GR"),
            *(EIMS, "GR", "GR", "GR", "GR"),
            *CLOSE,
        ]
        assert card.bench.card.enabled_iccid == OPERATOR_A
        assert await card.poll() == [*OPEN, LISTS, "GR", *CLOSE]  # the results; nobody asked for them since the reset
        assert await card.poll() == []

    told(story, pki_folder)


def test_a_data_request_has_the_card_asked_anew_for_what_it_wants(pki_folder: Path) -> None:
    async def story(card: Counted) -> None:
        await card.start()
        await card.poll()
        for results in ([], [LISTS, "GR"]):  # those that are owed come first; nobody asked since the last data request
            assert await card.poll("data-request", "BF20,BF22") == [
                *OPEN,
                *results,
                *(PROFILES, "GR", "GR"),  # no answer during an emergency call
                *(INFO1, "GR", INFO2, "GR"),
                *(LISTS, "GR"),  # the notifications for the end of the poll
                *CLOSE,
            ]

    told(story, pki_folder)


def test_a_person_who_asks_for_a_poll_has_the_card_asked_anew(pki_folder: Path) -> None:
    async def story(card: Counted) -> None:
        await card.start()
        await card.poll()
        card.bench.agent.poke(Wake.COMMAND)
        await asyncio.sleep(120)
        assert card.taken() == [*OPEN, LISTS, "GR", LISTS, "GR", *CLOSE]

    told(story, pki_folder)


def test_a_reset_that_the_modem_saw_makes_everything_unknown(pki_folder: Path) -> None:
    async def story(card: Counted) -> None:
        await card.start()
        await card.poll()
        card.bench.access.reset()
        profiles = (PROFILES, "GR", "GR")  # it may have changed one by itself
        another = (*DECLARED, *OPEN, *CLOSE)  # it may be another card: that is looked at before the next poll is due
        assert await card.poll() == [*another, *OPEN, LISTS, "GR", LISTS, "GR", *profiles, *CLOSE]

    told(story, pki_folder)


def test_what_somebody_else_left_on_the_card_is_found_after_a_week_at_the_latest(pki_folder: Path) -> None:
    async def story(card: Counted) -> None:
        await card.start()
        await card.poll()
        await asyncio.sleep(6 * 86_400)
        assert card.taken() == []
        await asyncio.sleep(2 * 86_400)
        assert LISTS in card.taken()

    told(story, pki_folder)


@pytest.mark.parametrize("refused", [True, False])
def test_a_card_that_refuses_the_list_of_fields_is_asked_with_it_once(pki_folder: Path, refused: bool) -> None:
    async def story(card: Counted) -> None:
        isdr = card.bench.card.isdr
        handler = card.bench.card.es10.handler(0xBF2D)
        sent: list[bytes] = []

        def answer(inner: Any, raw: bytes) -> bytes:
            sent.append(raw)
            return bytes.fromhex("BF2D03810102") if refused and b"\x5c" in raw else handler(isdr, raw)

        card.bench.card.es10.register(0xBF2D, answer)
        await card.start()
        await card.poll("enable", OPERATOR_A)
        await card.poll("enable", BOOTSTRAP)
        with_list = [raw for raw in sent if b"\x5c" in raw]
        # The full list and the one without the fields of SGP.32, each once.
        assert len(with_list) == (2 if refused else len(sent))
        assert len(sent) == (7 if refused else 5)

    told(story, pki_folder, quirks=Quirks())
