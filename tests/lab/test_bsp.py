"""BPP protection against values that other programs made, and against everything a wrong segment can be."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.lab.crypto.bpp_protection import (
    MAX_ENCRYPTED_BYTES,
    MAX_MAC_ONLY_BYTES,
    MAX_SEGMENT_BYTES,
    BspError,
    BspKeys,
    Opener,
    Protector,
    agree,
    derive_keys,
    pieces,
    replace_session_keys,
    replaced_keys,
)


def h(text: str) -> bytes:
    return bytes.fromhex(text)


# Made with OpenSSL 3.0 on a command line: `openssl enc -aes-128-cbc -nopad` for the vector (IV 0, counter as data) and
# the payload, `openssl mac -cipher AES-128-CBC ... CMAC` over chaining value, tag, length and payload.
KEYS = BspKeys(
    chaining=h("303132333435363738393a3b3c3d3e3f"),
    enc=h("101112131415161718191a1b1c1d1e1f"),
    mac=h("202122232425262728292a2b2c2d2e2f"),
)
FIRST = h("87184b1448616e13e7e460d74d27756b5f22589a30175bcbd130")
SECOND = h("880dbf25021234eafcf0b432df6c0f")
THIRD = h("86284fba0b739b3efca3b567c2f9358a98e5a6e811fcb4d612ea454626f6658d44d8eeaec228541fc2f1")
FOURTH = h(
    "8681d86ac394e6c972ab2b6b0dabada6fa45ac7c66a0e6d572180214815ecf259086e85725af8070cbf407357055b90e0043033ed163"
    "dbfa1c006776549e955c3be33a40743caf43d4dda643384670e239d9773f6601d07f14d2c2eb1fb9733dd1030b63c9da5fe04cd9989a"
    "5f304b61dc7ec151a0e8bcd62250531fa2035ce226a607173bc4b23a2f045dcf80474a5ca6fa2966d2c77234e7b1de7a5b0f87e19b3d"
    "cf60bd295618ace515af663a65936054a6591f21773e80f4b32665b988c3f6baf1881b0c650631ac4a6dfbabdbc521b2305c12f84939"
    "99a40b"
)

# A trace of a commercial SM-DP+, published as hex with the tests of an open-source LPA library (osmocom pysim,
# test_esim_bsp.py): shared secret, EID, hostId of eight 80, and the segments that were sent.
TRACE_SECRET = h("c9a993dd4879a8f7161f2085410edd4f9652f1df37be097ba96ba2ca6be528fe")
TRACE_EID = h("89049032123451234512345678901235")
TRACE = [
    (0x87, "bf2400", "8718f6fe031e4b9cfe87c8e1e62f3fde85c49412d7722a6a2d89"),
    (
        0x88,
        "bf252d5a0a98001032547698103214910947534d415f54455354921147534d415f544553545f50524f46494c45950100",
        (
            "8838bf252d5a0a98001032547698103214910947534d415f54455354921147534d415f544553545f50524f46494c459501008a62cc9a"
            "dbb5ccbc"
        ),
    ),
    (
        0x87,
        (
            "bf26368010000102030405060708090a0b0c0d0e0f8110010102030405060708090a0b0c0d0e0f8210020102030405060708090a0b0c0d"
            "0e0f"
        ),
        (
            "8748a14c800a001992351cd46ad2945654674369701d82b7b46567652bc8fbed234939fc57fba748015525fd6c651e9d3d1330652d42a0"
            "cfad950e912122af4ec5362d3c0bc535729c40"
        ),
    ),
]


def test_keys_are_derived_as_openssl_derives_them() -> None:
    # openssl kdf -keylen 48 -kdfopt digest:SHA256 -kdfopt hexsecret:... -kdfopt hexinfo:8810 03414243 10<EID> X963KDF
    keys = derive_keys(
        h("d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de"),
        host_id=b"ABC",
        eid=h("89049032000000000000000000000033"),
    )
    assert keys.chaining.hex() == "13896b26db10f6a57a085412bcb0f113"
    assert keys.enc.hex() == "4bc6cbf6ce24ba4cb2d6139fb3a0ed34"
    assert keys.mac.hex() == "9839a7ee4ddc233838c85bc92a4dfc46"


def test_keys_are_those_of_a_foreign_server() -> None:
    assert derive_keys(TRACE_SECRET, host_id=b"\x80" * 8, eid=TRACE_EID) == BspKeys(
        chaining=h("406d507b448a699e7a36a38494debbde"),
        enc=h("472f5bfadd97f21d34f3ce9b51b92751"),
        mac=h("9ec07f5b36a13e12a991d66e294e6242"),
    )


@pytest.mark.parametrize(
    ("curve", "own", "point", "secret"),
    [
        pytest.param(  # RFC 5903, 8.1
            ec.SECP256R1(),
            "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433",
            "04d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63"
            "56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab",
            "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de",
            id="P-256",
        ),
        pytest.param(  # RFC 7027, A.1
            ec.BrainpoolP256R1(),
            "81db1ee100150ff2ea338d708271be38300cb54241d79950f77b063039804f1d",
            "048d2d688c6cf93e1160ad04cc4429117dc2c41825e1e9fca0addd34e6f1b39f7b"
            "990c57520812be512641e47034832106bc7d3e8dd0e4c7f1136d7006547cec6a",
            "89afc39d41d3b327814b80940b042590f96556ec91e6ae7939bce31f3a18bf2b",
            id="brainpool",
        ),
    ],
)
def test_shared_secret_is_the_published_one(curve: ec.EllipticCurve, own: str, point: str, secret: str) -> None:
    assert agree(ec.derive_private_key(int(own, 16), curve), h(point)).hex() == secret


@pytest.mark.parametrize("point", ["", "00", "04" + "11" * 64, "04" + "11" * 63, "05" + "11" * 64])
def test_a_point_off_the_curve_is_refused(point: str) -> None:
    with pytest.raises(BspError):
        agree(ec.generate_private_key(ec.SECP256R1()), h(point))


def test_segments_are_those_that_openssl_makes() -> None:
    protector = Protector(KEYS)
    assert protector.encrypt(0x87, h("bf2400")) == FIRST
    assert protector.authenticate(0x88, h("bf25021234")) == SECOND
    # The counter is 3 here: the MAC-only segment has used up 2. A whole block of data gets a whole block of padding.
    assert protector.encrypt(0x86, bytes(range(16))) == THIRD
    # 208 bytes of payload: the length with its MAC, 216, takes two bytes.
    assert protector.encrypt(0x86, b"\xaa" * 200) == FOURTH


def test_segments_that_openssl_made_are_opened() -> None:
    opener = Opener(KEYS)
    assert opener.decrypt(FIRST) == h("bf2400")
    assert opener.verify(SECOND) == h("bf25021234")
    assert opener.decrypt(THIRD) == bytes(range(16))
    assert opener.decrypt(FOURTH) == b"\xaa" * 200


def test_segments_are_those_of_a_foreign_server() -> None:
    keys = derive_keys(TRACE_SECRET, host_id=b"\x80" * 8, eid=TRACE_EID)
    protector, opener = Protector(keys), Opener(keys)
    for tag, plain, segment in TRACE:
        mac_only = tag == 0x88
        assert (protector.authenticate if mac_only else protector.encrypt)(tag, h(plain)).hex() == segment
        assert (opener.verify if mac_only else opener.decrypt)(h(segment)).hex() == plain


def test_the_largest_segment_is_1020_bytes() -> None:
    # SHA-256 of the segment that openssl makes of 1007 bytes 55 at the beginning of a chain.
    segment = Protector(KEYS).encrypt(0x86, b"\x55" * 1007)
    assert len(segment) == MAX_SEGMENT_BYTES == 1020
    assert segment[:4] == h("868203f8")
    assert hashlib.sha256(segment).hexdigest() == "b1b1d108f100d692f95e0192be65d3be0e4ced8f2defc1a58e812d7a2de10726"
    assert len(Protector(KEYS).authenticate(0x88, bytes(MAX_MAC_ONLY_BYTES))) == 1020


def test_more_than_fits_is_refused() -> None:
    with pytest.raises(BspError):
        Protector(KEYS).encrypt(0x86, bytes(MAX_ENCRYPTED_BYTES + 1))
    with pytest.raises(BspError):
        Protector(KEYS).authenticate(0x88, bytes(MAX_MAC_ONLY_BYTES + 1))
    huge = h("868203f9") + bytes(0x3F9)
    with pytest.raises(BspError, match="1021") as caught:
        Opener(KEYS).verify(huge)
    assert caught.value.structure


def test_a_segment_out_of_order_is_refused_and_leaves_the_chain_as_it_was() -> None:
    opener = Opener(KEYS)
    with pytest.raises(BspError, match="MAC") as caught:
        opener.verify(SECOND)
    assert not caught.value.structure
    assert opener.decrypt(FIRST) == h("bf2400")
    with pytest.raises(BspError, match="MAC"):
        opener.decrypt(FIRST)
    assert opener.verify(SECOND) == h("bf25021234")


@pytest.mark.parametrize("position", range(len(FIRST)))
def test_any_changed_byte_is_noticed(position: int) -> None:
    changed = bytearray(FIRST)
    changed[position] ^= 0x01
    with pytest.raises(BspError):
        Opener(KEYS).decrypt(bytes(changed))


@pytest.mark.parametrize(
    "payload", [bytes(16), b"\x55" * 16, b"\x80" + bytes(16), b""], ids=lambda p: p.hex() or "none"
)
def test_right_mac_over_a_wrong_payload_is_refused(payload: bytes) -> None:
    # What decrypts to no padding at all, or is not whole blocks: the MAC is right, the content is not.
    segment = Protector(KEYS).authenticate(0x86, payload)
    with pytest.raises(BspError, match=r"padding|blocks"):
        Opener(KEYS).decrypt(segment)


def test_padding_of_more_than_a_block_is_refused() -> None:
    protector = Protector(KEYS)
    encryptor = protector._cipher().encryptor()
    payload = encryptor.update(b"\x01" * 15 + b"\x80" + bytes(16)) + encryptor.finalize()
    with pytest.raises(BspError, match="padding"):
        Opener(KEYS).decrypt(protector.authenticate(0x86, payload))


def test_keys_of_a_wrong_size_are_refused() -> None:
    with pytest.raises(BspError):
        BspKeys(bytes(16), bytes(16), bytes(15))
    with pytest.raises(BspError):
        derive_keys(bytes(32), host_id=b"", eid=bytes(16))
    with pytest.raises(BspError):
        derive_keys(bytes(32), host_id=b"A", eid=bytes(15))


def test_replaced_keys_are_read_back() -> None:
    command = h(TRACE[2][1])
    keys = replaced_keys(command)
    assert keys.chaining.hex() == "000102030405060708090a0b0c0d0e0f"
    assert keys.enc.hex() == "010102030405060708090a0b0c0d0e0f"
    assert keys.mac.hex() == "020102030405060708090a0b0c0d0e0f"
    assert replace_session_keys(keys) == command


@given(st.binary(max_size=80))
def test_garbage_is_a_bsp_error(data: bytes) -> None:
    for call in (Opener(KEYS).decrypt, Opener(KEYS).verify, replaced_keys):
        with pytest.raises(BspError):
            call(data)


@given(st.lists(st.binary(max_size=70), max_size=5))
def test_what_is_protected_is_opened(plains: list[bytes]) -> None:
    protector, opener = Protector(KEYS), Opener(KEYS)
    for number, plain in enumerate(plains):
        if number % 2:
            assert opener.verify(protector.authenticate(0x88, plain)) == plain
        else:
            assert opener.decrypt(protector.encrypt(0x86, plain)) == plain


def test_pieces_cover_everything_in_order() -> None:
    assert list(pieces(b"abcde", 2)) == [b"ab", b"cd", b"e"]
    assert list(pieces(b"abcd", 2)) == [b"ab", b"cd"]
    assert list(pieces(b"", 2)) == [b""]
