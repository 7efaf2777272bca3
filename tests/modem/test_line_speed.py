"""AT+IPR on the lab's module, whose UART makes noise of what comes at another speed than its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import termios
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ipad_agent.clock import SystemClock
from ipad_agent.config import Config, ModemConfig, StoreConfig
from ipad_agent.errors import ModemError
from ipad_agent.lab.modem import ModemOptions, Uart
from ipad_agent.modem import commands
from ipad_agent.modem.at.at_session import AtSession
from ipad_agent.modem.errors import LinkDead, PortLost
from ipad_agent.modem.line_speed import LineSpeed, SpeedMemory, SpeedRecord, VolatileSpeedMemory
from ipad_agent.modem.modem_link import MAX_DAMAGES, ModemLink
from ipad_agent.modem.module_profile import GENERIC, ModuleProfile, ProfileSet
from ipad_agent.modem.module_settings import SpeedUp
from ipad_agent.modem.port.byte_stream import line_rate_of
from ipad_agent.modem.port.serial_port import SerialSettings, SerialStream
from ipad_agent.modem.port.usb_sysfs import is_uart
from ipad_agent.records import replace
from ipad_agent.store import Memory
from ipad_agent.store.memory_filesystem import MemoryFilesystem
from ipad_agent.store.state_documents import LINE_SPEEDS
from ipad_agent.wiring.configured_card import open_card
from ipad_agent.wiring.module_memory import Speeds
from virtual_time import run

from .fakes import FakeModem
from .sys_tree import SysTree
from .uart_stand import UartPort

FAST = replace(GENERIC, speed_up=SpeedUp(rates=(230400, 460800, 921600), writes_nvm=False))
KEY = "ipad-agent lab/LABMODEM-1/LABMODEM1A01"


@dataclass
class Stand:
    """A module on a UART and agents in front of it, one after the other."""

    uart: Uart = field(default_factory=Uart)
    profile: ModuleProfile = FAST
    limit: int | None = 921600
    consent: bool = False
    configured: int = 115200
    echo: bool = True
    is_uart: bool = True
    memory: SpeedMemory = field(default_factory=VolatileSpeedMemory)

    def __post_init__(self) -> None:
        options = ModemOptions(uart=self.uart, echo=self.echo, boot_lines=("RDY",))
        self.port = UartPort(options, self.configured, is_uart=self.is_uart)

    def link(self) -> ModemLink:
        """As another process would make it."""
        speed = LineSpeed(limit=self.limit, consent_nvm_writes=self.consent, memory=self.memory)
        return ModemLink(self.port, ProfileSet((self.profile,)), forced_profile=self.profile, speed=speed)

    @property
    def rates(self) -> tuple[int, int]:
        """Of the host, and of the module."""
        return self.port.baud_rate, self.port.module.line_rate


async def works(link: ModemLink) -> bool:
    """Whether questions are answered, twenty of them."""
    for _ in range(20):
        if await link.run(commands.text_query("AT+CGMM")) != ("LABMODEM-1",):
            return False
    return True


def story(stand: Stand, tell: Callable[[Stand], Awaitable[None]]) -> Stand:
    async def scene() -> None:
        await tell(stand)

    run(scene())
    return stand


async def opened(stand: Stand) -> None:
    assert await works(stand.link())


def test_the_highest_speed_that_profile_module_and_operator_allow_is_taken() -> None:
    assert story(Stand(), opened).rates == (921600, 921600)
    assert story(Stand(limit=500000), opened).rates == (460800, 460800)
    assert story(Stand(uart=Uart(rates=(115200, 230400))), opened).rates == (230400, 230400)
    slower = replace(FAST, speed_up=SpeedUp(rates=(230400,), writes_nvm=False))
    assert story(Stand(profile=slower), opened).rates == (230400, 230400)


@pytest.mark.parametrize(
    "stand",
    [
        Stand(limit=None),
        Stand(profile=GENERIC),
        Stand(is_uart=False),
        Stand(profile=replace(FAST, speed_up=SpeedUp(rates=(921600,), writes_nvm=True))),
        Stand(profile=replace(FAST, speed_up=SpeedUp(rates=(921600,), restart_needed=True)), consent=True),
    ],
    ids=["not configured", "profile does not know", "no uart", "kept without consent", "restart needed"],
)
def test_the_speed_is_left_alone_where_it_is_not_allowed(stand: Stand) -> None:
    assert story(stand, opened).rates == (115200, 115200)
    assert stand.port.asked("AT+IPR") == []


def test_a_module_that_keeps_its_speed_is_raised_with_consent() -> None:
    kept = replace(FAST, speed_up=SpeedUp(rates=(460800,), writes_nvm=True))
    stand = story(Stand(profile=kept, consent=True, uart=Uart(kept=True)), opened)
    assert stand.rates == (460800, 460800)
    assert stand.port.module.nvm_writes == ["AT+IPR=460800"]


def test_a_module_that_keeps_its_speed_is_written_once_whatever_others_do() -> None:
    kept = replace(FAST, speed_up=SpeedUp(rates=(460800,), writes_nvm=True))

    async def tell(stand: Stand) -> None:
        for _ in range(3):
            link = stand.link()
            await link.ready()
            await link.close()
        stand.port.order(lambda module: module.set_line_rate(115200))
        link = stand.link()
        assert await works(link)
        await link.close()

    stand = story(Stand(profile=kept, consent=True, uart=Uart(kept=True)), tell)
    assert stand.port.module.nvm_writes == ["AT+IPR=460800"]
    assert stand.rates == (115200, 115200)


@pytest.mark.parametrize("echo", [True, False])
@pytest.mark.parametrize("lost", [0, 1, 5, 12])
@pytest.mark.parametrize("change", ["after-ok", "before-ok"])
def test_a_module_that_changes_early_or_loses_what_comes_first_is_raised_all_the_same(
    change: str, lost: int, echo: bool
) -> None:
    uart = Uart(change=change, loses_first_bytes=lost)  # type: ignore[arg-type]  # a literal
    assert story(Stand(uart=uart, echo=echo), opened).rates == (921600, 921600)


@pytest.mark.parametrize("lost", range(13, 61, 5))
def test_a_module_that_loses_more_than_any_is_known_to_ends_at_a_speed_at_which_it_answers(lost: int) -> None:
    stand = story(Stand(uart=Uart(loses_first_bytes=lost)), opened)
    assert stand.rates[0] == stand.rates[1]


@pytest.mark.parametrize("change", ["never", "refused"])
def test_a_speed_that_fails_is_left_and_remembered_for_module_and_firmware(change: str) -> None:
    uart = Uart(change=change)  # type: ignore[arg-type]  # a literal
    stand = story(Stand(uart=uart), opened)
    assert stand.rates == (115200, 115200)
    assert stand.memory.load(KEY) == SpeedRecord(
        921600, (9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600), (921600, 460800)
    )
    again = story(Stand(uart=uart, memory=stand.memory), opened)
    assert again.port.asked("AT+IPR=") == ["AT+IPR=230400"], "two at each opening, none of them a second time"
    third = story(Stand(uart=uart, memory=stand.memory), opened)
    assert third.port.asked("AT+IPR") == []
    other = story(Stand(uart=uart, memory=stand.memory, limit=460800), opened)
    assert other.port.asked("AT+IPR=4") == ["AT+IPR=460800"], "another limit is another attempt"


def test_a_module_that_takes_another_speed_than_it_was_told_is_found_there() -> None:
    assert story(Stand(uart=Uart(change="another")), opened).rates == (9600, 9600)


@pytest.mark.parametrize(
    ("answer", "good"),
    [
        ("OK", True),
        (b"\xf3\x91\r\nOK\r\n", False),
        (b"AT\r", False),
        (b"\r\nOK\r\n\r\nOK\r\n", False),
        ("ERROR", False),
    ],
    ids=["ok", "noise and ok", "echo alone", "two", "error"],
)
def test_only_a_clean_ok_proves_a_speed(answer: str | bytes, good: bool) -> None:
    async def scene() -> None:
        modem = FakeModem()
        modem.on("AT", answer)
        session = AtSession(await modem.open())
        tried = [await session.try_out(commands.ping(), within_s=0.5) for _ in range(3)]
        assert tried[-1] is good

    run(scene())


def test_a_line_that_damages_bytes_at_the_new_speed_is_brought_back() -> None:
    stand = story(Stand(uart=Uart(clean_up_to=500000)), opened)
    assert stand.rates == (460800, 460800)
    record = stand.memory.load(KEY)
    assert record is not None
    assert record.failed == (921600,)


def test_a_module_that_is_found_at_a_third_speed_still_works() -> None:
    async def tell(stand: Stand) -> None:
        stand.port.order(lambda module: module.set_line_rate(57600))
        assert await works(stand.link())

    assert story(Stand(limit=None), tell).rates == (57600, 57600)


def test_after_a_crash_the_next_start_finds_the_module_at_the_high_speed_at_once() -> None:
    async def tell(stand: Stand) -> None:
        await stand.link().ready()
        assert stand.rates == (921600, 921600)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        assert await works(stand.link())  # another process: nothing was said to the module in between
        assert loop.time() - began_s < 6

    stand = story(Stand(), tell)
    assert stand.rates == (921600, 921600)
    assert stand.port.asked("AT+IPR=9") == ["AT+IPR=921600"]


def test_after_a_crash_it_is_found_also_when_the_key_was_taken_out_meanwhile() -> None:
    async def tell(stand: Stand) -> None:
        await stand.link().ready()
        stand.limit = None
        assert await works(stand.link())

    assert story(Stand(), tell).rates == (921600, 921600)


def test_a_module_that_restarts_is_found_at_its_first_speed_and_raised_again() -> None:
    async def tell(stand: Stand) -> None:
        link = stand.link()
        await link.ready()
        generation = link.generation
        stand.port.order(lambda module: module.restart())
        assert stand.port.module.line_rate == 115200
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        await link.come_back(60)
        assert loop.time() - began_s < 25
        assert await works(link)
        assert link.generation > generation

    assert story(Stand(), tell).rates == (921600, 921600)


def test_the_speed_is_as_before_when_the_port_is_given_back() -> None:
    async def tell(stand: Stand) -> None:
        link = stand.link()
        await link.ready()
        assert stand.rates == (921600, 921600)
        await link.close()

    assert story(Stand(), tell).rates == (115200, 115200)


def test_a_speed_that_damages_answers_in_use_is_left_again() -> None:
    async def tell(stand: Stand) -> None:
        link = stand.link()
        await link.ready()
        assert stand.rates == (921600, 921600)
        for _ in range(MAX_DAMAGES):
            link.note_damage()
        await link.ready()
        assert stand.rates == (460800, 460800)

    stand = story(Stand(), tell)
    record = stand.memory.load(KEY)
    assert record is not None
    assert record.failed == (921600,)


def test_a_kept_speed_that_damages_answers_in_use_is_left_again_too() -> None:
    async def tell(stand: Stand) -> None:
        link = stand.link()
        await link.ready()
        for _ in range(MAX_DAMAGES):
            link.note_damage()
        await link.ready()
        assert stand.rates == (460800, 460800)
        await link.close()
        assert await works(stand.link())

    kept = replace(FAST, speed_up=SpeedUp(rates=(460800, 921600), writes_nvm=True))
    stand = story(Stand(profile=kept, consent=True, uart=Uart(kept=True)), tell)
    assert stand.rates == (460800, 460800)
    assert stand.port.module.nvm_writes == ["AT+IPR=921600", "AT+IPR=115200", "AT+IPR=460800"]


def test_a_module_that_goes_deaf_is_not_told_the_same_again_when_somebody_restarted_it() -> None:
    async def tell(stand: Stand) -> None:
        for _ in range(2):
            with pytest.raises(LinkDead):
                await stand.link().ready()
            stand.port.order(lambda module: module.restart())
            await asyncio.sleep(10)
        stand.limit = None
        assert await works(stand.link())

    stand = story(Stand(uart=Uart(change="deaf")), tell)
    assert stand.port.asked("AT+IPR=9") + stand.port.asked("AT+IPR=4") == ["AT+IPR=921600", "AT+IPR=460800"]


def test_damage_on_a_line_that_was_not_raised_changes_nothing() -> None:
    async def tell(stand: Stand) -> None:
        link = stand.link()
        await link.ready()
        for _ in range(5 * MAX_DAMAGES):
            link.note_damage()
        await link.ready()
        assert stand.port.openings == 1

    story(Stand(limit=None), tell)


def test_a_module_that_is_dead_is_said_to_be_and_every_usual_speed_was_tried() -> None:
    async def tell(stand: Stand) -> None:
        stand.port.order(lambda module: module.set_line_rate(300))
        with pytest.raises(LinkDead):
            await stand.link().ready()
        assert {9600, 115200, 460800, 921600} <= set(stand.port.rates)
        assert stand.port.silences == 1
        assert stand.port.baud_rate == 115200

    story(Stand(limit=None), tell)


def test_the_line_ends_working_after_a_cut_at_any_command(caplog: pytest.LogCaptureFixture) -> None:
    """The agent dies at any moment of the change; the next one works."""
    caplog.set_level(logging.ERROR)
    for cut_s in [number * 0.02 for number in range(60)]:

        async def tell(stand: Stand, cut_s: float = cut_s) -> None:
            try:
                async with asyncio.timeout(cut_s):
                    await stand.link().ready()
            except (TimeoutError, ModemError):
                pass
            assert await works(stand.link()), cut_s

        assert story(Stand(), tell).rates == (921600, 921600)


def test_what_failed_is_known_after_a_restart_of_the_agent_and_damage_to_the_file_costs_nothing() -> None:
    disk = MemoryFilesystem()

    def speeds() -> tuple[Memory, Speeds]:
        memory = Memory(disk, state_dir="/state", runtime_dir="/run")
        return memory, Speeds(memory)

    for record in (SpeedRecord(921600), SpeedRecord(921600, (), (460800,)), SpeedRecord(9600, (1, 2), (), (3,))):
        speeds()[1].save(KEY, record)
        assert speeds()[1].load(KEY) == record
    assert speeds()[1].load("another") is None
    memory, known = speeds()
    for damaged in (5, {"limit": "x"}, {}):
        memory.save(LINE_SPEEDS, {KEY: damaged})
        assert known.load(KEY) is None
    memory.save(LINE_SPEEDS, {KEY: {"limit": 5, "failed": 7, "offered": ("x", 3)}})
    assert known.load(KEY) == SpeedRecord(5, (3,))


def test_only_a_real_uart_has_a_speed(tmp_path: Path) -> None:
    tree = SysTree(tmp_path)
    tree.uart("ttyS1")
    tree.uart("ttyS2", kind="0")
    tree.usb_device("1-1", "2c7c:0125")
    tree.port("1-1", 2, "ttyUSB2")
    tree.acm_port("1-1", 4, "ttyACM0")
    tree.usb_device("1-2", "0403:6001")
    tree.port("1-2", 0, "ttyUSB5")
    drivers = tmp_path / "sys/bus/usb-serial/drivers"
    (drivers / "ftdi_sio").mkdir()
    link = next((tmp_path / "sys/devices").rglob("ttyUSB5/driver"))
    link.unlink()
    link.symlink_to(drivers / "ftdi_sio")
    names = ("ttyS1", "ttyS2", "ttyUSB2", "ttyACM0", "ttyUSB5", "ttyX", "pts/3")
    found = {name: is_uart(tmp_path / "dev" / name, tmp_path) for name in names}
    assert [name for name, uart in found.items() if uart] == ["ttyS1", "ttyUSB5", "pts/3"]


async def test_a_pseudo_terminal_has_a_speed_that_both_ends_see(tmp_path: Path) -> None:
    modem, slave = os.openpty()
    settings = SerialSettings(Path(os.ttyname(slave)), lock_folder=tmp_path)
    stream = SerialStream.open(settings, baud_rate=115200)
    stream.start(lambda data: None, lambda error: None)
    line = line_rate_of(stream)
    assert line is not None
    line.set_baud_rate(921600)
    assert line.baud_rate == 921600
    assert termios.tcgetattr(modem)[5] == termios.B921600
    await stream.close()
    with pytest.raises(PortLost):
        line.set_baud_rate(115200)
    os.close(modem)
    os.close(slave)


@pytest.mark.parametrize("wired", [False, True])
async def test_the_handshake_lines_are_used_where_they_are_wired(tmp_path: Path, wired: bool) -> None:
    modem, slave = os.openpty()
    config = Config(
        modem=ModemConfig(port=os.ttyname(slave), lock_dir=tmp_path, rtscts=wired),
        store=StoreConfig(state_dir=tmp_path, runtime_dir=tmp_path),
    )
    memory = Memory(MemoryFilesystem(), state_dir="/state", runtime_dir="/run")
    card = open_card(config, memory, SystemClock())
    with contextlib.suppress(ModemError, TimeoutError):
        async with asyncio.timeout(0.05):
            await card.access.port()
    opened = termios.tcgetattr(slave)[2]
    assert bool(opened & termios.CRTSCTS) is wired
    await card.access.close()
    os.close(modem)
    os.close(slave)


@pytest.mark.parametrize(
    ("line", "rates"),
    [
        ("+IPR: (),(9600,115200)", (9600, 115200)),
        ("+IPR: (0,4800,9600,19200,38400,57600,115200,230400,460800,921600)", (4800, 9600, 19200, 38400, 57600)),
        ("+IPR: (0),(0,300,600)", (300, 600)),
        ("+IPR:", ()),
        ("+IPR: (0-13,921600)", (921600,)),
    ],
)
def test_the_offered_speeds_are_read(line: str, rates: tuple[int, ...]) -> None:
    assert commands.read_rates([line])[: len(rates)] == rates
    assert commands.read_rates([]) == ()
