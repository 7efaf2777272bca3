"""What the procedures need from the other rooms, and nothing more.

The rooms themselves stay out of sight: a procedure sees a card, a link to one eIM, a journal, a memory and a radio,
so that the whole of clause 3 of SGP.32 runs against a real modem, against the lab's parts in memory, or against the
few lines of a test. Errors of a card are ``CardError`` or ``ModemError``, of a link ``NetworkError`` or ``EimError``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from ipad_agent.codec.ber.tlv_fields import ResultCode
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
from ipad_agent.codec.es10.euicc_info import EuiccInfo1, EuiccInfo2, Version
from ipad_agent.codec.es10.euicc_package import EuiccPackageResult
from ipad_agent.codec.es10.notifications import Criterion, RetrievedNotifications
from ipad_agent.codec.es10.profile_info import ProfileInfo
from ipad_agent.codec.es10.rules_authorisation_table import RulesAuthorisationTable
from ipad_agent.codec.esipa.device_info import Release
from ipad_agent.codec.esipa.eim_package import EimPackage, ProvideResultResponse, StateChangeCause
from ipad_agent.codec.esipa.esipa_download import (
    AuthenticateClientOk,
    AuthenticateClientSmds,
    BoundProfilePackage,
    InitiateAuthenticationOk,
)
from ipad_agent.codec.identifiers import Eid, Plmn
from ipad_agent.codec.packet_connection import PacketConnection
from ipad_agent.codec.rsp.es9_messages import EventEntries
from ipad_agent.policy.polling.hold_reason import Held
from ipad_agent.policy.switching.proof_stage import Finding


class Card(Protocol):
    """The ES10 functions that the procedures use (SGP.32 v1.2 §5.9)."""

    def ask_anew(self) -> None:
        """Forget what the card said: somebody wants to see the card itself."""

    async def get_eid(self) -> Eid: ...

    async def get_euicc_info1(self) -> EuiccInfo1: ...

    async def get_euicc_info2(self) -> EuiccInfo2: ...

    async def get_eim_configuration(self) -> tuple[EimConfigurationData, ...]: ...

    async def add_initial_eim(self, request: bytes) -> AddInitialEimResult: ...

    async def load_euicc_package(self, raw: bytes) -> EuiccPackageResult: ...

    async def retrieve_notifications(self, criterion: Criterion | None = None) -> RetrievedNotifications: ...

    async def remove_notification(self, seq_number: int) -> int: ...

    async def get_profiles(self) -> tuple[ProfileInfo, ...]: ...

    async def get_configured_addresses(self) -> ConfiguredAddresses: ...

    async def get_certs(self, ci_pkid: bytes | None = None) -> Certificates: ...

    async def get_rat(self) -> RulesAuthorisationTable: ...

    async def get_challenge(self) -> bytes: ...

    async def authenticate_server(self, request: bytes) -> AuthenticateServerResponse: ...

    async def prepare_download(self, request: bytes) -> PrepareDownloadResponse: ...

    async def install_profile(self, bpp: bytes, on_segment: Callable[[int, int], None]) -> bytes | None:
        """Load a whole bound profile package (BF36); ``on_segment(done, total)`` after each segment. The
        ProfileInstallationResult (BF37), or None when the card took everything and said nothing. ``IpadError`` of
        the SM-DP+'s side when the package cannot be cut into segments; then nothing was sent."""

    async def cancel_session(self, request: bytes) -> CancelSessionResponse: ...

    async def immediate_enable(self) -> ResultCode: ...

    async def profile_rollback(self) -> RollbackResult: ...

    async def get_connectivity_parameters(self) -> ConnectivityParameters: ...

    async def verify_switched(self, expected: str | None = None) -> None:
        """As ``recover``, but through a card reset until modem and card agree, whatever was seen before."""

    async def recover(self, *, first_rung: int | None = None, expected: str | None = None) -> None:
        """Get the card back; ``expected`` is the profile (digits, or ``NO_PROFILE``) that the modem has to see after a
        switch, and with ``first_rung`` (1: the gentlest) it is reset in any case."""

    async def restart_modem(self) -> None:
        """The hardest reset that the way to the card has, and the card back after it; errors as of ``recover``."""

    async def execute_fallback(self) -> ResultCode: ...

    async def return_from_fallback(self) -> ResultCode: ...

    async def enable_emergency_profile(self) -> ResultCode: ...

    async def disable_emergency_profile(self) -> ResultCode: ...

    async def memory_reset(self, options: Iterable[ResetOption]) -> MemoryResetResult: ...


class DeclaringCard(Card, Protocol):
    """A card that may have an IPAe of its own (SGP.32 v1.2 §3.8)."""

    async def declare_ipad(self) -> None:
        """Tell the card that this device holds an IPAd, whatever it was told before (SGP.32 v1.2 §3.8.2)."""

    async def ipae_activation(self, *, activate: bool = True) -> ResultCode: ...


class EimLink(Protocol):
    """One secured association with one eIM, for the length of a procedure (SGP.32 v1.2 §5.14)."""

    @property
    def host(self) -> str | None:
        """Where it leads, a name or an address; None when that is not known."""

    @property
    def carrier(self) -> str | None:
        """``coaps`` or ``https``, as it is used now."""

    @property
    def traffic_bytes(self) -> int:
        """Payload bytes of the transport since the link was made, both directions."""

    @property
    def change_untold(self) -> bool:
        """Whether the state change given with the last question has to be told again: the answer was to a question
        without it."""

    async def reach(self) -> None:
        """Make the secured association and say nothing over it."""

    async def get_eim_package(
        self, *, state_change: StateChangeCause | None = None, rplmn: Plmn | None = None
    ) -> EimPackage: ...

    async def provide_eim_package_result(self, result: bytes) -> ProvideResultResponse: ...

    async def handle_notification(self, raw: bytes) -> None: ...

    async def initiate_authentication(
        self,
        *,
        challenge: bytes,
        smdp_address: str | None = None,
        euicc_info1: bytes | None = None,
        eim_transaction_id: bytes | None = None,
    ) -> InitiateAuthenticationOk: ...

    async def authenticate_client(
        self, transaction_id: bytes, response: bytes
    ) -> AuthenticateClientOk | AuthenticateClientSmds: ...

    async def get_bound_profile_package(
        self, transaction_id: bytes, prepare_download_response: bytes
    ) -> BoundProfilePackage: ...

    async def cancel_session(self, transaction_id: bytes, response: bytes) -> None: ...

    async def close(self) -> None: ...


