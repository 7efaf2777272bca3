"""Where a triggered profile comes from: through the eIM or straight from the SM-DP+, and from which
(SGP.32 v1.2 §3.2.3, §2.11.1.3)."""

from __future__ import annotations

from collections.abc import Set
from enum import StrEnum

from ipad_agent.codec.es10.es10_requests import ConfiguredAddresses
from ipad_agent.codec.esipa.device_info import IpaFeature
from ipad_agent.codec.esipa.download_trigger import DownloadData, UseActivationCode, UseDefaultSmdp
from ipad_agent.codec.rsp.activation_code import ActivationCode
from ipad_agent.errors import CardError, CodecError
from ipad_agent.procedures.ports import Card
from ipad_agent.records import dataclass, field

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


class NoData(CodecError):
    """The order lacks what is needed to carry it out, or has it in a form that nobody can read: the answer is
    invalidPackageFormat(1), whatever way the download would have gone (§3.2.3.1, §3.2.3.2 step 3)."""


def choose_way(
    data: DownloadData | None, *, entry_indirect: bool, features: Set[IpaFeature], connected: bool
) -> Way | None:
    """Through the eIM when its entry on the card says so and this IPA announced it, else directly when this IPA can,
    else through the eIM all the same: the entry's field does not exist before v1.1, and an eIM that orders a download
    from an IPA without a way of its own has assumed the relay. Without data only the eIM knows the server. None when
    nothing is possible."""
    through_eim = IpaFeature.INDIRECT_RSP_SERVER_COMMUNICATION in features
    if through_eim and (data is None or entry_indirect):
        return Way.INDIRECT
    if data is not None and connected and IpaFeature.DIRECT_RSP_SERVER_COMMUNICATION in features:
        return Way.DIRECT
    return Way.INDIRECT if through_eim else None


async def goal_of(card: Card, data: DownloadData | None, *, features: Set[IpaFeature]) -> Goal:
    """The first server to ask. Raises ``NoData`` when the order cannot be carried out as it is, ``DownloadStop`` when
    the card does not say what the order leaves to it."""
    if data is None:
        if IpaFeature.EIM_DOWNLOAD_DATA_HANDLING not in features:
            raise NoData("no download data, which this IPA did not leave to the eIM")
        return Goal(None, None)
    if isinstance(data, UseActivationCode):
        try:
            code = ActivationCode.parse(data.text)
        except CodecError as error:
            raise NoData(error.message) from error
        return Goal(code.smdp_address, code.matching_id, code.smdp_oid)
    if isinstance(data, UseDefaultSmdp):
        address = (await _configured(card)).default_smdp
        if address is None:
            raise NoData("a default SM-DP+ address that the eUICC does not have")
        return Goal(address)
    address = data.address or (await _configured(card)).root_smds
    if address is None:
        raise NoData("no SM-DS address, and the eUICC has none either")
    return Goal(address)


async def _configured(card: Card) -> ConfiguredAddresses:
    """Raises ``DownloadStop`` for a card that does not tell; only one that is gone is raised as it is."""
    try:
        return await card.get_configured_addresses()
    except CardError as failure:
        if not failure.alive:
            raise
        raise DownloadStop(failure.message) from failure
