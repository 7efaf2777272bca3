"""A scripted SM-DP+ (or SM-DS), directly or behind a scripted eIM, and a bench that orders downloads.

What the server says is made of plain TLVs with signatures of zeros: nobody on this side verifies them, that is the
card's part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.ber.object_identifier import encode_oid
from ipad_agent.codec.ber.tlv import Tlv
from ipad_agent.codec.es10.es10_download import ServerSigned1, SmdpSigned2
from ipad_agent.codec.es10.profile_info import ProfileMetadata
from ipad_agent.codec.esipa import eim_package
from ipad_agent.codec.esipa.device_info import IpaFeature
from ipad_agent.codec.esipa.eim_package import EimPackage
from ipad_agent.codec.esipa.esipa_download import (
    AuthenticateClientOk,
    AuthenticateClientSmds,
    BoundProfilePackage,
    InitiateAuthenticationOk,
)
from ipad_agent.codec.rsp.es9_messages import EventEntries
from ipad_agent.errors import IpadError, NetworkError, Remedy, Side
from ipad_agent.events import Event, listen
from ipad_agent.procedures.download import events as download_events
from ipad_agent.procedures.ports import SmdpLink

from .fakes import Bench, FakeLink, profile

ADDRESS = "smdp.example"
OID = "2.999.10"
TRANSACTION = bytes.fromhex("11A1")
"""The transaction of the fake card's AUTHENTICATED and PREPARED."""
ICCID = "5A0A98940200000009000010"
NAMES = "9103414243" + "92034D4E4F"
SIGNATURE = tlv.encode(0x5F37, bytes(64))
EIM_TRANSACTION = bytes.fromhex("E1E2")


class ServerError(IpadError):
    """The server's side, in no words of its own."""

    side = Side.SMDP
    remedy = Remedy.GIVE_UP


class StatusError(ServerError):
    """A status code, as ES9+ has them."""

    def __init__(self, subject: str = "8.2.6", reason: str = "3.8") -> None:
        super().__init__("the matching identifier is refused")
        self.subject = subject
        self.reason = reason


class UntrustedError(NetworkError):
    remedy = Remedy.ASK_PERSON


class MalformedPackageError(IpadError):
    """What the card's room says of a package that cannot be cut."""

    side = Side.SMDP


class PowerCut(BaseException):
    """The gateway loses its power."""


def certificate(oid: str | None = OID, *, begin: str = "200101000000Z", end: str = "20501231235959Z") -> bytes:
    """A certificate cut down to what the IPA reads."""
    names = b""
    if oid is not None:
        name = tlv.encode(0x30, tlv.encode(0x88, encode_oid(oid)))
        names = tlv.encode(0x30, bytes.fromhex("0603551D11"), tlv.encode(0x04, name))
    dates = tlv.encode(0x30, tlv.encode(0x17, begin.encode()), tlv.encode(0x18, end.encode()))
    empty = b"\x30\x00"
    fields = (bytes.fromhex("A003020102"), b"\x02\x01\x01", empty, empty, dates, empty, empty)
    return tlv.encode(0x30, tlv.encode(0x30, *fields, tlv.encode(0xA3, tlv.encode(0x30, names))))


def metadata(more: str = "", *, iccid: str = ICCID, names: str = NAMES) -> bytes:
    return tlv.encode(0xBF25, bytes.fromhex(iccid + names + more))


def package(content: bytes, *, elements: bytes = bytes(40)) -> bytes:
    """A bound profile package around these metadata; the MACs are zeros."""
    return tlv.encode(
        0xBF36,
        bytes.fromhex("BF2303820101"),
        bytes.fromhex("A00487020102"),
        tlv.encode(0xA1, tlv.encode(0x88, content, bytes(8))),
        tlv.encode(0xA3, tlv.encode(0x86, elements)),
    )


def installation_result(
    seq: int = 5, *, transaction: bytes = TRANSACTION, address: str = ADDRESS, error: str | None = None
) -> bytes:
    """BF37; ``error`` is the hex of command and reason (``800105 81010C``), None a success."""
    notified = tlv.encode(
        0xBF2F,
        tlv.encode_integer(0x80, seq),
        bytes.fromhex("81020780"),
        tlv.encode(0x0C, address.encode()),
        bytes.fromhex(ICCID),
    )
    final = tlv.encode(0xA0, bytes.fromhex("4F02FFFF0400")) if error is None else tlv.encode(0xA1, bytes.fromhex(error))
    data = tlv.encode(
        0xBF27,
        tlv.encode(0x80, transaction),
        notified,
        tlv.encode(0x06, encode_oid(OID)),
        tlv.encode(0xA2, final),
    )
    return tlv.encode(0xBF37, data, SIGNATURE)


