"""The screens as they are kept in ``golden/``, for a reader's eye as much as for the test.

``PYTHONPATH=tests/support python tests/cli/golden.py`` writes them anew; read the difference before committing it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from ipad_agent.cli.ipactl import status_exit_code
from ipad_agent.cli.ipactl.commands.watch_command import Follower
from ipad_agent.cli.ipactl.exit_codes import MEANING
from ipad_agent.cli.ipactl.output.field_names import listing
from ipad_agent.cli.ipactl.output.script_formats import key_values, row
from ipad_agent.cli.ipactl.output.terminal_output import TerminalOutput, wrap
from ipad_agent.cli.ipactl.screens.doctor_screen import item_lines
from ipad_agent.cli.ipactl.screens.eid_label import label_lines
from ipad_agent.cli.ipactl.screens.event_screen import event_lines
from ipad_agent.cli.ipactl.screens.history_screen import history_lines
from ipad_agent.cli.ipactl.screens.list_screens import budget_lines, eim_lines, owed_lines, profile_lines
from ipad_agent.cli.ipactl.screens.plan_screen import plan_lines
from ipad_agent.cli.ipactl.screens.status_screen import status_lines
from ipad_agent.local.status_model import DoctorItem, Operation, Stage, Status, to_plain
from situations import DOCTOR, HAPPENINGS, HISTORY, NOW_S, OWED, PLANS, SITUATIONS, ago, ahead, decided

FOLDER: Final = Path(__file__).parent / "golden"
DOCUMENT: Final = Path(__file__).parent.parent.parent / "docs" / "ipactl.md"
WIDE: Final = TerminalOutput(width=100)
NARROW: Final = TerminalOutput(width=50)
ASCII: Final = TerminalOutput(width=80, unicode=False)
COLOUR: Final = TerminalOutput(width=100, colour=True, terminal=True)
ESCAPE: Final = "␛"
"""Stands for the escape character in the files, so that they can be read."""


def replies(*items: Status | Any) -> list[dict[str, Any]]:
    """What ``Subscribe`` answers: statuses and events, as JSON and back."""
    return [
        json.loads(json.dumps({"status" if isinstance(item, Status) else "event": to_plain(item)})) for item in items
    ]


def _download() -> list[dict[str, Any]]:
    at = SITUATIONS["downloading"]
    far = [
        decided(replace(at, operation=Operation("download", ago(10), "eim.example.net", done, 58_400, "bytes")))
        for done in (0, 9_000, 20_000, 31_500, 45_000, 58_400)
    ]
    return replies(SITUATIONS["ready"], SITUATIONS["polling"], *far, SITUATIONS["ready"])


def _switch() -> list[dict[str, Any]]:
    armed = SITUATIONS["switch-armed"]
    assert armed.switch is not None
    stages = armed.switch.stages
    steps = [
        decided(replace(armed, switch=replace(armed.switch, stages=(*stages[:count], *_untried(stages[count:])))))
        for count in (0, 1, 2, 4)
    ]
    return replies(SITUATIONS["ready"], *HAPPENINGS[:3], *steps, armed)


def _untried(stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
    return tuple(replace(stage, ok=None, detail="") for stage in stages)


def _rollback() -> list[dict[str, Any]]:
    back, ended = SITUATIONS["rolling-back"], SITUATIONS["rolled-back"]
    assert back.switch is not None
    assert ended.switch is not None
    began = replace(back.switch, phase="proving", deadline=ahead(30), stages=back.switch.stages[:1])
    ended = replace(ended, switch=replace(ended.switch, since=began.since))
    return replies(decided(replace(back, switch=began)), replace(HAPPENINGS[3], at_s=NOW_S), back, ended)


WATCHED: Final[dict[str, Callable[[], list[dict[str, Any]]]]] = {
    "download": _download,
    "switch": _switch,
    "rollback": _rollback,
    "no-coverage": lambda: replies(SITUATIONS["ready"], SITUATIONS["no-coverage"], SITUATIONS["fallback"]),
    "card-pulled": lambda: replies(SITUATIONS["ready"], SITUATIONS["no-card"], SITUATIONS["starting"]),
}


TOLD: Final = (
    *("fresh", "ready", "ready-with-debts", "downloading", "switch-armed", "rolled-back", "no-card", "no-modem"),
    *("no-coverage", "eim-unreachable", "eim-refuses", "clock-unset", "consumer-card", "port-held", "held", "fallback"),
)
"""What a person on site may find; each shown by ``status``, ``watch`` and ``owed``."""


def _watched(made: list[dict[str, Any]], output: TerminalOutput) -> list[str]:
    follower = Follower(output)
    return [line for reply in made for line in follower.take(reply)]


def _live(situation: str) -> list[str]:
    follower = Follower(WIDE, bars=True)
    follower.take(replies(SITUATIONS[situation])[0])
    return [WIDE.cut(follower.live(later_s), WIDE.width - 1) for later_s in (0.0, 1.0, 2.0)]


def screens() -> dict[str, list[str]]:
    """Every screen by its file's name."""
    ready, armed = SITUATIONS["ready"], SITUATIONS["switch-armed"]
    made: dict[str, Iterable[str]] = {f"status-{name}": status_lines(at, WIDE) for name, at in SITUATIONS.items()}
    made |= {f"watch-{name}": _watched(make(), WIDE) for name, make in WATCHED.items()}
    made |= {f"watch-begins-{name}": _watched(replies(SITUATIONS[name]), WIDE) for name in TOLD}
    made |= {f"owed-{name}": list(owed_lines(SITUATIONS[name].owed, WIDE)) for name in TOLD}
    made |= {f"live-{name}": _live(name) for name in ("ready", "downloading", "switch-armed", "no-modem")}
    made |= {f"doctor-{name}": _doctor(items) for name, items in DOCTOR.items()}
    made |= {f"plan-{name}": list(plan_lines(plan, ready.profiles, WIDE)) for name, plan in PLANS.items()}
    made |= {
        "owed-some": list(owed_lines(OWED, WIDE)),
        "owed-nothing": list(owed_lines((), WIDE)),
        "profiles": list(profile_lines(ready, WIDE)),
        "profiles-fallback": list(profile_lines(SITUATIONS["fallback"], WIDE)),
        "eims": list(eim_lines(ready, WIDE)),
        "eims-none": list(eim_lines(SITUATIONS["fresh"], WIDE)),
        "eims-unreachable": list(eim_lines(SITUATIONS["eim-unreachable"], WIDE)),
        "eims-refuses": list(eim_lines(SITUATIONS["eim-refuses"], WIDE)),
        "eims-errs": list(eim_lines(SITUATIONS["eim-errs"], WIDE)),
        "history": list(history_lines(HISTORY, ready.profiles, WIDE)),
        "history-none": list(history_lines((), (), WIDE)),
        "narrow-history": list(history_lines(HISTORY, ready.profiles, NARROW)),
        "keyvalue": list(key_values({"profiles": to_plain(ready.profiles)}))[:9],
        "table": [row(to_plain(profile), ("iccid", "enabled", "name")) for profile in ready.profiles],
        "fields": _fields(),
        "budget": list(budget_lines(ready, WIDE)),
        "label": list(label_lines(ready, WIDE)),
        "log": [line for event in HAPPENINGS for line in event_lines(event, WIDE, with_date=True)],
        "narrow-status-switch-armed": status_lines(armed, NARROW),
        "ascii-status-switch-armed": status_lines(armed, ASCII),
        "ascii-watch-switch": _watched(_switch(), ASCII),
        "colour-status-ready-with-debts": status_lines(SITUATIONS["ready-with-debts"], COLOUR),
    }
    return {name: [line.replace("\x1b", ESCAPE) for line in lines] for name, lines in made.items()}


