"""Packages pushed over HTTPS, by the lab's client: who is heard, what is answered, and what a stranger can not do."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ipad_agent.inject import request_limits
from ipad_agent.inject.listen_place import ListenPlace, keep_listening
from ipad_agent.lab.eim.errors import InjectionError
from ipad_agent.lab.eim.injection import https_client
from ipad_agent.lab.eim.injection.https_client import push_https

from .listeners import Site, running
from .test_pushed_packages import EIM, OLD_RECEIVED, data_request, transfer

BODY = transfer(data_request())


@pytest.fixture
def site(tmp_path: Path, pki_folder: Path) -> Site:
    return Site(tmp_path, pki_folder)


async def push(site: Site, body: bytes = BODY, **how: Any) -> tuple[int, bytes]:
    how = {"identity": site.eim, "expected": site.own.chain[0], **how}
    return await asyncio.to_thread(lambda: push_https(("127.0.0.1", site.https_port), body, **how))


async def test_the_eim_of_the_card_is_heard_by_its_key(site: Site) -> None:
    async with running(site.https().run(), site.https_port, socket.SOCK_STREAM):
        assert await push(site) == (200, OLD_RECEIVED)
    assert len(site.orders.taken) == 1


async def test_a_stranger_reaches_nobody(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "ipad_agent")
    async with running(site.https().run(), site.https_port, socket.SOCK_STREAM):
        for _ in range(2):
            with pytest.raises(InjectionError):
                await push(site, identity=site.stranger)
        with pytest.raises(InjectionError):
            await push(site, identity=None)
    assert site.orders.taken == []
    said = [record for record in caplog.records if "is no eIM of this card" in record.getMessage()]
    assert len(said) == 1  # and not once per attempt


@pytest.mark.parametrize(
    ("how", "status"),
    [({"path": "/"}, 404), ({"body": bytes(request_limits.MOST_BODY_BYTES + 1)}, 413)],
)
async def test_what_is_no_such_request_is_refused_by_its_status(site: Site, how: dict[str, Any], status: int) -> None:
    async with running(site.https().run(), site.https_port, socket.SOCK_STREAM):
        assert (await push(site, **how))[0] == status
    assert site.orders.taken == []


async def test_more_than_a_share_of_connections_is_not_looked_at(site: Site) -> None:
    site.per_minute = 2
    async with running(site.https().run(), site.https_port, socket.SOCK_STREAM):
        assert [(await push(site))[0] for _ in range(2)] == [200, 200]
        with pytest.raises(InjectionError):
            await push(site)


async def test_one_that_connects_and_is_silent_is_cut_off_and_keeps_nobody_out(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_limits, "HANDSHAKE_S", 0.2)
    async with running(site.https().run(), site.https_port, socket.SOCK_STREAM):
        silent = [await asyncio.open_connection("127.0.0.1", site.https_port) for _ in range(5)]
        ended = await asyncio.gather(*(reader.read() for reader, _ in silent), return_exceptions=True)
        assert all(end == b"" or isinstance(end, ConnectionError) for end in ended)
        assert await push(site) == (200, OLD_RECEIVED)
        for _, writer in silent:
            writer.close()


async def test_an_eim_that_does_not_finish_its_request_is_cut_off(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_limits, "IDLE_S", 0.2)
    async with running(site.https().run(), site.https_port, socket.SOCK_STREAM):
        heard = await asyncio.to_thread(
            _raw, site, b"POST /gsma/rsp2/asn1 HTTP/1.1\r\nHost: d\r\nContent-Length: 9\r\n"
        )
        assert heard == b""
    assert site.orders.taken == []


@pytest.mark.parametrize(
    "request_bytes",
    [b"GET / HTTP/1.1\r\nHost: d\r\n\r\n", b"\x00" * 64 + b"\r\n\r\n", b"POST " + b"x" * 70000 + b" HTTP/1.1\r\n\r\n"],
)
async def test_garbage_behind_a_good_handshake_ends_the_connection(site: Site, request_bytes: bytes) -> None:
    async with running(site.https().run(), site.https_port, socket.SOCK_STREAM):
        heard = await asyncio.to_thread(_raw, site, request_bytes)
        assert heard == b"" or heard.startswith(b"HTTP/1.1 4")
        assert await push(site) == (200, OLD_RECEIVED)


async def test_several_requests_may_come_on_one_connection(site: Site) -> None:
    head = "POST /gsma/rsp2/asn1 HTTP/1.1\r\nHost: d\r\nContent-Type: application/x-gsma-rsp-asn1\r\n"
    head += f"Content-Length: {len(BODY)}\r\n"
    first, last = (head + "\r\n").encode() + BODY, (head + "Connection: close\r\n\r\n").encode() + BODY
    async with running(site.https().run(), site.https_port, socket.SOCK_STREAM):
        heard = await asyncio.to_thread(_raw, site, first + last)
    assert heard.count(b"HTTP/1.1 200") == 2
    assert len(site.orders.taken) == 2


async def test_a_place_that_is_not_allowed_is_not_listened_at(site: Site) -> None:
    site.why_not = "127.0.0.1 belongs to wwan0, which is no tunnel"
    task = asyncio.create_task(site.https().run())
    await asyncio.sleep(0.05)
    with pytest.raises(InjectionError):
        await push(site)
    task.cancel()


async def test_a_place_that_is_not_allowed_is_never_opened_not_even_for_a_moment(
    caplog: pytest.LogCaptureFixture,
) -> None:
    begun: list[str] = []

    async def begin() -> Callable[[], None]:
        begun.append("opened")
        await asyncio.sleep(0)
        return lambda: None

    why = "10.0.3.1 belongs to wwan0, which is no tunnel"
    task = asyncio.create_task(keep_listening(ListenPlace("https", "10.0.3.1", 443, lambda: why), begin))
    for _ in range(10):
        await asyncio.sleep(0)
    task.cancel()
    assert begun == []
    assert why in caplog.text


def _raw(site: Site, data: bytes) -> bytes:
    """What comes back for these bytes inside of the session."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    https_client._show(context, site.eim)
    with socket.create_connection(("127.0.0.1", site.https_port), 10) as line, context.wrap_socket(line) as tls:
        heard = b""
        try:
            tls.sendall(data)
            while piece := tls.recv(65536):
                heard += piece
        except OSError:
            pass
        return heard


