"""Profiles as an eIM asks for them, from a card that does not know all of the fields (SGP.32 v1.2 §2.11.1.1.3).

The fallback attribute (9F26) is this device's own knowledge and never asked of the card; what the card refuses to tell
is left out, which an absent field means anyway.
"""

from __future__ import annotations

from typing import Final

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.ber.tlv import Tlv
from ipad_agent.codec.ber.tlv_fields import Fields
from ipad_agent.codec.es10.profile_info import ProfileInfo, ProfileList
from ipad_agent.errors import CardError

from . import events
from .consumer_card import ConsumerCard

LIST: Final = 0xBF2D
FALLBACK_ATTRIBUTE: Final = 0x9F26
DEFAULT_TAGS: Final = (0x5A, 0x4F, 0x9F70, 0x91, 0x92, 0x95, 0x9F7B, 0x9F26, 0x9F67)
"""What a list tells when nobody says what, in the IoT."""
_FOREIGN_TO_CARDS: Final = frozenset({0x9F7B, 0x9F67, 0xBF64})
_BEHIND: Final = frozenset({0x9F67, 0xBF64})
_OF_THE_MOMENT: Final = frozenset({11, 127})
_UNDEFINED: Final = 127


async def list_profile_info(card: ConsumerCard, operation: Tlv, fallback: bytes | None) -> tuple[bytes, bool]:
    """The result of listProfileInfo (BF2D), and whether it is a list. Raises ``CardError`` or ``ModemError`` when the
    card is gone, and ``CodecError`` for an operation that nobody can read."""
    fields = Fields(operation)
    search = fields.first(0xA0)
    tags = _tags(fields.octets(0x5C))
    found: ProfileList | None = None
    for asked in _tries(tags):
        wanted = b"" if asked is None else tlv.encode(0x5C, b"".join(map(_tag_bytes, asked)))
        try:
            found = await card.list_profiles(tlv.encode(LIST, b"" if search is None else search.raw, wanted))
        except CardError as error:
            if not error.alive:
                raise
            events.CARD_REFUSED.emit(function="GetProfilesInfo", reason=error.message)
            continue
        if found.error is None or int(found.error) in _OF_THE_MOMENT:
            break
    if found is None:
        return tlv.encode(LIST, tlv.encode_integer(0x81, _UNDEFINED)), False
    if found.error is not None:
        return tlv.encode(LIST, tlv.encode_integer(0x81, int(found.error))), False
    told = (_with_attribute(profile, tags, fallback) for profile in found.profiles)
    return tlv.encode(LIST, tlv.encode(0xA0, *told)), True


def _tries(tags: tuple[int, ...]) -> list[tuple[int, ...] | None]:
    own = tuple(tag for tag in tags if tag != FALLBACK_ATTRIBUTE)
    # Without the ICCID nobody could say which profile has the attribute.
    own = own if 0x5A in own or FALLBACK_ATTRIBUTE not in tags else (0x5A, *own)
    shorter = tuple(tag for tag in own if tag not in _FOREIGN_TO_CARDS)
    return [own, *([shorter] if shorter != own else []), None]


def _with_attribute(profile: ProfileInfo, tags: tuple[int, ...], fallback: bytes | None) -> bytes:
    """The element (E3) with what was asked for, and with the attribute in its place."""
    children = [child for child in tlv.parse(profile.raw) if child.tag in tags and child.tag != FALLBACK_ATTRIBUTE]
    parts = [child.raw for child in children]
    if FALLBACK_ATTRIBUTE in tags and profile.iccid_raw == fallback is not None:
        place = next((at for at, child in enumerate(children) if child.tag in _BEHIND), len(parts))
        parts.insert(place, tlv.encode(FALLBACK_ATTRIBUTE, b"\xff"))
    return tlv.encode(0xE3, *parts)


def _tags(tag_list: bytes | None) -> tuple[int, ...]:
    if tag_list is None:
        return DEFAULT_TAGS
    found: list[int] = []
    at = 0
    while at < len(tag_list):
        end = at + 1
        if tag_list[at] & 0x1F == 0x1F:
            while end < len(tag_list) and tag_list[end] & 0x80:
                end += 1
            end += 1
        found.append(int.from_bytes(tag_list[at:end], "big"))
        at = end
    return tuple(found)


def _tag_bytes(tag: int) -> bytes:
    return tag.to_bytes((tag.bit_length() + 7) // 8 or 1, "big")
