"""The numbers of a profile switch, as two presets."""

from __future__ import annotations

from typing import Final, Literal

from ipad_agent.records import dataclass

Success = Literal["result-acked", "application-probe"]


@dataclass(frozen=True, slots=True)
class SwitchSettings:
    """How a new profile has to prove itself. Names as in section ``[switch]`` of the configuration."""

    confirm_s: float = 420.0
    """From the switch to the end of the proof; after that the way back is taken."""
    probe_first_s: float = 5.0
    """Between two looks at the stage that is not proved yet, at first."""
    probe_first_count: int = 6
    """So many looks are made at that pace."""
    probe_s: float = 15.0
    """Between two looks after those."""
    registration_s: float = 180.0
    """How long the modem may take to register with the new profile."""
    ip_s: float = 60.0
    """From registration to an address and a route."""
    dns_s: float = 20.0
    """How long one look for the address of the eIM's name may take."""
    eim_s: float = 60.0
    """From there to an answer of the eIM, its name's address included."""
    application_s: float = 60.0
    """How long one try of the site's own check may take."""
    success: Success = "result-acked"
    """What proves the profile: the eIM acknowledged the result, or the site's own check got through as well."""


NORMAL: Final = SwitchSettings()

# Narrow band: registration alone takes minutes, a handshake half a minute, and every look wakes the radio.
NBIOT: Final = SwitchSettings(
    confirm_s=900.0,
    probe_first_s=30.0,
    probe_s=30.0,
    registration_s=360.0,
    ip_s=120.0,
    dns_s=40.0,
    eim_s=120.0,
    application_s=120.0,
)
