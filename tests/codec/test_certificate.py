"""Dates and OIDs of server certificates, judged by the IPA because the eUICC has no clock."""

from __future__ import annotations

import pytest

from ipad_agent.codec.rsp.certificate import Certificate
from ipad_agent.errors import CodecError

from .vectors import SERVER_CERTIFICATE


def test_dates_in_both_forms_and_the_registered_id_are_read() -> None:
    certificate = Certificate.parse(SERVER_CERTIFICATE)
    assert certificate.not_before_s == 1_767_225_600  # date -u -d 2026-01-01 +%s
    assert certificate.not_after_s == 2_587_679_999  # date -u -d '2051-12-31 23:59:59' +%s
    assert certificate.registered_ids == ("2.999.10",)


def with_begin(text: str) -> bytes:
    """The certificate with another UTCTime of the same length as its begin."""
    assert len(text) == 13
    return SERVER_CERTIFICATE.replace(b"260101000000Z", text.encode())


def test_two_digit_years_from_50_are_of_the_last_century() -> None:
    assert Certificate.parse(with_begin("700101000000Z")).not_before_s == 0
    assert Certificate.parse(with_begin("491231235959Z")).not_before_s == 2_524_607_999  # 2049-12-31 23:59:59


@pytest.mark.parametrize(
    "text", ["261301000000Z", "260100000000Z", "260101240000Z", "260101006000Z", "26010100000+Z", "2601010000000"]
)
def test_a_date_that_does_not_exist_is_a_codec_error(text: str) -> None:
    with pytest.raises(CodecError, match="date"):
        Certificate.parse(with_begin(text))


def test_a_certificate_without_alternative_names_has_no_oid() -> None:
    # The extension's OID (2.5.29.17) made another one (2.5.29.18).
    renamed = SERVER_CERTIFICATE.replace(bytes.fromhex("0603551D11"), bytes.fromhex("0603551D12"))
    assert Certificate.parse(renamed).registered_ids == ()


@pytest.mark.parametrize("raw", ["3000", "300230 00", "30043002A000", "0402AABB"])
def test_what_is_no_certificate_is_a_codec_error(raw: str) -> None:
    with pytest.raises(CodecError):
        Certificate.parse(bytes.fromhex(raw))
