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
