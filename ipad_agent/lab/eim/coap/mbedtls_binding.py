"""The server's side of Mbed TLS 3.6, as little of it as the lab needs, by ctypes: OpenSSL knows no Connection IDs.

The lab declares the library for itself, so that it does not share a mistake with the agent. ``load`` raises
``ServerError`` where the library is not installed (Debian 13: libmbedtls21).
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from cryptography.hazmat.primitives import serialization

from ipad_agent.lab.eim.errors import ServerError

from .dtls_context import TlsIdentity

SERVER, DATAGRAM = 1, 1
WOULD_BLOCK: Final = frozenset({-0x6900, -0x6880})
HELLO_VERIFY_REQUIRED: Final = -0x6A80
CLOSED_BY_PEER: Final = -0x7880

SUITES: Final[Mapping[str, bytes]] = {
    "ECDHE-ECDSA-AES128-GCM-SHA256": b"TLS-ECDHE-ECDSA-WITH-AES-128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384": b"TLS-ECDHE-ECDSA-WITH-AES-256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-CCM": b"TLS-ECDHE-ECDSA-WITH-AES-128-CCM",
    "ECDHE-ECDSA-AES128-CCM8": b"TLS-ECDHE-ECDSA-WITH-AES-128-CCM-8",
    "ECDHE-ECDSA-AES128-SHA256": b"TLS-ECDHE-ECDSA-WITH-AES-128-CBC-SHA256",
    "PSK-AES128-CCM8": b"TLS-PSK-WITH-AES-128-CCM-8",
    "PSK-AES128-CCM": b"TLS-PSK-WITH-AES-128-CCM",
    "PSK-AES128-GCM-SHA256": b"TLS-PSK-WITH-AES-128-GCM-SHA256",
}
"""Our names, which are OpenSSL's, and the library's."""

_GROUPS: Final = {"P-256": 0x17, "P-384": 0x18, "brainpoolP256r1": 0x1A, "brainpoolP384r1": 0x1B, "X25519": 0x1D}
_STRUCTURE_BYTES: Final = 4096  # the largest of version 3.6 has 880 on amd64

_Transfer = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_ubyte), ctypes.c_size_t)
_SetDelay = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32)
_GetDelay = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
_FindPsk = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.POINTER(ctypes.c_ubyte), ctypes.c_size_t
)


def structure() -> Any:
    """Room for any of the library's structures."""
    return (ctypes.c_ubyte * _STRUCTURE_BYTES)()


@functools.cache
def load() -> Any:
    """libmbedtls 3.6 with its two companions as attributes ``crypto`` and ``x509``."""
    try:
        crypto, x509 = ctypes.CDLL("libmbedcrypto.so.16"), ctypes.CDLL("libmbedx509.so.7")
        tls: Any = ctypes.CDLL("libmbedtls.so.21")
    except OSError as error:
        raise ServerError(f"Connection IDs need Mbed TLS 3.6 (Debian 13: libmbedtls21): {error}") from error
    if crypto.mbedtls_version_get_number() >> 16 != 0x0306:
        raise ServerError("Connection IDs need Mbed TLS 3.6, and another version is installed under its name")
    if crypto.psa_crypto_init() != 0:
        raise ServerError("Mbed TLS cannot be initialised")
    tls.mbedtls_ssl_get_ciphersuite.restype = ctypes.c_char_p
    tls.crypto, tls.x509 = crypto, x509
    return tls


def check(code: int, what: str) -> None:
    """Raise ``ServerError`` for a result that is an error."""
    if code != 0:
        text = ctypes.create_string_buffer(128)
        load().crypto.mbedtls_strerror(code, text, ctypes.c_size_t(128))
        raise ServerError(f"Mbed TLS refuses {what}: {text.value.decode('ascii', 'replace')}")


