"""BPP protection (SCP03t as SGP.22 §2.5.3, §2.6.4 and annex G use it), for whoever binds and whoever opens a profile.

    keys = derive_keys(agree(own_key, other_point), host_id=host_id, eid=eid)
    segment = Protector(keys).encrypt(0x87, plain)
    plain = Opener(keys).decrypt(segment)

Both directions keep one chain: the MAC of a segment goes into the next one, and a segment counter, in which MAC-only
segments count too, makes the initial vector. Session keys and profile protection keys differ in their bytes only.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography.hazmat.primitives import cmac, hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF

from . import der

KEY_TYPE_AES = 0x88
KEY_BYTES = 16
MAC_BYTES = 8
BLOCK_BYTES = 16
MAX_SEGMENT_BYTES = 1020
_LONGEST_HEADER_BYTES = 4
MAX_MAC_ONLY_BYTES = MAX_SEGMENT_BYTES - _LONGEST_HEADER_BYTES - MAC_BYTES
"""Payload of the largest MAC-only segment: 1008."""
MAX_ENCRYPTED_BYTES = MAX_MAC_ONLY_BYTES // BLOCK_BYTES * BLOCK_BYTES - 1
"""Plain data of the largest encrypted segment: 1007, at least one byte of it is padding."""


class BspError(ValueError):
    """A key or a segment is not what it should be; ``structure`` tells a wrong shape from a wrong MAC or padding."""

    def __init__(self, message: str, *, structure: bool = False) -> None:
        super().__init__(message)
        self.structure = structure


@dataclass(frozen=True, slots=True)
class BspKeys:
    """Three times 16 bytes: the MAC chaining value to begin with, S-ENC and S-MAC (or the PPKs)."""

    chaining: bytes
    enc: bytes
    mac: bytes

    def __post_init__(self) -> None:
        if not len(self.chaining) == len(self.enc) == len(self.mac) == KEY_BYTES:
            raise BspError("a BSP key is not 16 bytes", structure=True)


def agree(key: ec.EllipticCurvePrivateKey, point: bytes) -> bytes:
    """The shared secret (32 bytes, the x coordinate) with the owner of ``point``: 04, x, y, or 02/03, x.

    ``BspError`` when ``point`` is not on the curve of ``key``.
    """
    try:
        other = ec.EllipticCurvePublicKey.from_encoded_point(key.curve, point)
    except ValueError as error:
        raise BspError(f"not a point of {key.curve.name}", structure=True) from error
    return key.exchange(ec.ECDH(), other)


def derive_keys(
    secret: bytes, *, host_id: bytes, eid: bytes, key_type: int = KEY_TYPE_AES, key_bytes: int = KEY_BYTES
) -> BspKeys:
    """X9.63 with SHA-256 over ``secret``; ``host_id`` up to 16 bytes, ``eid`` its 16 bytes (SGP.22 annex G.1)."""
    if len(eid) != 16 or not 1 <= len(host_id) <= 16:
        raise BspError("hostId or EID has a wrong length", structure=True)
    info = bytes([key_type, key_bytes, len(host_id)]) + host_id + bytes([len(eid)]) + eid
    # Of key_type and key_bytes only AES-128 is defined; others change the keys, never their size.
    block = X963KDF(algorithm=hashes.SHA256(), length=3 * KEY_BYTES, sharedinfo=info).derive(secret)
    return BspKeys(block[:16], block[16:32], block[32:])


class _Chain:
    """What both directions keep: the keys, the last MAC and the number of the next block."""

    def __init__(self, keys: BspKeys) -> None:
        self.keys = keys
        self.chaining = keys.chaining
        self.counter = 1

    def _mac(self, head_and_payload: bytes) -> bytes:
        """The full MAC of the next segment, which is then the chaining value."""
        mac = cmac.CMAC(algorithms.AES(self.keys.mac))
        mac.update(self.chaining + head_and_payload)
        return mac.finalize()

    def _cipher(self) -> Cipher[modes.CBC]:
        aes = algorithms.AES(self.keys.enc)
        encryptor = Cipher(aes, modes.CBC(bytes(BLOCK_BYTES))).encryptor()
        vector = encryptor.update(self.counter.to_bytes(BLOCK_BYTES, "big")) + encryptor.finalize()
        return Cipher(aes, modes.CBC(vector))


class Protector(_Chain):
    """Makes the segments of one key set, in the order they are asked for."""

    def encrypt(self, tag: int, plain: bytes) -> bytes:
        """An encrypted segment: ``tag`` 86 or 87, at most ``MAX_ENCRYPTED_BYTES`` of ``plain``."""
        padded = plain + b"\x80" + bytes(-(len(plain) + 1) % BLOCK_BYTES)
        encryptor = self._cipher().encryptor()
        return self.authenticate(tag, encryptor.update(padded) + encryptor.finalize())

    def authenticate(self, tag: int, payload: bytes) -> bytes:
        """A segment that is not encrypted: ``tag`` 88, at most ``MAX_MAC_ONLY_BYTES``."""
        if len(payload) > MAX_MAC_ONLY_BYTES:
            raise BspError(f"{len(payload)} bytes do not fit into a segment", structure=True)
        unfinished = der.tlv(tag, payload, bytes(MAC_BYTES))[:-MAC_BYTES]
        self.chaining = self._mac(unfinished)
        self.counter += 1
        return unfinished + self.chaining[:MAC_BYTES]


class Opener(_Chain):
    """Checks and opens the segments of one key set, in the order they come.

    A segment that fails leaves chain and counter as they were, though SGP.22 wants the session to end there.
    ``max_segment_bytes`` may be raised for a card that takes more than it must.
    """

    def __init__(self, keys: BspKeys, *, max_segment_bytes: int = MAX_SEGMENT_BYTES) -> None:
        super().__init__(keys)
        self._max_segment_bytes = max_segment_bytes

    def decrypt(self, segment: bytes) -> bytes:
        """The plain data of an encrypted segment; ``BspError`` when shape, MAC or padding is wrong."""
        payload, mac = self._check(segment)
        if not payload or len(payload) % BLOCK_BYTES:
            raise BspError("the payload is not whole blocks", structure=True)
        decryptor = self._cipher().decryptor()
        padded = decryptor.update(payload) + decryptor.finalize()
        plain = padded.rstrip(b"\x00")
        if not plain.endswith(b"\x80") or len(padded) - len(plain) >= BLOCK_BYTES:
            raise BspError("the padding is wrong")
        self._accept(mac)
        return plain[:-1]

    def verify(self, segment: bytes) -> bytes:
        """The payload of a MAC-only segment; ``BspError`` when shape or MAC is wrong."""
        payload, mac = self._check(segment)
        self._accept(mac)
        return payload

    def _check(self, segment: bytes) -> tuple[bytes, bytes]:
        if len(segment) > self._max_segment_bytes:
            raise BspError(f"a segment of {len(segment)} bytes", structure=True)
        try:
            node = der.parse(segment, ber=True)
        except der.DerError as error:
            raise BspError(f"not a segment: {error}", structure=True) from error
        if len(node.value) < MAC_BYTES:
            raise BspError("no room for a MAC", structure=True)
        mac = self._mac(segment[:-MAC_BYTES])
        if not hmac.compare_digest(mac[:MAC_BYTES], segment[-MAC_BYTES:]):
            raise BspError("the MAC is wrong")
        return node.value[:-MAC_BYTES], mac

    def _accept(self, mac: bytes) -> None:
        self.chaining = mac
        self.counter += 1


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    """``data`` in pieces of ``size`` bytes, the last one shorter; one empty piece when there is no data."""
    for start in range(0, len(data) or 1, size):
        yield data[start : start + size]


def replace_session_keys(keys: BspKeys) -> bytes:
    """BF26: the command that brings the profile protection keys (SGP.22 §5.5.4)."""
    return der.tlv(0xBF26, der.octets(keys.chaining, 0x80), der.octets(keys.enc, 0x81), der.octets(keys.mac, 0x82))


def replaced_keys(command: bytes) -> BspKeys:
    """The keys in a BF26; ``BspError`` when it is none."""
    try:
        node = der.parse(command, ber=True)
        if node.tag != 0xBF26:
            raise BspError(f"{node.tag:X} is not BF26", structure=True)
        return BspKeys(node.get(0x80).value, node.get(0x81).value, node.get(0x82).value)
    except der.DerError as error:
        raise BspError(f"not a BF26: {error}", structure=True) from error
