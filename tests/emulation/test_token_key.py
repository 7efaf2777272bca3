"""The device key in a token: made there, never outside, and what people are told when the token does not want.

With real libraries: ``make test-pkcs11``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ipad_agent.config import CardConfig, SecretFile
from ipad_agent.emulation.device_key import KeyFile, KeyTrouble, verify
from ipad_agent.emulation.keys import pkcs11_key
from ipad_agent.emulation.keys.key_place import key_place
from ipad_agent.emulation.keys.pkcs11_key import Pkcs11Keys

from .token_library import Token, library_for

PIN = "314159"


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> Iterator[Token]:
    made = Token(pin=PIN)
    monkeypatch.setitem(sys.modules, "PyKCS11", library_for(made))
    yield made
    pkcs11_key._LIBRARIES.clear()


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "libtoken.so"
    path.touch()
    return path


@pytest.fixture
def keys(token: Token, module: Path) -> Pkcs11Keys:
    return Pkcs11Keys(module, token.label, "ipad-agent", lambda: PIN)


def test_a_key_is_made_in_the_token_once_and_signs(token: Token, keys: Pkcs11Keys) -> None:
    assert keys.load() is None
    key = keys.create()
    assert keys.create().spki == key.spki
    assert len(token.pairs) == 1
    assert len(key.spki) == 91
    assert verify(key.spki, key.sign(b"what happened"), b"what happened")


def test_a_token_that_was_reset_is_opened_again_and_one_that_is_gone_is_trouble(token: Token, keys: Pkcs11Keys) -> None:
    key = keys.create()
    token.reset()
    assert verify(key.spki, key.sign(b"again"), b"again")
    token.away = True
    with pytest.raises(KeyTrouble, match="shows no token gateway"):
        key.sign(b"nothing")
    token.away = False
    token.reset()
    assert verify(key.spki, key.sign(b"back"), b"back")


def test_a_key_that_was_put_in_the_place_of_the_right_one_signs_nothing(token: Token, keys: Pkcs11Keys) -> None:
    key = keys.create()
    token.pairs = [("ipad-agent", ec.generate_private_key(ec.SECP256R1()))]
    with pytest.raises(KeyTrouble, match="another key"):
        key.sign(b"anything")


def test_a_wrong_pin_is_tried_once_and_never_said(token: Token, module: Path) -> None:
    keys = Pkcs11Keys(module, token.label, "ipad-agent", lambda: "271828")
    with pytest.raises(KeyTrouble) as trouble:
        keys.load()
    assert "CKR_PIN_INCORRECT" in trouble.value.message
    assert "locks itself" in str(trouble.value.hint)
    assert "271828" not in f"{trouble.value} {trouble.value.hint}"
    assert token.sessions == 1


def test_two_keys_with_one_label_and_a_key_on_another_curve_are_not_guessed_at(token: Token, keys: Pkcs11Keys) -> None:
    token.pairs = [("ipad-agent", ec.generate_private_key(ec.SECP256R1())) for _ in range(2)]
    with pytest.raises(KeyTrouble, match="no single key pair"):
        keys.load()
    token.pairs = [("ipad-agent", ec.generate_private_key(ec.SECP384R1()))]
    with pytest.raises(KeyTrouble, match="not on P-256"):
        keys.load()


def test_a_new_key_has_another_label_and_the_old_one_is_not_touched(
    token: Token, keys: Pkcs11Keys, module: Path
) -> None:
    keys.create()
    with pytest.raises(KeyTrouble) as trouble:
        keys.replace()
    assert "card.emulation_key_label" in str(trouble.value.hint)
    Pkcs11Keys(module, token.label, "second", lambda: PIN).replace()
    assert [label for label, _ in token.pairs] == ["ipad-agent", "second"]


def test_without_the_library_people_are_told_what_to_install(
    module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "PyKCS11", None)
    with pytest.raises(KeyTrouble) as trouble:
        Pkcs11Keys(module, "gateway", "ipad-agent", lambda: PIN).load()
    assert "python3-pykcs11" in str(trouble.value.hint)


def test_a_library_that_does_not_exist_is_named(token: Token, tmp_path: Path) -> None:
    with pytest.raises(KeyTrouble, match="does not exist"):
        Pkcs11Keys(tmp_path / "no.so", "gateway", "ipad-agent", lambda: PIN).load()


def test_the_configuration_says_where_the_key_is(token: Token, module: Path, tmp_path: Path) -> None:
    assert isinstance(key_place(tmp_path, CardConfig()), KeyFile)
    pin = tmp_path / "pin"
    pin.write_text(f"{PIN}\n")
    pin.chmod(0o600)
    config = CardConfig(
        emulation_key_module=module, emulation_key_token=token.label, emulation_key_pin_file=SecretFile(str(pin))
    )
    made = key_place(tmp_path, config).create()
    assert len(made.spki) == 91
    assert not (tmp_path / "device-key.pem").exists()
    pin.unlink()
    pkcs11_key._LIBRARIES.clear()
    with pytest.raises(KeyTrouble, match="the token's PIN"):
        key_place(tmp_path, config).load()
