"""The HTTPS face of one eIM, over the TCP in memory, with real TLS."""

from __future__ import annotations

import functools
import ssl
from typing import Final

from ipad_agent.lab.eim import HttpsPort, HttpsServer
from ipad_agent.lab.http import Ending, Request, Response, TlsSettings
from ipad_agent.records import dataclass
from ipad_agent.torture.world.tcp_in_memory import Tcp

from .observed_eim import ObservedEim
from .torture_pki import torture_pki

PORT: Final = 443


class WebServer:
    """``observed_eim`` on its own host. An impostor shows another certificate, and whoever talks to it is betrayed."""

    def __init__(self, observed_eim: ObservedEim, tcp: Tcp) -> None:
        self._observed_eim = observed_eim
        self._tcp = tcp
        self._server = HttpsServer(
            observed_eim, _KeptTls(torture_pki()["eim-tls-self"]), listen=HttpsPort(observed_eim.eim_id, PORT)
        )
        front = self._server.http.handler

        def handler(request: Request) -> Response:
            if not observed_eim.gate.impostor:
                return front(request)
            if self._greeted:
                observed_eim.gate.on_betrayal()  # else it was on its way to the eIM itself
            return Response(answer=False, ending=Ending.ABORT)

        self._server.http.handler = handler
        self._greeted = False
        """Whether a handshake with the impostor has begun."""

    async def start(self) -> None:
        """Listen."""
        await self._server.http.start()
        self._observed_eim.gate.on_forget = self._forget
        self._forget()

    async def stop(self) -> None:
        """End everything."""
        await self._server.http.stop()

    def _forget(self) -> None:
        """All connections are torn down; new ones see the certificate of who answers now."""
        self._greeted = False
        self._tcp.present(
            self._observed_eim.eim_id, self._impostor() if self._observed_eim.gate.impostor else _context()
        )
        self._server.http.drop_connections()

    def _impostor(self) -> ssl.SSLContext:
        def greeted(*_: object) -> None:
            self._greeted = True

        context = _impostor_context(self._observed_eim.eim_id)
        context.sni_callback = greeted
        return context


@dataclass(frozen=True, slots=True)
class _KeptTls(TlsSettings):
    """Loading key and certificate takes longer than many a history: done once in a process."""

    def context(self) -> ssl.SSLContext:
        return _context()


@functools.cache
def _context() -> ssl.SSLContext:
    return TlsSettings(torture_pki()["eim-tls-self"]).context()


@functools.cache
def _impostor_context(eim_id: str) -> ssl.SSLContext:
    """One for each host: it tells its own server of a handshake."""
    return TlsSettings(torture_pki()["eim-tls-self-foreign"]).context()
