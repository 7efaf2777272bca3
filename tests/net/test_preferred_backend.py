"""Which library speaks to which server; and that a machine without Mbed TLS 3.6 has OpenSSL and says why."""

from __future__ import annotations

import ctypes
from dataclasses import replace
from typing import Any

import pytest

from ipad_agent.clock import SystemClock
from ipad_agent.net.dtls import mbedtls_library, preferred_backend
from ipad_agent.net.dtls.connection_record import ConnectionRecord, from_document, to_document
from ipad_agent.net.dtls.dtls_backend import DtlsClient, DtlsSettings, Judge
from ipad_agent.net.dtls.dtls_records import whole_records
from ipad_agent.net.dtls.mbedtls_library import Found
from ipad_agent.net.dtls.openssl_backend import OpenSslBackend
from ipad_agent.net.dtls.plaintext_records import Told
from ipad_agent.net.dtls.preferred_backend import PreferredBackend, best_backend
from ipad_agent.net.errors import BackendLacks
from ipad_agent.net.trust.pinned_trust import Trust

from .certs import issue
from .dtls_server import server_context
from .test_dtls import connect, established, no_judge

SETTINGS = DtlsSettings("eim-1", "pin")


class Later(SystemClock):
    ahead_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


class Library:
    """A backend that notes what it is asked for. ``wants`` is what the server did with a Connection ID."""

    def __init__(self, *, wants: bool | None = None, lacks: bool = False, more: bool = False) -> None:
        self.wants, self.lacks, self.more = wants, lacks, more
        self.clients = 0
        self.forgot: list[str] = []

    def client(self, settings: DtlsSettings, judge: Judge) -> DtlsClient:
        if self.lacks:
            raise BackendLacks("a curve")
        self.clients += 1
        return OpenSslBackend().client(settings, judge)

    def has_session(self, settings: DtlsSettings) -> bool:
        return self.clients > 0

    def widen(self, settings: DtlsSettings) -> bool:
        more, self.more = self.more, False
        return more

    def forget(self, association: str) -> None:
        self.forgot.append(association)
        self.wants = None

    def wants_connection_id(self, settings: DtlsSettings) -> bool | None:
        return self.wants


def ask(first: Library, second: Library, clock: Later | None = None) -> PreferredBackend:
    return PreferredBackend(first, lambda: second, clock)


@pytest.mark.parametrize(("wants", "used"), [(None, (1, 0)), (True, (1, 0)), (False, (0, 1))])
def test_a_server_that_wants_no_connection_id_is_openssls(wants: bool | None, used: tuple[int, int]) -> None:
    mbedtls, openssl = Library(wants=wants), Library()
    both = ask(mbedtls, openssl)
    both.client(SETTINGS, no_judge)
    assert (mbedtls.clients, openssl.clients) == used
    assert both.has_session(SETTINGS)


def test_openssl_is_not_loaded_while_nobody_needs_it() -> None:
    def never() -> Library:
        raise AssertionError("it was made")

    both = PreferredBackend(Library(wants=True), never)
    both.client(SETTINGS, no_judge)
    assert both.has_session(SETTINGS)
    both.forget(SETTINGS.association)


def test_a_handshake_that_is_refused_is_openssls_at_once_and_mbedtls_is_asked_again_later_and_later() -> None:
    mbedtls, openssl, clock = Library(), Library(), Later()
    both = ask(mbedtls, openssl, clock)
    for hours in (1, 4, 16):
        assert both.widen(SETTINGS)
        both.client(SETTINGS, no_judge)
        clock.ahead_s += hours * 3600 - 60
        both.client(SETTINGS, no_judge)
        assert mbedtls.clients == 0
        clock.ahead_s += 61
        assert not both.has_session(SETTINGS)  # it is Mbed TLS that is asked
    assert openssl.clients == 6


def test_a_server_that_wanted_a_connection_id_is_offered_more_before_it_is_given_up() -> None:
    mbedtls, openssl = Library(wants=True, more=True), Library()
    both = ask(mbedtls, openssl)
    assert both.widen(SETTINGS)
    both.client(SETTINGS, no_judge)
    assert (mbedtls.clients, openssl.clients) == (1, 0)
    assert both.widen(SETTINGS)
    both.client(SETTINGS, no_judge)
    assert (mbedtls.clients, openssl.clients) == (1, 1)


def test_what_mbedtls_cannot_do_openssl_does() -> None:
    mbedtls, openssl = Library(lacks=True), Library()
    ask(mbedtls, openssl).client(SETTINGS, no_judge)
    assert openssl.clients == 1


def test_a_session_that_openssl_lost_does_not_make_it_forget_that_no_connection_id_is_wanted() -> None:
    mbedtls, openssl = Library(wants=False), Library()
    both = ask(mbedtls, openssl)
    both.client(SETTINGS, no_judge)
    both.forget(SETTINGS.association)
    assert (mbedtls.forgot, openssl.forgot) == ([], ["eim-1"])


# -- the library is not there, or is another ---------------------------------------------------------------------------


def test_without_the_library_openssl_does_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mbedtls_library, "find", lambda: Found(None, "not installed"))
    backend, server = best_backend(connection_ids=True), issue("S", dns=("eim.example.org",))
    assert isinstance(backend, OpenSslBackend)
    assert established(connect(backend, server_context(server), Trust.spki(server.spki)))


