"""The installed h11: whether it is repaired is seen by what it does, and no error of an old one escapes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import h11
import pytest

from ipad_agent.net import HttpsCarrier, HttpsEndpoint, ProtocolViolation, Trust
from ipad_agent.net.https import http_reader

from .certs import Identity, issue
from .https_server import Client, Server

ONE = "GetEimPackage"


@pytest.fixture(scope="module")
def identity() -> Identity:
    return issue("S", ips=("127.0.0.1",))


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    http_reader.is_repaired.cache_clear()
    http_reader.report_once.cache_clear()
    yield
    http_reader.is_repaired.cache_clear()
    http_reader.report_once.cache_clear()


async def ask(identity: Identity, answer: bytes) -> bytes:
    async def script(client: Client) -> None:
        await client.request()
        await client.send(answer)
        await client.request()

    async with Server(identity, script) as server:
        eim = HttpsCarrier(HttpsEndpoint("127.0.0.1", Trust.spki(identity.spki), port=server.port))
        try:
            return await eim.exchange(b"x", function=ONE)
        finally:
            await eim.close()


async def test_chunks_that_are_delimited_wrongly_are_no_http(identity: Identity) -> None:
    # RFC 9112 §7.1: CR LF after the data of each chunk; here two other bytes.
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\naXX0\r\n\r\n"
    with pytest.raises(ProtocolViolation, match="no HTTP"):
        await ask(identity, answer)


class Lenient(h11.Connection):
    """As before 0.16: any two bytes end a chunk."""

    def receive_data(self, data: bytes) -> None:
        super().receive_data(data.replace(b"aXX", b"a\r\n"))


async def test_an_h11_without_the_repair_is_used_and_told_once(
    identity: Identity, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(h11, "Connection", Lenient)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    with caplog.at_level(logging.INFO, "ipad_agent"):
        assert [await ask(identity, answer) for _ in range(2)] == [b"ok"] * 2
    said = [record.event.id for record in caplog.records if hasattr(record, "event")]
    assert said.count("IPA-3013") == 1


async def test_a_repaired_h11_is_not_spoken_of(identity: Identity, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "ipad_agent"):
        await ask(identity, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert "IPA-3013" not in [record.event.id for record in caplog.records if hasattr(record, "event")]


async def test_a_content_length_of_thousands_of_digits_is_no_http(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Python refuses to read a number of over 4300 digits; h11 before 0.16 asks it to, and later ones do with this.
    limits: Any = h11._headers
    monkeypatch.setattr(limits, "CONTENT_LENGTH_MAX_DIGITS", 1 << 20, raising=False)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n"
    with pytest.raises(ProtocolViolation, match="no HTTP"):
        await ask(identity, answer)
