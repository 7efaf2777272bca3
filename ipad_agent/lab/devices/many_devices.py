"""Devices beside the one on the bench: cards, modems on pseudo-terminals, and agents as processes of their own.

    async with ManyDevices(bench, 200, interval_s=60) as devices:
        print(devices.table())

Everything of device 7 is in ``devices/0007`` of the lab's folder: its card, its configuration, its log and its state.
A folder that was used before goes on where it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ipad_agent.lab.bench.agent_toml import Tables, to_toml
from ipad_agent.lab.bench.card_slot import CardSlot
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.eim import add_initial_eim
from ipad_agent.lab.errors import BenchError
from ipad_agent.lab.euicc import EuiccIdentity, VirtualEuicc, default_profiles
from ipad_agent.lab.modem import AtEngine
from ipad_agent.lab.modem.line.modem_pty import PtyModem
from ipad_agent.lab.pki import Pki, certificates
from ipad_agent.lab.pki.eid import make_eid

from .agent_starter import AgentStarter
from .device_table import DeviceRow, summary, table

__all__ = ["MOST_DEVICES", "ManyDevices"]

LOG = logging.getLogger("ipad_agent.lab")

MOST_DEVICES = 1000
FIRST_EID_NUMBER = 1001
FILES_PER_DEVICE = 4
TRACE_ENTRIES = 50
"""Of each line and card; with hundreds of them the bench's thousands would be a gigabyte."""
START_PAUSE_S = 0.3
"""Between the starts of two agents: each costs about that much of a processor."""
AT_A_TIME, PATIENCE_S = 8, 20.0
"""So many agents may be on the way to their first poll; a slow machine starts them more slowly. One that does not get
there holds up others for that long at most."""
ASKED, RESULT = "request", "result"
"""Kinds of entries in the eIM's history."""


class ManyDevices:
    """``count`` devices on a bench; ``interval_s`` is how often each polls."""

    def __init__(self, bench: Bench, count: int, *, interval_s: float) -> None:
        if not 1 <= count <= MOST_DEVICES:
            raise BenchError(f"there can be 1 to {MOST_DEVICES} devices, not {count}")
        self._bench = bench
        self._interval_s = interval_s
        self._folder = bench.folder / "devices"
        self._rows = {row.eid: row for row in (DeviceRow(n, make_eid(FIRST_EID_NUMBER + n)) for n in range(count))}
        self._stack = contextlib.AsyncExitStack()
        self._starter = AgentStarter()
        self._somebody_asked = asyncio.Event()

    async def __aenter__(self) -> ManyDevices:
        try:
            _allow_files(len(self._rows) * FILES_PER_DEVICE + 200)
            self._bench.eim.eim.listeners.append(self._noted)
            self._stack.callback(self._bench.eim.eim.listeners.remove, self._noted)
            for row in self._rows.values():
                await self._make(row)
            await self._stack.enter_async_context(self._starter)
            starts = asyncio.get_running_loop().create_task(self._start_all())
            self._stack.callback(starts.cancel)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _start_all(self) -> None:
        for row in self._rows.values():
            self._starter.start(self._place(row) / "agent.toml", self._place(row) / "agent.log")
            row.started_s = time.time()
            await asyncio.sleep(START_PAUSE_S)
            while self._on_the_way() >= AT_A_TIME:
                self._somebody_asked.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1.0):
                        await self._somebody_asked.wait()

    def _on_the_way(self) -> int:
        since_s = time.time() - PATIENCE_S
        return sum(not row.asked and (row.started_s or 0.0) > since_s for row in self._rows.values())

    # What people see

    def rows(self) -> list[DeviceRow]:
        """Every device as it is now."""
        for row in self._rows.values():
            place = self._place(row)
            row.read_log(place / "agent.log")
            row.running = self._starter.running(place / "agent.toml")
        return list(self._rows.values())

    def table(self) -> str:
        """A line for each device, and their sum."""
        return table(self.rows(), time.time())

    def summary(self) -> str:
        """All of them in one line."""
        return summary(self.rows())

    def _noted(self, entry: Mapping[str, Any]) -> None:
        """The eIM's own view: who asked, and whose result came."""
        row = self._rows.get(str(entry.get("eid")))
        if row is not None and entry["kind"] == ASKED:
            row.asked, row.last_asked_s = row.asked + 1, time.time()
            self._somebody_asked.set()
        elif row is not None and entry["kind"] == RESULT:
            row.results += 1

    # Putting one together

    def _place(self, row: DeviceRow) -> Path:
        return self._folder / f"{row.number:04d}"

    async def _make(self, row: DeviceRow) -> None:
        place = self._place(row)
        (place / "run").mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in ("hooks.d", "conditions.d"):
            (place / name).mkdir(exist_ok=True)
        card = self._card(row, place / "card.json")
        slot = CardSlot(card)
        slot.trace = deque(maxlen=TRACE_ENTRIES)
        engine = AtEngine(slot, self._bench.options.modem_options(), coverage=self._bench.coverage, wall=time.time)
        modem = PtyModem(engine, place / "modem")
        modem.trace = deque(maxlen=TRACE_ENTRIES)
        await self._stack.enter_async_context(modem)
        (place / "agent.toml").write_text(to_toml(self._configuration(row, place)))

    def _card(self, row: DeviceRow, path: Path) -> VirtualEuicc:
        bench = self._bench
        identity = _identity(bench.pki, row.eid)
        card = VirtualEuicc(identity, path, bench.options.quirks, profiles=default_profiles())
        eim = bench.eim.eim
        if not card.state.eims:
            token = card.state.next_token if bench.options.ask_for_token else None
            card.es10.execute(add_initial_eim(bench.configuration()))
            if not card.state.eims:
                raise BenchError(f"the card {row.eid} did not take the eIM's configuration")
            eim.add_device(row.eid, token=token, certificate_der=identity.cis[0].euicc_cert)
        elif row.eid not in eim.devices:
            raise BenchError(f"{path} is a card whose eIM has forgotten it; take another folder")
        return card

    def _configuration(self, row: DeviceRow, place: Path) -> Tables:
        host, port = self._bench.proxy.address
        return {
            "modem": {"port": place / "modem", "lock_dir": place},
            "poll": {
                "first_s": 0.2,
                "phase_window_s": 0,
                "interval_s": self._interval_s,
                "fast_phase_s": 0,
                "attach_gap_s": 0,
            },
            "site": {"hooks_dir": place / "hooks.d", "conditions_dir": place / "conditions.d"},
            "local": {"dbus": "off"},
            "store": {"state_dir": place / "state", "runtime_dir": place / "run"},
            "log": {"level": "info", "style": "json"},
            "eim": [{"id": self._bench.identity.eim_id, "host": host, "port": port}],
        }


def _identity(pki: Pki, eid: str) -> EuiccIdentity:
    """A card of the same maker with another EID; it has the key of the bench's card, and a certificate of its own."""
    whole = EuiccIdentity.from_pki(pki)
    card, maker = pki["euicc"], pki["eum"]
    subject = maker.certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    begin = card.certificate.not_valid_before_utc
    certificate = certificates.Issuer(maker.certificate.subject, maker.private_key).issue(
        certificates.euicc(str(subject[0].value), eid), card.public_key, begin, begin + timedelta(days=3650)
    )
    return EuiccIdentity(eid, (replace(whole.cis[0], euicc_cert=certificate.public_bytes(Encoding.DER)),))


def _allow_files(wanted: int) -> None:
    """Each modem has two descriptors and each of its agents a few of the eIM's."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(wanted, soft), hard), hard))
