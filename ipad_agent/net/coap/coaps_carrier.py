"""The carrier for CoAP over DTLS (SGP.32 v1.2 §6.2)."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import os
from collections.abc import Callable, Sequence

from ipad_agent.clock import Clock, SystemClock
from ipad_agent.net import events, message_tap
from ipad_agent.net.carrier import Traffic
from ipad_agent.net.dialler import Dialler
from ipad_agent.net.dns_lookup import Address, Resolver, resolve
from ipad_agent.net.dtls.dtls_backend import DtlsBackend, DtlsSettings, Established
from ipad_agent.net.dtls.openssl_backend import OpenSslBackend
from ipad_agent.net.errors import HandshakeFailed, PeerStatus, TransferTimeout
from ipad_agent.net.trust import certificate_chain
from ipad_agent.net.trust.certificate_chain import Verdict
from ipad_agent.net.trust.pinned_trust import clock_is_plausible
from ipad_agent.net.trust.tolerance_report import report

from .blockwise_transfer import Adaptation, Transfer, dotted
from .coap_association import Association, PeerSilent, SessionLost, Tuning
from .coaps_endpoint import CoapsEndpoint


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
        resolver = resolver or functools.partial(resolve, timeout_s=endpoint.dns_timeout_s)
        self._dialler = Dialler(endpoint.host, endpoint.port, resolver)
        self._random_bytes = random_bytes
        self._tuning = Tuning(endpoint.ack_timeout_s, endpoint.max_retransmit)
        self._lock = asyncio.Lock()
        self._association: Association | None = None
        self._used_at_s = 0.0
        self._size_exp = endpoint.block_size_exp  # goes down when the server asks for smaller blocks
        self._unblocked = False
        self._status = ""
        self.traffic = Traffic()

    @property
    def bytes_sent(self) -> int:
        return self.traffic.bytes_sent

    @property
    def bytes_received(self) -> int:
        return self.traffic.bytes_received

    async def exchange(self, body: bytes, *, function: str) -> bytes:
        """See ``Carrier``. ``function`` names the exchange in errors and stands for ``{function}`` in the path."""
        if not message_tap.TAPS:
            return await self._exchange_in_time(body, function)
        self._tell("sent", function, body)
        try:
            answer = await self._exchange_in_time(body, function)
        except PeerStatus as error:
            self._tell("received", function, error.body, status=error.code, problem=error.message)
            raise
        except BaseException as error:
            self._tell("received", function, problem=str(error) or type(error).__name__)
            raise
        self._tell("received", function, answer, status=self._status)
        return answer

    def _tell(self, way: str, function: str, body: bytes = b"", *, status: str = "", problem: str = "") -> None:
        endpoint = self._endpoint
        path = "/" + "/".join(endpoint.path_segments(function))
        address = f"{endpoint.host}:{endpoint.port}"
        message_tap.tell(message_tap.CarriedMessage(way, self.scheme, address, path, function, body, status, problem))

    async def _exchange_in_time(self, body: bytes, function: str) -> bytes:
        limit_s = self._endpoint.exchange_timeout_s
        async with self._lock:
            try:
                async with asyncio.timeout(limit_s):
                    return await self._exchange(body, self._endpoint.path_segments(function))
            except TimeoutError:
                self._drop()
                raise TransferTimeout(f"{function} with {self._endpoint.host} took over {limit_s:g} s") from None
            except BaseException:
                if self._association is not None and not self._association.alive:
                    self._drop()
                raise
            finally:
                self._used_at_s = self._clock.monotonic()

    async def reach(self) -> None:
        """See ``Carrier``."""
        async with self._lock:
            if self._association is None:
                self._association = await self._connect()
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

    async def _exchange(self, body: bytes, path: tuple[str, ...]) -> bytes:
        association = self._association
        idle_s = self._clock.monotonic() - self._used_at_s  # not the loop's clock: that one stops while suspended
        if association is not None and idle_s > self._endpoint.nat_timeout_s:
            self._drop()
            association = None
        if association is not None:
            heard_before = association.heard
            try:
                return await self._transfer(association, body, path)
            except (PeerSilent, SessionLost, HandshakeFailed) as error:
                self._drop()
                if association.heard > heard_before:
                    raise  # the server is there and has our session: this is no lost state
                events.RECONNECTING.emit(host=self._endpoint.host, port=self._endpoint.port, problem=error)
        association = self._association = await self._connect()
        try:
            return await self._transfer(association, body, path)
        except (PeerSilent, SessionLost, HandshakeFailed):
            self._drop()
            raise

    async def _transfer(self, association: Association, body: bytes, path: tuple[str, ...]) -> bytes:
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
                path=path,
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
                self._status = dotted(response.code)
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
            case Adaptation.SOME_ETAGS:
                events.SOME_ETAGS.emit(host=host, place=reason)
            case Adaptation.NO_CONTINUE:
                events.CONTINUE_WITHOUT_231.emit(host=host, code=reason)

    # -- connecting ------------------------------------------------------------------------------------------------

    async def _connect(self) -> Association:
        return await self._dialler.dial(self._connect_to, limit_s=self._endpoint.handshake_timeout_s)

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
            client_certificate=endpoint.client_certificate,
        )

    def _judge(self, certificates: Sequence[bytes]) -> Verdict:
        now_s = self._clock.wall()
        return certificate_chain.judge(
            certificates,
            self._endpoint.trust,
            host=self._endpoint.verify_name or self._endpoint.host,
            now_s=now_s,
            clock_plausible=clock_is_plausible(now_s),
        )

    def _report_connected(self, established: Established) -> None:
        host = self._endpoint.host
        report(established.verdict, host)
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
    if endpoint.client_certificate is not None:
        digest.update(endpoint.client_certificate.fingerprint.encode())
    return digest.hexdigest()
