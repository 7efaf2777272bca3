"""The DTLS server without sockets: who gets a place, who keeps it, and for how long."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL._util import lib

from ipad_agent.lab.eim import DtlsSettings, ServerError
from ipad_agent.lab.eim.coap.dtls_context import TlsIdentity
from ipad_agent.lab.eim.coap.dtls_server import DtlsServer
from ipad_agent.lab.eim.coap.dtls_sessions import Address, Closed, Opened, Output, Received, Transmit
from ipad_agent.lab.eim.coap.record_sorting import pack, split

from .clients import DtlsClient
from .world import identity, new_key, self_signed

IDENTITY = identity().tls
PEER: Address = ("192.0.2.1", 40000)


def server(**keywords: object) -> DtlsServer:
    return DtlsServer(DtlsSettings(IDENTITY, **keywords))  # type: ignore[arg-type]  # passed through


def sent(outputs: Iterable[Output]) -> list[bytes]:
    return [output.datagram for output in outputs if isinstance(output, Transmit)]


def handshake(
    dtls: DtlsServer, client: DtlsClient, peer: Address = PEER, now_s: float = 0.0, *, stop_before: int = 99
) -> list[Output]:
    """Carry datagrams to and fro until both fall silent or ``stop_before`` flights of the client have been sent."""
    outputs: list[Output] = []
    flight = client.start()
    for _ in range(stop_before):
        if not flight:
            break
        answers: list[Output] = []
        for datagram in flight:
            answers += dtls.receive(datagram, peer, now_s)
        outputs += answers
        flight = [one for datagram in sent(answers) for one in client.feed(datagram)[0]]
    return outputs


def test_handshake_and_both_ways_of_plaintext() -> None:
    dtls, client = server(), DtlsClient()
    opened = [output for output in handshake(dtls, client) if isinstance(output, Opened)]
    assert len(opened) == 1
    session = opened[0].session
    assert (session.cipher, session.peer, session.resumed) == ("ECDHE-ECDSA-AES128-GCM-SHA256", PEER, False)
    (record,) = client.seal(b"up")
    assert dtls.receive(record, PEER, 1.0) == [Received(session, b"up")]
    assert client.feed(sent(dtls.send(session, b"down", 1.0))[0])[1] == [b"down"]


@pytest.mark.parametrize(
    "suite",
    [
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-AES128-CCM",
        "ECDHE-ECDSA-AES128-CCM8",
        "ECDHE-ECDSA-AES128-SHA256",
    ],
)
def test_each_suite_is_spoken(suite: str) -> None:
    dtls = server()
    handshake(dtls, DtlsClient(suites=f"{suite}:@SECLEVEL=0"))
    assert [session.cipher for session in dtls.sessions()] == [suite]


def test_brainpool_for_key_exchange_and_certificate() -> None:
    key = ec.generate_private_key(ec.BrainpoolP256R1())
    dtls = DtlsServer(DtlsSettings(TlsIdentity(key, (self_signed(key, "b"),))))
    client = DtlsClient(groups="brainpoolP256r1")
    handshake(dtls, client)
    assert dtls.established_count == 1
    assert client.connection.get_peer_certificate() is not None


def test_the_first_hello_costs_nothing_and_is_answered_by_a_cookie() -> None:
    dtls = server()
    for port in range(1, 1501):
        (hello,) = DtlsClient().start() if port < 30 else (HELLO,)
        answers = dtls.receive(hello, ("192.0.2.9", port), 0.0)
        (verify_request,) = sent(answers)
        assert verify_request[13] == 3
        assert len(verify_request) < len(hello)  # no amplification
    assert (dtls.half_open_count, dtls.established_count) == (0, 0)
    assert dtls.next_wake_s(0.0) is None


def test_a_cookie_of_another_address_is_not_accepted() -> None:
    dtls, client = server(), DtlsClient()
    (hello,) = client.start()
    (verify_request,) = sent(dtls.receive(hello, PEER, 0.0))
    ((second_hello, *_), _) = client.feed(verify_request)
    answers = sent(dtls.receive(second_hello, ("192.0.2.66", 1), 0.0))
    assert [answer[13] for answer in answers] == [3]  # asked for a cookie again
    assert dtls.half_open_count == 0
    assert dtls.receive(second_hello, PEER, 0.0)
    assert dtls.half_open_count == 1


def test_half_open_handshakes_have_a_limit_and_a_deadline() -> None:
    dtls = server(max_half_open=8, handshake_deadline_s=60.0)
    for port in range(1, 101):
        handshake(dtls, DtlsClient(), ("192.0.2.9", port), float(port) / 100, stop_before=2)
        assert dtls.half_open_count <= 8
    assert dtls.half_open_count == 8
    dtls.tick(61.1)
    assert dtls.half_open_count == 0


def test_a_client_whose_hello_is_in_fragments_connects() -> None:
    dtls, client = server(), DtlsClient()
    handshake(dtls, client)
    again = DtlsClient(mtu_bytes=256)
    _resume(client, again)  # the ticket makes the hello long
    flight = again.start()
    assert len(flight) > 1
    while flight:
        answers = [one for datagram in flight for one in sent(dtls.receive(datagram, ("192.0.2.1", 2), 0.0))]
        flight = [one for datagram in answers for one in again.feed(datagram)[0]]
    assert [session.resumed for session in dtls.sessions()] == [False, True]


def test_hellos_in_fragments_take_a_limited_number_of_places() -> None:
    dtls = server(max_half_open=8)
    fragments = client_hello_fragments()
    for port in range(1, 101):
        dtls.receive(fragments[0], ("192.0.2.9", port), 0.0)
    assert dtls.half_open_count == 8


def client_hello_fragments() -> list[bytes]:
    """The hello of HELLO cut in two handshake fragments (RFC 6347 §4.2.3)."""
    body = HELLO[13 + 12 :]
    head = HELLO[13:17]
    out = []
    for number, (start, end) in enumerate(((0, 60), (60, len(body)))):
        piece = head + HELLO[17:19] + start.to_bytes(3, "big") + (end - start).to_bytes(3, "big") + body[start:end]
        sequence = number.to_bytes(6, "big")
        out.append(bytes.fromhex("16FEFD0000") + sequence + len(piece).to_bytes(2, "big") + piece)
    return out


def test_a_fragmented_hello_is_put_together_and_answered() -> None:
    dtls = server()
    first, second = client_hello_fragments()
    assert sent(dtls.receive(first, PEER, 0.0)) == []
    answers = sent(dtls.receive(second, PEER, 0.0))
    assert [answer[13] for answer in answers] == [3]


def test_a_new_handshake_from_the_same_address_replaces_the_old_session_only_when_complete() -> None:
    dtls, old = server(), DtlsClient()
    handshake(dtls, old)
    (session,) = dtls.sessions()
    new = DtlsClient()
    handshake(dtls, new, stop_before=2)
    assert dtls.half_open_count == 1
    assert dtls.receive(old.seal(b"still here")[0], PEER, 0.0) == [Received(session, b"still here")]
    fresh = DtlsClient()
    outputs = handshake(dtls, fresh)  # a third one, begun before the second was done
    assert [output.reason for output in outputs if isinstance(output, Closed)] == [
        "a new handshake began",
        "the client began a new session",
    ]
    assert dtls.established_count == 1
    assert dtls.receive(old.seal(b"too late")[0], PEER, 0.0) == []
    assert [type(output) for output in dtls.receive(fresh.seal(b"hi")[0], PEER, 0.0)] == [Received]


def test_a_repeated_hello_of_the_running_session_changes_nothing() -> None:
    dtls, client = server(), DtlsClient()
    (hello,) = client.start()
    (verify_request,) = sent(dtls.receive(hello, PEER, 0.0))
    (second_hello,) = client.feed(verify_request)[0]
    flight = sent(dtls.receive(second_hello, PEER, 0.0))
    while flight:
        out = [one for datagram in flight for one in client.feed(datagram)[0]]
        flight = [one for datagram in out for one in sent(dtls.receive(datagram, PEER, 0.0))]
    (session,) = dtls.sessions()
    assert sent(dtls.receive(second_hello, PEER, 0.0)) == []
    assert dtls.sessions() == (session,)


@pytest.mark.parametrize("resumption", ["tickets", "session-id"])
def test_a_session_is_resumed_also_after_it_was_lost(resumption: str) -> None:
    dtls, client = server(resumption=resumption), DtlsClient()
    handshake(dtls, client)
    (session,) = dtls.sessions()
    dtls.forget(session, "lost")
    again = DtlsClient()
    _resume(client, again)
    handshake(dtls, again, ("192.0.2.1", 40001))
    assert [session.resumed for session in dtls.sessions()] == [True]


def test_nothing_is_resumed_when_switched_off_or_after_a_restart() -> None:
    for resumption, restart in (("none", False), ("tickets", True), ("session-id", True)):
        dtls, client = server(resumption=resumption), DtlsClient()
        handshake(dtls, client)
        if restart:
            assert [output.reason for output in dtls.forget_everything() if isinstance(output, Closed)]
        again = DtlsClient()
        _resume(client, again)
        handshake(dtls, again, ("192.0.2.1", 40001))
        assert [session.resumed for session in dtls.sessions() if session.peer[1] == 40001] == [False]


def _resume(before: DtlsClient, after: DtlsClient) -> None:
    # Context.set_session wants both connections to share a context; two clients of the world do not.
    session = lib.SSL_get1_session(before.connection._ssl)
    assert lib.SSL_set_session(after.connection._ssl, session) == 1
    lib.SSL_SESSION_free(session)


def test_a_restart_is_silent_to_old_sessions() -> None:
    dtls, client = server(), DtlsClient()
    handshake(dtls, client)
    assert sent(dtls.forget_everything()) == []
    assert dtls.receive(client.seal(b"anybody?")[0], PEER, 0.0) == []
    handshake(dtls, DtlsClient())
    assert dtls.established_count == 1


def test_sleeping_sessions_are_closed_with_a_word() -> None:
    dtls, client = server(idle_expiry_s=100.0), DtlsClient()
    handshake(dtls, client)
    assert dtls.next_wake_s(0.0) == 100.0
    dtls.receive(client.seal(b"awake")[0], PEER, 50.0)
    assert dtls.tick(149.0) == []
    outputs = dtls.tick(150.0)
    assert len(sent(outputs)) == 1  # close_notify
    assert dtls.established_count == 0
    client.feed(sent(outputs)[0])
    assert client.connection.get_shutdown() & 2  # RECEIVED_SHUTDOWN


def test_the_sleepiest_peer_makes_room_for_a_new_one() -> None:
    dtls = server(max_peers=3)
    clients = [DtlsClient() for _ in range(5)]
    for port, client in enumerate(clients):
        handshake(dtls, client, ("192.0.2.1", port), float(port))
        assert dtls.established_count <= 3
    assert [session.peer[1] for session in dtls.sessions()] == [2, 3, 4]


def test_close_notify_of_the_client_ends_the_session() -> None:
    dtls, client = server(), DtlsClient()
    handshake(dtls, client)
    client.connection.shutdown()
    outputs = [output for datagram in client._drain() for output in dtls.receive(datagram, PEER, 0.0)]
    assert [output.reason for output in outputs if isinstance(output, Closed)] == ["the client closed"]
    assert sent(outputs)  # and is answered


def test_no_common_suite_is_told_by_an_alert() -> None:
    dtls = server(suites=("ECDHE-ECDSA-AES128-GCM-SHA256",))
    client = DtlsClient(suites="ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0")
    (hello,) = client.start()
    (verify_request,) = sent(dtls.receive(hello, PEER, 0.0))
    (second,) = client.feed(verify_request)[0]
    outputs = dtls.receive(second, PEER, 0.0)
    assert [datagram[0] for datagram in sent(outputs)] == [21]
    assert dtls.half_open_count == 0


def test_flights_are_repeated_when_their_time_has_come() -> None:
    dtls, client = server(), DtlsClient()
    handshake(dtls, client, stop_before=2)
    wake_s = dtls.next_wake_s(0.0)
    assert wake_s is not None
    assert 0.0 < wake_s <= 1.0  # OpenSSL's first timeout


def test_records_keep_below_the_mtu() -> None:
    dtls = server(mtu_bytes=300)
    outputs = handshake(dtls, DtlsClient(mtu_bytes=300))
    assert dtls.established_count == 1
    assert max(len(datagram) for datagram in sent(outputs)) <= 300


@pytest.mark.parametrize("change", ["bit", "cut", "version", "type", "twice"])
def test_tampered_and_repeated_records_are_dropped_in_silence(change: str) -> None:
    dtls, client = server(), DtlsClient()
    handshake(dtls, client)
    (record,) = client.seal(b"pay 10")
    bad = bytearray(record)
    match change:
        case "bit":
            bad[-1] ^= 1
        case "cut":
            del bad[-1]
        case "version":
            bad[1] = 3
        case "type":
            bad[0] = 99
        case "twice":
            assert dtls.receive(record, PEER, 0.0)
    assert dtls.receive(bytes(bad), PEER, 0.0) == []
    assert [type(output) for output in dtls.receive(client.seal(b"next")[0], PEER, 0.0)] == [Received]


@pytest.mark.parametrize(
    "settings_",
    [
        DtlsSettings(IDENTITY, suites=("NOT-A-SUITE",)),
        DtlsSettings(IDENTITY, groups="P-999"),
        DtlsSettings(IDENTITY, client_certificate="perhaps"),
        DtlsSettings(TlsIdentity(new_key(), IDENTITY.chain)),
    ],
)
def test_a_set_up_that_cannot_work_is_refused_at_once(settings_: DtlsSettings) -> None:
    with pytest.raises(ServerError):
        DtlsServer(settings_)


def test_splitting_stops_at_what_is_no_record() -> None:
    good = bytes.fromhex("16FEFD 0000 000000000000 0001 AA")
    other = bytes.fromhex("17FEFD 0001 000000000001 0002 BBCC")
    assert [(record.content_type, record.epoch) for record in split(good + other)] == [(22, 0), (23, 1)]
    assert split(good + b"\x00\x01") == split(good)
    assert split(good + other[:-1]) == split(good)  # cut off
    assert split(good[:-1]) == []
    assert list(pack(good + other + good, 30)) == [good + other, good]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_datagram_raises_whatever_the_state(data: st.DataObject) -> None:
    dtls = FUZZED
    base = data.draw(st.sampled_from(FUZZ_SEEDS))
    mutated = bytearray(base)
    for _ in range(data.draw(st.integers(0, 6))):
        if mutated:
            mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    peer = ("192.0.2.7", data.draw(st.integers(1, 50)))
    dtls.receive(bytes(mutated), peer, 0.0)
    dtls.tick(0.0)
    assert dtls.half_open_count <= 8


def _fuzz_seeds() -> list[bytes]:
    seeds = [b"", b"\x16", HELLO, *client_hello_fragments()]
    dtls, client = server(), DtlsClient()
    (hello,) = client.start()
    (verify_request,) = sent(dtls.receive(hello, PEER, 0.0))
    flight = client.feed(verify_request)[0]
    seeds += [hello, verify_request, *flight]
    while flight:
        answers = [one for datagram in flight for one in sent(dtls.receive(datagram, PEER, 0.0))]
        flight = [one for datagram in answers for one in client.feed(datagram)[0]]
        seeds += answers + flight
    return [*seeds, *client.seal(b"hello")]


(HELLO,) = DtlsClient().start()
FUZZED = server(max_half_open=8)
FUZZ_SEEDS = _fuzz_seeds()
