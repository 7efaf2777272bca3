"""What an operator orders: the metadata of a profile and the package itself."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from ipad_agent.lab.crypto import der

TEST, PROVISIONING, OPERATIONAL = 0, 1, 2
"""ProfileClass."""
PPR1, PPR2 = 1, 2
"""Bits of PprIds: disabling not allowed, deletion not allowed."""
INSTALL, ENABLE, DISABLE, DELETE = 0, 1, 2, 3
"""Bits of NotificationEvent."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """StoreMetadataRequest (BF25) with the fields that SGP.32 added.

    ``iccid`` is 18 to 20 digits; ``owner`` mccMnc (3 bytes), gid1, gid2; ``notify`` pairs of event bits and address;
    ``raw`` replaces everything, for metadata that no honest server would send.
    """

    iccid: str
    service_provider: str = "Lab Operator"
    name: str = "Lab Profile"
    icon_type: int | None = None
    icon: bytes = b""
    profile_class: int = OPERATIONAL
    notify: tuple[tuple[tuple[int, ...], str], ...] = ()
    owner: tuple[bytes, bytes | None, bytes | None] | None = (b"\x62\xf2\x10", None, None)
    ppr: tuple[int, ...] = ()
    stored_data: bytes = b""
    """Content of serviceSpecificDataStoredInEuicc (BF22)."""
    unstored_data: bytes = b""
    """Content of serviceSpecificDataNotStoredInEuicc (BF23)."""
    ecall: bool | None = None
    fallback_allowed: bool | None = None
    raw: bytes | None = None

    def encode(self) -> bytes:
        """The TLV BF25 in the order of the type; DEFAULT values are left out, as DER wants it."""
        if self.raw is not None:
            return self.raw
        parts = [
            der.octets(tbcd(self.iccid), 0x5A),
            der.utf8(self.service_provider, 0x91),
            der.utf8(self.name, 0x92),
        ]
        if self.icon_type is not None:
            parts += [der.integer(self.icon_type, 0x93), der.octets(self.icon, 0x94)]
        if self.profile_class != OPERATIONAL:
            parts.append(der.integer(self.profile_class, 0x95))
        if self.notify:
            parts.append(der.tlv(0xB6, *(_target(events, address) for events, address in self.notify)))
        if self.owner is not None:
            parts.append(_operator(*self.owner))
        if self.ppr:
            parts.append(der.bits(self.ppr, 0x99))
        if self.stored_data:
            parts.append(der.tlv(0xBF22, self.stored_data))
        if self.unstored_data:
            parts.append(der.tlv(0xBF23, self.unstored_data))
        if self.ecall is not None:
            parts.append(der.boolean(self.ecall, 0x9F7B))
        if self.fallback_allowed is not None:
            parts.append(der.boolean(self.fallback_allowed, 0x9F67))
        return der.tlv(0xBF25, *parts)


def with_notifications(
    address: str, events: Iterable[int] = (INSTALL, ENABLE, DISABLE, DELETE)
) -> tuple[tuple[tuple[int, ...], str], ...]:
    """``notify`` for one receiver of these events, one element each."""
    return tuple(((event,), address) for event in events)


@dataclass(frozen=True, slots=True)
class ProfilePackage:
    """A profile as the operator has it: metadata and the unprotected package (concatenated profile elements).

    ``memory_bytes`` is what a card must have free for it.
    """

    metadata: Metadata
    elements: bytes = field(repr=False)
    memory_bytes: int = 0

    @classmethod
    def sample(cls, metadata: Metadata, size_bytes: int = 3000) -> ProfilePackage:
        """A package of about that size: header with the ICCID, non-standard elements as ballast, end."""
        return cls(metadata, sample_elements(metadata.iccid, size_bytes), size_bytes)


def sample_elements(iccid: str, size_bytes: int = 3000) -> bytes:
    """Profile elements in the shape of TCA's interoperable profile; ``size_bytes`` is reached, hardly exceeded."""
    header = der.tlv(
        0xA0,
        der.integer(2, 0x80),
        der.integer(3, 0x81),
        der.utf8("Lab profile", 0x82),
        der.octets(tbcd(iccid), 0x83),
        der.tlv(0xA5, der.null(0x81)),
        der.tlv(0xA6, der.oid("2.23.143.1.2.1")),
    )
    end = der.tlv(0xAA, _element_header(99))
    ballast = []
    left = size_bytes - len(header) - len(end)
    number = 1
    while left > 0:
        content = bytes(i * 7 & 0xFF for i in range(min(left, 900)))
        ballast.append(der.tlv(0xBE, _element_header(number), der.oid("2.999.32", 0x81), der.octets(content, 0x82)))
        left -= len(ballast[-1])
        number = number % 90 + 1
    return b"".join([header, *ballast, end])


def tbcd(iccid: str) -> bytes:
    """18 to 20 digits or letters as the 10 bytes of EF_ICCID: nibbles swapped, filled with F."""
    if not re.fullmatch(r"[0-9A-E]{18,20}", iccid):
        raise ValueError(f"an ICCID has 18 to 20 digits or letters A to E, not {iccid!r}")
    filled = iccid.ljust(20, "F")
    return bytes.fromhex("".join(filled[i + 1] + filled[i] for i in range(0, 20, 2)))


def _element_header(number: int) -> bytes:
    return der.tlv(0xA0, der.null(0x80), der.integer(number, 0x81))


def _target(events: tuple[int, ...], address: str) -> bytes:
    return der.seq(der.bits(events, 0x80), der.utf8(address, 0x81))


def _operator(mcc_mnc: bytes, gid1: bytes | None, gid2: bytes | None) -> bytes:
    parts = [der.octets(mcc_mnc, 0x80)]
    if gid1 is not None:
        parts.append(der.octets(gid1, 0x81))
    if gid2 is not None:
        parts.append(der.octets(gid2, 0x82))
    return der.tlv(0xB7, *parts)
