"""What the doctor can know of the key that signs for an emulated card."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ipad_agent.codec.identifiers import Eid
from ipad_agent.doctor.checks.emulation_checks import device_key
from ipad_agent.emulation.device_key import KeyFile, fingerprint
from ipad_agent.emulation.emulated_state import EimEntry, EmulatedState, StoredResult
from ipad_agent.store import EmulatedCardFile, RealFilesystem

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
