"""Bytes to HTTP/1.1 requests (RFC 9112), without I/O.

Only ``HttpError`` escapes, and it ends the connection: what follows a request that was not understood has no meaning.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .http_message import HeaderList, HttpError, Request, header

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_TARGET = re.compile(rb"[\x21-\x7e]+")
_ORIGIN = re.compile(r"https?://[^/?#]*", re.IGNORECASE)
_DIGITS = re.compile(r"[0-9]{1,15}")
_HEX = re.compile(rb"[0-9A-Fa-f]{1,12}")
_MAX_BLANK_LINES = 4


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes beyond which a request is refused: 431 for the head, 413 for the body."""

    head_bytes: int = 16 * 1024
    headers: int = 100
    body_bytes: int = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Head:
    method: str
    path: str
    query: str
    version: str
    headers: HeaderList


class RequestParser:
    """``feed`` bytes as they arrive, then ``next`` until it gives None. Requests may be pipelined.

    ``wants_continue`` turns true once per request that says ``Expect: 100-continue`` and whose body has not begun.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._buffer = bytearray()
        self._head: _Head | None = None
        self._length: int | None = None
        self._chunk_left = -1
        self._trailer_bytes: int | None = None
        self._body = bytearray()
        self._blank_lines = 0
        self.wants_continue = False

    @property
    def in_request(self) -> bool:
        """Whether part of a request has come; blank lines, which some clients send after a body, are none."""
        return self._head is not None or bool(self._buffer.strip(b"\r\n"))

    @property
    def head_complete(self) -> bool:
        """Whether the body of a request is being received."""
        return self._head is not None

    def feed(self, data: bytes) -> None:
        """Take what the connection gave."""
        self._buffer += data

    def next(self) -> Request | None:
        """The next whole request, None when more bytes are needed; ``HttpError`` when it cannot be served."""
        if self._head is None:
            self._head = self._read_head()
            if self._head is None:
                return None
            self._begin_body(self._head)
        whole = self._read_chunks() if self._length is None else self._read_counted(self._length)
        if not whole:
            return None
        head, body = self._head, bytes(self._body)
        self._head, self._body, self.wants_continue = None, bytearray(), False
        return Request(head.method, head.path, head.query, head.headers, body, head.version)

    # Head

    def _read_head(self) -> _Head | None:
        while self._buffer.startswith((b"\r", b"\n")):
            end = self._buffer.find(b"\n")
            if end < 0 and len(self._buffer) < 2:
                return None
            if end not in (0, 1) or self._blank_lines >= _MAX_BLANK_LINES:
                raise HttpError(400, "no request line")
            self._blank_lines += 1
            del self._buffer[: end + 1]
        lines: list[bytes] = []
        offset = 0
        while True:
            end = self._buffer.find(b"\n", offset, self._limits.head_bytes)
            if end < 0:
                if len(self._buffer) >= self._limits.head_bytes:
                    raise HttpError(431, "the head is too large")
                return None
            line = bytes(self._buffer[offset:end]).removesuffix(b"\r")
            offset = end + 1
            if not line:
                break
            lines.append(line)
        del self._buffer[:offset]
        self._blank_lines = 0
        return self._parse_head(lines)

    def _parse_head(self, lines: list[bytes]) -> _Head:
        words = lines[0].split(b" ")
        if len(words) != 3 or not _TOKEN.fullmatch(words[0]) or not _TARGET.fullmatch(words[1]):
            raise HttpError(400, "not a request line")
        if words[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
            known = words[2].startswith(b"HTTP/")
            raise HttpError(505 if known else 400, "not HTTP/1.1")
        if len(lines) - 1 > self._limits.headers:
            raise HttpError(431, "too many headers")
        headers = tuple(_parse_header(line) for line in lines[1:])
        version = words[2][5:].decode()
        hosts = sum(1 for key, _ in headers if key.lower() == "host")
        if hosts > 1 or (version == "1.1" and hosts == 0):
            raise HttpError(400, "not exactly one Host")
        target = _ORIGIN.sub("", words[1].decode("ascii"), count=1) or "/"
        path, _, query = target.partition("?")
        return _Head(words[0].decode("ascii"), path, query, version, headers)

    # Body

    def _begin_body(self, head: _Head) -> None:
        encodings = [value.strip().lower() for key, value in head.headers if key.lower() == "transfer-encoding"]
        lengths = {
            part.strip() for key, value in head.headers if key.lower() == "content-length" for part in value.split(",")
        }
        if encodings and lengths:
            raise HttpError(400, "Content-Length and Transfer-Encoding")
        expectation = header(head.headers, "expect")
        if encodings:
            if encodings != ["chunked"]:
                raise HttpError(501, "a transfer encoding other than chunked")
            self._length, self._chunk_left, self._trailer_bytes = None, -1, None
        else:
            text = lengths.pop() if lengths else "0"
            if lengths or not _DIGITS.fullmatch(text):
                raise HttpError(400, "not a Content-Length")
            self._length = int(text)
            if self._length > self._limits.body_bytes:
                raise HttpError(413, "the body is too large")
        if expectation is not None:
            if expectation.lower() != "100-continue":
                raise HttpError(417, "an unknown expectation")
            self.wants_continue = head.version == "1.1" and not self._buffer and self._length != 0

    def _read_counted(self, length: int) -> bool:
        missing = length - len(self._body)
        self._body += self._buffer[:missing]
        del self._buffer[:missing]
        return len(self._body) == length

    def _read_chunks(self) -> bool:
        while self._trailer_bytes is None:
            if self._chunk_left > 0:
                piece = self._buffer[: self._chunk_left]
                self._body += piece
                self._chunk_left -= len(piece)
                del self._buffer[: len(piece)]
                if self._chunk_left > 0:
                    return False
            if self._chunk_left == 0:
                line = self._line(2)
                if line is None:
                    return False
                if line:
                    raise HttpError(400, "a chunk is longer than announced")
                self._chunk_left = -1
            size_line = self._line(self._limits.head_bytes)
            if size_line is None:
                return False
            digits = size_line.partition(b";")[0].strip(b" \t")
            if not _HEX.fullmatch(digits):
                raise HttpError(400, "not a chunk size")
            self._chunk_left = int(digits, 16)
            if len(self._body) + self._chunk_left > self._limits.body_bytes:
                raise HttpError(413, "the body is too large")
            if self._chunk_left == 0:
                self._trailer_bytes = 0
        return self._read_trailer(self._trailer_bytes)

    def _read_trailer(self, seen_bytes: int) -> bool:
        while True:
            line = self._line(self._limits.head_bytes - seen_bytes)
            if line is None:
                self._trailer_bytes = seen_bytes
                return False
            if not line:
                return True
            _parse_header(line)
            seen_bytes += len(line) + 2

    def _line(self, limit: int) -> bytes | None:
        end = self._buffer.find(b"\n", 0, max(limit, 0))
        if end < 0:
            if len(self._buffer) >= limit:
                raise HttpError(400, "a line in a chunked body is too long")
            return None
        line = bytes(self._buffer[:end]).removesuffix(b"\r")
        del self._buffer[: end + 1]
        return line


def _parse_header(line: bytes) -> tuple[str, str]:
    name, colon, value = line.partition(b":")
    value = value.strip(b" \t")
    if not colon or not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
        raise HttpError(400, "not a header")
    return name.decode("ascii"), value.decode("latin-1")
