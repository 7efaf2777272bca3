"""AuthenticateServer: whom the card believes, what it signs, and every way to be refused (SGP.22 §5.7.7, §5.7.13)."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc import EuiccIdentity, Quirks, VirtualEuicc

from .euicc_bench import Bench, Eim, Terminal, pki
from .rsp_server import (
    CONTEXT,
    TRANSACTION,
    Download,
    Server,
    certificate,
    download,
    server_signed1,
)

INVALID_CERTIFICATE, INVALID_SIGNATURE, UNSUPPORTED_CURVE, NO_SESSION = 1, 2, 3, 4
INVALID_OID, CHALLENGE_MISMATCH, CI_UNKNOWN, UNDEFINED = 5, 6, 7, 127


def refusal(d: Download, request: bytes) -> int:
    node = der.parse(d.es10(request))
    assert node.tag == 0xBF38
    error = node.get(0xA1)
    assert error.get(0x80).value == TRANSACTION
    return error.get(0x02).integer()


def test_the_challenge_is_sixteen_new_bytes_each_time() -> None:
    d = download()
    assert len({d.challenge() for _ in range(4)}) == 4
    d.card.isdr.random = lambda count: bytes(range(count))
    assert d.b.terminal.hex("BF2E00") == "BF2E128010000102030405060708090A0B0C0D0E0F"


def test_euicc_signed1_has_the_words_of_the_server_the_cards_info_and_the_context() -> None:
    # Assembled by hand from SGP.22 EuiccSigned1: transactionId, serverAddress, serverChallenge, EUICCInfo2, ctxParams1.
    d = download()
    signed = d.authenticate()
    info = d.es10(bytes.fromhex("BF2200"))
    before = "80080123456789ABCDEF" + "8310736D64702E6C61622E6578616D706C65" + "8410F0F1F2F3F4F5F6F7F8F9FAFBFCFDFEFF"
    after = "A00F80034D2D31A108800453926011A100"
    assert signed.value.hex().upper() == before + info.hex().upper() + after


def test_the_signature_covers_the_bytes_that_came() -> None:
    # serverSigned1 in a form that is no DER (long lengths) and with a field of a later release.
    d = download()
    challenge = d.challenge()
    inner = server_signed1(TRANSACTION, challenge)[2:] + bytes.fromhex("9F0101AA")
    signed = b"\x30\x82" + len(inner).to_bytes(2, "big") + inner
    answer = d.server.authenticated(d.es10(d.server.authenticate_request(challenge, signed=signed)))
    assert answer.get(0x83).text() == "smdp.lab.example"


def test_a_context_in_long_lengths_is_signed_in_short_ones() -> None:
    d = download()
    context = bytes.fromhex("A08113" + "8081034D2D31" + "A1810A" + "800453926011" + "A1820000")
    signed = d.server.authenticated(d.es10(d.server.authenticate_request(d.challenge(), context=context)))
    assert signed.get(0xA0).raw == CONTEXT


def test_an_empty_matching_id_and_an_imei_are_echoed() -> None:
    d = download()
    context = bytes.fromhex("A0168000A112800453926011A1008208539260112143658F")
    signed = d.server.authenticated(d.es10(d.server.authenticate_request(d.challenge(), context=context)))
    assert signed.get(0xA0).raw == context


def test_an_sm_ds_may_authenticate_itself_too() -> None:
    d = download()
    world = d.server.world
    request = d.server.authenticate_request(
        d.challenge(), certificate=world["dsauth"].cert_der, key=world["dsauth"].private_key
    )
    d.server.authenticated(d.es10(request))


def test_dates_are_not_looked_at_for_the_card_has_no_clock() -> None:
    d = download()
    for kind in ("expired", "not-yet-valid"):
        d.server.authenticated(
            d.es10(
                d.server.authenticate_request(
                    d.challenge(), certificate=d.server.world.variant("dpauth", kind).cert_der
                )
            )
        )


def test_brainpool_is_spoken_as_well() -> None:
    d = download(world=pki("brainpool", "brainpool"))
    assert d.authenticate().get(0x80).value == TRANSACTION


def test_the_ci_that_the_server_names_chooses_key_and_certificates() -> None:
    first, second = pki(), pki("brainpool", "brainpool")
    card = VirtualEuicc(EuiccIdentity.from_pki(first, second))
    d = Download(Bench(card, Terminal(card).open(), Eim(second)), Server(second))
    d.authenticate()
    # A server of the first CI that names the second one is none of it.
    d.server = Server(first)
    assert refusal(d, d.server.authenticate_request(d.challenge(), ci_pkid=second.ci_pkid)) == INVALID_CERTIFICATE


# --- refusals ---


def test_without_a_challenge_there_is_no_session() -> None:
    d = download()
    assert refusal(d, d.server.authenticate_request(bytes(16))) == NO_SESSION


def test_a_challenge_serves_one_authentication() -> None:
    d = download()
    request = d.server.authenticate_request(d.challenge())
    d.server.authenticated(d.es10(request))
    assert refusal(d, request) == NO_SESSION
    # The session that is open stays open.
    d.server.prepared(d.es10(d.server.prepare_request()))


def test_after_an_error_a_new_challenge_is_needed() -> None:
    d = download()
    challenge = d.challenge()
    assert refusal(d, d.server.authenticate_request(challenge, signature=bytes(64))) == INVALID_SIGNATURE
    assert refusal(d, d.server.authenticate_request(challenge)) == NO_SESSION
    d.authenticate()


def test_a_ci_that_is_not_on_the_card() -> None:
    d = download()
    for unknown in (bytes(20), b"", d.server.world.ci_pkid[:-1]):
        assert refusal(d, d.server.authenticate_request(d.challenge(), ci_pkid=unknown)) == CI_UNKNOWN


def test_another_challenge_than_the_last() -> None:
    d = download()
    old = d.challenge()
    d.challenge()
    assert refusal(d, d.server.authenticate_request(old)) == CHALLENGE_MISMATCH
    challenge = d.challenge()
    assert refusal(d, d.server.authenticate_request(challenge[:-1])) == CHALLENGE_MISMATCH


def test_signatures_that_are_not_the_servers() -> None:
    d = download()
    world = d.server.world
    challenge = d.challenge()
    signed = server_signed1(TRANSACTION, challenge)
    good = der.parse(d.server.authenticate_request(challenge, signed=signed)).get(0x5F37).value
    der_form = world["dpauth"].private_key.sign(signed, ec.ECDSA(hashes.SHA256()))
    for wrong in (bytes(64), good[:63], good + b"\0", good[32:] + good[:32], der_form, b""):
        request = d.server.authenticate_request(d.challenge(), signature=wrong)
        assert refusal(d, request) == INVALID_SIGNATURE
    request = d.server.authenticate_request(d.challenge(), key=world["dppb"].private_key)
    assert refusal(d, request) == INVALID_SIGNATURE


def test_a_signature_over_other_bytes() -> None:
    d = download()
    challenge = d.challenge()
    signed = server_signed1(TRANSACTION, challenge)
    request = d.server.authenticate_request(challenge, signed=signed)
    assert refusal(d, request.replace(b"smdp.lab", b"smdp.lax")) == INVALID_SIGNATURE


WORLD = pki()
CERTIFICATES = {
    "garbage": b"\x30\x03\x02\x01\x05",
    "empty": b"\x30\x00",
    "cut": b"\x30\x82\x00\x40" + WORLD["dpauth"].cert_der[4:68],
    "of another CI with the same name": WORLD.variant("dpauth", "foreign").cert_der,
    "issued by the EUM": certificate(WORLD, issuer="eum"),
    "the CI itself": WORLD["ci"].cert_der,
    "for binding": WORLD["dppb"].cert_der,
    "for TLS": WORLD["dptls"].cert_der,
    "of an eUICC": WORLD["euicc"].cert_der,
    "without role": certificate(WORLD, None),
    "with another role": certificate(WORLD, 2),
    "without key usage": certificate(WORLD, usage=None),
    "for key agreement": certificate(WORLD, usage="key_agreement"),
    "of a CA": certificate(WORLD, extra=[(x509.BasicConstraints(ca=True, path_length=None), True)]),
    "with a critical extension that no one knows": certificate(
        WORLD, extra=[(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)]
    ),
}


@pytest.mark.parametrize("name", CERTIFICATES)
def test_certificates_that_are_not_believed(name: str) -> None:
    d = download()
    request = d.server.authenticate_request(d.challenge(), certificate=CERTIFICATES[name])
    assert refusal(d, request) == INVALID_CERTIFICATE


def test_certificates_that_are_unusual_but_good() -> None:
    d = download()
    for cert in (
        certificate(WORLD, extra=[(x509.BasicConstraints(ca=False, path_length=None), True)]),
        certificate(WORLD, extra=[(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), False)]),
        certificate(WORLD, 7, "2.999.1.40000"),
    ):
        d.server.authenticated(d.es10(d.server.authenticate_request(d.challenge(), certificate=cert)))


@pytest.mark.parametrize("oids", [None, [], ["2.999.10", "2.999.11"]])
def test_a_server_without_exactly_one_oid(oids: list[str] | None) -> None:
    d = download()
    request = d.server.authenticate_request(d.challenge(), certificate=certificate(WORLD, oid=oids))
    assert refusal(d, request) == INVALID_OID


def test_keys_on_curves_that_the_card_does_not_have() -> None:
    d = download()
    for key in (
        ec.generate_private_key(ec.SECP384R1()).public_key(),
        ec.generate_private_key(ec.BrainpoolP256R1()).public_key(),  # known, but not the curve of this CI
        rsa.generate_private_key(65537, 2048).public_key(),
        ed25519.Ed25519PrivateKey.generate().public_key(),
    ):
        request = d.server.authenticate_request(d.challenge(), certificate=certificate(WORLD, key=key))
        assert refusal(d, request) == UNSUPPORTED_CURVE


@pytest.mark.parametrize(
    "signed",
    [
        "8008" + "0123456789ABCDEF",
        "80080123456789ABCDEF" + "81{challenge}" + "830161",  # no serverChallenge
        "80080123456789ABCDEF" + "81{challenge}" + "830161" + "8403010203",
        "80080123456789ABCDEF" + "81{challenge}" + "8301FF" + "8410" + "00" * 16,  # no UTF-8
        "80080123456789ABCDEF" + "81{challenge}" + "8410" + "00" * 16,  # no serverAddress
    ],
)
def test_server_signed1_that_is_signed_but_not_whole(signed: str) -> None:
    d = download()
    challenge = d.challenge()
    body = bytes.fromhex(signed.format(challenge="10" + challenge.hex()))
    assert refusal(d, d.server.authenticate_request(b"", signed=der.tlv(0x30, body))) == UNDEFINED
    assert refusal(d, d.server.authenticate_request(challenge)) == NO_SESSION


@pytest.mark.parametrize(
    "context",
    ["A000", "A0028000", "A002A100", "A008A106800453926011", "A009A1078003539260A100", "A00180", "A003A10180"],
)
def test_a_context_without_the_device_information(context: str) -> None:
    d = download()
    request = d.server.authenticate_request(d.challenge(), context=bytes.fromhex(context))
    assert refusal(d, request) == UNDEFINED


@pytest.mark.parametrize("code", [1, 5, 127])
def test_an_error_can_be_ordered(code: int) -> None:
    d = download(Quirks(authenticate_error=code))
    assert refusal(d, d.server.authenticate_request(d.challenge())) == code


@pytest.mark.parametrize("missing", range(5))
def test_requests_with_a_part_missing_are_wrong_data(missing: int) -> None:
    d = download()
    parts = [child.raw for child in der.parse(d.server.authenticate_request(d.challenge())).children]
    assert len(parts) == 5
    del parts[missing]
    assert d.es10(der.tlv(0xBF38, *parts)) == b""
    assert d.sw == 0x6A80


@pytest.mark.parametrize("transaction", [b"", bytes(17)])
def test_transaction_ids_have_one_to_sixteen_bytes(transaction: bytes) -> None:
    d = download()
    d.server.transaction = transaction
    d.es10(d.server.authenticate_request(d.challenge()))
    assert d.sw == 0x6A80
    d.server.transaction = bytes(16)
    d.authenticate()
