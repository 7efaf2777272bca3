"""Every PSMO and eCO, and every result code that can be provoked (SGP.32 v1.2 §2.11.1.1, §3.4, §3.5)."""

from __future__ import annotations

import pytest

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A, OPERATOR_B, Profile, Quirks, eim_configuration
from ipad_agent.lab.euicc.state.card_state import PPR1, PPR2

from .euicc_bench import (
    ICCID_A,
    ICCID_B,
    ICCID_BOOTSTRAP,
    ICCID_NONE,
    Bench,
    Eim,
    bench,
    delete,
    disable,
    enable,
    pki,
    set_fallback,
)

LIST = b"\xbf\x2d\x00"
UNSET_FALLBACK = b"\xa9\x00"
LIST_EIM = b"\xab\x00"


def busy(b: Bench) -> Bench:
    """The terminal has fetched a proactive command and not yet answered it."""
    b.card.queue_proactive(bytes.fromhex("D009810301210082028102"))
    b.terminal.apdu("801200000B")
    return b


# --- enable ---


def test_enable() -> None:
    b = bench()
    assert b.run(enable(ICCID_A)) == "830100"
    assert b.card.profile_states() == {BOOTSTRAP: False, OPERATOR_A: True, OPERATOR_B: False}
    assert b.card.active_iccid == BOOTSTRAP
    b.reset()
    assert b.card.active_iccid == OPERATOR_A


@pytest.mark.parametrize(("iccid", "code"), [(ICCID_NONE, "01"), (ICCID_BOOTSTRAP, "02")])
def test_enable_of_no_profile_or_an_enabled_one(iccid: str, code: str) -> None:
    b = bench()
    assert b.run(enable(iccid)) == "8301" + code
    assert b.card.enabled_iccid == BOOTSTRAP
    assert b.card.pending_proactive is None


def test_enable_is_disallowed_while_the_enabled_profile_must_not_be_disabled() -> None:
    b = bench()
    b.card.update_profile(BOOTSTRAP, ppr=[PPR1])
    assert b.run(enable(ICCID_A)) == "830103"
    assert b.card.enabled_iccid == BOOTSTRAP


def test_enable_of_an_emergency_profile_is_not_for_an_eim() -> None:
    b = bench()
    b.card.update_profile(OPERATOR_A, ecall=True)
    assert b.run(enable(ICCID_A)) == "830103"


def test_enable_during_a_proactive_session() -> None:
    b = busy(bench())
    assert b.run(enable(ICCID_A)) == "830105"
    b.terminal.apdu("801400000C810301210082028281830100")
    assert b.run(enable(ICCID_A)) == "830100"


def test_enable_with_rollback_needs_an_enabled_profile() -> None:
    b = bench()
    b.run(disable(ICCID_BOOTSTRAP))
    b.reset()
    assert b.run(enable(ICCID_A, rollback=True)) == "830114"
    assert b.run(enable(ICCID_A)) == "830100"


def test_a_second_enable_in_one_package_fails_and_the_first_holds() -> None:
    b = bench()
    assert b.run(enable(ICCID_A), enable(ICCID_B)) == "830100" + "83017F"
    assert b.card.enabled_iccid == OPERATOR_A


# --- disable ---


@pytest.mark.parametrize(("iccid", "code"), [(ICCID_NONE, "01"), (ICCID_A, "02"), (ICCID_BOOTSTRAP, "00")])
def test_disable(iccid: str, code: str) -> None:
    b = bench()
    assert b.run(disable(iccid)) == "8401" + code
    assert b.card.enabled_iccid == (None if code == "00" else BOOTSTRAP)
    assert (b.card.pending_proactive is not None) == (code == "00")


def test_disable_is_disallowed_by_ppr1() -> None:
    b = bench()
    b.card.update_profile(BOOTSTRAP, ppr=[PPR1])
    assert b.run(disable(ICCID_BOOTSTRAP)) == "840103"


def test_disable_during_a_proactive_session() -> None:
    assert busy(bench()).run(disable(ICCID_BOOTSTRAP)) == "840105"


def test_disable_then_enable_is_one_switch() -> None:
    b = bench()
    assert b.run(disable(ICCID_BOOTSTRAP), enable(ICCID_A)) == "840100" + "830100"
    assert b.card.enabled_iccid == OPERATOR_A


