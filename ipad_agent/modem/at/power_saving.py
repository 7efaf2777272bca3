"""Whether the modem sleeps between transmissions: PSM and eDRX (3GPP TS 27.007 §7.38, §7.40).

A device that sleeps is reached late, and its answers to CoAP arrive late: worth knowing when polls are slow.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from typing import Final

from ipad_agent.modem import commands
from ipad_agent.modem.errors import CommandRefused, CommandTimeout, LineDamaged
from ipad_agent.modem.modem_link import ModemLink
from ipad_agent.records import dataclass

_PSM: Final = commands.query("AT+CPSMS?", "+CPSMS")
_EDRX: Final = commands.query("AT+CEDRXS?", "+CEDRXS")
_PSM_LINE: Final = re.compile(r"\+CPSMS\s*:\s*([01])\s*(?:,(.*))?")
_EDRX_LINE: Final = re.compile(r"\+CEDRXS\s*:\s*([0-9])\s*(?:,\s*\"?([01]{4})\"?.*)?")

# Seconds by the upper three bits; the lower five count them (3GPP TS 24.008 §10.5.7.4, §10.5.7.4a). 7: not used.
ACTIVE_UNITS_S: Final = {0: 2, 1: 60, 2: 360}
UPDATE_UNITS_S: Final = {0: 600, 1: 3600, 2: 36000, 3: 2, 4: 30, 5: 60, 6: 1_152_000}
# Seconds of an eDRX cycle by its four bits (3GPP TS 24.008 §10.5.5.32).
CYCLES_S: Final = (
    *(5.12, 10.24, 20.48, 40.96, 61.44, 81.92, 102.4, 122.88),
    *(143.36, 163.84, 327.68, 655.36, 1310.72, 2621.44, 5242.88, 10485.76),
)


@dataclass(frozen=True, slots=True)
class PowerSaving:
    """What the modem asks the network for. ``psm`` and ``edrx`` None: it does not tell. Seconds are None where they
    were not set or mean that there is no such time."""

    psm: bool | None = None
    active_s: int | None = None
    update_s: int | None = None
    edrx: bool | None = None
    cycle_s: float | None = None

    @property
    def known(self) -> bool:
        return self.psm is not None or self.edrx is not None

    def __str__(self) -> str:
        parts = []
        if self.psm:
            times = []
            if self.active_s is not None:
                times.append(f"asleep after {_spoken(self.active_s)}")
            if self.update_s is not None:
                times.append(f"awake every {_spoken(self.update_s)}")
            parts.append("PSM" + (f" ({', '.join(times)})" if times else ""))
        if self.edrx:
            parts.append("eDRX" + (f" {self.cycle_s:g} s" if self.cycle_s is not None else ""))
        return ", ".join(parts) or ("off" if self.known else "unknown")


async def read(link: ModemLink) -> PowerSaving:
    """Ask the modem; what it refuses or does not answer stays None. Raises errors of the port."""
    await link.ready()
    psm, edrx = PowerSaving(), PowerSaving()
    with contextlib.suppress(CommandRefused, CommandTimeout, LineDamaged):
        psm = read_psm(await link.run(_PSM))
    with contextlib.suppress(CommandRefused, CommandTimeout, LineDamaged):
        edrx = read_edrx(await link.run(_EDRX))
    return PowerSaving(psm.psm, psm.active_s, psm.update_s, edrx.edrx, edrx.cycle_s)


def read_psm(lines: Sequence[str]) -> PowerSaving:
    """From ``+CPSMS: 1,,,"<TAU>","<active>"``."""
    match = _PSM_LINE.fullmatch(lines[0].strip()) if len(lines) == 1 else None
    if match is None:
        return PowerSaving()
    if match[1] == "0":
        return PowerSaving(psm=False)
    fields = [part.strip().strip('"') for part in (match[2] or "").split(",")]
    update, active = ([*fields[2:4], "", ""])[:2]
    return PowerSaving(psm=True, active_s=_timer(active, ACTIVE_UNITS_S), update_s=_timer(update, UPDATE_UNITS_S))


def read_edrx(lines: Sequence[str]) -> PowerSaving:
    """From one ``+CEDRXS: <AcT>,"<value>"`` per radio access; none of them says that eDRX is off."""
    cycles: list[float] = []
    for line in lines:
        match = _EDRX_LINE.fullmatch(line.strip())
        if match is None:
            return PowerSaving()
        if match[1] != "0" and match[2] is not None:
            cycles.append(CYCLES_S[int(match[2], 2)])
    return PowerSaving(edrx=bool(cycles), cycle_s=max(cycles, default=None))


def _timer(bits: str, units_s: dict[int, int]) -> int | None:
    if not re.fullmatch(r"[01]{8}", bits):
        return None
    unit_s = units_s.get(int(bits[:3], 2))
    return None if unit_s is None else unit_s * int(bits[3:], 2)


def _spoken(seconds: int) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
