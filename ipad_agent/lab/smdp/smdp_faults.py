"""The switches: how SM-DP+ and SM-DS misbehave on purpose. Several may be armed for one request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .errors import SmdpError
from .status_words import Status

INITIATE = "initiateAuthentication"
AUTHENTICATE = "authenticateClient"
GET_PACKAGE = "getBoundProfilePackage"
NOTIFY = "handleNotification"
CANCEL = "cancelSession"
FUNCTIONS = (INITIATE, AUTHENTICATE, GET_PACKAGE, NOTIFY, CANCEL)
ANY = "any"

ANSWER = frozenset(
    {"status", "word", "http", "html", "empty", "no-header", "not-json", "shape", "drop-field", "number-field"}
    | {"base64", "der", "field", "dead", "lose-answer", "late", "drip", "oversize", "cut", "length", "chunked", "close"}
    | {"abort"}
)
"""What can be wrong with any answer, whatever the function."""
SIGNED = frozenset({"wrong-transaction", "wrong-signature", "wrong-certificate"})
ONLY_IN = {
    INITIATE: SIGNED | {"wrong-challenge", "wrong-address", "wrong-ci", "signed-transaction"},
    AUTHENTICATE: SIGNED | {"wrong-cc-flag", "wrong-otpk", "metadata", "signed-transaction", "certificate-shown"},
    GET_PACKAGE: {"wrong-transaction"}
    | {f"bpp-{name}" for name in ("transaction", "signature", "remote-op", "key-type", "key-length", "otpk", "host-id")}
    | {f"bpp-{name}" for name in ("metadata", "elements", "mac", "swap", "drop", "repeat", "cut", "cut-bytes")}
    | {f"bpp-{name}" for name in ("length", "group-length", "long-form", "trailing", "keys", "configure", "tag")},
    NOTIFY: frozenset(),
    CANCEL: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to the next ``times`` requests of function ``on`` (or ``any``; -1: for ever).

    Any function. Before anything is done: ``status`` (``"8.2.6/3.8"``), ``http`` (a number, with an HTML body),
    ``dead`` (connection torn down). To the answer: ``word`` (another functionExecutionStatus), ``html`` (500 and a
    page), ``empty``, ``no-header``, ``not-json``, ``shape`` (``list``, ``string``, ``null``, ``number``, ``nested``),
    ``drop-field``, ``number-field``, ``base64`` (the field named gets characters that are not base64), ``der`` (the
    field named loses its last byte), ``field`` (``(name, value)``), ``lose-answer``, ``late`` (s), ``drip``
    (``(bytes, s)``), ``oversize`` (bytes of blanks in the JSON), ``cut`` (bytes), ``length`` (added to
    Content-Length), ``chunked``, ``close``, ``abort`` (after the answer).

    initiateAuthentication: ``wrong-transaction`` (JSON differs from what is signed), ``signed-transaction`` (the other
    way), ``wrong-challenge``, ``wrong-address`` (text), ``wrong-ci``, ``wrong-signature``, ``wrong-certificate``
    (``CiSigners.instead_of``; its own key signs).

    authenticateClient: the same for smdpSigned2, ``certificate-shown`` (a wrong certificate, but the right key signs),
    ``wrong-cc-flag``, ``wrong-otpk`` (bytes), ``metadata`` (``Metadata`` shown instead of the one in the package).

    getBoundProfilePackage, on BF23: ``bpp-transaction``, ``bpp-signature``, ``bpp-remote-op``, ``bpp-key-type``,
    ``bpp-key-length``, ``bpp-otpk`` (bytes), ``bpp-host-id`` (bytes; another one than the keys are made with). On what
    is inside: ``bpp-configure`` (bytes for BF24), ``bpp-metadata`` (``Metadata``), ``bpp-elements`` (bytes),
    ``bpp-keys`` (other PPK than announced). On segments, counted from 1 behind BF23: ``bpp-mac``, ``bpp-swap`` (with
    the next), ``bpp-drop``, ``bpp-repeat``, ``bpp-tag``, ``bpp-cut`` (nothing after it, lengths as before; 0 is BF23).
    On the whole: ``bpp-cut-bytes``, ``bpp-length`` (added to that of BF36), ``bpp-group-length`` (``(tag, delta)``),
    ``bpp-long-form`` (lengths with leading zeros), ``bpp-trailing`` (bytes).
    """

    on: str
    action: str
    value: Any = None
    times: int = 1

    def __post_init__(self) -> None:
        if self.on not in (*FUNCTIONS, ANY):
            raise SmdpError(f"{self.on!r} is none of {', '.join(FUNCTIONS)}, any")
        known = ANSWER | ONLY_IN.get(self.on, frozenset())
        if self.action not in known:
            raise SmdpError(f"{self.action!r} is nothing that {self.on} can do; it can {', '.join(sorted(known))}")
        if self.action == "status":
            try:
                Status.parse(str(self.value))
            except ValueError as error:
                raise SmdpError(str(error)) from error


class Faults:
    """What is wrong with one answer."""

    def __init__(self, armed: dict[str, Any] | None = None) -> None:
        self._armed = armed or {}

    def __contains__(self, action: str) -> bool:
        return action in self._armed

    def __bool__(self) -> bool:
        return bool(self._armed)

    def value(self, action: str, default: Any = None) -> Any:
        """The value of a switch; ``default`` when it is off or has none."""
        found = self._armed.get(action)
        return default if found is None else found


class FaultQueue:
    """What is armed and not used up."""

    def __init__(self) -> None:
        self._armed: list[tuple[Fault, int]] = []

    def __len__(self) -> int:
        return len(self._armed)

    def arm(self, *faults: Fault) -> None:
        """Add them to those already armed; of two with the same action the first comes first."""
        self._armed += [(fault, fault.times) for fault in faults if fault.times != 0]

    def clear(self) -> None:
        """Behave from now on."""
        self._armed.clear()

    def take(self, function: str) -> Faults:
        """All that is armed for a request of this function, each used up by one."""
        taken: dict[str, Any] = {}
        left: list[tuple[Fault, int]] = []
        for fault, times in self._armed:
            if fault.on in (function, ANY) and fault.action not in taken:
                taken[fault.action] = fault.value
                times -= times > 0
            if times:
                left.append((fault, times))
        self._armed = left
        return Faults(taken)
