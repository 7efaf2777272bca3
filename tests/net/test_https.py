"""The HTTPS carrier against scripted servers: what it sends, whom it trusts, and what it makes of hostile answers.

Long: one carrier, one scripted server for all its misbehaviour.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from OpenSSL import SSL

from ipad_agent.eim import FailoverCarrier, Way
from ipad_agent.errors import ConfigError, IpadError
from ipad_agent.net import (
    ConnectionLost,
    HandshakeFailed,
    HttpsEndpoint,
    NameCheck,
    PeerBusy,
    PeerStatus,
    ProtocolViolation,
    Psk,
    ResponseTooLarge,
    TransferTimeout,
    Trust,
    TrustRefused,
    Unreachable,
)
from ipad_agent.net.dns_lookup import Address
from ipad_agent.net.https import tcp_headers, tls_client
from ipad_agent.net.https.https_carrier import SILENT_CONNECTIONS, HttpsCarrier
from ipad_agent.net.https.https_connection import Progress
from ipad_agent.net.https.tls_client import TlsClient
from ipad_agent.net.trust.client_certificate import ClientCertificate

from .certs import Identity, brainpool, issue
from .https_server import Client, Script, Server, context_for, echo

POLL = bytes.fromhex("bf4f125a1089049032000000000000000000000124")
NOTHING = bytes.fromhex("bf4f03020101")
ONE = "GetEimPackage"
NOT_REPEATABLE = "AuthenticateClient"


class SetClock:
    """A clock that shows what the test wants."""

    def __init__(self, wall_s: float = 1_780_000_000.0) -> None:
        self.wall_s = wall_s

    def wall(self) -> float:
        return self.wall_s

    def monotonic(self) -> float:
        return 0.0

    def boot_id(self) -> str:
        return "boot"


@pytest.fixture(scope="module")
def identity() -> Identity:
    return issue("S", dns=("eim.example.org", "localhost"), ips=("127.0.0.1",))


def carrier(server: Server, trust: Trust, **changes: Any) -> HttpsCarrier:
    endpoint = HttpsEndpoint(host="127.0.0.1", port=server.port, trust=trust)
    return HttpsCarrier(replace(endpoint, **changes), clock=SetClock())


def once(**answer: Any) -> Script:
    """Answer one request, then wait for the client to go."""

    async def script(client: Client) -> None:
        if await client.request() is not None:
            await client.answer(**answer)
            await client.request()

    return script


def raw(data: bytes, *, then: Callable[[Client], None] | None = None) -> Script:
    """Answer the first request with these bytes; then wait for the client to go, or do something else."""

    async def script(client: Client) -> None:
        if await client.request() is not None:
            await client.send(data)
            if then is None:
                await client.request()
            else:
                then(client)

    return script


def ids(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.event.id for record in caplog.records if hasattr(record, "event")]


# -- what goes over the wire -------------------------------------------------------------------------------------------


async def test_request_has_exactly_these_bytes(identity: Identity) -> None:
    # SGP.32 v1.2 §6.1.1: Host, User-Agent (CR111005), X-Admin-Protocol, Content-Type, Content-Length; written by hand.
    async with Server(identity, once(body=NOTHING)) as server:
        eim = carrier(server, Trust.spki(identity.spki))
        assert await eim.exchange(POLL, function=ONE) == NOTHING
        await eim.close()
    assert server.requests == [
        b"POST /gsma/rsp2/asn1 HTTP/1.1\r\n"
        b"Host: 127.0.0.1:%d\r\n"
        b"User-Agent: gsma-rsp-ipad\r\n"
        b"X-Admin-Protocol: gsma/rsp/v2.1.0\r\n"
        b"Content-Type: application/x-gsma-rsp-asn1\r\n"
        b"Content-Length: 21\r\n"
        b"\r\n" % server.port + POLL
    ]


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        ("eim.example.org", 443, "eim.example.org"),
        ("eim.example.org.", 8443, "eim.example.org:8443"),
        ("2001:db8::1", 443, "[2001:db8::1]"),
        ("fe80::1%eth0", 444, "[fe80::1]:444"),
    ],
)
def test_host_header_names_the_port_only_where_it_is_unusual(
    host: str, port: int, expected: str, identity: Identity
) -> None:
    endpoint = HttpsEndpoint(host=host, port=port, trust=Trust.spki(identity.spki))
    assert endpoint.host_header == expected
    assert endpoint.server_name == (None if ":" in host else "eim.example.org")


async def test_function_is_part_of_the_path_where_the_path_says_so(identity: Identity) -> None:
    async with Server(identity) as server:
        eim = carrier(
            server, Trust.spki(identity.spki), path="/gsma/rsp2/esipa/{function}", user_agent="gsma-rsp-ipad;x"
        )
        await eim.exchange(b"{}", function="ProvideEimPackageResult")
        await eim.close()
    assert server.requests[0].startswith(b"POST /gsma/rsp2/esipa/provideEimPackageResult HTTP/1.1\r\n")
    assert b"\r\nUser-Agent: gsma-rsp-ipad;x\r\n" in server.requests[0]


async def test_one_connection_serves_a_procedure_and_ends_with_one_close_notify(identity: Identity) -> None:
    async with Server(identity) as server:
        eim = carrier(server, Trust.spki(identity.spki))
        for number in range(3):
            assert await eim.exchange(bytes([number]), function=NOT_REPEATABLE) == bytes([number])
        await eim.close()
        await server.ended()
    assert [(len(heard.requests), heard.stray, heard.end) for heard in server.connections] == [(3, b"", "close_notify")]
    assert eim.traffic.handshakes_full == 1
    assert eim.bytes_sent > 3 * 180
    assert eim.bytes_received > 3 * 100


@pytest.mark.parametrize("how", ["closed", "refused", "answer ends it", "deadline"])
async def test_every_connection_ends_with_close_notify(identity: Identity, how: str) -> None:
    """A strict server, on a socket that tells an end from a cut."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
    head += b"Connection: close\r\n\r\n" if how == "answer ends it" else b"\r\n"
    context = context_for(identity)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> bytes:
            """Answer what comes; the end, or the error of a cut."""
            listener.settimeout(10)
            plain = listener.accept()[0]
            plain.settimeout(10)
            with context.wrap_socket(plain, server_side=True, suppress_ragged_eofs=False) as tls:
                while request := tls.recv(65536):
                    if how != "deadline" and request.endswith(b"x"):
                        tls.sendall(head)
                return request

        served = asyncio.create_task(asyncio.to_thread(serve))
        trust = issue("other") if how == "refused" else identity
        endpoint = HttpsEndpoint(
            host="127.0.0.1",
            port=listener.getsockname()[1],
            trust=Trust.spki(trust.spki),
            exchange_timeout_s=0.3 if how == "deadline" else 10,
        )
        eim = HttpsCarrier(endpoint, clock=SetClock())
        with contextlib.suppress(TrustRefused, TransferTimeout):
            await eim.exchange(b"x", function=ONE)
        await eim.close()
        assert await served == b""


