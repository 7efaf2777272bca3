"""A server that asks who we are: it is told when there is a certificate, and a person is told when there is none."""

from __future__ import annotations

import ssl
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ipad_agent.agent.outcome_of_error import outcome_of
from ipad_agent.errors import ConfigError
from ipad_agent.net import CertificateWanted, ClientCertificate, HttpsCarrier, HttpsEndpoint, Trust
from ipad_agent.net.coap.coaps_carrier import _fingerprint
from ipad_agent.net.coap.coaps_endpoint import CoapsEndpoint
from ipad_agent.net.dtls.dtls_backend import DtlsSettings, Ended
from ipad_agent.policy import Outcome

from .backends import new_backend
from .certs import CLIENT_AUTH, Identity, issue
from .dtls_server import ServerSide, server_context
from .https_server import Client, Server, echo
from .test_dtls import Wire, established, failure, judge_by, settings

ONE = "GetEimPackage"


@pytest.fixture(scope="module")
def server() -> Identity:
    return issue("S", dns=("eim.example.org",), ips=("127.0.0.1",))


@pytest.fixture(scope="module")
def ca() -> Identity:
    return issue("devices", ca=True)


@pytest.fixture(scope="module")
def device(ca: Identity) -> Identity:
    return issue("device", issuer=issue("middle", issuer=ca, ca=True), purposes=(CLIENT_AUTH,), send_issuer=True)


def own(identity: Identity) -> ClientCertificate:
    chain = identity.pem + b"".join(c.public_bytes(serialization.Encoding.PEM) for c in identity.chain)
    return ClientCertificate.from_pem(chain, identity.key_pem, certificate_place="a.crt", key_place="a.key")


def dtls(trust: Trust, certificate: ClientCertificate | None) -> DtlsSettings:
    return replace(settings(trust), client_certificate=certificate)


# -- DTLS --------------------------------------------------------------------------------------------------------------


def test_dtls_server_that_asks_for_a_certificate_is_shown_ours_with_its_issuers(
    server: Identity, ca: Identity, device: Identity
) -> None:
    trust = Trust.spki(server.spki)
    side = ServerSide(server_context(server, client_ca=ca))
    wire = Wire(new_backend().client(dtls(trust, own(device)), judge_by(trust)), side)
    wire.start()
    assert established(wire)
    assert side.client_der == device.der


def test_dtls_server_with_another_kind_of_key_than_ours_is_shown_ours_too(server: Identity) -> None:
    device = issue("device", key=rsa.generate_private_key(65537, 2048))
    trust = Trust.spki(server.spki)
    side = ServerSide(server_context(server, client_ca=device))
    lean = replace(dtls(trust, own(device)), lean=True, pinned_curve=trust.curve)
    wire = Wire(new_backend().client(lean, judge_by(trust)), side)
    wire.start()
    assert established(wire)
    assert side.client_der == device.der


def test_dtls_server_that_is_shown_none_ends_in_a_sentence_that_says_what_it_wants(
    server: Identity, ca: Identity
) -> None:
    trust = Trust.spki(server.spki)
    side = ServerSide(server_context(server, client_ca=ca))
    wire = Wire(new_backend().client(dtls(trust, None), judge_by(trust)), side)
    wire.start()
    error = failure(wire)
    assert isinstance(error, CertificateWanted)
    assert "asks for a client certificate and none is configured" in error.message
    assert "client_key_file" in error.hint
    assert outcome_of(error) is Outcome.UNREACHABLE  # and not: the eIM did not prove who it is


def test_dtls_server_that_does_not_accept_ours_is_told_from_one_that_got_none(server: Identity, ca: Identity) -> None:
    trust = Trust.spki(server.spki)
    side = ServerSide(server_context(server, client_ca=ca))
    wire = Wire(new_backend().client(dtls(trust, own(issue("stranger"))), judge_by(trust)), side)
    wire.start()
    error = failure(wire)
    assert isinstance(error, CertificateWanted)
    assert "was shown the configured one" in error.message


def test_dtls_server_that_falls_silent_after_asking_is_named_at_the_deadline(server: Identity, ca: Identity) -> None:
    # Some servers drop the client's empty Certificate without an alert; all that is known is that they had asked.
    trust = Trust.spki(server.spki)
    client = new_backend().client(dtls(trust, None), judge_by(trust))
    side = ServerSide(server_context(server, client_ca=ca))
    client.start(0.0)
    for _ in range(2):  # the cookie or hello, then the server's flight up to ServerHelloDone
        for datagram in client.take():
            side.feed(datagram)
        for datagram in side.take():
            if datagram[0] != 21:  # an alert gets lost
                client.feed(datagram, 0.0)
    [end] = client.handle_timeout(11.0)
    assert isinstance(end, Ended)
    assert isinstance(end.error, CertificateWanted)
    assert "not finished within 10 s" in end.error.message


