"""SMS-DELIVER as modems hand it out."""

from __future__ import annotations

import pytest

from ipad_agent.codec.short_message import ShortMessage, parse_short_message
from ipad_agent.errors import CodecError

# From a widely known description of PDU mode; the same bytes are in many programs' tests.
HELLO = bytes.fromhex("07917283010010F5040BC87238880900F10000993092516195800AE8329BFD4697D9EC37")


def test_the_default_alphabet_is_read() -> None:
    assert parse_short_message(HELLO) == ShortMessage("27838890001", "hellohello")


@pytest.mark.parametrize(
    ("pdu", "expected"),
    [
        ("00040C919451000000100008621103214365000400500031", ShortMessage("+491500000001", "P1")),
        ("00040C91945100000010000462110321436500025031", ShortMessage("+491500000001", "P1")),
    ],
)
def test_other_alphabets_are_read(pdu: str, expected: ShortMessage) -> None:
    assert parse_short_message(bytes.fromhex(pdu)) == expected


@pytest.mark.parametrize("cut", range(len(HELLO) - 1))
def test_one_that_is_cut_off_is_none(cut: int) -> None:
    with pytest.raises(CodecError):
        parse_short_message(HELLO[:cut])


def test_what_is_no_sms_deliver_or_has_parts_is_none() -> None:
    for position, value in ((8, 0x01), (8, 0x44)):
        changed = bytearray(HELLO)
        changed[position] = value
        with pytest.raises(CodecError):
            parse_short_message(bytes(changed))
    with pytest.raises(CodecError):
        parse_short_message(bytes(200))
