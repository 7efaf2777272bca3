"""The refreshFlag of the functions by which the IPA itself changes the enabled profile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipad_agent.lab.euicc.quirks import Accept

if TYPE_CHECKING:
    from ipad_agent.lab.crypto import der
    from ipad_agent.lab.euicc.state.isdr_state import Isdr

_TAGS = {Accept.BOTH: (0x80, 0x01), Accept.SCHEMA: (0x80,), Accept.OTHER: (0x01,)}


def refresh_flag(isdr: Isdr, request: der.Node) -> bool | None:
    """TRUE or FALSE from 80 (by the ASN.1 module) or 01 (seen elsewhere); None when it is missing."""
    found = request.find(*_TAGS[isdr.quirks.refresh_flag])
    return found.boolean() if found is not None else None
