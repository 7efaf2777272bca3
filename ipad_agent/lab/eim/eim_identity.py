"""Who the eIM is: its eimId, the key that signs packages, the (D)TLS certificate, and how an eUICC is told of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ipad_agent.lab.crypto import der
from ipad_agent.lab.eim.coap.dtls_context import TlsIdentity
from ipad_agent.lab.pki import Pki

from .errors import OrderError

ID_TYPES = {"oid": 1, "fqdn": 2, "proprietary": 3}
PROTOCOLS = {"retrieve-https": 0, "retrieve-coaps": 1, "inject-https": 2, "inject-coaps": 3, "proprietary": 4}
REQUEST_TOKEN = -1


@dataclass(frozen=True, slots=True)
class EimIdentity:
    """``signing_certificate`` is only needed when an eUICC shall get the certificate and not the bare key."""

    eim_id: str
    signing_key: ec.EllipticCurvePrivateKey = field(repr=False)
    tls: TlsIdentity
    signing_certificate: x509.Certificate | None = None

    @classmethod
    def from_pki(cls, pki: Pki, *, tls: str = "issued") -> EimIdentity:
        """From a PKI folder; ``tls`` is ``issued`` (leaf and eIM CA) or ``self`` (self-signed leaf)."""
        leaf = pki[f"eim-tls-{tls}"]
        chain = [leaf.certificate]
        if tls == "issued":
            chain.append(pki["eim-ca"].certificate)
        signer = pki["eim-sign"]
        return cls(pki.eim_id, signer.private_key, TlsIdentity(leaf.private_key, tuple(chain)), signer.certificate)

    @property
    def signing_spki(self) -> bytes:
        """SubjectPublicKeyInfo of the package key, DER."""
        return self.signing_key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    @staticmethod
    def _tls_pin(pin: str, chain: Sequence[x509.Certificate]) -> bytes:
        match pin:
            case "leaf-spki":
                return _spki(chain[0])
            case "leaf-certificate":
                return _der(chain[0])
            case "ca-spki":
                return _spki(chain[-1])
            case "ca-certificate":
                return _der(chain[-1])
            case _:
                raise OrderError(f"{pin!r} is no pin: leaf-spki, leaf-certificate, ca-spki, ca-certificate or none")

    def configuration(
        self,
        *,
        fqdn: str | None = None,
        id_type: str | None = "fqdn",
        counter: int | None = 0,
        ask_for_token: bool = True,
        signing: str = "spki",
        tls_pin: str = "leaf-spki",
        protocols: Iterable[str] | None = ("retrieve-coaps",),
        ci_pkid: bytes | None = None,
        indirect_download: bool = False,
        inner_sequence: bool = False,
        tls_chain: Sequence[x509.Certificate] | None = None,
    ) -> bytes:
        """EimConfigurationData (30..) of this eIM (SGP.32 v1.2 §2.11.1.1.1).

        ``signing`` is ``spki``, ``certificate`` or ``none`` (an update that keeps the key); ``tls_pin`` is
        ``leaf-spki``, ``leaf-certificate``, ``ca-spki``, ``ca-certificate`` or ``none``. Keys and certificates take
        the tag's place of their own 30, as the schema's IMPLICIT tags say; ``inner_sequence`` leaves the 30 inside.
        ``tls_chain`` is what is pinned when HTTPS has other certificates than ``tls``.
        """
        chain = self.tls.chain if tls_chain is None else tls_chain
        return der.seq(
            der.utf8(self.eim_id, 0x80),
            b"" if fqdn is None else der.utf8(fqdn, 0x81),
            b"" if id_type is None else der.integer(ID_TYPES[id_type], 0x82),
            b"" if counter is None else der.integer(counter, 0x83),
            der.integer(REQUEST_TOKEN, 0x84) if ask_for_token else b"",
            self._key_data(0xA5, signing, self._signing_bytes(signing), inner_sequence),
            self._key_data(0xA6, tls_pin, b"" if tls_pin == "none" else self._tls_pin(tls_pin, chain), inner_sequence),
            b"" if protocols is None else der.bits({PROTOCOLS[name] for name in protocols}, 0x87),
            b"" if ci_pkid is None else der.octets(ci_pkid, 0x88),
            der.null(0x89) if indirect_download else b"",
        )

    def _signing_bytes(self, signing: str) -> bytes:
        match signing:
            case "none":
                return b""
            case "spki":
                return self.signing_spki
            case "certificate":
                if self.signing_certificate is None:
                    raise OrderError("there is no certificate for the signing key")
                return _der(self.signing_certificate)
            case _:
                raise OrderError(f"{signing!r} is not spki, certificate or none")

    @staticmethod
    def _key_data(tag: int, kind: str, data: bytes, inner_sequence: bool) -> bytes:
        if not data:
            return b""
        alternative = 0xA0 if kind.endswith("spki") else 0xA1
        return der.tlv(tag, der.tlv(alternative, data if inner_sequence else der.parse(data).value))


def add_initial_eim(*configurations: bytes) -> bytes:
    """AddInitialEimRequest (BF57): what an IPA gives an eUICC that has no eIM yet (SGP.32 v1.2 §5.9.4)."""
    return der.tlv(0xBF57, der.tlv(0xA0, *configurations))


def _spki(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)
