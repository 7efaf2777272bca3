"""LoadEuiccPackage: who may order what, once, and what the card signs (SGP.32 v1.2 §5.9.1, §2.11.1.1)."""

from __future__ import annotations

import pytest

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc import EuiccIdentity, Quirks, VirtualEuicc, default_card, eim_configuration

from .euicc_bench import (
    ICCID_A,
    ICCID_B,
    ICCID_BOOTSTRAP,
    Eim,
    Terminal,
    bench,
    card_key,
    disable,
    enable,
    pki,
    raw_signature,
    signature_is_good,
    verify_result,
)

GET_RAT = b"\xa6\x00"
# One PPAR: ppr1 and ppr2 (05 60), any operator (EEEEEE), no flags
RAT = "3010" + "80020560" + "A107" + "3005" + "8003EEEEEE" + "820100"


def test_result_is_built_to_the_byte() -> None:
    b = bench()
    answer = b.terminal.es10(b.eim.package(GET_RAT, transaction_id=b"\x01\x02"))
    # 6 + 3 + 4 + 3 + 22 = 38 = 26
    expected = "3026" + "800465696D31" + "810101" + "82020102" + "830101" + "3014" + "A612" + RAT
    signed = verify_result(answer)
    assert signed.raw.hex().upper() == expected
    # BF51 { A0 { data, 5F37 40 signature } }: 40 + 67 = 107 = 6B
    assert answer.hex().upper().startswith("BF516DA06B" + expected + "5F3740")
    assert b.terminal.sw == 0x9000


def test_result_is_kept_until_removed_and_numbers_go_on() -> None:
    b = bench()
    first = b.terminal.hex(b.eim.package(GET_RAT))
    second = b.terminal.hex(b.eim.package(GET_RAT))
    assert verify_result(bytes.fromhex(second)).get(0x83).integer() == 2
    both = b.terminal.es10("BF2B04A0028200")
    assert [child.raw.hex().upper() for child in der.parse(both).get(0xA2).children] == [first, second]
    assert b.terminal.hex("BF2B05A003800101").endswith(first)
    assert der.parse(b.terminal.es10("BF2B05A003800102")).get(0xA2).value.hex().upper() == second
    assert b.terminal.hex("BF3003800101") == "BF3003800100"
    assert b.terminal.hex("BF3003800101") == "BF3003800101"  # nothingToDelete
    assert b.terminal.hex("BF2B05A003800101") == "BF2B02A000"
    assert der.parse(b.terminal.es10("BF2B04A0028200")).get(0xA2).value.hex().upper() == second


def test_a_package_of_a_stranger_is_answered_without_signature() -> None:
    b = bench()
    stranger = Eim(pki(), eim_id="a")
    assert b.terminal.hex(stranger.package(GET_RAT)) == "BF5105A203800161"
    assert b.terminal.hex(stranger.package(GET_RAT, transaction_id=b"\x07")) == "BF5108A206800161820107"
    assert b.card.state.results == []


def test_a_foreign_signature_is_answered_without_signature_but_with_the_token() -> None:
    b = bench(token=True)
    other = pki()["dpauth"].private_key
    assert b.terminal.hex(b.eim.package(GET_RAT, key=other)) == "BF510BA209800465696D31840101"
    plain = bench()
    assert plain.terminal.hex(plain.eim.package(GET_RAT, key=other)) == "BF5108A206800465696D31"


def test_any_changed_bit_of_the_signed_part_or_signature_is_noticed() -> None:
    b = bench()
    good = b.eim.package(GET_RAT)
    start = good.index(bytes.fromhex("A600"))
    for offset in (start - 20, len(good) - 1, len(good) - 40):
        bad = bytearray(good)
        bad[offset] ^= 0x01
        assert b.terminal.hex(bytes(bad)) == "BF5108A206800465696D31", offset
    assert b.terminal.hex(good).startswith("BF51")
    assert len(b.card.state.results) == 1


