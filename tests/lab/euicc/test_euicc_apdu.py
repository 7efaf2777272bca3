"""The card at its contacts: channels, SELECT, blocks, answers in pieces, files. Literal APDUs as terminals send."""

from __future__ import annotations

import pytest

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc import BOOTSTRAP, Quirks, ResponseMode, VirtualEuicc, default_card

from .euicc_bench import ICCID_A, ICCID_BOOTSTRAP, Terminal, bench, disable, enable, pki

SELECT = "A4040010A0000005591010FFFFFFFF8900000100"
# 6F { 84 AID, A5 { 9F65 FF }, E1 { 80 06 40: a profile is enabled } }
FCI = "6F1E8410A0000005591010FFFFFFFF8900000100A5049F6501FFE10480020640"
GET_EID = "E2910006BF3E035C015A"


def card(quirks: Quirks | None = None) -> VirtualEuicc:
    return default_card(pki(), quirks=quirks)


def send(to: VirtualEuicc, *apdus: str) -> list[str]:
    return [to.transmit(bytes.fromhex(apdu)).hex().upper() for apdu in apdus]


def eid_answer() -> str:
    return "BF3E125A10" + pki().eid


def test_channel_is_opened_selected_used_and_closed() -> None:
    answers = send(card(), "0070000001", "01" + SELECT, "01C0000020", "81" + GET_EID, "81C0000015", "0070800100")
    assert answers == ["019000", "6120", FCI + "9000", "6115", eid_answer() + "9000", "9000"]


def test_three_ways_to_ask_for_a_channel() -> None:
    assert send(card(), "0070000001", "0070000000", "0070000300", "00700000") == ["019000", "029000", "9000", "6C01"]


def test_a_fixed_channel_cannot_be_opened_twice() -> None:
    assert send(card(), "0070000100", "0070000100", "0070000001") == ["9000", "6A86", "029000"]


def test_no_channel_is_left_when_all_are_open() -> None:
    full = card(Quirks(max_channels=2))
    assert send(full, "0070000001", "0070000001", "0070000001", "0070000300") == ["019000", "029000", "6A81", "6A81"]
    assert send(full, "0070800100", "0070000001") == ["9000", "019000"]


def test_channels_4_to_19_use_the_other_class_bytes() -> None:
    many = card()
    for number in range(1, 20):
        assert send(many, "0070000001") == [f"{number:02X}9000"]
    # channel 4 is 40/C0, channel 19 is 4F/CF
    assert send(many, "40" + SELECT, "C0" + GET_EID, "C0C0000015") == ["6120", "6115", eid_answer() + "9000"]
    assert send(many, "4F" + SELECT, "CF" + GET_EID, "4FC0000015") == ["6120", "6115", eid_answer() + "9000"]


@pytest.mark.parametrize(
    ("apdu", "status"),
    [
        ("01" + SELECT, "6881"),  # channel 1 is not open
        ("0070800100", "6881"),
        ("0070800000", "6A86"),  # the basic channel stays
        ("0070010000", "6A86"),
        ("0070001400", "6A86"),  # there is no channel 20
        ("80" + GET_EID, "6D00"),  # no ISD-R on the basic channel
        ("04A4040000", "6882"),
        ("10A4040000", "6884"),
        ("20A4040000", "6E00"),
        ("FFA4040000", "6E00"),
        ("60A4040000", "6882"),
        ("00E2910003BF2200", "6E00"),
        ("0012000000", "6E00"),
        ("8070000001", "6E00"),
        ("00FF000000", "6D00"),
        ("00A404", "6700"),
        ("", "6700"),
        ("00A4040010A000", "6700"),
        ("00A404000000A0", "6700"),
        ("00A4040210A0000005591010FFFFFFFF8900000100", "6120"),  # the next one, with none before
        ("00A4040210A0000005591010FFFFFFFF8900000999", "6A82"),
        ("00A4040005A000000151", "6A82"),
        ("00C0000010", "6985"),
        ("8012000010", "6985"),
    ],
)
def test_wrong_commands_get_their_status_word(apdu: str, status: str) -> None:
    assert send(card(), apdu) == [status]


def test_select_without_data_and_by_a_part_of_the_aid() -> None:
    assert send(card(), "00A4040C10A0000005591010FFFFFFFF8900000100", "80" + GET_EID) == ["9000", "6115"]
    assert send(card(), "00A4040410A0000005591010FFFFFFFF8900000100") == ["6120"]
    assert send(card(), "00A4040005A000000559", "80" + GET_EID) == ["6120", "6115"]