@dataclass
class Server:
    """What the server says, and what it was told. ``failures`` are raised instead of the answer of a function."""

    address: str = ADDRESS
    auth_certificate: bytes = field(default_factory=certificate)
    binding_certificate: bytes = field(default_factory=certificate)
    challenge: bytes | None = None
    transaction: bytes = TRANSACTION
    signed_transaction: bytes = TRANSACTION
    binding_transaction: bytes = TRANSACTION
    ci_pkid: bytes = b""
    matching_id: str | None = None
    ctx_params1: bytes | None = None
    metadata: bytes | None = field(default_factory=metadata)
    confirmation: bool = False
    hash_cc: bytes | None = None
    package: bytes = field(default_factory=lambda: package(metadata()))
    answers: list[AuthenticateClientSmds | EventEntries] = field(default_factory=list)
    failures: dict[str, BaseException] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    said: list[bytes] = field(default_factory=list)
    addresses: list[str | None] = field(default_factory=list)

    def begin(self, function: str, said: bytes = b"") -> None:
        self.log.append(function)
        if said:
            self.said.append(said)
        failure = self.failures.get(function)
        if failure is not None:
            raise failure

    def opening(self, challenge: bytes, asked: str | None) -> InitiateAuthenticationOk:
        self.addresses.append(asked)
        self.begin("initiate")
        signed = tlv.encode(
            0x30,
            tlv.encode(0x80, self.signed_transaction),
            tlv.encode(0x81, self.challenge or challenge),
            tlv.encode(0x83, self.address.encode()),
            tlv.encode(0x84, bytes(16)),
        )
        return InitiateAuthenticationOk(
            self.transaction,
            ServerSigned1.parse(signed),
            SIGNATURE,
            self.ci_pkid,
            self.auth_certificate,
            self.matching_id,
            self.ctx_params1,
        )

    def profile(self, response: bytes) -> AuthenticateClientOk | AuthenticateClientSmds | EventEntries:
        self.begin("authenticate", response)
        if self.answers:
            return self.answers.pop(0)
        flag = b"\x01\x01\xff" if self.confirmation else b"\x01\x01\x00"
        signed = tlv.encode(0x30, tlv.encode(0x80, self.binding_transaction), flag)
        return AuthenticateClientOk(
            self.transaction,
            None if self.metadata is None else ProfileMetadata.parse(self.metadata),
            SmdpSigned2.parse(signed),
            SIGNATURE,
            self.binding_certificate,
            self.hash_cc,
        )

    @property
    def cancelled(self) -> bool:
        return "cancel" in self.log


@dataclass
class Direct:
    """Connector and link in one; ``servers`` by address, else ``server``."""

    server: Server
    servers: dict[str, Server] = field(default_factory=dict)
    connected: list[str] = field(default_factory=list)
    pkids: list[tuple[bytes, ...]] = field(default_factory=list)
    notified: list[tuple[str, bytes]] = field(default_factory=list)
    attempts: list[str] = field(default_factory=list)
    dead: dict[str, BaseException] = field(default_factory=dict)
    refusing: dict[bytes, BaseException] = field(default_factory=dict)

    def connect(self, address: str, *, ci_pkids: tuple[bytes, ...]) -> SmdpLink:
        self.connected.append(address)
        self.pkids.append(ci_pkids)
        return _Link(self, address, self.servers.get(address, self.server))


