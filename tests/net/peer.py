"""A CoAP/DTLS server on a UDP socket whose every misbehaviour a test can script."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

from OpenSSL import SSL

from .coap import ACK, BLOCK1, BLOCK2, CON, REQUEST_TAG, URI_PATH, Message, block, decode, unblock
from .dtls_server import ServerSide

CHANGED, CONTINUE, INCOMPLETE = 0x44, 0x5F, 0x88

Handler = Callable[["Peer", Message], "Message | list[Message] | None"]


def answer(request: Message, code: int = CHANGED, payload: bytes = b"", *options: tuple[int, bytes]) -> Message:
    """The piggybacked response to a request."""
    return Message(ACK, code, request.mid, request.token, options, payload)


class Peer(asyncio.DatagramProtocol):
    """Serves ``handler``. ``drop(direction, index)`` loses the index-th datagram ``in`` or ``out``."""

    def __init__(self, context: SSL.Context, handler: Handler, drop: Callable[[str, int], bool] | None) -> None:
        self.context = context
        self.handler = handler
        self.drop = drop or (lambda direction, index: False)
        self.sessions: dict[Any, ServerSide] = {}
        self.messages: list[Message] = []
        self.data: list[bytes] = []
        self.datagrams_in: list[bytes] = []
        self.handshakes = 0
        self.closes = 0
        self.muted = False
        self._count = {"in": 0, "out": 0}
        self._transport: asyncio.DatagramTransport | None = None
        self._last: Any = None
        self._answered: dict[tuple[Any, int], list[Message]] = {}
        self.arrived = asyncio.Event()

    @property
    def port(self) -> int:
        assert self._transport is not None
        return int(self._transport.get_extra_info("sockname")[1])

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.datagrams_in.append(data)
        self.arrived.set()
        if self.muted or self._lost("in"):
            return
        if addr not in self.sessions:
            if data[0] != 22:
                return  # records of a session that is not known any more: a server has nothing to say to them
            self.sessions[addr] = ServerSide(self.context)
        side = self.sessions[addr]
        was = side.established
        received = side.feed(data)
        self.handshakes += side.established and not was
        self._last = addr
        for item in received:
            self.data.append(item)
            message = decode(item)
            self.messages.append(message)
            self._serve(addr, message)
        if side.closed and addr in self.sessions:
            self.closes += 1
            del self.sessions[addr]
        self._flush(addr, side)

    def _serve(self, addr: Any, message: Message) -> None:
        if message.code >> 5:
            return
        if message.code == 0:
            return
        known = self._answered.get((addr, message.mid))
        if known is None:
            made = self.handler(self, message)
            known = self._answered[addr, message.mid] = [made] if isinstance(made, Message) else made or []
        for item in known:
            self.send(item, addr)

    def send(self, message: Message | bytes, addr: Any = None) -> None:
        """Send a message inside the session of ``addr`` (default: whoever spoke last)."""
        addr = addr or self._last
        self.sessions[addr].send(message if isinstance(message, bytes) else message.encode())
        self._flush(addr, self.sessions[addr])

    def send_raw(self, datagram: bytes) -> None:
        """Send a datagram outside of any session."""
        assert self._transport is not None
        self._transport.sendto(datagram, self._last)

    def end_sessions(self) -> None:
        for addr, side in list(self.sessions.items()):
            side.close()
            self._flush(addr, side)
        self.sessions.clear()

    def restart(self, context: SSL.Context) -> None:
        """Come back without any memory."""
        self.sessions.clear()
        self._answered.clear()
        self.context = context

    def _flush(self, addr: Any, side: ServerSide) -> None:
        for datagram in side.take():
            if not self._lost("out") and self._transport is not None:
                self._transport.sendto(datagram, addr)

    def _lost(self, direction: str) -> bool:
        self._count[direction] += 1
        return self.drop(direction, self._count[direction] - 1)

    def stop(self) -> None:
        if self._transport is not None:
            self._transport.close()


@asynccontextmanager
async def serve(
    context: SSL.Context, handler: Handler, *, drop: Callable[[str, int], bool] | None = None, port: int = 0
) -> AsyncIterator[Peer]:
    loop = asyncio.get_running_loop()
    _, peer = await loop.create_datagram_endpoint(
        lambda: Peer(context, handler, drop), local_addr=("127.0.0.1", port), family=socket.AF_INET
    )
    try:
        yield peer
    finally:
        peer.stop()


class Blocks:
    """A handler that reassembles Block1 by Request-Tag and answers ``reply(path, body)`` in Block2."""

    def __init__(self, reply: Callable[[str, bytes], bytes], *, size_exp: int = 6) -> None:
        self.reply = reply
        self.size_exp = size_exp
        self.bodies: list[bytes] = []
        self._parts: dict[tuple[str, bytes | None], bytes] = {}
        self._answers: dict[tuple[str, bytes | None], bytes] = {}

    def __call__(self, peer: Peer, request: Message) -> Message:
        key = (request.path, request.option(REQUEST_TAG))
        wish = request.option(BLOCK2)
        number, _, exp = unblock(wish) if wish is not None else (0, False, self.size_exp)
        if number:
            return self._part(request, self._answers[key], number, min(exp, self.size_exp))
        body, extra = request.payload, []
        if (value := request.option(BLOCK1)) is not None:
            number, more, size_exp = unblock(value)
            have = self._parts.pop(key, b"") if number else b""
            if len(have) != number << (size_exp + 4):
                return answer(request, INCOMPLETE)
            body = have + request.payload
            if more:
                self._parts[key] = body
                return answer(request, CONTINUE, b"", (BLOCK1, value))
            extra = [(BLOCK1, value)]
        self.bodies.append(body)
        self._answers[key] = self.reply(request.path, body)
        return self._part(request, self._answers[key], 0, min(exp, self.size_exp), *extra)

    @staticmethod
    def _part(request: Message, whole: bytes, number: int, exp: int, *extra: tuple[int, bytes]) -> Message:
        offset = number << (exp + 4)
        part = whole[offset : offset + (16 << exp)]
        more = offset + len(part) < len(whole)
        option = [(BLOCK2, block(number, more, exp))] if more or number else []
        return answer(request, CHANGED, part, *extra, *option)


def acks(messages: list[Message]) -> list[Message]:
    """The empty acknowledgements among what arrived."""
    return [m for m in messages if m.kind == ACK and m.code == 0]


def requests(messages: list[Message]) -> list[Message]:
    return [m for m in messages if m.code and not m.code >> 5]


__all__ = ["CON", "URI_PATH", "Blocks", "Peer", "acks", "answer", "requests", "serve"]