async def test_carrier_can_be_used_again_after_it_was_closed(identity: Identity) -> None:
    async with Server(identity) as server:
        eim = carrier(server, Trust.spki(identity.spki))
        for _ in range(2):
            assert await eim.exchange(b"x", function=ONE) == b"x"
            await eim.close()
    assert len(server.connections) == 2


async def test_progress_of_a_long_answer_is_told(identity: Identity) -> None:
    told: list[tuple[int, int | None]] = []
    async with Server(identity) as server:
        eim = carrier(server, Trust.spki(identity.spki))
        body = bytes(100_000)
        assert await eim.exchange(body, function=ONE, progress=lambda done, of: told.append((done, of))) == body
        await eim.close()
    assert told[-1] == (100_000, 100_000)
    assert len(told) > 1


# -- trust -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls12", [False, True])
async def test_wrong_pin_is_refused_before_the_first_byte_of_a_request(identity: Identity, tls12: bool) -> None:
    other = issue("S", ips=("127.0.0.1",))
    async with Server(identity, tls12=tls12) as server:
        eim = carrier(server, Trust.spki(other.spki))
        with pytest.raises(TrustRefused):
            await eim.exchange(POLL, function=ONE)
        await server.ended()
    assert [(heard.requests, heard.stray) for heard in server.connections] == [([], b"")]


async def test_chain_to_a_ca_is_followed_over_what_the_server_shows(identity: Identity) -> None:
    root = issue("root", ca=True)
    middle = issue("middle", issuer=root, ca=True)
    leaf = issue("S", issuer=middle, ips=("127.0.0.1",), send_issuer=True)
    async with Server(leaf) as server:
        eim = carrier(server, Trust.store([root.der]))
        assert await eim.exchange(b"x", function=ONE) == b"x"
        await eim.close()
        wrong_name = carrier(server, Trust.store([root.der]), verify_name="other.example")
        with pytest.raises(TrustRefused, match=r"not other\.example"):
            await wrong_name.exchange(b"x", function=ONE)
        stranger = carrier(server, Trust.store([issue("root", ca=True).der]))
        with pytest.raises(TrustRefused):
            await stranger.exchange(b"x", function=ONE)
    assert server.requests == server.connections[0].requests


async def test_name_is_checked_for_a_pin_when_the_policy_says_so(identity: Identity) -> None:
    async with Server(identity) as server:
        trust = Trust.spki(identity.spki).with_policy(name_check=NameCheck.ALWAYS)
        good = carrier(server, trust)
        assert await good.exchange(b"x", function=ONE) == b"x"
        await good.close()
        with pytest.raises(TrustRefused):
            await carrier(server, trust, verify_name="x.example").exchange(b"x", function=ONE)


async def test_rsa_server_is_spoken_to() -> None:
    identity = issue("S", key=rsa.generate_private_key(public_exponent=65537, key_size=2048))
    async with Server(identity) as server:
        eim = carrier(server, Trust.certificate(identity.der))
        assert await eim.exchange(b"x", function=ONE) == b"x"
        await eim.close()


@pytest.mark.parametrize("curve", [None, "brainpoolP256r1", "prime256v1"])
@pytest.mark.parametrize("pinned", ["spki", "ca"])
async def test_server_with_a_brainpool_key_is_spoken_to_whatever_curve_it_agrees_on(
    curve: str | None, pinned: str
) -> None:
    # RFC 8422 §5.1.1: below TLS 1.3 the curve of the certificate must be among those offered, and so must the one of
    # the key exchange, which an ordinary OpenSSL server takes from its own list, where there is no brainpool.
    root = issue("root", key=brainpool(), ca=True)
    leaf = issue("S", issuer=root, key=brainpool(), ips=("127.0.0.1",))
    async with Server(leaf, curve=curve, tls12=curve is not None) as server:
        eim = carrier(server, Trust.spki(leaf.spki) if pinned == "spki" else Trust.store([root.der]))
        assert await eim.exchange(b"x", function=ONE) == b"x"
        await eim.close()
    assert len(server.connections) == 1


async def test_server_with_a_p256_key_under_a_brainpool_ca_is_spoken_to_at_once() -> None:
    root = issue("root", key=brainpool(), ca=True)
    leaf = issue("S", issuer=root, ips=("127.0.0.1",))
    async with Server(leaf) as server:
        eim = carrier(server, Trust.store([root.der]))
        assert await eim.exchange(b"x", function=ONE) == b"x"
        await eim.close()
    assert len(server.connections) == 1


async def test_a_request_of_many_records_arrives_whole(identity: Identity) -> None:
    body = bytes(range(256)) * 2000
    async with Server(identity) as server:
        eim = carrier(server, Trust.spki(identity.spki), max_response_bytes=1 << 20)
        assert await eim.exchange(body, function=ONE) == body
        await eim.close()


