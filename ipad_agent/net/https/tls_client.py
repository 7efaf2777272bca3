"""One TLS session, client side, without a socket: bytes in, bytes out (RFC 5246, RFC 8446; SGP.32 v1.2 §2.6.3).

pyOpenSSL with memory BIOs, as for DTLS: only so are P-256 and brainpool offered at once, which a server with a
brainpool certificate may want; Python's own ssl cannot before 3.15. A missing close_notify is noticed, ours is sent,
and the server's certificates can be looked at before the first byte of a request leaves.
"""

from __future__ import annotations

import contextlib
import functools
from typing import Final

from OpenSSL import SSL, crypto

from ipad_agent.net import events
from ipad_agent.net.dtls import tls_alerts
from ipad_agent.net.errors import BackendLacks, CertificateWanted, HandshakeFailed
from ipad_agent.net.openssl_context import (
    LIB,
    Heard,
    forget_errors,
    hear,
    session_reused,
    set_groups,
    set_signatures,
    to_send,
    use_client_certificate,
    words,
)
from ipad_agent.net.trust.client_certificate import ClientCertificate

READ_BYTES: Final = 65536
_KEPT_CONTEXTS: Final = 4

# SGP.32 v1.2 §2.6.3 and SGP.22 v2.5 §2.6.6 name ECDHE with AES-128; RSA is for servers of the public web and of
# laboratories. TLS 1.3 has its own suites, all of them good. Keys and hashes below 112 bits are refused (level 2).
_SUITES: Final = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:"
    b"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-CHACHA20-POLY1305:"
    b"ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256:@SECLEVEL=2"
)
# A server with a brainpool key wants its curve among these below TLS 1.3 (RFC 8422 §5.1.1), and agrees on any.
_GROUPS: Final = "P-256:X25519:P-384:brainpoolP256r1:brainpoolP384r1"
_GROUPS_1_3: Final = ":brainpoolP256r1tls13:brainpoolP384r1tls13"  # RFC 8734; OpenSSL knows them from 3.3 on
_SIGNATURES: Final = (
    b"ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:"
    b"RSA+SHA256:RSA+SHA384:RSA+SHA512:ed25519:ed448"
)
_SIGNATURES_1_3: Final = b":ecdsa_brainpoolP256r1tls13_sha256:ecdsa_brainpoolP384r1tls13_sha384"

# For a server whose key is pinned; suites of TLS 1.3 and below.
_LEAN_SUITES: Final = b"ECDHE-ECDSA-AES128-GCM-SHA256:@SECLEVEL=2"
_LEAN_SUITES_1_3: Final = b"TLS_AES_128_GCM_SHA256"
_LEAN_SIGNATURES: Final = b"ECDSA+SHA256:ECDSA+SHA384"

# What the commonest reasons of a failed handshake mean.
_WORDS: Final = {
    "wrong version number": "what listens there does not speak TLS",
    "http request": "what listens there does not speak TLS",
    "packet length too long": "what listens there does not speak TLS",
    "unsupported protocol": "it offers no TLS version from 1.2 on",
    "no protocols available": "it offers no TLS version from 1.2 on",
}


class CutOff(Exception):
    """The TCP connection ended or the session broke without close_notify."""


