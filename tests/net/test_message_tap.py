"""Who listens hears every message as it was on the carrier, with path and status, also when no answer comes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ipad_agent.errors import IpadError
from ipad_agent.net import Trust, message_tap
from ipad_agent.net.message_tap import CarriedMessage

from .certs import Identity, issue
from .https_server import Server
from .test_coaps import echo, status, talk
from .test_https import carrier, once

REQUEST = b"\xbf\x4f\x00"


@pytest.fixture(scope="module")
def identity() -> Identity:
    return issue("S", dns=("eim.test", "localhost"), ips=("127.0.0.1",))


@pytest.fixture
def heard() -> Iterator[list[CarriedMessage]]:
    messages: list[CarriedMessage] = []
    end = message_tap.tap(messages.append)
    yield messages
    end()
    assert message_tap.TAPS == []


async def test_an_exchange_over_coap_is_told_with_path_and_code(
    identity: Identity, heard: list[CarriedMessage]
) -> None:
    async with talk(identity, echo) as t:
        await t.ask(REQUEST)
    sent, received = heard
    assert (sent.way, sent.body, sent.status) == ("sent", REQUEST, "")
    assert (received.way, received.body, received.status, received.problem) == ("received", REQUEST, "2.04", "")
    assert {(one.scheme, one.path, one.function) for one in heard} == {("coaps", "/gsma/rsp2/asn1", "GetEimPackage")}
    assert sent.address == received.address
    assert sent.address.startswith("127.0.0.1:")


async def test_a_refusal_over_coap_is_told_with_its_code(identity: Identity, heard: list[CarriedMessage]) -> None:
    async with talk(identity, status(0x84)) as t:
        with pytest.raises(IpadError):
            await t.ask(REQUEST)
    assert (heard[-1].way, heard[-1].status) == ("received", "4.04")
    assert "4.04" in heard[-1].problem


async def test_an_answer_that_does_not_come_is_told_as_that(identity: Identity, heard: list[CarriedMessage]) -> None:
    async with talk(identity, lambda *_: None, exchange_timeout_s=0.3) as t:
        with pytest.raises(IpadError):
            await t.ask(REQUEST)
    assert (heard[-1].way, heard[-1].body, heard[-1].status) == ("received", b"", "")
    assert heard[-1].problem


@pytest.mark.parametrize("code", [200, 404])
async def test_an_exchange_over_https_is_told_with_path_status_and_body(
    identity: Identity, heard: list[CarriedMessage], code: int
) -> None:
    async with Server(identity, once(status=f"{code} Said", body=b"\xbf\x4f\x03\x02\x01\x01")) as server:
        way = carrier(server, Trust.spki(identity.spki), path="/gsma/rsp2/es9plus/{function}")
        try:
            await way.exchange(REQUEST, function="CancelSession")
        except IpadError:
            assert code == 404
        await way.close()
    sent, received = heard
    assert (sent.body, sent.path, sent.scheme) == (REQUEST, "/gsma/rsp2/es9plus/cancelSession", "https")
    assert (received.body, received.status, received.problem) == (b"\xbf\x4f\x03\x02\x01\x01", str(code), "")


async def test_a_server_that_is_not_there_is_told_over_https_too(
    identity: Identity, heard: list[CarriedMessage]
) -> None:
    async with Server(identity, once()) as server:
        way = carrier(server, Trust.spki(identity.spki), connect_timeout_s=0.5)
    with pytest.raises(IpadError):
        await way.exchange(REQUEST, function="GetEimPackage")
    assert (heard[-1].way, heard[-1].status) == ("received", "")
    assert heard[-1].problem
