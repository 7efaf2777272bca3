"""TLS for the lab's HTTP server: the standard library's ``ssl``, told what a test wants."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from ipad_agent.lab.pki import Credential

_BRAINPOOL = "brainpoolP256r1"


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """How the server speaks TLS.

    ``chain`` are the certificates sent behind the leaf. ``groups`` is ``auto`` (the leaf's curve for brainpool, the
    library's choice otherwise) or one curve name. Brainpool stays below TLS 1.3: OpenSSL 3.0 has no group for it there.
    ``client_ca`` (PEM) asks for a client certificate. ``alpn`` are the protocols on offer: HTTP/2 may be among them,
    but is not spoken.
    """

    leaf: Credential
    chain: Sequence[Credential] = ()
    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    maximum: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED
    groups: str = "auto"
    ciphers: str | None = None
    client_ca: str | None = None
    alpn: tuple[str, ...] = ("http/1.1",)

    def context(self) -> ssl.SSLContext:
        """An ``SSLContext`` for the server side; ``ssl.SSLError`` or ``OSError`` when the settings are no good."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = self.minimum
        context.maximum_version = self.maximum
        # Some releases of Python hide a missing close_notify by default; here it is counted.
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
        group = self._group()
        if group is not None:
            context.set_ecdh_curve(group)
            if group == _BRAINPOOL:
                context.maximum_version = ssl.TLSVersion.TLSv1_2
        if self.ciphers is not None:
            context.set_ciphers(self.ciphers)
        if self.client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=self.client_ca)
        if self.alpn:
            context.set_alpn_protocols(list(self.alpn))
        with tempfile.TemporaryDirectory(prefix="ipad-lab-tls-") as folder:
            # load_cert_chain reads files only, and the entry may have none.
            path = Path(folder) / "chain.pem"
            path.touch(mode=0o600)
            certificates = b"".join(entry.cert_pem for entry in (self.leaf, *self.chain))
            path.write_bytes(self.leaf.key_pem + certificates)
            context.load_cert_chain(path)
        return context

    def _group(self) -> str | None:
        if self.groups != "auto":
            return self.groups
        key = self.leaf.certificate.public_key()
        brainpool = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.BrainpoolP256R1)
        return _BRAINPOOL if brainpool else None
