"""What polls cost over the life of the installation, and when that is too much for anything but results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from ipad_agent.clock import Clock
from ipad_agent.policy.polling.hold_reason import Held
from ipad_agent.policy.traffic_limits import TrafficLimits, reached
from ipad_agent.procedures.ports import EimLink, Memory
from ipad_agent.procedures.records.state_changes import StateChanges
from ipad_agent.procedures.records.traffic_ledger import RadioCounts, TrafficLedger
from ipad_agent.records import dataclass
from ipad_agent.status import Board

from . import events
from .radio_use import RadioUse


@dataclass(frozen=True, slots=True)
class Mark:
    """What everything had cost when a poll began, and the carrier it goes over: a link that failed has another one once
    it is closed."""

    spent_bytes: int
    purposes: Counter[str]
    carrier: str | None


class TrafficAccount:
    """``connector`` is the one to SM-DP+s, if there is one."""

    def __init__(
        self,
        memory: Memory,
        clock: Clock,
        limits: TrafficLimits,
        board: Board,
        changes: StateChanges,
        connector: object,
        radio: RadioUse | None = None,
    ) -> None:
        self._ledger = TrafficLedger(memory, clock)
        self._limits = limits
        self._board = board
        self._changes = changes
        self._connector = connector
        self._radio = radio
        self._counted_direct = self._direct_bytes()
        self.scarce: Held | None = None
        """Why only results may leave, as of the last ``look``."""
        by: Counter[tuple[str, str]] = Counter()
        for share, size_bytes in self._ledger.shares.items():
            by[share.carrier, share.purpose] += size_bytes
        board.traffic_before(by, self._ledger.today_bytes)
        self._show()

    def look(self, *, commanded: bool) -> bool:
        """Whether new work may be fetched; what a person orders may be in any case."""
        today_bytes, total_bytes = self._ledger.today_bytes, self._ledger.total_bytes
        self.scarce = None if commanded else reached(self._limits, today_bytes=today_bytes, total_bytes=total_bytes)
        if self.scarce is not None:
            events.ONLY_RESULTS.emit(sentence=self.scarce.sentence)
        return self.scarce is None

    def begin(self, link: EimLink) -> Mark:
        """A poll begins on this link."""
        return Mark(link.traffic_bytes, _purposes(link), link.carrier)

    def end(self, link: EimLink, mark: Mark) -> Counter[str]:
        """A poll ended and its link is closed; what it cost, by purpose."""
        purposes = _purposes(link) - mark.purposes
        rest = link.traffic_bytes - mark.spent_bytes - purposes.total()
        if rest > 0:
            purposes["poll"] += rest  # the end of the session
        radio = self._radio_use()
        if purposes or any(radio):
            self._add(mark.carrier or "?", purposes, radio)
        self.direct()
        return purposes

    def spent(self, carrier: str, purpose: str, size_bytes: int) -> None:
        """What went to an eIM beside its link."""
        if size_bytes > 0:
            self._add(carrier, {purpose: size_bytes})
            self._board.traffic(carrier, purpose, size_bytes)

    def direct(self) -> None:
        """Count what SM-DP+s cost since the last time: in a poll, or by the word of a person between two."""
        spent_bytes = self._direct_bytes()
        size_bytes, self._counted_direct = spent_bytes - self._counted_direct, spent_bytes
        if size_bytes > 0:
            self._add("https", {"download": size_bytes}, self._radio_use())
            self._board.traffic("https", "download", size_bytes)

    def woke_up(self) -> None:
        """The agent leaves its rest."""
        if self._radio is not None:
            self._radio.woke_up()

    def _radio_use(self) -> RadioCounts:
        return RadioCounts() if self._radio is None else RadioCounts(*self._radio.take())

    @property
    def _enabled(self) -> str | None:
        profiles = self._changes.known_profiles() or {}
        return next((iccid for iccid, state in profiles.items() if state == "enabled"), None)

    def _add(
        self,
        carrier: str,
        purposes: Mapping[str, int],
        radio: RadioCounts = RadioCounts(),  # noqa: B008 - a value
    ) -> None:
        self._ledger.add(carrier, purposes, self._enabled, radio)
        self._show()

    def _show(self) -> None:
        ledger = self._ledger
        self._board.traffic_by_profile(
            [(share.profile, share.carrier, share.purpose, size_bytes) for share, size_bytes in ledger.shares.items()],
            radio=ledger.radio,
            radio_today=ledger.radio_today,
        )

    def _direct_bytes(self) -> int:
        spent_bytes: int = getattr(self._connector, "spent_bytes", 0)  # a ``CountsBytes``, or none
        return spent_bytes


def _purposes(link: EimLink) -> Counter[str]:
    """What a ``CountsByPurpose`` tells; ``isinstance`` of a protocol would take longer than a poll's other sums."""
    told: Mapping[str, int] = getattr(link, "traffic_by_purpose", {})
    return Counter(told)
