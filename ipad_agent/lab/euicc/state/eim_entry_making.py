"""What a factory or a test writes into a card: EimConfigurationData made from keys and certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509

from ipad_agent.lab.crypto import der

if TYPE_CHECKING:
    from collections.abc import Iterable

OID, FQDN, PROPRIETARY = 1, 2, 3
"""EimIdType."""
RETRIEVE_HTTPS, RETRIEVE_COAPS, INJECT_HTTPS, INJECT_COAPS, PROPRIETARY_PROTOCOL = range(5)
"""Bits of EimSupportedProtocol."""


def eim_configuration(
    eim_id: str,
    key: bytes,
    *,
    counter: int | None = 0,
    token: int | None = None,
    fqdn: str | None = None,
    id_type: int | None = FQDN,
    tls: bytes | None = None,
    protocols: Iterable[int] | None = (RETRIEVE_COAPS,),
    ci_pkid: bytes | None = None,
    indirect_download: bool = False,
    tag: int = 0x30,
) -> bytes:
    """EimConfigurationData. ``key`` and ``tls`` are DER of a certificate or of a SubjectPublicKeyInfo.

    ``token`` -1 asks the card for an association token; None leaves a field out.
    """
    return der.tlv(
        tag,
        der.utf8(eim_id, 0x80),
        der.utf8(fqdn, 0x81) if fqdn is not None else b"",
        der.integer(id_type, 0x82) if id_type is not None else b"",
        der.integer(counter, 0x83) if counter is not None else b"",
        der.integer(token, 0x84) if token is not None else b"",
        key_data(key, 0xA5),
        key_data(tls, 0xA6) if tls is not None else b"",
        der.bits(protocols, 0x87) if protocols is not None else b"",
        der.octets(ci_pkid, 0x88) if ci_pkid is not None else b"",
        der.null(0x89) if indirect_download else b"",
    )


def key_data(content: bytes, tag: int) -> bytes:
    """A5 or A6 { A0 SubjectPublicKeyInfo / A1 Certificate }; the inner tag stands for the 30 of ``content``."""
    try:
        x509.load_der_x509_certificate(content)
    except ValueError:
        choice = 0xA0
    else:
        choice = 0xA1
    return der.tlv(tag, bytes([choice]) + content[1:])
