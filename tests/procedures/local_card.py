"""A card with a fallback and an emergency profile whose answers to the device's own orders are scripted."""

from __future__ import annotations

from collections.abc import Callable

from ipad_agent.codec.es10.profile_info import ProfileInfo
from ipad_agent.codec.esipa.eim_package import StateChangeCause
from ipad_agent.procedures.records.local_switch_record import LocalSwitchRecord

from .fakes import ICCID_A, ICCID_B, Bench, profile

ICCID_E = "5A0A98001032547698103234"
WORK, SPARE, ECALL = "89000123456789012341", "89000123456789012342", "89000123456789012343"
"""The digits of A (the operator's), B (the fallback profile) and E (the emergency profile)."""
FALLBACK = "9F2601FF9F6701FF"
EMERGENCY = "9F7B01FF"
EIMS = ("eim1", "eim2")

Answer = int | BaseException


def profiles(enabled: str | None) -> list[ProfileInfo]:
    return [
        profile(ICCID_A, enabled=enabled == WORK),
        profile(ICCID_B, enabled=enabled == SPARE, more=FALLBACK),
        profile(ICCID_E, enabled=enabled == ECALL, more=EMERGENCY),
    ]


def device(enabled: str | None = WORK) -> Bench:
    bench = Bench()
    bench.card.profiles = profiles(enabled)
    return bench


def local_switch_record(bench: Bench) -> LocalSwitchRecord:
    return LocalSwitchRecord(bench.memory)


def switches_to(bench: Bench, enabled: str | None, answer: Answer = 0) -> Callable[[], Answer]:
    """The card does it, and answers so (or its answer is lost)."""

    def act() -> Answer:
        bench.card.profiles = profiles(enabled)
        return answer

    return act


def says(answer: Answer) -> Callable[[], Answer]:
    """The card does nothing."""
    return lambda: answer


def told(bench: Bench) -> list[StateChangeCause | None]:
    """What the eIMs will be told."""
    return [bench.context.changes.pending(eim_id) for eim_id in EIMS]
