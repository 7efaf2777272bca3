"""Everything wrong with a configuration file, at once."""

from __future__ import annotations

from collections.abc import Sequence

from ipad_agent.errors import ConfigError


class ConfigErrors(ConfigError):  # the plural of ConfigError
    """``problems`` holds one ``ConfigError`` per mistake, in the order of the manual's sections."""

    default_hint = "Correct the file; `ipad-agent check-config FILE` shows what is left."

    def __init__(self, path: str, problems: Sequence[ConfigError]) -> None:
        self.problems = tuple(problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__(path, "\n  ".join((count, *(str(problem) for problem in self.problems))))


class SecretError(ConfigError):
    """A key file that cannot be used. Its content is never part of the message."""

    default_hint = "The file must hold what its key in the manual says, and be readable by the agent's user only."
