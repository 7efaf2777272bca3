"""Whether a package may be carried out (SGP.32 v1.2 §5.9.1): whose it is, for whom, and that it was not seen before.

Everything here is asked before anything is written or the card is touched.
"""

from __future__ import annotations

from typing import Final

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.ber.tlv import Tlv
from ipad_agent.codec.ber.tlv_fields import Fields
from ipad_agent.records import dataclass

from . import events
from .device_key import DeviceKey, KeyTrouble, verify
from .emulated_state import MAX_COUNTER, EimEntry, EmulatedState
from .result_signing import signed_error, token_tlv, unsigned_error

INVALID_EID: Final = 3
REPLAY: Final = 4
COUNTER_OUT_OF_RANGE: Final = 6
SIZE_OVERFLOW: Final = 15
UNDEFINED: Final = 127
MAX_PACKAGE_BYTES: Final = 0xFF00
_LONGEST_TRANSACTION_ID: Final = 16


@dataclass(frozen=True, slots=True)
class CheckedPackage:
    """A package that its eIM signed for this card, and that is new. ``operations`` is its list, A0 or A1."""

    entry: EimEntry
    counter: int
    transaction_id: bytes | None
    operations: Tlv

    @property
    def is_eco(self) -> bool:
        return self.operations.tag == 0xA1


def check(state: EmulatedState, key: DeviceKey, raw: bytes) -> CheckedPackage | bytes:
    """The package, or the answer (BF51) that refuses it. Raises ``CodecError`` when not even the eIM can be read."""
    outer = Fields(tlv.parse(raw))
    signed = outer.require(0x30, "euiccPackageSigned")
    signature = outer.require(0x5F37, "eimSignature")
    fields = Fields(signed)
    eim_id = fields.require(0x80, "eimId")
    transaction = fields.octets(0x82)
    if transaction is not None and not 1 <= len(transaction) <= _LONGEST_TRANSACTION_ID:
        transaction = None
    entry = next((entry for entry in state.eims if entry.eim_id.encode() == eim_id.value), None)
    if entry is None:
        events.UNKNOWN_EIM.emit()
        return unsigned_error(eim_id.value, transaction, None)
    if not _signed_by(entry, signature.value, signed.raw):
        events.SIGNATURE_WRONG.emit(eim=entry.eim_id)
        return unsigned_error(eim_id.value, transaction, entry.token)
    counter = fields.integer(0x81)
    eid, operations = fields.octets(0x5A), fields.first(0xA0, 0xA1)

    def refuse(code: int) -> bytes:
        return signed_error(key, entry.eim_id, counter, transaction, entry.token, code)

    if counter is None or eid is None or operations is None:
        return refuse(UNDEFINED)
    if eid != state.eid:
        return refuse(INVALID_EID)
    if counter <= entry.counter:
        return refuse(REPLAY)
    if counter > MAX_COUNTER:
        return refuse(COUNTER_OUT_OF_RANGE)
    if len(raw) > MAX_PACKAGE_BYTES:
        return refuse(SIZE_OVERFLOW)
    return CheckedPackage(entry, counter, transaction, operations)


def _signed_by(entry: EimEntry, signature: bytes, data: bytes) -> bool:
    spki = public_key(entry)
    try:
        return spki is not None and verify(spki, signature, data + token_tlv(entry.token))
    except KeyTrouble:
        return False


def public_key(entry: EimEntry) -> bytes | None:
    """The SubjectPublicKeyInfo by which this eIM's packages are verified; None when its entry has none to be used."""
    found = entry.data.public_key
    return None if found is None else spki_of(found.kind, found.der)


def spki_of(kind: str, der: bytes) -> bytes | None:
    """The SubjectPublicKeyInfo of key data, which may be a certificate."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    if kind == "spki":
        return der
    try:
        key = x509.load_der_x509_certificate(der).public_key()
    except (ValueError, TypeError):
        return None
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
