"""The DTLS client core against a server in memory: no sockets, and time is a number.

Long: one client core, and every way in which a handshake can go.
"""

from __future__ import annotations

import ctypes
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from OpenSSL import SSL

from ipad_agent.errors import IpadError
from ipad_agent.net import openssl_context
from ipad_agent.net.dtls import client_offer, openssl_backend
from ipad_agent.net.dtls.dtls_backend import (
    DtlsBackend,
    DtlsClient,
    DtlsEvent,
    DtlsSettings,
    Ended,
    Established,
    Psk,
    Received,
)
from ipad_agent.net.dtls.openssl_backend import OpenSslBackend
from ipad_agent.net.errors import BackendLacks, HandshakeFailed, Refusal, TrustRefused, Unreachable
from ipad_agent.net.trust.certificate_chain import Verdict, judge
from ipad_agent.net.trust.pinned_trust import Trust

from .backends import new_backend
from .certs import NOW_S, Identity, brainpool, issue
from .dtls_server import ServerSide, server_context

PSK = Psk(b"device-1", b"0123456789abcdef")


@pytest.fixture(scope="module")
def server() -> Identity:
    return issue("S", dns=("eim.example.org",))


def settings(
    trust: Trust | None = None,
    *,
    psk: Psk | None = None,
    association: str = "eim-1",
    mtu: int = 1200,
    groups: str | None = None,
) -> DtlsSettings:
    plain = DtlsSettings(
        association=association,
        fingerprint=trust.fingerprint if trust else "psk",
        server_name="eim.example.org",
        psk=psk,
        mtu_bytes=mtu,
        handshake_timeout_s=10,
    )
    return plain if groups is None else replace(plain, groups=groups)


def judge_by(trust: Trust) -> Callable[[Sequence[bytes]], Verdict]:
    return lambda chain: judge(chain, trust, host="eim.example.org", now_s=NOW_S)


def no_judge(chain: Sequence[bytes]) -> Verdict:
    raise AssertionError("no certificate was to be judged")


class Wire:
    """Carries datagrams to and fro until both sides are silent; keeps what it carried."""

    def __init__(self, client: DtlsClient, side: ServerSide) -> None:
        self.client, self.side = client, side
        self.events: list[DtlsEvent] = []
        self.sent: list[bytes] = []
        self.received: list[bytes] = []
        self.plaintext: list[bytes] = []

    def start(self) -> list[DtlsEvent]:
        self.events += self.client.start(0.0)
        return self.run()

    def run(self) -> list[DtlsEvent]:
        while datagrams := self.client.take():
            self.sent += datagrams
            for datagram in datagrams:
                self.plaintext += self.side.feed(datagram)
            self.answer()
        return self.events

    def answer(self) -> None:
        for datagram in self.side.take():
            self.received.append(datagram)
            self.events += self.client.feed(datagram, 0.0)

    @property
    def sent_kinds(self) -> set[int]:
        """The content types of all records the client sent; 23 is application data."""
        kinds = set()
        for datagram in self.sent:
            while datagram:
                kinds.add(datagram[0])
                datagram = datagram[13 + int.from_bytes(datagram[11:13], "big") :]
        return kinds


def connect(
    backend: DtlsBackend, context: SSL.Context, trust: Trust, *, judged: Trust | None = None, mtu: int = 1200
) -> Wire:
    client = backend.client(settings(trust, mtu=mtu), judge_by(judged or trust))
    wire = Wire(client, ServerSide(context, mtu=mtu))
    wire.start()
    return wire


def established(wire: Wire) -> Established:
    assert isinstance(wire.events[0], Established), wire.events
    return wire.events[0]


def failure(wire: Wire) -> IpadError:
    assert len(wire.events) == 1
    assert isinstance(wire.events[0], Ended)
    assert wire.events[0].error is not None
    return wire.events[0].error


# -- trust -------------------------------------------------------------------------------------------------------------


def test_pinned_server_is_spoken_to(server: Identity) -> None:
    wire = connect(new_backend(), server_context(server), Trust.spki(server.spki))
    assert established(wire).verdict == Verdict("its key is the pinned one")
    assert not established(wire).resumed
    wire.client.send(b"hello")
    wire.run()
    wire.side.send(b"there")
    wire.answer()
    assert wire.plaintext == [b"hello"]
    assert wire.events[1:] == [Received(b"there")]


