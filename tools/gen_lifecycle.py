"""Writes the tables in docs/lifecycle.md from the code: ``python tools/gen_lifecycle.py``."""

from __future__ import annotations

import re
from pathlib import Path

from ipad_agent.policy.guardian.guardian_rules import Kind, Sign
from ipad_agent.policy.switching.switch_table import TABLE, Phase, Way

PAGE = Path(__file__).parent.parent / "docs" / "lifecycle.md"


def switch_table() -> str:
    """Every row of the switch's table, in the order of the phases."""
    lines = ["| Phase | What happens | Then | What the agent does | Clause or reason |", "|---|---|---|---|---|"]
    for phase in Phase:
        for (of, happening), row in TABLE.items():
            if of is phase:
                then = "(over)" if row.next is None else f"**{row.next.value}**"
                lines.append(f"| **{phase.value}** | {happening.value} | {then} | {row.does} | {row.why} |")
    return "\n".join(lines)


def ways() -> str:
    """The ways back."""
    return "\n".join(["| Way back |", "|---|", *(f"| {way.value} |" for way in Way)])


def guardian_table() -> str:
    """What the guardian may decide, and what one look may find."""
    decisions = [f"| `{kind.name}` | {kind.value} |" for kind in Kind]
    signs = [f"| `{sign.name}` | {sign.value} |" for sign in Sign]
    return "\n".join(["| Decision | |", "|---|---|", *decisions, "", "| One look finds | |", "|---|---|", *signs])


PARTS = {"switch": switch_table, "ways": ways, "guardian": guardian_table}


def filled(page: str) -> str:
    """The page with its generated parts anew."""
    for name, table in PARTS.items():
        begin, end = f"<!-- {name}: generated -->", f"<!-- {name}: end -->"
        pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        if not pattern.search(page):
            raise SystemExit(f"docs/lifecycle.md has no place for {name}")
        page = pattern.sub((f"{begin}\n{table()}\n{end}").replace("\\", r"\\"), page)
    return page


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
