"""What goes in and out of the lab's HTTP server: requests, responses, and how a response may misbehave."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum

HeaderList = tuple[tuple[str, str], ...]


class HttpError(Exception):
    """The request is not served; ``status`` is what the client is told before the connection is closed."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Request:
    """One request with its whole body.

    ``path`` is the target without query, not unescaped; ``headers`` are in the order and spelling of the client.
    ``connection`` numbers the TCP connections of a server from 1 and ``index`` the requests on it from 0, so that a
    handler can tell whether a procedure stays on one connection.
    """

    method: str
    path: str
    query: str = ""
    headers: HeaderList = ()
    body: bytes = b""
    version: str = "1.1"
    connection: int = 0
    index: int = 0
    peer: str = ""

    def header(self, name: str) -> str | None:
        """The first header of that name (any case), None when absent."""
        return header(self.headers, name)


def header(headers: HeaderList, name: str) -> str | None:
    """The first header of that name (any case), None when absent."""
    wanted = name.lower()
    return next((value for key, value in headers if key.lower() == wanted), None)


class Ending(Enum):
    """What becomes of the connection after a response."""

    KEEP = "kept, as far as client and settings allow"
    CLOSE = "closed in good order: Connection: close, close_notify"
    SILENT = "closed in good order, but not announced by a header"
    ABORT = "torn down: no close_notify, TCP reset where possible"


@dataclass(frozen=True, slots=True)
class Response:
    """What a handler answers. Everything behind ``body`` is for misbehaviour; sizes in bytes, times in seconds.

    ``parts`` follow ``body`` and are made while sending, for bodies that should not be in memory at once; without
    ``length_bytes`` such a body is sent chunked. ``length_bytes`` replaces the true Content-Length: a lie makes the
    client wait or stop early. ``chunked`` sends any body in chunks. ``drip_bytes`` sends the body in pieces of that
    size with ``drip_s`` between them. ``cut_bytes`` stops after so many bytes of head and body and ends the
    connection. ``answer`` False sends nothing at all. ``raw`` replaces head and body by these bytes.

    ``stream`` is a body without end, sent in chunks as its pieces come, behind ``body``; the connection is closed
    after it.

    ``later`` set means that the answer is not known yet: it is awaited, once, and what it gives is sent instead.
    """

    status: int = 200
    body: bytes = b""
    content_type: str | None = None
    headers: HeaderList = ()
    ending: Ending = Ending.KEEP

    delay_s: float = 0.0
    parts: Iterable[bytes] | None = None
    length_bytes: int | None = None
    chunked: bool = False
    drip_bytes: int = 0
    drip_s: float = 0.0
    cut_bytes: int | None = None
    answer: bool = True
    raw: bytes | None = None
    stream: AsyncIterator[bytes] | None = None
    later: Callable[[], Awaitable[Response]] | None = None


Handler = Callable[[Request], Response]


@dataclass(frozen=True, slots=True)
class HeaderRule:
    """What a server insists on. ``allowed`` values are compared as they are, ``prefixes`` with the beginning,
    ``media_types`` (in lower case) with what stands before the parameters, in any case (RFC 9110 §8.3.1); all of them
    empty: the header must only be there. ``optional``: it may also be left out. A request that does not comply is
    answered ``status``."""

    name: str
    allowed: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    status: int = 400
    media_types: tuple[str, ...] = ()
    optional: bool = False

    def complies(self, request: Request) -> bool:
        """Whether the request has what the rule wants."""
        value = request.header(self.name)
        if value is None:
            return self.optional
        if not self.allowed and not self.prefixes and not self.media_types:
            return True
        if value.partition(";")[0].strip().lower() in self.media_types:
            return True
        return value in self.allowed or value.startswith(self.prefixes or ("\0",))


@dataclass(slots=True)
class Routes:
    """A handler that chooses among handlers by path; ``post_only`` answers 405 to other methods, unknown paths 404.

    ``rules`` apply to every known path, in order; the first that is broken decides.
    """

    handlers: dict[str, Handler] = field(default_factory=dict)
    rules: tuple[HeaderRule, ...] = ()
    post_only: bool = True

    def __call__(self, request: Request) -> Response:
        handler = self.handlers.get(request.path)
        if handler is None:
            return Response(404)
        if self.post_only and request.method != "POST":
            return Response(405, headers=(("Allow", "POST"),))
        for rule in self.rules:
            if not rule.complies(request):
                return Response(rule.status, f"{rule.name} is not accepted\n".encode(), "text/plain")
        return handler(request)
