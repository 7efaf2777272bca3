"""What a change of profile would need and do."""

from __future__ import annotations

from collections.abc import Iterator

from ipad_agent.cli.ipactl.output.terminal_output import TerminalOutput, clean, wrap
from ipad_agent.cli.ipactl.output.value_texts import mark, named, sentence
from ipad_agent.local.status_model import Plan, Profile

NOTHING_CHANGED = "Nothing was changed. The change itself is for the manager (eIM) to order."


def plan_lines(plan: Plan, profiles: tuple[Profile, ...], output: TerminalOutput) -> Iterator[str]:
    """The verdict, what speaks for and against it, and the steps."""
    target = named(plan.target, profiles)
    against = [line for line in plan.lines if line.ok is False]
    if plan.possible:
        yield from output.note("●", f"possible  A change to {target} would go ahead.", "good")
    else:
        reasons = f": {', '.join(clean(line.name) for line in against)}" if against else ""
        yield from output.note("✗", f"impossible  A change to {target} would be refused or fail{reasons}.", "bad")
    yield ""
    for line in plan.lines:
        yield from output.row(clean(line.name), f"{mark(line.ok)} {sentence(line.sentence)}")
    if plan.steps:
        yield ""
        yield from output.row("Steps", f"1. {sentence(plan.steps[0])}")
        for number, step in enumerate(plan.steps[1:], 2):
            yield from output.more(f"{number}. {sentence(step)}")
    yield ""
    yield from wrap(output.text(NOTHING_CHANGED), output.width)
