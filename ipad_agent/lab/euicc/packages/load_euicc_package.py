"""LoadEuiccPackage (SGP.32 §5.9.1): verify what an eIM signed, run it once, sign and keep the result.

The order of things is what a power cut must not break. The counter, the result's number and a record of the running
package are committed first; the last commit holds the profile change, the notifications, the result and the end of
that record together. A cut in between leaves the record, and the next start turns it into a result that says
"interruption" (see ``finish_interrupted``). So a package never runs twice, and never disappears.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc.state.card_state import EimEntry, SignedResult
from ipad_agent.lab.euicc.state.isdr_state import parse
from ipad_agent.lab.pki import verify_raw

from .package_operations import Run, execute

if TYPE_CHECKING:
    from ipad_agent.lab.euicc.state.isdr_state import Isdr

PACKAGE = 0xBF51
INVALID_EID, REPLAY, COUNTER_OUT_OF_RANGE, SIZE_OVERFLOW, ECALL_ACTIVE, UNDEFINED = 3, 4, 6, 15, 104, 127
_INTERRUPTION = 3
_MAX_TRANSACTION_ID_BYTES = 16


@dataclass(frozen=True, slots=True)
class _Request:
    signed: der.Node
    signature: der.Node
    eim_id: str
    eid: bytes | None
    counter: int | None
    transaction_id: bytes | None
    operations: der.Node | None

    @classmethod
    def read(cls, raw: bytes) -> _Request:
        """Only the eimId must be there; what else is missing is answered by an error of its own."""
        outer = parse(raw)
        signed, signature = outer.get(0x30), outer.get(0x5F37)
        eid, counter, transaction = signed.find(0x5A), signed.find(0x81), signed.find(0x82)
        transaction_id = None
        if transaction is not None and 1 <= len(transaction.value) <= _MAX_TRANSACTION_ID_BYTES:
            transaction_id = transaction.value
        return cls(
            signed,
            signature,
            signed.get(0x80).text(),
            eid.value if eid is not None else None,
            counter.integer() if counter is not None else None,
            transaction_id,
            signed.find(0xA0, 0xA1),
        )


def load_euicc_package(isdr: Isdr, raw: bytes) -> bytes:
    """BF51 in, BF51 { A0 result / A1 signed error / A2 unsigned error } out."""
    answer = _load(isdr, raw)
    return der.parse(answer).value if isdr.quirks.bare_result_answer else answer


def _load(isdr: Isdr, raw: bytes) -> bytes:
    request = _Request.read(raw)
    state = isdr.state
    entry = state.eim(request.eim_id)
    if entry is None:
        return _unsigned_error(request, None)
    if not _signature_ok(isdr, request, entry):
        return _unsigned_error(request, entry.token)
    ci = isdr.identity.ci(entry.ci_pkid) or isdr.identity.cis[0]
    counter = request.counter
    if counter is None or request.operations is None or request.eid is None:
        return _signed_error(isdr, request, entry, UNDEFINED)
    if request.eid != isdr.identity.eid_bytes:
        return _signed_error(isdr, request, entry, INVALID_EID)
    if counter <= entry.counter:
        return _signed_error(isdr, request, entry, REPLAY)
    if counter > isdr.quirks.max_counter:
        return _signed_error(isdr, request, entry, COUNTER_OUT_OF_RANGE)
    if state.emergency_return is not None:
        return _signed_error(isdr, request, entry, ECALL_ACTIVE)
    if len(raw) > isdr.quirks.max_package_bytes:
        return _signed_error(isdr, request, entry, SIZE_OVERFLOW)

    entry.counter = counter
    result = SignedResult(
        seq=state.take_seq(),
        eim_id=entry.eim_id,
        counter=counter,
        transaction_id=request.transaction_id,
        token=entry.token,
        ci_pkid=ci.ci_pkid,
        results=[],
        request_signature=request.signature.raw,
    )
    state.running = result
    # Whatever it holds, an accepted package ends the way back that an older one left open (SGP.32 §5.9.1).
    state.rollback = None
    isdr.commit()
    isdr.step("counter-stored")

    run = Run(isdr, result)
    execute(run, request.operations)
    run.apply_changes()
    isdr.step("before-swap")
    finished = _finish(isdr, result)
    isdr.step("after-swap")
    isdr.step("before-answer")
    return finished.raw


def finish_interrupted(isdr: Isdr) -> None:
    """At power-on: a package that a power cut stopped gets its result, what was done and then interruption(3)."""
    running = isdr.state.running
    if running is not None:
        running.results.append(der.integer(_INTERRUPTION))
        _finish(isdr, running)


def successor_after_rollback(isdr: Isdr, seq: int) -> SignedResult | None:
    """Replace stored result ``seq`` by one with a new number that ends with rollbackResult ok; uncommitted."""
    state = isdr.state
    old = next((r for r in state.results if r.seq == seq), None)
    if old is None:
        return None
    new = replace(old, seq=state.take_seq(), results=[*old.results, der.integer(0, 0x8C)])
    new.raw = _signed_result(isdr, new)
    state.results = [r for r in state.results if r.seq != seq]
    state.results.append(new)
    return new


def token_tlv(token: int | None) -> bytes:
    """What is appended to signed data: the association token, 84 01 00 without one."""
    return der.integer(token or 0, 0x84)


def _finish(isdr: Isdr, result: SignedResult) -> SignedResult:
    result.raw = _signed_result(isdr, result)
    isdr.state.results.append(result)
    isdr.state.running = None
    isdr.commit()
    return result


def _signature_ok(isdr: Isdr, request: _Request, entry: EimEntry) -> bool:
    key = serialization.load_der_public_key(entry.spki)
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return False
    signed, signature = request.signed.raw, request.signature.value
    if isdr.quirks.verify_without_token:
        return verify_raw(key, signature, signed)
    inputs = [signed + token_tlv(entry.token)]
    if entry.token and entry.token.bit_length() % 8 == 0:
        # One eIM encodes the token as an unsigned number: 128 as 80 instead of 00 80.
        inputs.append(signed + der.octets(entry.token.to_bytes(entry.token.bit_length() // 8, "big"), 0x84))
    return any(verify_raw(key, signature, data) for data in inputs)


def _signed_result(isdr: Isdr, result: SignedResult) -> bytes:
    transaction = b"" if result.transaction_id is None else der.octets(result.transaction_id, 0x82)
    data = der.seq(
        der.utf8(result.eim_id, 0x80),
        der.integer(result.counter, 0x81),
        transaction,
        der.integer(result.seq, 0x83),
        der.seq(*result.results),
    )
    signature = _sign(isdr, data, result.ci_pkid, result.token, result.request_signature)
    return der.tlv(PACKAGE, der.tlv(0xA0, data, signature))


def _signed_error(isdr: Isdr, request: _Request, entry: EimEntry, error: int) -> bytes:
    data = der.seq(
        der.utf8(entry.eim_id, 0x80),
        der.integer(request.counter or 0, 0x81),
        _transaction(request),
        der.integer(error),
    )
    ci = isdr.identity.ci(entry.ci_pkid) or isdr.identity.cis[0]
    signature = _sign(isdr, data, ci.ci_pkid, entry.token, request.signature.raw)
    return der.tlv(PACKAGE, der.tlv(0xA1, data, signature))


def _unsigned_error(request: _Request, token: int | None) -> bytes:
    token_part = b"" if token is None else der.integer(token, 0x84)
    return der.tlv(PACKAGE, der.tlv(0xA2, der.utf8(request.eim_id, 0x80), _transaction(request), token_part))


def _transaction(request: _Request) -> bytes:
    return b"" if request.transaction_id is None else der.octets(request.transaction_id, 0x82)


def _sign(isdr: Isdr, data: bytes, ci_pkid: bytes, token: int | None, request_signature: bytes) -> bytes:
    ci = isdr.identity.ci(ci_pkid) or isdr.identity.cis[0]
    bound = request_signature if isdr.quirks.sign_with_eim_signature else token_tlv(token)
    return der.octets(ci.sign(data + bound), 0x5F37)
