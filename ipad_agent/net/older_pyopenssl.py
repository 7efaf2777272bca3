"""What releases of pyOpenSSL before 24.3 lack, as distributions still have them (Debian 12: 23.0)."""

from __future__ import annotations

import warnings
from typing import Any, Final

from cryptography import x509
from OpenSSL import SSL, crypto

from .trust.client_certificate import PrivateKey

_LIB: Any = SSL._lib  # type: ignore[attr-defined]
_FFI: Any = SSL._ffi  # type: ignore[attr-defined]
_TAKES_CRYPTOGRAPHY: Final = (24, 3)


def flight_timeout_s(connection: SSL.Connection) -> float | None:
    """How long until the flight of the DTLS handshake is due again; None when nothing is."""
    method = getattr(connection, "DTLSv1_get_timeout", None)
    if method is not None:
        left_s: float | None = method()
        return left_s
    seconds, microseconds = _FFI.new("time_t *"), _FFI.new("long *")
    if not _LIB.Cryptography_DTLSv1_get_timeout(connection._ssl, seconds, microseconds):
        return None
    return float(seconds[0] + microseconds[0] / 1_000_000)


def send_flight_again(connection: SSL.Connection) -> None:
    """Let OpenSSL repeat its flight when that is due. Raises ``SSL.Error`` when it has done so too often."""
    method = getattr(connection, "DTLSv1_handle_timeout", None)
    if method is not None:
        method()
        return
    if _LIB.DTLSv1_handle_timeout(connection._ssl) < 0:
        _LIB.ERR_clear_error()
        raise SSL.Error("the flight was repeated too often")


def session_as_der(session: SSL.Session) -> bytes | None:
    """A session as OpenSSL writes it; None where the binding cannot."""
    write = getattr(_LIB, "i2d_SSL_SESSION", None)
    if write is None:
        return None
    size_bytes = write(session._session, _FFI.NULL)
    if size_bytes <= 0:
        return None
    room = _FFI.new("unsigned char[]", size_bytes)
    write(session._session, _FFI.new("unsigned char **", room))
    return bytes(_FFI.buffer(room, size_bytes))


def session_from_der(context: SSL.Context, der: bytes) -> SSL.Session | None:
    """What ``session_as_der`` gave, in another process, for a context that offers the same; None when it is none."""
    read = getattr(_LIB, "d2i_SSL_SESSION", None)
    if read is None:
        return None
    room = _FFI.new("unsigned char[]", der)
    found = read(_FFI.NULL, _FFI.new("const unsigned char **", room), len(der))
    if found == _FFI.NULL:
        _LIB.ERR_clear_error()
        return None
    session: SSL.Session = SSL.Session.__new__(SSL.Session)
    session._session = _FFI.gc(found, _LIB.SSL_SESSION_free)
    session._context = context
    return session


def use_certificate_and_key(context: SSL.Context, chain: list[x509.Certificate], key: PrivateKey) -> None:
    """Show this chain, our own certificate first. Raises ``SSL.Error``."""
    if _release() >= _TAKES_CRYPTOGRAPHY:
        context.use_certificate(chain[0])
        for certificate in chain[1:]:
            context.add_extra_chain_cert(certificate)
        context.use_privatekey(key)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.use_certificate(crypto.X509.from_cryptography(chain[0]))
        for certificate in chain[1:]:
            context.add_extra_chain_cert(crypto.X509.from_cryptography(certificate))
        context.use_privatekey(crypto.PKey.from_cryptography_key(key))


def _release() -> tuple[int, ...]:
    import OpenSSL

    return tuple(int(part) for part in OpenSSL.__version__.split(".")[:2] if part.isdecimal())
