"""Setting PSM and eDRX where the owner wants that, and giving back what was there before (3GPP TS 27.007 §7.38, §7.40).

The module keeps these settings itself, over restarts too; so what it had before is kept until it is given back.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

from ipad_agent.modem import commands, events
from ipad_agent.modem.errors import CommandRefused, CommandTimeout, LineDamaged
from ipad_agent.modem.modem_link import ModemLink
from ipad_agent.records import dataclass

from .power_saving import ACTIVE_UNITS_S, CYCLES_S, UPDATE_UNITS_S, PowerSaving, read, read_edrx, read_psm

_PSM: Final = commands.query("AT+CPSMS?", "+CPSMS")
_EDRX: Final = commands.query("AT+CEDRXS?", "+CEDRXS")
_ACCESSES: Final = (4, 5)
"""<AcT-type> of LTE-M and NB-IoT (27.007 §7.40)."""
_COUNTS: Final = 31
_PSM_FIELDS: Final = re.compile(r"\+CPSMS\s*:\s*([01](?:,[\"01,\s]*)?)")
_EDRX_FIELDS: Final = re.compile(r"\+CEDRXS\s*:\s*([1-5])\s*,\s*\"([01]{4})\".*")


@dataclass(frozen=True, slots=True)
class WantedPower:
    """Seconds, rounded up to what can be said; None leaves PSM (both of its times) or eDRX as it is."""

    active_s: float | None = None
    update_s: float | None = None
    cycle_s: float | None = None

    @property
    def psm(self) -> bool:
        return self.active_s is not None and self.update_s is not None

    def commands(self) -> tuple[str, ...]:
        """What sets it. Of those for eDRX a module of one access refuses the other."""
        found = []
        if self.active_s is not None and self.update_s is not None:
            update, active = _bits(self.update_s, UPDATE_UNITS_S), _bits(self.active_s, ACTIVE_UNITS_S)
            found.append(f'AT+CPSMS=1,,,"{update}","{active}"')
        if self.cycle_s is not None:
            bits = next(
                f"{at:04b}" for at, cycle_s in enumerate(CYCLES_S) if cycle_s >= min(self.cycle_s, CYCLES_S[-1])
            )
            found += [f'AT+CEDRXS=1,{access},"{bits}"' for access in _ACCESSES]
        return tuple(found)

    def is_there(self, found: PowerSaving) -> bool:
        """Whether the module has it already."""
        said = read_psm([text.replace("AT+CPSMS=", "+CPSMS: ") for text in self.commands() if "CPSMS" in text])
        if self.psm and (found.psm, found.active_s, found.update_s) != (True, said.active_s, said.update_s):
            return False
        if self.cycle_s is None:
            return True
        lines = [text.replace("AT+CEDRXS=1,", "+CEDRXS: ") for text in self.commands() if "CEDRXS" in text]
        return found.edrx is True and found.cycle_s == read_edrx(lines).cycle_s


class FormerPower(Protocol):
    """Where the commands are kept that give a module back what it had."""

    def load(self, module: str) -> tuple[str, ...]:
        """Those for this module; none: nothing was changed."""

    def save(self, module: str, texts: tuple[str, ...]) -> None:
        """Remember, or forget with none."""


class PowerSettings:
    """``wanted`` None: the agent does not manage power, and gives back what it once changed."""

    def __init__(self, link: ModemLink, wanted: WantedPower | None, former: FormerPower) -> None:
        self._link = link
        self._wanted = wanted
        self._former = former
        self._looked_in = -1

    async def look(self) -> None:
        """Set or give back what has to be, once per opening of the port. Raises errors of the port."""
        await self._link.ready()
        if self._looked_in == self._link.generation:
            return
        self._looked_in = self._link.generation
        identity = await self._link.identity()
        module = identity.imei or identity.key
        former = self._former.load(module)
        if self._wanted is None:
            if former:
                found = await read(self._link)
                if await self._run(former):
                    self._former.save(module, ())
                    self._tell(found, former, "back to what it was before power.manage")
            return
        found = await read(self._link)
        if self._wanted.is_there(found):
            return
        kept = {text.partition("=")[0] for text in former}
        missing = {text.partition("=")[0] for text in self._wanted.commands()} - kept
        if missing:
            back = await self._way_back(missing)
            if not back:
                events.POWER_NOT_SET.emit(reason="it does not tell what it has now, so that could not be given back")
                return
            self._former.save(module, former + back)
        wanted = self._wanted.commands()
        if await self._run(wanted):
            self._tell(found, wanted, "as power.manage wants it")

    @staticmethod
    def _tell(before: PowerSaving, texts: tuple[str, ...], reason: str) -> None:
        events.POWER_SET.emit(before=before, reason=reason, commands="; ".join(texts))

    async def _way_back(self, kinds: set[str]) -> tuple[str, ...]:
        """Of these commands those for what the module has now; none when that cannot be read."""
        found: list[str] = []
        try:
            if "AT+CPSMS" in kinds:
                matches = [_PSM_FIELDS.fullmatch(line.strip()) for line in await self._link.run(_PSM)]
                if len(matches) != 1 or matches[0] is None:
                    return ()
                fields = matches[0][1].strip()
                found.append("AT+CPSMS=0" if fields.startswith("0") else f"AT+CPSMS={fields}")
            if "AT+CEDRXS" in kinds:
                found.append("AT+CEDRXS=0")
                matches = [_EDRX_FIELDS.fullmatch(line.strip()) for line in await self._link.run(_EDRX)]
                found += [f'AT+CEDRXS=1,{match[1]},"{match[2]}"' for match in matches if match is not None]
        except (CommandRefused, CommandTimeout, LineDamaged):
            return ()
        return tuple(found)

    async def _run(self, texts: tuple[str, ...]) -> bool:
        """Whether each kind of command was taken at least once."""
        taken: set[str] = set()
        reasons: dict[str, str] = {}
        for text in texts:
            kind = text.partition("=")[0]
            try:
                await self._link.run(commands.plain(text))
                taken.add(kind)
            except (CommandRefused, CommandTimeout, LineDamaged) as error:
                reasons[kind] = f"{text}: {error.message}"
        for kind in reasons.keys() - taken:
            events.POWER_NOT_SET.emit(reason=reasons[kind])
        return not reasons.keys() - taken


def _bits(seconds: float, units_s: dict[int, int]) -> str:
    """The shortest time that is no shorter, as octet of a GPRS timer (3GPP TS 24.008 §10.5.7.4, §10.5.7.4a)."""
    fitting = []
    for unit, unit_s in units_s.items():
        count = -int(-seconds // unit_s)
        if count <= _COUNTS:
            fitting.append((count * unit_s, unit, count))
    _, unit, count = min(fitting)
    return f"{unit:03b}{count:05b}"
