"""DTLS 1.2 with pyOpenSSL and memory BIOs; see openssl_context.py for what TLS has in common with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from OpenSSL import SSL

from ipad_agent.net import events
from ipad_agent.net.errors import BackendLacks
from ipad_agent.net.openssl_context import FFI, LIB, hear, set_groups, set_signatures, use_client_certificate

from .dtls_backend import DEFAULT_GROUPS, DtlsClient, DtlsSettings, Judge, Psk
from .openssl_client import OpenSslClient

_DTLS_1_2 = 0xFEFD

# SGP.32 v1.2 §2.6.3 names the first and the CBC suite for ECDSA; CCM-8 is what constrained servers offer. RSA is for
# servers of laboratories. Security level 0 is what OpenSSL asks for CCM-8; the strength of keys and signatures is
# checked by chain.py and limited by _SIGNATURES.
_CERTIFICATE_SUITES = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-CCM:ECDHE-ECDSA-AES128-CCM8:ECDHE-ECDSA-AES256-GCM-SHA384:"
    b"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:"
    b"ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256:@SECLEVEL=0"
)
_PSK_SUITES = (
    b"PSK-AES128-CCM8:PSK-AES128-CCM:PSK-AES128-GCM-SHA256:ECDHE-PSK-AES128-CBC-SHA256:PSK-AES128-CBC-SHA256:"
    b"@SECLEVEL=0"
)
_SIGNATURES = (
    b"ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:"
    b"RSA+SHA256:RSA+SHA384:RSA+SHA512:ed25519"
)
_MAX_SESSIONS = 16


@dataclass(slots=True)
class _Remembered:
    """A context with the session it made; pyOpenSSL resumes a session only in its own context."""

    context: SSL.Context
    fingerprint: str
    groups: str
    session: SSL.Session | None = None


class OpenSslBackend:
    """Makes OpenSSL clients and keeps at most one resumable session per association, in memory."""

    def __init__(self) -> None:
        self._remembered: dict[str, _Remembered] = {}

    def client(self, settings: DtlsSettings, judge: Judge) -> DtlsClient:
        kept = self._remembered.get(settings.association)
        if kept is None or (kept.fingerprint, kept.groups) != (settings.fingerprint, settings.groups):
            # Another pin or policy: a session made under the old one must not be resumed under the new.
            kept = _Remembered(_context(settings), settings.fingerprint, settings.groups)
            self._remembered.pop(settings.association, None)
            while len(self._remembered) >= _MAX_SESSIONS:
                del self._remembered[next(iter(self._remembered))]
            self._remembered[settings.association] = kept
        remembered = kept

        def keep(session: SSL.Session | None) -> None:
            remembered.session = session

        return OpenSslClient(
            SSL.Connection(remembered.context, None), settings, judge, session=remembered.session, keep=keep
        )

    def has_session(self, settings: DtlsSettings) -> bool:
        kept = self._remembered.get(settings.association)
        return kept is not None and kept.session is not None and kept.fingerprint == settings.fingerprint

    def forget(self, association: str) -> None:
        self._remembered.pop(association, None)


def _context(settings: DtlsSettings) -> SSL.Context:
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_min_proto_version(_DTLS_1_2)
    context.set_max_proto_version(_DTLS_1_2)
    context.set_options(SSL.OP_NO_QUERY_MTU | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION)
    context.set_cipher_list(_PSK_SUITES if settings.psk else _CERTIFICATE_SUITES)
    # Every chain passes here and is judged by ``Judge`` once the handshake is complete; see chain.py for why.
    context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
    context.set_timeout(int(settings.session_lifetime_s))
    context.set_info_callback(hear)
    _set_curves(context, settings.groups)
    set_signatures(context, _SIGNATURES)
    if settings.client_certificate is not None:
        use_client_certificate(context, settings.client_certificate)
    if settings.psk is not None:
        _set_psk(context, settings.psk)
    return context


def _set_curves(context: SSL.Context, groups: str) -> None:
    if not set_groups(context, groups):
        if groups != DEFAULT_GROUPS:
            raise BackendLacks("this build of cryptography cannot choose curves")
        events.NO_BRAINPOOL.emit()


def _set_psk(context: SSL.Context, psk: Psk) -> None:
    setter = getattr(LIB, "SSL_CTX_set_psk_client_callback", None)
    if setter is None or not getattr(LIB, "Cryptography_HAS_PSK", 0):
        raise BackendLacks("this build of pyOpenSSL and cryptography has no pre-shared keys")

    def answer(_ssl: Any, _hint: Any, identity: Any, identity_size: int, key: Any, key_size: int) -> int:
        if len(psk.identity) >= identity_size or len(psk.key) > key_size:
            return 0
        FFI.memmove(identity, psk.identity + b"\0", len(psk.identity) + 1)
        FFI.memmove(key, psk.key, len(psk.key))
        return len(psk.key)

    signature = "unsigned int (SSL *, const char *, char *, unsigned int, unsigned char *, unsigned int)"
    try:
        callback = FFI.callback(signature, answer)
    except (MemoryError, SystemError) as error:  # hardened kernels forbid the writable code page it needs
        raise BackendLacks(f"pre-shared keys need a callback that this system forbids: {error}") from None
    setter(context._context, callback)
    context.set_app_data(callback)  # C keeps only a pointer: the callback must live as long as the context
