"""What the doctor looks at: the same for the agent's own parts and for those of a doctor who comes alone."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from ipad_agent.card.apdu_channel import ModemIdentity
from ipad_agent.clock import Clock
from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.codec.es10.euicc_info import EuiccInfo2
from ipad_agent.codec.es10.profile_info import ProfileInfo
from ipad_agent.codec.identifiers import Eid
from ipad_agent.config import Config
from ipad_agent.doctor.checks.machine import Machine
from ipad_agent.modem.at.network_registration import Registration
from ipad_agent.modem.at.power_saving import PowerSaving
from ipad_agent.modem.at.signal_quality import Signal
from ipad_agent.net import CoapsEndpoint, HttpsEndpoint
from ipad_agent.records import dataclass, field


class ModemLook(Protocol):
    """Questions to the modem; each may open the port, has the deadlines of the line and raises ``ModemError``."""

    async def port(self) -> str:
        """Open the port if it is not; its name."""

    async def ping_s(self) -> float:
        """How long one AT took to be answered."""

    async def identity(self) -> ModemIdentity: ...

    async def function_level(self) -> int | None:
        """AT+CFUN?, None when the modem does not tell."""

    async def sim_state(self) -> str:
        """What AT+CPIN? says: READY, SIM PIN and so on, or the words of its refusal."""

    async def registration(self) -> Registration | None: ...

    async def signal(self) -> Signal | None: ...

    async def power_saving(self) -> PowerSaving: ...

    async def slot(self) -> int | None:
        """The card slot in use, from 1; None when the modem does not tell."""


class CardLook(Protocol):
    """Reading functions of the card; each raises ``CardError`` or ``ModemError``."""

    async def get_eid(self) -> Eid: ...

    async def get_euicc_info2(self) -> EuiccInfo2: ...

    async def get_profiles(self) -> tuple[ProfileInfo, ...]: ...

    async def get_eim_configuration(self) -> tuple[EimConfigurationData, ...]: ...

    async def release(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Face:
    """A local interface of the running agent; ``ok`` None: it is switched off."""

    name: str
    ok: bool | None
    detail: str


@dataclass(frozen=True, slots=True)
class Held:
    """Why the port is left alone, and what a person can do about it."""

    sentence: str
    fix: str


class DoctorParts(Protocol):
    """All that the doctor needs. Inside the agent these are the agent's own parts."""

    @property
    def config(self) -> Config: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def machine(self) -> Machine: ...

    @property
    def modem(self) -> ModemLook: ...

    @property
    def card(self) -> CardLook: ...

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Entered for each look at modem or card, and left before anything is told: no procedure runs meanwhile.

        Entering waits for as long as it takes (the doctor gives up by itself) or raises ``IpadError``; it must never
        come back without the turn. The longest look takes a minute and a half.
        """

    def endpoints(self, entry: EimConfigurationData) -> tuple[CoapsEndpoint | HttpsEndpoint, ...]:
        """Where the agent would poll this eIM, the preferred way first. Raises ``IpadError``."""

    def last_poll(self, eim_id: str) -> str | None:
        """How the last poll of this eIM ended, as a sentence; None when nobody knows."""

    def faces(self) -> tuple[Face, ...]:
        """The local interfaces, empty when there is no agent that has any."""

    async def held(self) -> Held | None:
        """Why the port must be left alone, or None."""


def nobody_in_the_way() -> AbstractAsyncContextManager[None]:
    """The turn of a doctor who comes alone."""
    return contextlib.nullcontext()


async def _nothing_held() -> Held | None:
    return None


@dataclass(frozen=True, slots=True)
class Parts:
    """``DoctorParts`` from what the wiring has at hand. ``polls`` and ``local`` are asked when they are needed."""

    config: Config
    clock: Clock
    modem: ModemLook
    card: CardLook
    ways: Callable[[EimConfigurationData], tuple[CoapsEndpoint | HttpsEndpoint, ...]]
    machine: Machine = field(default_factory=Machine)
    take_turn: Callable[[], AbstractAsyncContextManager[None]] = nobody_in_the_way
    polls: Callable[[], Mapping[str, str]] = dict
    local: Callable[[], tuple[Face, ...]] = tuple
    holder: Callable[[], Awaitable[Held | None]] = _nothing_held

    def turn(self) -> AbstractAsyncContextManager[None]:
        return self.take_turn()

    def endpoints(self, entry: EimConfigurationData) -> tuple[CoapsEndpoint | HttpsEndpoint, ...]:
        return self.ways(entry)

    def last_poll(self, eim_id: str) -> str | None:
        return self.polls().get(eim_id)

    def faces(self) -> tuple[Face, ...]:
        return self.local()

    async def held(self) -> Held | None:
        return await self.holder()
