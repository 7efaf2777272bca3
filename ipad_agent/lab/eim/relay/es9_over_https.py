"""ES9+' over HTTPS with the standard library, for a thread: any SM-DP+ or SM-DS there is (SGP.22 §6.1, §6.5)."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ipad_agent.lab.eim.errors import Es9Error

from .es9_calls import NO_CONTENT_WANTED, Json

PATH = "/gsma/rsp2/es9plus/"
HEADERS = {
    "User-Agent": "gsma-rsp-lpad",
    "X-Admin-Protocol": "gsma/rsp/v2.1.0",
    "Content-Type": "application/json;charset=UTF-8",
}
_READ_BYTES = 65536


@dataclass(frozen=True, slots=True)
class HttpsEs9:
    """One server, a connection per function.

    ``address`` is ``host`` or ``host:port``, as in an activation code, and the name its certificate must show;
    ``route`` is where to connect instead. ``context`` says whom to trust (``trusting``). ``requester`` set puts the
    ``header`` object into requests, which some servers want. ``deadline_s`` is for one function, connecting included.
    """

    address: str
    context: ssl.SSLContext = field(repr=False)
    route: tuple[str, int] | None = None
    path: str = PATH
    headers: Mapping[str, str] = field(default_factory=lambda: dict(HEADERS))
    requester: str | None = None
    deadline_s: float = 30.0
    max_answer_bytes: int = 1 << 22

    def __call__(self, function: str, body: Json) -> Json:
        """See ``Es9``."""
        host, port = _split(self.address)
        connection = _Connection(host, port, self.route or (host, port), self.context, self.deadline_s)
        # Time limits of sockets are for one read each; a server that drips must not hold the thread for ever.
        limit = threading.Timer(self.deadline_s, connection.abort)
        limit.daemon = True
        limit.start()
        try:
            connection.request("POST", self.path + function, self._encoded(function, body), dict(self.headers))
            status, content = self._read(connection)
            if connection.aborted:  # what ends inside a head passes for a whole one
                raise TimeoutError
        except (OSError, http.client.HTTPException, ValueError) as error:
            late = connection.aborted or isinstance(error, TimeoutError)
            why = f"not over after {self.deadline_s:g} s" if late else error or type(error).__name__
            raise Es9Error(f"{self.address} was not reached or broke off: {why}") from error
        finally:
            limit.cancel()
            connection.finish()
        if not 200 <= status < 300:
            raise Es9Error(f"{self.address} answered HTTP status {status}")
        if not content and function in NO_CONTENT_WANTED:
            return {}
        try:
            answer: Any = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise Es9Error(f"{self.address} did not answer JSON") from error
        if not isinstance(answer, dict):
            raise Es9Error(f"{self.address} did not answer a JSON object")
        return answer

    def _encoded(self, function: str, body: Json) -> bytes:
        if self.requester is not None:
            header = {"functionRequesterIdentifier": self.requester, "functionCallIdentifier": function}
            body = {"header": header, **body}
        return json.dumps(body).encode()

    def _read(self, connection: _Connection) -> tuple[int, bytes]:
        response = connection.getresponse()
        content = bytearray()
        while piece := response.read1(_READ_BYTES):
            content += piece
            if len(content) > self.max_answer_bytes:
                raise ValueError(f"more than {self.max_answer_bytes} bytes")
        if response.length:
            raise http.client.IncompleteRead(bytes(content), response.length)
        return response.status, bytes(content)


class _Connection(http.client.HTTPConnection):
    """To ``route``, but with the name ``host`` in TLS and in the Host header."""

    def __init__(self, host: str, port: int, route: tuple[str, int], context: ssl.SSLContext, timeout_s: float) -> None:
        super().__init__(host, port, timeout=timeout_s)
        self._route = route
        self._context = context
        self.default_port = 443
        self._raw: socket.socket | None = None
        self._tls: ssl.SSLSocket | None = None
        self.aborted = False

    def connect(self) -> None:
        raw = socket.create_connection(self._route, self.timeout)
        self._raw = raw.dup()
        if self.aborted:
            self._raw.shutdown(socket.SHUT_RDWR)
        try:
            self.sock = self._tls = self._context.wrap_socket(raw, server_hostname=self.host)
        except BaseException:
            raw.close()
            raise

    def abort(self) -> None:
        """Let whoever waits for the server find the connection ended; for another thread."""
        self.aborted = True
        if self._raw is not None:
            with contextlib.suppress(OSError):
                self._raw.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Called by the library as soon as it has read a head that says so: the connection is still needed then."""
        self.sock = None
        super().close()

    def finish(self) -> None:
        """End the connection as TLS has it, with close_notify, lest a server takes a whole exchange for a cut one."""
        self.close()
        tls, self._tls = self._tls, None
        if tls is not None:
            with contextlib.suppress(OSError, ValueError):
                tls.settimeout(0.0)  # say it, and wait for no answer
                tls.unwrap()
            tls.close()
        raw, self._raw = self._raw, None
        if raw is not None:
            raw.close()


def trusting(ca_pem: str | None, *, brainpool: bool = False) -> ssl.SSLContext:
    """A client context that trusts these CA certificates, or the system's without any; TLS 1.2 at least.

    ``brainpool``: the servers have brainpoolP256r1 keys; that curve has no place in TLS 1.3 and must be asked for.
    """
    context = ssl.create_default_context(cadata=ca_pem)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if brainpool:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ecdh_curve("brainpoolP256r1")
    return context


def _split(address: str) -> tuple[str, int]:
    host, colon, port = address.strip().rpartition(":")
    if colon and port.isdecimal() and ":" not in host:
        return host, int(port)
    return address.strip(), 443
