"""Binding: from a profile package to the BoundProfilePackage (BF36) for one card (SGP.22 §2.5.3, §2.5.4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ipad_agent.lab.crypto import der
from ipad_agent.lab.crypto.bpp_protection import (
    KEY_BYTES,
    KEY_TYPE_AES,
    MAX_ENCRYPTED_BYTES,
    MAX_MAC_ONLY_BYTES,
    BspKeys,
    Protector,
    agree,
    derive_keys,
    pieces,
    replace_session_keys,
)
from ipad_agent.lab.smdp.smdp_faults import Faults

from .profile_metadata import ProfilePackage

INSTALL_BOUND_PROFILE_PACKAGE = 1
CONFIGURE_ISDP = der.tlv(0xBF24)


@dataclass(frozen=True, slots=True)
class BindingInput:
    """Whose package it is and with which keys. ``otsk`` is the server's one-time key as a number, ``sign`` gives the
    TLV 5F37 of DPpb over some bytes; ``ppk`` None keeps the session keys to the end."""

    package: ProfilePackage
    transaction_id: bytes
    eid: bytes
    euicc_otpk: bytes
    curve: ec.EllipticCurve
    otsk: int
    host_id: bytes
    ppk: BspKeys | None
    sign: Callable[[bytes], bytes]


def bind(order: BindingInput, faults: Faults | None = None) -> bytes:
    """The whole BF36. ``BspError`` when ``euicc_otpk`` is no point of the curve."""
    faults = faults or Faults()
    key = ec.derive_private_key(order.otsk, order.curve)
    keys = derive_keys(agree(key, order.euicc_otpk), host_id=order.host_id, eid=order.eid)
    segments = _spoiled(_protect(order, keys, faults), faults)
    groups: list[tuple[int, list[bytes]]] = []
    for group, segment in segments:
        if not groups or groups[-1][0] != group:
            groups.append((group, []))
        groups[-1][1].append(segment)
    first = _initialise(order, key, faults)
    inside = first + b"".join(_group(tag, parts, faults) for tag, parts in groups)
    whole = _tlv(0xBF36, inside, int(faults.value("bpp-length", 0)), long_form="bpp-long-form" in faults)
    return _cut(whole, first, segments, faults) + bytes(faults.value("bpp-trailing", b""))


def _initialise(order: BindingInput, key: ec.EllipticCurvePrivateKey, faults: Faults) -> bytes:
    """BF23; signed are its fields in a row and then the card's one-time key (SGP.22 §5.5.1)."""
    transaction_id = order.transaction_id
    if "bpp-transaction" in faults:
        transaction_id = bytes(byte ^ 0xFF for byte in transaction_id)
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    fields = b"".join(
        [
            der.integer(int(faults.value("bpp-remote-op", INSTALL_BOUND_PROFILE_PACKAGE)), 0x82),
            der.octets(transaction_id, 0x80),
            der.tlv(
                0xA6,
                der.octets(bytes([faults.value("bpp-key-type", KEY_TYPE_AES)]), 0x80),
                der.octets(bytes([faults.value("bpp-key-length", KEY_BYTES)]), 0x81),
                der.octets(bytes(faults.value("bpp-host-id", order.host_id)), 0x84),
            ),
            der.octets(bytes(faults.value("bpp-otpk", point)), 0x5F49),
        ]
    )
    signature = order.sign(fields + der.octets(order.euicc_otpk, 0x5F49))
    if "bpp-signature" in faults:
        signature = signature[:-1] + bytes([signature[-1] ^ 0x01])
    return der.tlv(0xBF23, fields, signature)


def _protect(order: BindingInput, keys: BspKeys, faults: Faults) -> list[tuple[int, bytes]]:
    """Each segment with the tag of the list it goes into."""
    session = Protector(keys)
    segments = [(0xA0, session.encrypt(0x87, bytes(faults.value("bpp-configure", CONFIGURE_ISDP))))]
    metadata = faults.value("bpp-metadata", order.package.metadata).encode()
    segments += [(0xA1, session.authenticate(0x88, piece)) for piece in pieces(metadata, MAX_MAC_ONLY_BYTES)]
    last = session
    if order.ppk is not None:
        segments.append((0xA2, session.encrypt(0x87, replace_session_keys(order.ppk))))
        last = Protector(order.ppk)
    if "bpp-keys" in faults:
        last = Protector(BspKeys(bytes(16), bytes(16), bytes(16)))
    elements = bytes(faults.value("bpp-elements", order.package.elements))
    segments += [(0xA3, last.encrypt(0x86, piece)) for piece in pieces(elements, MAX_ENCRYPTED_BYTES)]
    return segments


def _spoiled(segments: list[tuple[int, bytes]], faults: Faults) -> list[tuple[int, bytes]]:
    """Segments are numbered from 1; a number beyond the last one means the last one."""

    def index(action: str) -> int:
        return min(max(int(faults.value(action, 1)), 1), len(segments)) - 1

    if "bpp-mac" in faults:
        group, segment = segments[i := index("bpp-mac")]
        segments[i] = group, segment[:-1] + bytes([segment[-1] ^ 0x01])
    if "bpp-tag" in faults:
        group, segment = segments[i := index("bpp-tag")]
        segments[i] = group, bytes([0x8A]) + segment[1:]
    if "bpp-swap" in faults and len(segments) > 1:
        i = min(index("bpp-swap"), len(segments) - 2)
        (a, first), (b, second) = segments[i : i + 2]
        segments[i : i + 2] = [(a, second), (b, first)]
    if "bpp-repeat" in faults:
        i = index("bpp-repeat")
        segments.insert(i, segments[i])
    if "bpp-drop" in faults:
        del segments[index("bpp-drop")]
    return segments


def _group(tag: int, parts: list[bytes], faults: Faults) -> bytes:
    wanted, delta = faults.value("bpp-group-length", (0, 0))
    return _tlv(tag, b"".join(parts), delta if tag == wanted else 0, long_form="bpp-long-form" in faults)


def _cut(whole: bytes, first: bytes, segments: list[tuple[int, bytes]], faults: Faults) -> bytes:
    if "bpp-cut-bytes" in faults:
        return whole[: int(faults.value("bpp-cut-bytes", 0))]
    if "bpp-cut" not in faults:
        return whole
    number = min(int(faults.value("bpp-cut", 0)), len(segments))
    end = whole.index(first) + len(first)
    for _, segment in segments[:number]:
        end = whole.index(segment, end) + len(segment)
    return whole[:end]


def _tlv(tag: int, value: bytes, delta: int, *, long_form: bool) -> bytes:
    """A TLV whose length may lie by ``delta`` or be written with leading zeros."""
    if not delta and not long_form:
        return der.tlv(tag, value)
    head = tag.to_bytes(2 if tag > 0xFF else 1, "big")
    return head + b"\x84" + max(len(value) + delta, 0).to_bytes(4, "big") + value
