"""Values to DER and back by our ASN.1 modules, for structures that are ours to write or only shown.

The compiled modules lie in ``schema.json`` (made by ``tools/gen_asn1.py``); asn1tools turns them into codecs the
first time one is needed, imported without the parts that only other encodings and its parser use. Guards around it:
unknown alternatives, trailing bytes, foreign list elements and lengths that lie are refused, named bits lose their
trailing zeros (rule T8).

Never use this for anything signed, hashed or forwarded: unknown fields are dropped on decoding.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from functools import cache
from importlib import resources
from types import ModuleType
from typing import Any, Final

from ipad_agent.errors import CodecError

from . import tlv

MODULES: Final = ("SGP32Definitions", "RSPDefinitions", "PKIXSubset")
"""Where a type is looked up by name, in this order."""

_HINT: Final = "This is a mistake in the agent, please report it."

# asn1tools' modules that DER does not need, with the names that its compiler imports from them.
_STUBS: Final[dict[str, dict[str, object]]] = {
    "parser": {"parse_files": None, "parse_string": None, "EXTENSION_MARKER": None},
    "codecs.per": {},
    "codecs.uper": {},
    "codecs.oer": {},
    "codecs.xer": {},
    "codecs.jer": {},
    "codecs.gser": {},
    # Builds a string of 63 488 characters for a type our modules do not use.
    "codecs.permitted_alphabet": {
        "NUMERIC_STRING": "",
        "PRINTABLE_STRING": "",
        "IA5_STRING": "",
        "BMP_STRING": "",
        "VISIBLE_STRING": "",
    },
}


def load_slim() -> ModuleType:
    """asn1tools' compiler without its package: 5 MB instead of 30 in a small process.

    The module is private to the caller: ``sys.modules`` is as before when this returns, so that another part of the
    process can import asn1tools as it is. Raises ``ImportError`` or ``AttributeError`` when the layout changed.
    """
    package = importlib.util.find_spec("asn1tools")
    if package is None or package.submodule_search_locations is None:
        raise ImportError("asn1tools is not installed")
    before = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "asn1tools"}
    for name in before:
        del sys.modules[name]
    try:
        shell = ModuleType("asn1tools")
        shell.__path__ = list(package.submodule_search_locations)
        sys.modules["asn1tools"] = shell
        for name, contents in _STUBS.items():
            stub = ModuleType(f"asn1tools.{name}")
            vars(stub).update(contents)
            sys.modules[stub.__name__] = stub
        return importlib.import_module("asn1tools.compiler")
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "asn1tools"]:
            del sys.modules[name]
        sys.modules.update(before)


def load_full() -> ModuleType:
    """asn1tools' compiler the ordinary way."""
    return importlib.import_module("asn1tools.compiler")


def load_modules() -> dict[str, Any]:
    """``schema.json`` as it is; the caller owns the result (asn1tools writes into it)."""
    text = resources.files(__package__).joinpath("schema.json").read_text(encoding="utf-8")
    modules: dict[str, Any] = json.loads(text, object_hook=_ranges)
    return modules


def _ranges(node: dict[str, Any]) -> dict[str, Any]:
    """asn1tools tells a range of sizes by its being a tuple, which JSON does not have."""
    if "size" in node:
        node["size"] = [tuple(item) if isinstance(item, list) else item for item in node["size"]]
    return node


class Schema:
    """Compiled modules. ``slim`` says whether the small import worked."""

    def __init__(self, *, slim: bool = True) -> None:
        self.slim = slim
        if slim:
            try:
                compiler = load_slim()
            except (ImportError, AttributeError):
                compiler, self.slim = load_full(), False
        else:
            compiler = load_full()
        self._error: type[Exception] = compiler.CompileError.__mro__[1]
        self._types: dict[str, dict[str, Any]] = _compile(compiler)

    def find(self, type_name: str) -> Any:
        """The compiled type ``Name`` or ``Module.Name``."""
        module, _, name = type_name.rpartition(".")
        for candidate in (module,) if module else MODULES:
            found = self._types.get(candidate, {}).get(name)
            if found is not None:
                return found
        raise CodecError(f"there is no type {type_name} in the schema", hint=_HINT)

    def encode(self, type_name: str, value: object) -> bytes:
        """DER of a value (dict for SEQUENCE, (name, value) for CHOICE, (bytes, count) for BIT STRING)."""
        compiled = self.find(type_name)
        try:
            compiled.check_types(value)
            compiled.check_constraints(value)
            return bytes(compiled.encode(value))
        except (self._error, *_STRAY) as error:
            raise CodecError(f"no {type_name}: {_reason(error)}", hint=_HINT) from None

    def decode(self, type_name: str, data: bytes) -> Any:
        """The value of ``data``, which must be exactly one element of this type. Unknown fields are dropped."""
        compiled = self.find(type_name)
        check_nesting(data)
        try:
            value = compiled.decode(data)
        except (self._error, *_STRAY) as error:
            raise CodecError(f"no {type_name}: {_reason(error)}") from None
        return _clean(value, type_name)


