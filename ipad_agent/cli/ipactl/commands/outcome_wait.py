"""Have the agent do something and wait for what comes of it, with a line that says how far it is.

The order travels over one connection, whose answer comes when the card has done it; over another the status is asked
for meanwhile. Whoever does not want to wait only hears a refusal that comes at once: the agent goes on without them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from ipad_agent.cli.ipactl.command_context import CommandContext
from ipad_agent.cli.ipactl.errors import RefusedError
from ipad_agent.cli.ipactl.exit_codes import Exit
from ipad_agent.cli.ipactl.output.status_from_json import read
from ipad_agent.cli.ipactl.varlink_client import CARD_TIMEOUT_S, Connection
from ipad_agent.local.status_model import Eim, Status, Switch
from ipad_agent.printable import printable

from .watch_command import Follower

LOOK_S: Final = 0.5
"""Between two looks at the status."""
BEGINS_S: Final = 0.5
"""A poll that is asked for begins within this time, unless the agent is busy."""
SOON_S: Final = 5.0
"""So long a poll may take to be told of at once."""
GLANCE_S: Final = 0.1
SAME_S: Final = 0.05
"""So much two ages of the same moment may differ, asked for over a socket."""
REFUSAL_S: Final = 1.0
"""A refusal that needs no card comes within this time."""
LONGEST_S: Final = 3600.0
"""For what comes of it; the agent's own deadlines are shorter."""
_OVER: Final = "\r\x1b[K"


def under_way(status: Status) -> Switch | None:
    """The change that is neither proved nor given up."""
    switch = status.switch
    return None if switch is None or switch.ended is not None or switch.phase in _DECIDED else switch


_DECIDED: Final = frozenset({"rolled-back", "unproved"})


def ask(command: CommandContext, method: str, parameters: Mapping[str, object] | None = None) -> dict[str, Any] | None:
    """Give the order and leave; None when the agent is still at it."""
    with command.connect() as agent:
        agent.begin(method, parameters)
        return agent.ended(REFUSAL_S)


def soon_over(agent: Connection, eim_id: str | None, before: Status) -> Status | None:
    """The status when the polls that were just asked for have ended, or the agent lost modem or card over them;
    ``before`` was seen before they were asked for. None when they have not begun in a moment, or take longer than
    anybody looks at a prompt."""
    asked_s = time.monotonic()
    begun = False
    ages_s = {eim.eim_id: _age_s(eim) for eim in before.eims}
    while (waited_s := time.monotonic() - asked_s) < (SOON_S if begun else BEGINS_S):
        status = look(agent)
        begun = begun or status.operation is not None
        wanted = [eim for eim in status.eims if eim_id in (None, eim.eim_id, printable(eim.eim_id))]
        # Of a poll that is the one from before the age has grown by as much as was waited.
        over = all(_age_s(eim) < ages_s.get(eim.eim_id, math.inf) + waited_s - SAME_S for eim in wanted)
        if status.trouble is not None or (wanted and over and status.operation is None):
            return status
        time.sleep(GLANCE_S)
    return None


def _age_s(eim: Eim) -> float:
    return math.inf if eim.last_poll is None else eim.last_poll.at.age_s


def ask_and_wait(
    command: CommandContext,
    method: str,
    doing: str,
    parameters: Mapping[str, object] | None = None,
    *,
    limit_s: float = CARD_TIMEOUT_S,
    over: Callable[[Status], bool] = lambda status: under_way(status) is None,
) -> tuple[Status, Status]:
    """Give the order and wait until it was carried out and ``over`` holds; the status before and at the end.
    ``doing`` says on the line what is waited for; the order itself may take ``limit_s``. Raises
    ``CommandError``, also with ``Exit.WAITING`` when it takes longer than anybody waits."""
    begun = time.monotonic()
    with command.connect() as watching, command.connect() as agent:
        before = look(watching)
        progress = _Progress(command, doing, before)
        try:
            agent.begin(method, parameters)
            answer = None
            while answer is None:
                answer = agent.ended(LOOK_S)
                progress.show(look(watching))
                if answer is None and time.monotonic() - begun > limit_s:
                    raise _still_at_it()
            while not over(status := look(watching)):
                progress.show(status)
                if time.monotonic() - begun > LONGEST_S:
                    raise _still_at_it()
                time.sleep(LOOK_S)
            progress.show(status)
        finally:
            progress.end()
    return before, status


def look(agent: Connection) -> Status:
    return read(Status, agent.call("GetStatus").get("status"))


def _still_at_it() -> RefusedError:
    return RefusedError(
        "It is not decided yet.",
        hint="The agent goes on; `ipactl status` shows how far it is.",
        name="NotDecided",
        exit=Exit.WAITING,
    )


class _Progress:
    """What is new since the look before, one line each; on a terminal one more line that is written over again."""

    def __init__(self, command: CommandContext, doing: str, before: Status) -> None:
        self._command = command
        self._doing = doing
        self._follower = Follower(command.output, bars=command.output.terminal)
        self._follower.status = before
        self._begun = time.monotonic()
        self._draws = command.output.terminal and not command.json
        self._draw()

    def show(self, status: Status) -> None:
        lines = self._follower.news(status)
        if lines and not self._command.json:
            self.end()
            self._command.say(lines)
        self._draw()

    def end(self) -> None:
        if self._draws:
            self._command.out.write(_OVER)
            self._command.out.flush()

    def _draw(self) -> None:
        if self._draws:
            output = self._command.output
            line = f"{self._doing}, {time.monotonic() - self._begun:.0f} s  {self._follower.live(0.0)}"
            self._command.out.write(_OVER + output.cut(line, output.width - 1))
            self._command.out.flush()