def test_wrong_server_never_gets_a_byte_of_application_data(server: Identity) -> None:
    wire = connect(new_backend(), server_context(server), Trust.spki(issue("x").spki))
    error = failure(wire)
    assert isinstance(error, TrustRefused)
    assert error.reason is Refusal.NO_PATH
    with pytest.raises(HandshakeFailed):
        wire.client.send(b"secret")
    assert wire.plaintext == []
    assert 23 not in wire.sent_kinds
    assert wire.side.closed  # it was told that we leave


def test_data_of_a_server_that_is_not_trusted_is_not_delivered(server: Identity) -> None:
    client = new_backend().client(settings(), judge_by(Trust.spki(issue("x").spki)))
    wire = Wire(client, ServerSide(server_context(server)))
    wire.side.answers_goodbye = False
    wire.start()
    wire.side.send(b"believe me")
    wire.answer()
    assert all(not isinstance(event, Received) for event in wire.events)


def test_data_before_the_handshake_is_complete_cannot_be_sent(server: Identity) -> None:
    client = new_backend().client(settings(), judge_by(Trust.spki(server.spki)))
    client.start(0.0)
    client.take()
    with pytest.raises(HandshakeFailed):
        client.send(b"too early")
    assert client.take() == []


def test_anchored_server_is_spoken_to_and_the_whole_chain_is_judged() -> None:
    root = issue("Root", ca=True)
    leaf = issue("S", issuer=issue("Middle", issuer=root, ca=True), dns=("eim.example.org",), send_issuer=True)
    assert established(connect(new_backend(), server_context(leaf), Trust.certificate(root.der)))
    foreign = Trust.certificate(issue("Root", ca=True).der)
    assert isinstance(failure(connect(new_backend(), server_context(leaf), foreign)), TrustRefused)


def test_brainpool_server_is_spoken_to() -> None:
    server = issue("B", key=brainpool())
    context = server_context(server, groups=b"brainpoolP256r1")
    assert established(connect(new_backend(), context, Trust.spki(server.spki)))


def test_rsa_server_is_spoken_to() -> None:
    server = issue("R", key=rsa.generate_private_key(65537, 2048))
    assert established(connect(new_backend(), server_context(server), Trust.spki(server.spki)))


@pytest.mark.parametrize(
    "suite",
    [
        b"ECDHE-ECDSA-AES128-GCM-SHA256",
        b"ECDHE-ECDSA-AES128-CCM",
        b"ECDHE-ECDSA-AES128-CCM8",
        b"ECDHE-ECDSA-AES128-SHA256",
    ],
)
def test_cipher_suites_of_the_field_work(server: Identity, suite: bytes) -> None:
    context = server_context(server, suites=suite + b":@SECLEVEL=0")
    assert established(connect(new_backend(), context, Trust.spki(server.spki))).cipher == suite.decode()


def test_suites_without_forward_secrecy_are_not_offered() -> None:
    server = issue("R", key=rsa.generate_private_key(65537, 2048))
    context = server_context(server, suites=b"AES128-SHA256:@SECLEVEL=0")
    wire = connect(new_backend(), context, Trust.spki(server.spki))
    assert "no shared cipher" in str(wire.side.error)
    assert isinstance(failure(wire), HandshakeFailed)


def test_alert_of_the_server_becomes_a_sentence(server: Identity) -> None:
    context = server_context(server, suites=b"PSK-AES128-CCM8:@SECLEVEL=0", psk={})
    error = failure(connect(new_backend(), context, Trust.spki(server.spki)))
    assert str(error) == (
        "the server broke off the handshake: it found no common cipher suite, curve or version (alert 40)"
    )


# -- resumption --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tickets", [True, False])
def test_second_session_is_resumed_and_judged_again(server: Identity, tickets: bool) -> None:
    backend, context, trust = new_backend(), server_context(server, tickets=tickets), Trust.spki(server.spki)
    first = connect(backend, context, trust)
    first.client.close()
    first.run()
    second = connect(backend, context, trust)
    assert established(second).resumed
    assert established(second).verdict == Verdict("its key is the pinned one")
    assert sum(map(len, second.sent + second.received)) < sum(map(len, first.sent + first.received))
    second.client.send(b"x")
    second.run()
    assert second.plaintext == [b"x"]


def test_resumed_session_with_a_ca_anchor_is_judged_on_the_whole_chain() -> None:
    root = issue("Root", ca=True)
    leaf = issue("S", issuer=issue("M", issuer=root, ca=True), dns=("eim.example.org",), send_issuer=True)
    backend, context, trust = new_backend(), server_context(leaf), Trust.certificate(root.der)
    connect(backend, context, trust).client.close()
    assert established(connect(backend, context, trust)).resumed


