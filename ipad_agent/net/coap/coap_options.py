"""The options of a CoAP response as they arrived (RFC 7252 §3.1, §5.4; RFC 7959, RFC 9175).

Read here and not by the CoAP library, which decodes numbers of any length and raises on texts that are none; what is
asked of a recipient about options it does not know, or of a wrong length, is the recipient's own business.
"""

from __future__ import annotations

from typing import Final

from ipad_agent.records import dataclass

from .blockwise_transfer import Block

_ETAG, _MAX_AGE, _BLOCK2, _BLOCK1, _SIZE2, _ECHO = 4, 14, 23, 27, 28, 252
_LENGTHS: Final = {_ETAG: (1, 8), _MAX_AGE: (0, 4), _BLOCK2: (0, 3), _BLOCK1: (0, 3), _SIZE2: (0, 4), _ECHO: (1, 40)}
"""The options that mean something in a response here, with their least and greatest length in bytes."""

_HEADER_BYTES: Final = 4
_MOST_TOKEN_BYTES: Final = 8
_PAYLOAD: Final = 0xFF


@dataclass(frozen=True, slots=True)
class ResponseOptions:
    """What is understood of a response's options; None is what is absent.

    ``refused`` names the first critical option that is not understood: then the response must not be used
    (§5.4.1). Elective ones are ignored where they are unknown, of a wrong length or there twice (§5.4.3, §5.4.5).
    """

    block1: Block | None = None
    block2: Block | None = None
    max_age_s: int | None = None
    echo: bytes | None = None
    etag: bytes | None = None
    size2: int | None = None
    refused: str | None = None


def split(datagram: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """Number and value of every option, and the payload. Raises ``ValueError`` for a message format error (§3)."""
    at = _HEADER_BYTES + (datagram[0] & 0x0F)
    if len(datagram) < at or at > _HEADER_BYTES + _MOST_TOKEN_BYTES:
        raise ValueError("the token is cut off or too long")
    found: list[tuple[int, bytes]] = []
    number = 0
    while at < len(datagram):
        first = datagram[at]
        at += 1
        if first == _PAYLOAD:
            if at == len(datagram):
                raise ValueError("a payload marker without a payload")
            return found, datagram[at:]
        delta, at = _extended(datagram, first >> 4, at)
        length, at = _extended(datagram, first & 0x0F, at)
        number += delta
        if at + length > len(datagram):
            raise ValueError(f"option {number} is cut off")
        found.append((number, datagram[at : at + length]))
        at += length
    return found, b""


def understood(options: list[tuple[int, bytes]]) -> ResponseOptions:
    """What the options of a response say to a client that knows block-wise transfer and Echo."""
    values: dict[int, bytes] = {}
    refused: str | None = None
    for number, value in options:
        lengths = _LENGTHS.get(number)
        if lengths is not None and number not in values and lengths[0] <= len(value) <= lengths[1]:
            values[number] = value
        elif number & 1 and refused is None:  # §5.4.6: odd numbers are critical
            kind = "an unknown" if lengths is None else "a second" if number in values else "a malformed"
            refused = f"{kind} critical option ({number})"
    return ResponseOptions(
        block1=_block(values.get(_BLOCK1)),
        block2=_block(values.get(_BLOCK2)),
        max_age_s=_number(values.get(_MAX_AGE)),
        echo=values.get(_ECHO),
        etag=values.get(_ETAG),
        size2=_number(values.get(_SIZE2)),
        refused=refused,
    )


def _extended(datagram: bytes, value: int, at: int) -> tuple[int, int]:
    """A delta or a length with its extension (§3.1), and where the next thing begins."""
    if value == 15:
        raise ValueError("a reserved option length")
    size_bytes = max(0, value - 12)
    if at + size_bytes > len(datagram):
        raise ValueError("an option is cut off")
    more = int.from_bytes(datagram[at : at + size_bytes], "big")
    return (value, 13 + more, 269 + more)[size_bytes], at + size_bytes


def _number(value: bytes | None) -> int | None:
    return None if value is None else int.from_bytes(value, "big")


def _block(value: bytes | None) -> Block | None:
    """RFC 7959 §2.2."""
    if value is None:
        return None
    number = int.from_bytes(value, "big")
    return Block(number >> 4, bool(number & 8), number & 7)
