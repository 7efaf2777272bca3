"""ES10c on a consumer card: the bytes of SGP.22 v2.5 §5.7.16 to §5.7.19, and the reset that completes a switch."""

from __future__ import annotations

import pytest

from ipad_agent.codec.es10 import es10c_requests
from ipad_agent.codec.es10.es10_control import ResetOption
from ipad_agent.errors import CodecError

ICCID = bytes.fromhex("98940200000000000001")


def test_requests_are_those_of_sgp_22() -> None:
    assert es10c_requests.enable_profile_request(ICCID).hex().upper() == "BF3111A00C5A0A98940200000000000001810100"
    assert es10c_requests.disable_profile_request(ICCID, refresh=True).hex().upper() == (
        "BF3211A00C5A0A989402000000000000018101FF"
    )
    assert es10c_requests.delete_profile_request(ICCID).hex().upper() == "BF330C5A0A98940200000000000001"
    assert es10c_requests.set_default_dp_address_request(b"dp.example").hex().upper() == (
        "BF3F0C800A64702E6578616D706C65"
    )
    assert es10c_requests.euicc_memory_reset_request(set(es10c_requests.RESET_PARTS)).hex().upper() == "BF3404820205E0"


def test_answers_are_read_with_their_names() -> None:
    assert es10c_requests.parse_enable_profile(bytes.fromhex("BF3103800104")).name == "wrongProfileReenabling"
    assert es10c_requests.parse_disable_profile(bytes.fromhex("BF3203800105")).name == "catBusy"
    assert es10c_requests.parse_delete_profile(bytes.fromhex("BF3303800100")).ok
    assert es10c_requests.parse_set_default_dp_address(bytes.fromhex("BF3F0380017F")).name == "undefinedError"


def test_a_reset_that_a_consumer_card_has_no_name_for_is_not_made_smaller() -> None:
    with pytest.raises(CodecError, match="PROVISIONING_PROFILES"):
        es10c_requests.euicc_memory_reset_request({ResetOption.PROVISIONING_PROFILES, ResetOption.OPERATIONAL_PROFILES})
