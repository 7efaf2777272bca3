"""Where and how to reach one server by HTTPS; plain values, nothing of HTTP or TLS is loaded for them."""

from __future__ import annotations

from typing import Final

from ipad_agent.errors import ConfigError
from ipad_agent.net.host_address import FUNCTION, is_address
from ipad_agent.net.trust.client_certificate import ClientCertificate
from ipad_agent.net.trust.pinned_trust import Pinned, Trust
from ipad_agent.records import dataclass, field

DEFAULT_PORT: Final = 443
ASN1_PATH: Final = "/gsma/rsp2/asn1"
ASN1_TYPE: Final = "application/x-gsma-rsp-asn1"
ESIPA_JSON_PATH: Final = "/gsma/rsp2/esipa/{function}"
ESIPA_JSON_TYPE: Final = "application/json;charset=UTF-8"
ADMIN_PROTOCOL: Final = "gsma/rsp/v2.1.0"
USER_AGENT: Final = "gsma-rsp-ipad"


@dataclass(frozen=True, slots=True)
class HttpsEndpoint:
    """One server; every value is checked when the endpoint is made (``ConfigError``).

    ``{function}`` in ``path`` stands for the function's name (``getEimPackage``). ``verify_name`` is the name the
    certificate must show when it is not ``host``. ``connect_timeout_s`` is for name, TCP and TLS together,
    ``exchange_timeout_s`` for one whole exchange, connecting included. Of an answer that has begun, at least
    ``progress_bytes`` must come in every ``progress_window_s``. Headers are those of SGP.32 v1.2 §6.1.1.
    ``client_certificate`` is shown to a server that asks for one. ``public_only`` is for a server whose address
    somebody else chose: it must be on the public Internet.
    """

    host: str
    trust: Trust
    port: int = DEFAULT_PORT
    path: str = ASN1_PATH
    content_type: str = ASN1_TYPE
    user_agent: str = USER_AGENT
    admin_protocol: str = ADMIN_PROTOCOL
    verify_name: str | None = None
    max_response_bytes: int = 1 << 18
    connect_timeout_s: float = 30.0
    exchange_timeout_s: float = 120.0
    progress_window_s: float = 20.0
    progress_bytes: int = 64
    client_certificate: ClientCertificate | None = field(default=None, repr=False)
    public_only: bool = False

    def __post_init__(self) -> None:
        def check(good: bool, name: str, problem: str, allowed: str) -> None:
            if not good:
                raise ConfigError(f"HTTPS endpoint {name}", problem, allowed=allowed)

        check(bool(self.host) and _plain(self.host) and "/" not in self.host, "host", repr(self.host), "a host")
        check(0 < self.port < 65536, "port", str(self.port), "1 to 65535")
        good_path = self.path.startswith("/") and _plain(self.path.replace(FUNCTION, ""))
        check(good_path, "path", repr(self.path), 'a path that begins with "/"')
        for name in ("content_type", "user_agent", "admin_protocol"):
            value = getattr(self, name)
            check(bool(value) and _plain(value.replace(" ", "")) and value == value.strip(), name, repr(value), "ASCII")
        for name in ("connect_timeout_s", "exchange_timeout_s", "progress_window_s"):
            value = getattr(self, name)
            check(0 < value < 86400, name, str(value), "more than 0, less than a day")
        check(self.max_response_bytes > 0, "max_response_bytes", str(self.max_response_bytes), "1 or more")
        check(self.progress_bytes > 0, "progress_bytes", str(self.progress_bytes), "1 or more")
        check(self.trust.kind is not Pinned.PSK, "trust", "a pre-shared key alone", "a key, a certificate or a store")

    @property
    def server_name(self) -> str | None:
        """What to ask for in SNI: names only (RFC 6066 §3)."""
        return None if is_address(self.host) else self.host.rstrip(".")

    @property
    def host_header(self) -> str:
        """The Host header: the port only where it is not the usual one (RFC 9110 §7.2)."""
        host = f"[{self.host.partition('%')[0]}]" if ":" in self.host else self.host.rstrip(".")
        return host if self.port == DEFAULT_PORT else f"{host}:{self.port}"


def _plain(text: str) -> bool:
    return all("!" <= character <= "~" for character in text)
