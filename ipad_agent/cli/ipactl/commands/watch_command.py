"""``ipactl watch``: what happens, as it happens.

Off a terminal one line for each thing that happened. On a terminal the same, and below it one line that lives: a bar
during a download, a countdown while a change is not proved, else what comes next and when. ``--screen`` shows the
whole status instead, drawn anew every second.
"""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

from ipad_agent.cli.ipactl.command_context import CommandContext
from ipad_agent.cli.ipactl.errors import NotRunningError, UsageError
from ipad_agent.cli.ipactl.exit_codes import Exit
from ipad_agent.cli.ipactl.output.status_from_json import read
from ipad_agent.cli.ipactl.output.terminal_output import GLUE, TerminalOutput, clean, terminal_size
from ipad_agent.cli.ipactl.output.value_texts import clock, mark, sentence, uncapital, until
from ipad_agent.cli.ipactl.screens.event_screen import event_lines
from ipad_agent.cli.ipactl.screens.status_screen import DOTS, progress, status_lines
from ipad_agent.local.status_model import Happening, Operation, State, Status, Switch
from ipad_agent.local.status_verdict import STAGES

TICK_S: Final = 1.0
AGAIN_S: Final = 2.0
"""Between two attempts to reach an agent that went away."""
SHARES: Final = (25, 50, 75)
"""How far a download is gets told at these percentages, where no bar can be drawn."""
KEPT: Final = 200
RECENT: Final = 5
"""Past events that are told at the beginning."""
_UP: Final = "\r\x1b[K"
_ENTER: Final = "\x1b[?1049h\x1b[?25l"
_LEAVE: Final = "\x1b[?25h\x1b[?1049l"
_HOME: Final = "\x1b[H"
_REST: Final = "\x1b[J"


class Follower:
    """Turns replies into lines: what is new since the reply before."""

    def __init__(self, output: TerminalOutput, *, bars: bool = False) -> None:
        self._output = output
        self._bars = bars
        self.status: Status | None = None
        self.events: deque[Happening] = deque(maxlen=KEPT)

    def take(self, reply: Mapping[str, Any]) -> list[str]:
        """The lines that this reply is worth."""
        lines: list[str] = []
        lost = reply.get("lost")
        if isinstance(lost, int) and lost > 0:
            lines += self._output.note(
                "!", f"{lost} events were left out: they came faster than they were read.", "warn"
            )
        if reply.get("event") is not None:
            event = read(Happening, reply["event"])
            self.events.append(event)
            lines += event_lines(event, self._output)
        if reply.get("status") is not None:
            lines += self.news(read(Status, reply["status"]))
        return lines

    def news(self, status: Status) -> list[str]:
        """The lines that this status is worth after the one before."""
        lines = self._news(self.status, status)
        self.status = status
        return lines

    def _news(self, before: Status | None, now: Status) -> list[str]:
        head = clock(now.taken_at_s)
        lines: list[str] = []
        if before is None or _verdict(before) != _verdict(now):
            word = clean(str(now.verdict.state))
            lines += self._output.hang(head, f"{word}: {sentence(now.verdict.sentence)}", colour="title", indent="")
        for stage in _new_stages(before.switch if before else None, now.switch):
            lines += self._output.hang(head, stage, colour="label", indent="")
        share = None if self._bars else _passed(before.operation if before else None, now.operation)
        if share is not None and now.operation is not None:
            far = f"{clean(now.operation.name)}: {share}{GLUE}%"
            lines += self._output.hang(head, far, colour="label", indent="")
        return lines

    def live(self, later_s: float) -> str:
        """The line that says how it stands; ``later_s`` is how long ago the last status came."""
        status = self.status
        if status is None:
            return "waiting for the agent"
        verdict = status.verdict
        parts = [f"{self._output.dot(DOTS.get(verdict.severity, '●'))} {clean(str(verdict.state))}"]
        if status.operation is not None:
            parts.append(progress(status.operation, self._output))
        switch = status.switch
        if switch is not None and switch.ended is None and switch.deadline is not None:
            proved = sum(stage.ok is True for stage in switch.stages)
            parts.append(f"{proved} of {len(switch.stages)} proved; goes back {until(switch.deadline, later_s)}")
        elif verdict.next is not None:
            time = f", {until(verdict.next_at, later_s)}" if verdict.next_at is not None else ""
            parts.append(f"next: {uncapital(clean(verdict.next).rstrip('.'))}{time}")
        return "  ".join(part for part in parts if part)

    def screen(self, later_s: float, height: int) -> list[str]:
        """The whole status, and below it as many of the last events as there is room for."""
        lines = (
            ["waiting for the agent"]
            if self.status is None
            else status_lines(self.status, self._output, later_s=later_s)
        )
        room = height - len(lines) - 1
        told = [line for event in self.events for line in event_lines(event, self._output)]
        if room > 0 and told:
            lines = [*lines, "", *told[-room:]]
        return lines[:height]


