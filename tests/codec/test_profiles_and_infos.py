"""Profiles, the policy table, and what the eUICC says about itself."""

from __future__ import annotations

import pytest

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.es10.euicc_info import EuiccInfo1, EuiccInfo2, IotSpecificInfo, IpaMode, Version
from ipad_agent.codec.es10.notifications import NotificationEvent
from ipad_agent.codec.es10.profile_info import (
    NotificationReceiver,
    ProfileClass,
    ProfileInfo,
    ProfileList,
    ProfileMetadata,
)
from ipad_agent.codec.es10.rules_authorisation_table import OperatorId, RulesAuthorisationTable
from ipad_agent.codec.identifiers import Iccid
from ipad_agent.errors import CodecError

from .vectors import ICCID_DIGITS, INFO1, INFO2, METADATA, PROFILES, RAT, H

CI = bytes([0xF5] * 20)


def test_a_profile_is_read() -> None:
    (profile,) = ProfileList.parse(PROFILES).profiles
    assert profile.raw == PROFILES[5:]
    assert (profile.iccid, profile.enabled, profile.profile_class) == (
        Iccid.parse(ICCID_DIGITS),
        True,
        ProfileClass.OPERATIONAL,
    )
    assert profile.aid == H("A0000005591010FFFFFFFF8900001100")
    assert (profile.service_provider_name, profile.profile_name, profile.nickname) == ("Operator", "Name", None)
    assert (profile.fallback_attribute, profile.fallback_allowed, profile.ecall_indication) == (True, True, None)
    assert ProfileList.parse(PROFILES).enabled == profile


def test_a_profile_of_which_nothing_is_told_is_not_enabled() -> None:
    profile = ProfileInfo.parse(H("E300"))
    assert (profile.iccid, profile.state, profile.enabled, profile.fallback_attribute) == (None, None, False, False)


def test_an_iccid_with_letters_keeps_its_bytes() -> None:
    profile = ProfileInfo.parse(H("E30C 5A0A 98680A99999999990920"))
    assert (str(profile.iccid), profile.iccid_raw) == ("8986A099999999999002", H("98680A99999999990920"))
    assert profile.identity == "8986A099999999999002"
    assert profile.tolerances == ("letters-in-identifier",)


@pytest.mark.parametrize(
    ("fields", "identity"),
    [
        ("5A0A 98F444999999990920F3 9F700101", "0x98F444999999990920F3"),
        ("5A02 9844 9F700101", "0x9844"),
        ("4F10 A0000005591010FFFFFFFF8900001100 9F700101", "0xA0000005591010FFFFFFFF8900001100"),
        ("9F700101", "0x"),
    ],
)
def test_an_enabled_profile_is_somebody_whatever_the_card_tells_of_it(fields: str, identity: str) -> None:
    profile = ProfileInfo.parse(tlv.encode(0xE3, H(fields)))
    assert profile.enabled
    assert profile.identity == identity


def test_a_name_that_is_no_utf8_is_shown_all_the_same() -> None:
    profile = ProfileInfo.parse(H("E303 9101FF"))
    assert (profile.service_provider_name, profile.tolerances) == ("\ufffd", ("unreadable-text",))


@pytest.mark.parametrize("data", ["BF2D 06 3004 A002 E300", "BF2D 06 A004 3002 E300"])
def test_a_sequence_too_many_is_unwrapped(data: str) -> None:
    read = ProfileList.parse(H(data))
    assert (len(read.profiles), read.tolerances) == (1, ("extra-sequence",))


@pytest.mark.parametrize(
    ("data", "error", "tolerances"),
    [
        ("BF2D 03 81010B", 11, ()),
        ("BF2D 03 02010B", 11, ("universal-integer",)),
        ("BF2D 02 A000", None, ()),
        ("BF2D 00", None, ("empty-answer",)),
        ("BF2D 05 BF2D 02 A000", None, ("doubled-tag",)),
    ],
)
def test_lists_without_profiles(data: str, error: int | None, tolerances: tuple[str, ...]) -> None:
    read = ProfileList.parse(H(data))
    assert (read.profiles, read.error, read.enabled, read.tolerances) == ((), error, None, tolerances)


def test_one_broken_profile_does_not_hide_the_others() -> None:
    read = ProfileList.parse(H("BF2D 0A A008 E302 5A0A  E300 9E00"))
    assert (len(read.profiles), len(read.unreadable), read.tolerances) == (1, 2, ("unreadable-element",))


@pytest.mark.parametrize("data", ["BF2D 02 9E00", "BF2D 02 3000", "E300", ""])
def test_what_is_no_profile_list_is_refused(data: str) -> None:
    with pytest.raises(CodecError):
        ProfileList.parse(H(data))


def test_the_metadata_of_an_offered_profile_is_read() -> None:
    read = ProfileMetadata.parse(METADATA)
    assert read.raw == METADATA
    assert (read.iccid, read.profile_class) == (Iccid.parse(ICCID_DIGITS), ProfileClass.OPERATIONAL)
    assert read.notification_receivers == (
        NotificationReceiver(frozenset({NotificationEvent.INSTALL}), "smdp.example"),
    )
    assert read.owner == OperatorId(H("62F210"), b"\xab")
    assert (read.policy_rules, read.fallback_allowed) == (frozenset({1}), True)


def test_policy_rules_that_cannot_be_read_are_not_taken_for_no_rules() -> None:
    assert ProfileMetadata.parse(H("BF25 0E 5A0A 989444999999990920F3 9900")).policy_rules is None
    assert ProfileMetadata.parse(H("BF25 0C 5A0A 989444999999990920F3")).policy_rules == frozenset()


