"""The certificates of a small remote SIM provisioning world, shaped as SGP.22 §4.5.2 and SGP.26 describe them.

Every builder returns an unsigned ``Request``; ``Issuer.issue`` signs it. Nothing here touches the disk.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

ROLE = {
    name: ObjectIdentifier(f"2.23.146.1.2.1.{number}")
    for number, name in enumerate(("ci", "euicc", "eum", "dp-tls", "dp-auth", "dp-pb", "ds-tls", "ds-auth"))
}
"""id-rspRole-*: the certificate policies by which each role is told apart."""

_ATTRIBUTES = {
    "C": NameOID.COUNTRY_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "CN": NameOID.COMMON_NAME,
    "serialNumber": NameOID.SERIAL_NUMBER,
}


@dataclass(frozen=True, slots=True)
class Request:
    """What a certificate shall say, apart from key, issuer and dates."""

    subject: x509.Name
    extensions: tuple[tuple[x509.ExtensionType, bool], ...]


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who signs: a name and its key."""

    name: x509.Name
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

    def issue(
        self,
        request: Request,
        public_key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
        not_before: datetime,
        not_after: datetime,
    ) -> x509.Certificate:
        """The signed certificate (with SHA-256)."""
        builder = (
            x509.CertificateBuilder()
            .subject_name(request.subject)
            .issuer_name(self.name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(not_before)
            .not_valid_after(not_after)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        for extension, critical in request.extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(self.key, hashes.SHA256())


def name(**attributes: str) -> x509.Name:
    """A distinguished name from C, O, OU, CN, serialNumber, in the order given."""
    return x509.Name([x509.NameAttribute(_ATTRIBUTES[key], value) for key, value in attributes.items()])


def ci(common_name: str) -> Request:
    """The root of trust: CERT.CI.ECDSA, self-signed."""
    return Request(
        name(CN=common_name, OU="TESTCERT", O="RSPTEST", C="IT"),
        (_authority(path_length=None), _sign_certificates(), _policy("ci")),
    )


def eum(organization: str, eid_prefix: str) -> Request:
    """The card maker: path length 0, and name constraints that tie it to its organization and EID prefix."""
    permitted = name(O=organization, serialNumber=eid_prefix)
    return Request(
        name(C="ES", O=organization, CN="EUM Test"),
        (
            _authority(path_length=0),
            _sign_certificates(),
            _policy("eum"),
            (x509.NameConstraints([x509.DirectoryName(permitted)], None), True),
        ),
    )


def euicc(organization: str, eid: str) -> Request:
    """The card: the EID is the serialNumber attribute of the subject."""
    return Request(
        name(C="ES", O=organization, serialNumber=eid, CN="Test eUICC"),
        (_sign_data(), _policy("euicc")),
    )


def rsp_signer(role: str, common_name: str, oid: str) -> Request:
    """DPauth, DPpb or DSauth: signs RSP messages; the server's OID is its registeredID."""
    registered = x509.SubjectAlternativeName([x509.RegisteredID(ObjectIdentifier(oid))])
    return Request(name(O="ACME", CN=common_name), (_sign_data(), _policy(role), (registered, False)))


def rsp_tls(role: str, host: str, oid: str) -> Request:
    """DPtls or DStls: the server's HTTPS certificate, with the same OID as its signers."""
    # localhost is for clients that reach a lab where no name leads.
    names = [x509.DNSName(host), x509.DNSName("localhost"), x509.RegisteredID(ObjectIdentifier(oid))]
    return Request(
        name(O="ACME", CN=host),
        (_sign_data(), _policy(role), _tls_use(), (x509.SubjectAlternativeName(names), False)),
    )


def eim_signer(eim_id: str) -> Request:
    """CERT.EIM.ECDSA: only its key counts, it verifies eUICC packages."""
    return Request(name(O="eIM", CN=common_name(eim_id)), (_sign_data(),))


def eim_tls(eim_id: str, hosts: Sequence[str]) -> Request:
    """CERT.EIM.TLS: for HTTPS and DTLS; ``hosts`` are DNS names or IP addresses."""
    return Request(
        name(O="eIM", CN=common_name(eim_id)),
        (_end_entity(), _sign_data(), _tls_use(), (x509.SubjectAlternativeName([_host(h) for h in hosts]), False)),
    )


def eim_ca(common_name_text: str) -> Request:
    """The private CA of an eIM operator."""
    return Request(
        name(O="eIM", CN=common_name_text),
        (_authority(path_length=0), _sign_certificates()),
    )


def common_name(eim_id: str) -> str:
    """An eimId cut to the 64 characters that a CN may have."""
    return eim_id[:64]


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _policy(role: str) -> tuple[x509.ExtensionType, bool]:
    return x509.CertificatePolicies([x509.PolicyInformation(ROLE[role], None)]), True


def _authority(path_length: int | None) -> tuple[x509.ExtensionType, bool]:
    return x509.BasicConstraints(ca=True, path_length=path_length), True


def _end_entity() -> tuple[x509.ExtensionType, bool]:
    return x509.BasicConstraints(ca=False, path_length=None), True


def _tls_use() -> tuple[x509.ExtensionType, bool]:
    return x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), True


def _sign_certificates() -> tuple[x509.ExtensionType, bool]:
    return _key_usage(key_cert_sign=True, crl_sign=True), True


def _sign_data() -> tuple[x509.ExtensionType, bool]:
    return _key_usage(digital_signature=True), True


def _key_usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )
