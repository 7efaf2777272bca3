"""DTLS 1.2 with Mbed TLS 3.6, for its Connection IDs (RFC 9146): a poll costs the same in the open session, from
another address and after a restart."""

from __future__ import annotations

import hashlib

from ipad_agent.clock import Clock, SystemClock
from ipad_agent.records import replace

from .client_offer import can_be_lean, offer_for
from .connection_record import ConnectionRecord, ConnectionShelf, ShelfInMemory, from_document, to_document
from .dtls_backend import DtlsClient, DtlsSettings, Judge
from .mbedtls_client import Kept, MbedTlsClient
from .mbedtls_configuration import MbedTlsConfiguration
from .mbedtls_library import MbedTls
from .session_record import SessionMemory

_MAX_SESSIONS = 16


class MbedTlsBackend:
    """Makes clients of Mbed TLS and keeps at most one connection per association.

    In memory, and in ``memory`` and on the ``shelf`` for the next process. ``clock`` tells how old those are.
    """

    def __init__(
        self,
        library: MbedTls,
        memory: SessionMemory | None = None,
        shelf: ConnectionShelf | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._library = library
        self._memory = memory
        self._shelf = ShelfInMemory() if shelf is None else shelf
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
        return MbedTlsClient(
            configuration,
            settings,
            judge,
            kept=Kept(record.session if ours else None, record.cipher, record.chain),
            goes_on=record.goes_on and ours,
            keeper=_Keeper(self, settings),
        )

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
            self._shelf.take(_name(association))
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

    def _put(self, settings: DtlsSettings, record: ConnectionRecord) -> None:
        self._records.pop(settings.association, None)
        while len(self._records) >= _MAX_SESSIONS:
            del self._records[next(iter(self._records))]
        self._records[settings.association] = record
        if not record.set_aside:
            self._shelf.take(_name(settings.association))
        self._write()

    def _write(self) -> None:
        if self._memory is not None:
            self._memory.save({association: to_document(record) for association, record in self._records.items()})


class _Keeper:
    """Implements ``Keeper`` for the server of ``settings``."""

    def __init__(self, backend: MbedTlsBackend, settings: DtlsSettings) -> None:
        self._backend = backend
        self._settings = settings

    def take_connection(self) -> bytes | None:
        record = self._record
        content = self._backend._shelf.take(_name(self._settings.association))
        self._put(replace(record, set_aside=False))
        return None if content is None else record.unseal(content)

    def keep(self, kept: Kept | None, *, connection_id: bool | None = None) -> None:
        record = self._record
        wanted = record.wanted if connection_id is None else connection_id
        fresh = self._backend._fresh(self._settings, lean=record.lean, wanted=wanted)
        if kept is not None:
            fresh = replace(fresh, session=kept.session, cipher=kept.cipher, chain=kept.chain)
        self._put(fresh)

    def set_aside(self, connection: bytes, *, doubtful: bool) -> None:
        record = self._record
        if not record.cipher:
            return  # it got too old meanwhile, or was forgotten: what the server showed in it is not known any more
        # The keys are as old as their handshake, however often the connection is used: ``until_s`` stays.
        record = replace(record, set_aside=True, doubtful=doubtful)
        self._backend._shelf.put(_name(self._settings.association), record.seal(connection))
        self._put(record)

    def believe_again(self) -> None:
        record = self._record
        if record.set_aside and record.doubtful:
            self._put(replace(record, doubtful=False))

    @property
    def _record(self) -> ConnectionRecord:
        return self._backend._of(self._settings)

    def _put(self, record: ConnectionRecord) -> None:
        self._backend._put(self._settings, record)


def _name(association: str) -> str:
    """Of a connection on the shelf: an eimId may have any letters."""
    return hashlib.sha256(association.encode("utf-8", "surrogatepass")).hexdigest()[:32]
