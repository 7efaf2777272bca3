"""What a client of Mbed TLS is configured with: the same offer as OpenSSL's, in the library's numbers (RFC 8446 §4.2,
RFC 5246 §A.5)."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Mapping
from typing import Any, Final

from ipad_agent.net.errors import BackendLacks
from ipad_agent.net.trust.client_certificate import ClientCertificate

from .client_offer import ClientOffer
from .dtls_backend import DtlsSettings, Psk
from .mbedtls_library import MbedTls, numbers, room, size

_CLIENT, _DATAGRAM, _DEFAULTS = 0, 1, 0
_VERIFY_OPTIONAL: Final = 1
"""The peer has to show a certificate and prove its key; the certificate is judged by ``Judge``."""
_IGNORE_OTHER_CIDS: Final = 0
_LONGEST_FLIGHT_TIMEOUT_S: Final = 60.0
_MS: Final = 1000

SUITES: Final[Mapping[str, int]] = {
    "ECDHE-ECDSA-AES128-GCM-SHA256": 0xC02B,
    "ECDHE-ECDSA-AES128-CCM": 0xC0AC,
    "ECDHE-ECDSA-AES128-CCM8": 0xC0AE,
    "ECDHE-ECDSA-AES256-GCM-SHA384": 0xC02C,
    "ECDHE-ECDSA-CHACHA20-POLY1305": 0xCCA9,
    "ECDHE-RSA-AES128-GCM-SHA256": 0xC02F,
    "ECDHE-RSA-AES256-GCM-SHA384": 0xC030,
    "ECDHE-RSA-CHACHA20-POLY1305": 0xCCA8,
    "ECDHE-ECDSA-AES128-SHA256": 0xC023,
    "ECDHE-RSA-AES128-SHA256": 0xC027,
    "PSK-AES128-CCM8": 0xC0A8,
    "PSK-AES128-CCM": 0xC0A4,
    "PSK-AES128-GCM-SHA256": 0x00A8,
    "ECDHE-PSK-AES128-CBC-SHA256": 0xC037,
    "PSK-AES128-CBC-SHA256": 0x00AE,
}
_GROUPS: Final[Mapping[str, int]] = {
    "P-256": 23,
    "prime256v1": 23,
    "P-384": 24,
    "secp384r1": 24,
    "P-521": 25,
    "secp521r1": 25,
    "brainpoolP256r1": 26,
    "brainpoolP384r1": 27,
    "brainpoolP512r1": 28,
    "X25519": 29,
}
_SIGNATURES: Final[Mapping[str, int]] = {
    "ECDSA+SHA256": 0x0403,
    "ECDSA+SHA384": 0x0503,
    "ECDSA+SHA512": 0x0603,
    "RSA-PSS+SHA256": 0x0804,
    "RSA-PSS+SHA384": 0x0805,
    "RSA-PSS+SHA512": 0x0806,
    "RSA+SHA256": 0x0401,
    "RSA+SHA384": 0x0501,
    "RSA+SHA512": 0x0601,
}
"""Without Ed25519, which the library does not sign with."""


def suite_name(number: int) -> str:
    """OpenSSL's name for a suite that was offered."""
    return next((name for name, known in SUITES.items() if known == number), f"suite {number:#06x}")


class MbedTlsConfiguration:
    """One ``mbedtls_ssl_config`` with everything it points to. Raises ``BackendLacks``."""

    def __init__(self, library: MbedTls, settings: DtlsSettings, offer: ClientOffer) -> None:
        self.library = library
        self.config = room()
        self._kept: list[Any] = []  # C keeps only pointers
        library.ssl_config_init(self.config)
        self._free = weakref.finalize(self, library.ssl_config_free, self.config)
        self._do("config_defaults", _CLIENT, _DATAGRAM, _DEFAULTS)
        self._do("conf_rng", *library.random)
        self._do("conf_authmode", _VERIFY_OPTIONAL)
        self._do("conf_renegotiation", 0)
        self._do("conf_session_tickets", int(offer.tickets))
        self._do("conf_encrypt_then_mac", int(offer.encrypt_then_mac))
        # We show no Connection ID of our own to be found by: one socket has one session. The server's is what counts.
        self._do("conf_cid", size(0), _IGNORE_OTHER_CIDS)
        first_ms = max(1, round(settings.flight_timeout_s * _MS))
        self._do("conf_handshake_timeout", first_ms, max(first_ms, round(_LONGEST_FLIGHT_TIMEOUT_S * _MS)))
        self._list("conf_ciphersuites", ctypes.c_int, SUITES, offer.suites.decode())
        self._list("conf_sig_algs", ctypes.c_uint16, _SIGNATURES, offer.signatures.decode())
        unknown = [name for name in offer.groups.split(":") if name not in _GROUPS]
        if unknown:
            raise BackendLacks(f"Mbed TLS does not know the curve {unknown[0]}")
        self._list("conf_groups", ctypes.c_uint16, _GROUPS, offer.groups)
        if settings.client_certificate is not None:
            self._use_certificate(settings.client_certificate)
        if settings.psk is not None:
            self._use_psk(settings.psk)

    def _do(self, what: str, *arguments: Any) -> None:
        """Call a function whose first argument is the configuration; those without a result are as good as any."""
        getattr(self.library, f"ssl_{what}")(self.config, *arguments)

    def _list(self, what: str, kind: Any, known: Mapping[str, int], names: str) -> None:
        values = numbers(kind, [known[name] for name in names.split(":") if name in known])
        self._kept.append(values)
        self._do(what, values)

    def _use_psk(self, psk: Psk) -> None:
        code = self.library.ssl_conf_psk(
            self.config, psk.key, size(len(psk.key)), psk.identity, size(len(psk.identity))
        )
        if code:
            raise BackendLacks(f"Mbed TLS does not take the pre-shared key: {self.library.words(code)}")

    def _use_certificate(self, own: ClientCertificate) -> None:
        library, chain, key = self.library, room(), room()
        library.x509_crt_init(chain)
        library.pk_init(key)
        self._kept += [
            weakref.finalize(self, library.x509_crt_free, chain),
            weakref.finalize(self, library.pk_free, key),
        ]
        code = library.pk_parse_key(key, own.key, size(len(own.key)), None, size(0), *library.random)
        for der in own.chain:
            code = code or library.x509_crt_parse_der(chain, der, size(len(der)))
        code = code or library.ssl_conf_own_cert(self.config, chain, key)
        if code:
            raise BackendLacks(f"Mbed TLS does not take the client certificate: {library.words(code)}")
