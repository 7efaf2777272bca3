"""Pushing over HTTPS with the standard library, for a thread."""

from __future__ import annotations

import http.client
import ssl
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from ipad_agent.lab.eim.coap.dtls_context import TlsIdentity
from ipad_agent.lab.eim.errors import InjectionError

PATH = "/gsma/rsp2/asn1"
ASN1_TYPE = "application/x-gsma-rsp-asn1"


def push_https(
    where: tuple[str, int],
    body: bytes,
    *,
    identity: TlsIdentity | None,
    expected: bytes | None,
    admin_protocol: str = "gsma/rsp/v2.1.0",
    path: str = PATH,
    content_type: str = ASN1_TYPE,
    deadline_s: float = 30.0,
) -> tuple[int, bytes]:
    """Status and body of the answer. ``identity`` is what the eIM shows, ``expected`` (DER) the certificate that the
    device must show. Raises ``InjectionError``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # compared below
    if identity is not None:
        _show(context, identity)
    connection = http.client.HTTPSConnection(*where, context=context, timeout=deadline_s)
    try:
        connection.connect()
        shown = connection.sock.getpeercert(binary_form=True) if connection.sock else None
        if expected is not None and shown != expected:
            raise InjectionError("the device shows another certificate")
        headers = {"Content-Type": content_type, "X-Admin-Protocol": admin_protocol, "User-Agent": "lab-eim"}
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException) as error:
        raise InjectionError(f"the device was not reached or broke off: {error or type(error).__name__}") from error
    finally:
        connection.close()


def _show(context: ssl.SSLContext, identity: TlsIdentity) -> None:
    key = identity.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in identity.chain)
    with tempfile.TemporaryDirectory(prefix="ipad-lab-") as folder:
        path = Path(folder) / "eim.pem"
        path.touch(mode=0o600)
        path.write_bytes(key + chain)
        context.load_cert_chain(path)
