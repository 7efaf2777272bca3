"""A card, an eIM and a journal in a few lines each: what they were asked is on record, what they answer is scripted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ipad_agent.codec.ber import tlv
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
    parse_authenticate_server,
    parse_cancel_session,
    parse_prepare_download,
)
from ipad_agent.codec.es10.euicc_info import EuiccInfo1, EuiccInfo2, Version
from ipad_agent.codec.es10.euicc_package import EuiccPackageResult
from ipad_agent.codec.es10.notifications import AllPackageResults, Criterion, RetrievedNotifications
from ipad_agent.codec.es10.profile_info import ProfileInfo
from ipad_agent.codec.es10.rules_authorisation_table import RulesAuthorisationTable
from ipad_agent.codec.esipa.device_info import IpaCapabilities, IpaFeature, Release
from ipad_agent.codec.esipa.eim_package import EimPackage, NoPackage, ProvideResultResponse, StateChangeCause
from ipad_agent.codec.esipa.esipa_download import (
    AuthenticateClientOk,
    AuthenticateClientSmds,
    BoundProfilePackage,
    InitiateAuthenticationOk,
)
from ipad_agent.codec.identifiers import Eid, Plmn
from ipad_agent.errors import CodecError
from ipad_agent.policy.switching.switch_settings import SwitchSettings
from ipad_agent.procedures.context import Association, Context, DownloadRules
from ipad_agent.procedures.ports import SmdpConnector
from ipad_agent.procedures.records.local_switch_record import LocalSwitchRecord
from ipad_agent.procedures.records.owed_work import WorkList
from ipad_agent.procedures.records.receiver_backoff import Receivers
from ipad_agent.procedures.records.redeliveries import Redeliveries
from ipad_agent.procedures.records.state_changes import StateChanges
from ipad_agent.procedures.records.switch_record import Switches

EID = Eid.parse("89049032000000000000000000000124")
ICCID_A = "5A0A98001032547698103214"
ICCID_B = "5A0A98001032547698103224"


def signed_result(seq: int, *, eim: str = "eim1", counter: int = 1, results: str = "830100") -> bytes:
    """A signed eUICC package result (BF51 { A0 }); ``results`` is the hex of its result list's content."""
    data = tlv.encode(
        0x30,
        tlv.encode(0x80, eim.encode()),
        tlv.encode_integer(0x81, counter),
        tlv.encode_integer(0x83, seq),
        tlv.encode(0x30, bytes.fromhex(results)),
    )
    return tlv.encode(0xBF51, tlv.encode(0xA0, data, tlv.encode(0x5F37, bytes(64))))


def package(*, eim: str = "eim1", counter: int = 1, operations: str = "A30C" + ICCID_A, list_tag: int = 0xA0) -> bytes:
    """An eUICC package (BF51) with these operations."""
    signed = tlv.encode(
        0x30,
        tlv.encode(0x80, eim.encode()),
        tlv.encode(0x5A, EID.bytes),
        tlv.encode_integer(0x81, counter),
        tlv.encode(list_tag, bytes.fromhex(operations)),
    )
    return tlv.encode(0xBF51, signed, tlv.encode(0x5F37, bytes(64)))


def notification(seq: int, *, address: str = "smdp.example") -> bytes:
    """An otherSignedNotification (enable); the certificates are empty sequences."""
    metadata = tlv.encode(
        0xBF2F,
        tlv.encode_integer(0x80, seq),
        bytes.fromhex("81020640"),
        tlv.encode(0x0C, address.encode()),
        bytes.fromhex(ICCID_A),
    )
    return tlv.encode(0x30, metadata, tlv.encode(0x5F37, bytes(64)), b"\x30\x00", b"\x30\x00")


def profile(iccid: str, *, enabled: bool, more: str = "") -> ProfileInfo:
    """A profile by the hex of its 5A element."""
    state = "9F700101" if enabled else "9F700100"
    return ProfileInfo.parse(tlv.encode(0xE3, bytes.fromhex(iccid + state + more)))


def eim_config(eim: str = "eim1", *, token: int | None = None, indirect: bool = False) -> EimConfigurationData:
    return EimConfigurationData.build(eim_id=eim, counter=0, association_token=token, indirect_download=indirect)


CHALLENGE = bytes.fromhex("C0C1C2C3C4C5C6C7C8C9CACBCCCDCECF")
AUTHENTICATED = bytes.fromhex("BF3808A0063004800211A1")
"""A BF38 that the card signed, cut down to what the IPA reads: the transaction."""
PREPARED = bytes.fromhex("BF2108A0063004800211A1")
CANCELLED = bytes.fromhex("BF4102A000")
EMPTY_RAT = bytes.fromhex("BF4302A000")


