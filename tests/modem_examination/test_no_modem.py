"""A port that is none of a modem's, or in other hands: it is told what it seems to be, and soon."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ipad_agent.cli.ipactl.exit_codes import Exit
from ipad_agent.errors import ModemError
from ipad_agent.modem.module_profile_files import load
from ipad_agent.modem.port.usb_sysfs import Tty
from ipad_agent.modem_examination import line_examination, port_traffic
from ipad_agent.modem_examination.errors import NoModemAnswers, PortHeld
from ipad_agent.modem_examination.examined_port import ExaminedPort
from ipad_agent.modem_examination.modem_examination import ModemExamination
from ipad_agent.modem_examination.port_survey import AgentUse, PortRow, admit, survey
from ipad_agent.modem_examination.read_only_guard import ReadOnlyGuard
from virtual_time import run

from .stand import ROOT, profiles

NMEA = b"$GPGGA,092750.000,5321.6802,N,00630.3372,W,1,8,1.03,61.7,M,55.2,M,,*76\r\n"
PPP = bytes.fromhex("7eff7d23c0217d217d217d207d347d227d267d207d207d207d207d257d267e")


def crc16_x25(data: bytes) -> bytes:
    """As the table of RFC 1662 has it, bit by bit from the other end than the code under test."""
    crc = 0xFFFF
    for byte in data:
        for number in range(8):
            bit = byte >> number & 1
            crc = crc >> 1 ^ 0x8408 if (crc & 1) ^ bit else crc >> 1
    return (crc ^ 0xFFFF).to_bytes(2, "little")


class Behind:
    """A port with something behind it that is no modem: ``answer`` to what is written, ``talk`` by itself."""

    description = "/dev/ttyUSB1"

    def __init__(
        self, answer: Callable[[bytes], bytes] = lambda _: b"", talk: bytes = b"", every_s: float = 0.3
    ) -> None:
        self._answer, self._talk, self._every_s = answer, talk, every_s
        self._on_data: Callable[[bytes], None] = lambda _: None
        self._task: asyncio.Task[None] | None = None
        self.written = b""

    async def open(self) -> Behind:
        return self

    def note_silence(self) -> None:
        pass

    def start(self, on_data: Callable[[bytes], None], on_lost: Callable[[ModemError], None]) -> None:
        self._on_data = on_data
        if self._talk:
            self._task = asyncio.create_task(self._go_on())

    async def _go_on(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            self._on_data(self._talk)

    async def write(self, data: bytes) -> None:
        self.written += data
        answer = self._answer(data)
        if answer:
            asyncio.get_running_loop().call_soon(self._on_data, answer)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()


def _diag(data: bytes) -> bytes:
    return b"\x13\x00\x00" + crc16_x25(b"\x13\x00\x00") + b"\x7e" if b"\x7e\x00\x78\xf0\x7e" in data else b""


PORTS: dict[str, Behind] = {
    "silent": Behind(),
    "gnss": Behind(talk=NMEA),
    "diagnostic": Behind(_diag),
    "ppp": Behind(talk=PPP),
    "echo": Behind(lambda data: data),
    "console": Behind(lambda _: b"\r\nrouter login: "),
    "noise": Behind(lambda data: bytes(0x80 | byte for byte in data) * 3),
    "other": Behind(talk=b"[ 12.3] usb 1-1: new device\r\n", every_s=0.05),
}


@pytest.mark.parametrize("kind", PORTS)
def test_a_port_without_a_modem_is_told_within_ten_seconds_and_what_it_seems_to_be(kind: str) -> None:
    async def story() -> tuple[float, NoModemAnswers]:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        with pytest.raises(NoModemAnswers) as caught:
            async with ModemExamination(PORTS[kind], profiles()) as examination:
                await examination.examine()
        return loop.time() - began_s, caught.value

    took_s, error = run(story())
    assert took_s < 6.5  # a person also waits for the program to start
    assert error.seems == kind
    assert error.message.startswith("No modem answers on /dev/ttyUSB1.")
    assert error.hint


class Slow(Behind):
    """A modem that answers each command after ``answer_s``, and none before ``awake_s``."""

    def __init__(self, answer_s: float, awake_s: float = 0.0) -> None:
        super().__init__()
        self._answer_s, self._awake_s = answer_s, awake_s
        self._began_s: float | None = None

    async def write(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        self._began_s = loop.time() if self._began_s is None else self._began_s
        self.written += data
        for command in data.split(b"\r"):
            if command.strip() and loop.time() - self._began_s >= self._awake_s:
                loop.call_later(self._answer_s, self._on_data, b"\r\nOK\r\n")


@pytest.mark.parametrize(
    ("answer_s", "awake_s"), [(0.0, 0.0), (0.4, 0.0), (0.7, 0.0), (2.5, 0.0), (0.1, 4.0), (1.5, 3.0)]
)
def test_a_modem_that_is_slow_or_wakes_up_is_not_called_none(answer_s: float, awake_s: float) -> None:
    async def story() -> None:
        port = ExaminedPort(Slow(answer_s, awake_s), ReadOnlyGuard())
        facts = await line_examination.find_modem(port)
        assert not facts.echo

    run(story())


class Clocked(Behind):
    """Silent; notes when what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[tuple[float, bytes]] = []

    async def write(self, data: bytes) -> None:
        self.writes.append((asyncio.get_running_loop().time(), data))


