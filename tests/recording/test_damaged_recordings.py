"""Whatever a recording holds, it can be redacted, shown and captured, and what is read of it is a value or an error."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import replace

import pytest

from ipad_agent.errors import CodecError
from ipad_agent.recording.decode_input import meaning_lines, octets
from ipad_agent.recording.gsmtap_pcapng import pcapng
from ipad_agent.recording.recording_format import Record, read_lines
from ipad_agent.recording.recording_text import text_lines
from ipad_agent.recording.redacted_recording import redact

from .planted import planted

SEEDS = range(12)


def damaged(data: bytes, chance: random.Random) -> bytes:
    """A few bytes changed, left out, put in, or the end cut off."""
    made = bytearray(data or b"\0")
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(made) or 1)
        match chance.randint(0, 3):
            case 0:
                made[at : at + 1] = chance.randbytes(1)
            case 1:
                del made[at : at + chance.randint(1, 5)]
            case 2:
                made[at:at] = chance.randbytes(chance.randint(1, 4))
            case _:
                del made[at:]
    return bytes(made)


def some(chance: random.Random) -> list[Record]:
    """Records out of their order, a third of them damaged."""
    chosen = chance.sample(planted(), 60)
    return [replace(one, data=damaged(one.data, chance)) if chance.random() < 0.3 else one for one in chosen]


@pytest.mark.parametrize("seed", SEEDS)
def test_damaged_records_are_redacted_and_shown_all_the_same(seed: int) -> None:
    records = some(random.Random(seed))
    made = redact(records, salt=bytes(16)).records
    for before, after in zip(records, made, strict=True):
        if before.kind in ("at", "apdu"):
            assert len(before.data) == len(after.data)
    for each in (records, made):
        assert list(text_lines(each))
        assert b"".join(pcapng(each))


@pytest.mark.parametrize("seed", SEEDS)
def test_damaged_input_is_a_value_or_an_error(seed: int) -> None:
    chance = random.Random(seed)
    for record in some(chance)[:15]:
        for content in (record.data, record.data.hex().encode(), record.line(0)):
            broken = damaged(content, chance)
            read_lines([b'{"recording":2,"began_s":0}', broken])
            octets(broken)
            with suppress(CodecError):
                assert all(isinstance(line, str) for line in meaning_lines(broken) or ())