def test_fci_says_when_no_profile_is_enabled() -> None:
    b = bench()
    assert b.run(disable(ICCID_BOOTSTRAP)) == "840100"
    b.reset()
    assert send(b.card, "00" + SELECT, "00C0000000")[1].endswith("E103800100" + "9000")


def test_store_data_blocks_are_put_together() -> None:
    b = bench()
    for size in (1, 7, 255):
        b.terminal.block_bytes = size
        assert b.terminal.hex("BF3E035C015A") == eid_answer()


@pytest.mark.parametrize(
    ("blocks", "status"),
    [
        (["81E2910103BF2200"], "6A86"),  # begins with block 1
        (["81E2110001BF", "81E29102022200"], "6A86"),  # block 1 is missing
        (["81E2110001BF", "81E2910001BF"], "6A80"),  # block 0 begins a new command
        (["81E2810003BF2200"], "6A86"),
        (["81E29100"], "6700"),
        (["81E2910002BF22"], "6A80"),
        (["81E2910004BF220000"], "6A80"),
        (["81E2910003BF6600"], "6A88"),
        (["81E2910003BF3500"], "6A88"),
        (["81E2910001FF"], "6A80"),
    ],
)
def test_wrong_blocks_are_refused_and_forgotten(blocks: list[str], status: str) -> None:
    b = bench()
    assert send(b.card, *blocks)[-1] == status
    assert b.terminal.hex("BF3E035C015A") == eid_answer()


def test_another_command_on_the_same_channel_ends_the_assembly() -> None:
    b = bench()
    assert send(b.card, "81E2110001BF", "81F2000C", "81E29101022200") == ["9000", "9000", "6A86"]
    assert send(b.card, "81E2110001BF", "80F2000C", "81E29101022000")[2].startswith("61")


def test_a_command_may_fill_256_blocks() -> None:
    b = bench()
    # BF3C with one unknown field, 256 * 255 = 65280 = FF00 bytes in all: 5 of outer header, 4 of the field's
    unknown = bytes.fromhex("0482FEF7") + bytes(0xFEF7)
    assert b.terminal.hex(bytes.fromhex("BF3C82FEFB") + unknown).startswith("BF3C")


def test_long_answers_come_in_pieces_of_256_bytes() -> None:
    b = bench()
    assert send(b.card, "81E2910003BF5600") == ["6100"]
    first, second = (b.card.transmit(bytes.fromhex("81C0000000")) for _ in range(2))
    assert (len(first), first[-2]) == (258, 0x61)
    assert len(second) == 258
    assert first[:4].hex() == "bf568204"


def test_an_answer_is_gone_when_another_command_comes() -> None:
    b = bench()
    assert send(b.card, "81" + GET_EID, "81F2000C00", "81C0000015") == ["6115", "9000", "6985"]


def test_answers_on_two_channels_do_not_mix() -> None:
    b = bench()
    second = Terminal(b.card).open()
    assert second.channel == 2
    assert send(b.card, "81" + GET_EID, "82E2910003BF2000", "81C0000015")[2] == eid_answer() + "9000"
    assert send(b.card, "82C0000000")[0].startswith("BF20")


def test_asking_for_too_much_gets_the_right_length() -> None:
    b = bench()
    assert send(b.card, "81" + GET_EID, "81C0000080", "81C0000015") == ["6115", "6C15", eid_answer() + "9000"]
    strict = bench(Quirks(strict_le=True))
    assert send(strict.card, "81" + GET_EID, "81C0000000", "81C0000015") == ["6115", "6C15", eid_answer() + "9000"]
    assert send(strict.card, "0070000000", "0070000001") == ["6C01", "029000"]


def test_an_answer_can_be_fetched_byte_by_byte() -> None:
    b = bench()
    assert send(b.card, "81" + GET_EID, "81C0000001", "81C0000002", "81C0000012") == [
        "6115",
        "BF6114",
        "3E126112",
        "5A10" + pki().eid + "9000",
    ]


def test_inline_cards_answer_at_once_up_to_256_bytes() -> None:
    b = bench(Quirks(response_mode=ResponseMode.INLINE))
    assert send(b.card, "81" + GET_EID) == [eid_answer() + "9000"]
    assert send(b.card, "81" + GET_EID + "00") == [eid_answer() + "9000"]
    long = b.card.transmit(bytes.fromhex("81E2910003BF5600"))
    assert (len(long), long[-2]) == (258, 0x61)
    assert len(b.terminal.es10("BF5600")) > 512


