"""What a poll costs on the wire, and how long a download takes over links that lose datagrams.

    sudo python bench/links.py [--loss 0,5,10,20,30]

The agent's own carriers speak to the lab's eIM over a pair of virtual Ethernet ports, each in a network namespace of
its own, and every IP packet is counted there, headers included. So it needs root and ``ip``; nothing of the machine's
network is touched. Losses and delays of the downloads are made by the lab's proxy. One request of ``curl`` and of
``coap-client`` stands beside the agent's, where they are installed; polls with a Connection ID, where Mbed TLS 3.6 is
(``sh tools/mbedtls-library.sh .mbedtls``, then with ``LD_LIBRARY_PATH=.mbedtls``).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from figures import Figure

from ipad_agent.codec.esipa.eim_package import encode_get_eim_package
from ipad_agent.codec.identifiers import Eid
from ipad_agent.eim import EimClient
from ipad_agent.errors import IpadError
from ipad_agent.lab.bench.network.impaired_network import ImpairedLink, Impairments, UdpProxy
from ipad_agent.lab.eim import CoapsServer, EimIdentity, VirtualEim
from ipad_agent.lab.eim.coap.dtls_context import DtlsSettings
from ipad_agent.lab.eim.esipa_application import Reply
from ipad_agent.lab.eim.https.esipa_https import HttpsPort, HttpsServer
from ipad_agent.lab.http.server_tls import TlsSettings
from ipad_agent.lab.pki import Pki
from ipad_agent.net import Carrier, CoapsCarrier, CoapsEndpoint, HttpsCarrier, HttpsEndpoint, OpenSslBackend, Psk, Trust
from ipad_agent.net.carrier import Traffic
from ipad_agent.net.dtls import mbedtls_library
from ipad_agent.net.dtls.connection_record import ShelfInMemory
from ipad_agent.net.dtls.dtls_backend import DtlsBackend
from ipad_agent.net.dtls.mbedtls_backend import MbedTlsBackend

DEVICE, EIM = "10.77.0.2", "10.77.0.1"
PORT = "veth0"
PORTS = {"certificate": 5684, "psk": 5685, "download": 5686, "connection-id": 5687, "https": 443}
PSK = Psk(b"device-1", b"sixteen letters.")
PACKAGE_BYTES = 60_000
IPV4_UDP_BYTES = 28
CONNECTION_ID_BYTES = 8
HOURLY_DAY = "Connection ID, an hourly day"
ANSWER = bytes.fromhex("BF4F")
"""How an answer to GetEimPackage begins; other programs end well and with words when they got none."""
GOALS = {
    "full": 1750,
    "resumed": 1050,
    "in session": 190,
    "HTTPS resumed": 2300,
    "Connection ID, another port": 200,
    "Connection ID, after a restart": 200,
    HOURLY_DAY: 8000,
}
_EVERY_PROTOCOL = 0x0003
_ETHERNET_BYTES = 14


@dataclass(frozen=True, slots=True)
class Cost:
    """IP packets and bytes of one step, both ways."""

    packets: int
    size_bytes: int


class Capture:
    """Counts the IPv4 packets on a port of this namespace by their own total length."""

    def __init__(self, port: str) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_EVERY_PROTOCOL))
        self._socket.bind((port, _EVERY_PROTOCOL))
        self.packets = self.size_bytes = 0
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        while True:
            frame = self._socket.recv(65536)
            if frame[12:14] == b"\x08\x00":
                self.packets += 1
                self.size_bytes += int.from_bytes(frame[_ETHERNET_BYTES + 2 : _ETHERNET_BYTES + 4], "big")

    async def step(self, before: Cost) -> Cost:
        """What came since then, once nothing comes any more."""
        while True:
            seen = self.packets
            await asyncio.sleep(0.5)
            if seen == self.packets:
                return Cost(self.packets - before.packets, self.size_bytes - before.size_bytes)

    @property
    def now(self) -> Cost:
        return Cost(self.packets, self.size_bytes)


class _Kept:
    """What sessions leave behind, as in the runtime folder."""

    def __init__(self) -> None:
        self._records: Mapping[str, object] = {}

    def load(self) -> Mapping[str, object]:
        return self._records

    def save(self, records: Mapping[str, object]) -> None:
        self._records = dict(records)


class Package:
    """Answers everything with a package of random bytes."""

    def __init__(self) -> None:
        self._body = random.Random(60).randbytes(PACKAGE_BYTES)

    def exchange(self, body: bytes, *, now_s: float = 0.0, peer: str = "") -> Reply:
        return Reply(self._body)


# -- the eIM's namespace -----------------------------------------------------------------------------------------------


async def serve(folder: Path) -> None:
    """The lab's eIM at every port, until the other end of standard input is closed."""
    pki = Pki.load(folder)
    identity = EimIdentity.from_pki(pki, tls="self")
    eim = VirtualEim(identity)
    eim.add_device(pki.eid, certificate_der=pki["euicc"].cert_der)
    dtls = DtlsSettings(identity=identity.tls)
    leaf = pki["eim-tls-self"]
    async with (
        CoapsServer(eim, dtls=dtls, host=EIM, port=PORTS["certificate"]),
        CoapsServer(eim, dtls=replace(dtls, identity=None, psk={PSK.identity: PSK.key}), host=EIM, port=PORTS["psk"]),
        CoapsServer(Package(), dtls=dtls, host=EIM, port=PORTS["download"]),
        HttpsServer(eim, TlsSettings(leaf, []), None, HttpsPort(host=EIM, port=PORTS["https"])),
    ):
        if mbedtls_library.find().library is None:
            print("ready", flush=True)
            await asyncio.to_thread(sys.stdin.read)
            return
        identified = replace(dtls, connection_id_bytes=CONNECTION_ID_BYTES)
        async with CoapsServer(eim, dtls=identified, host=EIM, port=PORTS["connection-id"]):
            print("ready", flush=True)
            await asyncio.to_thread(sys.stdin.read)


