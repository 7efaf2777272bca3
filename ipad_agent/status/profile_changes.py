"""The profiles of the picture, and who brought their last change about."""

from __future__ import annotations

from typing import Final

from ipad_agent.codec.es10.profile_info import ProfileInfo
from ipad_agent.local import status_model
from ipad_agent.policy.instant import Instant
from ipad_agent.records import dataclass

from . import model_conversion

UNKNOWN_FOR_S: Final = 900.0
"""For so long it may still become known who changed a profile."""
_UNKNOWN: Final = "unknown"


@dataclass(slots=True)
class _Changed:
    by: str
    at: Instant
    eim_id: str | None = None

    def may_be_named(self, now: Instant) -> bool:
        """Whether whoever is known now to have changed profiles may have been the one."""
        return self.by == _UNKNOWN and now.monotonic_s - self.at.monotonic_s <= UNKNOWN_FOR_S


class ProfilesPart:
    """The profiles as they were read last; none were read at first."""

    def __init__(self) -> None:
        self._profiles: tuple[ProfileInfo, ...] | None = None
        self._changed: dict[str, _Changed] = {}

    @property
    def iccids(self) -> frozenset[str]:
        """Which profiles there are."""
        return frozenset(info.identity for info in self._profiles or ())

    def learn(self, profiles: tuple[ProfileInfo, ...], cause: str | None, eim_id: str | None, now: Instant) -> None:
        """They were read; ``cause`` and ``eim_id`` as in ``Board.profiles``."""
        if self._profiles is not None:
            was = {info.identity: info.enabled for info in self._profiles}
            for info in profiles:
                how = self._changed.get(info.identity)
                if was.get(info.identity) != info.enabled:
                    self._changed[info.identity] = _Changed(cause or _UNKNOWN, now, eim_id)
                elif cause is not None and how is not None and how.may_be_named(now):
                    self._changed[info.identity] = _Changed(cause, how.at, eim_id)
        there = {info.identity for info in profiles}
        self._changed = {iccid: how for iccid, how in self._changed.items() if iccid in there}
        self._profiles = profiles

    def at(self, now: Instant) -> tuple[status_model.Profile, ...]:
        made = []
        for info in self._profiles or ():
            how = self._changed.get(info.identity)
            at = None if how is None else model_conversion.time_of(how.at, now)
            by, eim_id = (None, None) if how is None else (how.by, how.eim_id)
            made.append(model_conversion.profile_of(info, by, at, eim_id))
        return tuple(made)
