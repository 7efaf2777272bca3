"""What a support bundle is made of on a device: its store, read without touching it."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from ipad_agent.config import Config, ProvisioningConfig, StoreConfig
from ipad_agent.doctor.bundle.bundle_sources import collect
from ipad_agent.doctor.bundle.support_bundle import build
from ipad_agent.modem.module_profile import GENERIC
from ipad_agent.store import Journal, Memory, RealFilesystem
from situations import SITUATIONS

from .fakes import EID, NOW_S, Clock

ICCID_TLV = bytes.fromhex("5A0A989420000021436587F9")
ICCID = "8949020000123456789"
MATCHING_ID = b"QX-9PW-7ZZ"


def config_in(folder: Path) -> Config:
    return Config(store=StoreConfig(state_dir=folder / "state", runtime_dir=folder / "run"))


def a_device(folder: Path) -> Config:
    """A store with things in it."""
    config = config_in(folder)
    config.store.state_dir.mkdir()
    journal = Journal(RealFilesystem(), str(config.store.state_dir), Clock())
    journal.open("package", {"eim_id": "eim.example", "order": ICCID_TLV, "loads": 1})
    journal.open("trigger", {"order": b"\x80\x201$smdp.example.com$" + MATCHING_ID})
    memory = Memory(RealFilesystem(), state_dir=str(config.store.state_dir), runtime_dir=str(config.store.runtime_dir))
    memory.save("schedule", {"eim.example": {"failures": 3}})
    memory.save("profiles", {str(EID): {"known": [ICCID]}})
    memory.save("channels", {"way": "cgla", "imei": "353490069873319"})
    return config


def content(archive: bytes) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        found = {}
        for member in tar:
            file = tar.extractfile(member)
            assert file is not None
            found[member.name.rpartition("/")[2]] = file.read().decode()
        return found


def state_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_store_is_summed_up_and_stays_as_it_was(tmp_path: Path) -> None:
    config = a_device(tmp_path)
    before = state_of(tmp_path)
    found = content(build(collect(config, clock=Clock(), modem_profile=GENERIC)))
    assert state_of(tmp_path) == before
    assert found["journal.txt"].splitlines() == ["package, 0 s old, 31 bytes", "trigger, 0 s old, 31 bytes"]
    assert '"failures": 3' in found["documents.json"]
    assert '"way": "cgla"' in found["documents.json"]
    assert GENERIC.name in found["modem-profile.json"]


def test_nothing_of_the_store_can_be_recognised_in_the_bundle(tmp_path: Path) -> None:
    sources = collect(a_device(tmp_path), clock=Clock(), status=SITUATIONS["ready"])
    assert ICCID in sources.known.identifiers
    assert MATCHING_ID in sources.known.secrets
    everything = "\n".join(content(build(sources)).values())
    for secret in (str(EID), ICCID, "353490069873319", MATCHING_ID.decode(), SITUATIONS["ready"].profiles[0].iccid):
        assert secret not in everything


@pytest.mark.parametrize("name", SITUATIONS)
def test_every_situation_can_be_packed(name: str, tmp_path: Path) -> None:
    status = SITUATIONS[name]
    found = content(build(collect(config_in(tmp_path), clock=Clock(), status=status)))
    assert status.verdict.sentence[:20] in found["README.txt"]
    assert status.card is None or status.card.eid not in "".join(found.values())


def test_a_device_without_a_store_makes_a_bundle_too(tmp_path: Path) -> None:
    found = content(build(collect(config_in(tmp_path), clock=Clock())))
    assert found["journal.txt"] == "Nothing is owed.\n"


def test_the_age_of_what_is_owed_is_told_by_the_clock_that_can_be_believed(tmp_path: Path) -> None:
    class Later(Clock):
        def monotonic(self) -> float:
            return 61.0

    class Rebooted(Later):
        def boot_id(self) -> str:
            return "another boot"

    config = a_device(tmp_path)
    assert [round(entry.age_s or 0) for entry in collect(config, clock=Later()).journal] == [60, 60]
    assert [entry.age_s for entry in collect(config, clock=Rebooted(NOW_S + 500)).journal] == [500, 500]
    assert [entry.age_s for entry in collect(config, clock=Rebooted(5.0)).journal] == [None, None]


def test_a_journal_of_rubbish_is_an_empty_one(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    config.store.state_dir.mkdir()
    (config.store.state_dir / "journal").write_bytes(b"\xff" * 1000)
    (config.store.state_dir / "schedule.json").write_bytes(b"\xff" * 1000)
    (config.store.state_dir / "Not a document.json").write_bytes(b"{}")
    sources = collect(replace(config), clock=Clock())
    assert sources.journal == []
    assert sources.documents["schedule"] == {}


def test_a_provisioning_bundle_that_waits_is_not_even_opened(tmp_path: Path) -> None:
    config = a_device(tmp_path)
    path = config.store.state_dir / "bundle.json"
    path.write_text('{"format": "eim-ipad-provision/1", "device_key": "MIGHAgEAMBMG"}')
    config = replace(config, provisioning=ProvisioningConfig(bundle=path))
    found = content(build(collect(config, clock=Clock())))
    assert not any("MIGHAgEAMBMG" in text for text in found.values())
    assert [one.name for one in config.store.state_dir.iterdir() if "bundle" in one.name] == ["bundle.json"]
    assert "bundle" not in collect(config, clock=Clock()).documents
