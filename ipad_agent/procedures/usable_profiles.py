"""The card's profiles where a procedure can go on without them: a list that cannot be used is not an empty one."""

from __future__ import annotations

from typing import Protocol

from ipad_agent.codec.es10.profile_info import ProfileInfo
from ipad_agent.errors import CardError

from . import events


class _HasProfiles(Protocol):
    async def get_profiles(self) -> tuple[ProfileInfo, ...]: ...


async def usable_profiles(card: _HasProfiles) -> tuple[ProfileInfo, ...] | None:
    """The profiles; None when the card answers, but not with a list that can be used. Raises ``CardError`` or
    ``ModemError`` when the card is gone."""
    try:
        return await card.get_profiles()
    except CardError as failure:
        if not failure.alive:
            raise
        events.PROFILES_UNREADABLE.emit(reason=failure.message)
        return None
