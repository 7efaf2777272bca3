"""What pyOpenSSL has no call for, or older releases have none for (Debian 12: pyOpenSSL 23.0, cryptography 38)."""

from __future__ import annotations

import ctypes
import os
from typing import Any, Final

from OpenSSL import SSL
from OpenSSL._util import ffi as _ffi
from OpenSSL._util import lib as _lib

from ipad_agent.lab.eim.errors import ServerError

_SET_GROUPS_LIST: Final = 92  # SSL_CTRL_SET_GROUPS_LIST of OpenSSL's ssl.h
_library: Any = _lib
_foreign: Any = _ffi


def set_groups(context: SSL.Context, groups: str) -> None:
    """Offer these groups; OpenSSL leaves brainpool out of its default list. Raises ``ServerError``."""
    setter = getattr(_library, "SSL_CTX_set1_curves_list", None)
    if setter is not None:
        ok = setter(context._context, groups.encode())
    else:
        shared = _shared_libssl()
        if shared is None:
            raise ServerError("this pyOpenSSL cannot set the group list")
        pointer = int(_foreign.cast("uintptr_t", context._context))
        ok = shared.SSL_CTX_ctrl(ctypes.c_void_p(pointer), _SET_GROUPS_LIST, ctypes.c_long(0), groups.encode())
    if ok != 1:
        raise ServerError(f"OpenSSL does not know all of the groups {groups}")


def _shared_libssl() -> ctypes.CDLL | None:
    """The distribution's libssl, when it is the one that the binding uses: a table inside has one address only."""
    try:
        shared = ctypes.CDLL("libssl.so.3", mode=os.RTLD_NOLOAD | os.RTLD_NOW)
    except OSError:
        return None
    shared.DTLS_method.restype = ctypes.c_void_p
    shared.SSL_CTX_ctrl.restype = ctypes.c_long
    return shared if shared.DTLS_method() == int(_foreign.cast("uintptr_t", _library.DTLS_method())) else None


def flight_due_s(connection: SSL.Connection) -> float | None:
    """Seconds until a flight of the handshake is to be sent again; None when nothing waits for an answer."""
    if hasattr(connection, "DTLSv1_get_timeout"):
        return connection.DTLSv1_get_timeout()
    seconds, microseconds = _foreign.new("time_t *"), _foreign.new("long *")
    if not _library.Cryptography_DTLSv1_get_timeout(connection._ssl, seconds, microseconds):
        return None
    return float(seconds[0] + microseconds[0] / 1e6)


def repeat_flight(connection: SSL.Connection) -> None:
    """Send the flight again when it is due. Raises ``SSL.Error`` when that was done too often."""
    if hasattr(connection, "DTLSv1_handle_timeout"):
        connection.DTLSv1_handle_timeout()
    elif _library.DTLSv1_handle_timeout(connection._ssl) < 0:
        _library.ERR_clear_error()
        raise SSL.Error("too many repetitions")
