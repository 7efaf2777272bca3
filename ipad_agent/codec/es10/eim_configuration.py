"""What the eUICC holds about each eIM (SGP.32 v1.2 §5.9.4, §5.9.18, EimConfigurationData) and how it gets there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import Enum, IntEnum
from typing import Final, Literal

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.ber.tlv import Tlv, hex_tag
from ipad_agent.codec.ber.tlv_fields import Fields, Unreadable, as_sequence, outer, retag
from ipad_agent.codec.tolerances import (
    EMPTY_ANSWER,
    EMPTY_KEY_DATA,
    EXPLICIT_KEY,
    EXTRA_SEQUENCE,
    KEY_UNDER_OTHER_TAG,
    KEY_WITHOUT_CHOICE,
    UNREADABLE_ELEMENT,
    UNREADABLE_KEY,
    Notes,
)
from ipad_agent.errors import CodecError
from ipad_agent.printable import printable
from ipad_agent.records import dataclass, field

GENERATE_TOKEN = -1
"""As associationToken of an order: the eUICC shall make one up."""


class EimIdType(IntEnum):
    """What an eimId is."""

    OID = 1
    FQDN = 2
    PROPRIETARY = 3


class EimProtocol(Enum):
    """How an eIM can be reached; the value is the bit number of EimSupportedProtocol."""

    RETRIEVE_HTTPS = 0
    RETRIEVE_COAPS = 1
    INJECT_HTTPS = 2
    INJECT_COAPS = 3
    PROPRIETARY = 4


@dataclass(frozen=True, slots=True)
class PublicKeyData:
    """A key or a certificate; ``der`` begins with 30, ready for an X.509 library."""

    kind: Literal["spki", "certificate"]
    der: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class EimConfigurationData:
    """One associated eIM. Absent optional fields are None; ``supported_protocol`` absent means proprietary only.

    ``raw`` is the whole ``30`` element. ``id_type`` may be a number without a name in ``EimIdType``.
    """

    raw: bytes = field(repr=False)
    eim_id: str
    fqdn: str | None
    id_type: int | None
    counter: int | None
    association_token: int | None
    public_key: PublicKeyData | None
    trusted_tls: PublicKeyData | None
    supported_protocol: frozenset[EimProtocol] | None
    ci_pkid: bytes | None
    indirect_download: bool
    tolerances: tuple[str, ...] = ()

    @classmethod
    def parse(cls, raw: bytes) -> EimConfigurationData:
        """From one element (``30``; ``A8``/``AA`` of an eCO too).

        Raises ``CodecError`` without a usable eimId, and when the TLS trust data is there but cannot be read:
        an agent that took it for absent would trust more servers than the eIM's owner said.
        """
        return cls._read(tlv.parse(raw))

    @classmethod
    def _read(cls, element: Tlv) -> EimConfigurationData:
        if element.tag not in (0x30, 0xA8, 0xAA):
            raise CodecError(f"an eIM configuration cannot begin with {hex_tag(element.tag)}", offset=element.start)
        fields, notes = Fields(element), Notes()
        eim_id = fields.require(0x80, "eimId").text()
        if not eim_id:
            raise CodecError("an empty eimId", offset=element.start)
        bits = fields.bits(0x87, notes=notes)
        known = {protocol.value: protocol for protocol in EimProtocol}
        return cls(
            raw=element.raw,
            eim_id=eim_id,
            fqdn=fields.text(0x81) or None,
            id_type=fields.number(0x82, notes=notes),
            counter=fields.number(0x83, notes=notes),
            association_token=fields.number(0x84, notes=notes),
            public_key=_signing_key(fields.first(0xA5), notes),
            trusted_tls=_key_data(fields.first(0xA6), notes),
            supported_protocol=None if bits is None else frozenset(known[bit] for bit in bits if bit in known),
            ci_pkid=fields.octets(0x88) or None,
            indirect_download=fields.present(0x89),
            tolerances=notes.ids,
        )

    def same_way_as(self, other: EimConfigurationData) -> bool:
        """Whether both say the same about who this eIM is and how it is reached; the counter, which every package
        moves, and the token, which only the card needs, do not count."""
        return all(
            getattr(self, name) == getattr(other, name)
            for name in ("eim_id", "fqdn", "id_type", "public_key", "trusted_tls", "supported_protocol", "ci_pkid")
        ) and (self.indirect_download is other.indirect_download)

    @classmethod
    def build(
        cls,
        *,
        eim_id: str,
        fqdn: str | None = None,
        id_type: int | None = None,
        counter: int | None = None,
        association_token: int | None = None,
        public_key: PublicKeyData | None = None,
        trusted_tls: PublicKeyData | None = None,
        supported_protocol: Iterable[EimProtocol] | None = None,
        ci_pkid: bytes | None = None,
        indirect_download: bool = False,
    ) -> EimConfigurationData:
        """A new entry in DER, for ``add_initial_eim_request``."""
        parts = [tlv.encode(0x80, eim_id.encode())]
        if fqdn is not None:
            parts.append(tlv.encode(0x81, fqdn.encode()))
        numbers = ((0x82, id_type), (0x83, counter), (0x84, association_token))
        parts += [tlv.encode_integer(tag, value) for tag, value in numbers if value is not None]
        parts += [_encode_key(tag, key) for tag, key in ((0xA5, public_key), (0xA6, trusted_tls)) if key is not None]
        if supported_protocol is not None:
            parts.append(tlv.encode_bits(0x87, {protocol.value for protocol in supported_protocol}))
        if ci_pkid is not None:
            parts.append(tlv.encode(0x88, ci_pkid))
        if indirect_download:
            parts.append(tlv.encode(0x89))
        return cls.parse(tlv.encode(0x30, *parts))


@dataclass(frozen=True, slots=True)
class EimConfigurations:
    """The answer of GetEimConfigurationData: what could be read, and what not."""

    raw: bytes = field(repr=False)
    configs: tuple[EimConfigurationData, ...]
    unreadable: tuple[Unreadable, ...] = ()
    tolerances: tuple[str, ...] = ()

    @classmethod
    def parse(cls, raw: bytes) -> EimConfigurations:
        """From ``BF55 { A0 { 30 … } }``; an empty ``BF55 00`` is an empty list."""
        notes = Notes()
        body = outer(raw, 0xBF55, notes, "the eIM configuration")
        listed = body.find(0xA0)
        if listed is None:
            if body.children():
                raise CodecError("the eIM configuration has no list (A0)", offset=body.start)
            notes.take(EMPTY_ANSWER)
        configs: list[EimConfigurationData] = []
        unreadable: list[Unreadable] = []
        elements = listed.children() if listed else ()
        if len(elements) == 1 and _is_list(elements[0]):
            notes.take(EXTRA_SEQUENCE)
            elements = elements[0].children()
        for element in elements:
            try:
                config = EimConfigurationData._read(element)
            except CodecError as error:
                notes.take(UNREADABLE_ELEMENT)
                unreadable.append(Unreadable(element.raw, error.message))
            else:
                notes.add(config.tolerances)
                configs.append(config)
        return cls(raw, tuple(configs), tuple(unreadable), notes.ids)


def _is_list(element: Tlv) -> bool:
    """Whether this is a list of configurations and not one itself."""
    try:
        children = element.children()
    except CodecError:
        return False
    return element.tag == 0x30 and bool(children) and all(child.tag == 0x30 for child in children)


def check_add_initial(configs: Sequence[EimConfigurationData]) -> tuple[str, ...]:
    """What would make the eUICC refuse this list in AddInitialEim (§5.9.4); empty when nothing is wrong.

    The eUICC does not compare the eimIds within one list, the IPA must (§5.9.4).
    """
    problems = [] if configs else ["the list of eIMs is empty"]
    counts = Counter(_shown(config.eim_id) for config in configs)
    problems += [f"eimId {eim_id} is listed {count} times" for eim_id, count in counts.items() if count > 1]
    for config in configs:
        eim_id = _shown(config.eim_id)
        if config.counter is None:
            problems.append(f"eIM {eim_id} has no counterValue")
        elif config.counter < 0:
            problems.append(f"eIM {eim_id} has a negative counterValue")
        if config.public_key is None:
            problems.append(f"eIM {eim_id} has no usable eimPublicKeyData")
        if config.association_token not in (None, GENERATE_TOKEN):
            problems.append(f"eIM {eim_id} has an associationToken other than -1")
    return tuple(problems)


_LONGEST_SHOWN: Final = 128
_MOST_LISTED: Final = 8


def _shown(eim_id: str) -> str:
    """An eimId fit for a sentence: it may be any text of any length."""
    return printable(eim_id[:_LONGEST_SHOWN], mark="?")


def add_initial_eim_request(configs: Sequence[EimConfigurationData]) -> bytes:
    """``BF57 { A0 { 30 … } }``; the entries travel as they are. ``CodecError`` names what the eUICC would refuse."""
    problems = check_add_initial(configs)
    if problems:
        listed, more = problems[:_MOST_LISTED], len(problems) - _MOST_LISTED
        listed += (f"and {more} more of that",) if more > 0 else ()
        raise CodecError("; ".join(listed), hint="Correct the eIM configuration that is to be loaded.")
    return tlv.encode(0xBF57, tlv.encode(0xA0, *(retag(config.raw, 0x30) for config in configs)))


def add_initial_eim_from_dump(raw: bytes) -> bytes:
    """A GetEimConfigurationData answer (BF55) as an AddInitialEim request (BF57).

    An association token in the dump becomes the order to generate one; all else stays byte for byte. Raises
    ``CodecError`` when an entry cannot be read, because a list with an eIM missing is not what was dumped.
    """
    dump = EimConfigurations.parse(raw)
    if dump.unreadable:
        raise CodecError(f"an entry of the dump cannot be read: {dump.unreadable[0].reason}")
    return add_initial_eim_request([_asking_for_token(config) for config in dump.configs])


def _asking_for_token(config: EimConfigurationData) -> EimConfigurationData:
    if config.association_token in (None, GENERATE_TOKEN):
        return config
    order = tlv.encode_integer(0x84, GENERATE_TOKEN)
    parts = (order if child.tag == 0x84 else child.raw for child in tlv.parse(config.raw))
    return EimConfigurationData.parse(tlv.encode(0x30, *parts))


def _signing_key(element: Tlv | None, notes: Notes) -> PublicKeyData | None:
    if element is not None and not element.value:
        notes.take(EMPTY_KEY_DATA)
        return None
    try:
        return _key_data(element, notes)
    except CodecError:
        notes.take(UNREADABLE_KEY)
        return None


def _key_data(element: Tlv | None, notes: Notes) -> PublicKeyData | None:
    """Key data under A5/A6: ``A0`` key or ``A1`` certificate, with or without their own 30 (rule T5)."""
    if element is None:
        return None
    children = element.children()
    choice = next((child for child in children if child.tag in (0xA0, 0xA1)), None)
    if choice is None:
        # The whole structure, or its content under the implicit tag of the field itself.
        whole = children[0] if len(children) == 1 and children[0].tag == 0x30 else element
        kind = _shape(whole)
        if kind is None:
            raise CodecError(f"no key and no certificate in {hex_tag(element.tag)}", offset=element.start)
        notes.take(KEY_WITHOUT_CHOICE)
        return PublicKeyData(kind, as_sequence(whole))
    content = choice.children()
    if len(content) == 1 and content[0].tag == 0x30 and _shape(content[0]) is not None:
        notes.take(EXPLICIT_KEY)
        body = content[0]
    else:
        body = choice
    kind = _shape(body)
    if kind is None:
        raise CodecError(f"no key and no certificate in {hex_tag(choice.tag)}", offset=choice.start)
    if kind != ("spki" if choice.tag == 0xA0 else "certificate"):
        notes.take(KEY_UNDER_OTHER_TAG)
    return PublicKeyData(kind, as_sequence(body))


def _shape(element: Tlv) -> Literal["spki", "certificate"] | None:
    """SubjectPublicKeyInfo is {SEQUENCE, BIT STRING}, Certificate {SEQUENCE, SEQUENCE, BIT STRING}."""
    try:
        tags = [child.tag for child in element.children()]
    except CodecError:
        return None
    if tags == [0x30, 0x03]:
        return "spki"
    return "certificate" if tags == [0x30, 0x30, 0x03] else None


def _encode_key(tag: int, key: PublicKeyData) -> bytes:
    return tlv.encode(tag, retag(key.der, 0xA0 if key.kind == "spki" else 0xA1))
