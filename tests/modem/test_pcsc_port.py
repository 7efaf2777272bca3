"""A card in a PC/SC reader: AT commands answered for it, with a stand-in for pyscard in front of the lab's card."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from ipad_agent.config import loads
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A, VirtualEuicc, default_card
from ipad_agent.lab.pki import Pki
from ipad_agent.modem import commands
from ipad_agent.modem.at.at_session import AtSession, LinkTiming
from ipad_agent.modem.errors import CommandRefused, PortLost, PortUnavailable
from ipad_agent.modem.module_profile_files import load, search_path
from ipad_agent.modem.port.pcsc_port import PcscOpener, PcscStream
from ipad_agent.wiring import configured_card

EIM = '[[eim]]\nid = "e"\nhost = "e.example"\n'


class NoCardException(Exception):
    """As pyscard calls it."""


class Connection:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def connect(self, protocol: int | None = None, mode: int | None = None, disposition: int | None = None) -> None:
        assert disposition == 2  # or the card would keep its power between two connections
        if self._reader.card is None:
            raise NoCardException("no card")
        self._reader.powered = True
        self._reader.card.reset()

    def transmit(self, apdu: list[int]) -> tuple[list[int], int, int]:
        card = self._reader.card
        if card is None:
            raise NoCardException("no card")
        answer = list(card.transmit(bytes(apdu)))
        return answer[:-2], answer[-2], answer[-1]

    def disconnect(self) -> None:
        self._reader.powered = False


class Reader:
    def __init__(self, name: str, card: VirtualEuicc | None = None) -> None:
        self.name, self.card, self.powered = name, card, False

    def __str__(self) -> str:
        return self.name

    def createConnection(self) -> Connection:  # noqa: N802 - as pyscard calls it
        return Connection(self)


@pytest.fixture
def card(tmp_path: Path) -> VirtualEuicc:
    return default_card(Pki.create(tmp_path / "pki"))


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, card: VirtualEuicc) -> list[Reader]:
    """The readers that pyscard lists."""
    readers = [Reader("Empty 00 00"), Reader("Virtual PCD 00 01", card)]
    system: Any = types.ModuleType("smartcard.System")
    system.readers = lambda: list(readers)
    monkeypatch.setitem(sys.modules, "smartcard", types.ModuleType("smartcard"))
    monkeypatch.setitem(sys.modules, "smartcard.System", system)
    return readers


async def session_of(name: str = "virtual") -> AtSession:
    session = AtSession(await PcscOpener(name).open(), timing=LinkTiming())
    await session.resync()
    return session


async def apdu(session: AtSession, text: str) -> str:
    answer = await session.run(commands.sim_access(bytes.fromhex(text), deadline_s=5))
    return commands.read_apdu(answer).hex().upper()


async def test_apdus_reach_the_card_and_their_answers_come_back(desk: list[Reader], card: VirtualEuicc) -> None:
    session = await session_of()
    assert await apdu(session, "0070000001") == "019000"
    assert (await apdu(session, "01A4040010A0000005591010FFFFFFFF8900000100"))[:2] == "61"
    assert await apdu(session, "81E2910006BF3E035C015A") == "6115"
    assert await apdu(session, "81C0000015") == f"BF3E125A10{card.eid}9000"
    await session.close()
    assert not desk[1].powered


async def test_the_reader_is_asked_who_it_is_and_has_no_network(desk: list[Reader]) -> None:
    session = await session_of()
    assert await session.run(commands.text_query("AT+CGMI")) == ("PC/SC",)
    assert await session.run(commands.text_query("AT+CGMM")) == ("Virtual PCD 00 01",)
    await session.run(commands.SIM_STATE)
    for command in ("AT+CEREG?", "AT+COPS?", "AT+CGSN", "AT+CCHO=?", "AT+CGLA=?", "AT+CSIM=5,00A40"):
        with pytest.raises(CommandRefused):
            await session.run(commands.plain(command))
    await session.close()


async def test_the_iccid_is_read_from_the_card(desk: list[Reader]) -> None:
    session = await session_of()
    answer = await session.run(commands.query("AT+CRSM=176,12258,0,0,10", "+CRSM"))
    assert str(commands.read_ef_iccid(answer)) == BOOTSTRAP
    await session.close()


async def test_power_off_and_on_shows_the_profile_that_was_enabled(desk: list[Reader], card: VirtualEuicc) -> None:
    session = await session_of()
    await session.run(commands.SIM_STATE)
    card.isdr.state.profiles[0].enabled, card.isdr.state.profiles[1].enabled = False, True
    card.isdr.commit()
    assert card.active_iccid == BOOTSTRAP
    await session.run(commands.plain("AT+CFUN=0"))
    assert not desk[1].powered
    await session.run(commands.plain("AT+CFUN=1"))
    assert card.active_iccid == OPERATOR_A
    await session.close()


async def test_a_reader_without_a_card_says_so_and_takes_one_later(desk: list[Reader], card: VirtualEuicc) -> None:
    session = await session_of("empty")
    with pytest.raises(CommandRefused) as caught:
        await session.run(commands.SIM_STATE)
    assert caught.value.cme == 10
    desk[0].card = card
    await session.run(commands.SIM_STATE)
    desk[0].card = None
    with pytest.raises(CommandRefused):
        await apdu(session, "00A4000C023F00")
    await session.close()


async def test_a_card_that_fails_is_powered_anew(desk: list[Reader], card: VirtualEuicc) -> None:
    session = await session_of()
    card.power_cut_after(0)
    with pytest.raises(CommandRefused) as caught:
        await apdu(session, "00A4000C023F00")
    assert caught.value.cme == 13
    assert await apdu(session, "00A4000C023F00") == "9000"
    await session.close()


async def test_without_such_a_reader_the_others_are_named(desk: list[Reader]) -> None:
    with pytest.raises(PortUnavailable, match=r"'gemalto'.*Empty 00 00, Virtual PCD 00 01"):
        await PcscOpener("gemalto").open()
    desk.clear()
    with pytest.raises(PortUnavailable, match="at all; there are: none"):
        await PcscOpener().open()


async def test_without_pyscard_or_pcscd_a_person_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "smartcard.System", None)
    with pytest.raises(PortUnavailable, match="pyscard") as caught:
        await PcscOpener().open()
    assert "ipad-agent[pcsc]" in (caught.value.hint or "")
    system: Any = types.ModuleType("smartcard.System")

    def broken() -> list[Any]:
        raise RuntimeError("Failed to establish context: Service not available.")

    system.readers = broken
    monkeypatch.setitem(sys.modules, "smartcard", types.ModuleType("smartcard"))
    monkeypatch.setitem(sys.modules, "smartcard.System", system)
    with pytest.raises(PortUnavailable, match="Service not available"):
        await PcscOpener().open()


async def test_a_closed_stream_takes_nothing_more(desk: list[Reader]) -> None:
    stream = await PcscOpener().open()
    assert isinstance(stream, PcscStream)
    stream.start(lambda data: None, lambda error: None)
    await stream.close()
    with pytest.raises(PortLost):
        await stream.write(b"AT\r")


@pytest.mark.parametrize(("port", "reader"), [("pcsc", "Empty 00 00"), ("pcsc:Virtual", "Virtual PCD 00 01")])
async def test_the_configuration_names_the_reader(desk: list[Reader], tmp_path: Path, port: str, reader: str) -> None:
    config = loads(f'[modem]\nport = "{port}"\n{EIM}'.encode(), tmp_path / "config.toml")
    opener = configured_card._opener(config.modem, tmp_path, load(search_path(None)), None)
    stream = await opener.open()
    assert stream.description == f"the PC/SC reader {reader}"
