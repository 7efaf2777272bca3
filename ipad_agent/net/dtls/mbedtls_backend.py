"""DTLS 1.2 with Mbed TLS 3.6, for its Connection IDs (RFC 9146): a poll costs the same in the open session, from
another address and after a restart."""

from __future__ import annotations

from ipad_agent.clock import Clock, SystemClock
from ipad_agent.records import replace

from .client_offer import can_be_lean, offer_for
from .connection_record import ConnectionRecord, from_document, to_document
from .dtls_backend import DtlsClient, DtlsSettings, Judge
from .mbedtls_client import KeptConnection, MbedTlsClient
from .mbedtls_configuration import MbedTlsConfiguration
from .mbedtls_library import MbedTls
from .session_record import SessionMemory

_MAX_SESSIONS = 16


class MbedTlsBackend:
    """Makes clients of Mbed TLS and keeps at most one connection per association.

    In memory, and in ``memory`` for the next process. ``clock`` tells how old those are.
    """

    def __init__(self, library: MbedTls, memory: SessionMemory | None = None, clock: Clock | None = None) -> None:
        self._library = library
        self._memory = memory
        self._clock = SystemClock() if clock is None else clock
        self._records: dict[str, ConnectionRecord] = {}
        for association, document in ({} if memory is None else memory.load()).items():
            record = from_document(document)
            if record is not None and len(self._records) < _MAX_SESSIONS:
                self._records[association] = record

    def client(self, settings: DtlsSettings, judge: Judge) -> DtlsClient:
        record = self._of(settings)
        configuration = MbedTlsConfiguration(
            self._library, settings, offer_for(settings, lean=record.lean, tickets=not record.lean)
        )
        ours = record.release == self._library.release
        kept = KeptConnection(
            session=record.session if ours else None,
            connection=record.connection if ours and record.goes_on else None,
            cipher=record.cipher,
            chain=record.chain,
        )
        client = MbedTlsClient(
            configuration,
            settings,
            judge,
            kept=kept,
            keep=lambda left: self._keep(settings, left),
            established=lambda wanted, resumed: self._learn(settings, wanted),
            unanswered=lambda: self._believe_again(settings),
        )
        if kept.connection is not None:
            # Out of the file before it is used. What cannot be loaded twice is not kept twice.
            self._put(settings, replace(record, connection=None))
        return client

    def has_session(self, settings: DtlsSettings) -> bool:
        record = self._records.get(settings.association)
        if record is None or not record.fits(settings, self._clock.wall()):
            return False
        return record.session is not None or record.goes_on

    def widen(self, settings: DtlsSettings) -> bool:
        record, can = self._of(settings), can_be_lean(settings)
        self._put(settings, self._fresh(settings, lean=can and not record.lean, wanted=record.wanted))
        return can and record.lean

    def forget(self, association: str) -> None:
        if self._records.pop(association, None) is not None:
            self._write()

    def wants_connection_id(self, settings: DtlsSettings) -> bool | None:
        """What this server did with the offer of one; None when it was not asked yet, or long ago."""
        record = self._records.get(settings.association)
        return record.wanted if record is not None and record.fits(settings, self._clock.wall()) else None

    # -- inside ------------------------------------------------------------------------------------------------------

    def _of(self, settings: DtlsSettings) -> ConnectionRecord:
        record = self._records.get(settings.association)
        if record is not None and record.fits(settings, self._clock.wall()):
            return record
        # Another pin or policy: what was made under the old one must not be used under the new.
        fresh = self._fresh(settings, lean=can_be_lean(settings))
        if record is not None:
            self._put(settings, fresh)
        return fresh

    def _fresh(self, settings: DtlsSettings, *, lean: bool, wanted: bool | None = None) -> ConnectionRecord:
        until_s = self._clock.wall() + settings.session_lifetime_s
        return ConnectionRecord(settings.fingerprint, settings.groups, lean, wanted, until_s, self._library.release)

    def _keep(self, settings: DtlsSettings, left: KeptConnection | None) -> None:
        record = self._of(settings)
        fresh = self._fresh(settings, lean=record.lean, wanted=record.wanted)
        if left is None:
            self._put(settings, fresh)
            return
        kept = replace(
            fresh,
            session=left.session,
            connection=left.connection,
            doubtful=left.doubtful,
            cipher=left.cipher,
            chain=left.chain,
        )
        # The keys are as old as their handshake, however often the connection is used.
        self._put(settings, kept if left.connection is None else replace(kept, until_s=record.until_s))

    def _learn(self, settings: DtlsSettings, wanted: bool) -> None:
        self._put(settings, replace(self._of(settings), wanted=wanted))

    def _believe_again(self, settings: DtlsSettings) -> None:
        """Nobody answers a handshake either: then the connection's silence was the link's, and not lost state."""
        record = self._of(settings)
        if record.connection is not None and record.doubtful:
            self._put(settings, replace(record, doubtful=False))

    def _put(self, settings: DtlsSettings, record: ConnectionRecord) -> None:
        self._records.pop(settings.association, None)
        while len(self._records) >= _MAX_SESSIONS:
            del self._records[next(iter(self._records))]
        self._records[settings.association] = record
        self._write()

    def _write(self) -> None:
        if self._memory is not None:
            self._memory.save({association: to_document(record) for association, record in self._records.items()})
