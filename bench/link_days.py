"""An idle day, an order and a download over six kinds of links: bytes and packets as captured, and the time they take.

    sudo python bench/link_days.py [PRESET...]

As ``links.py`` does, the agent's own carriers speak to the lab's eIM over a pair of virtual Ethernet ports, each in a
network namespace of its own, and every IP packet on them is counted. Delay and loss are made by the lab's proxy on the
eIM's side, so that what a device sends is counted also when it gets lost afterwards. Between two polls of the day the
agent's clock is put forward by an hour and nobody waits. On the two NB-IoT links everything, the agent's own waits too,
runs ten times as fast and the times are multiplied again. All links are measured at the same time; only on ``ethernet``
over HTTPS as well, as the proxy is for datagrams. Beside the agent are ``curl`` and ``coap-client`` (with a pre-shared
key, in one piece, with a new session for each), where they are installed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final, cast

from figures import Figure
from links import ANSWER, EIM, PACKAGE_BYTES, PSK, Package, lay, run
from links import PORT as VETH

from ipad_agent.clock import SystemClock
from ipad_agent.codec.esipa.eim_package import EuiccPackageOrder, NoPackage, encode_get_eim_package
from ipad_agent.codec.identifiers import Eid, Plmn
from ipad_agent.config.carrier_and_eim_sections import CoapConfig
from ipad_agent.config.config_model import preset_defaults
from ipad_agent.eim import EimClient
from ipad_agent.errors import IpadError
from ipad_agent.lab.bench.network.impaired_network import ImpairedLink, Impairments, UdpProxy
from ipad_agent.lab.eim import CoapsServer, EimIdentity, VirtualEim, add_initial_eim, build_order
from ipad_agent.lab.eim.coap.dtls_context import DtlsSettings
from ipad_agent.lab.eim.esipa_application import Application
from ipad_agent.lab.eim.https.esipa_https import HttpsPort, HttpsServer
from ipad_agent.lab.euicc import OPERATOR_A, VirtualEuicc, default_card
from ipad_agent.lab.http.server_tls import TlsSettings
from ipad_agent.lab.pki import Pki
from ipad_agent.net import Carrier, CoapsCarrier, CoapsEndpoint, HttpsCarrier, HttpsEndpoint, OpenSslBackend, Trust

HOME: Final = "127.0.0.1"
POLLS_OF_A_DAY: Final = 24
NETWORK: Final = Plmn("262", "01")
COUNTER: Final = 3

LEAN_FULL_BYTES, LEAN_RESUMED_BYTES = 1694, 887
"""What a hand-made client needs against the same server for a poll with a full and with a resumed handshake."""
DATAGRAM_BYTES: Final = 28 + 29 + 5
"""IPv4 and UDP, a DTLS record with the shortest suite of TLS 1.2 (13 of header, 8 of nonce, 8 of tag), the least CoAP
message: the bodies alone cannot be had for less, with the blocks that the preset has."""


@dataclass(frozen=True, slots=True)
class LinkPreset:
    """``one_way_s``, ``jitter_s`` and ``loss`` are those of each direction. ``poll_preset`` is the agent's own."""

    name: str
    number: int
    one_way_s: float
    jitter_s: float = 0.0
    loss: float = 0.0
    poll_preset: str = "normal"
    pace: float = 1.0

    def ports(self, service: str) -> int:
        """Where the eIM's side listens for it."""
        return 20_000 + 100 * self.number + SERVICES.index(service)

    @property
    def way(self) -> Impairments:
        """As it is made, at its pace."""
        return Impairments(loss=self.loss, delay_s=self.one_way_s / self.pace, jitter_s=self.jitter_s / self.pace)


SERVICES: Final = ("day", "order", "download", "psk day", "psk download", "https day", "https order", "https download")
PRESETS: Final = {
    preset.name: preset
    for preset in (
        LinkPreset("ethernet", 0, 0.0),
        LinkPreset("lte", 1, 0.025, 0.01),
        LinkPreset("lte-m", 2, 0.075, 0.05, 0.005),
        LinkPreset("nbiot-good", 3, 0.4, 0.4, 0.01, "nbiot", pace=10.0),
        LinkPreset("nbiot-bad", 4, 1.5, 1.5, 0.05, "nbiot", pace=10.0),
        LinkPreset("satellite", 5, 0.28, 0.02, 0.01),
    )
}


