"""What the eIM keeps: each device with its orders, the history, and the file that both can be in."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Protocol

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ipad_agent.lab.eim.orders.package_bytes import DataRequest

from .eim_faults import PackageFaults
from .errors import OrderError, StateFileError

KINDS = ("psmo", "eco", "data", "trigger", "raw", "raw-body")
QUEUED, PUSHED, HANDED_OUT, DONE, FAILED = "queued", "pushed", "handed out", "done", "failed"
MAX_FINISHED = 200
MAX_HISTORY = 1000
MAX_ACCEPTED = 1000
_VERSION = 1
_BYTES = ("euicc_spki", "euicc_info1", "euicc_info2", "euicc_certificate", "eum_certificate", "device_info")


@dataclass(slots=True)
class Order:
    """One thing a device shall do.

    ``operations`` are the finished TLVs of kinds psmo and eco; for ``raw`` the one element is what goes into BF4F, for
    ``raw-body`` it is the whole answer, handed out once. ``package`` holds the bytes once they are built: a device that
    asks again gets the same ones. ``held`` keeps ``code`` here and hands out a bare trigger (eimDownloadDataHandling);
    ``confirmation_code`` becomes hashCc when the SM-DP+ asks for one. ``number``, given by ``enqueue``, tells the
    orders of one eIM apart.
    """

    kind: str
    label: str
    operations: tuple[bytes, ...] = ()
    data: DataRequest | None = None
    code: str = ""
    held: bool = False
    confirmation_code: str | None = field(default=None, repr=False)
    faults: PackageFaults = field(default_factory=PackageFaults)
    transaction_id: bytes | None = None
    state: str = QUEUED
    counter: int | None = None
    package: bytes | None = None
    number: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise OrderError(f"{self.kind!r} is no kind of order")
        if self.kind == "data" and self.data is None:
            raise OrderError("a data request without its tags")


@dataclass(slots=True)
class Device:
    """One EID: replay counter (the last one used), association token, key, queue and what was accepted.

    ``accepted`` maps sequence numbers to the digest of the result that had them, to tell a repetition from a forgery.
    What the relay needs is learned from data and downloads: euiccInfo1 and euiccInfo2 (BF20, BF22), both certificates,
    the content of deviceInfo, and the bits of ipaFeatures.

    ``emulated``: a consumer card in front of which the device plays the IoT eUICC. ``euicc_spki`` is then the device's
    key, which signs results; notifications are signed by the card itself, whose certificate a download brings.
    """

    eid: str
    counter: int = 0
    token: int | None = None
    euicc_spki: bytes | None = None
    last_seq: int | None = None
    dialect: str = "1.2"
    queue: list[Order] = field(default_factory=list)
    finished: list[Order] = field(default_factory=list)
    accepted: dict[int, str] = field(default_factory=dict)
    euicc_info1: bytes | None = None
    euicc_info2: bytes | None = None
    euicc_certificate: bytes | None = None
    eum_certificate: bytes | None = None
    device_info: bytes | None = None
    features: tuple[int, ...] = ()
    emulated: bool = False
    imei: str = ""

    @property
    def notification_key(self) -> ec.EllipticCurvePublicKey | None:
        """The key that notifications must be signed with; None while unknown."""
        if not self.emulated:
            return self.euicc_key
        return None if self.euicc_certificate is None else _certificate_key(self.euicc_certificate)

    @property
    def euicc_key(self) -> ec.EllipticCurvePublicKey | None:
        """The key that results must be signed with; None while unknown."""
        if self.euicc_spki is None:
            return None
        key = serialization.load_der_public_key(self.euicc_spki)
        return key if isinstance(key, ec.EllipticCurvePublicKey) else None

    def trust_certificate(self, certificate_der: bytes) -> None:
        """Take the key of the eUICC certificate; ``OrderError`` when it has no elliptic curve key."""
        key = _certificate_key(certificate_der)
        if self.emulated:
            return  # results are signed by the device, whatever the card's own key is
        self.euicc_spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)

    @property
    def next_order(self) -> Order | None:
        """What is handed out next, nothing that is being pushed. One whose results are not taken on purpose lets the
        others pass."""
        aside = [order for order in self.queue if order.faults.result is not None and order.state == HANDED_OUT]
        waiting = [order for order in self.queue if order.state != PUSHED and all(order is not one for one in aside)]
        again = [order for order in aside if order.faults.again]
        return next(iter([*waiting, *again]), None)

    def finish(self, order: Order, *, ok: bool) -> None:
        """An order's result is here; a late result of a finished order changes its verdict."""
        order.state = DONE if ok else FAILED
        if any(one is order for one in self.queue):
            self.queue = [one for one in self.queue if one is not order]
            self.finished = [*self.finished, order][-MAX_FINISHED:]

    def remember(self, seq: int, digest: str) -> None:
        """A result was accepted."""
        self.accepted[seq] = digest
        while len(self.accepted) > MAX_ACCEPTED:
            del self.accepted[min(self.accepted)]
        self.last_seq = max(seq, self.last_seq if self.last_seq is not None else seq)