JSON: dict[str, Any] = {"path": "/gsma/rsp2/esipa/transferEimPackage", "content_type": "application/json;charset=UTF-8"}


def in_json(**members: object) -> bytes:
    return json.dumps(members).encode()


async def test_a_package_in_json_is_taken_as_it_is_signed_and_answered_in_json(site: Site) -> None:
    package = data_request()
    body = in_json(ipaEuiccDataRequest=base64.b64encode(package).decode(), header={"of": "ES9+"}, more=1)
    async with running(site.https().run(), site.https_port, socket.SOCK_STREAM):
        old = await push(site, body, **JSON)
        new = await push(site, body, admin_protocol="gsma/rsp/v1.3.0", **JSON)
    assert old == (
        200,
        b'{"header":{"functionExecutionStatus":{"status":"Executed-Success"}},"eimPackageReceived":null}',
    )
    answer = json.loads(new[1])
    assert list(answer) == ["header", "eimPackageReceivedWithCid"]
    assert base64.b64decode(answer["eimPackageReceivedWithCid"]).startswith(bytes.fromhex("BF60"))
    assert [getattr(taken, "raw", None) for _, taken in site.orders.taken] == [package, package]


async def test_an_acknowledgement_in_json_is_answered_without_content(site: Site) -> None:
    body = in_json(eimAcknowledgements=base64.b64encode(bytes.fromhex("BF5303800107")).decode())
    async with running(site.https().run(), site.https_port, socket.SOCK_STREAM):
        assert await push(site, body, **JSON) == (204, b"")
    assert site.orders.numbers == [(EIM, (7,))]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        in_json(),
        in_json(euiccPackageRequest="***"),
        in_json(euiccPackageRequest=base64.b64encode(bytes.fromhex("BF5200")).decode()),
        in_json(ipaEuiccDataRequest="v1IA", eimAcknowledgements="v1MA"),
    ],
)
async def test_json_that_is_no_package_is_an_invalid_format(site: Site, body: bytes) -> None:
    async with running(site.https().run(), site.https_port, socket.SOCK_STREAM):
        status, answer = await push(site, body, **JSON)
    assert (status, json.loads(answer)["eimPackageError"]) == (200, 1)
    assert site.orders.taken == []


async def test_each_binding_has_its_own_content_type(site: Site) -> None:
    async with running(site.https().run(), site.https_port, socket.SOCK_STREAM):
        assert (await push(site, **{**JSON, "content_type": https_client.ASN1_TYPE}))[0] == 415
        assert (await push(site, content_type=JSON["content_type"]))[0] == 415