@dataclass
class _Link:
    direct: Direct
    address: str
    server: Server

    async def initiate_authentication(self, *, challenge: bytes, euicc_info1: bytes) -> InitiateAuthenticationOk:
        return self.server.opening(challenge, self.address)

    async def authenticate_client(self, transaction_id: bytes, response: bytes) -> AuthenticateClientOk | EventEntries:
        answer = self.server.profile(response)
        assert not isinstance(answer, AuthenticateClientSmds)
        return answer

    async def get_bound_profile_package(
        self,
        transaction_id: bytes,
        prepare_download_response: bytes,
        *,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> bytes:
        self.server.begin("package", prepare_download_response)
        if progress is not None:
            progress(len(self.server.package), len(self.server.package))
        return self.server.package

    async def cancel_session(self, transaction_id: bytes, response: bytes) -> None:
        self.server.begin("cancel", response)

    async def handle_notification(self, pending: bytes) -> None:
        self.direct.attempts.append(self.address)
        for failure in (self.direct.dead.get(self.address), self.direct.refusing.get(pending)):
            if failure is not None:
                raise failure
        self.direct.notified.append((self.address, pending))

    async def close(self) -> None:
        return None


@dataclass
class Relaying(FakeLink):
    """An eIM that relays to the server."""

    server: Server = field(default_factory=Server)
    eim_transactions: list[bytes | None] = field(default_factory=list)

    async def initiate_authentication(
        self,
        *,
        challenge: bytes,
        smdp_address: str | None = None,
        euicc_info1: bytes | None = None,
        eim_transaction_id: bytes | None = None,
    ) -> InitiateAuthenticationOk:
        self.eim_transactions.append(eim_transaction_id)
        return self.server.opening(challenge, smdp_address)

    async def authenticate_client(
        self, transaction_id: bytes, response: bytes
    ) -> AuthenticateClientOk | AuthenticateClientSmds:
        answer = self.server.profile(response)
        assert not isinstance(answer, EventEntries)
        return answer

    async def get_bound_profile_package(
        self, transaction_id: bytes, prepare_download_response: bytes
    ) -> BoundProfilePackage:
        self.server.begin("package", prepare_download_response)
        return BoundProfilePackage(transaction_id, self.server.package)

    async def cancel_session(self, transaction_id: bytes, response: bytes) -> None:
        self.server.begin("cancel", response)


CODE = "A0188016" + b"LPA:1$smdp.example$M-1".hex()
"""profileDownloadData with an activation code."""
DEFAULT = "A0028100"
SMDS = "A002A200"


def trigger(data: str = CODE, *, transaction: bytes | None = EIM_TRANSACTION) -> EimPackage:
    """The eIM's answer with a download order."""
    echo = b"" if transaction is None else tlv.encode(0x82, transaction)
    return eim_package.parse_get_eim_package_response(tlv.encode(0xBF4F, tlv.encode(0xBF54, bytes.fromhex(data), echo)))


def code(text: str) -> str:
    return tlv.encode(0xA0, tlv.encode(0x80, text.encode())).hex()


def bench(*, direct: bool) -> tuple[Bench, Server]:
    """A device with one server and one order waiting; what the card installs is a good profile."""
    server = Server()
    link = Relaying(server=server)
    link.packages = [trigger()]
    made = Bench(
        link=link,
        features=frozenset({IpaFeature.INDIRECT_RSP_SERVER_COMMUNICATION, IpaFeature.DIRECT_RSP_SERVER_COMMUNICATION}),
        connector=Direct(server) if direct else None,
        indirect=not direct,
    )
    made.card.profiles = [profile("5A0A98001032547698103214", enabled=True)]
    made.card.install = installs(made)
    return made, server


def installs(
    made: Bench, result: bytes | None = None, *, segments: int = 4
) -> Callable[[bytes, Callable[[int, int], None]], bytes]:
    """A card that takes all segments and keeps the result in its list."""
    final = installation_result() if result is None else result

    def install(bpp: bytes, on_segment: Callable[[int, int], None]) -> bytes:
        for done in range(1, segments + 1):
            on_segment(done, segments)
        keep(made, final)
        return final

    return install


def keep(made: Bench, result: bytes) -> None:
    """What a card does when an installation ends: the notification is in its list, the profile is there if it went
    well."""
    data = tlv.parse(result).require(0xBF27)
    made.card.pending[data.require(0xBF2F).require(0x80).integer()] = result
    if data.require(0xA2).find(0xA0) is not None:
        made.card.profiles.append(profile(ICCID, enabled=False))


def smdp(made: Bench) -> Direct:
    """The direct way of this bench."""
    assert isinstance(made.connector, Direct)
    return made.connector


def outcome(result: bytes) -> Tlv:
    """What a ProfileDownloadTriggerResult says besides the transaction: BF37 or the error (30)."""
    element = tlv.parse(result)
    assert element.tag == 0xBF54
    assert element.require(0x82).value == EIM_TRANSACTION
    found = element.find(0xBF37, 0x30)
    assert found is not None
    return found


_SAID: list[str] = []


def _note(event: Event[...], facts: Mapping[str, object]) -> None:
    if event is download_events.DOWNLOAD_FAILED:
        _SAID.append(str(facts["reason"]))


listen(_note)


def error_of(result: bytes) -> tuple[int, str]:
    """profileDownloadErrorReason, and why the log says that the last download failed."""
    error = outcome(result)
    assert error.tag == 0x30
    return error.require(0x80).integer(), _SAID[-1]


def response_of(result: bytes) -> bytes | None:
    """errorResponse: what the server answered in its own words."""
    found = outcome(result).find(0x04)
    return None if found is None else found.value
