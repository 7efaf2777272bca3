"""What became of a package that a power cut, a kill or a lost card stopped: found out from the card, and signed.

The counter is used up, so the eIM's package is never executed again; without this the eIM would get replayError and
never know what its order did. The state on the disk says which operation the card was about to be given and what the
card showed before. What it shows now decides: done, then the result says so; not done, then the list ends with
processingTerminated interruption(3). Nothing that was not begun is ever carried on with: the eIM decides anew.
"""

from __future__ import annotations

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.ber.tlv import Tlv
from ipad_agent.codec.ber.tlv_fields import Fields
from ipad_agent.codec.es10.profile_info import ProfileInfo
from ipad_agent.codec.identifiers import Iccid
from ipad_agent.errors import CodecError
from ipad_agent.records import replace

from . import events
from . import psmo_execution as psmo
from .card_memory import CardMemory
from .consumer_card import ConsumerCard
from .emulated_state import Begun, EmulatedState, RollbackGrant, RunningPackage
from .result_signing import signed_result


async def finish(card: ConsumerCard, memory: CardMemory) -> None:
    """Sign what is true of the running package. Raises ``CardError`` or ``ModemError``: then it is tried again."""
    state = memory.state
    running = state.running
    if running is None:
        return
    # A number of its own: where the disk had refused the result, the eIM may have got it before the cut, and another
    # one with the same number would never be taken.
    running = replace(running, seq=state.next_seq)
    state = replace(state, next_seq=state.next_seq + 1, running=running)
    profiles: tuple[ProfileInfo, ...] = ()
    if running.begun is not None:
        # A card may show the old state until its reset, and nobody knows whether that was made.
        await card.reset()
        card.ask_anew()
        profiles = await card.get_profiles()
        state = await _with_truth(card, state, running, running.begun, profiles)
        running = state.running
        assert running is not None
    results = running.results
    if len(results) < _count(running) and not _ended(results):
        results = (*results, tlv.encode_integer(psmo.TERMINATED, psmo.INTERRUPTION))
    stored = signed_result(memory.key, running, results)
    memory.hold(replace(state.with_result(stored), running=None))
    events.INTERRUPTED_FOUND.emit(counter=running.counter, done=len(running.results), of=_count(running))


async def _with_truth(
    card: ConsumerCard, state: EmulatedState, running: RunningPackage, begun: Begun, now: tuple[ProfileInfo, ...]
) -> EmulatedState:
    """The state with the result of the operation that was begun, if it was done."""
    operations = tlv.parse(running.operations).children()
    operation = operations[begun.index]
    wanted = _iccid(operation, begun)
    if operation.tag == psmo.DISABLE:
        following = operations[begun.index + 1] if begun.index + 1 < len(operations) else None
        if following is not None and following.tag == psmo.ENABLE and _came_up(begun, now, _iccid(following, begun)):
            both = (tlv.encode_integer(psmo.DISABLED, psmo.OK), tlv.encode_integer(psmo.ENABLED, psmo.OK))
            return _switched(state, running, both, following)
        if wanted is not None and begun.profiles.get(wanted) and not _enabled(now, wanted):
            return _switched(state, running, (tlv.encode_integer(psmo.DISABLED, psmo.OK),), None)
    elif operation.tag == psmo.ENABLE:
        if _came_up(begun, now, wanted):
            return _switched(state, running, (tlv.encode_integer(psmo.ENABLED, psmo.OK),), operation)
    elif operation.tag == psmo.DELETE:
        if wanted in begun.profiles and all(_name(profile) != wanted for profile in now):
            gone = bytes.fromhex(wanted or "")
            state = replace(state, fallback=None if state.fallback == gone else state.fallback)
            return _with(state, running, (tlv.encode_integer(psmo.DELETED, psmo.OK),))
    elif operation.tag == psmo.SET_DEFAULT_DP:
        address = Fields(operation).require(0x80, "defaultDpAddress").text()
        if ((await card.get_configured_addresses()).default_smdp or "") == address:
            return _with(state, running, (tlv.encode(psmo.SET_DEFAULT_DP, tlv.encode_integer(0x80, psmo.OK)),))
    return _with(state, running, ())


def _switched(
    state: EmulatedState, running: RunningPackage, results: tuple[bytes, ...], enable: Tlv | None
) -> EmulatedState:
    allowed = enable is not None and psmo.wants_rollback(enable) and running.former is not None
    grant = RollbackGrant(running.former, running.seq) if allowed and running.former is not None else None
    return _with(state.after_switch(grant), running, results)


def _with(state: EmulatedState, running: RunningPackage, results: tuple[bytes, ...]) -> EmulatedState:
    return replace(state, running=replace(running, results=(*running.results, *results), begun=None))


def _came_up(begun: Begun, now: tuple[ProfileInfo, ...], iccid: str | None) -> bool:
    """Whether this profile is enabled, and was not before."""
    return iccid is not None and not begun.profiles.get(iccid, False) and _enabled(now, iccid)


def _enabled(profiles: tuple[ProfileInfo, ...], iccid: str) -> bool:
    return any(profile.enabled and _name(profile) == iccid for profile in profiles)


def _name(profile: ProfileInfo) -> str | None:
    return None if profile.iccid_raw is None else profile.iccid_raw.hex()


def _iccid(operation: Tlv, begun: Begun) -> str | None:
    """The profile that an operation is for, as the card wrote it."""
    found = operation.find(0x5A)
    if found is None:
        return None
    name = found.value.hex()
    return name if name in begun.profiles else next((one for one in begun.profiles if _same(one, name)), None)


def _same(one: str, other: str) -> bool:
    return Iccid.from_tbcd(bytes.fromhex(one)) == Iccid.from_tbcd(bytes.fromhex(other))


def _count(running: RunningPackage) -> int:
    try:
        return len(tlv.parse(running.operations).children())
    except CodecError:
        return 0


def _ended(results: tuple[bytes, ...]) -> bool:
    """Whether the list ended by itself: with an operation that did not succeed."""
    return bool(results) and not _succeeded(tlv.parse(results[-1]))


def _succeeded(result: Tlv) -> bool:
    if result.tag == psmo.TERMINATED:
        return False
    if result.tag == psmo.LIST_PROFILES:
        return result.find(0xA0) is not None
    if result.tag == psmo.SET_DEFAULT_DP:
        return result.require(0x80).integer() == psmo.OK
    return result.tag == psmo.GET_RAT or result.integer() == psmo.OK
