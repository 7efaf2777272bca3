"""How those outside may name a profile: by its ICCID as the status shows it."""

from __future__ import annotations

import re
from typing import Final

from .local_verbs import INVALID, Refused

_ICCID: Final = re.compile(r"[0-9A-Ea-e]{18,20}[Ff]{0,2}|0[xX](?:[0-9A-Fa-f]{2})*")


def no_iccid() -> Refused:
    """What is said to anything else."""
    return Refused(INVALID, "An ICCID has 18 to 20 digits, or letters from A to E among them.", parameter="iccid")


def checked(text: str) -> str:
    """The same text; also octets such as ``0x98F4…``, by which those profiles go whose ICCID cannot be read. Raises
    ``Refused``."""
    if not _ICCID.fullmatch(text):
        raise no_iccid()
    return text
