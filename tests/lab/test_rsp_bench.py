"""Servers for profiles and HTTPS on the bench: reached through the device's network, and only while there is one."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ipad_agent.lab.bench.bench_options import BenchOptions
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.bench.network.tcp_gate import TcpGate
from ipad_agent.lab.bench.rsp_servers_on_bench import Offer, RspOptions
from ipad_agent.lab.command.lab_command import describe
from ipad_agent.lab.crypto import der
from ipad_agent.lab.eim.https.esipa_https import ASN1_TYPE, STRICT
from ipad_agent.lab.errors import BenchError
from ipad_agent.lab.pki import Credential
from ipad_agent.lab.smdp import Fault

from .by_hand import get_eim_package
from .smdp.scripted import Card, Client

QUICK = {"refresh_delay_s": 0.01, "card_init_s": 0.01, "attach_s": 0.01, "reboot_s": 0.05}
ESIPA = {"Content-Type": ASN1_TYPE, "X-Admin-Protocol": "gsma/rsp/v2.1.0"}
ES9 = {"Content-Type": "application/json", "X-Admin-Protocol": "gsma/rsp/v2.1.0"}


async def post(port: int, anchor: Credential, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """The answer to one request by ``http.client``, which knows the server as localhost."""

    def ask() -> bytes:
        context = ssl.create_default_context(cadata=anchor.cert_pem.decode())
        connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=60)
        try:
            connection.request("POST", path, body, headers)
            return connection.getresponse().read()
        finally:
            connection.close()

    return await asyncio.to_thread(ask)


def options(**more: Any) -> BenchOptions:
    return BenchOptions(provision="card", modem=QUICK, link_follows_modem=False, **more)


@pytest.mark.parametrize("https_tls", ["", "rsa"])
async def test_the_eim_is_reached_over_https_with_the_identity_that_the_card_pins(https_tls: str) -> None:
    async with Bench(options(carrier="https", https_tls=https_tls, https=STRICT)) as bench:
        assert bench.https_gate is not None
        (leaf,) = bench.https_chain()
        answer = await post(bench.https_gate.port, leaf, "/gsma/rsp2/asn1", get_eim_package(bench.eid), ESIPA)
        assert answer == bytes.fromhex("BF4F 03 020101")
        (request,) = bench.eim.seen("request")
        assert request["eid"] == bench.eid
        listed = der.parse(bench.card.es10.execute(bytes.fromhex("BF5500"))).get(0xA0).children[0]
        assert listed.get(0xA6).get(0xA0).value == der.parse(leaf.spki_der).value
        assert listed.get(0x87).bits() == {0}


@pytest.mark.parametrize(("carrier", "bits"), [("coaps", {1}), ("both", {0, 1})])
async def test_the_card_is_told_the_carriers(carrier: str, bits: set[int]) -> None:
    async with Bench(options(carrier=carrier)) as bench:
        listed = der.parse(bench.card.es10.execute(bytes.fromhex("BF5500"))).get(0xA0).children[0]
        assert listed.get(0x87).bits() == bits
        assert listed.find(0x89) is None
        assert ("https_port" in (bench.folder / "agent.toml").read_text()) == (carrier == "both")


def test_a_pre_shared_key_and_https_do_not_go_together() -> None:
    with pytest.raises(BenchError, match="HTTPS"):
        BenchOptions(tls="psk", carrier="https")
    with pytest.raises(BenchError, match="carrier"):
        BenchOptions(carrier="pigeon")
    with pytest.raises(BenchError, match="relay"):
        RspOptions(relay="pigeon")


async def test_a_bench_without_smdp_says_so() -> None:
    async with Bench(options()) as bench:
        with pytest.raises(BenchError, match="no SM-DP"):
            _ = bench.rsp


async def es9(bench: Bench, function: str, body: dict[str, Any]) -> dict[str, Any]:
    port = bench.rsp.smdp_gate.port
    raw = await post(port, bench.pki["ci"], f"/gsma/rsp2/es9plus/{function}", json.dumps(body).encode(), ES9)
    answer = json.loads(raw)
    assert isinstance(answer, dict)
    return answer


@pytest.mark.parametrize("relay", ["https", "memory"])
async def test_device_and_relay_call_the_smdp_by_the_same_name(relay: str) -> None:
    async with Bench(options(rsp=RspOptions(relay=relay, faults=(Fault("authenticateClient", "html"),)))) as bench:
        code = bench.rsp.code(bench.rsp.options.offers[0])
        assert code == f"LPA:1$localhost:{bench.rsp.smdp_gate.port}$LAB-1"
        info1 = bench.card.es10.execute(bytes.fromhex("BF2000"))
        order = bench.order("trigger", code)
        bench.eim.exchange(get_eim_package(bench.eid), peer="p")
        address = bench.rsp.smdp_address.encode()
        assert order.transaction_id is not None
        body = der.tlv(
            0xBF39,
            der.octets(bytes(16), 0x81),
            der.octets(address, 0x83),
            info1,
            der.octets(order.transaction_id, 0x82),
        )
        reply = bench.eim.exchange(body, peer="p")
        if reply.later is not None:
            reply = await reply.later()
        assert (reply.later is None, relay) == (True, relay)
        assert der.parse(reply.body).children[0].tag == 0xA0
        entry = await bench.eim.entry("rsp", deadline_s=1)
        assert entry["ok"] is True
        for name in ("localhost", bench.rsp.smdp_address, "SMDP.lab.example"):
            fields = {"euiccChallenge": "AAAAAAAAAAAAAAAAAAAAAA==", "smdpAddress": name, "euiccInfo1": _b64(info1)}
            answer = await es9(bench, "initiateAuthentication", fields)
            assert answer["header"]["functionExecutionStatus"]["status"] == "Executed-Success"


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def test_the_card_knows_the_servers_and_that_the_eim_relays() -> None:
    async with Bench(options(rsp=RspOptions())) as bench:
        addresses = der.parse(bench.card.es10.execute(bytes.fromhex("BF3C00")))
        assert addresses.get(0x80).text() == bench.rsp.smdp_address
        assert addresses.get(0x81).text() == bench.rsp.smds_address
        listed = der.parse(bench.card.es10.execute(bytes.fromhex("BF5500"))).get(0xA0).children[0]
        assert listed.find(0x89) is not None
        assert (bench.folder / "ci" / "ci.pem").read_bytes() == bench.pki["ci"].cert_pem
        assert "ci_dir" in (bench.folder / "agent.toml").read_text()


async def test_without_relay_the_eim_leaves_downloads_to_the_device() -> None:
    async with Bench(options(rsp=RspOptions(relay="none"))) as bench:
        assert bench.eim.eim.relay is None
        listed = der.parse(bench.card.es10.execute(bytes.fromhex("BF5500"))).get(0xA0).children[0]
        assert listed.find(0x89) is None


async def test_an_offer_for_an_event_is_known_to_the_smds() -> None:
    offers = (Offer("E-1", event=True), Offer("", iccid="8949020000900000002"))
    async with Bench(options(rsp=RspOptions(offers=offers))) as bench:
        (event,) = bench.rsp.smds.events
        assert (event.eid, event.address) == (bench.eid, bench.rsp.smdp_address)
        assert [order.eid for order in bench.rsp.smdp.orders] == [bench.eid, bench.eid]


@pytest.mark.parametrize("error", [None, (5, 12)])
async def test_an_event_is_deleted_once_its_profile_is_installed_or_failed(error: tuple[int, int] | None) -> None:
    offers = (Offer("E-1", event=True), Offer("E-2", iccid="8949020000900000002", event=True))
    async with Bench(options(rsp=RspOptions(offers=offers))) as bench:
        card = Card(bench.pki)
        lpa = Client(bench.rsp.smdp, card, address=bench.rsp.smdp_address)
        lpa.download(matching_id="E-1")
        assert [event.event_id for event in bench.rsp.smds.events] == ["E-1", "E-2"]
        lpa.notify(card.installation_result(lpa.transaction, error=error))
        assert [event.event_id for event in bench.rsp.smds.events] == ["E-2"]


async def test_an_event_stays_while_the_user_has_postponed_it_and_goes_when_refused() -> None:
    async with Bench(options(rsp=RspOptions(offers=(Offer("E-1", event=True),)))) as bench:
        for reason, left in ((1, 1), (0, 0)):
            lpa = Client(bench.rsp.smdp, Card(bench.pki), address=bench.rsp.smdp_address)
            lpa.authenticate("E-1")
            assert lpa.cancel(reason).code is None
            assert len(bench.rsp.smds.events) == left


async def test_an_offer_may_be_for_another_card() -> None:
    async with Bench(options(rsp=RspOptions(offers=(Offer(eid="89049032000000000000000000000260"),)))) as bench:
        lpa = Client(bench.rsp.smdp, Card(bench.pki), address=bench.rsp.smdp_address)
        assert lpa.authenticate("LAB-1").code == "8.1.1/3.8"


async def test_nothing_passes_without_a_link() -> None:
    async with Bench(options(carrier="both", rsp=RspOptions())) as bench:
        assert bench.https_gate is not None
        bench.set_link_up(False)
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await es9(bench, "cancelSession", {})
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await post(bench.https_gate.port, bench.https_chain()[0], "/gsma/rsp2/asn1", b"", ESIPA)
        bench.set_link_up(True)
        assert "header" in await es9(bench, "cancelSession", {})


async def test_a_stranger_is_told_how_to_reach_everything() -> None:
    async with Bench(options(carrier="both", rsp=RspOptions())) as bench:
        facts = describe(bench)
        assert facts["https"] in facts["httpsStranger"]
        assert facts["smdp"] in facts["smdpStranger"]
        assert facts["httpsCertificate"] == str(bench.https_chain()[0].cert_path)
        assert facts["ci"] == str(bench.pki["ci"].cert_path)
        assert facts["codes"] == [bench.rsp.code(order) for order in bench.rsp.smdp.orders]


# The gate


@pytest.fixture
async def gate() -> AsyncIterator[TcpGate]:
    """In front of a server that sends back what it gets."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, TcpGate(server.sockets[0].getsockname()[:2]) as made:
        yield made


