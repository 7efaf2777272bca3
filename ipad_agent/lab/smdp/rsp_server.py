"""What SM-DP+ and SM-DS have in common: JSON functions, switches, sessions, and the common mutual authentication.

``handle`` is the sync core: a function name and decoded JSON in, an HTTP status and JSON out. It answers anything; it
never raises for what a client sent (SGP.22 §3.0.1, §5.6, §6.5).
"""

from __future__ import annotations

import logging
import secrets
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ipad_agent.lab.crypto import der
from ipad_agent.lab.pki import verify_raw

from . import es9_json
from . import status_words as status
from .errors import MalformedError, RefusalError
from .euicc_chain import ChainRules, EuiccCredentials, verify_euicc
from .smdp_faults import AUTHENTICATE, INITIATE, FaultQueue, Faults
from .smdp_identity import CiSigners, ServerIdentity, sign
from .smdp_session import Session, SessionBook, Step
from .status_words import Status

LOG = logging.getLogger("ipad_agent.lab")

MALFORMED_ANSWERS = ("status", "http400", "html500")
SIGNATURE_HEADER = b"\x5f\x37\x40"
HTML_500 = (
    "<!doctype html>\n<html lang=en>\n<title>500 Internal Server Error</title>\n<h1>Internal Server Error</h1>\n"
    "<p>The server encountered an internal error and was unable to complete your request. Either the server is "
    "overloaded or there is an error in the application.</p>\n"
)


def same_server(one: str, other: str) -> bool:
    """Whether two addresses may mean one server: the same host, and the same port where both name one."""
    (host, port), (other_host, other_port) = (_host_and_port(address) for address in (one, other))
    return host == other_host and (port == other_port or "" in (port, other_port))


