"""PrepareDownload: the one-time key, the confirmation code, and every way to be refused (SGP.22 §5.7.5)."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc import Quirks

from .euicc_bench import bench, pki
from .rsp_server import TRANSACTION, Download, certificate, download, read_result

INVALID_CERTIFICATE, INVALID_SIGNATURE, UNSUPPORTED_CURVE, NO_SESSION, INVALID_TRANSACTION = 1, 2, 3, 4, 5
UNDEFINED = 127
# SHA-256(SHA-256("1234") + 0123456789ABCDEF), by `openssl dgst -sha256`.
HASH_CC = bytes.fromhex("6e9d12e7f7b788be108e70e1e0d0e59470071f4a7ac1f7a9e1d5fd975647dcf9")


def refusal(d: Download, request: bytes) -> int:
    node = der.parse(d.es10(request))
    assert node.tag == 0xBF21
    error = node.get(0xA1)
    assert error.get(0x80).value == TRANSACTION
    return error.get(0x02).integer()


def authenticated(quirks: Quirks | None = None) -> Download:
    d = download(quirks)
    d.authenticate()
    return d


# Points of the scalar 1111...12 by `openssl ec -pubout` from a key file written by hand.
POINTS = {
    "p256": (
        "047B4E0F0A6F5F6EC8438FBD83726ACF5D65C8AF9AFA7D98C914D62FC888150FD3"
        "5A805AA77FAA732614A2545F8F1E41E2805735220683E59AAF86BCD462666CD0"
    ),
    "brainpool": (
        "04638FC3C0802721C5AB454ACB049D84C2AD3B700EF3C833C79F6A92AE69BA83EC"
        "62958E76F9D095A06B8BBD10DDBCF0958A3B8754C944893D8488CFEC95AC0BF7"
    ),
}


@pytest.mark.parametrize("curve", POINTS)
def test_euicc_signed2_by_hand(curve: str) -> None:
    d = download(world=pki(curve, curve))
    d.authenticate()
    d.card.isdr.random = lambda count: bytes(count - 32) + b"\x11" * 32
    signed = d.server.prepared(d.es10(d.server.prepare_request(confirm=True, hash_cc=HASH_CC)))
    by_hand = "8008" + TRANSACTION.hex() + "5F4941" + POINTS[curve] + "0420" + HASH_CC.hex()
    assert signed.value == bytes.fromhex(by_hand)


def test_signature2_covers_the_card_side_signature_before_it() -> None:
    d = authenticated()
    assert refusal(d, d.server.prepare_request(bound=b"")) == INVALID_SIGNATURE
    assert refusal(d, d.server.prepare_request(bound=d.server.euicc_signature1)) == INVALID_SIGNATURE
    d.server.prepared(d.es10(d.server.prepare_request()))


def test_the_bytes_that_came_are_what_is_verified() -> None:
    d = authenticated()
    signed = bytes.fromhex("30810F" + "80080123456789ABCDEF" + "010105" + "9E00")
    d.server.prepared(d.es10(d.server.prepare_request(signed=signed, hash_cc=HASH_CC)))


def test_a_confirmation_code_that_is_required_has_to_be_there() -> None:
    d = authenticated()
    assert refusal(d, d.server.prepare_request(confirm=True)) == UNDEFINED
    assert refusal(d, d.server.prepare_request(confirm=True, hash_cc=HASH_CC[:-1])) == UNDEFINED
    with_code = d.server.prepared(d.es10(d.server.prepare_request(confirm=True, hash_cc=HASH_CC)))
    assert with_code.get(0x04).value == HASH_CC
    without = d.server.prepared(d.es10(d.server.prepare_request()))
    assert without.find(0x04) is None


def test_a_flag_that_is_missing_or_odd() -> None:
    d = authenticated()
    for body in ("80080123456789ABCDEF", "80080123456789ABCDEF0100", "80080123456789ABCDEF0102FFFF"):
        signed = der.tlv(0x30, bytes.fromhex(body))
        assert refusal(d, d.server.prepare_request(signed=signed)) == UNDEFINED


def test_each_preparation_has_a_key_of_its_own() -> None:
    d = authenticated()
    points = set()
    for _ in range(3):
        d.server.prepared(d.es10(d.server.prepare_request()))
        points.add(d.server.euicc_point)
    assert len(points) == 3


def test_the_key_that_a_profile_is_bound_to_is_taken_again(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    d = download(b=bench(path=path))
    d.prepare()
    point = d.server.euicc_point
    bound = d.server.bind()
    # Another day, another process: the SM-DP+ has the bound profile still.
    again = download(b=bench(path=path))
    again.server.otsk = d.server.otsk
    assert again.prepare(point).get(0x5F49).value == point
    fresh = again.server.bind()
    assert fresh.elements == bound.elements
    assert read_result(again.load(fresh.segments)).aid is not None
    # It has served: the next one is new.
    assert again.prepare(point).get(0x5F49).value != point


def test_a_key_is_not_taken_again_by_another_server() -> None:
    d = download()
    d.prepare()
    point = d.server.euicc_point
    other = {role: certificate(pki(), role, "2.999.77") for role in (4, 5)}
    key = pki()["dpauth"].private_key
    request = d.server.authenticate_request(d.challenge(), certificate=other[4], key=key)
    d.server.authenticated(d.es10(request))
    prepare = d.server.prepare_request(certificate=other[5], key=key, point=point)
    assert d.server.prepared(d.es10(prepare)).get(0x5F49).value != point


def test_a_point_that_was_never_handed_out_gets_a_new_key() -> None:
    d = download()
    wanted = b"\x04" + bytes(64)
    assert d.prepare(wanted).get(0x5F49).value != wanted


def test_a_card_without_memory_for_keys_makes_new_ones() -> None:
    d = download(Quirks(reuse_one_time_keys=False))
    d.prepare()
    point = d.server.euicc_point
    assert d.prepare(point).get(0x5F49).value != point


def test_only_the_last_four_keys_are_kept() -> None:
    d = download()
    points = []
    for _ in range(5):
        d.prepare()
        points.append(d.server.euicc_point)
    assert [k.public for k in d.card.state.one_time_keys] == points[1:]
    assert d.prepare(points[1]).get(0x5F49).value == points[1]


# --- refusals ---


def test_without_authentication_there_is_no_session() -> None:
    d = download()
    d.server.euicc_signature1 = bytes(64)
    assert refusal(d, d.server.prepare_request()) == NO_SESSION
    d.challenge()
    assert refusal(d, d.server.prepare_request()) == NO_SESSION
    d.authenticate()
    d.challenge()
    assert refusal(d, d.server.prepare_request()) == NO_SESSION
    d.authenticate()
    d.b.reset()
    assert refusal(d, d.server.prepare_request()) == NO_SESSION


def test_while_a_profile_arrives_nothing_is_prepared() -> None:
    d = download()
    d.prepare()
    segments = d.server.bind().segments
    assert d.load(segments[:3]) == b""
    assert refusal(d, d.server.prepare_request()) == NO_SESSION
    assert read_result(d.load(segments[3:])).aid is not None


def test_another_transaction() -> None:
    d = authenticated()
    node = der.parse(d.es10(d.server.prepare_request(transaction=b"\x01"))).get(0xA1)
    assert node.value == bytes.fromhex("800101" + "020105")
    d.server.prepared(d.es10(d.server.prepare_request()))


def test_signatures_that_are_not_those_of_the_binding_key() -> None:
    d = authenticated()
    world = pki()
    assert refusal(d, d.server.prepare_request(key=world["dpauth"].private_key)) == INVALID_SIGNATURE
    request = d.server.prepare_request()
    spoiled = request.replace(b"\x01\x01\x00", b"\x01\x01\xff")
    assert spoiled != request
    assert refusal(d, spoiled) == INVALID_SIGNATURE


def test_an_invalid_certificate_wins_over_an_invalid_signature() -> None:
    d = authenticated()
    world = pki()
    for wrong in (
        world["dpauth"].cert_der,
        world["dptls"].cert_der,
        world.variant("dppb", "foreign").cert_der,
        certificate(world, 5, "2.999.11"),  # of another SM-DP+
        certificate(world, 5, None),
        b"\x30\x00",
    ):
        request = d.server.prepare_request(certificate=wrong, key=world["eim-sign"].private_key)
        assert refusal(d, request) == INVALID_CERTIFICATE


def test_a_binding_key_on_another_curve() -> None:
    d = authenticated()
    key = ec.generate_private_key(ec.SECP384R1()).public_key()
    request = d.server.prepare_request(certificate=certificate(pki(), 5, key=key))
    assert refusal(d, request) == UNSUPPORTED_CURVE


def test_an_sm_ds_cannot_bind_profiles() -> None:
    d = download()
    world = pki()
    request = d.server.authenticate_request(
        d.challenge(), certificate=world["dsauth"].cert_der, key=world["dsauth"].private_key
    )
    d.server.authenticated(d.es10(request))
    binding = certificate(world, 5, world.smds_oid, key=world["dppb"].public_key)
    assert refusal(d, d.server.prepare_request(certificate=binding)) == INVALID_CERTIFICATE


@pytest.mark.parametrize("code", [1, 3, 127])
def test_an_error_can_be_ordered_and_leaves_the_session(code: int) -> None:
    d = authenticated(Quirks(download_error=code))
    assert refusal(d, d.server.prepare_request()) == code
    assert d.card.state.one_time_keys == []
    cancelled = der.parse(d.es10(bytes.fromhex("BF410D80080123456789ABCDEF81017F")))
    assert cancelled.find(0xA0) is not None


@pytest.mark.parametrize("missing", range(3))
def test_requests_with_a_part_missing_are_wrong_data(missing: int) -> None:
    d = authenticated()
    parts = [child.raw for child in der.parse(d.server.prepare_request()).children]
    assert len(parts) == 3
    del parts[missing]
    assert d.es10(der.tlv(0xBF21, *parts)) == b""
    assert d.sw == 0x6A80
