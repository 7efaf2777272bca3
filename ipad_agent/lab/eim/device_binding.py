"""Provisioning bundles that the eIM issues (``eim-ipad-provision/1``), and devices that bind themselves by one.

A bundle gives a device the eIM's configuration and a key. The device posts its import file, signed with that key, to
``/ipad/v1/bind`` over HTTPS; the eIM registers nobody else's key there.
"""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from . import device_import
from .device_records import Device
from .errors import OrderError

FORMAT = "eim-ipad-provision/1"
PATH = "/ipad/v1/bind"
DAY_S = 86400.0
BOUND, KNOWN, UNREADABLE, REFUSED = 204, 409, 400, 403

Register = Callable[[bytes, bool, float], Device]
Note = Callable[..., None]


class DeviceBindings:
    """Which keys this eIM issued is in its history. ``answers`` are given before anything is looked at: status and
    seconds of Retry-After."""

    def __init__(
        self,
        devices: Mapping[str, Device],
        history: Iterable[Mapping[str, Any]],
        register: Register,
        note: Note,
    ) -> None:
        self._devices = devices
        self._history = history
        self._register = register
        self._note = note
        self.answers: deque[tuple[int, int | None]] = deque()

    def issue(self, configuration: bytes, *, counter: int, now_s: float, lifetime_s: float = 30 * DAY_S) -> bytes:
        """A bundle with a new key; ``configuration`` is EimConfigurationData (30) with this ``counter``."""
        key = ec.generate_private_key(ec.SECP256R1())
        secret = key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        members = {
            "format": FORMAT,
            "issuance_id": str(uuid.uuid4()),
            "eim_configuration": base64.b64encode(configuration).decode("ascii"),
            "device_key": base64.b64encode(secret).decode("ascii"),
            "counter": counter,
            "expires_at": datetime.fromtimestamp(now_s + lifetime_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        public = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        fingerprint = hashlib.sha256(public).hexdigest().upper()
        self._note(
            now_s, None, "bundle issued", issuance=members["issuance_id"], counter=counter, fingerprint=fingerprint
        )
        return json.dumps(members).encode("ascii") + b"\n"

    def bind(self, raw: bytes, *, now_s: float) -> tuple[int, int | None]:
        """The answer to a self-binding, with the seconds of Retry-After if there are any."""
        status, retry_s, eid, why = *self._scripted(), None, "as ordered"
        if not status:
            status, eid, why = self._judged(raw, now_s)
        self._note(now_s, eid, "bind", status=status, why=why)
        return status, retry_s

    def _scripted(self) -> tuple[int, int | None]:
        return self.answers.popleft() if self.answers else (0, None)

    def _judged(self, raw: bytes, now_s: float) -> tuple[int, str | None, str]:
        try:
            file = device_import.read_import(raw)
        except OrderError as error:
            return UNREADABLE, None, str(error)
        if not any(one["kind"] == "bundle issued" and one["fingerprint"] == file.fingerprint for one in self._history):
            return REFUSED, file.eid, "that key is of no bundle of this eIM"
        known = self._devices.get(file.eid)
        if known is not None and known.euicc_spki == file.spki:
            return KNOWN, file.eid, "registered already"
        try:
            self._register(raw, known is not None, now_s)
        except OrderError as error:
            return REFUSED, file.eid, str(error)
        return BOUND, file.eid, "registered"
