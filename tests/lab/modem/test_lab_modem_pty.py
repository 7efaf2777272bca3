"""The modem on a real pseudo-terminal, opened by pyserial as any program would."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
import serial

from ipad_agent.lab.modem import AtEngine, Cell, Coverage, ModemOptions, Uart
from ipad_agent.lab.modem.line.modem_pty import PtyModem
from ipad_agent.lab.modem.line.uart_line import UartLine

from .lab_fakecard import ICCID_B, ISDR, FakeCard

T = TypeVar("T")


async def in_thread(call: Callable[[], T]) -> T:
    async with asyncio.timeout(60):
        return await asyncio.to_thread(call)


def converse(path: Path, commands: list[str]) -> list[bytes]:
    answers = []
    with serial.Serial(str(path), 115200, timeout=60, exclusive=True) as port:
        for command in commands:
            port.write(command.encode() + b"\r")
            answers.append(port.read_until(b"OK\r\n"))
    return answers


async def test_pyserial_opens_locks_and_talks(tmp_path: Path) -> None:
    card = FakeCard()
    async with PtyModem(AtEngine(card), tmp_path / "modem") as modem:
        answers = await in_thread(
            lambda: converse(modem.path, ["ATE0", "AT+CGMI", f'AT+CCHO="{ISDR.hex()}"', 'AT+CGLA=1,10,"80E2910000"'])
        )
        assert answers[1] == b"\r\nipad-agent lab\r\n\r\nOK\r\n"
        assert answers[2] == b"\r\n+CCHO: 1\r\n\r\nOK\r\n"
        assert answers[3] == b'\r\n+CGLA: 4,"9000"\r\n\r\nOK\r\n'
    assert not modem.path.exists()


async def test_port_that_vanishes_hangs_up_and_is_back_behind_the_same_path(tmp_path: Path) -> None:
    options = ModemOptions(echo=False, reboot_s=0.05, boot_lines=("RDY",))
    gone = asyncio.Event()
    async with PtyModem(AtEngine(FakeCard(), options), tmp_path / "modem") as modem:
        modem.on_link = lambda cell: gone.set() if cell is None else None

        def restart_and_read() -> bytes:
            with serial.Serial(str(modem.path), timeout=60) as port:
                port.write(b"AT+CFUN=1,1\r")
                received = b""
                while True:
                    part = port.read(1)
                    received += part
                    if not part:
                        raise TimeoutError

        with pytest.raises((serial.SerialException, OSError)) as caught:
            await in_thread(restart_and_read)
        assert not isinstance(caught.value, TimeoutError)
        assert gone.is_set()
        async with asyncio.timeout(60):
            await modem.present.wait()
        assert modem.ports_opened == 2
        assert (await in_thread(lambda: converse(modem.path, ["AT"])))[0].endswith(b"\r\nOK\r\n")


async def test_link_follows_the_enabled_profile(tmp_path: Path) -> None:
    card = FakeCard()
    card.on_store_data = lambda _: card.enable(ICCID_B)
    abroad = Cell(plmn="20801")
    options = ModemOptions(echo=False, refresh_delay_s=0.01, card_init_s=0.01, attach_s=0.01)
    links: asyncio.Queue[Cell | None] = asyncio.Queue()
    engine = AtEngine(card, options, coverage=Coverage({ICCID_B: abroad}))
    async with PtyModem(engine, tmp_path / "modem", on_link=links.put_nowait) as modem:
        commands = [f'AT+CCHO="{ISDR.hex()}"', 'AT+CGLA=1,16,"80E2910003BF5100"']
        await in_thread(lambda: converse(modem.path, commands))
        async with asyncio.timeout(60):
            assert [await links.get() for _ in range(3)] == [Cell(), None, abroad]


async def test_modem_nobody_reads_from_does_not_grow(tmp_path: Path) -> None:
    async with PtyModem(AtEngine(FakeCard()), tmp_path / "modem") as modem:
        for _ in range(5000):
            modem.order(lambda module: module.report("+CREG: 1" * 20))
        assert len(modem._outgoing) <= 65536
        assert len(modem.trace) <= 4096


async def test_line_is_paced_in_real_time(tmp_path: Path) -> None:
    async with PtyModem(AtEngine(FakeCard(), ModemOptions(echo=False)), tmp_path / "modem", baud=9600) as modem:
        loop = asyncio.get_running_loop()
        begin_s = loop.time()
        answer = (await in_thread(lambda: converse(modem.path, ["AT+CGMI" + " " * 100])))[0]
        assert answer.endswith(b"OK\r\n")
        # 134 characters at 960 per second cannot take less than this.
        assert loop.time() - begin_s >= 0.13


async def test_on_a_uart_only_who_has_the_modules_speed_is_understood(tmp_path: Path) -> None:
    engine = AtEngine(FakeCard(), ModemOptions(echo=False, uart=Uart(), boot_lines=("RDY",), reboot_s=0.05))

    def talk() -> list[bytes]:
        with serial.Serial(str(tmp_path / "modem"), 115200, timeout=60) as port:
            answers = []

            def say(command: bytes) -> None:
                port.write(command + b"\r")
                answers.append(port.read_until(b"OK\r\n"))

            say(b"AT+IPR?")
            say(b"AT+IPR=921600")
            port.timeout = 0.2
            say(b"AT")  # at 115200: noise, or silence
            port.timeout = 60
            port.baudrate = 921600
            port.write(b"\r")  # ends the noise
            say(b"AT")
            say(b"AT+IPR?")
            port.write(b"AT+CFUN=1,1\r")  # a UART does not hang up
            port.read_until(b"OK\r\n")
            port.baudrate = 115200
            answers.append(port.read_until(b"RDY\r\n"))
            say(b"AT+IPR?")
            return answers

    async with PtyModem(engine, tmp_path / "modem", uart=UartLine(engine)) as modem:
        answers = await in_thread(talk)
        assert modem.ports_opened == 1
    assert answers[0] == b"\r\n+IPR: 115200\r\n\r\nOK\r\n"
    assert b"OK" not in answers[2]
    assert answers[3].endswith(b"\r\nOK\r\n")
    assert answers[4] == b"\r\n+IPR: 921600\r\n\r\nOK\r\n"
    assert answers[5].endswith(b"RDY\r\n")
    assert answers[6] == answers[0]
