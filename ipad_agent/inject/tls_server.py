"""One TLS session, server side, without a socket: bytes in, bytes out (RFC 5246, RFC 8446; SGP.32 v1.2 §2.6.3).

The peer has to show a certificate; which one is good is judged by the caller once the handshake is complete, by what
the card says of its eIMs. Sessions are never resumed, so that every connection is judged anew.
"""

from __future__ import annotations

from typing import Final

from OpenSSL import SSL, crypto

from ipad_agent.net.errors import HandshakeFailed
from ipad_agent.net.openssl_context import (
    forget_errors,
    set_groups,
    set_signatures,
    to_send,
    use_client_certificate,
    words,
)
from ipad_agent.net.trust.client_certificate import ClientCertificate

READ_BYTES: Final = 65536
SUITES: Final = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:"
    b"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-CHACHA20-POLY1305:@SECLEVEL=2"
)
GROUPS: Final = "P-256:X25519:P-384:brainpoolP256r1:brainpoolP384r1"
SIGNATURES: Final = (
    b"ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:"
    b"RSA+SHA256:RSA+SHA384:RSA+SHA512:ed25519"
)


def server_context(method: int, own: ClientCertificate | None, suites: bytes) -> SSL.Context:
    """A context that shows ``own`` and asks the peer for a certificate, which it takes whatever it is. Raises
    ``BackendLacks``."""
    context = SSL.Context(method)
    context.set_options(SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION | SSL.OP_NO_TICKET)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_cipher_list(suites)
    set_groups(context, GROUPS)
    if own is not None:
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
        set_signatures(context, SIGNATURES)
        use_client_certificate(context, own)
    return context


def tls_context(own: ClientCertificate) -> SSL.Context:
    """For all connections of one listener. Raises ``BackendLacks``."""
    context = server_context(SSL.TLS_METHOD, own, SUITES)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    return context


def shown_certificates(connection: SSL.Connection) -> list[bytes]:
    """What the peer showed, as DER, its own certificate first."""
    leaf = connection.get_peer_certificate()
    if leaf is None:
        return []
    first, chain = _der(leaf), [_der(shown) for shown in connection.get_peer_cert_chain() or ()]
    return chain if chain[:1] == [first] else [first, *chain]


class TlsServer:
    """Sans-IO: ``feed`` what arrived, send what ``take`` gives after every call."""

    def __init__(self, context: SSL.Context) -> None:
        self._connection = SSL.Connection(context, None)
        self._connection.set_accept_state()

    def handshake(self) -> bool:
        """Go on with the handshake; True when it is complete. Raises ``HandshakeFailed``."""
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return False
        except SSL.Error as error:
            raise HandshakeFailed(f"no TLS session: {words(error)}") from None
        return True

    def certificates(self) -> list[bytes]:
        """What the peer showed, as DER, its own first."""
        return shown_certificates(self._connection)

    def feed(self, data: bytes) -> None:
        """Bytes that came from the peer."""
        self._connection.bio_write(data)

    def take(self) -> bytes:
        """The bytes to send now."""
        return to_send(self._connection)

    def write(self, data: bytes) -> None:
        """Protect application data. Raises ``HandshakeFailed`` when the session is over."""
        view = memoryview(data)
        try:
            while view:
                view = view[self._connection.send(view) :]
        except SSL.Error as error:
            raise HandshakeFailed(f"the TLS session ended: {words(error)}") from None

    def read(self) -> bytes | None:
        """Application data; None when there is none yet, empty at the end. Raises ``HandshakeFailed``."""
        try:
            return self._connection.recv(READ_BYTES)
        except SSL.WantReadError:
            return None
        except SSL.ZeroReturnError:
            return b""
        except SSL.Error as error:
            raise HandshakeFailed(f"the TLS session ended: {words(error)}") from None

    def close(self) -> None:
        """Say close_notify; the peer's own is not waited for."""
        try:
            self._connection.shutdown()
        except SSL.Error:
            forget_errors()


def _der(certificate: crypto.X509) -> bytes:
    return crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)
