"""The card's number for the outside of a device."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Final

from ipad_agent.cli.ipactl.errors import UnavailableError
from ipad_agent.cli.ipactl.output.terminal_output import TerminalOutput, clean
from ipad_agent.cli.ipactl.output.value_texts import check, grouped
from ipad_agent.local.status_model import Status


def label_lines(status: Status, output: TerminalOutput) -> Iterator[str]:
    """What a technician wants to have on the box: EID, and IMEI where the modem told it."""
    if status.card is not None:
        eid = status.card.eid
        yield from output.row("EID", f"{grouped(eid)} {check(eid, status.card.eid_check_digits_ok)}".rstrip())
    modem = status.modem
    if modem is not None and modem.imei is not None:
        yield from output.row("IMEI", clean(modem.imei))
    if modem is not None and modem.model is not None:
        yield from output.row("Modem", " ".join(clean(part) for part in (modem.manufacturer, modem.model) if part))


def qr_lines(text: str, output: TerminalOutput) -> Iterator[str]:
    """A QR code of the plain text, dark on light, two modules above each other per character."""
    try:
        qrcode = importlib.import_module("qrcode")
    except ImportError:
        raise UnavailableError(
            "QR codes need the Python package qrcode, which is not installed.",
            hint="`apt install python3-qrcode`, or `pip install qrcode`; `ipactl eid --label` works without.",
        ) from None
    code = qrcode.QRCode(border=QUIET)
    code.add_data(text)
    matrix: list[list[bool]] = code.get_matrix()
    if not output.unicode:
        for row in matrix:
            yield "".join("  " if dark else "##" for dark in row)
        return
    for upper, lower in zip(matrix[::2], [*matrix[1::2], matrix[0]], strict=False):
        yield "".join(_HALVES[above, below] for above, below in zip(upper, lower, strict=True))


QUIET: Final = 4
"""Light modules around the code, as ISO/IEC 18004 wants."""
_HALVES: Final = {(False, False): "█", (False, True): "▀", (True, False): "▄", (True, True): " "}
"""By whether the upper and the lower module are dark: light ones are drawn, as terminals are dark."""
