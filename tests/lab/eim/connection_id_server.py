"""The lab's DTLS server with Connection IDs, against the agent's client: ``make test-cid``, which has the library."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ipad_agent.lab.eim import DtlsSettings, ServerError, TlsIdentity
from ipad_agent.lab.eim.coap.connection_id_server import ConnectionIdServer, IdentifiedSession
from ipad_agent.lab.eim.coap.dtls_sessions import Address, Closed, Received, Transmit
from ipad_agent.net.dtls.dtls_backend import DtlsClient, Established
from ipad_agent.net.dtls.dtls_backend import DtlsSettings as ClientSettings
from ipad_agent.net.dtls.mbedtls_backend import MbedTlsBackend
from ipad_agent.net.dtls.mbedtls_library import find
from ipad_agent.net.trust.certificate_chain import Verdict

from .test_dtls import IDENTITY

HOME: Address = ("192.0.2.1", 4000)
AWAY: Address = ("198.51.100.7", 5000)


def client(name: str = "eim") -> DtlsClient:
    library = find().library
    assert library is not None, find().reason
    return MbedTlsBackend(library).client(ClientSettings(name, "any"), lambda chain: Verdict("it is the test's"))


def server(**changes: Any) -> ConnectionIdServer:
    return ConnectionIdServer(DtlsSettings(IDENTITY, **({"connection_id_bytes": 6} | changes)))


def meet(dtls: ConnectionIdServer, visitor: DtlsClient, peer: Address = HOME, now_s: float = 0.0) -> IdentifiedSession:
    """After the handshake."""
    events = visitor.start(now_s)
    while datagrams := visitor.take():
        for datagram in datagrams:
            for output in dtls.receive(datagram, peer, now_s):
                if isinstance(output, Transmit):
                    events += visitor.feed(output.datagram, now_s)
    assert isinstance(events[0], Established)
    return dtls.sessions()[-1]


def record(visitor: DtlsClient, data: bytes) -> bytes:
    visitor.send(data)
    [datagram] = visitor.take()
    return datagram


def said(outputs: list[Any]) -> list[bytes]:
    return [output.data for output in outputs if isinstance(output, Received)]


def test_a_session_moves_to_where_its_newest_record_comes_from() -> None:
    dtls, visitor = server(), client()
    session = meet(dtls, visitor)
    first, second = record(visitor, b"first"), record(visitor, b"second")
    assert said(dtls.receive(second, AWAY, 1.0)) == [b"second"]
    assert session.peer == AWAY
    assert said(dtls.receive(first, HOME, 1.0)) == [b"first"]
    assert session.peer == AWAY  # that one was sent before (RFC 9146 §6)
    assert [output.peer for output in dtls.send(session, b"answer", 1.0) if isinstance(output, Transmit)] == [AWAY]


def test_a_copy_or_a_change_of_a_record_moves_nothing() -> None:
    dtls, visitor, random_ = server(), client(), random.Random(3)
    session = meet(dtls, visitor)
    datagram = record(visitor, b"data")
    assert said(dtls.receive(datagram, HOME, 0.0)) == [b"data"]
    assert dtls.receive(datagram, AWAY, 0.0) == []
    fresh = record(visitor, b"fresh")
    for _ in range(300):
        mutant = bytearray(fresh)
        mutant[random_.randrange(len(mutant))] ^= 1 << random_.randrange(8)
        assert said(dtls.receive(bytes(mutant), AWAY, 0.0)) == []
        dtls.receive(random_.randbytes(random_.randrange(60)), AWAY, 0.0)
    assert session.peer == HOME
    assert said(dtls.receive(fresh, AWAY, 0.0)) == [b"fresh"]
    assert session.peer == AWAY


def test_an_id_that_nobody_has_is_met_with_silence() -> None:
    dtls, visitor = server(), client()
    meet(dtls, visitor)
    dtls.forget_everything()
    assert dtls.receive(record(visitor, b"data"), HOME, 0.0) == []


def test_a_hello_without_its_cookie_keeps_nothing() -> None:
    dtls = server()
    for number in range(50):
        visitor = client()
        visitor.start(0.0)
        [hello] = visitor.take()
        [answer] = dtls.receive(hello, ("192.0.2.1", number), 0.0)
        assert isinstance(answer, Transmit)
        assert answer.datagram[13] == 3  # HelloVerifyRequest
    assert (dtls.half_open_count, dtls.established_count) == (0, 0)


def test_places_are_limited_and_the_sleepiest_goes_first() -> None:
    dtls = server(max_peers=3)
    for number in range(5):
        meet(dtls, client(str(number)), ("192.0.2.1", number), float(number))
    assert dtls.established_count == 3
    assert min(session.peer[1] for session in dtls.sessions()) == 2


def test_sessions_with_an_id_last_and_others_expire_as_before() -> None:
    dtls = server(idle_expiry_s=100.0, connection_id_expiry_s=1000.0)
    meet(dtls, client())
    assert dtls.next_wake_s(0.0) == 1000.0
    assert dtls.tick(999.0) == []
    assert any(isinstance(output, Closed) for output in dtls.tick(1000.0))


@pytest.mark.parametrize(
    "settings",
    [
        DtlsSettings(IDENTITY, client_certificate="required", connection_id_bytes=8),
        DtlsSettings(IDENTITY, suites=("NOT-A-SUITE",), connection_id_bytes=8),
        DtlsSettings(IDENTITY, groups="P-999", connection_id_bytes=8),
        DtlsSettings(IDENTITY, connection_id_bytes=33),
        DtlsSettings(TlsIdentity(IDENTITY.key, ()), connection_id_bytes=8, psk={}, suites=("x",)),
    ],
)
def test_a_set_up_that_cannot_work_is_refused_at_once(settings: DtlsSettings) -> None:
    with pytest.raises(ServerError):
        ConnectionIdServer(settings)
