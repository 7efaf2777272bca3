"""What a DTLS handshake comes to, whichever library makes it: its stage, the verdict, the words for its failures."""

from __future__ import annotations

from enum import Enum, auto

from ipad_agent.errors import IpadError
from ipad_agent.net.errors import (
    CertificateWanted,
    HandshakeFailed,
    HandshakeUnfinished,
    Refusal,
    TrustRefused,
    Unreachable,
)
from ipad_agent.net.trust.certificate_chain import Verdict

from . import tls_alerts
from .dtls_backend import DtlsSettings, Judge


class SessionStage(Enum):
    """How far a session is."""

    NEW = auto()
    HANDSHAKING = auto()
    ESTABLISHED = auto()
    OVER = auto()


def verdict(settings: DtlsSettings, judge: Judge, cipher: str, chain: list[bytes]) -> Verdict:
    """About the server, after the handshake. Raises ``TrustRefused`` and ``BackendLacks``."""
    if settings.psk is not None:
        if "PSK" not in cipher:
            raise TrustRefused(f"the session uses {cipher} without the pre-shared key", reason=Refusal.NO_PSK)
        return Verdict("it knows the pre-shared key")
    return judge(chain)


def too_late(settings: DtlsSettings, *, heard: bool, asked: bool) -> IpadError:
    """Why a handshake was given up. ``heard``: the server said anything; ``asked``: it wants a certificate."""
    limit = f"within {settings.handshake_timeout_s:g} s"
    if not heard:
        return Unreachable(f"the server did not answer the DTLS handshake {limit}")
    sentence = f"the DTLS handshake was not finished {limit}"
    if asked:
        return CertificateWanted(sentence, shown=settings.client_certificate is not None)
    guess = "" if settings.psk is None else "; a wrong pre-shared key looks like this"
    return HandshakeUnfinished(sentence + guess)


def ended_by_alert(settings: DtlsSettings, alert: int, *, asked: bool, established: bool) -> IpadError:
    """What a fatal alert of the server means."""
    what = "ended the session" if established else "broke off the handshake"
    sentence = f"the server {what}: {tls_alerts.sentence(alert, asked=asked)}"
    if tls_alerts.is_about_our_certificate(alert, asked=asked):
        return CertificateWanted(sentence, shown=settings.client_certificate is not None)
    return HandshakeFailed(sentence)
