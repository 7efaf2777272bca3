"""The seam between what is said to a server and how it gets there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, runtime_checkable

from ipad_agent.records import dataclass

# Repeating one of these changes nothing: the eUICC guards against replay, results and notifications are numbered, and
# an opening that nobody goes on with is forgotten. The others move a download session on or end it.
REPEATABLE: Final = frozenset(
    {"GetEimPackage", "ProvideEimPackageResult", "HandleNotification", "InitiateAuthentication"}
)

ProgressCallback = Callable[[int, int | None], None]
"""Called with the bytes of the answer so far and, where it is known, how many it has."""


class Carrier(Protocol):
    """One way to one server. CoAP over DTLS and HTTPS look the same from here (SGP.32 v1.2 §6.1, §6.2)."""

    @property
    def scheme(self) -> str:
        """``coaps`` or ``https``."""

    @property
    def bytes_sent(self) -> int:
        """Payload bytes of the transport (UDP or TCP) sent so far, handshakes included."""

    @property
    def bytes_received(self) -> int:
        """The same for what arrived."""

    async def exchange(self, body: bytes, *, function: str) -> bytes:
        """Send one request and return the body of the successful answer, which may be empty.

        ``function`` is the ESipa function's name (``GetEimPackage``); the JSON binding takes the path from it.
        Raises ``Unreachable``, ``HandshakeFailed``, ``TrustRefused``, ``TransferTimeout`` (network side) and
        ``PeerBusy``, ``PeerStatus``, ``ProtocolViolation``, ``ResponseTooLarge`` (server side); ``AddressForbidden``
        where the server has to be on the public Internet and is not.
        """

    async def reach(self) -> None:
        """Make the session, with everything that proves the server, and send nothing over it. Raises as ``exchange``
        does on the network side."""

    async def close(self) -> None:
        """End the session politely (close_notify) and free the socket; the carrier may be used again."""


@runtime_checkable
class NamesProtocol(Protocol):
    """A carrier over which servers name what they speak."""

    @property
    def peer_protocol(self) -> str | None:
        """The X-Admin-Protocol of the last answer; None without one, or when it only repeats ours."""


class CountsHeaders(Protocol):
    """A carrier that knows what its packets cost beside their payload."""

    @property
    def ip_bytes(self) -> int:
        """Bytes of both directions with the headers of IP and UDP or TCP: what the network carried."""


def cost_bytes(carrier: Carrier) -> int:
    """What a carrier has cost so far, both directions; with headers, where it counts them (``CountsHeaders``)."""
    # Asked many times in a poll; ``isinstance`` of a protocol would take longer than all else here.
    with_headers: int | None = getattr(carrier, "ip_bytes", None)
    return carrier.bytes_sent + carrier.bytes_received if with_headers is None else with_headers


class WatchedCarrier(Carrier, Protocol):
    """A carrier that can tell how far a long answer has come."""

    async def exchange(self, body: bytes, *, function: str, progress: ProgressCallback | None = None) -> bytes:
        """As ``Carrier.exchange``."""


@dataclass(slots=True)
class Traffic:
    """What a carrier has cost so far, for byte and handshake budgets."""

    bytes_sent: int = 0
    bytes_received: int = 0
    datagrams_sent: int = 0
    datagrams_received: int = 0
    handshakes_full: int = 0
    handshakes_resumed: int = 0
    handshakes_failed: int = 0
    retransmissions: int = 0
    header_bytes: int = 0
    """Of IP and UDP or TCP, both ways."""
    on_packet: Callable[[], None] | None = None
    """Called with every packet, or what is sent or read of a stream at a time."""

    def packet(self) -> None:
        """Something was sent or received."""
        if self.on_packet is not None:
            self.on_packet()

    @property
    def ip_bytes(self) -> int:
        """What the network carried, and an operator charges: payload and headers, both ways."""
        return self.bytes_sent + self.bytes_received + self.header_bytes
