"""Provisioning: give a card that nobody manages its first eIM (AddInitialEim, SGP.32 v1.2 §5.9.4).

Only a card without any eIM takes it. The whole list is accepted or nothing; what a file says is checked before the
card sees it, so that a wrong file costs nothing.
"""

from __future__ import annotations

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.es10.eim_configuration import (
    EimConfigurationData,
    add_initial_eim_from_dump,
    add_initial_eim_request,
)
from ipad_agent.errors import CodecError, ConfigError
from ipad_agent.procedures.ports import Card
from ipad_agent.procedures.records.replay_counters import Counters

from . import events

PLACE = "provisioning.initial_eim"


def read_initial_eims(data: bytes, source: str) -> bytes:
    """The AddInitialEim request (BF57) from a file: a BF57, a BF55 dump of a card, or bare EimConfigurationData.

    The file may be DER or its hex text. Raises ``ConfigError`` that names the file and what is wrong with it.
    """
    try:
        return _request(_der(data))
    except CodecError as error:
        allowed = "an AddInitialEim request (BF57), a BF55 dump, or EimConfigurationData (30), in DER or hex"
        raise ConfigError(PLACE, f"{source}: {error.message}", allowed=allowed) from error


def count_of(request: bytes) -> int:
    """How many eIMs a request (BF57) names: the card takes all of them or none, and need not answer for each."""
    return len(tlv.parse(request).require(0xA0, "the list of eIMs").children())


def _der(data: bytes) -> bytes:
    if data[:1] in (b"\xbf", b"\x30"):
        return data
    try:
        return bytes.fromhex(data.decode("ascii"))
    except ValueError:
        raise CodecError("neither DER nor hex text") from None


def _request(data: bytes) -> bytes:
    elements = tlv.parse_all(data)
    first = elements[0] if elements else None
    if first is not None and first.tag == 0xBF55:
        return add_initial_eim_from_dump(data)
    if first is not None and first.tag == 0xBF57:
        elements = tlv.parse(data).require(0xA0, "the list of eIMs").children()
    request = add_initial_eim_request([EimConfigurationData.parse(element.raw) for element in elements])
    return data if first is not None and first.tag == 0xBF57 else request


async def provision(card: Card, request: bytes, source: str, *, eid: str, counters: Counters) -> bool:
    """Hand the list to the card; False when that would set back a counter or the card refused it, and why is in the
    log.

    Raises ``CardError`` or ``ModemError`` when the card did not get to say anything.
    """
    stale = counters.stale(eid, request)
    if stale is not None:
        eim, counter, seen = stale
        events.PROVISIONING_STALE.emit(source=source, eim=eim, counter=counter, seen=seen)
        return False
    result = await card.add_initial_eim(request)
    if result.error is not None:
        events.PROVISIONING_REFUSED.emit(source=source, reason=f"{result.error.name} ({int(result.error)})")
        return False
    events.PROVISIONED.emit(count=count_of(request), source=source)
    return True
