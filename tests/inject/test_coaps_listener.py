"""Packages pushed over CoAP and DTLS, by the lab's client: who is heard, blocks, repetitions, and what nobody gets."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from OpenSSL import SSL

from ipad_agent.inject import coaps_listener
from ipad_agent.inject.coap_requests import ACK, CON, POST, RST, RequestBlocks, read, write
from ipad_agent.inject.dtls_peer import DtlsContext
from ipad_agent.inject.request_limits import MOST_BODY_BYTES
from ipad_agent.lab.eim.errors import InjectionError
from ipad_agent.lab.eim.injection.coaps_client import push_coaps
from ipad_agent.net.coap.blockwise_transfer import Block

from .listeners import PSK, Site, running
from .test_pushed_packages import OLD_RECEIVED, Orders, data_request, transfer

BODY = transfer(data_request())


@pytest.fixture
def site(tmp_path: Path, pki_folder: Path) -> Site:
    return Site(tmp_path, pki_folder)


async def push(site: Site, body: bytes = BODY, **how: Any) -> tuple[str, bytes]:
    if "psk" not in how:
        how = {"identity": site.eim, "expected": site.own.chain[0], **how}
    how = {"deadline_s": 8.0, **how}
    return await asyncio.to_thread(lambda: push_coaps(("127.0.0.1", site.coaps_port), body, **how))


async def test_the_eim_of_the_card_is_heard_by_its_key(site: Site) -> None:
    async with running(site.coaps().run(), site.coaps_port, socket.SOCK_DGRAM):
        assert await push(site) == ("2.04", OLD_RECEIVED)
    assert len(site.orders.taken) == 1


async def test_the_eim_of_the_configuration_is_heard_by_its_pre_shared_key_and_no_other_is(site: Site) -> None:
    site = replace(site, psk=True)
    async with running(site.coaps().run(), site.coaps_port, socket.SOCK_DGRAM):
        assert await push(site, psk=(PSK.identity, PSK.key)) == ("2.04", OLD_RECEIVED)
        with pytest.raises(InjectionError):
            await push(site, psk=(b"somebody", PSK.key))
        with pytest.raises(InjectionError):
            await push(site, psk=(PSK.identity, bytes(16)), deadline_s=1.0)
    assert len(site.orders.taken) == 1


async def test_a_stranger_reaches_nobody(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "ipad_agent")
    async with running(site.coaps().run(), site.coaps_port, socket.SOCK_DGRAM):
        with pytest.raises(InjectionError):
            await push(site, identity=site.stranger)
        with pytest.raises(InjectionError):
            await push(site, identity=None)
    assert site.orders.taken == []
    assert any("is no eIM of this card" in record.getMessage() for record in caplog.records)


async def test_a_package_in_blocks_is_put_together(site: Site) -> None:
    body = transfer(data_request(bytes(16)) + bytes.fromhex("BF6F82 05DC") + bytes(1500))
    async with running(site.coaps().run(), site.coaps_port, socket.SOCK_DGRAM):
        assert await push(site, body) == ("2.04", OLD_RECEIVED)
        assert (await push(site, bytes(MOST_BODY_BYTES + 1)))[0] == "4.13"
        assert (await push(site, path=("elsewhere",)))[0] == "4.04"
    assert len(site.orders.taken) == 1


async def test_an_answer_that_takes_longer_comes_by_itself_and_until_it_is_acknowledged(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coaps_listener, "PIGGYBACK_S", 0.05)

    class Slow(Orders):
        async def take(self, eim_id: str, package: object) -> str | None:
            await asyncio.sleep(0.3)
            return None

    site = replace(site, orders=Slow())
    async with running(site.coaps().run(), site.coaps_port, socket.SOCK_DGRAM):
        assert await push(site) == ("2.04", OLD_RECEIVED)


async def test_garbage_on_the_port_is_not_answered_and_keeps_nobody_out(site: Site) -> None:
    async with running(site.coaps().run(), site.coaps_port, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.setblocking(False)
            for data in (b"", b"\x00", b"\x16", b"\x16\xfe\xfd" + bytes(10), bytes(1500), b"\x17\xfe\xfd" + bytes(50)):
                line.sendto(data, ("127.0.0.1", site.coaps_port))
            assert await push(site) == ("2.04", OLD_RECEIVED)
            with pytest.raises(BlockingIOError):
                line.recv(1)


def test_nothing_is_remembered_of_an_address_that_did_not_send_its_cookie_back() -> None:
    """Else anybody could have packets sent to somebody else, and fill this device's memory."""
    context = DtlsContext(None, lambda _: PSK)
    hello = _client_hello()
    peer, answers = context.hello(hello, b"address")
    assert peer is None
    assert sum(map(len, answers)) < len(hello)
    assert context.hello(hello, b"address")[0] is None  # the same once more


def _client_hello() -> bytes:
    context = SSL.Context(SSL.DTLS_CLIENT_METHOD)
    context.set_cipher_list(b"ECDHE-ECDSA-AES128-GCM-SHA256")
    connection = SSL.Connection(context, None)
    connection.set_ciphertext_mtu(1200)
    connection.set_connect_state()
    with pytest.raises(SSL.WantReadError):
        connection.do_handshake()
    return connection.bio_read(65536)


# -- messages ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "datagram", [b"", b"\x40", b"\x80\x02\x00\x01", b"\x40\x00\x00\x01\xff", b"\x49\x02\x00\x01" + bytes(9)]
)
def test_what_is_no_coap_message_is_none(datagram: bytes) -> None:
    assert read(datagram) is None


def test_a_message_is_read_as_it_is_written() -> None:
    datagram = write(CON, POST, 7, b"tok", payload=b"body", block1=Block(3, True, 5), max_age_s=60)
    message = read(datagram)
    assert message is not None
    assert (message.kind, message.code, message.message_id, message.token) == (CON, POST, 7, b"tok")
    assert message.block1 == Block(3, True, 5)
    assert message.payload == b"body"
    assert read(write(RST, 0, 9)) is not None
    assert read(write(ACK, 0x44, 9, payload=b"x")) is not None


def test_a_critical_option_nobody_knows_is_noticed() -> None:
    message = read(b"\x40\x02\x00\x01" + b"\xd1\x0c\x00")  # option 25
    assert message is not None
    assert message.refused


def test_blocks_out_of_turn_or_of_a_wrong_size_are_not_put_together() -> None:
    blocks = RequestBlocks(1024)
    base = read(write(CON, POST, 1))
    assert base is not None
    assert blocks.take(replace(base, block1=Block(1, True, 0), payload=bytes(16))) == 0x88
    assert blocks.take(replace(base, block1=Block(0, True, 0), payload=bytes(16))) == 0x5F
    assert blocks.take(replace(base, block1=Block(1, True, 0), payload=bytes(15))) == 0x88
    assert blocks.take(replace(base, block1=Block(0, True, 0), payload=bytes(16))) == 0x5F
    assert blocks.take(replace(base, block1=Block(1, False, 0), payload=b"end")) == bytes(16) + b"end"
    assert blocks.take(replace(base, payload=bytes(1025))) == 0x8D
