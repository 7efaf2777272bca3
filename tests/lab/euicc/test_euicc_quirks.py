"""One test for each way in which cards differ (the transport's are in test_euicc_apdu)."""

from __future__ import annotations

import pytest

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A, Accept, Quirks, eim_configuration

from .euicc_bench import (
    ICCID_A,
    ICCID_B,
    Eim,
    bench,
    card_key,
    delete,
    enable,
    pki,
    signature_is_good,
    verify_result,
)

GET_RAT = b"\xa6\x00"
RESULTS = "BF2B04A0028200"


def test_v1_results_have_no_outer_tag_and_are_bound_to_the_eims_signature() -> None:
    b = bench(Quirks.v1_0())
    package = b.eim.package(GET_RAT)
    answer = b.terminal.es10(package)
    node = der.parse(answer)
    assert node.tag == 0xA0
    signed, signature = node.get(0x30), node.get(0x5F37)
    eim_signature = der.parse(package).get(0x5F37).raw
    assert signature_is_good(card_key(), signature.value, signed.raw + eim_signature)
    assert not signature_is_good(card_key(), signature.value, signed.raw + b"\x84\x01\x00")
    assert der.parse(b.terminal.es10(RESULTS)).get(0xA2).value == answer
    both = der.parse(b.terminal.es10("BF2B00")).get(0xA3)
    assert [c.tag for c in both.children] == [0xA0, 0xA1]
    assert both.get(0xA1).value == answer


def test_v1_signed_errors_are_bound_to_the_eims_signature_too() -> None:
    b = bench(Quirks(sign_with_eim_signature=True))
    package = b.eim.package(GET_RAT, counter=0)
    node = der.parse(b.terminal.es10(package)).get(0xA1)
    eim_signature = der.parse(package).get(0x5F37).raw
    assert signature_is_good(card_key(), node.get(0x5F37).value, node.get(0x30).raw + eim_signature)


def test_v1_tags_and_functions() -> None:
    b = bench(Quirks.v1_0())
    assert der.parse(b.terminal.es10(b.eim.package(b"\xab\x00", eco=True))).path(0x30, 0x30).value.hex().upper() == (
        "AB0DA00B" + "3009800465696D31840102"
    )
    assert b.terminal.hex("BF5500").startswith("BF55")
    b.terminal.es10("BF5508A006800465696D31")
    assert b.terminal.sw == 0x6A80
    for gone in ("BF420480020780", "BF5B038001FF", "BF5D038001FF", "BF5F00", "BF65028000", "BF640482020204"):
        b.terminal.es10(gone)
        assert b.terminal.sw == 0x6A88
    b.terminal.es10(b.eim.package(bytes.fromhex("A7028000")))
    b.card.mark_just_installed(OPERATOR_A)
    b.terminal.es10("BF5A038001FF")
    assert b.terminal.sw == 0x6A80
    assert b.terminal.hex("BF5A00") == "BF5A03800100"
    b.reset()
    # BF34: eIM data are bit 3, immediate enabling bit 4, and neither means profiles
    assert b.terminal.hex("BF340482020318") == "BF3409800100810100820100"
    assert (len(b.card.profile_states()), b.card.state.eims) == (3, [])


def test_a_card_that_verifies_without_token() -> None:
    b = bench(Quirks(verify_without_token=True), token=True)
    assert b.terminal.hex(b.eim.package(GET_RAT)).startswith("BF510BA2")
    answer = b.terminal.es10(b.eim.package(GET_RAT, token_tlv=b""))
    verify_result(answer, bound=bytes.fromhex("840101"))


@pytest.mark.parametrize(
    ("accept", "flag", "granted"),
    [
        (Accept.BOTH, "0500", True),
        (Accept.BOTH, "8100", True),
        (Accept.SCHEMA, "0500", True),
        (Accept.SCHEMA, "8100", False),
        (Accept.OTHER, "0500", False),
        (Accept.OTHER, "8100", True),
    ],
)
def test_rollback_flag_tag(accept: Accept, flag: str, granted: bool) -> None:
    b = bench(Quirks(rollback_flag=accept))
    assert b.run(bytes.fromhex("A30E" + "5A0A" + ICCID_A + flag)) == "830100"
    assert (b.card.state.rollback is not None) is granted


@pytest.mark.parametrize(
    ("accept", "flag", "code"),
    [
        (Accept.BOTH, "8001FF", "01"),
        (Accept.BOTH, "0101FF", "01"),
        (Accept.SCHEMA, "0101FF", "07"),
        (Accept.OTHER, "8001FF", "07"),
        (Accept.OTHER, "0101FF", "01"),
    ],
)
def test_refresh_flag_tag(accept: Accept, flag: str, code: str) -> None:
    assert bench(Quirks(refresh_flag=accept)).terminal.hex("BF5803" + flag) == "BF58030201" + code


def test_rollback_result_tag() -> None:
    assert bench(Quirks(rollback_result_tag=0x80)).terminal.hex("BF58038001FF") == "BF5803800101"


def test_list_error_tag() -> None:
    b = bench(Quirks(list_error_tag=0x02))
    assert b.run(delete(ICCID_A), b"\xbf\x2d\x00") == "850100" + "BF2D0302010B"


def test_package_that_goes_on_after_a_failure() -> None:
    b = bench(Quirks(continue_after_failure=True))
    assert b.run(delete(ICCID_A), delete(ICCID_A), enable(ICCID_B)) == "850100" + "850101" + "830100"
    assert b.card.enabled_iccid == "89490200003000000033"


def test_extra_sequence_in_the_profile_list() -> None:
    listed = der.parse(bench(Quirks(extra_sequence_in_profile_list=True)).terminal.es10("BF2D00"))
    assert [c.tag for c in listed.path(0xA0, 0x30).children] == [0xE3] * 3


