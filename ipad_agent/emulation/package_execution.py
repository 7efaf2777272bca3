"""LoadEuiccPackage on an emulated card (SGP.32 v1.2 §5.9.1): check, count, carry out, sign.

Order, and what a power cut leaves (``interrupted_package.py`` takes it up):

=====================================  =================================================================================
1 checks                               nothing happened
2 counter and package are written      nothing happened to the card; the result will say interruption. With an enable in
                                       it, the number of the card's last notification is written too
3 before each operation on the card    which operation, and what the card showed, is on the disk
4 the card's answer                    known in memory; after a cut the card itself tells
5 the signed result                    held at once, on the disk as soon as that takes it; again see 4
6 the way back, while the disk         known in memory; after a cut the card's own notifications tell that the profile
  refuses 4 and 5                      was enabled and left since 2, and the result tells of both
=====================================  =================================================================================

Packages of eCOs change nothing but the state: counter, entries and result are one write.
"""

from __future__ import annotations

from collections.abc import Collection

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.ber.tlv import Tlv
from ipad_agent.errors import CodecError
from ipad_agent.records import replace

from . import associated_eims, events
from .associated_eims import RefusedEntry
from .card_memory import CardMemory
from .consumer_card import ConsumerCard
from .emulated_state import EmulatedState, RunningPackage, StoredResult
from .interrupted_package import last_notification
from .package_checks import CheckedPackage
from .psmo_execution import ENABLE, TERMINATED, UNKNOWN_OR_DAMAGED, PsmoExecution
from .result_signing import signed_result

ADD, DELETE, UPDATE, LIST = 0xA8, 0xA9, 0xAA, 0xAB


async def execute_psmos(card: ConsumerCard, memory: CardMemory, package: CheckedPackage) -> bytes:
    """The signed result (BF51). Raises ``StoreError`` while nothing has happened, and ``CardError`` or ``ModemError``
    when it is not known what happened."""
    card.ask_anew()
    profiles = await card.get_profiles()
    former = next((profile.iccid_raw for profile in profiles if profile.enabled), None)
    last = await last_notification(card) if _enables(package) else None
    events.EXECUTING.emit(counter=package.counter, eim=package.entry.eim_id)
    memory.write(_counted(memory.state, package, former, last))
    await PsmoExecution(card, memory, profiles).run()
    running = memory.state.running
    assert running is not None
    stored = signed_result(memory.key, running, running.results)
    memory.hold(_finished(memory.state, stored))
    return stored.raw


def execute_ecos(memory: CardMemory, package: CheckedPackage, ci_pkids: Collection[bytes]) -> bytes:
    """The signed result (BF51). Raises ``StoreError``: then nothing has happened."""
    events.EXECUTING.emit(counter=package.counter, eim=package.entry.eim_id)
    state = _counted(memory.state, package)
    running = state.running
    assert running is not None
    results: list[bytes] = []
    try:
        for operation in package.operations.children():
            state, result, success = _eco(state, operation, ci_pkids)
            results.append(result)
            if not success:
                break
    except CodecError:
        results.append(tlv.encode_integer(TERMINATED, UNKNOWN_OR_DAMAGED))
    stored = signed_result(memory.key, running, results)
    memory.write(_finished(state, stored))
    return stored.raw


def _enables(package: CheckedPackage) -> bool:
    try:
        return any(operation.tag == ENABLE for operation in package.operations.children())
    except CodecError:
        return False


def _counted(
    state: EmulatedState, package: CheckedPackage, former: bytes | None = None, last: int | None = None
) -> EmulatedState:
    running = RunningPackage(
        package.entry.eim_id,
        package.counter,
        package.transaction_id,
        package.entry.token,
        state.next_seq,
        package.operations.raw,
        former,
        last_notification=last,
    )
    counted = state.with_eim(replace(package.entry, counter=package.counter))
    # Whatever it holds, an accepted package ends the way back that an older one left open (SGP.32 §5.9.1).
    return replace(counted, next_seq=state.next_seq + 1, running=running, rollback=None)


def _finished(state: EmulatedState, stored: StoredResult) -> EmulatedState:
    return replace(state.with_result(stored), running=None)


def _eco(state: EmulatedState, operation: Tlv, ci_pkids: Collection[bytes]) -> tuple[EmulatedState, bytes, bool]:
    """The state after one eCO, its result, and whether the next may run."""
    if operation.tag == ADD:
        try:
            new, token = associated_eims.add(state, operation, ci_pkids)
        except RefusedEntry as refusal:
            return state, tlv.encode(ADD, tlv.encode_integer(0x02, refusal.code)), False
        told = tlv.encode_integer(0x02, 0) if token is None else tlv.encode_integer(0x84, token)
        return new, tlv.encode(ADD, told), True
    if operation.tag == DELETE:
        new, code = associated_eims.delete(state, operation.require(0x80, "eimId").text())
        # lastEimDeleted tells of a deletion that was done: the list goes on.
        return new, tlv.encode_integer(0x89, code), code in (associated_eims.OK, associated_eims.LAST_EIM_DELETED)
    if operation.tag == UPDATE:
        try:
            return associated_eims.update(state, operation, ci_pkids), tlv.encode_integer(0x8A, 0), True
        except RefusedEntry as refusal:
            return state, tlv.encode_integer(0x8A, refusal.code), False
    if operation.tag == LIST:
        return state, associated_eims.listed(state), True
    raise CodecError(f"unknown operation {operation.tag:X}")