# -- the device's namespace --------------------------------------------------------------------------------------------


def coaps(pki: Pki, kind: str, backend: DtlsBackend, *, quiet: bool) -> CoapsCarrier:
    """As in the preset for NB-IoT when ``quiet``, else as by default."""
    trust = Trust.psk() if kind == "psk" else Trust.spki(pki["eim-tls-self"].spki_der, origin="eUICC")
    psk = PSK if kind == "psk" else None
    endpoint = CoapsEndpoint(EIM, trust, PORTS[kind], association=kind, psk=psk, close_notify=not quiet)
    return CoapsCarrier(endpoint, backend=backend)


async def measure_inside(folder: Path, losses: list[int], port: str) -> None:
    """Everything, as one JSON object on standard output."""
    pki, capture = Pki.load(folder), Capture(port)
    rows: dict[str, dict[str, int]] = {}

    async def poll(name: str, link: EimClient, traffic: Traffic, *, close: bool) -> None:
        before, counted = capture.now, (traffic.bytes_sent + traffic.bytes_received, traffic.ip_bytes)
        await link.get_eim_package()
        if close:
            await link.close()
        cost = await capture.step(before)
        rows[name] = {
            "packets": cost.packets,
            "bytes": cost.size_bytes,
            "payload": traffic.bytes_sent + traffic.bytes_received - counted[0],
            "counted": traffic.ip_bytes - counted[1],
        }

    def link_over(carrier: Carrier) -> EimClient:
        return EimClient(carrier, Eid.parse(pki.eid), dialect="1.2")

    for kind, words, quiet in (
        ("certificate", "", True),
        ("certificate", "with close_notify: ", False),
        ("psk", "PSK ", True),
    ):
        carrier = coaps(pki, kind, OpenSslBackend(), quiet=quiet)
        link = link_over(carrier)
        await poll(f"{words}full", link, carrier.traffic, close=True)
        await poll(f"{words}resumed", link, carrier.traffic, close=True)
        await poll(f"{words}resumed, left open", link, carrier.traffic, close=False)
        await poll(f"{words}in session", link, carrier.traffic, close=False)
        before = capture.now
        await link.close()
        await capture.step(before)
    if (library := mbedtls_library.find().library) is not None:
        memory, shelf = _Kept(), ShelfInMemory()
        for number in range(24):
            restarts = number in (0, 2)
            if restarts:  # as another process does, with what the runtime folder has
                carrier = coaps(pki, "connection-id", MbedTlsBackend(library, memory, shelf), quiet=True)
                link = link_over(carrier)
            name = {0: "full", 1: "another port", 2: "after a restart"}.get(number, f"poll {number + 1}")
            await poll(f"Connection ID, {name}", link, carrier.traffic, close=True)
        day = [rows.pop(name) if "poll" in name else rows[name] for name in list(rows) if "Connection ID" in name]
        rows[HOURLY_DAY] = {key: sum(row[key] for row in day) for key in day[0]}
    else:
        print(f"no Connection IDs: {mbedtls_library.find().reason}", file=sys.stderr)
    web = HttpsCarrier(HttpsEndpoint(EIM, Trust.spki(pki["eim-tls-self"].spki_der), PORTS["https"]))
    link = link_over(web)
    for name in ("HTTPS full", "HTTPS resumed"):
        await poll(name, link, web.traffic, close=True)
    await poll("HTTPS resumed, left open", link, web.traffic, close=False)
    await poll("HTTPS in session", link, web.traffic, close=False)
    await link.close()
    request = encode_get_eim_package(Eid.parse(pki.eid))
    for name, command in peers():
        before = capture.now
        found = await asyncio.to_thread(subprocess.run, command, input=request, capture_output=True, check=False)
        cost = await capture.step(before)
        if found.returncode == 0 and found.stdout.startswith(ANSWER):
            rows[name] = {"packets": cost.packets, "bytes": cost.size_bytes}
        else:
            said = (found.stdout + found.stderr).decode(errors="replace").strip()
            print(f"{name}: no answer ({said[-200:]})", file=sys.stderr)
    times = {loss: await download(pki, loss / 100) for loss in losses}
    print(json.dumps({"polls": rows, "downloads": times}), flush=True)


