"""Every status code of ES9+, by its natural cause, and what becomes of session and order.

Long: one test for each row of one table of status codes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ipad_agent.lab.crypto import der
from ipad_agent.lab.pki import Credential, Pki, make_eid
from ipad_agent.lab.pki import certificates as shapes
from ipad_agent.lab.smdp import (
    ChainRules,
    Fault,
    Metadata,
    Order,
    OrderState,
    ProfilePackage,
    ServerIdentity,
    SmdpError,
    SmdpSettings,
    Status,
    Step,
    VirtualSmdp,
)
from ipad_agent.lab.smdp.status_words import KNOWN

from .scripted import ADDRESS, ICCID, MATCHING, SMDP_OID, Card, Client, b64, codes, fields_of, un64

NOW = datetime(2027, 3, 1, tzinfo=UTC)
OTHER_EID = make_eid(77)


def sample(**metadata: Any) -> ProfilePackage:
    return ProfilePackage.sample(Metadata(ICCID, **metadata))


def server(pki: Pki, settings: SmdpSettings | None = None, **more: Any) -> VirtualSmdp:
    return VirtualSmdp(ServerIdentity.smdp(pki), settings, **more)


# initiateAuthentication


def test_another_address_is_refused(smdp: VirtualSmdp, card: Card) -> None:
    assert Client(smdp, card, "smdp.other.example").initiate().code == "8.8.1/3.8"


def test_the_address_is_compared_without_case_unless_told_otherwise(p256: Pki, card: Card) -> None:
    assert Client(server(p256), card, "SMDP.Lab.Example").initiate().code is None
    exact = server(p256, SmdpSettings(exact_address=True))
    assert Client(exact, card, "SMDP.Lab.Example").initiate().code == "8.8.1/3.8"
    assert Client(exact, card).initiate().code is None


def test_a_card_of_another_ci_is_refused(smdp: VirtualSmdp, p256: Pki) -> None:
    assert Client(smdp, Card(p256, sign_cis=[b"\x01" * 20])).initiate().code == "8.8.2/3.1"


def test_a_card_that_cannot_verify_us_is_refused(smdp: VirtualSmdp, p256: Pki) -> None:
    assert Client(smdp, Card(p256, verify_cis=[b"\x01" * 20])).initiate().code == "8.8.4/3.7"


def test_an_old_card_is_refused(smdp: VirtualSmdp, p256: Pki) -> None:
    assert Client(smdp, Card(p256, svn=b"\x01\x01\x00")).initiate().code == "8.8.3/3.1"


# authenticateClient: chain


def issue(
    pki: Pki, request: shapes.Request, issuer: Credential, *, begin: datetime | None = None, end: datetime | None = None
) -> Credential:
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    signer = shapes.Issuer(issuer.certificate.subject, issuer.private_key)
    made = signer.issue(request, key.public_key(), begin or now - timedelta(days=9), end or now + timedelta(days=99))
    return Credential("made", made, key)


def card_of(pki: Pki, euicc: Credential, eum: Credential) -> Card:
    card = Card(pki)
    card.certificate, card.eum_certificate, card.key = euicc.cert_der, eum.cert_der, euicc.private_key
    return card


def eum_variant(kind: str) -> Callable[[Pki], Card]:
    return lambda pki: card_of(pki, pki["euicc"], pki.variant("eum", kind))


def euicc_variant(kind: str) -> Callable[[Pki], Card]:
    return lambda pki: card_of(pki, pki.variant("euicc", kind), pki["eum"])


def other_prefix(pki: Pki) -> Card:
    euicc = issue(pki, shapes.euicc("RSP Test EUM", make_eid(1, "89049099")), pki["eum"])
    return card_of(pki, euicc, pki["eum"])


def other_organization(pki: Pki) -> Card:
    return card_of(pki, issue(pki, shapes.euicc("Another EUM", pki.eid), pki["eum"]), pki["eum"])


def no_eid(pki: Pki) -> Card:
    return card_of(pki, issue(pki, shapes.euicc("RSP Test EUM", "89049032"), pki["eum"]), pki["eum"])


def eum_is_no_ca(pki: Pki) -> Card:
    eum = issue(pki, shapes.rsp_signer("eum", "EUM Test", "2.999.1"), pki["ci"])
    return card_of(pki, issue(pki, shapes.euicc("RSP Test EUM", pki.eid), eum), eum)


def eum_of_another_role(pki: Pki) -> Card:
    request = shapes.ci("EUM Test")
    eum = issue(pki, request, pki["ci"])
    return card_of(pki, issue(pki, shapes.euicc("RSP Test EUM", pki.eid), eum), eum)


def euicc_of_another_role(pki: Pki) -> Card:
    request = shapes.euicc("RSP Test EUM", pki.eid)
    extensions = tuple(e for e in request.extensions if not isinstance(e[0], x509.CertificatePolicies))
    euicc = issue(pki, shapes.Request(request.subject, extensions), pki["eum"])
    return card_of(pki, euicc, pki["eum"])


def changed(request: shapes.Request, extension: x509.ExtensionType) -> shapes.Request:
    """The same with one extension exchanged."""
    kept = tuple(e if type(e[0]) is not type(extension) else (extension, True) for e in request.extensions)
    assert kept != request.extensions
    return shapes.Request(request.subject, kept)


def key_usage(*, digital_signature: bool = False, key_agreement: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(digital_signature, False, False, False, key_agreement, False, crl_sign, False, False)


def eum_with(extension: x509.ExtensionType) -> Callable[[Pki], Card]:
    def make(pki: Pki) -> Card:
        eum = issue(pki, changed(shapes.eum("RSP Test EUM", "89049032"), extension), pki["ci"])
        return card_of(pki, issue(pki, shapes.euicc("RSP Test EUM", pki.eid), eum), eum)

    return make


def euicc_that_may_not_sign(pki: Pki) -> Card:
    request = changed(shapes.euicc("RSP Test EUM", pki.eid), key_usage(key_agreement=True))
    return card_of(pki, issue(pki, request, pki["eum"]), pki["eum"])


def euicc_with_rsa_key(pki: Pki) -> Card:
    request = shapes.euicc("RSP Test EUM", pki.eid)
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(request.subject)
        .issuer_name(pki["eum"].certificate.subject)
        .public_key(rsa.generate_private_key(65537, 2048).public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
    )
    for extension, critical in request.extensions:
        builder = builder.add_extension(extension, critical=critical)
    card = Card(pki)
    made = builder.sign(pki["eum"].private_key, hashes.SHA256())
    card.certificate = made.public_bytes(serialization.Encoding.DER)
    return card


def garbage_certificate(pki: Pki) -> Card:
    card = Card(pki)
    card.certificate = bytes.fromhex("3003020101")
    return card


def garbage_eum(pki: Pki) -> Card:
    card = Card(pki)
    card.eum_certificate = bytes.fromhex("3003020101")
    return card


def swapped_certificates(pki: Pki) -> Card:
    card = Card(pki)
    card.certificate, card.eum_certificate = card.eum_certificate, card.certificate
    return card


def eum_of_another_ci(pki: Pki) -> Card:
    """An EUM that says who issued it, and it is nobody we know."""
    stranger = ec.generate_private_key(ec.SECP256R1())
    issuer = Credential("ci", pki["ci"].certificate, stranger)
    eum = issue(pki, shapes.eum("RSP Test EUM", "89049032"), issuer)
    return card_of(pki, issue(pki, shapes.euicc("RSP Test EUM", pki.eid), eum), eum)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (eum_variant("expired"), "8.1.2/6.3"),
        (eum_variant("not-yet-valid"), "8.1.2/6.1"),
        (eum_is_no_ca, "8.1.2/6.1"),
        (eum_of_another_role, "8.1.2/6.1"),
        (eum_with(x509.BasicConstraints(ca=False, path_length=None)), "8.1.2/6.1"),
        (eum_with(key_usage(crl_sign=True)), "8.1.2/6.1"),
        (garbage_eum, "8.1.2/6.1"),
        (eum_of_another_ci, "8.11.1/3.9"),
        (swapped_certificates, "8.11.1/3.9"),
        (euicc_variant("expired"), "8.1.3/6.3"),
        (euicc_variant("not-yet-valid"), "8.1.3/6.1"),
        (euicc_variant("foreign"), "8.1.3/6.1"),
        (other_prefix, "8.1.3/6.1"),
        (other_organization, "8.1.3/6.1"),
        (no_eid, "8.1.3/6.1"),
        (euicc_of_another_role, "8.1.3/6.1"),
        (euicc_that_may_not_sign, "8.1.3/6.1"),
        (euicc_with_rsa_key, "8.1.3/6.1"),
        (garbage_certificate, "8.1.3/6.1"),
    ],
)
def test_a_wrong_chain_is_refused(
    smdp: VirtualSmdp, order: Order, p256: Pki, make: Callable[[Pki], Card], code: str
) -> None:
    assert Client(smdp, make(p256)).authenticate().code == code
    assert order.state is OrderState.AVAILABLE


def test_an_eum_signed_by_a_false_ci_of_the_right_name_and_key_id_is_refused(
    smdp: VirtualSmdp, order: Order, p256: Pki
) -> None:
    # The key identifier of the real CI over a certificate that another key signed.
    false_ci = ec.generate_private_key(ec.SECP256R1())
    request = shapes.eum("RSP Test EUM", "89049032")
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(request.subject)
        .issuer_name(p256["ci"].certificate.subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.AuthorityKeyIdentifier(p256.ci_pkid, None, None), critical=False)
    )
    for extension, critical in request.extensions:
        builder = builder.add_extension(extension, critical=critical)
    eum = Credential("eum", builder.sign(false_ci, hashes.SHA256()), key)
    euicc = issue(p256, shapes.euicc("RSP Test EUM", p256.eid), eum)
    assert Client(smdp, card_of(p256, euicc, eum)).authenticate().code == "8.1.2/6.1"


def test_an_eum_without_name_constraints_is_refused_only_on_demand(p256: Pki) -> None:
    request = shapes.eum("RSP Test EUM", "89049032")
    extensions = tuple(e for e in request.extensions if not isinstance(e[0], x509.NameConstraints))
    eum = issue(p256, shapes.Request(request.subject, extensions), p256["ci"])
    card = card_of(p256, issue(p256, shapes.euicc("Anyone", p256.eid), eum), eum)
    for rules, code in ((ChainRules(), None), (ChainRules(require_name_constraints=True), "8.1.2/6.1")):
        smdp = server(p256, SmdpSettings(chain=rules))
        smdp.orders.add(Order(MATCHING, sample()))
        assert Client(smdp, card).authenticate().code == code


def test_dates_may_be_left_unchecked(p256: Pki) -> None:
    smdp = server(p256, SmdpSettings(chain=ChainRules(check_dates=False)))
    smdp.orders.add(Order(MATCHING, sample()))
    assert Client(smdp, euicc_variant("expired")(p256)).authenticate().code is None


# authenticateClient: what was signed


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        ("signature", "8.1/6.1"),
        ("challenge", "8.1/6.1"),
        ("address", "8.1/6.1"),
        ("transaction", "8.10.1/3.9"),
    ],
)
def test_what_the_card_signs_must_be_ours(smdp: VirtualSmdp, order: Order, card: Card, spoil: str, code: str) -> None:
    card.spoil = spoil
    client = Client(smdp, card)
    assert client.authenticate().code == code
    card.spoil = ""
    assert client.authenticate().code == "8.10.1/3.9", "a refused session goes on"


def test_an_unknown_transaction_is_refused_by_every_function(smdp: VirtualSmdp, order: Order, card: Card) -> None:
    client = Client(smdp, card)
    fields_of(client.authenticate())
    client.initiated["transactionId"] = "00" * 16
    client.authenticated["transactionId"] = "00" * 16
    assert codes([client.authenticate(), client.get_package(), client.cancel()]) == ["8.10.1/3.9"] * 3


def test_a_transaction_id_may_come_in_lower_case(smdp: VirtualSmdp, order: Order, card: Card) -> None:
    client = Client(smdp, card)
    fields_of(client.initiate())
    client.initiated["transactionId"] = client.initiated["transactionId"].lower()
    fields_of(client.authenticate())


def test_long_lengths_are_read_unless_the_server_is_strict(p256: Pki, card: Card) -> None:
    for strict, code in ((False, None), (True, "1.6/2.1")):
        smdp = server(p256, SmdpSettings(strict_der=strict))
        body = card.initiate()
        raw = un64(body["euiccInfo1"])
        assert raw[2] < 0x80
        body["euiccInfo1"] = b64(raw[:2] + b"\x81" + raw[2:])
        assert smdp.handle("initiateAuthentication", body).code == code


def test_an_error_of_the_card_ends_the_session(smdp: VirtualSmdp, order: Order, card: Card) -> None:
    client = Client(smdp, card)
    fields_of(client.initiate())
    # BF38 { A1 { 80 transactionId, 02 authenticateErrorCode invalidOid } }
    error = bytes.fromhex("bf3817" + "a115" + "8010" + client.initiated["transactionId"] + "020105")
    body = {"transactionId": client.initiated["transactionId"], "authenticateServerResponse": b64(error)}
    reply = smdp.handle("authenticateClient", body)
    assert reply.code == "8.1/6.1"
    assert "authenticateErrorCode 5" in str(reply.body)
    assert client.authenticate().code == "8.10.1/3.9"


@pytest.mark.parametrize(
    ("svn", "code"), [("020000", None), ("02FFFF", None), ("030000", "8.8.3/3.1"), ("030100", "8.8.3/3.1")]
)
def test_a_card_of_a_release_above_those_served_is_refused(
    smdp: VirtualSmdp, p256: Pki, svn: str, code: str | None
) -> None:
    assert Client(smdp, Card(p256, svn=bytes.fromhex(svn))).initiate().code == code


def test_how_high_a_release_is_served_is_an_option(p256: Pki) -> None:
    smdp = server(p256, SmdpSettings(maximum_svn=(2, 4, 0)))
    found = [Client(smdp, Card(p256, svn=bytes.fromhex(svn))).initiate().code for svn in ("020400", "020401")]
    assert found == [None, "8.8.3/3.1"]


@pytest.mark.parametrize("address", ["smdp.lab.example:8443", "SMDP.lab.example:443"])
def test_an_address_with_a_port_is_ours_and_signed_as_it_was_used(
    smdp: VirtualSmdp, order: Order, card: Card, address: str
) -> None:
    client = Client(smdp, card, address=address)
    client.download()
    assert address.encode() in un64(client.initiated["serverSigned1"])


def test_an_address_with_a_port_is_not_that_of_another_port_or_host(p256: Pki, card: Card) -> None:
    smdp = server(p256, SmdpSettings(addresses=("smdp.lab.example:8443",)))
    for address in ("smdp.lab.example:8444", "other.example:8443", "smdp.lab.example:x", "[::1]:8443"):
        assert Client(smdp, card, address=address).initiate().code == "8.8.1/3.8"
    assert Client(smdp, card, address="smdp.lab.example").initiate().code is None
    exact = server(p256, SmdpSettings(exact_address=True))
    assert Client(exact, card, address="smdp.lab.example:8443").initiate().code == "8.8.1/3.8"


def test_a_session_times_out(p256: Pki, card: Card) -> None:
    now = NOW
    smdp = server(p256, SmdpSettings(session_s=60), clock=lambda: now)
    smdp.orders.add(Order(MATCHING, sample()))
    client = Client(smdp, card)
    fields_of(client.authenticate())
    now += timedelta(seconds=60)
    fields_of(client.authenticate())
    now += timedelta(seconds=1)
    assert client.authenticate().code == "8.10.1/3.9"


def test_a_step_may_be_repeated_unless_the_server_is_strict(p256: Pki, card: Card) -> None:
    for strict, code in ((False, None), (True, "8.10.1/3.9")):
        smdp = server(p256, SmdpSettings(strict_sequence=strict))
        smdp.orders.add(Order(MATCHING, sample()))
        client = Client(smdp, card)
        client.download()
        body = card.prepare(client.authenticated)
        assert smdp.handle("getBoundProfilePackage", body).code == code
        fresh = Client(smdp, card)
        assert codes([fresh.authenticate(), fresh.authenticate()]) == [None, code]


# authenticateClient: orders


@pytest.mark.parametrize("matching_id", ["UNKNOWN", "lab-matching-1"])
def test_an_unknown_matching_id_is_refused(smdp: VirtualSmdp, order: Order, card: Card, matching_id: str) -> None:
    assert Client(smdp, card).authenticate(matching_id).code == "8.2.6/3.8"


@pytest.mark.parametrize("matching_id", ["", None])
def test_without_matching_id_the_order_of_the_eid_is_found(p256: Pki, matching_id: str | None) -> None:
    smdp = server(p256)
    assert Client(smdp, Card(p256)).authenticate(matching_id).code == "8.2.6/3.8"
    smdp.orders.add(Order("", sample(), eid=OTHER_EID))
    assert Client(smdp, Card(p256)).authenticate(matching_id).code == "8.2.6/3.8"
    mine = smdp.orders.add(Order("", sample(), eid=p256.eid))
    assert Client(smdp, Card(p256)).download(matching_id=matching_id).elements == mine.package.elements
    closed = server(p256, SmdpSettings(empty_matching_id=False))
    closed.orders.add(Order("", sample(), eid=p256.eid))
    assert Client(closed, Card(p256)).authenticate(matching_id).code == "8.2.6/3.8"


def test_a_second_order_of_the_eid_comes_after_the_first_is_installed(smdp: VirtualSmdp, p256: Pki, card: Card) -> None:
    first = smdp.orders.add(Order("", sample(), eid=p256.eid))
    second = smdp.orders.add(Order("", sample(), eid=p256.eid))
    client = Client(smdp, card)
    client.download(matching_id="")
    client.notify(card.installation_result(client.transaction))
    assert first.state is OrderState.INSTALLED
    Client(smdp, card).download(matching_id="")
    assert second.state is OrderState.DOWNLOADED


def test_a_profile_of_another_eid_is_refused(smdp: VirtualSmdp, card: Card) -> None:
    smdp.orders.add(Order(MATCHING, sample(), eid=OTHER_EID))
    assert Client(smdp, card).authenticate().code == "8.1.1/3.8"


def test_an_order_that_is_not_released_waits(smdp: VirtualSmdp, order: Order, card: Card) -> None:
    order.released = False
    assert Client(smdp, card).authenticate().code == "8.2/1.2"
    order.released = True
    assert Client(smdp, card).authenticate().code is None


@pytest.mark.parametrize(("late", "code"), [(False, None), (True, "8.8.5/4.10")])
def test_an_expired_order_is_told_when_the_card_is_authenticated_and_before_v1_3_also_later(
    p256: Pki, card: Card, late: bool, code: str | None
) -> None:
    now = NOW
    smdp = server(p256, SmdpSettings(expired_at_package=late), clock=lambda: now)
    smdp.orders.add(Order(MATCHING, sample(), expires=NOW + timedelta(hours=1)))
    client = Client(smdp, card)
    fields_of(client.authenticate())
    now += timedelta(hours=1, seconds=1)
    assert client.get_package().code == code
    assert Client(smdp, card).authenticate().code == "8.8.5/4.10"


def test_too_many_attempts_are_refused(smdp: VirtualSmdp, order: Order, card: Card) -> None:
    order.max_attempts = 2
    assert codes(Client(smdp, card).authenticate() for _ in range(3)) == [None, None, "8.8.5/6.4"]


def test_repeating_a_step_is_no_further_attempt(smdp: VirtualSmdp, order: Order, card: Card) -> None:
    order.max_attempts = 2
    client = Client(smdp, card)
    assert codes([client.authenticate(), client.authenticate()]) == [None, None]
    assert order.attempts == 1


def test_a_card_without_memory_is_refused(p256: Pki) -> None:
    smdp = server(p256)
    smdp.orders.add(Order(MATCHING, ProfilePackage(Metadata(ICCID), b"", memory_bytes=70_000)))
    assert Client(smdp, Card(p256, free_bytes=69_999)).authenticate().code == "8.1/4.8"
    assert Client(smdp, Card(p256, free_bytes=70_000)).authenticate().code is None
    unchecked = server(p256, SmdpSettings(check_memory=False))
    unchecked.orders.add(Order(MATCHING, ProfilePackage(Metadata(ICCID), b"", memory_bytes=70_000)))
    assert Client(unchecked, Card(p256, free_bytes=0)).authenticate().code is None


@pytest.mark.parametrize("resource", ["", "00", "FFFF", "8203", "81010082", "0102030405"])
def test_card_resources_that_are_no_tlv_are_ignored(smdp: VirtualSmdp, order: Order, p256: Pki, resource: str) -> None:
    assert Client(smdp, Card(p256, resources=bytes.fromhex(resource))).authenticate().code is None


def test_a_rule_that_the_card_forbids_makes_the_profile_ineligible(smdp: VirtualSmdp, p256: Pki) -> None:
    smdp.orders.add(Order(MATCHING, sample(ppr=(1,))))
    assert Client(smdp, Card(p256, forbidden_ppr=(1,))).authenticate().code == "8.2.5/4.3"
    assert Client(smdp, Card(p256, forbidden_ppr=(2,))).authenticate().code is None


def test_a_test_profile_is_not_for_a_card_that_takes_none(smdp: VirtualSmdp, p256: Pki) -> None:
    smdp.orders.add(Order(MATCHING, sample(profile_class=0)))
    assert Client(smdp, Card(p256, rsp_capability=(0,))).authenticate().code == "8.2.5/4.3"
    assert Client(smdp, Card(p256, rsp_capability=(0, 3))).authenticate().code is None


def test_orders_that_nobody_could_claim_are_not_taken(smdp: VirtualSmdp, order: Order) -> None:
    with pytest.raises(SmdpError):
        smdp.orders.add(Order("", sample()))
    with pytest.raises(SmdpError):
        smdp.orders.add(Order(MATCHING, sample()))
    smdp.orders.remove(order)
    assert not list(smdp.orders)


# getBoundProfilePackage


@pytest.mark.parametrize(
    ("spoil", "code"), [("signature", "8.1/6.1"), ("transaction", "8.10.1/3.9"), ("otpk", "1.6/2.1")]
)
def test_what_the_card_prepares_must_be_right(
    smdp: VirtualSmdp, order: Order, card: Card, spoil: str, code: str
) -> None:
    client = Client(smdp, card)
    fields_of(client.authenticate())
    card.spoil = spoil
    assert client.get_package().code == code
    assert order.state is OrderState.AVAILABLE
    assert order.bindings == 0
    card.spoil = ""
    assert client.get_package().code == "8.10.1/3.9", "a refused session goes on"


def test_no_package_without_authentication(smdp: VirtualSmdp, order: Order, card: Card) -> None:
    first, second = Client(smdp, card), Client(smdp, card)
    fields_of(first.authenticate())
    fields_of(second.initiate())
    second.authenticated = {**first.authenticated, "transactionId": second.initiated["transactionId"]}
    assert second.get_package().code == "8.10.1/3.9"


def test_a_download_error_of_the_card_ends_the_session(smdp: VirtualSmdp, order: Order, card: Card) -> None:
    client = Client(smdp, card)
    fields_of(client.authenticate())
    # BF21 { A1 { 80 transactionId, 02 downloadErrorCode invalidSignature } }
    error = bytes.fromhex("bf2117" + "a115" + "8010" + client.initiated["transactionId"] + "020102")
    body = {"transactionId": client.initiated["transactionId"], "prepareDownloadResponse": b64(error)}
    reply = smdp.handle("getBoundProfilePackage", body)
    assert reply.code == "8.1/6.1"
    assert "downloadErrorCode 2" in str(reply.body)


def test_confirmation_code_is_asked_for_and_tried_three_times(smdp: VirtualSmdp, card: Card) -> None:
    order = smdp.orders.add(Order(MATCHING, sample(), confirmation_code="12-34"))
    tries = [None, "wrong", "12-35", "12-34 "]
    found = codes(Client(smdp, card).get_package(code) for code in tries)
    assert found == ["8.2.7/2.2", "8.2.7/3.8", "8.2.7/3.8", "8.2.7/6.4"]
    assert order.code_failures == 3


def test_too_many_wrong_codes_end_the_order(smdp: VirtualSmdp, card: Card) -> None:
    order = smdp.orders.add(Order(MATCHING, sample(), confirmation_code="12-34", code_tries=1))
    assert Client(smdp, card).get_package("wrong").code == "8.2.7/6.4"
    assert order.state is OrderState.ERROR
    assert Client(smdp, card).authenticate().code == "8.2.6/3.8"


def test_an_order_that_is_not_final_on_errors_still_counts_wrong_codes(smdp: VirtualSmdp, card: Card) -> None:
    smdp.orders.add(Order(MATCHING, sample(), confirmation_code="12-34", code_tries=1, final_on_error=False))
    tried = codes(Client(smdp, card).get_package(code) for code in ("wrong", "12-34"))
    assert tried == ["8.2.7/6.4", "8.2.7/6.4"]


def test_a_mistyped_confirmation_code_may_be_tried_again_in_the_same_session(smdp: VirtualSmdp, card: Card) -> None:
    order = smdp.orders.add(Order(MATCHING, sample(), confirmation_code="12-34"))
    client = Client(smdp, card)
    assert codes(client.get_package(code) for code in (None, "wrong")) == ["8.2.7/2.2", "8.2.7/3.8"]
    assert client.download("12-34").elements == order.package.elements


def test_too_many_wrong_codes_end_the_session(smdp: VirtualSmdp, card: Card) -> None:
    smdp.orders.add(Order(MATCHING, sample(), confirmation_code="12-34", code_tries=2))
    client = Client(smdp, card)
    tried = codes(client.get_package(code) for code in ("wrong", "wrong", "12-34"))
    assert tried == ["8.2.7/3.8", "8.2.7/6.4", "8.10.1/3.9"]


def test_the_right_confirmation_code_opens(smdp: VirtualSmdp, card: Card) -> None:
    order = smdp.orders.add(Order(MATCHING, sample(), confirmation_code="12-34"))
    assert Client(smdp, card).download("12-34").elements == order.package.elements


def test_a_code_that_is_not_needed_does_no_harm(smdp: VirtualSmdp, order: Order, card: Card) -> None:
    assert Client(smdp, card).download("12-34").elements == order.package.elements


def test_the_key_of_the_first_binding_is_offered_and_gives_the_same_package(
    smdp: VirtualSmdp, order: Order, card: Card
) -> None:
    order.max_bindings = 1
    first = Client(smdp, card).download()
    second_client = Client(smdp, card)
    second = second_client.download()
    assert (second.otpk, second.replace, second.elements) == (first.otpk, first.replace, first.elements)
    assert second.transaction == second_client.transaction != first.transaction
    assert order.bindings == 1


def test_another_key_is_bound_again_or_refused(smdp: VirtualSmdp, order: Order, card: Card) -> None:
    order.max_bindings = 2
    otpks = []
    found = []
    for _ in range(3):
        client = Client(smdp, card)
        fields_of(client.authenticate())
        card.otsk = None
        reply = client.get_package()
        found.append(reply.code)
        otpks.append(card.otpk())
    assert found == [None, None, "8.2/3.7"]
    assert len(set(otpks)) == 3


def test_a_binding_is_for_one_card_even_if_another_has_the_same_key(
    smdp: VirtualSmdp, order: Order, p256: Pki, card: Card
) -> None:
    order.max_bindings = 1
    Client(smdp, card).download()
    other = card_of(p256, issue(p256, shapes.euicc("RSP Test EUM", OTHER_EID), p256["eum"]), p256["eum"])
    client = Client(smdp, other)
    offered = der.parse(un64(fields_of(client.authenticate())["smdpSigned2"])).find(0x5F49)
    assert offered is None
    other.otsk = card.otsk
    # The card takes its key from before only if it is offered, so this one claims that it was.
    assert card.otsk is not None
    signed2 = der.seq(der.octets(client.transaction, 0x80), der.boolean(False), der.octets(card.otpk(), 0x5F49))
    body = other.prepare({**client.authenticated, "smdpSigned2": b64(signed2)})
    assert other.otpk() == card.otpk()
    assert smdp.handle("getBoundProfilePackage", body).code == "8.2/3.7"


def test_the_key_is_not_offered_when_the_order_says_so(smdp: VirtualSmdp, order: Order, card: Card) -> None:
    order.reuse_otpk = False
    Client(smdp, card).download()
    first = card.otpk()
    Client(smdp, card).download()
    assert card.otpk() != first
    assert order.bindings == 2


# cancelSession


def test_a_cancel_is_verified_and_the_order_refused_afterwards(smdp: VirtualSmdp, order: Order, card: Card) -> None:
    client = Client(smdp, card)
    fields_of(client.authenticate())
    reply = client.cancel(3)
    assert fields_of(reply) == {"header": {"functionExecutionStatus": {"status": "Executed-Success"}}}
    session = smdp.sessions.latest
    assert session is not None
    assert (session.step, session.cancel_reason, order.cancel_reason) == (Step.CANCELLED, 3, 3)
    assert codes([client.cancel(3), client.get_package()]) == ["8.10.1/3.9", "8.10.1/3.9"]
    assert Client(smdp, card).authenticate().code == "8.2.6/3.8"
    order.final_on_error = False
    assert Client(smdp, card).authenticate().code is None


@pytest.mark.parametrize("reason", [1, 2])
def test_a_postponed_order_stays(smdp: VirtualSmdp, order: Order, card: Card, reason: int) -> None:
    client = Client(smdp, card)
    fields_of(client.authenticate())
    fields_of(client.cancel(reason))
    assert Client(smdp, card).authenticate().code is None


def test_a_cancel_with_a_wrong_signature_is_refused_and_cancels_nothing(
    smdp: VirtualSmdp, order: Order, card: Card
) -> None:
    client = Client(smdp, card)
    fields_of(client.authenticate())
    card.spoil = "signature"
    assert client.cancel().code == "8.1/6.1"
    card.spoil = ""
    assert client.cancel(oid="2.999.11").code == "8.8/3.10"
    client.download()


def test_a_cancel_before_the_card_is_known_cannot_be_verified(smdp: VirtualSmdp, card: Card) -> None:
    client = Client(smdp, card)
    fields_of(client.initiate())
    assert client.cancel().code == "8.1/6.1"


def test_a_refused_session_can_be_cancelled(smdp: VirtualSmdp, order: Order, card: Card) -> None:
    order.released = False
    client = Client(smdp, card)
    client.authenticate()
    assert client.cancel().code is None


@pytest.mark.parametrize(("habit", "expected"), [("refuse", "8.1/6.1"), ("accept", None), ("empty", None)])
def test_an_unsigned_cancel_is_answered_as_set(p256: Pki, card: Card, habit: str, expected: str | None) -> None:
    smdp = server(p256, SmdpSettings(unsigned_cancel=habit))
    smdp.orders.add(Order(MATCHING, sample()))
    client = Client(smdp, card)
    fields_of(client.authenticate())
    body = {
        "transactionId": client.initiated["transactionId"],
        "cancelSessionResponse": b64(b"\xbf\x41\x03\x81\x01\x05"),
    }
    reply = smdp.handle("cancelSession", body)
    assert (reply.status, reply.code) == (200, expected)
    assert (reply.body is None) == (habit == "empty")
    assert client.cancel().code == "8.10.1/3.9"


def test_some_servers_answer_every_cancel_with_nothing(p256: Pki, card: Card) -> None:
    smdp = server(p256, SmdpSettings(empty_cancel=True))
    smdp.orders.add(Order(MATCHING, sample()))
    client = Client(smdp, card)
    fields_of(client.authenticate())
    reply = client.cancel()
    assert (reply.status, reply.body) == (200, None)


# Header, and any code on demand


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({"functionRequesterIdentifier": "2.999.1", "functionCallIdentifier": "1"}, None),
        ({"functionCallIdentifier": "1"}, "1.2.1/2.1"),
        ({"functionRequesterIdentifier": 5, "functionCallIdentifier": "1"}, "1.2.1/2.1"),
        ({"functionRequesterIdentifier": "2.999.1"}, "1.2.2/2.1"),
        ({"functionRequesterIdentifier": "2.999.1", "functionCallIdentifier": ""}, "1.2.2/2.1"),
        ("text", "1.2.1/2.1"),
    ],
)
def test_a_header_object_is_looked_at_when_there_is_one(
    smdp: VirtualSmdp, card: Card, header: object, code: str | None
) -> None:
    assert smdp.handle("initiateAuthentication", {**card.initiate(), "header": header}).code == code


def test_a_header_object_may_be_required(p256: Pki, card: Card) -> None:
    smdp = server(p256, SmdpSettings(require_header=True))
    assert Client(smdp, card).initiate().code == "1.2.1/2.1"


@pytest.mark.parametrize("row", KNOWN, ids=lambda row: row.code)
@pytest.mark.parametrize(
    "function", ["initiateAuthentication", "authenticateClient", "getBoundProfilePackage", "cancelSession"]
)
def test_every_code_can_be_asked_for(smdp: VirtualSmdp, card: Card, row: Status, function: str) -> None:
    smdp.faults.arm(Fault(function, "status", row.code))
    reply = smdp.handle(function, card.initiate())
    assert reply.code == row.code
    assert reply.body is not None
    assert reply.body["header"]["functionExecutionStatus"]["status"] == "Failed"
    assert len(smdp.faults) == 0


def test_a_code_that_is_none_is_not_taken() -> None:
    for wrong in ("8.2.6", "8.2.6/", "a/b", None):
        with pytest.raises(SmdpError):
            Fault("authenticateClient", "status", wrong)


def test_requests_without_sense_are_answered_as_set(p256: Pki) -> None:
    body = {"smdpAddress": ADDRESS}
    assert server(p256).handle("initiateAuthentication", body).code == "1.6/2.2"
    assert server(p256).handle("initiateAuthentication", []).code == "1.6/2.1"
    reply = server(p256, SmdpSettings(malformed="http400")).handle("initiateAuthentication", body)
    assert (reply.status, reply.body) == (400, None)
    reply = server(p256, SmdpSettings(malformed="html500")).handle("initiateAuthentication", body)
    assert reply.status == 500
    assert reply.page is not None
    assert reply.page.startswith("<!doctype html>")


def test_an_unknown_function_is_not_found(smdp: VirtualSmdp) -> None:
    assert smdp.handle("deleteEverything", {}).status == 404


def test_the_oid_is_that_of_the_certificates(p256: Pki) -> None:
    assert ServerIdentity.smdp(p256).oid == SMDP_OID
    assert ServerIdentity.smds(p256).oid == "2.999.15"
