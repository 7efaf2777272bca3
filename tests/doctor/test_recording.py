"""The taps of the flight recorder on the real rooms: card, modem and eIM."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from ipad_agent.card import es10_transport
from ipad_agent.card.errors import ChannelLost, LossReason
from ipad_agent.card.es10_transport import Es10Transport
from ipad_agent.config import load
from ipad_agent.doctor import run_alone
from ipad_agent.doctor.recorder_taps import attach
from ipad_agent.lab.bench.bench_options import BenchOptions
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.local.flight_recorder import Recorder
from ipad_agent.modem.at import at_session
from ipad_agent.net import message_tap
from ipad_agent.net.message_tap import CarriedMessage
from ipad_agent.recording.recording_format import Record, read

QUICK = {"refresh_delay_s": 0.01, "card_init_s": 0.01, "attach_s": 0.01, "reboot_s": 0.05}


def entries(folder: Path, kind: str) -> list[Record]:
    return [record for record in read(folder).records if record.kind == kind]


def nobody_listens() -> bool:
    return not (es10_transport._TAPS or at_session._TAPS or message_tap.TAPS)


async def test_what_is_said_to_card_and_modem_is_recorded_as_it_went(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, attach)
    async with Bench(BenchOptions(provision="card", modem=QUICK)) as made:
        config = replace(load(made.folder / "agent.toml"), path=None)
        made.slot.trace.clear()
        recorder.start(60)
        async with asyncio.timeout(60):
            async for _ in run_alone(config):
                pass
        recorder.stop()
        # The modem puts its channel into the class byte and fetches what a 61xx announces.
        on_card = [command[1:] for command, _ in made.slot.trace if command[1] == 0xE2]
        apdus = entries(tmp_path, "apdu")
        recorded = [one.data[1:] for one in apdus if one.way == "sent" and one.data[1] == 0xE2]
        assert recorded == on_card
        assert recorded
        assert [one.way for one in apdus] == ["sent", "received"] * (len(apdus) // 2)
    lines = entries(tmp_path, "at")
    assert b"AT+CPIN?\r" in [one.data for one in lines if one.way == "sent"]
    assert b"+CPIN: READY\r\n" in [one.data for one in lines if one.way == "received"]
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
    recorder.start(60)
    with pytest.raises(ChannelLost):
        await Es10Transport(LosingChannel()).es10(bytes.fromhex("BF3E035C015A"))
    recorder.stop()
    sent, received = entries(tmp_path, "apdu")
    assert (sent.way, sent.data[1], received.way, received.data) == ("sent", 0xE2, "received", b"")
    assert nobody_listens()


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/gsma/rsp2/asn1", "esipa"), ("/gsma/rsp2/esipa/getEimPackage", "esipa"), ("/gsma/rsp2/es9plus/x", "es9")],
)
def test_what_is_said_to_a_server_is_recorded_with_its_facts(tmp_path: Path, path: str, kind: str) -> None:
    recorder = Recorder(tmp_path, attach)

    async def story() -> None:
        recorder.start(60)
        message_tap.tell(CarriedMessage("received", "https", "a:1", path, "CancelSession", b"\x01", "404", "no"))
        recorder.stop()

    asyncio.run(story())
    (found,) = entries(tmp_path, kind)
    assert (found.way, found.data) == ("received", b"\x01")
    assert found.facts == {
        "function": "CancelSession",
        "scheme": "https",
        "address": "a:1",
        "path": path,
        "status": "404",
        "problem": "no",
    }
    assert nobody_listens()
