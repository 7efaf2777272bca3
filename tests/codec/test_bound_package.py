"""What can be read of a bound profile package without its keys."""

from __future__ import annotations

import pytest

from ipad_agent.codec.rsp.bpp_contents import read_bound_package
from ipad_agent.errors import CodecError

from .vectors import BOUND_PACKAGE


def test_metadata_are_put_together_from_their_segments_without_the_macs() -> None:
    contents = read_bound_package(BOUND_PACKAGE)
    assert contents.metadata.raw == bytes.fromhex("BF25165A0A98940200000009000010910341424392034D4E4F")
    assert str(contents.metadata.iccid) == "89492000000090000001"
    assert contents.element_bytes == 5


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("BF3642", "BF3742"),
        ("A12D8814", "A12D8714"),
        ("A3058603010203", "A4058603010203"),
        ("A3058603010203", "A3058703010203"),
        ("A3058603010203", "A3058602010203"),
        ("BF3642", "BF3643"),
    ],
)
def test_a_package_that_is_built_otherwise_is_a_codec_error(right: str, wrong: str) -> None:
    spoiled = bytes.fromhex(BOUND_PACKAGE.hex().upper().replace(right, wrong))
    assert spoiled != BOUND_PACKAGE
    with pytest.raises(CodecError):
        read_bound_package(spoiled)
