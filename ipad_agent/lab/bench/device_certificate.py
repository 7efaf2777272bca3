"""A certificate for the device, and the CA that issued it: for eIMs that ask for one in the handshake."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from ipad_agent.lab.pki.certificates import Issuer, Request, eim_ca, name

__all__ = ["DeviceCertificate"]

_LIFETIME = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class DeviceCertificate:
    """``certificate_path`` and ``key_path`` (PEM, PKCS #8) are for the agent, ``issuer`` for the eIM."""

    certificate_path: Path
    key_path: Path
    issuer: x509.Certificate

    @property
    def issuer_pem(self) -> str:
        """What a TLS server is given to verify the device's certificate with."""
        return self.issuer.public_bytes(serialization.Encoding.PEM).decode("ascii")

    @classmethod
    def in_folder(cls, folder: Path) -> DeviceCertificate:
        """The one of last time; made when there is none yet."""
        certificate_path, key_path = folder / "device.cert.pem", folder / "device.key.pem"
        issuer_path = folder / "device-ca.cert.pem"
        if not issuer_path.exists():
            _make(certificate_path, key_path, issuer_path)
        issuer = x509.load_pem_x509_certificate(issuer_path.read_bytes())
        return cls(certificate_path, key_path, issuer)


def _make(certificate_path: Path, key_path: Path, issuer_path: Path) -> None:
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    begin = datetime.now(UTC) - timedelta(days=1)
    request = eim_ca("lab device CA")
    issuer = Issuer(request.subject, ca_key)
    client = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    own = Request(name(O="lab", CN="device"), ((x509.BasicConstraints(False, None), True), (client, False)))
    certificate = issuer.issue(own, key.public_key(), begin, begin + _LIFETIME)
    ca = issuer.issue(request, ca_key.public_key(), begin, begin + _LIFETIME)
    key_path.touch(mode=0o600)
    key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    issuer_path.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
