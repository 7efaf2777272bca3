"""``ipactl log``: what the agent said, from the agent itself, and what it no longer knows from the systemd journal.

The agent is asked first: it is there on every device, with or without systemd, and tells the facts behind each
sentence. It forgets at its end, so the journal fills in what was before, by its own program, where there is one.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, Final

from ipad_agent.cli.ipactl.command_context import CommandContext
from ipad_agent.cli.ipactl.errors import NotRunningError
from ipad_agent.cli.ipactl.exit_codes import Exit
from ipad_agent.cli.ipactl.output.status_from_json import read
from ipad_agent.cli.ipactl.output.terminal_output import TerminalOutput, clean
from ipad_agent.cli.ipactl.screens.event_screen import event_lines
from ipad_agent.cli.ipactl.varlink_client import Connection
from ipad_agent.local.status_model import Happening, to_plain
from ipad_agent.printable import printable

UNIT: Final = "ipad-agent"
COUNT: Final = 20
AGENT_KEEPS: Final = 200
"""More is not asked for: the agent has no more."""
JOURNAL_TIMEOUT_S: Final = 60.0
AGAIN_S: Final = 2.0
TICK_S: Final = 0.2
_LEVELS: Final = {0: "error", 1: "error", 2: "error", 3: "error", 4: "warning", 7: "debug"}
_MESSAGE: Final = re.compile(r"(IPA-[0-9]{4}) (.*)", re.DOTALL)


def log(command: CommandContext, pause: Callable[[float], None] = time.sleep) -> int:
    """The last events, oldest first; with ``--follow`` also those to come."""
    if command.arguments.follow:
        return _follow(command, pause)
    events = _past(command)
    for event in events:
        _show(command, event)
    if not events and not command.json:
        which = "Nothing like that has been said." if _chosen(command) else "Nothing has been said yet."
        command.say(command.output.note("○", which, "waiting"))
    return Exit.DONE


def _chosen(command: CommandContext) -> bool:
    return command.arguments.since is not None or command.arguments.eim is not None


def _past(command: CommandContext) -> list[Happening]:
    since_s: float | None = command.arguments.since
    wanted: int | None = command.arguments.count
    if wanted is None and since_s is None:
        wanted = COUNT
    asked = AGENT_KEEPS if wanted is None or _chosen(command) else min(wanted, AGENT_KEEPS)
    # A socket that was named is another agent's, of which the journal of this machine knows nothing.
    here = command.arguments.socket is None or command.agent is not None
    unit = UNIT if command.agent is None else f"{UNIT}@{command.agent}"
    try:
        with command.connect() as agent:
            plain = agent.call("ListEvents", {"count": asked}).get("events")
    except NotRunningError as trouble:
        events = from_journal(since_s, unit) if here else None
        if not events:
            raise
        _note(f"{trouble.message} This is what the systemd journal has.")
    else:
        events = [read(Happening, item) for item in plain] if isinstance(plain, list) else []
        oldest_s = events[0].at_s if events else time.time()
        if here and since_s is not None and since_s < oldest_s:
            events = [event for event in from_journal(since_s, unit) or [] if event.at_s < oldest_s] + events
    events = [event for event in events if _fits(command, event)]
    return events if wanted is None else events[-wanted:]


def _fits(command: CommandContext, event: Happening) -> bool:
    since_s: float | None = command.arguments.since
    return (since_s is None or event.at_s >= int(since_s)) and about(event, command.arguments.eim)


def about(event: Happening, eim: str | None) -> bool:
    """Whether it is about this eIM: by its facts, or where the journal did not keep them, by its words."""
    if eim is None:
        return True
    if event.facts:
        return any(name == "eim" and eim in (value, printable(value)) for name, value in event.facts)
    return re.search(rf"(?<![\w.-]){re.escape(eim)}(?![\w-])", event.text) is not None


def _show(command: CommandContext, event: Happening) -> None:
    if command.json:
        command.data(to_plain(event), one_line=True)
    else:
        command.say(event_lines(event, command.output, with_date=True))


def _follow(command: CommandContext, pause: Callable[[float], None]) -> int:
    """Until interrupted. An agent that goes away is waited for; one that is not there at first is told at once."""
    begun = False
    try:
        while True:
            try:
                with command.connect() as agent:
                    _listen(command, agent, with_past=not begun)
            except NotRunningError as trouble:
                if not begun:
                    raise
                _note(f"{trouble.message} Trying again.")
            begun = True
            pause(AGAIN_S)
    except KeyboardInterrupt:
        return Exit.DONE


def _listen(command: CommandContext, agent: Connection, *, with_past: bool) -> None:
    """Until the agent goes away. First it is listened to and then asked for the past, so that nothing gets lost in
    between; what comes both ways is shown once."""
    replies = agent.stream("Subscribe", {"status": False}, timeout_s=None, tick_s=TICK_S)
    first = next(replies)
    shown = _past(command) if with_past else []
    for event in shown:
        _show(command, event)
    for reply in chain((first,), replies):
        if reply is None or reply.get("event") is None:
            continue
        event = read(Happening, reply["event"])
        if event in shown:
            shown.remove(event)
        elif about(event, command.arguments.eim):
            _show(command, event)


def _note(text: str) -> None:
    sys.stderr.write("\n".join(TerminalOutput.of(sys.stderr).note("!", clean(text), "warn")) + "\n")


def from_journal(since_s: float | None, unit: str = UNIT) -> list[Happening] | None:
    """The agent's messages in the systemd journal; None where there is no journal, or this user may not read it."""
    import shutil
    import subprocess

    program = shutil.which("journalctl")
    if program is None:
        return None
    words = [program, "--unit", unit, "--output", "json", "--no-pager", "--quiet"]
    words += ["--lines", "1000"] if since_s is None else ["--since", f"@{int(since_s)}"]
    try:
        done = subprocess.run(words, capture_output=True, timeout=JOURNAL_TIMEOUT_S, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return list(journal_events(done.stdout.decode("utf-8", "replace"))) if done.returncode == 0 else None


def journal_events(lines: str) -> Iterator[Happening]:
    """What ``journalctl -o json`` wrote, as far as the agent said it; lines of others, such as systemd's, are not."""
    for line in lines.splitlines():
        try:
            entry: Any = json.loads(line)
            found = _MESSAGE.fullmatch(entry["MESSAGE"])
            at_s = int(entry["__REALTIME_TIMESTAMP"]) // 1_000_000
            level = _LEVELS.get(int(entry.get("PRIORITY", 6)), "info")
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        if found is not None and level != "debug":
            yield Happening(found[1], level, found[2], at_s)
