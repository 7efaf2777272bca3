"""Who is let in, and under which name the page may be asked for.

A token opens the page: in the header ``Authorization: Bearer`` for programs, or typed once by a person, who gets a
cookie for it. The cookie is no list of sessions but a proof made from the token, so that it outlives this process,
which ends whenever nobody looks. Another token makes all cookies worthless. Instead of a token, or beside it, a reverse
proxy on this machine may say in a header who it let in.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from typing import Final

from ipad_agent.records import dataclass

COOKIE: Final = "ipad-agent-web"
COOKIE_S: Final = 12 * 3600
SHORTEST_TOKEN: Final = 20
LONGEST_TOKEN: Final = 256
_SESSION: Final = b"ipad-agent-web session\0"
_LONGEST_COOKIE: Final = 128


@dataclass(frozen=True, slots=True)
class Peer:
    """Who connected. ``address`` and ``own_address`` are without ports; both empty on a Unix socket."""

    address: str = ""
    own_address: str = ""

    @property
    def local(self) -> bool:
        """Whether it is a program of this machine."""
        return not self.address or is_loopback(self.address)


@dataclass(frozen=True, slots=True)
class WebAccess:
    """``token`` None: nobody gets in by one. ``user_header``: the header in which a reverse proxy names the user it
    let in, believed of programs of this machine only; None: nobody is believed. ``hosts``: names of this page besides
    ``localhost`` and its own addresses."""

    token: str | None = None
    user_header: str | None = None
    hosts: frozenset[str] = frozenset()

    def lets_in(self, headers: dict[str, str], peer: Peer, now_s: float) -> bool:
        """Whether a request with these headers (names in small letters) may see the device."""
        if self.user_header is not None and peer.local and headers.get(self.user_header.lower(), "").strip():
            return True
        scheme, _, shown = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.is_token(shown.strip())
        return self._is_session(_cookie(headers.get("cookie", "")), now_s)

    def is_token(self, shown: str) -> bool:
        """Whether this is the token. Takes as long for a wrong one, whatever is wrong with it."""
        if self.token is None:
            return False
        return hmac.compare_digest(_digest(shown), _digest(self.token))

    def session(self, now_s: float) -> str:
        """The value of a cookie that lets in until ``COOKIE_S`` from now."""
        until = str(int(now_s) + COOKIE_S)
        return f"{until}.{self._proof(until)}"

    def knows_host(self, host: str, peer: Peer) -> bool:
        """Whether the page may be asked for under this ``Host``; the port does not matter, as it may be forwarded.

        A foreign site whose name was made to lead here (DNS rebinding) asks under its own name."""
        name = _without_port(host).lower().rstrip(".")
        if name == "localhost" or name in self.hosts:
            return True
        return is_loopback(name) or (bool(peer.own_address) and _same_address(name, peer.own_address))

    def _is_session(self, value: str, now_s: float) -> bool:
        until, dot, proof = value.partition(".")
        if self.token is None or not dot or not until.isdecimal() or len(value) > _LONGEST_COOKIE:
            return False
        genuine = hmac.compare_digest(proof.encode(), self._proof(until).encode())
        return genuine and now_s < int(until) <= now_s + COOKIE_S

    def _proof(self, until: str) -> str:
        key = hashlib.sha256(_SESSION + (self.token or "").encode()).digest()
        return hmac.new(key, until.encode(), hashlib.sha256).hexdigest()


def new_token() -> str:
    """256 random bits that can be copied by hand if need be."""
    return secrets.token_urlsafe(32)


def is_loopback(address: str) -> bool:
    """Whether this is an address of the machine's own loopback."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _same_address(name: str, own: str) -> bool:
    try:
        return ipaddress.ip_address(name) == ipaddress.ip_address(own)
    except ValueError:
        return False


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host


def _cookie(header: str) -> str:
    for part in header.split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return ""


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
