"""How the agent sees whether it is connected (``procedures.ports.Network``), over the torture's modem or reader."""

from __future__ import annotations

import asyncio
from typing import Final

from ipad_agent.card.apdu_channel import CardAccess
from ipad_agent.codec.identifiers import same_iccid
from ipad_agent.codec.packet_connection import PacketConnection
from ipad_agent.errors import CardError, ModemError
from ipad_agent.modem.uicc.modem_card_access import ModemCardAccess
from ipad_agent.policy.switching.proof_stage import Finding, Stage

from .simulated_network import SimulatedNetwork

_LIMIT_S: Final = 30.0


class ConnectivityView:
    """``network`` tells what an address and a name server would: whether the packet service passes data; with
    ``application`` the site's own check tells the same."""

    def __init__(self, access: CardAccess, network: SimulatedNetwork, *, application: bool = False) -> None:
        self._application = application
        self._access = access
        self._network = network

    async def card(self, iccid: str) -> Finding:
        seen: str | None = None
        try:
            async with asyncio.timeout(_LIMIT_S):
                seen = await self._access.read_iccid()
        except (CardError, ModemError, TimeoutError):
            return Finding(Stage.CARD, None, "the modem does not answer")
        same = seen is not None and same_iccid(seen, iccid)
        return Finding(Stage.CARD, same, "the modem works with it" if same else "another profile")

    async def registration(self) -> Finding:
        if not isinstance(self._access, ModemCardAccess):
            return self._look(Stage.REGISTRATION)
        try:
            async with asyncio.timeout(_LIMIT_S):
                found = await self._access.registration()
        except (CardError, ModemError, TimeoutError):
            return Finding(Stage.REGISTRATION, None, "the modem does not answer")
        if found is None:
            return Finding(Stage.REGISTRATION, None, "the modem does not tell")
        return Finding(Stage.REGISTRATION, found.registered, str(found))

    async def ip(self, host: str | None) -> Finding:
        return self._look(Stage.IP)

    async def dns(self, host: str) -> Finding:
        return self._look(Stage.DNS)

    async def use(self, connection: PacketConnection) -> None:
        return None

    async def application(self) -> Finding:
        if self._application:
            await asyncio.sleep(1.0)
            return self._look(Stage.APPLICATION)
        return Finding(Stage.APPLICATION, None, "nothing is configured")

    def _look(self, stage: Stage) -> Finding:
        passes = self._network.passes
        return Finding(stage, passes, "data passes" if passes else "nothing passes")
