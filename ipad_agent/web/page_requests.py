"""What is answered to which request. No request changes anything but the browser's own cookie."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Final
from urllib.parse import parse_qs, urlsplit

from ipad_agent.records import dataclass

from . import events
from .agent_connection import AgentConnection, AgentError
from .doctor_runs import DoctorRuns
from .live_updates import LiveUpdates
from .page_response import Response, data, failure, page_file
from .web_access import COOKIE, COOKIE_S, LONGEST_TOKEN, Peer, WebAccess

WRONG_TOKEN_S: Final = 1.0
"""How long a wrong token has to wait for its answer."""
COMPLAIN_S: Final = 60.0
KEEP_ALIVE_S: Final = 20.0
"""Between two signs of life on a live connection that has nothing to tell."""
MAX_STREAMS: Final = 12
EVENTS_ASKED: Final = 50
_STATUS: Final[Mapping[str, int]] = {
    "NotRunning": 503,
    "NotReady": 503,
    "Busy": 429,
    "NotAuthorized": 403,
    "NotFound": 404,
    "MethodNotFound": 501,
}


@dataclass(frozen=True, slots=True)
class Request:
    """``headers`` with names in small letters."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    peer: Peer


class PageRequests:
    """Answers, from the agent's socket and the files of the page."""

    def __init__(self, access: WebAccess, agent: AgentConnection) -> None:
        self._access = access
        self._agent = agent
        self._live = LiveUpdates(agent)
        self._doctor = DoctorRuns(agent)
        self._bundling = asyncio.Lock()
        self._streams = 0
        self._complained_s: dict[str, float] = {}
        self._open: Mapping[tuple[str, str], Callable[[Request], Awaitable[Response]]] = {
            ("POST", "/api/login"): self._log_in,
            ("POST", "/api/logout"): self._log_out,
        }
        self._guarded: Mapping[tuple[str, str], Callable[[Request], Awaitable[Response]]] = {
            ("GET", "/api/status"): self._status,
            ("GET", "/api/live"): self._follow,
            ("GET", "/api/events"): self._events,
            ("GET", "/api/history"): self._history,
            ("GET", "/api/explain"): self._explain,
            ("GET", "/api/bundle"): self._bundle,
            ("POST", "/api/doctor"): self._examine,
        }

    async def answer(self, request: Request) -> Response:
        """Whatever was asked; never raises for what a browser or the agent did."""
        host = request.headers.get("host", "")
        if not self._access.knows_host(host, request.peer):
            if self._may_complain("host"):
                events.FOREIGN_HOST.emit(host=host[:100])
            return failure(421, "This page has another name.", "Its names besides localhost are told with --host.")
        path = urlsplit(request.target).path
        method = "GET" if request.method == "HEAD" else request.method
        found = page_file(path, request.headers.get("if-none-match", ""))
        if found is not None:
            return found if method == "GET" else _wrong_method("GET, HEAD")
        key = (method, path)
        handler = self._open.get(key) or self._guarded.get(key)
        if handler is None:
            others = [known for known, at in [*self._open, *self._guarded] if at == path]
            return _wrong_method(", ".join(others)) if others else failure(404, "There is nothing here.")
        if not _from_this_page(request):
            return failure(403, "This was asked by another site.")
        if key in self._guarded and not self._access.lets_in(request.headers, request.peer, time.time()):
            if request.headers.get("authorization"):
                await self._refuse_token(request.peer)
            return failure(401, "Please sign in.", name="SignIn", **{"WWW-Authenticate": "Bearer"})
        try:
            return await handler(request)
        except AgentError as error:
            status = _STATUS.get(error.name, 502)
            return failure(status, error.sentence, error.hint, name=error.name)

    # -- signing in ----------------------------------------------------------------------------------------------------

    async def _log_in(self, request: Request) -> Response:
        try:
            found = json.loads(request.body)
            token = found["token"] if isinstance(found, dict) else None
        except (ValueError, KeyError, RecursionError):
            token = None
        if not isinstance(token, str) or len(token) > LONGEST_TOKEN or not self._access.is_token(token.strip()):
            await self._refuse_token(request.peer)
            return failure(403, "That is not the token.", "It is in the file that the service was given.")
        return Response(204, {"Set-Cookie": _cookie(self._access.session(time.time()), COOKIE_S, request)})

    async def _log_out(self, request: Request) -> Response:
        return Response(204, {"Set-Cookie": _cookie("", 0, request)})

    async def _refuse_token(self, peer: Peer) -> None:
        if self._may_complain("token"):
            events.WRONG_TOKEN.emit(address=peer.address or "a Unix socket")
        await asyncio.sleep(WRONG_TOKEN_S)

    def _may_complain(self, about: str) -> bool:
        now_s = time.monotonic()
        if now_s - self._complained_s.get(about, -COMPLAIN_S) < COMPLAIN_S:
            return False
        self._complained_s[about] = now_s
        return True

    # -- the device ----------------------------------------------------------------------------------------------------

    async def _status(self, _: Request) -> Response:
        return data(await self._agent.call("GetStatus"))

    async def _events(self, _: Request) -> Response:
        return data(await self._agent.call("ListEvents", {"count": EVENTS_ASKED}))

    async def _history(self, _: Request) -> Response:
        try:
            return data(await self._agent.call("ListHistory"))
        except AgentError as error:
            if error.name != "MethodNotFound":
                raise
            return data({"history": None})  # an agent that keeps none

    async def _explain(self, request: Request) -> Response:
        wanted = parse_qs(urlsplit(request.target).query).get("id", [""])[0]
        return data(await self._agent.call("Explain", {"id": wanted[:32]}))

    async def _bundle(self, _: Request) -> Response:
        if self._bundling.locked():
            return failure(429, "A bundle is being made already.", "Try again in a minute.", name="Busy")
        async with self._bundling:
            content = await self._agent.bundle()
        name = time.strftime("ipad-agent-%Y%m%d-%H%M%S.tar.gz")
        headers = {"Content-Type": "application/gzip", "Content-Disposition": f'attachment; filename="{name}"'}
        return Response(200, headers, content)

    async def _examine(self, _: Request) -> Response:
        return self._streamed("application/x-ndjson", _lines(self._doctor.examine()))

    async def _follow(self, _: Request) -> Response:
        return self._streamed("text/event-stream", _server_sent(self._live.follow()))

    def _streamed(self, kind: str, pieces: AsyncGenerator[bytes, None]) -> Response:
        if self._streams >= MAX_STREAMS:
            return failure(503, "Too many people look at this page.", "Close another window of it.", name="Busy")
        return Response(200, {"Content-Type": kind, "X-Accel-Buffering": "no"}, stream=self._counted(pieces))

    async def _counted(self, pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        self._streams += 1
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    yield piece
        finally:
            self._streams -= 1


async def _lines(values: AsyncGenerator[dict[str, object], None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(values):
        async for value in values:
            yield json.dumps(value).encode("ascii") + b"\n"


async def _server_sent(updates: AsyncGenerator[dict[str, object], None]) -> AsyncGenerator[bytes, None]:
    """As ``text/event-stream``; JSON has no line ends, so each update is one line of data."""
    async with aclosing(updates):
        yield b"retry: 3000\n\n"
        coming: asyncio.Task[dict[str, object]] | None = None
        try:
            while True:
                coming = coming or asyncio.ensure_future(anext(updates))
                done, _ = await asyncio.wait([coming], timeout=KEEP_ALIVE_S)
                if not done:
                    yield b": still here\n\n"
                    continue
                yield b"data: " + json.dumps(coming.result()).encode("ascii") + b"\n\n"
                coming = None
        finally:
            if coming is not None:
                coming.cancel()
                await asyncio.wait([coming])


def _from_this_page(request: Request) -> bool:
    """Whether the browser says that this page asked, or the user directly. What is posted is JSON, which a form of a
    foreign site cannot send."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None and site not in ("same-origin", "none"):
        return False
    if origin is not None and urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower():
        return False
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return request.method != "POST" or kind == "application/json"


def _cookie(value: str, age_s: int, request: Request) -> str:
    """Only sent back to this page, never to scripts; over HTTPS only, where a proxy on this machine says that it is."""
    behind_https = request.peer.local and request.headers.get("x-forwarded-proto", "").lower() == "https"
    secure = "; Secure" if behind_https else ""
    return f"{COOKIE}={value}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Strict{secure}"


def _wrong_method(allowed: str) -> Response:
    return failure(405, "This cannot be done here.", Allow=allowed)
