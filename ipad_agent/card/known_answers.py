"""What the card said, kept until something may have changed it, so that nobody asks twice for the same.

Dropped as a whole with every sign of another card or another state of it: a reset or an initialisation of the SIM
(another epoch), a lost channel, another EID, a command of the card's toolkit (REFRESH), a function whose outcome is not
known. Dropped in part after what is known to have changed a part. Nothing is kept for longer than ``KEPT_S``: another
program may use the card while the agent's channel is closed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Final

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.ber.tlv_fields import ResultCode
from ipad_agent.codec.es10.euicc_package import EuiccPackageResult
from ipad_agent.codec.es10.notifications import RetrievedNotifications
from ipad_agent.codec.identifiers import Eid
from ipad_agent.records import dataclass, replace

KEPT_S: Final = 7 * 86_400.0
NOTHING_TO_DELETE: Final = 1


class Fact(Enum):
    """What is kept, with the function that tells it (SGP.32 v1.2 §5.9)."""

    INFO1 = "GetEUICCInfo1"
    INFO2 = "GetEUICCInfo2"
    EIMS = "GetEimConfigurationData"
    PROFILES = "GetProfilesInfo"
    RESULTS = "RetrieveNotificationsList of package results"
    NOTIFICATIONS = "RetrieveNotificationsList of notifications"


ALL: Final = frozenset(Fact)
OF_PROFILES: Final = frozenset({Fact.PROFILES, Fact.NOTIFICATIONS, Fact.INFO2, Fact.RESULTS})
"""What changes when a profile comes, goes, or changes its state."""
_NOTHING: Final[frozenset[Fact]] = frozenset()
_CHANGED_BY: Final = {
    "getRAT": _NOTHING,
    "listProfileInfo": _NOTHING,
    "listEim": _NOTHING,
    "configureImmediateEnable": _NOTHING,
    "setDefaultDpAddress": _NOTHING,
    "setFallbackAttribute": frozenset({Fact.PROFILES}),
    "unsetFallbackAttribute": frozenset({Fact.PROFILES}),
    "addEim": frozenset({Fact.EIMS}),
    "deleteEim": frozenset({Fact.EIMS}),
    "updateEim": frozenset({Fact.EIMS}),
    "processingTerminated": _NOTHING,
    "enable": OF_PROFILES,
    "disable": OF_PROFILES,
    "delete": OF_PROFILES,
}
"""By the name of a result in a package result; whatever is not here may have changed anything."""


@dataclass(frozen=True, slots=True)
class Aside:
    """What was known when an order was given, to be true again when the order turns out not to have changed it."""

    answers: Mapping[Fact, tuple[object, float]]
    whole_drops: int


class Known:
    """``epoch`` and ``eid`` tell whose answers these are; ``now_s`` is a clock that never goes back."""

    def __init__(self, epoch: Callable[[], int], eid: Callable[[], Eid | None], now_s: Callable[[], float]) -> None:
        self._epoch = epoch
        self._eid = eid
        self._now_s = now_s
        self._of: tuple[int, Eid | None] | None = None
        self._answers: dict[Fact, tuple[object, float]] = {}
        self._whole_drops = 0

    def get(self, fact: Fact) -> object | None:
        """What is known of this; None when the card has to be asked."""
        if self._of != (self._epoch(), self._eid()):
            self._answers.clear()
        answer, until_s = self._answers.get(fact, (None, 0.0))
        return answer if self._now_s() < until_s else None

    def keep(self, fact: Fact, answer: object, *, epoch: int | None) -> None:
        """Keep an answer that was read over a channel opened in ``epoch``; not one from before a later reset."""
        now = (self._epoch(), self._eid())
        if epoch != now[0]:
            return
        if self._of != now:
            self._answers.clear()
            self._of = now
        self._answers[fact] = (answer, self._now_s() + KEPT_S)

    def drop(self) -> None:
        """Anything may have changed."""
        self._answers.clear()
        self._whole_drops += 1

    def changed(self, facts: Iterable[Fact]) -> None:
        """Something may have changed these."""
        for fact in facts:
            self._answers.pop(fact, None)

    def package_executed(self, result: EuiccPackageResult, before: Aside) -> None:
        """A package was executed; ``before`` is what was known when it was sent (``set_aside``). The card stores the
        signed result, and the lists grow by it."""
        changed = ALL if result.variant == "signed" and result.seq_number is None else _NOTHING
        for one in result.results:
            changed |= _CHANGED_BY.get(one.name, ALL)
        self.put_back(before)
        self.changed(changed | {Fact.INFO2})  # it tells the free memory
        if result.variant == "signed":
            self._edit(Fact.RESULTS, lambda known: _with_result(known, result))

    def set_aside(self) -> Aside:
        """Forget everything while an order is under way, whose outcome may never be known."""
        before, self._answers = self._answers, {}
        return Aside(before if self._of == (self._epoch(), self._eid()) else {}, self._whole_drops)

    def put_back(self, before: Aside) -> None:
        """The order was answered: what was set aside is still true, unless the card was lost or reset meanwhile."""
        if self._whole_drops == before.whole_drops and self._of == (self._epoch(), self._eid()):
            self._answers = dict(before.answers)

    def removed(self, seq_number: int, code: ResultCode) -> None:
        """RemoveNotificationFromList was answered."""
        self.changed((Fact.INFO2,))
        if not code.ok and int(code) != NOTHING_TO_DELETE:
            self.changed((Fact.RESULTS, Fact.NOTIFICATIONS))
            return
        for fact in (Fact.RESULTS, Fact.NOTIFICATIONS):
            self._edit(fact, lambda known: _without(known, seq_number))

    def _edit(self, fact: Fact, edit: Callable[[RetrievedNotifications], RetrievedNotifications]) -> None:
        answer, until_s = self._answers.get(fact, (None, 0.0))
        if isinstance(answer, RetrievedNotifications):
            self._answers[fact] = (edit(answer), until_s)


def _with_result(known: RetrievedNotifications, result: EuiccPackageResult) -> RetrievedNotifications:
    return _listed(replace(known, package_results=(*known.package_results, result)))


def _without(known: RetrievedNotifications, seq_number: int) -> RetrievedNotifications:
    return _listed(
        replace(
            known,
            notifications=tuple(one for one in known.notifications if one.seq_number != seq_number),
            package_results=tuple(one for one in known.package_results if one.seq_number != seq_number),
        )
    )


def _listed(known: RetrievedNotifications) -> RetrievedNotifications:
    """With the bytes of a list that says the same."""
    if known.package_results and known.notifications:
        body = tlv.encode(
            0xA3,
            tlv.encode(0xA0, *(notification.raw for notification in known.notifications)),
            tlv.encode(0xA1, *(result.relay_raw for result in known.package_results)),
        )
    elif known.package_results:
        body = tlv.encode(0xA2, *(result.relay_raw for result in known.package_results))
    else:
        body = tlv.encode(0xA0, *(notification.raw for notification in known.notifications))
    return replace(known, raw=tlv.encode(0xBF2B, body))
