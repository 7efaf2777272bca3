"""A DTLS 1.2 server side on memory BIOs, for tests: one ``ServerSide`` per client address."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL, crypto

from ipad_agent.net.older_pyopenssl import send_flight_again, use_certificate_and_key

from .certs import Identity

_LIB: Any = SSL._lib  # type: ignore[attr-defined]
_FFI: Any = SSL._ffi  # type: ignore[attr-defined]


def server_context(
    identity: Identity | None = None,
    *,
    psk: dict[bytes, bytes] | None = None,
    suites: bytes = b"ALL:@SECLEVEL=0",
    groups: bytes = b"P-256:brainpoolP256r1",
    tickets: bool = True,
    client_ca: Identity | None = None,
) -> SSL.Context:
    """The server's settings; its session cache lives in the context."""
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_options(SSL.OP_NO_QUERY_MTU | (0 if tickets else SSL.OP_NO_TICKET))
    context.set_cipher_list(suites)
    context.set_session_id(b"tests")
    context.set_session_cache_mode(SSL.SESS_CACHE_SERVER)
    set_curves = getattr(_LIB, "SSL_CTX_set1_curves_list", None)  # old bindings have their own choice of curves
    assert set_curves is None or set_curves(context._context, groups) == 1
    if identity is not None:
        use_certificate_and_key(context, [identity.certificate, *identity.chain], identity.key)
    if client_ca is not None:
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT)
        store = context.get_cert_store()
        assert store is not None
        store.add_cert(crypto.X509.from_cryptography(client_ca.certificate))
    if psk is not None:

        def find(_ssl: Any, name: Any, key: Any, size: int) -> int:
            known = psk.get(_FFI.string(name), b"")
            _FFI.memmove(key, known, len(known))
            return len(known)

        callback = _FFI.callback("unsigned int (SSL *, const char *, unsigned char *, unsigned int)", find)
        _LIB.SSL_CTX_set_psk_server_callback(context._context, callback)
        context.set_app_data(callback)
    return context


class ServerSide:
    """One session. ``feed`` returns the decrypted application data; ``take`` the datagrams to send."""

    def __init__(self, context: SSL.Context, *, mtu: int = 1200) -> None:
        self._connection = SSL.Connection(context, None)
        self._connection.set_ciphertext_mtu(mtu)
        self._connection.set_accept_state()
        self.established = False
        self.closed = False
        self.answers_goodbye = True
        self.error: str | None = None

    def feed(self, datagram: bytes) -> list[bytes]:
        data: list[bytes] = []
        self._connection.bio_write(datagram)
        try:
            if not self.established:
                self._connection.do_handshake()
                self.established = True
            while True:
                data.append(self._connection.recv(65536))
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.closed = True
            if self.answers_goodbye:
                self._connection.shutdown()  # RFC 5246 §7.2.1; else OpenSSL forgets the session with the connection
        except SSL.Error as error:
            self.error = str(error)
        return data

    def send(self, data: bytes) -> None:
        self._connection.send(data)

    def close(self) -> None:
        self._connection.shutdown()

    def renegotiate(self) -> None:
        """Ask the client for another handshake on this session (HelloRequest, RFC 5246 §7.4.1.1)."""
        self._connection.renegotiate()
        self._connection.do_handshake()

    def timeout(self) -> None:
        send_flight_again(self._connection)

    def take(self) -> list[bytes]:
        stream = b""
        while True:
            try:
                stream += self._connection.bio_read(65536)
            except SSL.WantReadError:
                break
        records = []
        while stream:
            size = 13 + int.from_bytes(stream[11:13], "big")
            records.append(stream[:size])
            stream = stream[size:]
        return records

    @property
    def client_der(self) -> bytes | None:
        """The certificate the client showed."""
        found = self._connection.get_peer_certificate()
        return None if found is None else crypto.dump_certificate(crypto.FILETYPE_ASN1, found)

    @property
    def cipher(self) -> str | None:
        return self._connection.get_cipher_name()
