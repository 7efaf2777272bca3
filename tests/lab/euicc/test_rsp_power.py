"""Power cuts in a download: never half a profile, never a lost result, and the same download works afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipad_agent.lab.euicc import PowerLostError, Quirks, VirtualEuicc, default_card
from ipad_agent.lab.euicc.state.card_state import dumps, loads

from .euicc_bench import Bench, Eim, Terminal, bench, pki
from .rsp_server import NEW_ICCID, Download, Server, download, error_of, metadata, package, read_result

INTERRUPTION = 11
TARGETS = bytes.fromhex("B60A" + "3008" + "80020780" + "81026161")


def power_on(path: Path, server: Server, quirks: Quirks | None = None) -> Download:
    """Another process takes the card up from its file; the SM-DP+ has lived on."""
    card = default_card(pki(), path, quirks)
    return Download(Bench(card, Terminal(card).open(), Eim(pki())), server)


def whole_download(d: Download, keep: dict[str, bytes]) -> bytes:
    d.prepare()
    keep["point"] = d.server.euicc_point
    bpp = d.server.bind(stored=metadata(tB6=TARGETS), elements=package(200), piece=150)
    return d.load(bpp.segments)


def check_after_cut(d: Download, told: bool = True) -> str:
    """The story that the card tells: ``done``, ``interrupted`` or ``nothing``; the profile is there once, or not."""
    state = d.card.state
    assert loads(dumps(state)) == state
    assert state.installing is None
    installed = state.profile(NEW_ICCID)
    kinds = [n.raw[:2].hex() for n in state.notifications]
    if installed is not None:
        assert kinds == ["bf37", "3081"] or kinds == ["bf37", "3082"]
        assert not installed.enabled
        assert read_result(state.notifications[0].raw).aid == installed.aid
        assert state.one_time_keys == []
        return "done"
    assert len(state.profiles) == 3
    if not kinds:
        return "nothing"
    assert told
    (result,) = state.notifications
    assert error_of(result.raw)[1] == INTERRUPTION
    assert state.one_time_keys != []
    return "interrupted"


@pytest.mark.parametrize("answer_lost", [False, True])
def test_power_cut_at_every_apdu_of_a_download_and_the_download_again(tmp_path: Path, answer_lost: bool) -> None:
    stories = []
    for index in range(1, 200):
        path = tmp_path / f"{index}.json"
        d = download(b=bench(path=path))
        d.b.terminal.block_bytes = 120
        d.card.power_cut_after(index, answer_lost=answer_lost)
        keep: dict[str, bytes] = {}
        try:
            whole_download(d, keep)
        except PowerLostError:
            after = power_on(path, d.server)
            stories.append(check_after_cut(after))
            if stories[-1] != "done":
                before = len(after.card.state.notifications)
                result = read_result(whole_download(after, keep))
                assert (result.aid is not None, result.seq) == (True, before + 1)
        else:
            break
    # First nothing, then interrupted, then done; no way back.
    order = ["nothing", "interrupted", "done"]
    assert [order.index(s) for s in stories] == sorted(order.index(s) for s in stories)
    assert set(stories) == (set(order))
    assert len(stories) > 25


@pytest.mark.parametrize(
    ("step", "story", "command"),
    [
        ("authenticated", "nothing", None),
        ("prepared", "nothing", None),
        ("segment-1", "interrupted", 0),
        ("segment-2", "interrupted", 1),
        ("segment-3", "interrupted", 2),
        ("segment-4", "interrupted", 2),
        ("segment-5", "interrupted", 5),
        ("segment-6", "interrupted", 5),
        ("before-install", "interrupted", 5),
        ("after-install", "done", None),
    ],
)
@pytest.mark.parametrize("told", [True, False])
def test_power_cut_at_each_step(tmp_path: Path, step: str, story: str, command: int | None, told: bool) -> None:
    path = tmp_path / "card.json"
    quirks = Quirks(report_interruption=told)
    d = download(b=bench(quirks, path))
    d.card.power_cut_at(step)
    keep: dict[str, bytes] = {}
    with pytest.raises(PowerLostError):
        whole_download(d, keep)
    assert not d.card.powered
    after = power_on(path, d.server, quirks)
    assert check_after_cut(after, told) == (story if told or story != "interrupted" else "nothing")
    if story == "interrupted" and told:
        assert error_of(after.card.state.notifications[0].raw) == (command, INTERRUPTION)
    # Nothing more comes with the next starts.
    notifications = after.card.state.notifications
    after.b.reset()
    assert after.card.state.notifications == notifications
    if story != "done":
        assert read_result(whole_download(after, keep)).aid is not None


def test_the_iccid_is_in_the_result_of_an_interruption_once_it_is_known(tmp_path: Path) -> None:
    for step, known in (("segment-3", False), ("segment-4", True)):
        path = tmp_path / f"{step}.json"
        d = download(b=bench(path=path))
        d.card.power_cut_at(step)
        with pytest.raises(PowerLostError):
            whole_download(d, {})
        after = power_on(path, d.server)
        result = read_result(after.card.state.notifications[0].raw)
        assert (result.iccid is not None) is known
        assert (result.transaction, result.address, result.oid) == (
            d.server.transaction,
            "smdp.lab.example",
            "2.999.10",
        )


def test_after_an_interruption_the_same_bound_package_is_installed(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    d = download(b=bench(path=path))
    d.prepare()
    point, bound = d.server.euicc_point, d.server.bind()
    d.load(bound.segments[:-1])
    after = power_on(path, d.server)
    assert after.prepare(point).get(0x5F49).value == point
    # A new session has a new beginning; what is protected stays as it was.
    bound.initialise = after.server.initialise_request()
    assert read_result(after.load(bound.segments)).aid is not None


def test_a_reset_in_the_middle_is_an_interruption_too() -> None:
    d = download()
    d.prepare()
    segments = d.server.bind().segments
    d.load(segments[:4])
    d.b.reset()
    assert check_after_cut(d) == "interrupted"
    assert d.es10(segments[4]) == b""
    assert d.sw == 0x6985


def test_the_interruption_is_signed_by_the_ci_of_the_session(tmp_path: Path) -> None:
    world = pki("brainpool", "brainpool")
    card = default_card(world, tmp_path / "card.json")
    d = Download(Bench(card, Terminal(card).open(), Eim(world)), Server(world))
    d.prepare()
    d.load(d.server.bind().segments[:2])
    assert isinstance(d.card, VirtualEuicc)
    d.card.reset()
    assert error_of(d.card.state.notifications[0].raw, world) == (1, INTERRUPTION)


def test_a_card_file_of_before_profile_download_still_loads() -> None:
    old = """{"eid": "89049032000000000000000000000163", "schema": 1, "profiles": [
        {"iccid": "89490200001000000011", "aid": "A0000005591010FFFFFFFF8900001000", "enabled": true}]}"""
    state = loads(old)
    assert (state.profiles[0].size_bytes, state.installing, state.one_time_keys) == (20_000, None, [])
