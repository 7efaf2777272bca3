"""The real rooms, built from the configuration: serial port, card, journal, carriers.

Together with ``main_loop.py`` and ``cli/`` this is the only place that knows more than its neighbours.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from ipad_agent.card import apdu
from ipad_agent.card.es10_functions import Euicc
from ipad_agent.card.es10_transport import ApduDeadlines
from ipad_agent.card.es10c_functions import ConsumerEuicc
from ipad_agent.card.isdr_session import IsdrSession, TerminalCapabilityPolicy
from ipad_agent.clock import Clock
from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.codec.es10.euicc_info import Version
from ipad_agent.codec.esipa.device_info import IpaCapabilities, IpaFeature, IpaProtocol, Release
from ipad_agent.codec.identifiers import Eid
from ipad_agent.config import Config, EimConfig, HttpsConfig, ModemConfig
from ipad_agent.eim import (
    BINDINGS,
    DialectChoice,
    EimClient,
    EndpointOverrides,
    FailoverCarrier,
    PeerDialect,
    ProtocolBits,
    Way,
    WayOverrides,
    endpoints_for,
)
from ipad_agent.eim.carrier_choice import BindingName, CarrierChoice, https_endpoint
from ipad_agent.eim.compact_sending import CompactSending
from ipad_agent.errors import ConfigError, EimError, StoreError
from ipad_agent.modem import events as modem_events
from ipad_agent.modem.module_profile import ModuleProfile, ProfileSet
from ipad_agent.modem.module_profile_files import load, search_path
from ipad_agent.modem.port.byte_stream import PortOpener
from ipad_agent.modem.port.gsmctl_port import PROGRAM, GsmctlOpener
from ipad_agent.modem.port.pcsc_port import SCHEME as PCSC
from ipad_agent.modem.port.pcsc_port import PcscOpener
from ipad_agent.modem.port.port_discovery import DiscoveringOpener
from ipad_agent.modem.port.serial_port import SerialPortOpener, SerialSettings
from ipad_agent.modem.port.tcp_port import SocketOpener, parse_url
from ipad_agent.modem.uicc.channel_record import ChannelRecord
from ipad_agent.modem.uicc.modem_card_access import ModemCardAccess
from ipad_agent.net import (
    Carrier,
    ClientCertificate,
    CoapsEndpoint,
    DtlsBackend,
    HttpsEndpoint,
    NameCheck,
    Psk,
    Trust,
)
from ipad_agent.procedures import events as procedure_events
from ipad_agent.procedures.context import DownloadRules
from ipad_agent.procedures.startup.initial_eim_provisioning import PLACE, read_initial_eims
from ipad_agent.records import dataclass, field
from ipad_agent.smdp import SmdpConnector, SmdpSettings
from ipad_agent.store import EmulatedCardFiles, Memory
from ipad_agent.store.state_documents import (
    BLOCK_SIZES,
    CHANNELS,
    CONNECTIONS,
    DIALECTS,
    ICCID_ORDER,
    SCHEDULE,
    SESSIONS,
    TOLD,
)

if TYPE_CHECKING:
    from ipad_agent.emulation.emulated_euicc import EmulatedEuicc

from .bind_requests import SelfBinding
from .bundle_files import BundleFiles
from .module_memory import Speeds, Ways, WrittenSettings

_DEFAULT_PATH: Final = EimConfig().path
MAX_DIALECTS: Final = 32
"""So many eIMs are remembered; a card has room for about ten."""
_ADMIN_PROTOCOL_OF_1_3: Final = "gsma/rsp/v1.3.0"
_WRITTEN_AS: Final[Mapping[str, DialectChoice]] = {"1.0": "1.0", "1.1": "1.2", "1.2": "1.2", "1.3": "1.3"}
"""The release whose messages a configured one has; v1.1 is on the wire as v1.2."""


@dataclass(frozen=True, slots=True)
class Card:
    """The card and the modem in front of it, as the daemon and the procedures want them."""

    euicc: Euicc | EmulatedEuicc
    access: ModemCardAccess
    imei_override: str | None
    tac_override: str | None = None
    releases_override: Mapping[str, int] = field(default_factory=dict)

    async def imei(self) -> str | None:
        """The configured IMEI, else the modem's."""
        return self.imei_override or (await self.access.identity()).imei

    async def tac(self) -> str | None:
        """The configured type allocation code, for a modem that hides its IMEI."""
        return self.tac_override

    async def releases(self) -> Mapping[Release, Version]:
        """The configured releases, else those of the module's profile."""
        await self.access.identity()
        known = self.releases_override or self.access.profile.releases.known()
        return {Release[name.upper()]: Version(release, 0, 0) for name, release in known.items()}

    async def rplmn(self) -> str | None:
        """Where the modem is registered, as digits."""
        return await self.access.rplmn()


