"""Switches that the device itself orders on an emulated card: ProfileRollback, ExecuteFallbackMechanism,
ReturnFromFallback, ImmediateEnable (SGP.32 v1.2 §5.9.15, §5.9.16, §5.9.20, §5.9.21).

The way back needs no disk: what is about to be done is noted, and done also where the disk refuses the note. After a
cut the card tells whether it was done.
"""

from __future__ import annotations

from typing import Final

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.es10.notifications import NotificationEvent, PendingNotification
from ipad_agent.codec.es10.profile_info import ProfileInfo
from ipad_agent.codec.es10.rules_authorisation_table import ProfilePolicyRule
from ipad_agent.errors import CardError, CodecError
from ipad_agent.records import dataclass, replace

from . import events
from .card_memory import CardMemory
from .consumer_card import ConsumerCard
from .emulated_state import EmulatedState, ImmediateEnabling, LocalSwitch
from .interrupted_package import last_change
from .result_signing import successor

ROLLBACK, FALLBACK, RETURN, IMMEDIATE = "rollback", "fallback", "return from the fallback", "immediate enable"
OK, CAT_BUSY, UNDEFINED = 0, 5, 127
ROLLBACK_NOT_ALLOWED, NOT_DISABLED, FALLBACK_NOT_AVAILABLE, COMMAND_ERROR = 1, 2, 6, 7
IMMEDIATE_NOT_AVAILABLE, NO_SESSION_CONTEXT = 1, 4


@dataclass(frozen=True, slots=True)
class Installed:
    """What the end of a download leaves behind: ImmediateEnable may follow."""

    iccid: bytes
    smdp_oid: bytes
    smdp_address: str

    @classmethod
    def read(cls, result: bytes | None) -> Installed | None:
        """From a ProfileInstallationResult (BF37) that tells of success."""
        if result is None:
            return None
        try:
            told = PendingNotification.parse(result)
        except CodecError:
            return None
        if told.installation is None or not told.installation.success or told.iccid is None:
            return None
        return cls(told.iccid.tbcd, told.installation.smdp_oid, told.address)


async def profile_rollback(card: ConsumerCard, memory: CardMemory) -> bytes:
    """The answer of ProfileRollback (BF58)."""
    grant = memory.state.rollback
    profiles = await _profiles(card)
    target = None if grant is None else _named(profiles, grant.previous)
    if target is None or grant is None:
        return tlv.encode(0xBF58, tlv.encode_integer(0x02, ROLLBACK_NOT_ALLOWED))
    before = {result.seq for result in memory.state.results}
    code = await _switch(card, memory, LocalSwitch(ROLLBACK, grant.previous, _enabled(profiles)), target)
    if code != OK:
        return tlv.encode(0xBF58, tlv.encode_integer(0x02, CAT_BUSY if code == CAT_BUSY else COMMAND_ERROR))
    new = [result for result in memory.state.results if result.seq not in before]
    return tlv.encode(0xBF58, tlv.encode_integer(0x02, OK), new[-1].raw if new else b"")


async def execute_fallback(card: ConsumerCard, memory: CardMemory) -> int:
    """The number of ExecuteFallbackMechanism."""
    profiles = await _profiles(card)
    former = _enabled(profiles)
    target = None if memory.state.fallback is None else _named(profiles, memory.state.fallback)
    if former is None:
        return COMMAND_ERROR
    if target is None or target.iccid_raw is None:
        return FALLBACK_NOT_AVAILABLE
    if target.enabled:
        return NOT_DISABLED
    code = await _switch(card, memory, LocalSwitch(FALLBACK, target.iccid_raw, former), target)
    return code if code in (OK, CAT_BUSY) else UNDEFINED


async def return_from_fallback(card: ConsumerCard, memory: CardMemory) -> int:
    """The number of ReturnFromFallback."""
    profiles = await _profiles(card)
    back = memory.state.fallback_return
    target = None if back is None else _named(profiles, back)
    if target is None or target.iccid_raw is None or _enabled(profiles) != memory.state.fallback:
        return FALLBACK_NOT_AVAILABLE
    code = await _switch(card, memory, LocalSwitch(RETURN, target.iccid_raw, _enabled(profiles)), target)
    return code if code in (OK, CAT_BUSY) else UNDEFINED