def peers() -> list[tuple[str, list[str]]]:
    """What others need for the same question, where they are installed: name and command, the question comes in."""
    found = []
    if curl := shutil.which("curl"):
        url, kind = f"https://{EIM}/gsma/rsp2/asn1", "Content-Type: application/x-gsma-rsp-asn1"
        words = [curl, "--silent", "--insecure", "--max-time", "10", "--data-binary", "@-", "--header", kind]
        found.append(("curl, HTTPS full", [*words, "--header", "X-Admin-Protocol: gsma/rsp/v2.1.0", url]))
    if client := shutil.which("coap-client-openssl") or shutil.which("coap-client-gnutls"):
        url, key = f"coaps://{EIM}:{PORTS['psk']}/gsma/rsp2/asn1", PSK.key.decode()  # it knows no hexadecimal
        words = [client, "-m", "post", "-B", "10", "-u", PSK.identity.decode(), "-k", key, "-f", "-", url]
        found.append((f"{Path(client).name}, PSK full", words))
    return found


async def download(pki: Pki, loss: float) -> dict[str, float]:
    """60 kB in blocks through the lab's proxy; 50 ms each way."""
    way = Impairments(loss=loss, delay_s=0.05)
    async with UdpProxy((EIM, PORTS["download"]), ImpairedLink(7, up=way, down=way)) as proxy:
        trust = Trust.spki(pki["eim-tls-self"].spki_der)
        carrier = CoapsCarrier(CoapsEndpoint("127.0.0.1", trust, proxy.address[1], association="download"))
        began_s = time.monotonic()
        try:
            answer = await carrier.exchange(b"\xbf\x3a\x00", function="GetBoundProfilePackage")
        except IpadError as error:
            print(f"loss {loss:.0%}: {error}", file=sys.stderr)
            answer = b""
        took_s = time.monotonic() - began_s
        await carrier.close()
        traffic = carrier.traffic
        return {"seconds": round(took_s, 1), "bytes": len(answer), "ip_bytes": traffic.ip_bytes}


# -- both --------------------------------------------------------------------------------------------------------------


