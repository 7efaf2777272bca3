"""Mbed TLS 3.6 by ctypes: finding it, what of it is declared, and the functions that it calls back.

Only documented functions are called, and of the library's structures only the first two fields of a certificate are
read (``own_buffer``, ``raw``). All others are opaque: they get room of a fixed size, far above their real one (on amd64
``mbedtls_ssl_context`` has 832 bytes, ``mbedtls_entropy_context`` 880; all that are used here are below 1 KiB), so
that no other architecture or build outgrows it. Functions stay as they are within a soname, which is asked for by name.

C calls back with a number that stands for one ``Line``, not with an object: so one set of callbacks serves the whole
process and is never freed. ctypes lets no exception pass into C: it would be reported, and the answer be 0.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from ipad_agent.net.errors import BackendLacks
from ipad_agent.records import dataclass, field

WANT_READ: Final = -0x6900
WANT_WRITE: Final = -0x6880
TIMEOUT: Final = -0x6800
PEER_CLOSE_NOTIFY: Final = -0x7880
BUFFER_TOO_SMALL: Final = -0x6A00
NEW_SESSION_TICKET: Final = -0x7B00

ROOM_BYTES: Final = 8192
"""For one structure of the library, whichever: eight times what the largest has."""
_RECORD_BYTES: Final = 16384
_SONAMES: Final = ("libmbedcrypto.so.16", "libmbedx509.so.7", "libmbedtls.so.21")
_RELEASE: Final = 0x0306  # 3.6, the long-term release; the CID of 2.28 is that of a draft
_NEEDED: Final = (b"MBEDTLS_SSL_DTLS_CONNECTION_ID", b"MBEDTLS_SSL_CONTEXT_SERIALIZATION", b"MBEDTLS_SSL_CLI_C")

_SEND: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_RECEIVE: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_SET_TIMER: Final = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32)
_GET_TIMER: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
_VERIFY: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


class _Asn1Buf(ctypes.Structure):
    """``mbedtls_asn1_buf``."""

    _fields_ = (("tag", ctypes.c_int), ("len", ctypes.c_size_t), ("p", ctypes.c_void_p))


class _Certificate(ctypes.Structure):
    """``mbedtls_x509_crt`` up to ``raw``; it has more behind."""

    _fields_ = (("own_buffer", ctypes.c_int), ("raw", _Asn1Buf))


@dataclass(slots=True, eq=False)
class Line:
    """What one connection of the library sends, receives and waits for. ``now_s`` is set before each call into it."""

    now_s: float = 0.0
    incoming: deque[bytes] = field(default_factory=deque)
    outgoing: list[bytes] = field(default_factory=list)
    intermediate_at_s: float | None = None
    final_at_s: float | None = None
    certificates: list[bytes] = field(default_factory=list)
    """DER, the peer's own first: those of the path that the library found."""


_lines: dict[int, Line] = {}
_numbers = itertools.count(1)


def open_line(line: Line) -> int:
    """A number by which C names this line from now on, until ``close_line``."""
    number = next(_numbers)
    _lines[number] = line
    return number


def close_line(number: int) -> None:
    """C will not name it again."""
    _lines.pop(number, None)


def _send(number: int, data: int, size: int) -> int:
    _lines[number].outgoing.append(ctypes.string_at(data, size))
    return size


def _receive(number: int, room: int, size: int) -> int:
    incoming = _lines[number].incoming
    if not incoming:
        return WANT_READ
    datagram = incoming.popleft()[:size]
    ctypes.memmove(room, datagram, len(datagram))
    return len(datagram)


def _set_timer(number: int, intermediate_ms: int, final_ms: int) -> None:
    line = _lines[number]
    running = final_ms > 0
    line.intermediate_at_s = line.now_s + intermediate_ms / 1000 if running else None
    line.final_at_s = line.now_s + final_ms / 1000 if running else None


def _get_timer(number: int) -> int:
    line = _lines[number]
    if line.final_at_s is None or line.intermediate_at_s is None:
        return -1
    if line.now_s >= line.final_at_s:
        return 2
    return 1 if line.now_s >= line.intermediate_at_s else 0


def _note_certificate(number: int, certificate: int, depth: int, _flags: int) -> int:
    """Called from the end of the path to its beginning. The verdict is ``Judge``'s, once the handshake is complete."""
    raw = _Certificate.from_address(certificate).raw
    _lines[number].certificates.insert(0, ctypes.string_at(raw.p, raw.len))
    return 0


