"""The HTTP server against clients that nobody here wrote, and its misbehaviour as a client sees it."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from ipad_agent.lab.http import (
    Ending,
    HeaderRule,
    HttpServer,
    HttpSettings,
    Limits,
    Request,
    Response,
    Routes,
    TlsSettings,
)
from ipad_agent.lab.pki import Pki

POST = b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab"


@pytest.fixture(scope="module")
def p256(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.create(tmp_path_factory.mktemp("http-p256"), "p256")


def echo(request: Request) -> Response:
    return Response(200, request.body, "text/plain")


@contextlib.asynccontextmanager
async def plain(
    handler: Callable[[Request], Response] = echo, **settings: Any
) -> AsyncIterator[tuple[HttpServer, asyncio.StreamReader, asyncio.StreamWriter]]:
    async with HttpServer(handler, settings=HttpSettings(**settings)) as server:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        try:
            yield server, reader, writer
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def everything(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(60):
        return await reader.read(-1)


async def one(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Head and body of a response with Content-Length."""
    async with asyncio.timeout(60):
        head = await reader.readuntil(b"\r\n\r\n")
        size = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        return head, await reader.readexactly(size)


# Well-behaved


async def test_requests_share_a_connection_also_when_pipelined() -> None:
    seen: list[tuple[int, int]] = []

    def handler(request: Request) -> Response:
        seen.append((request.connection, request.index))
        return echo(request)

    async with plain(handler) as (server, reader, writer):
        writer.write(POST + POST)
        assert (await one(reader))[1] == b"ab"
        assert (await one(reader))[1] == b"ab"
        writer.write(POST)
        head, body = await one(reader)
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"connection" not in head.lower()
        assert body == b"ab"
        assert seen == [(1, 0), (1, 1), (1, 2)]
        assert (server.counters.connections, server.counters.requests, server.counters.statuses[200]) == (1, 3, 3)
        assert server.counters.bytes_in == 3 * len(POST)


@pytest.mark.parametrize(
    ("request_bytes", "closes"),
    [
        (POST.replace(b"Host: x", b"Host: x\r\nConnection: close"), True),
        (POST.replace(b"Host: x", b"Host: x\r\nConnection: TE, Close"), True),
        (POST.replace(b"HTTP/1.1", b"HTTP/1.0"), True),
        (POST.replace(b"HTTP/1.1\r\nHost: x", b"HTTP/1.0\r\nConnection: Keep-Alive"), False),
    ],
)
async def test_the_client_decides_whether_the_connection_stays(request_bytes: bytes, closes: bool) -> None:
    async with plain() as (_, reader, writer):
        writer.write(request_bytes)
        head, _ = await one(reader)
        assert (b"Connection: close" in head) == closes
        if closes:
            assert await everything(reader) == b""
        else:
            writer.write(POST)
            await one(reader)


async def test_keep_alive_can_be_refused_or_limited() -> None:
    async with plain(keep_alive=False) as (_, reader, writer):
        writer.write(POST + POST)
        answer = await everything(reader)
        assert answer.count(b"HTTP/1.1 200") == 1
        assert b"Connection: close" in answer
    async with plain(max_requests=2) as (_, reader, writer):
        writer.write(POST * 3)
        assert (await everything(reader)).count(b"HTTP/1.1 200") == 2


async def test_a_204_has_no_body_and_no_length() -> None:
    async with plain(lambda _: Response(204)) as (_, reader, writer):
        writer.write(POST)
        async with asyncio.timeout(60):
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 204 No Content\r\n\r\n"
        writer.write(POST)
        async with asyncio.timeout(60):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")