class CaptureByPort:
    """IPv4 packets and bytes on this namespace's port, by the eIM's UDP or TCP port that they are about."""

    def __init__(self, port: str) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.bind((port, 0x0003))
        self.packets: Counter[int] = Counter()
        self.size_bytes: Counter[int] = Counter()
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        while True:
            frame = self._socket.recv(65536)
            if frame[12:14] != b"\x08\x00":
                continue
            packet = frame[14:]
            port = _port_of_the_eim(packet)
            self.packets[port] += 1
            self.size_bytes[port] += int.from_bytes(packet[2:4], "big")

    async def settle(self, port: int, quiet_s: float) -> tuple[int, int]:
        """Packets and bytes so far, once nothing comes any more."""
        while True:
            seen = self.packets[port]
            await asyncio.sleep(quiet_s)
            if seen == self.packets[port]:
                return seen, self.size_bytes[port]


def _port_of_the_eim(packet: bytes) -> int:
    """ICMP is about the packet that it quotes."""
    header_bytes = (packet[0] & 0x0F) * 4
    if packet[9] == socket.IPPROTO_ICMP:
        return _port_of_the_eim(packet[header_bytes + 8 :])
    source_is_eim = packet[12:16] == socket.inet_aton(EIM)
    at = header_bytes + (0 if source_is_eim else 2)
    return int.from_bytes(packet[at : at + 2], "big")


# -- the eIM's namespace -----------------------------------------------------------------------------------------------


async def serve(folder: Path, presets: list[LinkPreset]) -> None:
    """The lab's eIM behind a proxy for each link, until the other end of standard input is closed."""
    pki = Pki.load(folder)
    identity = EimIdentity.from_pki(pki, tls="self")
    dtls = DtlsSettings(identity=identity.tls)
    psk = replace(dtls, identity=None, psk={PSK.identity: PSK.key})
    tls = TlsSettings(pki["eim-tls-self"], [])
    homes: dict[str, tuple[Application, DtlsSettings]] = {
        "day": (idle(pki, identity), dtls),
        "download": (Package(), dtls),
    }
    homes |= {"psk day": (idle(pki, identity), psk), "psk download": (Package(), psk)}
    async with AsyncExitStack() as stack:
        for place, (application, settings) in enumerate(homes.values()):
            await stack.enter_async_context(CoapsServer(application, dtls=settings, host=HOME, port=10_000 + place))
        for preset in presets:
            order_port = 10_100 + preset.number
            with_order = CoapsServer(ordering(pki, identity), dtls=dtls, host=HOME, port=order_port)
            await stack.enter_async_context(with_order)
            for service in SERVICES[:5]:
                home = order_port if service == "order" else 10_000 + [*homes].index(service)
                link = ImpairedLink(7 + preset.number, up=preset.way, down=preset.way)
                await stack.enter_async_context(UdpProxy((HOME, home), link, host=EIM, port=preset.ports(service)))
            if preset.name == "ethernet":
                webs: list[Application] = [idle(pki, identity), ordering(pki, identity), Package()]
                for service, web in zip(SERVICES[5:], webs, strict=True):
                    listening = HttpsPort(host=EIM, port=preset.ports(service))
                    await stack.enter_async_context(HttpsServer(web, tls, None, listening))
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)


def idle(pki: Pki, identity: EimIdentity) -> VirtualEim:
    """An eIM with nothing to do."""
    eim = VirtualEim(identity)
    eim.add_device(pki.eid, counter=COUNTER, certificate_der=pki["euicc"].cert_der)
    return eim


def ordering(pki: Pki, identity: EimIdentity) -> VirtualEim:
    """An eIM that wants another profile enabled."""
    eim = idle(pki, identity)
    eim.enqueue(pki.eid, build_order(["enable", OPERATOR_A, "--rollback"]))
    return eim


