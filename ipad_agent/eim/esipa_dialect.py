"""Which release of SGP.32 an eIM speaks: what the configuration says, else what the eIM itself showed, remembered.

Until there is evidence only what reads the same in every release is sent with a result: an eIM of v1.0 may lose an
order over a field that it does not know, while an eIM of any later release asks for what it misses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import IntEnum
from typing import Final, Literal, Protocol, get_args

from ipad_agent.codec.esipa.eim_package import (
    DataRequestOrder,
    DownloadTriggerOrder,
    EimPackage,
    EimPackageError,
    EuiccPackageOrder,
    NoPackage,
)
from ipad_agent.codec.esipa.ipa_euicc_data import DataItem, IpaEuiccDataRequest
from ipad_agent.records import dataclass

from . import events

Release = Literal["1.0", "1.2", "1.3"]
"""v1.1 is on the wire as v1.2."""
DialectChoice = Literal["auto", "1.0", "1.2", "1.3"]

RELEASES: Final[tuple[Release, ...]] = get_args(Release)
MAX_REMEMBERED: Final = 16
"""Results per list; an eIM is owed one or two at a time."""

_SINCE_V1_1: Final = frozenset({"setFallbackAttribute", "unsetFallbackAttribute", "setDefaultDpAddress"})
_ERRORS_SINCE_V1_1: Final = frozenset(
    {EimPackageError.EID_NOT_FOUND, EimPackageError.INVALID_EID, EimPackageError.MISSING_EID}
)
_NEW_TAGS: Final = frozenset(
    {DataItem.NOTIFICATIONS.value, DataItem.DEFAULT_SMDP_ADDRESS.value, DataItem.PACKAGE_RESULTS.value}
)
_HEADER: Final = re.compile(r"gsma/rsp/v1\.(\d{1,3})(\.|$)", re.ASCII | re.IGNORECASE)


class Weight(IntEnum):
    """How much evidence is worth."""

    HINT = 1
    """Usual in that release, possible in others."""
    SHOWN = 2
    """Written as only that release writes it."""
    TRIED = 3
    """Two forms were offered, or one that only that release can read was taken."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for a release; ``1.2`` stands for everything since v1.1."""

    release: Release
    weight: Weight
    sentence: str


class DialectMemory(Protocol):
    """What is remembered of one eIM over restarts. ``save`` never raises: a full disk costs this, not the poll."""

    def load(self) -> Mapping[str, object]: ...

    def save(self, document: Mapping[str, object]) -> None: ...


class Forgetful:
    """Keeps what is remembered for the life of the process."""

    def __init__(self) -> None:
        self._document: Mapping[str, object] = {}

    def load(self) -> Mapping[str, object]:
        return self._document

    def save(self, document: Mapping[str, object]) -> None:
        self._document = dict(document)


