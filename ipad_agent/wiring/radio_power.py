"""The radio's rest, as the configuration wants it used and set."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from ipad_agent.config import Config
from ipad_agent.errors import CardError, ModemError, StoreError
from ipad_agent.modem.at.power_settings import PowerSettings, WantedPower
from ipad_agent.modem.at.radio_connection import RadioConnection
from ipad_agent.modem.modem_link import ModemLink
from ipad_agent.store import Memory
from ipad_agent.store.state_documents import MODULE_POWER

_SETTINGS = ("AT+CPSMS=", "AT+CEDRXS=")


class RadioPower:
    """What sets, asks and lets go, on one modem. ``wanted`` None leaves its power settings alone."""

    def __init__(
        self, link: ModemLink, memory: Memory, *, wanted: WantedPower | None = None, release: bool = True
    ) -> None:
        self._settings = PowerSettings(link, wanted, _FormerPower(memory))
        self._connection = RadioConnection(link)
        self._release = release

    def when_connected(self, call: Callable[[], None]) -> None:
        """Call when the radio gets connected, whoever wanted it."""
        self._connection.on_connected = call

    async def look(self) -> None:
        """Once per opening of the port; a modem that does not answer is for others to say."""
        with contextlib.suppress(ModemError, CardError):
            await self._settings.look()
            await self._connection.look()

    async def release(self) -> None:
        """No more data comes now. Raises errors of the port."""
        if self._release:
            await self._connection.release()

    @property
    def connected(self) -> bool | None:
        """What the modem said last of its radio."""
        return self._connection.connected


def radio_power(config: Config, link: ModemLink, memory: Memory) -> RadioPower:
    """As the configuration wants it."""
    power = config.power
    wanted = WantedPower(power.active_s, power.update_s, power.edrx_cycle_s) if power.manage else None
    return RadioPower(link, memory, wanted=wanted, release=power.release)


class _FormerPower:
    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def load(self, module: str) -> tuple[str, ...]:
        match self._memory.load(MODULE_POWER).get(module):
            case [*texts] if all(isinstance(text, str) and text.startswith(_SETTINGS) for text in texts):
                return tuple(str(text) for text in texts)
        return ()

    def save(self, module: str, texts: tuple[str, ...]) -> None:
        kept = {name: value for name, value in self._memory.load(MODULE_POWER).items() if name != module}
        with contextlib.suppress(StoreError):
            self._memory.save(MODULE_POWER, kept | ({module: [*texts]} if texts else {}))
