"""What can be read of a bound profile package before it is loaded (SGP.22 v2.5 §2.5.3, §5.5).

Its metadata are protected by a MAC but not encrypted, so the IPA sees what the eUICC will store.
"""

from __future__ import annotations

from typing import Final

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.ber.tlv import hex_tag
from ipad_agent.codec.es10.profile_info import ProfileMetadata
from ipad_agent.errors import CodecError
from ipad_agent.records import dataclass

_MAC_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class BoundPackageContents:
    """``element_bytes`` counts the protected profile elements, the only measure of the profile's size there is."""

    metadata: ProfileMetadata
    element_bytes: int


def read_bound_package(bpp: bytes) -> BoundPackageContents:
    """From ``BF36 { BF23, A0, A1 { 88 … }, A2?, A3 { 86 … } }``; ``CodecError`` when it is not built like that."""
    package = tlv.parse(bpp)
    if package.tag != 0xBF36:
        raise CodecError(f"a bound profile package begins with BF36, not with {hex_tag(package.tag)}", offset=0)
    pieces = package.require(0xA1, "the metadata").children()
    if not pieces or any(piece.tag != 0x88 or len(piece.value) <= _MAC_BYTES for piece in pieces):
        raise CodecError("the metadata of the package are not in segments of 88", offset=package.start)
    metadata = ProfileMetadata.parse(b"".join(piece.value[:-_MAC_BYTES] for piece in pieces))
    elements = package.require(0xA3, "the profile elements")
    if any(piece.tag != 0x86 for piece in elements):
        raise CodecError("the profile elements are not in segments of 86", offset=elements.start)
    return BoundPackageContents(metadata, elements.end - elements.value_start)
