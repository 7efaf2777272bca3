"""Power cuts: after any of them the card is whole, no result is lost, and nothing runs twice (design of §4.10)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc import (
    BOOTSTRAP,
    OPERATOR_A,
    PowerLostError,
    Quirks,
    StateFileError,
    VirtualEuicc,
    default_card,
    eim_configuration,
)
from ipad_agent.lab.pki import Pki, make_eid

from .euicc_bench import ICCID_A, ICCID_B, Bench, Eim, Terminal, bench, delete, disable, enable, pki, verify_result

RESULTS = "BF2B04A0028200"
STEPS = ["counter-stored", "operation-0", "operation-1", "before-swap", "after-swap", "before-answer"]


def power_on(path: Path, eim: Eim, quirks: Quirks | None = None) -> Bench:
    """Another process takes the card up from its file."""
    card = default_card(pki(), path, quirks)
    return Bench(card, Terminal(card).open(), eim)


def stored_results(b: Bench) -> list[bytes]:
    return [child.raw for child in der.parse(b.terminal.es10(RESULTS)).get(0xA2).children]


def results_in(raw: bytes) -> str:
    return verify_result(raw).get(0x30).value.hex().upper()


def check_after_cut(b: Bench, package: bytes) -> str:
    """Deliver what is there, order again what is not; the story of the one package, as its result tells it."""
    waiting = stored_results(b)
    enabled = b.card.enabled_iccid
    assert b.card.active_iccid == enabled
    if not waiting:
        # Nothing of it happened, so the eIM may send it again.
        assert enabled == BOOTSTRAP
        assert b.card.state.eims[0].counter == 0
        waiting = [b.terminal.es10(package)]
        b.reset()
        assert stored_results(b) == waiting
        enabled = b.card.enabled_iccid
    else:
        again = b.terminal.es10(package)
        assert verify_result(again).get(0x02).integer() == 4  # replayError: never executed twice
    (result,) = waiting
    told = results_in(result)
    assert told in ("830100", "020103")
    assert enabled == (OPERATOR_A if told == "830100" else BOOTSTRAP)
    changes = [(n.event, n.iccid) for n in b.card.state.notifications]
    assert changes == ([(1, OPERATOR_A)] if told == "830100" else [])
    assert b.card.state.running is None
    return told


@pytest.mark.parametrize("answer_lost", [False, True])
def test_power_cut_at_every_apdu_of_an_enable_package(tmp_path: Path, answer_lost: bool) -> None:
    stories = []
    for index in range(60):
        path = tmp_path / f"{index}.json"
        b = bench(path=path)
        b.terminal.block_bytes = 20
        package = b.eim.package(enable(ICCID_A))
        b.card.power_cut_after(index, answer_lost=answer_lost)
        try:
            b.terminal.es10(package)
            b.terminal.apdu("801200000B")
            b.terminal.apdu("801400000C810301010402028281830100")
        except PowerLostError:
            assert not b.card.powered
            with pytest.raises(PowerLostError):
                b.card.transmit(bytes.fromhex("00B000000A"))
            after = power_on(path, b.eim)
            assert after.card.profile_states() == json_states(path)
            stories.append(check_after_cut(after, package))
        else:
            break
    assert len(stories) > 8  # 6 or more blocks, GET RESPONSE, FETCH, TERMINAL RESPONSE
    assert set(stories) == {"830100"}


def json_states(path: Path) -> dict[str, bool]:
    return {p["iccid"]: p["enabled"] for p in json.loads(path.read_text())["profiles"]}


@pytest.mark.parametrize("step", STEPS)
def test_power_cut_inside_the_execution(tmp_path: Path, step: str) -> None:
    b = bench(path=tmp_path / "card.json")
    package = b.eim.package(enable(ICCID_A)) if step != "operation-1" else b.eim.package(enable(ICCID_A), b"\xa6\x00")
    b.card.power_cut_at(step)
    with pytest.raises(PowerLostError):
        b.terminal.es10(package)
    after = power_on(tmp_path / "card.json", b.eim)
    told = check_after_cut(after, package)
    assert told == ("830100" if step in ("after-swap", "before-answer") else "020103")


def test_the_same_card_object_comes_back_by_reset() -> None:
    b = bench()
    b.card.power_cut_at("before-swap")
    package = b.eim.package(enable(ICCID_A))
    with pytest.raises(PowerLostError):
        b.terminal.es10(package)
    assert (b.card.enabled_iccid, b.card.powered) == (BOOTSTRAP, False)
    b.reset()
    assert check_after_cut(b, package) == "020103"
    assert b.run(enable(ICCID_A)) == "830100"


def test_operations_done_before_the_cut_are_told_and_stay_done(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    b = bench(path=path)
    address = bytes.fromhex("BF65058003612E62")
    package = b.eim.package(address, bytes.fromhex("A7028000"), enable(ICCID_A), transaction_id=b"\x05")
    b.card.power_cut_at("operation-2")
    with pytest.raises(PowerLostError):
        b.terminal.es10(package)
    after = power_on(path, b.eim)
    (result,) = stored_results(after)
    assert results_in(result) == "BF6503800100" + "870100" + "020103"
    assert verify_result(result).get(0x82).value == b"\x05"
    state = after.card.state
    assert (state.default_smdp, state.immediate_enable is not None) == ("a.b", True)
    assert after.card.enabled_iccid == BOOTSTRAP


def test_a_cut_before_the_deletion_leaves_the_profile_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    b = bench(path=path)
    package = b.eim.package(delete(ICCID_B), b"\xa6\x00")
    b.card.power_cut_at("operation-1")
    with pytest.raises(PowerLostError):
        b.terminal.es10(package)
    after = power_on(path, b.eim)
    assert results_in(stored_results(after)[0]) == "020103"
    assert len(after.card.profile_states()) == 3


def test_an_added_eim_and_its_token_survive_together(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    b = bench(path=path)
    new = eim_configuration("e2", pki()["dppb"].spki_der, token=-1, tag=0xA8)
    b.card.power_cut_at("operation-0")
    with pytest.raises(PowerLostError):
        b.terminal.es10(b.eim.package(new, b"\xab\x00", eco=True))
    after = power_on(path, b.eim)
    assert results_in(stored_results(after)[0]) == "A803840101" + "020103"
    assert [e.token for e in after.card.state.eims] == [None, 1]


@pytest.mark.parametrize("command", ["BF58038001FF", "BF5D038001FF"])
@pytest.mark.parametrize("cut", ["before", "after"])
def test_power_cut_during_the_devices_own_switches(tmp_path: Path, command: str, cut: str) -> None:
    path = tmp_path / "card.json"
    b = bench(path=path)
    b.run(enable(ICCID_A, rollback=True))
    b.reset()
    before = stored_results(b)
    if cut == "after":
        b.card.power_cut_at("after-swap")
    else:
        b.card.power_cut_after(0)
    with pytest.raises(PowerLostError):
        b.terminal.es10(command)
    after = power_on(path, b.eim)
    rollback = command.startswith("BF58")
    assert after.card.active_iccid == (BOOTSTRAP if cut == "after" else OPERATOR_A)
    results = stored_results(after)
    assert len(results) == 1
    assert (results_in(results[0]) == "830100" + "8C0100") is (rollback and cut == "after")
    assert (results == before) is not (rollback and cut == "after")


def test_everything_is_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a" / "new" / "folder" / "card.json"
    b = bench(path=path, token=True)
    b.card.update_profile(OPERATOR_A, icon=b"\x01\x02", icon_type=1, ppr=[1], gid1=b"", service_data=b"\x05\x00")
    b.run(bytes.fromhex("A70A80008103883703820161"))
    b.run(enable(ICCID_A, rollback=True))
    before = b.card.state
    after = power_on(path, b.eim)
    assert after.card.state == before
    assert after.card.active_iccid == OPERATOR_A
    assert after.terminal.hex("BF58038001FF").startswith("BF58")
    assert not list(path.parent.glob("*.new"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "[" * 200_000,
        '{"schema": 2}',
        '{"schema": 1}',
        '{"schema": 1, "eid": 5}',
        '{"schema": 1, "eid": "x", "odd": 1}',
        '{"schema": 1, "eid": "x", "profiles": [{"iccid": "1", "aid": "zz"}]}',
        '{"schema": 1, "eid": "x", "eims": 3}',
        '{"schema": 1, "eid": "x", "eims": [3]}',
        '{"schema": 1, "eid": "x", "rollback": 3}',
    ],
)
def test_a_file_that_is_no_card_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "card.json"
    path.write_text(text)
    with pytest.raises(StateFileError):
        default_card(pki(), path)
    assert path.read_text() == text


def test_the_file_of_another_card_is_refused(tmp_path: Path) -> None:
    bench(path=tmp_path / "card.json")
    other = Pki.create(tmp_path / "pki", eid=make_eid(77))
    with pytest.raises(StateFileError, match="belongs to"):
        default_card(other, tmp_path / "card.json")


def test_cuts_are_used_up_and_do_not_strike_later() -> None:
    b = bench()
    b.card.power_cut_after(1)
    assert b.card.transmit(bytes.fromhex("80F2000C"))[-2:] == b"\x90\x00"
    with pytest.raises(PowerLostError):
        b.card.transmit(bytes.fromhex("80F2000C"))
    b.reset()
    assert b.run(disable("98942000000100000011")) == "840100"
    assert isinstance(b.card, VirtualEuicc)