class TlsClient:
    """Sans-IO: ``feed`` what arrived, send what ``take`` gives after every call.

    ``server_name`` None sends no SNI, as is due for addresses. ``client_certificate`` is shown to a server that asks
    for one. ``session`` is what ``session`` of an earlier client of the same server gave: it is resumed if the server
    likes (RFC 5246 §7.3, RFC 8446 §2.2). With ``pinned_curve`` no more is offered than a server with such a key needs.
    Raises ``BackendLacks`` when the library cannot do what is needed.
    """

    def __init__(
        self,
        server_name: str | None,
        *,
        client_certificate: ClientCertificate | None = None,
        session: SSL.Session | None = None,
        pinned_curve: str | None = None,
    ) -> None:
        self._connection = SSL.Connection(
            _context(client_certificate, _lean_curve(pinned_curve, client_certificate)), None
        )
        self._shows = client_certificate is not None
        self._heard = Heard()
        self._served = False
        self._connection.set_app_data(self._heard)
        if server_name is not None:
            self._connection.set_tlsext_host_name(server_name.encode("ascii"))
        if session is not None:
            # A session belongs to its context, which may have been dropped since: then there is a full handshake.
            with contextlib.suppress(ValueError, SSL.Error):
                self._connection.set_session(session)
        self._connection.set_connect_state()

    @property
    def resumed(self) -> bool:
        """Whether the complete handshake resumed a session; False too where that cannot be told."""
        try:
            return session_reused(self._connection)
        except BackendLacks:
            return False

    @property
    def session(self) -> SSL.Session | None:
        """What a later client may resume from. To be asked for at the end: in TLS 1.3 it comes after the handshake."""
        return self._connection.get_session()

    def handshake(self) -> bool:
        """Go on with the handshake; True when it is complete. Raises ``HandshakeFailed``."""
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return False
        except SSL.Error as error:
            raise self._failure(error) from None
        return True

    def broken_off(self, problem: str) -> HandshakeFailed:
        """The error of a handshake that ended without a word of TLS."""
        sentence = f"no TLS session: {problem}"
        return CertificateWanted(sentence, shown=self._shows) if self._heard.asked else HandshakeFailed(sentence)

    def certificates(self) -> list[bytes]:
        """What the server showed, as DER, its own certificate first."""
        leaf = self._connection.get_peer_certificate()
        if leaf is None:
            return []
        first, chain = _der(leaf), [_der(shown) for shown in self._connection.get_peer_cert_chain() or ()]
        return chain if chain[:1] == [first] else [first, *chain]

    @property
    def description(self) -> str:
        """Version and cipher suite, for messages."""
        return f"{self._connection.get_protocol_version_name()} {self._connection.get_cipher_name() or ''}".strip()

    @property
    def certificate_owed(self) -> bool:
        """Whether the server asked for a certificate and none is configured. In TLS 1.3 it says what it makes of that
        only after the handshake."""
        return self._heard.asked and not self._shows

    def feed(self, data: bytes) -> None:
        """Bytes that came from the server; empty means that it closed the TCP connection."""
        if data:
            self._connection.bio_write(data)
        else:
            self._connection.bio_shutdown()

    def take(self) -> bytes:
        """The bytes to send now."""
        return to_send(self._connection)

    def write(self, data: bytes) -> None:
        """Protect application data. Raises ``CutOff`` when the session is over."""
        view = memoryview(data)
        try:
            while view:
                view = view[self._connection.send(view) :]
        except SSL.Error as error:
            raise CutOff(words(error)) from None

    def read(self) -> bytes | None:
        """Application data; None when there is none yet, empty after the server's close_notify.

        Raises ``CutOff``, or ``CertificateWanted`` where it ended for the lack of our certificate.
        """
        try:
            data = self._connection.recv(READ_BYTES)
            self._served = True
            return data
        except SSL.WantReadError:
            return None
        except SSL.ZeroReturnError:
            # A system's openssl.cnf may tell the library to take a bare end of the connection for this one.
            if self._heard.goodbye:
                return b""
            raise CutOff("no close_notify came") from None
        except SSL.Error as error:
            alert = self._heard.alert
            if alert is None:
                raise CutOff(words(error)) from None
            asked = self._heard.asked and not self._served  # a server that has answered had what it wanted
            sentence = tls_alerts.sentence(alert, asked=asked)
            if tls_alerts.is_about_our_certificate(alert, asked=asked):
                raise CertificateWanted(f"the server ended the session: {sentence}", shown=self._shows) from None
            raise CutOff(sentence) from None

    def close(self) -> None:
        """Say close_notify; the server's own is not waited for."""
        try:
            self._connection.shutdown()
        except SSL.Error:
            forget_errors()  # the session is broken: ours is said or cannot be

    def _failure(self, error: SSL.Error) -> HandshakeFailed:
        alert = self._heard.alert
        if alert is not None:
            sentence = f"no TLS session: {tls_alerts.sentence(alert, asked=self._heard.asked)}"
            if tls_alerts.is_about_our_certificate(alert, asked=self._heard.asked):
                return CertificateWanted(sentence, shown=self._shows)
            return HandshakeFailed(sentence)
        reason = words(error)
        known = next((meaning for part, meaning in _WORDS.items() if part in reason.split(", ")), reason)
        return HandshakeFailed(f"no TLS session: {known}")


@functools.lru_cache(maxsize=_KEPT_CONTEXTS)
def _context(client_certificate: ClientCertificate | None, lean_curve: str | None) -> SSL.Context:
    """One for all connections: each would cost 100 kB. It keeps no session; whoever connects again does."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_cipher_list(_SUITES if lean_curve is None else _LEAN_SUITES)
    # Every chain passes here and is judged by chain.py once the handshake is complete, before a request is sent.
    context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
    context.set_info_callback(hear)
    if lean_curve is not None:
        _offer_little(context, lean_curve)
    else:
        _offer_all(context)
    if client_certificate is not None:
        use_client_certificate(context, client_certificate)
    return context


def _offer_all(context: SSL.Context) -> None:
    try:
        can_choose = set_groups(context, _GROUPS + _GROUPS_1_3)
    except BackendLacks:
        can_choose = set_groups(context, _GROUPS)
    if not can_choose:
        events.NO_BRAINPOOL.emit()
    set_signatures(context, _SIGNATURES + _SIGNATURES_1_3, _SIGNATURES)


def _offer_little(context: SSL.Context, curve: str) -> None:
    """For a server whose key is on this curve; what the binding cannot choose stays as it is."""
    choose = getattr(LIB, "SSL_CTX_set_ciphersuites", None)
    if choose is None or choose(context._context, _LEAN_SUITES_1_3) != 1:
        forget_errors()
    set_groups(context, curve)
    set_signatures(context, _LEAN_SIGNATURES)


def _lean_curve(curve: str | None, own: ClientCertificate | None) -> str | None:
    """Brainpool has other names in TLS 1.3 (RFC 8734), and gets the full offer; as does a server that may ask for a
    certificate of ours which is of another kind than its own."""
    return curve if curve in ("P-256", "P-384") and (own is None or own.curve == curve) else None


def _der(certificate: crypto.X509) -> bytes:
    return crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)
