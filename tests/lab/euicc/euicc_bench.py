"""What the card tests share: a terminal, an eIM that signs, a verifier. Signatures by ``cryptography`` alone."""

from __future__ import annotations

import functools
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.x509 import load_der_x509_certificate

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc import Quirks, VirtualEuicc, default_card
from ipad_agent.lab.pki import Pki

# EF_ICCID bytes of the default profiles, written by hand from their digits (nibbles swapped).
ICCID_BOOTSTRAP = "98942000000100000011"
ICCID_A = "98942000000200000072"
ICCID_B = "98942000000300000033"
ICCID_NONE = "98942000000900000099"

_FOLDERS = tempfile.TemporaryDirectory(prefix="euicc-tests-")


@functools.cache
def pki(name: str = "main", curve: str = "p256") -> Pki:
    """One PKI for all tests of a run (all have the same EID)."""
    return Pki.create(Path(_FOLDERS.name) / name, curve, eim_id="eim1")


def enable(iccid: str, *, rollback: bool = False) -> bytes:
    return _iccid_operation(0xA3, iccid, b"\x05\x00" if rollback else b"")


def disable(iccid: str) -> bytes:
    return _iccid_operation(0xA4, iccid)


def delete(iccid: str) -> bytes:
    return _iccid_operation(0xA5, iccid)


def set_fallback(iccid: str) -> bytes:
    return _iccid_operation(0xA8, iccid)


def _iccid_operation(tag: int, iccid: str, more: bytes = b"") -> bytes:
    content = b"\x5a\x0a" + bytes.fromhex(iccid) + more
    return bytes([tag, len(content)]) + content


def raw_signature(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def signature_is_good(key: ec.EllipticCurvePublicKey, signature: bytes, data: bytes) -> bool:
    assert len(signature) == 64
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    try:
        key.verify(encode_dss_signature(r, s), data, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def card_key(world: Pki | None = None) -> ec.EllipticCurvePublicKey:
    key = load_der_x509_certificate((world or pki())["euicc"].cert_der).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


@dataclass
class Terminal:
    """Sends ES10 commands as an LPA would: short blocks, 61xx followed, answer up to 9000 or 91xx."""

    card: VirtualEuicc
    channel: int = 0
    block_bytes: int = 255
    sw: int = 0

    def open(self) -> Terminal:
        data, sw = self.apdu("0070000001")
        assert sw & 0xFF00 in (0x9000, 0x9100), hex(sw)
        self.channel = data[0]
        aid = "A0000005591010FFFFFFFF8900000100"
        _, sw = self.on_channel(0x00, f"A4040010{aid}")
        assert sw >> 8 in (0x61, 0x90, 0x91), hex(sw)
        return self

    def apdu(self, text: str) -> tuple[bytes, int]:
        answer = self.card.transmit(bytes.fromhex(text))
        return answer[:-2], int.from_bytes(answer[-2:], "big")

    def on_channel(self, base: int, rest: str) -> tuple[bytes, int]:
        cla = base | self.channel if self.channel < 4 else base | 0x40 | (self.channel - 4)
        return self.apdu(f"{cla:02X}{rest}")

    def es10(self, request: bytes | str) -> bytes:
        """The whole answer; ``sw`` keeps the last status word (also an error one, then the answer is empty)."""
        raw = bytes.fromhex(request) if isinstance(request, str) else request
        pieces = [raw[i : i + self.block_bytes] for i in range(0, len(raw), self.block_bytes)]
        data = b""
        for number, piece in enumerate(pieces):
            p1 = 0x91 if number == len(pieces) - 1 else 0x11
            data, self.sw = self.on_channel(0x80, f"E2{p1:02X}{number:02X}{len(piece):02X}{piece.hex()}")
            if self.sw >> 8 not in (0x61, 0x90, 0x91):
                return b""
        while self.sw >> 8 == 0x61:
            more, self.sw = self.on_channel(0x80, f"C00000{self.sw & 0xFF:02X}")
            data += more
        return data

    def hex(self, request: bytes | str) -> str:
        return self.es10(request).hex().upper()


@dataclass
class Eim:
    """Signs packages for a card; counts up unless told otherwise."""

    world: Pki
    eim_id: str = "eim1"
    counter: int = 0
    token: int | None = None

    def package(
        self,
        *operations: bytes,
        eco: bool = False,
        counter: int | None = None,
        eid: str | None = None,
        transaction_id: bytes | None = None,
        key: ec.EllipticCurvePrivateKey | None = None,
        token_tlv: bytes | None = None,
    ) -> bytes:
        if counter is None:
            self.counter += 1
            counter = self.counter
        parts = [
            der.utf8(self.eim_id, 0x80),
            der.octets(bytes.fromhex(eid or self.world.eid), 0x5A),
            der.integer(counter, 0x81),
            der.octets(transaction_id, 0x82) if transaction_id is not None else b"",
            der.tlv(0xA1 if eco else 0xA0, *operations),
        ]
        signed = der.seq(*parts)
        bound = token_tlv if token_tlv is not None else der.integer(self.token or 0, 0x84)
        signature = raw_signature(key or self.world["eim-sign"].private_key, signed + bound)
        return der.tlv(0xBF51, signed, der.octets(signature, 0x5F37))


@dataclass
class Bench:
    card: VirtualEuicc
    terminal: Terminal
    eim: Eim

    def run(self, *operations: bytes, eco: bool = False) -> str:
        """Execute a package; the content of euiccResult, hex."""
        answer = self.terminal.es10(self.eim.package(*operations, eco=eco))
        return der.parse(answer).path(0xA0, 0x30, 0x30).value.hex().upper()

    def reset(self) -> None:
        self.card.reset()
        self.terminal.open()

    def enabled(self) -> str | None:
        return {i: s for s, i in self.card.profile_states().items()}.get(True)


def bench(
    quirks: Quirks | None = None, path: Path | None = None, *, token: bool = False, world: Pki | None = None
) -> Bench:
    """A default card with its eIM associated, on an open channel."""
    world = world or pki()
    card = default_card(world, path, quirks, token=token)
    eim = Eim(world, token=1 if token else None)
    return Bench(card, Terminal(card).open(), eim)


def verify_result(answer: bytes, *, bound: bytes = b"\x84\x01\x00", world: Pki | None = None) -> der.Node:
    """The signed part of a BF51 { A0 } or BF51 { A1 } whose signature was checked over it and ``bound``."""
    node = der.parse(answer)
    assert node.tag == 0xBF51
    variant = node.find(0xA0, 0xA1)
    assert variant is not None
    signed, signature = variant.get(0x30), variant.get(0x5F37)
    assert signature_is_good(card_key(world), signature.value, signed.raw + bound)
    return signed
