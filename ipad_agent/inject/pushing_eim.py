"""Which eIM pushes: by the key, certificate or pre-shared key by which the agent would know it as a server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ipad_agent.net.dtls.dtls_backend import Psk
from ipad_agent.net.errors import Refusal, TrustRefused
from ipad_agent.net.trust.certificate_chain import judge
from ipad_agent.net.trust.pinned_trust import Pinned, Trust, clock_is_plausible
from ipad_agent.records import dataclass, field


@dataclass(frozen=True, slots=True)
class KnownEim:
    """An eIM of the card, and by what it is known. ``psk`` is for CoAP alone."""

    eim_id: str
    host: str
    trust: Trust
    psk: Psk | None = field(default=None, repr=False)


KnownEims = Callable[[], Sequence[KnownEim]]
"""Asked for every connection: what is on the card may change."""


def by_certificates(chain: Sequence[bytes], known: Iterable[KnownEim], *, now_s: float) -> tuple[str, ...]:
    """The ids of the eIMs that may show this chain (DER, the peer's own first): several, where entries of the card name
    the same key. Raises ``TrustRefused`` when there is none; ``now_s`` is seconds since 1970."""
    found: list[str] = []
    problem = TrustRefused("no eIM on the card is known by a certificate", reason=Refusal.NO_PATH)
    for eim in known:
        if eim.trust.kind is Pinned.PSK:
            continue
        try:
            judge(chain, eim.trust, host=eim.host, now_s=now_s, clock_plausible=clock_is_plausible(now_s))
        except TrustRefused as refused:
            problem = refused
        else:
            found.append(eim.eim_id)
    if not found:
        raise problem
    return tuple(found)


def by_identity(identity: bytes, known: Iterable[KnownEim]) -> KnownEim | None:
    """The eIM whose pre-shared key has this identity."""
    return next((eim for eim in known if eim.psk is not None and eim.psk.identity == identity), None)
