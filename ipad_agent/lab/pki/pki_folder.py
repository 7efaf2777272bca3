"""The folder of a PKI and its manifest.

Entries and what they are:

=====================  ======================================================================================
``ci``                 CERT.CI.ECDSA, the root; its key identifier is the euiccCiPKId
``eum``, ``euicc``     the card maker and the card (EID in the subject)
``dpauth`` ``dppb``    the SM-DP+'s signers; ``dptls`` its HTTPS certificate (same registeredID in all three)
``dsauth`` ``dstls``   the same for the SM-DS
``eim-sign``           the key that signs eUICC packages
``eim-tls-self``       the eIM's (D)TLS certificate, self-signed
``eim-ca``             the eIM operator's CA, and ``eim-tls-issued`` the (D)TLS certificate that it issued
``<entry>-expired``    the same certificate, same key, past its end; ``-not-yet-valid`` before its begin
``<entry>-foreign``    the same names with another key (and, if issued, from another CA): must not be trusted
``<entry>-rsa``        the same names and, if issued, the same CA, with an RSA key: for TLS servers
=====================  ======================================================================================

Files: ``<entry>.cert.pem``, ``<entry>.cert.der``, ``<entry>.key.pem`` (PKCS #8, mode 0600), ``manifest.json``.
Variants are made by ``Pki.variant`` when first asked for.

A foreign folder needs only a manifest: ``{"files": {"euicc": {"cert": "x.der", "key": "y.pem"}, ...}}``, paths
relative to it, PEM or DER. Missing ``eid`` is read from the eUICC certificate; a missing key leaves a public entry.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from ipad_agent.lab.crypto.ecdsa import CURVES
from ipad_agent.lab.crypto.issued_by import verify_directly_issued_by

from . import certificates
from .certificates import Issuer, Request
from .credential import Credential, PkiError, PrivateKey, load_credential
from .eid import make_eid

MANIFEST = "manifest.json"
_EID = re.compile(r"[0-9A-F]{32}")
_ORGANIZATION = "RSP Test EUM"
_LIFETIME = timedelta(days=365 * 30)
_KINDS = ("expired", "not-yet-valid", "foreign", "rsa")


@dataclass(slots=True)
class Pki:
    """An open PKI folder. ``pki["euicc"]`` is an entry; ``pki.eid``, ``pki.ci_pkid`` what the card says of itself."""

    folder: Path
    curve: str
    eid: str
    eim_id: str
    smdp_oid: str
    smds_oid: str
    entries: dict[str, Credential] = field(default_factory=dict)

    @classmethod
    def create(
        cls,
        folder: Path,
        curve: str = "p256",
        *,
        eid: str | None = None,
        eim_id: str = "eim.lab.example",
        eim_hosts: Sequence[str] = (),
        smdp_host: str = "smdp.lab.example",
        smds_host: str = "smds.lab.example",
        smdp_oid: str = "2.999.10",
        smds_oid: str = "2.999.15",
        now: datetime | None = None,
    ) -> Pki:
        """Make all entries in ``folder`` (made if missing, mode 0700) and write them.

        ``curve`` (``p256`` or ``brainpool``) is that of CI, cards, RSP servers and eIM signature; (D)TLS entries of
        the eIM are always P-256, which every TLS stack speaks. ``eim_hosts`` default to the eimId, localhost and
        127.0.0.1. Certificates are valid from one day before ``now`` for 30 years.
        """
        if curve not in CURVES:
            raise PkiError(f"{curve!r} is none of {', '.join(CURVES)}")
        eid = (eid or make_eid()).upper()
        if not _EID.fullmatch(eid):
            raise PkiError(f"{eid!r} is no EID of 32 hexadecimal digits")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        pki = cls(folder, curve, eid, eim_id, smdp_oid, smds_oid)
        hosts = tuple(eim_hosts) or (eim_id, "localhost", "127.0.0.1")
        begin = (now or datetime.now(UTC)) - timedelta(days=1)

        def add(entry: str, request: Request, issuer: str | None = None, curve: str = curve) -> None:
            pki._make(entry, request, issuer, CURVES[curve](), begin, begin + _LIFETIME)

        add("ci", certificates.ci("Test CI"))
        add("eum", certificates.eum(_ORGANIZATION, eid[:8]), "ci")
        add("euicc", certificates.euicc(_ORGANIZATION, eid), "eum")
        add("dpauth", certificates.rsp_signer("dp-auth", "TEST SM-DP+", smdp_oid), "ci")
        add("dppb", certificates.rsp_signer("dp-pb", "TEST SM-DP+", smdp_oid), "ci")
        add("dptls", certificates.rsp_tls("dp-tls", smdp_host, smdp_oid), "ci")
        add("dsauth", certificates.rsp_signer("ds-auth", "TEST SM-DS", smds_oid), "ci")
        add("dstls", certificates.rsp_tls("ds-tls", smds_host, smds_oid), "ci")
        add("eim-sign", certificates.eim_signer(eim_id))
        add("eim-tls-self", certificates.eim_tls(eim_id, hosts), curve="p256")
        add("eim-ca", certificates.eim_ca("eIM lab CA"), curve="p256")
        add("eim-tls-issued", certificates.eim_tls(eim_id, hosts), "eim-ca", curve="p256")
        pki._write_manifest()
        return pki

    @classmethod
    def load(cls, folder: Path) -> Pki:
        """Open a folder by its manifest; ``PkiError`` names the first file or field that is not as it should be."""
        path = folder / MANIFEST
        try:
            manifest: Any = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise PkiError(f"{path} is not a readable manifest: {error}") from error
        files = manifest.get("files") if isinstance(manifest, dict) else None
        if not isinstance(files, dict):
            raise PkiError(f"{path} has no 'files'")
        entries = {}
        for name, row in files.items():
            if not isinstance(row, dict) or not isinstance(row.get("cert"), str):
                raise PkiError(f"{path}: {name} names no 'cert'")
            key = row.get("key")
            entries[name] = load_credential(name, folder / row["cert"], folder / key if isinstance(key, str) else None)
        curve = manifest.get("curve") or _curve_of(entries)
        eid = manifest.get("eid") or _eid_of(entries)
        oids = (manifest.get("smdp_oid") or "2.999.10", manifest.get("smds_oid") or "2.999.15")
        return cls(folder, curve, eid, manifest.get("eim_id") or "eim.lab.example", *oids, entries)

    def __getitem__(self, name: str) -> Credential:
        found = self.entries.get(name)
        if found is None:
            raise PkiError(f"there is no {name!r} in {self.folder}")
        return found

    def __contains__(self, name: str) -> bool:
        return name in self.entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    @property
    def ci_pkid(self) -> bytes:
        """euiccCiPKId: the key identifier of the CI (20 bytes)."""
        return self["ci"].key_id

    def variant(self, name: str, kind: str, now: datetime | None = None) -> Credential:
        """``<name>-<kind>``, kind ``expired``, ``not-yet-valid``, ``foreign`` or ``rsa``; made when first asked for.

        The dated ones keep the key and, if its key is here, the issuer. ``foreign`` has another key, and another issuer
        of the same name; ``rsa`` has an RSA key from the right issuer. ``PkiError`` when the issuer's key is not in
        this folder.
        """
        if kind not in _KINDS:
            raise PkiError(f"{kind!r} is none of {', '.join(_KINDS)}")
        full_name = f"{name}-{kind}"
        if full_name in self.entries:
            return self.entries[full_name]
        original = self[name]
        now = now or datetime.now(UTC)
        request = _request_of(original.certificate)
        begin, end = {
            "expired": (now - timedelta(days=800), now - timedelta(days=30)),
            "not-yet-valid": (now + timedelta(days=30), now + timedelta(days=800)),
            "foreign": (now - timedelta(days=1), now + _LIFETIME),
            "rsa": (now - timedelta(days=1), now + _LIFETIME),
        }[kind]
        key: PrivateKey = original.private_key
        issuer_key: PrivateKey = self._issuer_key(original)
        self_signed = issuer_key is key
        if kind == "foreign":
            key = ec.generate_private_key(original.private_key.curve)
            issuer_key = key if self_signed else ec.generate_private_key(original.private_key.curve)
        elif kind == "rsa":
            key = rsa.generate_private_key(65537, 2048)
            issuer_key = key if self_signed else issuer_key
        certificate = Issuer(original.certificate.issuer, issuer_key).issue(request, key.public_key(), begin, end)
        self.entries[full_name] = Credential(full_name, certificate, key).save(self.folder)
        self._write_manifest()
        return self.entries[full_name]

    def _issuer_key(self, credential: Credential) -> ec.EllipticCurvePrivateKey:
        for candidate in self.entries.values():
            key = candidate.key
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                continue
            if candidate.certificate.subject != credential.certificate.issuer:
                continue
            try:
                verify_directly_issued_by(credential.certificate, candidate.certificate)
            except (InvalidSignature, ValueError, TypeError):
                continue
            return key
        raise PkiError(f"the key that issued {credential.name} is not in {self.folder}")

    def _make(
        self, entry: str, request: Request, issuer: str | None, curve: ec.EllipticCurve, begin: datetime, end: datetime
    ) -> None:
        key = ec.generate_private_key(curve)
        if issuer is None:
            signer = Issuer(request.subject, key)
        else:
            signer = Issuer(self[issuer].certificate.subject, self[issuer].private_key)
        certificate = signer.issue(request, key.public_key(), begin, end)
        self.entries[entry] = Credential(entry, certificate, key).save(self.folder)

    def _write_manifest(self) -> None:
        files = {}
        for name, entry in self.entries.items():
            row = {"cert": _relative(entry.cert_path, self.folder)}
            if entry.key_path is not None:
                row["key"] = _relative(entry.key_path, self.folder)
            files[name] = row
        manifest = {
            "about": "Keys and certificates of a lab; worthless outside it. PEM; the same certificates as .cert.der.",
            "curve": self.curve,
            "eid": self.eid,
            "eim_id": self.eim_id,
            "smdp_oid": self.smdp_oid,
            "smds_oid": self.smds_oid,
            "ci_pkid": self.ci_pkid.hex().upper(),
            "files": files,
        }
        (self.folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")


def _relative(path: Path | None, folder: Path) -> str:
    if path is None:
        raise PkiError("an entry is not on disk")
    return str(path.relative_to(folder))


def _request_of(certificate: x509.Certificate) -> Request:
    made_by_issuing = (x509.SubjectKeyIdentifier, x509.AuthorityKeyIdentifier)
    kept = tuple((e.value, e.critical) for e in certificate.extensions if not isinstance(e.value, made_by_issuing))
    return Request(certificate.subject, kept)


def _eid_of(entries: dict[str, Credential]) -> str:
    if "euicc" not in entries:
        return make_eid()
    values = entries["euicc"].certificate.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)
    if len(values) != 1 or len(str(values[0].value)) != 32:
        raise PkiError("the eUICC certificate has no EID as serialNumber")
    return str(values[0].value)


def _curve_of(entries: dict[str, Credential]) -> str:
    for name in ("euicc", "ci"):
        if name in entries:
            for curve, kind in CURVES.items():
                if isinstance(entries[name].public_key.curve, kind):
                    return curve
    return "p256"
