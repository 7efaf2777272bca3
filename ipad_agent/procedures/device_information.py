"""What the device tells about itself: to eIMs that ask, and to SM-DP+s in every download (SGP.22 v2.5 §4.2)."""

from __future__ import annotations

from typing import Final

from ipad_agent.codec.esipa.device_info import DeviceInfo
from ipad_agent.codec.identifiers import Imei
from ipad_agent.errors import CodecError, ModemError

from .ports import Device

UNKNOWN_TAC: Final = bytes(4)


async def device_info(device: Device) -> DeviceInfo:
    """DeviceInfo from the modem's IMEI; a modem that hides it gives the empty TAC, which is still an answer."""
    try:
        text = await device.imei()
        return DeviceInfo(UNKNOWN_TAC) if text is None else DeviceInfo.of(Imei.parse(text))
    except (ModemError, CodecError):
        return DeviceInfo(UNKNOWN_TAC)
