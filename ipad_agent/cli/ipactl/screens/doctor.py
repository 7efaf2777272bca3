"""The doctor's findings, one line for each layer as it comes, and the one thing to do at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ipad_agent.cli.ipactl.exits import Exit
from ipad_agent.cli.ipactl.paper import Paper, clean
from ipad_agent.cli.ipactl.words import mark, sentence

SUMMARY: Final = "summary"
"""The layer of the last item."""

_EXITS: Final = {
    Exit.NO_MODEM: frozenset({"usb", "port", "at", "modem", "profile"}),
    Exit.NO_CARD: frozenset({"sim", "isdr", "card", "euicc"}),
    Exit.NO_EIM: frozenset({"eim", "association", "dns", "reach", "tls", "dtls", "handshake", "poll"}),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One item. ``ok`` None: not checked."""

    layer: str
    ok: bool | None
    sentence: str
    fix: str | None = None

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Finding:
        """From the JSON form; what is missing or of another type counts as not told."""
        ok, fix = item.get("ok"), item.get("fix")
        return cls(
            str(item.get("layer", "")),
            ok if isinstance(ok, bool) else None,
            str(item.get("sentence", "")),
            fix if isinstance(fix, str) and fix else None,
        )


def finding_lines(finding: Finding, paper: Paper) -> Iterator[str]:
    """What one layer has to say."""
    if finding.layer == SUMMARY:
        yield ""
        good = finding.ok is not False
        yield from paper.note("●" if good else "✗", sentence(finding.sentence), "good" if good else "bad")
    else:
        yield from paper.row(clean(finding.layer), f"{mark(finding.ok)} {sentence(finding.sentence)}")
    if finding.fix is not None:
        text = f"What to do: {sentence(finding.fix)}"
        yield from paper.note(" ", text, "label") if finding.layer == SUMMARY else paper.more(text)


def exit_of_findings(findings: list[Finding]) -> Exit:
    """By the first layer that failed: what is above it could not work anyway."""
    failed = next((finding.layer for finding in findings if finding.ok is False and finding.layer != SUMMARY), None)
    if failed is None:
        return Exit.FAILED if any(finding.ok is False for finding in findings) else Exit.DONE
    return next((exit for exit, layers in _EXITS.items() if failed.lower() in layers), Exit.FAILED)
