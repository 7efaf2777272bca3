"""The eIMs that the card is associated with (SGP.32 §5.9.4, §5.9.18 and the eCOs of §2.11.1.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc.errors import StatusError
from ipad_agent.lab.euicc.state.card_state import EimEntry
from ipad_agent.lab.euicc.state.isdr_state import code, parse
from ipad_agent.lab.pki import CURVES

if TYPE_CHECKING:
    from ipad_agent.lab.euicc.state.isdr_state import Isdr

OK = 0
INSUFFICIENT_MEMORY = 1
ALREADY_EXISTS = 2
CI_PK_UNKNOWN = 3
INVALID_TOKEN = 5
COUNTER_OUT_OF_RANGE = 6
COMMAND_ERROR = 7
EIM_NOT_FOUND = 1
LAST_EIM_DELETED = 2

ADD_INITIAL, GET_CONFIGURATION = 0xBF57, 0xBF55
MAX_EIM_ID_BYTES = 128
GENERATE_TOKEN = -1
_KEPT_TAGS = (0x81, 0x82, 0xA5, 0xA6, 0x87, 0x88, 0x89)
_KEPT_TAGS_OF_1_3 = (0xAA,)  # eSipaProprietaryProtocolInformation
_V1_3 = bytes((1, 3, 0))


class EimConfigError(Exception):
    """A configuration is refused with this result code of the add and update functions."""

    def __init__(self, result: int) -> None:
        super().__init__(f"eIM configuration refused with {result}")
        self.result = result


def add_initial_eim(isdr: Isdr, raw: bytes) -> bytes:
    """AddInitialEim: only while no eIM is associated, and all of the list or nothing."""
    state = isdr.state
    if state.eims:
        return code(ADD_INITIAL, ALREADY_EXISTS, 0x81)
    answers = []
    try:
        configurations = parse(raw).get(0xA0).children
        if not configurations:
            raise EimConfigError(COMMAND_ERROR)
        for configuration in configurations:
            entry = add(isdr, configuration)
            answers.append(der.null() if entry.token is None else der.integer(entry.token, 0x84))
    except EimConfigError as refusal:
        isdr.roll_back()
        return code(ADD_INITIAL, refusal.result, 0x81)
    except der.DerError:
        isdr.roll_back()
        return code(ADD_INITIAL, COMMAND_ERROR, 0x81)
    isdr.commit()
    if isdr.quirks.empty_add_initial_eim_answer:
        return b""
    return der.tlv(ADD_INITIAL, der.tlv(0xA0, *answers))


def get_eim_configuration_data(isdr: Isdr, raw: bytes) -> bytes:
    """GetEimConfigurationData: BF55 { A0 { 80 eimId } optional } -> BF55 { A0 { 30... } }."""
    entries = isdr.state.eims
    criteria = parse(raw).find(0xA0)
    if criteria is not None:
        if not isdr.quirks.eim_search_supported:
            raise StatusError(0x6A80)
        wanted = criteria.get(0x80).text()
        entries = [e for e in entries if e.eim_id == wanted]
    return der.tlv(GET_CONFIGURATION, der.tlv(0xA0, *(_dump(e) for e in entries)))


def add(isdr: Isdr, configuration: der.Node) -> EimEntry:
    """Check one EimConfigurationData and add it to the state, uncommitted; ``EimConfigError`` with the code."""
    state = isdr.state
    eim_id = _eim_id(configuration)
    counter_tlv, key_tlv = configuration.find(0x83), configuration.find(0xA5)
    if counter_tlv is None or key_tlv is None:
        raise EimConfigError(COMMAND_ERROR)
    if state.eim(eim_id) is not None:
        raise EimConfigError(ALREADY_EXISTS)
    token_tlv = configuration.find(0x84)
    if token_tlv is not None and token_tlv.integer() != GENERATE_TOKEN:
        raise EimConfigError(INVALID_TOKEN)
    counter = _counter(isdr, counter_tlv)
    ci_pkid = _ci_pkid(isdr, configuration)
    spki = public_key(key_tlv)
    if len(state.eims) >= isdr.quirks.max_eims:
        raise EimConfigError(INSUFFICIENT_MEMORY)
    token = None
    if token_tlv is not None:
        token = 255 if isdr.quirks.token_stored_as_255 else state.take_token()
    entry = EimEntry(eim_id, counter, token, _fields(isdr, configuration, []), spki, ci_pkid)
    state.eims.append(entry)
    return entry


def update(isdr: Isdr, configuration: der.Node) -> int:
    """updateEim: replace the fields that are present; the result code."""
    entry = isdr.state.eim(_eim_id(configuration))
    if entry is None:
        return EIM_NOT_FOUND
    if configuration.find(0x84) is not None or len(configuration.children) < 2:
        return COMMAND_ERROR  # it has a token, which cannot be changed, or nothing but the name
    counter_tlv, key_tlv = configuration.find(0x83), configuration.find(0xA5)
    try:
        counter = _counter(isdr, counter_tlv) if counter_tlv is not None else entry.counter
        ci_pkid = _ci_pkid(isdr, configuration)
        spki = public_key(key_tlv) if key_tlv is not None else entry.spki
    except EimConfigError as refusal:
        return refusal.result
    if counter < entry.counter and key_tlv is None:
        return COUNTER_OUT_OF_RANGE
    entry.counter = counter
    entry.spki = spki
    entry.ci_pkid = ci_pkid or entry.ci_pkid
    entry.fields = _fields(isdr, configuration, entry.fields)
    return OK


def delete(isdr: Isdr, eim_id: str) -> int:
    """deleteEim; lastEimDeleted(2) tells that it was done and that none is left."""
    entry = isdr.state.eim(eim_id)
    if entry is None:
        return EIM_NOT_FOUND
    isdr.state.eims.remove(entry)
    return OK if isdr.state.eims else LAST_EIM_DELETED


def list_eims(isdr: Isdr) -> bytes:
    """listEim: AB { A0 { 30 { 80 eimId, 82 eimIdType } } }."""
    rows = []
    for entry in isdr.state.eims:
        types = [der.parse(f, ber=True) for f in entry.fields if f[0] == 0x82]
        type_tlv = b"".join(der.octets(t.value, isdr.quirks.eim_id_type_tag) for t in types)
        rows.append(der.seq(der.utf8(entry.eim_id, 0x80), type_tlv))
    return der.tlv(0xAB, der.tlv(0xA0, *rows))


def public_key(wrapper: der.Node) -> bytes:
    """SubjectPublicKeyInfo out of A5 or A6 { A0 SPKI / A1 certificate }; ``EimConfigError`` when it is no EC key.

    The implicit tag stands for the 30 of the inner type; a whole 30 inside is accepted as well.
    """
    choice = wrapper.find(0xA0, 0xA1)
    if choice is None:
        raise EimConfigError(COMMAND_ERROR)
    inner = choice.children
    whole = choice.value if len(inner) == 1 and inner[0].tag == 0x30 else der.seq(choice.value)
    key: object
    try:
        if choice.tag == 0xA1:
            key = x509.load_der_x509_certificate(whole).public_key()
        else:
            key = serialization.load_der_public_key(whole)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise EimConfigError(COMMAND_ERROR) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, tuple(CURVES.values())):
        raise EimConfigError(COMMAND_ERROR)
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _dump(entry: EimEntry) -> bytes:
    """What BF55 tells of an entry: never its counter (SGP.32 v1.3 §5.9.18)."""
    fields = {f[0]: f for f in entry.fields}
    if entry.token is not None:
        fields[0x84] = der.integer(entry.token, 0x84)
    order = (0x81, 0x82, 0x84, 0xA5, 0xA6, 0x87, 0x88, 0x89, 0xAA)
    return der.seq(der.utf8(entry.eim_id, 0x80), *(fields[tag] for tag in order if tag in fields))


def _fields(isdr: Isdr, configuration: der.Node, old: list[bytes]) -> list[bytes]:
    """The kept fields of ``configuration`` over the ``old`` ones; those that the card's release does not know are left
    out."""
    known = _KEPT_TAGS + (_KEPT_TAGS_OF_1_3 if max(isdr.quirks.iot_versions, default=b"") >= _V1_3 else ())
    merged = {f[0]: f for f in old}
    merged.update({child.tag: child.raw for child in configuration.children if child.tag in known})
    return [merged[tag] for tag in known if tag in merged]


def _eim_id(configuration: der.Node) -> str:
    found = configuration.find(0x80)
    if found is None or not 1 <= len(found.value) <= MAX_EIM_ID_BYTES:
        raise EimConfigError(COMMAND_ERROR)
    return found.text()


def _counter(isdr: Isdr, counter_tlv: der.Node) -> int:
    counter = counter_tlv.integer()
    if not 0 <= counter <= isdr.quirks.max_counter:
        raise EimConfigError(COUNTER_OUT_OF_RANGE)
    return counter


def _ci_pkid(isdr: Isdr, configuration: der.Node) -> bytes | None:
    found = configuration.find(0x88)
    if found is None:
        return None
    if isdr.identity.ci(found.value) is None:
        raise EimConfigError(CI_PK_UNKNOWN)
    return found.value
