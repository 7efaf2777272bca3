"""The handshake offers what the pinned key needs, and all where that is refused; sessions outlive the process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from OpenSSL import SSL

from ipad_agent.clock import SystemClock
from ipad_agent.net.dtls.dtls_backend import DtlsBackend, DtlsSettings, Psk
from ipad_agent.net.dtls.openssl_backend import OpenSslBackend
from ipad_agent.net.errors import HandshakeFailed, TrustRefused
from ipad_agent.net.trust.pinned_trust import Trust

from .backends import new_backend
from .certs import Identity, brainpool, issue
from .dtls_server import ServerSide, server_context
from .test_coaps import echo, endpoint, talk
from .test_dtls import Wire, established, failure, judge_by, no_judge, settings

PSK = Psk(b"device-1", b"0123456789abcdef")


@pytest.fixture(scope="module")
def server() -> Identity:
    return issue("S", dns=("eim.example.org",))


class Shelf:
    """Keeps records as the runtime folder does."""

    def __init__(self) -> None:
        self.records: Mapping[str, object] = {}

    def load(self) -> Mapping[str, object]:
        return self.records

    def save(self, records: Mapping[str, object]) -> None:
        self.records = dict(records)


class Later(SystemClock):
    ahead_s = 0.0

    def wall(self) -> float:
        return super().wall() + self.ahead_s


def lean(trust: Trust | None, psk: Psk | None = None) -> DtlsSettings:
    return replace(settings(trust, psk=psk), lean=True, pinned_curve=None if trust is None else trust.curve)


def meet(backend: DtlsBackend, context: SSL.Context, trust: Trust, *, close: bool = True) -> Wire:
    wire = Wire(backend.client(lean(trust), judge_by(trust)), ServerSide(context))
    wire.start()
    if close:
        wire.client.close()
        wire.run()
    return wire


def size(wire: Wire) -> int:
    return sum(map(len, wire.sent + wire.received))


# -- what is offered -------------------------------------------------------------------------------------------------


def test_less_is_offered_to_a_server_whose_key_is_known(server: Identity) -> None:
    trust = Trust.spki(server.spki)
    everything = Wire(new_backend().client(settings(trust), judge_by(trust)), ServerSide(server_context(server)))
    everything.start()
    little = meet(new_backend(), server_context(server), trust)
    assert established(little).cipher == "ECDHE-ECDSA-AES128-GCM-SHA256"
    assert len(everything.sent[0]) - len(little.sent[0]) >= 40


def test_a_brainpool_server_gets_its_own_curve() -> None:
    server = issue("B", key=brainpool())
    context = server_context(server, groups=b"brainpoolP256r1")
    assert established(meet(new_backend(), context, Trust.certificate(server.der)))


def test_a_store_of_anchors_gets_the_full_offer(server: Identity) -> None:
    trust = Trust.store([server.der])
    assert trust.curve is None
    wire = meet(new_backend(), server_context(server), trust)
    assert len(wire.sent[0]) > 160


def test_what_was_refused_is_offered_in_full_from_then_on(server: Identity) -> None:
    backend, trust = new_backend(), Trust.spki(server.spki)
    context = server_context(server, suites=b"ECDHE-ECDSA-AES256-GCM-SHA384:@SECLEVEL=0")
    assert isinstance(failure(meet(backend, context, trust, close=False)), HandshakeFailed)
    assert backend.widen(lean(trust))
    assert established(meet(backend, context, trust)).cipher == "ECDHE-ECDSA-AES256-GCM-SHA384"
    assert established(meet(backend, context, trust)).resumed


def test_a_server_that_refuses_everything_gets_the_short_offer_the_next_time(server: Identity) -> None:
    backend, trust = new_backend(), Trust.spki(server.spki)
    assert backend.widen(lean(trust))
    assert not backend.widen(lean(trust))
    assert len(meet(backend, server_context(server), trust).sent[0]) < 150


async def test_a_refused_offer_costs_one_more_handshake_and_no_poll(server: Identity) -> None:
    async with talk(server, echo) as t:
        t.peer.context = server_context(server, suites=b"ECDHE-ECDSA-AES256-GCM-SHA384:@SECLEVEL=0")
        assert await t.ask(b"x") == b"x"
        await t.carrier.close()
        assert await t.ask(b"y") == b"y"
        assert (t.carrier.traffic.handshakes_failed, t.carrier.traffic.handshakes_resumed) == (1, 1)


# -- how sessions come back --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tickets", [True, False])
def test_a_session_comes_back_by_its_number_without_a_ticket(server: Identity, tickets: bool) -> None:
    backend, context, trust = new_backend(), server_context(server, tickets=tickets), Trust.spki(server.spki)
    first, second = meet(backend, context, trust), meet(backend, context, trust)
    assert established(second).resumed
    assert size(second) < size(first) / 2


def test_a_server_that_keeps_no_sessions_gets_tickets_to_keep(server: Identity) -> None:
    backend, context, trust = OpenSslBackend(), server_context(server), Trust.spki(server.spki)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    resumed = [established(meet(backend, context, trust)).resumed for _ in range(6)]
    assert resumed == [False, False, False, False, True, True]


def test_a_server_that_was_started_anew_once_is_not_asked_for_tickets(server: Identity) -> None:
    backend, trust = OpenSslBackend(), Trust.spki(server.spki)
    for context in (server_context(server), server_context(server)):
        for _ in range(2):
            wire = meet(backend, context, trust)
    assert established(wire).resumed
    assert len(wire.sent[0]) < 170  # with a ticket it has over 300


def test_a_pre_shared_key_is_cheaper_resumed_than_in_full() -> None:
    backend = new_backend()
    context = server_context(psk={PSK.identity: PSK.key}, suites=b"PSK-AES128-CCM8:@SECLEVEL=0")
    wires = []
    for _ in range(2):
        wire = Wire(backend.client(lean(None, PSK), no_judge), ServerSide(context))
        wire.start()
        wire.client.close()
        wire.run()
        wires.append(wire)
    assert established(wires[1]).resumed
    datagrams = [len(wire.sent) + len(wire.received) for wire in wires]
    assert size(wires[1]) + 28 * datagrams[1] < size(wires[0]) + 28 * datagrams[0]


# -- over the end of the process ---------------------------------------------------------------------------------------


def test_a_session_outlives_the_process(server: Identity) -> None:
    shelf, context, trust = Shelf(), server_context(server), Trust.spki(server.spki)
    meet(new_backend(shelf), context, trust)
    again = new_backend(shelf)
    assert again.has_session(lean(trust))
    assert established(meet(again, context, trust)).resumed


def test_a_session_from_another_process_is_judged_on_the_whole_chain() -> None:
    root = issue("Root", ca=True)
    leaf = issue("S", issuer=issue("M", issuer=root, ca=True), dns=("eim.example.org",), send_issuer=True)
    shelf, context, trust = Shelf(), server_context(leaf), Trust.certificate(root.der)
    meet(new_backend(shelf), context, trust)
    assert established(meet(new_backend(shelf), context, trust)).resumed


def test_a_changed_pin_drops_the_session_of_another_process(server: Identity) -> None:
    shelf, context = Shelf(), server_context(server)
    meet(new_backend(shelf), context, Trust.spki(server.spki))
    changed, again = Trust.spki(issue("x").spki), new_backend(shelf)
    assert not again.has_session(lean(changed))
    assert isinstance(failure(meet(again, context, changed, close=False)), TrustRefused)
    assert not new_backend(shelf).has_session(lean(Trust.spki(server.spki)))


def test_a_session_of_another_process_is_refused_when_the_verdict_changed_under_it(server: Identity) -> None:
    shelf, context, trust = Shelf(), server_context(server), Trust.spki(server.spki)
    meet(new_backend(shelf), context, trust)
    client = new_backend(shelf).client(lean(trust), judge_by(Trust.spki(issue("x").spki)))
    wire = Wire(client, ServerSide(context))
    wire.start()
    assert isinstance(failure(wire), TrustRefused)
    assert 23 not in wire.sent_kinds
    assert not new_backend(shelf).has_session(lean(trust))


def test_an_old_session_is_not_offered(server: Identity) -> None:
    shelf, context, trust, clock = Shelf(), server_context(server), Trust.spki(server.spki), Later()
    meet(new_backend(shelf, clock), context, trust)
    clock.ahead_s = 31 * 86_400.0
    assert not new_backend(shelf, clock).has_session(lean(trust))


def test_what_a_server_needs_is_known_after_a_restart(server: Identity) -> None:
    shelf, trust, backend = Shelf(), Trust.spki(server.spki), None
    context = server_context(server, suites=b"ECDHE-ECDSA-AES256-GCM-SHA384:@SECLEVEL=0")
    backend = new_backend(shelf)
    backend.widen(lean(trust))
    meet(backend, context, trust)
    shelf.records = {name: {**record, "session": None} for name, record in shelf.records.items()}  # type: ignore[dict-item]
    assert established(meet(new_backend(shelf), context, trust))


@pytest.mark.parametrize("damage", ["text", {}, {"eim-1": 5}, {"eim-1": {"session": b"x"}}])
def test_a_damaged_record_costs_a_full_handshake(server: Identity, damage: object) -> None:
    shelf, context, trust = Shelf(), server_context(server), Trust.spki(server.spki)
    meet(new_backend(shelf), context, trust)
    (record,) = shelf.records.values()
    assert isinstance(record, dict)
    shelf.records = damage if isinstance(damage, dict) else {"eim-1": {**record, "session": b"0\x82 no session"}}
    assert not established(meet(new_backend(shelf), context, trust)).resumed


def test_sessions_show_nothing_of_themselves(server: Identity) -> None:
    shelf, context, trust = Shelf(), server_context(server), Trust.spki(server.spki)
    backend = OpenSslBackend(shelf)
    meet(backend, context, trust)
    (record,) = backend._records.values()
    assert record.session is not None
    assert "session" not in repr(record)


# -- between polls -----------------------------------------------------------------------------------------------------


async def test_a_session_stays_open_between_polls_where_that_is_configured(server: Identity) -> None:
    async with talk(server, echo, keep_open=True, nat_timeout_s=3600) as t:
        for _ in range(3):
            await t.ask()
            await t.carrier.close()
            t.clock.ahead_s += 3000
        assert t.peer.handshakes == 1
        t.clock.ahead_s += 3601
        await t.ask()
        assert t.carrier.traffic.handshakes_resumed == 1
        t.carrier._endpoint = endpoint(t.peer, Trust.spki(server.spki))  # lets the end of the test close it


def test_a_server_that_forgets_sessions_without_a_goodbye_gets_one_from_then_on(server: Identity) -> None:
    backend, context, trust = OpenSslBackend(), server_context(server), Trust.spki(server.spki)
    quiet, resumed = replace(lean(trust), close_notify=False), []
    for _ in range(4):
        wire = Wire(backend.client(quiet, judge_by(trust)), ServerSide(context))
        wire.start()
        resumed.append(established(wire).resumed)
        wire.client.close()
        wire.run()
        del wire  # and with it the server's connection: OpenSSL forgets its session if it was not ended
    assert resumed == [False, False, True, True]


async def test_a_session_can_end_without_a_word(server: Identity) -> None:
    async with talk(server, echo, close_notify=False) as t:
        await t.ask()
        sent = t.carrier.traffic.datagrams_sent
        await t.carrier.close()
        assert t.carrier.traffic.datagrams_sent == sent
        t.peer.sessions.clear()
