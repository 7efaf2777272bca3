"""The laboratory's own parsers: strangers' agents and card tools are tried against it."""

from __future__ import annotations

from collections.abc import Iterator

from ipad_agent.lab.crypto import der
from ipad_agent.lab.http.http_message import HttpError
from ipad_agent.lab.http.http_parser import RequestParser

from .target import Kind, Target


def _requests(data: bytes) -> object:
    parser = RequestParser()
    parser.feed(data)
    found = []
    while (request := parser.next()) is not None:
        found.append(request)
    return found


def _der(data: bytes) -> object:
    """The element with everything in it, five levels down."""
    node = der.parse(data)
    level = [node]
    for _ in range(5):
        level = [child for one in level if one.constructed for child in one.children]
    return level


def targets() -> Iterator[Target]:
    """Elements and requests."""
    readers = {
        "parse": _der,
        "parse BER": lambda data: der.parse(data, ber=True),
        "parse_all": der.parse_all,
        "announced_size": der.announced_size,
    }
    yield Target("lab-der", Kind.BER, readers, (der.DerError,), "ber")
    yield Target("lab-http", Kind.LINES, {"requests": _requests}, (HttpError,))
