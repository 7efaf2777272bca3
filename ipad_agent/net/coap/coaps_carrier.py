"""The carrier for CoAP over DTLS (SGP.32 v1.2 §6.2)."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import os
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from ipad_agent.clock import Clock, SystemClock
from ipad_agent.net import events, message_tap
from ipad_agent.net.carrier import REPEATABLE, ProgressCallback, Traffic
from ipad_agent.net.dialler import Dialler
from ipad_agent.net.dns_lookup import Address, Resolver, resolve
from ipad_agent.net.dtls.dtls_backend import DtlsBackend, DtlsSettings, Established
from ipad_agent.net.errors import (
    CertificateWanted,
    HandshakeFailed,
    HandshakeUnfinished,
    PeerStatus,
    TransferTimeout,
    Unreachable,
)
from ipad_agent.net.trust import certificate_chain
from ipad_agent.net.trust.certificate_chain import Verdict
from ipad_agent.net.trust.pinned_trust import clock_is_plausible
from ipad_agent.net.trust.tolerance_report import report

from .blockwise_transfer import Adaptation, BlockRequest, BlockResponse, Forgotten, Transfer, dotted
from .coap_association import Association, PeerSilent, SessionLost, Tuning
from .coaps_endpoint import CoapsEndpoint

LONGEST_EXCHANGE_S: Final = 1800.0
"""An exchange that keeps making progress ends by then all the same: the poll that it is part of has a limit too."""
_SILENT_ROUNDS: Final = 2
"""So often in a row a request of a running transfer is repeated to the end before another session is made. A server
keeps a transfer for a session, so that another one hardly ever finds it."""
_PING: Final = Tuning(1.0, 1)
_PAUSE_S: Final = 5.0
_LONGEST_PAUSE_S: Final = 60.0


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
        on_packet: Callable[[], None] | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._backend = _openssl() if backend is None else backend
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
        self.traffic = Traffic(on_packet=on_packet)

    @property
    def bytes_sent(self) -> int:
        return self.traffic.bytes_sent

    @property
    def bytes_received(self) -> int:
        return self.traffic.bytes_received

    @property
    def ip_bytes(self) -> int:
        return self.traffic.ip_bytes

    async def exchange(self, body: bytes, *, function: str, progress: ProgressCallback | None = None) -> bytes:
        """See ``Carrier``. ``function`` names the exchange in errors, stands for ``{function}`` in the path and says
        whether a repetition is harmless. The deadline is for each step forward, not for all of them."""
        if not message_tap.TAPS:
            return await self._exchange_in_time(body, function, progress)
        self._tell("sent", function, body)
        try:
            answer = await self._exchange_in_time(body, function, progress)
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

    async def _exchange_in_time(self, body: bytes, function: str, progress: ProgressCallback | None) -> bytes:
        limit_s = self._endpoint.exchange_timeout_s
        loop = asyncio.get_running_loop()
        async with self._lock:
            began_s = loop.time()
            end_s = began_s + max(limit_s, LONGEST_EXCHANGE_S)
            deadline = asyncio.timeout(limit_s)

            def went_on(transfer: Transfer) -> None:
                deadline.reschedule(min(end_s, loop.time() + limit_s))
                if progress is not None and transfer.collected_bytes:
                    progress(transfer.collected_bytes, transfer.size2)

            try:
                async with deadline:
                    return await self._exchange(body, function, went_on)
            except TimeoutError:
                self._drop()
                ended = (
                    f"took over {end_s - began_s:g} s" if loop.time() >= end_s else f"made no progress in {limit_s:g} s"
                )
                raise TransferTimeout(f"{function} with {self._endpoint.host} {ended}") from None
            except BaseException:
                if self._association is not None and not self._association.alive:
                    self._drop()
                raise
            finally:
                self._used_at_s = self._clock.monotonic()

    async def reach(self) -> None:
        """See ``Carrier``. A session that goes on without a handshake proves nothing until the server speaks."""
        async with self._lock:
            if self._association is None:
                self._association = await self._connect()
            association = self._association
            ping = Tuning(self._endpoint.ack_timeout_s, 1)
            if association.unproved and not await association.ping(ping):
                self._drop()
                self._association = await self._connect()
            self._used_at_s = self._clock.monotonic()

    async def close(self) -> None:
        """See ``Carrier``. Waits for a running exchange, which its own deadline bounds; cancel that one to hurry. With
        ``keep_open`` a session that stands stays, until it was idle for too long. One with a Connection ID is put
        aside, without a word to the server: it goes on from another socket, and in another process."""
        async with self._lock:
            association = self._association
            stays = association is not None and association.alive and not association.outlives_socket
            if not (self._endpoint.keep_open and stays):
                self._drop()

    def _drop(self) -> None:
        association, self._association = self._association, None
        if association is not None:
            association.close()

    # -- one exchange --------------------------------------------------------------------------------------------

    async def _exchange(self, body: bytes, function: str, went_on: Callable[[Transfer], None]) -> bytes:
        association = self._association
        idle_s = self._clock.monotonic() - self._used_at_s  # not the loop's clock: that one stops while suspended
        stale = idle_s > self._endpoint.nat_timeout_s
        if association is not None and (stale or not association.address_is_ours):
            self._drop()
            association = None
        if association is None:
            association = self._association = await self._connect()
            goes_on = association.unproved
        else:
            goes_on = True
        if goes_on:
            transfer, heard_before = self._new_transfer(body, function), association.heard
            try:
                return await self._transfer(association, transfer, function, went_on)
            except (PeerSilent, SessionLost, HandshakeFailed) as error:
                self._drop()
                if association.heard > heard_before:
                    raise  # the server is there and has our session: this is no lost state
                events.RECONNECTING.emit(host=self._endpoint.host, port=self._endpoint.port, problem=error)
            association = self._association = await self._connect()
        try:
            return await self._transfer(association, self._new_transfer(body, function), function, went_on)
        except (PeerSilent, SessionLost, HandshakeFailed):
            self._drop()
            raise

    def _new_transfer(self, body: bytes, function: str) -> Transfer:
        return Transfer(
            body,
            size_exp=self._size_exp,
            max_response_bytes=self._endpoint.max_response_bytes,
            new_tag=lambda: self._random_bytes(4),
            unblocked=self._unblocked,
            ask_size=self._endpoint.nstart > 1,
            repeatable=function in REPEATABLE,
        )

    async def _transfer(
        self, association: Association, transfer: Transfer, function: str, went_on: Callable[[Transfer], None]
    ) -> bytes:
        """The whole answer. A transfer that has begun goes on over silence and lost sessions, until the deadline that
        ``went_on`` moves; one that has not raises what happened to it."""
        silent_rounds = 0

        def moved_on(transfer: Transfer) -> None:
            nonlocal silent_rounds
            silent_rounds = 0
            went_on(transfer)

        while True:
            try:
                return await self._blocks(association, transfer, function, moved_on)
            except Forgotten:
                if function not in REPEATABLE and transfer.whole_request_sent:
                    # Asked once more it would be done once more, and the server's "no" to that is not about the order.
                    raise TransferTimeout(
                        f"{function} with {self._endpoint.host} was interrupted, and the server has not kept its answer"
                    ) from None
                transfer.begin_again()
            except PeerSilent as silence:
                if not transfer.begun:
                    raise
                silent_rounds += 1
                if await association.ping(_PING):
                    # Small messages get through and this one did not: blocks of the size may be too large for the path.
                    if transfer.smaller():
                        events.BLOCKS_GOT_SMALLER.emit(host=self._endpoint.host, size_bytes=16 << transfer.size_exp)
                elif silent_rounds >= _SILENT_ROUNDS:
                    association = await self._move(association, transfer, silence)
            except (SessionLost, HandshakeFailed) as error:
                if not transfer.begun:
                    raise
                association = await self._move(association, transfer, error)

    async def _move(self, old: Association, transfer: Transfer, problem: Exception) -> Association:
        """A session for a transfer that has begun: another one, or after all the old one, once a handshake shows that
        the link is back. As long as none can be had, until the deadline."""
        pause_s = _PAUSE_S
        while True:
            try:
                new = await self._connect()
            except Unreachable:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                continue
            if await old.ping(_PING):
                new.close()
                return old
            old.close()
            events.TRANSFER_MOVES.emit(host=self._endpoint.host, problem=problem, size_bytes=transfer.collected_bytes)
            self._association = new
            transfer.moved()
            return new

    async def _blocks(
        self, association: Association, transfer: Transfer, function: str, went_on: Callable[[Transfer], None]
    ) -> bytes:
        """Block after block on one session, up to NSTART of them at a time (RFC 7252 §4.7)."""
        reported = len(transfer.adaptations)
        under_way: deque[tuple[BlockRequest, asyncio.Task[BlockResponse]]] = deque()
        try:
            while True:
                request = transfer.next_request()
                if not under_way or under_way[0][0] != request:
                    _cancel(under_way)
                    under_way.append((request, self._ask(association, request, function)))
                for ahead in transfer.ahead(self._endpoint.nstart - 1)[len(under_way) - 1 :]:
                    under_way.append((ahead, self._ask(association, ahead, function)))
                response = await under_way[0][1]
                under_way.popleft()
                answer = transfer.accept(response)
                for adapted in transfer.adaptations[reported:]:
                    self._report(adapted.kind, adapted.reason, len(transfer.body), transfer.size_exp)
                reported = len(transfer.adaptations)
                self._size_exp = transfer.size_exp
                went_on(transfer)
                if answer is not None:
                    self._unblocked = transfer.unblocked  # remembered when it helped: 5.00 may have another cause
                    self._status = dotted(response.code)
                    return answer
        finally:
            _cancel(under_way)

    def _ask(self, association: Association, part: BlockRequest, function: str) -> asyncio.Task[BlockResponse]:
        endpoint = self._endpoint
        uri_host = endpoint.host.rstrip(".") if endpoint.send_uri_host and not endpoint.host_is_address else None
        return asyncio.ensure_future(
            association.request(
                part,
                path=endpoint.path_segments(function),
                uri_host=uri_host,
                content_format=endpoint.content_format,
                tuning=self._tuning,
            )
        )

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
            if resuming:
                events.SESSION_REFUSED.emit(host=self._endpoint.host, problem=error)
                self._backend.forget(settings.association)
            elif isinstance(error, HandshakeUnfinished):
                self._backend.widen(settings)  # a server may say nothing to what it does not like: the next time
                raise
            elif not isinstance(error, CertificateWanted) and self._backend.widen(settings):
                events.LEAN_OFFER_REFUSED.emit(host=self._endpoint.host, problem=error)
            else:
                raise
            try:
                return await self._shake_hands(address, settings)
            except HandshakeFailed:
                if not resuming:
                    self._backend.widen(settings)  # it was not for what was offered
                raise

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
            lean=endpoint.lean,
            pinned_curve=endpoint.trust.curve,
            close_notify=endpoint.close_notify,
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
            kind="no" if established.continued else "abbreviated" if established.resumed else "full",
            trusted=established.verdict.how,
        )


def _openssl() -> DtlsBackend:
    """Loaded only where nobody brings a backend."""
    from ipad_agent.net.dtls.openssl_backend import OpenSslBackend

    return OpenSslBackend()


def _cancel(under_way: deque[tuple[BlockRequest, asyncio.Task[BlockResponse]]]) -> None:
    while under_way:
        _, task = under_way.popleft()
        if not task.cancel() and not task.cancelled():
            task.exception()  # it ended in the same moment: say that this was seen


def _fingerprint(endpoint: CoapsEndpoint) -> str:
    """Whatever makes a session under one configuration unfit for another."""
    digest = hashlib.sha256(f"{endpoint.trust.fingerprint} {endpoint.verify_name or endpoint.host}".encode())
    if endpoint.psk is not None:
        digest.update(hashlib.sha256(endpoint.psk.identity).digest() + hashlib.sha256(endpoint.psk.key).digest())
    if endpoint.client_certificate is not None:
        digest.update(endpoint.client_certificate.fingerprint.encode())
    return digest.hexdigest()
