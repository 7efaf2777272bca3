"""What was done on this device: one entry after the other, the newest last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from ipad_agent.cli.ipactl.output.terminal_output import TerminalOutput, clean
from ipad_agent.cli.ipactl.output.value_texts import clock, named, sentence, span
from ipad_agent.local.status_model import HistoryEntry, Profile

_MARKS: Final = {
    "done": ("✓", "label"),
    "under-way": ("·", "busy"),
    "replaced": ("·", "label"),
    "interrupted": ("!", "warn"),
    "unproved": ("!", "warn"),
}
_OUTCOMES: Final = {"under-way": "still under way", "rolled-back": "taken back", "unproved": "not proved to work"}
_AUTHORS: Final = {
    "eim": "the manager (eIM)",
    "person": "a person",
    "guardian": "the guardian",
    "device": "this device",
}
NO_CLOCK: Final = "the clock was not set"


def history_lines(
    history: Iterable[HistoryEntry], profiles: tuple[Profile, ...], output: TerminalOutput
) -> Iterator[str]:
    """When, what, by whom, how it ended, after how long, and why."""
    shown = False
    for entry in history:
        shown = True
        mark, colour = _MARKS.get(entry.outcome, ("✗", "bad"))
        yield from output.hang(_when(entry), f"{mark} {_told(entry, profiles)}", colour=colour, indent="")
    if not shown:
        yield from output.note("○", "Nothing was ordered or changed here so far.", "waiting")


def _when(entry: HistoryEntry) -> str:
    if entry.at is None:
        return "time unknown"
    return clock(entry.at.at_s, "%m-%d %H:%M:%S") if entry.clock_set else f"{span(entry.at.age_s)} ago"


def _told(entry: HistoryEntry, profiles: tuple[Profile, ...]) -> str:
    who = clean(entry.eim_id) if entry.eim_id and entry.by == "eim" else _AUTHORS.get(entry.by, clean(entry.by))
    what = clean(entry.what)
    if entry.previous is not None or entry.target is not None:
        target = "a profile not known yet" if entry.target is None else named(entry.target, profiles)
        way = f"from {named(entry.previous, profiles)} to {target}"
        what = way if entry.kind == "rollback" or entry.by == "eim" else f"{what}, {way}"
    outcome = _OUTCOMES.get(entry.outcome, clean(entry.outcome))
    long = "" if entry.duration_s is None else f" after {span(entry.duration_s)}"
    times = f", {entry.times} times in a row" if entry.times > 1 else ""
    why = f": {clean(entry.reason)}" if entry.reason else ""
    unset = "" if entry.clock_set else f" ({NO_CLOCK})"
    return sentence(f"{clean(entry.kind)} by {who}: {what}; {outcome}{long}{times}{why}{unset}")
