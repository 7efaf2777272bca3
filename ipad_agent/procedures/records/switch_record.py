"""The switch of the enabled profile that is under way, in the journal from before the card is touched to its end.

One entry of kind ``switch``: what the device goes back to, by when, and in which phase it is
(``policy.switching.switch_table``). The card's own memory of a switch ends with the order; that it has to prove itself
is this device's knowledge alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, cast

from ipad_agent.clock import Clock
from ipad_agent.codec.identifiers import short_iccid
from ipad_agent.policy.instant import Instant, elapsed_s, remaining_s, same_boot
from ipad_agent.policy.switching.switch_table import Happening, Phase, Way, advance
from ipad_agent.procedures.ports import EntryView, Journal
from ipad_agent.records import dataclass, replace

ENTRY_KIND = "switch"

BY_EIM = "the eIM's order"
IMMEDIATE = "the eIM's standing order to enable new profiles at once"
RETURN = "the return from the fallback profile"

UNKNOWN: Final = "unknown"
"""The target of a switch to a profile that only the card knows yet."""


def shown(name: str | None) -> str:
    """A profile of a switch in a sentence: shortened, "no profile", or that only the card knows which."""
    return "a profile that only the card knows" if name == UNKNOWN else short_iccid(name)


@dataclass(frozen=True, slots=True)
class Switch:
    """``previous`` and ``target`` are profiles by ``ProfileInfo.identity``, the text of their ICCID, ``target`` also
    ``UNKNOWN``; None stands for "no profile" only. ``work`` is the journal entry of the order, None without one.
    ``reset_owed``: the UICC was not yet seen with the profile it should have.
    """

    id: int
    cause: str
    eim_id: str | None
    work: int | None
    previous: str | None
    target: str | None
    way: Way
    phase: Phase
    armed: Instant
    deadline_s: float
    reset_owed: bool = False

    def left_s(self, clock: Clock) -> float:
        """Of the time to prove; 0 when it is over (see ``policy.instant.remaining_s``)."""
        return remaining_s(self.armed, self.deadline_s, Instant.now(clock))


class Switches:
    """The open switch in the journal: none or one. ``listener`` is told of each happening, with the switch as it was.

    Only ``arm`` needs the disk. What happens to a switch, and what is decided about it, holds at once and is written as
    soon as the disk takes it: the way back must not wait for it.
    """

    def __init__(
        self, journal: Journal, clock: Clock, *, listener: Callable[[Switch, Happening], None] | None = None
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._listener = listener

    def open(self) -> Switch | None:
        """The one that is under way. An entry that a damaged disk left unreadable is closed: nobody can act on it."""
        found = None
        for entry in self._journal.entries(ENTRY_KIND):
            switch = _from_entry(entry)
            if switch is None:
                self._journal.close(entry.id, "unreadable after damage")
            else:
                found = switch
        return found

    def after_start(self) -> None:
        """To be called once when the agent starts: after a reboot the rest of the time runs by this boot's clock.

        Where it is not knowable how long the device was off there is a short grace, and half of it after the next
        such boot: a device that cannot stay up must not hang between two profiles for ever.
        """
        switch, now = self.open(), Instant.now(self._clock)
        if switch is None or same_boot(switch.armed, now):
            return
        left_s = switch.left_s(self._clock)
        if elapsed_s(switch.armed, now) is None:
            left_s = min(left_s, switch.deadline_s / 2)
        self._journal.note(switch.id, deadline_s=left_s, **_stamp(now))

    def of_work(self, work: int) -> Switch | None:
        """The open switch, if this order brought it about."""
        switch = self.open()
        return switch if switch is not None and switch.work == work else None

    def arm(
        self,
        cause: str,
        *,
        previous: str | None,
        target: str | None,
        way: Way,
        deadline_s: float,
        eim_id: str | None = None,
        work: int | None = None,
    ) -> Switch:
        """Write down that a switch is about to be ordered; must return before the card is touched.

        One that is still open is replaced: the card knows only one. Raises ``StoreError``.
        """
        for entry in self._journal.entries(ENTRY_KIND):
            self._journal.close(entry.id, Happening.REPLACED.value)
        optional = {"eim_id": eim_id, "work": work, "previous": previous, "target": target}
        facts = self._facts(cause, way, Phase.ARMED, deadline_s, optional)
        return self._get(self._journal.open(ENTRY_KIND, facts))

    def take_up(self, *, target: str, deadline_s: float, eim_id: str, work: int) -> Switch:
        """A switch that only the card remembers: it has to prove itself from now on. Where the device came from is not
        known, and whether there is a way back is known to the card alone."""
        optional = {"eim_id": eim_id, "work": work, "target": target, "reset_owed": True}
        facts = self._facts(BY_EIM, Way.ROLLBACK, Phase.PROVING, deadline_s, optional)
        return self._get(self._journal.adopt(ENTRY_KIND, facts))

    def _facts(
        self, cause: str, way: Way, phase: Phase, deadline_s: float, optional: Mapping[str, object]
    ) -> dict[str, object]:
        facts: dict[str, object] = {
            "cause": cause,
            "way": way.value,
            "phase": phase.value,
            "deadline_s": deadline_s,
            **_stamp(Instant.now(self._clock)),
        }
        return facts | {name: value for name, value in optional.items() if value is not None}

    def _get(self, id: int) -> Switch:
        found = next(entry for entry in self._journal.entries(ENTRY_KIND) if entry.id == id)
        return cast(Switch, _from_entry(found))

    def move(self, switch: Switch, happening: Happening, *, reset_owed: bool | None = None) -> Switch | None:
        """Note what happened; None when that was the end of it. Raises ``ImpossibleStep``."""
        row = advance(switch.phase, happening)
        if row.next is None:
            self._journal.close(switch.id, happening.value)
            self._tell(switch, happening)
            return None
        owed = switch.reset_owed if reset_owed is None else reset_owed
        facts: dict[str, object] = {"phase": row.next.value, "reset_owed": owed}
        moved = replace(switch, phase=row.next, reset_owed=owed)
        if row.next is Phase.BACK:
            # The old profile has to come back to the network too, and gets the same time for it.
            moved = replace(moved, armed=Instant.now(self._clock))
            facts |= _stamp(moved.armed)
        self._journal.note(switch.id, **facts)
        self._tell(switch, happening)
        return moved

    def aim(self, switch: Switch, target: str | None) -> Switch:
        """Only now it is known which profile the card has enabled, if any."""
        if target == switch.target:
            return switch
        self._journal.note(switch.id, target=target)
        return replace(switch, target=target)

    def _tell(self, switch: Switch, happening: Happening) -> None:
        if self._listener is not None:
            self._listener(switch, happening)

    def was_reset(self, switch: Switch) -> Switch:
        """Card and modem agree."""
        if not switch.reset_owed:
            return switch
        self._journal.note(switch.id, reset_owed=False)
        return replace(switch, reset_owed=False)


def _stamp(at: Instant) -> dict[str, object]:
    return {"wall_s": at.wall_s, "monotonic_s": at.monotonic_s, "boot_id": at.boot_id}


def _from_entry(entry: EntryView) -> Switch | None:
    facts: Mapping[str, object] = entry.facts
    try:
        armed = Instant(
            float(cast(float, facts["wall_s"])), float(cast(float, facts["monotonic_s"])), str(facts["boot_id"])
        )
        return Switch(
            id=entry.id,
            cause=cast(str, facts["cause"]),
            eim_id=cast("str | None", facts.get("eim_id")),
            work=cast("int | None", facts.get("work")),
            previous=cast("str | None", facts.get("previous")),
            target=cast("str | None", facts.get("target")),
            way=Way(cast(str, facts["way"])),
            phase=Phase(cast(str, facts["phase"])),
            armed=armed,
            deadline_s=float(cast(float, facts["deadline_s"])),
            reset_owed=bool(facts.get("reset_owed", False)),
        )
    except (KeyError, ValueError, TypeError, OverflowError):
        return None
