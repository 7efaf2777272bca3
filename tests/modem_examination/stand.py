"""The lab's modem with the lab's card on a line in memory, in virtual time, and what one may look at afterwards."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from ipad_agent.errors import ModemError
from ipad_agent.lab.euicc import EuiccIdentity, Profile, Quirks, VirtualEuicc, default_profiles
from ipad_agent.lab.modem import AtEngine, Cell, Coverage, ModemOptions
from ipad_agent.lab.modem.card_interface import Card
from ipad_agent.lab.modem.virtual_module import Output, PortLost, Send
from ipad_agent.lab.pki import Pki
from ipad_agent.modem.errors import PortLost as LineLost
from ipad_agent.modem.errors import PortUnavailable
from ipad_agent.modem.module_profile import ProfileSet
from ipad_agent.modem.module_profile_files import load
from ipad_agent.modem_examination.modem_examination import Examination, ModemExamination
from virtual_time import run

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]


@cache
def identity() -> EuiccIdentity:
    """Keys that are made once for all tests."""
    return EuiccIdentity.from_pki(Pki.create(Path(tempfile.mkdtemp(prefix="examination-")) / "pki"))


@cache
def profiles() -> ProfileSet:
    """Those that come with the agent."""
    return load([ROOT / "hw" / "modems"])


def away_from_fallback() -> list[Profile]:
    """The second operator's profile is enabled, so that the fallback profile can be changed to."""
    return [replace(one, enabled=number == 2) for number, one in enumerate(default_profiles())]


def euicc(folder: Path, quirks: Quirks | None = None, listed: Sequence[Profile] | None = None) -> VirtualEuicc:
    """A card of the lab."""
    chosen = away_from_fallback() if listed is None else list(listed)
    return VirtualEuicc(identity(), folder / "card.json", quirks or Quirks(), profiles=chosen)


class M2mCard:
    """An eUICC of SGP.02: its ISD-R knows no ES10, its ECASD tells the EID."""

    EID = bytes.fromhex("89049032000000000000000000000163")

    def __init__(self) -> None:
        self.selected: dict[int, bytes] = {}

    def reset(self) -> None:
        self.selected = {}

    def transmit(self, apdu: bytes) -> bytes:
        channel, instruction = apdu[0] & 3, apdu[1]
        if instruction == 0x70:
            if apdu[2] == 0x80:
                self.selected.pop(apdu[3], None)
                return b"\x90\x00"
            number = next(number for number in (1, 2, 3) if number not in self.selected)
            self.selected[number] = b""
            return bytes([number]) + b"\x90\x00"
        if instruction == 0xA4 and apdu[2] == 4:
            aid = apdu[5 : 5 + apdu[4]]
            if not aid.startswith(bytes.fromhex("A0000005591010FFFFFFFF89")):
                return b"\x6a\x82"
            self.selected[channel] = aid
            return b"\x90\x00"
        if instruction == 0xCA and apdu[2:4] == b"\x00\x5a" and self.selected.get(channel, b"").endswith(b"\x02\x00"):
            return b"\x5a\x10" + self.EID + b"\x90\x00"
        return b"\x6d\x00"


