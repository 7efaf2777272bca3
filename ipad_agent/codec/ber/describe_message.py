"""Any SGP.22 or SGP.32 message as a tree that a person can read, with the names of the ASN.1 modules.

What the modules do not know is shown as plain TLV, so nothing is hidden and nothing is refused but broken nesting.
Activation codes, matching IDs and confirmation hashes are shown by their length only unless asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final, Literal

from ipad_agent.codec.identifiers import Eid, Iccid, Plmn
from ipad_agent.errors import CodecError
from ipad_agent.records import dataclass

from . import asn1_schema, tlv
from .object_identifier import decode_oid
from .tlv import Tlv, hex_tag

MAX_NODES: Final = 20_000
MAX_SHOWN_BYTES: Final = 48
_SECRET: Final = frozenset({"activationCode", "matchingId", "hashCc"})
_CLASSES: Final = {"UNIVERSAL": 0, "APPLICATION": 1, "CONTEXT_SPECIFIC": 2, "PRIVATE": 3}
_UNIVERSAL: Final = {
    "BOOLEAN": 1,
    "INTEGER": 2,
    "BIT STRING": 3,
    "OCTET STRING": 4,
    "NULL": 5,
    "OBJECT IDENTIFIER": 6,
    "UTF8String": 12,
    "SEQUENCE": 16,
    "SEQUENCE OF": 16,
}
_Tag = tuple[int, int, bool]
"""Class, number, and whether the content is a list of elements."""


@dataclass(frozen=True, slots=True)
class Node:
    """One element: its tag, its field name and type (empty when unknown), its value as text, and what is inside."""

    tag: str
    name: str
    type_name: str
    text: str
    children: tuple[Node, ...] = ()

    @property
    def known(self) -> bool:
        """Whether the modules define this element where it stands."""
        return bool(self.type_name)

    def lines(self, depth: int = 0) -> Iterator[str]:
        """The tree, one element per line, two blanks per level."""
        parts = (self.tag, self.name or "(unknown)", self.text)
        yield "  " * depth + " ".join(part for part in parts if part)
        for child in self.children:
            yield from child.lines(depth + 1)


def describe(
    data: bytes,
    type_name: str | None = None,
    *,
    prefer: Literal["request", "response"] = "response",
    reveal: bool = False,
) -> Node:
    """The tree of one element. Without ``type_name`` the type is the one that explains most of it.

    ``prefer`` decides where a request and its answer look alike; ``reveal`` shows secrets. ``CodecError`` when the
    data is not one element or ``type_name`` is unknown.
    """
    element = tlv.parse(data)
    if type_name is not None:
        return _Describer(reveal).named(element, *_lookup(type_name))
    best: tuple[int, Node] | None = None
    for name, module, definition in _candidates(element, prefer):
        describer = _Describer(reveal)
        node = describer.named(element, name, module, definition)
        if best is None or describer.unexplained < best[0]:
            best = describer.unexplained, node
    return _Describer(reveal).plain(element) if best is None else best[1]


@dataclass(frozen=True, slots=True)
class NamedValue:
    """Where in a message the content of a field is: ``data[start:end]``; names as in ``Node``."""

    name: str
    type_name: str
    start: int
    end: int


def named_values(data: bytes) -> frozenset[NamedValue]:
    """The fields without parts of their own that a message has, read as a request and as an answer. Raises as
    ``describe``."""
    element = tlv.parse(data)
    found: set[NamedValue] = set()
    for prefer in ("request", "response"):
        best: _Describer | None = None
        for name, module, definition in _candidates(element, prefer):
            describer = _Describer(reveal=False)
            describer.named(element, name, module, definition)
            if best is None or describer.unexplained < best.unexplained:
                best = describer
        found |= set() if best is None else set(best.values)
    return frozenset(found)


def render(data: bytes, type_name: str | None = None, *, reveal: bool = False) -> str:
    """``describe`` as text."""
    return "\n".join(describe(data, type_name, reveal=reveal).lines())


@cache
def _modules() -> Mapping[str, Any]:
    return asn1_schema.load_modules()


def _lookup(type_name: str, module: str | None = None) -> tuple[str, str, Mapping[str, Any]]:
    """A type by name: in ``module`` and what it imports, or in the order of ``asn1_schema.MODULES``."""
    qualifier, _, name = type_name.rpartition(".")
    places = [qualifier] if qualifier else [module] if module else list(asn1_schema.MODULES)
    for place in places:
        found = _modules().get(place, {}).get("types", {}).get(name)
        if found is not None:
            return name, place, found
        for source, imported in _modules().get(place, {}).get("imports", {}).items():
            if name in imported:
                return _lookup(name, source)
    raise CodecError(f"there is no type {type_name} in the schema", hint="See asn1/ for the names of types.")


def _candidates(element: Tlv, prefer: str) -> list[tuple[str, str, Mapping[str, Any]]]:
    """The types that carry this tag themselves, the newest module and the preferred direction first."""
    wanted = _tag_of(element)
    found: dict[str, tuple[str, str, Mapping[str, Any]]] = {}
    for module in asn1_schema.MODULES:
        for name, definition in _modules()[module]["types"].items():
            if "tag" in definition and wanted in (_first_tags(definition, module) or ()) and name not in found:
                found[name] = name, module, definition
    order = {module: rank for rank, module in enumerate(asn1_schema.MODULES)}
    return sorted(found.values(), key=lambda item: (prefer not in item[0].lower(), order[item[1]]))


def _tag_of(element: Tlv) -> _Tag:
    first = element.buffer[element.start]
    if first & 0x1F != 0x1F:
        return first >> 6, first & 0x1F, element.constructed
    number = 0
    for octet in bytes.fromhex(hex_tag(element.tag))[1:]:
        number = number << 7 | octet & 0x7F
    return first >> 6, number, element.constructed


def _members(definition: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [member for member in definition.get("members", ()) if member]


def _first_tags(definition: Mapping[str, Any], module: str) -> frozenset[_Tag] | None:
    """The tags an element of this type can begin with; None for ANY, which can begin with all."""
    tag = definition.get("tag")
    if tag is not None:
        explicit = tag.get("kind") == "EXPLICIT"
        number = _CLASSES[tag.get("class", "CONTEXT_SPECIFIC")], int(tag["number"])
        return frozenset({(*number, explicit or _is_list(definition, module))})
    kind = definition["type"]
    if kind == "ANY":
        return None
    if kind == "CHOICE":
        tags: set[_Tag] = set()
        for member in _members(definition):
            below = _first_tags(member, module)
            if below is None:
                return None
            tags |= below
        return frozenset(tags)
    if kind in _UNIVERSAL:
        return frozenset({(0, _UNIVERSAL[kind], _is_list(definition, module))})
    _, place, found = _lookup(kind, module)
    return _first_tags(found, place)


def _is_list(definition: Mapping[str, Any], module: str) -> bool:
    """Whether elements of this type hold elements."""
    while definition["type"] not in (*_UNIVERSAL, "CHOICE", "ANY"):
        _, module, definition = _lookup(definition["type"], module)
    return definition["type"] in ("SEQUENCE", "SEQUENCE OF", "CHOICE", "ANY")


class _Describer:
    """One walk: counts the nodes it made and how much of the message it could not explain."""

    def __init__(self, reveal: bool) -> None:
        self.reveal = reveal
        self.unexplained = 0
        self.values: list[NamedValue] = []
        self._nodes = 0

    def named(self, element: Tlv, name: str, module: str, definition: Mapping[str, Any]) -> Node:
        return self._node(element, "", name, module, definition)

    def plain(self, element: Tlv, name: str = "", *, expected: bool = False) -> Node:
        """An element nobody defined: its content as TLVs where it says so and they are, else as bytes.

        ``expected``: the modules leave open what is here, so it does not speak against the type.
        """
        self.unexplained += not expected
        self._count()
        if element.constructed:
            try:
                children = tuple(self.plain(child, expected=expected) for child in element.children())
            except CodecError:
                children = ()
            if children:
                return Node(hex_tag(element.tag), name, "", "", children)
        return Node(hex_tag(element.tag), name, "", self._bytes(element.value))

    def _bytes(self, value: bytes) -> str:
        """Bytes of unknown meaning; an activation code in the wrong place is still one."""
        if not self.reveal and (value[:4].upper() == b"LPA:" or (value[:2] == b"1$" and value.count(b"$") > 1)):
            return _hidden(value)
        return _octets(value)

    def _count(self) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise CodecError(f"more than {MAX_NODES} elements")

    def _node(
        self,
        element: Tlv,
        name: str,
        type_name: str,
        module: str,
        definition: Mapping[str, Any],
        *,
        retagged: bool = False,
    ) -> Node:
        """``retagged``: a tag outside has replaced the one that the definition states."""
        kind = definition["type"]
        tag = definition.get("tag")
        if tag is not None or retagged:
            explicit = tag is not None and tag.get("kind") == "EXPLICIT"
            if explicit:
                inner = {key: value for key, value in definition.items() if key != "tag"}
                found = [self._node(child, "", type_name, module, inner) for child in self._children(element)]
                return self._made(element, name, type_name, "", tuple(found))
            retagged = True
        if kind == "CHOICE":
            return self._choice(element, name, type_name, module, definition)
        if kind == "SEQUENCE":
            return self._sequence(element, name, type_name, module, definition)
        if kind == "SEQUENCE OF":
            inner = definition["element"]
            items = tuple(self._element(child, "", inner, module) for child in self._children(element))
            return self._made(element, name, type_name or kind, "", items)
        if kind == "ANY":
            return self.plain(element, name, expected=True)
        if kind in _UNIVERSAL:
            return self._made(element, name, type_name or kind, self._value(element, name, type_name, definition))
        referred, place, target = _lookup(kind, module)
        return self._node(element, name, referred, place, target, retagged=retagged)

    def _element(self, element: Tlv, name: str, definition: Mapping[str, Any], module: str) -> Node:
        """An element where the schema expects this type; what does not fit is shown plainly."""
        tags = _first_tags(definition, module)
        if tags is not None and _tag_of(element) not in tags:
            return self.plain(element, name)
        return self._node(element, name, "", module, definition)

    def _choice(self, element: Tlv, name: str, type_name: str, module: str, definition: Mapping[str, Any]) -> Node:
        for member in _members(definition):
            tags = _first_tags(member, module)
            if tags is None or _tag_of(element) in tags:
                label = f"{name}.{member['name']}" if name else str(member["name"])
                return self._node(element, label, "", module, member)
        return self.plain(element, name)

    def _sequence(self, element: Tlv, name: str, type_name: str, module: str, definition: Mapping[str, Any]) -> Node:
        open_members = _members(definition)
        children: list[Node] = []
        for child in self._children(element):
            for member in open_members:
                tags = _first_tags(member, module)
                if tags is None or _tag_of(child) in tags:
                    # Fields come in order: two of the same kind (certificates) are told apart by it.
                    open_members = [other for other in open_members if other is not member]
                    children.append(self._node(child, str(member["name"]), "", module, member))
                    break
            else:
                children.append(self.plain(child))
        self.unexplained += sum(1 for left in open_members if not (left.get("optional") or "default" in left))
        return self._made(element, name, type_name or "SEQUENCE", "", tuple(children))

    def _children(self, element: Tlv) -> tuple[Tlv, ...]:
        try:
            return element.children()
        except CodecError:
            self.unexplained += 1
            return ()

    def _made(self, element: Tlv, name: str, type_name: str, text: str, children: tuple[Node, ...] = ()) -> Node:
        self._count()
        if not children:
            field = name.rpartition(".")[2]
            self.values.append(NamedValue(field, type_name, element.value_start, element.end))
        if not text and not children and element.value:
            text = self._bytes(element.value)
        return Node(hex_tag(element.tag), name or type_name, type_name or "?", text, children)

    def _value(self, element: Tlv, name: str, type_name: str, definition: Mapping[str, Any]) -> str:
        field = name.rpartition(".")[2]
        if field in _SECRET and not self.reveal:
            return _hidden(element.value)
        try:
            return _text(element, field, type_name, definition)
        except CodecError:
            self.unexplained += 1
            return f"{self._bytes(element.value)} (not readable as {definition['type']})"


def _text(element: Tlv, field: str, type_name: str, definition: Mapping[str, Any]) -> str:
    kind, value = definition["type"], element.value
    if kind == "INTEGER":
        number = element.integer()
        names = {code: name for name, code in definition.get("named-numbers", {}).items()}
        return f"{number} {names[number]}" if number in names else str(number)
    if kind == "BIT STRING":
        if "named-bits" not in definition:
            return _octets(value)
        bit_names = {int(bit): name for name, bit in definition["named-bits"]}
        return "{" + ", ".join(bit_names.get(bit, f"bit {bit}") for bit in sorted(element.bits())) + "}"
    if kind == "BOOLEAN":
        return "true" if element.boolean() else "false"
    if kind == "NULL":
        return "" if not value else _octets(value)
    if kind == "OBJECT IDENTIFIER":
        return decode_oid(value)
    if kind == "UTF8String":
        return repr(element.text())
    if type_name == "Iccid":
        return str(Iccid.from_tbcd(value))
    if type_name == "VersionType" and len(value) == 3:
        return ".".join(str(octet) for octet in value)
    if field == "eidValue":
        return str(Eid.from_bytes(value))
    if field == "rPLMN":
        return str(Plmn.from_bytes(value))
    return _octets(value)


def _hidden(value: bytes) -> str:
    return f"({len(value)} bytes, not shown)"


def _octets(value: bytes) -> str:
    if len(value) <= MAX_SHOWN_BYTES:
        return value.hex().upper()
    return f"{value[:MAX_SHOWN_BYTES].hex().upper()}… ({len(value)} bytes)"
