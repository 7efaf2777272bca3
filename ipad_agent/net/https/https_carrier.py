"""The carrier for HTTPS (SGP.32 v1.2 §6.1; SGP.22 v2.5 §6)."""

from __future__ import annotations

import asyncio
import email.utils
import functools
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from OpenSSL import SSL

from ipad_agent.clock import Clock, SystemClock
from ipad_agent.events import Event
from ipad_agent.net import events, message_tap
from ipad_agent.net.carrier import REPEATABLE, ProgressCallback, Traffic
from ipad_agent.net.dialler import Dialler
from ipad_agent.net.dns_lookup import Address, Resolver, resolve
from ipad_agent.net.errors import (
    CertificateWanted,
    ConnectionLost,
    HandshakeFailed,
    PeerBusy,
    PeerStatus,
    ProtocolViolation,
    ResponseTooLarge,
    TransferTimeout,
    Unreachable,
)
from ipad_agent.net.host_address import path_for
from ipad_agent.net.trust import certificate_chain
from ipad_agent.net.trust.certificate_chain import Verdict
from ipad_agent.net.trust.pinned_trust import clock_is_plausible
from ipad_agent.net.trust.tolerance_report import report
from ipad_agent.printable import summary
from ipad_agent.records import dataclass

from . import content_coding, whole_messages
from .https_connection import HttpRequest, HttpResponse, HttpsConnection, Progress
from .https_endpoint import HttpsEndpoint
from .tls_client import TlsClient

MAX_RETRY_AFTER_S: Final = 30 * 86400.0
SECOND_ANSWER_S: Final = 15.0
"""So long a repeatable request waits for the first byte on a connection that was used before. Some servers answer one
request per connection and leave it open."""
SILENT_CONNECTIONS: Final = 2
"""So many kept connections in a row have to fall silent before each request gets a connection of its own."""
_TEXT_CHARACTERS: Final = 200
_A_RELEASE: Final = re.compile(r"gsma/rsp/v[0-9]{1,3}(?:\.[0-9]{1,3}){0,2}")
"""What a server may call its protocol: of SGP.22 or of SGP.32, whichever release it is of."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is its status: ``retry_after_s`` is from now, ``text`` the first words of an error page."""

    status: int
    retry_after_s: float | None
    text: str


