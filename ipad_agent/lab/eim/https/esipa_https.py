"""The HTTPS front of the eIM: ASN.1 and JSON bindings before one application (SGP.32 v1.2 §6.1, §6.4).

    async with HttpsServer(eim, TlsSettings(pki["eim-tls-self"])) as server:
        ...  # POST to server.url

What an eIM may be picky about is in ``FrontSettings``; ``STRICT`` is one that is known to be.
"""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from ipad_agent.lab.crypto import der
from ipad_agent.lab.eim import esipa_messages
from ipad_agent.lab.eim.device_binding import PATH as BIND_PATH
from ipad_agent.lab.eim.errors import RequestRefusedError
from ipad_agent.lab.eim.esipa_application import Application, Reply
from ipad_agent.lab.http import Ending, HeaderRule, HttpServer, HttpSettings, Request, Response, TlsSettings

from . import json_binding

log = logging.getLogger("ipad_agent.lab")

ASN1_PATH = "/gsma/rsp2/asn1"
JSON_PATH = "/gsma/rsp2/esipa/"
ASN1_TYPE = "application/x-gsma-rsp-asn1"
JSON_TYPE = "application/json;charset=UTF-8"
PROTOCOL = "gsma/rsp/v2.1.0"
USUAL_PROTOCOL = HeaderRule("X-Admin-Protocol", prefixes=("gsma/rsp/v",), optional=True)
USUAL_ASN1_TYPE = HeaderRule("Content-Type", media_types=(ASN1_TYPE,), status=415)
USUAL_JSON_TYPE = HeaderRule("Content-Type", media_types=("application/json",), status=415)
PAGE = b"<!doctype html>\n<title>Sign in to the network</title>\n<p>Please accept the terms of use.</p>\n"
_BLANKS = b" " * 65536


@dataclass(frozen=True, slots=True)
class FrontSettings:
    """What is served and what is insisted on.

    ``protocol_rule`` is for X-Admin-Protocol, ``asn1_type_rule`` and ``json_type_rule`` for the Content-Type,
    ``rules`` for anything else (a User-Agent). ``protocol`` is answered; with ``repeat_protocol`` the requester's own
    value is, if it sent one: SGP.32 v1.2 fixes it to 2.1.0, v1.3 has each end name its own release. ``bound`` ties
    work to the connection: results and RSP functions have no meaning on a connection on which no package was fetched.
    ``demand_close_notify`` complains about clients that just hang up. ``refuse_header`` says 400 to a JSON request
    with the ``header`` object that ESipa does not have.
    """

    asn1: bool = True
    json: bool = True
    protocol_rule: HeaderRule | None = USUAL_PROTOCOL
    asn1_type_rule: HeaderRule | None = USUAL_ASN1_TYPE
    json_type_rule: HeaderRule | None = USUAL_JSON_TYPE
    rules: tuple[HeaderRule, ...] = ()
    protocol: str | None = PROTOCOL
    repeat_protocol: bool = True
    notification_status: int = 204
    bound: bool = False
    demand_close_notify: bool = False
    refuse_header: bool = False


LENIENT = FrontSettings(protocol_rule=None, asn1_type_rule=None, json_type_rule=None)
"""Takes whatever is posted."""
OF_V1_3 = FrontSettings(
    protocol_rule=HeaderRule("X-Admin-Protocol", prefixes=("gsma/rsp/v1.", "gsma/rsp/v2.")),
    protocol="gsma/rsp/v1.3.0",
    repeat_protocol=False,
)
"""An eIM of SGP.32 v1.3, which says so."""
STRICT = FrontSettings(
    json=False,
    protocol_rule=HeaderRule("X-Admin-Protocol", allowed=(PROTOCOL,)),
    asn1_type_rule=HeaderRule("Content-Type", allowed=(ASN1_TYPE,), status=415),
    bound=True,
)
"""ASN.1 only, headers to the letter, and everything on one connection."""


Bind = Callable[..., tuple[int, int | None]]
"""See ``DeviceBindings.bind``."""


