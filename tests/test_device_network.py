"""What is around the agent on a device: whether the modem works with the profile that the card has enabled."""

from __future__ import annotations

from typing import cast

import pytest

from ipad_agent.modem.at.network_registration import Registration
from ipad_agent.modem.uicc.modem_card_access import ModemCardAccess
from ipad_agent.site import NetworkChecks
from ipad_agent.wiring.device_network import DeviceNetwork


class Access:
    """A modem that reads this ICCID."""

    def __init__(self, iccid: str | None) -> None:
        self.iccid = iccid

    async def read_iccid(self) -> str | None:
        return self.iccid

    async def registration(self) -> Registration:
        return Registration(2, "CEREG")


@pytest.mark.parametrize(
    ("by_modem", "on_card", "ok"),
    [
        ("89490000000000000128", "89490000000000000128", True),
        ("89490000000000000128", "89490000000000000136", False),
        ("898600B5012345678901", "898600B5012345678901", True),
        ("89490000000000000128", "98940000000000001082", True),  # one of the two with exchanged nibbles
        ("0x98680F5B103254769810", "0x98680F5B103254769810", True),
        ("0x98680F5B103254769810", "898600B5012345678901", False),
        (None, "89490000000000000128", None),
    ],
)
async def test_card_and_modem_are_compared_by_octets(by_modem: str | None, on_card: str, ok: bool | None) -> None:
    network = DeviceNetwork(cast(ModemCardAccess, Access(by_modem)), cast(NetworkChecks, None))
    assert (await network.card(on_card)).ok is ok


async def test_what_a_proof_asks_the_modem_is_told_to_the_status_too() -> None:
    told: list[Registration] = []
    network = DeviceNetwork(cast(ModemCardAccess, Access(None)), cast(NetworkChecks, None), on_registration=told.append)
    assert (await network.registration()).ok is False
    assert told == [Registration(2, "CEREG")]
