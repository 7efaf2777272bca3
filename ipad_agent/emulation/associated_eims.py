"""The eIMs that an emulated card is associated with: AddInitialEim and the eCOs (SGP.32 v1.2 §5.9.4, §2.11.1.1).

All of it is state; the card is never asked for more than which CIs it knows.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.ber.tlv import Tlv
from ipad_agent.codec.ber.tlv_fields import Fields
from ipad_agent.codec.es10.eim_configuration import GENERATE_TOKEN, EimConfigurationData
from ipad_agent.errors import CodecError
from ipad_agent.records import replace

from .device_key import KeyTrouble, verify
from .emulated_state import MAX_COUNTER, MAX_EIMS, EimEntry, EmulatedState
from .package_checks import spki_of

OK: Final = 0
INSUFFICIENT_MEMORY: Final = 1
ALREADY_EXISTS: Final = 2
CI_PK_UNKNOWN: Final = 3
INVALID_TOKEN: Final = 5
COUNTER_OUT_OF_RANGE: Final = 6
COMMAND_ERROR: Final = 7
EIM_NOT_FOUND: Final = 1
LAST_EIM_DELETED: Final = 2

_LONGEST_EIM_ID: Final = 128
_KEPT: Final = (0x81, 0x82, 0xA5, 0xA6, 0x87, 0x88, 0x89)
_ORDER: Final = (0x81, 0x82, 0x84, 0xA5, 0xA6, 0x87, 0x88, 0x89)


class RefusedEntry(Exception):
    """A configuration is refused with this number."""

    def __init__(self, code: int) -> None:
        super().__init__(f"refused with {code}")
        self.code = code


def add_initial(state: EmulatedState, request: bytes, ci_pkids: Collection[bytes]) -> tuple[EmulatedState, bytes]:
    """AddInitialEim: only while no eIM is there, all of the list or nothing. The new state and the answer (BF57)."""
    if state.eims:
        return state, _refused_initial(ALREADY_EXISTS)
    new, tokens = state, []
    try:
        listed = tlv.parse(request).require(0xA0, "the list of eIMs").children()
        if not listed:
            raise RefusedEntry(COMMAND_ERROR)
        for element in listed:
            new, token = add(new, element, ci_pkids)
            tokens.append(tlv.encode(0x05) if token is None else tlv.encode_integer(0x84, token))
    except RefusedEntry as refusal:
        return state, _refused_initial(refusal.code)
    except CodecError:
        return state, _refused_initial(COMMAND_ERROR)
    return new, tlv.encode(0xBF57, tlv.encode(0xA0, *tokens))


def add(state: EmulatedState, element: Tlv, ci_pkids: Collection[bytes]) -> tuple[EmulatedState, int | None]:
    """One EimConfigurationData more; the token that was made for it. Raises ``RefusedEntry`` or ``CodecError``."""
    fields = Fields(element)
    eim_id = _eim_id(fields)
    counter = fields.integer(0x83)
    if counter is None or not fields.present(0xA5):
        raise RefusedEntry(COMMAND_ERROR)
    if state.eim(eim_id) is not None:
        raise RefusedEntry(ALREADY_EXISTS)
    wanted = fields.integer(0x84)
    if wanted not in (None, GENERATE_TOKEN):
        raise RefusedEntry(INVALID_TOKEN)
    _check_counter(counter)
    _check_ci(fields, ci_pkids)
    _check_key(element)
    if len(state.eims) >= MAX_EIMS:
        raise RefusedEntry(INSUFFICIENT_MEMORY)
    token = None if wanted is None else state.next_token
    entry = EimEntry(eim_id, _config(eim_id, _merged({}, fields), token), counter, token)
    next_token = state.next_token + (token is not None)
    return replace(state, eims=(*state.eims, entry), next_token=next_token), token


def update(state: EmulatedState, element: Tlv, ci_pkids: Collection[bytes]) -> EmulatedState:
    """updateEim: what is there replaces what was. Raises ``RefusedEntry`` or ``CodecError``."""
    fields = Fields(element)
    old = state.eim(_eim_id(fields))
    if old is None:
        raise RefusedEntry(EIM_NOT_FOUND)
    if fields.present(0x84) or len(element.children()) < 2:
        raise RefusedEntry(COMMAND_ERROR)  # a token, which cannot be changed, or nothing but the name
    _check_ci(fields, ci_pkids)
    counter, new_key = fields.integer(0x83), fields.present(0xA5)
    if new_key:
        _check_key(element)
    if counter is None:
        counter = old.counter
    else:
        _check_counter(counter)
    if counter < old.counter and not new_key:
        raise RefusedEntry(COUNTER_OUT_OF_RANGE)
    kept = {child.tag: child.raw for child in tlv.parse(old.config) if child.tag in _KEPT}
    entry = EimEntry(old.eim_id, _config(old.eim_id, _merged(kept, fields), old.token), counter, old.token)
    return state.with_eim(entry)


def delete(state: EmulatedState, eim_id: str) -> tuple[EmulatedState, int]:
    """deleteEim; lastEimDeleted(2) tells that it was done and that none is left. Results for an eIM that is gone would
    be kept for ever: nobody knows its address any more. One that deletes itself can still take its own."""
    if state.eim(eim_id) is None:
        return state, EIM_NOT_FOUND
    left = tuple(entry for entry in state.eims if entry.eim_id != eim_id)
    itself = state.running is not None and state.running.eim_id == eim_id
    results = tuple(result for result in state.results if itself or result.eim_id != eim_id)
    return replace(state, eims=left, results=results), OK if left else LAST_EIM_DELETED


def listed(state: EmulatedState) -> bytes:
    """listEim: ``AB { A0 { 30 { 80 eimId, 82 eimIdType } } }``."""
    rows = []
    for entry in state.eims:
        kind = tlv.parse(entry.config).find(0x82)
        rows.append(tlv.encode(0x30, tlv.encode(0x80, entry.eim_id.encode()), b"" if kind is None else kind.raw))
    return tlv.encode(0xAB, tlv.encode(0xA0, *rows))


def configuration(state: EmulatedState) -> bytes:
    """The answer of GetEimConfigurationData (BF55)."""
    return tlv.encode(0xBF55, tlv.encode(0xA0, *(entry.config for entry in state.eims)))


def _refused_initial(code: int) -> bytes:
    return tlv.encode(0xBF57, tlv.encode_integer(0x81, code))


def _eim_id(fields: Fields) -> str:
    found = fields.first(0x80)
    if found is None or not 1 <= len(found.value) <= _LONGEST_EIM_ID:
        raise RefusedEntry(COMMAND_ERROR)
    return found.text()


def _check_counter(counter: int) -> None:
    if not 0 <= counter <= MAX_COUNTER:
        raise RefusedEntry(COUNTER_OUT_OF_RANGE)


def _check_ci(fields: Fields, ci_pkids: Collection[bytes]) -> None:
    named = fields.octets(0x88)
    if named is not None and named not in ci_pkids:
        raise RefusedEntry(CI_PK_UNKNOWN)


def _check_key(element: Tlv) -> None:
    """The key must be one that a signature can be verified with. ``element`` may begin with any tag."""
    data = EimConfigurationData.parse(tlv.encode(0x30, *(child.raw for child in element)))
    spki = None if data.public_key is None else spki_of(data.public_key.kind, data.public_key.der)
    try:
        if spki is None:
            raise KeyTrouble("no key")
        verify(spki, bytes(64), b"")
    except KeyTrouble as trouble:
        raise RefusedEntry(COMMAND_ERROR) from trouble


def _merged(old: dict[int, bytes], fields: Fields) -> dict[int, bytes]:
    return old | {child.tag: child.raw for child in fields.items if child.tag in _KEPT}


def _config(eim_id: str, parts: dict[int, bytes], token: int | None) -> bytes:
    if token is not None:
        parts = parts | {0x84: tlv.encode_integer(0x84, token)}
    body = (parts[tag] for tag in _ORDER if tag in parts)
    config = tlv.encode(0x30, tlv.encode(0x80, eim_id.encode()), *body)
    EimConfigurationData.parse(config)  # what could not be read again must not be kept: CodecError
    return config
