"""Messages of ESipa and ES9+ in words: TLVs by the names of the modules, JSON with the TLVs inside read out."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from typing import Any, Final

from ipad_agent.codec.ber.describe_message import describe
from ipad_agent.errors import CodecError
from ipad_agent.printable import is_printable

from .redacted_messages import SECRET_FIELDS, json_document

_BASE64: Final = re.compile(r"[A-Za-z0-9+/]{4,}={0,2}")
_MOST_TEXT: Final = 200
_LAYOUT: Final = dict.fromkeys(map(ord, "\t\r\n"))
_SECRET_KEYS: Final = frozenset(name.lower() for name in SECRET_FIELDS)


def message_lines(data: bytes, *, request: bool = False, reveal: bool = False) -> Iterator[str]:
    """What a body says, two blanks deeper per level. What cannot be read is shown as what it is."""
    document = json_document(data)
    if document is not None:
        yield from json_lines(document, request=request, reveal=reveal)
        return
    try:
        tree = describe(data, prefer="request" if request else "response", reveal=reveal)
    except CodecError as error:
        text = data.decode("utf-8", "replace")
        if is_printable(text.translate(_LAYOUT)):
            yield text[:_MOST_TEXT]
        else:
            yield f"{data[:48].hex().upper()} ({len(data)} bytes, not readable: {error.message})"
        return
    yield from tree.lines()


def json_lines(value: Any, name: str = "", depth: int = 0, *, request: bool, reveal: bool) -> Iterator[str]:
    """The tree of a document."""
    space = "  " * depth
    if isinstance(value, dict):
        if name:
            yield f"{space}{name}"
        for key, item in value.items():
            yield from json_lines(item, str(key), depth + bool(name), request=request, reveal=reveal)
    elif isinstance(value, list):
        yield f"{space}{name} ({len(value)})".rstrip()
        for item in value:
            yield from json_lines(item, "-", depth + 1, request=request, reveal=reveal)
    elif isinstance(value, str) and name.lower() in _SECRET_KEYS and not reveal:
        yield f"{space}{name} ({len(value)} characters, not shown)"
    else:
        inside = _inside(value, request, reveal) if isinstance(value, str) else []
        shown = f"{len(value)} characters" if inside else json.dumps(value, ensure_ascii=False)[:_MOST_TEXT]
        yield f"{space}{name} {shown}"
        for line in inside:
            yield f"{space}  {line}"


def _inside(text: str, request: bool, reveal: bool) -> list[str]:
    """The TLV in base64, if there is one whose tag the modules know."""
    if _BASE64.fullmatch(text) is None or len(text) % 4:
        return []
    try:
        tree = describe(
            base64.b64decode(text, validate=True), prefer="request" if request else "response", reveal=reveal
        )
    except (binascii.Error, ValueError, CodecError):
        return []
    return list(tree.lines()) if tree.known or len(text) > 40 else []
