"""Where and how to reach one server by CoAP over DTLS; plain values, no CoAP or DTLS library is loaded for them."""

from __future__ import annotations

from ipad_agent.errors import ConfigError
from ipad_agent.net.dtls.dtls_backend import DEFAULT_GROUPS, Psk
from ipad_agent.net.host_address import is_address, path_for
from ipad_agent.net.trust.client_certificate import ClientCertificate
from ipad_agent.net.trust.pinned_trust import Pinned, Trust
from ipad_agent.printable import is_printable
from ipad_agent.records import dataclass, field

from .blockwise_transfer import MAX_SIZE_EXP

DEFAULT_PORT = 5684
DEFAULT_PATH = "gsma/rsp2/asn1"


@dataclass(frozen=True, slots=True)
class CoapsEndpoint:
    """Where and how to reach one server; every value is checked when the endpoint is made (``ConfigError``).

    ``association`` names whose DTLS session it is (the eimId). ``verify_name`` is the name the certificate must
    show when it is not ``host``. ``content_format`` None sends no option. ``block_size_exp`` 0..6 gives blocks of
    16..1024 bytes. After ``nat_timeout_s`` without traffic a fresh socket and an abbreviated handshake are used,
    for the NAT on the way has forgotten the old port by then. ``exchange_timeout_s`` is for one step of an
    exchange: until it stands, and from each block to the next, however often that has to be repeated.
    With ``lean`` the handshake
    offers what the pinned key needs, and everything when that is refused. Without ``close_notify`` sessions end without
    a word. With ``keep_open`` ``close`` leaves the session open, for another exchange within ``nat_timeout_s``.
    ``nstart`` is how
    many blocks of an answer are asked for at a time, where the server says how large it is (RFC 7252 §4.7).
    ``client_certificate`` is shown to a server that asks for one.
    """

    host: str
    trust: Trust
    port: int = DEFAULT_PORT
    path: str = DEFAULT_PATH
    association: str = ""
    psk: Psk | None = field(default=None, repr=False)
    verify_name: str | None = None
    send_uri_host: bool = True
    content_format: int | None = None
    block_size_exp: int = MAX_SIZE_EXP
    max_response_bytes: int = 1 << 18
    ack_timeout_s: float = 2.0
    max_retransmit: int = 4
    dns_timeout_s: float = 20.0
    handshake_timeout_s: float = 60.0
    flight_timeout_s: float = 1.0
    exchange_timeout_s: float = 300.0
    nat_timeout_s: float = 25.0
    nstart: int = 1
    lean: bool = True
    close_notify: bool = True
    keep_open: bool = False
    mtu_bytes: int = 1200
    groups: str = DEFAULT_GROUPS
    client_certificate: ClientCertificate | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        def check(good: bool, name: str, problem: str, allowed: str) -> None:
            if not good:
                raise ConfigError(f"eIM endpoint {name}", problem, allowed=allowed)

        good_host = (
            bool(self.host) and self.host.isascii() and is_printable(self.host) and not set("/ ") & set(self.host)
        )
        check(good_host, "host", f"{self.host!r} is no host", "a name (internationalised ones as xn--) or an address")
        check(0 < self.port < 65536, "port", str(self.port), "1 to 65535")
        check(0 <= self.block_size_exp <= MAX_SIZE_EXP, "block_size_exp", str(self.block_size_exp), "0 to 6")
        check(0 <= self.max_retransmit <= 20, "max_retransmit", str(self.max_retransmit), "0 to 20")
        check(1 <= self.nstart <= 16, "nstart", str(self.nstart), "1 to 16")
        check(256 <= self.mtu_bytes <= 16384, "mtu_bytes", str(self.mtu_bytes), "256 to 16384")
        check(self.max_response_bytes > 0, "max_response_bytes", str(self.max_response_bytes), "1 or more")
        known_format = self.content_format is None or 0 <= self.content_format < 65536
        check(known_format, "content_format", str(self.content_format), "0 to 65535")
        segments = self.path_segments()
        check(all(0 < len(s.encode()) < 256 for s in segments), "path", self.path, "segments of 1 to 255 bytes")
        for name in ("ack_timeout_s", "dns_timeout_s", "handshake_timeout_s", "flight_timeout_s", "exchange_timeout_s"):
            value = getattr(self, name)
            check(0 < value < 86400, name, str(value), "more than 0, less than a day")
        if self.psk is not None:
            check(1 <= len(self.psk.identity) <= 128, "psk", "the identity has a bad length", "1 to 128 bytes")
            check(b"\0" not in self.psk.identity, "psk", "the identity holds a zero byte", "no zero byte")
            check(16 <= len(self.psk.key) <= 256, "psk", "the key has a bad length", "16 to 256 bytes")
        fits = (self.psk is None) == (self.trust.kind is not Pinned.PSK)
        check(fits, "psk", "the key and Trust.psk() stand for each other", "both or neither")

    def path_segments(self, function: str = "") -> tuple[str, ...]:
        """The Uri-Path options for a function; ``{function}`` in the path stands for its name."""
        path = path_for(self.path, function).strip("/") if function else self.path.strip("/")
        return tuple(path.split("/")) if path else ()

    @property
    def host_is_address(self) -> bool:
        """Whether ``host`` is an IP address instead of a name."""
        return is_address(self.host)