class ServerConfiguration:
    """Everything that the sessions of one server have in common; fresh ones share no cookie and no session."""

    def __init__(
        self,
        identity: TlsIdentity | None,
        psk: Mapping[bytes, bytes],
        suites: Sequence[str],
        groups: str,
        *,
        resumes: bool,
        connection_id_bytes: int,
    ) -> None:
        self.tls = tls = load()
        self.config, self._entropy, self._random = structure(), structure(), structure()
        self._cookies, self._sessions = structure(), structure()
        self._chain, self._key = structure(), structure()
        self._keys = dict(psk)
        tls.crypto.mbedtls_entropy_init(self._entropy)
        tls.crypto.mbedtls_ctr_drbg_init(self._random)
        tls.mbedtls_ssl_config_init(self.config)
        tls.mbedtls_ssl_cookie_init(self._cookies)
        tls.mbedtls_ssl_cache_init(self._sessions)
        tls.x509.mbedtls_x509_crt_init(self._chain)
        tls.crypto.mbedtls_pk_init(self._key)
        entropy, random = tls.crypto.mbedtls_entropy_func, tls.crypto.mbedtls_ctr_drbg_random
        no_bytes = ctypes.c_size_t(0)
        check(
            tls.crypto.mbedtls_ctr_drbg_seed(self._random, entropy, self._entropy, None, no_bytes), "its random numbers"
        )
        check(tls.mbedtls_ssl_config_defaults(self.config, SERVER, DATAGRAM, 0), "the defaults of a server")
        tls.mbedtls_ssl_conf_rng(self.config, random, self._random)
        check(tls.mbedtls_ssl_cookie_setup(self._cookies, random, self._random), "cookies")
        tls.mbedtls_ssl_conf_dtls_cookies(
            self.config, tls.mbedtls_ssl_cookie_write, tls.mbedtls_ssl_cookie_check, self._cookies
        )
        if resumes:
            tls.mbedtls_ssl_conf_session_cache(
                self.config, self._sessions, tls.mbedtls_ssl_cache_get, tls.mbedtls_ssl_cache_set
            )
        tls.mbedtls_ssl_conf_renegotiation(self.config, 0)
        check(tls.mbedtls_ssl_conf_cid(self.config, ctypes.c_size_t(connection_id_bytes), 0), "Connection IDs")
        self._set_suites(suites, groups)
        if identity is not None:
            self._set_identity(identity, random)
        self._find_psk = _FindPsk(self._give_psk)
        if psk:
            tls.mbedtls_ssl_conf_psk_cb(self.config, self._find_psk, None)

    def free(self) -> None:
        """No session may be in use any more."""
        tls = self.tls
        tls.mbedtls_ssl_config_free(self.config)
        tls.mbedtls_ssl_cookie_free(self._cookies)
        tls.mbedtls_ssl_cache_free(self._sessions)
        tls.x509.mbedtls_x509_crt_free(self._chain)
        tls.crypto.mbedtls_pk_free(self._key)
        tls.crypto.mbedtls_ctr_drbg_free(self._random)
        tls.crypto.mbedtls_entropy_free(self._entropy)

    def _set_suites(self, suites: Sequence[str], groups: str) -> None:
        tls = self.tls
        unknown = [name for name in suites if name not in SUITES] + [g for g in groups.split(":") if g not in _GROUPS]
        if unknown:
            raise ServerError(f"a server with Connection IDs does not know {unknown[0]}")
        chosen = [tls.mbedtls_ssl_get_ciphersuite_id(SUITES[name]) for name in suites]
        self._suites = (ctypes.c_int * (len(chosen) + 1))(*chosen, 0)
        tls.mbedtls_ssl_conf_ciphersuites(self.config, self._suites)
        numbers = [_GROUPS[group] for group in groups.split(":")]
        self._groups = (ctypes.c_uint16 * (len(numbers) + 1))(*numbers, 0)
        tls.mbedtls_ssl_conf_groups(self.config, self._groups)

    def _set_identity(self, identity: TlsIdentity, random: Any) -> None:
        tls = self.tls
        for certificate in identity.chain:
            der = certificate.public_bytes(serialization.Encoding.DER)
            check(tls.x509.mbedtls_x509_crt_parse_der(self._chain, der, ctypes.c_size_t(len(der))), "the certificate")
        key = identity.key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        check(
            tls.crypto.mbedtls_pk_parse_key(
                self._key, key, ctypes.c_size_t(len(key)), None, ctypes.c_size_t(0), random, self._random
            ),
            "the key",
        )
        check(tls.mbedtls_ssl_conf_own_cert(self.config, self._chain, self._key), "key and certificate")

    def _give_psk(self, _: Any, ssl: int, name: Any, size: int) -> int:
        key = self._keys.get(bytes(name[:size]))
        if key is None:
            return -1
        return int(self.tls.mbedtls_ssl_set_hs_psk(ctypes.c_void_p(ssl), key, ctypes.c_size_t(len(key))))


