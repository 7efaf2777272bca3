"""Clients that share no code with the server: CoAP bytes by hand, a UDP socket, and OpenSSL as DTLS client."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

from OpenSSL import SSL
from OpenSSL._util import lib as _lib

POST, GET = 0x02, 0x01
CON, NON, ACK, RST = 0, 1, 2, 3
PATH = (b"gsma", b"rsp2", b"asn1")

URI_PATH, CONTENT_FORMAT, MAX_AGE, BLOCK2, BLOCK1, SIZE2, SIZE1, ECHO, REQUEST_TAG = (
    11,
    12,
    14,
    23,
    27,
    28,
    60,
    252,
    292,
)


@dataclass(frozen=True)
class Coap:
    """A CoAP message (RFC 7252 §3)."""

    kind: int
    code: int
    mid: int
    token: bytes = b""
    options: tuple[tuple[int, bytes], ...] = ()
    payload: bytes = b""

    def encode(self) -> bytes:
        out = bytes([0x40 | self.kind << 4 | len(self.token), self.code]) + self.mid.to_bytes(2, "big") + self.token
        last = 0
        for number, value in sorted(self.options, key=lambda option: option[0]):
            delta, delta_more = _nibble(number - last)
            length, length_more = _nibble(len(value))
            out += bytes([delta << 4 | length]) + delta_more + length_more + value
            last = number
        return out + (b"\xff" + self.payload if self.payload else b"")

    @classmethod
    def decode(cls, data: bytes) -> Coap:
        token_end = 4 + (data[0] & 15)
        at, number = token_end, 0
        options = []
        while at < len(data) and data[at] != 0xFF:
            delta, length = data[at] >> 4, data[at] & 15
            at += 1
            delta, at = _wide(data, delta, at)
            length, at = _wide(data, length, at)
            number += delta
            options.append((number, data[at : at + length]))
            at += length
        head = (data[0] >> 4 & 3, data[1], int.from_bytes(data[2:4], "big"))
        return cls(*head, data[4:token_end], tuple(options), data[at + 1 :])

    def option(self, number: int) -> bytes | None:
        return next((value for other, value in self.options if other == number), None)

    def uint(self, number: int) -> int | None:
        value = self.option(number)
        return None if value is None else int.from_bytes(value, "big")

    @property
    def text(self) -> str:
        """The code as people write it."""
        return f"{self.code >> 5}.{self.code & 31:02d}"


def uint(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def block(number: int, more: bool, szx: int) -> bytes:
    return uint(number << 4 | more << 3 | szx)


def request(
    body: bytes,
    *,
    mid: int = 1,
    token: bytes = b"T",
    kind: int = CON,
    code: int = POST,
    path: tuple[bytes, ...] = PATH,
    options: tuple[tuple[int, bytes], ...] = (),
) -> Coap:
    return Coap(kind, code, mid, token, (*((URI_PATH, part) for part in path), *options), body)


def _nibble(value: int) -> tuple[int, bytes]:
    if value < 13:
        return value, b""
    return (13, bytes([value - 13])) if value < 269 else (14, (value - 269).to_bytes(2, "big"))


def _wide(data: bytes, value: int, at: int) -> tuple[int, int]:
    if value == 13:
        return data[at] + 13, at + 1
    if value == 14:
        return int.from_bytes(data[at : at + 2], "big") + 269, at + 2
    return value, at


class UdpClient(asyncio.DatagramProtocol):
    """A UDP socket whose datagrams are awaited one by one."""

    def __init__(self) -> None:
        self.inbox: asyncio.Queue[bytes] = asyncio.Queue()
        self._transport: asyncio.DatagramTransport | None = None

    @classmethod
    async def open(cls, port: int) -> UdpClient:
        loop = asyncio.get_running_loop()
        _, client = await loop.create_datagram_endpoint(cls, remote_addr=("127.0.0.1", port))
        return client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.inbox.put_nowait(data)

    def send(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.sendto(data)

    async def receive(self, timeout_s: float = 10.0) -> bytes:
        return await asyncio.wait_for(self.inbox.get(), timeout_s)

    async def ask(self, message: Coap) -> Coap:
        self.send(message.encode())
        return Coap.decode(await self.receive())

    def close(self) -> None:
        assert self._transport is not None
        self._transport.close()


@dataclass
class DtlsClient:
    """OpenSSL as client over a memory BIO; ``groups`` and ``suites`` as OpenSSL writes them."""

    groups: str = "P-256"
    suites: str = "ECDHE-ECDSA-AES128-GCM-SHA256:@SECLEVEL=0"
    mtu_bytes: int = 1200
    connection: SSL.Connection = field(init=False)
    established: bool = False

    def __post_init__(self) -> None:
        context = SSL.Context(SSL.DTLS_CLIENT_METHOD)
        context.set_min_proto_version(0xFEFD)
        context.set_max_proto_version(0xFEFD)
        context.set_options(SSL.OP_NO_QUERY_MTU)
        context.set_cipher_list(self.suites.encode())
        assert _lib.SSL_CTX_set1_curves_list(context._context, self.groups.encode()) == 1
        self.connection = SSL.Connection(context, None)
        self.connection.set_connect_state()
        self.connection.set_ciphertext_mtu(self.mtu_bytes)

    def start(self) -> list[bytes]:
        """The first flight."""
        return self._step()

    def feed(self, datagram: bytes) -> tuple[list[bytes], list[bytes]]:
        """(datagrams to send, plaintexts) for one datagram of the server."""
        self.connection.bio_write(datagram)
        out = self._step()
        plain = []
        while self.established:
            try:
                plain.append(self.connection.recv(65536))
            except (SSL.WantReadError, SSL.ZeroReturnError):
                break
        return out + self._drain(), plain

    def seal(self, data: bytes) -> list[bytes]:
        """``data`` as a record."""
        self.connection.send(data)
        return self._drain()

    def _step(self) -> list[bytes]:
        if not self.established:
            try:
                self.connection.do_handshake()
                self.established = True
            except SSL.WantReadError:
                pass
        return self._drain()

    def _drain(self) -> list[bytes]:
        stream = b""
        while True:
            try:
                stream += self.connection.bio_read(65536)
            except SSL.WantReadError:
                break
        # One record per datagram: nothing to pack, and small on purpose.
        out = []
        while stream:
            end = 13 + int.from_bytes(stream[11:13], "big")
            out.append(stream[:end])
            stream = stream[end:]
        return out


async def shake_hands(udp: UdpClient, dtls: DtlsClient) -> None:
    """Run the handshake over a socket."""
    for datagram in dtls.start():
        udp.send(datagram)
    while not dtls.established:
        out, _ = dtls.feed(await udp.receive())
        for datagram in out:
            udp.send(datagram)


async def next_plaintext(udp: UdpClient, dtls: DtlsClient) -> bytes:
    """The next application record of the server."""
    while True:
        _, plain = dtls.feed(await udp.receive())
        if plain:
            return plain[0]