@pytest.mark.parametrize("first", [enable(ICCID_A), disable(ICCID_BOOTSTRAP)])
def test_disable_after_enable_or_disable_fails(first: bytes) -> None:
    assert bench().run(first, disable(ICCID_BOOTSTRAP)).endswith("84017F")


def test_a_profile_to_be_disabled_cannot_be_enabled_again() -> None:
    assert bench().run(disable(ICCID_BOOTSTRAP), enable(ICCID_BOOTSTRAP)) == "840100" + "830102"


# --- delete ---


@pytest.mark.parametrize(("iccid", "code"), [(ICCID_NONE, "01"), (ICCID_BOOTSTRAP, "02"), (ICCID_A, "00")])
def test_delete(iccid: str, code: str) -> None:
    b = bench()
    assert b.run(delete(iccid)) == "8501" + code
    assert (OPERATOR_A in b.card.profile_states()) == (code != "00")
    assert b.card.pending_proactive is None


def test_delete_makes_its_notification() -> None:
    b = bench()
    b.run(delete(ICCID_A))
    (notification,) = der.parse(b.terminal.es10("BF2800")).get(0xA0).children
    assert notification.get(0x81).value.hex() == "0410"


def test_delete_is_disallowed_by_ppr2() -> None:
    b = bench()
    b.card.update_profile(OPERATOR_A, ppr=[PPR2])
    assert b.run(delete(ICCID_A)) == "850103"


def test_a_profile_is_deleted_once() -> None:
    assert bench().run(delete(ICCID_A), delete(ICCID_A)) == "850100" + "850101"


def test_disable_and_delete_in_one_package() -> None:
    b = bench()
    assert b.run(disable(ICCID_BOOTSTRAP), delete(ICCID_BOOTSTRAP)) == "840100" + "850100"
    assert b.card.profile_states() == {OPERATOR_A: False, OPERATOR_B: False}


def test_a_profile_that_will_be_enabled_cannot_be_deleted_and_a_deleted_one_not_enabled() -> None:
    assert bench().run(enable(ICCID_A), delete(ICCID_A)) == "830100" + "850102"
    assert bench().run(delete(ICCID_A), enable(ICCID_A)) == "850100" + "830102"


def test_the_profile_of_a_possible_rollback_cannot_be_deleted() -> None:
    b = bench()
    assert b.run(enable(ICCID_A, rollback=True), delete(ICCID_BOOTSTRAP)) == "830100" + "850114"
    b.reset()
    assert b.run(delete(ICCID_BOOTSTRAP)) == "850100"  # the next package has ended the grant


def test_enable_with_rollback_after_deleting_the_way_back_fails() -> None:
    b = bench()
    result = b.run(disable(ICCID_BOOTSTRAP), delete(ICCID_BOOTSTRAP), enable(ICCID_A, rollback=True))
    assert result == "840100" + "850100" + "830114"


def test_the_profile_to_return_to_from_fallback_cannot_be_deleted() -> None:
    b = bench()
    b.run(enable(ICCID_A))
    b.reset()
    assert b.terminal.hex("BF5D038001FF") == "BF5D03800100"
    b.reset()
    assert b.run(delete(ICCID_A)) == "850115"


# --- reads, addresses, immediate enabling ---


def test_list_profile_info_inside_a_package_and_not_after_a_change() -> None:
    b = bench()
    listed = b.run(LIST)
    assert listed.startswith("BF2D81DAA081D7E3475A0A" + ICCID_BOOTSTRAP)
    assert bench().run(disable(ICCID_BOOTSTRAP), LIST, LIST) == "840100" + "BF2D0381010B"
    assert bench().run(delete(ICCID_A), LIST) == "850100" + "BF2D0381010B"
    assert bench().run(bytes.fromhex("BF2D045C029F70"), LIST).count("9F70") == 6
    # a tag list that ends inside a tag: incorrectInputValues
    assert bench().run(bytes.fromhex("BF2D035C019F"), LIST) == "BF2D03810101"


def test_set_default_dp_address() -> None:
    b = bench()
    assert b.run(bytes.fromhex("BF65058003612E62")) == "BF6503800100"
    assert b.terminal.hex("BF3C00").startswith("BF3C178003612E62")
    assert b.run(bytes.fromhex("BF65028000")) == "BF6503800100"
    assert b.terminal.hex("BF3C00") == "BF3C12" + "8110" + b"smds.lab.example".hex().upper()