def test_sessions_are_bound_to_the_certificate_that_was_shown(server: Identity, device: Identity) -> None:
    plain = CoapsEndpoint("eim.example.org", Trust.spki(server.spki))
    shown = replace(plain, client_certificate=own(device))
    other = replace(plain, client_certificate=own(issue("other")))
    assert len({_fingerprint(plain), _fingerprint(shown), _fingerprint(other)}) == 3


# -- TLS ---------------------------------------------------------------------------------------------------------------


def endpoint(port: int, server: Identity, certificate: ClientCertificate | None) -> HttpsEndpoint:
    return HttpsEndpoint("127.0.0.1", Trust.spki(server.spki), port=port, client_certificate=certificate)


@pytest.mark.parametrize("tls12", [True, False])
async def test_https_server_that_asks_for_a_certificate_is_shown_ours(
    server: Identity, ca: Identity, device: Identity, tls12: bool
) -> None:
    shown: list[bytes] = []

    async def look(client: Client) -> None:
        shown.append(client.writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
        await echo(client)

    async with Server(server, look, tls12=tls12, client_ca=ca) as peer:
        eim = HttpsCarrier(endpoint(peer.port, server, own(device)))
        assert await eim.exchange(b"x", function=ONE) == b"x"
        await eim.close()
    assert shown == [device.der]


@pytest.mark.parametrize("tls12", [True, False])
async def test_https_server_that_is_shown_none_ends_in_a_sentence_that_says_what_it_wants(
    server: Identity, ca: Identity, tls12: bool
) -> None:
    async with Server(server, tls12=tls12, client_ca=ca) as peer:
        eim = HttpsCarrier(endpoint(peer.port, server, None))
        with pytest.raises(CertificateWanted, match="asks for a client certificate and none is configured"):
            await eim.exchange(b"x", function=ONE)
        await eim.close()
    assert peer.requests == []


async def test_server_that_can_do_without_is_an_ordinary_one(server: Identity, ca: Identity) -> None:
    async def cut_at_the_second(client: Client) -> None:
        await client.request()
        await client.answer(b"first")
        await client.request()
        client.cut()

    async with Server(server, cut_at_the_second, echo, client_ca=ca, asks=ssl.CERT_OPTIONAL) as peer:
        eim = HttpsCarrier(endpoint(peer.port, server, None))
        assert await eim.exchange(b"x", function=ONE) == b"first"
        assert await eim.exchange(b"y", function=ONE) == b"y"  # on a new connection: it was the link that was lost
        await eim.close()
    assert len(peer.connections) == 2


async def test_rsa_key_serves_as_well(server: Identity) -> None:
    device = issue("device", key=rsa.generate_private_key(public_exponent=65537, key_size=2048))
    async with Server(server, tls12=True, client_ca=device) as peer:
        eim = HttpsCarrier(endpoint(peer.port, server, own(device)))
        assert await eim.exchange(b"x", function=ONE) == b"x"
        await eim.close()


async def test_server_that_asks_for_none_is_shown_none(server: Identity, device: Identity) -> None:
    async with Server(server) as peer:
        eim = HttpsCarrier(endpoint(peer.port, server, own(device)))
        assert await eim.exchange(b"x", function=ONE) == b"x"
        await eim.close()


# -- what is configured ------------------------------------------------------------------------------------------------


def test_the_key_is_in_no_text(server: Identity, device: Identity) -> None:
    certificate = own(device)
    texts = [repr(certificate), repr(endpoint(1, server, certificate)), repr(dtls(Trust.psk(), certificate))]
    texts.append(repr(CoapsEndpoint("h", Trust.spki(server.spki), client_certificate=certificate)))
    secret = device.key.private_numbers()
    number = secret.private_value if hasattr(secret, "private_value") else secret.d
    for text in texts:
        assert repr(certificate.key) not in text
        assert str(number) not in text


def test_files_that_do_not_fit_or_cannot_be_read_are_named_without_their_content(device: Identity) -> None:
    encrypted = device.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    )
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    wrong = [
        (b"", device.key_pem, r"a\.crt: holds no certificate"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", device.key_pem, r"a\.crt: holds no cert"),
        (device.pem, b"", r"a\.key: holds no private key"),
        (
            device.pem,
            b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            r"a\.key: holds no private key",
        ),
        (device.pem, encrypted, r"a\.key: is protected by a pass phrase"),
        (device.pem, issue("x").key_pem, r"a\.key: is not the key of the first certificate in a\.crt"),
        (device.pem, Identity(device.certificate, weak).key_pem, r"a\.key: is a key that TLS here has no use for"),
    ]
    for certificates, key, words in wrong:
        with pytest.raises(ConfigError, match=words) as caught:
            ClientCertificate.from_pem(certificates, key, certificate_place="a.crt", key_place="a.key")
        for line in key.decode().splitlines()[1:-1]:
            assert line not in str(caught.value)
