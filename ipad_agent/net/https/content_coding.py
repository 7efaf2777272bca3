"""Bodies that a server compresses although nobody asked it to.

A request without Accept-Encoding forbids nothing (RFC 9110 §12.5.3), and proxies in front of servers make use of it.
"""

from __future__ import annotations

from typing import Final

from ipad_agent.net.errors import ProtocolViolation, ResponseTooLarge
from ipad_agent.printable import summary

_GZIP: Final = frozenset({"gzip", "x-gzip"})
_DEFLATE: Final = "deflate"
_NO_CODINGS: Final = frozenset({"", "identity", "none", "binary", "8bit", "utf-8", "utf8"})
"""Beside identity, what servers write there by mistake: a character set, or how a mail is transferred."""


def is_plain(encoding: str | None) -> bool:
    """Whether a body with this Content-Encoding is as it is."""
    return encoding is None or encoding.strip().lower() in ("", "identity")


def decoded(body: bytes, encoding: str, *, limit_bytes: int) -> bytes:
    """The body without its coding, of up to ``limit_bytes``.

    Raises ``ProtocolViolation`` for a coding that is not known here, and for one that the body does not have or not to
    its end, ``ResponseTooLarge`` beyond the limit.
    """
    coding = encoding.strip().lower()
    if coding in _NO_CODINGS:
        return body
    if coding not in _GZIP and coding != _DEFLATE:
        raise ProtocolViolation(f"the answer is encoded as {summary(encoding, 40)}, which was not asked for")
    import zlib  # only where a server does so

    if coding in _GZIP:
        window_bits = 16 + zlib.MAX_WBITS
    else:  # in the wrapper of RFC 1950, as it should be, or without, as some send it
        wrapped = len(body) > 1 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0
        window_bits = zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS
    reader = zlib.decompressobj(window_bits)
    try:
        plain = reader.decompress(body, limit_bytes + 1)
    except zlib.error as error:
        raise ProtocolViolation(f"the answer is not encoded as {coding}, as it says: {error}") from None
    if len(plain) > limit_bytes:
        raise ResponseTooLarge(f"the answer has over {limit_bytes} bytes when it is unpacked, which is the limit")
    if not reader.eof or reader.unused_data:
        raise ProtocolViolation(f"the answer is encoded as {coding} and does not end where that ends")
    return plain
