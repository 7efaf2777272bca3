"""What people do between device and eIM: the export, a key that is lost, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ipad_agent.config import Config
from ipad_agent.emulation import associated_eims
from ipad_agent.emulation.device_key import KeyFile, KeyTrouble, fingerprint
from ipad_agent.emulation.emulated_state import EmulatedState
from ipad_agent.lab.crypto import der
from ipad_agent.lab.eim import EimIdentity, VirtualEim
from ipad_agent.lab.eim.errors import OrderError
from ipad_agent.lab.pki import Pki
from ipad_agent.store import EmulatedCardFile, RealFilesystem, StateDirectoryBusyError, StateLock
from ipad_agent.wiring.emulated_card_states import NothingToExport
from ipad_agent.wiring.emulation_export import device_key_fingerprint, export, new_key

EID = "89049032123451234512345678901235"


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> EimIdentity:
    folder = tmp_path_factory.mktemp("pki")
    Pki.create(folder)
    return EimIdentity.from_pki(Pki.load(folder))


@pytest.fixture
def config(tmp_path: Path) -> Config:
    default = Config()
    return replace(default, store=replace(default.store, state_dir=tmp_path, runtime_dir=tmp_path / "run"))


def card_file(config: Config) -> EmulatedCardFile:
    return EmulatedCardFile(RealFilesystem(), str(config.store.state_dir), EID)


def emulated(config: Config, identity: EimIdentity, *, counter: int = 0) -> EmulatedState:
    """A card as the agent leaves it once it has its eIM."""
    place = KeyFile(config.store.state_dir)
    found = card_file(config).load()
    if found is None:
        key = place.create()
        state = EmulatedState.fresh(bytes.fromhex(EID), fingerprint(key.spki), wall_s=0.0, token=5)
    else:
        state = EmulatedState.from_document(found)
    data = identity.configuration(fqdn="eim.example", counter=counter)
    state, _ = associated_eims.add_initial(state, der.tlv(0xBF57, der.tlv(0xA0, data)), ())
    card_file(config).write(state.to_document())
    return state


def test_what_is_exported_an_eim_imports(config: Config, identity: EimIdentity) -> None:
    emulated(config, identity, counter=3)
    exported = export(config, imei="353290611234568")
    device = VirtualEim(identity).import_device(exported.text)
    assert (device.counter, device.token, device.imei) == (3, 5, "353290611234568")
    assert exported.fingerprint == device_key_fingerprint(config)


def test_a_lost_key_is_replaced_by_the_recipe_of_the_manual(config: Config, identity: EimIdentity) -> None:
    eim = VirtualEim(identity)
    emulated(config, identity)
    device = eim.import_device(export(config).text)
    device.counter = 4
    KeyFile(config.store.state_dir).path.unlink()
    with pytest.raises(KeyTrouble):
        export(config)
    assert new_key(config) == (device_key_fingerprint(config), 1)
    with pytest.raises(NothingToExport):  # the card forgot its eIM
        export(config)
    state = emulated(config, identity, counter=4)
    assert state.eims[0].token == 6
    with pytest.raises(OrderError):  # a counter that the eIM has used
        eim.import_device(export(config).text, replace_key=True)
    card_file(config).write(replace(state, eims=()).to_document())
    emulated(config, identity, counter=5)
    with pytest.raises(OrderError):
        eim.import_device(export(config).text)
    assert eim.import_device(export(config).text, replace_key=True).counter == 5


def test_a_new_key_goes_on_with_numbers_and_tokens(config: Config, identity: EimIdentity) -> None:
    before = emulated(config, identity)
    new_key(config)
    found = card_file(config).load()
    assert found is not None
    after = EmulatedState.from_document(found)
    assert (after.eims, after.next_seq, after.next_token) == ((), before.next_seq, before.next_token)


def test_no_new_key_is_made_while_an_agent_runs(config: Config, identity: EimIdentity) -> None:
    emulated(config, identity)
    before = device_key_fingerprint(config)
    with StateLock(str(config.store.state_dir)), pytest.raises(StateDirectoryBusyError):
        new_key(config)
    assert device_key_fingerprint(config) == before


def test_what_cannot_be_exported_is_said_with_what_to_do(config: Config, identity: EimIdentity) -> None:
    with pytest.raises(NothingToExport, match="No emulated card"):
        export(config)
    emulated(config, identity)
    with pytest.raises(NothingToExport, match=r"eim\.lab\.example"):
        export(config, eim_id="another.example")
    with pytest.raises(NothingToExport, match="No emulated card"):
        export(config, eid="89049032000000000000000000000163")