def test_a_der_signature_is_refused() -> None:
    # One eIM signs with an ECDSA-Sig-Value instead of r and s.
    b = bench()
    package = der.parse(b.eim.package(GET_RAT))
    raw = package.get(0x5F37).value
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    wrapped = der.octets(der.seq(der.integer(r), der.integer(s)), 0x5F37)
    assert b.terminal.hex(der.tlv(0xBF51, package.get(0x30).raw, wrapped)) == "BF5108A206800465696D31"


def signed_error(counter: str, code: str) -> str:
    return "800465696D31" + counter + code


def test_wrong_eid_is_a_signed_error_and_uses_no_counter() -> None:
    b = bench()
    answer = b.terminal.es10(b.eim.package(GET_RAT, eid="89049032000000000000000000000101", counter=5))
    signed = verify_result(answer)
    assert der.parse(answer).find(0xA1) is not None
    assert signed.value.hex().upper() == signed_error("810105", "020103")
    assert b.card.state.eims[0].counter == 0
    assert b.terminal.hex("BF2B04A0028200") == "BF2B02A200"


@pytest.mark.parametrize("counter", [-1, 0, 6, 7])
def test_a_counter_not_above_the_last_is_a_replay(counter: int) -> None:
    b = bench()
    package = b.eim.package(GET_RAT, counter=7)
    verify_result(b.terminal.es10(package))
    replay = b.terminal.es10(b.eim.package(GET_RAT, counter=counter, transaction_id=b"\x09"))
    signed = verify_result(replay)
    assert signed.get(0x02).integer() == 4
    assert signed.get(0x81).integer() == counter
    assert signed.get(0x82).value == b"\x09"
    assert len(b.card.state.results) == 1


def test_the_same_package_is_not_executed_twice() -> None:
    b = bench()
    package = b.eim.package(enable(ICCID_A))
    b.terminal.es10(package)
    b.reset()
    assert b.run(enable(ICCID_B)) == "830100"
    b.reset()
    assert verify_result(b.terminal.es10(package)).get(0x02).integer() == 4
    assert b.card.enabled_iccid == "89490200003000000033"


def test_the_counter_may_jump_up_to_what_the_card_can_store() -> None:
    b = bench()
    answer = verify_result(b.terminal.es10(b.eim.package(GET_RAT, counter=0x800000)))
    assert answer.value.hex().upper() == signed_error("810400800000", "020106")
    verify_result(b.terminal.es10(b.eim.package(GET_RAT, counter=0x7FFFFF))).get(0x30)
    assert b.card.state.eims[0].counter == 8388607


def test_a_package_that_is_too_big_is_a_signed_error() -> None:
    b = bench(Quirks(max_package_bytes=300))
    many = [der.tlv(0xBF2D, der.octets(b"\x5a", 0x5C))] * 40
    assert verify_result(b.terminal.es10(b.eim.package(*many))).get(0x02).integer() == 15
    assert b.card.state.eims[0].counter == 0


@pytest.mark.parametrize("missing", [0x5A, 0x81, 0xA0])
def test_a_signed_package_without_a_mandatory_part_is_a_signed_error(missing: int) -> None:
    b = bench()
    full = der.parse(b.eim.package(GET_RAT)).get(0x30)
    signed = der.seq(*(child.raw for child in full.children if child.tag != missing))
    key = pki()["eim-sign"].private_key
    package = der.tlv(0xBF51, signed, der.octets(raw_signature(key, signed + b"\x84\x01\x00"), 0x5F37))
    assert verify_result(b.terminal.es10(package)).get(0x02).integer() == 127


@pytest.mark.parametrize("body", ["", "3000", "5F3700", "30035A01005F3700", "300380016100"])
def test_a_package_that_names_no_eim_gets_a_status_word(body: str) -> None:
    b = bench()
    b.terminal.es10(der.tlv(0xBF51, bytes.fromhex(body)))
    assert b.terminal.sw == 0x6A80


