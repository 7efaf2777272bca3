"""The card in a virtual reader: the protocol of vpcd, spoken by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ipad_agent.lab.bench.bench_options import BenchOptions
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.euicc import OPERATOR_A, Quirks, VirtualEuicc, default_card
from ipad_agent.lab.modem.card_interface import CardMuteError
from ipad_agent.lab.pki import Pki
from ipad_agent.lab.reader.vpcd_card import VpcdCard


class Reader:
    """vpcd: it listens, and the card connects."""

    def __init__(self) -> None:
        self.connections: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        self.server: asyncio.Server | None = None
        self.port = 0

    async def listen(self, port: int = 0) -> None:
        self.server = await asyncio.start_server(lambda *ends: self.connections.put_nowait(ends), "127.0.0.1", port)
        self.port = self.server.sockets[0].getsockname()[1]

    async def card(self) -> None:
        self.reader, self.writer = await asyncio.wait_for(self.connections.get(), 10)

    def say(self, message: str) -> None:
        raw = bytes.fromhex(message)
        self.writer.write(len(raw).to_bytes(2, "big") + raw)

    async def ask(self, message: str) -> str:
        self.say(message)
        size = int.from_bytes(await asyncio.wait_for(self.reader.readexactly(2), 10), "big")
        return (await self.reader.readexactly(size)).hex().upper()

    async def close(self) -> None:
        if self.server is not None:
            self.server.close()
        self.writer.close()


@pytest.fixture
async def reader() -> AsyncIterator[Reader]:
    reader = Reader()
    await reader.listen()
    yield reader
    await reader.close()


@pytest.fixture
def card(tmp_path: Path) -> VirtualEuicc:
    return default_card(Pki.create(tmp_path / "pki"), quirks=Quirks(consumer=True), associated=False)


async def test_the_card_is_powered_tells_its_atr_and_answers_apdus(reader: Reader, card: VirtualEuicc) -> None:
    async with VpcdCard(card, reader.port) as vpcd:
        await reader.card()
        assert await reader.ask("04") == "3B0569706C6162"
        reader.say("01")
        assert await reader.ask("00A4040010A0000005591010FFFFFFFF8900000100") == "6121"
        assert (await reader.ask("00C0000021")).endswith("E00582030205009000")
        assert await reader.ask("80E2910006BF3E035C015A") == "6115"
        assert await reader.ask("80C0000015") == f"BF3E125A10{card.eid}9000"
        assert vpcd.powered
        reader.say("00")
        assert await reader.ask("04") == "3B0569706C6162"
        assert not vpcd.powered


async def test_a_reset_closes_channels_and_shows_the_new_profile(reader: Reader, card: VirtualEuicc) -> None:
    async with VpcdCard(card, reader.port):
        await reader.card()
        reader.say("01")
        assert await reader.ask("0070000001") == "019000"
        card.es10.execute(bytes.fromhex("BF3111A00C5A0A989420000002000000728101FF"))
        assert card.active_iccid != OPERATOR_A
        reader.say("02")
        assert await reader.ask("01A4000C023F00") == "6881"
        assert card.active_iccid == OPERATOR_A


async def test_a_card_that_fails_is_answered_for(reader: Reader, card: VirtualEuicc) -> None:
    async with VpcdCard(card, reader.port):
        await reader.card()
        reader.say("01")
        card.power_cut_after(0)
        assert await reader.ask("00A4000C023F00") == "6F00"
        assert await reader.ask("00A4000C023F00") == "6F00"
        reader.say("02")
        assert await reader.ask("00A4000C023F00") == "9000"


async def test_an_empty_message_and_an_unknown_order_are_passed_over(reader: Reader, card: VirtualEuicc) -> None:
    async with VpcdCard(card, reader.port):
        await reader.card()
        reader.say("")
        reader.say("7F")
        assert await reader.ask("04") == "3B0569706C6162"
        assert await reader.ask("0102") == "6700"  # no APDU, but powered on for it


async def test_the_card_waits_for_the_reader_and_comes_back_to_it(reader: Reader, card: VirtualEuicc) -> None:
    assert reader.server is not None
    reader.server.close()
    await reader.server.wait_closed()
    async with VpcdCard(card, reader.port, again_s=0.01) as vpcd:
        await reader.listen(reader.port)
        for _ in range(2):
            await reader.card()
            assert await reader.ask("04") == "3B0569706C6162"
            reader.writer.close()
        await reader.card()
        await vpcd.connected.wait()  # the reader may know before the card does


async def test_on_the_bench_the_card_is_in_the_reader_and_not_in_the_modem(reader: Reader) -> None:
    async with Bench(BenchOptions(vpcd_port=reader.port)) as bench:
        await reader.card()
        reader.say("01")
        assert await reader.ask("00A4000C023F00") == "9000"
        with pytest.raises(CardMuteError):
            bench.slot.transmit(bytes.fromhex("00A4000C023F00"))
