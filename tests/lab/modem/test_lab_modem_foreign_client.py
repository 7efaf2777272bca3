"""The lab's modem under an AT client that shares nothing with the agent: bytes written to a terminal, bytes read."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import select
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ipad_agent.lab.bench.real_time_limits import scaled
from ipad_agent.lab.modem import AtEngine, personality
from ipad_agent.lab.modem.line.modem_pty import PtyModem

from .lab_fakecard import ISDR, FakeCard

EID = "89049032123451234512345678901235"
GET_EID = "80E2910006BF3E035C015A"
FINAL = re.compile(rb"\r\n(OK|ERROR|\+CME ERROR: [^\r]*)\r\n$")


class RawClient:
    """``write`` decides how a command looks on the line."""

    def __init__(self, descriptor: int, *, lower: bool, crlf: bool, spaces: bool, bytewise: bool) -> None:
        self._descriptor = descriptor
        self._lower, self._crlf, self._spaces, self._bytewise = lower, crlf, spaces, bytewise

    def ask(self, command: str) -> str:
        """Send one command; everything that came up to its final line, without the echo."""
        if self._spaces:
            command = re.sub(r"([=,])", r" \1 ", command).replace("AT+", "AT +")
        line = (command.lower() if self._lower else command).encode() + (b"\r\n" if self._crlf else b"\r")
        for piece in [line[at : at + 1] for at in range(len(line))] if self._bytewise else [line]:
            os.write(self._descriptor, piece)
            if self._bytewise:
                time.sleep(0.0002)
        received, end_s = b"", time.monotonic() + scaled(5.0)
        while not FINAL.search(received):
            assert time.monotonic() < end_s, (command, received)
            if select.select([self._descriptor], [], [], 0.1)[0]:
                received += os.read(self._descriptor, 4096)
        return received.decode("ascii").partition("\r\n")[2]

    def apdu(self, before: str, apdu: str) -> str:
        """Response data and status word, with what 61xx announces."""
        answer = self.ask(f'{before}{len(apdu)},"{apdu}"')
        match = re.search(r'\+(?:CSIM|CGLA): ?(\d+),"([0-9A-F]*)"', answer)
        assert match is not None, answer
        assert len(match[2]) == int(match[1])
        if match[2][-4:-2] != "61":
            return match[2]
        return match[2][:-4] + self.apdu(before, apdu[:2] + "C00000" + match[2][-2:])


@contextmanager
def opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY)
    try:
        tty.setraw(descriptor)
        termios.tcflush(descriptor, termios.TCIFLUSH)
        yield descriptor
    finally:
        os.close(descriptor)


def over_sessions(client: RawClient) -> str:
    answer = client.ask(f'AT+CCHO="{ISDR.hex().upper()}"')
    session = re.search(r"(?:\+CCHO: ?)?([0-9a-f]+)\r\n", answer)
    assert session is not None, answer
    told = client.apdu(f"AT+CGLA={session[1]},", GET_EID)
    assert client.ask(f"AT+CCHC={session[1]}").endswith("OK\r\n")
    return told


def over_basic_access(client: RawClient) -> str:
    channel = client.apdu("AT+CSIM=", "0070000001")
    assert channel[2:] == "9000"
    select_isdr = f"{channel[:2]}A4040010{ISDR.hex().upper()}"
    assert client.apdu("AT+CSIM=", select_isdr).endswith("9000")
    told = client.apdu("AT+CSIM=", f"8{channel[1]}{GET_EID[2:]}")
    assert client.apdu("AT+CSIM=", f"007080{channel[:2]}") == "9000"
    return told


WAYS = list(itertools.product((False, True), repeat=4))


@pytest.mark.parametrize(("lower", "crlf", "spaces", "bytewise"), WAYS)
@pytest.mark.parametrize("way", [over_sessions, over_basic_access], ids=["CGLA", "CSIM"])
async def test_a_foreign_client_reads_the_eid_however_it_writes(
    way: Callable[[RawClient], str], lower: bool, crlf: bool, spaces: bool, bytewise: bool, tmp_path: Path
) -> None:
    card = FakeCard()
    card.on_store_data = lambda apdu: bytes.fromhex("BF3E125A10" + EID) + b"\x90\x00"
    async with PtyModem(AtEngine(card), tmp_path / "modem") as modem:
        with opened(modem.path) as descriptor:
            client = RawClient(descriptor, lower=lower, crlf=crlf, spaces=spaces, bytewise=bytewise)
            told = await asyncio.to_thread(way, client)
    assert told == f"BF3E125A10{EID}9000"
    assert card.open == {}


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("fibocom-fm350", over_sessions),
        ("sierra-em", over_sessions),
        ("quectel-rm5g", over_sessions),
        ("simcom-sim7600", over_basic_access),
        ("sierra-em9191", over_basic_access),
    ],
)
async def test_a_foreign_client_meets_the_same_vices_of_a_family(
    name: str, way: Callable[[RawClient], str], tmp_path: Path
) -> None:
    card = FakeCard()
    card.on_store_data = lambda apdu: bytes.fromhex("BF3E125A10" + EID) + b"\x90\x00"
    async with PtyModem(AtEngine(card, personality(name)), tmp_path / "modem") as modem:
        with opened(modem.path) as descriptor:
            client = RawClient(descriptor, lower=False, crlf=True, spaces=False, bytewise=False)
            told = await asyncio.to_thread(way, client)
    assert told == f"BF3E125A10{EID}9000"
