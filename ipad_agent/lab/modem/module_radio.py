"""The network side of the modem: registration of the profile the modem believes to be in the card."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .modem_options import Cell

__all__ = ["Radio", "RadioState", "registration_fields"]


class RadioState(Enum):
    """3GPP TS 27.007 <stat>; ``REGISTERED`` stands for 1 and, roaming, 5."""

    OFF = 0
    SEARCHING = 2
    DENIED = 3
    REGISTERED = 1


@dataclass(slots=True)
class Radio:
    """``cell`` is set while registered."""

    state: RadioState = RadioState.OFF
    cell: Cell | None = None

    @property
    def stat(self) -> int:
        """The <stat> of +CREG and its kin."""
        if self.state is not RadioState.REGISTERED or self.cell is None:
            return self.state.value
        if self.cell.stat is not None:
            return self.cell.stat
        return 5 if self.cell.roaming else 1

    @property
    def passes_data(self) -> bool:
        """Whether a datagram gets anywhere."""
        return self.cell is not None and self.cell.carries_data and self.stat in (1, 5)


def registration_fields(radio: Radio, level: int) -> str:
    """``<stat>`` and, from level 2, location: what follows ``+CEREG: `` in an unsolicited line."""
    if level >= 2 and radio.cell is not None:
        return f'{radio.stat},"{radio.cell.tac}","{radio.cell.cell_id}",{radio.cell.access}'
    return str(radio.stat)
