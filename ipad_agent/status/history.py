"""What was done on this device: the last orders, downloads, switches, rollbacks and resets, with who wanted them.

Pure bookkeeping like the board's, fed by it and by ``history_reactions``. ``document`` and ``load`` are for whoever
keeps it over restarts; what was under way before a restart counts as interrupted until something tells how it went on.
Questions of an eIM change nothing and are left out: they would push out what matters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Final

from ipad_agent.clock import Clock
from ipad_agent.local.status_model import HistoryEntry
from ipad_agent.policy.instant import UNSET_BEFORE_S, Instant, elapsed_s, same_boot
from ipad_agent.policy.switching.proof_stage import Finding
from ipad_agent.policy.switching.switch_table import Happening, Phase
from ipad_agent.procedures.records.switch_record import BY_EIM, IMMEDIATE, UNKNOWN, Switch
from ipad_agent.records import dataclass

from .model_conversion import time_of

MOST: Final = 50
LONGEST_TEXT: Final = 200

ORDER: Final = "order"
DOWNLOAD: Final = "download"
SWITCH: Final = "switch"
ROLLBACK: Final = "rollback"
RESET: Final = "reset"
WAKE: Final = "wake-up"

EIM: Final = "eim"
PERSON: Final = "person"
GUARDIAN: Final = "guardian"
DEVICE: Final = "device"

UNDER_WAY: Final = "under-way"
DONE: Final = "done"
FAILED: Final = "failed"
REFUSED: Final = "refused"
ROLLED_BACK: Final = "rolled-back"
UNPROVED: Final = "unproved"
REPLACED: Final = "replaced"
INTERRUPTED: Final = "interrupted"
_OPEN: Final = frozenset({UNDER_WAY, INTERRUPTED})


@dataclass(slots=True)
class _Entry:
    """``began`` by all three clocks. Texts are cut, so that the whole of them stays small."""

    kind: str
    what: str
    by: str
    wall_s: float
    monotonic_s: float
    boot_id: str
    outcome: str = UNDER_WAY
    duration_s: float | None = None
    reason: str | None = None
    eim_id: str | None = None
    previous: str | None = None
    target: str | None = None
    times: int = 1
    switch_id: int | None = None
    """Of a switch that the journal has, and of the way back from it."""

    @property
    def began(self) -> Instant:
        return Instant(self.wall_s, self.monotonic_s, self.boot_id)

    def at(self, now: Instant) -> HistoryEntry:
        here = same_boot(self.began, now)
        clock_set = (now.wall_s if here else self.wall_s) >= UNSET_BEFORE_S
        return HistoryEntry(
            kind=self.kind,
            what=self.what,
            by=self.by,
            outcome=self.outcome,
            at=time_of(self.began, now) if here or clock_set else None,
            clock_set=clock_set,
            duration_s=self.duration_s,
            reason=self.reason,
            eim_id=self.eim_id,
            previous=self.previous,
            target=self.target,
            times=self.times,
        )

    def again(self, former: _Entry) -> bool:
        """Whether it is the same thing with the same end once more."""
        return (self.kind, self.what, self.by, self.outcome, self.reason, self.eim_id) == (
            former.kind,
            former.what,
            former.by,
            former.outcome,
            former.reason,
            former.eim_id,
        ) and (self.previous, self.target) == (former.previous, former.target)


class History:
    """One per board. Nothing here fails because of what it is told."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: list[_Entry] = []
        self._author = GUARDIAN
        self._stage: str | None = None
        self._watchers: list[Callable[[], None]] = []

    def entries(self, count: int = MOST) -> tuple[HistoryEntry, ...]:
        """The last ones, oldest first."""
        now = Instant.now(self._clock)
        return tuple(entry.at(now) for entry in self._entries[-count:]) if count > 0 else ()

    def watch(self, on_change: Callable[[], None]) -> None:
        """Call ``on_change`` (cheap, must not raise) whenever something is to be kept."""
        self._watchers.append(on_change)

    @contextmanager
    def person(self) -> Iterator[None]:
        """What the device does by itself within this was asked for by a person."""
        self._author = PERSON
        try:
            yield
        finally:
            self._author = GUARDIAN

    @property
    def author(self) -> str:
        """Who has the device do what no eIM ordered: a person within ``person``, otherwise the guardian."""
        return self._author

    # -- what is told ------------------------------------------------------------------------------------------------

    def begin(
        self,
        kind: str,
        what: str,
        by: str,
        *,
        eim_id: str | None = None,
        previous: str | None = None,
        target: str | None = None,
    ) -> None:
        """Something begins."""
        self._add(kind, what, by, eim_id=eim_id, previous=previous, target=target)
        self._changed()

    def resume(self, kind: str, what: str, by: str, *, eim_id: str | None = None) -> None:
        """As ``begin``, or it goes on with what was interrupted."""
        found = self._open(kind)
        if found is not None and found.outcome == INTERRUPTED and found.eim_id == _cut(eim_id):
            found.outcome, found.reason = UNDER_WAY, None
            self._changed()
        else:
            self.begin(kind, what, by, eim_id=eim_id)

    def end(
        self,
        kind: str,
        outcome: str,
        reason: str | None = None,
        *,
        what: str = "",
        by: str = EIM,
        only_open: bool = False,
    ) -> None:
        """The newest thing of this kind that is open ends. ``what`` and ``by`` are for one whose beginning nobody told,
        which is left out with ``only_open``."""
        found = self._open(kind)
        if found is None and only_open:
            return
        if found is None:
            found = self._add(kind, what or kind, by)
        self._finish(found, outcome, reason)

    def interrupted(self, reason: str) -> None:
        """Orders and downloads that are under way were cut off. A switch goes on: the journal has it."""
        for entry in self._entries:
            if entry.outcome == UNDER_WAY and entry.kind in (ORDER, DOWNLOAD):
                entry.outcome, entry.reason = INTERRUPTED, _cut(reason)
                self._changed()

    def switch(self, current: Switch | None, findings: tuple[Finding, ...] = ()) -> None:
        """How the switch under way stands, as the board is told."""
        if current is None:
            return
        self._switch_of(current)
        for finding in findings:
            if finding.ok is False and current.phase is not Phase.BACK:
                self._stage = f"{finding.stage.value}: {finding.detail}"

    def switch_moved(self, moved: Switch, happening: Happening) -> None:
        """What happened to a switch; ``moved`` is how it was before."""
        entry = self._switch_of(moved, made=happening is not Happening.REPLACED)
        if entry is None:
            return
        why = self._stage or happening.value
        match happening:
            case Happening.PROVED:
                self._finish(entry, DONE)
            case Happening.CONFIRMED | Happening.NOTHING_ENABLED:
                self._finish(entry, DONE, happening.value)
            case Happening.NOT_SWITCHED if entry.by == EIM:
                # The order tells how it failed; and that a new profile might have been enabled at once is no news.
                self._entries.remove(entry)
            case Happening.NOT_SWITCHED:
                self._finish(entry, FAILED, why)
            case Happening.UNDONE:
                self._finish(entry, FAILED, happening.value)
            case Happening.REFUSED | Happening.TIME_OVER | Happening.CALLED_BACK | Happening.FOUND_BACK:
                entry.reason = _cut(why if happening is Happening.TIME_OVER else happening.value)
                by = PERSON if happening is Happening.CALLED_BACK else DEVICE
                back = self._add(ROLLBACK, "to the former profile", by, previous=moved.target, target=moved.previous)
                back.switch_id = moved.id
            case Happening.TIME_OVER_FOR_GOOD if moved.phase is Phase.PROVING:
                self._finish(entry, UNPROVED, why)
            case Happening.CAME_BACK:
                self._finish(entry, ROLLED_BACK, entry.reason)
                self._came_back(moved, DONE)
            case Happening.NO_WAY_BACK:
                self._finish(entry, UNPROVED, entry.reason)
                self._came_back(moved, FAILED, happening.value)
            case Happening.REPLACED if entry.outcome in _OPEN:
                self._finish(entry, REPLACED, happening.value)
        self._changed()

    def _came_back(self, switch: Switch, outcome: str, reason: str | None = None) -> None:
        """How the way back from this switch ended."""
        for entry in reversed(self._entries):
            if entry.kind == ROLLBACK and entry.switch_id == switch.id and entry.outcome in _OPEN:
                self._finish(entry, outcome, reason)
                return

    def why(self, reason: str) -> None:
        """Why the switch under way is not going to happen."""
        self._stage = reason

    def _switch_of(self, switch: Switch, *, made: bool = True) -> _Entry | None:
        """The entry of this switch, which is made when there is none (``made``). Which profile it leads to may show
        late, and numbers may begin again after the journal was lost."""
        target = None if switch.target == UNKNOWN else switch.target
        for entry in reversed(self._entries):
            if entry.kind != SWITCH or entry.switch_id != switch.id or entry.previous != switch.previous:
                continue
            if entry.target not in (target, None) or entry.outcome in (DONE, FAILED, REPLACED):
                break
            if entry.outcome == INTERRUPTED or entry.target != target:
                entry.outcome = UNDER_WAY if entry.outcome == INTERRUPTED else entry.outcome
                entry.target = target
                self._changed()
            return entry
        return self._new_switch(switch, target) if made else None

    def _new_switch(self, switch: Switch, target: str | None) -> _Entry:
        for entry in self._entries:
            if entry.switch_id is not None and entry.outcome in _OPEN:
                self._finish(entry, REPLACED, Happening.REPLACED.value)
        self._stage = None
        by_eim = switch.cause in (BY_EIM, IMMEDIATE)
        entry = self._add(
            SWITCH,
            "another profile" if by_eim else switch.cause,
            EIM if by_eim else self._author,
            eim_id=switch.eim_id,
            previous=switch.previous,
            target=target,
        )
        entry.switch_id = switch.id
        self._changed()
        return entry

    # -- over restarts -----------------------------------------------------------------------------------------------

    def document(self) -> dict[str, object]:
        """Everything, as plain data."""
        return {"entries": [asdict(entry) for entry in self._entries]}

    def load(self, document: Mapping[str, object]) -> None:
        """What ``document`` gave before a restart; what cannot be read of it is left out."""
        kept = document.get("entries")
        found = [_read(item) for item in kept] if isinstance(kept, list | tuple) else []
        before = [entry for entry in found if entry is not None]
        for entry in before:
            if entry.outcome == UNDER_WAY:
                entry.outcome = INTERRUPTED
        self._entries = [*before, *self._entries][-MOST:]

    # -- inside ------------------------------------------------------------------------------------------------------

    def _add(
        self,
        kind: str,
        what: str,
        by: str,
        *,
        eim_id: str | None = None,
        previous: str | None = None,
        target: str | None = None,
    ) -> _Entry:
        now = Instant.now(self._clock)
        entry = _Entry(kind, _cut(what) or kind, by, now.wall_s, now.monotonic_s, now.boot_id)
        entry.eim_id, entry.previous, entry.target = _cut(eim_id), _cut(previous), _cut(target)
        self._entries.append(entry)
        del self._entries[:-MOST]
        return entry

    def _open(self, kind: str) -> _Entry | None:
        """The newest that is open, other than what the journal's switches tell themselves."""
        for entry in reversed(self._entries):
            if entry.kind == kind and entry.switch_id is None and entry.outcome in _OPEN:
                return entry
        return None

    def _finish(self, entry: _Entry, outcome: str, reason: str | None = None) -> None:
        now = Instant.now(self._clock)
        entry.outcome, entry.reason = outcome, _cut(reason)
        entry.duration_s = elapsed_s(entry.began, now)
        former = self._entries[-2] if len(self._entries) > 1 and self._entries[-1] is entry else None
        if former is not None and outcome in (FAILED, REFUSED) and entry.again(former):
            entry.times = former.times + 1
            self._entries.remove(former)
        self._changed()

    def _changed(self) -> None:
        for watcher in self._watchers:
            watcher()


def _cut(text: str | None) -> str | None:
    if text is None or len(text) <= LONGEST_TEXT:
        return text or None
    return text[: LONGEST_TEXT - 1] + "…"


def _read(plain: object) -> _Entry | None:
    """An entry as it was kept; None when it is none."""
    if not isinstance(plain, Mapping):
        return None
    texts: dict[str, str | None] = {}
    for name in ("kind", "what", "by", "boot_id", "outcome", "reason", "eim_id", "previous", "target"):
        value = plain.get(name)
        if not isinstance(value, str | None):
            return None
        texts[name] = _cut(value)
    numbers = {name: plain.get(name) for name in ("wall_s", "monotonic_s", "duration_s", "times", "switch_id")}
    optional = ("duration_s", "switch_id")
    if not all(_is_number(value) or (value is None and name in optional) for name, value in numbers.items()):
        return None
    if any(texts[name] is None for name in ("kind", "what", "by", "boot_id", "outcome")):
        return None
    if not all(isinstance(numbers[name], int | None) for name in ("times", "switch_id")):
        return None
    return _Entry(**texts, **numbers)  # type: ignore[arg-type]  # each was looked at


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e15 < value < 1e15
