"""The self-binding over the network: the import file of an emulated card, posted to its eIM before the first poll."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from ipad_agent.card.es10_functions import Euicc
from ipad_agent.clock import Clock
from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.codec.esipa.device_info import IpaCapabilities
from ipad_agent.codec.identifiers import Eid
from ipad_agent.errors import EimError, ModemError, NetworkError
from ipad_agent.net import HttpsEndpoint
from ipad_agent.procedures.startup import events

from .configured_card import Card
from .eim_links import EimLinks

if TYPE_CHECKING:
    from ipad_agent.emulation.emulated_euicc import EmulatedEuicc
    from ipad_agent.net.https.https_carrier import Answer as HttpAnswer


class AsksStatus(Protocol):
    """``net.HttpsCarrier``, as much of it as is needed."""

    @property
    def ip_bytes(self) -> int: ...

    async def ask(self, body: bytes, *, function: str) -> HttpAnswer: ...

    async def close(self) -> None: ...


def _over_https(endpoint: HttpsEndpoint, clock: Clock) -> AsksStatus:
    from ipad_agent.net import HttpsCarrier

    return HttpsCarrier(endpoint, clock=clock)


class SelfBinding:
    """Implements the loop's ``Registration``. ``endpoint`` says where an eIM is by HTTPS, ``imei`` what the modem
    calls itself."""

    def __init__(
        self,
        emulation: EmulatedEuicc,
        endpoint: Callable[[EimConfigurationData], HttpsEndpoint],
        clock: Clock,
        capabilities: IpaCapabilities,
        imei: Callable[[], Awaitable[str | None]],
        carrier: Callable[[HttpsEndpoint, Clock], AsksStatus] = _over_https,
    ) -> None:
        self._emulation = emulation
        self._endpoint = endpoint
        self._clock = clock
        self._capabilities = capabilities
        self._imei = imei
        self._carrier = carrier
        self.spent_bytes = 0

    async def before_poll(self, eim: EimConfigurationData, eid: Eid, *, commanded: bool) -> None:
        """See ``agent.dependencies.Registration``."""
        from ipad_agent.emulation.emulated_state import BindingState
        from ipad_agent.emulation.registration import self_binding
        from ipad_agent.emulation.registration.self_binding import Answer

        binding = self_binding.due(self._emulation.state_of(eid), eim.eim_id)
        if binding is None:
            return
        if binding.state is BindingState.REFUSED and not commanded:
            raise self_binding.BindingRefused("it refuses to register this device's key")
        answer = await self._post(eim, eid)
        status = f"HTTP status {answer.status}"
        match self_binding.meaning_of(answer.status):
            case Answer.BOUND:
                await self._emulation.note_binding(eid, BindingState.BOUND)
                how = "it was registered already" if answer.status == 409 else "registered now"
                events.BOUND.emit(eim=eim.eim_id, how=how)
            case Answer.REFUSED:
                if binding.state is not BindingState.REFUSED:
                    await self._emulation.note_binding(eid, BindingState.REFUSED)
                events.BINDING_REFUSED.emit(eim=eim.eim_id)
                raise self_binding.BindingRefused(f"it refuses to register this device's key ({status})")
            case Answer.LATER:
                later = self_binding.BindingDelayed(f"it wants to register this device's key later ({status})")
                later.retry_after_s = self_binding.wait_of(answer.retry_after_s)
                raise later
            case Answer.UNUSABLE:
                if commanded:
                    events.POLLED_UNBOUND.emit(eim=eim.eim_id, status=answer.status)
                    return
                said = f"{status}: {answer.text}" if answer.text else status
                raise self_binding.BindingUnanswered(
                    f"it has no answer to the registration of this device's key ({said})"
                )

    def knows_key(self, eim_id: str, eid: Eid) -> bool:
        """See ``agent.dependencies.Registration``."""
        state = self._emulation.state_of(eid)
        return state is not None and state.knows_key(eim_id)

    async def _post(self, eim: EimConfigurationData, eid: Eid) -> HttpAnswer:
        from ipad_agent.emulation.registration import import_file, self_binding

        state, key = self._emulation.state_of(eid), self._emulation.key_of(eid)
        assert state is not None
        assert key is not None
        imei: str | None = None
        with contextlib.suppress(ModemError):  # the file does without
            imei = await self._imei()
        known = imei if imei is not None and imei.isdecimal() else None
        facts = import_file.facts_of(state, eim.eim_id, self._capabilities, known)
        assert facts is not None  # the binding is with an eIM of the card
        endpoint = dataclasses.replace(
            self._endpoint(eim), path=self_binding.PATH, content_type=self_binding.CONTENT_TYPE
        )
        carrier = self._carrier(endpoint, self._clock)
        try:
            return await carrier.ask(import_file.written(key, facts), function=self_binding.FUNCTION)
        finally:
            with contextlib.suppress(NetworkError, EimError):  # what counted has been said before
                await carrier.close()
            self.spent_bytes += carrier.ip_bytes


def registration(card: Card, links: EimLinks, clock: Clock, able: IpaCapabilities) -> SelfBinding | None:
    """How eIMs get to know the key that signs for an emulated card; None for a card that is not emulated."""
    if isinstance(card.euicc, Euicc):
        return None
    return SelfBinding(card.euicc, links.https_endpoint, clock, able, card.imei)
