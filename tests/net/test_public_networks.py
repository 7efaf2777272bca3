"""A server whose address somebody else chose does not lead into the device's own networks."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from ipad_agent.net import AddressForbidden, HttpsCarrier, HttpsEndpoint, Trust, dialler
from ipad_agent.net.dns_lookup import Address
from ipad_agent.net.https import https_connection
from ipad_agent.net.public_networks import not_public

from .certs import Identity, issue
from .https_server import Client, Server

ONE = "InitiateAuthentication"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "::",
        "::1",
        "169.254.169.254",  # where clouds keep their metadata
        "fe80::1",
        "fe80::1%eth0",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.254",
        "192.168.1.1",
        "fd00::1",
        "fc00::1",
        "fec0::1",
        "100.64.0.1",
        "100.127.255.254",
        "224.0.0.251",
        "ff02::fb",
        "255.255.255.255",
        "240.0.0.1",
        "192.0.0.1",
        "198.18.0.1",
        "203.0.113.1",
        "2001:db8::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",  # Teredo
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:0:10.0.0.1",
        "::10.0.0.1",
        "::93.184.216.34",
        "64:ff9b::10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::5db8:d822",
        "2002:c0a8:101::1",  # 6to4 of 192.168.1.1
        "nonsense",
        "",
    ],
)
def test_an_address_of_ones_own_networks_is_not_public(address: str) -> None:
    assert not_public(address) is not None


@pytest.mark.parametrize(
    "address",
    [
        "93.184.216.34",
        "1.1.1.1",
        "100.63.255.255",
        "100.128.0.1",
        "172.15.255.255",
        "172.32.0.1",
        "192.0.1.1",
        "223.255.255.255",
        "2606:4700:4700::1111",
        "2a00:1450:4001:81b::200e",
        "::ffff:93.184.216.34",
        "64:ff9b::5db8:d822",  # how a network without IPv4 shows 93.184.216.34
        "2002:5db8:d822::1",
    ],
)
def test_an_address_of_the_public_internet_is(address: str) -> None:
    assert not_public(address) is None


@pytest.fixture(scope="module")
def identity() -> Identity:
    return issue("S", dns=("smdp.example.org",), ips=("127.0.0.1",))


def to(*hosts: str) -> Callable[[str, int], Awaitable[list[Address]]]:
    """A resolver that gives these, call by call the next ones after a blank."""

    async def resolve(host: str, port: int) -> list[Address]:
        return [Address(socket.AF_INET6 if ":" in one else socket.AF_INET, (one, port)) for one in hosts]

    return resolve


def endpoint(server: Server, identity: Identity, host: str = "smdp.example.org") -> HttpsEndpoint:
    return HttpsEndpoint(
        host, Trust.spki(identity.spki), port=server.port, public_only=True, connect_timeout_s=5, exchange_timeout_s=5
    )


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1"])
async def test_a_name_that_leads_to_the_device_is_not_connected_to(identity: Identity, address: str) -> None:
    async with Server(identity) as server:
        smdp = HttpsCarrier(endpoint(server, identity), resolver=to(address))
        with pytest.raises(AddressForbidden, match=r"smdp\.example\.org is not connected to.*the device itself"):
            await smdp.exchange(b"x", function=ONE)
        await asyncio.sleep(0)
    assert server.connections == []


async def test_a_number_instead_of_a_name_is_judged_as_well(identity: Identity) -> None:
    async with Server(identity) as server:
        for host in ("127.0.0.1", "localhost", "0x7f000001", "2130706433", "127.1"):
            with pytest.raises(AddressForbidden, match="is not connected to"):
                await HttpsCarrier(endpoint(server, identity, host)).exchange(b"x", function=ONE)
    assert server.connections == []


async def test_a_name_that_leads_elsewhere_the_second_time_is_judged_again(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    public: set[str] = {"127.0.0.1"}
    monkeypatch.setattr(dialler, "not_public", lambda address: None if address in public else "a private network")
    monkeypatch.setattr(https_connection, "_check_other_end", lambda client: None)

    async def once(client: Client) -> None:
        await client.request()
        await client.answer(b"first", headers=("Connection: close",))

    async with Server(identity, once) as server:
        smdp = HttpsCarrier(endpoint(server, identity), resolver=to("127.0.0.1"))
        assert await smdp.exchange(b"x", function=ONE) == b"first"
        public.clear()  # the name has another address now
        with pytest.raises(AddressForbidden):
            await smdp.exchange(b"x", function=ONE)
        await smdp.close()
    assert len(server.connections) == 1


async def test_of_several_addresses_only_the_public_ones_are_tried(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialler, "not_public", lambda address: None if address == "127.0.0.1" else "a private network")
    monkeypatch.setattr(https_connection, "_check_other_end", lambda client: None)
    async with Server(identity) as server:
        smdp = HttpsCarrier(endpoint(server, identity), resolver=to("127.0.0.2", "127.0.0.1"))
        assert await smdp.exchange(b"x", function=ONE) == b"x"
        await smdp.close()


@pytest.mark.parametrize("judged_public", [False, True])
async def test_a_connection_that_leads_to_the_device_all_the_same_carries_no_byte(
    identity: Identity, monkeypatch: pytest.MonkeyPatch, judged_public: bool
) -> None:
    # Whatever was looked up: the socket knows where it is. An own address that looks public is told by its being ours.
    monkeypatch.setattr(dialler, "not_public", lambda address: None)
    if judged_public:
        monkeypatch.setattr(https_connection, "not_public", lambda address: None)
    heard: list[bytes] = []
    gone = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(100))
        writer.close()
        gone.set()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server, Server(identity) as other:
        port = server.sockets[0].getsockname()[1]
        smdp = HttpsCarrier(replace(endpoint(other, identity), port=port), resolver=to("127.0.0.1"))
        with pytest.raises(AddressForbidden, match="it leads to the device itself"):
            await smdp.exchange(b"x", function=ONE)
        await asyncio.wait_for(gone.wait(), 5)
    assert heard == [b""]


async def test_an_eim_may_be_where_the_owner_says(identity: Identity) -> None:
    async with Server(identity) as server:
        eim = HttpsCarrier(replace(endpoint(server, identity), public_only=False), resolver=to("127.0.0.1"))
        assert await eim.exchange(b"x", function=ONE) == b"x"
        await eim.close()
