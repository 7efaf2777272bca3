"""Everything wrong with a configuration file, at once."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from ipad_agent.errors import ConfigError

WIDTH: Final = 100
_INDENT: Final = "    "


class ConfigErrors(ConfigError):  # the plural of ConfigError
    """``problems`` holds one ``ConfigError`` per mistake, in the order of the manual's sections."""

    default_hint = "Correct the file; `ipad-agent check-config FILE` shows what is left."

    def __init__(self, path: str, problems: Sequence[ConfigError]) -> None:
        self.problems = tuple(problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__(path, "\n  ".join((count, *(placed(problem) for problem in self.problems))))


def placed(problem: ConfigError) -> str:
    """``poll.intervall_s: is not known; did you mean poll.interval_s? (line 3, column 1)``"""
    at = problem.position
    if at is None or f"line {at[0]}, column {at[1]}" in problem.problem:
        return str(problem)
    return f"{problem} (line {at[0]}, column {at[1]})"


class SecretError(ConfigError):
    """A key file that cannot be used. Its content is never part of the message."""

    default_hint = "The file must hold what its key in the manual says, and be readable by the agent's user only."


def lines_of(file: str, found: Sequence[ConfigError]) -> Iterator[str]:
    """For each problem where it is, in the form that editors jump to (``file:line:column``), and below that what it is
    and what is allowed."""
    for problem in found:
        at = "" if problem.position is None else f":{problem.position[0]}:{problem.position[1]}"
        yield file if problem.place == file else f"{file}{at}: {problem.place}"
        yield from _paragraph(problem.problem)
        if problem.allowed:
            yield from _paragraph(f"allowed: {problem.allowed}")
    if found:
        yield f"{len(found)} problem{'' if len(found) == 1 else 's'}; nothing of this file is used until it is right."


def _paragraph(text: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT, break_long_words=False, break_on_hyphens=False
    )
