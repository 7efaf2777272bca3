"""A card of SGP.22 alone, as an LPA and an IPAd meet it, with the oddities that are seen in the field.

Literal answers are written by hand from the tables of SGP.22 §5.7.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc import (
    BOOTSTRAP,
    KINDS,
    OPERATOR_A,
    OPERATOR_B,
    CardError,
    EuiccIdentity,
    Quirks,
    ResponseMode,
    VirtualEuicc,
    card_kind,
    fresh_profiles,
    leave_old_notifications,
)
from ipad_agent.lab.euicc.state.card_state import OPERATIONAL, PPR1, TEST

from .euicc_bench import ICCID_A, ICCID_B, ICCID_BOOTSTRAP, Terminal, card_key, pki, signature_is_good

IOT_FUNCTIONS = tuple(
    f"BF{last}" for last in ("42", "51", "55", "56", "57", "58", "59", "5A", "5B", "5C", "5D", "5E", "5F", "64", "65")
)


def consumer(path: Path | None = None, **quirks: Any) -> Terminal:
    card = VirtualEuicc(EuiccIdentity.from_pki(pki()), path, Quirks(consumer=True, **quirks))
    return Terminal(card).open()


def reopened(terminal: Terminal) -> Terminal:
    terminal.card.reset()
    return Terminal(terminal.card).open()


def by_iccid(iccid: str, refresh: str) -> str:
    return f"A00C5A0A{iccid}8101{refresh}"


def states(terminal: Terminal) -> list[bool]:
    return list(terminal.card.profile_states().values())


@pytest.mark.parametrize("status", [0x6A88, 0x6D00])
@pytest.mark.parametrize("tag", IOT_FUNCTIONS)
def test_a_consumer_card_knows_no_function_of_sgp32(tag: str, status: int) -> None:
    terminal = consumer(unknown_function_status=status)
    assert terminal.es10(tag + "00") == b""
    assert terminal.sw == status


def test_enabling_changes_the_enabled_profile_and_tells_the_modem_only_when_asked() -> None:
    terminal = consumer()
    assert terminal.hex("BF3111" + by_iccid(ICCID_A, "00")) == "BF3103800100"
    assert terminal.sw == 0x9000
    assert states(terminal) == [False, True, False]
    assert terminal.hex("BF3111" + by_iccid(ICCID_B, "FF")) == "BF3103800100"
    assert terminal.sw == 0x910B
    assert terminal.apdu("801200000B")[0].hex().upper() == "D009810301010482028182"
    assert states(terminal) == [False, False, True]


def test_profiles_are_named_by_aid_as_well() -> None:
    terminal = consumer()
    aid = "4F10A0000005591010FFFFFFFF8900001100"
    assert terminal.hex(f"BF3117A012{aid}810100") == "BF3103800100"
    assert terminal.hex(f"BF3217A012{aid}810100") == "BF3203800100"
    assert terminal.hex(f"BF3312{aid}") == "BF3303800100"
    assert list(terminal.card.profile_states()) == [BOOTSTRAP, OPERATOR_B]


def test_an_enabled_profile_is_not_deleted_and_a_disabled_one_not_disabled() -> None:
    terminal = consumer()
    assert terminal.hex(f"BF330C5A0A{ICCID_BOOTSTRAP}") == "BF3303800102"
    assert terminal.hex("BF3211" + by_iccid(ICCID_A, "00")) == "BF3203800102"
    assert terminal.hex("BF3111" + by_iccid(ICCID_BOOTSTRAP, "00")) == "BF3103800102"
    assert states(terminal) == [True, False, False]


def test_policy_rules_hold_against_an_lpa() -> None:
    terminal = consumer()
    terminal.card.update_profile(BOOTSTRAP, ppr=[PPR1])
    assert terminal.hex("BF3111" + by_iccid(ICCID_A, "00")) == "BF3103800103"
    assert terminal.hex("BF3211" + by_iccid(ICCID_BOOTSTRAP, "00")) == "BF3203800103"
    assert states(terminal) == [True, False, False]


def test_no_profile_changes_while_a_toolkit_session_is_open() -> None:
    terminal = consumer()
    terminal.card.queue_proactive(bytes.fromhex("D009810301020082028182"))
    assert terminal.apdu("801200000B")[1] == 0x9000
    assert terminal.hex("BF3111" + by_iccid(ICCID_A, "FF")) == "BF3103800105"
    assert terminal.hex("BF34048202" + "0780") == "BF3403800105"
    terminal.apdu("801400000C810301020082028281830100")
    assert terminal.hex("BF3111" + by_iccid(ICCID_A, "FF")) == "BF3103800100"


def test_after_a_test_profile_only_the_profile_from_before_it_comes_back() -> None:
    terminal = consumer()
    terminal.card.update_profile(BOOTSTRAP, ppr=[PPR1])
    terminal.card.update_profile(OPERATOR_A, profile_class=TEST)
    assert terminal.hex("BF3111" + by_iccid(ICCID_A, "00")) == "BF3103800100"  # whatever PPR1 says
    terminal = reopened(terminal)
    assert terminal.hex("BF3111" + by_iccid(ICCID_B, "00")) == "BF3103800104"
    assert terminal.hex("BF3211" + by_iccid(ICCID_A, "00")) == "BF3203800100"
    assert states(terminal) == [True, False, False]


def test_a_name_is_given_and_taken_by_iccid() -> None:
    terminal = consumer()
    assert terminal.hex(f"BF29105A0A{ICCID_A}90026162") == "BF2903800100"
    assert "90026162" in terminal.hex("BF2D00")
    assert terminal.hex(f"BF290E5A0A{ICCID_A}9000") == "BF2903800100"
    assert "90026162" not in terminal.hex("BF2D00")
    assert terminal.hex("BF29105A0A98942000000900000099" + "90026162") == "BF2903800101"


def test_memory_reset_does_what_sgp22_says_and_nothing_of_sgp32() -> None:
    terminal = consumer()
    terminal.card.update_profile(OPERATOR_B, profile_class=TEST)
    assert terminal.hex("BF340482020106") == "BF3403800101"  # not eIMs, not immediate enabling: bits of SGP.32
    assert terminal.hex("BF340482020780") == "BF3403800100"  # operational
    assert list(terminal.card.profile_states()) == [BOOTSTRAP, OPERATOR_B]
    assert terminal.hex("BF340482020640") == "BF3403800100"  # test profiles that were downloaded
    assert list(terminal.card.profile_states()) == [BOOTSTRAP]
    assert terminal.hex("BF340482020640") == "BF3403800101"
    assert terminal.hex("BF3F068004612E6263") == "BF3F03800100"
    assert terminal.hex("BF340482020520") == "BF3403800100"  # the default SM-DP+
    assert terminal.card.state.default_smdp == "smdp.lab.example"


def test_addresses_eid_and_rules_are_told() -> None:
    terminal = consumer()
    assert terminal.hex("BF3F06" + "8004612E6263") == "BF3F03800100"
    assert terminal.hex("BF3C00") == "BF3C188004612E6263" + "8110" + b"smds.lab.example".hex().upper()
    assert terminal.hex("BF3E035C015A") == "BF3E125A10" + pki().eid
    assert terminal.hex("BF4300").startswith("BF43")


def test_a_consumer_card_has_no_value_for_fields_that_came_with_sgp32() -> None:
    terminal = consumer()
    answer = terminal.hex("BF2D095C075A9F709F269F67")
    assert (answer.count("5A0A"), answer.count("9F7001"), "9F26" in answer, "9F67" in answer) == (3, 3, False, False)


@pytest.mark.parametrize(("status", "answer", "sw"), [(0, "BF2D03810101", 0x9000), (0x6A80, "", 0x6A80)])
def test_a_tag_list_with_such_fields_may_be_refused_in_two_ways(status: int, answer: str, sw: int) -> None:
    terminal = consumer(refuses_sgp32_tags=True, tag_refusal_status=status)
    assert terminal.hex("BF2D055C035A9F67") == answer
    assert terminal.sw == sw
    assert terminal.hex("BF2D055C035A9F70").startswith("BF2D38A036")
    assert terminal.hex("BF2D00").startswith("BF2D")


def test_old_notifications_are_kept_signed_and_removed_one_by_one(tmp_path: Path) -> None:
    terminal = consumer(tmp_path / "card.json")
    leave_old_notifications(terminal.card, 11)
    terminal = Terminal(VirtualEuicc(terminal.card.identity, tmp_path / "card.json", terminal.card.quirks)).open()
    listed = der.parse(terminal.es10("BF2800")).get(0xA0).children
    assert [one.get(0x80).integer() for one in listed] == list(range(1, 12))
    whole = der.parse(terminal.es10("BF2B05A003800103")).get(0xA0).children[0]
    metadata, signature = whole.children[0], whole.children[1]
    assert metadata.raw == listed[2].raw
    assert signature_is_good(card_key(), signature.value, metadata.raw)
    assert len(terminal.es10("BF2B00")) > 10_000  # tens of kB by GET RESPONSE
    assert terminal.hex("BF3003800103") == "BF3003800100"
    assert terminal.hex("BF3003800103") == "BF3003800101"
    assert len(der.parse(terminal.es10("BF2800")).get(0xA0).children) == 10


def test_results_of_packages_cannot_be_searched_on_a_consumer_card() -> None:
    assert consumer().hex("BF2B04A0028200") == "BF2B0381017F"


def test_a_toolkit_command_may_wait_behind_every_answer() -> None:
    terminal = consumer(toolkit_after_es10=True)
    assert terminal.hex("BF3E035C015A") == "BF3E125A10" + pki().eid
    assert terminal.sw == 0x910B
    assert terminal.apdu("801200000B")[0].hex().upper() == "D009810301020082028182"
    # a REFRESH takes the place of the next one
    terminal.apdu("801400000C810301020082028281830100")
    assert terminal.hex("BF3111" + by_iccid(ICCID_A, "FF")) == "BF3103800100"
    assert terminal.apdu("801200000B")[0].hex().upper() == "D009810301010482028182"


def test_get_response_may_be_understood_in_one_class_only() -> None:
    card = consumer(get_response_classes=frozenset({0x80})).card
    terminal = Terminal(card, channel=1)
    data, sw = terminal.on_channel(0x80, "E2910006BF3E035C015A")
    assert (data, sw >> 8) == (b"", 0x61)
    assert terminal.on_channel(0x00, "C0000000")[1] == 0x6E00
    assert terminal.on_channel(0x80, "C0000000")[0].hex().upper() == "BF3E125A10" + pki().eid


def test_an_answer_may_come_at_once() -> None:
    card = consumer(response_mode=ResponseMode.INLINE).card
    data, sw = Terminal(card, channel=1).on_channel(0x80, "E2910006BF3E035C015A00")
    assert (data.hex().upper(), sw) == ("BF3E125A10" + pki().eid, 0x9000)


# Kinds of cards


def test_every_kind_of_card_is_told_by_what_it_answers() -> None:
    found = {}
    for name, kind in KINDS.items():
        card = VirtualEuicc(EuiccIdentity.from_pki(pki()), None, kind.quirks)
        selected = card.transmit(bytes.fromhex("00A4040010A0000005591010FFFFFFFF8900000100"))
        fci = card.transmit(bytes.fromhex("00C0000000"))
        fetched = card.transmit(bytes.fromhex("80E2910003BF5500"))
        found[name] = (
            selected[:1].hex(),
            "e1" if b"\xe1\x04\x80" in fci else "e0" if b"\xe0\x05" in fci else "",
            fetched,
        )
    assert found["sgp02"][:2] == ("6a", "")
    assert found["consumer"] == ("61", "e0", b"\x6a\x88")
    assert all(found[name][:2] == ("61", "e1") for name in ("iot-v1.0", "iot-v1.2", "iot-v1.3", "ipae"))
    assert [name for name, kind in KINDS.items() if not kind.inserted] == ["none"]


@pytest.mark.parametrize(
    ("name", "versions"),
    [
        ("iot-v1.0", "A0050403010000"),
        ("iot-v1.2", "A0050403010200"),
        ("iot-v1.3", "A00A04030102000403010300"),
    ],
)
def test_an_iot_card_says_its_version(name: str, versions: str) -> None:
    card = VirtualEuicc(EuiccIdentity.from_pki(pki()), None, card_kind(name).quirks)
    assert versions in Terminal(card).open().hex("BF2200")


def test_a_card_that_is_not_known_is_refused_with_the_names_of_those_that_are() -> None:
    with pytest.raises(CardError, match=r"iot-v1\.0, .*, none, not 'sgp42'"):
        card_kind("sgp42")


def test_fresh_profiles_are_as_many_and_called_as_asked() -> None:
    assert fresh_profiles(0) == []
    assert [p.iccid for p in fresh_profiles(2, ["8949020a000000000b"])] == ["8949020A000000000B", OPERATOR_A]
    five = fresh_profiles(5)
    assert len({p.aid for p in five}) == len({p.iccid for p in five}) == 5
    assert [p.enabled for p in five] == [True, False, False, False, False]
    assert five[4].profile_class == OPERATIONAL
    with pytest.raises(CardError, match="64"):
        fresh_profiles(65)
    with pytest.raises(CardError, match="twice"):
        fresh_profiles(3, [OPERATOR_A])
    with pytest.raises(CardError, match="18 to 20"):
        fresh_profiles(1, ["12"])
    with pytest.raises(CardError, match="one for each"):
        fresh_profiles(1, [OPERATOR_A, OPERATOR_B])
