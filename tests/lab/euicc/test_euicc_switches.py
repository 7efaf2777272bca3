"""Rollback, fallback, emergency profile, immediate enabling, memory reset (SGP.32 v1.2 §5.9.5, §5.9.15 to §5.9.23)."""

from __future__ import annotations

import pytest

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A, OPERATOR_B, NotificationTarget, Profile, Quirks
from ipad_agent.lab.euicc.state.card_state import PPR1, PPR2, TEST

from .euicc_bench import ICCID_A, ICCID_B, ICCID_BOOTSTRAP, Bench, Eim, bench, disable, enable, pki, verify_result

ROLLBACK, ROLLBACK_QUIET = "BF58038001FF", "BF5803800100"
FALLBACK, RETURN = "BF5D038001FF", "BF5E038001FF"
EMERGENCY, EMERGENCY_END = "BF5B038001FF", "BF5C038001FF"
IMMEDIATE = "BF5A038001FF"
RESULTS = "BF2B04A0028200"
NO_ROLLBACK = "BF5803020101"


def switched_with_rollback(quirks: Quirks | None = None) -> Bench:
    b = bench(quirks)
    assert b.run(enable(ICCID_A, rollback=True)) == "830100"
    b.reset()
    return b


def busy(b: Bench) -> None:
    b.card.queue_proactive(bytes.fromhex("D009810301210082028102"))
    b.terminal.apdu("801200000B")


# --- rollback ---


def test_rollback_goes_back_once_and_replaces_the_result() -> None:
    b = switched_with_rollback()
    answer = b.terminal.es10(ROLLBACK)
    assert b.terminal.sw == 0x910B
    assert b.card.profile_states() == {BOOTSTRAP: True, OPERATOR_A: False, OPERATOR_B: False}
    node = der.parse(answer)
    assert [c.raw.hex() for c in node.children[:1]] == ["020100"]
    replacement = node.get(0xBF51).raw
    signed = verify_result(replacement)
    # Result 1 and the enable notification 2 came first, the disable notification of the way back was 3.
    assert signed.value.hex().upper() == "800465696D31" + "810101" + "830104" + "3006" + "830100" + "8C0100"
    b.reset()
    assert b.card.active_iccid == BOOTSTRAP
    assert der.parse(b.terminal.es10(RESULTS)).get(0xA2).value == replacement
    assert b.terminal.hex(ROLLBACK) == NO_ROLLBACK


def test_rollback_of_a_disable_and_an_enable_in_one_package_goes_back_to_the_first() -> None:
    b = bench()
    assert b.run(disable(ICCID_BOOTSTRAP), enable(ICCID_A, rollback=True)) == "840100" + "830100"
    assert b.card.enabled_iccid == OPERATOR_A
    b.reset()
    assert b.terminal.hex(ROLLBACK).startswith("BF58")
    assert b.card.enabled_iccid == BOOTSTRAP


def test_rollback_without_refresh_shows_after_the_terminals_own_reset() -> None:
    b = switched_with_rollback()
    b.terminal.es10(ROLLBACK_QUIET)
    assert b.terminal.sw == 0x9000
    assert b.card.pending_proactive is None
    assert (b.card.enabled_iccid, b.card.active_iccid) == (BOOTSTRAP, OPERATOR_A)
    b.reset()
    assert b.card.active_iccid == BOOTSTRAP


def test_rollback_keeps_the_transaction_id_and_all_results() -> None:
    b = bench()
    b.terminal.es10(b.eim.package(b"\xbf\x65\x02\x80\x00", enable(ICCID_A, rollback=True), transaction_id=b"\x42"))
    b.reset()
    signed = verify_result(der.parse(b.terminal.es10(ROLLBACK)).get(0xBF51).raw)
    assert signed.get(0x82).value == b"\x42"
    assert signed.get(0x30).value.hex().upper() == "BF6503800100" + "830100" + "8C0100"


def test_rollback_is_not_granted_without_the_flag() -> None:
    b = bench()
    assert b.terminal.hex(ROLLBACK) == NO_ROLLBACK
    b.run(enable(ICCID_A))
    b.reset()
    assert b.terminal.hex(ROLLBACK) == NO_ROLLBACK
    assert b.card.enabled_iccid == OPERATOR_A


