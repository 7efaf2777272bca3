"""What an emulated card refuses to be told of its eIMs, by the numbers of SGP.32 §5.9.4 and §2.11.2.1."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ipad_agent.codec.ber import tlv
from ipad_agent.emulation import associated_eims
from ipad_agent.emulation.associated_eims import COMMAND_ERROR, EIM_NOT_FOUND, INSUFFICIENT_MEMORY, RefusedEntry
from ipad_agent.emulation.emulated_state import MAX_EIMS, EmulatedState
from ipad_agent.lab.eim import EimIdentity
from ipad_agent.lab.pki import Pki

EID = bytes.fromhex("89049032123451234512345678901235")


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> EimIdentity:
    folder = tmp_path_factory.mktemp("pki")
    Pki.create(folder)
    return EimIdentity.from_pki(Pki.load(folder))


@pytest.fixture
def state() -> EmulatedState:
    return EmulatedState.fresh(EID, "0" * 64, wall_s=1_800_000_000.0, token=5)


def entry(identity: EimIdentity, name: str, *, token: bool = False) -> tlv.Tlv:
    eim = replace(identity, eim_id=name)
    return tlv.parse(eim.configuration(fqdn="eim.example", counter=0, ask_for_token=token))


def test_so_many_eims_are_kept_and_no_more(identity: EimIdentity, state: EmulatedState) -> None:
    for number in range(MAX_EIMS):
        state, _ = associated_eims.add(state, entry(identity, f"eim{number}"), ())
    with pytest.raises(RefusedEntry) as refused:
        associated_eims.add(state, entry(identity, "one too many"), ())
    assert refused.value.code == INSUFFICIENT_MEMORY


def test_an_eim_that_is_not_there_cannot_be_updated(identity: EimIdentity, state: EmulatedState) -> None:
    state, _ = associated_eims.add(state, entry(identity, "here"), ())
    with pytest.raises(RefusedEntry) as refused:
        associated_eims.update(state, entry(identity, "elsewhere"), ())
    assert refused.value.code == EIM_NOT_FOUND


def test_a_token_cannot_be_changed_by_an_update(identity: EimIdentity, state: EmulatedState) -> None:
    state, _ = associated_eims.add(state, entry(identity, "here"), ())
    with pytest.raises(RefusedEntry) as refused:
        associated_eims.update(state, entry(identity, "here", token=True), ())
    assert refused.value.code == COMMAND_ERROR


def test_a_first_list_without_any_eim_is_refused(state: EmulatedState) -> None:
    after, answer = associated_eims.add_initial(state, tlv.encode(0xBF57, tlv.encode(0xA0)), ())
    assert after == state
    assert answer == tlv.encode(0xBF57, tlv.encode_integer(0x81, COMMAND_ERROR))