async def test_head_gets_no_body() -> None:
    async with plain(lambda _: Response(200, b"body")) as (_, reader, writer):
        writer.write(b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = await everything(reader)
        assert b"Content-Length: 4" in answer
        assert answer.endswith(b"\r\n\r\n")


async def test_a_client_that_asks_is_told_to_continue() -> None:
    async with plain() as (_, reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        async with asyncio.timeout(60):
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"ab")
        assert (await one(reader))[1] == b"ab"


# Limits


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00\x01", b"\x00" * 50, b"HELO there\r\n\r\n", b"\xff\n\n"])
async def test_garbage_is_answered_and_the_connection_closed(garbage: bytes) -> None:
    async with plain() as (server, reader, writer):
        writer.write(garbage + b"\r\n\r\n")
        assert (await everything(reader)).startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert server.counters.bad_requests == 1
        assert server.counters.requests == 0


async def test_a_body_too_large_is_refused_before_it_is_read() -> None:
    async with plain(limits=Limits(body_bytes=1)) as (_, reader, writer):
        writer.write(POST[:-2])
        assert (await everything(reader)).startswith(b"HTTP/1.1 413 ")


async def test_a_request_that_does_not_come_to_its_end_is_ended() -> None:
    async with plain(request_s=0.05) as (server, reader, writer):
        writer.write(POST[:-1])
        assert (await everything(reader)).startswith(b"HTTP/1.1 408 ")
        assert server.counters.timeouts == 1


async def test_an_idle_connection_is_closed_without_a_word() -> None:
    async with plain(idle_s=0.05) as (server, reader, _):
        assert await everything(reader) == b""
        assert server.counters.timeouts == 0


async def test_a_client_that_goes_away_in_a_request_is_lost() -> None:
    async with plain() as (server, reader, writer):
        writer.write(POST[:-1])
        writer.write_eof()
        with contextlib.suppress(ConnectionError):
            assert await everything(reader) == b""
        assert server.counters.lost == 1


async def test_more_connections_than_allowed_are_turned_away() -> None:
    async with plain(max_connections=1) as (server, reader, writer):
        writer.write(POST)
        await one(reader)
        second, other = await asyncio.open_connection(server.host, server.port)
        with contextlib.suppress(ConnectionError):
            assert await everything(second) == b""
        other.close()
        assert server.counters.refused == 1
        writer.write(POST)
        await one(reader)


# Misbehaviour


async def test_a_body_of_parts_is_chunked_or_has_the_length_it_is_told() -> None:
    async with plain(lambda _: Response(200, b"ab", parts=iter([b"cd", b"", b"e"]))) as (_, reader, writer):
        writer.write(POST.replace(b"Host: x", b"Host: x\r\nConnection: close"))
        head, _, body = (await everything(reader)).partition(b"\r\n\r\n")
        assert b"Transfer-Encoding: chunked" in head
        assert body == b"2\r\nab\r\n2\r\ncd\r\n1\r\ne\r\n0\r\n\r\n"
    async with plain(lambda _: Response(200, b"ab", parts=[b"cd"], length_bytes=4)) as (_, reader, writer):
        writer.write(POST)
        assert (await one(reader))[1] == b"abcd"


async def test_lengths_can_lie_and_answers_be_cut() -> None:
    async with plain(lambda _: Response(200, b"abcd", length_bytes=9, ending=Ending.SILENT)) as (_, reader, writer):
        writer.write(POST)
        answer = await everything(reader)
        assert b"Content-Length: 9" in answer
        assert answer.endswith(b"\r\n\r\nabcd")
    for cut in (0, 5, 40):
        async with plain(lambda _, cut=cut: Response(200, b"abcd" * 9, cut_bytes=cut)) as (_, reader, writer):  # type: ignore[misc]  # a default in a lambda
            writer.write(POST)
            assert len(await everything(reader)) == cut


async def test_a_body_can_drip() -> None:
    times: list[float] = []
    async with plain(lambda _: Response(200, b"abcdef", drip_bytes=2, drip_s=0.02)) as (_, reader, writer):
        writer.write(POST)
        async with asyncio.timeout(60):
            await reader.readuntil(b"\r\n\r\n")
            for part in (b"ab", b"cd", b"ef"):
                assert await reader.readexactly(2) == part
                times.append(asyncio.get_running_loop().time())
    assert times[2] - times[0] > 0.03


async def test_an_answer_can_be_late_or_not_come_at_all() -> None:
    async with plain(lambda _: Response(200, b"ab", delay_s=0.05)) as (_, reader, writer):
        begin = asyncio.get_running_loop().time()
        writer.write(POST)
        await one(reader)
        assert asyncio.get_running_loop().time() - begin >= 0.05
    async with plain(lambda _: Response(answer=False, ending=Ending.SILENT)) as (_, reader, writer):
        writer.write(POST)
        assert await everything(reader) == b""


async def test_a_connection_can_be_torn_down() -> None:
    async with plain(lambda _: Response(answer=False, ending=Ending.ABORT)) as (_, reader, writer):
        writer.write(POST)
        with pytest.raises(ConnectionResetError):
            await everything(reader)


async def test_an_answer_can_be_any_bytes() -> None:
    async with plain(lambda _: Response(raw=b"\x00\x01 not HTTP", ending=Ending.SILENT)) as (_, reader, writer):
        writer.write(POST)
        assert await everything(reader) == b"\x00\x01 not HTTP"


async def test_all_connections_can_be_dropped() -> None:
    async with plain() as (server, reader, writer):
        writer.write(POST)
        await one(reader)
        assert server.connections == 1
        server.drop_connections()
        with pytest.raises(ConnectionResetError):
            await everything(reader)


async def test_a_handler_that_raises_breaks_its_connection_and_is_reported() -> None:
    reports: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))

    def handler(request: Request) -> Response:
        raise LookupError("a mistake")

    async with plain(handler) as (server, reader, writer):
        writer.write(POST)
        with contextlib.suppress(ConnectionError):
            assert await everything(reader) == b""
        assert [type(report["exception"]) for report in reports] == [LookupError]
        assert server.connections == 0


