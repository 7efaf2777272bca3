"""The relay's HTTPS client against real sockets: the lab's SM-DP+, and servers that drip, lie and break off."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator

import pytest

from ipad_agent.lab.eim.relay.es9_calls import Es9Error, Servers
from ipad_agent.lab.eim.relay.es9_over_https import HttpsEs9, trusting
from ipad_agent.lab.http import Ending, HttpServer, Request, Response, TlsSettings
from ipad_agent.lab.pki import Pki
from ipad_agent.lab.smdp import EXACT, Fault, FrontSettings, PortSettings, SmdpServer

from .indirect import ADDRESS, Ipa, World


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.create(tmp_path_factory.mktemp("pki"))


def client(pki: Pki, port: int, *, deadline_s: float = 10, **more: object) -> HttpsEs9:
    context = trusting(pki["ci"].cert_pem.decode(), brainpool=pki.curve == "brainpool")
    return HttpsEs9(ADDRESS, context, ("127.0.0.1", port), deadline_s=deadline_s, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("curve", ["p256", "brainpool"])
async def test_a_download_runs_over_https_while_the_eim_goes_on_answering(
    tmp_path_factory: pytest.TempPathFactory, curve: str
) -> None:
    pki = Pki.create(tmp_path_factory.mktemp(curve), curve)
    world = World(pki)
    async with SmdpServer(world.smdp) as server:
        assert world.eim.relay is not None
        world.eim.relay.servers = Servers({ADDRESS: client(pki, server.port)}, blocking=True)
        order = world.order()
        ipa = Ipa(world, transaction=order.transaction_id)
        reply = world.eim.exchange(ipa.initiate_body(), peer="p")
        assert reply.later is not None
        answering = asyncio.ensure_future(reply.later())
        assert world.poll().tag == 0xBF54
        assert (await answering).body.startswith(bytes.fromhex("BF39"))
        assert server.http.counters.statuses == {200: 1}


async def test_the_pickiest_server_takes_the_right_headers(pki: Pki) -> None:
    world = World(pki)
    settings = PortSettings(front=FrontSettings(rules=EXACT))
    async with SmdpServer(world.smdp, settings) as server:
        picky = {
            "User-Agent": "gsma-rsp-lpad",
            "X-Admin-Protocol": "gsma/rsp/v2.1.0",
            "Content-Type": "application/json",
        }
        answer = await asyncio.to_thread(client(pki, server.port, headers=picky), "cancelSession", {})
        assert answer["header"]["functionExecutionStatus"]["status"] == "Failed"


async def test_the_header_object_is_sent_where_it_is_wanted(pki: Pki) -> None:
    world = World(pki)
    async with SmdpServer(world.smdp) as server:
        await asyncio.to_thread(client(pki, server.port, requester="2.999.1"), "cancelSession", {})
    assert world.smdp.log[-1].request["header"] == {
        "functionRequesterIdentifier": "2.999.1",
        "functionCallIdentifier": "cancelSession",
    }


@pytest.mark.parametrize("action", ["html", "empty", "not-json", "shape", "cut", "abort", "lose-answer", "dead"])
async def test_a_broken_answer_is_an_error_with_a_sentence(pki: Pki, action: str) -> None:
    world = World(pki)
    world.smdp.faults.arm(Fault("initiateAuthentication", action, 20 if action == "cut" else None))
    async with SmdpServer(world.smdp) as server:
        es9 = client(pki, server.port)
        if action == "abort":  # the answer is whole
            await asyncio.to_thread(es9, "initiateAuthentication", {})
            return
        with pytest.raises(Es9Error, match=ADDRESS):
            await asyncio.to_thread(es9, "initiateAuthentication", {})


@pytest.fixture
async def anything(pki: Pki) -> AsyncIterator[HttpServer]:
    async with HttpServer(lambda request: Response(), tls=TlsSettings(pki["dptls"])) as server:
        yield server


async def test_a_dripping_server_is_given_up_at_the_deadline(pki: Pki, anything: HttpServer) -> None:
    anything.handler = lambda request: Response(body=b"{" + b" " * 5000 + b"}", drip_bytes=1, drip_s=0.02)
    with pytest.raises(Es9Error, match=r"not over after 0\.5 s"):
        await asyncio.to_thread(client(pki, anything.port, deadline_s=0.5), "getBoundProfilePackage", {})


async def test_a_server_that_stops_in_its_head_is_given_up_too(pki: Pki, anything: HttpServer) -> None:
    anything.handler = lambda request: Response(raw=b"HTTP/1.1 200 OK\r\nX-Begun: ")
    with pytest.raises(Es9Error, match=r"not over after 0\.5 s"):
        await asyncio.to_thread(client(pki, anything.port, deadline_s=0.5), "getBoundProfilePackage", {})


async def test_an_endless_answer_is_given_up_at_the_limit(pki: Pki, anything: HttpServer) -> None:
    anything.handler = lambda request: Response(body=b" " * 100_000)
    with pytest.raises(Es9Error, match="more than 1000 bytes"):
        await asyncio.to_thread(client(pki, anything.port, max_answer_bytes=1000), "getBoundProfilePackage", {})


async def test_an_empty_204_answers_a_notification_but_no_other_function(pki: Pki, anything: HttpServer) -> None:
    anything.handler = lambda request: Response(204)
    assert await asyncio.to_thread(client(pki, anything.port), "handleNotification", {}) == {}
    with pytest.raises(Es9Error):
        await asyncio.to_thread(client(pki, anything.port), "authenticateClient", {})


@pytest.mark.parametrize(
    "response",
    [Response(500, b"{}"), Response(302, b"{}"), Response(body=b"{}", length_bytes=9, ending=Ending.CLOSE)],
    ids=["error", "redirection", "shorter than announced"],
)
async def test_json_alone_does_not_make_an_answer(pki: Pki, anything: HttpServer, response: Response) -> None:
    anything.handler = lambda request: response
    with pytest.raises(Es9Error):
        await asyncio.to_thread(client(pki, anything.port), "handleNotification", {})


async def test_the_request_is_what_a_server_expects(pki: Pki, anything: HttpServer) -> None:
    seen: list[Request] = []

    def handler(request: Request) -> Response:
        seen.append(request)
        return Response(204)

    anything.handler = handler
    await asyncio.to_thread(client(pki, anything.port), "handleNotification", {"pendingNotification": "MAA="})
    (request,) = seen
    assert (request.method, request.path) == ("POST", "/gsma/rsp2/es9plus/handleNotification")
    assert request.header("host") == ADDRESS
    assert request.header("x-admin-protocol") == "gsma/rsp/v2.1.0"
    assert request.header("content-type") == "application/json;charset=UTF-8"
    assert request.body == b'{"pendingNotification": "MAA="}'


async def test_a_certificate_of_another_ci_or_name_is_refused(
    pki: Pki, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = Pki.create(tmp_path_factory.mktemp("other"))
    async with HttpServer(lambda request: Response(204), tls=TlsSettings(other["dptls"])) as server:
        with pytest.raises(Es9Error, match="certificate verify failed"):
            await asyncio.to_thread(client(pki, server.port), "handleNotification", {})
    async with HttpServer(lambda request: Response(204), tls=TlsSettings(pki["dstls"])) as server:
        with pytest.raises(Es9Error, match="certificate"):
            await asyncio.to_thread(client(pki, server.port), "handleNotification", {})


async def test_nobody_at_the_port_is_an_error(pki: Pki, anything: HttpServer) -> None:
    port = anything.port
    await anything.stop()
    with pytest.raises(Es9Error, match="not reached"):
        await asyncio.to_thread(client(pki, port), "handleNotification", {})


@pytest.mark.parametrize("headers", ["", "Connection: close\r\n"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_connection_ends_with_close_notify(pki: Pki, version: ssl.TLSVersion, headers: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(pki["dptls"].cert_path), str(pki["dptls"].key_path))
    context.minimum_version = context.maximum_version = version
    ends: list[bytes | Exception] = []
    body = b'{"header": {"functionExecutionStatus": {"status": "Executed-Success"}}}'

    def serve(listening: socket.socket) -> None:
        raw, _ = listening.accept()
        with context.wrap_socket(raw, server_side=True, suppress_ragged_eofs=False) as tls:
            request = b""
            while not request.endswith(b"}"):
                request += tls.recv(65536)
            tls.sendall(f"HTTP/1.1 200 OK\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            try:
                ends.append(tls.recv(1))
            except OSError as error:
                ends.append(error)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = threading.Thread(target=serve, args=(listening,))
        serving.start()
        client(pki, listening.getsockname()[1])("cancelSession", {"transactionId": "00"})
        serving.join(10)
    assert ends == [b""]
