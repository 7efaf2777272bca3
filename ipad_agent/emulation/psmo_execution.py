"""The PSMOs of a package on a consumer card, in their order, until one does not succeed (SGP.32 v1.2 §3.4, §5.9.1).

A consumer card changes its state with every ES10c function, and no file of this device can change in the same moment.
So before the card is given anything that changes it, the disk knows which operation of which package that is and what
the card showed before; what the card answers is known in memory first and reaches the disk with the next step. Whoever
comes back after a cut compares (``interrupted_package.py``).

``disable`` with ``enable`` right behind it is one EnableProfile, which disables the other: the device is at no moment
without a profile.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from ipad_agent.card.errors import ResetPending
from ipad_agent.codec.ber import tlv
from ipad_agent.codec.ber.tlv import Tlv
from ipad_agent.codec.ber.tlv_fields import Fields, ResultCode
from ipad_agent.codec.es10.profile_info import ProfileInfo, ProfileState
from ipad_agent.codec.identifiers import Iccid
from ipad_agent.errors import CardError, CodecError, StoreError
from ipad_agent.records import replace

from . import events
from .card_memory import CardMemory
from .consumer_card import ConsumerCard
from .emulated_state import Begun, ImmediateEnabling, RollbackGrant, RunningPackage
from .profile_listing import list_profile_info

ENABLE, DISABLE, DELETE, GET_RAT = 0xA3, 0xA4, 0xA5, 0xA6
CONFIGURE_IMMEDIATE, SET_FALLBACK, UNSET_FALLBACK = 0xA7, 0xA8, 0xA9
LIST_PROFILES, SET_DEFAULT_DP = 0xBF2D, 0xBF65
ENABLED, DISABLED, DELETED, IMMEDIATE_CONFIGURED, FALLBACK_SET, FALLBACK_UNSET = 0x83, 0x84, 0x85, 0x87, 0x8D, 0x8E
TERMINATED: Final = 0x02

OK, NOT_FOUND, WRONG_STATE, BY_POLICY, CAT_BUSY, UNDEFINED = 0, 1, 2, 3, 5, 127
INSUFFICIENT_MEMORY, FALLBACK_NOT_ALLOWED, NO_FALLBACK_ATTRIBUTE, FALLBACK_ENABLED = 1, 2, 2, 3
ROLLBACK_NOT_AVAILABLE, RETURN_FALLBACK_PROFILE = 20, 21
RESULT_SIZE_OVERFLOW, UNKNOWN_OR_DAMAGED, INTERRUPTION = 1, 2, 3

_SWITCH_CODES: Final = frozenset({OK, NOT_FOUND, WRONG_STATE, BY_POLICY, CAT_BUSY})
_DELETE_CODES: Final = frozenset({OK, NOT_FOUND, WRONG_STATE, BY_POLICY})
MAX_RESULT_BYTES: Final = 0xF000
_SMALL_RESULT_BYTES: Final = 12
_MAX_ADDRESS_BYTES: Final = 255

Outcome = tuple[bytes, bool]
"""The result of one operation, and whether the next one may run."""


class _DiskStops(Exception):
    """The disk does not take what has to be on it before the card is given the next operation."""


class PsmoExecution:
    """One package whose counter is used up and on the disk. ``profiles`` is what the card showed before it."""

    def __init__(self, card: ConsumerCard, memory: CardMemory, profiles: tuple[ProfileInfo, ...]) -> None:
        self._card = card
        self._memory = memory
        self._profiles = list(profiles)
        self._operations: tuple[Tlv, ...] = ()
        self._changed = self._enabled_one = self._disabled_one = False

    async def run(self) -> None:
        """Carry out what the running package lists; its results are in the state then. Raises ``CardError`` or
        ``ModemError`` when the card is lost in the middle: then it has to be found out what happened."""
        try:
            self._operations = tlv.parse(self._running.operations).children()
        except CodecError:
            self._add(tlv.encode_integer(TERMINATED, UNKNOWN_OR_DAMAGED))
            return
        index = 0
        while index < len(self._operations):
            done_before = len(self._running.results)
            if not await self._step(index):
                return
            index += len(self._running.results) - done_before

    async def _step(self, index: int) -> bool:
        operation = self._operations[index]
        so_far = sum(map(len, self._running.results))
        if so_far + _SMALL_RESULT_BYTES > MAX_RESULT_BYTES:
            # Before it runs: what changes something has a small result, and must not be done without one.
            self._add(tlv.encode_integer(TERMINATED, RESULT_SIZE_OVERFLOW))
            return False
        handler = _HANDLERS.get(operation.tag)
        try:
            if handler is None:
                raise CodecError(f"unknown operation {operation.tag:X}")
            result, success = await handler(self, index, operation)
        except CodecError:
            result, success = tlv.encode_integer(TERMINATED, UNKNOWN_OR_DAMAGED), False
        except _DiskStops:
            result, success = tlv.encode_integer(TERMINATED, UNDEFINED), False
        if so_far + len(result) > MAX_RESULT_BYTES:
            result, success = tlv.encode_integer(TERMINATED, RESULT_SIZE_OVERFLOW), False
        self._add(result)
        return success

    # -- what changes the enabled profile ------------------------------------------------------------------------------

    async def _enable(self, index: int, operation: Tlv) -> Outcome:
        code = self._refused_enable(operation)
        if code is None:
            target = self._target(operation)
            assert target is not None
            assert target.iccid_raw is not None
            code = await self._order_switch(index, target.iccid_raw)
            if code == OK:
                self._now_enabled(target, rollback=wants_rollback(operation))
        return tlv.encode_integer(ENABLED, code if code in _SWITCH_CODES or code == 20 else UNDEFINED), code == OK

    def _refused_enable(self, operation: Tlv) -> int | None:
        """Why the card need not be asked; None when it has to be."""
        target = self._target(operation)
        if self._enabled_one:
            return UNDEFINED
        if target is None or target.iccid_raw is None:
            return NOT_FOUND
        if target.enabled:
            return WRONG_STATE
        if target.ecall_indication:
            return BY_POLICY
        if wants_rollback(operation) and self._running.former is None:
            return ROLLBACK_NOT_AVAILABLE
        return None

    async def _disable(self, index: int, operation: Tlv) -> Outcome:
        target = self._target(operation)
        code = None
        if self._enabled_one or self._disabled_one:
            code = UNDEFINED
        elif target is None or target.iccid_raw is None:
            code = NOT_FOUND
        elif not target.enabled:
            code = WRONG_STATE
        if code is not None or target is None or target.iccid_raw is None:
            return tlv.encode_integer(DISABLED, UNDEFINED if code is None else code), False
        following = self._next_enable(index)
        if following is not None:
            return await self._exchange(index, following)
        iccid = target.iccid_raw
        code = await self._order(
            index, lambda: self._card.disable_profile(iccid), lambda: self._shows(iccid, enabled=False)
        )
        if code == OK:
            self._disabled_one = True
            self._mark(target, enabled=False)
            self._switched(None)
        return tlv.encode_integer(DISABLED, code if code in _SWITCH_CODES else UNDEFINED), code == OK

    def _next_enable(self, index: int) -> Tlv | None:
        """The enable right behind this disable, if nothing speaks against it."""
        following = self._operations[index + 1] if index + 1 < len(self._operations) else None
        if following is None or following.tag != ENABLE:
            return None
        try:
            return following if self._refused_enable(following) is None else None
        except CodecError:
            return None

    async def _exchange(self, index: int, enable: Tlv) -> Outcome:
        """Disable and enable as one: the result of the first is noted, that of the second returned."""
        target = self._target(enable)
        assert target is not None
        assert target.iccid_raw is not None
        code = await self._order_switch(index, target.iccid_raw)
        if code != OK:
            return tlv.encode_integer(DISABLED, code if code in (BY_POLICY, CAT_BUSY) else UNDEFINED), False
        self._now_enabled(target, rollback=wants_rollback(enable))
        self._add(tlv.encode_integer(DISABLED, OK))
        return tlv.encode_integer(ENABLED, OK), True

    async def _order_switch(self, index: int, iccid: bytes) -> int:
        return await self._order(
            index, lambda: self._card.enable_profile(iccid), lambda: self._shows(iccid, enabled=True)
        )

    def _now_enabled(self, target: ProfileInfo, *, rollback: bool) -> None:
        self._enabled_one = True
        for profile in [profile for profile in self._profiles if profile.enabled]:
            self._mark(profile, enabled=False)
        self._mark(target, enabled=True)
        former = self._running.former
        self._switched(RollbackGrant(former, self._running.seq) if rollback and former is not None else None)

    def _switched(self, grant: RollbackGrant | None) -> None:
        self._changed = True
        running = replace(self._running, switched=True, grant=grant is not None)
        self._memory.note(replace(self._memory.state.after_switch(grant), running=running))

    # -- the other operations ------------------------------------------------------------------------------------------

    async def _delete(self, index: int, operation: Tlv) -> Outcome:
        target, state = self._target(operation), self._memory.state
        code = None
        if target is None or target.iccid_raw is None:
            code = NOT_FOUND
        elif target.enabled:
            code = WRONG_STATE
        elif state.rollback is not None and state.rollback.previous == target.iccid_raw:
            code = ROLLBACK_NOT_AVAILABLE
        elif state.fallback_return == target.iccid_raw:
            code = RETURN_FALLBACK_PROFILE
        if code is not None or target is None or target.iccid_raw is None:
            return tlv.encode_integer(DELETED, UNDEFINED if code is None else code), False
        iccid = target.iccid_raw
        code = await self._order(index, lambda: self._card.delete_profile(iccid), lambda: self._lacks(iccid))
        if code == OK:
            self._changed = True
            self._profiles.remove(target)
            if state.fallback == iccid:
                self._memory.note(replace(self._memory.state, fallback=None))
        return tlv.encode_integer(DELETED, code if code in _DELETE_CODES else UNDEFINED), code == OK

    async def _get_rat(self, index: int, operation: Tlv) -> Outcome:
        try:
            rules = await self._card.get_rat()
        except CardError as error:
            if not error.alive:
                raise
            events.CARD_REFUSED.emit(function="GetRAT", reason=error.message)
            return tlv.encode_integer(TERMINATED, UNDEFINED), False
        element = tlv.parse(rules.raw)
        listed = element if element.tag == 0xA0 else element.find(0xA0)
        return tlv.encode(GET_RAT, b"" if listed is None else listed.value), True

    async def _configure_immediate(self, index: int, operation: Tlv) -> Outcome:
        fields = Fields(operation)
        address = fields.octets(0x82)
        if address is not None and len(address) > _MAX_ADDRESS_BYTES:
            return tlv.encode_integer(IMMEDIATE_CONFIGURED, INSUFFICIENT_MEMORY), False
        chosen = ImmediateEnabling(fields.octets(0x81), fields.text(0x82)) if fields.present(0x80) else None
        self._memory.note(replace(self._memory.state, immediate=chosen))
        return tlv.encode_integer(IMMEDIATE_CONFIGURED, OK), True

    async def _set_fallback(self, index: int, operation: Tlv) -> Outcome:
        target, holder = self._target(operation), self._holder()
        if target is None or target.iccid_raw is None:
            code = NOT_FOUND
        elif holder is not None and holder.iccid_raw == target.iccid_raw:
            code = OK
        elif not target.fallback_allowed or target.ecall_indication:
            code = FALLBACK_NOT_ALLOWED
        elif holder is not None and holder.enabled:
            code = FALLBACK_ENABLED
        else:
            code = OK
            self._memory.note(replace(self._memory.state, fallback=target.iccid_raw))
        return tlv.encode_integer(FALLBACK_SET, code), code == OK

    async def _unset_fallback(self, index: int, operation: Tlv) -> Outcome:
        holder = self._holder()
        if holder is None:
            code = NO_FALLBACK_ATTRIBUTE
        elif holder.enabled:
            code = FALLBACK_ENABLED
        else:
            code = OK
            self._memory.note(replace(self._memory.state, fallback=None))
        return tlv.encode_integer(FALLBACK_UNSET, code), code == OK

    async def _list_profiles(self, index: int, operation: Tlv) -> Outcome:
        if self._changed:
            return tlv.encode(LIST_PROFILES, tlv.encode_integer(0x81, 11)), False
        return await list_profile_info(self._card, operation, self._memory.state.fallback)

    async def _set_default_dp(self, index: int, operation: Tlv) -> Outcome:
        address = Fields(operation).require(0x80, "defaultDpAddress")
        wanted = address.text()
        before = (await self._card.get_configured_addresses()).default_smdp

        async def took() -> bool:
            return ((await self._card.get_configured_addresses()).default_smdp or "") == wanted

        code = await self._order(
            index, lambda: self._card.set_default_dp_address(address.value), took, address=before or ""
        )
        code = OK if code == OK else UNDEFINED
        return tlv.encode(SET_DEFAULT_DP, tlv.encode_integer(0x80, code)), code == OK

    # -- giving the card an order --------------------------------------------------------------------------------------

    async def _order(
        self,
        index: int,
        call: Callable[[], Awaitable[ResultCode]],
        happened: Callable[[], Awaitable[bool]],
        *,
        address: str | None = None,
    ) -> int:
        """The card's number. The disk knows of it before; where the card's answer is no number, it is asked whether it
        happened."""
        shown = {
            profile.iccid_raw.hex(): profile.enabled for profile in self._profiles if profile.iccid_raw is not None
        }
        begun = replace(self._running, begun=Begun(index, shown, address))
        try:
            self._memory.write(replace(self._memory.state, running=begun))
        except StoreError as refused:
            events.DISK_STOPS.emit(reason=refused.message)
            raise _DiskStops from refused
        try:
            try:
                return int(await call())
            except ResetPending:
                if not self._card.reset_due:
                    raise
                # After a switch in this very package some cards want their reset before anything else.
                await self._card.recover()
                return int(await call())
        except CardError as error:
            if not error.alive:
                raise
            events.CARD_REFUSED.emit(function="an operation of the package", reason=error.message)
            self._card.ask_anew()
            return OK if await happened() else UNDEFINED

    async def _shows(self, iccid: bytes, *, enabled: bool) -> bool:
        return any(
            profile.iccid_raw == iccid and profile.enabled is enabled for profile in await self._card.get_profiles()
        )

    async def _lacks(self, iccid: bytes) -> bool:
        return all(profile.iccid_raw != iccid for profile in await self._card.get_profiles())

    # -- what is known -------------------------------------------------------------------------------------------------

    @property
    def _running(self) -> RunningPackage:
        running = self._memory.state.running
        assert running is not None
        return running

    def _add(self, result: bytes) -> None:
        running = replace(self._running, results=(*self._running.results, result), begun=None)
        self._memory.note(replace(self._memory.state, running=running))

    def _target(self, operation: Tlv) -> ProfileInfo | None:
        """The profile that an operation is for. Raises ``CodecError`` when it names none."""
        wanted = Iccid.from_tbcd(Fields(operation).require(0x5A, "iccid").value)
        return next((profile for profile in self._profiles if profile.iccid == wanted), None)

    def _holder(self) -> ProfileInfo | None:
        fallback = self._memory.state.fallback
        return next((profile for profile in self._profiles if profile.iccid_raw == fallback is not None), None)

    def _mark(self, profile: ProfileInfo, *, enabled: bool) -> None:
        state = ProfileState.ENABLED if enabled else ProfileState.DISABLED
        self._profiles[self._profiles.index(profile)] = replace(profile, state=int(state))


def wants_rollback(operation: Tlv) -> bool:
    """Whether an enable asks for the grant of a rollback."""
    return operation.find(0x05, 0x81) is not None


_Handler = Callable[[PsmoExecution, int, Tlv], Awaitable[Outcome]]

_HANDLERS: Final[dict[int, _Handler]] = {
    ENABLE: PsmoExecution._enable,
    DISABLE: PsmoExecution._disable,
    DELETE: PsmoExecution._delete,
    GET_RAT: PsmoExecution._get_rat,
    CONFIGURE_IMMEDIATE: PsmoExecution._configure_immediate,
    SET_FALLBACK: PsmoExecution._set_fallback,
    UNSET_FALLBACK: PsmoExecution._unset_fallback,
    LIST_PROFILES: PsmoExecution._list_profiles,
    SET_DEFAULT_DP: PsmoExecution._set_default_dp,
}
