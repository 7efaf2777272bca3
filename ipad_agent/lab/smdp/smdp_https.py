"""The HTTPS face of SM-DP+ and SM-DS: paths, headers, JSON as bytes, and answers that are wrong on the wire."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from ipad_agent.lab.http import (
    Ending,
    Handler,
    HeaderRule,
    HttpServer,
    HttpSettings,
    Request,
    Response,
    Routes,
    TlsSettings,
)
from ipad_agent.lab.pki import Credential

from .es2.operator_functions import PATH as ES2_PATH
from .es2.operator_functions import OperatorFunctions
from .rsp_server import HTML_500, Reply, RspServer
from .smdp_faults import Faults

PATH = "/gsma/rsp2/es9plus/"
JSON_TYPE = "application/json;charset=UTF-8"
LENIENT: tuple[HeaderRule, ...] = ()
USUAL = (
    HeaderRule("X-Admin-Protocol", prefixes=("gsma/rsp/v",)),
    HeaderRule("Content-Type", media_types=("application/json",), status=415),
)
"""What most servers insist on."""
EXACT = (
    HeaderRule("X-Admin-Protocol", allowed=("gsma/rsp/v2.1.0",)),
    HeaderRule("Content-Type", allowed=("application/json",), status=415),
    HeaderRule("User-Agent", allowed=("gsma-rsp-lpad",), status=403),
)
"""What the pickiest do."""
_BLANKS = b" " * 65536


@dataclass(frozen=True, slots=True)
class FrontSettings:
    """``rules`` for request headers (``LENIENT``, ``USUAL``, ``EXACT`` or others); ``protocol`` is sent back."""

    rules: tuple[HeaderRule, ...] = USUAL
    protocol: str = "gsma/rsp/v2.5.0"
    json_type: str = JSON_TYPE
    path: str = PATH


class Front:
    """A handler for ``HttpServer`` that puts one server's functions under their paths."""

    def __init__(
        self,
        server: RspServer,
        settings: FrontSettings | None = None,
        operator: OperatorFunctions | None = None,
    ) -> None:
        self.server = server
        self.settings = settings or FrontSettings()
        paths = {self.settings.path + name: self._route(server, name) for name in server.functions}
        if operator is not None:
            paths |= {ES2_PATH + name: self._route(operator, name) for name in operator.functions}
        self.routes = Routes(paths, self.settings.rules)

    def __call__(self, request: Request) -> Response:
        return self.routes(request)

    def _route(self, server: RspServer | OperatorFunctions, function: str) -> Handler:
        def answer(request: Request) -> Response:
            try:
                body = json.loads(request.body)
            except (ValueError, RecursionError):
                # What is no JSON at all is no object either, and answered in the same way.
                body = None
            return self._response(server.handle(function, body))

        return answer

    def _response(self, reply: Reply) -> Response:
        response = self._plain(reply)
        headers = (("X-Admin-Protocol", self.settings.protocol),)
        return _misbehave(replace(response, headers=headers), reply.faults)

    def _plain(self, reply: Reply) -> Response:
        faults = reply.faults
        if "html" in faults:
            return Response(500, HTML_500.encode(), "text/html; charset=utf-8")
        if reply.page is not None:
            kind = "text/html" if reply.page.startswith("<") else "text/plain"
            return Response(reply.status, reply.page.encode(), f"{kind}; charset=utf-8")
        if reply.body is None or "empty" in faults:
            return Response(reply.status)
        return Response(reply.status, _spoiled_json(reply.body, faults), self.settings.json_type)


