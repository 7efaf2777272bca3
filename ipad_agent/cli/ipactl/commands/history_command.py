"""``ipactl history``: what was done on this device, by whom, and how it ended."""

from __future__ import annotations

from ipad_agent.cli.ipactl.command_context import CommandContext
from ipad_agent.cli.ipactl.exit_codes import Exit
from ipad_agent.cli.ipactl.output.status_from_json import read
from ipad_agent.local.status_model import HistoryEntry, Status


def history(command: CommandContext) -> int:
    """The last orders, downloads, switches, rollbacks and resets of the card."""
    with command.connect() as agent:
        plain = agent.call("ListHistory", {"count": command.arguments.count}).get("history")
        picture = None if command.json else agent.call("GetStatus").get("status")
    entries = [read(HistoryEntry, item) for item in plain] if isinstance(plain, list) else []
    if command.json:
        command.data({"history": plain if isinstance(plain, list) else []})
        return Exit.DONE
    from ipad_agent.cli.ipactl.screens.history_screen import history_lines

    command.say(history_lines(entries, read(Status, picture).profiles, command.output))
    return Exit.DONE