@pytest.mark.parametrize(
    "then", [[enable(ICCID_B)], [disable(ICCID_A)], [enable(ICCID_BOOTSTRAP)], [disable(ICCID_A), enable(ICCID_B)]]
)
def test_rollback_grant_ends_with_the_next_change(then: list[bytes]) -> None:
    b = switched_with_rollback()
    b.run(*then)
    b.reset()
    assert b.terminal.hex(ROLLBACK) == NO_ROLLBACK


@pytest.mark.parametrize("then", [b"\xa6\x00", enable(ICCID_A), b"\xaf\x00"], ids=["a read", "a failure", "unknown"])
def test_rollback_grant_ends_with_any_package_that_is_accepted(then: bytes) -> None:
    b = switched_with_rollback()
    b.run(then)
    assert b.terminal.hex(ROLLBACK) == NO_ROLLBACK
    assert b.card.enabled_iccid == OPERATOR_A


def test_rollback_grant_survives_packages_that_are_refused() -> None:
    b = switched_with_rollback()
    b.terminal.es10(b.eim.package(b"\xa6\x00", counter=1))  # an old counter
    b.terminal.es10(Eim(pki(), "unknown").package(b"\xa6\x00"))
    assert b.terminal.hex(ROLLBACK).startswith("BF5861020100BF51")
    assert b.card.enabled_iccid == BOOTSTRAP


def test_rollback_grant_ends_when_the_result_was_delivered_and_removed() -> None:
    b = switched_with_rollback()
    assert b.terminal.hex("BF3003800102") == "BF3003800100"  # a notification only
    assert b.card.state.rollback is not None
    assert b.terminal.hex("BF3003800101") == "BF3003800100"
    assert b.terminal.hex(ROLLBACK) == NO_ROLLBACK
    assert b.card.enabled_iccid == OPERATOR_A


def test_a_new_grant_replaces_the_old_one() -> None:
    b = switched_with_rollback()
    assert b.run(enable(ICCID_B, rollback=True)) == "830100"
    b.reset()
    b.terminal.es10(ROLLBACK)
    assert b.card.enabled_iccid == OPERATOR_A


def test_rollback_waits_for_the_proactive_session() -> None:
    b = switched_with_rollback()
    busy(b)
    assert b.terminal.hex(ROLLBACK) == "BF5803020105"
    assert b.card.enabled_iccid == OPERATOR_A


def test_rollback_without_flag_is_a_command_error() -> None:
    assert switched_with_rollback().terminal.hex("BF5800") == "BF5803020107"


def test_rollback_is_bound_to_the_token() -> None:
    b = bench(token=True)
    b.run(enable(ICCID_A, rollback=True))
    b.reset()
    replacement = der.parse(b.terminal.es10(ROLLBACK)).get(0xBF51).raw
    verify_result(replacement, bound=bytes.fromhex("840101"))


# --- fallback ---


def at_operator_a(quirks: Quirks | None = None) -> Bench:
    b = bench(quirks)
    b.run(enable(ICCID_A, rollback=True))
    b.reset()
    return b


def test_fallback_and_return() -> None:
    b = at_operator_a()
    assert b.terminal.hex(FALLBACK) == "BF5D03800100"
    assert b.terminal.sw == 0x910B
    b.reset()
    assert b.card.active_iccid == BOOTSTRAP
    assert b.terminal.hex(ROLLBACK) == NO_ROLLBACK  # the grant is gone
    assert b.terminal.hex(FALLBACK) == "BF5D03800102"  # already there
    assert b.terminal.hex(RETURN) == "BF5E03800100"
    b.reset()
    assert b.card.active_iccid == OPERATOR_A
    assert b.terminal.hex(RETURN) == "BF5E03800106"
    events = [n.get(0x81).value.hex() for n in der.parse(b.terminal.es10("BF2800")).get(0xA0).children]
    assert events == ["0640", "0520", "0640"]  # A enabled, disabled by fallback, enabled by return


def test_fallback_without_refresh() -> None:
    b = at_operator_a()
    assert b.terminal.hex("BF5D03800100") == "BF5D03800100"
    assert (b.terminal.sw, b.card.enabled_iccid, b.card.active_iccid) == (0x9000, BOOTSTRAP, OPERATOR_A)


