"""Which kind of card it is: an IoT eUICC (SGP.32), a consumer one (SGP.22), an M2M one (SGP.02), or none; and what is
on it. Only reading functions are called."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import StrEnum
from typing import Final, TypeVar

from ipad_agent.card.apdu_channel import CardAccess
from ipad_agent.card.errors import AidNotFound, CardNotReady, ChannelLost, ChannelRefused, NotAnEuicc, StatusWordError
from ipad_agent.card.isdr_session import IsdrSession
from ipad_agent.codec.es10 import es10_requests
from ipad_agent.codec.es10.profile_info import IOT_TAG_LIST, SGP22_TAG_LIST, ProfileInfo, ProfileList
from ipad_agent.codec.identifiers import Eid
from ipad_agent.errors import CardError, CodecError, ModemError
from ipad_agent.records import dataclass, field

ECASD_AID: Final = bytes.fromhex("A0000005591010FFFFFFFF8900000200")
GET_DATA_EID: Final = bytes.fromhex("80CA005A00")
"""SGP.02 v4 §5.3: an M2M eUICC tells its EID by GET DATA at its ECASD."""
_DEADLINE_S: Final = 20.0

T = TypeVar("T")


class Standard(StrEnum):
    """What kind of card."""

    IOT = "SGP.32"
    CONSUMER = "SGP.22"
    M2M = "SGP.02"
    NO_EUICC = "none"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CardSurvey:
    """``evidence`` is the sentence that the verdict stands on. What could not be read is None; ``problems`` say why."""

    standard: Standard
    evidence: str
    eid: str | None = None
    versions: tuple[str, ...] = ()
    firmware: str | None = None
    ipae_active: bool = False
    free_bytes: int | None = None
    profiles: int | None = None
    enabled: int | None = None
    fallback: str | None = None
    """Whether a profile is the fallback profile: none, enabled, disabled; None when that could not be read."""
    eims: int | None = None
    iccids: tuple[str, ...] = ()
    problems: tuple[str, ...] = field(default=())

    @property
    def can_switch(self) -> bool:
        """Whether a device may switch there and back by itself (ExecuteFallbackMechanism, SGP.32 v1.2 §5.9.20)."""
        return self.standard is Standard.IOT and self.fallback == "disabled" and self.enabled == 1


async def identify(access: CardAccess, session: IsdrSession) -> CardSurvey:
    """Ask it. Raises what ends the line; the session's channel is closed afterwards."""
    try:
        await session.transport()
    except AidNotFound as error:
        return await _without_es10(access, error.message, absent=True)
    except NotAnEuicc as error:
        return await _without_es10(access, error.message, absent=False)
    except (CardError, CodecError) as error:
        why = error.message if not isinstance(error, CardNotReady) else f"the modem sees no card: {error.message}"
        refused = isinstance(error, ChannelRefused | ChannelLost | CardNotReady)
        return CardSurvey(Standard.UNKNOWN if refused else Standard.NO_EUICC, why)
    try:
        return await _read_all(session)
    finally:
        await session.drop()


async def _without_es10(access: CardAccess, why: str, *, absent: bool) -> CardSurvey:
    """No ES10: an M2M eUICC has the same AIDs, and another way to tell its EID."""
    try:
        channel = await access.open(ECASD_AID)
    except (CardError, ModemError):
        verdict = Standard.NO_EUICC if absent else Standard.UNKNOWN
        return CardSurvey(verdict, why)
    try:
        raw = await channel.transceive(GET_DATA_EID, deadline_s=_DEADLINE_S)
        if raw[-2] == 0x6C:
            raw = await channel.transceive(GET_DATA_EID[:4] + raw[-1:], deadline_s=_DEADLINE_S)
        elif raw[-2] == 0x61:
            raw = await channel.transceive(bytes([0x80, 0xC0, 0, 0, raw[-1]]), deadline_s=_DEADLINE_S)
    except CardError:
        return CardSurvey(Standard.UNKNOWN, why)
    finally:
        await channel.close()
    if len(raw) == 20 and raw[:2] == b"\x5a\x10" and raw[-2:] == b"\x90\x00":
        told = "the card has an ECASD that tells an EID, and no ES10 functions"
        return CardSurvey(Standard.M2M, told, eid=str(Eid.from_bytes(raw[2:18])))
    return CardSurvey(Standard.NO_EUICC if absent else Standard.UNKNOWN, why)


