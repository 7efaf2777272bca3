"""One event of the log as lines."""

from __future__ import annotations

from ipad_agent.cli.ipactl.output.terminal_output import TerminalOutput, clean
from ipad_agent.cli.ipactl.output.value_texts import clock, sentence
from ipad_agent.local.status_model import Happening


def event_lines(event: Happening, output: TerminalOutput, *, with_date: bool = False) -> list[str]:
    """One event with its local time and its id; trouble stands out."""
    pattern = "%m-%d %H:%M:%S" if with_date else "%H:%M:%S"
    head = clock(event.at_s, pattern)
    mark, colour = {"warning": ("! ", "warn"), "error": ("✗ ", "bad")}.get(event.level, ("", "label"))
    text = f"{mark}{sentence(event.text)} ({clean(event.id)})"
    return output.hang(head, text, colour=colour, indent="")
