"""The other end of the socket, in a few lines: answers what a test tells it to, and remembers what it was asked."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ipad_agent.local.status_model import Status, to_plain

PREFIX = "io.github.ipadagent."
Answer = list[dict[str, Any]] | bytes | None
"""Replies to send, raw bytes to send before hanging up, or silence until the client leaves."""


class FakeAgent:
    """A Varlink server in a thread. ``answers`` by method name, without the interface."""

    def __init__(self, path: Path, answers: Mapping[str, Answer | Callable[[dict[str, Any]], Answer]]) -> None:
        self.path = path
        self.requests: list[dict[str, Any]] = []
        self._answers = answers
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(8)
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> FakeAgent:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for peer in self._open:
            peer.close()
        self._thread.join(5)

    def asked(self, method: str) -> list[dict[str, Any]]:
        """The parameters of all calls of this method."""
        return [request["parameters"] for request in self.requests if request["method"] == PREFIX + method]

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(peer)
            threading.Thread(target=self._talk, args=(peer,), daemon=True).start()

    def _talk(self, peer: socket.socket) -> None:
        received = b""
        try:
            while chunk := peer.recv(65_536):
                received += chunk
                while b"\0" in received:
                    message, _, received = received.partition(b"\0")
                    if not self._answer(peer, json.loads(message)):
                        peer.shutdown(socket.SHUT_RDWR)
                        return
        except OSError:
            return

    def _answer(self, peer: socket.socket, request: dict[str, Any]) -> bool:
        """Whether the conversation goes on."""
        self.requests.append(request)
        answer = self._answers.get(request["method"].removeprefix(PREFIX), [{"parameters": {}}])
        if callable(answer):
            answer = answer(request["parameters"])
        if answer is None:
            return True
        if isinstance(answer, bytes):
            peer.sendall(answer)
            return False
        for reply in answer:
            peer.sendall(json.dumps(reply).encode() + b"\0")
        return True


def gives(**parameters: Any) -> Answer:
    """One reply with these parameters."""
    return [{"parameters": parameters}]


def shows(status: Status) -> Answer:
    """The answer to ``GetStatus``."""
    return gives(status=to_plain(status))


def streams(*parameters: dict[str, Any]) -> Answer:
    """Replies that continue, but for the last one."""
    last = len(parameters) - 1
    return [
        {"parameters": given, **({"continues": True} if number < last else {})}
        for number, given in enumerate(parameters)
    ]


def refuses(error: str, **parameters: Any) -> Answer:
    """One of the interface's errors; one of another interface in full."""
    return [{"error": error if "." in error else PREFIX + error, "parameters": parameters}]
