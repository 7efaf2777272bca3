"""A factory reset of the eUICC that somebody on this device asked for (EuiccMemoryReset, SGP.32 v1.2 §5.9.5).

What it deletes is gone for good, the enabled profile included. It is never part of anything that the agent does by
itself, and never repeated after a restart: whoever wanted it has to ask again. Results that are owed stay owed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from typing import ClassVar, Final

from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.codec.es10.es10_requests import MemoryResetResult, ResetOption
from ipad_agent.codec.es10.profile_info import ProfileInfo
from ipad_agent.codec.esipa.eim_package import StateChangeCause
from ipad_agent.errors import CardError, IpadError, ModemError, Remedy, StoreError
from ipad_agent.procedures import authors
from ipad_agent.procedures.context import Context
from ipad_agent.procedures.ports import Memory
from ipad_agent.procedures.records.state_changes import snapshot
from ipad_agent.procedures.switching import local_events as events
from ipad_agent.procedures.switching.local_switch import emergency_active
from ipad_agent.records import dataclass

DOCUMENT: Final = "card-reset"

PARTS: Final[Mapping[str, tuple[ResetOption, ...]]] = {
    "operational-profiles": (ResetOption.OPERATIONAL_PROFILES,),
    "test-profiles": (ResetOption.FIELD_LOADED_TEST_PROFILES,),
    "default-smdp": (ResetOption.DEFAULT_SMDP_ADDRESS,),
    "eims": (ResetOption.EIM_CONFIGURATION,),
    "immediate-enable": (ResetOption.IMMEDIATE_ENABLE_CONFIGURATION,),
}
"""What a person may name. Profiles that the maker of the card put there (test, provisioning) are not offered: a device
without its bootstrap profile can only be sent back."""


class ResetRefused(IpadError):
    """The card was not touched."""

    remedy: ClassVar[Remedy] = Remedy.ASK_PERSON
    default_hint = "A reset of the card has to be allowed on this device and asked for by somebody with that right."


@dataclass(frozen=True, slots=True)
class ResetReport:
    """What the card said, part by part, and what is left on it."""

    result: MemoryResetResult
    profiles: tuple[ProfileInfo, ...]
    eims: tuple[EimConfigurationData, ...]


async def reset(context: Context, memory: Memory, what: Collection[str], *, allowed: bool) -> ResetReport:
    """Delete ``what`` (names of ``PARTS``) from the card; ``allowed`` says that the configuration permits it and that
    the one who asks may.

    Raises ``ResetRefused``, ``CardError`` or ``ModemError``; ``settle`` goes on after the latter two.
    """
    if not allowed:
        raise ResetRefused("resetting the card is not allowed on this device")
    unknown = sorted(set(what) - set(PARTS))
    if unknown or not what:
        raise ResetRefused(f"nothing to reset is called {', '.join(unknown) or 'nothing'}", hint=_known_parts())
    options = tuple(option for name, chosen in PARTS.items() if name in what for option in chosen)
    context.card.ask_anew()
    profiles = await context.card.get_profiles()
    if emergency_active(profiles):
        raise ResetRefused("the emergency profile is enabled", hint="Disable the emergency profile first.")
    eims = await context.card.get_eim_configuration()
    events.RESETTING.emit(what=", ".join(name for name in PARTS if name in what))
    with suppress(StoreError):  # after a crash the eIMs then get no better reason than "undefined"
        memory.save(DOCUMENT, {"eid": str(context.eid), "before": _picture(profiles, eims)})
    result = await _order(context, options)
    report = ResetReport(result, await context.card.get_profiles(), await context.card.get_eim_configuration())
    if _picture(report.profiles, report.eims) != _picture(profiles, eims):
        _note(context, report.profiles, report.eims)
    if len(report.eims) != len(eims):
        context.on_eims_deleted()
    _forget(memory)
    events.RESET_DONE.emit(result=result.result.name, profiles=len(report.profiles), eims=len(report.eims))
    return report


async def settle(context: Context, memory: Memory) -> bool:
    """After a restart in the middle: tell the eIMs that are left why their profiles are gone. Whether the card had been
    reset; False also when there was nothing to settle. To be called after ``device_start.note_changes``."""
    document = memory.load(DOCUMENT)
    if document.get("eid") != str(context.eid):
        _forget(memory)
        return False
    await context.card.verify_switched()
    profiles = await context.card.get_profiles()
    eims = await context.card.get_eim_configuration()
    happened = _picture(profiles, eims) != document.get("before")
    if happened:
        _note(context, profiles, eims)
    _forget(memory)
    events.RESET_FOUND.emit(found="had been carried out" if happened else "had not begun")
    return happened


async def _order(context: Context, options: Iterable[ResetOption]) -> MemoryResetResult:
    """Give the order, once more when its answer got lost: what is deleted cannot be deleted twice."""
    try:
        result = await context.card.memory_reset(options)
    except (CardError, ModemError) as failure:
        if failure.remedy is Remedy.GIVE_UP:
            raise
        events.RESET_REPEATED.emit(reason=failure.message)
        await context.card.verify_switched()
        result = await context.card.memory_reset(options)
    await context.card.recover()
    return result


def _note(context: Context, profiles: tuple[ProfileInfo, ...], eims: Iterable[EimConfigurationData]) -> None:
    context.on_profiles(profiles, authors.LOCAL, None)
    context.changes.learn(str(context.eid), snapshot(profiles))
    context.changes.note((eim.eim_id for eim in eims), StateChangeCause.RESET)


def _picture(profiles: Iterable[ProfileInfo], eims: Iterable[EimConfigurationData]) -> dict[str, object]:
    return {"profiles": snapshot(profiles), "eims": sorted(eim.eim_id for eim in eims)}


def _forget(memory: Memory) -> None:
    if memory.load(DOCUMENT):
        with suppress(StoreError):
            memory.save(DOCUMENT, {})


def _known_parts() -> str:
    return f"Known parts: {', '.join(PARTS)}."
