"""The Varlink socket: JSON messages on a Unix socket, for ``ipactl``, ``varlinkctl`` and programs of the site."""

from .peer_credentials import Credentials, Right, UnixAuthority
from .socket_server import Server

__all__ = ["Credentials", "Right", "Server", "UnixAuthority"]
