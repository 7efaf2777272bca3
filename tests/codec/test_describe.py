"""The tree that people read: names where the modules have them, bytes where not, secrets nowhere."""

from __future__ import annotations

import time

import pytest

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.ber.describe_message import MAX_NODES, describe, render
from ipad_agent.errors import CodecError

from . import vectors
from .test_schema import CASES
from .vectors import EID_DIGITS, H


def test_a_poll_reads_like_the_specification() -> None:
    text = render(H("BF4F 1C 5A10", EID_DIGITS, "8000 810101 820362F210"))
    assert text.splitlines() == [
        "BF4F GetEimPackageRequest",
        f"  5A eidValue {EID_DIGITS}",
        "  80 notifyStateChange",
        "  81 stateChangeCause 1 fallback",
        "  82 rPLMN 262-01",
    ]


def test_a_signed_result_reads_like_the_specification() -> None:
    lines = render(vectors.RESULT_SIGNED).splitlines()
    assert lines[:3] == [
        "BF51 EuiccPackageResult",
        "  A0 euiccPackageResultSigned",
        "    30 euiccPackageResultDataSigned",
    ]
    assert "      83 seqNumber 42" in lines
    assert "        83 enableResult 0 ok" in lines
    assert "              9F70 profileState 1 enabled" in lines
    assert "        02 processingTerminated 2 unknownOrDamagedCommand" in lines


@pytest.mark.parametrize(
    ("type_name", "data"), CASES, ids=[f"{name}-{number}" for number, (name, _) in enumerate(CASES)]
)
def test_a_message_is_recognised_without_being_told_what_it_is(type_name: str, data: bytes) -> None:
    found = describe(data)
    if data[0] == 0xBF:
        assert found.name == type_name or found.name == f"{type_name}Esipa"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("BF2B 04 A0028200", "RetrieveNotificationsListRequest"),
        ("BF2B 02 A200", "RetrieveNotificationsListResponse"),
        ("BF54 08 820101 3003 80017F", "ProfileDownloadTriggerResult"),
        ("BF54 03 820101", "ProfileDownloadTriggerRequest"),
        ("BF50 09 BF53 06 800101 800102", "ProvideEimPackageResultResponse"),
        ("BF2F 00", "NotificationMetadata"),
    ],
)
def test_requests_and_answers_under_one_tag_are_told_apart_by_their_content(data: str, name: str) -> None:
    assert describe(H(data)).name == name


def test_where_both_fit_the_caller_decides() -> None:
    data = H("BF30 03 800105")
    assert describe(data).name == "NotificationSentResponse"
    assert describe(data, prefer="request").name == "NotificationSentRequest"
    assert describe(data, "NotificationSentRequest").children[0].name == "seqNumber"


def test_what_the_modules_do_not_know_is_shown_as_it_is() -> None:
    text = render(H("BF55 0E A00C 300A 800165 9E02ABCD BE01FF"))
    assert "      9E (unknown) ABCD" in text.splitlines()
    assert "      BE (unknown) FF" in text.splitlines()
    assert render(H("BF7F 03 800101")).splitlines() == ["BF7F (unknown)", "  80 (unknown) 01"]


def test_a_value_that_is_not_what_it_should_be_is_shown_with_its_bytes() -> None:
    assert "eimId FF (not readable as UTF8String)" in render(H("BF55 07 A005 3003 8001FF"))
    assert "counterValue" in render(H("BF55 09 A007 3005 800165 8300"))


@pytest.mark.parametrize("data", [vectors.CLIENT_OK, vectors.INITIATE_OK, H("BF54 0D A00B 8009 4C50413A3124612462")])
def test_secrets_are_shown_only_when_asked_for(data: bytes) -> None:
    hidden, shown = render(data), render(data, reveal=True)
    assert "not shown" in hidden
    assert "not shown" not in shown
    for secret in ("LPA:", "ABC-1", "CC" * 32):
        assert secret not in hidden
    assert any(secret in shown for secret in ("LPA:", "ABC-1", "CC" * 32))


def test_an_activation_code_in_the_wrong_place_is_hidden_too() -> None:
    assert "not shown" in render(H("BF54 0B 8009 4C50413A3124612462"))
    assert "not shown" in render(H("BF66 07 8005 3124612462"))


def test_long_values_are_cut() -> None:
    assert "… (64 bytes)" in render(vectors.RESULT_SIGNED)


def test_a_type_nobody_defined_is_refused() -> None:
    with pytest.raises(CodecError, match="there is no type Nothing"):
        describe(H("3000"), "Nothing")


def test_a_flood_of_elements_is_refused_soon() -> None:
    inner = tlv.encode(0x30, b"\x05\x00" * 8000)
    data = tlv.encode(0xBF55, tlv.encode(0xA0, *[inner] * 8))
    started = time.process_time()
    with pytest.raises(CodecError, match=f"more than {MAX_NODES} elements"):
        describe(data)
    assert time.process_time() - started < 5


def test_every_type_of_the_modules_can_be_described_from_nothing() -> None:
    from ipad_agent.codec.ber import asn1_schema

    for module, content in asn1_schema.load_modules().items():
        for name in content["types"]:
            for data in (H("3000"), H("BF51 02 A000"), H("8001FF")):
                assert describe(data, f"{module}.{name}").tag == data[: 2 if data[0] == 0xBF else 1].hex().upper()
