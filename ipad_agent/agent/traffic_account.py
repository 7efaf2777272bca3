"""What polls cost over the life of the installation, and when that is too much for anything but results."""

from __future__ import annotations

from collections import Counter

from ipad_agent.clock import Clock
from ipad_agent.policy.polling.hold_reason import Held
from ipad_agent.policy.traffic_limits import TrafficLimits, reached
from ipad_agent.procedures.ports import CountsByPurpose, CountsBytes, EimLink, Memory
from ipad_agent.procedures.records.state_changes import StateChanges
from ipad_agent.procedures.records.traffic_ledger import TrafficLedger
from ipad_agent.records import dataclass
from ipad_agent.status import Board

from . import events


@dataclass(frozen=True, slots=True)
class Mark:
    """What everything had cost when a poll began."""

    spent_bytes: int
    purposes: Counter[str]
    direct_bytes: int


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
    ) -> None:
        self._ledger = TrafficLedger(memory, clock)
        self._limits = limits
        self._board = board
        self._changes = changes
        self._connector = connector
        self.scarce: Held | None = None
        """Why only results may leave, as of the last ``look``."""
        by: Counter[tuple[str, str]] = Counter()
        for share, size_bytes in self._ledger.shares.items():
            by[share.carrier, share.purpose] += size_bytes
        board.traffic_before(by, self._ledger.today_bytes)

    def look(self, *, commanded: bool) -> bool:
        """Whether new work may be fetched; what a person orders may be in any case."""
        today_bytes, total_bytes = self._ledger.today_bytes, self._ledger.total_bytes
        self.scarce = None if commanded else reached(self._limits, today_bytes=today_bytes, total_bytes=total_bytes)
        if self.scarce is not None:
            events.ONLY_RESULTS.emit(sentence=self.scarce.sentence)
        return self.scarce is None

    def begin(self, link: EimLink) -> Mark:
        """A poll begins on this link."""
        return Mark(link.traffic_bytes, _purposes(link), self._direct_bytes())

    def end(self, link: EimLink, mark: Mark) -> Counter[str]:
        """A poll ended and its link is closed; what it cost, by purpose."""
        purposes = _purposes(link) - mark.purposes
        rest = link.traffic_bytes - mark.spent_bytes - purposes.total()
        if rest > 0:
            purposes["poll"] += rest  # the end of the session
        enabled = self._enabled()
        if purposes:
            self._ledger.add(link.carrier or "?", purposes, enabled)
        direct = self._direct_bytes() - mark.direct_bytes
        if direct > 0:
            self._ledger.add("https", {"download": direct}, enabled)
            self._board.traffic("https", "download", direct)
        return purposes

    def spent(self, carrier: str, purpose: str, size_bytes: int) -> None:
        """What went to an eIM beside its link."""
        if size_bytes > 0:
            self._ledger.add(carrier, {purpose: size_bytes}, self._enabled())
            self._board.traffic(carrier, purpose, size_bytes)

    def _enabled(self) -> str | None:
        profiles = self._changes.known_profiles() or {}
        return next((iccid for iccid, state in profiles.items() if state == "enabled"), None)

    def _direct_bytes(self) -> int:
        return self._connector.spent_bytes if isinstance(self._connector, CountsBytes) else 0


def _purposes(link: EimLink) -> Counter[str]:
    return Counter(link.traffic_by_purpose) if isinstance(link, CountsByPurpose) else Counter()
