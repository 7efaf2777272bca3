"""The doctor who comes alone, at the lab's modem, card and eIM: in order, and broken in one way after the other."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ipad_agent.config import Config, load
from ipad_agent.doctor import run_alone
from ipad_agent.doctor.agent_user import become
from ipad_agent.doctor.checks.machine import Machine
from ipad_agent.doctor.doctor_items import Layer
from ipad_agent.doctor.standalone_doctor import remembered_polls
from ipad_agent.lab.bench.bench_options import BenchOptions
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.bench.rsp_servers_on_bench import RspOptions
from ipad_agent.lab.euicc import Quirks
from ipad_agent.lab.pki import Pki
from ipad_agent.policy import NORMAL, Instant, Outcome
from ipad_agent.policy.polling import poll_schedule
from ipad_agent.policy.polling.schedule_document import to_document
from ipad_agent.store import Memory, RealFilesystem, StateLock
from ipad_agent.store.state_documents import SCHEDULE

from .fakes import Clock, Findings

QUICK = {"refresh_delay_s": 0.01, "card_init_s": 0.01, "attach_s": 0.01, "reboot_s": 0.05}
HOLDER = "import sys\nheld = open(sys.argv[1], 'rb+', buffering=0)\nprint('held', flush=True)\nsys.stdin.read()\n"
AGENT = (
    "import sys; from ipad_agent.store import StateLock\n"
    "lock = StateLock(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    Pki.create(folder)
    return folder


@contextlib.asynccontextmanager
async def bench(pki: Path, **options: Any) -> AsyncIterator[tuple[Bench, Config]]:
    limits = {"coap": {"handshake_timeout_s": 1.5}, "https": {"connect_timeout_s": 1.5}, **options.pop("config", {})}
    made_of = BenchOptions(**{"provision": "card", "modem": QUICK, "config": limits, **options})
    async with Bench(made_of, pki_folder=pki) as made:
        config = replace(load(made.folder / "agent.toml"), path=None)
        config.store.state_dir.mkdir()
        yield made, config


async def examine(config: Config, **more: Any) -> Findings:
    async with asyncio.timeout(60):
        return Findings([item async for item in run_alone(config, **more)])


def requests(made: Bench) -> list[object]:
    """What the eIM was asked."""
    return [entry for entry in made.eim.eim.history if entry["kind"] == "request"]


@contextlib.contextmanager
def holding(path: str) -> Iterator[subprocess.Popen[str]]:
    """Another program with the port open."""
    command = [sys.executable, "-c", HOLDER, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.communicate()


async def test_a_healthy_device_with_both_carriers_and_a_ci(pki: Path) -> None:
    async with bench(pki, carrier="both", rsp=RspOptions()) as (made, config):
        found = await examine(config)
        assert found.wrong == []
        assert [item.ok for item in found.all(Layer.HANDSHAKE)] == [True, True]
        assert found.of(Layer.CI).ok
        assert "pinned" in found.all(Layer.HANDSHAKE)[0].sentence
        assert requests(made) == []
        assert list(config.store.state_dir.iterdir()) == []


@pytest.mark.parametrize(
    "options",
    [
        {"tls": "psk"},
        {"tls": "issued", "tls_pin": "ca-certificate", "carrier": "both"},
        {"carrier": "https", "https_tls": "rsa"},
    ],
    ids=["psk", "ca", "rsa"],
)
async def test_every_kind_of_trust_that_the_agent_knows(pki: Path, options: dict[str, Any]) -> None:
    async with bench(pki, **options) as (_, config):
        assert (await examine(config)).wrong == []


@pytest.mark.parametrize("carrier", ["coaps", "https"])
async def test_an_eim_with_a_brainpool_key(tmp_path: Path, carrier: str) -> None:
    Pki.create(tmp_path, "brainpool")
    async with bench(tmp_path, curve="brainpool", carrier=carrier) as (_, config):
        found = await examine(config)
        assert found.wrong == [], found


@pytest.mark.parametrize("carrier", ["coaps", "https"])
async def test_an_eim_that_asks_for_a_certificate_of_the_device(pki: Path, carrier: str) -> None:
    without = {"eim": {"client_certificate": None, "client_key_file": None}}
    async with bench(pki, carrier=carrier, client_certificate="required") as (_, config):
        assert (await examine(config)).wrong == []
    async with bench(pki, carrier=carrier, client_certificate="required", config=without) as (_, config):
        found = await examine(config)
        assert found.wrong == ["handshake"]
        assert any("asks for a client certificate and none is configured" in item.sentence for item in found)


async def test_another_pre_shared_key_than_the_eims(pki: Path) -> None:
    async with bench(pki, tls="psk") as (_, config):
        (eim,) = config.eim
        assert eim.psk_key_file is not None
        key = eim.psk_key_file.resolve()
        assert key is not None
        key.write_text("00" * 16)
        found = await examine(config)
        assert found.wrong == ["handshake"]
        assert "00" * 16 not in "".join(item.line() for item in found)


async def test_an_order_that_waits_at_the_eim_stays_there(pki: Path) -> None:
    async with bench(pki) as (made, config):
        made.order("list-profiles")
        await examine(config)
        assert [order.label for order in made.eim.eim.device(made.eid).queue] == ["list-profiles"]


async def test_the_port_is_given_back_so_that_the_next_doctor_finds_the_same(pki: Path) -> None:
    async with bench(pki) as (made, config):
        first, second = await examine(config), await examine(config)
        assert first.wrong == second.wrong == []
        assert made.modem.module.uicc.open_channels == frozenset()


async def test_a_modem_that_is_not_there(pki: Path) -> None:
    async with bench(pki) as (made, config):
        made.slot.trace.clear()
        found = await examine(replace(config, modem=replace(config.modem, port="/dev/ttyUSB99")))
        assert found.wrong == ["usb"]
        assert not made.slot.trace


async def test_a_port_in_the_hands_of_another_program(pki: Path) -> None:
    async with bench(pki) as (made, config):
        made.slot.trace.clear()
        with holding(str(made.modem.path)):
            found = await examine(config)
        assert found.wrong == ["port"]
        assert "python" in found.of(Layer.PORT).sentence
        assert not made.slot.trace
        assert (await examine(config)).wrong == []


async def test_a_running_agent_is_left_alone(pki: Path) -> None:
    async with bench(pki) as (made, config):
        made.slot.trace.clear()
        command = [
            sys.executable,
            "-c",
            AGENT,
            str(config.store.state_dir),
        ]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: ASYNC220 - our own, and short
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            found = await examine(config)
            process.communicate()
        assert found.wrong == ["port"]
        assert "running" in found.verdict.sentence
        assert found.verdict.fix is not None
        assert "ipactl --socket" in found.verdict.fix  # where it is; `ipactl doctor` alone has just been tried
        assert not made.slot.trace


async def test_looking_for_a_running_agent_keeps_none_from_starting(pki: Path) -> None:
    async with bench(pki) as (_, config):
        with StateLock(str(config.store.state_dir)):
            pass
        await examine(config)
        with StateLock(str(config.store.state_dir)):
            pass


async def test_no_card_in_the_modem(pki: Path) -> None:
    async with bench(pki) as (made, config):
        made.slot.inserted = False
        made.modem.order(lambda module: module.restart())
        await made.modem.present.wait()
        found = await examine(config)
        assert found.wrong == ["sim"], found
        assert found.verdict.fix is not None
        assert "Insert" in found.verdict.fix


async def test_a_consumer_card(pki: Path) -> None:
    async with bench(pki, quirks=Quirks(consumer=True), provision="none") as (_, config):
        found = await examine(config)
        assert found.wrong == ["euicc"]
        assert "consumer" in found.verdict.sentence


async def test_a_card_without_eim(pki: Path) -> None:
    async with bench(pki, provision="agent") as (made, config):
        found = await examine(config)
        assert found.wrong == ["association"]
        assert made.card.state.eims == []


@pytest.mark.parametrize("carrier", ["coaps", "https"])
async def test_an_eim_with_another_key_than_the_card_knows(pki: Path, carrier: str) -> None:
    async with bench(pki, carrier=carrier) as (made, config):
        (entry,) = made.card.state.eims
        entry.fields[:] = [_with_key(field, made.identity.signing_spki) for field in entry.fields]
        found = await examine(config)
        assert found.wrong == ["handshake"]
        assert found.verdict.fix is not None
        assert "trustedPublicKeyDataTls" in found.verdict.fix
        assert requests(made) == []


def _with_key(field: bytes, spki: bytes) -> bytes:
    """trustedPublicKeyDataTls (A6) with another key: the last 91 bytes are its SubjectPublicKeyInfo, P-256 as well."""
    return field if field[0] != 0xA6 else field[: -len(spki) + 2] + spki[2:]


async def test_a_clock_at_1970(pki: Path) -> None:
    async with bench(pki) as (_, config):
        found = await examine(config, clock=Clock(120.0))
        assert found.wrong == ["clock"]
        assert "1970-01-01 00:02" in found.verdict.sentence
        assert "dates not judged" in found.of(Layer.HANDSHAKE).sentence


async def test_a_clock_that_is_wrong_but_could_be_right_is_suspected_of_the_dates(pki: Path) -> None:
    async with bench(pki) as (_, config):
        found = await examine(config, clock=Clock(1_740_000_000.0))  # February 2025, before the certificate
        assert found.wrong == ["handshake"]
        assert found.verdict.fix is not None
        assert "2025-02-19" in found.verdict.fix


async def test_a_name_server_that_does_not_know_the_eim(pki: Path) -> None:
    async with bench(pki, config={"eim": {"host": "eim.invalid"}}) as (_, config):
        found = await examine(config)
        assert found.wrong == ["dns"]
        assert "eim.invalid" in found.verdict.sentence


@pytest.mark.parametrize("carrier", ["coaps", "https"])
async def test_an_eim_that_is_down(pki: Path, carrier: str) -> None:
    async with bench(pki, carrier=carrier, link_follows_modem=False) as (made, config):
        made.set_link_up(False)
        found = await examine(config)
        assert set(found.wrong) <= {"handshake", "route"}
        assert found.wrong


async def test_one_carrier_that_is_down_is_a_remark_while_the_other_works(pki: Path) -> None:
    async with bench(pki, carrier="both") as (made, config):
        assert made.https_server is not None
        assert made.https_gate is not None
        await made.server.stop()
        found = await examine(config)
        assert found.wrong == []
        assert any("Another way" in item.sentence for item in found.all(Layer.HANDSHAKE))


async def test_a_folder_of_ci_certificates_that_is_none(pki: Path) -> None:
    async with bench(pki, rsp=RspOptions()) as (made, config):
        wrong = made.folder / "agent.toml"
        found = await examine(replace(config, trust=replace(config.trust, ci_dir=wrong)))
        assert found.wrong == ["ci"]


class FullDisk(Machine):
    def __init__(self, number: int) -> None:
        self._number = number

    def try_write(self, folder: Path) -> None:
        raise OSError(self._number, os.strerror(self._number))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
async def test_a_disk_that_takes_nothing(pki: Path, number: int) -> None:
    async with bench(pki) as (_, config):
        found = await examine(config, machine=FullDisk(number))
        assert found.wrong == ["disk"]
        assert os.strerror(number) in found.verdict.sentence


async def test_no_network_at_the_modem(pki: Path) -> None:
    async with bench(pki) as (made, config):
        for iccid in list(made.coverage.cells):
            made.cover(iccid, None)
        found = await examine(config)
        assert "registration" in found.wrong
        assert found.verdict.sentence.startswith("The modem is not in a network")


async def test_a_radio_that_somebody_switched_off_stays_off(pki: Path) -> None:
    async with bench(pki) as (made, config):
        made.modem.order(lambda module: module.set_functionality(4))
        found = await examine(config)
        assert "modem" in found.wrong
        assert "AT+CFUN=4" in found.of(Layer.MODEM).sentence
        assert made.modem.module.functionality == 4


async def test_a_module_profile_that_does_not_exist_is_all_there_is_to_say() -> None:
    config = Config()
    found = await examine(replace(config, modem=replace(config.modem, profile="no-such-profile")))
    assert [item.layer for item in found] == [Layer.CONFIG, Layer.VERDICT]
    assert "no-such-profile" in found.verdict.sentence


async def test_root_leaves_no_lock_file_behind_that_the_agents_user_could_not_open(
    pki: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(pki) as (made, config):
        monkeypatch.setattr("ipad_agent.doctor.standalone_doctor.agents_user", lambda folder: "ipad")
        before = set(made.folder.iterdir())
        made.slot.trace.clear()
        found = await examine(config)
        assert found.wrong == ["port"]
        assert "root" in found.verdict.sentence
        assert set(made.folder.iterdir()) == before
        assert not made.slot.trace


def test_whoever_is_not_root_stays_who_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert become(tmp_path) is None


def test_root_becomes_the_owner_of_the_state_directory_with_its_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pwd

    nobody = pwd.getpwnam("nobody")
    calls: list[object] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(Path, "stat", lambda self: os.stat_result((0, 0, 0, 0, nobody.pw_uid, 0, 0, 0, 0, 0)))
    monkeypatch.setattr(os, "initgroups", lambda *args: calls.append(("groups", *args)))
    monkeypatch.setattr(os, "setresgid", lambda *args: calls.append(("gid", *args)))
    monkeypatch.setattr(os, "setresuid", lambda *args: calls.append(("uid", *args)))
    assert become(tmp_path) == "nobody"
    assert [call[0] for call in calls] == ["groups", "gid", "uid"]  # type: ignore[index]  # root until the last


def test_a_state_directory_of_root_or_none_at_all_changes_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "setresuid", lambda *_: pytest.fail("it changed the user"))
    assert become(tmp_path / "missing") is None
    monkeypatch.setattr(Path, "stat", lambda self: os.stat_result((0, 0, 0, 0, 0, 0, 0, 0, 0, 0)))
    assert become(tmp_path) is None


def test_how_the_last_poll_ended_is_read_from_what_the_agent_noted(tmp_path: Path) -> None:
    memory = Memory(RealFilesystem(), state_dir=str(tmp_path), runtime_dir=str(tmp_path))
    assert remembered_polls(tmp_path) == {}
    clock, settings = Clock(), NORMAL
    begun = poll_schedule.begin(
        poll_schedule.start(None, Instant.now(clock), settings, phase_s=0.0), Instant.now(clock)
    )
    ended = poll_schedule.finish(begun, Instant.now(clock), Outcome.UNREACHABLE, settings, chance=0.5)
    memory.save(SCHEDULE, {"eim.example": to_document(ended), "odd": {"rubbish": 1}})
    assert remembered_polls(tmp_path) == {
        "eim.example": "after the last poll the agent noted: the eIM could not be reached; failures in a row: 1."
    }