def test_endpoint_that_cannot_be_is_refused_by_name(identity: Identity) -> None:
    good = HttpsEndpoint(host="h", trust=Trust.spki(identity.spki))
    wrong: list[dict[str, Any]] = [
        {"host": ""},
        {"host": "a b"},
        {"host": "a/b"},
        {"port": 0},
        {"path": "x"},
        {"path": "/a\r\nX: y"},
        {"user_agent": "a\r\nX: y"},
        {"admin_protocol": ""},
        {"connect_timeout_s": 0.0},
        {"max_response_bytes": 0},
        {"trust": Trust.psk()},
    ]
    for changes in wrong:
        with pytest.raises(ConfigError, match=next(iter(changes))):
            replace(good, **changes)
    assert Psk(b"a", b"b") == Psk(b"a", b"b")


# -- connecting --------------------------------------------------------------------------------------------------------


async def test_closed_port_is_unreachable(identity: Identity) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        endpoint = HttpsEndpoint(host="127.0.0.1", port=taken.getsockname()[1], trust=Trust.spki(identity.spki))
        with pytest.raises(Unreachable):
            await HttpsCarrier(endpoint).exchange(b"x", function=ONE)


async def test_next_address_is_tried_when_one_is_closed(identity: Identity, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ipad_agent")
    async with Server(identity) as server:
        with socket.socket() as taken:
            taken.bind(("127.0.0.2", 0))

            async def both(host: str, port: int) -> list[Address]:
                return [Address(socket.AF_INET, taken.getsockname()), Address(socket.AF_INET, ("127.0.0.1", port))]

            endpoint = HttpsEndpoint(host="eim.example.org", port=server.port, trust=Trust.spki(identity.spki))
            eim = HttpsCarrier(endpoint, resolver=both, clock=SetClock())
            for _ in range(2):  # the good one first the next time
                assert await eim.exchange(b"x", function=ONE) == b"x"
                await eim.close()
    assert ids(caplog).count("IPA-3005") == 1


async def test_server_that_speaks_no_tls_is_a_failed_handshake(identity: Identity) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        await writer.drain()
        await reader.read(1)
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        endpoint = HttpsEndpoint(host="127.0.0.1", port=port, trust=Trust.spki(identity.spki))
        with pytest.raises(HandshakeFailed, match="does not speak TLS"):
            await HttpsCarrier(endpoint).exchange(b"x", function=ONE)


async def test_server_that_closes_during_the_handshake_is_a_failed_handshake(identity: Identity) -> None:
    async def gone(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    async with await asyncio.start_server(gone, "127.0.0.1", 0) as server:
        endpoint = HttpsEndpoint(
            host="127.0.0.1", port=server.sockets[0].getsockname()[1], trust=Trust.spki(identity.spki)
        )
        with pytest.raises(HandshakeFailed):
            await HttpsCarrier(endpoint).exchange(b"x", function=ONE)


async def test_server_that_never_answers_the_handshake_is_given_up(identity: Identity) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        endpoint = HttpsEndpoint(
            host="127.0.0.1",
            port=server.sockets[0].getsockname()[1],
            trust=Trust.spki(identity.spki),
            connect_timeout_s=0.05,
        )
        with pytest.raises(Unreachable, match="within"):
            await HttpsCarrier(endpoint).exchange(b"x", function=ONE)


def test_no_tls_below_1_2_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    # At level 0, which would let the old versions through: it is not the level alone that keeps them out.
    monkeypatch.setattr(tls_client, "_SUITES", tls_client._SUITES.replace(b"@SECLEVEL=2", b"@SECLEVEL=0"))
    monkeypatch.setattr(tls_client, "_context", tls_client._context.__wrapped__)
    client = TlsClient("eim.example.org")
    client.handshake()
    # RFC 8446 §4.2.1: extension 43 with 5 bytes, a list of 4: TLS 1.3 and TLS 1.2.
    assert bytes.fromhex("002b 0005 04 0304 0303") in client.take()


# -- statuses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["200 OK", "204 No Content"])
async def test_empty_success_is_an_empty_answer(identity: Identity, status: str) -> None:
    head = f"HTTP/1.1 {status}\r\nX-Admin-Protocol: gsma/rsp/v2.1.0\r\n"
    head += "Content-Length: 0\r\n\r\n" if status.startswith("200") else "\r\n"
    async with Server(identity, raw(head.encode())) as server:
        eim = carrier(server, Trust.spki(identity.spki))
        assert await eim.exchange(b"x", function=ONE) == b""
        await eim.close()


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
async def test_redirect_is_refused_and_not_followed(identity: Identity, status: str) -> None:
    async with Server(identity, once(status=status, headers=("Location: https://127.0.0.1/elsewhere",))) as server:
        eim = carrier(server, Trust.spki(identity.spki))
        with pytest.raises(PeerStatus, match=r"redirects to https://127\.0\.0\.1/elsewhere") as caught:
            await eim.exchange(b"x", function=ONE)
        await eim.close()
    assert caught.value.code == status[:3]
    assert len(server.requests) == 1


async def test_error_page_is_told_in_its_words_and_kept(identity: Identity) -> None:
    page = b"<html><head><title>x</title><style>p{}</style></head><body><h1>Internal\n Error</h1><p>KeyError</p></body>"
    async with Server(identity, once(status="500 Oops", body=page)) as server:
        eim = carrier(server, Trust.spki(identity.spki))
        with pytest.raises(PeerStatus) as caught:
            await eim.exchange(b"x", function=ONE)
        await eim.close()
    assert (caught.value.code, caught.value.text, caught.value.body) == ("500", "Internal Error KeyError", page)


async def test_endless_error_page_is_read_at_its_beginning_only(identity: Identity) -> None:
    async def endless(client: Client) -> None:
        await client.request()
        await client.send(b"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await client.send(b"400\r\n" + b"E" * 1024 + b"\r\n")

    async with Server(identity, endless) as server:
        eim = carrier(server, Trust.spki(identity.spki))
        with pytest.raises(PeerStatus) as caught:
            await eim.exchange(b"x", function=ONE)
        await server.ended()
    assert len(caught.value.body) == 16384
    assert eim.bytes_received < 1_000_000


DATE = "Date: Thu, 28 May 2026 20:26:40 GMT"  # 1780000000, the clock of these tests


@pytest.mark.parametrize(
    ("headers", "expected_s"),
    [
        (("Retry-After: 120",), 120.0),
        (("Retry-After: 99999999999",), 30 * 86400.0),
        ((DATE, "Retry-After: Thu, 28 May 2026 20:31:40 GMT"), 300.0),
        (("Date: Thu, 28 May 2026 21:00:00 GMT", "Retry-After: Thu, 28 May 2026 21:01:00 GMT"), 60.0),
        (("Retry-After: Thu, 28 May 2026 20:27:40 GMT",), 60.0),
        (("Retry-After: Thu, 28 May 2020 20:27:40 GMT",), 0.0),
    ],
)
@pytest.mark.parametrize("status", ["503 Busy", "429 Slow"])
async def test_busy_server_says_how_long(
    identity: Identity, status: str, headers: tuple[str, ...], expected_s: float
) -> None:
    async with Server(identity, once(status=status, headers=headers)) as server:
        eim = carrier(server, Trust.spki(identity.spki))
        with pytest.raises(PeerBusy) as caught:
            await eim.exchange(b"x", function=ONE)
        await eim.close()
    assert caught.value.retry_after_s == expected_s


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        ("204 No Content", (), (204, None, "")),
        ("409 Conflict", (), (409, None, "")),
        ("429 Slow", ("Retry-After: 120",), (429, 120.0, "")),
        ("500 Oh", (), (500, None, "")),
    ],
)
async def test_where_only_the_status_counts_every_answer_is_one(
    identity: Identity,
    caplog: pytest.LogCaptureFixture,
    status: str,
    headers: tuple[str, ...],
    expected: tuple[int, float | None, str],
) -> None:
    async with Server(identity, once(status=status, headers=headers)) as server:
        eim = carrier(server, Trust.spki(identity.spki), path="/ipad/v1/bind", content_type="application/json")
        answer = await eim.ask(b"{}", function="bind")
        await eim.close()
    assert (answer.status, answer.retry_after_s, answer.text) == expected
    assert server.requests[0].startswith(b"POST /ipad/v1/bind HTTP/1.1\r\n")
    assert b"\r\nContent-Type: application/json\r\n" in server.requests[0]
    assert [id_ for id_ in ids(caplog) if id_.startswith("IPA-90")] == []  # it owes none of ESipa's headers


@pytest.mark.parametrize("value", ["soon", "-5", "", "1.5", "Thu, 99 May 2026 20:27:40 GMT"])
async def test_busy_server_that_does_not_say_how_long_is_a_status(identity: Identity, value: str) -> None:
    async with Server(identity, once(status="503 Busy", headers=(f"Retry-After: {value}",))) as server:
        eim = carrier(server, Trust.spki(identity.spki))
        with pytest.raises(PeerStatus):
            await eim.exchange(b"x", function=ONE)
        await eim.close()


async def test_date_is_not_compared_with_a_clock_that_was_never_set(identity: Identity) -> None:
    headers = ("Retry-After: Thu, 28 May 2026 20:27:40 GMT",)
    async with Server(identity, once(status="503 Busy", headers=headers)) as server:
        endpoint = HttpsEndpoint(host="127.0.0.1", port=server.port, trust=Trust.spki(identity.spki))
        eim = HttpsCarrier(endpoint, clock=SetClock(5.0))
        with pytest.raises(PeerStatus):
            await eim.exchange(b"x", function=ONE)
        await eim.close()


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("200 OK\r\nX-Admin-Protocol: gsma/rsp/v2.1.0\r\nContent-Type: application/x-gsma-rsp-asn1", []),
        ("200 OK\r\nX-Admin-Protocol: gsma/rsp/v2.5.0\r\nContent-Type: APPLICATION/x-gsma-rsp-asn1;x=y", []),
        ("200 OK\r\nX-Admin-Protocol: gsma/rsp/v2.1.0\r\nContent-Type: text/plain", ["IPA-9040"]),
        ("200 OK\r\nX-Admin-Protocol: gsma/rsp/v1.3.0\r\nContent-Type: application/x-gsma-rsp-asn1", []),
        ("200 OK\r\nX-Admin-Protocol: GSMA/rsp/v3.1.0 \r\nContent-Type: application/x-gsma-rsp-asn1", []),
        ("200 OK\r\nX-Admin-Protocol: gsma/rsp/two", ["IPA-9041", "IPA-9040"]),
        ("201 Created\r\nContent-Type: application/x-gsma-rsp-asn1", ["IPA-9042", "IPA-9041"]),
    ],
)
async def test_odd_heads_of_answers_are_tolerated_and_told_once(
    identity: Identity, head: str, expected: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ipad_agent")

    async def script(client: Client) -> None:
        while await client.request() is not None:
            await client.send(f"HTTP/1.1 {head}\r\nContent-Length: 6\r\n\r\n".encode() + NOTHING)

    async with Server(identity, script) as server:
        eim = carrier(server, Trust.spki(identity.spki))
        for _ in range(2):
            assert await eim.exchange(POLL, function=ONE) == NOTHING
        await eim.close()
    assert [id for id in ids(caplog) if id.startswith("IPA-9")] == expected


@pytest.mark.parametrize(
    ("head", "named"),
    [
        ("200 OK\r\nX-Admin-Protocol: gsma/rsp/v1.3.0", "gsma/rsp/v1.3.0"),
        ("200 OK\r\nX-Admin-Protocol: gsma/rsp/v2.1.0", None),  # what it was sent, perhaps only repeated
        ("200 OK\r\nContent-Type: application/x-gsma-rsp-asn1", None),
        ("500 No\r\nX-Admin-Protocol: gsma/rsp/v1.0.0", "gsma/rsp/v1.0.0"),
    ],
)
async def test_what_a_server_calls_its_protocol_is_known(identity: Identity, head: str, named: str | None) -> None:
    async def script(client: Client) -> None:
        while await client.request() is not None:
            await client.send(f"HTTP/1.1 {head}\r\nContent-Length: 6\r\n\r\n".encode() + NOTHING)

    async with Server(identity, script) as server:
        eim = FailoverCarrier([Way("https", lambda: carrier(server, Trust.spki(identity.spki)))], eim_id="eim-1")
        assert eim.peer_protocol is None
        with contextlib.suppress(PeerStatus):
            await eim.exchange(POLL, function=ONE)
        assert eim.peer_protocol == named
        await eim.close()


# -- hostile answers ---------------------------------------------------------------------------------------------------


async def test_answer_announced_as_too_large_is_not_read(identity: Identity) -> None:
    async with Server(identity, raw(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n")) as server:
        with pytest.raises(ResponseTooLarge):
            await carrier(server, Trust.spki(identity.spki)).exchange(b"x", function=ONE)
        await server.ended()


async def test_answer_of_100_megabytes_is_cut_at_the_limit(identity: Identity) -> None:
    async def flood(client: Client) -> None:
        await client.request()
        await client.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(1600):
            await client.send(b"10000\r\n" + bytes(65536) + b"\r\n")

    async with Server(identity, flood) as server:
        eim = carrier(server, Trust.spki(identity.spki), max_response_bytes=200_000)
        with pytest.raises(ResponseTooLarge):
            await eim.exchange(b"x", function=ONE)
        await server.ended()
    assert eim.bytes_received < 2_000_000


async def test_dripping_answer_is_given_up(identity: Identity) -> None:
    async def drip(client: Client) -> None:
        await client.request()
        await client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx")
        await client.request()

    async with Server(identity, drip) as server:
        eim = carrier(server, Trust.spki(identity.spki), progress_window_s=0.05)
        with pytest.raises(TransferTimeout, match="too slowly"):
            await eim.exchange(b"x", function=ONE)
        await server.ended()


async def test_whole_exchange_has_a_deadline(identity: Identity) -> None:
    async def silent(client: Client) -> None:
        await client.request()
        await client.request()

    async with Server(identity, silent) as server:
        eim = carrier(server, Trust.spki(identity.spki), exchange_timeout_s=0.2)
        with pytest.raises(TransferTimeout, match=r"took over 0\.2 s"):
            await eim.exchange(b"x", function=ONE)
        await server.ended()
    assert server.connections[0].end == "close_notify"


def test_progress_asks_for_so_much_in_every_window() -> None:
    progress = Progress(20.0, 64)
    assert progress.due_at_s is None  # the server may think as long as it likes
    progress.arrived(1, 100.0)
    progress.arrived(63, 119.0)
    assert progress.due_at_s == 120.0
    progress.arrived(1, 119.5)
    assert progress.due_at_s == 139.5
    progress.reset()
    assert progress.due_at_s is None


@pytest.mark.parametrize(
    "data",
    [
        b"\xbf\x4f\x03\x02\x01\x01\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 30 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 12,
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b",
    ],
)
async def test_what_is_no_http_is_the_servers_fault(identity: Identity, data: bytes) -> None:
    async with Server(identity, raw(data)) as server:
        eim = carrier(server, Trust.spki(identity.spki))
        with pytest.raises(ProtocolViolation):
            await eim.exchange(b"x", function=ONE)
        await eim.close()
        await server.ended()


@pytest.mark.parametrize("seed", range(40))
async def test_mutated_answers_end_in_a_value_or_the_rooms_own_errors(identity: Identity, seed: int) -> None:
    good = bytearray(
        b"HTTP/1.1 200 OK\r\nX-Admin-Protocol: gsma/rsp/v2.1.0\r\nRetry-After: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n6\r\n" + NOTHING + b"\r\n0\r\n\r\n"
    )
    for step in range(3):
        good[(seed * 31 + step * 57) % len(good)] = (seed * 97 + step * 13) % 256
    async with Server(identity, raw(bytes(good), then=Client.cut)) as server:
        eim = carrier(server, Trust.spki(identity.spki), progress_window_s=1.0)
        with contextlib.suppress(IpadError):
            await eim.exchange(b"x", function=NOT_REPEATABLE)
        await eim.close()


# -- broken connections ------------------------------------------------------------------------------------------------


async def test_answer_without_length_is_whole_only_after_close_notify(identity: Identity) -> None:
    data = b"HTTP/1.0 200 OK\r\nContent-Type: application/x-gsma-rsp-asn1\r\n\r\n" + NOTHING

    async def polite(client: Client) -> None:
        await client.request()
        await client.send(data)
        client.writer.close()
        await client.writer.wait_closed()

    async with Server(identity, polite) as server:
        assert await carrier(server, Trust.spki(identity.spki)).exchange(POLL, function=ONE) == NOTHING
    for lost in (data[:-1], data[: -len(NOTHING)]):
        async with Server(identity, raw(lost, then=Client.cut)) as server:
            with pytest.raises(ConnectionLost):
                await carrier(server, Trust.spki(identity.spki)).exchange(POLL, function=NOT_REPEATABLE)


@pytest.mark.parametrize(
    ("content_type", "whole", "part"),
    [
        ("application/x-gsma-rsp-asn1", NOTHING, NOTHING[:-1]),
        ("application/x-gsma-rsp-asn1", NOTHING, NOTHING + b"x"),
        ("application/x-gsma-rsp-asn1", NOTHING, b""),
        ("application/json;charset=UTF-8", b'{"header": {}}', b'{"header": {}'),
        ("application/json;charset=UTF-8", b"{}", b""),
        ("application/json", b"{}", b"1"),  # the beginning of 12, perhaps
    ],
)
async def test_answer_without_length_that_is_cut_off_is_whole_where_the_message_itself_shows_it(
    identity: Identity, content_type: str, whole: bytes, part: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ipad_agent")
    head = b"HTTP/1.0 200 OK\r\n\r\n"

    async def ask(body: bytes, head: bytes = head) -> bytes:
        async with Server(identity, raw(head + body, then=Client.cut)) as server:
            eim = carrier(server, Trust.spki(identity.spki), content_type=content_type)
            try:
                return await eim.exchange(POLL, function=NOT_REPEATABLE)
            finally:
                await eim.close()

    assert await ask(whole) == whole
    assert "IPA-3075" in ids(caplog)
    with pytest.raises(ConnectionLost):
        await ask(part)
    with pytest.raises((ConnectionLost, ProtocolViolation)):  # a length that is not reached
        await ask(whole, b"HTTP/1.0 200 OK\r\nContent-Length: 99\r\n\r\n")
    with pytest.raises((ConnectionLost, ProtocolViolation)):
        await ask(b"%x\r\n" % len(whole) + whole + b"\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")


@pytest.mark.parametrize("page", [b"\r\n", b"\r\n<p>no such p", b"Content-Length: 99\r\n\r\n<p>no"])
async def test_error_that_is_cut_off_is_that_error(identity: Identity, page: bytes) -> None:
    async with Server(identity, raw(b"HTTP/1.0 404 Not Found\r\n" + page, then=Client.cut)) as server:
        with pytest.raises(PeerStatus, match="404"):
            await carrier(server, Trust.spki(identity.spki)).exchange(POLL, function=NOT_REPEATABLE)


async def test_answer_with_its_length_needs_no_close_notify(identity: Identity) -> None:
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n" + NOTHING
    async with Server(identity, raw(data, then=Client.cut)) as server:
        eim = carrier(server, Trust.spki(identity.spki))
        assert await eim.exchange(POLL, function=ONE) == NOTHING
        await eim.close()


@pytest.mark.parametrize(
    "part",
    [
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n\xbf\x4f",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n\xbf\x4f",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n" + NOTHING + b"\r\n",
    ],
)
async def test_answer_that_ends_in_the_middle_is_lost_however_politely_the_connection_ends(
    identity: Identity, part: bytes
) -> None:
    """A proxy whose server dies closes the connection to us as it always does."""

    async def polite(client: Client) -> None:
        await client.request()
        await client.send(part)
        client.writer.close()
        await client.writer.wait_closed()

    for script in (polite, raw(part, then=Client.cut)):
        async with Server(identity, script) as server:
            with pytest.raises(ConnectionLost):
                await carrier(server, Trust.spki(identity.spki)).exchange(b"x", function=NOT_REPEATABLE)


async def test_what_is_no_http_is_no_answer_that_ended_in_the_middle(identity: Identity) -> None:
    async def polite(client: Client) -> None:
        await client.request()
        await client.send(b"220 smtp.example")
        client.writer.close()
        await client.writer.wait_closed()

    async with Server(identity, polite) as server:
        with pytest.raises(ProtocolViolation):
            await carrier(server, Trust.spki(identity.spki)).exchange(b"x", function=NOT_REPEATABLE)


@pytest.mark.parametrize("part", [b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n\xbf\x4f"])
async def test_answer_cut_off_in_the_middle_is_lost_and_not_asked_for_again(identity: Identity, part: bytes) -> None:
    async with Server(identity, echo, raw(part, then=Client.cut)) as server:
        eim = carrier(server, Trust.spki(identity.spki))
        await eim.exchange(b"x", function=ONE)
        await eim.close()
        with pytest.raises((ConnectionLost, ProtocolViolation)):
            await eim.exchange(b"y", function=ONE)
    assert len(server.requests) == 2


async def test_request_whose_answer_had_begun_is_not_sent_again(identity: Identity) -> None:
    async def one_then_half(client: Client) -> None:
        await client.request()
        await client.answer(b"first")
        await client.request()
        await client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n\xbf")
        client.cut()

    async with Server(identity, one_then_half, echo) as server:
        eim = carrier(server, Trust.spki(identity.spki))
        await eim.exchange(b"x", function=ONE)
        with pytest.raises(ConnectionLost):
            await eim.exchange(b"y", function=ONE)
    assert len(server.connections) == 1


async def one_then_cut_on_the_next(client: Client) -> None:
    """Answer once; take the second request and vanish."""
    await client.request()
    await client.answer(b"first")
    await client.request()
    client.cut()


async def test_repeatable_request_is_sent_once_more_when_the_kept_connection_was_dropped(identity: Identity) -> None:
    async with Server(identity, one_then_cut_on_the_next, echo) as server:
        eim = carrier(server, Trust.spki(identity.spki))
        await eim.exchange(b"x", function=ONE)
        assert await eim.exchange(b"again", function=ONE) == b"again"
        await eim.close()
    assert [len(heard.requests) for heard in server.connections] == [2, 1]


async def test_request_that_may_have_had_an_effect_is_not_sent_again(identity: Identity) -> None:
    async with Server(identity, one_then_cut_on_the_next, echo) as server:
        eim = carrier(server, Trust.spki(identity.spki))
        await eim.exchange(b"x", function=ONE)
        with pytest.raises(ConnectionLost):
            await eim.exchange(b"once", function=NOT_REPEATABLE)
        assert len(server.connections) == 1
        assert await eim.exchange(b"next", function=NOT_REPEATABLE) == b"next"
        await eim.close()


async def test_repetition_is_tried_once_only(identity: Identity) -> None:
    async def cut(client: Client) -> None:
        await client.request()
        client.cut()

    async with Server(identity, one_then_cut_on_the_next, cut) as server:
        eim = carrier(server, Trust.spki(identity.spki))
        await eim.exchange(b"x", function=ONE)
        with pytest.raises(ConnectionLost):
            await eim.exchange(b"y", function=ONE)
    assert len(server.connections) == 2


@pytest.mark.parametrize("politely", [True, False])
async def test_connection_that_the_server_closed_is_noticed_before_anything_is_sent(
    identity: Identity, politely: bool
) -> None:
    closed = asyncio.Event()

    async def one_then_close(client: Client) -> None:
        await client.request()
        await client.answer(b"first")
        if politely:
            client.writer.close()  # says close_notify and waits for ours, which comes with the next request
        else:
            client.cut()
        closed.set()
        if politely:
            await client.writer.wait_closed()

    async with Server(identity, one_then_close, echo) as server:
        eim = carrier(server, Trust.spki(identity.spki))
        await eim.exchange(b"x", function=NOT_REPEATABLE)
        await asyncio.wait_for(closed.wait(), 60)
        assert await eim.exchange(b"y", function=NOT_REPEATABLE) == b"y"
        await eim.close()
    assert [len(heard.requests) for heard in server.connections] == [1, 1]


async def test_unasked_answer_is_never_taken_for_that_of_the_next_request(identity: Identity) -> None:
    extra = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    sent = asyncio.Event()

    async def chatty(client: Client) -> None:
        await client.request()
        await client.answer(b"first")
        await client.send(extra)
        sent.set()
        await client.request()

    async with Server(identity, chatty, echo) as server:
        eim = carrier(server, Trust.spki(identity.spki))
        assert await eim.exchange(b"x", function=ONE) == b"first"
        await asyncio.wait_for(sent.wait(), 60)
        assert await eim.exchange(b"y", function=ONE) == b"y"
        await eim.close()


async def test_answer_with_another_one_behind_it_ends_the_connection(identity: Identity) -> None:
    both = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na" + b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb"
    async with Server(identity, raw(both), echo) as server:
        eim = carrier(server, Trust.spki(identity.spki))
        assert await eim.exchange(b"x", function=ONE) == b"a"
        assert await eim.exchange(b"y", function=ONE) == b"y"
        await eim.close()


async def one_then_silence(client: Client) -> None:
    """Answer once, take whatever comes then, and neither answer nor close."""
    request = await client.request()
    if request is not None:
        await client.answer(request.partition(b"\r\n\r\n")[2])
        while await client.request() is not None:
            pass


async def test_server_that_answers_one_request_a_connection_is_found_out_and_then_costs_no_waiting(
    identity: Identity,
) -> None:
    async with Server(identity, one_then_silence) as server:
        eim = carrier(server, Trust.spki(identity.spki), exchange_timeout_s=0.8)
        for body in (b"1", b"2", b"3"):
            assert await eim.exchange(body, function=ONE) == body
        unanswered = sum(len(heard.requests) - 1 for heard in server.connections)
        assert unanswered == SILENT_CONNECTIONS
        for body in (b"4", b"5"):
            assert await eim.exchange(body, function=NOT_REPEATABLE) == body
        await eim.close()
        assert [len(heard.requests) for heard in server.connections] == [2, 2, 1, 1, 1]


async def test_server_that_is_slow_once_keeps_its_connection(identity: Identity) -> None:
    slow = asyncio.Event()

    async def slow_once(client: Client) -> None:
        for count in range(9):
            if await client.request() is None:
                return
            if count == 1 and not slow.is_set():
                slow.set()
                await client.request()
                return
            await client.answer(b"ok")

    async with Server(identity, slow_once) as server:
        eim = carrier(server, Trust.spki(identity.spki), exchange_timeout_s=0.8)
        for _ in range(4):
            await eim.exchange(b"x", function=ONE)
        await eim.close()
    assert [len(heard.requests) for heard in server.connections] == [2, 3]


async def test_request_that_may_have_had_an_effect_waits_on_a_silent_connection_to_the_end(identity: Identity) -> None:
    async with Server(identity, one_then_silence) as server:
        eim = carrier(server, Trust.spki(identity.spki), exchange_timeout_s=0.4)
        await eim.exchange(b"x", function=ONE)
        with pytest.raises(TransferTimeout):
            await eim.exchange(b"once", function=NOT_REPEATABLE)
        assert len(server.connections) == 1


async def test_server_of_http_1_0_gets_a_connection_for_each_request(identity: Identity) -> None:
    async def one(client: Client) -> None:
        if await client.request() is not None:
            await client.send(b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na")
            await client.request()

    async with Server(identity, one) as server:
        eim = carrier(server, Trust.spki(identity.spki))
        for _ in range(3):
            assert await eim.exchange(b"x", function=NOT_REPEATABLE) == b"a"
        await eim.close()
        await server.ended()
    assert [len(heard.requests) for heard in server.connections] == [1, 1, 1]


async def test_server_that_says_close_gets_a_new_connection(identity: Identity) -> None:
    async with Server(identity, once(body=b"a", headers=("Connection: close",)), echo) as server:
        eim = carrier(server, Trust.spki(identity.spki))
        assert await eim.exchange(b"x", function=NOT_REPEATABLE) == b"a"
        assert await eim.exchange(b"y", function=NOT_REPEATABLE) == b"y"
        await eim.close()
        await server.ended()
    assert [heard.end for heard in server.connections] == ["close_notify", "close_notify"]


async def test_connection_on_an_address_the_device_lost_is_given_up(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Server(identity) as server:
        eim = carrier(server, Trust.spki(identity.spki))
        await eim.exchange(b"x", function=NOT_REPEATABLE)
        bind = socket.socket.bind

        def gone(self: socket.socket, address: Any) -> None:
            if self.type == socket.SOCK_DGRAM:
                raise OSError(99, "Cannot assign requested address")
            bind(self, address)

        monkeypatch.setattr(socket.socket, "bind", gone)
        assert await eim.exchange(b"y", function=NOT_REPEATABLE) == b"y"
        await eim.close()
    assert len(server.connections) == 2


async def test_cancelled_exchange_leaves_no_connection_behind(identity: Identity) -> None:
    arrived = asyncio.Event()

    async def silent(client: Client) -> None:
        await client.request()
        arrived.set()
        await client.request()

    async with Server(identity, silent, echo) as server:
        eim = carrier(server, Trust.spki(identity.spki))
        task = asyncio.create_task(eim.exchange(b"x", function=ONE))
        await asyncio.wait_for(arrived.wait(), 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.ended()
        assert await eim.exchange(b"y", function=ONE) == b"y"
        await eim.close()


# -- what is loaded ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "absent"),
    [("HttpsCarrier", ("aiocoap",)), ("CoapsCarrier", ("h11",)), ("Trust", ("OpenSSL", "aiocoap", "h11"))],
)
def test_one_carrier_does_not_load_the_other(name: str, absent: tuple[str, ...]) -> None:
    program = (
        "import sys, ipad_agent.eim, ipad_agent.smdp, ipad_agent.net as net\n"
        f"net.{name}\n"
        f"print([m for m in {absent!r} if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


async def test_a_cut_off_answer_never_passes_for_a_complete_one_whatever_the_settings_of_the_system_are(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An openssl.cnf may hold "Options = IgnoreUnexpectedEOF"; the library then reports a bare end as close_notify.
    plain = tls_client._context.__wrapped__

    def lenient(client_certificate: ClientCertificate | None, lean_curve: str | None) -> SSL.Context:
        context = plain(client_certificate, lean_curve)
        context.set_options(ssl.OP_IGNORE_UNEXPECTED_EOF)
        return context

    monkeypatch.setattr(tls_client, "_context", lenient)
    head = b"HTTP/1.1 200 OK\r\n\r\n"  # no length: the end of the connection is the end of the answer
    async with Server(identity, raw(head + b"half of it", then=Client.cut)) as server:
        eim = carrier(server, Trust.spki(identity.spki))
        with pytest.raises(ConnectionLost, match="close_notify"):
            await eim.exchange(b"x", function=NOT_REPEATABLE)
        await eim.close()


async def test_a_line_that_is_no_http_is_quoted_in_part_only(identity: Identity) -> None:
    async with Server(identity, raw(b"9" * 20_000 + b"\r\n\r\n")) as server:
        eim = carrier(server, Trust.spki(identity.spki))
        with pytest.raises(ProtocolViolation) as caught:
            await eim.exchange(b"x", function=ONE)
        await eim.close()
    assert len(caught.value.message) < 300


# -- sessions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls12", [True, False], ids=["TLS 1.2", "TLS 1.3"])
async def test_the_next_connection_resumes_the_session_and_is_judged_again(identity: Identity, tls12: bool) -> None:
    async with Server(identity, tls12=tls12) as server:
        eim = carrier(server, Trust.spki(identity.spki))
        costs = []
        for _ in range(3):
            before = eim.traffic.ip_bytes
            assert await eim.exchange(POLL, function=ONE) == POLL
            await eim.close()
            costs.append(eim.traffic.ip_bytes - before)
        assert (eim.traffic.handshakes_full, eim.traffic.handshakes_resumed) == (1, 2)
        assert costs[2] < costs[0]
        eim._endpoint = replace(
            eim._endpoint, trust=Trust.spki(issue("other").spki)
        )  # as if the pin had changed under it
        with pytest.raises(TrustRefused):
            await eim.exchange(POLL, function=ONE)
    assert sum(len(heard.requests) for heard in server.connections) == 3


async def test_what_the_system_acknowledged_later_counts_when_somebody_asks(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Server(identity) as server:
        eim = carrier(server, Trust.spki(identity.spki))
        monkeypatch.setattr(tcp_headers, "header_bytes", lambda _: 500)
        await eim.exchange(POLL, function=ONE)
        before = eim.ip_bytes
        monkeypatch.setattr(tcp_headers, "header_bytes", lambda _: 552)
        assert eim.ip_bytes == before + 52
        await eim.close()
        assert eim.ip_bytes == eim.traffic.ip_bytes


class Told:
    """A connection of which the kernel tells this."""

    family = socket.AF_INET

    def __init__(self, info: bytes) -> None:
        self._info = info

    def getsockopt(self, level: int, name: int, size: int) -> bytes:
        return self._info[:size]


@pytest.mark.parametrize(("size", "again"), [(144, 0), (208, 0), (216, 283), (240, 283)])
def test_packets_are_counted_with_what_was_sent_again_where_the_kernel_tells(size: int, again: int) -> None:
    info = bytearray(240)
    info[5] = 1  # timestamps
    info[136:144] = struct.pack("=II", 10, 7)
    info[208:216] = struct.pack("=Q", 283)
    told: Any = Told(bytes(info[:size]))
    assert tcp_headers.header_bytes(told) == 17 * (20 + 20 + 12) + 2 * 8 + again


async def test_the_servers_close_notify_is_counted_although_nobody_reads_it(identity: Identity) -> None:
    async with Server(identity) as server:
        eim = carrier(server, Trust.spki(identity.spki))
        await eim.exchange(POLL, function=ONE)
        before, sent = eim.bytes_received, eim.bytes_sent
        await eim.close()
        assert eim.bytes_received - before == eim.bytes_sent - sent > 0


async def test_a_server_that_wants_more_than_the_pinned_key_needs_gets_the_full_offer(identity: Identity) -> None:
    async with Server(identity, tls12=True) as server:
        server._context.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")
        eim = carrier(server, Trust.spki(identity.spki))
        for _ in range(2):
            assert await eim.exchange(POLL, function=ONE) == POLL
            await eim.close()
        assert eim.traffic.handshakes_failed == 1
