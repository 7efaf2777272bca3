"""How the packet connection of a profile is made."""

from __future__ import annotations

from typing import Literal

from ipad_agent.records import dataclass, field

PdpType = Literal["IP", "IPV6", "IPV4V6", "Non-IP", "Ethernet", "Unstructured"]
"""As 3GPP TS 27.007 §10.1.1 writes them."""


@dataclass(frozen=True, slots=True)
class PacketConnection:
    """What a connection manager, or AT+CGDCONT and AT+CGAUTH, need to know.

    ``apn`` is empty where none is needed. ``pdp_type``, ``user`` and ``password`` are None where nobody has said
    anything about them; ``user`` is empty where the profile says that there is none. The password is never shown.
    """

    apn: str
    pdp_type: PdpType | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
