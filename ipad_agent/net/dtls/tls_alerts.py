"""TLS alerts in words (RFC 5246 §7.2, RFC 4279 §6)."""

from __future__ import annotations

_WORDS = {
    0: "it closed the session",
    10: "it got a message it did not expect",
    20: "it could not verify a record",
    22: "it got a record that is too long",
    40: "it found no common cipher suite, curve or version",
    42: "it did not accept our certificate",
    43: "it does not support our certificate",
    44: "our certificate was revoked",
    45: "our certificate has expired",
    46: "it had trouble with our certificate",
    47: "it found a value it does not allow",
    48: "it does not know the issuer of our certificate",
    49: "it denied access",
    50: "it could not read a message",
    51: "a signature, a check or the pre-shared key was wrong",
    70: "it takes no version of the protocol that this program speaks",
    71: "it asks for stronger cryptography",
    80: "it had an internal error",
    86: "it refused a fallback to an older version",
    90: "somebody cancelled at its side",
    109: "it misses an extension",
    110: "it does not support an extension",
    112: "it does not know the server name",
    115: "it does not know our PSK identity",
    116: "it wants a client certificate",
}

_HANDSHAKE_FAILURE = 40
_CERTIFICATE_ALERTS = frozenset({41, 42, 43, 44, 45, 48, 116})


def sentence(description: int, *, asked: bool = False) -> str:
    """What the server says with this alert; ``asked`` when it had asked for a certificate of ours."""
    if asked and description == _HANDSHAKE_FAILURE:
        return f"it does not go on without a certificate that it accepts (alert {description})"
    return f"{_WORDS.get(description, 'it gave no known reason')} (alert {description})"


def is_about_our_certificate(description: int, *, asked: bool) -> bool:
    """Whether this alert is the server's verdict on our certificate, or on the lack of one.

    Servers of TLS 1.2 say handshake_failure(40) when a certificate they asked for did not come (RFC 5246 §7.4.6);
    others deny access(49) or find a verification failed(51, 80).
    """
    return description in _CERTIFICATE_ALERTS or (asked and description in (_HANDSHAKE_FAILURE, 46, 49, 51, 80))