def _spoiled_json(body: dict[str, Any], faults: Faults) -> bytes:
    body = dict(body)
    if "no-header" in faults:
        body.pop("header", None)
    if "word" in faults and "header" in body:
        inside = body["header"]["functionExecutionStatus"]
        body["header"] = {"functionExecutionStatus": {**inside, "status": str(faults.value("word", "Expired"))}}
    if "drop-field" in faults:
        body.pop(str(faults.value("drop-field")), None)
    if "field" in faults:
        name, value = faults.value("field")
        body[name] = value
    for action, change in (
        ("number-field", lambda _: 4711),
        ("base64", lambda text: text[:-5] + "*?" + text[-3:]),
        ("der", _without_last_byte),
    ):
        name = str(faults.value(action, ""))
        if action in faults and isinstance(body.get(name), str):
            body[name] = change(body[name])
    if "not-json" in faults:
        return b"{" + json.dumps(body).encode()
    if "shape" in faults:
        shapes = {"list": [body], "string": json.dumps(body), "null": None, "number": 4711}
        wanted = faults.value("shape", "list")
        return b"[" * 100_000 + b"]" * 100_000 if wanted == "nested" else json.dumps(shapes[wanted]).encode()
    return json.dumps(body).encode()


def _without_last_byte(text: str) -> str:
    return b64encode(b64decode(text)[:-1]).decode()


def _misbehave(response: Response, faults: Faults) -> Response:
    if "dead" in faults or "lose-answer" in faults:
        return Response(answer=False, ending=Ending.ABORT)
    if "late" in faults:
        response = replace(response, delay_s=float(faults.value("late", 1)))
    if "drip" in faults:
        size, pause_s = faults.value("drip", (1, 0.1))
        response = replace(response, drip_bytes=size, drip_s=pause_s)
    if "oversize" in faults:
        size = int(faults.value("oversize", 100_000_000))
        head, tail = response.body[:1], response.body[1:]
        total = len(response.body) + size
        response = replace(response, body=head, parts=_padded(size, tail), length_bytes=total)
    if "cut" in faults:
        response = replace(response, cut_bytes=int(faults.value("cut", 0)))
    if "length" in faults:
        response = replace(response, length_bytes=len(response.body) + int(faults.value("length", 1)))
    if "chunked" in faults:
        response = replace(response, chunked=True)
    if "close" in faults:
        response = replace(response, ending=Ending.CLOSE)
    if "abort" in faults:
        response = replace(response, ending=Ending.ABORT)
    return response


def _padded(size: int, tail: bytes) -> Iterator[bytes]:
    """Blanks are allowed anywhere between the tokens of JSON: the body stays a right one, only huge."""
    for start in range(0, size, len(_BLANKS)):
        yield _BLANKS[: size - start]
    yield tail


@dataclass(frozen=True, slots=True)
class PortSettings:
    """Where and how a server listens. ``tls`` is a certificate in place of the server's own (``chain`` goes behind it),
    or all there is to say about TLS; ``plain`` has no TLS at all.
    """

    host: str = "127.0.0.1"
    port: int = 0
    tls: Credential | TlsSettings | None = None
    chain: tuple[Credential, ...] = ()
    plain: bool = False
    front: FrontSettings = field(default_factory=FrontSettings)
    http: HttpSettings = field(default_factory=HttpSettings)


class RspHttpServer:
    """Any ``RspServer`` on a port; ``http`` is the HTTP server with its counters, ``core`` what answers.

    ``operator`` puts ES2+ beside it, on the same port.
    """

    def __init__(
        self, core: RspServer, settings: PortSettings | None = None, *, operator: OperatorFunctions | None = None
    ) -> None:
        self.core = core
        self.settings = settings or PortSettings()
        wanted = self.settings.tls or core.identity.tls
        tls = wanted if isinstance(wanted, TlsSettings) else TlsSettings(wanted, self.settings.chain)
        self.http = HttpServer(
            Front(core, self.settings.front, operator),
            tls=None if self.settings.plain else tls,
            settings=self.settings.http,
            host=self.settings.host,
            port=self.settings.port,
        )

    async def __aenter__(self) -> RspHttpServer:
        await self.http.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.stop()

    @property
    def port(self) -> int:
        """The TCP port, once started."""
        return self.http.port

    @property
    def url(self) -> str:
        """Where the functions are: append their names."""
        return self.http.url + self.settings.front.path


class SmdpServer(RspHttpServer):
    """A ``VirtualSmdp`` on a port: ``async with SmdpServer(smdp) as server: ... server.url``."""


class SmdsServer(RspHttpServer):
    """A ``VirtualSmds`` on a port."""
