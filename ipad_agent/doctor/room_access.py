"""What the doctor asks, answered by the agent's own rooms."""

from __future__ import annotations

import asyncio
from typing import Final

from ipad_agent.card.apdu_channel import ModemIdentity
from ipad_agent.clock import Clock
from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.config import Config
from ipad_agent.modem import commands
from ipad_agent.modem.at.network_registration import Registration
from ipad_agent.modem.at.power_saving import PowerSaving
from ipad_agent.modem.at.signal_quality import Signal
from ipad_agent.modem.errors import CommandRefused
from ipad_agent.modem.modem_link import ModemLink
from ipad_agent.modem.uicc.modem_card_access import ModemCardAccess
from ipad_agent.net import CoapsEndpoint, HttpsEndpoint
from ipad_agent.wiring.eim_links import EimLinks

_PINGS: Final = 3


class AccessModem:
    """``ModemLook`` over the agent's way to the card."""

    def __init__(self, access: ModemCardAccess) -> None:
        self._access = access

    @property
    def _link(self) -> ModemLink:
        return self._access.link

    async def port(self) -> str:
        return (await self._link.ready()).description

    async def ping_s(self) -> float:
        """The quickest of three: the first may have met something else on the line."""
        loop = asyncio.get_running_loop()
        times = []
        for _ in range(_PINGS):
            began = loop.time()
            await self._link.run(commands.ping(deadline_s=5.0))
            times.append(loop.time() - began)
        return min(times)

    async def identity(self) -> ModemIdentity:
        return await self._access.identity()

    async def function_level(self) -> int | None:
        try:
            return commands.read_number(await self._link.run(commands.FUNCTION_LEVEL))
        except CommandRefused:
            return None

    async def sim_state(self) -> str:
        try:
            answer = await self._link.run(commands.SIM_STATE)
        except CommandRefused as error:
            return commands.CME_MEANINGS.get(error.cme, error.final) if error.cme is not None else error.final
        return commands.read_text(commands.SIM_STATE, answer)

    async def registration(self) -> Registration | None:
        return await self._access.registration()

    async def signal(self) -> Signal | None:
        return await self._access.signal()

    async def power_saving(self) -> PowerSaving:
        return await self._access.power_saving()

    async def slot(self) -> int | None:
        return await self._access.read_slot()


class Ways:
    """Where the agent would poll an eIM, as its own links have it."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self._links = EimLinks(config, clock)

    def __call__(self, entry: EimConfigurationData) -> tuple[CoapsEndpoint | HttpsEndpoint, ...]:
        return self._links.endpoints(entry)
