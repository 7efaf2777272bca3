"""The functions behind the paths of the REST API: decoded JSON in, a document out."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ipad_agent.lab.eim import VERBS, Device, Fault, Order, OrderError, VirtualEim, add_initial_eim, build_order

from .rest_documents import Document, device_document, entry_document, order_document

RELEASES = ("auto", "1.0", "1.1", "1.2", "1.3")
_CHOICES = {
    "acknowledgement": ("acknowledge", "empty"),
    "resend": ("same", "fresh"),
    "discardAnswer": ("error", "empty", "acknowledge"),
}
MAX_ENTRIES = 1000


class RestError(Exception):
    """The request is refused: HTTP ``status``, a ``code`` for programs and a sentence for people."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Call:
    """One request: values of the path, of the query, and the JSON object of the body (empty without one)."""

    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)


class EimFunctions:
    """Everything that can be asked of one eIM. ``configuration`` gives its EimConfigurationData (30...), ``endpoints``
    where it is reached."""

    def __init__(self, eim: VirtualEim, configuration: Callable[[], bytes], endpoints: Mapping[str, str]) -> None:
        self.eim = eim
        self._configuration = configuration
        self._endpoints = dict(endpoints)
        self._release = "auto" if eim.settings.dialect == "auto" else eim.settings.dialect

    # The eIM

    def get_eim(self, call: Call) -> Document:
        """Schema ``Eim``."""
        settings = self.eim.settings
        return {
            "eimId": self.eim.identity.eim_id,
            "endpoints": self._endpoints,
            "settings": {
                "release": self._release,
                "acknowledgement": settings.acknowledgement,
                "resend": settings.resend,
                "discardAnswer": settings.discard_answer,
                "acceptUnknownDevices": settings.accept_unknown_devices,
            },
        }

    def change_eim(self, call: Call) -> Document:
        """The settings that are named, all or none of them."""
        settings, body = self.eim.settings, call.body
        known = {"release", "acceptUnknownDevices", *_CHOICES}
        if set(body) - known:
            raise _bad(f"no settings: {', '.join(sorted(set(body) - known))}; there are {', '.join(sorted(known))}")
        for name, allowed in {"release": RELEASES, **_CHOICES}.items():
            if name in body and body[name] not in allowed:
                raise _bad(f"{name} is one of {', '.join(allowed)}, not {body[name]!r}")
        accept = body.get("acceptUnknownDevices", settings.accept_unknown_devices)
        if not isinstance(accept, bool):
            raise _bad("acceptUnknownDevices is true or false")
        settings.accept_unknown_devices = accept
        settings.acknowledgement = body.get("acknowledgement", settings.acknowledgement)
        settings.resend = body.get("resend", settings.resend)
        settings.discard_answer = body.get("discardAnswer", settings.discard_answer)
        if "release" in body:
            self._play(body["release"])
        return self.get_eim(call)

    def _play(self, release: str) -> None:
        """v1.1 to v1.3 are one dialect on the wire; v1.3 tells an expired order at another step."""
        settings = self.eim.settings
        self._release = release
        settings.dialect = release if release in ("auto", "1.0") else "1.2"
        settings.only_v1_0 = release == "1.0"
        if self.eim.relay is not None:
            self.eim.relay.settings.release = release

    def get_eim_configuration(self, call: Call) -> Document:
        """What a card has to be told of this eIM."""
        configuration = self._configuration()
        return {
            "eimId": self.eim.identity.eim_id,
            "configuration": _base64(configuration),
            "addInitialEim": _base64(add_initial_eim(configuration)),
        }

    def list_verbs(self, call: Call) -> Document:
        """What an order may be."""
        return {"verbs": [{"verb": name, "usage": one.usage, "about": one.about} for name, one in VERBS.items()]}

    # Devices

    def list_devices(self, call: Call) -> Document:
        """All of them."""
        return {"devices": [device_document(device) for device in self.eim.devices.values()]}

    def add_device(self, call: Call) -> Document:
        """An IoT eUICC, by its EID and, if results shall be verified, its certificate."""
        eid = _text(call.body, "eid").upper()
        if eid in self.eim.devices:
            raise RestError(409, "conflict", f"{eid} is known already")
        certificate = _octets(call.body, "certificate") if call.body.get("certificate") is not None else None
        counter, token = _number(call.body, "counter", 0), _number(call.body, "associationToken", None)
        device = Device(eid)
        try:
            if certificate is not None:
                device.trust_certificate(certificate)
            return device_document(
                self.eim.add_device(eid, counter=counter or 0, token=token, certificate_der=certificate)
            )
        except OrderError as error:
            raise _bad(str(error)) from error

    def get_device(self, call: Call) -> Document:
        """One of them."""
        return device_document(self._device(call))

    def forget_device(self, call: Call) -> None:
        """With its orders."""
        self.eim.remove_device(self._device(call).eid)

    def import_device(self, call: Call) -> Document:
        """A consumer card, by the import file of its device, which is the text of ``file`` to the byte."""
        replace_key = call.body.get("replaceKey", False)
        if not isinstance(replace_key, bool):
            raise _bad("replaceKey is true or false")
        raw = _text(call.body, "file").encode()
        try:
            return device_document(self.eim.import_device(raw, replace_key=replace_key, now_s=time.time()))
        except OrderError as error:
            raise RestError(409, "refused", str(error)) from error

    # Orders

    def list_orders(self, call: Call) -> Document:
        """Finished ones first, then those that wait, as they came."""
        device = self._device(call)
        return {"orders": [order_document(order) for order in (*device.finished, *device.queue)]}

    def add_order(self, call: Call) -> Document:
        """Queue an order, typed as on the command line."""
        device = self._device(call)
        words = call.body.get("words")
        if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
            raise _bad("words is a list of texts, as ['enable', '8949…', '--rollback']")
        if any(word.startswith("@") for word in words):
            raise _bad("a file cannot be named here; send its bytes in hex")
        refuse, again = call.body.get("refuseResult"), call.body.get("again", False)
        if not isinstance(again, bool) or not isinstance(refuse, str | None):
            raise _bad("refuseResult is a text, again is true or false")
        try:
            order = build_order(words)
            if refuse is not None:
                order.faults = replace(order.faults, result=refuse, again=again)
            return order_document(self.eim.enqueue(device.eid, order))
        except OrderError as error:
            raise _bad(str(error)) from error

    def get_order(self, call: Call) -> Document:
        """One of them."""
        return order_document(self._order(call))

    def cancel_order(self, call: Call) -> None:
        """Take it back; one that has its result is history."""
        order = self._order(call)
        try:
            self.eim.cancel_order(self._device(call).eid, order.number)
        except OrderError as error:
            raise RestError(409, "conflict", f"order {order.number} is {order.state}") from error

    # What happened

    def list_results(self, call: Call) -> Document:
        """Entries of the history with a number above ``after``, of one EID or of all, oldest first."""
        after, limit = _query_number(call, "after", 0), _query_number(call, "limit", MAX_ENTRIES)
        eid, kind = call.query.get("eid"), call.query.get("kind")
        entries = [
            entry_document(number, entry)
            for number, entry in self.numbered()
            if number > after and eid in (None, entry.get("eid")) and kind in (None, entry["kind"])
        ]
        return {"entries": entries[:limit], "last": self.eim.noted}

    def numbered(self) -> list[tuple[int, dict[str, Any]]]:
        """The history with its numbers."""
        first = self.eim.noted - len(self.eim.history) + 1
        return list(enumerate(self.eim.history, first))

    def take_results(self, call: Call) -> None:
        """Take the results of every order again."""
        self.eim.take_results()

    def arm_fault(self, call: Call) -> Document:
        """Misbehave on coming requests."""
        body = call.body
        function, action = _text(body, "function"), _text(body, "action")
        value, times = body.get("value"), _number(body, "times", 1) or 1
        if not isinstance(value, str | int | float | None):
            raise _bad("value is a number or a text")
        try:
            self.eim.faults.arm(Fault(function, action, value, times))
        except (OrderError, ValueError) as error:
            raise _bad(str(error)) from error
        return {"function": function, "action": action, "value": value, "times": times}

    def clear_faults(self, call: Call) -> None:
        """Drop every armed fault."""
        self.eim.faults.clear()

    def _device(self, call: Call) -> Device:
        found = self.eim.devices.get(call.path["eid"].upper())
        if found is None:
            raise RestError(404, "not-found", f"no device with EID {call.path['eid']}")
        return found

    def _order(self, call: Call) -> Order:
        device, number = self._device(call), call.path["number"]
        for order in (*device.finished, *device.queue):
            if str(order.number) == number:
                return order
        raise RestError(404, "not-found", f"no order {number} for {device.eid}")


def _bad(message: str) -> RestError:
    return RestError(400, "bad-request", message)


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise _bad(f"{name} is missing or no text")
    return value


def _octets(body: Mapping[str, Any], name: str) -> bytes:
    try:
        return base64.b64decode(_text(body, name), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _bad(f"{name} is no base64: {error}") from error


def _number(body: Mapping[str, Any], name: str, default: int | None) -> int | None:
    value = body.get(name)
    if value is None:
        return default
    if type(value) is not int or value < 0:
        raise _bad(f"{name} is a number of 0 or more")
    return value


def _query_number(call: Call, name: str, default: int) -> int:
    text = call.query.get(name, str(default))
    if not text.isdecimal() or len(text) > 9:
        raise _bad(f"{name} is a number of 0 or more, not {text!r}")
    return int(text)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
