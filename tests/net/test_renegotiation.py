"""A server that asks for another handshake on a session that stands gets none: the verdict was on the first one.

Without that a server could show the trusted certificate first and another one afterwards, and nobody would look.
"""

from __future__ import annotations

import contextlib

from OpenSSL import SSL

from ipad_agent.net.dtls.dtls_backend import Received
from ipad_agent.net.https.tls_client import TlsClient
from ipad_agent.net.older_pyopenssl import use_certificate_and_key
from ipad_agent.net.trust.pinned_trust import Trust

from .backends import new_backend
from .certs import Identity, issue
from .dtls_server import ServerSide, server_context
from .test_dtls import Wire, established, judge_by, settings

HANDSHAKE, ALERT = 22, 21  # content types, RFC 5246 §6.2.1


def test_a_dtls_server_that_asks_to_renegotiate_gets_an_alert_and_no_handshake() -> None:
    identity = issue("S", dns=("eim.example.org",))
    trust = Trust.spki(identity.spki)
    wire = Wire(new_backend().client(settings(trust), judge_by(trust)), ServerSide(server_context(identity)))
    wire.start()
    assert established(wire)
    wire.sent.clear()
    wire.side.renegotiate()
    wire.answer()
    wire.run()
    assert wire.sent_kinds == {ALERT}


def test_a_dtls_session_outlives_the_wish_to_renegotiate() -> None:
    identity = issue("S", dns=("eim.example.org",))
    trust = Trust.spki(identity.spki)
    wire = Wire(new_backend().client(settings(trust), judge_by(trust)), ServerSide(server_context(identity)))
    wire.start()
    wire.side.send(b"before")
    wire.side.renegotiate()
    wire.answer()
    assert wire.events[1:] == [Received(b"before")]
    wire.client.send(b"after")


class TlsServer:
    """A TLS 1.2 server in memory; old enough to renegotiate."""

    def __init__(self, identity: Identity) -> None:
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        use_certificate_and_key(context, [identity.certificate], identity.key)
        self.connection = SSL.Connection(context, None)
        self.connection.set_accept_state()

    def take(self) -> bytes:
        try:
            return self.connection.bio_read(65536)
        except SSL.WantReadError:
            return b""


def test_a_tls_server_that_asks_to_renegotiate_gets_an_alert_and_no_handshake() -> None:
    server, client = TlsServer(issue("S")), TlsClient("eim.example.org")
    complete = False
    for _ in range(4):
        complete = client.handshake() or complete
        sent = client.take()
        if sent:
            server.connection.bio_write(sent)
        with contextlib.suppress(SSL.WantReadError):
            server.connection.do_handshake()
        answer = server.take()
        if answer:
            client.feed(answer)
    assert complete
    server.connection.renegotiate()
    server.connection.do_handshake()
    client.feed(server.take())
    assert client.read() is None
    records = client.take()
    kinds = set()
    while records:
        kinds.add(records[0])
        records = records[5 + int.from_bytes(records[3:5], "big") :]
    assert kinds == {ALERT}
