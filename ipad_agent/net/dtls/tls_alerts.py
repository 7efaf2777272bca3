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
    70: "it does not support DTLS 1.2",
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


def sentence(description: int) -> str:
    """What the server says with this alert."""
    return f"{_WORDS.get(description, 'it gave no known reason')} (alert {description})"
