"""The few fields of an X.509 certificate that the IPA judges by itself (RFC 5280 §4.1, SGP.22 v2.5 §4.5.2).

The eUICC verifies server certificates, but it has no clock and does not know which server was meant: the dates and
the server's OID are left to the IPA.
"""

from __future__ import annotations

import calendar
from typing import Final

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.ber.object_identifier import decode_oid
from ipad_agent.codec.ber.tlv import Tlv
from ipad_agent.codec.ber.tlv_fields import Fields
from ipad_agent.errors import CodecError
from ipad_agent.records import dataclass, field

_SUBJECT_ALTERNATIVE_NAME: Final = bytes.fromhex("551D11")
_REGISTERED_ID: Final = 0x88
_UTC_TIME: Final = 0x17
_GENERALIZED_TIME: Final = 0x18


@dataclass(frozen=True, slots=True)
class Certificate:
    """Validity in seconds since 1970, and the OIDs (dotted) under registeredID in the alternative names."""

    raw: bytes = field(repr=False)
    not_before_s: int
    not_after_s: int
    registered_ids: tuple[str, ...]

    @classmethod
    def parse(cls, raw: bytes) -> Certificate:
        """From a whole certificate (``30``)."""
        root = tlv.parse(raw)
        body = root.find(0x30)
        if root.tag != 0x30 or body is None:
            raise CodecError("no certificate", offset=0)
        parts = list(body)
        if parts and parts[0].tag == 0xA0:
            del parts[0]
        # serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo
        if len(parts) < 6 or [part.tag for part in parts[:6]] != [0x02, 0x30, 0x30, 0x30, 0x30, 0x30]:
            raise CodecError("a certificate without its fields", offset=body.start)
        dates = parts[3].children()
        if len(dates) != 2:
            raise CodecError("a certificate without its dates", offset=parts[3].start)
        return cls(raw, _seconds(dates[0]), _seconds(dates[1]), _registered_ids(body))


def _seconds(element: Tlv) -> int:
    text = element.text(max_bytes=32)
    if element.tag == _UTC_TIME and len(text) == 13:
        # RFC 5280 §4.1.2.5.1: two-digit years below 50 are of this century
        text = ("20" if text[:2] < "50" else "19") + text
    elif element.tag != _GENERALIZED_TIME or len(text) != 15:
        raise CodecError("a date of a certificate in an unknown form", offset=element.start)
    digits = text[:14]
    if text[14] != "Z" or not (digits.isascii() and digits.isdigit()):
        raise CodecError("a date of a certificate in an unknown form", offset=element.start)
    year, *others = int(digits[:4]), *(int(digits[at : at + 2]) for at in range(4, 14, 2))
    month, day, hour, minute, second = others
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 61 and year):
        raise CodecError("a date of a certificate that does not exist", offset=element.start)
    return calendar.timegm((year, month, 1, hour, minute, second)) + (day - 1) * 86_400


def _registered_ids(body: Tlv) -> tuple[str, ...]:
    wrapper = body.find(0xA3)
    listed = wrapper.find(0x30) if wrapper is not None else None
    for extension in listed or ():
        fields = Fields(extension)
        content = fields.octets(0x04)
        if fields.octets(0x06) == _SUBJECT_ALTERNATIVE_NAME and content is not None:
            return tuple(decode_oid(name.value) for name in tlv.parse(content) if name.tag == _REGISTERED_ID)
    return ()
