"""Where trust comes from: the eUICC's entry, PEM and DER files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.net.errors import TrustUnusable
from ipad_agent.net.trust.pinned_trust import NameCheck, Pinned, Trust, clock_is_plausible

from .certs import Identity, brainpool, issue


@dataclass(frozen=True)
class KeyData:
    kind: str
    der: bytes


@pytest.fixture(scope="module")
def server() -> Identity:
    return issue("S")


def pem_key(identity: Identity) -> bytes:
    return identity.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def test_trust_comes_from_the_eim_entry_of_the_euicc(server: Identity) -> None:
    by_key = Trust.from_public_key_data(KeyData("spki", server.spki))
    by_certificate = Trust.from_public_key_data(KeyData("certificate", server.der))
    assert (by_key.kind, by_key.anchors, by_key.origin) == (Pinned.SPKI, (server.spki,), "eUICC")
    assert (by_certificate.kind, by_certificate.anchors) == (Pinned.CERTIFICATE, (server.der,))
    assert by_key.name_check is NameCheck.AUTO
    assert not by_key.allow_expired


def test_brainpool_keys_are_taken() -> None:
    assert Trust.spki(issue("B", key=brainpool()).spki).kind is Pinned.SPKI


def test_entry_of_an_unknown_kind_is_refused(server: Identity) -> None:
    with pytest.raises(TrustUnusable):
        Trust.from_public_key_data(KeyData("raw", server.spki))


def test_pem_text_says_by_its_blocks_what_is_trusted(server: Identity) -> None:
    other = issue("O")
    assert Trust.from_pem(pem_key(server)).anchors == (server.spki,)
    assert Trust.from_pem(b"# eIM\n" + server.pem).kind is Pinned.CERTIFICATE
    store = Trust.from_pem(server.pem + b"\n" + other.pem)
    assert (store.kind, store.anchors) == (Pinned.STORE, (server.der, other.der))


@pytest.mark.parametrize("text", [b"", b"nonsense", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_pem_text_without_anything_usable_is_refused(text: bytes) -> None:
    with pytest.raises(TrustUnusable):
        Trust.from_pem(text)


def test_key_and_certificate_in_one_text_are_refused_as_ambiguous(server: Identity) -> None:
    with pytest.raises(TrustUnusable):
        Trust.from_pem(pem_key(server) + server.pem)


def test_store_skips_what_it_cannot_read_but_is_never_empty(server: Identity) -> None:
    assert Trust.store([b"\x30\x00", server.der]).anchors == (server.der,)
    with pytest.raises(TrustUnusable):
        Trust.store([b"\x30\x00"])


def test_files_may_be_pem_or_der(server: Identity, tmp_path: Path) -> None:
    for name, content, kind in (
        ("a.pem", server.pem, Pinned.CERTIFICATE),
        ("b.der", server.der, Pinned.CERTIFICATE),
        ("c.der", server.spki, Pinned.SPKI),
    ):
        (tmp_path / name).write_bytes(content)
        assert Trust.from_file(tmp_path / name).kind is kind
    with pytest.raises(TrustUnusable):
        Trust.from_file(tmp_path / "missing")


def test_private_key_is_never_taken_for_trust(server: Identity) -> None:
    with pytest.raises(TrustUnusable):
        Trust.from_pem(server.key_pem)


@given(st.binary(max_size=200))
def test_random_bytes_raise_only_the_rooms_own_error(data: bytes) -> None:
    for make in (Trust.spki, Trust.certificate, Trust.from_pem):
        with pytest.raises(TrustUnusable):
            make(data)


def test_clock_is_plausible_only_between_this_programs_birth_and_2100() -> None:
    assert not clock_is_plausible(0)
    assert not clock_is_plausible(1_700_000_000)
    assert clock_is_plausible(1_800_000_000)
    assert not clock_is_plausible(5_000_000_000)
