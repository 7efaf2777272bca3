"""What the card did and what eIMs took, told apart from what anybody says about it."""

from __future__ import annotations

from collections import Counter

from ipad_agent.emulation.emulated_state import RunningPackage
from ipad_agent.lab.euicc import VirtualEuicc
from ipad_agent.records import dataclass, field
from ipad_agent.torture.history.history_log import CARD, HistoryLog

from .emulated_card_view import EmulatedCardView


@dataclass(frozen=True, slots=True)
class CardResult:
    """A signed result that was once on the card."""

    seq: int
    eim_id: str
    counter: int
    transaction_id: str


@dataclass
class GroundTruth:
    """Filled by ``look`` after every APDU, and by ``took`` with every message an eIM accepted.

    ``executed`` counts by (eimId, transaction) how often the card began a package. ``lost`` are numbers that left the
    card although nobody had taken what they stood for.
    """

    card: VirtualEuicc
    log: HistoryLog
    emulated: EmulatedCardView | None = None
    executed: Counter[tuple[str, str]] = field(default_factory=Counter)
    results: dict[int, CardResult] = field(default_factory=dict)
    notifications: dict[int, str] = field(default_factory=dict)
    replaced: set[int] = field(default_factory=set)
    accepted_results: set[int] = field(default_factory=set)
    outdated: set[int] = field(default_factory=set)
    """Results that an eIM accepted first when the card had replaced them already."""
    taken_notifications: set[int] = field(default_factory=set)
    lost: list[tuple[int, str]] = field(default_factory=list)
    own_changes: list[tuple[float, frozenset[str]]] = field(default_factory=list)
    """When another profile was enabled without a package that says so, and the eIMs on the card at that time."""
    enabled: str | None = None
    first_enabled: str | None = None
    _present: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        inner = self.card.isdr.steps

        def step(name: str) -> None:
            running = self.card.state.running
            if name == "counter-stored" and running is not None:
                transaction = (running.transaction_id or b"").hex().upper()
                self.executed[running.eim_id, transaction] += 1
                self.log.tell(CARD, f"executes package {running.counter} of {running.eim_id}")
            inner(name)

        self.card.isdr.steps = step
        if self.emulated is not None:
            self.emulated.on_done = self._done
        self.enabled = self.first_enabled = self.card.enabled_iccid
        self.look()

    def look(self) -> None:
        """See what is on the card now."""
        state = self.card.state if self.emulated is None else self.emulated
        present: dict[int, str] = {}
        known = len(self.results)
        for result in state.results:
            present[result.seq] = "result"
            if result.seq not in self.results:
                self.results[result.seq] = CardResult(
                    result.seq, result.eim_id, result.counter, (result.transaction_id or b"").hex().upper()
                )
                self._note_replaced(result.seq)
        for notification in state.notifications:
            present[notification.seq] = "notification"
            if notification.seq not in self.notifications:
                self.notifications[notification.seq] = f"event {notification.event} of {notification.iccid}"
        if present != self._present:
            for seq, what in self._present.items():
                if seq not in present:
                    self._gone(seq, what)
            self._present = present
        if self.card.enabled_iccid != self.enabled:
            self.enabled = self.card.enabled_iccid
            told = len(self.results) != known if self.emulated is None else self.emulated.package_under_way
            if not told:
                self.own_changes.append((self.log.now_s, frozenset(entry.eim_id for entry in state.eims)))
            self.log.tell(CARD, f"has {name_of(self.enabled)} enabled")

    def _done(self, running: RunningPackage | None) -> None:
        """A consumer card did something, and this is the package for which the device had it done."""
        if running is None or running.begun is None:
            return
        transaction = (running.transaction_id or b"").hex().upper()
        self.executed[running.eim_id, f"{transaction}, operation {running.begun.index}"] += 1
        self.log.tell(CARD, f"does operation {running.begun.index} of package {running.counter} of {running.eim_id}")

    def took_results(self, numbers: set[int]) -> None:
        """An eIM accepted these results."""
        self.look()
        self.outdated |= (numbers - self.accepted_results) & self.replaced
        self.accepted_results |= numbers

    def took_notifications(self, numbers: set[int]) -> None:
        """A receiver, or the eIM in its place, took these notifications."""
        self.taken_notifications |= numbers

    def _note_replaced(self, seq: int) -> None:
        """A rollback gives a result another number; the one that had the same counter before is no more."""
        new = self.results[seq]
        for old in self.results.values():
            if old.seq != seq and old.eim_id == new.eim_id and old.counter == new.counter:
                self.replaced.add(old.seq)

    def _gone(self, seq: int, what: str) -> None:
        if self.emulated is not None and what == "result":
            return  # what a power cut takes from the disk is made anew; at the end every one must have been taken
        taken = self.accepted_results if what == "result" else self.taken_notifications
        if seq in taken:
            self.log.tell(CARD, f"forgets {what} {seq}")
        elif seq in self.replaced:
            self.log.tell(CARD, f"replaces {what} {seq}")
        else:
            self.log.tell(CARD, f"forgets {what} {seq}, which nobody has taken")
            self.lost.append((seq, what))


def name_of(iccid: str | None) -> str:
    """How a story calls a profile."""
    return "no profile" if iccid is None else f"profile …{iccid[-6:]}"