def test_changed_pin_means_a_full_handshake_and_a_refusal(server: Identity) -> None:
    backend, context = new_backend(), server_context(server)
    connect(backend, context, Trust.spki(server.spki)).client.close()
    changed = Trust.spki(issue("x").spki)
    assert not backend.has_session(settings(changed))
    wire = connect(backend, context, changed)
    assert isinstance(failure(wire), TrustRefused)
    assert not backend.has_session(settings(Trust.spki(server.spki)))  # the old session is gone for good


def test_resumed_session_is_refused_when_the_verdict_changed_under_it(server: Identity) -> None:
    backend, context, trust = new_backend(), server_context(server), Trust.spki(server.spki)
    connect(backend, context, trust).client.close()
    # The worst case: the cache is asked for the old pin, but the judge knows the new one.
    wire = connect(backend, context, trust, judged=Trust.spki(issue("x").spki))
    assert isinstance(failure(wire), TrustRefused)
    assert 23 not in wire.sent_kinds
    assert not backend.has_session(settings(trust))


def test_other_groups_or_another_eim_never_share_a_session(server: Identity) -> None:
    backend, context, trust = new_backend(), server_context(server), Trust.spki(server.spki)
    connect(backend, context, trust).client.close()
    assert not backend.has_session(settings(trust, association="eim-2"))
    client = backend.client(settings(trust, groups="P-256"), judge_by(trust))
    wire = Wire(client, ServerSide(context))
    wire.start()
    assert not established(wire).resumed


def test_server_without_the_session_falls_back_to_a_full_handshake(server: Identity) -> None:
    backend, trust = new_backend(), Trust.spki(server.spki)
    connect(backend, server_context(server), trust).client.close()
    assert not established(connect(backend, server_context(server), trust)).resumed


def test_forgotten_association_is_not_resumed(server: Identity) -> None:
    backend, context, trust = new_backend(), server_context(server), Trust.spki(server.spki)
    connect(backend, context, trust).client.close()
    backend.forget("eim-1")
    assert not established(connect(backend, context, trust)).resumed


def test_only_so_many_sessions_are_kept(server: Identity) -> None:
    backend, context, trust = new_backend(), server_context(server), Trust.spki(server.spki)
    for number in range(20):
        client = backend.client(settings(trust, association=f"eim-{number}"), judge_by(trust))
        Wire(client, ServerSide(context)).start()
    kept = [n for n in range(20) if backend.has_session(settings(trust, association=f"eim-{n}"))]
    assert kept == list(range(4, 20))


# -- pre-shared keys ---------------------------------------------------------------------------------------------------


def psk_wire(psk: Psk, context: SSL.Context, backend: DtlsBackend | None = None) -> Wire:
    client = (backend or new_backend()).client(settings(psk=psk), no_judge)
    wire = Wire(client, ServerSide(context))
    wire.start()
    return wire


def test_psk_with_ccm8_works_and_resumes() -> None:
    backend = new_backend()
    context = server_context(psk={PSK.identity: PSK.key}, suites=b"PSK-AES128-CCM8:@SECLEVEL=0")
    first = psk_wire(PSK, context, backend)
    assert established(first).cipher == "PSK-AES128-CCM8"
    assert established(psk_wire(PSK, context, backend)).resumed


def test_wrong_psk_and_unknown_identity_fail_in_a_sentence() -> None:
    context = server_context(psk={PSK.identity: b"another key here"}, suites=b"PSK-AES128-CCM8:@SECLEVEL=0")
    wrong = psk_wire(PSK, context)
    assert wrong.events == []  # the server cannot read our Finished and drops it (RFC 6347 §4.1.2.7)
    assert wrong.client.handle_timeout(10.0)
    assert 23 not in wrong.sent_kinds
    unknown = failure(psk_wire(Psk(b"nobody", PSK.key), context))
    assert "PSK identity" in str(unknown) or "pre-shared key" in str(unknown)


def test_server_with_a_certificate_only_is_no_psk_server(server: Identity) -> None:
    assert isinstance(failure(psk_wire(PSK, server_context(server))), HandshakeFailed)


