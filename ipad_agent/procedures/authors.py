"""Who changed the profiles on the card, as the status says it."""

from __future__ import annotations

from typing import Final

ORDER: Final = "eIM"
"""An order of an eIM, or what became of it."""
DOWNLOAD: Final = "download"
"""A profile download that an eIM ordered."""
ROLLBACK: Final = "rollback"
"""The way back from a change that did not prove itself."""
GUARDIAN: Final = "guardian"
"""This device, for want of connectivity."""
LOCAL: Final = "local"
"""A person or program on this device."""