def open_card(
    config: Config,
    memory: Memory,
    clock: Clock,
    *,
    emulated_cards: EmulatedCardFiles | None = None,
    bundles: BundleFiles | None = None,
) -> Card:
    """The card behind the configured port; nothing is opened yet. With ``emulated_cards``, where the configuration
    wants it, it has the IoT functions in front of it, which may come from one of ``bundles``. Raises
    ``ConfigError``."""
    modem, card = config.modem, config.card
    profiles = load(search_path(modem.profiles_dir))
    for problem in profiles.problems:
        modem_events.PROFILE_PROBLEM.emit(problem=problem.message)
    forced: ModuleProfile | None = None
    if modem.profile != "auto":
        forced = profiles.named(modem.profile)
        if forced is None:
            known = ", ".join(sorted(profile.name for profile in profiles.profiles))
            raise ConfigError("modem.profile", f"no profile {modem.profile!r}", allowed=f"auto, {known}")
    access = ModemCardAccess(
        _opener(modem, config.store.runtime_dir, profiles, forced),
        profiles,
        memory=_ChannelFile(memory),
        printing=_IccidOrder(memory),
        ways=Ways(memory),
        settings=WrittenSettings(memory),
        slot=modem.slot,
        fast_baud=modem.fast_baud,
        speeds=Speeds(memory),
        boot_id=clock.boot_id(),
        consent_nvm_writes=modem.allow_nvm_writes,
        restore_function=modem.restore_function,
        forced_profile=forced,
        forced_way=None if modem.transport == "auto" else modem.transport,
    )
    session = IsdrSession(
        access,
        aids=card.isdr_aids or (apdu.ISD_R_AID,),
        terminal_capability=cast(TerminalCapabilityPolicy, card.terminal_capability),
        deadlines=ApduDeadlines(card.apdu_timeout_s, card.last_block_timeout_s),
        block_sizes=_BlockSizes(memory),
    )
    ipa = config.ipa
    releases = {name: int(release) for name, _, release in (text.partition("=") for text in ipa.releases)}
    consumer = ConsumerEuicc(
        session, recover_limit_s=card.recover_timeout_s, give_port_back=modem.inhibit_modem_manager
    )
    euicc: Euicc | EmulatedEuicc = consumer
    if emulated_cards is not None and card.emulate_iot != "never":
        # Only then: it loads cryptography.
        from ipad_agent.emulation.emulated_cards import EmulateIot
        from ipad_agent.emulation.emulated_euicc import EmulatedEuicc
        from ipad_agent.emulation.keys.key_place import key_place

        keys = key_place(config.store.state_dir, card)
        euicc = EmulatedEuicc(
            consumer,
            emulated_cards,
            keys,
            clock,
            mode=EmulateIot(card.emulate_iot),
            random_bits=secrets.randbits,
            bundles=bundles,
        )
        if bundles is not None:
            bundles.belongs_to(euicc)
    return Card(euicc, access, ipa.imei, ipa.tac, releases)


