"""The doctor's findings, one line for each layer as it comes, and the one thing to do at the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ipad_agent.cli.ipactl.exit_codes import Exit
from ipad_agent.cli.ipactl.output.terminal_output import TerminalOutput, clean
from ipad_agent.cli.ipactl.output.value_texts import mark, sentence
from ipad_agent.local.status_model import DoctorItem

VERDICT: Final = "verdict"
"""The layer of the last item."""

_LABELS: Final = {
    "usb": "USB",
    "at": "AT",
    "sim": "SIM",
    "isd-r": "ISD-R",
    "euicc": "card",
    "registration": "network",
    "tls": "TLS",
    "ci": "CI files",
    "faces": "sockets",
    "permissions": "rights",
    "association": "manager",
    "dns": "DNS",
    "route": "way",
    "handshake": "session",
    "eim": "eIM",
}
"""Layers whose own name says too little, or is too long."""
_EXITS: Final = {
    Exit.NO_MODEM: frozenset({"usb", "port", "at", "modem"}),
    Exit.NO_CARD: frozenset({"sim", "isd-r", "euicc"}),
    Exit.NO_EIM: frozenset({"association", "dns", "route", "handshake", "eim"}),
}


def item_lines(item: DoctorItem, output: TerminalOutput) -> Iterator[str]:
    """What one layer has to say."""
    if item.layer == VERDICT:
        yield ""
        good = item.ok is not False
        yield from output.note("●" if good else "✗", sentence(item.sentence), "good" if good else "bad")
    else:
        yield from output.row(_LABELS.get(item.layer, clean(item.layer)), f"{mark(item.ok)} {sentence(item.sentence)}")
    if item.fix is not None:
        text = f"What to do: {sentence(item.fix)}"
        yield from output.note(" ", text, "label") if item.layer == VERDICT else output.more(text)


def exit_of_items(items: list[DoctorItem]) -> Exit:
    """By the first layer that failed: what stands on it could not work anyway."""
    failed = next((item.layer for item in items if item.ok is False and item.layer != VERDICT), None)
    if failed is None:
        return Exit.FAILED if any(item.ok is False for item in items) else Exit.DONE
    return next((exit for exit, layers in _EXITS.items() if failed in layers), Exit.FAILED)