# Routes and rules


def test_routes_know_path_and_method() -> None:
    routes = Routes({"/a": echo})
    assert routes(Request("POST", "/a", body=b"x")).body == b"x"
    assert routes(Request("POST", "/b")).status == 404
    refused = routes(Request("GET", "/a"))
    assert (refused.status, refused.headers) == (405, (("Allow", "POST"),))
    assert Routes({"/a": echo}, post_only=False)(Request("GET", "/a")).status == 200


@pytest.mark.parametrize(
    ("rule", "value", "status"),
    [
        (HeaderRule("X-P", allowed=("v2.1.0",)), "v2.1.0", 200),
        (HeaderRule("X-P", allowed=("v2.1.0",)), "v2.1.00", 400),
        (HeaderRule("X-P", allowed=("v2.1.0",)), None, 400),
        (HeaderRule("X-P", prefixes=("v2.",), status=415), "v2.9", 200),
        (HeaderRule("X-P", prefixes=("v2.",), status=415), "v3.0", 415),
        (HeaderRule("X-P"), "", 200),
        (HeaderRule("X-P"), None, 400),
    ],
)
def test_headers_can_be_insisted_on(rule: HeaderRule, value: str | None, status: int) -> None:
    headers = (("x-p", value),) if value is not None else ()
    assert Routes({"/a": echo}, (rule,))(Request("POST", "/a", headers=headers)).status == status


# TLS


@pytest.fixture(params=["p256", "brainpool"])
def pki(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.create(tmp_path_factory.mktemp("http"), request.param)


def client_context(pki: Pki) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=pki["ci"].cert_pem.decode())
    context.set_alpn_protocols(["h2", "http/1.1"])
    if pki.curve == "brainpool":
        context.set_ecdh_curve("brainpoolP256r1")
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def exchange(pki: Pki, port: int, bodies: list[bytes]) -> tuple[list[bytes], str | None, str | None]:
    """Some POSTs on one connection of the standard library's client, which checks chain and name."""
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=60)
    connection.sock = client_context(pki).wrap_socket(
        socket.create_connection(("127.0.0.1", port), timeout=60), server_hostname="smdp.lab.example"
    )
    answers = []
    for body in bodies:
        connection.request("POST", "/x", body)
        answers.append(connection.getresponse().read())
    alpn, version = connection.sock.selected_alpn_protocol(), connection.sock.version()
    connection.sock.unwrap()
    connection.close()
    return answers, alpn, version


