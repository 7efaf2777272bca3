"""What a DTLS 1.2 server is made of: identity, suites, groups, PSK, resumption (SGP.32 v1.2 §2.6.3)."""

from __future__ import annotations

import hashlib
import hmac
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL, crypto
from OpenSSL._util import ffi as _ffi
from OpenSSL._util import lib as _lib

from ipad_agent.lab.eim.errors import ServerError

from .openssl_binding import set_groups

DTLS_1_2 = 0xFEFD
COOKIE_BYTES = 16
_OP_COOKIE_EXCHANGE = 0x2000  # not in every pyOpenSSL

CERTIFICATE_SUITES = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-CCM",
    "ECDHE-ECDSA-AES128-CCM8",
    "ECDHE-ECDSA-AES128-SHA256",
)
PSK_SUITES = ("PSK-AES128-CCM8", "PSK-AES128-CCM", "PSK-AES128-GCM-SHA256")
GROUPS = "P-256:brainpoolP256r1:X25519:P-384"
"""X25519 and P-384 are for clients of the wide world; an ECDSA certificate still needs its own curve offered."""

CLIENT_CERTIFICATE = {"no": SSL.VERIFY_NONE, "optional": SSL.VERIFY_PEER}
CLIENT_CERTIFICATE["required"] = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """The server's key and its chain, leaf first. A self-signed leaf is a chain of one."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    chain: tuple[x509.Certificate, ...]

    @property
    def leaf_der(self) -> bytes:
        """The leaf certificate, DER."""
        return self.chain[0].public_bytes(serialization.Encoding.DER)

    @property
    def spki_der(self) -> bytes:
        """The leaf's SubjectPublicKeyInfo, DER."""
        return self.key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )


@dataclass(frozen=True, slots=True)
class DtlsSettings:
    """Everything a person may want to turn.

    ``identity`` None leaves only PSK. ``psk`` maps identities to keys. ``resumption`` is ``tickets``, ``session-id`` or
    ``none``. ``client_certificate`` is ``no``, ``optional`` or ``required``; with ``client_anchors`` the chain must end
    there, without any anchor every certificate is taken and only noted. With ``connection_id_bytes`` clients that offer
    it are given a Connection ID of that length (RFC 9146) and found by it for ``connection_id_expiry_s``; that needs
    Mbed TLS 3.6 (``ConnectionIdServer``).
    """

    identity: TlsIdentity | None = None
    psk: Mapping[bytes, bytes] = field(default_factory=dict, repr=False)
    psk_hint: bytes | None = None
    suites: Sequence[str] = CERTIFICATE_SUITES
    groups: str = GROUPS
    resumption: str = "tickets"
    client_certificate: str = "no"
    client_anchors: tuple[x509.Certificate, ...] = ()
    mtu_bytes: int = 1200
    handshake_deadline_s: float = 60.0
    idle_expiry_s: float = 900.0
    max_peers: int = 128
    max_half_open: int = 32
    connection_id_bytes: int = 0
    connection_id_expiry_s: float = 30 * 86400.0


def make_context(settings: DtlsSettings, cookie_secret: bytes) -> SSL.Context:
    """A fresh server context; a fresh one also has fresh ticket keys and an empty session cache.

    Raises ``ServerError`` when key and certificate do not fit or the library lacks a suite, a group or PSK.
    """
    context = SSL.Context(SSL.DTLS_SERVER_METHOD)
    context.set_min_proto_version(DTLS_1_2)
    context.set_max_proto_version(DTLS_1_2)
    options = SSL.OP_NO_QUERY_MTU | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE | _OP_COOKIE_EXCHANGE
    if settings.resumption != "tickets":
        options |= SSL.OP_NO_TICKET
    context.set_options(options)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF if settings.resumption == "none" else SSL.SESS_CACHE_SERVER)
    context.set_session_id(b"lab-eim")
    try:
        # SECLEVEL=0: OpenSSL 3 counts the 8-byte tag of CCM_8 as too weak for every higher level.
        suites = [*(settings.suites if settings.identity else ()), *(PSK_SUITES if settings.psk else ())]
        context.set_cipher_list(":".join([*suites, "@SECLEVEL=0"]).encode())
        set_groups(context, settings.groups)
        if settings.identity is not None:
            _set_identity(context, settings.identity)
    except SSL.Error as error:
        raise ServerError(f"OpenSSL refuses key, certificate or suites: {error}") from error
    if settings.psk:
        _set_psk(context, settings)
    _ask_for_client_certificate(context, settings)
    context.set_cookie_generate_callback(lambda conn: make_cookie(cookie_secret, conn))
    context.set_cookie_verify_callback(
        lambda conn, cookie: hmac.compare_digest(bytes(cookie), make_cookie(cookie_secret, conn))
    )
    return context


def make_cookie(secret: bytes, connection: SSL.Connection) -> bytes:
    """The cookie for the peer whose address is the connection's app data (RFC 6347 §4.2.1)."""
    peer: object = connection.get_app_data()
    return hmac.new(secret, repr(peer).encode(), hashlib.sha256).digest()[:COOKIE_BYTES]


def _set_identity(context: SSL.Context, identity: TlsIdentity) -> None:
    with warnings.catch_warnings():
        # Releases before 24.3 know only pyOpenSSL's own objects, later ones call them deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.use_certificate(crypto.X509.from_cryptography(identity.chain[0]))
        for certificate in identity.chain[1:]:
            context.add_extra_chain_cert(crypto.X509.from_cryptography(certificate))
        context.use_privatekey(crypto.PKey.from_cryptography_key(identity.key))
        context.check_privatekey()


def _ask_for_client_certificate(context: SSL.Context, settings: DtlsSettings) -> None:
    mode = CLIENT_CERTIFICATE.get(settings.client_certificate)
    if mode is None:
        raise ServerError(f"client_certificate is {settings.client_certificate!r}, not no, optional or required")
    anchored = bool(settings.client_anchors)

    def verdict(_conn: SSL.Connection, _certificate: crypto.X509, _code: int, _depth: int, ok: int) -> bool:
        return bool(ok) or not anchored

    context.set_verify(mode, verdict)
    store = context.get_cert_store()
    if store is not None:
        for anchor in settings.client_anchors:
            store.add_cert(crypto.X509.from_cryptography(anchor))


def _set_psk(context: SSL.Context, settings: DtlsSettings) -> None:
    library: Any = _lib
    ffi: Any = _ffi
    if not getattr(library, "Cryptography_HAS_PSK", 0):
        raise ServerError("this pyOpenSSL was built without PSK")

    def look_up(_ssl: Any, identity: Any, room: Any, room_bytes: int) -> int:
        key = settings.psk.get(ffi.string(identity)) if identity != ffi.NULL else None
        if key is None or len(key) > room_bytes:
            return 0
        ffi.memmove(room, key, len(key))
        return len(key)

    callback = ffi.callback("unsigned int (*)(SSL *, const char *, unsigned char *, unsigned int)", look_up)
    context.set_app_data(callback)  # the context must outlive its callback's last use, so it holds it
    library.SSL_CTX_set_psk_server_callback(context._context, callback)
    hint = settings.psk_hint
    if hint is not None and library.SSL_CTX_use_psk_identity_hint(context._context, hint) != 1:
        raise ServerError("the PSK identity hint is too long")
