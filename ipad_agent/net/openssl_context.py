"""What the contexts of DTLS and TLS have in common, with pyOpenSSL.

The parts of the binding that pyOpenSSL does not wrap (groups, signatures) are looked up by name and their absence is
reported in a sentence; nothing falls back to something weaker.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from OpenSSL import SSL

from ipad_agent.net.trust.client_certificate import ClientCertificate
from ipad_agent.records import dataclass

from .errors import BackendLacks
from .older_pyopenssl import use_certificate_and_key

if TYPE_CHECKING:
    import ctypes  # only where the binding lacks something

LIB: Any = SSL._lib  # type: ignore[attr-defined]  # the binding below pyOpenSSL, see the module's first words
FFI: Any = SSL._ffi  # type: ignore[attr-defined]

_SET_GROUPS_LIST: Final = 92  # SSL_CTRL_SET_GROUPS_LIST of OpenSSL's ssl.h
_CERTIFICATE_REQUEST: Final = b"read server certificate request"  # of SSL_state_string_long, in every release
_FATAL: Final = 2
_READ_BYTES: Final = 65_536
_CLOSE_NOTIFY: Final = 0


def set_groups(context: SSL.Context, groups: str) -> bool:
    """Offer these groups and no others; without it OpenSSL offers no brainpool below TLS 1.3.

    False when the binding cannot choose groups at all; raises ``BackendLacks`` when the library lacks one of them.
    """
    names = groups.encode("ascii")
    setter = getattr(LIB, "SSL_CTX_set1_curves_list", None)
    if setter is not None:
        good = setter(context._context, names) == 1
    else:  # an older binding
        library = shared_libssl()
        if library is None:
            return False
        import ctypes

        pointer = int(FFI.cast("uintptr_t", context._context))
        good = library.SSL_CTX_ctrl(ctypes.c_void_p(pointer), _SET_GROUPS_LIST, ctypes.c_long(0), names) == 1
    if not good:
        forget_errors()
        raise BackendLacks(f"the TLS library does not know all of these curves: {groups}")
    return True


def shared_libssl() -> ctypes.CDLL | None:
    """The libssl that the binding uses, if it is a shared one, as in Linux distributions.

    A wheel brings its own copy, beside the one that Python's ssl module has loaded; the address of a table inside
    tells the two apart, and the wrong one must never see our context.
    """
    import ctypes

    try:
        library = ctypes.CDLL("libssl.so.3", mode=os.RTLD_NOLOAD | os.RTLD_NOW)
    except OSError:
        return None
    library.DTLS_method.restype = ctypes.c_void_p
    if library.DTLS_method() != int(FFI.cast("uintptr_t", LIB.DTLS_method())):
        return None
    library.SSL_CTX_ctrl.restype = ctypes.c_long
    return library


def session_reused(connection: SSL.Connection) -> bool:
    """Whether the handshake that is complete resumed a session. Raises ``BackendLacks`` where that cannot be told."""
    flag = getattr(LIB, "SSL_session_reused", None)
    if flag is not None:
        return bool(flag(connection._ssl))
    # The bindings of cryptography 40 and 41 lack it.
    library = shared_libssl()
    if library is None:
        raise BackendLacks("this build of pyOpenSSL and cryptography cannot tell resumed sessions")
    import ctypes

    return bool(library.SSL_session_reused(ctypes.c_void_p(int(FFI.cast("uintptr_t", connection._ssl)))))


def to_send(connection: SSL.Connection) -> bytes:
    """All that the connection wants to send now; empty when it is nothing."""
    taken = bytearray()
    while True:
        try:
            taken += connection.bio_read(_READ_BYTES)
        except SSL.WantReadError:
            return bytes(taken)


def set_signatures(context: SSL.Context, *lists: bytes) -> None:
    """Offer the first of these lists that the library knows. Raises ``BackendLacks`` when it knows none."""
    setter = getattr(LIB, "SSL_CTX_set1_sigalgs_list", None)
    if setter is not None:
        for names in lists:
            if setter(context._context, names) == 1:
                return
            forget_errors()
    raise BackendLacks("this build of cryptography cannot choose signature algorithms")


def use_client_certificate(context: SSL.Context, own: ClientCertificate) -> None:
    """Show this certificate to a server that asks for one. Raises ``BackendLacks``, which holds nothing of the key."""
    try:
        use_certificate_and_key(context, own.certificates(), own.private_key())
    except SSL.Error as error:
        raise BackendLacks(f"the TLS library does not take the client certificate or its key: {words(error)}") from None


@dataclass(slots=True)
class Heard:
    """What arrived on one connection beside data: the fatal alert, close_notify, a request for our certificate."""

    alert: int | None = None
    goodbye: bool = False
    asked: bool = False


def hear(connection: SSL.Connection, where: int, value: int) -> None:
    """The info callback of a context whose connections have a ``Heard`` as their app data. Called from C."""
    heard: Heard | None = connection.get_app_data()
    if heard is None:
        return
    if where == SSL.SSL_CB_READ_ALERT:
        level, description = value >> 8, value & 0xFF
        if description == _CLOSE_NOTIFY:
            heard.goodbye = True
        elif level == _FATAL:
            heard.alert = description
    elif where & SSL.SSL_CB_LOOP and connection.get_state_string().endswith(_CERTIFICATE_REQUEST):
        heard.asked = True


def words(error: SSL.Error) -> str:
    """OpenSSL's own reason, e.g. ``unexpected message``."""
    if isinstance(error, SSL.SysCallError):  # a number and words: the peer is gone
        return str(error.args[-1]).lower()
    first = error.args[0] if error.args else None
    if isinstance(first, list) and first:
        return ", ".join(str(entry[2]) for entry in first)
    return str(error) or type(error).__name__


def forget_errors() -> None:
    """Empty OpenSSL's queue of errors, which it would otherwise add to the next failure of this thread."""
    LIB.ERR_clear_error()
