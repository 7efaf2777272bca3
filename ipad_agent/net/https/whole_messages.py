"""Messages that show by themselves whether they are there to their end.

An answer without a length ends with the connection (RFC 9112 §6.3), and there a close_notify tells the end from a
connection that was cut. Small servers send none. What they sent is then known as whole by its own form, or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from ipad_agent.codec.ber import tlv
from ipad_agent.errors import CodecError


def is_whole(content_type: str) -> Callable[[bytes], bool]:
    """What tells whether a body of this type is whole; a body of nothing never is."""
    return _is_json_object if "json" in content_type.lower() else _is_element


def _is_element(body: bytes) -> bool:
    try:
        return bool(body) and tlv.announced_size(body) == len(body)
    except CodecError:
        return False


def _is_json_object(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except (ValueError, RecursionError):
        return False
