"""``lab up --card``: what the arguments make of the card on the bench."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from ipad_agent.lab.bench.bench_options import BenchOptions
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.bench.rsp_servers_on_bench import RspOptions
from ipad_agent.lab.command.card_arguments import CARDS, add_card_arguments, card_options
from ipad_agent.lab.command.lab_command import describe
from ipad_agent.lab.eim.eim_identity import add_initial_eim
from ipad_agent.lab.errors import ControlError
from ipad_agent.lab.euicc import KINDS, OPERATOR_A, CardError, eim_configuration
from ipad_agent.lab.modem.card_interface import CardMuteError
from ipad_agent.lab.pki import Pki


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_card_arguments(parser)
    return parser.parse_args(words)


def options(*words: str, **more: object) -> BenchOptions:
    return BenchOptions(**card_options(arguments(*words)), **more)  # type: ignore[arg-type]


def test_the_command_offers_every_kind_of_card() -> None:
    assert tuple(KINDS) == CARDS


@pytest.mark.parametrize("provision", ["agent", "card", "none"])
async def test_a_consumer_card_has_no_eim_and_is_not_known_to_one(provision: str) -> None:
    wanted = options("--card", "consumer", "--old-notifications", "12", provision=provision, rsp=RspOptions())
    async with Bench(wanted) as bench:
        assert bench.card.state.eims == []
        assert len(bench.card.state.notifications) == 12
        assert bench.eim.eim.devices == {}
        assert describe(bench, "consumer")["card"] == "consumer"


async def test_without_provisioning_the_card_is_left_alone() -> None:
    async with Bench(BenchOptions(provision="none", rsp=RspOptions())) as bench:
        assert bench.card.state.eims == []
        assert (bench.card.state.default_smdp, bench.card.state.root_smds) == ("smdp.lab.example", "smds.lab.example")
        assert "initial_eim" not in (bench.folder / "agent.toml").read_text()
    async with Bench(BenchOptions(rsp=RspOptions())) as bench:
        assert "initial_eim" in (bench.folder / "agent.toml").read_text()


async def test_the_servers_of_the_bench_stay_on_the_card_over_a_reset() -> None:
    async with Bench(BenchOptions(rsp=RspOptions())) as bench:
        bench.card.reset()
        assert (bench.card.state.default_smdp, bench.card.state.root_smds) == (
            bench.rsp.smdp_address,
            bench.rsp.smds_address,
        )


async def test_profiles_and_names_are_those_that_were_asked_for() -> None:
    words = ("--eid", "89044050999999999999999999999942", "--iccid", "898600b5012345678901", "--profiles", "4")
    async with Bench(options(*words)) as bench:
        assert bench.eid == "89044050999999999999999999999942"
        assert len(bench.card.profile_states()) == 4
        assert bench.card.enabled_iccid == "898600B5012345678901"
        assert bench.card.state.profiles[1].iccid == OPERATOR_A
    async with Bench(options("--profiles", "0")) as bench:
        assert bench.card.profile_states() == {}


async def test_an_empty_slot_is_mute() -> None:
    async with Bench(options("--card", "none")) as bench:
        with pytest.raises(CardMuteError):
            bench.slot.transmit(bytes.fromhex("00A4000C023F00"))


@pytest.mark.parametrize("form", ["initial", "dump", "bare", "hex"])
async def test_the_card_knows_the_eims_of_a_file(tmp_path: Path, form: str) -> None:
    pki = Pki.create(tmp_path / "pki", eim_id="foreign.example")
    configuration = eim_configuration("foreign.example", pki["eim-sign"].cert_der, fqdn="foreign.example")
    told = eim_configuration("foreign.example", pki["eim-sign"].cert_der, fqdn="foreign.example", counter=None, token=5)
    dump = bytes.fromhex("BF55") + add_initial_eim(told)[2:]  # of a card: with its own token, without the counter
    written = {"initial": add_initial_eim(configuration), "dump": dump, "bare": configuration}
    written["hex"] = (written["initial"].hex() + "\n").encode()
    path = tmp_path / "eims"
    path.write_bytes(written[form])
    async with Bench(options("--associate", str(path), provision="card"), tmp_path / "lab") as bench:
        assert [eim.eim_id for eim in bench.card.state.eims] == ["foreign.example", bench.identity.eim_id]
    async with Bench(options("--associate", str(path), provision="none"), tmp_path / "lab") as bench:
        assert len(bench.card.state.eims) == 2  # the card is not fresh any more


@pytest.mark.parametrize("content", [b"", b"hello", b"\x30\x00", b"\x04\x00", bytes.fromhex("BF5700")])
async def test_a_file_without_an_eim_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "eims"
    path.write_bytes(content)
    with pytest.raises((ControlError, CardError), match="eIM configuration"):
        async with Bench(options("--associate", str(path))):
            pass


def test_oddities_are_what_the_arguments_say() -> None:
    quirks = options(
        *("--card", "consumer", "--refuse-tags", "6a80", "--unknown-function", "6d00", "--toolkit-command"),
        *("--get-response", "whole", "--get-response-class", "80", "--no-le", "--lenient-segments"),
    ).quirks
    assert (quirks.consumer, quirks.refuses_sgp32_tags, quirks.tag_refusal_status) == (True, True, 0x6A80)
    assert (quirks.unknown_function_status, quirks.toolkit_after_es10) == (0x6D00, True)
    assert (quirks.response_mode.name, quirks.get_response_classes) == ("WHOLE", frozenset({0x80}))
    assert (quirks.reject_store_data_le, quirks.lenient_segments) == (True, True)
    assert options("--es10c").quirks.es10c
    with pytest.raises(ControlError):
        options("--old-notifications", "-1")