def test_token_is_bound_into_both_signatures() -> None:
    b = bench(token=True)
    answer = b.terminal.es10(b.eim.package(GET_RAT))
    verify_result(answer, bound=bytes.fromhex("840101"))
    b.eim.token = None
    assert b.terminal.hex(b.eim.package(GET_RAT)).startswith("BF510BA2")
    signed_with_wrong = b.eim.package(GET_RAT, token_tlv=bytes.fromhex("840102"))
    assert b.terminal.hex(signed_with_wrong).startswith("BF510BA2")


def test_a_package_for_an_old_association_cannot_be_replayed_after_the_eim_was_added_again() -> None:
    b = bench(token=True)
    b.card.associate_eim("other", pki()["dppb"].spki_der)
    recorded = b.eim.package(GET_RAT, counter=100)
    configuration = eim_configuration("eim1", pki()["eim-sign"].spki_der, token=-1, tag=0xA8)
    assert b.run(bytes.fromhex("A906800465696D31"), eco=True) == "890100"
    other = Eim(pki(), "other")
    answer = b.terminal.es10(other.package(configuration, eco=True, key=pki()["dppb"].private_key))
    assert verify_result(answer).get(0x30).value.hex().upper() == "A803840102"  # the next token
    assert b.terminal.hex(recorded) == "BF510BA209800465696D31840102"
    b.eim.token = 2
    verify_result(b.terminal.es10(b.eim.package(GET_RAT, counter=101)), bound=bytes.fromhex("840102"))


@pytest.mark.parametrize("form", ["84020080", "840180"])
def test_a_token_of_128_is_accepted_in_both_encodings_and_signed_as_der(form: str) -> None:
    b = bench()
    b.card.state.next_token = 128
    assert b.card.associate_eim("big", pki()["eim-sign"].spki_der, token=-1) == 128
    big = Eim(pki(), "big")
    answer = b.terminal.es10(big.package(GET_RAT, token_tlv=bytes.fromhex(form)))
    verify_result(answer, bound=bytes.fromhex("84020080"))


def test_two_eims_have_counters_of_their_own() -> None:
    b = bench()
    b.card.associate_eim("eim2", pki()["dppb"].cert_der, counter=50)
    second = Eim(pki(), "eim2", counter=50)
    verify_result(b.terminal.es10(second.package(GET_RAT, key=pki()["dppb"].private_key))).get(0x83)
    verify_result(b.terminal.es10(b.eim.package(GET_RAT))).get(0x83)
    assert [e.counter for e in b.card.state.eims] == [1, 51]


def test_each_eim_gets_signatures_under_the_ci_it_was_associated_with() -> None:
    nist, brainpool = pki(), pki("brainpool", "brainpool")
    card = VirtualEuicc(EuiccIdentity.from_pki(nist, brainpool))
    card.associate_eim("first", nist["eim-sign"].spki_der)
    card.associate_eim("second", brainpool["eim-sign"].spki_der, ci_pkid=brainpool.ci_pkid)
    terminal = Terminal(card).open()
    by_first = terminal.es10(Eim(nist, "first").package(GET_RAT))
    by_second = terminal.es10(Eim(brainpool, "second").package(GET_RAT))
    verify_result(by_first, world=nist)
    verify_result(by_second, world=brainpool)
    assert not signature_is_good(
        card_key(nist), der.parse(by_second).path(0xA0, 0x5F37).value, der.parse(by_second).path(0xA0, 0x30).raw
    )


def test_identity_of_two_eids_or_none_is_refused() -> None:
    with pytest.raises(ValueError, match="EID"):
        EuiccIdentity.from_pki()


def test_operations_run_in_order_until_one_fails() -> None:
    b = bench()
    assert b.run(GET_RAT, enable(ICCID_BOOTSTRAP), GET_RAT) == "A612" + RAT + "830102"
    assert b.run(GET_RAT, b"\xaf\x00", GET_RAT) == "A612" + RAT + "020102"  # unknown: processingTerminated(2)
    assert b.run(bytes.fromhex("A3045A0A9894")) == "020102"
    assert b.run(bytes.fromhex("A300"), GET_RAT) == "020102"  # no ICCID
    assert b.run() == ""


