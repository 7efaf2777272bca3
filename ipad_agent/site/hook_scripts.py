"""Telling the site's scripts of a moment: ``hooks.d``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ipad_agent.records import dataclass

from . import events, script_runner

MOMENTS: Final = ("pre-switch", "post-switch", "committed", "rolled-back", "fallback", "returned")
"""In which scripts are called; each gets the moment as its argument and in IPAD_MOMENT."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """The scripts of one folder, each of which may take ``timeout_s``."""

    folder: Path
    timeout_s: float

    async def run(self, moment: str, facts: Mapping[str, str]) -> None:
        """Run every script for this moment; ``facts`` are named without the prefix ``IPAD_``. A script that fails or
        hangs is reported and changes nothing."""
        environment = {f"IPAD_{name}": value for name, value in facts.items()} | {"IPAD_MOMENT": moment}
        for path in script_runner.executables(self.folder):
            ran = await script_runner.run(path, (moment,), environment, timeout_s=self.timeout_s)
            if ran.ok:
                events.HOOK_RAN.emit(name=ran.name, moment=moment)
            else:
                events.HOOK_FAILED.emit(name=ran.name, moment=moment, reason=ran.reason)
