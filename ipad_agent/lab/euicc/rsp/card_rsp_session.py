"""The RSP session: what a profile download keeps between its commands (SGP.22 §5.7.13, §3.0.1).

It begins with a challenge and lives in volatile memory: the next challenge, a reset, its own end or its cancellation
discard it. One session at a time, whatever the logical channel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc.state.isdr_state import parse

from . import installation_result

if TYPE_CHECKING:
    from ipad_agent.lab.euicc.state.isdr_state import Isdr

    from .rsp_install import Installation
    from .session_steps import Authenticated, Prepared

GET_CHALLENGE = 0xBF2E
CHALLENGE_BYTES = 16
_MAX_TRANSACTION_ID_BYTES = 16


@dataclass(slots=True)
class RspSession:
    """Each step of the session adds its part."""

    challenge: bytes
    authenticated: Authenticated | None = None
    prepared: Prepared | None = None
    installation: Installation | None = None


def session_of(isdr: Isdr) -> RspSession | None:
    """The session under way, None without one."""
    return isdr.rsp_session if isinstance(isdr.rsp_session, RspSession) else None


def get_euicc_challenge(isdr: Isdr, raw: bytes) -> bytes:
    """GetEUICCChallenge (SGP.22 §5.7.7): BF2E -> BF2E { 80 challenge }; an earlier session ends."""
    parse(raw)
    discard(isdr)
    isdr.installed = None
    challenge = isdr.random(CHALLENGE_BYTES)
    isdr.rsp_session = RspSession(challenge)
    return der.tlv(GET_CHALLENGE, der.octets(challenge, 0x80))


def discard(isdr: Isdr) -> None:
    """End the session; an installation that it leaves half done is told of like one that lost power."""
    isdr.rsp_session = None
    installation_result.tell_interruption(isdr)


def transaction_id_of(node: der.Node) -> bytes:
    """The transactionId (80) of a request, 1 to 16 bytes; ``DerError`` without one."""
    value = node.get(0x80).value
    if not 1 <= len(value) <= _MAX_TRANSACTION_ID_BYTES:
        raise der.DerError("transactionId is not 1 to 16 bytes")
    return value


def canonical(node: der.Node) -> bytes:
    """The TLV with shortest lengths throughout: the same bytes, unless it came as BER."""
    if not node.constructed:
        return der.tlv(node.tag, node.value)
    return der.tlv(node.tag, *(canonical(child) for child in node.children))
