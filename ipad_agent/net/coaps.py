"""The carrier for CoAP over DTLS (SGP.32 v1.2 §6.2)."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import ipaddress
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ipad_agent.clock import Clock, SystemClock
from ipad_agent.errors import ConfigError

from . import chain, events
from .blockwise import MAX_SIZE_EXP, Adaptation, Transfer
from .carrier import Traffic
from .chain import Tolerance, Verdict
from .coap_transport import Association, PeerSilent, SessionLost, Tuning
from .dtls import DEFAULT_GROUPS, DtlsBackend, DtlsSettings, Established, Psk
from .errors import HandshakeFailed, TransferTimeout, TrustRefused, Unreachable
from .openssl import OpenSslBackend
from .resolve import Address, Resolver, resolve
from .trust import Pinned, Trust, clock_is_plausible

DEFAULT_PORT = 5684
DEFAULT_PATH = "gsma/rsp2/asn1"


@dataclass(frozen=True, slots=True)
class CoapsEndpoint:
    """Where and how to reach one server; every value is checked when the endpoint is made (``ConfigError``).

    ``association`` names whose DTLS session it is (the eimId). ``verify_name`` is the name the certificate must
    show when it is not ``host``. ``content_format`` None sends no option. ``block_size_exp`` 0..6 gives blocks of
    16..1024 bytes. After ``nat_timeout_s`` without traffic a fresh socket and an abbreviated handshake are used,
    for the NAT on the way has forgotten the old port by then. ``exchange_timeout_s`` is for one whole exchange, with
    name, handshake, every block and every repetition: a large package over a bad link takes minutes.
    """

    host: str
    trust: Trust
    port: int = DEFAULT_PORT
    path: str = DEFAULT_PATH
    association: str = ""
    psk: Psk | None = field(default=None, repr=False)
    verify_name: str | None = None
    send_uri_host: bool = True
    content_format: int | None = None
    block_size_exp: int = MAX_SIZE_EXP
    max_response_bytes: int = 1 << 18
    ack_timeout_s: float = 2.0
    max_retransmit: int = 4
    dns_timeout_s: float = 20.0
    handshake_timeout_s: float = 60.0
    flight_timeout_s: float = 1.0
    exchange_timeout_s: float = 300.0
    nat_timeout_s: float = 25.0
    mtu_bytes: int = 1200
    groups: str = DEFAULT_GROUPS

    def __post_init__(self) -> None:
        def check(good: bool, name: str, problem: str, allowed: str) -> None:
            if not good:
                raise ConfigError(f"eIM endpoint {name}", problem, allowed=allowed)

        good_host = (
            bool(self.host) and self.host.isascii() and self.host.isprintable() and not set("/ ") & set(self.host)
        )
        check(good_host, "host", f"{self.host!r} is no host", "a name (internationalised ones as xn--) or an address")
        check(0 < self.port < 65536, "port", str(self.port), "1 to 65535")
        check(0 <= self.block_size_exp <= MAX_SIZE_EXP, "block_size_exp", str(self.block_size_exp), "0 to 6")
        check(0 <= self.max_retransmit <= 20, "max_retransmit", str(self.max_retransmit), "0 to 20")
        check(256 <= self.mtu_bytes <= 16384, "mtu_bytes", str(self.mtu_bytes), "256 to 16384")
        check(self.max_response_bytes > 0, "max_response_bytes", str(self.max_response_bytes), "1 or more")
        known_format = self.content_format is None or 0 <= self.content_format < 65536
        check(known_format, "content_format", str(self.content_format), "0 to 65535")
        segments = self.path_segments
        check(all(0 < len(s.encode()) < 256 for s in segments), "path", self.path, "segments of 1 to 255 bytes")
        for name in ("ack_timeout_s", "dns_timeout_s", "handshake_timeout_s", "flight_timeout_s", "exchange_timeout_s"):
            value = getattr(self, name)
            check(0 < value < 86400, name, str(value), "more than 0, less than a day")
        if self.psk is not None:
            check(1 <= len(self.psk.identity) <= 128, "psk", "the identity has a bad length", "1 to 128 bytes")
            check(b"\0" not in self.psk.identity, "psk", "the identity holds a zero byte", "no zero byte")
            check(16 <= len(self.psk.key) <= 256, "psk", "the key has a bad length", "16 to 256 bytes")
        fits = (self.psk is None) == (self.trust.kind is not Pinned.PSK)
        check(fits, "psk", "the key and Trust.psk() stand for each other", "both or neither")

    @property
    def path_segments(self) -> tuple[str, ...]:
        """The Uri-Path options."""
        return tuple(self.path.strip("/").split("/")) if self.path.strip("/") else ()

    @property
    def host_is_address(self) -> bool:
        """Whether ``host`` is an IP address instead of a name."""
        try:
            ipaddress.ip_address(self.host.partition("%")[0])
        except ValueError:
            return False
        return True


class CoapsCarrier:
    """Implements ``Carrier``. Connects when first used, keeps the session between exchanges, resumes it later.

    ``backend`` holds resumable sessions: share one between the carriers of a process. One exchange at a time.
    """

    scheme = "coaps"

    def __init__(
        self,
        endpoint: CoapsEndpoint,
        *,
        backend: DtlsBackend | None = None,
        clock: Clock | None = None,
        resolver: Resolver | None = None,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._endpoint = endpoint
        self._backend = OpenSslBackend() if backend is None else backend
        self._clock = SystemClock() if clock is None else clock
        self._resolve = resolver or functools.partial(resolve, timeout_s=endpoint.dns_timeout_s)
        self._random_bytes = random_bytes
        self._tuning = Tuning(endpoint.ack_timeout_s, endpoint.max_retransmit)
        self._lock = asyncio.Lock()
        self._association: Association | None = None
        self._last_address: Address | None = None
        self._used_at_s = 0.0
        self._size_exp = endpoint.block_size_exp  # goes down when the server asks for smaller blocks
        self._unblocked = False
        self.traffic = Traffic()

    @property
    def bytes_sent(self) -> int:
        return self.traffic.bytes_sent

    @property
    def bytes_received(self) -> int:
        return self.traffic.bytes_received

    async def exchange(self, body: bytes, *, function: str) -> bytes:
        """See ``Carrier``. ``function`` only names the exchange in errors: the ASN.1 binding has one path for all."""
        limit_s = self._endpoint.exchange_timeout_s
        async with self._lock:
            try:
                async with asyncio.timeout(limit_s):
                    return await self._exchange(body)
            except TimeoutError:
                self._drop()
                raise TransferTimeout(f"{function} with {self._endpoint.host} took over {limit_s:g} s") from None
            except BaseException:
                if self._association is not None and not self._association.alive:
                    self._drop()
                raise
            finally:
                self._used_at_s = self._clock.monotonic()

    async def close(self) -> None:
        """See ``Carrier``. Waits for a running exchange, which its own deadline bounds; cancel that one to hurry."""
        async with self._lock:
            self._drop()

    def _drop(self) -> None:
        association, self._association = self._association, None
        if association is not None:
            association.close()

    # -- one exchange --------------------------------------------------------------------------------------------

    async def _exchange(self, body: bytes) -> bytes:
        association = self._association
        idle_s = self._clock.monotonic() - self._used_at_s  # not the loop's clock: that one stops while suspended
        if association is not None and idle_s > self._endpoint.nat_timeout_s:
            self._drop()
            association = None
        if association is not None:
            heard_before = association.heard
            try:
                return await self._transfer(association, body)
            except (PeerSilent, SessionLost, HandshakeFailed) as error:
                self._drop()
                if association.heard > heard_before:
                    raise  # the server is there and has our session: this is no lost state
                events.RECONNECTING.emit(host=self._endpoint.host, port=self._endpoint.port, problem=error)
        association = self._association = await self._connect()
        try:
            return await self._transfer(association, body)
        except (PeerSilent, SessionLost, HandshakeFailed):
            self._drop()
            raise

    async def _transfer(self, association: Association, body: bytes) -> bytes:
        endpoint = self._endpoint
        transfer = Transfer(
            body,
            size_exp=self._size_exp,
            max_response_bytes=endpoint.max_response_bytes,
            new_tag=lambda: self._random_bytes(4),
            unblocked=self._unblocked,
        )
        reported = 0
        uri_host = endpoint.host.rstrip(".") if endpoint.send_uri_host and not endpoint.host_is_address else None
        while True:
            response = await association.request(
                transfer.next_request(),
                path=endpoint.path_segments,
                uri_host=uri_host,
                content_format=endpoint.content_format,
                tuning=self._tuning,
            )
            answer = transfer.accept(response)
            for adapted in transfer.adaptations[reported:]:
                self._report(adapted.kind, adapted.reason, len(body), transfer.size_exp)
            reported = len(transfer.adaptations)
            self._size_exp, self._unblocked = transfer.size_exp, transfer.unblocked
            if answer is not None:
                return answer

    def _report(self, kind: Adaptation, reason: str, size_bytes: int, size_exp: int) -> None:
        host = self._endpoint.host
        match kind:
            case Adaptation.UNBLOCKED:
                events.NO_BLOCK1.emit(host=host, problem=reason, size_bytes=size_bytes)
            case Adaptation.SHRUNK:
                events.SMALLER_BLOCKS.emit(host=host, size_bytes=16 << size_exp)
            case Adaptation.RESTARTED:
                events.TRANSFER_RESTARTED.emit(host=host, problem=reason)
            case Adaptation.NO_CONTINUE:
                events.CONTINUE_WITHOUT_231.emit(host=host, code=reason)

    # -- connecting ------------------------------------------------------------------------------------------------

    async def _connect(self) -> Association:
        endpoint = self._endpoint
        addresses = await self._resolve(endpoint.host, endpoint.port)
        if not addresses:
            raise Unreachable(f"the name {endpoint.host} has no address")
        if self._last_address in addresses:
            addresses = [self._last_address, *(a for a in addresses if a != self._last_address)]
        timeout_s = endpoint.handshake_timeout_s / min(len(addresses), 3)
        failure: TrustRefused | HandshakeFailed | Unreachable | None = None
        for address in addresses:
            try:
                association = await self._connect_to(address, timeout_s)
            except (TrustRefused, HandshakeFailed, Unreachable) as error:
                if len(addresses) > 1:
                    events.ADDRESS_FAILED.emit(host=endpoint.host, address=address, problem=error)
                if failure is None or isinstance(failure, Unreachable):
                    failure = error  # whoever answered has more to say than whoever did not
                continue
            self._last_address = address
            return association
        assert failure is not None
        if isinstance(failure, TrustRefused):
            events.REFUSED.emit(host=endpoint.host, port=endpoint.port, problem=failure)
        raise failure

    async def _connect_to(self, address: Address, timeout_s: float) -> Association:
        settings = self._settings(timeout_s)
        resuming = self._backend.has_session(settings)
        try:
            return await self._shake_hands(address, settings)
        except HandshakeFailed as error:
            if not resuming:
                raise
            events.SESSION_REFUSED.emit(host=self._endpoint.host, problem=error)
            self._backend.forget(settings.association)
            return await self._shake_hands(address, settings)

    async def _shake_hands(self, address: Address, settings: DtlsSettings) -> Association:
        endpoint = self._endpoint
        client = self._backend.client(settings, self._judge)
        association, established = await Association.open(
            address.sockaddr, address.family, client, host=endpoint.host, traffic=self.traffic
        )
        self._report_connected(established)
        return association

    def _settings(self, timeout_s: float) -> DtlsSettings:
        endpoint = self._endpoint
        return DtlsSettings(
            association=endpoint.association or f"{endpoint.host}:{endpoint.port}",
            fingerprint=_fingerprint(endpoint),
            server_name=None if endpoint.host_is_address else endpoint.host.rstrip("."),
            psk=endpoint.psk,
            groups=endpoint.groups,
            mtu_bytes=endpoint.mtu_bytes,
            handshake_timeout_s=timeout_s,
            flight_timeout_s=endpoint.flight_timeout_s,
        )

    def _judge(self, certificates: Sequence[bytes]) -> Verdict:
        now_s = self._clock.wall()
        return chain.judge(
            certificates,
            self._endpoint.trust,
            host=self._endpoint.verify_name or self._endpoint.host,
            now_s=now_s,
            clock_plausible=clock_is_plausible(now_s),
        )

    def _report_connected(self, established: Established) -> None:
        host = self._endpoint.host
        said = {
            Tolerance.SAME_KEY: events.SAME_KEY,
            Tolerance.EXPIRED: events.EXPIRED_ACCEPTED,
            Tolerance.CLOCK_SKEW: events.SKEW_ACCEPTED,
            Tolerance.DATES_NOT_JUDGED: events.DATES_NOT_JUDGED,
        }
        for tolerance in established.verdict.tolerances:
            said[tolerance].emit(host=host)
        events.CONNECTED.emit(
            host=host,
            port=self._endpoint.port,
            cipher=established.cipher,
            kind="abbreviated" if established.resumed else "full",
            trusted=established.verdict.how,
        )


def _fingerprint(endpoint: CoapsEndpoint) -> str:
    """Whatever makes a session under one configuration unfit for another."""
    digest = hashlib.sha256(f"{endpoint.trust.fingerprint} {endpoint.verify_name or endpoint.host}".encode())
    if endpoint.psk is not None:
        digest.update(hashlib.sha256(endpoint.psk.identity).digest() + hashlib.sha256(endpoint.psk.key).digest())
    return digest.hexdigest()