def test_configure_immediate_enable() -> None:
    b = bench()
    assert b.run(bytes.fromhex("A7028000")) == "870100"
    assert b.card.state.immediate_enable is not None
    assert b.run(bytes.fromhex("A709800081038837038200")) == "870100"
    assert b.card.state.immediate_enable.smdp_oid == "2.999.3"
    assert b.run(b"\xa7\x00") == "870100"
    assert b.card.state.immediate_enable is None
    assert b.run(der.tlv(0xA7, der.null(0x80), der.octets(b"x" * 256, 0x82))) == "870101"


# --- fallback attribute ---


def test_fallback_attribute_moves() -> None:
    b = bench()
    b.run(enable(ICCID_A))
    b.reset()
    assert b.run(set_fallback(ICCID_B)) == "8D0100"
    assert [p.iccid for p in b.card.state.profiles if p.fallback_attribute] == [OPERATOR_B]
    assert b.run(set_fallback(ICCID_B)) == "8D0100"
    assert b.run(UNSET_FALLBACK) == "8E0100"
    assert b.run(UNSET_FALLBACK) == "8E0102"


def test_fallback_attribute_is_refused() -> None:
    b = bench()
    assert b.run(set_fallback(ICCID_NONE)) == "8D0101"
    assert b.run(set_fallback(ICCID_A)) == "8D0103"  # the fallback profile is enabled
    assert b.run(UNSET_FALLBACK) == "8E0103"
    assert b.run(set_fallback(ICCID_BOOTSTRAP)) == "8D0100"  # it has it already
    b.run(enable(ICCID_A))
    b.reset()
    b.card.update_profile(OPERATOR_B, fallback_allowed=False)
    assert b.run(set_fallback(ICCID_B)) == "8D0102"
    b.card.update_profile(OPERATOR_B, fallback_allowed=True, ecall=True)
    assert b.run(set_fallback(ICCID_B)) == "8D0102"


def test_a_card_without_fallback_does_not_know_the_operations() -> None:
    b = bench(Quirks(fallback_supported=False))
    assert b.run(set_fallback(ICCID_BOOTSTRAP)) == "020102"
    assert b.run(UNSET_FALLBACK) == "020102"
    assert b.terminal.hex("BF5D038001FF") == ""
    assert b.terminal.sw == 0x6A88


# --- eCOs ---


def eim(name: str = "e2", tag: int = 0xA8, **fields: object) -> bytes:
    return eim_configuration(name, pki()["dppb"].spki_der, tag=tag, **fields)  # type: ignore[arg-type]  # any field


def test_add_eim_with_and_without_token() -> None:
    b = bench()
    assert b.run(eim("e2"), eim("e3", token=-1), eim("e4", token=-1), eco=True) == (
        "A803020100" + "A803840101" + "A803840102"
    )
    # A list of id and type: eim1 and the new ones are all FQDN (2).
    assert b.run(LIST_EIM, eco=True) == (
        "AB28A026" + "3009800465696D31820102" + "300780026532820102" + "300780026533820102" + "300780026534820102"
    )


def test_added_eim_may_order_at_once() -> None:
    b = bench()
    b.run(eim("e2", counter=9), eco=True)
    other = Eim(pki(), "e2", counter=9)
    answer = b.terminal.es10(other.package(b"\xa6\x00", key=pki()["dppb"].private_key))
    assert answer[5:6] == b"\x30"


@pytest.mark.parametrize(
    ("configuration", "code"),
    [
        (eim("eim1"), 2),
        (eim(ci_pkid=bytes(20)), 3),
        (eim(token=0), 5),
        (eim(token=1), 5),
        (eim(counter=0x800000), 6),
        (eim(counter=-1), 6),
        (eim(counter=None), 7),
        (eim(""), 7),
        (eim("x" * 129), 7),
        (bytes.fromhex("A80980026532830100A500"), 7),
        (bytes.fromhex("A80B80026532830100A502A000"), 7),
        (bytes.fromhex("A80B80026532830100A502A100"), 7),
        (bytes.fromhex("A80780026532830100"), 7),
    ],
)
def test_add_eim_is_refused(configuration: bytes, code: int) -> None:
    b = bench()
    assert b.run(configuration, LIST_EIM, eco=True) == f"A8030201{code:02X}"
    assert len(b.card.state.eims) == 1


