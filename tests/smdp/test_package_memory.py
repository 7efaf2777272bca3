"""What a large profile package takes of a small device's memory while it is read and cut, measured with tracemalloc."""

from __future__ import annotations

import base64
import tracemalloc
from collections.abc import Callable

import pytest

from ipad_agent.card import bpp_segments
from ipad_agent.codec.ber import tlv
from ipad_agent.codec.rsp.bpp_contents import read_bound_package
from ipad_agent.codec.rsp.es9_messages import read_bound_profile_package
from ipad_agent.codec.rsp.rsp_json import JsonAnswer

# ProfileMetadata with ICCID, service provider and name, and 8 bytes of MAC: 12 + 5 + 5 = 22 = 16; BF25 16: 25 + 8 = 21
METADATA = bytes.fromhex("88 21 BF25 16 5A0A 98940000000000000010 9103 414243 9203 444546") + bytes(8)
ELEMENTS = [tlv.encode(0x86, bytes(1000))] * 500
PACKAGE = tlv.encode(
    0xBF36,
    tlv.encode(0xBF23, bytes(100)),
    tlv.encode(0xA0, tlv.encode(0x87, bytes(20))),
    tlv.encode(0xA1, METADATA),
    tlv.encode(0xA3, *ELEMENTS),
)
BODY = (
    b'{"header":{"functionExecutionStatus":{"status":"Executed-Success"}},"transactionId":"01","boundProfilePackage":"'
    + base64.b64encode(PACKAGE)
    + b'"}'
)


def peak_bytes(action: Callable[[], object]) -> int:
    """The most that was held at a time beside what was there before, the result included."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        action()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def test_an_answer_of_half_a_megabyte_is_read_with_two_copies_of_its_text() -> None:
    answers: list[bytes] = []
    peak = peak_bytes(lambda: answers.append(read_bound_profile_package(JsonAnswer.parse(BODY), b"\x01")))
    assert answers == [PACKAGE]
    assert peak < 2.1 * len(BODY)  # 1.33 MB; 1.83 when base64 was given a copy of the text


@pytest.mark.parametrize("read", [bpp_segments.split, read_bound_package])
def test_a_package_is_checked_and_cut_without_a_copy_of_it(read: Callable[[bytes], object]) -> None:
    assert peak_bytes(lambda: read(PACKAGE)) < len(PACKAGE) / 2
