"""One DTLS session of the Mbed TLS backend, without sockets or clocks of its own."""

from __future__ import annotations

import ctypes
import weakref
from typing import Any, Final, Protocol

from ipad_agent.errors import IpadError
from ipad_agent.net.errors import (
    BackendLacks,
    HandshakeFailed,
    TrustRefused,
)
from ipad_agent.records import dataclass, field

from . import dtls_records, handshake_outcomes, plaintext_records
from .dtls_backend import DtlsEvent, DtlsSettings, Ended, Established, Judge, Received
from .handshake_outcomes import SessionStage
from .mbedtls_configuration import MbedTlsConfiguration, suite_name
from .mbedtls_library import (
    NEW_SESSION_TICKET,
    PEER_CLOSE_NOTIFY,
    TIMEOUT,
    WANT_READ,
    WANT_WRITE,
    Line,
    close_line,
    open_line,
    room,
    size,
)

_BUFFER_BYTES: Final = 16384  # the largest record (RFC 5246 §6.2.1)
_WAIT: Final = frozenset({WANT_READ, WANT_WRITE, NEW_SESSION_TICKET})
_LONGEST_CID_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Kept:
    """What a session leaves behind. ``session`` can be resumed by a handshake; ``chain`` is what the server showed."""

    session: bytes | None = field(default=None, repr=False)
    cipher: str = ""
    chain: tuple[bytes, ...] = field(default=(), repr=False)


class Keeper(Protocol):
    """Keeps what sessions with one server leave behind."""

    def take_connection(self) -> bytes | None:
        """A connection to go on with, if one was set aside; from now on nobody else has it."""

    def keep(self, kept: Kept | None, *, connection_id: bool | None = None) -> None:
        """What the next handshake may offer, None for nothing. ``connection_id``, after a handshake: whether the server
        wants one."""

    def set_aside(self, connection: bytes, *, doubtful: bool) -> None:
        """A connection that can go on without a handshake, once and in one place only: loaded twice, it would encrypt
        different records under the same nonce. ``doubtful``: the server did not answer when it was last used."""

    def believe_again(self) -> None:
        """No server was heard at all: whatever was doubted was the link's fault."""