class Front:
    """A handler for ``HttpServer``. ``complaints`` are the sentences of ``demand_close_notify``, the latest ones.
    ``bind`` answers devices that register themselves; without it there is nothing at that path."""

    def __init__(
        self, application: Application, settings: FrontSettings | None = None, bind: Bind | None = None
    ) -> None:
        self.application = application
        self.bind = bind
        self.settings = settings or FrontSettings()
        self.complaints: deque[str] = deque(maxlen=100)
        self._with_work: set[int] = set()

    def __call__(self, request: Request) -> Response:
        settings = self.settings
        if settings.asn1 and request.path == ASN1_PATH:
            return self._refused(request, settings.asn1_type_rule) or self._asn1(request)
        function = request.path.removeprefix(JSON_PATH)
        if settings.json and request.path.startswith(JSON_PATH) and function in json_binding.FUNCTIONS:
            return self._refused(request, settings.json_type_rule) or self._json(request, function)
        if self.bind is not None and request.path == BIND_PATH:
            return self._bind(self.bind, request)
        return _text(404, "there is nothing at this path")

    def _bind(self, bind: Bind, request: Request) -> Response:
        """Not ESipa: neither its headers nor its content types."""
        if request.method != "POST":
            return replace(_text(405, "only POST"), headers=(("Allow", "POST"),))
        if not USUAL_JSON_TYPE.complies(request):
            return _text(415, "an import file is application/json")
        status, retry_s = bind(request.body, now_s=time.time())
        retry = () if retry_s is None else (("Retry-After", str(retry_s)),)
        return Response(204) if status == 204 else replace(_text(status, "see the eIM's history"), headers=retry)

    def ended(self, connection: int, goodbye: bool | None) -> None:
        """For ``HttpServer.on_end``: what was tied to the connection is free again."""
        self._with_work.discard(connection)
        if goodbye is False and self.settings.demand_close_notify:
            self.complaints.append(f"connection {connection} ended without close_notify")
            log.error("eIM: %s", self.complaints[-1])

    def _refused(self, request: Request, type_rule: HeaderRule | None) -> Response | None:
        if request.method != "POST":
            return replace(_text(405, "only POST"), headers=(("Allow", "POST"),))
        for rule in (self.settings.protocol_rule, type_rule, *self.settings.rules):
            if rule is not None and not rule.complies(request):
                return _text(rule.status, f"{rule.name} {request.header(rule.name)!r} is not accepted")
        return None

    @property
    def connections_with_work(self) -> int:
        """How many open connections have been handed a package that ``bound`` ties to them."""
        return len(self._with_work)

    # Bindings

    def _asn1(self, request: Request) -> Response:
        return self._exchange(request, request.body, lambda answer: (answer, ASN1_TYPE))

    def _json(self, request: Request, function: str) -> Response:
        try:
            fields = json.loads(request.body)
        except (ValueError, RecursionError):
            return _text(400, "the body is not JSON")
        if self.settings.refuse_header and isinstance(fields, dict) and "header" in fields:
            return _text(400, "requests have no header object")
        try:
            body = json_binding.request_body(function, fields)
        except json_binding.JsonRefusedError as error:
            return self._success(
                request, json_binding.text_bytes(json_binding.failed(error.code, str(error))), JSON_TYPE
            )

        def encode(answer: bytes) -> tuple[bytes, str]:
            return json_binding.answer_bytes(function, answer), JSON_TYPE

        return self._exchange(request, body, encode)

    def _exchange(self, request: Request, body: bytes, encode: Callable[[bytes], tuple[bytes, str]]) -> Response:
        unbound = self._unbound(request, body)
        if unbound is not None:
            return self._success(request, *encode(unbound))
        try:
            reply = self.application.exchange(body, now_s=time.time(), peer=f"https connection {request.connection}")
        except RequestRefusedError as error:
            log.warning("a request of %s was refused: %s", request.peer, error)
            return _text(400, str(error))
        later = reply.later
        if later is None:
            self._note_work(request, body, reply)
            return self._response(request, reply, encode)

        async def answer() -> Response:
            return self._response(request, await later(), encode)

        return Response(later=answer)

    # Work that belongs to a connection

    def _unbound(self, request: Request, body: bytes) -> bytes | None:
        """The answer for a request that has no meaning on this connection."""
        if not self.settings.bound or request.connection in self._with_work:
            return None
        tag = _tag(body)
        if tag in esipa_messages.ERROR_TAG:
            return esipa_messages.function_error(tag)
        return (
            esipa_messages.result_error(esipa_messages.UNDEFINED, esipa_messages.V1_2)
            if tag == esipa_messages.PROVIDE_RESULT
            else None
        )

    def _note_work(self, request: Request, body: bytes, reply: Reply) -> None:
        if self.settings.bound and _tag(body) == esipa_messages.GET_EIM_PACKAGE and _hands_out(reply.body):
            self._with_work.add(request.connection)

    # Answers

    def _success(self, request: Request, body: bytes, content_type: str) -> Response:
        protocol = self.settings.protocol
        if self.settings.repeat_protocol and protocol is not None:
            protocol = request.header("X-Admin-Protocol") or protocol
        headers = () if protocol is None else (("X-Admin-Protocol", protocol),)
        if not body:
            return Response(self.settings.notification_status, headers=headers)
        return Response(200, body, content_type, headers)

    def _response(self, request: Request, reply: Reply, encode: Callable[[bytes], tuple[bytes, str]]) -> Response:
        if reply.lost is not None:
            return Response(answer=False, ending=Ending.ABORT if reply.lost == "crash" else Ending.KEEP)
        if reply.wire is not None and reply.wire[0] == "redirect":
            url = str(reply.wire[1] or "https://elsewhere.example" + ASN1_PATH)
            return replace(_text(307, "elsewhere"), headers=(("Location", url),))
        if reply.code is not None and not reply.code.startswith("2"):
            retry = () if reply.max_age_s is None else (("Retry-After", str(reply.max_age_s)),)
            return replace(_text(_http_status(reply.code), "not now"), headers=retry)
        response = replace(self._success(request, *encode(reply.body)), delay_s=reply.delay_s)
        return response if reply.wire is None else _misbehave(response, *reply.wire)


