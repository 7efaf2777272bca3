"""Servers and proxies that compress their answers although nobody asked them to (RFC 9110 §12.5.3)."""

from __future__ import annotations

import gzip
import logging
import zlib

import pytest

from ipad_agent.net import PeerStatus, ProtocolViolation, ResponseTooLarge, Trust
from ipad_agent.net.https.content_coding import decoded

from .certs import Identity, issue
from .https_server import Client, Script, Server
from .test_https import NOTHING, ONE, POLL, carrier, ids


@pytest.fixture(scope="module")
def identity() -> Identity:
    return issue("S", ips=("127.0.0.1",))


def _raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


def answers(body: bytes, encoding: str, *, status: str = "200 OK") -> Script:
    async def script(client: Client) -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(body)}\r\n\r\n"
        while await client.request() is not None:
            await client.send(head.encode() + body)

    return script


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(NOTHING), "gzip"),
        (gzip.compress(NOTHING), " X-GZip "),
        (zlib.compress(NOTHING), "deflate"),
        (_raw_deflate(NOTHING), "deflate"),
        (NOTHING, "UTF-8"),  # a character set in the wrong place
    ],
)
async def test_an_answer_that_is_compressed_unasked_is_read_and_told_once(
    identity: Identity, body: bytes, encoding: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ipad_agent")
    async with Server(identity, answers(body, encoding)) as server:
        eim = carrier(server, Trust.spki(identity.spki))
        for _ in range(2):
            assert await eim.exchange(POLL, function=ONE) == NOTHING
        await eim.close()
    assert ids(caplog).count("IPA-9075") == 1


async def test_an_empty_success_has_nothing_to_unpack(identity: Identity) -> None:
    async with Server(identity, answers(b"", "gzip")) as server:
        eim = carrier(server, Trust.spki(identity.spki))
        assert await eim.exchange(POLL, function=ONE) == b""
        await eim.close()


async def test_the_words_of_a_compressed_error_page_are_read(identity: Identity) -> None:
    page = b'{"header": "no"}'
    async with Server(identity, answers(gzip.compress(page), "gzip", status="500 Oops")) as server:
        eim = carrier(server, Trust.spki(identity.spki))
        with pytest.raises(PeerStatus) as caught:
            await eim.exchange(POLL, function=ONE)
        await eim.close()
    assert (caught.value.code, caught.value.body) == ("500", page)


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(NOTHING)[:-1], "gzip"),  # cut off: never taken for a whole answer
        (gzip.compress(NOTHING) + b"x", "gzip"),
        (NOTHING, "gzip"),
        (NOTHING, "deflate"),
        (NOTHING, "br"),
        (NOTHING, "gzip, gzip"),
    ],
)
async def test_an_answer_that_cannot_be_unpacked_is_the_servers_fault(
    identity: Identity, body: bytes, encoding: str
) -> None:
    async with Server(identity, answers(body, encoding)) as server:
        eim = carrier(server, Trust.spki(identity.spki))
        with pytest.raises(ProtocolViolation):
            await eim.exchange(POLL, function=ONE)
        await eim.close()


def test_a_small_answer_that_unpacks_to_a_huge_one_is_not_unpacked_to_its_end() -> None:
    bomb = gzip.compress(bytes(100 << 20))
    with pytest.raises(ResponseTooLarge):
        decoded(bomb, "gzip", limit_bytes=1 << 18)
    assert decoded(gzip.compress(bytes(1 << 18)), "gzip", limit_bytes=1 << 18) == bytes(1 << 18)