class HttpsCarrier:
    """Implements ``Carrier``. Connects when first used, stays connected until ``close``. One exchange at a time."""

    scheme = "https"

    def __init__(
        self,
        endpoint: HttpsEndpoint,
        *,
        clock: Clock | None = None,
        resolver: Resolver | None = None,
        on_packet: Callable[[], None] | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._clock = SystemClock() if clock is None else clock
        resolver = resolver or functools.partial(resolve, timeout_s=endpoint.connect_timeout_s)
        self._dialler = Dialler(endpoint.host, endpoint.port, resolver, public_only=endpoint.public_only)
        self._lock = asyncio.Lock()
        self._connection: HttpsConnection | None = None
        self._session: SSL.Session | None = None
        self._curve = endpoint.trust.curve
        """That of the pinned key, as long as the server is content with what such a key needs."""
        self._silent = 0
        self._reported: set[tuple[str, str]] = set()
        self._peer_protocol: str | None = None
        self.traffic = Traffic(on_packet=on_packet)

    @property
    def peer_protocol(self) -> str | None:
        """See ``NamesProtocol``."""
        return self._peer_protocol

    @property
    def bytes_sent(self) -> int:
        return self.traffic.bytes_sent

    @property
    def bytes_received(self) -> int:
        return self.traffic.bytes_received

    @property
    def ip_bytes(self) -> int:
        if self._connection is not None:
            self._connection.count_headers()  # the system acknowledges the last answer when it likes
        return self.traffic.ip_bytes

    async def exchange(self, body: bytes, *, function: str, progress: ProgressCallback | None = None) -> bytes:
        """See ``Carrier``. ``function`` fills ``{function}`` in the path and says whether a repetition is harmless."""
        if not message_tap.TAPS:
            return self._content(await self._exchange_in_time(body, function, progress))
        self._tell("sent", function, body)
        try:
            response = await self._exchange_in_time(body, function, progress)
        except BaseException as error:
            self._tell("received", function, problem=str(error) or type(error).__name__)
            raise
        self._tell("received", function, self._readable(response), status=str(response.status))
        return self._content(response)

    async def ask(self, body: bytes, *, function: str) -> Answer:
        """One exchange with a server of which only the status counts, whatever it is; headers that ESipa asks for are
        no matter. Raises as ``exchange`` where there is no answer."""
        if message_tap.TAPS:
            self._tell("sent", function, body)
        response = await self._exchange_in_time(body, function)
        if message_tap.TAPS:
            self._tell("received", function, self._readable(response), status=str(response.status))
        return Answer(response.status, self._retry_after_s(response), _words(self._readable(response)))

    def _tell(self, way: str, function: str, body: bytes = b"", *, status: str = "", problem: str = "") -> None:
        endpoint = self._endpoint
        address = f"{endpoint.host}:{endpoint.port}"
        path = path_for(endpoint.path, function)
        message_tap.tell(message_tap.CarriedMessage(way, self.scheme, address, path, function, body, status, problem))

    async def _exchange_in_time(
        self, body: bytes, function: str, progress: ProgressCallback | None = None
    ) -> HttpResponse:
        limit_s = self._endpoint.exchange_timeout_s
        async with self._lock:
            try:
                async with asyncio.timeout(limit_s):
                    return await self._exchange(
                        self._request(body, function, progress), repeatable=function in REPEATABLE
                    )
            except TimeoutError:
                raise TransferTimeout(f"{function} with {self._endpoint.host} took over {limit_s:g} s") from None
            finally:
                once = self._silent >= SILENT_CONNECTIONS
                if self._connection is not None and (once or not self._connection.reusable):
                    connection, self._connection = self._connection, None
                    self._remember(connection)
                    connection.abort()

    async def reach(self) -> None:
        """See ``Carrier``."""
        async with self._lock:
            if self._connection is None:
                self._connection = await self._connect()

    async def close(self) -> None:
        """See ``Carrier``. Waits for a running exchange, which its own deadline bounds; cancel that one to hurry."""
        async with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                self._remember(connection)
                await connection.close()

    def _remember(self, connection: HttpsConnection) -> None:
        """Its session, for the next connection. The pin is this carrier's own, and the server's certificates are judged
        after every handshake."""
        self._session = connection.session or self._session

    def _request(self, body: bytes, function: str, progress: ProgressCallback | None) -> HttpRequest:
        endpoint = self._endpoint
        headers = (
            ("Host", endpoint.host_header),
            ("User-Agent", endpoint.user_agent),
            ("X-Admin-Protocol", endpoint.admin_protocol),
            ("Content-Type", endpoint.content_type),
            ("Content-Length", str(len(body))),
        )
        whole = whole_messages.is_whole(endpoint.content_type)
        return HttpRequest(path_for(endpoint.path, function), headers, body, progress, whole)

    # -- one exchange ------------------------------------------------------------------------------------------------

    async def _exchange(self, request: HttpRequest, *, repeatable: bool) -> HttpResponse:
        kept = self._connection
        if kept is not None:
            if await kept.still_open():
                patience_s = min(SECOND_ANSWER_S, self._endpoint.exchange_timeout_s / 4) if repeatable else None
                try:
                    answer = await kept.request(request, begins_within_s=patience_s)
                except ConnectionLost as error:
                    if kept.answering or not repeatable:
                        raise
                    problem = error.message
                    self._silent += 1
                else:
                    self._silent = 0
                    return answer
            else:
                problem = "it is closed"
            self._connection = None
            self._remember(kept)
            kept.abort()
            events.HTTPS_RECONNECTING.emit(host=self._endpoint.host, port=self._endpoint.port, problem=problem)
        connection = self._connection = await self._connect()
        return await connection.request(request)

    def _content(self, response: HttpResponse) -> bytes:
        """The body of a success; the errors of all other statuses."""
        status = response.status
        named = response.header("x-admin-protocol")
        self._peer_protocol = None if named == self._endpoint.admin_protocol else named
        if 300 <= status < 400:
            place = summary(response.header("location") or "", 100)
            raise PeerStatus(
                str(status),
                f"it redirects to {place}" if place else "it redirects",
                hint="Redirects are not followed: what is trusted is this server. Correct its address.",
            )
        if status >= 400 or status == 206:
            retry_after_s = self._retry_after_s(response)
            body = self._readable(response)
            text = _words(body)
            if status in (429, 503) and retry_after_s is not None:
                raise PeerBusy(retry_after_s, text)
            raise PeerStatus(str(status), text, body=body)
        body = self._decoded(response)
        if response.cut_off:
            self._tolerate(events.NO_CLOSE_NOTIFY, "size_bytes", str(len(body)))
        if status not in (200, 204):
            self._tolerate(events.ODD_STATUS, "status", str(status))
        protocol = named
        if protocol is None or not _A_RELEASE.fullmatch(protocol.strip().lower()):
            self._tolerate(events.ODD_ADMIN_PROTOCOL, "value", protocol or "left out")
        kind = response.header("content-type")
        if body and _media_type(kind) != _media_type(self._endpoint.content_type):
            self._tolerate(events.ODD_CONTENT_TYPE, "value", kind or "nothing")
        return body

    def _decoded(self, response: HttpResponse) -> bytes:
        encoding = response.header("content-encoding")
        if encoding is None or content_coding.is_plain(encoding) or not response.body:
            return response.body
        limit_bytes = self._endpoint.max_response_bytes
        body = content_coding.decoded(response.body, encoding, limit_bytes=limit_bytes)
        self._tolerate(events.UNASKED_CODING, "value", encoding)
        return body

    def _readable(self, response: HttpResponse) -> bytes:
        """What came, for people and records: unpacked, where that is possible."""
        try:
            return self._decoded(response)
        except (ProtocolViolation, ResponseTooLarge):
            return response.body

    def _tolerate(self, event: Event[...], name: str, value: str) -> None:
        """Say it once per carrier and value; a server does the same with every answer."""
        value = summary(value, 60)
        if (event.id, value) not in self._reported and len(self._reported) < 32:
            self._reported.add((event.id, value))
            event.emit(host=self._endpoint.host, **{name: value})

    def _retry_after_s(self, response: HttpResponse) -> float | None:
        """Retry-After as seconds from now; a date is compared with the server's own clock where it shows it."""
        text = (response.header("retry-after") or "").strip()
        if re.fullmatch(r"[0-9]{1,12}", text):
            return min(float(text), MAX_RETRY_AFTER_S)
        until = _http_date(text)
        if until is None:
            return None
        now = _http_date(response.header("date") or "")
        if now is None:
            now_s = self._clock.wall()
            if not clock_is_plausible(now_s):
                return None
            now = datetime.fromtimestamp(now_s, UTC)
        return min(max(0.0, (until - now).total_seconds()), MAX_RETRY_AFTER_S)

    # -- connecting --------------------------------------------------------------------------------------------------

    async def _connect(self) -> HttpsConnection:
        limit_s = self._endpoint.connect_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                return await self._dialler.dial(self._connect_to, limit_s=limit_s)
        except TimeoutError:
            raise Unreachable(f"no connection to {self._endpoint.host} within {limit_s:g} s") from None

    async def _connect_to(self, address: Address, limit_s: float) -> HttpsConnection:
        session, self._session = self._session, None  # one that leads to trouble is not tried twice
        try:
            return await self._shake_hands(address, limit_s, session)
        except CertificateWanted:
            raise
        except HandshakeFailed as error:
            if session is None and self._curve is None:
                raise
            curve, self._curve = self._curve, None
            if session is None:
                events.LEAN_OFFER_REFUSED.emit(host=self._endpoint.host, problem=error)
            try:
                return await self._shake_hands(address, limit_s, None)
            except HandshakeFailed:
                self._curve = curve  # it was not for what was offered
                raise

    async def _shake_hands(self, address: Address, limit_s: float, session: SSL.Session | None) -> HttpsConnection:
        endpoint = self._endpoint
        tls = TlsClient(
            endpoint.server_name,
            client_certificate=endpoint.client_certificate,
            session=session,
            pinned_curve=self._curve,
        )
        try:
            async with asyncio.timeout(limit_s):
                connection, verdict = await HttpsConnection.open(
                    address,
                    tls,
                    self._judge,
                    traffic=self.traffic,
                    progress=Progress(endpoint.progress_window_s, endpoint.progress_bytes),
                    max_response_bytes=endpoint.max_response_bytes,
                    silence_s=endpoint.connect_timeout_s,
                    public_only=endpoint.public_only,
                )
        except TimeoutError:
            raise Unreachable(f"no TLS session with {endpoint.host} at {address} within {limit_s:g} s") from None
        report(verdict, endpoint.host)
        events.HTTPS_CONNECTED.emit(host=endpoint.host, port=endpoint.port, cipher=tls.description, trusted=verdict.how)
        return connection

    def _judge(self, certificates: Sequence[bytes]) -> Verdict:
        now_s = self._clock.wall()
        return certificate_chain.judge(
            certificates,
            self._endpoint.trust,
            host=self._endpoint.verify_name or self._endpoint.host,
            now_s=now_s,
            clock_plausible=clock_is_plausible(now_s),
        )


def _media_type(header: str | None) -> str:
    return (header or "").partition(";")[0].strip().lower()


def _http_date(text: str) -> datetime | None:
    try:
        found = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _words(body: bytes) -> str:
    """The first words of an error page, without its markup."""
    text = body[:4096].decode("utf-8", errors="replace")
    text = re.sub(r"(?is)<(script|style|head)\b.*?</\1\s*>", " ", text)
    return summary(re.sub(r"<[^>]*>?", " ", text), _TEXT_CHARACTERS)