@dataclass
class FakeCard:
    """``stored`` are the results on the card, ``pending`` its notifications, by number.

    The download functions answer with ``authenticated``, ``prepared``, ``cancelled`` and ``enabled_at_once`` (an
    exception is raised); ``install`` does what the card does with a package.
    """

    script: list[object] = field(default_factory=list)
    stored: dict[int, bytes] = field(default_factory=dict)
    pending: dict[int, bytes] = field(default_factory=dict)
    profiles: list[ProfileInfo] = field(default_factory=list)
    configs: tuple[EimConfigurationData, ...] = (eim_config(),)
    certificates: Certificates = field(default_factory=lambda: Certificates(b"\x30\x01\x01", b"\x30\x01\x02"))
    info2: bytes = bytes.fromhex("BF2209 900100 B404A0020400".replace(" ", ""))
    add_result: AddInitialEimResult = field(default_factory=lambda: AddInitialEimResult((None,)))
    log: list[str] = field(default_factory=list)
    loaded: list[bytes] = field(default_factory=list)
    authenticated: bytes | BaseException = AUTHENTICATED
    prepared: bytes | BaseException = PREPARED
    cancelled: bytes | BaseException = CANCELLED
    enabled_at_once: int | BaseException = 1
    install: Callable[[bytes, Callable[[int, int], None]], bytes | None] = lambda bpp, on_segment: None
    rat: bytes | BaseException = EMPTY_RAT
    requests: list[bytes] = field(default_factory=list)
    asked_anew: int = 0
    local: list[Callable[[], int | BaseException]] = field(default_factory=list)
    """What the card does, and answers, when the device itself orders a switch or a reset."""

    async def get_rat(self) -> RulesAuthorisationTable:
        return RulesAuthorisationTable.parse(_given(self.rat))

    async def get_challenge(self) -> bytes:
        self.log.append("challenge")
        return CHALLENGE

    async def authenticate_server(self, request: bytes) -> AuthenticateServerResponse:
        return parse_authenticate_server(self._rsp("authenticate", request, self.authenticated))

    async def prepare_download(self, request: bytes) -> PrepareDownloadResponse:
        return parse_prepare_download(self._rsp("prepare", request, self.prepared))

    async def install_profile(self, bpp: bytes, on_segment: Callable[[int, int], None]) -> bytes | None:
        self.log.append("install")
        return self.install(bpp, on_segment)

    async def cancel_session(self, request: bytes) -> CancelSessionResponse:
        reason = tlv.parse(request).require(0x81).integer()
        return parse_cancel_session(self._rsp(f"cancel {reason}", request, self.cancelled))

    async def immediate_enable(self) -> ResultCode:
        self.log.append("enable")
        if isinstance(self.enabled_at_once, BaseException):
            raise self.enabled_at_once
        return ResultCode(self.enabled_at_once)

    def _rsp(self, name: str, request: bytes, answer: bytes | BaseException) -> bytes:
        self.log.append(name)
        self.requests.append(request)
        return _given(answer)

    def ask_anew(self) -> None:
        self.asked_anew += 1

    async def get_eid(self) -> Eid:
        return EID

    async def get_euicc_info1(self) -> EuiccInfo1:
        return EuiccInfo1.parse(bytes.fromhex("BF20148203020500A906040411223344AA050403112233".replace(" ", "")))

    async def get_euicc_info2(self) -> EuiccInfo2:
        return EuiccInfo2.parse(self.info2)

    async def get_eim_configuration(self) -> tuple[EimConfigurationData, ...]:
        return self.configs

    async def add_initial_eim(self, request: bytes) -> AddInitialEimResult:
        self.log.append(f"add {request.hex()}")
        return self.add_result

    async def load_euicc_package(self, raw: bytes) -> EuiccPackageResult:
        self.log.append("load")
        self.loaded.append(raw)
        answer = self.script.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        assert isinstance(answer, bytes)
        result = EuiccPackageResult.parse(answer)
        if result.seq_number is not None:
            self.stored[result.seq_number] = answer
        return result

    async def retrieve_notifications(self, criterion: Criterion | None = None) -> RetrievedNotifications:
        if isinstance(criterion, AllPackageResults):
            return RetrievedNotifications.parse(tlv.encode(0xBF2B, tlv.encode(0xA2, *self.stored.values())))
        return RetrievedNotifications.parse(tlv.encode(0xBF2B, tlv.encode(0xA0, *self.pending.values())))

    async def remove_notification(self, seq_number: int) -> ResultCode:
        self.log.append(f"remove {seq_number}")
        here = self.stored.pop(seq_number, None) or self.pending.pop(seq_number, None)
        return ResultCode(0 if here else 1)

    async def get_profiles(self) -> tuple[ProfileInfo, ...]:
        return tuple(self.profiles)

    async def get_configured_addresses(self) -> ConfiguredAddresses:
        return ConfiguredAddresses("smdp.default.example", "smds.example")

    async def get_certs(self, ci_pkid: bytes | None = None) -> Certificates:
        self.log.append(f"certs {ci_pkid.hex() if ci_pkid else ''}")
        return self.certificates

    async def recover(self, *, first_rung: int | None = None, expected: str | None = None) -> None:
        self.log.append("recover")

    async def execute_fallback(self) -> ResultCode:
        return self._local("execute fallback")

    async def return_from_fallback(self) -> ResultCode:
        return self._local("return from fallback")

    async def enable_emergency_profile(self) -> ResultCode:
        return self._local("enable emergency profile")

    async def disable_emergency_profile(self) -> ResultCode:
        return self._local("disable emergency profile")

    async def memory_reset(self, options: Iterable[ResetOption]) -> MemoryResetResult:
        code = self._local("reset " + ", ".join(option.name for option in options))
        return MemoryResetResult(ResultCode(code))

    def _local(self, name: str) -> ResultCode:
        self.log.append(name)
        answer = self.local.pop(0)()
        if isinstance(answer, BaseException):
            raise answer
        return ResultCode(answer)

    async def verify_switched(self, expected: str | None = None) -> None:
        self.log.append("verify")

    async def restart_modem(self) -> None:
        self.log.append("restart the modem")

    async def get_connectivity_parameters(self) -> ConnectivityParameters:
        return ConnectivityParameters(None)

    async def profile_rollback(self) -> RollbackResult:
        raise AssertionError("nobody ordered a rollback")


