"""A card like any other to the procedures: IoT functions in front of a consumer card, which keeps all others.

Data flow::

    procedures -> EmulatedEuicc --- SGP.22 functions, unchanged ------------------> card.ConsumerEuicc -> modem
                     |   LoadEuiccPackage: package_checks -> package_execution -> psmo_execution -> ES10c
                     |   its own switches: local_switches -------------------------------------> ES10c
                     |   after a cut: interrupted_package, local_switches.settle ask the card what is true
                     v
          EmulatedCards -> CardMemory -> store.EmulatedCardFile (one file per EID), signatures by device_key

What a consumer card cannot give is answered as not available. A card that has the IoT functions itself is passed
through untouched. See docs/emulation.md for what the signatures prove.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from ipad_agent.card.errors import NotSupportedByCard
from ipad_agent.codec.ber import code_names, tlv
from ipad_agent.codec.ber.tlv_fields import ResultCode
from ipad_agent.codec.es10 import es10_requests
from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.codec.es10.es10_requests import (
    AddInitialEimResult,
    AuthenticateServerResponse,
    CancelSessionResponse,
    Certificates,
    ConfiguredAddresses,
    ConnectivityParameters,
    MemoryResetResult,
    PrepareDownloadResponse,
    ResetOption,
    RollbackResult,
)
from ipad_agent.codec.es10.es10c_requests import RESET_PARTS
from ipad_agent.codec.es10.euicc_info import EuiccInfo1, EuiccInfo2, IotSpecificInfo, IpaMode, Version
from ipad_agent.codec.es10.euicc_package import EuiccPackageResult
from ipad_agent.codec.es10.notifications import AllPackageResults, BySeqNumber, Criterion, RetrievedNotifications
from ipad_agent.codec.es10.profile_info import ProfileInfo
from ipad_agent.codec.es10.rules_authorisation_table import RulesAuthorisationTable
from ipad_agent.codec.identifiers import Eid
from ipad_agent.errors import CardError, CodecError
from ipad_agent.records import replace

from . import associated_eims, interrupted_package, local_switches
from .card_memory import CardMemory
from .device_key import DeviceKey
from .emulated_cards import EmulatedCards, ci_pkids
from .emulated_state import BindingState, EmulatedState, ImmediateEnabling, StoredResult
from .local_switches import Installed
from .package_checks import check
from .package_execution import execute_ecos, execute_psmos

RELEASE: Final = Version(1, 2, 0)
"""Of SGP.32, which is emulated."""
_NOT_AVAILABLE: Final = 127
_EIM_ALREADY_THERE: Final = 2
_NO_EMERGENCY_PROFILE: Final = 8
_NO_PARAMETERS: Final = bytes.fromhex("BF5F03810101")


class EmulatedEuicc:
    """Implements ``ManagedCard`` for whichever of these cards is there.

    Besides the errors of a card it raises ``StoreError``, where what is about to be done cannot be noted."""

    def __init__(self, cards: EmulatedCards) -> None:
        self._card = cards.card
        self._cards = cards
        self._lock = asyncio.Lock()
        self._installed: Installed | None = None

    @property
    def epoch(self) -> int:
        """See ``ManagedCard``."""
        return self._card.epoch

    @property
    def eid_now(self) -> Eid | None:
        """See ``ManagedCard``."""
        return self._card.eid_now

    @property
    def reset_due(self) -> bool:
        """As the card has it."""
        return self._card.reset_due

    @property
    def apdu_count(self) -> int:
        """As the card has it."""
        return self._card.apdu_count

    def state_of(self, eid: Eid) -> EmulatedState | None:
        """What counts for this card now, without asking it; None for one that is not emulated or was not seen yet."""
        memory = self._cards.seen(eid)
        return None if memory is None else memory.state

    # -- registration --------------------------------------------------------------------------------------------------

    async def take_bundle(self) -> None:
        """Use the provisioning bundle that waits, for a card that is served already."""
        async with self._lock:
            await self._settled()
            await self._cards.decide_anew()
            await self._cards.memory()

    def was_provisioned(self) -> bool:
        """Whether a bundle gave a card its eIMs since this was asked last."""
        return self._cards.was_provisioned()

    def key_of(self, eid: Eid) -> DeviceKey | None:
        """What signs for this card; None for one that is not emulated or was not seen yet."""
        memory = self._cards.seen(eid)
        return None if memory is None else memory.key

    async def note_binding(self, eid: Eid, state: BindingState) -> None:
        """What the eIM said to the self-binding."""
        async with self._lock:
            memory = self._cards.seen(eid)
            if memory is not None and memory.state.binding is not None:
                memory.hold(replace(memory.state, binding=replace(memory.state.binding, state=state)))

    # -- what is emulated ----------------------------------------------------------------------------------------------

    async def get_euicc_info2(self) -> EuiccInfo2:
        """As the card tells it; ``raw`` is the card's. That it can be managed is added to the view alone."""
        info2 = await self._card.get_euicc_info2()
        if await self._cards.memory() is None:
            return info2
        iot = IotSpecificInfo((RELEASE,), ecall=False, fallback=True, emulated=True)
        return replace(info2, iot=iot, ipa_mode=int(IpaMode.IPAD))

    async def get_eim_configuration(self) -> tuple[EimConfigurationData, ...]:
        memory = await self._cards.memory()
        if memory is None:
            return await self._card.get_eim_configuration()
        answer = associated_eims.configuration(memory.state)
        return es10_requests.parse_get_eim_configuration(answer).configs

    async def add_initial_eim(self, request: bytes) -> AddInitialEimResult:
        async with self._lock:
            memory = await self._settled()
            if memory is None:
                return await self._card.add_initial_eim(request)
            state, answer = associated_eims.add_initial(memory.state, request, await ci_pkids(self._card))
            if state != memory.state:
                memory.write(state)
            return es10_requests.parse_add_initial_eim(answer)

    async def load_euicc_package(self, raw: bytes) -> EuiccPackageResult:
        async with self._lock:
            memory = await self._settled()
            if memory is None:
                return await self._card.load_euicc_package(raw)
            try:
                package = check(memory.state, memory.key, raw)
            except CodecError as error:
                raise NotSupportedByCard(f"a package that cannot be read: {error.message}") from error
            if isinstance(package, bytes):
                answer = package
            elif package.is_eco:
                answer = execute_ecos(memory, package, await ci_pkids(self._card))
            else:
                await self._still_the_same(memory)
                self._installed = None
                answer = await execute_psmos(self._card, memory, package)
            return EuiccPackageResult.parse(answer)

    async def retrieve_notifications(self, criterion: Criterion | None = None) -> RetrievedNotifications:
        async with self._lock:
            memory = await self._settled()
            if memory is not None and isinstance(criterion, AllPackageResults):
                return _results(memory.state.results)
            if memory is not None and isinstance(criterion, BySeqNumber):
                found = memory.state.result(criterion.seq_number)
                if found is not None:
                    return _results((found,))
            return await self._card.retrieve_notifications(criterion)

    async def remove_notification(self, seq_number: int) -> ResultCode:
        async with self._lock:
            memory = await self._settled()
            if memory is None or memory.state.result(seq_number) is None:
                return await self._card.remove_notification(seq_number)
            memory.hold(memory.state.without_result(seq_number))
            return ResultCode(0, code_names.REMOVE_NOTIFICATION)

    async def get_profiles(self) -> tuple[ProfileInfo, ...]:
        """The card's, with the fallback attribute that this device keeps."""
        profiles = await self._card.get_profiles()
        memory = await self._cards.memory()
        if memory is None:
            return profiles
        fallback = memory.state.fallback
        return tuple(
            replace(profile, fallback_attribute=profile.iccid_raw == fallback is not None) for profile in profiles
        )

    async def profile_rollback(self) -> RollbackResult:
        async with self._lock:
            memory = await self._settled()
            if memory is None:
                return await self._card.profile_rollback()
            answer = await local_switches.profile_rollback(self._card, memory)
            return es10_requests.parse_profile_rollback(answer)

    async def execute_fallback(self) -> ResultCode:
        async with self._lock:
            memory = await self._settled()
            if memory is None:
                return await self._card.execute_fallback()
            code = await local_switches.execute_fallback(self._card, memory)
            return ResultCode(code, code_names.EXECUTE_FALLBACK)

    async def return_from_fallback(self) -> ResultCode:
        async with self._lock:
            memory = await self._settled()
            if memory is None:
                return await self._card.return_from_fallback()
            code = await local_switches.return_from_fallback(self._card, memory)
            return ResultCode(code, code_names.RETURN_FROM_FALLBACK)

    async def immediate_enable(self) -> ResultCode:
        async with self._lock:
            memory = await self._settled()
            if memory is None:
                return await self._card.immediate_enable()
            installed, self._installed = self._installed, None
            code = await local_switches.immediate_enable(self._card, memory, installed)
            if code == local_switches.CAT_BUSY:
                self._installed = installed  # it is tried again
            return ResultCode(code, code_names.IMMEDIATE_ENABLE)

    async def memory_reset(self, options: Iterable[ResetOption]) -> MemoryResetResult:
        """Profiles and address by the card; eIMs and immediate enabling are this device's state."""
        chosen = set(options)
        async with self._lock:
            memory = await self._settled()
            if memory is None:
                return await self._card.memory_reset(chosen)
            result = ResultCode(0, code_names.MEMORY_RESET)
            of_card = chosen - {ResetOption.EIM_CONFIGURATION, ResetOption.IMMEDIATE_ENABLE_CONFIGURATION}
            if of_card:
                result = (await self._card.reset_memory(of_card)).result
            if result.ok and of_card & RESET_PARTS - {ResetOption.DEFAULT_SMDP_ADDRESS}:
                memory.hold(await self._after_deletion(memory.state))
            eim = immediate = None
            if ResetOption.EIM_CONFIGURATION in chosen:
                eim = ResultCode(0 if memory.state.eims else 1, code_names.MEMORY_RESET_EIM)
                memory.hold(replace(memory.state, eims=()))
            if ResetOption.IMMEDIATE_ENABLE_CONFIGURATION in chosen:
                immediate = ResultCode(0, code_names.MEMORY_RESET_IMMEDIATE)
                memory.hold(replace(memory.state, immediate=None))
            return MemoryResetResult(result, eim, immediate)

    async def configure_immediate_enabling(
        self, *, enable: bool, smdp_oid: bytes | None = None, smdp_address: str | None = None
    ) -> ResultCode:
        """SGP.32 v1.2 §5.9.17: by hand only while no eIM manages the card; afterwards it is the eIM's to say."""
        async with self._lock:
            memory = await self._settled()
            if memory is None:
                return await self._card.configure_immediate_enabling(
                    enable=enable, smdp_oid=smdp_oid, smdp_address=smdp_address
                )
            if memory.state.eims:
                return ResultCode(_EIM_ALREADY_THERE, code_names.CONFIGURE_IMMEDIATE_LOCAL)
            chosen = ImmediateEnabling(smdp_oid, smdp_address) if enable else None
            memory.hold(replace(memory.state, immediate=chosen))
            return ResultCode(0, code_names.CONFIGURE_IMMEDIATE_LOCAL)

    async def install_profile(self, bpp: bytes, on_segment: Callable[[int, int], None]) -> bytes | None:
        self._installed = None
        result = await self._card.install_profile(bpp, on_segment)
        self._installed = Installed.read(result)
        return result

    # -- what a consumer card cannot give ------------------------------------------------------------------------------

    async def get_certs(self, ci_pkid: bytes | None = None) -> Certificates:
        """Its certificates are shown in a download session only."""
        if await self._cards.memory() is None:
            return await self._card.get_certs(ci_pkid)
        return Certificates(error=ResultCode(_NOT_AVAILABLE, code_names.GET_CERTS))

    async def get_connectivity_parameters(self) -> ConnectivityParameters:
        if await self._cards.memory() is None:
            return await self._card.get_connectivity_parameters()
        return es10_requests.parse_get_connectivity_parameters(_NO_PARAMETERS)

    async def enable_emergency_profile(self) -> ResultCode:
        if await self._cards.memory() is None:
            return await self._card.enable_emergency_profile()
        return ResultCode(_NO_EMERGENCY_PROFILE, code_names.ENABLE_EMERGENCY)

    async def disable_emergency_profile(self) -> ResultCode:
        if await self._cards.memory() is None:
            return await self._card.disable_emergency_profile()
        return ResultCode(_NO_EMERGENCY_PROFILE, code_names.DISABLE_EMERGENCY)

    async def ipae_activation(self, *, activate: bool = True) -> ResultCode:
        if await self._cards.memory() is None:
            return await self._card.ipae_activation(activate=activate)
        raise NotSupportedByCard("a consumer card has no IPAe")

    # -- the card's own ------------------------------------------------------------------------------------------------

    def ask_anew(self) -> None:
        self._card.ask_anew()
        self._cards.look_for_keys()

    async def get_eid(self) -> Eid:
        return await self._card.get_eid()

    async def get_euicc_info1(self) -> EuiccInfo1:
        return await self._card.get_euicc_info1()

    async def set_default_dp(self, address: str) -> ResultCode:
        if await self._cards.memory() is None:
            return await self._card.set_default_dp(address)
        return await self._card.set_default_dp_address(address.encode())

    async def get_configured_addresses(self) -> ConfiguredAddresses:
        return await self._card.get_configured_addresses()

    async def get_rat(self) -> RulesAuthorisationTable:
        return await self._card.get_rat()

    async def get_challenge(self) -> bytes:
        self._installed = None
        return await self._card.get_challenge()

    async def authenticate_server(self, request: bytes) -> AuthenticateServerResponse:
        return await self._card.authenticate_server(request)

    async def prepare_download(self, request: bytes) -> PrepareDownloadResponse:
        return await self._card.prepare_download(request)

    async def cancel_session(self, request: bytes) -> CancelSessionResponse:
        return await self._card.cancel_session(request)

    async def declare_ipad(self) -> None:
        await self._card.declare_ipad()

    async def verify_switched(self, expected: str | None = None) -> None:
        self._installed = None
        await self._card.verify_switched(expected)

    async def recover(self, *, first_rung: int | None = None, expected: str | None = None) -> None:
        self._installed = None
        await self._card.recover(first_rung=first_rung, expected=expected)

    async def restart_modem(self) -> None:
        self._installed = None
        await self._card.restart_modem()

    async def release(self) -> None:
        await self._card.release()

    async def close(self) -> None:
        await self._card.close()

    # -- the state of the card that is there ---------------------------------------------------------------------------

    async def _settled(self) -> CardMemory | None:
        """The state, after whatever was cut off is known; None for a card that is not emulated."""
        memory = await self._cards.memory()
        if memory is not None and memory.state.running is not None:
            await interrupted_package.finish(self._card, memory)
        if memory is not None and memory.state.local is not None:
            await local_switches.settle(self._card, memory)
        if memory is not None and not memory.looked_back:
            await local_switches.notice_rollback(self._card, memory)
            memory.looked_back = True
        return memory

    async def _still_the_same(self, memory: CardMemory) -> None:
        """Before a card is changed: whether it is the one that the order is for."""
        if (await self._card.get_eid()).bytes != memory.state.eid:
            raise CardError("another card was inserted")

    async def _after_deletion(self, state: EmulatedState) -> EmulatedState:
        self._card.ask_anew()
        left = {profile.iccid_raw for profile in await self._card.get_profiles()}
        return replace(state.after_switch(), fallback=state.fallback if state.fallback in left else None)


def _results(results: Iterable[StoredResult]) -> RetrievedNotifications:
    raw = tlv.encode(0xBF2B, tlv.encode(0xA2, *(result.raw for result in results)))
    return RetrievedNotifications.parse(raw)