def _opener(modem: ModemConfig, runtime_dir: Path, profiles: ProfileSet, forced: ModuleProfile | None) -> PortOpener:
    settings = SerialSettings(
        path=Path(modem.port),
        baud_rates=(modem.baud,),
        rtscts=modem.rtscts,
        lock_folder=modem.lock_dir,
        own_lock_folder=runtime_dir,
    )
    if modem.port == "auto":
        finder = DiscoveringOpener(settings, profiles.profiles, forced=forced)
        return _inhibiting(modem, finder, lambda: finder.find(asyncio.get_running_loop().time()))
    if modem.port == PROGRAM:
        return GsmctlOpener()
    if modem.port.partition(":")[0] == PCSC:
        return PcscOpener(modem.port.partition(":")[2])
    if modem.port.startswith("socket://"):
        address = parse_url(modem.port)
        if address is None:
            raise ConfigError("modem.port", f"{modem.port} has no usable port number", allowed="socket://host:port")
        return SocketOpener(*address)
    return _inhibiting(modem, SerialPortOpener(settings), lambda: settings.path)


def _inhibiting(modem: ModemConfig, opener: PortOpener, where: Callable[[], Path]) -> PortOpener:
    if not modem.inhibit_modem_manager:
        return opener
    from .modem_manager import InhibitingOpener, Inhibition

    return InhibitingOpener(opener, where, Inhibition())


def bundle_files(config: Config, memory: Memory, clock: Clock) -> BundleFiles | None:
    """Where provisioning bundles wait; None where this device takes no eIM from anybody here."""
    if not config.provisioning.allow:
        return None
    return BundleFiles(config.provisioning.bundle, config.store.state_dir, memory, clock)


def initial_eims(config: Config) -> bytes | None:
    """The AddInitialEim request of the configuration, checked; None when there is none. Raises ``ConfigError``."""
    path = config.provisioning.initial_eim
    if path is None or not config.provisioning.allow:
        return None
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(PLACE, f"{path} cannot be read: {error.strerror}") from error
    return read_initial_eims(data, str(path))