def _misbehave(response: Response, action: str, value: Any) -> Response:
    number = value if isinstance(value, int | float) else 0
    match action:
        case "html":
            return Response(200, PAGE, "text/html; charset=utf-8")
        case "content-type":
            return replace(response, content_type=str(value or "text/plain"))
        case "oversize":
            size = int(number) or 100_000_000
            parts = (_BLANKS[: size - start] for start in range(0, size, len(_BLANKS)))
            return replace(response, parts=parts, length_bytes=len(response.body) + size)
        case "drip":
            return replace(response, drip_bytes=1, drip_s=float(number) or 0.5)
        case "cut":
            return replace(response, cut_bytes=int(number))
        case "length":
            return replace(response, length_bytes=len(response.body) + (int(number) or 1))
        case "chunked":
            return replace(response, chunked=True)
        case "close":
            return replace(response, ending=Ending.CLOSE)
        case "abort":
            return replace(response, ending=Ending.ABORT)
        case _:
            count = int(number) or 1000
            return replace(
                response, headers=(*response.headers, *((f"X-Needless-{i}", "x" * 60) for i in range(count)))
            )


def _http_status(code: str) -> int:
    """``404`` as it is, and for CoAP's ``4.04`` the same."""
    number, point, detail = code.partition(".")
    try:
        return int(number) * 100 + int(detail) if point else int(number)
    except ValueError:
        return 500


def _tag(body: bytes) -> int:
    try:
        return der.read_tag(body)[0]
    except der.DerError:
        return 0


def _hands_out(answer: bytes) -> bool:
    """Whether a GetEimPackageResponse has a package in it."""
    try:
        return any(one.tag > 0xFF for one in der.parse(answer).children)
    except der.DerError:
        return False


def _text(status: int, sentence: str) -> Response:
    return Response(status, f"{sentence}\n".encode(), "text/plain; charset=utf-8")


@dataclass(frozen=True, slots=True)
class HttpsPort:
    """Where to listen, and the limits of the HTTP server."""

    host: str = "127.0.0.1"
    port: int = 0
    http: HttpSettings = field(default_factory=HttpSettings)


class HttpsServer:
    """An application on a TCP port; ``tls`` None is plain HTTP, for debugging. ``front`` and ``http`` are its parts."""

    def __init__(
        self,
        application: Application,
        tls: TlsSettings | None,
        settings: FrontSettings | None = None,
        listen: HttpsPort | None = None,
        bind: Bind | None = None,
    ) -> None:
        listen = listen or HttpsPort()
        self.front = Front(application, settings, bind)
        self.http = HttpServer(self.front, tls=tls, settings=listen.http, host=listen.host, port=listen.port)
        self.http.on_end = self.front.ended

    async def __aenter__(self) -> HttpsServer:
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
        """Where a client posts ASN.1 to; the JSON functions are beside it."""
        return self.http.url + ASN1_PATH
