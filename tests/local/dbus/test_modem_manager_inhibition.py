"""Keeping ModemManager away, against a stand-in on a real bus; the real one is in tests/modemmanager."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from dbus_next.aio.message_bus import MessageBus
from dbus_next.constants import MessageType
from dbus_next.message import Message
from dbus_next.signature import Variant

from ipad_agent.modem.errors import PortBusy, PortUnavailable
from ipad_agent.wiring import modem_manager
from ipad_agent.wiring.modem_manager import NAME, PATH, InhibitingOpener, Inhibition, physical_device

from .private_bus import LIMIT_S, PrivateBus

DEVICE = "/sys/devices/usb1/1-1"
EVERYTHING = (
    """<busconfig><policy context="default"><allow own="*"/><allow send_destination="*"/></policy></busconfig>"""
)


class StandIn:
    """Answers as ModemManager does; ``log`` has who was inhibited and let go."""

    def __init__(self, bus: PrivateBus) -> None:
        self._address = bus.address
        self._bus: Any = None
        self.log: list[tuple[str, bool]] = []
        self.modems = {f"{PATH}/Modem/0": ("ttyUSB2", DEVICE)}
        self.refusal: str | None = None
        self.refusals = 1_000
        self.inhibited: set[str] = set()
        self._turns = 0

    async def start(self) -> None:
        self.inhibited.clear()
        self._bus = await MessageBus(bus_address=self._address).connect()
        self._bus.add_message_handler(self._asked)
        await self._bus.request_name(NAME)

    def stop(self) -> None:
        descriptor = self._bus._fd
        self._bus.disconnect()
        asyncio.get_running_loop().remove_reader(descriptor)
        self._bus._stream.close()
        self._bus._sock.close()

    def _asked(self, message: Message) -> Message | bool:
        if message.message_type is not MessageType.METHOD_CALL or message.path != PATH:
            return False
        if message.member == "GetManagedObjects":
            shown = {
                path: {f"{NAME}.Modem": {"Device": Variant("s", device), "Ports": Variant("a(su)", [[port, 3]])}}
                for path, (port, device) in self.modems.items()
            }
            return Message.new_method_return(message, "a{oa{sa{sv}}}", [shown])
        if self.refusal is not None and self.refusals > 0:
            self.refusals -= 1
            return Message.new_error(message, self.refusal, "no")
        assert message.member == "InhibitDevice"
        device, inhibit = message.body
        if inhibit and device in self.inhibited:
            return Message.new_error(message, f"{NAME}.Error.Core.Connected", f"Device '{device}' is already inhibited")
        self.log.append((device, inhibit))
        if inhibit:
            self.inhibited.add(device)
        else:  # it has to look for the ports first
            asyncio.get_running_loop().call_soon(self._free, message)
            return True
        return Message.new_method_return(message)

    def _free(self, message: Message) -> None:
        self._turns += 1
        if self._turns % 50:
            asyncio.get_running_loop().call_later(0.001, self._free, message)
            return
        self.inhibited.discard(message.body[0])
        self._bus.send(Message.new_method_return(message))


@pytest_asyncio.fixture
async def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PrivateBus]:
    policy = tmp_path / "policy.conf"
    policy.write_text(EVERYTHING)
    found = PrivateBus(policy=policy)
    await found.start()
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", found.address)
    yield found
    await found.remove()


@pytest_asyncio.fixture
async def manager(bus: PrivateBus) -> AsyncIterator[StandIn]:
    found = StandIn(bus)
    await found.start()
    yield found
    found.stop()


@pytest.fixture
def port(tmp_path: Path) -> Path:
    """A stable name of ttyUSB2."""
    (tmp_path / "ttyUSB2").touch()
    (tmp_path / "ipad-agent-modem").symlink_to("ttyUSB2")
    return tmp_path / "ipad-agent-modem"


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "ModemManager" in record.getMessage()]


async def test_the_modem_of_the_port_is_inhibited_and_given_back(
    manager: StandIn, port: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    inhibition = Inhibition()
    await inhibition.begin(port)
    await inhibition.begin(port)  # once is enough
    assert manager.log == [(DEVICE, True)]
    await inhibition.end()
    await inhibition.end()
    assert manager.log == [(DEVICE, True), (DEVICE, False)]
    assert len(said(caplog)) == 2


async def test_a_modem_that_modem_manager_does_not_know_yet_is_named_by_its_place(
    manager: StandIn, tmp_path: Path, port: Path
) -> None:
    manager.modems = {}
    usb = tmp_path / "root/sys/devices/pci0/usb1/1-1"
    (usb / "1-1:1.2/ttyUSB2").mkdir(parents=True)
    (usb / "idVendor").touch()
    (tmp_path / "root/sys/class/tty/ttyUSB2").mkdir(parents=True)
    (tmp_path / "root/sys/class/tty/ttyUSB2/device").symlink_to(usb / "1-1:1.2/ttyUSB2")
    assert physical_device("ttyUSB2", tmp_path / "root") == "/sys/devices/pci0/usb1/1-1"
    inhibition = Inhibition(root=tmp_path / "root")
    await inhibition.begin(port)
    assert manager.log == [("/sys/devices/pci0/usb1/1-1", True)]
    await inhibition.end()


def test_a_uart_is_part_of_its_platform_device_and_a_pseudo_terminal_of_nothing(tmp_path: Path) -> None:
    serial = tmp_path / "sys/devices/platform/serial8250"
    serial.mkdir(parents=True)
    (tmp_path / "sys/class/tty/ttyS1").mkdir(parents=True)
    (tmp_path / "sys/class/tty/ttyS1/device").symlink_to(serial)
    assert physical_device("ttyS1", tmp_path) == "/sys/devices/platform/serial8250"
    assert physical_device("3", tmp_path) is None


async def test_without_modem_manager_nothing_is_asked_and_nothing_said(
    bus: PrivateBus, port: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await Inhibition().begin(port)
    assert said(caplog) == []


async def test_without_a_bus_it_is_said_and_the_agent_goes_on(
    port: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere")
    await Inhibition().begin(port)
    assert len(said(caplog)) == 1
    assert said(caplog)[0].startswith(f"ModemManager is not kept away from {port}: ")


@pytest.mark.parametrize(
    ("refusal", "sentences"),
    [("org.freedesktop.DBus.Error.AccessDenied", 1), (f"{NAME}.Error.Core.NotFound", 0)],
)
async def test_a_refusal_is_said_unless_there_is_nobody_to_keep_away(
    manager: StandIn, port: Path, caplog: pytest.LogCaptureFixture, refusal: str, sentences: int
) -> None:
    manager.refusal = refusal
    inhibition = Inhibition()
    await inhibition.begin(port)
    await inhibition.end()
    assert len(said(caplog)) == sentences
    assert manager.log == []


async def test_a_bus_that_is_gone_is_said_and_asked_again_next_time(
    bus: PrivateBus, manager: StandIn, port: Path, caplog: pytest.LogCaptureFixture
) -> None:
    inhibition = Inhibition()
    await inhibition.begin(port)
    manager.stop()
    await bus.stop()
    assert inhibition._watching is not None
    await asyncio.wait_for(inhibition._watching, LIMIT_S)
    assert "not kept away" in said(caplog)[-1]
    await bus.start()
    await manager.start()
    await inhibition.begin(port)
    assert manager.log == [(DEVICE, True), (DEVICE, True)]
    await inhibition.end()


async def test_a_modem_that_modem_manager_looks_at_just_now_is_asked_for_again(
    manager: StandIn, port: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modem_manager, "_SETTLE_STEP_S", 0.0)
    manager.refusal, manager.refusals = modem_manager.WRONG_STATE, 3
    inhibition = Inhibition()
    await inhibition.begin(port)
    assert manager.log == [(DEVICE, True)]
    assert not any("not kept away" in line for line in said(caplog))
    await inhibition.end()


async def test_a_port_is_not_shared_with_a_modem_manager_that_never_settles(manager: StandIn, port: Path) -> None:
    manager.refusal = modem_manager.WRONG_STATE
    with pytest.raises(PortBusy, match="still looking"):
        await Inhibition(settle_s=0.0).begin(port)


async def test_one_piece_of_work_after_the_other_is_one_inhibition(manager: StandIn, port: Path) -> None:
    inhibition = Inhibition(linger_s=3600)
    await inhibition.begin(port)
    inhibition.end_soon()
    await inhibition.begin(port)
    assert inhibition._ending is None
    assert manager.log == [(DEVICE, True)]
    await inhibition.end()


async def test_the_modem_is_given_back_when_no_work_follows(manager: StandIn, port: Path) -> None:
    inhibition = Inhibition(linger_s=0.0)
    await inhibition.begin(port)
    inhibition.end_soon()
    assert inhibition._ending is not None
    await asyncio.wait_for(inhibition._ending, LIMIT_S)
    assert manager.log == [(DEVICE, True), (DEVICE, False)]


async def test_work_that_begins_while_the_modem_is_given_back_waits_for_that(manager: StandIn, port: Path) -> None:
    inhibition = Inhibition()
    await inhibition.begin(port)
    await asyncio.gather(inhibition.end(), inhibition.begin(port))
    assert manager.log == [(DEVICE, True), (DEVICE, False), (DEVICE, True)]
    await inhibition.end()


# -- the port ----------------------------------------------------------------------------------------------------------
class Noted:
    """An inhibition that only notes."""

    def __init__(self) -> None:
        self.log: list[str] = []

    async def begin(self, port: Path) -> None:
        self.log.append(f"begin {port}")

    async def end(self) -> None:
        self.log.append("end")

    def end_soon(self) -> None:
        self.log.append("end soon")


class Stream:
    description = "a port"

    def __init__(self) -> None:
        self.lose: Any = None

    def start(self, on_data: Any, on_lost: Any) -> None:
        self.lose = on_lost

    async def write(self, data: bytes) -> None: ...

    async def close(self) -> None: ...


class Opener:
    def __init__(self, *answers: Exception | Stream) -> None:
        self.answers = list(answers)
        self.silences = 0

    async def open(self) -> Stream:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def note_silence(self) -> None:
        self.silences += 1


def inhibiting(*answers: Exception | Stream) -> tuple[InhibitingOpener, Noted]:
    noted = Noted()
    return InhibitingOpener(Opener(*answers), lambda: Path("/dev/x"), noted), noted  # type: ignore[arg-type]


async def test_modem_manager_gets_the_modem_back_when_the_port_is_closed() -> None:
    opener, noted = inhibiting(Stream())
    stream = await opener.open()
    assert noted.log == ["begin /dev/x"]
    await stream.close()
    assert noted.log == ["begin /dev/x", "end soon"]


async def test_a_modem_that_restarts_stays_inhibited() -> None:
    inner = Stream()
    opener, noted = inhibiting(inner)
    stream = await opener.open()
    lost: list[object] = []
    stream.start(lambda _: None, lost.append)
    inner.lose(PortUnavailable("gone"))
    await stream.close()
    assert lost
    assert noted.log == ["begin /dev/x"]


async def test_modem_manager_has_a_moment_to_close_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modem_manager, "_LET_GO_STEP_S", 0.0)
    opener, noted = inhibiting(PortBusy("held"), PortBusy("held"), Stream())
    await opener.open()
    assert noted.log == ["begin /dev/x"]


async def test_a_port_that_stays_busy_is_given_up_and_the_modem_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modem_manager, "LET_GO_S", 0.0)
    opener, noted = inhibiting(PortBusy("held"))
    with pytest.raises(PortBusy):
        await opener.open()
    assert noted.log == ["begin /dev/x", "end"]


async def test_a_port_that_is_away_leaves_the_modem_inhibited_only_while_it_restarts() -> None:
    inner = Stream()
    opener, noted = inhibiting(PortUnavailable("not there"), inner, PortUnavailable("not there yet"))
    with pytest.raises(PortUnavailable):
        await opener.open()
    assert noted.log == ["begin /dev/x", "end"]
    stream = await opener.open()
    stream.start(lambda _: None, lambda _: None)
    inner.lose(PortUnavailable("it restarts"))
    with pytest.raises(PortUnavailable):
        await opener.open()
    assert noted.log[2:] == ["begin /dev/x", "begin /dev/x"]