def _doctor(items: tuple[dict[str, Any], ...]) -> list[str]:
    return [line for item in items for line in item_lines(DoctorItem(**item), WIDE)]


def _fields() -> list[str]:
    """The names for ``--fields``; a command with the same as another is not repeated."""
    lines: list[str] = []
    for command, names in listing():
        head, *rest = wrap(names, 84)
        lines += [f"{command:12} {head}", *(f"{'':12} {line}" for line in rest)]
    return lines


def document(page: str) -> str:
    """The page with its screens and tables as they are now. A block names its screen behind the word ``text``."""
    made = screens()
    lines: list[str] = []
    skipping = False
    for line in page.splitlines():
        skipping = skipping and line != "```"
        if skipping or line.startswith("| "):
            continue
        lines.append(line)
        if line.startswith("```text "):
            lines += made[line.removeprefix("```text ")]
            skipping = True
    tables = iter((_exits(), _states()))
    filled: list[str] = []
    for line in lines:
        filled += next(tables) if line == "|---|---|" else [line]
    return "\n".join(filled) + "\n"


def _exits() -> list[str]:
    return ["| Status | Meaning |", "|---|---|", *(f"| {int(exit)} | {meaning} |" for exit, meaning in MEANING.items())]


def _states() -> list[str]:
    of_exit: dict[int, list[str]] = {}
    for state, exit in status_exit_code._OF_STATE.items():
        of_exit.setdefault(int(exit), []).append(f"`{state}`")
    rows = [f"| {exit} | {', '.join(states)} |" for exit, states in sorted(of_exit.items())]
    return ["| Status | States |", "|---|---|", *rows]


def main() -> None:
    os.environ["TZ"] = "UTC"
    time.tzset()
    FOLDER.mkdir(exist_ok=True)
    made = screens()
    for file in FOLDER.glob("*.txt"):
        if file.stem not in made:
            file.unlink()
    for name, lines in made.items():
        (FOLDER / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    DOCUMENT.write_text(document(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
