"""Notifications that an eIM refused: when each may be offered again (SGP.32 v1.2 §3.7).

A card may carry old notifications by the dozen that no eIM takes. Each has a pause of its own, so that a new one does
not bring all of them up again: from ten minutes to thirty days, four times as long each time. If no pause were longer
than a day, a device that polls once a day would offer all of them at every poll. It is known by its metadata.
When the eIM's entry on the card changes, the eIM may have learned to take them, and all pauses for it are over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final

from ipad_agent.clock import Clock
from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.codec.es10.notifications import PendingNotification
from ipad_agent.procedures.ports import Memory
from ipad_agent.records import dataclass

DOCUMENT: Final = "refused-notifications"
FIRST_PAUSE_S: Final = 600.0
LONGEST_PAUSE_S: Final = 86_400.0
LONGEST_REFUSED_S: Final = 30 * 86_400.0
MAX_NOTIFICATIONS: Final = 128


@dataclass(frozen=True, slots=True)
class _Pause:
    failures: int
    until_s: float
    entry: str


def pause_s(failures: int) -> float:
    """After so many failures in a row."""
    return min(FIRST_PAUSE_S * 2.0 ** min(failures - 1, 16), LONGEST_PAUSE_S)


def refused_pause_s(failures: int) -> float:
    """After an eIM refused one notification so many times in a row."""
    return min(FIRST_PAUSE_S * 4.0 ** min(failures - 1, 16), LONGEST_REFUSED_S)


def left_s(until_s: float, now_s: float, *, longest_s: float = LONGEST_PAUSE_S) -> float:
    """What is left of a pause by wall clock; 0 when it is over. That clock may be wrong: a time further away than the
    longest pause is of another clock and counts as over."""
    wait_s = until_s - now_s
    return wait_s if 0 < wait_s <= longest_s else 0.0


class NotificationBackoff:
    """On disk after every call that changes something."""

    def __init__(self, memory: Memory, clock: Clock) -> None:
        self._memory = memory
        self._clock = clock

    def waits(self, config: EimConfigurationData, notification: PendingNotification) -> bool:
        """Whether this eIM refused it a while ago, and nothing changed since."""
        pause = self._all().get(_name(config, notification))
        if pause is None or pause.entry != _entry(config):
            return False
        return left_s(pause.until_s, self._clock.wall(), longest_s=refused_pause_s(pause.failures)) > 0

    def refused(self, config: EimConfigurationData, notifications: Iterable[PendingNotification]) -> None:
        """This eIM did not take these."""
        names = [_name(config, one) for one in notifications]
        if not names:
            return
        pauses, entry = self._all(), _entry(config)
        for name in names:
            before = pauses.pop(name, None)
            failures = 1 + (before.failures if before is not None and before.entry == entry else 0)
            pauses[name] = _Pause(failures, self._clock.wall() + refused_pause_s(failures), entry)
        self._save(dict(list(pauses.items())[-MAX_NOTIFICATIONS:]))

    def taken(self, config: EimConfigurationData, notification: PendingNotification) -> None:
        """This eIM has it."""
        pauses = self._all()
        if pauses.pop(_name(config, notification), None) is not None:
            self._save(pauses)

    def _all(self) -> dict[str, _Pause]:
        pauses = {}
        for name, entry in self._memory.load(DOCUMENT).items():
            match entry:
                case (int() as failures, float() | int() as until_s, str() as of):
                    pauses[name] = _Pause(failures, until_s, of)
        return pauses

    def _save(self, pauses: Mapping[str, _Pause]) -> None:
        self._memory.save(DOCUMENT, {name: (one.failures, one.until_s, one.entry) for name, one in pauses.items()})


def _name(config: EimConfigurationData, notification: PendingNotification) -> str:
    told = (config.eim_id, notification.seq_number, notification.event, notification.address, notification.iccid)
    return hashlib.sha256(repr(told).encode()).hexdigest()[:24]


def _entry(config: EimConfigurationData) -> str:
    """What this eIM is, without the counter that every package moves."""
    told = (
        config.fqdn,
        config.id_type,
        None if config.public_key is None else config.public_key.der,
        None if config.trusted_tls is None else config.trusted_tls.der,
        sorted(protocol.value for protocol in config.supported_protocol or ()),
        config.indirect_download,
    )
    return hashlib.sha256(repr(told).encode()).hexdigest()[:12]