class MbedTlsClient:
    """Implements ``DtlsClient``.

    ``kept`` is what an earlier session left, and ``goes_on`` whether there is a connection at the ``keeper`` with which
    this one goes on; else, or if that cannot be used, ``kept`` is offered in a handshake.
    """

    def __init__(
        self,
        configuration: MbedTlsConfiguration,
        settings: DtlsSettings,
        judge: Judge,
        *,
        kept: Kept,
        goes_on: bool,
        keeper: Keeper,
    ) -> None:
        library = configuration.library
        self._library = library
        self._configuration = configuration  # which C points to
        self._settings = settings
        self._judge = judge
        self._kept = kept
        self._goes_on = goes_on
        self._keeper = keeper
        self._state = SessionStage.NEW
        self._line = Line()
        self._give_up_at = 0.0
        self._heard = False
        self._has_connection_id = False
        self._told = plaintext_records.Told()
        self._buffer: Any = None
        self.retransmissions = 0
        self._ssl: Any = None
        self._free: Any = None
        self._open()

    def _open(self) -> None:
        library, settings = self._library, self._settings
        ssl = self._ssl = room()
        number = open_line(self._line)
        library.ssl_init(ssl)
        self._free = weakref.finalize(self, _free, library, ssl, number)
        self._must("a connection", library.ssl_setup(ssl, self._configuration.config))
        library.connect_line(ssl, number)
        library.ssl_set_mtu(ssl, settings.mtu_bytes)
        name = None if settings.server_name is None else settings.server_name.encode("ascii")
        self._must("the server's name", library.ssl_set_hostname(ssl, name))
        self._must("a Connection ID", library.ssl_set_cid(ssl, 1, None, size(0)))

    def start(self, now_s: float) -> list[DtlsEvent]:
        self._line.now_s = now_s
        connection = self._keeper.take_connection() if self._goes_on else None
        if connection is not None:
            # RFC 9146: the server finds the session by the Connection ID, from whatever address the next record comes.
            if self._library.ssl_context_load(self._ssl, connection, size(len(connection))) == 0:
                return self._go_on()
            self._free()  # it is of another build; what could not be loaded was freed by the library itself
            self._open()
        if self._kept.session is not None:
            self._offer_session(self._kept.session)
        self._state = SessionStage.HANDSHAKING
        self._give_up_at = now_s + self._settings.handshake_timeout_s
        return self._advance()

    def feed(self, datagram: bytes, now_s: float) -> list[DtlsEvent]:
        if not datagram or self._state in (SessionStage.NEW, SessionStage.OVER):
            return []
        self._line.now_s = now_s
        if self._state is SessionStage.HANDSHAKING:
            self._heard = True
            self._told.hear(datagram)
        self._line.incoming += dtls_records.whole_records(datagram)
        return self._advance()

    def take(self) -> list[bytes]:
        out, self._line.outgoing = self._line.outgoing, []
        return out

    def send(self, data: bytes) -> None:
        if self._state is not SessionStage.ESTABLISHED:
            raise HandshakeFailed("there is no established session to send on")
        code = self._library.ssl_write(self._ssl, data, size(len(data)))
        if code != len(data):
            raise HandshakeFailed(f"the session can send no more: {self._words(code)}")

    def timeout_at(self) -> float | None:
        flight_at = self._line.final_at_s
        if self._state is SessionStage.HANDSHAKING:
            return self._give_up_at if flight_at is None else min(self._give_up_at, flight_at)
        return None

    def handle_timeout(self, now_s: float) -> list[DtlsEvent]:
        self._line.now_s = now_s
        if self._state is not SessionStage.HANDSHAKING:
            return []
        if now_s >= self._give_up_at:
            return self._over(self._too_late())
        if self._line.final_at_s is None or now_s < self._line.final_at_s:
            return []
        before = len(self._line.outgoing)
        events = self._advance()
        if len(self._line.outgoing) > before:
            self.retransmissions += 1
        return events

    def close(self) -> None:
        if self._state is SessionStage.ESTABLISHED:
            if self._has_connection_id and self._set_aside():
                return
            if self._settings.close_notify:
                self._library.ssl_close_notify(self._ssl)
        elif self._state is SessionStage.HANDSHAKING and not self._heard:
            self._keeper.believe_again()
        self._finish()

    # -- beginning -----------------------------------------------------------------------------------------------------

    def _go_on(self) -> list[DtlsEvent]:
        try:
            verdict = handshake_outcomes.verdict(self._settings, self._judge, self._kept.cipher, list(self._kept.chain))
        except (TrustRefused, BackendLacks) as error:
            return self._refuse(error)
        self._stands()
        self._has_connection_id = True
        return [Established(True, self._kept.cipher, verdict, connection_id=True, continued=True)]

    def _refuse(self, error: IpadError) -> list[DtlsEvent]:
        self._keeper.keep(None)
        self._library.ssl_close_notify(self._ssl)
        return self._over(error)

    def _offer_session(self, saved: bytes) -> None:
        library, session = self._library, room()
        library.ssl_session_init(session)
        if library.ssl_session_load(session, saved, size(len(saved))) == 0:
            library.ssl_set_session(self._ssl, session)
        library.ssl_session_free(session)

    # -- going on ------------------------------------------------------------------------------------------------------

    def _advance(self) -> list[DtlsEvent]:
        events: list[DtlsEvent] = []
        if self._state is SessionStage.HANDSHAKING:
            code = self._library.ssl_handshake(self._ssl)
            if code in _WAIT:
                return events
            if code:
                return self._over(self._too_late() if code == TIMEOUT else self._failure(code))
            try:
                events.append(self._establish())
            except (TrustRefused, BackendLacks) as error:
                return self._refuse(error)
        if self._buffer is None:
            self._buffer = ctypes.create_string_buffer(_BUFFER_BYTES)
        while True:
            got = self._library.ssl_read(self._ssl, self._buffer, size(_BUFFER_BYTES))
            if got > 0:
                self._heard = True
                events.append(Received(self._buffer.raw[:got]))
            elif got in _WAIT:
                return events
            else:
                ended = None if got in (0, PEER_CLOSE_NOTIFY) else self._failure(got)
                if ended is not None:
                    self._keeper.keep(None)  # RFC 5246 §7.2.2; after a close_notify it may be resumed
                return events + self._over(ended)

    def _establish(self) -> Established:
        """The handshake is complete: only a trusting verdict makes the session usable."""
        cipher = suite_name(self._library.ssl_get_ciphersuite_id_from_ssl(self._ssl))
        shown = tuple(self._line.certificates)
        resumed = self._told.abbreviated
        chain = self._kept.chain if resumed and not shown else shown
        verdict = handshake_outcomes.verdict(self._settings, self._judge, cipher, list(chain))
        self._stands()
        self._has_connection_id = self._server_wants_connection_id()
        self._kept = Kept(self._session(), cipher, chain)
        self._keeper.keep(self._kept, connection_id=self._has_connection_id)
        return Established(resumed, cipher, verdict, connection_id=self._has_connection_id)

    def _stands(self) -> None:
        """From now on a message is one datagram, whatever its size: the limit was for flights, which can be cut."""
        self._state = SessionStage.ESTABLISHED
        self._library.ssl_set_mtu(self._ssl, 0)

    def _server_wants_connection_id(self) -> bool:
        enabled, length = ctypes.c_int(0), ctypes.c_size_t(0)
        number = ctypes.create_string_buffer(_LONGEST_CID_BYTES)
        code = self._library.ssl_get_peer_cid(self._ssl, ctypes.byref(enabled), number, ctypes.byref(length))
        return code == 0 and enabled.value == 1 and length.value > 0

    def _session(self) -> bytes | None:
        library, session = self._library, room()
        library.ssl_session_init(session)
        saved = None
        if library.ssl_get_session(self._ssl, session) == 0:
            saved = library.saved(library.ssl_session_save, session)
        library.ssl_session_free(session)
        return saved

    # -- ending --------------------------------------------------------------------------------------------------------

    def _set_aside(self) -> bool:
        """Keep the connection for another time, without a word to the server. False when that cannot be done: with a
        suite that is no AEAD, or while a resumed handshake waits for the server's first record."""
        connection = self._library.saved(self._library.ssl_context_save, self._ssl)
        if connection is None:
            return False
        self._keeper.set_aside(connection, doubtful=not self._heard)
        self._finish()
        return True

    def _too_late(self) -> IpadError:
        if not self._heard:
            self._keeper.believe_again()
        return handshake_outcomes.too_late(self._settings, heard=self._heard, asked=self._told.asked)

    def _failure(self, code: int) -> IpadError:
        if self._told.alert is not None and self._state is not SessionStage.ESTABLISHED:
            return handshake_outcomes.ended_by_alert(
                self._settings, self._told.alert, asked=self._told.asked, established=False
            )
        return HandshakeFailed(f"the DTLS session failed: {self._words(code)}")

    def _over(self, error: IpadError | None) -> list[DtlsEvent]:
        self._finish()
        return [Ended(error)]

    def _finish(self) -> None:
        self._state = SessionStage.OVER
        self._buffer = None
        self._free()  # 34 kB of buffers, at once

    def _must(self, what: str, code: int) -> None:
        if code:
            raise BackendLacks(f"Mbed TLS refuses {what}: {self._words(code)}")

    def _words(self, code: int) -> str:
        return self._library.words(code)


def _free(library: Any, ssl: Any, number: int) -> None:
    library.ssl_free(ssl)
    close_line(number)
