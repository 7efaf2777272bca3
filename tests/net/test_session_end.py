"""What the end of a session costs on the radio: the server's answer to our close_notify must find an open socket, or
the system sends an ICMP message of 95 bytes for it."""

from __future__ import annotations

import asyncio

import pytest

from ipad_agent.net.carrier import Traffic
from ipad_agent.net.coap import coap_association
from ipad_agent.net.coap.coap_association import Association

GOODBYE = bytes(39)  # close_notify of DTLS 1.2 with AES-GCM: 13 + 8 + 2 + 16 bytes


class Client:
    """A session that stands; it says goodbye or not."""

    def __init__(self, goodbye: bytes) -> None:
        self._goodbye = goodbye
        self._out: list[bytes] = []

    def close(self) -> None:
        self._out = [self._goodbye] if self._goodbye else []

    def take(self) -> list[bytes]:
        out, self._out = self._out, []
        return out

    def timeout_at(self) -> float | None:
        return None


class Socket:
    closed = False

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def sendto(self, data: bytes) -> None:
        self.sent.append(data)

    def close(self) -> None:
        self.closed = True


def ended(goodbye: bytes) -> tuple[Association, Socket]:
    """A session that was just closed."""
    association = Association(Client(goodbye), ("eim.example", 5684), Traffic())  # type: ignore[arg-type]
    socket = Socket()
    association.connection_made(socket)  # type: ignore[arg-type]  # what of a transport is used
    association._ready.set_result(None)  # type: ignore[arg-type]  # what was established is asked by nobody here
    association.close()
    return association, socket


async def test_the_servers_close_notify_finds_an_open_socket_which_is_closed_then() -> None:
    association, socket = ended(GOODBYE)
    assert (socket.sent, socket.closed) == ([GOODBYE], False)
    association.datagram_received(GOODBYE, None)
    assert socket.closed


async def test_a_port_that_is_closed_by_now_ends_the_wait() -> None:
    association, socket = ended(GOODBYE)
    association.error_received(ConnectionRefusedError())
    assert socket.closed


async def test_a_server_that_does_not_answer_is_waited_for_only_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coap_association, "_FAREWELL_S", 0.0)
    _, socket = ended(GOODBYE)
    assert not socket.closed
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert socket.closed


async def test_a_session_that_ends_without_close_notify_keeps_no_socket() -> None:
    _, socket = ended(b"")
    assert (socket.sent, socket.closed) == ([], True)
