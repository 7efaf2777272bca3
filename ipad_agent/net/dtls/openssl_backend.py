"""DTLS 1.2 with pyOpenSSL and memory BIOs; see openssl_context.py for what TLS has in common with it."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL

from ipad_agent.clock import Clock, SystemClock
from ipad_agent.net import events
from ipad_agent.net.errors import BackendLacks
from ipad_agent.net.older_pyopenssl import session_as_der, session_from_der
from ipad_agent.net.openssl_context import FFI, LIB, hear, set_groups, set_signatures, use_client_certificate
from ipad_agent.records import dataclass

from .client_offer import ClientOffer, can_be_lean, offer_for
from .dtls_backend import DEFAULT_GROUPS, DtlsClient, DtlsSettings, Judge, Psk
from .openssl_client import Kept, OpenSslClient
from .session_record import SessionMemory, SessionRecord, from_document, to_document

_DTLS_1_2 = 0xFEFD

_MAX_SESSIONS = 16


_NO_ENCRYPT_THEN_MAC = 0x80000  # SSL_OP_NO_ENCRYPT_THEN_MAC of OpenSSL's ssl.h
_MISSES = 2
"""So many sessions in a row the server did not know: then it may want to have tickets. One is a server that was started
anew."""


@dataclass(slots=True)
class _Remembered:
    """A context with the session it made; pyOpenSSL resumes a session only in its own context."""

    context: SSL.Context
    fingerprint: str
    groups: str
    lean: bool
    tickets: bool
    session: SSL.Session | None = None
    chain: tuple[bytes, ...] = ()
    misses: int = 0
    goodbye: bool = False
    """Whether the server wants a close_notify, to keep a session."""
    tried: bool = False
    """Whether the last client tried to resume."""


class OpenSslBackend:
    """Makes OpenSSL clients and keeps at most one resumable session per association.

    In memory, and in ``memory`` for the next process. ``clock`` tells how old those are.
    """

    def __init__(self, memory: SessionMemory | None = None, clock: Clock | None = None) -> None:
        self._memory = memory
        self._clock = SystemClock() if clock is None else clock
        self._records: dict[str, SessionRecord] = {}
        for association, document in ({} if memory is None else memory.load()).items():
            record = from_document(document)
            if record is not None and len(self._records) < _MAX_SESSIONS:
                self._records[association] = record
        self._remembered: dict[str, _Remembered] = {}

    def client(self, settings: DtlsSettings, judge: Judge) -> DtlsClient:
        remembered = self._of(settings)
        remembered.tried = remembered.session is not None

        def keep(kept: Kept | None) -> None:
            self._keep(settings, remembered, kept)

        return OpenSslClient(
            SSL.Connection(remembered.context, None),
            settings,
            judge,
            session=remembered.session,
            keep=keep,
            chain=remembered.chain,
            says_goodbye=lambda: settings.close_notify or remembered.goodbye,
        )

    def has_session(self, settings: DtlsSettings) -> bool:
        kept = self._remembered.get(settings.association)
        if kept is None:
            record = self._records.get(settings.association)
            fits = record is not None and record.fits(settings, self._clock.wall())
            return fits and record is not None and record.session is not None
        return kept.session is not None and kept.fingerprint == settings.fingerprint

    def widen(self, settings: DtlsSettings) -> bool:
        kept = self._of(settings)
        can = can_be_lean(settings)
        self._remember(settings, lean=can and not kept.lean, tickets=kept.tickets)
        return can and kept.lean

    def forget(self, association: str) -> None:
        self._remembered.pop(association, None)
        if self._records.pop(association, None) is not None:
            self._write()

    # -- inside ------------------------------------------------------------------------------------------------------

    def _of(self, settings: DtlsSettings) -> _Remembered:
        kept = self._remembered.get(settings.association)
        if kept is not None and (kept.fingerprint, kept.groups) == (settings.fingerprint, settings.groups):
            return kept
        # Another pin or policy: a session made under the old one must not be resumed under the new.
        record = self._records.get(settings.association)
        if kept is not None or record is None or not record.fits(settings, self._clock.wall()):
            self._records.pop(settings.association, None)
            lean = can_be_lean(settings)
            return self._remember(settings, lean=lean, tickets=not lean)
        made = self._remember(settings, lean=record.lean and can_be_lean(settings), tickets=record.tickets)
        made.goodbye = record.goodbye
        if record.session is not None:
            made.session, made.chain = session_from_der(made.context, record.session), record.chain
        return made

    def _remember(self, settings: DtlsSettings, *, lean: bool, tickets: bool) -> _Remembered:
        offer = offer_for(settings, lean=lean, tickets=tickets)
        made = _Remembered(_context(settings, offer), settings.fingerprint, settings.groups, lean, tickets)
        self._remembered.pop(settings.association, None)
        while len(self._remembered) >= _MAX_SESSIONS:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[settings.association] = made
        return made

    def _keep(self, settings: DtlsSettings, remembered: _Remembered, kept: Kept | None) -> None:
        remembered.session = None if kept is None else kept.session
        remembered.chain = () if kept is None else kept.chain
        if kept is not None and remembered.tried and can_be_lean(settings):
            remembered.misses = 0 if kept.resumed else remembered.misses + 1
            remembered.goodbye = remembered.goodbye or not kept.resumed
            if remembered.misses >= _MISSES or (remembered.misses and remembered.tickets):
                # What was offered does not bring sessions back: the other way from the next handshake on.
                made = self._remember(settings, lean=remembered.lean, tickets=not remembered.tickets)
                made.goodbye = remembered.goodbye
        self._records.pop(settings.association, None)
        while len(self._records) >= _MAX_SESSIONS:
            del self._records[next(iter(self._records))]
        now = self._remembered.get(settings.association, remembered)
        self._records[settings.association] = SessionRecord(
            settings.fingerprint,
            settings.groups,
            now.lean,
            now.tickets,
            remembered.goodbye,
            self._clock.wall() + settings.session_lifetime_s,
            None if now.session is None else session_as_der(now.session),
            now.chain,
        )
        self._write()

    def _write(self) -> None:
        if self._memory is not None:
            self._memory.save({association: to_document(record) for association, record in self._records.items()})


def _context(settings: DtlsSettings, offer: ClientOffer) -> SSL.Context:
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_min_proto_version(_DTLS_1_2)
    context.set_max_proto_version(_DTLS_1_2)
    context.set_options(SSL.OP_NO_QUERY_MTU | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION)
    if not offer.tickets:
        context.set_options(SSL.OP_NO_TICKET)
    if not offer.encrypt_then_mac:
        context.set_options(_NO_ENCRYPT_THEN_MAC)
    context.set_cipher_list(offer.suites)
    # Every chain passes here and is judged by ``Judge`` once the handshake is complete; see chain.py for why.
    context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
    context.set_timeout(int(settings.session_lifetime_s))
    context.set_info_callback(hear)
    _set_curves(context, offer.groups, chosen=settings.groups != DEFAULT_GROUPS)
    set_signatures(context, offer.signatures)
    if settings.client_certificate is not None:
        use_client_certificate(context, settings.client_certificate)
    if settings.psk is not None:
        _set_psk(context, settings.psk)
    return context


def _set_curves(context: SSL.Context, groups: str, *, chosen: bool) -> None:
    """``chosen``: by a person, who has to hear that it cannot be done."""
    if not set_groups(context, groups):
        if chosen:
            raise BackendLacks("this build of cryptography cannot choose curves")
        events.NO_BRAINPOOL.emit()


def _set_psk(context: SSL.Context, psk: Psk) -> None:
    setter = getattr(LIB, "SSL_CTX_set_psk_client_callback", None)
    if setter is None or not getattr(LIB, "Cryptography_HAS_PSK", 0):
        raise BackendLacks("this build of pyOpenSSL and cryptography has no pre-shared keys")

    def answer(_ssl: Any, _hint: Any, identity: Any, identity_size: int, key: Any, key_size: int) -> int:
        if len(psk.identity) >= identity_size or len(psk.key) > key_size:
            return 0
        FFI.memmove(identity, psk.identity + b"\0", len(psk.identity) + 1)
        FFI.memmove(key, psk.key, len(psk.key))
        return len(psk.key)

    signature = "unsigned int (SSL *, const char *, char *, unsigned int, unsigned char *, unsigned int)"
    try:
        callback = FFI.callback(signature, answer)
    except (MemoryError, SystemError) as error:  # hardened kernels forbid the writable code page it needs
        raise BackendLacks(f"pre-shared keys need a callback that this system forbids: {error}") from None
    setter(context._context, callback)
    context.set_app_data(callback)  # C keeps only a pointer: the callback must live as long as the context
