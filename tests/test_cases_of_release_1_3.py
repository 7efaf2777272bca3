"""The test cases that SGP.32 v1.3 gives cause for, T01 to T40, and which tests are theirs.

One table: whoever removes or renames a test is told which case would be without one.
"""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
CASES: dict[str, tuple[str, tuple[str, ...]]] = {
    "T01": (
        "BF55 with AA in an entry, and with unknown AB to AF: decoded, the bytes are kept",
        ("codec/test_release_1_3.py::test_an_entry_of_a_card_keeps_the_fields_of_releases_to_come",),
    ),
    "T02": (
        "EUICCInfo2 with several versions, 83 and 95: versions shown",
        ("codec/test_release_1_3.py::test_a_card_of_any_release_is_an_iot_card",),
    ),
    "T03": (
        "EUICCInfo2 with versions 1.4.0 or 2.0.0 only: works",
        ("codec/test_release_1_3.py::test_a_card_of_any_release_is_an_iot_card",),
    ),
    "T04": (
        "unsigned error with code 15, with 127, without: relayed byte for byte, code shown",
        (
            "procedures/test_poll_of_release_1_3.py::test_an_unsigned_error_is_relayed_byte_for_byte_and_its_code_is_told",
            "codec/test_euicc_package.py::test_an_unsigned_refusal_says_why_since_v1_3",
        ),
    ),
    "T05": (
        "E3 with BF64, empty and with unknown content: the list is read",
        ("codec/test_release_1_3.py::test_a_profile_with_iot_specific_information_is_a_profile_like_any_other",),
    ),
    "T06": (
        "BF25 with BF64 and 9F67 in the AuthenticateClient answer: the download proceeds",
        (
            "codec/test_release_1_3.py::test_metadata_with_iot_specific_information_is_read_and_kept",
            "lab/euicc/test_rsp_load.py::test_metadata_at_their_limits_and_with_unknown_fields",
        ),
    ),
    "T07": (
        "BF5C answers 8: not available, no state change told",
        ("whole/test_emergency_not_available.py::test_ecall_not_available_is_told_and_no_state_change",),
    ),
    "T08": (
        "BF3B error 18, BF3A error 6, unknown 19: the session ends once",
        (
            "codec/test_esipa_rsp.py::test_an_expired_order_has_its_name_where_v1_2_and_v1_3_have_its_number",
            "procedures/test_download.py::test_a_refusal_of_the_eim_is_what_it_knows_itself",
        ),
    ),
    "T09": (
        "compact A1 with a trailing 04: accepted by the eIM",
        (
            "lab/eim/test_virtual.py::test_compact_notifications_are_read",
            "codec/test_notifications.py::test_the_compact_forms_are_read",
        ),
    ),
    "T10": (
        "pushed package: each answer as by an encoder of v1.3; the old form towards a v1.2 eIM",
        (
            "codec/test_release_1_3.py::test_an_injected_package_is_answered_with_its_correlation",
            "inject/test_pushed_packages.py::test_what_is_taken_on_is_received_in_the_form_of_the_eims_release",
            "inject/test_pushed_packages.py::test_what_is_not_taken_is_an_undefined_error_and_keeps_its_transaction",
        ),
    ),
    "T11": (
        "BF4F answer holding BF60: unknownPackage, the loop ends",
        (
            "procedures/test_poll_of_release_1_3.py::test_an_answer_in_the_place_of_a_package_is_unknown_and_ends_the_poll",
        ),
    ),
    "T12": (
        "X-Admin-Protocol of answers: v1.3.0, v2.1.0, v3.x, none, garbage; never a failure",
        (
            "net/test_https.py::test_odd_heads_of_answers_are_tolerated_and_told_once",
            "net/test_https.py::test_what_a_server_calls_its_protocol_is_known",
        ),
    ),
    "T13": (
        "eIMs that insist on v2.1.0 or on v1.3.0: configurable",
        (
            "test_wiring.py::test_only_an_eim_of_v1_3_is_told_a_release_of_sgp_32_in_the_header",
            "test_wiring.py::test_an_eim_that_insists_on_another_header_gets_it_and_no_other_does",
        ),
    ),
    "T14": (
        "BF54 without data: indirect download without 83 where the IPA announced it, else invalidPackageFormat",
        (
            "procedures/test_download.py::test_an_order_without_data_leaves_the_server_to_the_eim",
            "procedures/test_download.py::test_an_order_that_nobody_could_carry_out_is_malformed_in_every_configuration",
        ),
    ),
    "T15": (
        "BF52 with 5A, BF2D, nothing, unknown: incorrectTagList",
        ("procedures/test_poll_of_release_1_3.py::test_a_question_for_what_nobody_may_ask_is_an_incorrect_tag_list",),
    ),
    "T16": (
        "BF53 naming unknown numbers: what exists is removed, nothingToDelete is success",
        (
            (
                "whole/test_injected_orders.py::"
                "test_acknowledgements_that_are_pushed_take_only_results_of_that_eim_off_the_card"
            ),
            "procedures/test_poll_of_release_1_3.py::test_an_acknowledged_number_that_the_card_does_not_know_is_no_trouble",
        ),
    ),
    "T17": (
        "an eIM refuses notification 1 of 3: the others are removed, the first is offered again after a pause",
        (
            "procedures/test_notify.py::test_an_eim_that_does_not_take_one_still_gets_the_others_and_later_that_one_again",
            "procedures/test_download_parts.py::test_pauses_double_from_ten_minutes_to_a_day_and_outlive_a_restart",
        ),
    ),
    "T18": (
        "an eIM gone in the middle of the list: the round ends, nothing is lost",
        ("procedures/test_notify.py::test_an_eim_out_of_reach_ends_the_delivery",),
    ),
    "T19": (
        "direct download, SM-DP+ down afterwards: result to the eIM, notification kept for the SM-DP+",
        ("whole/test_download.py::test_a_dead_smdp_gets_its_notification_when_it_is_back",),
    ),
    "T20": (
        "a card that refuses tag lists: shorter ones are used; a passing trouble teaches nothing",
        (
            "card/test_es10_functions.py::test_a_card_that_refuses_fields_is_asked_for_fewer_and_not_again_for_more",
            "card/test_es10_functions.py::test_what_goes_wrong_for_a_moment_says_nothing_about_the_list_of_fields",
        ),
    ),
    "T21": (
        "listProfileInfo without 5C: the default list of SGP.32",
        ("lab/euicc/test_euicc_functions.py::test_profile_list_with_the_default_tags",),
    ),
    "T22": (
        "disable A, enable B with rollbackFlag, ProfileRollback: A is enabled",
        (
            (
                "lab/euicc/test_euicc_switches.py::"
                "test_rollback_of_a_disable_and_an_enable_in_one_package_goes_back_to_the_first"
            ),
        ),
    ),
    "T23": (
        "enable after fallback, then ReturnFromFallback: 6",
        ("lab/euicc/test_euicc_switches.py::test_an_order_of_the_eim_ends_the_way_back_from_fallback",),
    ),
    "T24": (
        "setFallbackAttribute on its holder: ok; on one that does not allow it: 2",
        (
            "lab/euicc/test_euicc_operations.py::test_fallback_attribute_moves",
            "lab/euicc/test_euicc_operations.py::test_fallback_attribute_is_refused",
        ),
    ),
    "T25": (
        "delete the return target while the Fallback Profile is enabled: 21",
        ("lab/euicc/test_euicc_operations.py::test_the_profile_to_return_to_from_fallback_cannot_be_deleted",),
    ),
    "T26": (
        "eCO deleting the sender as last eIM, then listEim: 2, an empty list, the result delivered",
        (
            (
                "lab/euicc/test_euicc_operations.py::"
                "test_the_last_eim_may_delete_itself_and_still_list_nobody_in_the_same_package"
            ),
            "whole/test_agent.py::test_the_last_eim_that_deletes_itself_gets_its_result_and_leaves_an_empty_card",
        ),
    ),
    "T27": (
        "BF55 without 83: accepted, nothing shown as counter 0",
        ("whole/test_foreign_eim_data.py::test_entries_without_a_counter_are_read_and_none_is_shown_as_zero",),
    ),
    "T28": (
        "power cut after LoadEuiccPackage, before delivery, before and after the swap: one result reaches the eIM",
        (
            "lab/euicc/test_euicc_power.py::test_power_cut_at_every_apdu_of_an_enable_package",
            "whole/test_memory.py::test_a_power_cut_at_any_apdu_runs_nothing_twice_and_loses_nothing",
            "whole/test_switch.py::test_a_power_cut_at_any_moment_of_a_switch_ends_with_a_working_profile_and_the_truth",
        ),
    ),
    "T29": (
        "httpParams in all forms: APN, PDP type, user and password",
        (
            "codec/test_connectivity.py::test_the_apn_is_found_bare_and_in_envelopes",
            "codec/test_connectivity.py::test_the_pdp_type_follows_the_bearer_description",
            "codec/test_connectivity.py::test_user_and_password_are_the_two_text_strings",
        ),
    ),
    "T30": (
        "a card that answers 6985 until it hears TERMINAL CAPABILITY",
        ("card/test_isdr_session.py::test_a_card_that_stays_closed_gets_terminal_capability_in_other_forms",),
    ),
    "T31": (
        "a card whose FCI has E1 behind A5",
        ("card/test_isdr_session.py::test_the_iot_template_is_found_at_any_place",),
    ),
    "T32": (
        "IMEI in deviceInfo: the last byte is xF",
        (
            "codec/test_device.py::test_the_imei_ends_with_its_check_digit_in_the_high_nibble",
            "procedures/test_data_request.py::test_device_info_has_the_swapped_digits_of_the_imei",
        ),
    ),
    "T33": (
        "A5 and A6 in BF52: three siblings, or an inner 30",
        (
            "lab/euicc/test_euicc_quirks.py::test_whole_certificates_inside_their_tags",
            "lab/eim/test_relay.py::test_what_the_eim_knows_may_all_be_left_out",
            "codec/test_tagging_rules.py::test_t5_keys_and_certificates_get_their_30_back",
        ),
    ),
    "T34": (
        "eimPublicKeyData A5 with a bare 30: decoded with a remark",
        ("codec/test_eim_config.py::test_a_key_without_the_choice_is_told_by_its_shape",),
    ),
    "T35": (
        "emulation: a crash at each of its steps: never executed twice",
        (
            "whole/test_emulated_card.py::test_t35_a_power_cut_at_any_apdu_executes_nothing_twice_and_tells_the_truth",
            (
                "whole/test_emulated_counter.py::"
                "test_a_package_that_changes_no_profile_is_not_carried_out_again_after_a_cut_before_its_result"
            ),
        ),
    ),
    "T36": (
        "import file: the vector; a change of one character in eid, key or counter: the proof fails",
        (
            "emulation/test_import_file.py::test_t36_the_import_file_of_a_fixed_key_equals_the_vector_byte_for_byte",
            "emulation/test_import_file.py::test_t36_one_character_changed_in_what_is_proven_is_refused",
            "emulation/test_import_file.py::test_t36_a_changed_key_has_no_proof",
        ),
    ),
    "T37": (
        "bundle: escape, duplicate, nested object, trailing byte, 16 KiB + 1, negative counter, expired: refused, left",
        (
            "whole/test_bundle_provisioning.py::test_t37_a_refused_bundle_is_left_where_it_is_and_says_why",
            "emulation/test_provisioning_bundle.py::test_t37_an_escape_is_refused",
            "emulation/test_provisioning_bundle.py::test_t37_a_member_that_is_there_twice_is_refused",
            "emulation/test_provisioning_bundle.py::test_t37_anything_but_texts_and_integers_is_refused",
            "emulation/test_provisioning_bundle.py::test_t37_a_byte_behind_the_end_is_refused",
            "emulation/test_provisioning_bundle.py::test_t37_a_bundle_of_more_than_16_kib_is_refused",
            "emulation/test_provisioning_bundle.py::test_t37_a_negative_counter_and_one_that_is_none_are_refused",
            "emulation/test_provisioning_bundle.py::test_t37_an_expired_bundle_is_refused_and_keeps_no_key",
        ),
    ),
    "T38": (
        "self-binding answered with 204, 409, 403, 429 + Retry-After, 500, a timeout, 404",
        (
            "whole/test_bundle_provisioning.py::test_t38_204_and_409_bind_and_the_poll_goes_on",
            "whole/test_bundle_provisioning.py::test_t38_403_ends_polling_until_a_person_acts",
            "whole/test_bundle_provisioning.py::test_t38_429_waits_as_long_as_it_says_and_at_most_a_day",
            (
                "whole/test_bundle_provisioning.py::"
                "test_t38_500_404_and_silence_stay_pending_and_are_tried_again_by_the_back_off"
            ),
        ),
    ),
    "T39": (
        "SIM reset during an open channel: reopened, no APDU to a dead channel",
        (
            "card/test_reset_recovery.py::test_a_lost_card_is_just_opened_again_without_any_reset",
            "card/test_reset_recovery.py::test_the_channel_is_closed_before_the_reset",
        ),
    ),
    "T40": (
        "ES9+ servers of later releases: header v3.x and unknown members do not matter",
        ("codec/test_rsp_json.py::test_members_of_later_releases_are_passed_over",),
    ),
}


@functools.cache
def names(path: Path) -> frozenset[str]:
    """The tests of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


def test_every_case_has_a_test() -> None:
    assert sorted(CASES) == [f"T{number:02}" for number in range(1, 41)]
    assert all(tests for _, tests in CASES.values())


@pytest.mark.parametrize("case", CASES)
def test_the_tests_of_a_case_are_there(case: str) -> None:
    for one in CASES[case][1]:
        file, _, name = one.partition("::")
        assert re.fullmatch(r"[a-z_0-9/]+\.py", file)
        assert name in names(TESTS / file), f"{case} ({CASES[case][0]}): {one} is gone"
