"""The switches: how the eIM misbehaves on purpose."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import OrderError

FUNCTION_OF_TAG = {0xBF39: "initiate", 0xBF3B: "authenticate", 0xBF3A: "package", 0xBF41: "cancel"}
FUNCTIONS = ("get", "result", "notification", *FUNCTION_OF_TAG.values(), "any")
BEFORE = ("refuse", "busy", "status", "lose-request", "crash-before", "redirect")
AFTER = ("wrong", "empty", "garbage", "truncated", "late", "acknowledge", "lose-answer", "crash-after")
WIRE = ("html", "content-type", "oversize", "drip", "cut", "length", "chunked", "close", "abort", "headers")

GARBAGE = bytes.fromhex("FF00DEADBEEF80")


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to the next ``times`` requests of function ``on`` (-1: for ever).

    Actions without processing the request: ``refuse`` (``value``: error code, default 127), ``busy`` (5.03,
    ``value``: Max-Age in s), ``status`` (``value``: CoAP code; three digits without a point are an HTTP status),
    ``lose-request`` (no answer), ``crash-before`` (no answer, session or connection forgotten), ``redirect`` (HTTP 307
    to the URL ``value``; 5.00 over CoAP).

    Actions after processing it: ``wrong`` (another function's answer), ``empty``, ``garbage``, ``truncated``, ``late``
    (``value``: delay in s), ``acknowledge`` (``value``: these numbers instead), ``lose-answer``, ``crash-after``.

    After processing it and over HTTPS only: ``html`` (a page with status 200), ``content-type`` (``value`` instead),
    ``oversize`` (``value`` bytes more), ``drip`` (a byte every ``value`` s), ``cut`` (head and body end after ``value``
    bytes), ``length`` (``value`` is added to Content-Length), ``chunked``, ``close``, ``abort`` (torn down behind the
    answer), ``headers`` (``value`` needless ones).
    """

    on: str
    action: str
    value: int | float | str | tuple[int, ...] | None = None
    times: int = 1

    def __post_init__(self) -> None:
        if self.on not in FUNCTIONS:
            raise OrderError(f"{self.on!r} is none of {', '.join(FUNCTIONS)}")
        known = BEFORE + AFTER + WIRE
        if self.action not in known:
            raise OrderError(f"{self.action!r} is none of {', '.join(known)}")


@dataclass(frozen=True, slots=True)
class PackageFaults:
    """How a package is wrong on purpose. ``signature`` as in ``package_signing.sign_package``.

    ``counter_offset`` is added to the right counter (0 becomes a replay with -1); ``counter`` replaces it.

    ``result`` is what every result of this order gets instead of being taken: an error number (``127``), a status
    (``5.00``, ``500``), ``garbage``, or ``crash`` (no answer, connection forgotten). Such an order is set aside once it
    was handed out, so that others go on; with ``again`` it is handed out again when no other waits.
    """

    signature: str = "raw"
    eid: str | None = None
    eim_id: str | None = None
    counter: int | None = None
    counter_offset: int = 0
    no_transaction_id: bool = False
    result: str | None = None
    again: bool = False

    def __post_init__(self) -> None:
        known = ("garbage", "crash")
        if self.result is not None and self.result not in known and not self.result.replace(".", "", 1).isdecimal():
            raise OrderError(f"{self.result!r} is neither an error number, nor a status, nor {' or '.join(known)}")


class FaultQueue:
    """One-shot faults in the order they were armed."""

    def __init__(self) -> None:
        self._armed: list[tuple[Fault, int]] = []

    def __len__(self) -> int:
        return len(self._armed)

    def arm(self, fault: Fault, *, first: bool = False) -> None:
        """Add one behind those already armed, or before them."""
        self._armed.insert(0 if first else len(self._armed), (fault, fault.times))

    def clear(self) -> None:
        """Behave from now on."""
        self._armed.clear()

    def take(self, function: str) -> Fault | None:
        """The fault for a request of this function, used up by one."""
        for index, (fault, left) in enumerate(self._armed):
            if fault.on in (function, "any"):
                if left == 1:
                    del self._armed[index]
                elif left > 1:
                    self._armed[index] = (fault, left - 1)
                return fault
        return None
