"""A scripted modem in memory: what it answers is written down in each test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from ipad_agent.errors import ModemError
from ipad_agent.modem.errors import PortLost, PortUnavailable

Reply = str | bytes | None


@dataclass
class Later:
    """A reply that comes after some time."""

    after_s: float
    reply: Reply


Answer = Reply | Later | Callable[[str], "Answer"] | list["Answer"]


def framed(text: str) -> bytes:
    """``+CCHO: 1|OK`` as a modem with ATV1 frames it."""
    return "".join(f"\r\n{line}\r\n" for line in text.split("|")).encode("ascii")


class FakeModem:
    """Answers commands from a table; the longest matching beginning of a command wins.

    A list is used up entry by entry, the last one stays. ``None`` is silence, text is framed, bytes go out as they
    are. Commands without an entry get ERROR.
    """

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.opened = 0
        self.present = True
        self.echo = False
        self.streams: list[FakeStream] = []
        self.raw_writes: list[bytes] = []
        self.table: dict[str, Answer] = {
            "AT": "OK",
            "ATE0": "OK",
            "ATV1": "OK",
            "ATQ0": "OK",
            "AT+CMEE=1": "OK",
            'AT+CSCS="IRA"': "ERROR",
            "AT+CGMI": "ACME|OK",
            "AT+CGMM": "M1|OK",
            "AT+CGMR": "M1R01|OK",
            "AT+CGSN": "490154203237518|OK",
            "AT+CFUN?": "+CFUN: 1|OK",
        }

    def on(self, command: str, answer: Answer) -> None:
        self.table[command] = answer

    def sent(self, beginning: str) -> list[str]:
        return [command for command in self.commands if command.startswith(beginning)]

    def card_commands(self) -> list[str]:
        """What was sent to open, use and close channels."""
        return [command for command in self.commands if command[:7] in ("AT+CCHO", "AT+CCHC", "AT+CGLA", "AT+CSIM")]

    def answer(self, command: str) -> Answer:
        key = max(
            (key for key in self.table if command.startswith(key) and (key != "AT" or command == "AT")),
            key=len,
            default=None,
        )
        if key is None:
            return "ERROR"
        answer = self.table[key]
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        while callable(answer):
            answer = answer(command)
        return answer

    @property
    def stream(self) -> FakeStream:
        return self.streams[-1]

    def say(self, data: str | bytes) -> None:
        """Send something unsolicited on the open stream."""
        self.stream.deliver(framed(data) if isinstance(data, str) else data)

    def unplug(self) -> None:
        self.present = False
        self.stream.lose()

    # -- PortOpener
    async def open(self) -> FakeStream:
        if not self.present:
            raise PortUnavailable("not there")
        self.opened += 1
        self.streams.append(FakeStream(self))
        return self.stream

    silences = 0

    def note_silence(self) -> None:
        self.silences += 1


class FakeStream:
    description = "fake"

    def __init__(self, modem: FakeModem) -> None:
        self._modem = modem
        self._typed = b""
        self._on_data: Callable[[bytes], None] | None = None
        self._on_lost: Callable[[ModemError], None] | None = None
        self.alive = True

    def start(self, on_data: Callable[[bytes], None], on_lost: Callable[[ModemError], None]) -> None:
        self._on_data, self._on_lost = on_data, on_lost

    async def write(self, data: bytes) -> None:
        if not self.alive:
            raise PortLost("fake is gone")
        self._modem.raw_writes.append(data)
        self._typed += data
        while b"\r" in self._typed:
            line, self._typed = self._typed.split(b"\r", 1)
            command = line.replace(b"\x1b", b"").replace(b"+++", b"").strip(b"\n").decode("ascii")
            if self._modem.echo:
                self.deliver(line + b"\r")
            if command:
                self._modem.commands.append(command)
                if command == "ATE0" or command.startswith("ATE0"):
                    self._modem.echo = False
                self._reply(self._modem.answer(command))

    def _reply(self, answer: Answer) -> None:
        loop = asyncio.get_running_loop()
        if isinstance(answer, Later):
            loop.call_later(answer.after_s, self._reply, answer.reply)
        elif isinstance(answer, str):
            loop.call_soon(self.deliver, framed(answer))
        elif isinstance(answer, bytes):
            loop.call_soon(self.deliver, answer)

    def deliver(self, data: bytes) -> None:
        if self.alive and self._on_data is not None:
            self._on_data(data)

    def lose(self) -> None:
        if self.alive:
            self.alive = False
            if self._on_lost is not None:
                self._on_lost(PortLost("fake was unplugged"))

    async def close(self) -> None:
        self.alive = False
        self._on_data = self._on_lost = None
