from __future__ import annotations

import pytest

from ipad_agent.card import apdu
from ipad_agent.card.errors import RequestTooLarge


def blocks(size_bytes: int, *, block_size: int = 255, le: bool = False) -> list[str]:
    request = bytes(i % 251 for i in range(size_bytes))
    return [command.hex().upper() for command, _ in apdu.store_data(request, block_size=block_size, le=le)]


def test_one_block_is_the_last_block() -> None:
    command, last = next(apdu.store_data(bytes.fromhex("BF3E035C015A"), block_size=255))
    assert command == bytes.fromhex("80E2910006BF3E035C015A")
    assert last


@pytest.mark.parametrize(
    ("size_bytes", "headers"),
    [
        (1, ["80E2910001"]),
        (254, ["80E29100FE"]),
        (255, ["80E29100FF"]),
        (256, ["80E21100FF", "80E2910101"]),
        (510, ["80E21100FF", "80E29101FF"]),
        (511, ["80E21100FF", "80E21101FF", "80E2910201"]),
        # One segment of a profile, 1020 bytes, is exactly four blocks.
        (1020, ["80E21100FF", "80E21101FF", "80E21102FF", "80E29103FF"]),
    ],
)
def test_a_request_is_cut_into_blocks_of_255_bytes(size_bytes: int, headers: list[str]) -> None:
    assert [block[:10] for block in blocks(size_bytes)] == headers


def test_the_blocks_joined_are_the_request() -> None:
    joined = "".join(block[10:] for block in blocks(1000, block_size=120))
    assert bytes.fromhex(joined) == bytes(i % 251 for i in range(1000))


def test_le_is_appended_only_when_asked_for() -> None:
    assert blocks(2) == ["80E29100020001"]
    assert blocks(2, le=True) == ["80E2910002000100"]


def test_256_blocks_are_the_limit_and_checked_before_the_first_is_sent() -> None:
    assert blocks(256 * 255)[-1][:10] == "80E291FFFF"
    with pytest.raises(RequestTooLarge):
        apdu.store_data(bytes(256 * 255 + 1), block_size=255)
    with pytest.raises(RequestTooLarge):
        apdu.store_data(bytes(256 * 60 + 1), block_size=60)


def test_an_empty_request_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="never empty"):
        apdu.store_data(b"", block_size=255)


@pytest.mark.parametrize(
    ("command", "corrected"),
    [
        ("00A4040C", "00A4040C1A"),
        ("00C00000FF", "00C000001A"),
        ("80E29100020001", "80E291000200011A"),
        ("80E2910002000100", "80E291000200011A"),
    ],
)
def test_le_is_put_where_it_belongs(command: str, corrected: str) -> None:
    assert apdu.with_le(bytes.fromhex(command), 0x1A) == bytes.fromhex(corrected)


def test_every_status_word_has_a_sentence() -> None:
    for sw in range(0x6100, 0x10000):
        assert apdu.explain(sw).startswith(f"{sw:04X}: ")
        assert len(apdu.explain(sw)) > 8


def test_the_common_status_words_are_told_apart() -> None:
    assert "reset is pending" in apdu.explain(0x6985)
    assert "toolkit command is waiting" in apdu.explain(0x910B)
