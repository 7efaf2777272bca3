"""Libraries as Debian 12 has them: what they lack is made up for, and nothing is weaker for it.

The distribution's own libraries run these rooms' other tests in a chroot; here the parts that stand in are compared
with what newer releases say.
"""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import OpenSSL
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.x509.oid import SignatureAlgorithmOID
from OpenSSL import SSL

from ipad_agent.net import older_pyopenssl
from ipad_agent.net.trust import older_cryptography

from .certs import issue


class Without:
    """An object that lacks some of another's attributes."""

    def __init__(self, whole: object, *absent: str) -> None:
        self._whole, self._absent = whole, absent

    def __getattr__(self, name: str) -> Any:
        if name in self._absent:
            raise AttributeError(name)
        return getattr(self._whole, name)


def test_dates_without_a_time_zone_are_taken_as_utc() -> None:
    old: Any = SimpleNamespace(not_valid_before=datetime(2025, 1, 1), not_valid_after=datetime(2045, 1, 1))  # noqa: DTZ001
    assert older_cryptography.not_valid_before(old) == datetime(2025, 1, 1, tzinfo=UTC)
    assert older_cryptography.not_valid_after(old) == datetime(2045, 1, 1, tzinfo=UTC)
    new = issue("a").certificate
    assert older_cryptography.not_valid_after(new) == datetime(2045, 1, 1, tzinfo=UTC)


def test_pem_blocks_are_found_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    certificates = [issue(name).certificate for name in "abc"]
    pem = b"words between\n".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)
    assert older_cryptography.certificates_of_pem(pem) == certificates
    monkeypatch.delattr(x509, "load_pem_x509_certificates")
    assert older_cryptography.certificates_of_pem(pem) == certificates
    with pytest.raises(ValueError, match="no CERTIFICATE block"):
        older_cryptography.certificates_of_pem(b"nothing")


def test_pss_of_which_nothing_is_told_is_not_accepted() -> None:
    def old(oid: x509.ObjectIdentifier) -> Any:
        return SimpleNamespace(signature_algorithm_oid=oid)

    assert isinstance(older_cryptography.rsa_padding(old(SignatureAlgorithmOID.RSA_WITH_SHA256)), padding.PKCS1v15)
    assert older_cryptography.rsa_padding(old(SignatureAlgorithmOID.RSASSA_PSS)) is None
    assert older_cryptography.rsa_padding(old(SignatureAlgorithmOID.RSA_WITH_SHA1)) is None


def _begun() -> SSL.Connection:
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_options(SSL.OP_NO_QUERY_MTU)
    connection = SSL.Connection(context, None)
    connection.set_ciphertext_mtu(1200)
    connection.set_connect_state()
    return connection


def test_the_timer_of_the_handshake_is_read_below_pyopenssl() -> None:
    connection = _begun()
    old: Any = Without(connection, "DTLSv1_get_timeout", "DTLSv1_handle_timeout")
    assert older_pyopenssl.flight_timeout_s(old) is None
    with pytest.raises(SSL.WantReadError):
        connection.do_handshake()
    left_s = older_pyopenssl.flight_timeout_s(old)
    assert left_s is not None
    assert 0 < left_s <= 1
    newer_s = older_pyopenssl.flight_timeout_s(connection)
    assert newer_s is not None
    assert abs(newer_s - left_s) < 0.5
    older_pyopenssl.send_flight_again(old)


def test_an_own_certificate_is_taken_by_older_pyopenssl_too(monkeypatch: pytest.MonkeyPatch) -> None:
    own = issue("device")
    for release in ("23.0.0", "26.4.0"):
        monkeypatch.setattr(OpenSSL, "__version__", release)
        context = SSL.Context(SSL.TLS_METHOD)
        older_pyopenssl.use_certificate_and_key(context, [own.certificate], own.key)
        context.check_privatekey()