def test_fallback_preconditions() -> None:
    b = bench()
    assert b.terminal.hex(FALLBACK) == "BF5D03800102"
    assert b.terminal.hex("BF5D00") == "BF5D03800107"
    b.run(disable(ICCID_BOOTSTRAP))
    b.reset()
    assert b.terminal.hex(FALLBACK) == "BF5D03800107"  # no profile is enabled
    b.run(enable(ICCID_A))
    b.reset()
    busy(b)
    assert b.terminal.hex(FALLBACK) == "BF5D03800105"
    b.reset()
    assert b.run(b"\xa9\x00") == "8E0100"
    assert b.terminal.hex(FALLBACK) == "BF5D03800106"


def test_return_waits_for_the_proactive_session_and_needs_its_profile() -> None:
    b = at_operator_a()
    b.terminal.es10(FALLBACK)
    b.reset()
    busy(b)
    assert b.terminal.hex(RETURN) == "BF5E03800105"
    b.reset()
    assert b.terminal.hex("BF5E00") == "BF5E03800107"
    b.card.state.profiles.remove(next(p for p in b.card.state.profiles if p.iccid == OPERATOR_A))
    assert b.terminal.hex(RETURN) == "BF5E03800107"


def test_an_order_of_the_eim_ends_the_way_back_from_fallback() -> None:
    b = at_operator_a()
    b.terminal.es10(FALLBACK)
    b.reset()
    assert b.run(enable(ICCID_B)) == "830100"
    b.reset()
    assert b.terminal.hex(RETURN) == "BF5E03800106"


# --- emergency profile ---


def with_emergency(quirks: Quirks | None = None, *, immediate: bool = False) -> Bench:
    b = bench(quirks)
    if immediate:
        b.run(bytes.fromhex("A7028000"))
    b.run(enable(ICCID_A, rollback=True))
    b.reset()
    notify = [NotificationTarget(event, "ecall.example") for event in (1, 2)]
    b.card.add_profile(Profile("89490200009000000022", b.card.next_aid(), name="eCall", ecall=True, notify=notify))
    return b


def test_emergency_profile_shuts_out_all_else() -> None:
    b = with_emergency()
    assert b.terminal.hex(EMERGENCY) == "BF5B03800100"
    b.reset()
    assert b.card.active_iccid == "89490200009000000022"
    b.reset()
    assert b.terminal.hex(EMERGENCY) == "BF5B03800102"
    assert verify_result(b.terminal.es10(b.eim.package(b"\xa6\x00"))).get(0x02).integer() == 104
    assert b.terminal.hex(FALLBACK) == "BF5D03800168"
    assert b.terminal.hex("BF640482020780") == "BF6403800168"
    assert b.terminal.hex(RETURN) == "BF5E03800107"
    assert b.terminal.hex(ROLLBACK) == NO_ROLLBACK
    assert b.terminal.hex(EMERGENCY_END) == "BF5C03800100"
    b.reset()
    assert b.card.active_iccid == OPERATOR_A
    assert b.terminal.hex(EMERGENCY_END) == "BF5C03800102"


@pytest.mark.parametrize("notify", [False, True])
def test_emergency_notifications_only_at_the_end_and_only_if_the_card_does_so(notify: bool) -> None:
    b = with_emergency(Quirks(notify_emergency_end=notify))
    before = len(b.card.state.notifications)
    b.terminal.es10(EMERGENCY)
    b.reset()
    assert len(b.card.state.notifications) == before
    b.terminal.es10(EMERGENCY_END)
    assert [n.event for n in b.card.state.notifications[before:]] == ([2, 1] if notify else [])


def test_emergency_with_refresh_ends_the_rollback_grant_and_without_keeps_it() -> None:
    for flag, kept in (("FF", False), ("00", True)):
        b = with_emergency()
        b.terminal.es10("BF5B038001" + flag)
        b.reset()
        b.terminal.es10("BF5C038001" + flag)
        b.reset()
        assert (b.terminal.hex(ROLLBACK) != NO_ROLLBACK) is kept


def test_no_other_switch_while_the_emergency_profile_is_enabled() -> None:
    b = with_emergency(immediate=True)
    b.terminal.es10("BF5B03800100")  # without refresh: the grant stays, but cannot be used now
    assert b.card.state.rollback is not None
    b.card.mark_just_installed(OPERATOR_B)
    assert b.terminal.hex(IMMEDIATE) == "BF5A03800101"
    assert b.terminal.hex(ROLLBACK) == NO_ROLLBACK
    assert b.card.enabled_iccid == "89490200009000000022"


