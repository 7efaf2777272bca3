"""Pushing over CoAP and DTLS 1.2 with pyOpenSSL, for a thread: one request in blocks of 512 bytes, and its answer."""

from __future__ import annotations

import secrets
import socket
import time
import warnings
from typing import Any, Final

from OpenSSL import SSL, crypto
from OpenSSL._util import ffi as _ffi
from OpenSSL._util import lib as _lib

from ipad_agent.lab.eim.coap.dtls_context import CERTIFICATE_SUITES, DTLS_1_2, GROUPS, PSK_SUITES, TlsIdentity
from ipad_agent.lab.eim.coap.openssl_binding import repeat_flight, set_groups
from ipad_agent.lab.eim.errors import InjectionError

PATH = ("gsma", "rsp2", "asn1")
_SIZE_EXP = 5
_EXTRA_BYTES: Final = {13: 1, 14: 2}
_LOOK_S = 0.5
_RECORD_BYTES = 13


def push_coaps(
    where: tuple[str, int],
    body: bytes,
    *,
    identity: TlsIdentity | None = None,
    psk: tuple[bytes, bytes] | None = None,
    expected: bytes | None = None,
    path: tuple[str, ...] = PATH,
    deadline_s: float = 30.0,
) -> tuple[str, bytes]:
    """Code (``2.04``) and payload of the answer; ``psk`` is identity and key. Raises ``InjectionError``."""
    family = socket.AF_INET6 if ":" in where[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as line:
        line.connect(where)
        line.settimeout(_LOOK_S)
        session = _Session(line, _context(identity, psk), time.monotonic() + deadline_s)
        try:
            session.shake_hands(expected if psk is None else None)
            return session.ask(body, path)
        except (OSError, SSL.Error) as error:
            raise InjectionError(f"the device was not reached or broke off: {error!r}") from error
        finally:
            session.close()


def _context(identity: TlsIdentity | None, psk: tuple[bytes, bytes] | None) -> SSL.Context:
    context = SSL.Context(SSL.DTLS_CLIENT_METHOD)
    context.set_min_proto_version(DTLS_1_2)
    context.set_options(SSL.OP_NO_QUERY_MTU)
    suites = PSK_SUITES if psk is not None else CERTIFICATE_SUITES
    context.set_cipher_list(":".join([*suites, "@SECLEVEL=0"]).encode())
    set_groups(context, GROUPS)
    context.set_verify(SSL.VERIFY_NONE, lambda *_: True)
    if identity is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # as in dtls_context
            context.use_certificate(crypto.X509.from_cryptography(identity.chain[0]))
            for certificate in identity.chain[1:]:
                context.add_extra_chain_cert(crypto.X509.from_cryptography(certificate))
            context.use_privatekey(crypto.PKey.from_cryptography_key(identity.key))
    if psk is not None:
        _set_psk(context, *psk)
    return context


def _set_psk(context: SSL.Context, identity: bytes, key: bytes) -> None:
    library: Any = _lib
    ffi: Any = _ffi

    def answer(_ssl: Any, _hint: Any, name: Any, _name_bytes: int, room: Any, _room_bytes: int) -> int:
        ffi.memmove(name, identity + b"\0", len(identity) + 1)
        ffi.memmove(room, key, len(key))
        return len(key)

    callback = ffi.callback(
        "unsigned int (*)(SSL *, const char *, char *, unsigned int, unsigned char *, unsigned int)", answer
    )
    context.set_app_data(callback)
    library.SSL_CTX_set_psk_client_callback(context._context, callback)


class _Session:
    def __init__(self, line: socket.socket, context: SSL.Context, until_s: float) -> None:
        self._line = line
        self._until_s = until_s
        self._connection = SSL.Connection(context, None)
        self._connection.set_ciphertext_mtu(1200)
        self._connection.set_connect_state()
        self._message_id = secrets.randbelow(1 << 15)

    def shake_hands(self, expected: bytes | None) -> None:
        while True:
            try:
                self._connection.do_handshake()
                break
            except SSL.WantReadError:
                self._flush()
                if not self._receive():
                    repeat_flight(self._connection)
        self._flush()
        leaf = self._connection.get_peer_certificate()
        if expected is not None and (leaf is None or crypto.dump_certificate(crypto.FILETYPE_ASN1, leaf) != expected):
            raise InjectionError("the device shows another certificate")

    def ask(self, body: bytes, path: tuple[str, ...]) -> tuple[str, bytes]:
        size = 16 << _SIZE_EXP
        token = secrets.token_bytes(4)
        for number in range(max(1, -(-len(body) // size))):
            part = body[number * size : (number + 1) * size]
            more = (number + 1) * size < len(body)
            block = number << 4 | more << 3 | _SIZE_EXP if len(body) > size else None
            code, payload = self._exchange(_request(self._next_id(), token, path, block, part), token)
            if code != "2.31" or not more:
                return code, payload
        raise InjectionError("the device wants more than there is")

    def _exchange(self, request: bytes, token: bytes) -> tuple[str, bytes]:
        self._send(request)
        sent_s, wait_s, acknowledged = time.monotonic(), 2.0, False
        while True:
            datagram = self._next_message()
            if datagram is None:
                if not acknowledged and time.monotonic() - sent_s > wait_s:
                    self._send(request)
                    sent_s, wait_s = time.monotonic(), wait_s * 2
                continue
            kind, code, message_id = (datagram[0] >> 4) & 3, datagram[1], datagram[2:4]
            if kind == 3:
                raise InjectionError("the device resets the request")
            if code == 0:
                acknowledged = True
            elif datagram[4 : 4 + (datagram[0] & 15)] == token:
                if kind == 0:
                    self._send(bytes([0x60, 0]) + message_id)
                return f"{code >> 5}.{code & 31:02d}", _payload(datagram)

    def _next_message(self) -> bytes | None:
        try:
            return self._connection.recv(65536)
        except SSL.WantReadError:
            self._receive()
        try:
            return self._connection.recv(65536)
        except SSL.WantReadError:
            return None

    def _receive(self) -> bool:
        if time.monotonic() > self._until_s:
            raise InjectionError("the device did not answer in time")
        try:
            self._connection.bio_write(self._line.recv(65536))
        except TimeoutError:
            return False
        return True

    def _send(self, data: bytes) -> None:
        self._connection.send(data)
        self._flush()

    def _flush(self) -> None:
        stream = b""
        try:
            while True:
                stream += self._connection.bio_read(65536)
        except SSL.WantReadError:
            pass
        while stream:
            size = _RECORD_BYTES + int.from_bytes(stream[11:13], "big")
            self._line.send(stream[:size])
            stream = stream[size:]

    def _next_id(self) -> int:
        self._message_id = (self._message_id + 1) & 0xFFFF
        return self._message_id

    def close(self) -> None:
        try:
            self._connection.shutdown()
            self._flush()
        except (SSL.Error, OSError):
            return


def _request(message_id: int, token: bytes, path: tuple[str, ...], block: int | None, payload: bytes) -> bytes:
    out = bytearray([0x40 | len(token), 2]) + message_id.to_bytes(2, "big") + token
    last = 0
    options = [(11, segment.encode()) for segment in path]
    if block is not None:
        options.append((27, block.to_bytes((block.bit_length() + 7) // 8, "big")))
    for number, value in options:
        delta = number - last
        out += bytes([delta << 4 | len(value)]) if delta < 13 else bytes([0xD0 | len(value), delta - 13])
        out += value
        last = number
    return bytes(out) + b"\xff" + payload


def _payload(message: bytes) -> bytes:
    """What follows the marker behind the options (RFC 7252 §3); message ID, token and options may hold 0xFF too."""
    at = 4 + (message[0] & 15)
    while at < len(message) and message[at] != 0xFF:
        delta, length = message[at] >> 4, message[at] & 15
        at += 1 + _EXTRA_BYTES.get(delta, 0)
        extra = _EXTRA_BYTES.get(length, 0)
        if extra:
            length = int.from_bytes(message[at : at + extra], "big") + (13 if extra == 1 else 269)
        at += extra + length
    return message[at + 1 :]
