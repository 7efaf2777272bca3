"""What the emulation needs from the others: a consumer card, a file for its state, a clock, a place for the key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from ipad_agent.codec.ber.tlv_fields import ResultCode
from ipad_agent.codec.es10.es10_requests import (
    MemoryResetResult,
    ResetOption,
)
from ipad_agent.codec.es10.notifications import ListedNotifications
from ipad_agent.codec.es10.profile_info import ProfileList
from ipad_agent.codec.identifiers import Eid
from ipad_agent.procedures.ports import DeclaringCard

from .device_key import DeviceKey, SoftwareKey


class ConsumerCard(DeclaringCard, Protocol):
    """What ``es10c_functions.ConsumerEuicc`` is: what the procedures want of a card, the rest of ES10 as it is, and
    ES10c."""

    @property
    def seen_eid(self) -> Eid | None: ...

    @property
    def reset_due(self) -> bool: ...

    @property
    def apdu_count(self) -> int: ...

    @property
    def epoch(self) -> int: ...

    @property
    def eid_now(self) -> Eid | None: ...

    async def remove_notification(self, seq_number: int) -> ResultCode: ...

    async def list_notifications(self) -> ListedNotifications: ...

    async def list_profiles(self, request: bytes) -> ProfileList: ...

    async def set_default_dp(self, address: str) -> ResultCode: ...

    async def configure_immediate_enabling(
        self, *, enable: bool, smdp_oid: bytes | None = None, smdp_address: str | None = None
    ) -> ResultCode: ...

    async def reset(self) -> None: ...

    async def release(self) -> None: ...

    async def close(self) -> None: ...

    async def enable_profile(self, iccid: bytes) -> ResultCode: ...

    async def disable_profile(self, iccid: bytes) -> ResultCode: ...

    async def delete_profile(self, iccid: bytes) -> ResultCode: ...

    async def set_default_dp_address(self, address: bytes) -> ResultCode: ...

    async def reset_memory(self, options: Iterable[ResetOption]) -> MemoryResetResult: ...


class StateFile(Protocol):
    """``store.EmulatedCardFile``."""

    @property
    def lost(self) -> bool: ...

    def load(self) -> Mapping[str, object] | None: ...

    def write(self, data: Mapping[str, object]) -> None: ...

    def hold(self, data: Mapping[str, object]) -> None: ...


class StateFiles(Protocol):
    """``store.EmulatedCardFiles``."""

    def file(self, eid: str) -> StateFile: ...


class KeyPlace(Protocol):
    """Where the device key is kept (``device_key.KeyFile``)."""

    def load(self) -> DeviceKey | None: ...

    def create(self) -> DeviceKey: ...

    @property
    def takes_keys(self) -> bool:
        """Whether a key that was made elsewhere can be ``put`` here."""
        ...

    def put(self, key: SoftwareKey) -> None: ...
