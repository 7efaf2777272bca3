"""What a ClientHello offers: only what the pinned key needs, or everything that is known (RFC 5246 §7.4.1.2).

Every name in a ClientHello costs bytes in each handshake, and twice where the server wants a cookie. A server whose key
is known needs one curve and one kind of signature. What is refused is offered in full at once, and from then on.
"""

from __future__ import annotations

from typing import Final

from ipad_agent.records import dataclass

from .dtls_backend import DEFAULT_GROUPS, DtlsSettings

# SGP.32 v1.2 §2.6.3 names the first and the CBC suite for ECDSA; CCM-8 is what constrained servers offer. RSA is for
# servers of laboratories. Security level 0 is what OpenSSL asks for CCM-8; the strength of keys and signatures is
# checked by chain.py and limited by the signatures below.
CERTIFICATE_SUITES: Final = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-CCM:ECDHE-ECDSA-AES128-CCM8:ECDHE-ECDSA-AES256-GCM-SHA384:"
    b"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:"
    b"ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256:@SECLEVEL=0"
)
PSK_SUITES: Final = (
    b"PSK-AES128-CCM8:PSK-AES128-CCM:PSK-AES128-GCM-SHA256:ECDHE-PSK-AES128-CBC-SHA256:PSK-AES128-CBC-SHA256:"
    b"@SECLEVEL=0"
)
SIGNATURES: Final = (
    b"ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:"
    b"RSA+SHA256:RSA+SHA384:RSA+SHA512:ed25519"
)

_LEAN_SUITES: Final = b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0"
_LEAN_PSK_SUITES: Final = b"PSK-AES128-CCM8:PSK-AES128-GCM-SHA256:@SECLEVEL=0"
_LEAN_SIGNATURES: Final = b"ECDSA+SHA256:ECDSA+SHA384"
LEAN_CURVES: Final = frozenset({"P-256", "brainpoolP256r1", "P-384", "brainpoolP384r1"})


@dataclass(frozen=True, slots=True)
class ClientOffer:
    """Lists as OpenSSL reads them. ``tickets`` offers to carry the session for the server (RFC 5077),
    ``encrypt_then_mac`` the better order (RFC 7366), which only suites with a MAC of their own have a use for."""

    suites: bytes
    groups: str
    signatures: bytes
    tickets: bool
    encrypt_then_mac: bool = True


def can_be_lean(settings: DtlsSettings) -> bool:
    """Whether less than everything can do: with a pre-shared key, and with a pinned key on a usual curve. Groups that
    a person chose are not ours to cut down, and a certificate of our own must be of the kind that is offered."""
    if not settings.lean:
        return False
    if settings.psk is not None:
        return True
    own, curve = settings.client_certificate, settings.pinned_curve
    return curve in LEAN_CURVES and settings.groups == DEFAULT_GROUPS and (own is None or own.curve == curve)


def offer_for(settings: DtlsSettings, *, lean: bool, tickets: bool) -> ClientOffer:
    """What to offer; ``lean`` only where ``can_be_lean``."""
    if settings.psk is not None:
        suites = _LEAN_PSK_SUITES if lean else PSK_SUITES
        signatures = _LEAN_SIGNATURES if lean else SIGNATURES
        return ClientOffer(suites, settings.groups, signatures, tickets, encrypt_then_mac=not lean)
    if lean and settings.pinned_curve is not None:
        return ClientOffer(_LEAN_SUITES, settings.pinned_curve, _LEAN_SIGNATURES, tickets, encrypt_then_mac=False)
    return ClientOffer(CERTIFICATE_SUITES, settings.groups, SIGNATURES, tickets)