def test_the_escape_sequence_has_its_second_of_silence_on_both_sides() -> None:
    port = Clocked()

    async def story() -> None:
        with pytest.raises(NoModemAnswers):
            await line_examination.find_modem(ExaminedPort(port, ReadOnlyGuard()))

    run(story())
    times, written = zip(*port.writes, strict=True)
    at = written.index(b"+++")
    assert times[at] - times[at - 1] >= 1.0
    assert times[at + 1] - times[at] >= 1.0
    assert b"AT\r\n" in written, "and there was time for modems that want a line feed"


def test_who_has_taken_a_wrong_port_does_not_wait_for_the_whole_agent_to_load(tmp_path: Path) -> None:
    program = (
        "import sys; from ipad_agent.cli.ipactl.__main__ import main\n"
        f"status = main(['modem', 'test', {str(tmp_path / 'none')!r}])\n"
        "heavy = ('ipad_agent.doctor', 'ipad_agent.net', 'cryptography')\n"
        "print(status, [name for name in heavy if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert ended.stdout.split(maxsplit=1) == [str(int(Exit.NO_MODEM)), "[]\n"]


def test_nothing_is_sent_to_a_port_that_sends_positions() -> None:
    port = Behind(talk=NMEA)

    async def story() -> None:
        with pytest.raises(NoModemAnswers):
            async with ModemExamination(port, profiles()) as examination:
                await examination.probe()

    run(story())
    assert port.written == b""


def test_the_diagnostic_protocol_is_told_by_its_checksum() -> None:
    assert crc16_x25(b"\x00") == bytes.fromhex("78f0")
    frame = b"\x13\x00\x00"
    assert port_traffic.judge(b"", frame + crc16_x25(frame) + b"\x7e", b"AT\r").kind == "diagnostic"
    assert port_traffic.judge(b"", frame + b"\x00\x00" + b"\x7e", b"AT\r").kind != "diagnostic"


def test_a_sentence_of_positions_with_a_wrong_checksum_is_none() -> None:
    assert port_traffic.judge(NMEA.replace(b"*76", b"*77"), b"", b"").kind != "gnss"


# -- in other hands ----------------------------------------------------------------------------------------------------
def test_a_held_port_names_its_holder_and_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(PortHeld, match=r"held by ModemManager \(process 77\), ModemManager; it is not touched") as held:
        admit(tmp_path / "ttyUSB2", (), look=lambda _: ((77, "ModemManager"),))
    assert "99-ipad-agent.rules" in held.value.hint


def test_the_port_of_an_agent_is_not_touched_whatever_name_it_is_called_by(tmp_path: Path) -> None:
    device, link = tmp_path / "ttyUSB2", tmp_path / "by-path"
    device.write_text("")
    link.symlink_to(device)
    with pytest.raises(PortHeld, match=r"port of the running agent \(ipad-agent@roof\)") as held:
        admit(device, [AgentUse("roof", str(link))], look=lambda _: ())
    assert "sudo systemctl stop ipad-agent@roof" in held.value.hint
    admit(tmp_path / "ttyUSB3", [AgentUse("roof", str(link))], look=lambda _: ())


# -- the list ----------------------------------------------------------------------------------------------------------
EG25 = [
    Tty(Path(f"/dev/ttyUSB{number}"), (Path(f"/dev/serial/by-path/p{number}"),), "option", "2c7c:0125", number, "1-1")
    for number in range(4)
]


def _list(agents: tuple[AgentUse, ...] = ()) -> tuple[PortRow, ...]:
    known = load([ROOT / "hw" / "modems"]).profiles
    uart = Tty(Path("/dev/ttyS9"), driver="serial8250")
    return survey([*EG25, uart], known, agents, look=lambda path: ((9, "pppd"),) if path.name == "ttyUSB2" else ())


def test_the_list_tells_module_profile_use_and_holder_of_each_port() -> None:
    rows = _list()
    assert [row.use for row in rows] == ["no AT port", "no AT port", "AT", "AT, preferred", "not known"]
    assert [row.profile for row in rows] == ["quectel-eg25"] * 4 + [None]
    assert rows[2].held_by == ("pppd (process 9)",)
    assert rows[3].stable == "/dev/serial/by-path/p3"
    assert [row.agent for row in rows] == [None] * 5


def test_the_list_tells_which_agent_uses_a_port_and_what_it_knows() -> None:
    using = AgentUse("", "/dev/ttyUSB3", "Quectel", "EG25-G", "R1", "my-eg25", "CGLA")
    elsewhere = AgentUse("van", "socket://bench:4000", "ACME", "M1", None, "generic-3gpp")
    rows = _list((using, elsewhere))
    assert (rows[3].agent, rows[3].module, rows[3].profile) == ("ipad-agent", "Quectel EG25-G", "my-eg25")
    assert (rows[-1].port, rows[-1].agent, rows[-1].module) == ("socket://bench:4000", "ipad-agent@van", "ACME M1")