def test_broken_side_information_does_not_hide_a_profile() -> None:
    profile = ProfileInfo.parse(H("E30C B604 30028001 B704 80026201"))
    assert (profile.owner, profile.notification_receivers) == (None, ())
    assert profile.tolerances == ("unreadable-element",)


# -- policy ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [RAT, b"\xa6" + RAT[4:]])
def test_the_policy_table_is_read_from_the_card_and_from_a_result(data: bytes) -> None:
    (rule,) = RulesAuthorisationTable.parse(data).rules
    assert (rule.ppr_ids, rule.consent_required) == (frozenset({1}), True)
    assert rule.operators == (OperatorId(H("62F210"), b""), OperatorId(H("EEEEEE"), b"\xab"))


def test_a_rule_that_cannot_be_read_authorises_nothing() -> None:
    table = RulesAuthorisationTable.parse(H("BF43 06 A004 3002 8000"))
    assert (table.rules, table.tolerances) == ((), ("unreadable-element",))
    assert RulesAuthorisationTable.parse(H("A000")).tolerances == ("missing-outer-tag",)


@pytest.mark.parametrize("data", ["BF43 00", "BF44 02 A000", "3000"])
def test_what_is_no_policy_table_is_refused(data: str) -> None:
    with pytest.raises(CodecError):
        RulesAuthorisationTable.parse(H(data))


@pytest.mark.parametrize(
    ("rule", "owner", "allowed"),
    [
        (OperatorId(H("62F210")), OperatorId(H("62F210")), True),
        (OperatorId(H("62F210")), OperatorId(H("62F220")), False),
        (OperatorId(H("EEEEEE")), OperatorId(H("62F210")), True),
        (OperatorId(H("62FEEE")), OperatorId(H("62F210")), True),
        (OperatorId(H("62FEEE")), OperatorId(H("13F010")), False),
        (OperatorId(H("62F210")), OperatorId(H("62F210"), b"\x01"), False),
        (OperatorId(H("62F210"), b""), OperatorId(H("62F210"), b"\x01"), True),
        (OperatorId(H("62F210"), b""), OperatorId(H("62F210")), True),
        (OperatorId(H("62F210"), b"\x01"), OperatorId(H("62F210"), b"\x01"), True),
        (OperatorId(H("62F210"), b"\x01"), OperatorId(H("62F210"), b"\x02"), False),
        (OperatorId(H("62F210"), None, b"\x01"), OperatorId(H("62F210")), False),
    ],
)
def test_a_rule_covers_an_owner_as_sgp22_says(rule: OperatorId, owner: OperatorId, allowed: bool) -> None:
    assert rule.allows(owner) is allowed


# -- the eUICC -------------------------------------------------------------------------------------------------------


def test_the_first_info_is_read() -> None:
    read = EuiccInfo1.parse(INFO1)
    assert (read.raw, read.svn, str(read.svn)) == (INFO1, Version(2, 5, 0), "2.5.0")
    assert (read.ci_pkids_for_verification, read.ci_pkids_for_signing) == ((CI,), (CI,))


def test_a_shortened_ci_identifier_is_completed() -> None:
    read = EuiccInfo1.parse(INFO1)
    assert [read.full_ci_pkid(prefix) for prefix in (b"", b"\xf5\xf5", CI, b"\xf6")] == [CI, CI, CI, None]


def test_the_second_info_is_read() -> None:
    read = EuiccInfo2.parse(INFO2)
    assert read.raw == INFO2
    assert read.iot == IotSpecificInfo((Version(1, 0, 0), Version(1, 2, 0)), ecall=True, fallback=True)
    assert (read.ipa_mode, read.forbidden_policy_rules) == (IpaMode.IPAD, frozenset({1}))
    assert read.ext_card_resource.free_non_volatile_bytes == 0x40000
    assert (read.ext_card_resource.installed_applications, read.ext_card_resource.free_volatile_bytes) == (1, 0x1000)
    assert (read.rsp_capability, read.sas_accreditation_number) == (frozenset({0, 3}), "XX-YY-0001")
    assert (read.firmware_version, read.pp_version) == (Version(1, 2, 3), Version(1, 0, 0))


def test_a_consumer_euicc_has_no_iot_part() -> None:
    read = EuiccInfo2.parse(H("BF22 05 8203020500"))
    assert (read.iot, read.ipa_mode, read.svn, read.forbidden_policy_rules) == (
        None,
        None,
        Version(2, 5, 0),
        frozenset(),
    )


def test_parts_of_the_info_that_cannot_be_read_are_left_open() -> None:
    read = EuiccInfo2.parse(H("BF22 0F 820102 840281FF 9900 B404 A002 0400"))
    assert (read.svn, read.ext_card_resource.free_volatile_bytes) == (None, None)
    assert read.iot == IotSpecificInfo((), ecall=False, fallback=False)
    assert read.forbidden_policy_rules == frozenset({0, 1, 2}), "what cannot be read forbids every rule"
    assert read.tolerances == ("unreadable-element", "unreadable-bits")


def test_versions_are_three_bytes_and_can_be_compared() -> None:
    assert Version.from_bytes(b"\x01\x02\x00") > Version(1, 1, 9)
    with pytest.raises(CodecError):
        Version.from_bytes(b"\x01\x02")


def test_free_memory_written_with_many_bytes_stays_bounded() -> None:
    resource = tlv.encode(0x84, tlv.encode(0x82, b"\xff" * 100))
    read = EuiccInfo2.parse(tlv.encode(0xBF22, resource))
    assert read.ext_card_resource.free_non_volatile_bytes == (1 << 64) - 1
