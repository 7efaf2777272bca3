"""DTLS 1.2, server side, with pyOpenSSL and memory BIOs (RFC 6347): datagrams in, datagrams out.

No state is kept for an address before it has sent a cookie back (§4.2.1), so that nobody can make this device send much
to, or remember, an address that is not his.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import Any, Final

from OpenSSL import SSL

from ipad_agent.net.dtls import dtls_records
from ipad_agent.net.dtls.dtls_backend import Psk
from ipad_agent.net.errors import BackendLacks, HandshakeFailed, ProtocolViolation
from ipad_agent.net.older_pyopenssl import flight_timeout_s, send_flight_again
from ipad_agent.net.openssl_context import FFI, LIB, forget_errors, to_send, words
from ipad_agent.net.trust.client_certificate import ClientCertificate

from .tls_server import server_context, shown_certificates

MTU_BYTES: Final = 1200
_DTLS_1_2: Final = 0xFEFD
_BUFFER_BYTES: Final = 65536
_MOST_IDENTITY_BYTES: Final = 128
_CERTIFICATE_SUITES: Final = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-CCM:ECDHE-ECDSA-AES128-CCM8:ECDHE-ECDSA-AES256-GCM-SHA384:"
    b"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384"
)
_PSK_SUITES: Final = b"PSK-AES128-CCM8:PSK-AES128-CCM:PSK-AES128-GCM-SHA256:ECDHE-PSK-AES128-CBC-SHA256"

FindKey = Callable[[bytes], Psk | None]
"""The pre-shared key of an identity, if some eIM of the card has it."""


class DtlsContext:
    """What the peers of one listener share. ``own`` None leaves pre-shared keys only. Raises ``BackendLacks``."""

    def __init__(self, own: ClientCertificate | None, find_key: FindKey) -> None:
        suites = _PSK_SUITES if own is None else _CERTIFICATE_SUITES + b":" + _PSK_SUITES
        self._context = server_context(SSL.DTLS_METHOD, own, suites + b":@SECLEVEL=0")  # as OpenSSL asks for CCM-8
        self._context.set_min_proto_version(_DTLS_1_2)
        self._context.set_max_proto_version(_DTLS_1_2)
        self._context.set_options(SSL.OP_NO_QUERY_MTU)
        self._secret = secrets.token_bytes(32)
        self._identities: dict[int, bytes] = {}
        self._context.set_cookie_generate_callback(self._cookie)
        self._context.set_cookie_verify_callback(lambda peer, shown: hmac.compare_digest(self._cookie(peer), shown))
        self._callback = self._key_callback(find_key)

    def hello(self, datagram: bytes, address: bytes) -> tuple[DtlsPeer | None, list[bytes]]:
        """The first datagram of an address: a peer once it has shown its cookie, and what to send."""
        connection = SSL.Connection(self._context, None)
        connection.set_ciphertext_mtu(MTU_BYTES)
        connection.set_app_data(address)
        connection.set_accept_state()
        connection.bio_write(datagram)
        peer = DtlsPeer(connection, self._identities)
        try:
            connection.DTLSv1_listen()
        except SSL.Error:  # also where the cookie is missing and has been asked for
            forget_errors()
            return None, peer.take()
        return peer, []

    def _cookie(self, connection: SSL.Connection) -> bytes:
        address: bytes = connection.get_app_data()
        return hmac.new(self._secret, address, hashlib.sha256).digest()

    def _key_callback(self, find_key: FindKey) -> Any:
        setter = getattr(LIB, "SSL_CTX_set_psk_server_callback", None)
        if setter is None or not getattr(LIB, "Cryptography_HAS_PSK", 0):
            return None  # nobody's key can be used; certificates can

        def answer(ssl: Any, identity: Any, key: Any, key_size: int) -> int:
            if identity == FFI.NULL:
                return 0
            shown = FFI.string(identity, _MOST_IDENTITY_BYTES)
            found = find_key(shown)
            if found is None or len(found.key) > key_size:
                return 0
            self._identities[_pointer(ssl)] = shown
            FFI.memmove(key, found.key, len(found.key))
            return len(found.key)

        try:
            callback = FFI.callback("unsigned int (SSL *, const char *, unsigned char *, unsigned int)", answer)
        except (MemoryError, SystemError) as error:  # hardened kernels forbid the writable code page it needs
            raise BackendLacks(f"pre-shared keys need a callback that this system forbids: {error}") from None
        setter(self._context._context, callback)
        return callback  # C keeps only a pointer


class DtlsPeer:
    """One session. Every call may make datagrams to ``take``."""

    def __init__(self, connection: SSL.Connection, identities: dict[int, bytes]) -> None:
        self._connection = connection
        self._identities = identities
        self.established = False

    def feed(self, datagram: bytes | None) -> list[bytes]:
        """Application data of one datagram; None to begin. Raises ``HandshakeFailed``, and ``EOFError`` at the end."""
        if datagram:
            self._connection.bio_write(datagram)
        received: list[bytes] = []
        try:
            if not self.established:
                self._connection.do_handshake()
                self.established = True
            while True:
                received.append(self._connection.recv(_BUFFER_BYTES))
        except SSL.WantReadError:
            return received
        except SSL.ZeroReturnError:
            raise EOFError from None
        except SSL.Error as error:
            raise HandshakeFailed(f"no DTLS session: {words(error)}") from None

    @property
    def identity(self) -> bytes | None:
        """Of the pre-shared key that the session stands on; None when it stands on certificates."""
        if "PSK" not in (self._connection.get_cipher_name() or ""):
            return None
        return self._identities.get(_pointer(self._connection._ssl))

    def certificates(self) -> list[bytes]:
        """What the peer showed, as DER, its own first."""
        return shown_certificates(self._connection)

    def send(self, data: bytes) -> None:
        """Protect one datagram. Raises ``HandshakeFailed``."""
        try:
            self._connection.send(data)
        except SSL.Error as error:
            raise HandshakeFailed(f"the DTLS session ended: {words(error)}") from None

    def take(self) -> list[bytes]:
        """The datagrams to send now."""
        stream = to_send(self._connection)
        try:
            return dtls_records.pack(dtls_records.split(stream), MTU_BYTES)
        except ProtocolViolation as error:  # cannot come from outside: OpenSSL wrote these bytes
            raise BackendLacks(f"the TLS library made no DTLS records: {error}") from None

    def flight_again_in_s(self) -> float | None:
        """How long until a flight of the handshake is to be sent again."""
        return None if self.established else flight_timeout_s(self._connection)

    def flight_again(self) -> None:
        """Send the last flight again. Raises ``HandshakeFailed``."""
        try:
            send_flight_again(self._connection)
        except SSL.Error as error:
            raise HandshakeFailed(f"no DTLS session: {words(error)}") from None

    def close(self) -> None:
        """Say close_notify if a session stands."""
        self._identities.pop(_pointer(self._connection._ssl), None)
        try:
            if self.established:
                self._connection.shutdown()
        except SSL.Error:
            forget_errors()


def _pointer(ssl: Any) -> int:
    return int(FFI.cast("uintptr_t", ssl))
