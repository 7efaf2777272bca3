"""``make test-pkcs11``: the device key in a SoftHSM token, by Debian's PyKCS11, and a card that it signs for."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

DEBIAN = "/usr/lib/python3/dist-packages"
sys.path.append(DEBIAN)  # behind everything that the tests bring along

from ipad_agent.config import load  # noqa: E402
from ipad_agent.emulation.device_key import KeyTrouble, fingerprint, verify  # noqa: E402
from ipad_agent.emulation.keys.pkcs11_key import _LIBRARIES, Pkcs11Keys  # noqa: E402

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN, TOKEN = "314159", "gateway"


@dataclass
class Token:
    """A fresh token of its own."""

    folder: Path

    def keys(self, label: str = "ipad-agent", *, token: str = TOKEN, pin: str | None = PIN) -> Pkcs11Keys:
        return Pkcs11Keys(MODULE, token, label, lambda: pin)


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Token]:
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm2.conf").write_text(f"directories.tokendir = {tmp_path / 'tokens'}\nlog.level = ERROR\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(tmp_path / "softhsm2.conf"))
    command = ["softhsm2-util", "--init-token", "--free", "--label", TOKEN, "--pin", PIN, "--so-pin", "27182818"]
    subprocess.run(command, check=True, capture_output=True)
    yield Token(tmp_path)
    _LIBRARIES.clear()  # the next test's token is another one


def run(token: Token, code: str) -> str:
    """In a process of its own: a library of PKCS#11 is set up once in each."""
    made = f"from pathlib import Path; import sys; sys.path.append({DEBIAN!r});"
    made += (
        "from ipad_agent.emulation.keys.pkcs11_key import Pkcs11Keys; from ipad_agent.emulation.device_key import *;"
    )
    made += f"keys = Pkcs11Keys(Path({str(MODULE)!r}), {TOKEN!r}, 'ipad-agent', lambda: {PIN!r});"
    done = subprocess.run([sys.executable, "-c", made + code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_key_is_made_once_signs_and_is_found_again(token: Token) -> None:
    assert run(token, "print(keys.load())") == "None"
    made = run(token, "print(keys.create().spki.hex())")
    assert run(token, "print(keys.create().spki.hex())") == made
    signature = run(token, "print(keys.load().sign(b'what happened').hex())")
    assert len(bytes.fromhex(made)) == 91
    assert verify(bytes.fromhex(made), bytes.fromhex(signature), b"what happened")
    assert not verify(bytes.fromhex(made), bytes.fromhex(signature), b"what did not")


def test_the_private_half_cannot_be_read_out(token: Token) -> None:
    run(token, "keys.create()")
    code = """
def look(session):
    import PyKCS11 as p
    (key,) = session.findObjects([(p.CKA_CLASS, p.CKO_PRIVATE_KEY)])
    print(session.getAttributeValue(key, [p.CKA_SENSITIVE, p.CKA_EXTRACTABLE, p.CKA_NEVER_EXTRACTABLE]))
    try:
        print(session.getAttributeValue(key, [p.CKA_VALUE]))
    except p.PyKCS11Error as error:
        print(error)
keys.used(look)
"""
    flags, value = run(token, code).splitlines()
    assert flags in ("[True, False, True]", "[1, 0, 1]")
    assert value == "[None]" or "SENSITIVE" in value


def test_what_is_wrong_is_said_without_the_pin(token: Token) -> None:
    for keys, said in (
        (token.keys(token="elsewhere"), "shows no token elsewhere"),
        (token.keys(pin="999999"), "CKR_PIN_INCORRECT"),
        (Pkcs11Keys(Path("/nowhere/lib.so"), TOKEN, "x", lambda: None), "does not exist"),
    ):
        with pytest.raises(KeyTrouble) as trouble:
            keys.load()
        assert said in trouble.value.message
        assert "999999" not in str(trouble.value) + str(trouble.value.hint)


def test_a_new_key_needs_a_new_label_and_the_old_one_stays(token: Token) -> None:
    old = run(token, "print(fingerprint(keys.create().spki))")
    with pytest.raises(KeyTrouble, match="already"):
        token.keys().replace()
    new = token.keys("second").replace()
    assert fingerprint(new.spki) != old
    found = token.keys().load()
    assert found is not None
    assert fingerprint(found.spki) == old


def test_a_running_agent_gets_over_a_session_that_is_gone(token: Token) -> None:
    keys = token.keys()
    key = keys.create()
    keys._session.closeSession()
    assert verify(key.spki, key.sign(b"again"), b"again")


def test_the_commands_of_people_use_the_token(token: Token, tmp_path: Path) -> None:
    (tmp_path / "pin").write_text(PIN + "\n")
    (tmp_path / "pin").chmod(0o600)
    (tmp_path / "agent.toml").write_text(
        f'[card]\nemulate_iot = "when-needed"\nemulation_key_module = "{MODULE}"\nemulation_key_token = "{TOKEN}"\n'
        f'emulation_key_pin_file = "{tmp_path / "pin"}"\n[store]\nstate_dir = "{tmp_path / "state"}"\n'
    )
    assert load(tmp_path / "agent.toml").card.emulation_key_token == TOKEN
    made = run(token, "print(fingerprint(keys.create().spki))")
    environment = {**os.environ, "PYTHONPATH": f"{os.environ.get('PYTHONPATH', '')}:{DEBIAN}"}
    words = ("emulation", "fingerprint", "--config", str(tmp_path / "agent.toml"))
    command = [sys.executable, "-m", "ipad_agent.cli.ipactl", *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.stdout.strip() == made, done.stderr
    assert not (tmp_path / "state" / "device-key.pem").exists()


def test_an_eim_verifies_what_the_token_signed(token: Token, pki_folder: Path) -> None:
    from ipad_agent.lab.euicc import OPERATOR_A

    from .emulated import EmulatedWorld
    from .test_emulated_card import facts_of

    async def story() -> None:
        world = EmulatedWorld.consumer(pki_folder)
        keys = token.keys()
        world.keys.key = keys.create()
        world.restart()
        await world.provision()
        world.order("enable", OPERATOR_A, "--rollback")
        await world.poll()
        (result,) = world.results
        assert facts_of(result)["signature"] == "right (token)"
        assert world.card.enabled_iccid == OPERATOR_A

    asyncio.run(story())