def test_notification_event_without_unused_bits() -> None:
    b = bench(Quirks(notification_event_as_octet=True))
    b.run(delete(ICCID_A))
    assert der.parse(b.terminal.es10("BF2800")).path(0xA0, 0xBF2F, 0x81).raw.hex() == "810110"


def test_foreign_tag_on_the_notification_list() -> None:
    assert bench(Quirks(notification_list_tag=0xBF28)).terminal.hex("BF2B00") == "BF2802A000"


def test_empty_answer_to_add_initial_eim() -> None:
    b = bench(Quirks(empty_add_initial_eim_answer=True))
    b.terminal.es10("BF640482020204")
    request = der.tlv(0xBF57, der.tlv(0xA0, eim_configuration("x", pki()["eim-sign"].spki_der)))
    assert b.terminal.hex(request) == ""
    assert b.terminal.sw == 0x9000
    assert [e.eim_id for e in b.card.state.eims] == ["x"]


def test_functions_that_are_carried_out_and_answered_without_content() -> None:
    b = bench(Quirks(empty_content=frozenset({0xBF30})))
    b.run(delete(ICCID_A))
    numbers = [one.seq for one in b.card.state.notifications]
    assert b.terminal.hex(der.tlv(0xBF30, der.integer(numbers[0], 0x80))) == "BF3000"
    assert [one.seq for one in b.card.state.notifications] == numbers[1:]


def test_lists_that_are_always_refused() -> None:
    b = bench(Quirks(refused_lists=True))
    assert b.terminal.hex("BF2B00") == "BF2B0381017F"
    assert b.terminal.hex("BF2B04A0028200") == "BF2B0381017F"


def test_certificates_each_in_a_wrapper_of_its_own() -> None:
    certs = der.parse(bench(Quirks(certificates_apart=True)).terminal.es10("BF5600"))
    assert certs.path(0xA0, 0xA5).value == der.parse(pki()["eum"].cert_der).value
    assert certs.path(0xA1, 0xA6).value == der.parse(pki()["euicc"].cert_der).value


def test_certificates_that_nobody_can_tell_apart() -> None:
    certs = der.parse(bench(Quirks(unreadable_certificates=True)).terminal.es10("BF5600"))
    assert [one.raw for one in certs.children] == [pki()["eum"].cert_der, pki()["euicc"].cert_der]


def test_token_stored_as_255() -> None:
    b = bench(Quirks(token_stored_as_255=True))
    assert b.card.associate_eim("x", pki()["dppb"].spki_der, token=-1) == 255
    answer = b.terminal.es10(Eim(pki(), "x", token=255).package(GET_RAT, key=pki()["dppb"].private_key))
    verify_result(answer, bound=bytes.fromhex("840200FF"))


def test_whole_certificates_inside_their_tags() -> None:
    certs = der.parse(bench(Quirks(explicit_certificates=True)).terminal.es10("BF5600")).get(0xA0)
    assert certs.get(0xA5).value == pki()["eum"].cert_der
    assert certs.get(0xA6).value == pki()["euicc"].cert_der


def test_old_states_until_reset() -> None:
    b = bench(Quirks(old_state_until_reset=True))
    b.run(enable(ICCID_A))
    shown = "BF2D055C035A9F70"
    assert b.terminal.hex(shown).index("9F700101") < b.terminal.hex(shown).index(ICCID_A)
    b.reset()
    assert b.terminal.hex(shown).index("9F700101") > b.terminal.hex(shown).index(ICCID_A)
    plain = bench()
    plain.run(enable(ICCID_A))
    assert plain.terminal.hex(shown).index("9F700101") > plain.terminal.hex(shown).index(ICCID_A)


def test_slow_answers_are_declared_not_waited_for() -> None:
    b = bench(Quirks(delays_s={0xBF51: 8.5}))
    seen = []
    original = b.card.transmit

    def transmit(apdu: bytes) -> bytes:
        answer = original(apdu)
        seen.append(b.card.last_delay_s)
        return answer

    b.card.transmit = transmit  # type: ignore[method-assign]  # a wire tap
    b.run(GET_RAT)
    assert max(seen) == 8.5
    assert seen[-1] == 0.0  # GET RESPONSE is quick
    b.terminal.es10("BF2000")
    assert seen[-2:] == [0.0, 0.0]


def test_unsupported_functions_are_unknown() -> None:
    b = bench(Quirks(unsupported=frozenset({0xBF43})))
    b.terminal.es10("BF4300")
    assert b.terminal.sw == 0x6A88
    assert b.card.enabled_iccid == BOOTSTRAP


def test_an_ipae_gives_way_to_a_declared_ipad_until_the_next_reset() -> None:
    b = bench(Quirks(ipae=True, ipae_ends_after=2, ipae_refuses_es10=True))
    modes = []
    for _ in range(3):
        modes.append(der.parse(b.terminal.es10("BF2200")).get(0x90).value.hex())
        b.terminal.apdu("80AA000005A903840101")
    assert modes == ["01", "01", "00"]
    b.reset()
    b.terminal.es10("BF5500")
    assert b.terminal.sw == 0x6985
    assert b.terminal.hex("BF420480020700") == "BF4203800100"
    b.reset()
    assert b.terminal.hex("BF5500").startswith("BF55")


def test_an_ipae_that_cannot_be_switched_off_stays() -> None:
    b = bench(Quirks(ipae=True, ipae_ends_after=None, ipae_can_be_switched_off=False))
    b.terminal.apdu("80AA000005A903840101")
    assert b.terminal.hex("BF420480020700") == "BF4203800101"
    assert der.parse(b.terminal.es10("BF2200")).get(0x90).value == b"\x01"
    assert b.terminal.hex("BF5500").startswith("BF55")
