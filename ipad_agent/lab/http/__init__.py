"""A small HTTP/1.1 server for the lab's SM-DP+, SM-DS and eIM.

``HttpServer(handler, tls=TlsSettings(leaf, chain))`` serves a plain function ``Request -> Response``; ``Routes`` is
such a function made of others by path; ``HeaderRule`` is what a picky server insists on. ``Response`` carries the
switches for hostile answers: slow, cut, endless, silent, lying about its length. Only HTTP/1.0 and 1.1.
"""

from __future__ import annotations

from .http_message import Ending, Handler, HeaderRule, HttpError, Request, Response, Routes
from .http_parser import Limits, RequestParser
from .http_server import HttpCounters, HttpServer, HttpSettings
from .server_tls import TlsSettings

__all__ = [
    "Ending",
    "Handler",
    "HeaderRule",
    "HttpCounters",
    "HttpError",
    "HttpServer",
    "HttpSettings",
    "Limits",
    "Request",
    "RequestParser",
    "Response",
    "Routes",
    "TlsSettings",
]
