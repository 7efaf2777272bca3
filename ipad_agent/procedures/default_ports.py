"""A network that cannot be looked at and a site that has no say: what a device without them is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ipad_agent.codec.packet_connection import PacketConnection
from ipad_agent.policy.polling.hold_reason import Held
from ipad_agent.policy.switching.proof_stage import Finding, Stage

from .ports import Network, Site


class _UnknownNetwork:
    async def card(self, iccid: str) -> Finding:
        return Finding(Stage.CARD, None, "the modem does not say")

    async def registration(self) -> Finding:
        return Finding(Stage.REGISTRATION, None, "the modem does not say")

    async def ip(self, host: str | None) -> Finding:
        return Finding(Stage.IP, None, "not looked at")

    async def dns(self, host: str) -> Finding:
        return Finding(Stage.DNS, None, "not looked at")

    async def use(self, connection: PacketConnection) -> None:
        return None

    async def application(self) -> Finding:
        return Finding(Stage.APPLICATION, None, "nothing is configured")


class _NoSite:
    async def hook(self, moment: str, facts: Mapping[str, str]) -> None:
        return None

    async def conditions(self) -> tuple[Held, ...]:
        return ()

    def apn(self, iccid: str) -> str | None:
        return None


UNKNOWN_NETWORK: Final[Network] = _UnknownNetwork()
NO_SITE: Final[Site] = _NoSite()