async def test_the_gate_carries_both_ways_and_half_closes(gate: TcpGate) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    writer.write(b"hello")
    writer.write_eof()
    assert await asyncio.wait_for(reader.read(), 60) == b"hello"
    assert (gate.counters.up_bytes, gate.counters.down_bytes, gate.counters.connections) == (5, 5, 1)
    writer.close()


async def test_a_lost_link_tears_connections_down_and_refuses_new_ones(gate: TcpGate) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    writer.write(b"hello")
    assert await asyncio.wait_for(reader.readexactly(5), 60) == b"hello"
    gate.set_link_up(False)
    assert await _end(reader)
    writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    assert await _end(reader)
    assert gate.counters.refused == 1
    writer.close()


async def test_a_connection_can_be_cut_in_the_middle_of_an_answer(gate: TcpGate) -> None:
    gate.cut_down_bytes = 3
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    writer.write(b"hello")
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await asyncio.wait_for(reader.readexactly(5), 60)
    writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    writer.write(b"hello")
    assert await asyncio.wait_for(reader.readexactly(5), 60) == b"hello"
    writer.close()


async def _end(reader: asyncio.StreamReader) -> bool:
    try:
        return await asyncio.wait_for(reader.read(), 60) == b""
    except ConnectionError:
        return True
