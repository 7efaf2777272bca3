"""What a server says in the clear during a DTLS 1.2 handshake (RFC 6347 §4.1, §4.2.2).

Mbed TLS does not tell which alert ended a handshake, whether the server asked for a certificate, or whether a session
was resumed. All that travels unprotected, and serves for words and counts: nothing that is trusted follows from it.
"""

from __future__ import annotations

from typing import Final

from ipad_agent.records import dataclass

_ALERT, _HANDSHAKE = 21, 22
_HEADER_BYTES, _MESSAGE_HEADER_BYTES = 13, 12
_SERVER_HELLO, _CERTIFICATE_REQUEST, _SERVER_HELLO_DONE = 2, 13, 14
_FATAL: Final = 2


@dataclass(slots=True)
class Told:
    """``alert``: the number of a fatal one. ``asked``: for a certificate of ours. ``abbreviated``: the server said
    hello and nothing about keys, so that it resumes a session."""

    alert: int | None = None
    asked: bool = False
    hello: bool = False
    done: bool = False

    @property
    def abbreviated(self) -> bool:
        """Once the handshake is complete."""
        return self.hello and not self.done

    def hear(self, datagram: bytes) -> None:
        """Look at one datagram; what cannot be read says nothing."""
        at = 0
        while at + _HEADER_BYTES <= len(datagram):
            end = at + _HEADER_BYTES + int.from_bytes(datagram[at + 11 : at + 13], "big")
            if datagram[at + 3 : at + 5] == b"\0\0":
                self._hear_record(datagram[at], datagram[at + _HEADER_BYTES : end])
            at = end

    def _hear_record(self, kind: int, body: bytes) -> None:
        if kind == _ALERT and len(body) == 2 and body[0] == _FATAL:
            self.alert = body[1]
        while kind == _HANDSHAKE and len(body) >= _MESSAGE_HEADER_BYTES:
            self.hello = self.hello or body[0] == _SERVER_HELLO
            self.asked = self.asked or body[0] == _CERTIFICATE_REQUEST
            self.done = self.done or body[0] == _SERVER_HELLO_DONE
            body = body[_MESSAGE_HEADER_BYTES + int.from_bytes(body[9:12], "big") :]
