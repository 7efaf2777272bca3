"""What the device tells about itself: to eIMs that ask, and to SM-DP+s in every download (SGP.22 v2.5 §4.2)."""

from __future__ import annotations

from typing import Final

from ipad_agent.codec.esipa.device_info import DeviceInfo
from ipad_agent.codec.identifiers import Imei
from ipad_agent.errors import CodecError, ModemError

from .ports import Device

UNKNOWN_TAC: Final = bytes(4)


async def device_info(device: Device) -> DeviceInfo:
    """DeviceInfo from the modem's IMEI and what is known of its radio. A modem that hides its IMEI gives the TAC of the
    configuration, or an empty one, which is still an answer."""
    try:
        releases = await device.releases()
    except ModemError:
        releases = {}
    try:
        text = await device.imei()
        if text is not None:
            return DeviceInfo.of(Imei.parse(text), releases)
    except (ModemError, CodecError):
        pass
    tac = await device.tac()
    return DeviceInfo(UNKNOWN_TAC if tac is None else _tac(tac), releases)


def _tac(digits: str) -> bytes:
    """The first 4 bytes of an IMEI (35290611 is ``53 92 60 11``)."""
    return Imei.parse(digits + "000000").tac