def test_session_that_came_about_without_the_key_is_not_used(monkeypatch: pytest.MonkeyPatch, server: Identity) -> None:
    monkeypatch.setattr(client_offer, "PSK_SUITES", client_offer.CERTIFICATE_SUITES)
    error = failure(psk_wire(PSK, server_context(server)))
    assert isinstance(error, TrustRefused)
    assert error.reason is Refusal.NO_PSK


def test_psk_never_shows_itself() -> None:
    assert "0123" not in repr(PSK) + str(settings(psk=PSK))
    assert Psk(b"a", b"b" * 16) == Psk(b"a", b"b" * 16) != Psk(b"a", b"c" * 16)


class Binding:
    """The binding without the functions that were named."""

    def __init__(self, *missing: str) -> None:
        self._missing = missing

    def __getattr__(self, name: str) -> object:
        if name in self._missing:
            raise AttributeError(name)
        return getattr(SSL._lib, name)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("missing", "psk", "words"),
    [
        ("SSL_CTX_set1_sigalgs_list", None, "signature"),
        ("SSL_CTX_set_psk_client_callback", PSK, "pre-shared"),
        ("Cryptography_HAS_PSK", PSK, "pre-shared"),
    ],
)
def test_library_that_lacks_what_is_needed_is_reported(
    monkeypatch: pytest.MonkeyPatch, missing: str, psk: Psk | None, words: str
) -> None:
    monkeypatch.setattr(openssl_backend, "LIB", Binding(missing))
    monkeypatch.setattr(openssl_context, "LIB", Binding(missing))
    with pytest.raises(BackendLacks, match=words):
        OpenSslBackend().client(settings(psk=psk), no_judge)


def test_library_that_cannot_tell_resumed_sessions_is_not_used(
    monkeypatch: pytest.MonkeyPatch, server: Identity
) -> None:
    monkeypatch.setattr(openssl_context, "LIB", Binding("SSL_session_reused"))
    monkeypatch.setattr(openssl_context, "shared_libssl", lambda: None)
    assert isinstance(failure(connect(OpenSslBackend(), server_context(server), Trust.spki(server.spki))), BackendLacks)


def test_resumed_sessions_are_told_by_the_shared_library_where_the_binding_lacks_it(
    monkeypatch: pytest.MonkeyPatch, server: Identity
) -> None:
    """As with cryptography 40 and 41, which distributions build on their own libssl."""
    asked: list[int] = []

    class Shared:
        def SSL_session_reused(self, connection: ctypes.c_void_p) -> int:  # noqa: N802 - OpenSSL's name
            assert connection.value is not None
            asked.append(connection.value)
            ffi = openssl_context.FFI
            return int(SSL._lib.SSL_session_reused(ffi.cast("SSL *", connection.value)))  # type: ignore[attr-defined]

    monkeypatch.setattr(openssl_context, "LIB", Binding("SSL_session_reused"))
    monkeypatch.setattr(openssl_context, "shared_libssl", Shared)
    backend, context, trust = OpenSslBackend(), server_context(server), Trust.spki(server.spki)
    first = connect(backend, context, trust)
    assert not established(first).resumed
    first.client.close()
    assert established(connect(backend, context, trust)).resumed
    assert len(asked) == 2


def test_library_that_cannot_choose_curves_serves_p256_but_no_special_choice(
    monkeypatch: pytest.MonkeyPatch, server: Identity
) -> None:
    monkeypatch.setattr(openssl_context, "LIB", Binding("SSL_CTX_set1_curves_list"))
    monkeypatch.setattr(openssl_context, "shared_libssl", lambda: None)
    assert established(connect(OpenSslBackend(), server_context(server), Trust.spki(server.spki)))
    with pytest.raises(BackendLacks, match="curves"):
        OpenSslBackend().client(settings(groups="brainpoolP256r1"), no_judge)


def test_foreign_copy_of_libssl_is_never_given_our_context(monkeypatch: pytest.MonkeyPatch) -> None:
    class Foreign(Binding):
        def DTLS_method(self) -> object:  # noqa: N802 - OpenSSL's name
            return openssl_context.FFI.cast("void *", 4096)

    monkeypatch.setattr(openssl_context, "LIB", Foreign())
    assert openssl_context.shared_libssl() is None


def test_unknown_curve_is_reported() -> None:
    with pytest.raises(BackendLacks, match="P-999"):
        new_backend().client(settings(groups="P-999"), no_judge)


# -- datagrams and time ------------------------------------------------------------------------------------------------


