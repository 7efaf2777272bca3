"""The bench: PKI, eUICC, modem on a pty, bad network, eIM and SM-DP+ put together, and the real agent between them.

    async with Bench(BenchOptions(personality="eg25")) as bench:
        bench.order("enable", OPERATOR_A, "--rollback")
        await bench.agent.start()
        await bench.eim.entry("result", deadline_s=30)

Everything runs in one event loop but the agent, which is a process of its own, started from a configuration file as on
a device. The network passes only while the modem is registered with a cell that carries data.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ipad_agent.lab.eim.coap.coaps_server import CoapsServer
from ipad_agent.lab.eim.coap.dtls_context import DtlsSettings
from ipad_agent.lab.eim.device_records import Order
from ipad_agent.lab.eim.eim_identity import EimIdentity, add_initial_eim
from ipad_agent.lab.eim.https.esipa_https import HttpsPort, HttpsServer
from ipad_agent.lab.eim.injection.injection_site import InjectionSite
from ipad_agent.lab.eim.orders.order_verbs import build_order
from ipad_agent.lab.eim.relay.download_relay import Relay
from ipad_agent.lab.eim.sqlite_store import SqliteStore
from ipad_agent.lab.eim.virtual_eim import VirtualEim
from ipad_agent.lab.errors import BenchError
from ipad_agent.lab.euicc import (
    EuiccIdentity,
    Profile,
    VirtualEuicc,
    default_profiles,
    leave_old_notifications,
)
from ipad_agent.lab.http import TlsSettings
from ipad_agent.lab.modem import AtEngine, Cell, Coverage
from ipad_agent.lab.modem.line.modem_pty import PtyModem
from ipad_agent.lab.modem.line.uart_line import UartLine
from ipad_agent.lab.pki import Credential, Pki
from ipad_agent.lab.reader.vpcd_card import VpcdCard
from ipad_agent.lab.rest.rest_functions import EimFunctions
from ipad_agent.lab.rest.rest_server import RestServer

from .agent_process import AgentProcess
from .agent_toml import Table, merged, to_toml
from .bench_options import BenchOptions
from .boot_simulation import PowerSupply
from .card_slot import CardSlot
from .device_certificate import DeviceCertificate
from .network.impaired_network import ImpairedLink, UdpProxy
from .network.tcp_gate import TcpGate
from .real_time_limits import MOVES
from .rsp_servers_on_bench import RspSite
from .second_eim import CARRIERS, EimSite
from .watched_eim import WatchedEim

__all__ = ["Bench"]

LOG = logging.getLogger("ipad_agent.lab")

PSK_IDENTITY = "lab-device"


class Bench:
    """One device, one eIM and the network between them, in ``folder`` (a temporary one by default).

    ``card`` (``VirtualEuicc``), ``slot``, ``modem`` (``PtyModem``), ``proxy`` (``UdpProxy``), ``eim`` (``WatchedEim``;
    the eIM itself is ``eim.eim``), ``server`` and ``agent`` are there once it is entered; ``https_server`` with its
    ``https_gate`` when there is HTTPS, and ``rsp`` (``RspSite``) when there are servers for profiles. ``eims`` are the
    further eIMs (``EimSite``) by eimId; ``rest`` is the REST API if it was asked for; ``supply`` is the device's power:
    after ``power_back`` the agent finds another boot id and a boot-time clock near zero. A folder that was used before
    goes on where it was: same PKI, same card, same eIM.
    """

    card: VirtualEuicc
    slot: CardSlot
    modem: PtyModem
    proxy: UdpProxy
    eim: WatchedEim
    server: CoapsServer
    https_server: HttpsServer | None = None
    https_gate: TcpGate | None = None
    rest: RestServer | None = None
    agent: AgentProcess
    pki: Pki
    identity: EimIdentity
    supply: PowerSupply

    def __init__(
        self, options: BenchOptions | None = None, folder: Path | None = None, *, pki_folder: Path | None = None
    ) -> None:
        self.options = options or BenchOptions()
        self.power_lost = asyncio.Event()
        self.coverage = Coverage(dict(self.options.cells))
        self._wanted_folder = folder
        self._pki_folder = pki_folder
        self._stack = contextlib.AsyncExitStack()
        self.folder = Path()
        self.eims: dict[str, EimSite] = {}
        self._injection: InjectionSite | None = None
        self.ethernet = not self.options.link_follows_modem
        self._rsp: RspSite | None = None
        self._cell: Cell | None = None

    async def __aenter__(self) -> Bench:
        try:
            await self._put_together()
        except BaseException:
            await self._stack.aclose()
            raise
        MOVES.set(self.moves)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def moves(self) -> dict[str, float]:
        """What can be seen to move while something is waited for."""
        counters = self.proxy.link.counters
        return {
            **self.agent.moves(),
            "commands to the modem": self.modem.engine.command_count,
            "datagrams": counters["up"].offered + counters["down"].offered,
            "requests to the eIM": len(self.eim.entries),
        }

    # What people do with it

    @property
    def eid(self) -> str:
        """The EID of the card."""
        return self.card.eid

    @property
    def rsp(self) -> RspSite:
        """SM-DP+ and SM-DS; ``BenchError`` when there are none."""
        if self._rsp is None:
            raise BenchError("there is no SM-DP+ on this bench")
        return self._rsp

    @property
    def injection(self) -> InjectionSite:
        """Where packages may be pushed to; ``BenchError`` where the device does not listen."""
        if self._injection is None:
            raise BenchError("the device on this bench does not listen for pushed packages")
        return self._injection

    def order(self, *words: str, eim_id: str | None = None) -> Order:
        """Queue an order for the card, as typed: ``order("enable", iccid, "--rollback")``; of the first eIM unless said
        otherwise."""
        eim = self.eim if eim_id is None else self.eims[eim_id].eim
        if self.options.quirks.consumer and self.eid not in eim.eim.devices:
            raise BenchError("the eIM does not know this consumer card yet: ipad-agent lab eim import FILE")
        return eim.eim.enqueue(self.eid, build_order(words))

    async def power_cut(self) -> None:
        """The whole device loses power: agent, modem and card. ``power_back`` gives it again."""
        self._lose_power()
        await self.agent.kill()

    async def power_back(self, *, start_agent: bool = True) -> None:
        """Power again: the modem and the card boot, and so does the agent."""
        await self.agent.kill()
        self.power_lost.clear()
        self.supply.power_on()
        self.agent.command = self._agent_command()
        self.modem.order(lambda module: module.restart())
        if self.ethernet:
            self.set_link_up(True)
        if start_agent:
            await self.agent.start()

    def reconfigure(self, config: Mapping[str, Table]) -> None:
        """Lay this over the agent's configuration, from its next start on."""
        self.options = replace(self.options, config=merged(dict(self.options.config), dict(config)))
        self._write_config()

    def plug_ethernet(self, plugged: bool) -> None:
        """Give the device a way to the servers that does not depend on the modem, or take it."""
        self.ethernet = plugged
        self.set_link_up(plugged or self._cell is not None)

    def set_link_up(self, up: bool) -> None:
        """Let everything through to the servers, or nothing: datagrams and TCP connections alike."""
        self.proxy.set_link_up(up)
        for site in self.eims.values():
            site.set_link_up(up)
        for gate in self._gates():
            gate.set_link_up(up)

    def _gates(self) -> list[TcpGate]:
        gates = [] if self._rsp is None else list(self._rsp.gates)
        return gates if self.https_gate is None else [self.https_gate, *gates]

    def cover(self, iccid: str, cell: Cell | None) -> None:
        """Change the world: who serves this profile from now on (``None``: nobody)."""
        self.coverage.cells[iccid] = cell
        self.modem.order(lambda module: module.coverage_changed())

    def set_coverage(self, iccid: str, covered: bool, *, attach_s: float | None = None) -> None:
        """Whether the profile's own operator serves it here, and after how long the modem is registered there.

        Only who has this profile in the modem notices. ``BenchError`` when it is not on the card.
        """
        profile = self.card.state.profile(iccid)
        if profile is None:
            raise BenchError(f"no profile {iccid} on the card")
        plmn = _plmn(profile.mcc_mnc) if profile.mcc_mnc else Cell().plmn
        self.coverage.cells[iccid] = Cell(plmn=plmn, attach_s=attach_s) if covered else None
        if self.modem.module.uicc.iccid == iccid:
            self.modem.order(lambda module: module.coverage_changed())

    # Putting it together

    async def _put_together(self) -> None:
        options = self.options
        if self._wanted_folder is None:
            self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="ipad-lab-")))
        else:
            self.folder = self._wanted_folder.absolute()
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.pki = self._open_pki()
        self.identity = EimIdentity.from_pki(self.pki, tls="self" if options.tls == "psk" else options.tls)
        profiles = list(default_profiles() if options.profiles is None else options.profiles)
        self.card = self._open_card(profiles)
        self._cover_profiles()
        if options.rsp is not None:
            self._rsp = RspSite(self.pki, self.eid, options.rsp)
            await self._rsp.start(self._stack)
            if options.rsp.known_to_card and options.provision != "none":
                self.card.state.default_smdp = self._rsp.smdp_address
                self.card.state.root_smds = self._rsp.smds_address
                self.card.isdr.commit()  # or the first reset takes it back
        await self._start_eim()
        if options.rest_port is not None:
            await self._start_rest(options.rest_port)
        if options.inject:
            psk = (PSK_IDENTITY.encode(), self._psk_key()) if options.tls == "psk" else None
            paths = self.device_certificate.certificate_path, self.device_certificate.key_path
            self._injection = InjectionSite(options.inject, *paths, self.identity.tls, psk, self.eim.looked)
        await self._start_modem()
        self._write_config()
        self.supply = PowerSupply(self.folder)
        self.agent = AgentProcess(self.folder / "agent.toml", self.folder / "agent.log", command=self._agent_command())
        self._stack.push_async_callback(self.agent.close)

    def _agent_command(self) -> list[str]:
        wanted = self.options.agent_command or self.supply.command("run", "--config", str(self.folder / "agent.toml"))
        return list(wanted)

    def _open_pki(self) -> Pki:
        folder = self._pki_folder or self.folder / "pki"
        if (folder / "manifest.json").exists():
            pki = Pki.load(folder)
            if self.options.eid not in (None, pki.eid):
                raise BenchError(f"the PKI in {folder} is for a card with another EID")
            return pki
        if self._pki_folder is not None:
            raise BenchError(f"{folder} holds no manifest.json")
        return Pki.create(folder, self.options.curve, eid=self.options.eid)

    def _open_card(self, profiles: Sequence[Profile]) -> VirtualEuicc:
        path = self.folder / "card.json"
        fresh = not path.exists()
        card = VirtualEuicc(EuiccIdentity.from_pki(self.pki), path, self.options.quirks, profiles=profiles)
        if fresh:
            leave_old_notifications(card, self.options.old_notifications)
            for configuration in self.options.associated:
                card.associate(configuration)
        return card

    def _cover_profiles(self) -> None:
        """Every profile is served by the network it names, unless the options say otherwise."""
        for profile in self.card.state.profiles:
            if profile.iccid not in self.coverage.cells and profile.mcc_mnc:
                self.coverage.cells[profile.iccid] = Cell(plmn=_plmn(profile.mcc_mnc))

    async def _start_eim(self) -> None:
        options = self.options
        store = None if options.store is None else self._open_store(options.store)
        state_path = self.folder / "eim.json"
        eim = VirtualEim(self.identity, settings=options.eim, state_path=state_path, store=store, relay=self._relay())
        self.eim = WatchedEim(eim)
        dtls = DtlsSettings(identity=self.identity.tls)
        if options.tls == "psk":
            key = self._psk_key()
            dtls = DtlsSettings(identity=None, psk={PSK_IDENTITY.encode(): key})
        if options.client_certificate == "required":
            anchors = (self.device_certificate.issuer,)
            dtls = replace(dtls, client_certificate="required", client_anchors=anchors)
        self.server = CoapsServer(self.eim, dtls=replace(dtls, **options.dtls), coap=options.coap)
        await self._stack.enter_async_context(self.server)
        link = ImpairedLink(options.seed, up=options.up, down=options.down, tap_size=options.tap_size)
        self.proxy = UdpProxy((self.server.host, self.server.port), link, port=options.port)
        await self._stack.enter_async_context(self.proxy)
        if options.carrier != "coaps":
            await self._start_https()
        for spot in options.more_eims:
            self.eims[spot.eim_id] = EimSite(spot, self.folder)
            await self.eims[spot.eim_id].start(self._stack)
        listed = [site for site in self.eims.values() if site.spot.on_card]
        configurations = [self.configuration(), *[site.configuration() for site in listed]]
        (self.folder / "initial-eim.der").write_bytes(add_initial_eim(*configurations))
        if self.eid not in eim.devices and not options.quirks.consumer:
            # A card hands out its tokens in order, so the eIMs of a fresh one are known to get the next ones.
            next_token = self.card.state.next_token
            wanted = [(eim, options.ask_for_token), *[(site.eim.eim, site.spot.ask_for_token) for site in listed]]
            wanted += [(site.eim.eim, site.spot.ask_for_token) for site in self.eims.values() if site not in listed]
            for one, asks in wanted:
                token = next_token if asks and options.provision != "none" else None
                one.add_device(self.eid, token=token, certificate_der=self.pki["euicc"].cert_der)
                next_token += asks
            if options.provision == "card" and options.quirks.isdr_present:
                self._associate(*configurations)

    def _open_store(self, path: Path) -> SqliteStore:
        store = SqliteStore(path)
        self._stack.callback(store.close)
        return store

    async def _start_rest(self, port: int) -> None:
        host, udp_port = self.proxy.address
        endpoints = {"coaps": f"coaps://{host}:{udp_port}/gsma/rsp2/asn1"}
        if self.https_gate is not None:
            endpoints["https"] = f"https://localhost:{self.https_gate.port}/gsma/rsp2/asn1"
        self.rest = RestServer(EimFunctions(self.eim.eim, self.configuration, endpoints), port)
        await self._stack.enter_async_context(self.rest)

    def _relay(self) -> Relay | None:
        options = self.options.rsp
        if self._rsp is None or options is None or options.relay == "none":
            return None
        return Relay(self._rsp.servers(), options.relay_settings)

    async def _start_https(self) -> None:
        options = self.options
        chain = self.https_chain()
        listen = HttpsPort(http=options.http)
        client_ca = self.device_certificate.issuer_pem if options.client_certificate == "required" else None
        tls = TlsSettings(chain[0], chain[1:], client_ca=client_ca)
        self.https_server = HttpsServer(self.eim, tls, options.https, listen, self.eim.bind)
        await self._stack.enter_async_context(self.https_server)
        self.https_gate = TcpGate(("127.0.0.1", self.https_server.port), port=options.https_port)
        await self._stack.enter_async_context(self.https_gate)

    def https_chain(self) -> list[Credential]:
        """The certificates of the HTTPS side, leaf first."""
        options = self.options
        name = f"eim-tls-{options.tls}"
        leaf = self.pki.variant(name, options.https_tls) if options.https_tls else self.pki[name]
        return [leaf] if options.tls == "self" else [leaf, self.pki["eim-ca"]]

    @property
    def device_certificate(self) -> DeviceCertificate:
        """What the device shows to an eIM that asks for it; made when first wanted."""
        return DeviceCertificate.in_folder(self.folder)

    def _associate(self, *configurations: bytes) -> None:
        """What a factory does: AddInitialEim without a modem, or addEim to a card that has eIMs already."""
        if self.card.state.eims:
            for configuration in configurations:
                self.card.associate(configuration)
            return
        self.card.es10.execute(add_initial_eim(*configurations))
        if len(self.card.state.eims) != len(configurations):
            raise BenchError("the card did not take the eIM's configuration")

    def configuration(self, **changes: Any) -> bytes:
        """EimConfigurationData of the bench's eIM, with ``changes`` as in ``EimIdentity.configuration``."""
        options = self.options
        settings: dict[str, Any] = {
            "fqdn": "localhost",
            "ask_for_token": options.ask_for_token,
            "tls_pin": "none" if options.tls == "psk" else options.tls_pin,
            "protocols": CARRIERS[options.carrier],
            "indirect_download": options.rsp is not None and options.rsp.relay != "none" and options.rsp.indirect,
        }
        if options.https_tls == "rsa":
            # The other variants are wrong on purpose: the card trusts the right one.
            settings["tls_chain"] = [one.certificate for one in self.https_chain()]
        return self.identity.configuration(**{**settings, **changes})

    def issue_bundle(self, *, counter: int = 0) -> bytes:
        """A provisioning bundle of the bench's eIM."""
        configuration = self.configuration(counter=counter)
        return self.eim.eim.bindings.issue(configuration, counter=counter, now_s=time.time())

    def _psk_key(self) -> bytes:
        path = self.folder / "psk.key"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(self.eid[:16].encode().hex())  # of characters: foreign clients take a key as text
        return bytes.fromhex(path.read_text())

    async def _start_modem(self) -> None:
        self.slot = CardSlot(self.card)
        self.slot.inserted = self.options.card_inserted and self.options.vpcd_port is None
        if self.options.vpcd_port is not None and self.options.card_inserted:
            await self._stack.enter_async_context(VpcdCard(self.card, self.options.vpcd_port))
        self.slot.on_power_lost = self._lose_power
        engine = AtEngine(
            self.slot,
            self.options.modem_options(),
            coverage=self.coverage,
            faults=self.options.modem_faults,
            wall=time.time,
        )
        uart = UartLine(engine) if engine.options.uart is not None else None
        path = self.folder / "modem"
        self.modem = PtyModem(engine, path, baud=self.options.baud, uart=uart, on_link=self._link_changed)
        await self._stack.enter_async_context(self.modem)
        self._stack.callback(self._write_traces)

    def _write_traces(self) -> None:
        """For whoever looks into a kept folder: the last of what went over the line and to the card."""
        if not self.folder.is_dir():
            return
        line = (f"{t_s:9.3f} {way} {data.decode('latin-1')!r}" for t_s, way, data in self.modem.trace)
        (self.folder / "modem.trace").write_text("\n".join(line) + "\n")
        apdus = (f"{apdu.hex()} -> {'nothing' if answer is None else answer.hex()}" for apdu, answer in self.slot.trace)
        (self.folder / "card.trace").write_text("\n".join(apdus) + "\n")

    def _link_changed(self, cell: Cell | None) -> None:
        self._cell = cell
        if self.ethernet:
            return
        LOG.info("network: %s", "down" if cell is None else f"up, {cell.plmn}")
        self.set_link_up(cell is not None)

    def _lose_power(self) -> None:
        """Nothing may happen after this instant, so the agent is killed before anyone can tell it anything."""
        self.agent.kill_now()
        self.set_link_up(False)
        self.power_lost.set()

    def _write_config(self) -> None:
        (self.folder / "agent-run").mkdir(exist_ok=True, mode=0o700)  # as the service manager does
        for name in ("hooks.d", "conditions.d"):
            (self.folder / name).mkdir(exist_ok=True)
        host, port = self.proxy.address
        initial_eim: dict[str, Table] = {}
        if self.options.provision != "none":
            initial_eim["provisioning"] = {"initial_eim": self.folder / "initial-eim.der"}
        base: dict[str, Table] = {
            "modem": {"port": self.modem.path, "lock_dir": self.folder},
            **initial_eim,
            "poll": {
                "first_s": 0.2,
                "phase_window_s": 0,
                "interval_s": 5,
                "jitter": 0.0,
                "fast_phase_s": 0,
                "attach_gap_s": 0,
                "backoff_first_s": 1,
            },
            "switch": {"probe_first_s": 0.5, "probe_s": 2.0},
            "coap": {"ack_timeout_s": 1.0},
            "site": {"hooks_dir": self.folder / "hooks.d", "conditions_dir": self.folder / "conditions.d"},
            "local": {"dbus": "off"},
            "store": {"state_dir": self.folder / "agent-state", "runtime_dir": self.folder / "agent-run"},
            "log": {"level": "debug", "style": "json"},
        }
        eim: dict[str, Any] = {"id": self.identity.eim_id, "host": host, "port": port}
        if self.options.tls == "psk":
            eim |= {"psk_identity": PSK_IDENTITY, "psk_key_file": self.folder / "psk.key"}
        if self.options.client_certificate == "required":
            own = self.device_certificate
            eim |= {"client_certificate": own.certificate_path, "client_key_file": own.key_path}
        if self.https_gate is not None:
            eim["https_port"] = self.https_gate.port
            if self.options.carrier == "https":
                eim["carrier"] = "https"
        if self.options.binding != "asn1":
            eim["binding"] = self.options.binding
        if self._injection is not None:
            base["inject"] = self._injection.agent_table()
        if self._rsp is not None:
            base["download"] = {"allow_private_servers": True}  # they are on this machine
            base["trust"] = {"ci_dir": self._rsp.write_ci(self.folder / "ci")}
        tables = merged(base, {name: table for name, table in self.options.config.items() if name != "eim"})
        eim |= dict(self.options.config.get("eim", {}))
        eims = [eim, *[site.agent_table() for site in self.eims.values()]]
        (self.folder / "agent.toml").write_text(to_toml({**tables, "eim": eims}))


def _plmn(mcc_mnc: bytes) -> str:
    """``62F210`` to ``26201``."""
    nibbles = "".join(f"{byte & 0x0F:X}{byte >> 4:X}" for byte in mcc_mnc)
    return nibbles[:3] + nibbles[4:6] + ("" if nibbles[3] == "F" else nibbles[3])
