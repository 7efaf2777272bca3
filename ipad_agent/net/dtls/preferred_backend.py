"""Which library speaks DTLS to which server: Mbed TLS where it brings a Connection ID, OpenSSL everywhere else.

OpenSSL does more (tickets, other curves, what odd servers need); a Connection ID is all that it lacks. So a server that
wants none, or with which Mbed TLS comes to no session, is OpenSSL's. The first is asked again when the record of it is
too old, the other after an hour, then four, and so on to a week.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from ipad_agent.clock import Clock, SystemClock
from ipad_agent.net import events
from ipad_agent.net.errors import BackendLacks
from ipad_agent.records import dataclass

from .connection_record import ConnectionShelf
from .dtls_backend import DtlsBackend, DtlsClient, DtlsSettings, Judge
from .session_record import SessionMemory

_FIRST_WAIT_S: Final = 3600.0
_LONGEST_WAIT_S: Final = 7 * 86400.0
_WAIT_FACTOR: Final = 4


class IdentifyingBackend(DtlsBackend, Protocol):
    """A backend that offers Connection IDs."""

    def wants_connection_id(self, settings: DtlsSettings) -> bool | None:
        """What this server did with the offer of one; None when that is not known."""


@dataclass(frozen=True, slots=True)
class _Failed:
    until_s: float
    wait_s: float


class PreferredBackend:
    """Implements ``DtlsBackend``. ``other`` is made when it is first needed, for it is another library in memory."""

    def __init__(
        self, identifying: IdentifyingBackend, other: Callable[[], DtlsBackend], clock: Clock | None = None
    ) -> None:
        self._identifying = identifying
        self._make_other = other
        self._made_other: DtlsBackend | None = None
        self._clock = SystemClock() if clock is None else clock
        self._failed: dict[str, _Failed] = {}
        self._last: dict[str, DtlsBackend] = {}

    def client(self, settings: DtlsSettings, judge: Judge) -> DtlsClient:
        if self._identifies(settings):
            try:
                made = self._identifying.client(settings, judge)
            except BackendLacks as error:
                self._fail(settings, str(error))
            else:
                self._last[settings.association] = self._identifying
                return made
        self._last[settings.association] = self._other
        return self._other.client(settings, judge)

    def has_session(self, settings: DtlsSettings) -> bool:
        return self._for(settings).has_session(settings)

    def widen(self, settings: DtlsSettings) -> bool:
        if not self._identifies(settings):
            return self._other.widen(settings)
        # With a server that wanted a Connection ID before it is not the library that fails, at least not at once.
        if self._identifying.wants_connection_id(settings) and self._identifying.widen(settings):
            return True
        self._fail(settings, "what it offered was refused")
        return True

    def forget(self, association: str) -> None:
        used = self._last.get(association)
        if used is not None:  # what the other one knows of this server, or that it has no use for it, stays true
            used.forget(association)
            return
        self._identifying.forget(association)
        self._other.forget(association)

    # -- inside ------------------------------------------------------------------------------------------------------

    @property
    def _other(self) -> DtlsBackend:
        if self._made_other is None:
            self._made_other = self._make_other()
        return self._made_other

    def _for(self, settings: DtlsSettings) -> DtlsBackend:
        return self._identifying if self._identifies(settings) else self._other

    def _identifies(self, settings: DtlsSettings) -> bool:
        wants = self._identifying.wants_connection_id(settings)
        failed = self._failed.get(settings.association)
        waits = failed is not None and self._clock.monotonic() < failed.until_s
        return wants is True or (wants is None and not waits)

    def _fail(self, settings: DtlsSettings, problem: str) -> None:
        before = self._failed.get(settings.association)
        wait_s = _FIRST_WAIT_S if before is None else min(_LONGEST_WAIT_S, before.wait_s * _WAIT_FACTOR)
        self._failed[settings.association] = _Failed(self._clock.monotonic() + wait_s, wait_s)
        self._identifying.forget(settings.association)
        host = settings.server_name or settings.association
        events.OPENSSL_INSTEAD.emit(host=host, problem=problem, wait_s=wait_s)


def best_backend(
    *,
    connection_ids: bool,
    sessions: SessionMemory | None = None,
    connections: SessionMemory | None = None,
    shelf: ConnectionShelf | None = None,
    clock: Clock | None = None,
) -> DtlsBackend:
    """What this machine has: both libraries, or OpenSSL alone where Mbed TLS 3.6 is not installed or
    ``connection_ids`` are not wanted. The memories keep what outlives the process, each that of one library."""

    def openssl() -> DtlsBackend:
        from .openssl_backend import OpenSslBackend

        return OpenSslBackend(sessions, clock)

    if not connection_ids:
        return openssl()
    from .mbedtls_library import find

    found = find()
    if found.library is None:
        return openssl()
    from .mbedtls_backend import MbedTlsBackend

    return PreferredBackend(MbedTlsBackend(found.library, connections, shelf, clock), openssl, clock)
