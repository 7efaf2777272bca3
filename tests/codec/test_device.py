"""What the agent says about itself, activation codes and object identifiers."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.codec.ber import asn1_schema
from ipad_agent.codec.ber.object_identifier import decode_oid, encode_oid
from ipad_agent.codec.es10.euicc_info import Version
from ipad_agent.codec.esipa.device_info import (
    DeviceInfo,
    IpaCapabilities,
    IpaFeature,
    IpaProtocol,
    Release,
    encode_ctx_params1,
)
from ipad_agent.codec.identifiers import Imei
from ipad_agent.codec.rsp.activation_code import ActivationCode
from ipad_agent.errors import CodecError

from .vectors import CTX_PARAMS1, H

IMEI = Imei("352906111234565")


def test_capabilities_are_written_as_the_eim_expects_them() -> None:
    capabilities = IpaCapabilities(
        frozenset({IpaFeature.DIRECT_RSP_SERVER_COMMUNICATION, IpaFeature.INDIRECT_RSP_SERVER_COMMUNICATION}),
        frozenset({IpaProtocol.RETRIEVE_COAPS}),
    )
    assert capabilities.encode() == H("A808 800206C0 81020640")
    assert IpaCapabilities(frozenset()).encode(0x30) == H("3003 800100")


def test_device_information_for_the_eim_and_for_the_euicc() -> None:
    device = DeviceInfo.of(IMEI, {Release.EUTRAN_EPC: Version(15, 0, 0)})
    assert device.encode() == H("A917 800453926011 A105 85030F0000 8208539260112143655F")
    assert encode_ctx_params1(device, matching_id="ABC-1") == CTX_PARAMS1
    assert DeviceInfo.of(IMEI, with_imei=False).encode() == H("A908 800453926011 A100")


def test_the_imei_ends_with_its_check_digit_in_the_high_nibble() -> None:
    """SGP.22 §4.2 since v2.1: 353290611234568 is 53 23 09 16 21 43 65 8F, unlike ordinary TBCD."""
    device = DeviceInfo.of(Imei("353290611234568"))
    assert device.encode() == H("A912 800453230916 A100 8208 532309162143658F")


def test_ctx_params1_is_what_the_schema_writes() -> None:
    kind, value = asn1_schema.decode("CtxParams1", CTX_PARAMS1)
    assert kind == "ctxParamsForCommonAuthentication"
    assert value["deviceInfo"]["deviceCapabilities"] == {"eutranEpcSupportedRelease": b"\x0f\0\0"}
    assert asn1_schema.encode("CtxParams1", (kind, value)) == CTX_PARAMS1


def test_releases_are_written_in_the_order_of_their_tags() -> None:
    device = DeviceInfo(IMEI.tac, {Release.LPA_SVN: Version(2, 5, 0), Release.GSM: Version(8, 0, 0)})
    assert device.encode() == H("A912 800453926011 A10A 8003080000 8B03020500")


def test_an_empty_matching_id_is_sent_and_an_absent_one_is_not() -> None:
    device = DeviceInfo.of(IMEI, with_imei=False)
    assert encode_ctx_params1(device, matching_id="") == H("A00C 8000 A108 800453926011 A100")
    assert encode_ctx_params1(device, matching_id=None) == H("A00A A108 800453926011 A100")


def test_a_type_code_that_does_not_fit_the_imei_is_refused() -> None:
    with pytest.raises(CodecError, match="do not belong together"):
        DeviceInfo(b"\x01\x02\x03\x04", imei=IMEI)
    with pytest.raises(CodecError, match="3 bytes"):
        DeviceInfo(b"\x01\x02\x03")


# -- activation codes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("LPA:1$smdp.example$ABC-1", ActivationCode("smdp.example", "ABC-1")),
        ("lpa:1$smdp.example$abc", ActivationCode("smdp.example", "abc")),
        ("1$smdp.example$", ActivationCode("smdp.example", "")),
        ("1$smdp.example$A$1.3.6.1.4", ActivationCode("smdp.example", "A", "1.3.6.1.4")),
        ("1$smdp.example$A$$1", ActivationCode("smdp.example", "A", None, True)),
        ("1$smdp.example$A$1.3.6$1$whatever", ActivationCode("smdp.example", "A", "1.3.6", True)),
        (" 1$smdp.example:8443$A\n", ActivationCode("smdp.example:8443", "A")),
    ],
)
def test_activation_codes_are_taken_apart(text: str, parsed: ActivationCode) -> None:
    assert ActivationCode.parse(text) == parsed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1$smdp.example",
        "2$smdp.example$A",
        "1$$A",
        "1$smdp example$A",
        "1$smdp.example/path$A",
        "1$user@smdp.example$A",
        "1$smdp.example$A B",
        "1$smdp.example$Ä",
        "1$smdp.example$A$not-an-oid",
        "1$smdp.example$" + "A" * 250,
        "https://smdp.example",
    ],
)
def test_what_is_no_activation_code_is_refused(text: str) -> None:
    with pytest.raises(CodecError, match="activation code") as caught:
        ActivationCode.parse(text)
    assert "A B" not in str(caught.value), "an activation code is a secret, even a wrong one"


def test_the_matching_id_does_not_show_when_a_code_is_printed() -> None:
    assert "SECRET" not in repr(ActivationCode.parse("1$smdp.example$SECRET"))


@given(st.text(max_size=80))
def test_any_text_is_an_activation_code_or_a_codec_error(text: str) -> None:
    with suppress(CodecError):
        ActivationCode.parse(text)


# -- object identifiers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("1.3.6.1.4.1.46304", "2B0601040182E960"),
        ("2.999.1", "883701"),
        ("0.0", "00"),
        ("2.23.146.1.2.1.4", "67811201020104"),
    ],
)
def test_object_identifiers_are_packed_and_unpacked(text: str, content: str) -> None:
    assert encode_oid(text) == H(content)
    assert decode_oid(H(content)) == text


@pytest.mark.parametrize("text", ["", "1", "3.1", "0.40", "1.a", "1..2", "1.-2", "1." + "9" * 60, ".".join("1" * 80)])
def test_what_is_no_oid_text_is_refused(text: str) -> None:
    with pytest.raises(CodecError):
        encode_oid(text)


@pytest.mark.parametrize("content", ["", "80", "2B8001", "2B" + "FF" * 30 + "01", "01" * 100])
def test_what_is_no_oid_content_is_refused(content: str) -> None:
    with pytest.raises(CodecError):
        decode_oid(H(content))


@given(st.integers(0, 2), st.integers(0, 39), st.lists(st.integers(0, 2**64), max_size=10))
def test_object_identifiers_survive_the_way_and_back(first: int, second: int, rest: list[int]) -> None:
    text = ".".join(str(arc) for arc in (first, second, *rest))
    assert decode_oid(encode_oid(text)) == text
