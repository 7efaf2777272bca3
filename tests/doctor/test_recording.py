"""The taps of the flight recorder on the real rooms: card, modem and eIM."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ipad_agent.card import es10_transport
from ipad_agent.card.errors import ChannelLost, LossReason
from ipad_agent.card.es10_transport import Es10Transport
from ipad_agent.codec.identifiers import Eid
from ipad_agent.config import load
from ipad_agent.doctor import run_alone
from ipad_agent.doctor.recorder_taps import attach
from ipad_agent.eim import esipa_client
from ipad_agent.eim.esipa_client import EimClient
from ipad_agent.errors import NetworkError
from ipad_agent.lab.bench.lab_bench import Bench, BenchOptions
from ipad_agent.local.flight_recorder import Recorder
from ipad_agent.modem.at import at_session

from .fakes import EID

QUICK = {"refresh_delay_s": 0.01, "card_init_s": 0.01, "attach_s": 0.01, "reboot_s": 0.05}


def entries(path: str, kind: str) -> list[dict[str, Any]]:
    return [entry for entry in map(json.loads, Path(path).read_text().splitlines()) if kind in entry]


def nobody_listens() -> bool:
    return not (es10_transport._TAPS or at_session._TAPS or esipa_client._TAPS)


async def test_what_is_said_to_card_and_modem_is_recorded_as_it_went(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, attach)
    async with Bench(BenchOptions(provision="card", modem=QUICK)) as made:
        config = replace(load(made.folder / "agent.toml"), path=None)
        made.slot.trace.clear()
        path = recorder.start(60)
        async with asyncio.timeout(60):
            async for _ in run_alone(config):
                pass
        recorder.stop()
        # The modem puts its channel into the class byte and fetches what a 61xx announces.
        on_card = [command[1:] for command, _ in made.slot.trace if command[1] == 0xE2]
        recorded = [bytes.fromhex(entry["apdu"])[1:] for entry in entries(path, "apdu") if entry["apdu"][2:4] == "e2"]
        assert recorded == on_card
        assert recorded
    lines = entries(path, "at")
    assert "AT+CPIN?\r" in [entry["text"] for entry in lines if entry["at"] == "sent"]
    assert any("+CPIN: READY" in entry["text"] for entry in lines if entry["at"] == "received")
    assert nobody_listens()


class LosingChannel:
    le_on_case4 = False
    max_data_bytes = 255
    description = "lossy"
    select_response = b""

    async def transceive(self, apdu: bytes, *, deadline_s: float) -> bytes:
        raise ChannelLost("gone", reason=LossReason.PORT)

    async def close(self) -> None:
        return None

    def note_unusable(self, reason: str) -> None:
        return None


async def test_an_apdu_without_answer_is_recorded_as_that(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, attach)
    path = recorder.start(60)
    with pytest.raises(ChannelLost):
        await Es10Transport(LosingChannel()).es10(bytes.fromhex("BF3E035C015A"))
    recorder.stop()
    (entry,) = entries(path, "apdu")
    assert (entry["apdu"][2:4], entry["answer"]) == ("e2", "")


class Carrier:
    scheme = "test"
    bytes_sent = bytes_received = 0

    def __init__(self, answer: bytes | NetworkError) -> None:
        self._answer = answer

    async def exchange(self, body: bytes, *, function: str) -> bytes:
        if isinstance(self._answer, NetworkError):
            raise self._answer
        return self._answer

    async def reach(self) -> None:
        return None

    async def close(self) -> None:
        return None


@pytest.mark.parametrize("lost", [True, False])
async def test_what_is_said_to_an_eim_is_recorded_also_when_no_answer_comes(tmp_path: Path, lost: bool) -> None:
    answer = bytes.fromhex("BF4F03020101")  # noEimPackageAvailable
    recorder = Recorder(tmp_path, attach)
    path = recorder.start(60)
    eim = EimClient(Carrier(NetworkError("lost") if lost else answer), Eid.parse(str(EID)))
    if lost:
        with pytest.raises(NetworkError):
            await eim.get_eim_package()
    else:
        await eim.get_eim_package()
    recorder.stop()
    (entry,) = entries(path, "esipa")
    assert entry["esipa"] == "GetEimPackage"
    assert str(EID) in entry["request"]
    assert entry["answer"] == (None if lost else answer.hex())
    assert nobody_listens()
