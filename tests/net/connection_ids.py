"""Connection IDs (RFC 9146) with Mbed TLS 3.6, against the lab's server: ``make test-cid``, which has the library."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ipad_agent.lab.eim import CoapsServer, Reply, TlsIdentity
from ipad_agent.lab.eim.coap.connection_id_server import ConnectionIdServer
from ipad_agent.lab.eim.coap.dtls_context import DtlsSettings as ServerSettings
from ipad_agent.lab.eim.coap.dtls_sessions import Received as Arrived
from ipad_agent.lab.eim.coap.dtls_sessions import Transmit
from ipad_agent.net.coap.coaps_carrier import CoapsCarrier
from ipad_agent.net.coap.coaps_endpoint import CoapsEndpoint
from ipad_agent.net.dtls import mbedtls_library
from ipad_agent.net.dtls.connection_record import ConnectionRecord, ShelfInMemory
from ipad_agent.net.dtls.dtls_backend import DtlsBackend, DtlsClient, DtlsEvent, Ended, Established, Psk, Received
from ipad_agent.net.dtls.mbedtls_backend import MbedTlsBackend
from ipad_agent.net.dtls.mbedtls_library import MbedTls
from ipad_agent.net.dtls.preferred_backend import best_backend
from ipad_agent.net.errors import TrustRefused
from ipad_agent.net.trust.pinned_trust import Trust
from ipad_agent.store.filesystem import RealFilesystem
from ipad_agent.store.single_use_files import SingleUseFiles

from .certs import Identity, issue
from .dtls_server import server_context
from .test_dtls import connect, judge_by, no_judge
from .test_lean_dtls import Later, Shelf, lean

PSK = Psk(b"device-1", b"0123456789abcdef")
HEADERS_BYTES = 28
POLL = bytes.fromhex("BF4F125A1089049032000000000000000000000015")
NOTHING = bytes.fromhex("BF4F03020101")


def library() -> MbedTls:
    found = mbedtls_library.find()
    assert found.library is not None, found.reason
    return found.library


@pytest.fixture(scope="module")
def server() -> Identity:
    return issue("S", dns=("eim.example.org",))


def credential(identity: Identity) -> TlsIdentity:
    assert isinstance(identity.key, ec.EllipticCurvePrivateKey)
    return TlsIdentity(identity.key, (identity.certificate,))


class Site:
    """One server, and clients that come to it from another address each."""

    def __init__(self, identity: Identity | None, **settings: Any) -> None:
        tls = None if identity is None else credential(identity)
        self.server = ConnectionIdServer(ServerSettings(tls, **({"connection_id_bytes": 8} | settings)))
        self.port = 40000
        self.reachable = True

    def visit(self, client: DtlsClient, *, start_s: float = 0.0) -> Visit:
        self.port += 1
        return Visit(self, client, ("192.0.2.1", self.port), start_s)


class Visit:
    """A client at an address; ``wire`` has what was carried either way."""

    def __init__(self, site: Site, client: DtlsClient, address: tuple[str, int], start_s: float) -> None:
        self.site, self.client, self.address = site, client, address
        self.wire: list[bytes] = []
        self.sent: list[bytes] = []
        self.events: list[DtlsEvent] = client.start(start_s)
        self.run()

    def run(self) -> None:
        while datagrams := self.client.take():
            for datagram in datagrams:
                self.wire.append(datagram)
                self.sent.append(datagram)
                if self.site.reachable:
                    self.carry(self.site.server.receive(datagram, self.address, 0.0))

    def carry(self, outputs: list[Any]) -> None:
        for output in outputs:
            if isinstance(output, Transmit) and output.peer == self.address:
                self.wire.append(output.datagram)
                self.events += self.client.feed(output.datagram, 0.0)
            elif isinstance(output, Arrived):
                self.carry(self.site.server.send(output.session, b"re:" + output.data, 0.0))

    def ask(self, data: bytes = b"poll") -> bytes | None:
        self.client.send(data)
        self.run()
        last = self.events[-1]
        return last.data if isinstance(last, Received) else None

    def leave(self) -> None:
        self.client.close()
        self.run()

    @property
    def established(self) -> Established:
        assert isinstance(self.events[0], Established), self.events
        return self.events[0]


def poll(site: Site, backend: DtlsBackend, trust: Trust, *, judged: Trust | None = None) -> Visit:
    visit = site.visit(backend.client(lean(trust), judge_by(judged or trust)))
    assert visit.ask() == b"re:poll"
    visit.leave()
    return visit


def test_every_poll_after_the_first_is_two_datagrams_from_whatever_address(server: Identity) -> None:
    site, backend, trust = Site(server), MbedTlsBackend(library()), Trust.spki(server.spki)
    first = poll(site, backend, trust)
    assert (first.established.connection_id, first.established.continued) == (True, False)
    for _ in range(20):
        again = poll(site, backend, trust)
        assert again.established.continued
        assert again.established.verdict == first.established.verdict
        assert len(again.wire) == 2
        assert sum(map(len, again.wire)) + 2 * HEADERS_BYTES <= 200
    [session] = site.server.sessions()
    assert (session.addresses, session.peer) == (21, again.address)


def test_a_message_above_the_mtu_goes_in_one_datagram_also_without_a_handshake(server: Identity) -> None:
    site, backend, trust = Site(server), MbedTlsBackend(library()), Trust.spki(server.spki)
    poll(site, backend, trust)
    visit = site.visit(backend.client(lean(trust), judge_by(trust)))
    visit.client.send(b"x" * 8000)
    [datagram] = visit.client.take()
    assert visit.established.continued
    assert len(datagram) > 8000


def test_a_pre_shared_key_is_as_good(server: Identity) -> None:
    site = Site(None, psk={PSK.identity: PSK.key})
    backend = MbedTlsBackend(library())
    for continued in (False, True, True):
        settings = replace(lean(None, PSK), close_notify=False)
        visit = site.visit(backend.client(settings, no_judge))
        assert visit.ask() == b"re:poll"
        assert visit.established.continued == continued
        assert "PSK" in visit.established.cipher
        visit.leave()


def test_it_goes_on_in_another_process_and_is_judged_there(server: Identity, tmp_path: Path) -> None:
    site, memory, trust = Site(server), Shelf(), Trust.spki(server.spki)

    def process() -> MbedTlsBackend:
        return MbedTlsBackend(library(), memory, SingleUseFiles(RealFilesystem(), str(tmp_path)))

    poll(site, process(), trust)
    again = process()
    assert again.has_session(lean(trust))
    assert poll(site, again, trust).established.continued
    assert poll(site, process(), trust).established.continued
    refused = site.visit(process().client(lean(trust), judge_by(Trust.spki(issue("x").spki))))
    [end] = refused.events
    assert isinstance(end, Ended)
    assert isinstance(end.error, TrustRefused)
    assert list(tmp_path.iterdir()) == []
    assert not process().has_session(lean(trust))


def test_a_changed_pin_drops_it(server: Identity) -> None:
    site, memory, shelf, trust = Site(server), Shelf(), ShelfInMemory(), Trust.spki(server.spki)
    poll(site, MbedTlsBackend(library(), memory, shelf), trust)
    changed, backend = Trust.spki(issue("x").spki), MbedTlsBackend(library(), memory, shelf)
    assert not backend.has_session(lean(changed))
    visit = site.visit(backend.client(lean(changed), judge_by(changed)))
    assert isinstance(visit.events[-1], Ended)
    assert shelf._kept == {}
    assert not MbedTlsBackend(library(), memory, shelf).has_session(lean(trust))


def test_a_connection_is_used_in_one_place_only(server: Identity) -> None:
    """After a crash in the middle of a poll, that is: two records under one nonce would give away their plaintext."""
    site, memory, shelf, trust = Site(server), Shelf(), ShelfInMemory(), Trust.spki(server.spki)
    poll(site, MbedTlsBackend(library(), memory, shelf), trust)
    crashed = site.visit(MbedTlsBackend(library(), memory, shelf).client(lean(trust), judge_by(trust)))
    crashed.ask()
    after = poll(site, MbedTlsBackend(library(), memory, shelf), trust)
    assert crashed.established.continued
    assert (after.established.continued, after.established.resumed) == (False, True)


def test_records_never_share_a_number_over_any_number_of_processes(server: Identity) -> None:
    site, memory, shelf, trust = Site(server), Shelf(), ShelfInMemory(), Trust.spki(server.spki)
    numbers = []
    for _ in range(5):
        visit = poll(site, MbedTlsBackend(library(), memory, shelf), trust)
        numbers += [datagram[3:11] for datagram in visit.sent if datagram[0] == 25]
    assert [int.from_bytes(number, "big") & 0xFFFFFFFF for number in numbers] == [1, 2, 3, 4, 5]  # 0: the Finished


def test_an_old_connection_is_not_gone_on_with(server: Identity) -> None:
    clock, trust = Later(), Trust.spki(server.spki)
    site, backend = Site(server), MbedTlsBackend(library(), clock=clock)
    poll(site, backend, trust)
    clock.ahead_s = 29 * 86_400.0
    assert poll(site, backend, trust).established.continued
    clock.ahead_s = 31 * 86_400.0
    assert not poll(site, backend, trust).established.resumed


@pytest.mark.parametrize("damage", [None, b"", b"\0" * 600])
@pytest.mark.parametrize("checked", [True, False])
def test_a_damaged_or_lost_connection_costs_a_handshake(
    server: Identity, monkeypatch: pytest.MonkeyPatch, damage: bytes | None, checked: bool
) -> None:
    """Also one that is whole by our own check, and yet refused by the library."""
    site, shelf, trust = Site(server), ShelfInMemory(), Trust.spki(server.spki)
    backend = MbedTlsBackend(library(), shelf=shelf)
    poll(site, backend, trust)
    [name] = shelf._kept
    shelf._kept = {} if damage is None else {name: damage}
    with monkeypatch.context() as patch:
        if not checked:
            patch.setattr(ConnectionRecord, "unseal", lambda self, content: content)
        after = poll(site, backend, trust)
    assert (after.established.continued, after.established.resumed) == (False, True)
    assert poll(site, backend, trust).established.continued


def test_a_silent_server_is_asked_by_a_handshake_and_the_old_connection_is_gone_once_that_is_answered(
    server: Identity,
) -> None:
    site, backend, trust = Site(server), MbedTlsBackend(library()), Trust.spki(server.spki)
    poll(site, backend, trust)
    site.server.forget_everything()
    lost = site.visit(backend.client(lean(trust), judge_by(trust)))
    assert lost.established.continued
    assert lost.ask() is None
    lost.leave()
    assert not poll(site, backend, trust).established.resumed
    assert poll(site, backend, trust).established.continued


def test_silence_of_the_link_does_not_cost_the_connection(server: Identity) -> None:
    site, backend, trust = Site(server), MbedTlsBackend(library()), Trust.spki(server.spki)
    poll(site, backend, trust)
    site.reachable = False
    lost = site.visit(backend.client(lean(trust), judge_by(trust)))
    assert lost.ask() is None
    lost.leave()
    unanswered = site.visit(backend.client(lean(trust), judge_by(trust)))
    assert unanswered.events == []
    unanswered.client.handle_timeout(10.0)
    site.reachable = True
    assert poll(site, backend, trust).established.continued


def test_a_server_that_gives_none_is_known_and_is_openssls_from_then_on(server: Identity) -> None:
    backend, context, trust = best_backend(connection_ids=True), server_context(server), Trust.spki(server.spki)
    for resumed in (False, False, True):  # by Mbed TLS, by OpenSSL, by OpenSSL
        wire = connect(backend, context, trust)
        [event] = wire.events
        assert isinstance(event, Established)
        assert (event.connection_id, event.resumed) == (False, resumed)
        wire.client.close()
        wire.run()


def test_a_server_may_give_no_id_of_its_own(server: Identity) -> None:
    backend, trust = MbedTlsBackend(library()), Trust.spki(server.spki)
    visit = Site(server, connection_id_bytes=0).visit(backend.client(lean(trust), judge_by(trust)))
    assert not visit.established.connection_id
    assert backend.wants_connection_id(lean(trust)) is False


def test_the_goodbye_of_a_server_ends_the_connection_and_not_the_session(server: Identity) -> None:
    site, backend, trust = Site(server), MbedTlsBackend(library()), Trust.spki(server.spki)
    visit = site.visit(backend.client(lean(trust), judge_by(trust)))
    visit.carry(site.server.close_all("it stops"))
    assert visit.events[-1] == Ended(None)
    after = poll(site, backend, trust)
    assert (after.established.continued, after.established.resumed) == (False, True)


def test_nothing_is_left_behind(server: Identity) -> None:
    site, backend, trust = Site(server), MbedTlsBackend(library()), Trust.spki(server.spki)
    over = [poll(site, backend, trust) for _ in range(50)]
    assert mbedtls_library._lines == {}  # although the clients are still there
    del over
    backend.client(lean(trust), judge_by(trust))  # one that nobody closes
    gc.collect()
    assert mbedtls_library._lines == {}


# -- over sockets ------------------------------------------------------------------------------------------------------


class Echo:
    """Answers with what it was asked; a poll with the six bytes of an eIM that has no package."""

    def exchange(self, body: bytes, *, now_s: float = 0.0, peer: str = "") -> Reply:
        return Reply(NOTHING if body == POLL else body)


@asynccontextmanager
async def served(identity: Identity) -> AsyncIterator[CoapsServer]:
    async with CoapsServer(Echo(), dtls=ServerSettings(credential(identity), connection_id_bytes=8)) as server:
        yield server


def carrier(server: CoapsServer, trust: Trust, backend: DtlsBackend, **changes: Any) -> CoapsCarrier:
    return CoapsCarrier(
        CoapsEndpoint(
            "127.0.0.1",
            trust,
            port=server.port,
            close_notify=False,
            verify_name="eim.example.org",
            **changes,
        ),
        backend=backend,
    )


async def test_a_poll_over_udp_costs_at_most_200_bytes_from_a_new_port_and_in_a_new_process(server: Identity) -> None:
    memory, shelf, trust = Shelf(), ShelfInMemory(), Trust.spki(server.spki)
    async with served(server) as eim:
        costs = []
        for _ in range(4):
            agent = carrier(eim, trust, best_backend(connection_ids=True, connections=memory, shelf=shelf))
            for _ in range(3):
                before = agent.ip_bytes
                assert await agent.exchange(POLL, function="GetEimPackage") == NOTHING
                costs.append(agent.ip_bytes - before)
                await agent.close()
        assert costs[0] < 1750
        assert max(costs[1:]) <= 200
        assert isinstance(eim.dtls, ConnectionIdServer)
        [session] = eim.dtls.sessions()
        assert session.addresses == 12


async def test_a_server_that_was_started_anew_is_found_by_a_handshake(server: Identity) -> None:
    trust = Trust.spki(server.spki)
    async with served(server) as eim:
        agent = carrier(eim, trust, best_backend(connection_ids=True), ack_timeout_s=0.05, max_retransmit=3)
        await agent.exchange(POLL, function="GetEimPackage")
        await agent.close()
        eim.restart_quietly()
        assert await agent.exchange(POLL, function="GetEimPackage") == NOTHING
        await agent.close()
        await agent.exchange(POLL, function="GetEimPackage")
        assert (agent.traffic.handshakes_full, agent.traffic.handshakes_failed) == (2, 0)
        await agent.close()


async def test_long_messages_go_over_it_block_by_block(server: Identity) -> None:
    trust, body = Trust.spki(server.spki), bytes(range(256)) * 16
    async with served(server) as eim:
        agent = carrier(eim, trust, best_backend(connection_ids=True))
        assert await agent.exchange(body, function="GetEimPackage") == body
        await agent.close()
        assert await agent.exchange(body, function="GetEimPackage") == body
        assert agent.traffic.handshakes_full == 1
        await agent.close()
