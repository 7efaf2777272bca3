"""Whatever comes in a download: an answer or a status word, never an exception, and a card that goes on."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc import Quirks
from ipad_agent.lab.euicc.rsp.card_rsp_session import session_of
from ipad_agent.lab.euicc.rsp.package_segments import SegmentError, Segments
from ipad_agent.lab.euicc.rsp.rsp_metadata import read_metadata
from ipad_agent.lab.euicc.state.card_state import dumps, loads

from .euicc_bench import bench
from .rsp_server import NEW_ICCID, Download, download, metadata, read_result

REPLACE_KEYS = bytes(48)


def mutated(dice: random.Random, raw: bytes) -> bytes:
    changed = bytearray(raw)
    for _ in range(dice.randrange(1, 4)):
        match dice.randrange(4):
            case 0:
                changed[dice.randrange(len(changed))] = dice.randrange(256)
            case 1:
                del changed[dice.randrange(len(changed)) :]
            case 2:
                changed.insert(dice.randrange(len(changed) + 1), dice.randrange(256))
            case _:
                start = dice.randrange(len(changed))
                changed += changed[start : start + dice.randrange(9)]
        if not changed:
            changed.append(0)
    return bytes(changed)


def check(d: Download, answer: bytes) -> None:
    assert d.sw >> 8 in (0x69, 0x6A, 0x90, 0x91), hex(d.sw)
    if answer:
        node = der.parse(answer)
        if node.tag == 0xBF37:
            read_result(answer)
    state = d.card.state
    assert loads(dumps(state)) == state
    session = session_of(d.card.isdr)
    assert (state.installing is not None) is (session is not None and session.installation is not None)


@pytest.mark.parametrize("seed", range(25))
def test_mutated_downloads_end_in_order_and_a_good_one_follows(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    d = download(b=bench(path=tmp_path / "card.json"))
    for _ in range(6):
        target = dice.randrange(10)
        d.prepare()
        segments = d.server.bind(replace_keys=REPLACE_KEYS if seed % 2 else None).segments
        for number, segment in enumerate(segments):
            answer = d.es10(mutated(dice, segment) if number == target else segment)
            check(d, answer)
            if answer:
                break
        if d.card.state.profile(NEW_ICCID) is not None:
            state = d.card.isdr.state
            state.profiles = [p for p in state.profiles if p.iccid != NEW_ICCID]
            d.card.isdr.commit()
    assert read_result(d.install()).aid is not None


@pytest.mark.parametrize("seed", range(10))
def test_mutated_authentications_and_preparations_are_answered(seed: int) -> None:
    dice = random.Random(seed)
    d = download()
    for _ in range(40):
        request = d.server.authenticate_request(d.challenge())
        check(d, d.es10(mutated(dice, request)))
        d.authenticate()
        check(d, d.es10(mutated(dice, d.server.prepare_request())))
    assert read_result(d.install()).aid is not None


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0xBF36, 0xA0, 0x87, 0xA1, 0x88, 0xA2, 0xA3, 0x86, 0xBF2E, 0xBF38, 0xBF21, 0xBF41]),
            st.binary(max_size=24),
        ),
        max_size=8,
    ),
    st.integers(0, 8),
)
@settings(max_examples=150, deadline=None)
def test_any_commands_in_any_state_of_a_download(commands: list[tuple[int, bytes]], progress: int) -> None:
    d = download(Quirks(check_profile_elements=bool(progress % 2)))
    if progress:
        d.prepare()
        d.load(d.server.bind().segments[: progress - 1])
    for tag, content in commands:
        check(d, d.es10(tag.to_bytes(1 + (tag > 0xFF), "big") + content))
        check(d, d.es10(der.tlv(tag, content)))


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=10))
def test_segments_raise_nothing_but_segment_errors(raws: list[bytes]) -> None:
    segments = Segments()
    try:
        segments.begin(bytes.fromhex("BF3620") + b"\xbf\x23\x00")
        for raw in raws:
            segments.take(raw)
    except SegmentError:
        pass


@given(st.integers(0, 2**32))
@settings(max_examples=300)
def test_metadata_raise_nothing_but_der_errors(seed: int) -> None:
    dice = random.Random(seed)
    full = metadata(
        t93=b"\x93\x01\x01",
        t94=b"\x94\x03PNG",
        tB6=bytes.fromhex("B60A300880020780" + "81026161"),
        tB7=bytes.fromhex("B708800362F240810101"),
        t99=bytes.fromhex("99020520"),
        t9F7B=b"\x9f\x7b\x01\xff",
    )
    assert read_metadata(full).name == "C IoT!"
    try:
        profile = read_metadata(mutated(dice, full))
    except der.DerError:
        return
    assert len(profile.name) <= 64
