"""ES10c on a consumer eUICC: what a device needs that has the IoT functions in front of such a card.

Everything else is as ``Euicc`` has it. No function here asks the card for a REFRESH: ``recover`` resets it, which
completes a switch with every modem.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ipad_agent.codec.ber.tlv_fields import ResultCode
from ipad_agent.codec.es10 import es10_requests, es10c_requests
from ipad_agent.codec.es10.es10_control import MemoryResetResult, ResetOption
from ipad_agent.codec.es10.profile_info import ProfileList
from ipad_agent.codec.identifiers import Eid
from ipad_agent.errors import CodecError

from .errors import NotSupportedByCard
from .es10_functions import Euicc

FIRST_WITHOUT_POWER: Final = 3
"""The first rung of the reset ladder (``modem.uicc.reset_ladder``) that takes the power from the card: AT+CFUN=0. Ways
to the card without a modem have none."""


class ConsumerEuicc(Euicc):
    """``Euicc`` with the functions of a consumer card. Errors as there."""

    _no_refresh_comes = False
    """A profile was switched, and the card was not asked for a REFRESH: nothing is to be waited for."""

    @property
    def seen_eid(self) -> Eid | None:
        """Whose channel was opened last, without asking; None before the first."""
        return self.isdr.eid

    async def recover(self, *, first_rung: int | None = None, expected: str | None = None) -> None:
        """See ``Euicc``. After a switch by ES10c the card is reset at once."""
        if self._no_refresh_comes and first_rung is None:
            first_rung = self._first_reset
        self._no_refresh_comes = False  # once: a ladder that was cut off goes on where it was
        await super().recover(first_rung=first_rung, expected=expected)

    async def reset(self) -> None:
        """Reset the card, whatever was seen before: only then it shows for certain which profile is enabled. A radio
        that is switched off and on leaves the card its power with many modules, so that is not enough for this."""
        rungs = [rung for rung in self.isdr.access.recovery_plan().rungs if rung >= FIRST_WITHOUT_POWER]
        await self.recover(first_rung=min(rungs, default=self._first_reset))

    @property
    def _first_reset(self) -> int:
        """The rung behind the one that waits for a REFRESH, where the modem has any."""
        return 1 if max(self.isdr.access.recovery_plan().rungs, default=0) > 0 else 0

    async def enable_profile(self, iccid: bytes) -> ResultCode:
        """EnableProfile; the enabled one is disabled by it. ``iccid`` are the octets of tag 5A."""
        request = es10c_requests.enable_profile_request(iccid)
        code = await self._calls.switch("EnableProfile", request, es10c_requests.parse_enable_profile)
        self._no_refresh_comes = self._no_refresh_comes or code.ok
        return code

    async def disable_profile(self, iccid: bytes) -> ResultCode:
        """DisableProfile."""
        request = es10c_requests.disable_profile_request(iccid)
        code = await self._calls.switch("DisableProfile", request, es10c_requests.parse_disable_profile)
        self._no_refresh_comes = self._no_refresh_comes or code.ok
        return code

    async def delete_profile(self, iccid: bytes) -> ResultCode:
        """DeleteProfile."""
        request = es10c_requests.delete_profile_request(iccid)
        return await self._calls.change("DeleteProfile", request, es10c_requests.parse_delete_profile)

    async def set_default_dp_address(self, address: bytes) -> ResultCode:
        """SetDefaultDpAddress of SGP.22."""
        request = es10c_requests.set_default_dp_address_request(address)
        return await self._calls.change("SetDefaultDpAddress", request, es10c_requests.parse_set_default_dp_address)

    async def reset_memory(self, options: Iterable[ResetOption]) -> MemoryResetResult:
        """eUICCMemoryReset of SGP.22. ``NotSupportedByCard`` for a part that it has no name for."""
        chosen = set(options)
        try:
            request = es10c_requests.euicc_memory_reset_request(chosen)
        except CodecError as error:
            raise NotSupportedByCard(f"eUICCMemoryReset: {error.message}") from error
        return await self._calls.change(
            "eUICCMemoryReset",
            request,
            es10c_requests.parse_euicc_memory_reset,
            lambda answer: answer.result.ok and chosen != {ResetOption.DEFAULT_SMDP_ADDRESS},
        )

    async def list_profiles(self, request: bytes) -> ProfileList:
        """GetProfilesInfo with this very request (BF2D), as an eIM asks it; a refusal is a value."""
        return await self._calls.read("GetProfilesInfo", request, es10_requests.parse_get_profiles)
