"""What the doctor can know of the key that signs for an emulated card."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ipad_agent.codec.identifiers import Eid
from ipad_agent.config import Config
from ipad_agent.doctor.checks.emulation_checks import device_key, waiting_bundle
from ipad_agent.emulation.device_key import KeyFile, fingerprint
from ipad_agent.emulation.emulated_state import Binding, BindingState, EimEntry, EmulatedState, StoredResult
from ipad_agent.lab.eim import EimIdentity
from ipad_agent.lab.pki import Pki
from ipad_agent.store import EmulatedCardFile, RealFilesystem
from written_bundles import ISSUANCE, written

EID = Eid.parse("89049032123451234512345678901235")
ENTRY = EimEntry("eim.example", bytes.fromhex("300D800B") + b"eim.example", 3, None)


@pytest.fixture
def state(tmp_path: Path) -> EmulatedState:
    key = KeyFile(tmp_path).create()
    fresh = EmulatedState.fresh(EID.bytes, fingerprint(key.spki), wall_s=0.0, token=1)
    return replace(fresh, eims=(ENTRY,))


def write(folder: Path, state: EmulatedState) -> None:
    EmulatedCardFile(RealFilesystem(), str(folder), str(EID)).write(state.to_document())


def test_acknowledged_results_show_that_the_eim_can_do_something_with_the_key(
    tmp_path: Path, state: EmulatedState
) -> None:
    write(tmp_path, state)
    (item,) = device_key(tmp_path, EID)
    assert item.ok is True
    assert state.fingerprint[:16] in item.sentence


def test_results_that_wait_are_a_reason_to_look_at_the_registration(tmp_path: Path, state: EmulatedState) -> None:
    write(tmp_path, state.with_result(StoredResult(0x40000000, b"", "eim.example", 3, None, None, ())))
    (item,) = device_key(tmp_path, EID)
    assert item.ok is None
    assert "1 result" in item.sentence
    assert item.fix is not None
    assert "ipactl emulation export" in item.fix


def test_before_the_first_order_it_says_what_comes_first(tmp_path: Path, state: EmulatedState) -> None:
    write(tmp_path, replace(state, eims=(replace(ENTRY, counter=0),)))
    (item,) = device_key(tmp_path, EID)
    assert item.ok is None
    assert "must know" in item.sentence


def test_a_key_that_is_gone_is_said(tmp_path: Path) -> None:
    (item,) = device_key(tmp_path, EID)
    assert item.ok is False


def test_a_key_that_others_may_read_is_said(tmp_path: Path, state: EmulatedState) -> None:
    KeyFile(tmp_path).path.chmod(0o644)
    (item,) = device_key(tmp_path, EID)
    assert item.ok is False
    assert "0644" in item.sentence


@pytest.mark.parametrize(
    ("binding", "ok", "words"),
    [(BindingState.PENDING, None, "before the next poll"), (BindingState.REFUSED, False, "refused to register")],
)
def test_a_key_that_its_eim_did_not_take_yet_is_said(
    tmp_path: Path, state: EmulatedState, binding: BindingState, ok: bool | None, words: str
) -> None:
    write(tmp_path, replace(state, binding=Binding("1", "eim.example", 3, binding)))
    (item,) = device_key(tmp_path, EID)
    assert item.ok is ok
    assert words in item.sentence
    write(tmp_path, replace(state, binding=Binding("1", "eim.example", 2, binding)))  # it has given orders since
    assert device_key(tmp_path, EID)[0].ok is True


def test_a_bundle_that_waits_and_why_it_does_is_said(tmp_path: Path, state: EmulatedState) -> None:
    path = tmp_path / "bundle.eim"
    default = Config()
    config = replace(
        default,
        store=replace(default.store, state_dir=tmp_path),
        provisioning=replace(default.provisioning, bundle=path),
    )
    assert waiting_bundle(default, EID) == waiting_bundle(config, EID) == []
    path.write_bytes(b'{"format": 1}')
    (item,) = waiting_bundle(config, EID)
    assert item.ok is False
    assert "format is no text" in item.sentence
    folder = tmp_path / "pki"
    Pki.create(folder)
    configuration = EimIdentity.from_pki(Pki.load(folder)).configuration(fqdn="eim.example")
    path.write_bytes(written(configuration, expires_at="2025-01-01T00:00:00Z"))
    assert "expired" in waiting_bundle(config, EID)[0].sentence
    path.write_bytes(written(configuration))
    assert waiting_bundle(config, EID)[0].ok is None
    forbidden = replace(config, provisioning=replace(config.provisioning, allow=False))
    assert waiting_bundle(forbidden, EID)[0].fix == "Set provisioning.allow, or remove the bundle."
    write(tmp_path, replace(state, bundles=(ISSUANCE,)))
    assert "used up and still there" in waiting_bundle(config, EID)[0].sentence
    path.unlink()
    path.mkdir()
    assert "cannot be read" in waiting_bundle(config, EID)[0].sentence