def test_a_collecting_modem_is_imitated_by_whole_answers() -> None:
    b = bench(Quirks(response_mode=ResponseMode.WHOLE))
    whole = b.card.transmit(bytes.fromhex("81E2910003BF5600"))
    assert whole[-2:].hex() == "9000"
    assert der.parse(whole[:-2]).tag == 0xBF56


@pytest.mark.parametrize(("classes", "good", "bad"), [({0x00}, "01", "81"), ({0x80}, "81", "01")])
def test_get_response_class_can_be_one_only(classes: set[int], good: str, bad: str) -> None:
    b = bench(Quirks(get_response_classes=frozenset(classes)))
    assert send(b.card, "81" + GET_EID, bad + "C0000015", good + "C0000015") == ["6115", "6E00", eid_answer() + "9000"]


def test_store_data_with_le_is_taken_unless_the_card_is_strict() -> None:
    assert send(bench().card, "81" + GET_EID + "00") == ["6115"]
    assert send(bench(Quirks(reject_store_data_le=True)).card, "81" + GET_EID + "00") == ["6700"]


def test_reset_closes_channels_and_drops_answers() -> None:
    b = bench()
    send(b.card, "81" + GET_EID)
    b.card.reset()
    assert send(b.card, "81C0000015", "81" + GET_EID, "0070000001", "81" + GET_EID) == [
        "6881",
        "6881",
        "019000",
        "6999",
    ]


@pytest.mark.parametrize("apdu", ["80AA000005A903840101", "80AA000005A90384010100"])
def test_es10_can_need_the_iot_terminal_capability(apdu: str) -> None:
    b = bench(Quirks(require_terminal_capability=True))
    assert send(b.card, "81" + GET_EID, "80AA000005A903830107", "81" + GET_EID) == ["6985", "9000", "6985"]
    assert send(b.card, apdu, "80AA00000AA9088100820101830107", "81" + GET_EID) == ["9000", "9000", "6115"]
    b.reset()
    assert send(b.card, "81" + GET_EID) == ["6985"]


def test_terminal_capability_can_be_unknown_or_bound_to_a_channel() -> None:
    capability = "AA000005A903840101"
    assert send(card(Quirks(terminal_capability_status=0x6D00)), "80" + capability) == ["6D00"]
    basic = bench(Quirks(terminal_capability_on_others=False))
    assert send(basic.card, "80" + capability, "81" + capability) == ["9000", "6E00"]
    others = bench(Quirks(terminal_capability_on_basic=False))
    assert send(others.card, "80" + capability, "81" + capability) == ["6E00", "9000"]
    assert send(card(), "80AA000002A905") == ["6A80"]


def test_iccid_is_read_from_the_file_system() -> None:
    assert send(card(), "00A40000022FE2", "00C0000011", "00B000000A") == [
        "6111",
        "620F8202412183022FE28002000A8A01059000",
        ICCID_BOOTSTRAP + "9000",
    ]
    assert send(card(), "00A408040" + "22FE2", "00B0000000", "00B0000B01", "00B0000505") == [
        "6111",
        ICCID_BOOTSTRAP + "9000",
        "6B00",
        ICCID_BOOTSTRAP[10:] + "9000",
    ]
    assert send(card(), "00B0820000", "00B00000FF") == [ICCID_BOOTSTRAP + "9000", "6C0A"]
    assert send(card(), "00B000000A", "00A40000026F07", "00A4020C022FE2") == ["6986", "6A82", "6A86"]


def test_dir_names_the_usim_which_can_be_selected() -> None:
    usim = "A0000000871002FFFFFFFF8907090000"
    dir_record = "61184F10" + usim + "50045553494D"
    assert send(card(), "00A4000C022F00", "00B2010426") == ["9000", dir_record + "FF" * 12 + "9000"]
    assert send(card(), "00A4000C022F00", "00B2020426", "00B2010226") == ["9000", "6A83", "6A86"]
    assert send(card(), "00A4000C022F00", "00B2000226", "00B2000226") == [
        "9000",
        dir_record + "FF" * 12 + "9000",
        "6A83",
    ]
    assert send(card(), f"00A4040C10{usim}", "80F2000000", "80F2000100") == [
        "9000",
        "622182027821" + "8410" + usim + "8A0105" + "C606900100830101" + "9000",
        "8410" + usim + "9000",
    ]


def test_status_tells_what_is_selected() -> None:
    b = bench()
    assert send(b.card, "81F2000C00", "81F2000000", "80F2000000", "80F2000500", "80F2030000") == [
        "9000",
        FCI + "9000",
        "621B8202782183023F00" + "A506800171870101" + "8A0105" + "C606900100830101" + "9000",
        "6A86",
        "6A86",
    ]


