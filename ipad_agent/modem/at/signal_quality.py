"""How strong the network is at the modem."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from ipad_agent.modem import commands
from ipad_agent.modem.errors import CommandRefused
from ipad_agent.modem.modem_link import ModemLink
from ipad_agent.records import dataclass

_EXTENDED: Final = commands.query("AT+CESQ", "+CESQ")
_PLAIN: Final = commands.query("AT+CSQ", "+CSQ")


@dataclass(frozen=True, slots=True)
class Signal:
    """``kind`` is ``RSRP`` (LTE, NB-IoT, NR) or ``RSSI``; the two are not comparable, RSRP is some 20 dB lower.
    ``dbm`` is the lower edge of the step that the modem told."""

    dbm: int
    kind: str

    def __str__(self) -> str:
        return f"{self.dbm} dBm ({self.kind})"


async def read(link: ModemLink) -> Signal | None:
    """RSRP by AT+CESQ, else RSSI by AT+CSQ; None when the modem tells neither (no network, most often)."""
    await link.ready()
    for command, reader in ((_EXTENDED, read_extended), (_PLAIN, read_plain)):
        try:
            found = reader(await link.run(command))
        except CommandRefused:
            continue
        if found is not None:
            return found
    return None


def read_extended(lines: Sequence[str]) -> Signal | None:
    """From ``+CESQ`` (3GPP TS 27.007 §8.69): RSRP of LTE in steps of 1 dB from -141 dBm, of NR from -157 dBm. None for
    255 (unknown), and for GSM and UMTS, which AT+CSQ tells too."""
    numbers = _numbers(r"\+CESQ\s*:\s*(.*)", lines)
    if len(numbers) >= 6 and 0 <= numbers[5] <= 97:
        return Signal(numbers[5] - 141, "RSRP")
    if len(numbers) >= 8 and 0 <= numbers[7] <= 126:
        return Signal(numbers[7] - 157, "RSRP")
    return None


def read_plain(lines: Sequence[str]) -> Signal | None:
    """From ``+CSQ`` (3GPP TS 27.007 §8.5): 0 to 31 in steps of 2 dB from -113 dBm; None for 99 (unknown) and beyond,
    where makers have scales of their own."""
    numbers = _numbers(r"\+CSQ\s*:\s*(.*)", lines)
    return Signal(2 * numbers[0] - 113, "RSSI") if numbers and 0 <= numbers[0] <= 31 else None


def _numbers(pattern: str, lines: Sequence[str]) -> list[int]:
    """The comma-separated numbers of the one answer line; none when it is something else."""
    match = re.fullmatch(pattern, lines[0].strip()) if len(lines) == 1 else None
    parts = [part.strip() for part in match[1].split(",")] if match else []
    return [int(part) for part in parts] if all(re.fullmatch(r"[0-9]{1,3}", part) for part in parts) else []
