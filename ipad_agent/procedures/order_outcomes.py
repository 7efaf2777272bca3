"""What became of an order, in the card's words and in ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ipad_agent.codec.es10.euicc_package import EuiccPackageRequest, EuiccPackageResult, OperationResult
from ipad_agent.codec.identifiers import short_iccid
from ipad_agent.errors import CodecError

from . import package_sentences
from .records.last_orders import OrderOutcome

QUESTIONS: Final = frozenset({"listProfileInfo", "getRAT", "listEim"})
"""Operations that change nothing."""

_MEANINGS: Final[Mapping[str, str]] = {
    "iccidOrAidNotFound": "there is no such profile on the card",
    "profileNotInDisabledState": "that profile is enabled, and only a disabled one can be",
    "profileNotInEnabledState": "that profile is not enabled",
    "disallowedByPolicy": "a rule of the profile itself (PPR) is against it",
    "catBusy": "the card was busy with the modem",
    "rollbackNotAvailable": "the card cannot keep a way back to the former profile",
    "returnFallbackProfile": "the device is on its fallback profile and is to return to that one",
    "incorrectInputValues": "the card does not understand what was asked",
    "profileChangeOngoing": "the profiles were just being changed",
    "insufficientMemory": "the card has no room left",
    "associatedEimAlreadyExists": "that eIM is on the card already",
    "ciPKUnknown": "the card does not know the certificate issuer",
    "invalidAssociationToken": "the token is not the one of this card",
    "counterValueOutOfRange": "the counter of the eIM is beyond what the card accepts",
    "commandError": "the card cannot do that",
    "eimNotFound": "there is no such eIM on the card",
    "fallbackNotAllowed": "that profile may not be the one for fallback",
    "fallbackProfileEnabled": "the fallback profile is enabled, so it stays the one for fallback",
    "noFallbackAttribute": "no profile is marked for fallback",
    "resultSizeOverflow": "the answer would have been too long for the card",
    "unknownOrDamagedCommand": "the card does not know this operation, or it is damaged",
    "interruption": "the card was interrupted",
    "invalidEid": "the order is for another card",
    "replayError": "the card has executed an order with this counter before",
    "sizeOverflow": "the order is too long for the card",
    "ecallActive": "the emergency profile is enabled",
    "undefinedError": "the card gives no reason",
}
"""What the numbers of SGP.32 v1.2 §2.11.2 mean for somebody who has never read it. After enable and delete,
profileNotInDisabledState means the same, but not for the same end: see ``meaning_of``."""
_ENDS: Final = {"enable": "enabled", "delete": "deleted"}


def meaning_of(operation: str, words: str) -> str | None:
    """What the card's word for the result of this operation means; None for one that nobody has named."""
    meaning = _MEANINGS.get(words)
    if words == "profileNotInDisabledState" and meaning is not None:
        return f"{meaning} {_ENDS.get(operation, 'used for that')}"
    return meaning


def of_package(eim_id: str, order: bytes, result: EuiccPackageResult) -> OrderOutcome:
    """Of an order that the card executed, as a whole or in part, or refused."""
    what, question = describe(order)
    if result.variant != "signed":
        words = package_sentences.of_result(result)
        name = None if result.error_code is None else result.error_code.name
        return OrderOutcome(eim_id, what, False, words, None if name is None else meaning_of("", name), question)
    failed = failures(order, result)
    if not failed:
        return OrderOutcome(eim_id, what, True, question=question)
    return OrderOutcome(
        eim_id,
        what,
        False,
        ", ".join(f"{name} {words}" for name, words, _ in failed),
        "; ".join(reason for _, _, reason in failed if reason is not None) or None,
        question,
    )


def failures(order: bytes, result: EuiccPackageResult) -> list[tuple[str, str, str | None]]:
    """Operations that went wrong: which (``delete 8949…0011``), the card's word, what it means."""
    named = _named(order)
    found = []
    for index, operation in enumerate(result.results):
        if operation.ok:
            continue
        name = named[index] if index < len(named) and named[index].startswith(operation.name) else operation.name
        words = _word(operation)
        found.append((name, words, meaning_of(operation.name, words)))
    return found


def describe(order: bytes) -> tuple[str, bool]:
    """What a package orders, and whether it only asks."""
    try:
        request = EuiccPackageRequest.parse(order)
    except CodecError:
        return "an order that cannot be read here", False
    names = [operation.name for operation in request.operations]
    return ", ".join(_named(order)) or "an empty package", bool(names) and all(name in QUESTIONS for name in names)


def _named(order: bytes) -> list[str]:
    try:
        request = EuiccPackageRequest.parse(order)
    except CodecError:
        return []
    return [
        operation.name + (f" {short_iccid(str(operation.iccid))}" if operation.iccid is not None else "")
        for operation in request.operations
    ]


def _word(operation: OperationResult) -> str:
    return "failed" if operation.code is None else operation.code.name