class EimLinks:
    """Links to eIMs. One TLS backend for all, so that sessions are resumed; a changed entry gets a new link.

    ``memory`` keeps what the eIMs showed of their dialects; without it, it is learned anew. ``on_packet`` is called
    with everything that is sent and received."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        memory: Memory | None = None,
        *,
        on_packet: Callable[[], None] | None = None,
    ) -> None:
        self._config = config
        self._on_packet = on_packet
        self._clock = clock
        self._memory = memory
        self._backend: DtlsBackend | None = None
        self._links: dict[bytes, EimClient] = {}

    def link(self, config: EimConfigurationData, eid: Eid) -> EimClient:
        """The link for this entry of the card. Raises ``ConfigError`` or ``NetworkError`` when it cannot be made."""
        known = self._links.get(config.raw)
        if known is None:
            known = self._links[config.raw] = self._make(config, eid)
        return known

    def keep_only(self, configs: list[EimConfigurationData]) -> None:
        """Forget the links to entries that are no longer on the card."""
        wanted = {config.raw for config in configs}
        self._links = {raw: link for raw, link in self._links.items() if raw in wanted}

    def endpoints(self, config: EimConfigurationData) -> tuple[CoapsEndpoint | HttpsEndpoint, ...]:
        """The ways to this eIM, the preferred first. Raises ``IpadError`` when there is none."""
        chosen = self._chosen(config)
        return endpoints_for(config, self._overrides(chosen), self._ways(chosen), default_trust=self._default_trust())

    def https_endpoint(self, config: EimConfigurationData) -> HttpsEndpoint:
        """Where this eIM is by HTTPS, whatever it is polled over. Raises as ``endpoints``."""
        chosen = self._chosen(config)
        return https_endpoint(config, self._overrides(chosen), self._ways(chosen), default_trust=self._default_trust())

    def _chosen(self, config: EimConfigurationData) -> EimConfig:
        chosen = self._config.eim_named(config.eim_id) or EimConfig(id=config.eim_id)
        if not chosen.enabled:
            raise EimError("switched off in the configuration", hint="Set enabled = true in its [[eim]] table.")
        return chosen

    def _make(self, config: EimConfigurationData, eid: Eid) -> EimClient:
        chosen, endpoints = self._chosen(config), self.endpoints(config)
        ways = [Way(_scheme(endpoint), partial(self._carrier, endpoint)) for endpoint in endpoints]
        carrier = FailoverCarrier(ways, eim_id=config.eim_id)
        known = None if self._memory is None else _Dialects(self._memory, config.eim_id)
        told = None if self._memory is None else _Dialects(self._memory, f"{eid} {config.eim_id}", TOLD)
        return EimClient(
            carrier,
            eid,
            eim_id=config.eim_id,
            dialect=PeerDialect(config.eim_id, _WRITTEN_AS.get(chosen.dialect, "auto"), known),
            binding=BINDINGS[chosen.binding],
            host=endpoints[0].host,
            compact=CompactSending(
                wanted=minimizes(self._config) and chosen.compact == "auto", memory=told, clock=self._clock
            ),
        )

    def _carrier(self, endpoint: CoapsEndpoint | HttpsEndpoint) -> Carrier:
        """Loads the libraries of this carrier, and only of this."""
        if isinstance(endpoint, HttpsEndpoint):
            from ipad_agent.net import HttpsCarrier

            return HttpsCarrier(endpoint, clock=self._clock, on_packet=self._on_packet)
        from ipad_agent.net import CoapsCarrier, best_backend

        if self._backend is None:
            self._backend = best_backend(
                connection_ids=self._config.coap.connection_id,
                sessions=None if self._memory is None else _Sessions(self._memory, SESSIONS),
                connections=None if self._memory is None else _Sessions(self._memory, CONNECTIONS),
                shelf=None if self._memory is None else self._memory.single_use(CONNECTIONS),
                clock=self._clock,
            )
        return CoapsCarrier(endpoint, backend=self._backend, clock=self._clock, on_packet=self._on_packet)

    def _ways(self, chosen: EimConfig) -> WayOverrides:
        https = self._config.https
        admin_protocol = chosen.admin_protocol or https.admin_protocol
        if chosen.admin_protocol is None and chosen.dialect == "1.3" and admin_protocol == HttpsConfig().admin_protocol:
            admin_protocol = _ADMIN_PROTOCOL_OF_1_3
        return WayOverrides(
            carrier=cast(CarrierChoice, chosen.carrier),
            binding=cast(BindingName, chosen.binding),
            https_port=chosen.https_port,
            connect_timeout_s=https.connect_timeout_s,
            exchange_timeout_s=https.exchange_timeout_s,
            user_agent=https.user_agent,
            admin_protocol=admin_protocol,
        )

    def _overrides(self, chosen: EimConfig) -> EndpointOverrides:
        coap = self._config.coap
        psk = None
        if chosen.psk_identity is not None:
            if chosen.psk_key_file is None:
                raise ConfigError(f"eim {chosen.id}: psk_key_file", "is missing although psk_identity is set")
            psk = Psk(chosen.psk_identity.encode(), chosen.psk_key_file.read_key())
        return EndpointOverrides(
            host=chosen.host,
            port=chosen.port,
            path=None if chosen.path == _DEFAULT_PATH else chosen.path,
            psk=psk,
            client_certificate=client_certificate(chosen),
            name_check=NameCheck(chosen.verify_name),
            allow_expired=chosen.allow_expired or self._config.trust.allow_expired,
            content_format=chosen.content_format,
            block_size_exp=coap.block_size.bit_length() - 5,
            ack_timeout_s=coap.ack_timeout_s,
            max_retransmit=coap.max_retransmit,
            handshake_timeout_s=coap.handshake_timeout_s,
            flight_timeout_s=coap.flight_timeout_s,
            exchange_timeout_s=coap.exchange_timeout_s,
            nat_timeout_s=coap.nat_timeout_s,
            nstart=coap.nstart,
            max_response_bytes=self._config.download.max_package_bytes * 4 // 3 + 8192,  # as text in the JSON binding
            lean=coap.lean_handshake,
            close_notify=coap.close_notify,
            keep_open=coap.keep_session,
            protocol_bits=ProtocolBits(chosen.protocol_bits),
        )

    def _default_trust(self) -> Trust | None:
        path = self._config.trust.ca_file
        return None if path is None else Trust.from_file(path)


def client_certificate(eim: EimConfig) -> ClientCertificate | None:
    """What this device shows to an eIM that asks for a certificate. Raises ``ConfigError`` when it cannot be used."""
    certificate, key = eim.client_certificate, eim.client_key_file
    if certificate is None or key is None:
        return None
    return ClientCertificate.from_pem(
        certificate.read_pem(public=True), key.read_pem(), certificate_place=certificate.path, key_place=key.path
    )


def _scheme(endpoint: CoapsEndpoint | HttpsEndpoint) -> str:
    return "https" if isinstance(endpoint, HttpsEndpoint) else "coaps"


def self_binding(card: Card, links: EimLinks, clock: Clock, able: IpaCapabilities) -> SelfBinding | None:
    """How eIMs get to know the key that signs for an emulated card; None for a card that is not emulated."""
    if isinstance(card.euicc, Euicc):
        return None
    return SelfBinding(card.euicc, links.https_endpoint, clock, able, card.imei)


def smdp_connector(
    config: Config, clock: Clock, *, on_packet: Callable[[], None] | None = None
) -> SmdpConnector | None:
    """Links to SM-DP+s and SM-DSs; None when nothing is configured that could vouch for one, or all of it shall go
    through the eIM."""
    https, trust = config.https, config.trust
    if config.download.way == "indirect" or (trust.ci_dir is None and not trust.web_pki):
        return None
    settings = SmdpSettings(
        ci_dir=trust.ci_dir,
        web_pki=trust.web_pki,
        allow_expired=trust.allow_expired,
        user_agent=https.smdp_user_agent,
        admin_protocol=https.admin_protocol,
        connect_timeout_s=https.connect_timeout_s,
        exchange_timeout_s=https.exchange_timeout_s,
        allow_private_servers=config.download.allow_private_servers,
        max_bpp_bytes=config.download.max_package_bytes,
    )
    return SmdpConnector(settings, clock=clock, on_packet=on_packet)


def capabilities(config: Config, connector: SmdpConnector | None) -> IpaCapabilities:
    """What this IPA announces: what it can do as it is set up, and what the configuration leaves to eIMs as far as
    this IPA acts on it."""
    features = set()
    for name in config.ipa.features:
        feature = IpaFeature[name.upper()]
        if config.download.way == "direct":
            procedure_events.FEATURE_NOT_DONE.emit(feature=name)
        else:
            features.add(feature)
    if config.download.way != "direct":
        features.add(IpaFeature.INDIRECT_RSP_SERVER_COMMUNICATION)
    if connector is not None:
        features.add(IpaFeature.DIRECT_RSP_SERVER_COMMUNICATION)
    protocols = {IpaProtocol.RETRIEVE_COAPS, IpaProtocol.RETRIEVE_HTTPS}
    pushed = {"https": IpaProtocol.INJECT_HTTPS, "coaps": IpaProtocol.INJECT_COAPS}
    protocols |= {pushed[place.partition("://")[0]] for place in config.inject.listen}
    return IpaCapabilities(frozenset(features), frozenset(protocols))


def minimizes(config: Config) -> bool:
    """Whether this IPA announces that it leaves out what an eIM knows."""
    return "minimize_esipa_bytes" in config.ipa.features and config.download.way != "direct"


def download_rules(config: Config) -> DownloadRules:
    """What was decided about downloads. Raises ``SecretError`` when the confirmation code cannot be read."""
    file = config.download.confirmation_code_file
    return DownloadRules(
        eim_is_consent=config.download.eim_is_consent,
        confirmation_code=None if file is None else file.read_text(),
        allow_expired=config.trust.allow_expired,
        give_up_s=config.download.give_up_s,
        max_attempts=config.download.max_attempts,
    )


# -- what is remembered over restarts ----------------------------------------------------------------------------------


class Schedules:
    """The timetable's document in the store."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def load(self) -> Mapping[str, object]:
        return self._memory.load(SCHEDULE)

    def save(self, document: Mapping[str, object]) -> None:
        self._memory.save(SCHEDULE, document)