class Line:
    """The port: ``PortOpener`` and ``ByteStream`` in one, the modem at its other end."""

    def __init__(self, card: Card, options: ModemOptions, cells: dict[str, Cell | None] | None = None) -> None:
        self.engine = AtEngine(card, options, coverage=Coverage(cells))
        self.sent = b""
        self.openings = 0
        self.closed = False
        self.interrupted_in_time = False
        self._cut: tuple[Callable[[list[str]], bool], asyncio.Event] | None = None
        self._on_data: Callable[[bytes], None] | None = None
        self._on_lost: Callable[[ModemError], None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def description(self) -> str:
        return "the lab's port"

    async def settle(self) -> None:
        """Time for the card to be initialised and for the network to be found."""
        self._handle(self.engine.advance(self._now()))
        await asyncio.sleep(20)

    async def open(self) -> Line:
        if self.engine.module.away:
            raise PortUnavailable("the port is not there")
        self.openings += 1
        self.closed = False
        return self

    def note_silence(self) -> None:
        pass

    def start(self, on_data: Callable[[bytes], None], on_lost: Callable[[ModemError], None]) -> None:
        self._on_data, self._on_lost = on_data, on_lost

    async def write(self, data: bytes) -> None:
        if self.engine.module.away:
            raise LineLost("the port is gone")
        self.sent += data
        if self._cut is not None and self._cut[0](self.lines):
            self._cut[1].set()
        self._handle(self.engine.feed(data, self._now()))

    async def close(self) -> None:
        self.closed = True
        self._on_data = self._on_lost = None

    async def interrupted(self, work: asyncio.Future[Any], when: Callable[[list[str]], bool]) -> None:
        """Cancel the work as soon as this is true of what was sent, unless it is done before; return when it has
        ended."""
        self._cut = when, asyncio.Event()
        waiting = asyncio.ensure_future(self._cut[1].wait())
        await asyncio.wait((work, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        self.interrupted_in_time = not work.done()
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)

    @property
    def lines(self) -> list[str]:
        """What was sent, command by command."""
        return [text for text in self.sent.decode("ascii").replace("\n", "\r").split("\r") if text]

    def state(self) -> dict[str, Any]:
        """What an examination must leave as it was."""
        module = self.engine.module
        locks = [text for text in self.lines if text in ("AT+CSIM=1", "AT+CSIM=0")]
        return {
            "locked": locks[-1:] == ["AT+CSIM=1"],
            "slot": (module.slot, module.next_slot),
            "vendor_lpa": module.vendor_lpa_enabled,
            "nvm_writes": list(module.nvm_writes),
            "settings": asdict(module.settings),
            "functionality": module.functionality,
            "contexts": dict(module.contexts),
            "sessions": dict(module.uicc.sessions),
            "channels": module.uicc.open_channels,
            "iccid": module.uicc.iccid,
        }

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _handle(self, outputs: list[Output]) -> None:
        loop = asyncio.get_running_loop()
        for output in outputs:
            if isinstance(output, Send) and self._on_data is not None:
                loop.call_soon(self._deliver, output.data)
            elif isinstance(output, PortLost) and self._on_lost is not None:
                loop.call_soon(self._on_lost, LineLost("the port is gone"))
                self._on_data = self._on_lost = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due_s = self.engine.next_due_s
        if due_s is not None:
            self._timer = loop.call_at(due_s, self._due)

    def _deliver(self, data: bytes) -> None:
        if self._on_data is not None:
            self._on_data(data)

    def _due(self) -> None:
        self._timer = None
        self._handle(self.engine.advance(self._now()))


def examined(line: Line, do: Callable[[ModemExamination], Any], *, known: ProfileSet | None = None) -> Any:
    """Do something with an examination of this line, in virtual time; ``known`` are other profiles than the agent's."""

    async def story() -> Any:
        await line.settle()
        async with ModemExamination(line, known or profiles()) as examination:
            return await do(examination)

    return run(story())


@dataclass(frozen=True)
class Outcome:
    """What one whole examination found, and what was there before and after it."""

    found: Examination
    line: Line
    eid: str
    before: dict[str, Any]
    after: dict[str, Any]
    card_file_before: bytes
    card_file_after: bytes


@cache
def outcome(options: ModemOptions, *, switch: bool = False) -> Outcome:
    """The examination of this modem with the lab's ordinary card; the same again is not done again."""
    folder = Path(tempfile.mkdtemp(prefix="examined-"))
    card = euicc(folder)
    line = Line(card, options)
    file = folder / "card.json"
    before: list[Any] = []

    async def story(examination: ModemExamination) -> Examination:
        before.extend((line.state(), file.read_bytes() if file.exists() else b""))
        return await examination.examine(switch=switch)

    found = examined(line, story)
    after = file.read_bytes() if file.exists() else b""
    shutil.rmtree(folder)
    return Outcome(found, line, card.eid, before[0], line.state(), before[1], after)


def answers_of(card: Card, options: ModemOptions, texts: Sequence[str]) -> dict[str, str]:
    """What this modem answers to each command, told by another one of the same kind and a reader of its own: the final
    results."""
    engine = AtEngine(card, options)
    found, now_s = {}, 0.0
    for text in ("ATE0", "AT+CMEE=1", *texts):
        outputs = [*engine.feed(text.encode() + b"\r\n", now_s), *engine.advance(now_s + 1.0)]
        came = b"".join(output.data for output in outputs if isinstance(output, Send))
        lines = came.decode("ascii").split("\r\n")
        finals = [line for line in lines if line in ("OK", "ERROR") or "+CME ERROR" in line]
        found[text] = finals[-1] if finals else ""
        now_s += 1.0
    return found