class MbedTls:
    """The library, loaded, with its random numbers. ``find`` makes the only one."""

    def __init__(self, crypto: ctypes.CDLL, x509: ctypes.CDLL, tls: ctypes.CDLL, release: str) -> None:
        self.release = release
        self._crypto, self._x509, self._tls = crypto, x509, tls
        # Here, and not when the module is loaded: systems that forbid memory to be executable refuse them.
        self._callbacks = (
            _SEND(_send),
            _RECEIVE(_receive),
            _SET_TIMER(_set_timer),
            _GET_TIMER(_get_timer),
            _VERIFY(_note_certificate),
        )
        self._entropy, self._drbg = room(), room()
        crypto.mbedtls_entropy_init(self._entropy)
        crypto.mbedtls_ctr_drbg_init(self._drbg)
        if self._crypto.psa_crypto_init() != 0 or crypto.mbedtls_ctr_drbg_seed(
            self._drbg, crypto.mbedtls_entropy_func, self._entropy, None, ctypes.c_size_t(0)
        ):
            raise BackendLacks("Mbed TLS found no source of random numbers")

    def __getattr__(self, name: str) -> Any:
        """A function of the library by its C name without ``mbedtls_``."""
        for part in (self._tls, self._x509, self._crypto):
            function = getattr(part, f"mbedtls_{name}", None)
            if function is not None:
                setattr(self, name, function)
                return function
        raise AttributeError(name)

    @property
    def random(self) -> tuple[Any, Any]:
        """The two arguments by which C is given random numbers."""
        return self._crypto.mbedtls_ctr_drbg_random, self._drbg

    def connect_line(self, ssl: Any, number: int) -> None:
        """Let ``ssl`` send, receive, wait and show certificates by the line of this number."""
        send, receive, set_timer, get_timer, verify = self._callbacks
        name = ctypes.c_void_p(number)
        self.ssl_set_bio(ssl, name, send, receive, None)
        self.ssl_set_timer_cb(ssl, name, set_timer, get_timer)
        self.ssl_set_verify(ssl, verify, name)

    def words(self, code: int) -> str:
        """What an error of the library means."""
        text = ctypes.create_string_buffer(160)
        self._crypto.mbedtls_strerror(code, text, ctypes.c_size_t(len(text)))
        return text.value.decode("ascii", "replace") or f"-0x{-code:04x}"

    def saved(self, save: Any, of: Any) -> bytes | None:
        """What a function that writes into a buffer of ours writes; None when it cannot."""
        size = ctypes.c_size_t(0)
        if save(of, None, ctypes.c_size_t(0), ctypes.byref(size)) != BUFFER_TOO_SMALL:
            return None
        buffer = ctypes.create_string_buffer(size.value)
        if save(of, buffer, ctypes.c_size_t(len(buffer)), ctypes.byref(size)) != 0:
            return None
        data = buffer.raw[: size.value]
        ctypes.memset(buffer, 0, len(buffer))
        return data


def room() -> Any:
    """Memory for one structure of the library."""
    return ctypes.create_string_buffer(ROOM_BYTES)


def numbers(kind: Any, values: Sequence[int]) -> Any:
    """A list that ends with 0, as the library wants it; it must live as long as what it was given to."""
    return (kind * (len(values) + 1))(*values, 0)


def size(value: int) -> ctypes.c_size_t:
    """For a parameter of type ``size_t``, which on 64 bits is wider than what ctypes passes by itself."""
    return ctypes.c_size_t(value)


@dataclass(frozen=True, slots=True)
class Found:
    """The library, or the reason why there is none."""

    library: MbedTls | None
    reason: str


@functools.cache
def find() -> Found:
    """Load the library once for the process. That it is not there is no fault."""
    return load(_SONAMES)


def load(sonames: Sequence[str]) -> Found:
    """The library under these names: of crypto, X.509 and TLS. Never raises."""
    loaded: list[ctypes.CDLL] = []
    for name in sonames:
        try:
            loaded.append(ctypes.CDLL(name))
        except OSError as error:
            missing = "No such file" in str(error)
            return Found(None, f"Mbed TLS 3.6 is not installed ({f'there is no {name}' if missing else error})")
    crypto, x509, tls = loaded
    try:
        crypto.mbedtls_version_get_number.restype = ctypes.c_uint
        version = crypto.mbedtls_version_get_number()
        release = f"{version >> 24}.{version >> 16 & 0xFF}.{version >> 8 & 0xFF}"
        if version >> 16 != _RELEASE:
            return Found(None, f"Mbed TLS is {release}, and only 3.6 is known")
        lacks = [name.decode() for name in _NEEDED if crypto.mbedtls_version_check_feature(name) != 0]
        if lacks:
            return Found(None, f"Mbed TLS {release} was built without {', '.join(lacks)}")
        return Found(MbedTls(crypto, x509, tls, release), f"Mbed TLS {release}")
    except AttributeError as error:
        return Found(None, f"Mbed TLS lacks a function: {error}")
    except (MemoryError, BackendLacks) as error:
        return Found(None, f"Mbed TLS cannot be used here: {str(error) or 'callbacks are forbidden'}")
