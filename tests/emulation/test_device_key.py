"""The key of this device: made once, kept to itself, never replaced by the way."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ipad_agent.emulation.device_key import KeyFile, KeyTrouble, SoftwareKey, verify


def test_a_key_is_made_once_and_read_back_by_nobody_else(tmp_path: Path) -> None:
    place = KeyFile(tmp_path / "state")
    assert place.load() is None
    made = place.create()
    assert place.create().spki == made.spki
    loaded = place.load()
    assert loaded is not None
    assert loaded.spki == made.spki
    assert stat.S_IMODE(place.path.stat().st_mode) == 0o600
    assert len(made.spki) == 91


def test_what_it_signs_can_be_verified_and_nothing_else(tmp_path: Path) -> None:
    key = KeyFile(tmp_path).create()
    signature = key.sign(b"data")
    assert len(signature) == 64
    assert verify(key.spki, signature, b"data")
    assert not verify(key.spki, signature, b"other data")
    assert not verify(key.spki, signature[:-1], b"data")
    assert not verify(key.spki, bytes(64), b"data")


def test_who_comes_at_the_same_time_gets_the_same_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(6) as pool:  # a lock is of an open file, so threads exclude each other as processes do
        made = list(pool.map(lambda _: KeyFile(tmp_path).create().spki, range(12)))
    assert len(set(made)) == 1


@pytest.mark.parametrize(
    "content", [b"", b"nothing", b"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"]
)
def test_a_key_that_cannot_be_read_is_never_replaced(tmp_path: Path, content: bytes) -> None:
    place = KeyFile(tmp_path)
    place.path.write_bytes(content)
    place.path.chmod(0o600)
    with pytest.raises(KeyTrouble):
        place.load()
    with pytest.raises(KeyTrouble):
        place.create()
    assert place.path.read_bytes() == content


def test_a_key_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    place = KeyFile(tmp_path)
    place.create()
    place.path.chmod(0o640)
    with pytest.raises(KeyTrouble, match="0640"):
        place.load()


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    real = KeyFile(tmp_path / "real")
    real.create()
    place = KeyFile(tmp_path / "state")
    (tmp_path / "state").mkdir()
    os.symlink(real.path, place.path)
    with pytest.raises(KeyTrouble):
        place.load()


def test_a_key_on_another_curve_is_none(tmp_path: Path) -> None:
    with pytest.raises(KeyTrouble, match="secp384r1"):
        SoftwareKey(ec.generate_private_key(ec.SECP384R1()))


def test_a_person_may_replace_it_and_the_old_one_stays_beside(tmp_path: Path) -> None:
    place = KeyFile(tmp_path)
    old = place.create()
    new = place.replace()
    assert new.spki != old.spki
    assert (tmp_path / "device-key.old.pem").exists()
