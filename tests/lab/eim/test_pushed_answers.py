"""The lab's eIM reads the answer of a device wherever the octet FF may stand before the payload."""

from __future__ import annotations

import pytest

from ipad_agent.lab.eim.injection.coaps_client import _payload

RECEIVED = bytes.fromhex("BF4F020500")


@pytest.mark.parametrize(
    "head",
    [
        "6444 7F01 01020304",
        "6444 7FFF 01020304",
        "6444 7F01 FF0203FF",
        "6444 7F01 01020304 C1FF",  # Content-Format 255
        "6444 7F01 01020304 C1FF D104FF",  # and an option with its delta in a byte of its own
        "6444 7F01 01020304 4D02" + "FF" * 15,  # an ETag of fifteen bytes, as nobody may send it
    ],
)
def test_the_payload_is_what_follows_the_marker_behind_the_options(head: str) -> None:
    assert _payload(bytes.fromhex(head) + b"\xff" + RECEIVED) == RECEIVED


def test_an_answer_without_payload_has_none() -> None:
    assert _payload(bytes.fromhex("6444 7FFF FFFFFFFF")) == b""