class _Dialects:
    """What is known of one eIM's dialect, or what it was told. Worth one more refusal after a
    restart, not worth failing for; the store has said what is wrong."""

    def __init__(self, memory: Memory, eim_id: str, document: str = DIALECTS) -> None:
        self._memory = memory
        self._eim_id = eim_id
        self._document = document

    def load(self) -> Mapping[str, object]:
        found = self._memory.load(self._document).get(self._eim_id)
        return found if isinstance(found, Mapping) else {}

    def save(self, document: Mapping[str, object]) -> None:
        known = self._memory.load(self._document)
        others = [(eim_id, what) for eim_id, what in known.items() if eim_id != self._eim_id]
        with contextlib.suppress(StoreError):
            self._memory.save(self._document, dict([*others[-MAX_DIALECTS:], (self._eim_id, dict(document))]))


class _Sessions:
    """DTLS sessions of this boot. A full handshake after a restart is no harm; the store has said what is wrong."""

    def __init__(self, memory: Memory, name: str) -> None:
        self._memory = memory
        self._name = name

    def load(self) -> Mapping[str, object]:
        found = self._memory.load(self._name).get("dtls")
        return found if isinstance(found, Mapping) else {}

    def save(self, records: Mapping[str, object]) -> None:
        with contextlib.suppress(StoreError):
            self._memory.save(self._name, {"dtls": dict(records)})