# What asn1tools lets through when a value or an encoding is not what it expects.
_STRAY: Final = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError)


@cache
def default() -> Schema:
    """The schema of this process, compiled at its first use."""
    return Schema()


def encode(type_name: str, value: object) -> bytes:
    """``Schema.encode`` of the default schema."""
    return default().encode(type_name, value)


def decode(type_name: str, data: bytes) -> Any:
    """``Schema.decode`` of the default schema."""
    return default().decode(type_name, data)


def check_nesting(data: bytes) -> None:
    """``CodecError`` unless ``data`` is one element whose constructed parts are gapless lists all the way down."""
    pending = [tlv.parse(data)]
    budget = tlv.MAX_ELEMENTS
    while pending:
        element = pending.pop()
        if element.constructed:
            children = element.children()
            budget -= len(children)
            if budget < 0:
                raise CodecError(f"more than {tlv.MAX_ELEMENTS} elements", offset=0)
            pending.extend(children)


def _compile(compiler: ModuleType) -> dict[str, dict[str, Any]]:
    types: dict[str, dict[str, Any]] = compiler.compile_dict(load_modules(), "der").modules
    _mend(types, compiler)
    return types


def _mend(types: dict[str, dict[str, Any]], compiler: ModuleType) -> None:
    """Put right what asn1tools 0.169 does wrong in DER, in these compiled types only.

    A BIT STRING with named bits drops its trailing zeros, which it does by itself for DEFAULT values only. A list
    with an element of another tag is an error; left alone, decoding it never ends and eats all memory.
    """
    bit_string: Any = compiler.der.BitString
    array: Any = compiler.der.ArrayType
    checked_list = compiler.ber.ArrayType.decode_content

    class TrimmedBitString(bit_string):  # type: ignore[misc]  # asn1tools has no types
        def encode(self, data: tuple[bytes, int], encoded: bytearray, values: object = None) -> None:
            octets, count = data
            number = int.from_bytes(octets, "big") >> max(len(octets) * 8 - count, 0)
            spare = (number & -number).bit_length() - 1 if number else count
            count -= spare
            trimmed = (number >> spare) << (-count % 8)
            super().encode((trimmed.to_bytes((count + 7) // 8, "big"), count), encoded, values)

    class CheckedList(array):  # type: ignore[misc]  # asn1tools has no types
        def decode_content(self, data: bytes, offset: int, length: int) -> Any:
            return checked_list(self, data, offset, length)

    seen: set[int] = set()
    pending: list[Any] = [compiled.type for module in types.values() for compiled in module.values()]
    while pending:
        node = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, bit_string) and node.has_named_bits:
            node.__class__ = TrimmedBitString
        elif isinstance(node, array):
            node.__class__ = CheckedList
        for attribute in ("members", "root_members", "additions", "inner", "element_type"):
            below = getattr(node, attribute, None)
            if isinstance(below, list):
                pending.extend(item for item in below if item is not None)
            elif below is not None:
                pending.append(below)


def _clean(value: Any, type_name: str) -> Any:
    """Octets as ``bytes``; an alternative nobody defined is refused, asn1tools shows it as (None, None)."""
    if isinstance(value, bytearray):
        return bytes(value)
    if isinstance(value, dict):
        return {key: _clean(item, type_name) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item, type_name) for item in value]
    if isinstance(value, tuple):
        if value == (None, None):
            raise CodecError(f"an alternative in {type_name} that the schema does not define")
        return tuple(_clean(item, type_name) for item in value)
    return value


def _reason(error: Exception) -> str:
    return str(error)[:200] or type(error).__name__