async def test_a_foreign_client_verifies_chain_and_name_on_both_curves(pki: Pki) -> None:
    async with HttpServer(echo, tls=TlsSettings(pki["dptls"])) as server:
        answers, alpn, version = await asyncio.to_thread(exchange, pki, server.port, [b"a", b"b" * 200_000])
        assert answers == [b"a", b"b" * 200_000]
        assert alpn == "http/1.1"
        assert version == ("TLSv1.3" if pki.curve == "p256" else "TLSv1.2")
        assert server.url == f"https://127.0.0.1:{server.port}"
    assert server.counters.close_notify == 1


async def test_a_client_without_goodbye_is_counted(p256: Pki) -> None:
    def client(port: int) -> None:
        raw = socket.create_connection(("127.0.0.1", port), timeout=60)
        tls = client_context(p256).wrap_socket(raw, server_hostname="smdp.lab.example")
        tls.sendall(POST)
        assert tls.recv(1000).endswith(b"\r\n\r\nab")
        tls.close()

    async with HttpServer(echo, tls=TlsSettings(p256["dptls"])) as server:
        await asyncio.to_thread(client, server.port)
        await server.settled()
        assert (server.counters.close_notify, server.counters.ragged_ends) == (0, 1)


async def test_a_client_that_trusts_another_ca_sends_nothing(p256: Pki) -> None:
    other = ssl.create_default_context(cadata=p256.variant("ci", "foreign").cert_pem.decode())
    async with HttpServer(echo, tls=TlsSettings(p256["dptls"])) as server:
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection(server.host, server.port, ssl=other, server_hostname="smdp.lab.example")
        assert server.counters.requests == 0


async def test_old_tls_is_not_spoken(p256: Pki) -> None:
    context = client_context(p256)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    settings = TlsSettings(p256["dptls"], minimum=ssl.TLSVersion.TLSv1_3)
    async with HttpServer(echo, tls=settings) as server:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection(server.host, server.port, ssl=context, server_hostname="smdp.lab.example")


@pytest.mark.parametrize("ending", [Ending.CLOSE, Ending.ABORT])
async def test_the_end_of_tls_is_said_or_not(p256: Pki, ending: Ending) -> None:
    async with HttpServer(lambda _: Response(200, b"ab", ending=ending), tls=TlsSettings(p256["dptls"])) as server:
        command = ["openssl", "s_client", "-quiet", "-verify_quiet", "-ign_eof", "-connect", f"127.0.0.1:{server.port}"]
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(60):
            out, err = await process.communicate(POST)
        if ending is Ending.CLOSE:
            assert out.endswith(b"\r\n\r\nab")
            assert b"errno" not in err
            assert b"unexpected eof" not in err
        else:
            assert process.returncode != 0 or b"errno" in err or b"eof" in err


async def test_curl_speaks_with_it(p256: Pki) -> None:
    async with HttpServer(echo, tls=TlsSettings(p256["dptls"])) as server:
        url = f"https://smdp.lab.example:{server.port}/x"
        process = await asyncio.create_subprocess_exec(
            *("curl", "-sS", "--cacert", str(p256["ci"].cert_path), "--resolve"),
            *(f"smdp.lab.example:{server.port}:127.0.0.1", "--data-binary", "@-", "-H", "Expect: 100-continue"),
            *("-H", "Transfer-Encoding: chunked", url, url),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(60):
            out, err = await process.communicate(b"z" * 100_000)
        assert (process.returncode, err) == (0, b"")
        assert out == b"z" * 100_000 * 2
        assert server.counters.connections == 1
