"""The import file of a card whose SGP.32 part is played by the device (``eim-euicc-import/1``).

One JSON object on one line, its members in a fixed order, no blanks, one line feed at its end. It names the key by
which the device signs results in the card's place, and proves that whoever wrote it has that key. What the proof covers
is the format, the EID, the key and the counter; the rest is taken on trust.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ipad_agent.lab.crypto import der
from ipad_agent.lab.pki import check_digits_ok, verify_raw

from .device_records import Device
from .errors import OrderError

FORMAT = "eim-euicc-import/1"
MAX_BYTES = 65536
MAX_COUNTER = 0x7FFFFFFF
_MEMBERS = (
    "format",
    "eid",
    "emulated",
    "ipa_public_key",
    "counter",
    "association_token",
    "euicc_info1",
    "ipa_capabilities",
    "device",
    "proof",
)
_OPTIONAL = frozenset({"association_token", "euicc_info1", "device"})
_IMEI = re.compile(r"\d{14,16}")


@dataclass(frozen=True, slots=True)
class ImportFile:
    """What a file says, with its proof verified.

    ``spki`` is DER, ``euicc_info1`` a whole BF20, ``capabilities`` a whole 30; ``imei`` is empty when it is not told.
    """

    eid: str
    spki: bytes
    counter: int
    token: int | None
    euicc_info1: bytes | None
    capabilities: bytes
    imei: str

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the key, as operators compare it: 64 upper-case hexadecimal digits."""
        return hashlib.sha256(self.spki).hexdigest().upper()

    @property
    def features(self) -> tuple[int, ...]:
        """The bits of ipaFeatures that are set."""
        return tuple(sorted(der.parse(self.capabilities).get(0x80).bits()))


def read_import(raw: bytes) -> ImportFile:
    """The content of an import file; ``OrderError`` says what is wrong with it, down to a blank too many."""
    document = _members(raw)
    eid, counter = document["eid"], document["counter"]
    if not isinstance(eid, str) or not check_digits_ok(eid):
        raise OrderError("the import file has no EID of 32 digits with right check digits")
    if document["emulated"] is not True:
        raise OrderError("the import file does not say that the eUICC is emulated")
    if type(counter) is not int or not 0 <= counter <= MAX_COUNTER:
        raise OrderError("the import file has no counter")
    token = document.get("association_token")
    if token is not None and (type(token) is not int or token < 0):
        raise OrderError("association_token is no number")
    spki = _binary(document, "ipa_public_key")
    key = _key(spki)
    proof = _binary(document, "proof")
    signed = f"{FORMAT}\n{eid}\n{document['ipa_public_key']}\n{counter}\n".encode()
    if len(proof) != 64 or not verify_raw(key, proof, signed):
        raise OrderError("the proof of the import file is wrong: it was not written by who has the key in it")
    info1 = _binary(document, "euicc_info1") if "euicc_info1" in document else None
    capabilities = _binary(document, "ipa_capabilities")
    for name, value, tag in (("euicc_info1", info1, 0xBF20), ("ipa_capabilities", capabilities, 0x30)):
        if value is not None:
            _check_tlv(name, value, tag)
    return ImportFile(eid, spki, counter, token, info1, capabilities, _imei(document))


def registered(known: Device | None, file: ImportFile, *, replace_key: bool) -> Device:
    """The record that the file makes; ``OrderError`` when there is one already that it may not replace.

    A key is only replaced when asked for, by another one, and with a counter above the one that is held: what was
    signed for the old key must not be good for the new one. Orders that wait stay and are built anew; what was accepted
    from the old key says nothing about the numbers that the new one begins with.
    """
    if known is None:
        fresh = Device(file.eid)
    elif not known.emulated:
        raise OrderError(f"{file.eid} is known as an IoT eUICC that signs for itself")
    elif not replace_key:
        raise OrderError(f"{file.eid} was imported before; a new key takes its place only with --replace-key")
    elif known.euicc_spki == file.spki:
        raise OrderError("that key is registered already: with the same key there is nothing to replace")
    elif file.counter <= known.counter:
        raise OrderError(
            f"the counter of the file is {file.counter}; it must be above {known.counter}, which is held here"
        )
    else:
        fresh = known
        fresh.accepted, fresh.last_seq = {}, None
        for order in fresh.queue:
            order.package = None
    fresh.emulated = True
    fresh.euicc_spki, fresh.counter, fresh.token = file.spki, file.counter, file.token
    fresh.euicc_info1 = file.euicc_info1 or fresh.euicc_info1
    fresh.features, fresh.imei = file.features, file.imei
    return fresh


def _members(raw: bytes) -> dict[str, Any]:
    if len(raw) > MAX_BYTES:
        raise OrderError(f"an import file of {len(raw)} bytes")
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise OrderError(f"not an import file: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise OrderError(f"not an import file of format {FORMAT}")
    missing = [name for name in _MEMBERS if name not in document and name not in _OPTIONAL]
    if missing:
        raise OrderError(f"the import file lacks {', '.join(missing)}")
    unknown = [name for name in document if name not in _MEMBERS]
    if unknown:
        raise OrderError(f"the import file has members that are none: {', '.join(unknown)}")
    written = {name: document[name] for name in _MEMBERS if name in document}
    if raw != json.dumps(written, separators=(",", ":"), ensure_ascii=False).encode() + b"\n":
        raise OrderError(
            "the import file is not one line with its members in order, without blanks, ended by a line feed"
        )
    return document


def _binary(document: dict[str, Any], name: str) -> bytes:
    try:
        return base64.b64decode(document[name], validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise OrderError(f"{name} is no base64: {error}") from error


def _key(spki: bytes) -> ec.EllipticCurvePublicKey:
    try:
        key = serialization.load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise OrderError(f"ipa_public_key is no key: {error}") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise OrderError("ipa_public_key is not on P-256")
    return key


def _check_tlv(name: str, value: bytes, tag: int) -> None:
    try:
        if der.parse(value).tag != tag or (tag == 0x30 and not der.parse(value).get(0x80).value):
            raise OrderError(f"{name} is no {tag:X}")
    except der.DerError as error:
        raise OrderError(f"{name} is no {tag:X}: {error}") from error


def _imei(document: dict[str, Any]) -> str:
    device = document.get("device")
    if device is None:
        return ""
    imei = device.get("imei") if isinstance(device, dict) and len(device) == 1 else None
    if not isinstance(imei, str) or not _IMEI.fullmatch(imei):
        raise OrderError("device names no IMEI")
    return imei