def test_no_datagram_exceeds_the_mtu() -> None:
    server = issue("S" * 60, dns=tuple(f"name-{n}.example.org" for n in range(40)))
    wire = connect(new_backend(), server_context(server), Trust.spki(server.spki), mtu=256)
    assert established(wire)
    assert max(map(len, wire.sent)) <= 256


def test_a_message_above_the_mtu_goes_in_one_datagram(server: Identity) -> None:
    """For a server without Block1; the IP layer cuts it."""
    wire = connect(new_backend(), server_context(server), Trust.spki(server.spki), mtu=1200)
    wire.client.send(b"x" * 8000)
    wire.run()
    assert wire.plaintext == [b"x" * 8000]


def test_garbage_and_replays_change_nothing(server: Identity) -> None:
    random_ = random.Random(5)
    wire = connect(new_backend(), server_context(server), Trust.spki(server.spki))
    wire.side.send(b"one")
    [record] = wire.side.take()
    assert wire.client.feed(record, 0.0) == [Received(b"one")]
    assert wire.client.feed(record, 0.0) == []
    for _ in range(300):
        mutant = bytearray(record)
        mutant[random_.randrange(len(mutant))] ^= 1 << random_.randrange(8)
        assert wire.client.feed(bytes(mutant), 0.0) == []
        assert wire.client.feed(random_.randbytes(random_.randrange(0, 60)), 0.0) == []
    wire.side.send(b"two")
    wire.answer()
    assert wire.events[-1] == Received(b"two")


def test_mutated_handshakes_end_in_the_rooms_own_errors(server: Identity) -> None:
    random_ = random.Random(6)
    backend, context, trust = new_backend(), server_context(server), Trust.spki(server.spki)
    for number in range(60):
        client = backend.client(settings(trust, association=str(number)), judge_by(trust))
        side = ServerSide(context)
        events = client.start(0.0)
        for _ in range(6):
            for datagram in client.take():
                side.feed(datagram)
            for answer in side.take():
                mutant = bytearray(answer)
                if random_.random() < 0.4:
                    mutant[random_.randrange(len(mutant))] = random_.randrange(256)
                events += client.feed(bytes(mutant), 0.0)
        events += client.handle_timeout(11.0)
        ends = [event for event in events if isinstance(event, Ended)]
        assert all(isinstance(e.error, HandshakeFailed | TrustRefused | Unreachable) for e in ends)
        assert ends or isinstance(events[0], Established)


def test_two_records_in_one_datagram_are_both_read(server: Identity) -> None:
    wire = connect(new_backend(), server_context(server), Trust.spki(server.spki))
    wire.side.send(b"one")
    wire.side.send(b"two")
    assert wire.client.feed(b"".join(wire.side.take()), 0.0) == [Received(b"one"), Received(b"two")]


def test_silent_server_is_given_up_at_the_deadline() -> None:
    client = new_backend().client(settings(), no_judge)
    client.start(100.0)
    at = client.timeout_at()
    assert at is not None
    assert 100.5 < at <= 101.1
    [end] = client.handle_timeout(110.0)
    assert isinstance(end, Ended)
    assert isinstance(end.error, Unreachable)
    assert client.timeout_at() is None


def test_server_that_stops_in_the_middle_is_given_up_at_the_deadline(server: Identity) -> None:
    client = new_backend().client(settings(), no_judge)
    side = ServerSide(server_context(server))
    client.start(100.0)
    [hello] = client.take()
    side.feed(hello)
    client.feed(side.take()[0], 100.0)
    [end] = client.handle_timeout(110.0)
    assert isinstance(end, Ended)
    assert isinstance(end.error, HandshakeFailed)


def test_slow_links_get_their_first_timeout() -> None:
    slow = DtlsSettings("eim-1", "x", handshake_timeout_s=60, flight_timeout_s=9)
    client = new_backend().client(slow, no_judge)
    client.start(0.0)
    at = client.timeout_at()
    assert at is not None
    assert 8.5 < at <= 9.1


def test_close_says_goodbye_and_peers_goodbye_is_heard(server: Identity) -> None:
    wire = connect(new_backend(), server_context(server), Trust.spki(server.spki))
    wire.client.close()
    wire.run()
    assert wire.side.closed
    other = connect(new_backend(), server_context(server), Trust.spki(server.spki))
    other.side.close()
    other.answer()
    assert other.events[1:] == [Ended(None)]
    with pytest.raises(HandshakeFailed):
        other.client.send(b"x")
