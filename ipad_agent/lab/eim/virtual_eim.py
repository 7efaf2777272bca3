"""The eIM as its operator has it: devices, their orders, and what came of them. How it is asked over ESipa is
``esipa_functions.py``."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ipad_agent.lab.eim.orders.order_package import order_package
from ipad_agent.lab.eim.orders.package_bytes import eid_bytes
from ipad_agent.lab.eim.relay.download_relay import Relay

from . import device_import
from .device_binding import DeviceBindings
from .device_records import HANDED_OUT, PUSHED, QUEUED, Device, EimRecords, FileStore, Order, Store
from .eim_faults import FaultQueue
from .eim_identity import EimIdentity
from .eim_settings import EimSettings
from .errors import OrderError
from .esipa_application import Reply
from .esipa_functions import EsipaFunctions


class VirtualEim:
    """Devices, their queues, and the answers to ESipa requests.

    ``handle`` gives the plain answer; ``exchange`` also says how it shall travel (late, not at all, ...).
    """

    def __init__(
        self,
        identity: EimIdentity,
        *,
        settings: EimSettings | None = None,
        state_path: Path | None = None,
        store: Store | None = None,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        relay: Relay | None = None,
    ) -> None:
        self.identity = identity
        self._settings = settings or EimSettings()
        self.faults = FaultQueue()
        self._random_bytes = random_bytes
        if store is None and state_path is not None:
            store = FileStore(state_path)
        self._records = EimRecords(store)
        self.esipa = EsipaFunctions(identity, self._settings, self._records, self.faults, self.enqueue, relay)
        self.bindings = DeviceBindings(
            self.devices,
            self.history,
            lambda raw, replace_key, now_s: self.import_device(raw, replace_key=replace_key, now_s=now_s),
            self._records.note_and_save,
        )
        """Devices that register themselves, by the bundles that this eIM issues."""
        queued = (order for device in self.devices.values() for order in (*device.finished, *device.queue))
        self._last_order = max((order.number for order in queued), default=0)

    @property
    def settings(self) -> EimSettings:
        """How it behaves; every part of it holds these, so that a changed field counts everywhere at once."""
        return self._settings

    @property
    def devices(self) -> dict[str, Device]:
        """The devices by EID."""
        return self._records.devices

    @property
    def history(self) -> deque[dict[str, Any]]:
        """What was asked, answered and ordered, oldest first."""
        return self._records.history

    @property
    def noted(self) -> int:
        """See ``EimRecords``."""
        return self._records.noted

    @property
    def listeners(self) -> list[Callable[[dict[str, Any]], None]]:
        """See ``EimRecords``."""
        return self._records.listeners

    @property
    def relay(self) -> Relay | None:
        """See ``EsipaFunctions``."""
        return self.esipa.relay

    def device(self, eid: str) -> Device:
        """The record of an EID; ``OrderError`` when it is unknown."""
        return self._records.device(eid)

    def add_device(
        self, eid: str, *, counter: int = 0, token: int | None = None, certificate_der: bytes | None = None
    ) -> Device:
        """Make an eUICC known. ``counter`` is the counterValue it was given; the first package has the next one."""
        eid_bytes(eid)
        device = self.devices.get(eid) or Device(eid)
        device.counter, device.token = counter, token
        if certificate_der is not None:
            device.trust_certificate(certificate_der)
        self.devices[eid] = device
        self._records.save()
        return device

    def remove_device(self, eid: str) -> None:
        """Forget an EID with its orders; ``OrderError`` when it is unknown."""
        del self.devices[self.device(eid).eid]
        self._records.save()

    def cancel_order(self, eid: str, number: int) -> Order:
        """Take an order back that has no result yet; ``OrderError`` when there is none with this number.

        A device that has it already may still carry it out; its result then belongs to no order.
        """
        device = self.device(eid)
        found = next((order for order in device.queue if order.number == number), None)
        if found is None:
            raise OrderError(f"no order {number} waits for {eid}")
        device.queue = [order for order in device.queue if order is not found]
        self._records.save()
        return found

    def import_device(self, raw: bytes, *, replace_key: bool = False, now_s: float = 0.0) -> Device:
        """Register a consumer card by the import file of the device that plays its IoT part.

        ``OrderError`` when the file is wrong or the EID is registered already; see ``device_import.registered``.
        """
        file = device_import.read_import(raw)
        device = device_import.registered(self.devices.get(file.eid), file, replace_key=replace_key)
        self.devices[file.eid] = device
        self._records.note(
            now_s, file.eid, "imported", counter=file.counter, fingerprint=file.fingerprint, imei=file.imei or None
        )
        self._records.save()
        return device

    def enqueue(self, eid: str, order: Order) -> Order:
        """Put an order behind those that wait; its package is built when it is asked for."""
        device = self.device(eid)
        size = self.settings.transaction_id_bytes
        if order.transaction_id is None and size and not order.faults.no_transaction_id:
            order.transaction_id = self._random_bytes(size)
        self._last_order += 1
        order.number = self._last_order
        device.queue.append(order)
        self._records.save()
        return order

    def push(self, eid: str, order: Order, *, now_s: float = 0.0) -> bytes:
        """The package of an order that shall be pushed (SGP.32 §3.1.1.2) instead of waiting for a poll, not wrapped."""
        self.enqueue(eid, order)
        device = self.device(eid)
        package = order.package = self._package(order, device)
        order.state = PUSHED
        self._records.note(
            now_s, eid, "pushed", order=order.label, counter=order.counter, package=package.hex().upper()
        )
        self._records.save()
        return package

    def push_answered(self, eid: str, order: Order, answer: str, *, received: bool, now_s: float = 0.0) -> None:
        """What the device said to it; one that it did not take waits for the next poll."""
        if order.state == PUSHED:
            order.state = HANDED_OUT if received else QUEUED
        self._records.note(now_s, eid, "push answered", order=order.label, answer=answer, received=received)
        self._records.save()

    def refuse_results(self, order: Order, answer: str = "127", *, again: bool = False) -> None:
        """Take no result of this order from now on; see ``PackageFaults.result``."""
        order.faults = replace(order.faults, result=answer, again=again)
        self._records.save()

    def take_results(self) -> None:
        """Take the results of every order again."""
        for device in self.devices.values():
            for order in device.queue:
                order.faults = replace(order.faults, result=None, again=False)
        self._records.save()

    def handle(self, body: bytes, *, now_s: float = 0.0, peer: str = "") -> bytes:
        """The answer to a request body, unless the relay takes its time; ``RequestRefusedError`` as ``exchange``."""
        return self.exchange(body, now_s=now_s, peer=peer).body

    def exchange(self, body: bytes, *, now_s: float = 0.0, peer: str = "") -> Reply:
        """See ``EsipaFunctions``."""
        return self.esipa.exchange(body, now_s=now_s, peer=peer)

    def _package(self, order: Order, device: Device) -> bytes:
        dialect = self.settings.dialect_for(device.dialect)
        return order_package(order, device, self.identity, dialect, only_v1_0=self.settings.only_v1_0)