def _certificate_key(certificate_der: bytes) -> ec.EllipticCurvePublicKey:
    try:
        key = x509.load_der_x509_certificate(certificate_der).public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise OrderError(f"no certificate: {error}") from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise OrderError("the eUICC certificate has no elliptic curve key")
    return key


class Store(Protocol):
    """Where the state of an eIM is kept."""

    def load(self) -> tuple[dict[str, Device], list[dict[str, Any]]]:
        """Devices by EID and the history, oldest first; ``StateFileError`` when they cannot be read."""

    def save(self, devices: dict[str, Device], history: list[dict[str, Any]]) -> None:
        """Keep them, whole or not at all; ``StateFileError`` when that fails."""


@dataclass(frozen=True, slots=True)
class FileStore:
    """One JSON file, written anew each time."""

    path: Path

    def load(self) -> tuple[dict[str, Device], list[dict[str, Any]]]:
        """See ``Store``."""
        return load(self.path)

    def save(self, devices: dict[str, Device], history: list[dict[str, Any]]) -> None:
        """See ``Store``."""
        save(self.path, devices, history)


class EimRecords:
    """Devices by EID and the history, as they were in ``store``; without one they end with the process."""

    def __init__(self, store: Store | None) -> None:
        self._store = store
        devices, history = store.load() if store is not None else ({}, [])
        self.devices: dict[str, Device] = devices
        self.history: deque[dict[str, Any]] = deque(history, maxlen=MAX_HISTORY)
        self.noted = len(self.history)
        """How many entries the history ever had since it was opened; the last one has this number."""
        self.listeners: list[Callable[[dict[str, Any]], None]] = []
        """Told every entry of the history as it is made."""

    def device(self, eid: str) -> Device:
        """The record of an EID; ``OrderError`` when it is unknown."""
        found = self.devices.get(eid)
        if found is None:
            raise OrderError(f"no device with EID {eid}")
        return found

    def note(self, now_s: float, eid: str | None, kind: str, **facts: Any) -> None:
        """Add an entry to the history; a fact that is None is left out."""
        said = {name: value for name, value in facts.items() if value is not None}
        entry = {"at": now_s, "eid": eid, "kind": kind, **said}
        self.history.append(entry)
        self.noted += 1
        for listener in self.listeners:
            listener(entry)

    def note_and_save(self, now_s: float, eid: str | None, kind: str, **facts: Any) -> None:
        """Both."""
        self.note(now_s, eid, kind, **facts)
        self.save()

    def save(self) -> None:
        """Put everything into the store; whoever changed a device or an order calls it."""
        if self._store is not None:
            self._store.save(self.devices, list(self.history))


def save(path: Path, devices: dict[str, Device], history: list[dict[str, Any]]) -> None:
    """Write the state, whole or not at all."""
    document = {
        "version": _VERSION,
        "devices": [to_plain(device) for device in devices.values()],
        "history": history,
    }
    temporary = path.with_name(path.name + ".new")
    try:
        temporary.write_text(json.dumps(document))  # indented it takes ten times as long, at each exchange
        os.replace(temporary, path)
    except OSError as error:
        raise StateFileError(f"{path} cannot be written: {error}") from error


def load(path: Path) -> tuple[dict[str, Device], list[dict[str, Any]]]:
    """Read the state; a missing file is an empty state."""
    try:
        document: Any = json.loads(path.read_text())
        if document["version"] != _VERSION:
            raise StateFileError(f"{path} has version {document['version']!r}, not {_VERSION}")
        devices = [from_plain(row) for row in document["devices"]]
        return {device.eid: device for device in devices}, list(document["history"])
    except FileNotFoundError:
        return {}, []
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StateFileError(f"{path} is not a state file: {error!r}") from error


def to_plain(device: Device) -> dict[str, Any]:
    """A device as JSON can hold it; bytes are upper-case hex."""
    plain: dict[str, Any] = _plain(device)
    return plain


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, bytes):
        return value.hex().upper()
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


def _optional_bytes(value: str | None) -> bytes | None:
    return None if value is None else bytes.fromhex(value)


def from_plain(row: dict[str, Any]) -> Device:
    """The device of a ``to_plain``; ``ValueError``, ``KeyError`` or ``TypeError`` when it is none."""
    row = dict(row)
    for name in _BYTES:
        row[name] = _optional_bytes(row.get(name))
    row["features"] = tuple(row.get("features", ()))
    row["queue"] = [_order(one) for one in row["queue"]]
    row["finished"] = [_order(one) for one in row["finished"]]
    row["accepted"] = {int(seq): digest for seq, digest in row["accepted"].items()}
    return Device(**row)


def _order(row: dict[str, Any]) -> Order:
    row = dict(row)
    row["operations"] = tuple(bytes.fromhex(one) for one in row["operations"])
    row["faults"] = PackageFaults(**row["faults"])
    row["transaction_id"] = _optional_bytes(row["transaction_id"])
    row["package"] = _optional_bytes(row["package"])
    if row["data"] is not None:
        data = dict(row["data"])
        data["tags"] = tuple(data["tags"])
        data["ci_pkid"] = _optional_bytes(data["ci_pkid"])
        events = data["notification_events"]
        data["notification_events"] = None if events is None else frozenset(events)
        row["data"] = DataRequest(**data)
    return Order(**row)
