"""A device's side in a few lines, written apart from the lab's own encoder, and an eIM to talk to."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from ipad_agent.lab.eim import EimIdentity, EimSettings, TlsIdentity, VirtualEim

EID = "89049032123451234512345678901235"  # the EID printed in SGP.26
ICCID = "8949449999999990031"
ICCID_BYTES = "98 94 44 99 99 99 99 09 30 F1"  # nibble-swapped by hand
POLL = bytes.fromhex("BF4F 12 5A10" + EID)
NO_PACKAGE = bytes.fromhex("BF4F 03 020101")
NOTHING_TO_ACKNOWLEDGE = bytes.fromhex("BF50 02 3000")
ERROR_127 = bytes.fromhex("BF50 03 02017F")
NO_TOKEN = bytes.fromhex("840100")


def t(tag: str, *parts: bytes | str) -> bytes:
    """A TLV; text parts are hex."""
    value = b"".join(bytes.fromhex(part) if isinstance(part, str) else part for part in parts)
    size = len(value)
    length = bytes([size]) if size < 128 else bytes([0x81, size]) if size < 256 else b"\x82" + size.to_bytes(2, "big")
    return bytes.fromhex(tag) + length + value


def raw_signature(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    """r then s, 64 bytes."""
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def self_signed(
    key: ec.EllipticCurvePrivateKey, name: str, *, serial_number: str | None = None, host: str | None = None
) -> x509.Certificate:
    """A certificate of its own, valid 2020 to 2040."""
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if serial_number is not None:
        attributes.append(x509.NameAttribute(NameOID.SERIAL_NUMBER, serial_number))
    subject = x509.Name(attributes)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))
        .not_valid_after(datetime.datetime(2040, 1, 1, tzinfo=datetime.UTC))
    )
    if host is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    return builder.sign(key, hashes.SHA256())


def certificate_der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@dataclass
class Card:
    """An eUICC that only signs what a test tells it to."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    eim_id: str = "65"  # "e"

    @property
    def certificate(self) -> bytes:
        return certificate_der(self_signed(self.key, "card", serial_number=EID))

    def epr(
        self,
        *,
        counter: str = "01",
        seq: str = "05",
        results: str = "830100",
        transaction: str = "",
        tail: bytes = NO_TOKEN,
    ) -> bytes:
        """BF51 { A0 }; counter, seq and transaction are the content bytes in hex."""
        signed = t(
            "30",
            t("80", self.eim_id),
            t("81", counter),
            t("82", transaction) if transaction else b"",
            t("83", seq),
            t("30", results),
        )
        return t("BF51", t("A0", signed, t("5F37", raw_signature(self.key, signed + tail))))

    def epe(self, code: str, *, counter: str = "01", tail: bytes = NO_TOKEN) -> bytes:
        """BF51 { A1 }."""
        signed = t("30", t("80", self.eim_id), t("81", counter), t("02", code))
        return t("BF51", t("A1", signed, t("5F37", raw_signature(self.key, signed + tail))))

    def notification(self, seq: str = "06", event: str = "0640") -> bytes:
        """An otherSignedNotification (enable) with this card's certificate twice."""
        metadata = t("BF2F", t("80", seq), t("81", event), t("0C", b"smdp.example"), t("5A", ICCID_BYTES))
        signature = t("5F37", raw_signature(self.key, metadata))
        return t("30", metadata, signature, self.certificate, self.certificate)

    def installation(self, seq: str = "07") -> bytes:
        """A ProfileInstallationResult that says success."""
        metadata = t("BF2F", t("80", seq), t("81", "0780"), t("0C", b"smdp.example"), t("5A", ICCID_BYTES))
        final = t("A2", t("A0", t("4F", "A0000005591010FFFFFFFF8900001000"), t("04", "3007A0053003800100")))
        data = t("BF27", t("80", "0A0B"), metadata, t("06", "883701"), final)
        return t("BF37", data, t("5F37", raw_signature(self.key, data)))


def identity(*, tls_key: ec.EllipticCurvePrivateKey | None = None) -> EimIdentity:
    """The eIM "e" with a self-signed TLS certificate for localhost."""
    tls_key = tls_key or new_key()
    return EimIdentity("e", new_key(), TlsIdentity(tls_key, (self_signed(tls_key, "e", host="localhost"),)))


def make_eim(
    card: Card | None = None,
    *,
    settings: EimSettings | None = None,
    token: int | None = None,
    counter: int = 0,
    state_path: Path | None = None,
) -> VirtualEim:
    """An eIM that knows the EID (and the card's key), with transactions 0A0A... to recognise."""
    settings = settings or EimSettings(transaction_id_bytes=2)
    eim = VirtualEim(identity(), settings=settings, state_path=state_path, random_bytes=lambda size: b"\x0a" * size)
    certificate = None if card is None else card.certificate
    eim.add_device(EID, counter=counter, token=token, certificate_der=certificate)
    return eim


def provide(result: bytes, *, eid: str = EID) -> bytes:
    """ProvideEimPackageResult in the v1.2 form."""
    return t("BF50", t("5A", eid) if eid else b"", result)


def noted(eim: VirtualEim, kind: str) -> list[dict[str, Any]]:
    """The history entries of one kind."""
    return [entry for entry in eim.history if entry["kind"] == kind]