def test_an_lpa_cannot_switch_away_from_the_emergency_profile() -> None:
    b = with_emergency(Quirks(es10c=True))
    b.terminal.es10(EMERGENCY)
    b.reset()
    assert b.terminal.hex("BF3111" + "A00C5A0A" + ICCID_B + "8101FF") == "BF3103" + "80017F"
    assert b.card.active_iccid == "89490200009000000022"


def test_emergency_is_not_available_without_profile_or_support() -> None:
    assert bench().terminal.hex(EMERGENCY) == "BF5B03800108"
    assert with_emergency(Quirks(ecall_supported=False)).terminal.hex(EMERGENCY) == "BF5B03800108"
    b = with_emergency()
    busy(b)
    assert b.terminal.hex(EMERGENCY) == "BF5B03800105"
    b.reset()
    b.terminal.es10(EMERGENCY)
    b.reset()
    busy(b)
    assert b.terminal.hex(EMERGENCY_END) == "BF5C03800105"
    b.terminal.es10("BF5B00")
    assert b.terminal.sw == 0x6A80


def test_emergency_from_a_card_without_enabled_profile_goes_back_to_none() -> None:
    b = with_emergency()
    b.run(disable(ICCID_A))
    b.reset()
    assert b.terminal.hex(EMERGENCY) == "BF5B03800100"
    b.reset()
    assert b.terminal.hex(EMERGENCY_END) == "BF5C03800100"
    assert b.card.enabled_iccid is None


# --- immediate enabling ---


def test_immediate_enable_right_after_an_installation() -> None:
    b = bench()
    b.run(bytes.fromhex("A7028000"))
    b.card.mark_just_installed(OPERATOR_A)
    assert b.terminal.hex(IMMEDIATE) == "BF5A03800100"
    assert b.terminal.sw == 0x910B
    b.reset()
    assert b.card.active_iccid == OPERATOR_A
    assert b.terminal.hex(IMMEDIATE) == "BF5A03800104"


def test_immediate_enable_needs_configuration_and_session() -> None:
    b = bench()
    b.card.mark_just_installed(OPERATOR_A)
    assert b.terminal.hex(IMMEDIATE) == "BF5A03800101"
    b.run(bytes.fromhex("A7028000"))
    b.reset()
    assert b.terminal.hex(IMMEDIATE) == "BF5A03800104"
    b.card.mark_just_installed(OPERATOR_A)
    busy(b)
    assert b.terminal.hex(IMMEDIATE) == "BF5A03800105"
    b.terminal.es10("BF5A00")
    assert b.terminal.sw == 0x6A80


def test_another_change_ends_the_session_of_immediate_enabling() -> None:
    b = bench()
    b.run(bytes.fromhex("A7028000"))
    b.card.mark_just_installed(OPERATOR_A)
    assert b.run(enable(ICCID_B)) == "830100"
    assert b.terminal.hex(IMMEDIATE) == "BF5A03800104"


def test_immediate_enable_does_not_displace_a_profile_that_must_stay() -> None:
    b = bench()
    b.run(bytes.fromhex("A7028000"))
    b.card.update_profile(BOOTSTRAP, ppr=[PPR1])
    b.card.mark_just_installed(OPERATOR_A)
    assert b.terminal.hex(IMMEDIATE) == "BF5A03800101"


@pytest.mark.parametrize(
    ("oid", "address", "code"),
    [("2.999.3", "A.b", "00"), ("2.999.4", "a.b", "01"), ("2.999.3", "other", "01")],
)
def test_immediate_enable_only_from_the_configured_smdp(oid: str, address: str, code: str) -> None:
    b = bench()
    b.run(bytes.fromhex("A70C800081038837038203612E62"))
    b.card.mark_just_installed(OPERATOR_A, oid, address)
    assert b.terminal.hex(IMMEDIATE) == "BF5A038001" + code


def test_immediate_enable_ends_the_rollback_grant() -> None:
    b = switched_with_rollback()
    b.run(bytes.fromhex("A7028000"))
    b.card.mark_just_installed(OPERATOR_B)
    b.terminal.es10(IMMEDIATE)
    b.reset()
    assert b.terminal.hex(ROLLBACK) == NO_ROLLBACK