def _verdict(status: Status) -> tuple[str, str]:
    """What counts as another verdict; the percentage in the sentence about a download does not."""
    state = status.verdict.state
    return state, "" if state == State.DOWNLOADING else status.verdict.sentence


def _new_stages(before: Switch | None, now: Switch | None) -> list[str]:
    if now is None:
        return []
    known = set(before.stages) if before is not None and before.since.at_s == now.since.at_s else set()
    told = [stage for stage in now.stages if stage.ok is not None and stage not in known]
    return [
        f"{mark(stage.ok)} {STAGES.get(stage.name, clean(stage.name))}"
        + (f": {clean(stage.detail)}" if stage.detail else "")
        for stage in told
    ]


def _passed(before: Operation | None, now: Operation | None) -> int | None:
    """The highest of ``SHARES`` that was passed since the status before."""
    share = _share(now)
    earlier = _share(before) if before is not None and now is not None and before.name == now.name else 0
    return max((mark for mark in SHARES if earlier < mark <= share), default=None)


def _share(operation: Operation | None) -> int:
    if operation is None or operation.done is None or not operation.total:
        return 0
    return operation.done * 100 // operation.total


def watch(command: CommandContext, pause: Callable[[float], None] = time.sleep) -> int:
    """Until interrupted. An agent that goes away is waited for; one that is not there at first is told at once."""
    if command.arguments.screen and not command.output.terminal:
        raise UsageError("--screen needs a terminal that can be drawn on.", hint="Leave it away.")
    view: _View = _Json(command) if command.json else _Screen(command) if command.arguments.screen else _Lines(command)
    command.connect().close()
    recent = 0 if command.json else RECENT
    before = signal.signal(signal.SIGTERM, _end)
    view.begin()
    try:
        while True:
            try:
                _follow(command, view, recent)
                view.say("The agent ended the conversation; trying again.")
            except NotRunningError as trouble:
                view.say(f"{trouble.message} Trying again.")
            recent = 0
            pause(AGAIN_S)
    except KeyboardInterrupt:
        return Exit.DONE
    finally:
        view.end()
        signal.signal(signal.SIGTERM, before)


def _end(*_: object) -> NoReturn:
    """Also a termination leaves the terminal as it was found."""
    raise SystemExit(128 + signal.SIGTERM)


def _follow(command: CommandContext, view: _View, recent: int) -> None:
    """Until the agent goes away. ``recent``: so many past events first."""
    with command.connect() as agent:
        for reply in agent.stream("Subscribe", {"recent": recent}, timeout_s=None, tick_s=TICK_S):
            if reply is not None:
                view.take(reply)
            view.tick()


class _View:
    """One way of showing it."""

    def __init__(self, command: CommandContext) -> None:
        self._command = command
        self._follower = Follower(command.output, bars=command.output.terminal)
        self._taken = time.monotonic()

    def begin(self) -> None: ...

    def end(self) -> None: ...

    def take(self, reply: Mapping[str, Any]) -> None:
        if reply.get("status") is not None:
            self._taken = time.monotonic()

    def tick(self) -> None: ...

    def say(self, text: str) -> None:
        """Something about the conversation itself."""

    @property
    def _later_s(self) -> float:
        return time.monotonic() - self._taken


class _Json(_View):
    def take(self, reply: Mapping[str, Any]) -> None:
        self._command.data(dict(reply), one_line=True)


class _Lines(_View):
    def take(self, reply: Mapping[str, Any]) -> None:
        super().take(reply)
        lines = self._follower.take(reply)
        if lines:
            self._clear()
            self._command.say(lines)

    def tick(self) -> None:
        output = self._command.output
        if output.terminal:
            self._command.out.write(_UP + output.cut(self._follower.live(self._later_s), output.width - 1))
            self._command.out.flush()

    def say(self, text: str) -> None:
        self._clear()
        self._command.say(self._command.output.note("!", clean(text), "warn"))

    def end(self) -> None:
        self._clear()

    def _clear(self) -> None:
        if self._command.output.terminal:
            self._command.out.write(_UP)
            self._command.out.flush()


class _Screen(_View):
    def __init__(self, command: CommandContext) -> None:
        super().__init__(command)
        self._said = ""

    def begin(self) -> None:
        self._command.out.write(_ENTER)

    def end(self) -> None:
        self._command.out.write(_LEAVE)
        self._command.out.flush()

    def take(self, reply: Mapping[str, Any]) -> None:
        super().take(reply)
        self._said = ""
        self._follower.take(reply)

    def say(self, text: str) -> None:
        self._said = clean(text)
        self.tick()

    def tick(self) -> None:
        height = terminal_size(self._command.out)[1]
        lines = self._follower.screen(self._later_s, height - 1)
        if self._said:
            lines = [*self._command.output.note("!", self._said, "warn"), *lines][: height - 1]
        self._command.out.write(_HOME + "".join(f"{line}\x1b[K\n" for line in lines) + _REST)
        self._command.out.flush()
