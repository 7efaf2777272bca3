"""The modem as a byte stream: what the host writes goes in, what the modem sends comes out. No I/O, no clock."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass

from ipad_agent.lab.modem.card_interface import Card
from ipad_agent.lab.modem.modem_options import Coverage, Fault, ModemOptions
from ipad_agent.lab.modem.module_timers import Timers
from ipad_agent.lab.modem.virtual_module import Module, Output, PortLost, Send

from . import (  # noqa: F401 - they fill the command table
    base_commands,
    message_commands,
    module_commands,
    network_commands,
    uicc_commands,
)
from .at_line import Command, CommandSyntaxError, Line, LineReader, split_commands
from .command_table import CME_TEXT, TABLE, Answer, AtError, SilenceError

__all__ = ["AtEngine"]

LOG = logging.getLogger("ipad_agent.lab")

_TYPE_AHEAD_BYTES = 4096
_PLAIN = re.compile(rb"[\x20-\x7e]+")
_GARBAGE = bytes.fromhex("00fffe8041b3547f0d0aff1b5b324a03")


@dataclass(slots=True)
class _ArmedFault:
    fault: Fault
    seen: int = 0
    struck: int = 0


class AtEngine:
    """A modem with a card in it.

    ``feed`` takes what the host wrote and ``advance`` lets time pass; both return what happens up to ``now_s``, in
    order. ``next_due_s`` says when ``advance`` has something to do. Times are seconds on the caller's clock, which
    starts wherever it likes at the first call. Any bytes may be fed: nothing raises and memory stays bounded.
    """

    def __init__(
        self,
        card: Card,
        options: ModemOptions | None = None,
        *,
        coverage: Coverage | None = None,
        faults: tuple[Fault, ...] = (),
        wall: Callable[[], float] | None = None,
    ) -> None:
        self.options = options or ModemOptions()
        self._timers = Timers()
        self._outputs: list[Output] = []
        self._sending = bytearray()
        self._reader = LineReader(
            max_line_bytes=self.options.max_line_bytes,
            wait_for_lf=self.options.wait_for_lf,
            lf_is_data=self.options.lf_is_data,
        )
        self._type_ahead = bytearray()
        self._busy = False
        self._faults = [_ArmedFault(fault) for fault in faults]
        self._noise_count = 0
        self._noise_at = 0
        self._echo_count = 0
        self._damage_echo = False
        self._asleep = False
        self._heard_s = 0.0
        self.command_count = 0
        self.commands: list[str] = []
        self.module = Module(card, self.options, coverage or Coverage(), self._timers, self._emit, wall)

    # The stream

    def feed(self, data: bytes, now_s: float | None = None) -> list[Output]:
        """Bytes from the host."""
        self._timers.run_until(self._now(now_s))
        at = self._wake(data)
        while at < len(data):
            if self.module.away:
                break
            if not self._busy and (plain := _PLAIN.match(data, at)) and self._take_text(plain[0]):
                at = plain.end()
                continue
            byte = data[at]
            at += 1
            if not self._busy:
                self._take(byte)
            elif self.options.type_ahead == "queue" and len(self._type_ahead) < _TYPE_AHEAD_BYTES:
                self._type_ahead.append(byte)
        # A handler may have asked for something to happen at once.
        self._timers.run_until(self._timers.now_s)
        return self._drain()

    def advance(self, now_s: float) -> list[Output]:
        """Let time pass."""
        self._timers.run_until(self._now(now_s))
        return self._drain()

    @property
    def next_due_s(self) -> float | None:
        """When ``advance`` is due; ``None`` when nothing is pending."""
        return self._timers.next_due_s

    @property
    def buffered_bytes(self) -> int:
        """What is kept of the host's bytes."""
        return self._reader.buffered_bytes + len(self._type_ahead)

    # Orders from outside

    def inject(self, fault: Fault) -> None:
        """Arm a fault."""
        self._faults.append(_ArmedFault(fault))

    def clear_faults(self) -> None:
        """Disarm them all."""
        self._faults.clear()

    def order(self, action: Callable[[Module], None], now_s: float | None = None) -> None:
        """Do something to the module (``lambda m: m.restart()``); what comes of it comes from the next ``advance``."""
        self._timers.run_until(self._now(now_s))
        action(self.module)

    # Inside

    def _wake(self, data: bytes) -> int:
        """How much of ``data`` is lost on a module that sleeps: the line that wakes it."""
        sleeps_after_s, now_s = self.options.sleeps_after_s, self._timers.now_s
        if sleeps_after_s is not None and self.module.settings.may_sleep and now_s - self._heard_s > sleeps_after_s:
            self._asleep = True
        self._heard_s = now_s
        if not self._asleep:
            return 0
        end = data.find(b"\r")
        self._asleep = end < 0
        return end + 1 if end >= 0 else len(data)

    def _now(self, now_s: float | None) -> float:
        return self._timers.now_s if now_s is None else max(now_s, self._timers.now_s)

    def _emit(self, output: Output) -> None:
        if isinstance(output, Send):
            self._sending += output.data
            return
        if isinstance(output, PortLost):
            self._reader.clear()
            self._type_ahead.clear()
            self._busy = False
            self._timers.cancel("answer")
        self._flush()
        self._outputs.append(output)

    def _flush(self) -> None:
        if self._sending:
            self._outputs.append(Send(bytes(self._sending)))
            self._sending.clear()

    def _drain(self) -> list[Output]:
        self._flush()
        outputs, self._outputs = self._outputs, []
        return outputs

    def _take_text(self, text: bytes) -> bool:
        """Take a piece of a line that nothing happens to; False when it has to be taken byte by byte."""
        self._obey_registers()
        if self._damage_echo or not self._reader.push_text(text):
            return False
        if self.module.settings.echo:
            self._echo_count += len(text)
            self._sending += text
        return True

    def _take(self, byte: int) -> None:
        self._obey_registers()
        if self.module.settings.echo and (byte != 0x0A or self.options.lf_is_data or self._reader.terminator == 0x0A):
            self._echo_count += 1
            if not (self._damage_echo and self._echo_count % 7 == 0):
                self._sending.append(byte)
        line = self._reader.push(byte)
        if line is not None and line.text:
            self._run(line)

    def _obey_registers(self) -> None:
        registers = self.module.settings.registers
        self._reader.terminator, self._reader.eraser = registers[3], registers[5]

    def _run(self, line: Line) -> None:
        text = line.text.decode("latin-1")
        if line.overlong:
            self._deliver((), "ERROR", None)
            return
        try:
            commands = split_commands(text)
        except CommandSyntaxError:
            self._deliver((), "ERROR", None)
            return
        if commands is None:
            return
        self.command_count += 1
        self.commands.append(text)
        del self.commands[:-256]
        fault = self._strike(commands)
        self._damage_echo = fault is not None and fault.kind == "echo-damage"
        if fault is not None and fault.kind in ("silent", "vanish", "error", "cme"):
            if fault.kind == "vanish":
                self.module.drop_port(fault.late_s)
            elif fault.kind != "silent":
                self._deliver((), "ERROR" if fault.kind == "error" else f"+CME ERROR: {fault.code}", None)
            return
        try:
            lines, final, delay_s, after = self._execute(commands)
        except SilenceError:
            return
        if fault is not None and fault.kind == "lost-answer":
            if after is not None:
                after()
            return
        if fault is not None and fault.kind == "late":
            delay_s += fault.late_s
        damage = fault.kind if fault is not None and fault.kind in ("garbage", "truncate") else None
        delay_s += self.options.answer_s
        if delay_s <= 0:
            self._deliver(lines, final, after, damage)
            return
        self._busy = True
        self._timers.set("answer", delay_s, lambda: self._answer_late(lines, final, after, damage))

    def _execute(self, commands: list[Command]) -> tuple[tuple[str, ...], str, float, Callable[[], None] | None]:
        """Run a line; its information lines, final line, delay and what follows."""
        lines: list[str] = []
        delay_s = 0.0
        after: Callable[[], None] | None = None
        for cmd in commands:
            handler = TABLE.get(cmd.name)
            try:
                self._refuse_while_busy(cmd)
                answer: Answer = handler(self.module, cmd) if handler is not None else _unknown()
            except AtError as refused:
                final = refused.final or self._error_line(refused.cme)
                return tuple(lines), final, delay_s + refused.delay_s, after
            lines.extend(answer.lines)
            delay_s += answer.delay_s
            after = answer.after or after
        return tuple(lines), "OK", delay_s, after

    def _refuse_while_busy(self, cmd: Command) -> None:
        """Some modules answer everything with "SIM busy" while the card starts."""
        if self.module.busy_left > 0 and cmd.name.startswith("+") and cmd.name != "+CMEE":
            self.module.busy_left -= 1
            raise AtError(14)

    def _error_line(self, cme: int | None) -> str:
        style: str = self.options.error_style
        if style == "cmee":
            style = ("error", "numeric", "text")[self.module.settings.cmee]
        if cme is None or style == "error":
            return "ERROR"
        return f"+CME ERROR: {CME_TEXT.get(cme, 'unknown') if style == 'text' else cme}"

    def _answer_late(
        self, lines: tuple[str, ...], final: str, after: Callable[[], None] | None, damage: str | None
    ) -> None:
        self._busy = False
        self._deliver(lines, final, after, damage)
        queued, self._type_ahead = bytes(self._type_ahead), bytearray()
        for at, byte in enumerate(queued):
            if self._busy:
                self._type_ahead += queued[at:]
                return
            if self.module.away:
                return
            self._take(byte)

    def _deliver(
        self, lines: tuple[str, ...], final: str, after: Callable[[], None] | None, damage: str | None = None
    ) -> None:
        settings = self.module.settings
        cr, lf = settings.line_ends
        noise = self._noise() if lines else None
        places = self.options.noise_places
        out = bytearray()
        if noise is not None and "before" in places:
            out += noise
        for line in lines:
            out += (
                f"{cr}{lf}{line}{cr}{lf}".encode("latin-1") if settings.verbose else f"{line}{cr}{lf}".encode("latin-1")
            )
        if noise is not None and "between" in places:
            out += noise
        if not settings.quiet:
            code = {"OK": f"0{cr}", "ERROR": f"4{cr}"}.get(final, f"{final}{cr}{lf}")
            out += f"{cr}{lf}{final}{cr}{lf}".encode("ascii") if settings.verbose else code.encode("ascii")
        if damage == "garbage":
            out = bytearray(_GARBAGE)
        elif damage == "truncate":
            del out[len(out) // 2 :]
        self._sending += out
        if after is not None:
            after()

    def _noise(self) -> bytes | None:
        """The unsolicited line to throw into this answer, if it is its turn."""
        lines = self.options.noise_lines
        if not lines:
            return None
        self._noise_count += 1
        if self._noise_count % max(1, self.options.noise_every):
            return None
        self._noise_at += 1
        return f"\r\n{lines[(self._noise_at - 1) % len(lines)]}\r\n".encode("ascii", "replace")

    def _strike(self, commands: list[Command]) -> Fault | None:
        """The fault that hits this line; every armed one that matches counts it."""
        hit: _ArmedFault | None = None
        for armed in self._faults:
            fault = armed.fault
            if fault.prefix and not any(cmd.name.startswith(fault.prefix) for cmd in commands):
                continue
            armed.seen += 1
            due = armed.seen > fault.skip and (armed.seen - fault.skip) % max(1, fault.every) == 0
            if due and hit is None and (fault.times is None or armed.struck < fault.times):
                armed.struck += 1
                hit = armed
        return hit.fault if hit is not None else None


def _unknown() -> Answer:
    raise AtError