def _given(answer: bytes | BaseException) -> bytes:
    if isinstance(answer, BaseException):
        raise answer
    return answer


@dataclass
class FakeLink:
    """``packages`` are handed out one by one (then noEimPackageAvailable); ``answers`` acknowledge results, default:
    whatever number the result has."""

    packages: list[EimPackage | BaseException] = field(default_factory=list)
    answers: list[ProvideResultResponse | BaseException] = field(default_factory=list)
    notification_answers: list[BaseException | None] = field(default_factory=list)
    asked: list[tuple[StateChangeCause | None, Plmn | None]] = field(default_factory=list)
    results: list[bytes] = field(default_factory=list)
    notifications: list[bytes] = field(default_factory=list)

    async def get_eim_package(
        self, *, state_change: StateChangeCause | None = None, rplmn: Plmn | None = None
    ) -> EimPackage:
        self.asked.append((state_change, rplmn))
        answer = self.packages.pop(0) if self.packages else NoPackage(1)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def provide_eim_package_result(self, result: bytes) -> ProvideResultResponse:
        self.results.append(result)
        answer = self.answers.pop(0) if self.answers else ProvideResultResponse(tuple(_numbers(result)))
        if isinstance(answer, BaseException):
            raise answer
        return answer

    host: str | None = None
    carrier: str | None = None
    traffic_bytes: int = 0
    change_untold: bool = False

    async def reach(self) -> None:
        return None

    async def handle_notification(self, raw: bytes) -> None:
        self.notifications.append(raw)
        answer = self.notification_answers.pop(0) if self.notification_answers else None
        if answer is not None:
            raise answer

    async def initiate_authentication(
        self,
        *,
        challenge: bytes,
        smdp_address: str | None = None,
        euicc_info1: bytes | None = None,
        eim_transaction_id: bytes | None = None,
    ) -> InitiateAuthenticationOk:
        raise AssertionError("no download is expected here")

    async def authenticate_client(
        self, transaction_id: bytes, response: bytes
    ) -> AuthenticateClientOk | AuthenticateClientSmds:
        raise AssertionError("no download is expected here")

    async def get_bound_profile_package(
        self, transaction_id: bytes, prepare_download_response: bytes
    ) -> BoundProfilePackage:
        raise AssertionError("no download is expected here")

    async def cancel_session(self, transaction_id: bytes, response: bytes) -> None:
        raise AssertionError("no download is expected here")

    async def close(self) -> None:
        return None


def _numbers(result: bytes) -> list[int]:
    element = tlv.parse(result)
    numbers: list[int] = []
    if element.tag == 0x30:
        numbers = [item.require(0xBF2F).require(0x80).integer() for item in element.require(0xA0)]
        element = element.require(0xBF51)
    if element.tag == 0xBF51:
        try:
            seq = EuiccPackageResult.parse(element.raw).seq_number
        except CodecError:
            return numbers
        return numbers if seq is None else [seq, *numbers]
    return numbers


