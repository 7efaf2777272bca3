"""What can go wrong on the way to a server, and in its answer."""

from __future__ import annotations

from enum import Enum

from ipad_agent.errors import EimError, IpadError, NetworkError, Remedy, Side


class Unreachable(NetworkError):
    """No packet came back: unknown name, no route, port closed, or silence."""

    default_hint = "Check that the device has a data connection and that host, port and firewall are right."


class HandshakeFailed(NetworkError):
    """The server answered but no secure session came about (alert, no common cipher suite, wrong PSK)."""

    default_hint = "Compare cipher suites, curve and PSK of both sides; the sentence above says what the server sent."


class HandshakeUnfinished(HandshakeFailed):
    """The server answered, but the handshake was not finished in time: it is lost on the way, or kept silent about."""


class CertificateWanted(HandshakeFailed):
    """The server asks for a certificate of this device, and had none or did not accept the one it was shown.

    For the schedule a failed handshake like others: the server did prove who it is.
    """

    def __init__(self, message: str, *, shown: bool) -> None:
        """``message`` is how it ended; ``shown`` tells whether a certificate is configured for this server."""
        if shown:
            super().__init__(
                f"{message}; the server asks for a client certificate and was shown the configured one",
                hint="Compare the certificate in client_certificate with what the server accepts: issuer, dates, name.",
            )
        else:
            super().__init__(
                f"{message}; the server asks for a client certificate and none is configured",
                hint="For an eIM set client_certificate and client_key_file; else the server must not ask for one.",
            )
        self.shown = shown


class ConnectionLost(NetworkError):
    """The connection broke before the answer was complete; whether the server acted on the request is not known."""

    reached = True
    default_hint = "The link or the server went away; the agent tries again by its schedule."


class AddressForbidden(NetworkError):
    """The server's address leads into the device's own networks, where somebody else's choice must not lead."""

    remedy = Remedy.ASK_PERSON
    default_hint = "Where the SM-DP+ is in such a network on purpose, set download.allow_private_servers."


class Refusal(Enum):
    """Why a server was not trusted."""

    NO_CERTIFICATE = "no certificate"
    UNREADABLE = "unreadable certificate"
    NO_PATH = "no path to what is trusted"
    NOT_A_CA = "issuer is no CA"
    WEAK = "weak key or signature"
    EXPIRED = "expired"
    NOT_YET_VALID = "not yet valid"
    WRONG_NAME = "wrong name"
    WRONG_PURPOSE = "not a server certificate"
    LIMIT = "chain too long"
    NO_PSK = "session without the pre-shared key"


class TrustRefused(NetworkError):
    """The server proved an identity that is not the trusted one. Nothing was sent to it (SGP.32 v1.2 §2.6.3)."""

    remedy = Remedy.ASK_PERSON
    default_hint = (
        "Either the connection is intercepted or the eIM changed its TLS key: compare the server's key with "
        "trustedPublicKeyDataTls in the eUICC, or with the trust configured for this eIM."
    )

    def __init__(self, message: str, *, reason: Refusal, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class TransferTimeout(NetworkError):
    """The session stood, but the exchange was not finished in time."""

    reached = True
    default_hint = "The link is slow or lossy, or the server is busy; the agent tries again by its schedule."


class PeerBusy(EimError):
    """The server asks to come back later (Max-Age of RFC 7252 §5.9.3.4, Retry-After of RFC 9110 §10.2.3)."""

    default_hint = "The eIM is overloaded or in maintenance; nothing to do here."

    def __init__(self, retry_after_s: float, text: str = "") -> None:
        super().__init__(f"the server is busy and asks to wait {retry_after_s:g} s" + (f": {text}" if text else ""))
        self.retry_after_s = retry_after_s


class PeerStatus(EimError):
    """The server refused with a status; ``code`` is like ``4.04`` (CoAP) or ``404`` (HTTP).

    ``text`` are its diagnostic words, if any, and ``body`` is what came with it, of a long one the beginning.
    """

    default_hint = "Check path, content format and whether the eIM knows this device."

    def __init__(self, code: str, text: str = "", *, hint: str | None = None, body: bytes = b"") -> None:
        super().__init__(f"the server answered {code}" + (f": {text}" if text else ""), hint=hint)
        self.code = code
        self.text = text
        self.body = body


class ProtocolViolation(EimError):
    """The server's messages contradict CoAP (RFC 7252), block-wise transfer (RFC 7959) or HTTP (RFC 9112)."""

    default_hint = "Record the exchange and report it to the eIM's maker."


class ResponseTooLarge(EimError):
    """The answer is larger than the configured limit; it was not read to the end."""

    default_hint = "No package is that large; report it to the eIM's maker."


class BackendLacks(IpadError):
    """The installed TLS library cannot do what the configuration asks for."""

    remedy = Remedy.ASK_PERSON
    default_hint = "Install the pyOpenSSL and cryptography packages named in the documentation."


class TrustUnusable(NetworkError):
    """What should be trusted cannot be read: no key, no certificate, an empty store. Nobody was asked for a proof."""

    side = Side.CONFIG
    remedy = Remedy.ASK_PERSON
    default_hint = "Correct trustedPublicKeyDataTls in the eUICC (updateEim) or the trust configured for this eIM."
