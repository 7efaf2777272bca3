"""DTLS 1.2 with pyOpenSSL and memory BIOs.

The parts of the binding that pyOpenSSL does not wrap (curves, signatures, PSK, the resumed flag) are looked up by
name and their absence is reported in a sentence; nothing falls back to something weaker.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from OpenSSL import SSL

from ipad_agent.net import events
from ipad_agent.net.errors import BackendLacks

from .dtls_backend import DEFAULT_GROUPS, DtlsClient, DtlsSettings, Judge, Psk
from .openssl_client import OpenSslClient

_LIB: Any = SSL._lib  # type: ignore[attr-defined]  # the binding below pyOpenSSL, see the module's first words
_FFI: Any = SSL._ffi  # type: ignore[attr-defined]

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
_SET_GROUPS_LIST = 92  # SSL_CTRL_SET_GROUPS_LIST of OpenSSL's ssl.h
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
    context.set_info_callback(_note_alert)
    _set_curves(context, settings.groups)
    _set_signatures(context)
    if settings.psk is not None:
        _set_psk(context, settings.psk)
    return context


def _set_curves(context: SSL.Context, groups: str) -> None:
    """Without this, OpenSSL offers no brainpool curve in DTLS 1.2."""
    names = groups.encode("ascii")
    setter = getattr(_LIB, "SSL_CTX_set1_curves_list", None)
    if setter is not None:
        good = setter(context._context, names) == 1
    else:  # an older binding
        library = _shared_libssl()
        if library is None and groups == DEFAULT_GROUPS:
            events.NO_BRAINPOOL.emit()
            return
        if library is None:
            raise BackendLacks("this build of cryptography cannot choose curves")
        pointer = int(_FFI.cast("uintptr_t", context._context))
        good = library.SSL_CTX_ctrl(ctypes.c_void_p(pointer), _SET_GROUPS_LIST, ctypes.c_long(0), names) == 1
    if not good:
        raise BackendLacks(f"the TLS library does not know all of these curves: {groups}")


def _shared_libssl() -> ctypes.CDLL | None:
    """The libssl that the binding uses, if it is a shared one, as in Linux distributions.

    A wheel brings its own copy, beside the one that Python's ssl module has loaded; the address of a table inside
    tells the two apart, and the wrong one must never see our context.
    """
    try:
        library = ctypes.CDLL("libssl.so.3", mode=os.RTLD_NOLOAD | os.RTLD_NOW)
    except OSError:
        return None
    library.DTLS_method.restype = ctypes.c_void_p
    if library.DTLS_method() != int(_FFI.cast("uintptr_t", _LIB.DTLS_method())):
        return None
    library.SSL_CTX_ctrl.restype = ctypes.c_long
    return library


def _set_signatures(context: SSL.Context) -> None:
    setter = getattr(_LIB, "SSL_CTX_set1_sigalgs_list", None)
    if setter is None or setter(context._context, _SIGNATURES) != 1:
        raise BackendLacks("this build of cryptography cannot choose signature algorithms")


def _set_psk(context: SSL.Context, psk: Psk) -> None:
    setter = getattr(_LIB, "SSL_CTX_set_psk_client_callback", None)
    if setter is None or not getattr(_LIB, "Cryptography_HAS_PSK", 0):
        raise BackendLacks("this build of pyOpenSSL and cryptography has no pre-shared keys")

    def answer(_ssl: Any, _hint: Any, identity: Any, identity_size: int, key: Any, key_size: int) -> int:
        if len(psk.identity) >= identity_size or len(psk.key) > key_size:
            return 0
        _FFI.memmove(identity, psk.identity + b"\0", len(psk.identity) + 1)
        _FFI.memmove(key, psk.key, len(psk.key))
        return len(psk.key)

    signature = "unsigned int (SSL *, const char *, char *, unsigned int, unsigned char *, unsigned int)"
    try:
        callback = _FFI.callback(signature, answer)
    except (MemoryError, SystemError) as error:  # hardened kernels forbid the writable code page it needs
        raise BackendLacks(f"pre-shared keys need a callback that this system forbids: {error}") from None
    setter(context._context, callback)
    context.set_app_data(callback)  # C keeps only a pointer: the callback must live as long as the context


def _note_alert(connection: SSL.Connection, where: int, value: int) -> None:
    if where == SSL.SSL_CB_READ_ALERT:
        note: Callable[[int, int], None] | None = connection.get_app_data()
        if note is not None:
            note(value >> 8, value & 0xFF)
