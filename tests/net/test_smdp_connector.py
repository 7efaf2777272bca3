"""Where an SM-DP+ is and by what it is recognised: CIs that the card knows, from a folder."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from ipad_agent.net import (
    HttpsCarrier,
    HttpsEndpoint,
    NameCheck,
    Trust,
    TrustRefused,
    TrustUnusable,
    WatchedCarrier,
)
from ipad_agent.net.trust.trust_anchors import read_folder, web_pki
from ipad_agent.smdp import AddressUnusable, SmdpConnector, SmdpSettings, SmdpTrustUnknown

from .certs import Identity, brainpool, issue
from .https_server import Client, Server


def ci(name: str, *, curve: str = "p256") -> Identity:
    key = brainpool() if curve == "brainpool" else None
    plain = issue(name, ca=True, key=key)
    identifier = x509.SubjectKeyIdentifier.from_public_key(plain.key.public_key())
    return issue(name, ca=True, key=plain.key, extra=((identifier, False),))


def pkid(identity: Identity) -> bytes:
    """RFC 5280 §4.2.1.2 (1): SHA-1 of the public key's bits."""
    public = identity.key.public_key()
    point = public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return hashlib.sha1(point, usedforsecurity=False).digest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ci").mkdir()
    return tmp_path / "ci"


def put(folder: Path, name: str, identity: Identity) -> None:
    (folder / name).write_bytes(identity.pem if name.endswith("pem") else identity.der)


def connector(folder: Path | None, *, web: bool = False) -> tuple[SmdpConnector, list[HttpsEndpoint]]:
    made: list[HttpsEndpoint] = []

    def carrier(endpoint: HttpsEndpoint) -> WatchedCarrier:
        made.append(endpoint)
        return HttpsCarrier(endpoint)

    return SmdpConnector(SmdpSettings(ci_dir=folder, web_pki=web), carrier=carrier), made


def test_only_cis_that_the_card_knows_are_trusted(folder: Path) -> None:
    known, other = ci("known"), ci("other")
    put(folder, "known.der", known)
    put(folder, "other.pem", other)
    (folder / "README.txt").write_text("not looked at")
    trust = connector(folder)[0].trust([pkid(known), bytes(20)])
    assert trust.anchors == (known.der,)
    assert trust.name_check is NameCheck.ALWAYS


def test_ci_without_key_identifier_is_found_by_its_key(folder: Path) -> None:
    known = issue("known", ca=True)
    put(folder, "known.crt", known)
    assert connector(folder)[0].trust([pkid(known)]).anchors == (known.der,)


@pytest.mark.parametrize("ci_pkids", [[], [bytes(20)]])
def test_card_whose_cis_are_not_there_gets_no_link(folder: Path, ci_pkids: list[bytes]) -> None:
    put(folder, "other.pem", ci("other"))
    with pytest.raises(SmdpTrustUnknown, match="ci_dir"):
        connector(folder)[0].connect("smdp.example", ci_pkids=ci_pkids)
    with pytest.raises(SmdpTrustUnknown):
        connector(None)[0].connect("smdp.example", ci_pkids=[bytes(20)])


def test_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(TrustUnusable, match="nowhere"):
        connector(tmp_path / "nowhere")[0].connect("smdp.example", ci_pkids=[bytes(20)])