class ServerChannel:
    """One session of the library: records in by ``incoming``, datagrams out by ``outgoing``, the time by ``now_s``."""

    def __init__(
        self,
        configuration: ServerConfiguration,
        client: str,
        connection_id: bytes,
        mtu_bytes: int,
        clock: Callable[[], float],
    ) -> None:
        """``client`` is what the cookie is bound to."""
        self.tls = tls = configuration.tls
        self._configuration = configuration
        self._clock = clock
        self.incoming: list[bytes] = []
        self.outgoing: list[bytes] = []
        self.due_at_s: float | None = None
        self._halfway_at_s = 0.0
        self._ssl: Any = structure()
        self._callbacks = (
            _Transfer(self._send),
            _Transfer(self._receive),
            _SetDelay(self._set_delay),
            _GetDelay(self._get_delay),
        )
        send, receive, set_delay, get_delay = self._callbacks
        tls.mbedtls_ssl_init(self._ssl)
        check(tls.mbedtls_ssl_setup(self._ssl, configuration.config), "a session")
        tls.mbedtls_ssl_set_bio(self._ssl, None, send, receive, None)
        tls.mbedtls_ssl_set_timer_cb(self._ssl, None, set_delay, get_delay)
        tls.mbedtls_ssl_set_mtu(self._ssl, mtu_bytes)
        name = client.encode()
        check(tls.mbedtls_ssl_set_client_transport_id(self._ssl, name, ctypes.c_size_t(len(name))), "an address")
        if connection_id:
            check(
                tls.mbedtls_ssl_set_cid(self._ssl, 1, connection_id, ctypes.c_size_t(len(connection_id))),
                "a Connection ID",
            )

    def handshake(self) -> int:
        """A step; 0 when it is complete."""
        return int(self.tls.mbedtls_ssl_handshake(self._ssl))

    def read(self) -> bytes | int:
        """Plaintext of one record, or why there is none."""
        buffer = (ctypes.c_ubyte * 16384)()
        got = int(self.tls.mbedtls_ssl_read(self._ssl, buffer, ctypes.c_size_t(len(buffer))))
        return bytes(buffer[:got]) if got > 0 else got

    def write(self, data: bytes) -> int:
        """How many bytes were sent, or why none."""
        return int(self.tls.mbedtls_ssl_write(self._ssl, data, ctypes.c_size_t(len(data))))

    def say_goodbye(self) -> None:
        """close_notify."""
        self.tls.mbedtls_ssl_close_notify(self._ssl)

    @property
    def cipher(self) -> str:
        """By our own name."""
        name = self.tls.mbedtls_ssl_get_ciphersuite(self._ssl)
        return next((ours for ours, theirs in SUITES.items() if theirs == name), (name or b"").decode())

    @property
    def uses_connection_id(self) -> bool:
        """Whether the client agreed to one; to be asked after the handshake."""
        enabled, size, theirs = ctypes.c_int(0), ctypes.c_size_t(0), (ctypes.c_ubyte * 32)()
        code = self.tls.mbedtls_ssl_get_peer_cid(self._ssl, ctypes.byref(enabled), theirs, ctypes.byref(size))
        return code == 0 and enabled.value == 1

    def free(self) -> None:
        """May be called twice."""
        ssl, self._ssl = self._ssl, None
        if ssl is not None:
            self.tls.mbedtls_ssl_free(ssl)

    def _send(self, _: Any, data: Any, size: int) -> int:
        self.outgoing.append(bytes(data[:size]))
        return size

    def _receive(self, _: Any, data: Any, room: int) -> int:
        if not self.incoming:
            return -0x6900
        record = self.incoming.pop(0)[:room]
        ctypes.memmove(data, record, len(record))
        return len(record)

    def _set_delay(self, _: Any, halfway_ms: int, whole_ms: int) -> None:
        now_s = self._clock()
        self._halfway_at_s = now_s + halfway_ms / 1000
        self.due_at_s = now_s + whole_ms / 1000 if whole_ms else None

    def _get_delay(self, _: Any) -> int:
        if self.due_at_s is None:
            return -1
        now_s = self._clock()
        return 2 if now_s >= self.due_at_s else int(now_s >= self._halfway_at_s)