@dataclass
class FakeEntry:
    id: int
    kind: str
    facts: dict[str, object]


@dataclass
class FakeJournal:
    """Keeps entries and the order of everything that was written."""

    room_for_work: bool = True
    log: list[str] = field(default_factory=list)
    _entries: dict[int, FakeEntry] = field(default_factory=dict)
    _next: int = 1

    def open(self, kind: str, facts: Mapping[str, object]) -> int:
        id, self._next = self._next, self._next + 1
        self._entries[id] = FakeEntry(id, kind, dict(facts))
        self.log.append("open")
        return id

    def update(self, identity: int, **facts: object) -> object:
        before = self._entries[identity]
        self._entries[identity] = FakeEntry(before.id, before.kind, {**before.facts, **facts})
        self.log.append("update " + ",".join(facts))
        return None

    def adopt(self, kind: str, facts: Mapping[str, object]) -> int:
        return self.open(kind, facts)

    def note(self, identity: int, **facts: object) -> object:
        return self.update(identity, **facts)

    def unwritten(self, kind: str) -> bool:
        return False

    def close(self, identity: int, outcome: str) -> None:
        del self._entries[identity]
        self.log.append("close")

    def entries(self, kind: str | None = None) -> Sequence[FakeEntry]:
        return [entry for entry in self._entries.values() if kind in (None, entry.kind)]


@dataclass
class FakeMemory:
    documents: dict[str, Mapping[str, object]] = field(default_factory=dict)

    def load(self, name: str) -> Mapping[str, object]:
        return self.documents.get(name, {})

    def save(self, name: str, document: Mapping[str, object]) -> None:
        self.documents[name] = dict(document)


@dataclass
class FakeDevice:
    imei_value: str | None = "352906110000000"
    rplmn_value: str | None = "26201"
    tac_value: str | None = None
    releases_value: Mapping[Release, Version] = field(default_factory=dict)
    failure: BaseException | None = None

    async def imei(self) -> str | None:
        if self.failure is not None:
            raise self.failure
        return self.imei_value

    async def tac(self) -> str | None:
        return self.tac_value

    async def releases(self) -> Mapping[Release, Version]:
        return self.releases_value

    async def rplmn(self) -> str | None:
        if self.failure is not None:
            raise self.failure
        return self.rplmn_value


@dataclass
class FakeClock:
    wall_s: float = 1.8e9
    """2027-01-15."""
    monotonic_s: float = 100.0
    boot: str = "boot"

    def wall(self) -> float:
        return self.wall_s

    def monotonic(self) -> float:
        return self.monotonic_s

    def boot_id(self) -> str:
        return self.boot

    def passes(self, seconds: float) -> None:
        """Time goes on by all clocks."""
        self.wall_s += seconds
        self.monotonic_s += seconds


@dataclass
class Bench:
    """One device with one eIM; journal and memory outlive ``restart``, as disks do."""

    card: FakeCard = field(default_factory=FakeCard)
    link: FakeLink = field(default_factory=FakeLink)
    journal: FakeJournal = field(default_factory=FakeJournal)
    memory: FakeMemory = field(default_factory=FakeMemory)
    device: FakeDevice = field(default_factory=FakeDevice)
    others: tuple[str, ...] = ()
    max_packages: int = 16
    clock: FakeClock = field(default_factory=FakeClock)
    features: frozenset[IpaFeature] = frozenset()
    connector: SmdpConnector | None = None
    rules: DownloadRules = field(default_factory=DownloadRules)
    only_results: bool = False
    indirect: bool = False
    switching: SwitchSettings = field(default_factory=lambda: SwitchSettings(confirm_s=0.0))
    """Without any patience: one look, and what is not proved then is up to the schedule."""

    @property
    def context(self) -> Context:
        return Context(
            card=self.card,
            eid=EID,
            device=self.device,
            work=WorkList(self.journal),
            changes=StateChanges(self.memory),
            capabilities=IpaCapabilities(self.features),
            max_packages=self.max_packages,
            clock=self.clock,
            receivers=Receivers(self.memory, self.clock),
            redeliveries=Redeliveries(self.memory, self.clock),
            switches=Switches(self.journal, self.clock),
            switching=self.switching,
            local_switch_record=LocalSwitchRecord(self.memory),
            connector=self.connector,
            download=self.rules,
            only_results=self.only_results,
        )

    @property
    def eim(self) -> Association:
        return Association(eim_config(indirect=self.indirect), self.link, self.others)
