"""The file that gives a device the eIM of its card and the key it signs with: ``eim-ipad-provision/1``.

One flat JSON object of strings and integers, at most 16 KiB: no escapes, each member once, nothing behind it but one
line feed; blanks between the tokens are allowed, and members that are not known are passed over. It is read strictly
and by hand: two readers that find different things in one file would give a card two masters.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.ber.tlv import Tlv
from ipad_agent.codec.es10.eim_configuration import (
    EimConfigurationData,
    add_initial_eim_from_dump,
    add_initial_eim_request,
)
from ipad_agent.emulation.device_key import SoftwareKey
from ipad_agent.emulation.emulated_state import MAX_COUNTER
from ipad_agent.errors import CodecError
from ipad_agent.records import dataclass, field

FORMAT: Final = "eim-ipad-provision/1"
MOST_BYTES: Final = 16 << 10
CLOCK_SET_S: Final = 1_704_067_200.0
"""The beginning of 2024: a clock that shows less was never set, and proves no bundle expired."""

_BLANKS: Final = re.compile(rb"[ \t\r\n]*")
_STRING: Final = re.compile(rb'"([^"\\\x00-\x1f]*)"')
_INTEGER: Final = re.compile(rb"-?(?:0|[1-9][0-9]{0,18})(?![0-9.eE])")
_ISSUANCE: Final = re.compile(r"[0-9A-Fa-f-]{1,36}")
_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)


class UnusableBundle(ValueError):
    """Why a bundle is not used: words without a full stop, and nothing of its content that is secret."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle says. ``request`` is the AddInitialEim (BF57) that gives the card its eIMs; the first of them,
    ``eim_id``, is the one that the key is bound to, and ``counter`` the one that it begins with."""

    issuance_id: str
    request: bytes
    eim_id: str
    counter: int
    expires_s: float
    key: SoftwareKey = field(repr=False)

    def check_still_valid(self, wall_s: float) -> None:
        """Raises ``UnusableBundle`` when it expired by a clock that can be believed."""
        if wall_s >= CLOCK_SET_S and wall_s >= self.expires_s:
            raise UnusableBundle("it expired; have the eIM issue another one")


def read_bundle(data: bytes) -> Bundle:
    """Raises ``UnusableBundle``. Whether it expired is not looked at."""
    members = _members(data)
    if _text(members, "format") != FORMAT:
        raise UnusableBundle(f"its format is not {FORMAT}")
    issuance_id = _text(members, "issuance_id")
    if not _ISSUANCE.fullmatch(issuance_id):
        raise UnusableBundle("issuance_id is no UUID")
    counter = members.get("counter")
    if not isinstance(counter, int) or not 0 <= counter <= MAX_COUNTER:
        raise UnusableBundle("counter is no number from 0 on that an eIM counts with")
    key = _key(_binary(members, "device_key"))
    expires_s = _moment(_text(members, "expires_at"))
    try:
        request = _request(_binary(members, "eim_configuration"), counter)
        first = EimConfigurationData.parse(tlv.parse(request).require(0xA0, "the list of eIMs").children()[0].raw)
    except CodecError as error:
        raise UnusableBundle(f"eim_configuration: {error.message}") from None
    if first.counter != counter:
        raise UnusableBundle(f"counter is {counter}, and its eIM's configuration begins with {first.counter}")
    return Bundle(issuance_id, request, first.eim_id, counter, expires_s, key)


# -- JSON, as little of it as the form allows --------------------------------------------------------------------------


def _members(data: bytes) -> Mapping[str, str | int]:
    if len(data) > MOST_BYTES:
        raise UnusableBundle(f"it has more than {MOST_BYTES} bytes")
    at = _past(data, 0)
    at = _past(data, _expect(data, at, b"{"))
    found: dict[str, str | int] = {}
    while True:
        name, at = _string(data, at)
        if name in found:
            raise UnusableBundle("a member is there twice")
        at = _past(data, _expect(data, _past(data, at), b":"))
        found[name], at = _value(data, at)
        at = _past(data, at)
        if data[at : at + 1] != b",":
            break
        at = _past(data, at + 1)
    at = _expect(data, at, b"}")
    if data[at:] not in (b"", b"\n"):
        raise UnusableBundle("there is something behind its end")
    return found


def _past(data: bytes, at: int) -> int:
    blanks = _BLANKS.match(data, at)
    return at if blanks is None else blanks.end()


def _expect(data: bytes, at: int, sign: bytes) -> int:
    if data[at : at + 1] != sign:
        raise UnusableBundle(f"it is no flat JSON object (byte {at})")
    return at + 1


def _string(data: bytes, at: int) -> tuple[str, int]:
    match = _STRING.match(data, at)
    if match is None:
        raise UnusableBundle(f"it is no flat JSON object without escapes (byte {at})")
    try:
        return match[1].decode("utf-8"), match.end()
    except UnicodeDecodeError:
        raise UnusableBundle(f"it is not in UTF-8 (byte {at})") from None


def _value(data: bytes, at: int) -> tuple[str | int, int]:
    number = _INTEGER.match(data, at)
    if number is None:
        return _string(data, at)
    return int(number[0]), number.end()


# -- members -----------------------------------------------------------------------------------------------------------


def _text(members: Mapping[str, str | int], name: str) -> str:
    found = members.get(name)
    if not isinstance(found, str):
        raise UnusableBundle(f"{name} is missing" if found is None else f"{name} is no text")
    return found


def _binary(members: Mapping[str, str | int], name: str) -> bytes:
    try:
        return base64.b64decode(_text(members, name), validate=True)
    except (binascii.Error, ValueError):
        raise UnusableBundle(f"{name} is no base64") from None


def _moment(text: str) -> float:
    try:
        if _MOMENT.fullmatch(text):
            return datetime.fromisoformat(text.upper()).timestamp()
    except (ValueError, OverflowError):
        pass
    raise UnusableBundle("expires_at is no time by RFC 3339")


def _key(data: bytes) -> SoftwareKey:
    """From unencrypted PKCS#8 (RFC 5958); its two halves must belong together."""
    try:
        first, second, *_ = tlv.parse(data).children()
        if (first.tag, first.value, second.tag) != (0x02, b"\0", 0x30):
            raise UnusableBundle("device_key is no unencrypted PKCS#8")
        key = serialization.load_der_private_key(data, password=None)
    except UnusableBundle:
        raise
    except (CodecError, ValueError, TypeError, UnsupportedAlgorithm):
        raise UnusableBundle("device_key cannot be read as a private key") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise UnusableBundle("device_key is not on P-256")
    # Releases of cryptography that distributions have (38 in Debian 12) do not compare them.
    derived = ec.derive_private_key(key.private_numbers().private_value, ec.SECP256R1())
    if derived.public_key().public_numbers() != key.public_key().public_numbers():
        raise UnusableBundle("the two halves of device_key do not belong together")
    return SoftwareKey(key)


def _request(data: bytes, counter: int) -> bytes:
    """An AddInitialEim (BF57) from EimConfigurationData (30), an AddInitialEim, or the BF55 of a card, which since
    SGP.32 v1.3 §5.9.18 has no counters: the bundle's is meant then."""
    element = tlv.parse(data)
    if element.tag not in (0x30, 0xBF57, 0xBF55):
        raise CodecError("it is neither 30, nor BF57, nor BF55")
    if element.tag == 0x30:
        return add_initial_eim_request([_counted(element, counter)])
    listed = [_counted(child, counter) for child in element.require(0xA0, "the list of eIMs").children()]
    if element.tag == 0xBF57:
        return add_initial_eim_request(listed)
    return add_initial_eim_from_dump(tlv.encode(0xBF55, tlv.encode(0xA0, *(config.raw for config in listed))))


def _counted(element: Tlv, counter: int) -> EimConfigurationData:
    config = EimConfigurationData.parse(element.raw)
    if config.counter is not None:
        return config
    before = [child.raw for child in element.children() if child.tag < 0x83]
    behind = [child.raw for child in element.children() if child.tag > 0x83]
    return EimConfigurationData.parse(tlv.encode(0x30, *before, tlv.encode_integer(0x83, counter), *behind))
