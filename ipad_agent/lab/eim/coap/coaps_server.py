"""The eIM's server: CoAP over DTLS 1.2 on a UDP port, inside a running event loop."""

from __future__ import annotations

import asyncio
import logging

import aiocoap
from aiocoap.messagemanager import MessageManager
from aiocoap.tokenmanager import TokenManager

from ipad_agent.lab.eim.coap_resource import CoapSettings, EsipaResource
from ipad_agent.lab.eim.esipa_application import Application

from .connection_id_server import ConnectionIdServer
from .dtls_context import DtlsSettings
from .dtls_server import DtlsServer
from .server_transport import CoapTransport, DtlsTransport

log = logging.getLogger("ipad_agent.lab")

MAX_CLEAR_PEERS = 128


class CoapsServer:
    """Serves an application at ``coaps://host:port/gsma/rsp2/asn1``; with ``dtls=None`` in the clear, for debugging.

    ``start`` binds (port 0: any free one, then in ``port``), ``stop`` says goodbye to every peer. ``restart_quietly``
    does to the peers what a crash and a new start would: sessions, tickets and half-received blocks are gone and
    nobody is told, but the port stays.
    """

    def __init__(
        self,
        application: Application,
        *,
        dtls: DtlsSettings | None,
        coap: CoapSettings | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._application = application
        self._dtls_settings = dtls
        self._resource = EsipaResource(application, coap or CoapSettings())
        self._bind = (host, port)
        self._context: aiocoap.Context | None = None
        self._transport: CoapTransport | None = None

    async def __aenter__(self) -> CoapsServer:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def port(self) -> int:
        """The UDP port, once started."""
        return 0 if self._transport is None else self._transport.port

    @property
    def host(self) -> str:
        """The address it is bound to."""
        return self._bind[0]

    @property
    def uri(self) -> str:
        """Where a client posts to."""
        scheme = "coap" if self._dtls_settings is None else "coaps"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}/{'/'.join(self._resource.settings.path)}"

    @property
    def dtls(self) -> DtlsServer | ConnectionIdServer | None:
        """The DTLS side, to look at sessions; None in the clear or before the start."""
        return self._transport.dtls if isinstance(self._transport, DtlsTransport) else None

    async def start(self) -> None:
        """Bind and serve. ``OSError`` when the address is taken, ``ServerError`` when the TLS set-up is no good."""
        settings = self._dtls_settings
        dtls = (
            None if settings is None else (ConnectionIdServer if settings.connection_id_bytes else DtlsServer)(settings)
        )
        # Built bare: the convenience constructors would open sockets of their own.
        context = aiocoap.Context(serversite=self._resource, loggername="ipad_agent.lab.coap")
        tokens = TokenManager(context)
        messages = MessageManager(tokens)
        if dtls is None:
            transport = CoapTransport(messages, max_peers=MAX_CLEAR_PEERS)
        else:
            transport = DtlsTransport(messages, dtls)
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: transport, local_addr=self._bind)
        messages.message_interface = transport
        tokens.token_interface = messages
        context.request_interfaces.append(tokens)
        self._context, self._transport = context, transport
        log.info("eIM listens on %s", self.uri)

    async def stop(self) -> None:
        """close_notify to all, then close the socket. Harmless when not started."""
        context, transport = self._context, self._transport
        self._context = self._transport = None
        if transport is not None:
            transport.close_peers()
        if context is not None:
            await context.shutdown()

    def restart_quietly(self) -> None:
        """Forget all DTLS state and every half transfer, as if the process had been replaced."""
        if self._transport is not None:
            self._transport.forget_everything()
        self._resource.forget_everything()
