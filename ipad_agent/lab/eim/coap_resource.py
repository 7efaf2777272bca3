"""The resources of the eIM over CoAP: POST a body, get a body (SGP.32 v1.2 §6.2 with the paths of §6.1).

ASN.1 has one resource, JSON has one for each function, as over HTTPS.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import secrets
import time
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from aiocoap import Code
from aiocoap.message import Message
from aiocoap.pipe import Pipe

from ipad_agent.lab.eim.coap.server_blockwise import (
    BadBlock,
    Block,
    Block1Assembler,
    Block2Store,
    Complete,
    Continue,
    Incomplete,
    Slice,
    TooLarge,
    Verdict,
)
from ipad_agent.lab.eim.coap.server_transport import Remote

from .errors import RequestRefusedError
from .esipa_application import Application, Reply
from .https import json_binding

log = logging.getLogger("ipad_agent.lab")

_KNOWN_CRITICAL = frozenset({3, 7, 11, 15, 17, 23, 27})  # Uri-*, Accept, Block1, Block2
_PROXY = frozenset({35, 39})  # Proxy-Uri, Proxy-Scheme
_JSON_PATH = ("gsma", "rsp2", "esipa")
_OCTET_STREAM, _JSON = 42, 50
_EXPERIMENTAL = 65000


@dataclass(frozen=True, slots=True)
class CoapSettings:
    """What the CoAP side of the server does.

    ``block_size_exp`` is the largest SZX it sends and asks for (2: 64 bytes, 6: 1024). ``insist_on_block_size``
    refuses larger Block1 blocks with 4.13 instead of taking the first one. ``success_code`` is 2.04; other eIMs were
    seen with 2.05. ``content_format`` is put on answers, ``required_content_format`` refuses requests without it
    (4.15). SGP.32 sends no Content-Format; one that names another kind of content gets 4.15, an Accept of one 4.06.
    ``json`` offers the JSON binding too. ``require_echo`` asks each session once to repeat an Echo option (RFC 9175
    §2.3).
    """

    path: tuple[str, ...] = ("gsma", "rsp2", "asn1")
    block_size_exp: int = 6
    insist_on_block_size: bool = False
    reassemble: bool = True
    max_body_bytes: int = 1 << 17
    success_code: str = "2.04"
    content_format: int | None = None
    required_content_format: int | None = None
    require_echo: bool = False
    json: bool = True


class EsipaResource:
    """Renders requests for aiocoap: block-wise transfer, refusals, and the application's replies."""

    def __init__(self, application: Application, settings: CoapSettings) -> None:
        self.settings = settings
        self._application = application
        self._requests = Block1Assembler(
            max_body_bytes=settings.max_body_bytes,
            preferred_szx=settings.block_size_exp,
            insist_on_szx=settings.insist_on_block_size,
        )
        self._answers = Block2Store(preferred_szx=settings.block_size_exp)
        self._echo_secret = secrets.token_bytes(16)

    def forget_everything(self) -> None:
        """Drop half-received requests and half-sent answers."""
        self._requests.clear()
        self._answers.clear()
        self._echo_secret = secrets.token_bytes(16)

    async def render_to_pipe(self, pipe: Pipe) -> None:
        """aiocoap's entry: one request in, one response out."""
        pipe.add_response(await self._answer(pipe.request), is_last=True)

    async def _answer(self, request: Message) -> Message:
        refusal = self._refuse(request)
        if refusal is not None:
            return refusal
        remote: Remote = request.remote
        now_s = asyncio.get_running_loop().time()
        key: Hashable = (remote, request.opt.uri_path)
        block1 = _block(request.opt.block1)
        block2 = _block(request.opt.block2)
        if block2 is not None and block2.number > 0 and (block1 is None or not block1.more):
            piece = self._answers.later(key, block2, now_s)
            if piece is None:
                return _text("4.08", "that part of the answer is not kept")
            return _as_accepted(self._success(b"", piece), request)
        body: bytes = request.payload
        if block1 is not None:
            if not self.settings.reassemble:
                return _text("4.00", "no block-wise requests here")
            parts = (remote, request.opt.uri_path, request.opt.request_tag)
            verdict = self._requests.feed(parts, block1, body, now_s, request.opt.size1)
            if not isinstance(verdict, Complete):
                return _block1_answer(verdict)
            body = verdict.body
        elif len(body) > self.settings.max_body_bytes:
            return _block1_answer(TooLarge(self.settings.max_body_bytes))
        response = await self._ask_application(request, remote, body, key, block2)
        if block1 is not None:
            response.opt.block1 = (block1.number, False, min(block1.szx, self.settings.block_size_exp))
        return response

    async def _ask_application(
        self, request: Message, remote: Remote, body: bytes, key: Hashable, block2: Block | None
    ) -> Message:
        loop = asyncio.get_running_loop()
        function = self._json_function(request)
        try:
            if function is not None:
                body = _from_json(function, body)
            reply = self._application.exchange(body, now_s=time.time(), peer=remote.hostinfo)
        except json_binding.JsonRefusedError as error:
            reply = Reply(json_binding.text_bytes(json_binding.failed(error.code, str(error))))
            function = None
        except RequestRefusedError as error:
            log.warning("a request of %s was refused: %s", remote.hostinfo, error)
            return _text("4.00", str(error))
        if reply.later is not None:
            reply = await reply.later()
        if reply.lost is not None:
            remote.swallowed.append(request.token)
            if reply.lost == "crash":
                loop.call_soon(remote.transport.forget, remote)
            return _text("5.00", "never sent")
        if reply.delay_s > 0:
            await asyncio.sleep(reply.delay_s)
        if reply.code is not None and not reply.code.startswith("2."):
            return _failure(reply)
        answer = reply.body if function is None else json_binding.answer_bytes(function, reply.body)
        piece = self._answers.first(key, answer, block2, loop.time())
        return _as_accepted(self._success(answer, piece, reply.code), request)

    def _refuse(self, request: Message) -> Message | None:
        numbers = {int(option.number) for option in request.opt.option_list()}
        if numbers & _PROXY:
            return _text("5.05", "no proxy")
        unknown = sorted(number for number in numbers if number & 1 and number not in _KNOWN_CRITICAL)
        if unknown:
            return _text("4.02", f"critical option {unknown[0]}")
        function = self._json_function(request)
        if function is None and request.opt.uri_path != self.settings.path:
            return _text("4.04", "the resource is /" + "/".join(self.settings.path))
        if request.code != Code.POST:
            return _text("4.05", "only POST")
        kinds = {None, self.settings.content_format, _OCTET_STREAM if function is None else _JSON}
        if self.settings.required_content_format is not None:
            kinds.add(self.settings.required_content_format)
        if request.opt.content_format not in kinds and request.opt.content_format < _EXPERIMENTAL:
            return _text("4.15", f"Content-Format {int(request.opt.content_format)} is not what is here")
        if request.opt.accept not in kinds and request.opt.accept < _EXPERIMENTAL:
            return _text("4.06", f"there is no Content-Format {int(request.opt.accept)} here")
        wanted = self.settings.required_content_format
        if wanted is not None and request.opt.content_format != wanted:
            return _text("4.15", f"Content-Format {wanted} is wanted")
        if self.settings.require_echo:
            remote: Remote = request.remote
            expected = hmac.new(self._echo_secret, repr((remote.peer, id(remote))).encode(), "sha256").digest()[:8]
            if request.opt.echo != expected:
                challenge = Message(code=_code("4.01"))
                challenge.opt.echo = expected
                return challenge
        return None

    def _json_function(self, request: Message) -> str | None:
        """The function whose JSON resource is meant; None for the resource of the ASN.1 binding and for any other."""
        *folder, function = request.opt.uri_path or ("",)
        if not self.settings.json or tuple(folder) != _JSON_PATH or function not in json_binding.FUNCTIONS:
            return None
        return str(function)

    def _success(self, body: bytes, piece: Slice | None, code: str | None = None) -> Message:
        response = Message(code=_code(code or self.settings.success_code), payload=body if piece is None else b"")
        if piece is not None:
            response.payload = piece.payload
            response.opt.block2 = (piece.block.number, piece.block.more, piece.block.szx)
            if piece.block.number == 0:
                response.opt.size2 = piece.total_bytes
        if self.settings.content_format is not None and response.payload:
            response.opt.content_format = self.settings.content_format
        return response