class _ChannelFile:
    """The one logical channel this agent may leave open, below the runtime folder."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def load(self) -> ChannelRecord | None:
        found = self._memory.load(CHANNELS)
        texts = [found.get(name) for name in ("way", "handle", "imei", "boot_id")]
        if not all(isinstance(text, str) for text in texts):
            return None
        return ChannelRecord(*cast("list[str]", texts))

    def save(self, record: ChannelRecord) -> None:
        self._put({"way": record.way, "handle": record.handle, "imei": record.imei, "boot_id": record.boot_id})

    def clear(self) -> None:
        if self._memory.load(CHANNELS):
            self._put({})

    def _put(self, document: Mapping[str, object]) -> None:
        # Worth a clean-up after a crash, not worth losing the card for; the store has said what is wrong.
        with contextlib.suppress(StoreError):
            self._memory.save(CHANNELS, document)


class _BlockSizes:
    """Which STORE DATA size worked with which module."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def load(self, key: str) -> int | None:
        size = self._memory.load(BLOCK_SIZES).get(key)
        return size if isinstance(size, int) else None

    def save(self, key: str, size_bytes: int) -> None:
        self._memory.save(BLOCK_SIZES, {**self._memory.load(BLOCK_SIZES), key: size_bytes})


class _IccidOrder:
    """Which module prints the ICCID as it stands in the card's file."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def as_in_file(self, key: str) -> bool:
        return self._memory.load(ICCID_ORDER).get(key) is True

    def save(self, key: str) -> None:
        with contextlib.suppress(StoreError):  # it is seen again, and the store has said what is wrong
            self._memory.save(ICCID_ORDER, {**self._memory.load(ICCID_ORDER), key: True})