def test_configuration_by_the_device_only_while_no_eim_is_associated() -> None:
    b = bench()
    assert b.terminal.hex("BF59028000") == "BF5903800102"
    b.run(b"\xa9\x06\x80\x04eim1", eco=True)
    assert b.terminal.hex("BF59028000") == "BF5903800100"
    assert b.card.state.immediate_enable is not None
    assert b.terminal.hex("BF5900") == "BF5903800100"
    assert b.card.state.immediate_enable is None
    assert b.terminal.hex(der.tlv(0xBF59, der.null(0x80), der.octets(b"x" * 256, 0x82))) == "BF5903800101"


# --- memory reset ---


def full_card(quirks: Quirks | None = None) -> Bench:
    b = bench(quirks)
    b.card.add_profile(Profile("89490200009000000022", b.card.next_aid(), profile_class=TEST))
    b.card.add_profile(Profile("89490200009000000030", b.card.next_aid(), profile_class=TEST, preloaded=True))
    b.card.update_profile(OPERATOR_A, ppr=[PPR1, PPR2])
    return b


FIELD_TEST, PRELOADED_TEST = "89490200009000000022", "89490200009000000030"


@pytest.mark.parametrize(
    ("bits", "left"),
    [
        ("0780", {BOOTSTRAP, FIELD_TEST, PRELOADED_TEST}),
        ("0640", {BOOTSTRAP, OPERATOR_A, OPERATOR_B, PRELOADED_TEST}),
        ("0410", {BOOTSTRAP, OPERATOR_A, OPERATOR_B, FIELD_TEST}),
        ("0308", {OPERATOR_A, OPERATOR_B, FIELD_TEST, PRELOADED_TEST}),
        ("03D8", set()),
    ],
)
def test_memory_reset_deletes_by_class_and_ignores_policy_rules(bits: str, left: set[str]) -> None:
    b = full_card()
    assert b.terminal.hex("BF64048202" + bits) == "BF6403800100"
    assert set(b.card.profile_states()) == left
    assert (b.terminal.sw == 0x910B) == (BOOTSTRAP not in left)
    assert b.terminal.hex("BF64048202" + bits) == "BF6403800101"
    deleted = {n.iccid for n in b.card.state.notifications if n.event == 3}
    assert deleted == {OPERATOR_A, OPERATOR_B} - left


def test_memory_reset_of_the_default_address() -> None:
    b = bench()
    assert b.terminal.hex("BF640482020520") == "BF6403800101"
    b.run(bytes.fromhex("BF65058003612E62"))
    assert b.terminal.hex("BF640482020520") == "BF6403800100"
    assert b.card.state.default_smdp == "smdp.lab.example"


def test_memory_reset_of_eims_and_immediate_enabling() -> None:
    b = bench(token=True)
    b.run(bytes.fromhex("A7028000"))
    assert b.terminal.hex("BF640482020204") == "BF6406800100810100"
    assert b.card.state.eims == []
    assert b.terminal.hex("BF640482020204") == "BF6406800100810101"
    assert b.terminal.hex("BF640482020102") == "BF6406800100820100"
    assert b.card.state.immediate_enable is None
    assert b.terminal.hex("BF640482020106") == "BF6409800100810101820100"
    # The association token goes on from where it was.
    assert b.card.associate_eim("eim1", pki()["eim-sign"].spki_der, token=-1) == 2


def test_memory_reset_parts_can_be_unsupported() -> None:
    b = bench(Quirks(eim_reset_supported=False, immediate_enable_reset_supported=False))
    assert b.terminal.hex("BF640482020106") == "BF6409800100810102820101"
    assert len(b.card.state.eims) == 1


def test_memory_reset_waits_for_the_proactive_session_and_ends_the_grant() -> None:
    b = switched_with_rollback()
    busy(b)
    assert b.terminal.hex("BF640482020780") == "BF6403800105"
    b.reset()
    assert b.terminal.hex("BF640482020780") == "BF6403800100"
    b.reset()
    assert b.terminal.hex(ROLLBACK) == NO_ROLLBACK
    assert b.card.profile_states() == {BOOTSTRAP: False}
