"""Whatever arrives: a status word, never an exception, and a state file that loads."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc import Quirks, StateFileError, default_card, eim_configuration
from ipad_agent.lab.euicc.state.card_state import dumps, loads

from .euicc_bench import ICCID_A, ICCID_BOOTSTRAP, Bench, Terminal, bench, delete, disable, enable, pki, set_fallback

TAGS = [*range(0xBF20, 0xBF66)]
INNER = [0x80, 0x81, 0x82, 0x84, 0xA0, 0xA1, 0xA5, 0x30, 0x5A, 0x5C, 0x5F37, 0x4F, 0x95, 0x02, 0x01]

INSTRUCTIONS = st.sampled_from([0x70, 0xA4, 0xC0, 0xB0, 0xB2, 0xE2, 0xF2, 0xAA, 0x10, 0x12, 0x14, 0x20])
HEADERS = st.tuples(st.sampled_from([0x00, 0x01, 0x40, 0x80, 0x81, 0xC0]), INSTRUCTIONS, st.integers(0, 255))
APDUS = st.one_of(
    st.binary(max_size=30),
    st.builds(
        lambda h, p2, rest: bytes([*h, p2]) + rest, HEADERS, st.sampled_from([0, 1, 4, 12]), st.binary(max_size=9)
    ),
    st.builds(
        lambda h, p2, data: bytes([*h, p2, len(data)]) + data,
        HEADERS,
        st.sampled_from([0, 1, 4, 12]),
        st.binary(min_size=1, max_size=40),
    ),
)
TREES = st.recursive(
    st.builds(der.tlv, st.sampled_from(INNER), st.binary(max_size=12)),
    lambda children: st.builds(
        lambda tag, parts: der.tlv(tag, *parts), st.sampled_from(INNER), st.lists(children, max_size=3)
    ),
    max_leaves=6,
)


def check_state(b: Bench) -> None:
    state = b.card.state
    assert loads(dumps(state)) == state
    assert sum(p.enabled for p in state.profiles) <= 1
    assert sum(p.fallback_attribute for p in state.profiles) <= 1
    assert state.running is None


@given(st.lists(APDUS, max_size=12))
@settings(max_examples=120, deadline=None)
def test_any_apdus_get_status_words(apdus: list[bytes]) -> None:
    b = bench()
    for apdu in apdus:
        answer = b.card.transmit(apdu)
        assert len(answer) >= 2
        assert answer[-2] >= 0x60
    check_state(b)


@given(st.sampled_from(TAGS), st.lists(TREES, max_size=3))
@settings(max_examples=250, deadline=None)
def test_any_es10_command_gets_an_answer(tag: int, parts: list[bytes]) -> None:
    b = bench(Quirks(es10c=True))
    answer = b.terminal.es10(der.tlv(tag, *parts))
    assert b.terminal.sw >> 8 in (0x90, 0x91, 0x69, 0x6A), hex(b.terminal.sw)
    if answer:
        assert der.parse(answer).tag in (tag, 0xBF51)
    check_state(b)


@given(st.booleans(), st.lists(st.one_of(TREES, st.binary(max_size=20)), max_size=4))
@settings(max_examples=120, deadline=None)
def test_any_operations_in_a_signed_package_get_a_signed_answer(eco: bool, operations: list[bytes]) -> None:
    b = bench()
    node = der.parse(b.terminal.es10(b.eim.package(*operations, eco=eco)))
    assert node.find(0xA0, 0xA1, 0xA2) is not None
    check_state(b)


@pytest.mark.parametrize("seed", range(6))
def test_mutated_commands_of_a_real_life_leave_a_loadable_file(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "card.json"
    b = bench(path=path)
    dice = random.Random(seed)
    commands = [
        b.eim.package(enable(ICCID_A, rollback=True)),
        b.eim.package(disable(ICCID_BOOTSTRAP), delete(ICCID_BOOTSTRAP)),
        b.eim.package(set_fallback(ICCID_A), b"\xbf\x2d\x00"),
        b.eim.package(eim_configuration("n", pki()["dppb"].cert_der, tag=0xA8), eco=True),
        *(bytes.fromhex(c) for c in ("BF58038001FF", "BF2B04A0028200", "BF640482020780", "BF5505A003800178")),
        *(bytes.fromhex(c) for c in ("BF3E035C015A", "BF5D038001FF", "BF3003800101", "BF59028000", "BF65028000")),
    ]
    for _ in range(60):
        raw = bytearray(dice.choice(commands))
        for _ in range(dice.randrange(4)):
            match dice.randrange(3):
                case 0:
                    raw[dice.randrange(len(raw))] = dice.randrange(256)
                case 1:
                    del raw[dice.randrange(len(raw)) :]
                case 2:
                    raw.insert(dice.randrange(len(raw) + 1), dice.randrange(256))
            if not raw:
                raw.append(0)
        b.terminal.es10(bytes(raw))
        check_state(b)
        if dice.random() < 0.2:
            b = Bench(default_card(pki(), path), b.terminal, b.eim)
            b.terminal = Terminal(b.card).open()


@given(st.text(max_size=60))
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_any_text_is_a_state_or_a_state_file_error(text: str) -> None:
    with pytest.raises(StateFileError):
        loads(text)
