"""The numbers of the guardian, which watches for a lasting loss of connectivity, as two presets."""

from __future__ import annotations

from typing import Final

from ipad_agent.records import dataclass


@dataclass(frozen=True, slots=True)
class GuardianSettings:
    """When the fallback profile is enabled, and when to go back. Names as in section ``[guardian]``."""

    enabled: bool = True
    """Whether a loss of connectivity is acted on at all."""
    loss_s: float = 24 * 3600.0
    """Without any connectivity for this long, the fallback profile is enabled."""
    failed_cycles: int = 6
    """So many polls in a row must have failed as well; silence that nobody tried to break is no loss."""
    check_s: float = 600.0
    """Between two looks while connectivity is lost."""
    restart_modem_after_s: float = 3600.0
    """Cut off from the network for this long, the modem is restarted, and again each time it has taken twice as long;
    0: never. Before the fallback profile comes in any case."""
    unproven_loss_s: float = 3600.0
    """Instead of ``loss_s`` after a switch that was never proved and could not be rolled back."""
    return_after_s: float = 24 * 3600.0
    """From the change to the fallback profile to the first attempt to go back."""
    max_returns: int = 7
    """Attempts to go back; after those the fallback profile stays until the eIM or a person decides."""


NORMAL: Final = GuardianSettings()

# Narrow band devices sleep for days and are reached rarely; every change of the profile costs minutes of radio.
NBIOT: Final = GuardianSettings(
    loss_s=3 * 24 * 3600.0, restart_modem_after_s=6 * 3600.0, return_after_s=7 * 24 * 3600.0
)
