"""The work of this device: an order taken from an eIM, owed until its result was delivered.

One journal entry of kind ``package`` per order. It is on the disk before the card is touched, gets the result before
anything else happens to it, and is closed when the eIM took the result. The card keeps signed results too; the
journal holds what the card does not (SGP.32 v1.2 §3.3.1; power loss: see ``euicc_package_execution.resume``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import cast

from ipad_agent.policy.polling import redelivery
from ipad_agent.policy.polling.redelivery import Redelivery
from ipad_agent.procedures.ports import EntryView, Journal
from ipad_agent.records import dataclass, field, replace

from . import download_cuts
from .download_cuts import DownloadCuts
from .owed_removals import OwedRemovals

ENTRY_KIND = "package"
MAX_LOADS = 2
"""How often a package may be handed to the card: once, and once more when the answer was lost."""


class Stage(StrEnum):
    """How far a profile download got; decides what a restart may conclude from what the card says."""

    STORED = "stored"
    AUTHENTICATED = "authenticated"
    PREPARED = "prepared"
    LOADING = "loading"
    INSTALLED = "installed"


class WorkKind(StrEnum):
    """What was ordered: decides what a restart does with work that has no result yet."""

    PACKAGE = "package"
    DATA = "data"
    TRIGGER = "trigger"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Work:
    """``order`` is the TLV as received, ``result`` the EimPackageResult alternative as it goes into BF50.

    ``stage``, ``session`` (the SM-DP+'s transactionId) and ``installation`` (the card's BF37) are of downloads only.
    ``eim_config`` is the card's entry for the eIM (BF55 element): an order may delete the very eIM that gave it, and
    the result must reach it all the same. ``loads`` counts how often the card was about to get the order.
    ``redelivery``: how often the eIM did not take the result, and when it may be offered again. ``cuts``: how often the
    link cut the download off; such attempts are not in ``loads``.
    """

    id: int
    eim_id: str
    kind: WorkKind
    order: bytes
    transaction_id: bytes | None
    eim_config: bytes
    loads: int = 0
    result: bytes | None = None
    stage: Stage = Stage.STORED
    session: bytes | None = None
    installation: bytes | None = field(default=None, repr=False)
    redelivery: Redelivery | None = None
    cuts: DownloadCuts | None = None


class WorkList:
    """The open work in the journal. ``lacks_card_state`` tells whether the disk does not have what an emulated card
    did: after a cut that is found out from the card itself, its notifications included."""

    def __init__(self, journal: Journal, lacks_card_state: Callable[[], bool] = lambda: False) -> None:
        self._journal = journal
        self._lacks_card_state = lacks_card_state
        self._removals = OwedRemovals(journal)
        self._read: dict[int, tuple[EntryView, Work | None]] = {}
        """What the entries say. An entry is another object once it was changed; to read all of them anew for each one
        that is delivered would cost the square of their number."""

    def take(self, eim_id: str, eim_config: bytes, kind: WorkKind, order: bytes, transaction_id: bytes | None) -> Work:
        """Write down an order that was just received. Raises ``StoreError`` when the journal cannot take it."""
        facts: dict[str, object] = {
            "eim_id": eim_id,
            "eim_config": eim_config,
            "kind": kind.value,
            "order": order,
            "loads": 0,
        }
        if transaction_id is not None:
            facts["transaction_id"] = transaction_id
        id = self._journal.open(ENTRY_KIND, facts)
        return Work(id, eim_id, kind, order, transaction_id, eim_config)

    def adopt(
        self, eim_id: str, eim_config: bytes, kind: WorkKind, result: bytes, transaction_id: bytes | None
    ) -> Work:
        """An order that is known only by its result: the journal has lost it."""
        facts: dict[str, object] = {
            "eim_id": eim_id,
            "eim_config": eim_config,
            "kind": kind.value,
            "order": b"",
            "loads": MAX_LOADS,
            "result": result,
        }
        if transaction_id is not None:
            facts["transaction_id"] = transaction_id
        return self.get(self._journal.adopt(ENTRY_KIND, facts))

    def about_to_load(self, work: Work) -> None:
        """Write down that the card gets the order now; must return before the first byte goes out."""
        self._journal.update(work.id, loads=work.loads + 1)

    def attempt(self, work: Work) -> Work:
        """Write down that a download begins (again) from the start; counted in ``loads`` as packages are."""
        self._journal.update(work.id, loads=work.loads + 1, stage=Stage.STORED.value)
        return replace(work, loads=work.loads + 1, stage=Stage.STORED)

    def cut_off(self, work: Work, cuts: DownloadCuts, *, counted: bool) -> Work:
        """An attempt ended by the link and not by this device. If it was ``counted`` in ``loads``, it is none of those
        that may have taken the device down with them after all."""
        loads = max(0, work.loads - 1) if counted else work.loads
        self._journal.note(work.id, loads=loads, cuts=download_cuts.to_document(cuts))
        return replace(work, loads=loads, cuts=cuts)

    def reached(self, work: Work, stage: Stage, session: bytes) -> Work:
        """Write down how far a download is; must return before the step it stands for begins."""
        self._journal.update(work.id, stage=stage.value, session=session)
        return replace(work, stage=stage, session=session)

    def installed(self, work: Work, installation: bytes) -> Work:
        """What the card said at the end of a download; to be called before anybody is told."""
        self._journal.note(work.id, stage=Stage.INSTALLED.value, installation=installation)
        return replace(work, stage=Stage.INSTALLED, installation=installation)

    def answered(self, work: Work, result: bytes) -> Work:
        """The result; to be called before the card is reset or anything is sent."""
        self._journal.note(work.id, result=result)
        return replace(work, result=result)

    def made_anew(self, work: Work, result: bytes) -> Work:
        """Another result takes the place of the one that is owed; what became of that one does not count for it."""
        self._journal.note(work.id, result=result, redelivery=None)
        return replace(work, result=result, redelivery=None)

    def failed(self, work: Work, state: Redelivery) -> Work:
        """The eIM did not take the result; it stays owed. A disk that does not take this costs the pause only."""
        self._journal.note(work.id, redelivery=redelivery.to_document(state))
        return replace(work, redelivery=state)

    def settled(self, work: Work, outcome: str) -> None:
        """The eIM took the result: nothing is owed for this order any more."""
        self._journal.close(work.id, outcome)

    @property
    def unwritten(self) -> bool:
        """Whether the disk does not have a result that is known, or what an emulated card did: until it does, the card
        is the only memory that survives, and nothing may be removed from it."""
        return self._journal.unwritten(ENTRY_KIND) or self._lacks_card_state()

    def keep(self, eid: str, numbers: Iterable[int]) -> None:
        """These were acknowledged and stay on the card for now (``result_removal``), over restarts too."""
        self._removals.add(eid, numbers)

    def kept(self, eid: str) -> frozenset[int]:
        """What was acknowledged and is still on this card: not to be delivered again."""
        return self._removals.of(eid)

    def may_be_removed(self, eid: str) -> bool:
        """Whether something that had to stay on this card may leave it now."""
        return not self.unwritten and bool(self.kept(eid))

    def removed(self, eid: str, numbers: Iterable[int]) -> None:
        """These are off the card."""
        self._removals.done(eid, numbers)

    def get(self, id: int) -> Work:
        """One open work as the journal has it now."""
        return next(work for work in self.open() if work.id == id)

    @property
    def room(self) -> bool:
        """Whether another order may be taken; asked before an eIM is asked for one."""
        return self._journal.room_for_work

    def drop_unreadable(self) -> int:
        """Close entries that a damaged disk left without their order; returns how many.

        The card still has its signed results and the eIM still has its packages, so nothing is lost with them.
        """
        unreadable = [entry.id for entry in self._journal.entries(ENTRY_KIND) if _from_entry(entry) is None]
        for id in unreadable:
            self._journal.close(id, "unreadable after damage")
        return len(unreadable)

    def open(self, eim_id: str | None = None) -> list[Work]:
        """All open work, oldest first; of one eIM when given."""
        read = {}
        for entry in self._journal.entries(ENTRY_KIND):
            known = self._read.get(entry.id)
            read[entry.id] = known if known is not None and known[0] is entry else (entry, _from_entry(entry))
        self._read = read
        return [work for _, work in read.values() if work is not None and eim_id in (None, work.eim_id)]


def _from_entry(entry: EntryView) -> Work | None:
    facts = entry.facts
    try:
        return Work(
            id=entry.id,
            eim_id=cast(str, facts["eim_id"]),
            kind=WorkKind(cast(str, facts["kind"])),
            order=cast(bytes, facts["order"]),
            transaction_id=cast("bytes | None", facts.get("transaction_id")),
            eim_config=cast(bytes, facts["eim_config"]),
            loads=cast(int, facts.get("loads", MAX_LOADS)),
            result=cast("bytes | None", facts.get("result")),
            stage=Stage(cast(str, facts.get("stage", Stage.STORED.value))),
            session=cast("bytes | None", facts.get("session")),
            installation=cast("bytes | None", facts.get("installation")),
            redelivery=redelivery.from_document(facts.get("redelivery")),
            cuts=download_cuts.from_document(facts.get("cuts")),
        )
    except (KeyError, ValueError):
        return None