class SmdpLink(Protocol):
    """One secured association with an SM-DP+ or SM-DS (ES9+, ES11; SGP.22 v2.5 §5.6, §5.8).

    A refusal of the server is an ``IpadError`` of the SM-DP+'s side with remedy ``GIVE_UP``.
    """

    async def initiate_authentication(self, *, challenge: bytes, euicc_info1: bytes) -> InitiateAuthenticationOk: ...

    async def authenticate_client(
        self, transaction_id: bytes, response: bytes
    ) -> AuthenticateClientOk | EventEntries: ...

    async def get_bound_profile_package(
        self,
        transaction_id: bytes,
        prepare_download_response: bytes,
        *,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> bytes: ...

    async def cancel_session(self, transaction_id: bytes, response: bytes) -> None: ...

    async def handle_notification(self, pending: bytes) -> None: ...

    async def close(self) -> None: ...


class SmdpConnector(Protocol):
    """Makes links to SM-DP+s and SM-DSs; their TLS certificates must lead to one of the card's CIs."""

    def connect(self, address: str, *, ci_pkids: tuple[bytes, ...]) -> SmdpLink:
        """Raises ``IpadError`` when the address is none or no CI of the card is known; nothing is sent yet."""


class CountsByPurpose(Protocol):
    """A link that knows what its bytes went to."""

    @property
    def traffic_by_purpose(self) -> Mapping[str, int]: ...


class CountsBytes(Protocol):
    """A connector that knows what all its links have cost."""

    @property
    def spent_bytes(self) -> int: ...


class EntryView(Protocol):
    """An open entry of the journal: something this device owes somebody. One that is changed becomes another object."""

    @property
    def id(self) -> int: ...

    @property
    def kind(self) -> str: ...

    @property
    def facts(self) -> Mapping[str, object]: ...


class Journal(Protocol):
    """Entries that survive any crash.

    ``open`` and ``update`` are for what is about to be done: they return only when it is on the disk, and raise
    ``StoreError``; ``open`` does so also when too much is owed already. ``adopt``, ``note`` and ``close`` are for what
    is so already: it holds at once, and is on the disk as soon as that takes it.
    """

    @property
    def room_for_work(self) -> bool: ...

    def open(self, kind: str, facts: Mapping[str, object]) -> int: ...

    def update(self, identity: int, **facts: object) -> object: ...

    def adopt(self, kind: str, facts: Mapping[str, object]) -> int: ...

    def note(self, identity: int, **facts: object) -> object: ...

    def unwritten(self, kind: str) -> bool:
        """Whether the disk lacks anything that was noted of entries of this kind, also of some that are closed."""

    def close(self, identity: int, outcome: str) -> None: ...

    def entries(self, kind: str | None = None) -> Sequence[EntryView]: ...


class Memory(Protocol):
    """Small documents by name: what was last known, kept over restarts. What is saved holds at once, and is on the disk
    as soon as that takes it."""

    def load(self, name: str) -> Mapping[str, object]: ...

    def save(self, name: str, document: Mapping[str, object]) -> None: ...


class Device(Protocol):
    """What the modem knows: who it is and where it is registered."""

    async def imei(self) -> str | None: ...

    async def tac(self) -> str | None:
        """The type allocation code (8 digits) where the IMEI is not told; None when that is not known either."""

    async def releases(self) -> Mapping[Release, Version]:
        """Which radio technologies the device supports, up to which release; what is not known is left out."""

    async def rplmn(self) -> str | None: ...


class Network(Protocol):
    """Whether the device is connected, stage by stage. Every look has a deadline and never raises ``IpadError``."""

    async def card(self, iccid: str) -> Finding:
        """Whether the modem works with this profile (digits), which is enabled on the card."""

    async def registration(self) -> Finding:
        """Whether the modem is registered for data."""

    async def ip(self, host: str | None) -> Finding:
        """Whether there is an address, and a route to ``host`` where one is given."""

    async def dns(self, host: str) -> Finding:
        """Whether the name has an address; ok for what is no name."""

    async def use(self, connection: PacketConnection) -> None:
        """The connection is to be made in this way from now on. Whoever makes it is told here, and by the hooks;
        failures are reported and change nothing."""

    async def application(self) -> Finding:
        """Whether the site's own application gets through; ``ok`` None when nothing is configured to try it."""


class Site(Protocol):
    """What the site wants to know and to decide: its hooks and its conditions."""

    async def hook(self, moment: str, facts: Mapping[str, str]) -> None:
        """Run the scripts for ``moment`` (pre-switch, post-switch, committed, rolled-back) with the facts in their
        environment, each within its deadline. A script that fails or hangs is reported and changes nothing."""

    async def conditions(self) -> tuple[Held, ...]:
        """What speaks against work that can wait; empty when nothing does."""

    def apn(self, iccid: str) -> str | None:
        """The APN for a profile from the site's table; None when the table does not know it, empty for "none"."""