def test_file_that_is_no_certificate_is_reported_and_left_out(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    known = ci("known")
    put(folder, "a.der", known)
    (folder / "b.der").write_bytes(b"\x30\x00")
    (folder / "c.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    (folder / "d.pem").mkdir()
    caplog.set_level(logging.WARNING, "ipad_agent")
    assert [anchor.der for anchor in read_folder(folder)] == [known.der]
    assert len(caplog.records) == 3


def test_web_certificates_are_trusted_only_when_allowed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, known = issue("root", ca=True), ci("known")
    put(folder, "known.pem", known)
    bundle = folder.parent / "bundle.pem"
    bundle.write_bytes(root.pem + known.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    assert web_pki() == (root.der, known.der)
    assert connector(folder, web=True)[0].trust([pkid(known)]).anchors == (known.der, root.der, known.der)
    assert connector(folder)[0].trust([pkid(known)]).anchors == (known.der,)
    assert connector(None, web=True)[0].trust([]).anchors == (root.der, known.der)


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("smdp.example", "smdp.example", 443),
        (" SMDP.example ", "smdp.example", 443),
        ("smdp.example:8443", "smdp.example", 8443),
        ("192.0.2.1", "192.0.2.1", 443),
    ],
)
def test_address_leads_to_es9plus_in_json(folder: Path, address: str, host: str, port: int) -> None:
    known = ci("known")
    put(folder, "known.pem", known)
    made, endpoints = connector(folder)
    made.connect(address, ci_pkids=[pkid(known)])
    (endpoint,) = endpoints
    assert (endpoint.host, endpoint.port) == (host, port)
    assert (endpoint.path, endpoint.content_type) == ("/gsma/rsp2/es9plus/{function}", "application/json")
    assert endpoint.max_response_bytes > (1 << 20) * 4 / 3


@pytest.mark.parametrize("address", ["", "a b", "https://smdp.example", "smdp.example/x", "smdp.example:0"])
def test_address_that_is_none_is_the_orderers_fault(folder: Path, address: str) -> None:
    with pytest.raises(AddressUnusable):
        connector(folder)[0].connect(address, ci_pkids=[])


# -- over the wire -----------------------------------------------------------------------------------------------------


async def no_content(client: Client) -> None:
    while await client.request() is not None:
        await client.send(b"HTTP/1.1 204 No Content\r\nX-Admin-Protocol: gsma/rsp/v2.2.0\r\n\r\n")


@pytest.mark.parametrize("curve", ["p256", "brainpool"])
async def test_notification_reaches_a_server_under_the_cards_ci(folder: Path, curve: str) -> None:
    known = ci("known", curve=curve)
    put(folder, "known.pem", known)
    async with Server(issue("smdp", issuer=known, dns=("localhost",)), no_content) as server:
        link = SmdpConnector(SmdpSettings(ci_dir=folder, allow_private_servers=True)).connect(
            f"localhost:{server.port}", ci_pkids=[pkid(known)]
        )
        await link.handle_notification(bytes.fromhex("3005bf2f020c00"))
        await link.close()
    # SGP.22 v2.5 §6.2: written by hand; the body is the notification in base64.
    assert server.requests == [
        b"POST /gsma/rsp2/es9plus/handleNotification HTTP/1.1\r\n"
        b"Host: localhost:%d\r\n"
        b"User-Agent: gsma-rsp-ipad\r\n"
        b"X-Admin-Protocol: gsma/rsp/v2.1.0\r\n"
        b"Content-Type: application/json\r\n"
        b"Content-Length: 38\r\n"
        b"\r\n"
        b'{"pendingNotification":"MAW/LwIMAA=="}' % server.port
    ]


async def test_server_of_another_name_or_ci_hears_nothing(folder: Path) -> None:
    known = ci("known")
    put(folder, "known.pem", known)
    for identity in (
        issue("smdp", issuer=known, dns=("other.example",)),
        issue("smdp", issuer=ci("known"), dns=("localhost",)),
    ):
        async with Server(identity, no_content) as server:
            settings = SmdpSettings(ci_dir=folder, allow_private_servers=True)
            link = SmdpConnector(settings).connect(f"localhost:{server.port}", ci_pkids=[pkid(known)])
            with pytest.raises(TrustRefused):
                await link.handle_notification(bytes.fromhex("3005bf2f020c00"))
            await server.ended()
        assert server.requests == []


def test_trust_of_the_store_is_not_that_of_a_pin(folder: Path) -> None:
    known = ci("known")
    put(folder, "known.pem", known)
    assert connector(folder)[0].trust([pkid(known)]).kind is Trust.store([known.der]).kind
