"""A session that goes on without a handshake, as one with a Connection ID does: what the carrier makes of it.

Without such a library: a client of OpenSSL that was put aside and taken up again, and a server that does not look at
the address.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from ipad_agent.net.coap.coaps_carrier import CoapsCarrier
from ipad_agent.net.dtls.dtls_backend import DtlsClient, DtlsEvent, DtlsSettings, Established, Judge, Received
from ipad_agent.net.dtls.openssl_backend import OpenSslBackend
from ipad_agent.net.errors import Unreachable
from ipad_agent.net.trust.pinned_trust import Trust

from .certs import Identity, issue
from .coap import CON, Message
from .dtls_server import ServerSide, server_context
from .peer import Peer, serve
from .test_coaps import echo, endpoint


@pytest.fixture(scope="module")
def server() -> Identity:
    return issue("S", dns=("eim.test",))


class AnyAddress(dict[Any, ServerSide]):
    """Sessions of a server that has one, and finds it whatever the address is."""

    def __contains__(self, address: object) -> bool:
        return bool(self)

    def __getitem__(self, address: object) -> ServerSide:
        return next(iter(self.values()))


class Lasting:
    """A client of OpenSSL whose session outlives it."""

    def __init__(self, client: DtlsClient, backend: LastingBackend, before: Established | None) -> None:
        self._client, self._backend, self._before = client, backend, before
        self._established: Established | None = before
        self._heard = True
        self.retransmissions = 0

    def start(self, now_s: float) -> list[DtlsEvent]:
        if self._before is None:
            return self._noted(self._client.start(now_s))
        self._heard = False
        return [replace(self._before, continued=True)]

    def feed(self, datagram: bytes, now_s: float) -> list[DtlsEvent]:
        return self._noted(self._client.feed(datagram, now_s))

    def _noted(self, events: list[DtlsEvent]) -> list[DtlsEvent]:
        noted: list[DtlsEvent] = []
        for event in events:
            if isinstance(event, Established):
                self._established = event = replace(event, connection_id=True)
            self._heard = self._heard or isinstance(event, Received)
            noted.append(event)
        return noted

    def take(self) -> list[bytes]:
        return self._client.take()

    def send(self, data: bytes) -> None:
        self._client.send(data)

    def timeout_at(self) -> float | None:
        return self._client.timeout_at()

    def handle_timeout(self, now_s: float) -> list[DtlsEvent]:
        return self._client.handle_timeout(now_s)

    def close(self) -> None:
        if self._established is not None and self._heard:
            self._backend.aside = (self._client, self._established)


class LastingBackend(OpenSslBackend):
    """Puts sessions aside instead of ending them, and takes each up once."""

    aside: tuple[DtlsClient, Established] | None = None

    def client(self, settings: DtlsSettings, judge: Judge) -> DtlsClient:
        aside, self.aside = self.aside, None
        if aside is None:
            return Lasting(super().client(settings, judge), self, None)
        return Lasting(aside[0], self, aside[1])


class Pinged(Peer):
    """Rejects an empty message, as servers do (RFC 7252 §4.3)."""

    def _serve(self, addr: Any, message: Message) -> None:
        super()._serve(addr, message)
        if message.kind == CON and message.code == 0:
            self.send(Message(3, 0, message.mid, b"", (), b""), addr)


class Talk:
    def __init__(self, peer: Peer, carrier: CoapsCarrier) -> None:
        self.peer, self.carrier = peer, carrier

    async def ask(self) -> bytes:
        return await self.carrier.exchange(b"x", function="GetEimPackage")


@asynccontextmanager
async def lasting(server: Identity, **changes: Any) -> AsyncIterator[Talk]:
    async with serve(server_context(server), echo) as peer:
        peer.sessions, peer.__class__ = AnyAddress(), Pinged
        carrier = CoapsCarrier(endpoint(peer, Trust.spki(server.spki), **changes), backend=LastingBackend())
        try:
            yield Talk(peer, carrier)
        finally:
            await carrier.close()


@pytest.mark.parametrize("keep_open", [False, True])
async def test_every_poll_after_the_first_is_two_datagrams_from_a_new_port(server: Identity, keep_open: bool) -> None:
    async with lasting(server, keep_open=keep_open, nat_timeout_s=3600) as t:
        await t.ask()
        await t.carrier.close()
        ports = {t.peer._last}
        for _ in range(3):
            before = replace(t.carrier.traffic)
            assert await t.ask() == b"x"
            await t.carrier.close()
            after = t.carrier.traffic
            assert after.datagrams_sent - before.datagrams_sent == 1
            assert after.datagrams_received - before.datagrams_received == 1
            ports.add(t.peer._last)
        assert len(ports) == 4
        assert t.peer.handshakes == 1
        assert (after.handshakes_full, after.handshakes_resumed, after.handshakes_failed) == (1, 0, 0)


async def test_a_server_that_lost_the_session_is_asked_again_after_a_handshake(server: Identity) -> None:
    async with lasting(server) as t:
        await t.ask()
        await t.carrier.close()
        t.peer.restart(server_context(server))
        assert await t.ask() == b"x"
        assert t.peer.handshakes == 2
        assert len([datagram for datagram in t.peer.datagrams_in if datagram[0] == 23]) > 2


async def test_reaching_a_server_takes_a_word_of_it_and_not_only_a_session(server: Identity) -> None:
    async with lasting(server, handshake_timeout_s=0.3) as t:
        await t.ask()
        await t.carrier.close()
        heard = len(t.peer.messages)
        await t.carrier.reach()
        assert len(t.peer.messages) == heard + 1  # a ping, which the server rejects (RFC 7252 §4.3)
        assert t.peer.handshakes == 1
        await t.carrier.close()
        t.peer.muted = True
        with pytest.raises(Unreachable):
            await t.carrier.reach()


async def test_a_session_that_the_server_lost_is_reached_by_a_handshake(server: Identity) -> None:
    async with lasting(server) as t:
        await t.ask()
        await t.carrier.close()
        t.peer.restart(server_context(server))
        await t.carrier.reach()
        assert t.peer.handshakes == 2


async def test_a_session_that_was_not_used_for_want_of_a_socket_is_put_back(
    server: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with lasting(server) as t:
        await t.ask()
        await t.carrier.close()
        loop, real = asyncio.get_running_loop(), asyncio.get_running_loop().create_datagram_endpoint

        async def no_route(*_: object, **__: object) -> None:
            raise OSError(101, "Network is unreachable")

        monkeypatch.setattr(loop, "create_datagram_endpoint", no_route)
        with pytest.raises(Unreachable):
            await t.ask()
        monkeypatch.setattr(loop, "create_datagram_endpoint", real)
        assert await t.ask() == b"x"
        assert t.peer.handshakes == 1