# -- the device's namespace --------------------------------------------------------------------------------------------


class DayClock(SystemClock):
    """Put forward between polls, so that what an hour does to sessions is done."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s

    def wall(self) -> float:
        return super().wall() + self.ahead_s


class Device:
    """The agent's side of one link."""

    def __init__(self, pki: Pki, preset: LinkPreset, capture: CaptureByPort) -> None:
        self._pki = pki
        self._preset = preset
        self._capture = capture
        self._clock = DayClock()
        self._backend = OpenSslBackend(None, self._clock)
        self._eid = Eid.parse(pki.eid)
        self._before: dict[int, tuple[int, int]] = {}

    async def measure(self) -> dict[str, dict[str, Any]]:
        """Every row of this link, one after the other."""
        rows = {
            "day": await self._row("day", self._day),
            "order": await self._row("order", self._order),
            "download": await self._row("download", self._download),
        }
        if self._preset.name == "ethernet":
            rows["https day"] = await self._row("https day", self._day)
            rows["https order"] = await self._row("https order", self._order)
            rows["https download"] = await self._row("https download", self._download)
        return rows | await self._others()

    async def _row(self, service: str, work: Any) -> dict[str, Any]:
        carrier = self._carrier(service)
        link = EimClient(carrier, self._eid, dialect="1.2")
        began_s = time.monotonic()
        bound_bytes, problem = 0, ""
        try:
            bound_bytes = await work(link, carrier)
        except IpadError as error:
            problem = error.message
        took_s = (time.monotonic() - began_s) * self._preset.pace
        await carrier.close()
        port = self._preset.ports(service)
        self._before[port] = packets, size_bytes = await self._capture.settle(port, self._quiet_s)
        return {
            "packets": packets,
            "bytes": size_bytes,
            "counted": link.traffic_bytes,
            "seconds": round(took_s, 1),
            "bound": bound_bytes,
            "problem": problem,
        }

    @property
    def _quiet_s(self) -> float:
        return max(0.5, 4 * (self._preset.one_way_s + self._preset.jitter_s) / self._preset.pace)

    async def _day(self, link: EimClient, carrier: Carrier) -> int:
        for _ in range(POLLS_OF_A_DAY):
            assert isinstance(await link.get_eim_package(rplmn=NETWORK), NoPackage)
            await link.close()
            self._clock.ahead_s += 3600.0
        return LEAN_FULL_BYTES + (POLLS_OF_A_DAY - 1) * LEAN_RESUMED_BYTES

    async def _order(self, link: EimClient, carrier: Carrier) -> int:
        """Another profile is enabled, so that the result goes over a network that has just begun: a session anew."""
        card = _card(self._pki)
        package = await link.get_eim_package(rplmn=NETWORK)
        assert isinstance(package, EuiccPackageOrder)
        result = card.es10.execute(package.raw)
        await link.close()
        self._clock.ahead_s += 60.0
        response = await link.provide_eim_package_result(result)
        assert response.acknowledged, response
        assert isinstance(await link.get_eim_package(rplmn=NETWORK), NoPackage)
        await link.close()
        blocks = sum(-(-len(body) // self._block_bytes) - 1 for body in (package.raw, result))
        bodies_bytes = len(package.raw) + len(result)
        return LEAN_FULL_BYTES + LEAN_RESUMED_BYTES + bodies_bytes + 2 * (blocks + 1) * DATAGRAM_BYTES

    async def _download(self, link: EimClient, carrier: Carrier) -> int:
        answer = await carrier.exchange(b"\xbf\x3a\x00", function="GetBoundProfilePackage")
        assert len(answer) == PACKAGE_BYTES
        await link.close()
        blocks = -(-PACKAGE_BYTES // self._block_bytes)
        return LEAN_FULL_BYTES + PACKAGE_BYTES + 2 * blocks * DATAGRAM_BYTES

    @property
    def _block_bytes(self) -> int:
        return cast(int, self._settings["block_size"])

    @property
    def _settings(self) -> dict[str, Any]:
        normal = CoapConfig()
        return {item.name: getattr(normal, item.name) for item in fields(normal)} | preset_defaults(
            self._preset.poll_preset
        )["coap"]

    def _carrier(self, service: str) -> CoapsCarrier | HttpsCarrier:
        trust, port = Trust.spki(self._pki["eim-tls-self"].spki_der, origin="eUICC"), self._preset.ports(service)
        if service.startswith("https"):
            return HttpsCarrier(HttpsEndpoint(EIM, trust, port), clock=self._clock)
        found, pace = self._settings, self._preset.pace
        endpoint = CoapsEndpoint(
            EIM,
            trust,
            port,
            association=service,
            block_size_exp=found["block_size"].bit_length() - 5,
            ack_timeout_s=found["ack_timeout_s"] / pace,
            flight_timeout_s=found["flight_timeout_s"] / pace,
            handshake_timeout_s=found["handshake_timeout_s"] / pace,
            exchange_timeout_s=found["exchange_timeout_s"] / pace,
            nat_timeout_s=found["nat_timeout_s"],
            close_notify=found["close_notify"],
            keep_open=found["keep_session"],
        )
        return CoapsCarrier(endpoint, backend=self._backend, clock=self._clock)

    async def _others(self) -> dict[str, dict[str, Any]]:
        """The same questions by other programs: one poll, and the download."""
        rows: dict[str, dict[str, Any]] = {}
        if self._preset.pace != 1.0:
            return rows  # their waits cannot be hurried
        question = encode_get_eim_package(self._eid, rplmn=NETWORK)
        for name, service, words in _commands(self._preset):
            body = question if "day" in service else b"\xbf\x3a\x00"
            began_s = time.monotonic()
            told = await asyncio.to_thread(subprocess.run, words, input=body, capture_output=True, check=False)
            took_s = time.monotonic() - began_s
            packets, size_bytes = await self._since(service)
            answered = told.stdout.startswith(ANSWER) if "day" in service else len(told.stdout) >= PACKAGE_BYTES
            if answered:
                rows[f"{name}, {'a poll' if 'day' in service else '60 kB'}"] = {
                    "packets": packets,
                    "bytes": size_bytes,
                    "seconds": round(took_s, 1),
                }
            else:
                print(f"{self._preset.name}: no answer to {name}: {told.stdout[:80]!r}", file=sys.stderr)
        return rows

    async def _since(self, service: str) -> tuple[int, int]:
        port = self._preset.ports(service)
        before = self._before.get(port, (0, 0))
        packets, size_bytes = await self._capture.settle(port, self._quiet_s)
        self._before[port] = packets, size_bytes
        return packets - before[0], size_bytes - before[1]


def _card(pki: Pki) -> VirtualEuicc:
    card = default_card(pki, associated=False)
    entry = EimIdentity.from_pki(pki, tls="self").configuration(counter=COUNTER, ask_for_token=False)
    card.es10.execute(add_initial_eim(entry))
    return card


def _commands(preset: LinkPreset) -> list[tuple[str, str, list[str]]]:
    """Name, service and command of what others ask with; the question comes on standard input."""
    found = []
    curl = shutil.which("curl")
    for service in ("https day", "https download") if curl and preset.name == "ethernet" else ():
        url, kind = f"https://{EIM}:{preset.ports(service)}/gsma/rsp2/asn1", "Content-Type: application/x-gsma-rsp-asn1"
        words = [str(curl), "--silent", "--insecure", "--max-time", "60", "--data-binary", "@-", "--header", kind]
        found.append(("curl", service, [*words, "--header", "X-Admin-Protocol: gsma/rsp/v2.1.0", url]))
    client = shutil.which("coap-client-openssl") or shutil.which("coap-client-gnutls")
    for service in ("psk day", "psk download") if client else ():
        url, key = f"coaps://{EIM}:{preset.ports(service)}/gsma/rsp2/asn1", PSK.key.decode()
        words = [str(client), "-m", "post", "-B", "90", "-u", PSK.identity.decode()]
        found.append((Path(str(client)).name, service, [*words, "-k", key, "-f", "-", url]))
    return found


async def measure_inside(folder: Path, presets: list[LinkPreset]) -> None:
    """All links at the same time, as one JSON object on standard output."""
    pki, capture = Pki.load(folder), CaptureByPort(VETH)
    found = await asyncio.gather(*(Device(pki, preset, capture).measure() for preset in presets))
    print(json.dumps(dict(zip((preset.name for preset in presets), found, strict=True))), flush=True)


# -- both --------------------------------------------------------------------------------------------------------------

WORDS: Final = {
    "day": "a day of hourly polls",
    "order": "an order and its result",
    "download": "60 kB",
    "https day": "a day of hourly polls, HTTPS",
    "https order": "an order and its result, HTTPS",
    "https download": "60 kB, HTTPS",
}
GOALS: Final = {("nbiot-good", "day"): 26_000}


def show(found: dict[str, dict[str, dict[str, Any]]]) -> None:
    print(f"{'link':12} {'work':40} {'packets':>8} {'IP bytes':>9} {'counted':>9} {'off by':>7} {'bound':>7} {'s':>7}")
    for link, rows in found.items():
        for work, row in rows.items():
            line = f"{link:12} {WORDS.get(work, work):40} {row['packets']:>8} {row['bytes']:>9,}"
            if "counted" in row:
                off = f"{(row['counted'] - row['bytes']) / row['bytes']:+.1%}"
                line += f" {row['counted']:>9,} {off:>7} {row['bytes'] / row['bound'] if row['bound'] else 0:>6.2f}x"
            else:
                line += " " * 26
            print(f"{line} {row['seconds']:>7.1f} {row.get('problem', '')}")


def measure(names: str = ",".join(PRESETS)) -> list[Figure]:
    """As figures. Raises ``RuntimeError`` without root or ``ip``, and when something was not finished."""
    figures, worst = [], 0.0
    for link, rows in measured(names.split(",")).items():
        for work, row in rows.items():
            if row.get("problem"):
                raise RuntimeError(f"{work} over {link} was not finished: {row['problem']}")
            about = f"{row['packets']} IP packets with their headers, {row['seconds']:,.0f} s"
            if "counted" in row:
                worst = max(worst, abs(row["counted"] / row["bytes"] - 1))
                about += f"; {row['bytes'] / row['bound']:.2f} times what it takes at least"
            goal = GOALS.get((link, work))
            figures.append(Figure(f"{link}: {WORDS.get(work, work)}", "bytes", row["bytes"], goal, about))
    about = "the largest difference between the agent's own counters and the capture, over all of the above"
    return [*figures, Figure("counters against the capture", "%", round(100 * worst, 2), 2.0, about)]


def measured(names: list[str]) -> dict[str, dict[str, dict[str, Any]]]:
    """What ``measure_inside`` found. Raises ``RuntimeError`` without root or ``ip``."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        raise RuntimeError("network namespaces take root and the program ip (Debian: iproute2)")
    device, eim = f"ipad-device-{os.getpid()}", f"ipad-eim-{os.getpid()}"
    with tempfile.TemporaryDirectory() as folder:
        Pki.create(Path(folder))
        try:
            lay(device, eim)
            told = run(device, eim, Path(__file__), ["--serve", folder, *names], ["--measure", folder, *names])
        finally:
            for name in (device, eim):
                subprocess.run(["ip", "netns", "del", name], check=False, stderr=subprocess.DEVNULL)
    found: dict[str, dict[str, dict[str, Any]]] = told
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("presets", nargs="*", metavar="PRESET", help=f"of {', '.join(PRESETS)}; none: all")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = set(options.presets) - set(PRESETS)
    if unknown:
        parser.error(f"there is no preset {', '.join(sorted(unknown))}")
    presets = [PRESETS[name] for name in options.presets or PRESETS]
    if options.serve:
        # Without any delay the system repeats within milliseconds what is not acknowledged, as on no other network.
        Path("/proc/sys/net/ipv4/tcp_early_retrans").write_text("0", encoding="ascii")
        asyncio.run(serve(options.serve, presets))
    elif options.measure:
        asyncio.run(measure_inside(options.measure, presets))
    else:
        show(measured([preset.name for preset in presets]))


if __name__ == "__main__":
    main()