def test_the_library_is_not_even_looked_for_where_the_configuration_forbids_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def never() -> Found:
        raise AssertionError("it was looked for")

    monkeypatch.setattr(mbedtls_library, "find", never)
    assert isinstance(best_backend(connection_ids=False), OpenSslBackend)
    monkeypatch.setattr(mbedtls_library, "find", lambda: Found(None, "not installed"))
    assert preferred_backend.best_backend(connection_ids=True)


def test_a_library_that_is_not_installed_is_named() -> None:
    found = mbedtls_library.load(("libmbed-no-such.so.16",) * 3)
    assert found.library is None
    assert "not installed" in found.reason
    assert "libmbed-no-such.so.16" in found.reason


class Call:
    """A function of a C library."""

    def __init__(self, answer: int) -> None:
        self.answer = answer
        self.restype: Any = None

    def __call__(self, *_: object) -> int:
        return self.answer


class OtherLibrary:
    """What a library of another version, or built without something, says."""

    def __init__(self, version: int, feature: int = 0, *, random: int = 0) -> None:
        self.mbedtls_version_get_number = Call(version)
        self.mbedtls_version_check_feature = Call(feature)
        self.mbedtls_entropy_init = self.mbedtls_ctr_drbg_init = self.mbedtls_entropy_func = Call(0)
        self.mbedtls_ctr_drbg_seed = self.psa_crypto_init = Call(random)


@pytest.mark.parametrize(
    ("library", "words"),
    [
        (OtherLibrary(0x021C0800), "2.28.8, and only 3.6"),
        (OtherLibrary(0x04000000), "4.0.0, and only 3.6"),
        (OtherLibrary(0x03060600, -1), "built without MBEDTLS_SSL_DTLS_CONNECTION_ID"),
        (OtherLibrary(0x03060600, random=-52), "no source of random numbers"),
        (object(), "lacks a function"),
    ],
)
def test_a_library_that_is_not_the_one_is_not_used(monkeypatch: pytest.MonkeyPatch, library: Any, words: str) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    found = mbedtls_library.load(("a", "b", "c"))
    assert found.library is None
    assert words in found.reason


def test_a_system_that_forbids_callbacks_has_openssl(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_function: object) -> None:
        raise MemoryError

    monkeypatch.setattr(ctypes, "CDLL", lambda name: OtherLibrary(0x03060600))
    monkeypatch.setattr(mbedtls_library, "_SEND", refuse)
    assert "callbacks are forbidden" in mbedtls_library.load(("a", "b", "c")).reason


# -- what is remembered, and what is overheard -------------------------------------------------------------------------

RECORD = ConnectionRecord("pin", SETTINGS.groups, True, True, 1000.0, "3.6.6", b"s", True, False, "SUITE", (b"der",))


def test_a_record_reads_back_and_what_is_none_does_not() -> None:
    assert from_document(to_document(RECORD)) == RECORD
    assert from_document({**to_document(RECORD), "session": "text"}) is None
    assert from_document({**to_document(RECORD), "chain": [b"x" * 40000]}) is None
    assert from_document("text") is None


@pytest.mark.parametrize(
    "change", [{"fingerprint": "other"}, {"groups": "P-256"}, {"release": "3.6.7"}, {"cipher": "X"}, {"chain": (b"y",)}]
)
def test_a_connection_fits_its_own_record_only(change: dict[str, Any]) -> None:
    sealed = RECORD.seal(b"connection")
    assert RECORD.unseal(sealed) == replace(RECORD, until_s=5.0, doubtful=True).unseal(sealed) == b"connection"
    assert replace(RECORD, **change).unseal(sealed) is None
    assert RECORD.unseal(sealed[:-1]) is None
    assert RECORD.unseal(b"") is None


def test_a_record_is_for_one_trust_and_for_a_time() -> None:
    assert RECORD.fits(SETTINGS, 900.0)
    assert not RECORD.fits(SETTINGS, 1001.0)
    assert not RECORD.fits(replace(SETTINGS, fingerprint="new pin"), 900.0)
    assert not replace(RECORD, doubtful=True).goes_on
    assert "b's'" not in repr(RECORD)


def _record(kind: int, body: bytes, epoch: int = 0) -> bytes:
    return bytes([kind]) + b"\xfe\xfd" + epoch.to_bytes(2, "big") + bytes(6) + len(body).to_bytes(2, "big") + body


def _message(kind: int, body: bytes = b"") -> bytes:
    size = len(body).to_bytes(3, "big")
    return bytes([kind]) + size + bytes(5) + size + body


def test_what_a_server_says_in_the_clear_is_heard_whatever_else_is_in_the_datagram() -> None:
    told = Told()
    told.hear(_record(22, _message(2, b"hello") + _message(13)) + _record(22, _message(14)))
    assert (told.hello, told.asked, told.abbreviated, told.alert) == (True, True, False, None)
    resumed = Told()
    resumed.hear(_record(22, _message(2, b"hello")))
    assert resumed.abbreviated
    resumed.hear(_record(21, b"\x02\x28", epoch=1) + _record(21, b"\x01\x00") + b"\x15\xfe")
    assert resumed.alert is None  # what is protected, a warning, and half a record
    resumed.hear(_record(21, b"\x02\x28"))
    assert resumed.alert == 40


def test_only_whole_records_are_passed_on() -> None:
    one, two = _record(23, b"one"), _record(23, b"")
    assert whole_records(one + two + b"\x17\xfe\xfd") == [one, two]
    assert whole_records(one[:-1]) == []
