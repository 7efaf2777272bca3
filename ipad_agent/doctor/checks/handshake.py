"""One full handshake with one server, judged as the agent judges it, and nothing after it.

The libraries of a carrier are loaded when it is tried, as the agent itself does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ipad_agent.net import (
    CertificateWanted,
    CoapsEndpoint,
    HandshakeFailed,
    HttpsEndpoint,
    Traffic,
    TrustRefused,
    Unreachable,
    clock_is_plausible,
)
from ipad_agent.net.dns_lookup import Address
from ipad_agent.net.dtls.dtls_backend import DtlsSettings
from ipad_agent.net.trust.certificate_chain import Verdict, judge
from ipad_agent.records import dataclass

if TYPE_CHECKING:
    from ipad_agent.net.https.https_connection import HttpsConnection

_LAST_WORDS_S: Final = 0.5
"""DTLS has this deadline itself and says more about it."""
_VERDICT_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Session:
    """What came about: ``how`` the server was recognised, and what the judge was lenient about."""

    cipher: str
    how: str
    took_s: float


async def shake_hands(
    endpoint: CoapsEndpoint | HttpsEndpoint, addresses: Sequence[Address], *, now_s: float, longest_s: float
) -> Session:
    """Try the addresses in turn, within the endpoint's own deadline or ``longest_s``. Nothing is resumed and nothing
    is kept: the agent's own sessions are not touched.

    Raises what the most telling attempt raised: ``TrustRefused``, ``HandshakeFailed``, ``Unreachable``, or
    ``BackendLacks``.
    """
    loop = asyncio.get_running_loop()
    own_s = endpoint.connect_timeout_s if isinstance(endpoint, HttpsEndpoint) else endpoint.handshake_timeout_s
    limit_s = min(own_s, longest_s) / max(1, min(len(addresses), 3))
    failure: TrustRefused | HandshakeFailed | Unreachable | None = None
    for address in addresses:
        began = loop.time()
        try:
            async with asyncio.timeout(limit_s + _LAST_WORDS_S):
                if isinstance(endpoint, HttpsEndpoint):
                    cipher, verdict = await _tls(endpoint, address, now_s)
                else:
                    cipher, verdict = await _dtls(endpoint, address, now_s, limit_s)
        except TimeoutError:
            failure = failure or Unreachable(f"no session with {endpoint.host} at {address} within {limit_s:g} s")
            continue
        except (TrustRefused, HandshakeFailed, Unreachable) as error:
            if failure is None or isinstance(failure, Unreachable):
                failure = error
            continue
        lenient = "".join(f"; {tolerance.value}" for tolerance in verdict.tolerances)
        return Session(cipher, verdict.how + lenient, loop.time() - began)
    raise failure or Unreachable(f"the name {endpoint.host} has no address")


async def _dtls(endpoint: CoapsEndpoint, address: Address, now_s: float, limit_s: float) -> tuple[str, Verdict]:
    from ipad_agent.net import OpenSslBackend
    from ipad_agent.net.coap.coap_association import Association

    settings = DtlsSettings(
        association="doctor",
        fingerprint="",
        server_name=None if endpoint.host_is_address else endpoint.host.rstrip("."),
        psk=endpoint.psk,
        groups=endpoint.groups,
        mtu_bytes=endpoint.mtu_bytes,
        handshake_timeout_s=limit_s,
        flight_timeout_s=endpoint.flight_timeout_s,
        client_certificate=endpoint.client_certificate,
    )
    client = OpenSslBackend().client(settings, lambda chain: _judged(endpoint, chain, now_s))
    association, established = await Association.open(
        address.sockaddr, address.family, client, host=endpoint.host, traffic=Traffic()
    )
    association.close()
    return established.cipher, established.verdict


async def _tls(endpoint: HttpsEndpoint, address: Address, now_s: float) -> tuple[str, Verdict]:
    from ipad_agent.net.https.https_connection import HttpsConnection, Progress
    from ipad_agent.net.https.tls_client import TlsClient

    client = TlsClient(endpoint.server_name, client_certificate=endpoint.client_certificate)
    connection, verdict = await HttpsConnection.open(
        address,
        client,
        lambda chain: _judged(endpoint, chain, now_s),
        traffic=Traffic(),
        progress=Progress(endpoint.progress_window_s, endpoint.progress_bytes),
        max_response_bytes=endpoint.max_response_bytes,
        silence_s=endpoint.connect_timeout_s,
    )
    description = client.description
    try:
        if client.certificate_owed:
            await _hear_verdict(connection)
    finally:
        await connection.close()
    return description, verdict


async def _hear_verdict(connection: HttpsConnection) -> None:
    """In TLS 1.3 a server that had asked for our certificate says only after the handshake that it cannot go without.

    Raises ``CertificateWanted`` when it does so within a second.
    """
    loop = asyncio.get_running_loop()
    until_s = loop.time() + _VERDICT_S
    while loop.time() < until_s:
        if not await connection.still_open():
            raise CertificateWanted("the server closed the connection after the handshake", shown=False)
        await asyncio.sleep(_VERDICT_S / 20)


def _judged(endpoint: CoapsEndpoint | HttpsEndpoint, chain: Sequence[bytes], now_s: float) -> Verdict:
    return judge(
        chain,
        endpoint.trust,
        host=endpoint.verify_name or endpoint.host,
        now_s=now_s,
        clock_plausible=clock_is_plausible(now_s),
    )
