"""Which carriers lead to an eIM, and when the agent changes between them."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass

import pytest

from ipad_agent.codec.es10.eim_configuration import EimProtocol
from ipad_agent.eim import EndpointOverrides, FailoverCarrier, ProtocolBits, Way, WayOverrides, endpoints_for
from ipad_agent.eim.carrier_failover import BACK_AFTER
from ipad_agent.eim.errors import CarrierExcluded
from ipad_agent.net import (
    CoapsEndpoint,
    HandshakeFailed,
    HttpsEndpoint,
    PeerStatus,
    Psk,
    Refusal,
    TransferTimeout,
    Trust,
    TrustRefused,
    Unreachable,
)

COAPS, HTTPS = EimProtocol.RETRIEVE_COAPS, EimProtocol.RETRIEVE_HTTPS
# An uncompressed point needs not be on the curve to be pinned: only its bytes are compared.
SPKI = bytes.fromhex(
    "3059301306072a8648ce3d020106082a8648ce3d03010703420004"
    "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)
PSK = Psk(b"gateway", b"0123456789abcdef")


@dataclass(frozen=True)
class KeyData:
    kind: str
    der: bytes


@dataclass(frozen=True)
class Entry:
    eim_id: str = "eim-1"
    fqdn: str | None = "eim.example.org"
    id_type: int | None = 1
    trusted_tls: KeyData | None = KeyData("spki", SPKI)
    supported_protocol: Collection[EimProtocol] | None = None


def kinds(
    bits: set[EimProtocol] | None,
    *,
    policy: ProtocolBits = ProtocolBits.PRACTICAL,
    ways: WayOverrides | None = None,
    psk: Psk | None = None,
) -> list[str]:
    found = endpoints_for(
        Entry(supported_protocol=bits), EndpointOverrides(protocol_bits=policy, psk=psk), ways or WayOverrides()
    )
    return ["https" if isinstance(endpoint, HttpsEndpoint) else "coaps" for endpoint in found]


@pytest.mark.parametrize(
    ("bits", "policy", "expected"),
    [
        ({COAPS, HTTPS}, ProtocolBits.PRACTICAL, ["coaps", "https"]),
        ({COAPS}, ProtocolBits.PRACTICAL, ["coaps"]),
        ({HTTPS}, ProtocolBits.PRACTICAL, ["https"]),
        ({HTTPS}, ProtocolBits.STRICT, ["https"]),
        (None, ProtocolBits.PRACTICAL, ["coaps", "https"]),
        (set(), ProtocolBits.PRACTICAL, ["coaps", "https"]),
        ({HTTPS}, ProtocolBits.IGNORED, ["coaps", "https"]),
        ({EimProtocol.INJECT_HTTPS}, ProtocolBits.IGNORED, ["coaps", "https"]),
    ],
)
def test_entry_of_the_card_names_the_ways(
    bits: set[EimProtocol] | None, policy: ProtocolBits, expected: list[str]
) -> None:
    assert kinds(bits, policy=policy) == expected


@pytest.mark.parametrize(
    ("bits", "policy"),
    [
        ({EimProtocol.INJECT_HTTPS}, ProtocolBits.PRACTICAL),
        ({EimProtocol.PROPRIETARY}, ProtocolBits.STRICT),
        (None, ProtocolBits.STRICT),
    ],
)
def test_entry_that_names_no_way_of_ours_excludes_the_eim(bits: set[EimProtocol] | None, policy: ProtocolBits) -> None:
    with pytest.raises(CarrierExcluded):
        kinds(bits, policy=policy)


def test_configured_carrier_is_used_whatever_the_card_says(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ipad_agent")
    assert kinds({COAPS}, ways=WayOverrides(carrier="https")) == ["https"]
    assert kinds({HTTPS}, ways=WayOverrides(carrier="coaps"), policy=ProtocolBits.STRICT) == ["coaps"]
    assert len(caplog.records) == 2
    assert kinds({COAPS, HTTPS}, ways=WayOverrides(carrier="https")) == ["https"]
    assert len(caplog.records) == 2


def test_preshared_key_is_for_coaps_alone() -> None:
    assert kinds(None, psk=PSK) == ["coaps"]
    with pytest.raises(CarrierExcluded):
        kinds({HTTPS}, psk=PSK)


def test_endpoints_have_the_defaults_of_both_bindings() -> None:
    coaps, https = endpoints_for(Entry())
    assert isinstance(coaps, CoapsEndpoint)
    assert isinstance(https, HttpsEndpoint)
    assert (coaps.port, coaps.path_segments("GetEimPackage")) == (5684, ("gsma", "rsp2", "asn1"))
    assert (https.port, https.path, https.content_type) == (443, "/gsma/rsp2/asn1", "application/x-gsma-rsp-asn1")
    assert coaps.trust == https.trust == Trust.spki(SPKI, origin="eUICC")
    coaps, https = endpoints_for(Entry(), None, WayOverrides(binding="json"))
    assert isinstance(coaps, CoapsEndpoint)
    assert isinstance(https, HttpsEndpoint)
    assert coaps.path_segments("GetEimPackage") == ("gsma", "rsp2", "esipa", "getEimPackage")
    assert (https.path, https.content_type) == ("/gsma/rsp2/esipa/{function}", "application/json;charset=UTF-8")


def test_configuration_goes_into_both_endpoints() -> None:
    overrides = EndpointOverrides(host="192.0.2.1", port=7000, path="/esipa", verify_name="x", max_response_bytes=99)
    ways = WayOverrides(https_port=8443, connect_timeout_s=5, exchange_timeout_s=6, user_agent="a", admin_protocol="b")
    coaps, https = endpoints_for(Entry(), overrides, ways)
    assert (coaps.host, coaps.port, coaps.path, coaps.max_response_bytes) == ("192.0.2.1", 7000, "/esipa", 99)
    assert https == HttpsEndpoint(
        host="192.0.2.1",
        trust=Trust.spki(SPKI, origin="eUICC"),
        port=8443,
        path="/esipa",
        user_agent="a",
        admin_protocol="b",
        verify_name="x",
        max_response_bytes=99,
        connect_timeout_s=5,
        exchange_timeout_s=6,
    )


def test_port_of_the_address_is_for_either_carrier() -> None:
    coaps, https = endpoints_for(Entry(fqdn="eim.example.org:6000"))
    assert (coaps.port, https.port) == (6000, 6000)


# -- changing the carrier ----------------------------------------------------------------------------------------------


class Carrier:
    """Fails with ``trouble`` while that is set."""

    bytes_sent = 10
    bytes_received = 3

    def __init__(self, scheme: str) -> None:
        self.scheme = scheme
        self.trouble: Exception | None = None
        self.closed = 0

    async def reach(self) -> None:
        return None

    async def exchange(self, body: bytes, *, function: str) -> bytes:
        if self.trouble is not None:
            raise self.trouble
        return self.scheme.encode()

    async def close(self) -> None:
        self.closed += 1


class Two:
    """A failover carrier over two; ``made`` tells which were needed so far."""

    def __init__(self) -> None:
        self.coaps, self.https = Carrier("coaps"), Carrier("https")
        self.made: list[str] = []
        self.carrier = FailoverCarrier(
            [Way("coaps", lambda: self._make(self.coaps)), Way("https", lambda: self._make(self.https))],
            eim_id="eim-1",
        )

    def _make(self, carrier: Carrier) -> Carrier:
        self.made.append(carrier.scheme)
        return carrier

    async def procedure(self, *, exchanges: int = 1) -> list[str]:
        """What answered, by exchange; the name of the error where none did."""
        said = []
        for _ in range(exchanges):
            try:
                said.append((await self.carrier.exchange(b"", function="GetEimPackage")).decode())
            except (Unreachable, HandshakeFailed, TrustRefused, TransferTimeout, PeerStatus) as error:
                said.append(type(error).__name__)
        await self.carrier.close()
        return said


@pytest.mark.parametrize("trouble", [Unreachable("silence"), HandshakeFailed("alert")])
async def test_next_procedure_goes_the_other_way_and_this_one_does_not(
    trouble: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ipad_agent")
    two = Two()
    two.coaps.trouble = trouble
    name = type(trouble).__name__
    assert await two.procedure(exchanges=3) == [name] * 3
    assert two.made == ["coaps"]
    assert await two.procedure(exchanges=2) == ["https", "https"]
    assert two.carrier.scheme == "https"
    assert (two.coaps.closed, two.https.closed) == (1, 1)
    assert two.carrier.bytes_sent == 20
    (changed,) = [record.getMessage() for record in caplog.records]
    assert "https" in changed


@pytest.mark.parametrize(
    "trouble", [TrustRefused("x", reason=Refusal.NO_PATH), TransferTimeout("x"), PeerStatus("500"), PeerStatus("4.04")]
)
async def test_server_that_is_there_or_not_trusted_is_no_reason_to_change(trouble: Exception) -> None:
    two = Two()
    two.coaps.trouble = trouble
    for _ in range(3):
        await two.procedure()
    assert two.made == ["coaps"]


async def test_trouble_that_passed_within_the_procedure_is_no_reason_to_change() -> None:
    two = Two()
    two.coaps.trouble = Unreachable("x")
    with pytest.raises(Unreachable):
        await two.carrier.exchange(b"", function="GetEimPackage")
    two.coaps.trouble = None
    assert await two.procedure() == ["coaps"]
    assert await two.procedure() == ["coaps"]


async def test_without_any_network_the_ways_take_turns() -> None:
    two = Two()
    two.coaps.trouble = two.https.trouble = Unreachable("no network")
    for expected in ("coaps", "https", "coaps", "https"):
        assert two.carrier.scheme == expected
        await two.procedure()


async def test_preferred_way_gets_another_chance() -> None:
    two = Two()
    two.coaps.trouble = Unreachable("blocked")
    await two.procedure()
    for _ in range(BACK_AFTER):
        assert await two.procedure() == ["https"]
    assert await two.procedure() == ["Unreachable"]
    assert await two.procedure() == ["https"]


async def test_only_way_is_kept() -> None:
    carrier = Carrier("https")
    carrier.trouble = Unreachable("x")
    only = FailoverCarrier([Way("https", lambda: carrier)], eim_id="eim-1")
    for _ in range(3):
        with pytest.raises(Unreachable):
            await only.exchange(b"", function="GetEimPackage")
        await only.close()
    carrier.trouble = None
    assert await only.exchange(b"", function="GetEimPackage") == b"https"


async def test_closing_before_the_first_exchange_makes_nothing() -> None:
    two = Two()
    await two.carrier.close()
    assert two.made == []
    assert (two.carrier.bytes_sent, two.carrier.bytes_received) == (0, 0)


def test_no_way_at_all_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="no way"):
        FailoverCarrier([], eim_id="eim-1")
