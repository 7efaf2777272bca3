"""The schedules of all eIMs: the policy's arithmetic with this device's clock, dice and disk."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Protocol, cast

from ipad_agent.clock import Clock
from ipad_agent.errors import StoreError
from ipad_agent.policy.instant import Instant
from ipad_agent.policy.polling import poll_schedule as schedule
from ipad_agent.policy.polling.poll_outcome import Outcome, Wake
from ipad_agent.policy.polling.poll_schedule import Decision, EimSchedule
from ipad_agent.policy.polling.schedule_document import from_document, to_document
from ipad_agent.policy.polling.schedule_settings import ScheduleSettings
from ipad_agent.records import dataclass


class Documents(Protocol):
    """Keeps the schedules over restarts."""

    def load(self) -> Mapping[str, object]: ...

    def save(self, document: Mapping[str, object]) -> None: ...


@dataclass(frozen=True, slots=True)
class Due:
    """The eIM whose poll comes next, and when."""

    eim_id: str
    decision: Decision


class Timetable:
    """One schedule per eIM; every change that matters after a crash is on disk when the method returns, if the disk
    takes it."""

    def __init__(
        self, documents: Documents, clock: Clock, settings: ScheduleSettings, dice: random.Random, *, eid: bytes
    ) -> None:
        self._documents = documents
        self._clock = clock
        self._settings = settings
        self._dice = dice
        self._phase_s = schedule.phase_s(eid, settings.phase_window_s)
        self._stored = dict(documents.load())
        self._schedules: dict[str, EimSchedule] = {}

    def set_eims(self, eim_ids: Iterable[str]) -> None:
        """These eIMs are to be polled from now on; known ones keep their time, new ones start as after a boot."""
        now, before = self._now(), self._schedules
        self._schedules = {
            eim_id: before[eim_id]
            if eim_id in before
            else schedule.start(from_document(self._stored.get(eim_id)), now, self._settings, phase_s=self._phase_s)
            for eim_id in eim_ids
        }
        self._save()

    def next(self) -> Due | None:
        """The eIM that is due first; None without any."""
        now = self._now()
        due = [Due(eim_id, schedule.decide(state, now)) for eim_id, state in self._schedules.items()]
        return min(due, key=lambda item: (not item.decision.poll_now, item.decision.wait_s), default=None)

    def all(self) -> list[Due]:
        """Every eIM and when it is due."""
        now = self._now()
        return [Due(eim_id, schedule.decide(state, now)) for eim_id, state in self._schedules.items()]

    def schedule(self, eim_id: str) -> EimSchedule:
        """The state of one eIM's schedule."""
        return self._schedules[eim_id]

    def provisioned(self, eim_id: str) -> None:
        """This eIM was just added to the card."""
        self._set(eim_id, schedule.provisioned(self._schedules[eim_id], self._now(), self._settings))

    def wake(self, cause: Wake, eim_ids: Iterable[str] | None = None) -> None:
        """Bring polls forward as far as the cause allows; of all eIMs when none is named."""
        now, woken = self._now(), dict(self._schedules)
        for eim_id in list(self._schedules) if eim_ids is None else list(eim_ids):
            if eim_id in woken:
                woken[eim_id] = schedule.wake(woken[eim_id], now, cause, self._settings, chance=self._chance())
        self._set_all(woken)

    def begin(self, eim_id: str) -> None:
        """A poll of this eIM begins; to be called before the network is touched."""
        self._set(eim_id, schedule.begin(self._schedules[eim_id], self._now()))

    def finish(
        self,
        eim_id: str,
        outcome: Outcome,
        *,
        retry_after_s: float | None = None,
        owed: tuple[float, str] | None = None,
        under_way: bool = False,
    ) -> None:
        """The poll ended; see ``schedule.finish``."""
        self._set(
            eim_id,
            schedule.finish(
                self._schedules[eim_id],
                self._now(),
                outcome,
                self._settings,
                chance=self._chance(),
                retry_after_s=retry_after_s,
                owed=owed,
                under_way=under_way,
            ),
        )

    def settle(self) -> None:
        """To be called now and then while nothing happens: a boot that lasted is no part of a boot loop."""
        now = self._now()
        self._set_all({eim_id: schedule.settle(state, now) for eim_id, state in self._schedules.items()})

    def _set(self, eim_id: str, state: EimSchedule) -> None:
        self._set_all(self._schedules | {eim_id: state})

    def _set_all(self, schedules: dict[str, EimSchedule]) -> None:
        """One write, whatever the number of eIMs whose schedule changed."""
        if schedules != self._schedules:
            self._schedules = schedules
            self._save()

    def _save(self) -> None:
        self._stored = {eim_id: to_document(state) for eim_id, state in self._schedules.items()}
        try:
            self._documents.save(cast("Mapping[str, object]", self._stored))
        except StoreError:
            # The store has said so. A device with a full disk must still be reachable and bring home what it owes;
            # only a restart could now poll earlier than planned.
            return

    def _now(self) -> Instant:
        return Instant.now(self._clock)

    def _chance(self) -> float:
        return self._dice.random()