def test_add_eim_without_room() -> None:
    assert bench(Quirks(max_eims=1)).run(eim(), eco=True) == "A803020101"


def test_add_eim_with_the_whole_certificate_inside_its_tag() -> None:
    b = bench()
    certificate = pki()["dppb"].cert_der
    key = der.tlv(0xA5, der.tlv(0xA1, certificate))
    assert b.run(der.tlv(0xA8, der.utf8("e2", 0x80), der.integer(0, 0x83), key), eco=True) == "A803020100"
    assert b.card.state.eims[1].spki == pki()["dppb"].spki_der


def test_delete_eim() -> None:
    b = bench()
    b.run(eim(), eco=True)
    assert b.run(bytes.fromhex("A903800161"), eco=True) == "890101"
    assert b.run(bytes.fromhex("A90480026532"), eco=True) == "890100"
    assert b.run(bytes.fromhex("A900"), eco=True) == "020102"
    assert b.run(bytes.fromhex("A906800465696D31"), eco=True) == "890102"
    assert b.terminal.hex("BF5500") == "BF5502A000"


def test_the_last_eim_may_delete_itself_and_still_list_nobody_in_the_same_package() -> None:
    b = bench()
    assert b.run(bytes.fromhex("A906800465696D31"), bytes.fromhex("AB00"), eco=True) == "890102" + "AB02A000"


def test_update_eim_without_anything_to_update_is_a_command_error() -> None:
    assert bench().run(bytes.fromhex("AA06800465696D31"), eco=True) == "8A0107"


def test_update_eim_replaces_what_is_there() -> None:
    b = bench(token=True)
    # counter 5 >= the stored 1 (this package), the FQDN changes, all else stays
    update = bytes.fromhex("AA0F800465696D31810461622E63830105")
    assert b.run(update, eco=True) == "8A0100"
    entry = b.card.state.eims[0]
    assert (entry.counter, entry.token) == (5, 1)
    stored = der.parse(b.terminal.es10("BF5500")).path(0xA0, 0x30)
    assert [c.tag for c in stored.children] == [0x80, 0x81, 0x82, 0x84, 0xA5, 0xA6, 0x87]
    assert stored.get(0x81).text() == "ab.c"
    b.eim.counter = 5
    assert b.run(b"\xab\x00", eco=True).startswith("AB")


def test_update_eim_with_a_new_key_may_lower_the_counter() -> None:
    b = bench()
    b.eim.counter = 10
    lower = bytes.fromhex("AA09800465696D31830105")
    assert b.run(lower, eco=True) == "8A0106"
    b.eim.counter = 11
    assert b.run(eim("eim1", 0xAA, counter=3), eco=True) == "8A0100"
    entry = b.card.state.eims[0]
    assert (entry.counter, entry.spki) == (3, pki()["dppb"].spki_der)
    # The old key is worth nothing now.
    assert b.terminal.hex(b.eim.package(b"\xa6\x00")) == "BF5108A206800465696D31"


@pytest.mark.parametrize(
    ("configuration", "code"),
    [
        (bytes.fromhex("AA0480026532"), 1),
        (bytes.fromhex("AA09800465696D318401FF"), 7),
        (bytes.fromhex("AA09800465696D31830100"), 6),
        (bytes.fromhex("AA0C800465696D31830400800000"), 6),
        (bytes.fromhex("AA0A800465696D31A502A000"), 7),
        (eim("eim1", 0xAA, ci_pkid=bytes(20)), 3),
        (eim("", 0xAA), 7),
    ],
)
def test_update_eim_is_refused(configuration: bytes, code: int) -> None:
    b = bench()
    before = b.card.state.eims[0].fields
    assert b.run(configuration, LIST_EIM, eco=True) == f"8A01{code:02X}"
    assert b.card.state.eims[0].fields == before


def test_an_operation_of_the_other_list_is_unknown() -> None:
    assert bench().run(LIST_EIM) == "020102"
    assert bench().run(b"\xa6\x00", eco=True) == "020102"


def test_profiles_can_be_added_from_python() -> None:
    b = bench()
    added = b.card.add_profile(Profile("89490200009000000022", b.card.next_aid(), name="New"))
    assert added.aid.hex().upper() == "A0000005591010FFFFFFFF8900001300"
    assert b.run(enable("98942000000900000022")) == "830100"
