"""The bytes of every operation and package an eIM can order (SGP.32 v1.2 §2.11.1, annex A of its schema).

Operations are finished TLVs; a package wraps a list of PSMOs or of eCOs, never both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec

from ipad_agent.lab.crypto import der
from ipad_agent.lab.eim.errors import OrderError

from .package_signing import sign_package

PSMO = "psmo"
ECO = "eco"
_LIST_TAG = {PSMO: 0xA0, ECO: 0xA1}

DATA_TAGS = {
    "notifications": 0xA0,
    "smdp": 0x81,
    "results": 0xA2,
    "info1": 0xBF20,
    "info2": 0xBF22,
    "smds": 0x83,
    "token": 0x84,
    "eum": 0xA5,
    "euicc": 0xA6,
    "ipa": 0xA8,
    "device": 0xA9,
}
"""The names of what a data request may ask for (SGP.32 v1.2 §2.11.1.2)."""

_V1_0_TAGS = {0xA0: 0xBF2B, 0x81: 0x80, 0xA2: 0xBF2B}


def eid_bytes(eid: str) -> bytes:
    """16 bytes of an EID of 32 digits, which may be hexadecimal ones."""
    if not re.fullmatch(r"[0-9A-Fa-f]{32}", eid):
        raise OrderError(f"{eid!r} is no EID of 32 digits")
    return bytes.fromhex(eid)


def iccid_bytes(iccid: str) -> bytes:
    """10 bytes of an ICCID of 18 to 20 digits or letters: nibbles swapped, filled with F. An F within is possible: what
    nobody can read as an ICCID may be ordered too."""
    if not re.fullmatch(r"[0-9A-F]{17,19}[0-9A-E]", iccid.upper()):
        raise OrderError(f"{iccid!r} is no ICCID of 18 to 20 digits or letters A to E")
    padded = iccid.upper().ljust(20, "F")
    return bytes.fromhex("".join(padded[i + 1] + padded[i] for i in range(0, 20, 2)))


def iccid_text(value: bytes) -> str:
    """The digits of an ICCID as stored on a card."""
    return "".join(f"{byte & 0x0F:X}{byte >> 4:X}" for byte in value).rstrip("F")


def enable(iccid: str, *, rollback: bool = False) -> bytes:
    """PSMO enable; ``rollback`` lets the IPA go back once if the new profile cannot reach the eIM."""
    return der.tlv(0xA3, der.tlv(0x5A, iccid_bytes(iccid)), der.null() if rollback else b"")


def disable(iccid: str) -> bytes:
    """PSMO disable."""
    return der.tlv(0xA4, der.tlv(0x5A, iccid_bytes(iccid)))


def delete(iccid: str) -> bytes:
    """PSMO delete."""
    return der.tlv(0xA5, der.tlv(0x5A, iccid_bytes(iccid)))


def list_profile_info(*, search: bytes = b"", tags: Iterable[int] = ()) -> bytes:
    """PSMO listProfileInfo; ``search`` is one TLV (4F, 5A or 95), ``tags`` the data objects wanted."""
    wanted = encode_tag_list(tags)
    return der.tlv(0xBF2D, der.tlv(0xA0, search) if search else b"", der.tlv(0x5C, wanted) if wanted else b"")


def get_rat() -> bytes:
    """PSMO getRAT."""
    return der.tlv(0xA6)


def configure_immediate_enable(*, on: bool, smdp_oid: str | None = None, smdp_address: str | None = None) -> bytes:
    """PSMO configureImmediateEnable; without the flag it switches the feature off."""
    return der.tlv(
        0xA7,
        der.null(0x80) if on else b"",
        b"" if smdp_oid is None else der.oid(smdp_oid, 0x81),
        b"" if smdp_address is None else der.utf8(smdp_address, 0x82),
    )


def set_fallback(iccid: str) -> bytes:
    """PSMO setFallbackAttribute."""
    return der.tlv(0xA8, der.tlv(0x5A, iccid_bytes(iccid)))


def unset_fallback() -> bytes:
    """PSMO unsetFallbackAttribute."""
    return der.tlv(0xA9)


def set_default_dp(address: str) -> bytes:
    """PSMO setDefaultDpAddress; the empty address clears it."""
    return der.tlv(0xBF65, der.utf8(address, 0x80))


def add_eim(configuration: bytes) -> bytes:
    """eCO addEim from an EimConfigurationData (30..)."""
    return _retag(0xA8, configuration)


def delete_eim(eim_id: str) -> bytes:
    """eCO deleteEim."""
    return der.tlv(0xA9, der.utf8(eim_id, 0x80))


def update_eim(configuration: bytes) -> bytes:
    """eCO updateEim from an EimConfigurationData (30..); what is absent stays as it is."""
    return _retag(0xAA, configuration)


def list_eim() -> bytes:
    """eCO listEim."""
    return der.tlv(0xAB)


def encode_tag_list(tags: Iterable[int]) -> bytes:
    """Tags side by side, as 5C wants them."""
    return b"".join(tag.to_bytes((tag.bit_length() + 7) // 8 or 1, "big") for tag in tags)


@dataclass(frozen=True, slots=True)
class PackageHead:
    """What stands around the operations of one eUICC package."""

    eim_id: str
    eid: bytes
    counter: int
    transaction_id: bytes | None = None


def unsigned_package(head: PackageHead, kind: str, operations: Sequence[bytes]) -> bytes:
    """euiccPackageSigned (30..): the bytes that get signed."""
    return der.seq(
        der.utf8(head.eim_id, 0x80),
        der.tlv(0x5A, head.eid),
        der.integer(head.counter, 0x81),
        b"" if head.transaction_id is None else der.tlv(0x82, head.transaction_id),
        der.tlv(_LIST_TAG[kind], *operations),
    )


def euicc_package(
    head: PackageHead,
    kind: str,
    operations: Sequence[bytes],
    *,
    key: ec.EllipticCurvePrivateKey,
    token: int | None,
    signature_form: str = "raw",
) -> bytes:
    """EuiccPackageRequest (BF51), signed."""
    signed = unsigned_package(head, kind, operations)
    return der.tlv(0xBF51, signed, sign_package(key, signed, token, signature_form))


@dataclass(frozen=True, slots=True)
class DataRequest:
    """What an IpaEuiccDataRequest asks for. Criteria: one sequence number, or notification event bits."""

    tags: tuple[int, ...]
    ci_pkid: bytes | None = None
    notification_seq: int | None = None
    notification_events: frozenset[int] | None = None
    result_seq: int | None = None

    def encode(self, transaction_id: bytes | None, *, dialect: str = "1.2") -> bytes:
        """BF52; in dialect 1.0 with that version's tags and without a transaction."""
        criterion = b""
        if self.notification_seq is not None:
            criterion = der.integer(self.notification_seq, 0x80)
        elif self.notification_events is not None:
            criterion = der.bits(self.notification_events, 0x81)
        tags = self.tags
        if dialect == "1.0":
            if 0xA2 in tags and 0xA0 not in tags and not criterion:
                criterion = der.null(0x82)
            tags = tuple(dict.fromkeys(_V1_0_TAGS.get(tag, tag) for tag in tags))
        new = dialect != "1.0"
        return der.tlv(
            0xBF52,
            der.tlv(0x5C, encode_tag_list(tags)),
            b"" if self.ci_pkid is None else der.octets(self.ci_pkid),
            der.tlv(0xA1, criterion) if criterion else b"",
            der.tlv(0xA2, der.integer(self.result_seq, 0x80)) if new and self.result_seq is not None else b"",
            der.tlv(0x83, transaction_id) if new and transaction_id is not None else b"",
        )


def download_data(code: str) -> bytes:
    """profileDownloadData of a trigger: an activation code, ``default``, ``smds``, ``smds:ADDRESS`` or ``none``."""
    if code == "none":
        return b""
    if code == "default":
        return der.tlv(0xA0, der.null(0x81))
    if code == "smds":
        return der.tlv(0xA0, der.tlv(0xA2))
    if code.startswith("smds:"):
        return der.tlv(0xA0, der.tlv(0xA2, der.utf8(code[5:], 0x80)))
    return der.tlv(0xA0, der.utf8(code, 0x80))


def download_trigger(code: str, transaction_id: bytes | None) -> bytes:
    """ProfileDownloadTriggerRequest (BF54); ``code`` as for ``download_data``."""
    return der.tlv(0xBF54, download_data(code), b"" if transaction_id is None else der.tlv(0x82, transaction_id))


def _retag(tag: int, sequence: bytes) -> bytes:
    try:
        return der.tlv(tag, der.parse(sequence).value)
    except der.DerError as error:
        raise OrderError(f"no EimConfigurationData: {error}") from error