def _host_and_port(address: str) -> tuple[str, str]:
    host, colon, port = address.strip().casefold().rpartition(":")
    return (host, port) if colon and port.isdecimal() and ":" not in host else (address.strip().casefold(), "")


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Habits of a server; the defaults are those of the specification.

    ``addresses`` are what a client may call it (empty: the name in its TLS certificate), compared without regard to
    case, and to a port that only one of both names, unless ``exact_address``; ``signed_address`` is what the server
    calls itself then, and where cards send their results (None: as it was called). ``malformed`` says what a request
    without sense gets: a ``status``, an ``http400`` or an ``html500`` as from a crashed handler. ``require_header``
    wants the ``header`` object that LPAs leave out. ``strict_sequence`` refuses to do a step of a session twice, as
    after a lost answer. ``strict_der`` refuses what a card writes with longer lengths than need be; its signatures are
    right either way. ``session_s`` ends sessions.
    """

    addresses: tuple[str, ...] = ()
    exact_address: bool = False
    signed_address: str | None = None
    minimum_svn: tuple[int, int, int] = (2, 0, 0)
    maximum_svn: tuple[int, int, int] = (2, 255, 255)
    """The highest SGP.22 that is served; a card above it is told so (8.8.3/3.1)."""
    chain: ChainRules = field(default_factory=ChainRules)
    malformed: str = "status"
    require_header: bool = False
    strict_sequence: bool = False
    strict_der: bool = False
    session_s: float | None = None
    transaction_id_bytes: int = 16

    def __post_init__(self) -> None:
        if self.malformed not in MALFORMED_ANSWERS:
            raise ValueError(f"{self.malformed!r} is none of {', '.join(MALFORMED_ANSWERS)}")


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back: HTTP ``status``, JSON or None (empty body), or a page. ``faults`` are left for the wire."""

    status: int
    body: es9_json.Json | None = None
    page: str | None = None
    faults: Faults = field(default_factory=Faults)

    @property
    def code(self) -> str | None:
        """``8.2.6/3.8`` when the function failed, else None."""
        header = (self.body or {}).get("header", {}).get("functionExecutionStatus", {})
        data = header.get("statusCodeData")
        return f"{data['subjectCode']}/{data['reasonCode']}" if data else None


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer, for tests and people to look at."""

    function: str
    request: Any
    reply: Reply


@dataclass(frozen=True, slots=True)
class Authenticated:
    """What a verified euiccSigned1 says. ``signature`` is the TLV 5F37."""

    euicc: EuiccCredentials
    matching_id: str
    signature: bytes
    info2: der.Node


Function = Callable[[Mapping[str, Any], Faults], es9_json.Json | Reply]


class RspServer(ABC):
    """The common part. ``clock`` gives the time, ``random`` bytes; both may be fixed for tests.

    ``log`` keeps the latest exchanges, ``faults`` what is armed, ``sessions`` those that are known.
    """

    def __init__(
        self,
        identity: ServerIdentity,
        settings: ServerSettings | None = None,
        *,
        clock: Callable[[], datetime] = utc_now,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self.identity = identity
        self.common = settings or ServerSettings()
        self.clock = clock
        self.random = random
        self.sessions = SessionBook()
        self.faults = FaultQueue()
        self.log: deque[Exchange] = deque(maxlen=200)
        self.functions: dict[str, Function] = {INITIATE: self._initiate, AUTHENTICATE: self._authenticate_client}

    @property
    def addresses(self) -> tuple[str, ...]:
        """What clients may call this server."""
        return self.common.addresses or (self.identity.address,)

    def handle(self, function: str, body: object) -> Reply:
        """Answer one request. An unknown function is HTTP 404."""
        action = self.functions.get(function)
        faults = self.faults.take(function) if action is not None else Faults()
        reply = Reply(404) if action is None else self._answer(action, body, faults)
        reply = Reply(reply.status, reply.body, reply.page, faults)
        self.log.append(Exchange(function, body, reply))
        LOG.info("%s: %s -> %d %s", type(self).__name__, function, reply.status, reply.code or "")
        return reply

    def _answer(self, action: Function, body: object, faults: Faults) -> Reply:
        if "dead" in faults:
            return Reply(503)
        if "http" in faults:
            return Reply(int(faults.value("http", 500)), page=HTML_500)
        if "status" in faults:
            return Reply(200, es9_json.failure(Status.parse(str(faults.value("status")))))
        try:
            if not isinstance(body, Mapping):
                raise MalformedError("the body is not a JSON object")
            self._check_header(body)
            answer = action(body, faults)
        except MalformedError as error:
            return self._malformed(error)
        except der.DerError as error:
            return self._malformed(MalformedError(f"not DER: {error}"))
        except RefusalError as error:
            return Reply(200, es9_json.failure(self._own(error.status), error.detail))
        return answer if isinstance(answer, Reply) else Reply(200, answer)

    def _malformed(self, error: MalformedError) -> Reply:
        match self.common.malformed:
            case "http400":
                return Reply(400, page=f"{error}\n")
            case "html500":
                return Reply(500, page=HTML_500)
            case _:
                return Reply(
                    200, es9_json.failure(status.FIELD_MISSING if error.missing else status.FIELD_INVALID, str(error))
                )

    def _check_header(self, body: Mapping[str, Any]) -> None:
        header = body.get("header")
        if header is None and not self.common.require_header:
            return
        fields = header if isinstance(header, Mapping) else {}
        for name, refused in (
            ("functionRequesterIdentifier", status.HEADER_REQUESTER),
            ("functionCallIdentifier", status.HEADER_CALL),
        ):
            if not isinstance(fields.get(name), str) or not fields[name]:
                raise RefusalError(refused)

    def _own(self, row: Status) -> Status:
        """How this kind of server says it."""
        return row

    # Common mutual authentication

    def _initiate(self, body: Mapping[str, Any], faults: Faults) -> es9_json.Json:
        challenge = es9_json.octets(body, "euiccChallenge")
        if len(challenge) != 16:
            raise MalformedError("euiccChallenge is not 16 bytes")
        info1 = self._node(body, "euiccInfo1", 0xBF20)
        called = self._accepted_address(es9_json.text(body, "smdpAddress", "smdsAddress"))
        address = self.common.signed_address or called
        signers = self._choose_ci(info1)
        session = Session(
            self.random(self.common.transaction_id_bytes), challenge, self.random(16), address, signers, self.clock()
        )
        self.sessions.add(session)
        return self._initiated(session, faults)

    def _initiated(self, session: Session, faults: Faults) -> es9_json.Json:
        signed = der.seq(
            der.octets(self._other(session.transaction_id, faults, "signed-transaction"), 0x80),
            der.octets(self._other(session.euicc_challenge, faults, "wrong-challenge"), 0x81),
            der.utf8(
                str(faults.value("wrong-address", "other.example")) if "wrong-address" in faults else session.address,
                0x83,
            ),
            der.octets(session.server_challenge, 0x84),
        )
        auth = session.signers.auth
        if "wrong-certificate" in faults:
            auth = session.signers.instead_of(auth, str(faults.value("wrong-certificate", "foreign")))
        return es9_json.answer(
            {
                "transactionId": self._other(session.transaction_id, faults, "wrong-transaction").hex().upper(),
                "serverSigned1": es9_json.b64(signed),
                "serverSignature1": es9_json.b64(self._signature(sign(auth, signed), faults)),
                "euiccCiPKIdToBeUsed": es9_json.b64(
                    der.octets(self._other(session.signers.ci_pkid, faults, "wrong-ci"))
                ),
                "serverCertificate": es9_json.b64(auth.cert_der),
            }
        )

    @staticmethod
    def _other(right: bytes, faults: Faults, action: str) -> bytes:
        """``right``, or something as long that differs in every bit."""
        return bytes(byte ^ 0xFF for byte in right) if action in faults else right

    @staticmethod
    def _signature(tlv: bytes, faults: Faults, action: str = "wrong-signature") -> bytes:
        return tlv[:-1] + bytes([tlv[-1] ^ 0x01]) if action in faults else tlv

    def _accepted_address(self, given: str) -> str:
        for own in self.addresses:
            if given == own or (not self.common.exact_address and given.casefold() == own.casefold()):
                return own
        if not self.common.exact_address and any(same_server(given, own) for own in self.addresses):
            return given  # a client wants to read the address that it used
        raise RefusalError(status.ADDRESS_REFUSED, f"{given!r} is not the address of this server")

    def _choose_ci(self, info1: der.Node) -> CiSigners:
        svn = info1.get(0x82).value
        if len(svn) != 3 or not self.common.minimum_svn <= tuple(svn) <= self.common.maximum_svn:
            raise RefusalError(status.SVN_UNSUPPORTED)
        verified_by, signs_with = ([node.value for node in info1.get(tag).children] for tag in (0xA9, 0xAA))
        chosen = [signers for pkid in signs_with if (signers := self.identity.ci(pkid)) is not None]
        if not chosen:
            raise RefusalError(status.CI_UNSUPPORTED)
        for signers in chosen:
            if signers.ci_pkid in verified_by:
                return signers
        raise RefusalError(status.NO_CERTIFICATE)

    def _node(self, body: Mapping[str, Any], name: str, tag: int) -> der.Node:
        return es9_json.node(body, name, tag, ber=not self.common.strict_der)

    def _session(self, transaction_id: bytes, *steps: Step) -> Session:
        """The session in one of these steps; 8.10.1/3.9 when there is none."""
        session = self.sessions.get(transaction_id)
        if session is None or session.step not in steps:
            raise RefusalError(status.TRANSACTION_UNKNOWN)
        limit = self.common.session_s
        if limit is not None and self.clock() - session.begun > timedelta(seconds=limit):
            raise RefusalError(status.TRANSACTION_UNKNOWN, "the session has timed out")
        return session

    def _authenticate_client(self, body: Mapping[str, Any], faults: Faults) -> es9_json.Json:
        transaction_id = es9_json.transaction_id(body)
        response = self._node(body, "authenticateServerResponse", 0xBF38)
        again = () if self.common.strict_sequence else (Step.AUTHENTICATED,)
        session = self._session(transaction_id, Step.INITIATED, *again)
        try:
            return self._authenticated(session, self._verify_euicc(session, response), faults)
        except RefusalError:
            session.step = Step.REFUSED
            raise

    @abstractmethod
    def _authenticated(self, session: Session, card: Authenticated, faults: Faults) -> es9_json.Json:
        """What the card gets once it is known."""

    def _verify_euicc(self, session: Session, response: der.Node) -> Authenticated:
        error = response.find(0xA1)
        if error is not None:
            self._same_transaction(session, error)
            code = error.get(0x02).integer()
            raise RefusalError(status.SIGNATURE_INVALID, f"the eUICC refused the server: authenticateErrorCode {code}")
        parts = response.get(0xA0).children
        if [part.tag for part in parts[:4]] != [0x30, 0x5F37, 0x30, 0x30]:
            raise MalformedError("authenticateResponseOk is not signed part, signature, two certificates")
        signed, signature, certificate, eum = parts[:4]
        self._same_transaction(session, signed)
        rules = self.common.chain
        euicc = verify_euicc(certificate.raw, eum.raw, self.identity.ci_certificates, self.clock(), rules)
        if not verify_raw(euicc.key, signature.value, signed.raw):
            raise RefusalError(status.SIGNATURE_INVALID)
        if signed.get(0x84).value != session.server_challenge:
            raise RefusalError(status.SIGNATURE_INVALID, "serverChallenge is not ours")
        if signed.get(0x83).text().casefold() != session.address.casefold():
            raise RefusalError(status.SIGNATURE_INVALID, "serverAddress is not ours")
        session.euicc = euicc
        context = signed.get(0xA0)
        matching_id = context.find(0x80)
        session.matching_id = matching_id.text() if matching_id is not None else ""
        session.device_info = context.get(0xA1).raw
        info2 = signed.get(0xBF22)
        session.euicc_info2 = info2.raw
        return Authenticated(euicc, session.matching_id, signature.raw, info2)

    @staticmethod
    def _same_transaction(session: Session, signed: der.Node) -> None:
        if signed.get(0x80).value != session.transaction_id:
            raise RefusalError(status.TRANSACTION_UNKNOWN, "another transaction was signed")
