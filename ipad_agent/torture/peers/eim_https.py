"""The HTTPS face of one eIM, over the TCP in memory, with real TLS."""

from __future__ import annotations

import functools
import ssl
from typing import Final

from ipad_agent.lab.eim import HttpsPort, HttpsServer
from ipad_agent.lab.http import Ending, Request, Response, TlsSettings
from ipad_agent.torture.world.tcp_in_memory import Tcp

from .observed_eim import ObservedEim
from .torture_pki import torture_pki

PORT: Final = 443


class WebServer:
    """``observed_eim`` on its own host. An impostor shows another certificate, and whoever talks to it is betrayed."""

    def __init__(self, observed_eim: ObservedEim, tcp: Tcp) -> None:
        self._observed_eim = observed_eim
        self._tcp = tcp
        settings = TlsSettings(torture_pki()["eim-tls-self"])
        self._server = HttpsServer(observed_eim, settings, listen=HttpsPort(observed_eim.eim_id, PORT))
        front = self._server.http.handler

        def handler(request: Request) -> Response:
            if not observed_eim.gate.impostor:
                return front(request)
            if self._server.http.counters.connections > self._opened_before:
                observed_eim.gate.on_betrayal()  # else it was sent to the eIM itself, and the connection is torn down
            return Response(answer=False, ending=Ending.ABORT)

        self._server.http.handler = handler
        self._opened_before = 0

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
        self._tcp.present(self._observed_eim.eim_id, _context(impostor=self._observed_eim.gate.impostor))
        self._server.http.drop_connections()
        self._opened_before = self._server.http.counters.connections


@functools.cache
def _context(*, impostor: bool) -> ssl.SSLContext:
    return TlsSettings(torture_pki()["eim-tls-self-foreign" if impostor else "eim-tls-self"]).context()