def test_the_master_file_says_whether_terminal_capability_is_taken() -> None:
    silent = bench(Quirks(terminal_capability_status=0x6D00))
    assert send(silent.card, "80F2000000")[0].startswith("62188202782183023F00" + "A503800171" + "8A0105")
    assert send(silent.card, "00A40004023F00", "00C0000000")[1].startswith("62188202782183023F00" + "A503800171")


def test_subscriber_and_operator_are_files_of_the_usim() -> None:
    found = send(card(), "00A4040C07A0000000871002", "00A4000C026F07", "00B0000000", "00B0830000", "00B0870000")
    assert found[:2] == ["9000", "9000"]
    assert found[2] == found[4]
    nibbles = "".join(b + a for a, b in zip(found[2][2:18:2], found[2][3:18:2], strict=True))
    assert (found[2][:2], nibbles) == ("08", "9" + "26201" + BOOTSTRAP[-10:])
    assert found[3] == "00000002" + "9000"


def test_files_of_the_usim_are_found_by_path_and_only_where_it_was_selected() -> None:
    usim = "00A4040C07A0000000871002"
    assert send(card(), "00A4080C047FFF6F07") == ["6A82"]
    assert send(card(), usim, "00A40000023F00", "00A4000C026F07", "00A4080C047FFF6F07", "00B0000001") == [
        "9000",
        "611D",
        "6A82",
        "9000",
        "089000",
    ]
    assert send(card(), usim, "00A4090C026F07", "00A4030C00", "00A4000C026F07") == ["9000", "9000", "9000", "6A82"]


def test_there_is_no_other_application_with_the_beginning_of_the_isd_r() -> None:
    assert send(card(), "00A4040C05A000000559", "00A4040E05A000000559", "80F2000100") == [
        "9000",
        "6A82",
        "8410" + "A0000005591010FFFFFFFF8900000100" + "9000",
    ]
    assert send(card(), "00A4040D05A000000559", "00A4040F05A000000559") == ["9000", "6A82"]
    assert send(card(), "00A4000E023F00") == ["6A86"]


@pytest.mark.parametrize("apdu", ["80AA010005A903840101", "80AA000105A903840101", "00C0010010", "00C0000110"])
def test_parameters_that_are_not_zero_are_refused(apdu: str) -> None:
    assert send(card(), apdu) == ["6A86"]


def test_files_of_a_card_without_enabled_profile_are_gone() -> None:
    b = bench()
    b.run(disable(ICCID_BOOTSTRAP))
    b.reset()
    assert b.card.active_iccid is None
    assert send(b.card, "00A40000022FE2", "00B0820000", "00A4040C07A0000000871002") == ["6A82"] * 3


def test_refresh_is_announced_fetched_and_the_new_profile_shows_after_reset() -> None:
    b = bench()
    answer = b.terminal.es10(b.eim.package(enable(ICCID_A)))
    assert answer[:2].hex() == "bf51"
    assert b.terminal.sw == 0x910B
    assert b.card.pending_proactive == bytes.fromhex("D009810301010482028182")
    # The UICC shows the old profile until it is reset, and every good answer says that a command waits.
    assert send(b.card, "00A4000C022FE2", "00B000000A") == ["910B", ICCID_BOOTSTRAP + "910B"]
    assert send(b.card, "801200000A", "801200000C", "801200000B", "8012000000") == [
        "6C0B",
        "6C0B",
        "D009810301010482028182" + "9000",
        "6985",
    ]
    assert send(b.card, "801400000C810301010402028281030100") == ["9000"]
    b.reset()
    assert send(b.card, "00A4000C022FE2", "00B000000A") == ["9000", ICCID_A + "9000"]


def test_refresh_qualifier_can_be_the_profile_state_change() -> None:
    b = bench(Quirks(refresh_qualifier=0x09))
    b.run(enable(ICCID_A))
    assert b.card.pending_proactive == bytes.fromhex("D009810301010982028182")


def test_a_card_can_refuse_everything_until_it_is_reset() -> None:
    b = bench(Quirks(refuse_until_reset=True))
    assert b.run(enable(ICCID_A)) == "830100"  # the answer itself can still be fetched
    assert send(b.card, "81" + GET_EID, "0070000001", "00" + SELECT, "801200000B") == [
        "6985",
        "6985",
        "6985",
        "D0098103010104820281829000",
    ]
    b.reset()
    assert b.terminal.hex("BF3E035C015A") == eid_answer()