def _as_accepted(response: Message, request: Message) -> Message:
    """With the Content-Format that the request asks for; ``_refuse`` has seen that it is one of ours."""
    if request.opt.accept is not None and response.payload:
        response.opt.content_format = request.opt.accept
    return response


def _from_json(function: str, body: bytes) -> bytes:
    """The ASN.1 message of a JSON request. ``RequestRefusedError`` for what is no JSON."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestRefusedError("the body is not JSON") from error
    return json_binding.request_body(function, fields)


def _block1_answer(verdict: Verdict) -> Message:
    match verdict:
        case Continue(block):
            response = Message(code=_code("2.31"))
            response.opt.block1 = (block.number, block.more, block.szx)
            return response
        case TooLarge(limit_bytes, block):
            response = _text("4.13", "")
            if limit_bytes is not None:
                response.opt.size1 = limit_bytes
            if block is not None:
                response.opt.block1 = (block.number, block.more, block.szx)
            return response
        case Incomplete(reason):
            return _text("4.08", reason)
        case BadBlock(reason):
            return _text("4.00", reason)
        case Complete():
            raise AssertionError("a complete body is not answered here")


def _failure(reply: Reply) -> Message:
    response = Message(code=_code(reply.code or "5.00"), payload=reply.body)
    if reply.max_age_s is not None:
        response.opt.max_age = reply.max_age_s
    return response


def _text(code: str, diagnostic: str) -> Message:
    """A response with a diagnostic payload (RFC 7252 §5.5.2)."""
    return Message(code=_code(code), payload=diagnostic.encode())


def _code(text: str) -> Code:
    """``4.04``, or as HTTP has it ``404``; 5.00 for what CoAP does not have (a redirection)."""
    number, _, detail = text.partition(".") if "." in text else (text[:1], "", text[1:])
    try:
        if number not in ("2", "4", "5"):
            raise ValueError(text)
        return Code(int(number) << 5 | int(detail))
    except ValueError:
        return Code.INTERNAL_SERVER_ERROR


def _block(option: Any) -> Block | None:
    return None if option is None else Block(int(option[0]), bool(option[1]), int(option[2]))
