"""Certificates to trust that come from the disk: CIs of the GSMA world, and the system's store of the public web."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from ipad_agent.net import events
from ipad_agent.net.errors import TrustUnusable
from ipad_agent.records import dataclass, field

from .pinned_trust import UNREADABLE, Trust

_SUFFIXES: Final = frozenset({".pem", ".crt", ".cer", ".der"})
_MAX_FILE_BYTES: Final = 1 << 20
_MAX_FILES: Final = 500
# Where systems keep their bundle when Python's OpenSSL was built to look elsewhere.
_BUNDLES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)


@dataclass(frozen=True, slots=True)
class Anchor:
    """A certificate (DER) and the identifier of its key, as the eUICC names CI keys."""

    der: bytes = field(repr=False)
    key_identifier: bytes


def read_folder(folder: Path) -> tuple[Anchor, ...]:
    """The certificates of all files in a folder, PEM or DER. Files that cannot be read are reported and left out.

    Raises ``TrustUnusable`` when the folder itself cannot be read.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
    except OSError as error:
        raise TrustUnusable(f"{folder}: {error.strerror or error}") from None
    found: dict[bytes, Anchor] = {}
    for path in paths[:_MAX_FILES]:
        try:
            if path.stat().st_size > _MAX_FILE_BYTES:
                raise TrustUnusable(f"over {_MAX_FILE_BYTES} bytes")
            for der in Trust.from_file(path).anchors:
                found.setdefault(der, Anchor(der, _key_identifier(der)))
        except (OSError, TrustUnusable, *UNREADABLE) as error:
            events.ANCHOR_UNREADABLE.emit(path=path, problem=error)
    return tuple(found.values())


def matching(anchors: Iterable[Anchor], key_identifiers: Iterable[bytes]) -> tuple[bytes, ...]:
    """The certificates whose key is one of these."""
    wanted = set(key_identifiers)
    return tuple(anchor.der for anchor in anchors if anchor.key_identifier in wanted)


def web_pki() -> tuple[bytes, ...]:
    """The certificates of the system's store. Raises ``TrustUnusable`` when there is none."""
    import ssl  # a second TLS library, which nothing else needs here

    known = ssl.get_default_verify_paths()
    for name in (known.cafile, *_BUNDLES):
        if name is not None and Path(name).is_file():
            try:
                return Trust.from_file(Path(name)).anchors
            except TrustUnusable:
                continue
    if known.capath is not None and Path(known.capath).is_dir():
        anchors = read_folder(Path(known.capath))
        if anchors:
            return tuple(anchor.der for anchor in anchors)
    raise TrustUnusable("this system has no store of web certificates", hint="Install the package ca-certificates.")


def _key_identifier(der: bytes) -> bytes:
    """What the certificate says (RFC 5280 §4.2.1.2), else the SHA-1 of its public key, which is what it should say."""
    certificate = x509.load_der_x509_certificate(der)
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        point = certificate.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        return hashlib.sha1(point, usedforsecurity=False).digest()
