"""Why a device uses its fallback profile: kept with the watch, so that a restart does not forget it."""

from __future__ import annotations

from enum import StrEnum


class FallbackCause(StrEnum):
    """Who had the fallback profile enabled. The values are those of the status model."""

    GUARDIAN = "guardian"
    """A lasting loss of connectivity."""
    PERSON = "person"
    """Somebody on this device, over the socket or the bus."""
    RETURN = "return"
    """The profile that was enabled before was tried again and did not work."""