def test_an_operation_list_that_does_not_parse_is_terminated() -> None:
    b = bench()
    assert b.run(b"\xa3\x7f\x01") == "020102"


def test_a_result_that_would_be_too_big_is_left_out() -> None:
    # each getRATResult is 20 bytes
    b = bench(Quirks(max_result_bytes=55))
    assert b.run(GET_RAT, GET_RAT, GET_RAT) == ("A612" + RAT) * 2 + "020101"
    # An operation that changes something is not begun without room for its result.
    b = bench(Quirks(max_result_bytes=50))
    assert b.run(GET_RAT, GET_RAT, enable(ICCID_A)) == ("A612" + RAT) * 2 + "020101"
    assert b.card.enabled_iccid == "89490200001000000011"
    tight = bench(Quirks(max_result_bytes=5))
    assert tight.run(enable(ICCID_A)) == "020101"
    assert tight.card.enabled_iccid == "89490200001000000011"


def test_a_big_list_comes_back_whole() -> None:
    card = default_card(pki(), bulky=True)
    terminal = Terminal(card).open()
    answer = terminal.es10(Eim(pki()).package(bytes.fromhex("BF2D065C045A939495")))
    assert 19_000 < len(answer) < 25_000
    listed = verify_result(answer).path(0x30, 0xBF2D, 0xA0).children
    assert len(listed) == 21


def test_state_change_makes_signed_notifications_in_order_after_the_result() -> None:
    b = bench()
    b.run(enable(ICCID_A))
    b.reset()
    b.run(enable(ICCID_B))
    b.reset()
    listed = der.parse(b.terminal.es10("BF2B00")).get(0xA0).children
    # The bootstrap profile names no address. Result 1, enable A 2, result 3, disable A 4, enable B 5.
    address = "0C10" + b"smdp.lab.example".hex().upper()
    assert [n.get(0xBF2F).value.hex().upper() for n in listed] == [
        "800102" + "81020640" + address + "5A0A" + ICCID_A,
        "800104" + "81020520" + address + "5A0A" + ICCID_A,
        "800105" + "81020640" + address + "5A0A" + ICCID_B,
    ]
    for notification in listed:
        metadata, signature, euicc, eum = notification.children
        assert signature_is_good(card_key(), signature.value, metadata.raw)
        assert (euicc.raw, eum.raw) == (pki()["euicc"].cert_der, pki()["eum"].cert_der)
    assert [n.raw for n in der.parse(b.terminal.es10("BF2800")).get(0xA0).children] == [
        n.get(0xBF2F).raw for n in listed
    ]
    assert len(der.parse(b.terminal.es10("BF280481020520")).get(0xA0).children) == 1
    assert len(der.parse(b.terminal.es10("BF2B06A00481020640")).get(0xA0).children) == 2
    assert der.parse(b.terminal.es10("BF2B05A003800104")).get(0xA0).value == listed[1].raw
    assert b.terminal.hex("BF3003800104") == "BF3003800100"
    assert len(der.parse(b.terminal.es10("BF2B00")).get(0xA0).children) == 2


def test_result_outlives_the_eim_that_ordered_its_own_deletion() -> None:
    b = bench(token=True)
    answer = b.terminal.es10(b.eim.package(bytes.fromhex("A906800465696D31"), b"\xab\x00", eco=True))
    signed = verify_result(answer, bound=bytes.fromhex("840101"))
    # lastEimDeleted is done and the list goes on
    assert signed.get(0x30).value.hex().upper() == "890102" + "AB02A000"
    b.reset()
    assert der.parse(b.terminal.es10("BF2B04A0028200")).get(0xA2).value == answer


def test_disable_leaves_the_card_without_profile_and_it_still_talks() -> None:
    b = bench()
    assert b.run(disable(ICCID_BOOTSTRAP)) == "840100"
    b.reset()
    assert b.card.enabled_iccid is None
    assert b.run(enable(ICCID_A)) == "830100"
