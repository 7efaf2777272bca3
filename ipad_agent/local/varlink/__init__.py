"""The Varlink socket: JSON messages on a Unix socket, for ``ipactl``, ``varlinkctl`` and programs of the site."""

from .peers import Credentials, Right, UnixAuthority
from .server import Server

__all__ = ["Credentials", "Right", "Server", "UnixAuthority"]
