"""Where a triggered profile comes from: through the eIM or straight from the SM-DP+, and from which
(SGP.32 v1.2 §3.2.3, §2.11.1.3)."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field
from enum import StrEnum

from ipad_agent.codec.esipa.device_info import IpaFeature
from ipad_agent.codec.esipa.download_trigger import DownloadData, UseActivationCode, UseDefaultSmdp
from ipad_agent.codec.rsp.activation_code import ActivationCode
from ipad_agent.procedures.ports import Card

from .download_stop import DownloadStop


class Way(StrEnum):
    """Who talks to the SM-DP+."""

    DIRECT = "directly"
    INDIRECT = "through the eIM"


@dataclass(frozen=True, slots=True)
class Goal:
    """The server to ask and under which name. Without an address the eIM knows it; an empty ``matching_id`` is a value
    that is sent. ``smdp_oid`` is what the activation code demands of the server's certificate."""

    address: str | None
    matching_id: str | None = field(default="", repr=False)
    smdp_oid: str | None = None


def choose_way(
    data: DownloadData | None, *, entry_indirect: bool, features: Set[IpaFeature], connected: bool
) -> Way | None:
    """Through the eIM when its entry on the card says so and this IPA announced it, else directly when this IPA can;
    a trigger without data works only through the eIM. None when neither is possible."""
    through_eim = IpaFeature.INDIRECT_RSP_SERVER_COMMUNICATION in features
    if data is None:
        return Way.INDIRECT if through_eim else None
    if entry_indirect and through_eim:
        return Way.INDIRECT
    if connected and IpaFeature.DIRECT_RSP_SERVER_COMMUNICATION in features:
        return Way.DIRECT
    return None


async def goal_of(card: Card, data: DownloadData | None) -> Goal:
    """The first server to ask. Raises ``CodecError`` for a malformed activation code, ``DownloadStop`` when the card
    does not know the server that the trigger leaves to it."""
    if data is None:
        return Goal(None, None)
    if isinstance(data, UseActivationCode):
        code = ActivationCode.parse(data.text)
        return Goal(code.smdp_address, code.matching_id, code.smdp_oid)
    if isinstance(data, UseDefaultSmdp):
        address = (await card.get_configured_addresses()).default_smdp
        if address is None:
            raise DownloadStop("the eUICC has no default SM-DP+ address")
        return Goal(address)
    address = data.address or (await card.get_configured_addresses()).root_smds
    if address is None:
        raise DownloadStop("neither the trigger nor the eUICC names an SM-DS")
    return Goal(address)
