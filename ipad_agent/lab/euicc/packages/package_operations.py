"""The operations inside a package: PSMOs (A0) and eCOs (A1), in the order listed, until one does not succeed.

Profile changes are marked while the list runs and made once at its end. Up to the first mark each operation is
committed with its result; from the first mark on nothing is, so that what an interrupted package reports is true.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc.es10 import eim_entries
from ipad_agent.lab.euicc.es10.card_information import set_default_dp_address
from ipad_agent.lab.euicc.es10.immediate_enabling import configure as configure_immediate_enable
from ipad_agent.lab.euicc.quirks import Accept
from ipad_agent.lab.euicc.state import profile_list, profile_switching
from ipad_agent.lab.euicc.state.card_state import PPR1, PPR2, Profile, RollbackGrant, SignedResult
from ipad_agent.lab.euicc.state.policy_rules import encode_rules
from ipad_agent.lab.euicc.state.profile_list import digits

if TYPE_CHECKING:
    from ipad_agent.lab.euicc.state.isdr_state import Isdr

OK, NOT_FOUND, WRONG_STATE, BY_POLICY, CAT_BUSY = 0, 1, 2, 3, 5
COMMAND_ERROR, ROLLBACK_NOT_AVAILABLE, RETURN_FALLBACK_PROFILE, UNDEFINED = 7, 20, 21, 127
FALLBACK_NOT_ALLOWED, NO_FALLBACK_ATTRIBUTE, FALLBACK_ENABLED = 2, 2, 3
RESULT_SIZE_OVERFLOW, UNKNOWN_OR_DAMAGED = 1, 2

_SMALL_RESULT_BYTES = 12

Outcome = tuple[bytes, bool]
"""The result TLV, and whether the next operation may run."""


class Run:
    """One package while it runs: its results so far, and the profile changes to make at the end."""

    def __init__(self, isdr: Isdr, record: SignedResult) -> None:
        self.isdr = isdr
        self.record = record
        self.to_enable: Profile | None = None
        self.to_disable: Profile | None = None
        self.to_delete: list[Profile] = []
        self.grant_rollback = False

    @property
    def marked(self) -> bool:
        """Whether a profile change waits for the end of the list."""
        return bool(self.to_enable or self.to_disable or self.to_delete)

    def apply_changes(self) -> None:
        """Make the marked changes, uncommitted: one switch, then the deletions."""
        state = self.isdr.state
        former = state.enabled
        if self.to_enable is not None or self.to_disable is not None:
            state.rollback = None
            state.fallback_return = None
            profile_switching.switch(self.isdr, self.to_enable, refresh=True)
            if self.grant_rollback and former is not None:
                state.rollback = RollbackGrant(former.iccid, self.record.seq)
        for profile in self.to_delete:
            profile_switching.remove(self.isdr, profile)


def execute(run: Run, operations: der.Node) -> None:
    """Run the list (A0 or A1) into ``run.record.results``."""
    table = _PSMO if operations.tag == 0xA0 else _ECO
    isdr, results = run.isdr, run.record.results
    try:
        listed = operations.children
    except der.DerError:
        results.append(der.integer(UNKNOWN_OR_DAMAGED))
        return
    for number, operation in enumerate(listed):
        handler = table.get(operation.tag)
        so_far = sum(map(len, results))
        if so_far + _SMALL_RESULT_BYTES > isdr.quirks.max_result_bytes:
            # Before it runs: what changes something has a small result, and must not be done without one.
            results.append(der.integer(RESULT_SIZE_OVERFLOW))
            return
        try:
            if handler is None:
                raise der.DerError(f"unknown operation {operation.tag:X}")
            result, success = handler(run, operation)
        except der.DerError:
            results.append(der.integer(UNKNOWN_OR_DAMAGED))
            return
        if so_far + len(result) > isdr.quirks.max_result_bytes:
            results.append(der.integer(RESULT_SIZE_OVERFLOW))
            return
        results.append(result)
        if not run.marked:
            isdr.commit()
        isdr.step(f"operation-{number}")
        if not success and not isdr.quirks.continue_after_failure:
            return


def _plain(tag: int, result: int) -> Outcome:
    return der.integer(result, tag), result == OK


def _enable(run: Run, operation: der.Node) -> Outcome:
    isdr = run.isdr
    target = isdr.state.profile(_iccid(operation))
    current = isdr.state.enabled
    rollback = _rollback_flag(isdr, operation)
    if run.to_enable is not None:
        result = UNDEFINED
    elif target is None:
        result = NOT_FOUND
    elif target.enabled or target in run.to_delete:
        result = WRONG_STATE
    elif target.ecall or (current is not None and current is not run.to_disable and PPR1 in current.ppr):
        result = BY_POLICY
    elif isdr.cat_busy:
        result = CAT_BUSY
    elif rollback and (current is None or current in run.to_delete):
        result = ROLLBACK_NOT_AVAILABLE
    else:
        run.to_enable = target
        run.grant_rollback = rollback
        result = OK
    return _plain(0x83, result)


def _disable(run: Run, operation: der.Node) -> Outcome:
    target = run.isdr.state.profile(_iccid(operation))
    if run.to_enable is not None or run.to_disable is not None:
        result = UNDEFINED
    elif target is None:
        result = NOT_FOUND
    elif not target.enabled:
        result = WRONG_STATE
    elif PPR1 in target.ppr:
        result = BY_POLICY
    elif run.isdr.cat_busy:
        result = CAT_BUSY
    else:
        run.to_disable = target
        result = OK
    return _plain(0x84, result)


def _delete(run: Run, operation: der.Node) -> Outcome:
    state = run.isdr.state
    target = state.profile(_iccid(operation))
    will_be_enabled = target is run.to_enable or (
        target is not None and target.enabled and run.to_enable is None and target is not run.to_disable
    )
    needed_for_rollback = target is not None and run.grant_rollback and target.enabled
    if target is None or target in run.to_delete:
        result = NOT_FOUND
    elif will_be_enabled:
        result = WRONG_STATE
    elif PPR2 in target.ppr:
        result = BY_POLICY
    elif needed_for_rollback:
        result = ROLLBACK_NOT_AVAILABLE
    elif state.fallback_return == target.iccid:
        result = RETURN_FALLBACK_PROFILE
    else:
        run.to_delete.append(target)
        result = OK
    return _plain(0x85, result)


def _get_rat(run: Run, operation: der.Node) -> Outcome:
    return der.tlv(0xA6, encode_rules(run.isdr.quirks.rules)), True


def _configure_immediate_enable(run: Run, operation: der.Node) -> Outcome:
    return _plain(0x87, configure_immediate_enable(run.isdr, operation))


def _set_fallback_attribute(run: Run, operation: der.Node) -> Outcome:
    _need_fallback(run)
    state = run.isdr.state
    target = state.profile(_iccid(operation))
    holder = next((p for p in state.profiles if p.fallback_attribute), None)
    if target is None or target in run.to_delete:
        result = NOT_FOUND
    elif holder is target:
        result = OK
    elif not target.fallback_allowed or target.ecall:
        result = FALLBACK_NOT_ALLOWED
    elif holder is not None and holder.enabled:
        result = FALLBACK_ENABLED
    else:
        if holder is not None:
            holder.fallback_attribute = False
        target.fallback_attribute = True
        result = OK
    return _plain(0x8D, result)


def _unset_fallback_attribute(run: Run, operation: der.Node) -> Outcome:
    _need_fallback(run)
    holder = next((p for p in run.isdr.state.profiles if p.fallback_attribute), None)
    if holder is None:
        result = NO_FALLBACK_ATTRIBUTE
    elif holder.enabled:
        result = FALLBACK_ENABLED
    else:
        holder.fallback_attribute = False
        result = OK
    return _plain(0x8E, result)


def _list_profile_info(run: Run, operation: der.Node) -> Outcome:
    if run.marked:
        return profile_list.list_error(run.isdr, profile_list.CHANGE_ONGOING), False
    result = profile_list.list_profiles(run.isdr, operation)
    return result, der.parse(result).find(0xA0) is not None


def _set_default_dp_address(run: Run, operation: der.Node) -> Outcome:
    return set_default_dp_address(run.isdr, operation), True


def _add_eim(run: Run, operation: der.Node) -> Outcome:
    try:
        entry = eim_entries.add(run.isdr, operation)
    except eim_entries.EimConfigError as refusal:
        return der.tlv(0xA8, der.integer(refusal.result)), False
    answer = der.integer(0) if entry.token is None else der.integer(entry.token, 0x84)
    return der.tlv(0xA8, answer), True


def _delete_eim(run: Run, operation: der.Node) -> Outcome:
    result = eim_entries.delete(run.isdr, operation.get(0x80).text())
    # lastEimDeleted tells of a deletion that was done: the list goes on.
    return der.integer(result, 0x89), result in (OK, eim_entries.LAST_EIM_DELETED)


def _update_eim(run: Run, operation: der.Node) -> Outcome:
    try:
        return _plain(0x8A, eim_entries.update(run.isdr, operation))
    except eim_entries.EimConfigError as refusal:
        return _plain(0x8A, refusal.result)


def _list_eim(run: Run, operation: der.Node) -> Outcome:
    return eim_entries.list_eims(run.isdr), True


def _need_fallback(run: Run) -> None:
    if not run.isdr.quirks.fallback_supported:
        raise der.DerError("this card has no fallback mechanism")


def _iccid(operation: der.Node) -> str:
    return digits(operation.get(0x5A).value)


def _rollback_flag(isdr: Isdr, operation: der.Node) -> bool:
    tags = {Accept.BOTH: (0x05, 0x81), Accept.SCHEMA: (0x05,), Accept.OTHER: (0x81,)}[isdr.quirks.rollback_flag]
    return operation.find(*tags) is not None


_Handler = Callable[[Run, der.Node], Outcome]

_PSMO: dict[int, _Handler] = {
    0xA3: _enable,
    0xA4: _disable,
    0xA5: _delete,
    0xA6: _get_rat,
    0xA7: _configure_immediate_enable,
    0xA8: _set_fallback_attribute,
    0xA9: _unset_fallback_attribute,
    0xBF2D: _list_profile_info,
    0xBF65: _set_default_dp_address,
}

_ECO: dict[int, _Handler] = {
    0xA8: _add_eim,
    0xA9: _delete_eim,
    0xAA: _update_eim,
    0xAB: _list_eim,
}