class PeerDialect:
    """One eIM's dialect. On disk after every call that changes it."""

    def __init__(self, eim_id: str, choice: DialectChoice = "auto", memory: DialectMemory | None = None) -> None:
        self._eim_id = eim_id
        self._choice = choice
        self._memory = memory if memory is not None else Forgetful()
        self._learned: Release | None = None
        self._weight = 0
        document = self._memory.load()
        release, weight = document.get("release"), document.get("weight")
        if release in RELEASES and isinstance(weight, int) and 0 < weight <= max(Weight):
            self._learned = next(known for known in RELEASES if known == release)
            self._weight = weight
        self._why = str(document.get("why", ""))
        self._nested_cancel = document.get("nested_cancel") is True
        self._silent = _names(document.get("silent"))
        self._taken = _names(document.get("taken"))
        self._refused = _counts(document.get("refused"))

    @property
    def release(self) -> Release | None:
        """The configured release, else the learned one; None when nothing is known."""
        return self._learned if self._choice == "auto" else self._choice

    @property
    def configured(self) -> bool:
        """Whether the owner said it; nothing that the eIM shows changes it then."""
        return self._choice != "auto"

    def learn(self, evidence: Evidence | None) -> None:
        """Weigh evidence. Heavier evidence counts; of two of one weight v1.0 does, since that mistake costs nothing;
        what was tried out is only replaced by what was tried out later."""
        if evidence is None or self._choice != "auto":
            return
        known = self._learned
        release: Release = "1.3" if known == "1.3" and evidence.release == "1.2" else evidence.release
        if not self._counts(release, evidence.weight):
            return
        if release != known:
            events.DIALECT_LEARNED.emit(eim=self._eim_id, release=release, why=evidence.sentence)
        same_side = known is not None and (known == "1.0") == (release == "1.0")
        self._learned, self._why = release, evidence.sentence
        self._weight = max(evidence.weight, self._weight) if same_side else evidence.weight
        self._save()

    def _counts(self, release: Release, weight: Weight) -> bool:
        known = self._learned
        if known is None:
            return True
        if (known == "1.0") == (release == "1.0"):
            return release != known or weight > self._weight
        if weight != self._weight:
            return weight > self._weight
        return release == "1.0" or weight == Weight.TRIED

    # -- CancelSession -------------------------------------------------------------------------------------------------

    @property
    def nested_cancel(self) -> bool:
        """Whether this eIM wants the eUICC's whole BF41 inside CancelSession."""
        return self._nested_cancel

    def learn_cancel(self, *, nested: bool) -> None:
        """The eIM refused one form of CancelSession and took the other."""
        self._nested_cancel = nested
        self._save()

    # -- results -------------------------------------------------------------------------------------------------------
    # ``key`` names a result by a hash of its bytes, see ``result_offers``.

    def was_taken(self, key: str) -> bool:
        """Whether the eIM has this signed result for sure."""
        return key in self._taken

    def taken(self, key: str) -> None:
        """The eIM has this signed result: written down before the card is told to forget it."""
        self._silent = tuple(name for name in self._silent if name != key)
        self._refused.pop(key, None)
        self._taken = (*(name for name in self._taken if name != key), key)[-MAX_REMEMBERED:]
        self._save()

    def was_silent(self, key: str) -> bool:
        """Whether the eIM answered this result with a success and nothing in it."""
        return key in self._silent

    def silent(self, key: str) -> None:
        """It did."""
        if key not in self._silent:
            self._silent = (*self._silent, key)[-MAX_REMEMBERED:]
            self._save()

    def refusals(self, key: str) -> int:
        """How often the eIM refused this result although it answered everything else."""
        return self._refused.get(key, 0)

    def refused(self, key: str) -> None:
        """Once more."""
        count = self._refused.pop(key, 0) + 1
        self._refused = dict([*self._refused.items(), (key, count)][-MAX_REMEMBERED:])
        self._save()

    def forget_refusals(self, key: str) -> None:
        """It was taken, or is given up."""
        if self._refused.pop(key, None) is not None:
            self._save()

    def _save(self) -> None:
        document: dict[str, object] = {}
        if self._learned is not None:
            document = {"release": self._learned, "weight": int(self._weight), "why": self._why}
        if self._nested_cancel:
            document["nested_cancel"] = True
        for name, keys in (("silent", self._silent), ("taken", self._taken)):
            if keys:
                document[name] = list(keys)
        if self._refused:
            document["refused"] = dict(self._refused)
        self._memory.save(document)


def evidence_in_package(package: EimPackage) -> Evidence | None:
    """What an answer to GetEimPackage tells. A transaction in an eUICC package or a trigger tells nothing: v1.0 has
    room for it there too."""
    match package:
        case DataRequestOrder(request=request):
            return _evidence_in_request(request)
        case EuiccPackageOrder(request=order) if any(item.name in _SINCE_V1_1 for item in order.operations):
            return Evidence("1.2", Weight.SHOWN, "it orders what v1.0 does not have")
        case EuiccPackageOrder() | DownloadTriggerOrder() if package.eim_transaction_id is None:
            return Evidence("1.0", Weight.HINT, "its order has no eimTransactionId")
        case NoPackage(code=code) if code in _ERRORS_SINCE_V1_1:
            return Evidence("1.2", Weight.SHOWN, "it has error numbers that v1.0 does not have")
    return None


def _evidence_in_request(request: IpaEuiccDataRequest) -> Evidence:
    if request.eim_transaction_id is not None:
        return Evidence("1.2", Weight.SHOWN, "its data request has an eimTransactionId")
    if request.dialect == "1.0":
        return Evidence("1.0", Weight.SHOWN, "its data request has the tags of v1.0")
    if request.epr_criteria is not None or _NEW_TAGS & set(request.tags):
        return Evidence("1.2", Weight.SHOWN, "its data request has tags that v1.0 does not have")
    return Evidence("1.0", Weight.HINT, "its data request has no eimTransactionId")


def evidence_in_header(value: str | None) -> Evidence | None:
    """What an X-Admin-Protocol of the eIM's own tells. Up to v1.2 everybody says ``gsma/rsp/v2.1.0``; since v1.3 it is
    the highest release of SGP.32 that the sender supports (SGP.32 v1.3 §6.1)."""
    found = None if value is None else _HEADER.match(value.strip())
    if found is None:
        return None
    minor = int(found[1])
    release: Release = "1.0" if minor == 0 else "1.2" if minor < 3 else "1.3"
    return Evidence(release, Weight.SHOWN, "its X-Admin-Protocol says so")


def _names(value: object) -> tuple[str, ...]:
    names = value if isinstance(value, list | tuple) else ()
    return tuple(name for name in names if isinstance(name, str))[-MAX_REMEMBERED:]


def _counts(value: object) -> dict[str, int]:
    counts = value if isinstance(value, Mapping) else {}
    return {key: count for key, count in counts.items() if isinstance(key, str) and isinstance(count, int)}