async def _read_all(session: IsdrSession) -> CardSurvey:
    reader = _Reader(session)
    info = await reader.read("EUICCInfo2", es10_requests.get_euicc_info2_request(), es10_requests.parse_get_euicc_info2)
    eims = await reader.read(
        "the eIM configuration",
        es10_requests.get_eim_configuration_request(),
        es10_requests.parse_get_eim_configuration,
    )
    listed = await _profiles(reader)
    profiles = None if listed is None else listed.profiles
    eid = None if session.eid is None else str(session.eid)
    if info is None:
        verdict, evidence = Standard.UNKNOWN, "the card tells an EID, but EUICCInfo2 could not be read"
    elif info.iot is not None:
        verdict, evidence = Standard.IOT, "EUICCInfo2 has iotSpecificInfo"
    elif eims is not None:
        verdict, evidence = Standard.IOT, "EUICCInfo2 has no iotSpecificInfo, but the card lists its eIMs"
    else:
        verdict, evidence = Standard.CONSUMER, "EUICCInfo2 has no iotSpecificInfo"
    versions = info.iot.versions if info is not None and info.iot is not None else ()
    if not versions and info is not None and info.svn is not None:
        versions = (info.svn,)
    return CardSurvey(
        verdict,
        evidence,
        eid=eid,
        versions=tuple(str(version) for version in versions),
        firmware=None if info is None or info.firmware_version is None else str(info.firmware_version),
        ipae_active=info is not None and info.ipa_mode == 1,
        free_bytes=None if info is None else info.ext_card_resource.free_non_volatile_bytes,
        profiles=None if listed is None else len(listed.profiles) + len(listed.unreadable),
        enabled=None if profiles is None else sum(profile.state == 1 for profile in profiles),
        fallback=_fallback(profiles) if verdict is Standard.IOT else None,
        eims=len(eims.configs) + len(eims.unreadable) if verdict is Standard.IOT and eims is not None else None,
        iccids=tuple(str(profile.iccid) for profile in profiles or () if profile.iccid is not None),
        problems=tuple(reader.problems),
    )


async def _profiles(reader: _Reader) -> ProfileList | None:
    for tag_list in (IOT_TAG_LIST, SGP22_TAG_LIST, None):
        request = es10_requests.get_profiles_request(tag_list=tag_list)
        found = await reader.read("the profiles", request, es10_requests.parse_get_profiles, last=tag_list is None)
        if found is not None and found.error is None:
            return found
    return None


def _fallback(profiles: tuple[ProfileInfo, ...] | None) -> str | None:
    if profiles is None:
        return None
    for profile in profiles:
        if profile.fallback_attribute:
            return "enabled" if profile.state == 1 else "disabled"
    return "none"


class _Reader:
    """Reads, and keeps why something could not be read."""

    def __init__(self, session: IsdrSession) -> None:
        self._session = session
        self.problems: list[str] = []

    async def read(self, what: str, request: bytes, parse: Callable[[bytes], T], *, last: bool = True) -> T | None:
        for attempt in (1, 2):
            try:
                raw = await (await self._session.transport()).es10(request, idempotent=True)
                if not raw:
                    return None
                return parse(raw)
            except StatusWordError as error:
                reason = error.message
            except (CardError, CodecError) as error:
                reason = error.message
                await self._session.drop()
                if attempt == 1:
                    await asyncio.sleep(0)
                    continue
            if last:
                self.problems.append(f"{what}: {reason}")
            return None
        return None