def show(found: dict[str, dict[str, Any]]) -> None:
    print(f"{'a poll':36} {'packets':>8} {'IP bytes':>9} {'counted':>8} {'off by':>7} {'goal':>6}")
    for name, row in found["polls"].items():
        if "counted" not in row:
            print(f"{name:36} {row['packets']:>8} {row['bytes']:>9}")
            continue
        goal = GOALS.get(name)
        off = f"{(row['counted'] - row['bytes']) / row['bytes']:+.1%}"
        reached = "" if goal is None else f"{goal:>6} {'reached' if row['bytes'] <= goal else 'MISSED'}"
        print(f"{name:36} {row['packets']:>8} {row['bytes']:>9} {row['counted']:>8} {off:>7} {reached}")
    psk = found["polls"]["PSK resumed"]["bytes"] < found["polls"]["PSK full"]["bytes"]
    print(f"a pre-shared key is cheaper resumed than in full: {'yes' if psk else 'NO'}")
    print(f"\n{'60 kB download, 50 ms':28} {'seconds':>8} {'IP bytes':>9}")
    for loss, took in found["downloads"].items():
        end = "" if took["bytes"] == PACKAGE_BYTES else "  NOT FINISHED"
        print(f"{loss + ' % lost each way':28} {took['seconds']:>8} {took['ip_bytes']:>9.0f}{end}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--loss", default="0,5,10,20,30", help="percent of the datagrams, each way")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    losses = [int(loss) for loss in options.loss.split(",")]
    if options.serve:
        asyncio.run(serve(options.serve))
    elif options.measure:
        asyncio.run(measure_inside(options.measure, losses, PORT))
    else:
        show(measured(options.loss))


def measure(losses: str = "0,20") -> list[Figure]:
    """Polls and downloads as figures. Raises ``RuntimeError`` without root or ``ip``."""
    found = measured(losses)
    figures = []
    for name, row in found["polls"].items():
        about = f"IP packets with their headers, both ways: {row['packets']}"
        figures.append(Figure(f"a poll on the wire, {name}", "bytes", row["bytes"], GOALS.get(name), about))
    for loss, took in found["downloads"].items():
        if took["bytes"] != PACKAGE_BYTES:
            raise RuntimeError(f"a download with {loss} % of the datagrams lost was not finished")
        about = f"{PACKAGE_BYTES // 1000} kB over CoAP, 50 ms each way; {took['ip_bytes']:,.0f} bytes on the wire"
        figures.append(Figure(f"a download, {loss} % lost each way", "s", took["seconds"], None, about))
    return figures


def measured(loss: str) -> dict[str, dict[str, Any]]:
    """What ``measure_inside`` found. Raises ``RuntimeError`` without root or ``ip``."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        raise RuntimeError("network namespaces take root and the program ip (Debian: iproute2)")
    device, eim = f"ipad-device-{os.getpid()}", f"ipad-eim-{os.getpid()}"
    with tempfile.TemporaryDirectory() as folder:
        Pki.create(Path(folder))
        try:
            lay(device, eim)
            return run(device, eim, Path(__file__), ["--serve", folder], ["--measure", folder, "--loss", loss])
        finally:
            for name in (device, eim):
                subprocess.run(["ip", "netns", "del", name], check=False, stderr=subprocess.DEVNULL)


def lay(device: str, eim: str) -> None:
    """Two namespaces with a pair of ports between them; a namespace that goes takes its port with it."""

    def ip(*words: str) -> None:
        told = subprocess.run(["ip", *words], check=False, capture_output=True, text=True)
        if told.returncode:
            raise RuntimeError(f"no network namespaces here: {told.stderr.strip()}")

    for name in (device, eim):
        ip("netns", "add", name)
    ip("-n", device, "link", "add", PORT, "type", "veth", "peer", "name", PORT, "netns", eim)
    for name, address in ((device, DEVICE), (eim, EIM)):
        ip("-n", name, "address", "add", f"{address}/24", "dev", PORT)
        ip("-n", name, "link", "set", PORT, "gso_max_segs", "1")  # packets as a network has them, not one large one
        for port in ("lo", PORT):
            ip("-n", name, "link", "set", port, "up")


def run(device: str, eim: str, script: Path, serve: list[str], measure: list[str]) -> dict[str, dict[str, Any]]:
    """What ``script`` says in the device's namespace, while it serves in the eIM's."""

    def inside(name: str, words: list[str]) -> list[str]:
        return ["ip", "netns", "exec", name, sys.executable, str(script), *words]

    with subprocess.Popen(inside(eim, serve), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        if server.stdout.readline() != b"ready\n":
            raise RuntimeError("the eIM did not start")
        told = subprocess.run(inside(device, measure), stdout=subprocess.PIPE, check=False)
        server.stdin.close()
    if told.returncode:
        raise RuntimeError(f"the device's side ended with {told.returncode}")
    found: dict[str, dict[str, Any]] = json.loads(told.stdout)
    return found


if __name__ == "__main__":
    main()