async def immediate_enable(card: ConsumerCard, memory: CardMemory, installed: Installed | None) -> int:
    """The number of ImmediateEnable for what was just installed."""
    allowed = memory.state.immediate
    if allowed is None:
        return IMMEDIATE_NOT_AVAILABLE
    if installed is None:
        return NO_SESSION_CONTEXT
    profiles = await _profiles(card)
    target = _named(profiles, installed.iccid)
    if target is None or target.iccid_raw is None:
        return NO_SESSION_CONTEXT
    held = any(
        profile.enabled and ProfilePolicyRule.DISABLING_NOT_ALLOWED in (profile.policy_rules or ())
        for profile in profiles
    )
    if held or target.ecall_indication or not _from_there(allowed, installed):
        return IMMEDIATE_NOT_AVAILABLE
    code = await _switch(card, memory, LocalSwitch(IMMEDIATE, target.iccid_raw, _enabled(profiles)), target)
    return code if code in (OK, CAT_BUSY) else UNDEFINED


async def settle(card: ConsumerCard, memory: CardMemory) -> None:
    """After a cut: whether the switch under way was made. Raises ``CardError`` or ``ModemError``."""
    local = memory.state.local
    if local is None:
        return
    await card.reset()
    done = _enabled(await _profiles(card)) == local.target
    memory.hold(_after(memory, local) if done else replace(memory.state, local=None))
    events.LOCAL_SWITCH_FOUND.emit(kind=local.kind, found="done" if done else "not done")


async def notice_rollback(card: ConsumerCard, memory: CardMemory) -> None:
    """After a start: whether the rollback that is still granted was made by a run whose disk refused to know of it. The
    stored result says that the profile is enabled which the device has left. Raises ``CardError`` or ``ModemError``."""
    grant = memory.state.rollback
    if grant is None or _enabled(await _profiles(card)) != grant.previous:
        return
    # A card may show the old state until its reset, also after the switch; and what a modem calls a reset need not be
    # one for the card. What it notes of the last change is true at once.
    await card.reset()
    change = await last_change(card)
    if change is not None and (change[0] is NotificationEvent.ENABLE) is not (change[1].tbcd == grant.previous):
        return
    if _enabled(await _profiles(card)) == grant.previous:
        memory.hold(_after(memory, LocalSwitch(ROLLBACK, grant.previous, None)))
        events.LOCAL_SWITCH_FOUND.emit(kind=ROLLBACK, found="done")


async def _switch(card: ConsumerCard, memory: CardMemory, local: LocalSwitch, target: ProfileInfo) -> int:
    if target.enabled:  # as a crash may have left it: the card has done it, and nobody was told
        memory.hold(_after(memory, local))
        return OK
    memory.hold(replace(memory.state, local=local))
    try:
        code = int(await card.enable_profile(local.target))
    except CardError as error:
        if not error.alive:
            raise
        events.CARD_REFUSED.emit(function=f"the {local.kind}", reason=error.message)
        code = OK if _enabled(await _profiles(card)) == local.target else UNDEFINED
    memory.hold(_after(memory, local) if code == OK else replace(memory.state, local=None))
    return code


def _after(memory: CardMemory, local: LocalSwitch) -> EmulatedState:
    """The state when this switch was made."""
    state = memory.state
    grant = state.rollback
    after = replace(state.after_switch(), local=None)
    if local.kind == FALLBACK:
        return replace(after, fallback_return=local.former)
    old = None if local.kind != ROLLBACK or grant is None else state.result(grant.seq)
    if old is None:
        return after
    # The undelivered result is replaced by one that tells of the way back too.
    new = successor(memory.key, old, state.next_seq)
    return replace(after.without_result(old.seq), next_seq=state.next_seq + 1).with_result(new)


async def _profiles(card: ConsumerCard) -> tuple[ProfileInfo, ...]:
    card.ask_anew()
    return await card.get_profiles()


def _named(profiles: tuple[ProfileInfo, ...], iccid: bytes) -> ProfileInfo | None:
    return next(
        (one for one in profiles if one.iccid_raw == iccid or (one.iccid is not None and one.iccid.tbcd == iccid)), None
    )


def _enabled(profiles: tuple[ProfileInfo, ...]) -> bytes | None:
    return next((profile.iccid_raw for profile in profiles if profile.enabled), None)


def _from_there(allowed: ImmediateEnabling, installed: Installed) -> bool:
    if allowed.smdp_oid is not None and allowed.smdp_oid != installed.smdp_oid:
        return False
    address: Final = allowed.smdp_address
    return address is None or address.lower() == installed.smdp_address.lower()
