"""What became of a package that a power cut, a kill or a lost card stopped: found out from the card, and signed.

The counter is used up, so the eIM's package is never executed again; without this the eIM would get replayError and
never know what its order did. The state on the disk says which operation the card was about to be given and what the
card showed before. What it shows now decides: done, then the result says so; not done, then the list ends with
processingTerminated interruption(3). Nothing that was not begun is ever carried on with: the eIM decides anew.

An enable may have been done and undone again before the disk knew of either (the way back needs no disk). Then the
card's own pending notifications (SGP.22 §5.7.9) tell that it was done: nothing that was delivered leaves the card while
the disk refuses. ``local_switches.notice_rollback`` adds the way back to the result.
"""

from __future__ import annotations

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.ber.tlv import Tlv
from ipad_agent.codec.ber.tlv_fields import Fields
from ipad_agent.codec.es10.notifications import NotificationEvent, NotificationMetadata
from ipad_agent.codec.es10.profile_info import ProfileInfo
from ipad_agent.codec.identifiers import Iccid
from ipad_agent.errors import CardError, CodecError
from ipad_agent.records import dataclass, replace

from . import events
from . import psmo_execution as psmo
from .card_memory import CardMemory
from .consumer_card import ConsumerCard
from .emulated_state import Begun, EmulatedState, RollbackGrant, RunningPackage
from .result_signing import signed_result


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the card showed before the operation that was begun, and what it shows now: its profiles, and which of them
    were enabled since and left again."""

    begun: Begun
    now: tuple[ProfileInfo, ...]
    left: frozenset[Iccid]

    def enabled(self, iccid: str | None) -> bool:
        """Whether this profile is enabled."""
        return iccid is not None and any(profile.enabled and _name(profile) == iccid for profile in self.now)

    def came_up(self, iccid: str | None) -> bool:
        """Whether this profile was enabled since, and was not before."""
        if iccid is None or self.begun.profiles.get(iccid, False):
            return False
        return self.enabled(iccid) or Iccid.from_tbcd(bytes.fromhex(iccid)) in self.left


async def last_notification(card: ConsumerCard) -> int | None:
    """The highest number of a notification on the card, 0 where there is none, None where that cannot be read. Every
    later one has a higher number. Raises ``CardError`` or ``ModemError`` when the card does not answer."""
    pending = await _pending(card)
    return None if pending is None else max((one.seq_number for one in pending), default=0)


async def finish(card: ConsumerCard, memory: CardMemory) -> None:
    """Sign what is true of the running package. Raises ``CardError`` or ``ModemError``: then it is tried again."""
    state = memory.state
    running = state.running
    if running is None:
        return
    # A number of its own: where the disk had refused the result, the eIM may have got it before the cut, and another
    # one with the same number would never be taken. A grant that an operation before the cut left is for that number.
    grant = state.rollback
    if grant is not None and grant.seq == running.seq:
        grant = replace(grant, seq=state.next_seq)
    running = replace(running, seq=state.next_seq)
    state = replace(state, next_seq=state.next_seq + 1, running=running, rollback=grant)
    if running.begun is not None:
        # A card may show the old state until its reset, and nobody knows whether that was made.
        await card.reset()
        card.ask_anew()
        profiles = await card.get_profiles()
        since = running.last_notification
        left = frozenset() if since is None else await _enabled_and_left(card, since)
        state = await _with_truth(card, state, running, _Shown(running.begun, profiles, left))
        running = state.running
        assert running is not None
    results = running.results
    if len(results) < _count(running) and not _ended(results):
        results = (*results, tlv.encode_integer(psmo.TERMINATED, psmo.INTERRUPTION))
    stored = signed_result(memory.key, running, results)
    memory.hold(replace(state.with_result(stored), running=None))
    events.INTERRUPTED_FOUND.emit(counter=running.counter, done=len(running.results), of=_count(running))


async def _with_truth(
    card: ConsumerCard, state: EmulatedState, running: RunningPackage, shown: _Shown
) -> EmulatedState:
    """The state with the result of the operation that was begun, if it was done."""
    begun = shown.begun
    operations = tlv.parse(running.operations).children()
    operation = operations[begun.index]
    wanted = _iccid(operation, begun)
    if operation.tag == psmo.DISABLE:
        following = operations[begun.index + 1] if begun.index + 1 < len(operations) else None
        if following is not None and following.tag == psmo.ENABLE and shown.came_up(_iccid(following, begun)):
            both = (tlv.encode_integer(psmo.DISABLED, psmo.OK), tlv.encode_integer(psmo.ENABLED, psmo.OK))
            return _switched(state, running, both, following, shown)
        if wanted is not None and begun.profiles.get(wanted) and not shown.enabled(wanted):
            return _switched(state, running, (tlv.encode_integer(psmo.DISABLED, psmo.OK),), None, shown)
    elif operation.tag == psmo.ENABLE:
        if shown.came_up(wanted):
            return _switched(state, running, (tlv.encode_integer(psmo.ENABLED, psmo.OK),), operation, shown)
    elif operation.tag == psmo.DELETE:
        if wanted in begun.profiles and all(_name(profile) != wanted for profile in shown.now):
            gone = bytes.fromhex(wanted or "")
            state = replace(state, fallback=None if state.fallback == gone else state.fallback)
            return _with(state, running, (tlv.encode_integer(psmo.DELETED, psmo.OK),))
    elif operation.tag == psmo.SET_DEFAULT_DP:
        address = Fields(operation).require(0x80, "defaultDpAddress").text()
        if ((await card.get_configured_addresses()).default_smdp or "") == address:
            return _with(state, running, (tlv.encode(psmo.SET_DEFAULT_DP, tlv.encode_integer(0x80, psmo.OK)),))
    return _with(state, running, ())


async def _enabled_and_left(card: ConsumerCard, since: int) -> frozenset[Iccid]:
    """The profiles that were enabled after notification ``since`` and disabled after that.

    An enable alone is no proof: a card that is cut off in the middle of EnableProfile may keep the notification and
    drop the switch. Raises as ``last_notification``."""
    up: dict[Iccid, int] = {}
    down: dict[Iccid, int] = {}
    for one in await _pending(card) or ():
        if one.iccid is not None and one.seq_number > since:
            if one.event is NotificationEvent.ENABLE:
                up[one.iccid] = min(one.seq_number, up.get(one.iccid, one.seq_number))
            elif one.event is NotificationEvent.DISABLE:
                down[one.iccid] = max(one.seq_number, down.get(one.iccid, 0))
    return frozenset(iccid for iccid, number in up.items() if number < down.get(iccid, 0))


async def last_change(card: ConsumerCard) -> tuple[NotificationEvent, Iccid] | None:
    """The last change of the enabled profile that the card has a notification of; None where it has none, or cannot be
    read. A switch makes two, in any order. Raises as ``last_notification``."""
    changes = (NotificationEvent.ENABLE, NotificationEvent.DISABLE)
    told = [one for one in await _pending(card) or () if one.event in changes]
    last = max(told, key=lambda one: one.seq_number, default=None)
    return None if last is None or last.event is None or last.iccid is None else (last.event, last.iccid)


async def _pending(card: ConsumerCard) -> tuple[NotificationMetadata, ...] | None:
    try:
        listed = await card.list_notifications()
    except CardError as error:
        if not error.alive:
            raise
        events.CARD_REFUSED.emit(function="ListNotification", reason=error.message)
        return None
    return None if listed.error is not None or listed.unreadable else listed.notifications


def _switched(
    state: EmulatedState, running: RunningPackage, results: tuple[bytes, ...], enable: Tlv | None, shown: _Shown
) -> EmulatedState:
    grant, former = None, running.former
    if enable is not None and former is not None and psmo.wants_rollback(enable):
        # A switch that went elsewhere since, as to the fallback profile, has ended it.
        ends = (_iccid(enable, shown.begun), former.hex())
        grant = RollbackGrant(former, running.seq) if any(map(shown.enabled, ends)) else None
    return _with(state.after_switch(grant), running, results)


def _with(state: EmulatedState, running: RunningPackage, results: tuple[bytes, ...]) -> EmulatedState:
    return replace(state, running=replace(running, results=(*running.results, *results), begun=None))


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
