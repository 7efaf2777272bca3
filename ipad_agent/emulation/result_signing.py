"""The answers of LoadEuiccPackage in bytes (SGP.32 v1.2 §2.11.2, §5.9.1), signed by the device key.

Both sides append the association token as ``84 L token`` to what is signed; ``84 01 00`` stands for none.
"""

from __future__ import annotations

from collections.abc import Iterable

from ipad_agent.codec.ber import tlv
from ipad_agent.errors import CardError

from .device_key import DeviceKey, KeyTrouble
from .emulated_state import RunningPackage, StoredResult


class KeyAway(CardError):
    """A key in a token is not there now. For the procedures it is the card that does not answer: what was done is
    noted, and signed as soon as the token answers."""


PACKAGE = 0xBF51
SIGNATURE = 0x5F37


def token_tlv(token: int | None) -> bytes:
    """What ends the signed data."""
    return tlv.encode_integer(0x84, token or 0)


def signed_result(key: DeviceKey, running: RunningPackage, results: Iterable[bytes]) -> StoredResult:
    """euiccPackageResultSigned (A0) of a package, with its number."""
    listed = tuple(results)
    return _signed(key, running.eim_id, running.counter, running.transaction_id, running.token, running.seq, listed)


def successor(key: DeviceKey, old: StoredResult, seq: int) -> StoredResult:
    """The result that takes the place of ``old`` after a rollback: its list ends with rollbackResult ok."""
    listed = (*old.results, tlv.encode_integer(0x8C, 0))
    return _signed(key, old.eim_id, old.counter, old.transaction_id, old.token, seq, listed)


def signed_error(
    key: DeviceKey, eim_id: str, counter: int | None, transaction_id: bytes | None, token: int | None, code: int
) -> bytes:
    """euiccPackageErrorSigned (A1)."""
    data = tlv.encode(
        0x30,
        tlv.encode(0x80, eim_id.encode()),
        tlv.encode_integer(0x81, counter or 0),
        _transaction(transaction_id),
        tlv.encode_integer(0x02, code),
    )
    return tlv.encode(PACKAGE, tlv.encode(0xA1, data, _signature(key, data, token)))


def unsigned_error(eim_id: bytes, transaction_id: bytes | None, token: int | None) -> bytes:
    """euiccPackageErrorUnsigned (A2), for who is not known or did not sign."""
    token_part = b"" if token is None else tlv.encode_integer(0x84, token)
    return tlv.encode(PACKAGE, tlv.encode(0xA2, tlv.encode(0x80, eim_id), _transaction(transaction_id), token_part))


def _signed(
    key: DeviceKey,
    eim_id: str,
    counter: int,
    transaction_id: bytes | None,
    token: int | None,
    seq: int,
    results: tuple[bytes, ...],
) -> StoredResult:
    data = tlv.encode(
        0x30,
        tlv.encode(0x80, eim_id.encode()),
        tlv.encode_integer(0x81, counter),
        _transaction(transaction_id),
        tlv.encode_integer(0x83, seq),
        tlv.encode(0x30, *results),
    )
    raw = tlv.encode(PACKAGE, tlv.encode(0xA0, data, _signature(key, data, token)))
    return StoredResult(seq, raw, eim_id, counter, transaction_id, token, results)


def _signature(key: DeviceKey, data: bytes, token: int | None) -> bytes:
    try:
        signature = key.sign(data + token_tlv(token))
    except KeyTrouble as trouble:
        raise KeyAway(f"the device key cannot sign: {trouble.message}", hint=trouble.hint) from trouble
    return tlv.encode(SIGNATURE, signature)


def _transaction(transaction_id: bytes | None) -> bytes:
    return b"" if transaction_id is None else tlv.encode(0x82, transaction_id)
