"""One TLS session, client side, without a socket: bytes in, bytes out (RFC 5246, RFC 8446; SGP.32 v1.2 §2.6.3).

The standard library's ssl with memory BIOs, not its streams: so a missing close_notify is noticed, ours is sent, and
the server's certificates can be looked at before the first byte of a request leaves.
"""

from __future__ import annotations

import ssl
from typing import Any, Final

from ipad_agent.net.errors import HandshakeFailed

READ_BYTES: Final = 65536

# SGP.32 v1.2 §2.6.3 and SGP.22 v2.5 §2.6.6 name ECDHE with AES-128; RSA is for servers of the public web and of
# laboratories. TLS 1.3 has its own suites, all of them good.
_SUITES: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:"
    "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-CHACHA20-POLY1305:"
    "ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256"
)
_GROUPS: Final = "P-256:X25519:P-384:brainpoolP256r1:brainpoolP384r1"

ALL_CURVES: Final = hasattr(ssl.SSLContext, "set_groups")
"""Whether brainpool can be offered beside the usual curves: from Python 3.15 on."""

# What the commonest reasons of a failed handshake mean.
_WORDS: Final = {
    "WRONG_VERSION_NUMBER": "what listens there does not speak TLS",
    "HTTP_REQUEST": "what listens there does not speak TLS",
    "UNSUPPORTED_PROTOCOL": "it offers no TLS version from 1.2 on",
    "TLSV1_ALERT_PROTOCOL_VERSION": "it takes no TLS version that this program speaks",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "it found no common cipher suite or curve",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it wants a client certificate",
    "TLSV1_UNRECOGNIZED_NAME": "it does not know the server name",
    "TLSV1_ALERT_UNRECOGNIZED_NAME": "it does not know the server name",
}


class CutOff(Exception):
    """The TCP connection ended or the session broke without close_notify."""


class TlsClient:
    """Sans-IO: ``feed`` what arrived, send what ``take`` gives after every call.

    ``brainpool`` forces TLS 1.2 with brainpoolP256r1 alone, which is the only way the standard library has to that
    curve before Python 3.15. ``server_name`` None sends no SNI, as is due for addresses.
    """

    def __init__(self, server_name: str | None, *, brainpool: bool = False) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = _context(brainpool).wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)

    def handshake(self) -> bool:
        """Go on with the handshake; True when it is complete. Raises ``HandshakeFailed``."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            reason = error.reason or "no reason given"
            raise HandshakeFailed(f"no TLS session: {_WORDS.get(reason, reason.replace('_', ' ').lower())}") from None
        return True

    def certificates(self) -> list[bytes]:
        """What the server showed, as DER, its own certificate first; only that one where Python hides the others."""
        getter = getattr(self._tls, "get_unverified_chain", None)
        if getter is not None:  # Python 3.13 and later
            return [bytes(der) for der in getter() or ()]
        inner: Any = getattr(self._tls, "_sslobj", None)
        getter = getattr(inner, "get_unverified_chain", None)
        if getter is not None:
            return [ssl.PEM_cert_to_DER_cert(certificate.public_bytes()) for certificate in getter() or ()]
        own = self._tls.getpeercert(binary_form=True)
        return [own] if own else []

    @property
    def description(self) -> str:
        """Version and cipher suite, for messages."""
        cipher = self._tls.cipher()
        return f"{self._tls.version()} {cipher[0] if cipher else ''}".strip()

    def feed(self, data: bytes) -> None:
        """Bytes that came from the server; empty means that it closed the TCP connection."""
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def take(self) -> bytes:
        """The bytes to send now."""
        return self._outgoing.read()

    def write(self, data: bytes) -> None:
        """Protect application data. Raises ``CutOff`` when the session is over."""
        try:
            self._tls.write(data)
        except ssl.SSLError as error:
            raise CutOff(error.reason or str(error)) from None

    def read(self) -> bytes | None:
        """Application data; None when there is none yet, empty after the server's close_notify. Raises ``CutOff``."""
        try:
            return self._tls.read(READ_BYTES)
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLZeroReturnError:
            return b""
        except ssl.SSLError as error:
            raise CutOff(error.reason or str(error)) from None

    def close(self) -> None:
        """Say close_notify; the server's own is not waited for."""
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            return  # it wants the server's close_notify, or the session is broken: ours is said or cannot be


def _context(brainpool: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Every chain is judged by chain.py once the handshake is complete, before a request is sent; see there for why.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_SUITES)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    # Some releases of Python turn this on by themselves; an answer that was cut off would then look complete.
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    set_groups = getattr(context, "set_groups", None)
    if set_groups is not None:  # Python 3.15 and later
        set_groups(_GROUPS)
    elif brainpool:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ecdh_curve("brainpoolP256r1")
    return context
