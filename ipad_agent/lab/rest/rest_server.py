"""The REST API on a port of this machine: paths, methods, JSON, errors, and the stream of events.

Nobody is asked who they are, so nobody from elsewhere may get here: it listens on loopback, and a browser that was sent
here by a page of somebody else is told by its Host, Origin or Content-Type.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

from ipad_agent.lab.http import HeaderRule, HttpServer, Request, Response

from .rest_documents import Document, entry_document, error_document
from .rest_functions import Call, EimFunctions, RestError

LOG = logging.getLogger("ipad_agent.lab")

PREFIX = "/api/v1"
JSON_TYPE = "application/json"
JSON_BODY = HeaderRule("Content-Type", media_types=(JSON_TYPE,), status=415)
_HERE = Path(__file__).parent
_PAGE = {
    "/": ("lab_page.html", "text/html; charset=utf-8"),
    "/lab_page.js": ("lab_page.js", "text/javascript; charset=utf-8"),
    "/lab_page.css": ("lab_page.css", "text/css; charset=utf-8"),
}
_SECURITY = (
    ("Content-Security-Policy", "default-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
)
_OWN_NAME = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d+)?", re.IGNORECASE)
_ALIVE_S = 15.0
_MAX_BEHIND = 1000

Function = Callable[[Call], Document | None]


class RestServer:
    """``async with RestServer(functions, port) as server: ... server.url``; ``port`` 0 is any free one."""

    def __init__(self, functions: EimFunctions, port: int = 0) -> None:
        self.functions = functions
        self.http = HttpServer(self._answer, port=port)
        self._routes = _routes(functions)

    async def __aenter__(self) -> RestServer:
        await self.http.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.stop()

    @property
    def url(self) -> str:
        """``http://127.0.0.1:12345``: the page; the API is below ``/api/v1``."""
        return self.http.url

    def _answer(self, request: Request) -> Response:
        try:
            return self._found(request)
        except RestError as error:
            return _json(error.status, error_document(error.code, str(error)))

    def _found(self, request: Request) -> Response:
        _check_origin(request)
        if request.path in _PAGE:
            _only(request, "GET")
            name, kind = _PAGE[request.path]
            return Response(200, (_HERE / "page" / name).read_bytes(), kind, _SECURITY)
        if request.path == "/openapi.json":
            _only(request, "GET")
            return Response(200, (_HERE / "openapi.json").read_bytes(), JSON_TYPE, _SECURITY)
        if request.path == f"{PREFIX}/events":
            _only(request, "GET")
            return self._events(request)
        methods, values = _matching(self._routes, request.path)
        if methods is None:
            raise RestError(404, "not-found", f"there is nothing at {request.path}; see /openapi.json")
        if request.method not in methods:
            raise RestError(405, "method-not-allowed", f"{request.path} takes {', '.join(methods)}")
        status, function = methods[request.method]
        call = Call(values, dict(parse_qsl(request.query, keep_blank_values=True)), _body(request))
        document = function(call)
        LOG.info("REST: %s %s -> %d", request.method, request.path, status)
        return Response(204, headers=_SECURITY) if document is None else _json(status, document)

    def _events(self, request: Request) -> Response:
        """Server-sent events: one for each entry of the history, from now on or behind ``Last-Event-ID``."""
        last = request.header("Last-Event-ID") or ""
        since = int(last) if last.isdecimal() and len(last) < 10 else self.functions.eim.noted
        return Response(200, b": the lab's eIM\n\n", "text/event-stream", _SECURITY, stream=self._entries(since))

    async def _entries(self, since: int) -> AsyncIterator[bytes]:
        eim = self.functions.eim
        news: asyncio.Queue[tuple[int, dict[str, Any]]] = asyncio.Queue()

        def listen(entry: dict[str, Any]) -> None:
            news.put_nowait((eim.noted, entry))

        eim.listeners.append(listen)
        try:
            for number, entry in self.functions.numbered():
                if number > since:
                    yield _event(number, entry)
            while news.qsize() < _MAX_BEHIND:  # whoever is further behind asks again
                try:
                    async with asyncio.timeout(_ALIVE_S):
                        number, entry = await news.get()
                except TimeoutError:
                    yield b": alive\n\n"
                    continue
                yield _event(number, entry)
        finally:
            eim.listeners.remove(listen)


def _routes(own: EimFunctions) -> dict[str, dict[str, tuple[int, Function]]]:
    device, order = "/devices/{eid}", "/devices/{eid}/orders/{number}"
    return {
        "/eim": {"GET": (200, own.get_eim), "PATCH": (200, own.change_eim)},
        "/eim/configuration": {"GET": (200, own.get_eim_configuration)},
        "/verbs": {"GET": (200, own.list_verbs)},
        "/devices": {"GET": (200, own.list_devices), "POST": (201, own.add_device)},
        "/devices/import": {"POST": (201, own.import_device)},
        device: {"GET": (200, own.get_device), "DELETE": (204, own.forget_device)},
        f"{device}/orders": {"GET": (200, own.list_orders), "POST": (201, own.add_order)},
        order: {"GET": (200, own.get_order), "DELETE": (204, own.cancel_order)},
        "/results": {"GET": (200, own.list_results)},
        "/results/take": {"POST": (204, own.take_results)},
        "/faults": {"POST": (201, own.arm_fault), "DELETE": (204, own.clear_faults)},
    }


def _matching(
    routes: dict[str, dict[str, tuple[int, Function]]], path: str
) -> tuple[dict[str, tuple[int, Function]] | None, dict[str, str]]:
    """The methods at a path and the values in it; a path without braces goes before one with."""
    given = [unquote(part) for part in path.removeprefix(PREFIX).split("/")] if path.startswith(f"{PREFIX}/") else []
    for template, methods in routes.items():
        wanted = template.split("/")
        if len(wanted) != len(given):
            continue
        pairs = list(zip(wanted, given, strict=True))
        if all(one == other or one.startswith("{") for one, other in pairs):
            return methods, {one[1:-1]: other for one, other in pairs if one.startswith("{")}
    return None, {}


def _check_origin(request: Request) -> None:
    origin = request.header("Origin")
    own = origin is None or (origin.startswith("http://") and _OWN_NAME.fullmatch(origin.removeprefix("http://")))
    if not own or not _OWN_NAME.fullmatch(request.header("Host") or ""):
        raise RestError(403, "forbidden", "only this machine may ask, by the name localhost or 127.0.0.1")


def _only(request: Request, method: str) -> None:
    if request.method != method:
        raise RestError(405, "method-not-allowed", f"{request.path} takes {method}")


def _body(request: Request) -> dict[str, Any]:
    if not request.body:
        if request.method in ("POST", "PATCH") and not JSON_BODY.complies(request):
            raise RestError(415, "unsupported-media-type", f"the Content-Type is {JSON_TYPE}, also without a body")
        return {}
    if not JSON_BODY.complies(request):
        raise RestError(415, "unsupported-media-type", f"a body is {JSON_TYPE}")
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise RestError(400, "bad-request", f"the body is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise RestError(400, "bad-request", "the body is no JSON object")
    return body


def _event(number: int, entry: dict[str, Any]) -> bytes:
    data = json.dumps(entry_document(number, entry), ensure_ascii=False, default=str)
    return f"id: {number}\nevent: entry\ndata: {data}\n\n".encode()


def _json(status: int, document: Document) -> Response:
    body = json.dumps(document, ensure_ascii=False, default=str).encode() + b"\n"
    return Response(status, body, JSON_TYPE, _SECURITY)
