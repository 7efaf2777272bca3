from __future__ import annotations

import asyncio

import pytest

from ipad_agent.card.errors import (
    AnswerTooLong,
    CardBusy,
    ChannelLost,
    ChannelTrouble,
    LossReason,
    NotSelected,
    RequestTooLarge,
    ResetPending,
    StatusWordError,
    TruncatedAnswer,
)
from ipad_agent.card.es10_transport import ApduDeadlines, Es10Transport, VolatileBlockSizes
from ipad_agent.errors import Remedy
from virtual_time import run

from .fakes import FakeChannel

GET_EID = bytes.fromhex("BF3E035C015A")
STORE_EID = "80E2910006BF3E035C015A"
EID = "BF3E125A1089049032123451234512345678901235"


def es10(channel: FakeChannel, request: bytes = GET_EID, *, idempotent: bool = False) -> str:
    return run(Es10Transport(channel).es10(request, idempotent=idempotent)).hex().upper()


class PreparingChannel(FakeChannel):
    """Tells what happens when: the line takes its time, in which other things can be done."""

    def __init__(self, *replies: str) -> None:
        super().__init__(*replies)
        self.told: list[str] = []

    def prepare(self, apdu: bytes) -> None:
        self.told.append(f"ready {apdu.hex()[:8]}")

    async def transceive(self, apdu: bytes, *, deadline_s: float) -> bytes:
        self.told.append(f"sent {apdu.hex()[:8]}")
        await asyncio.sleep(0.005)
        self.told.append("answer")
        return await super().transceive(apdu, deadline_s=deadline_s)


def test_the_next_block_is_made_ready_before_the_answer_to_this_one_is_there() -> None:
    channel = PreparingChannel("9000", "9000", "9000")
    es10(channel, bytes.fromhex("BF36820202") + bytes(514))
    assert channel.told == [
        *("sent 80e21100", "ready 80e21101", "answer"),
        *("sent 80e21101", "ready 80e29102", "answer"),
        *("sent 80e29102", "answer"),
    ]


def test_an_answer_is_fetched_with_get_response_in_the_lengths_the_card_tells() -> None:
    channel = FakeChannel("6110", EID[:32] + "6105", EID[32:] + "9000")
    assert es10(channel) == EID
    assert channel.sent == [STORE_EID, "80C0000010", "80C0000005"]


def test_an_answer_that_the_modem_fetched_itself_is_taken() -> None:
    channel = FakeChannel(EID + "9000")
    assert es10(channel) == EID
    assert channel.sent == [STORE_EID]


def test_an_answer_of_1636_bytes_needs_seven_rounds_and_256_is_asked_for_as_00() -> None:
    answer = "BF38820660" + "A5" * 1632
    parts = [answer[i : i + 512] for i in range(0, len(answer), 512)]
    replies = [part + "6100" for part in parts[:5]] + [parts[5] + "6165", parts[6] + "9000"]
    channel = FakeChannel("6100", *replies)
    assert es10(channel) == answer
    assert channel.sent[1:] == ["80C0000000"] * 6 + ["80C0000065"]


def test_data_before_the_first_61_is_kept() -> None:
    assert es10(FakeChannel(EID[:8] + "6111", EID[8:] + "9000")) == EID


def test_get_response_falls_back_to_class_00_and_remembers_it() -> None:
    async def scene() -> None:
        channel = FakeChannel("6115", "6E00", EID + "9000", "6115", EID + "9000")
        transport = Es10Transport(channel)
        await transport.es10(GET_EID)
        await transport.es10(GET_EID)
        assert channel.sent == [STORE_EID, "80C0000015", "00C0000015", STORE_EID, "00C0000015"]

    run(scene())


def test_a_corrected_length_is_used_for_command_and_get_response() -> None:
    channel = FakeChannel("6C15", EID + "9000")
    assert es10(channel) == EID
    assert channel.sent[1] == STORE_EID + "15"
    channel = FakeChannel("6120", "6C15", EID + "9000")
    assert es10(channel) == EID
    assert channel.sent[1:] == ["80C0000020", "80C0000015"]


def test_a_card_that_corrects_for_ever_is_not_followed() -> None:
    with pytest.raises(StatusWordError):
        es10(FakeChannel(*["6C15"] * 10))


def test_a_card_that_announces_for_ever_is_not_followed() -> None:
    with pytest.raises(AnswerTooLong, match="1100 times"):
        es10(FakeChannel("6110", *["6110"] * 1200))
    with pytest.raises(AnswerTooLong, match="262144 bytes"):
        es10(FakeChannel("6110", *["00" * 256 + "6100"] * 1200))


def test_a_list_of_a_hundred_profiles_with_icons_is_collected() -> None:
    answer = "BF2D83019000" + "00" * 0x19000
    parts = [answer[at : at + 512] for at in range(0, len(answer), 512)]
    replies = ["6100", *(part + "6100" for part in parts[:-1]), parts[-1] + "9000"]
    assert es10(FakeChannel(*replies)) == answer


@pytest.mark.parametrize("sw", ["9000", "910B", "9102", "9205"])
def test_success_has_several_status_words(sw: str) -> None:
    assert es10(FakeChannel(EID + sw)) == EID


def test_a_waiting_toolkit_command_is_told_and_never_fetched() -> None:
    async def scene() -> None:
        channel = FakeChannel("6115", EID + "910B", EID + "9000")
        transport = Es10Transport(channel)
        assert await transport.es10(GET_EID)
        assert transport.proactive_pending
        await transport.es10(GET_EID)
        assert not transport.proactive_pending
        assert not any(sent[2:4] == "12" for sent in channel.sent)

    run(scene())


@pytest.mark.parametrize("sw", ["6281", "6300", "6310"])
def test_a_warning_is_no_failure(sw: str) -> None:
    assert es10(FakeChannel(EID + sw)) == EID


@pytest.mark.parametrize(
    ("sw", "kind"),
    [
        ("6985", ResetPending),
        ("6999", NotSelected),
        ("6881", ChannelTrouble),
        ("6A81", ChannelTrouble),
        ("6A80", StatusWordError),
        ("6A88", StatusWordError),
        ("9240", StatusWordError),
        ("6F00", StatusWordError),
    ],
)
def test_a_refusal_is_an_error_with_its_status_word(sw: str, kind: type[StatusWordError]) -> None:
    with pytest.raises(StatusWordError) as caught:
        es10(FakeChannel(sw))
    assert type(caught.value) is kind
    assert caught.value.sw == int(sw, 16)


def test_pending_reset_says_that_a_reset_helps_and_that_nothing_was_executed() -> None:
    with pytest.raises(ResetPending) as caught:
        es10(FakeChannel("6985"))
    assert caught.value.remedy is Remedy.RETRY_AFTER_RESET
    assert not caught.value.may_have_executed


def test_an_answer_shorter_than_its_header_says_is_never_handed_on() -> None:
    # A modem that fetches by itself, cuts at 256 bytes and says 9000.
    cut = ("BF38820660" + "A5" * 1632)[:512]
    for answer in (cut, EID[:-2], "BF3E", "BF", "BF3882"):
        channel = FakeChannel(answer + "9000")
        with pytest.raises(TruncatedAnswer):
            es10(channel)
        assert len(channel.unusable) == 1


def test_bytes_that_are_no_tlv_are_left_to_the_parser() -> None:
    assert es10(FakeChannel("5A859000")) == "5A85"


def test_a_busy_toolkit_is_waited_for_and_the_block_repeated() -> None:
    async def scene() -> None:
        channel = FakeChannel("9300", "9300", EID + "9000")
        start = asyncio.get_running_loop().time()
        await Es10Transport(channel).es10(GET_EID)
        assert asyncio.get_running_loop().time() - start == pytest.approx(1.5)
        assert channel.sent == [STORE_EID] * 3
        with pytest.raises(CardBusy) as caught:
            await Es10Transport(FakeChannel(*["9300"] * 7)).es10(GET_EID)
        assert not caught.value.may_have_executed

    run(scene())


def test_a_toolkit_that_gets_busy_behind_the_command_is_waited_for_while_the_answer_is_fetched() -> None:
    async def scene() -> None:
        channel = FakeChannel("6115", "9300", "9300", EID + "9000")
        await Es10Transport(channel).es10(GET_EID)
        assert channel.sent == [STORE_EID] + ["80C0000015"] * 3
        with pytest.raises(StatusWordError) as caught:
            await Es10Transport(FakeChannel("6115", *["9300"] * 7)).es10(GET_EID)
        assert caught.value.may_have_executed  # only its answer was not to be had

    run(scene())


def test_the_last_block_has_more_time_than_the_others() -> None:
    async def scene() -> None:
        channel = FakeChannel("9000", "9000", "")
        channel.replies[2] = EID + "9000"
        transport = Es10Transport(channel, deadlines=ApduDeadlines(apdu_s=60, last_block_s=240))
        await transport.es10(bytes(600))
        assert channel.deadlines == [60, 60, 240]
        assert transport.apdu_count == 3
        channel.replies, channel.deadlines = ["6115", EID + "9000"], []
        await transport.es10(GET_EID, idempotent=True)
        assert channel.deadlines == [60, 60]  # reading keeps no card busy for minutes

    run(scene())


def test_a_chain_ends_when_the_card_answers_early() -> None:
    failure = "BF3709BF2706800101A1010203"
    channel = FakeChannel("9000", failure + "9000")
    assert es10(channel, bytes(1000)) == failure
    assert len(channel.sent) == 2


def test_an_answer_may_be_nothing() -> None:
    assert es10(FakeChannel("9000")) == ""


def refused(length: int) -> ChannelLost:
    return ChannelLost(f"refused {length}", reason=LossReason.REFUSED)


def test_a_block_size_that_never_worked_is_stepped_down_at_the_first_refusal() -> None:
    async def scene() -> None:
        memory = VolatileBlockSizes()
        sizes = []
        for _ in range(4):
            channel = FakeChannel(refused(0))
            transport = Es10Transport(channel, block_sizes=memory, memory_key="m")
            with pytest.raises(ChannelLost):
                await transport.es10(bytes(1000))
            sizes.append(channel.sent[0][8:10])
        assert sizes == ["FF", "F0", "78", "3C"]
        assert memory.load("m/CGLA") == 60

    run(scene())


def test_the_step_down_is_remembered_for_the_way_and_not_for_others() -> None:
    memory = VolatileBlockSizes()
    memory.save("m/CGLA", 120)
    assert Es10Transport(FakeChannel(), block_sizes=memory, memory_key="m").block_size == 120
    assert Es10Transport(FakeChannel(description="CSIM"), block_sizes=memory, memory_key="m").block_size == 255
    assert Es10Transport(FakeChannel(max_data_bytes=100)).block_size == 100
    memory.save("m/CGLA", 5)
    assert Es10Transport(FakeChannel(), block_sizes=memory, memory_key="m").block_size == 60


def test_a_size_that_worked_is_given_up_only_after_three_failures_in_a_row() -> None:
    async def scene() -> None:
        channel = FakeChannel("9000", "9000", "9000", EID + "9000")
        transport = Es10Transport(channel)
        await transport.es10(bytes(1000))
        sizes = []
        for _ in range(3):
            channel.replies = [refused(0)]
            with pytest.raises(ChannelLost):
                await transport.es10(bytes(1000))
            sizes.append(transport.block_size)
        assert sizes == [255, 255, 240]

    run(scene())


@pytest.mark.parametrize("reason", [LossReason.PORT, LossReason.DAMAGED, LossReason.RESET, LossReason.CLOSED])
def test_a_lost_port_is_no_evidence_against_the_block_size(reason: LossReason) -> None:
    async def scene() -> None:
        transport = Es10Transport(FakeChannel(ChannelLost("gone", reason=reason)))
        with pytest.raises(ChannelLost):
            await transport.es10(bytes(1000))
        assert transport.block_size == 255

    run(scene())


def test_a_small_block_that_fails_is_no_evidence_and_neither_is_a_lost_answer() -> None:
    async def scene() -> None:
        transport = Es10Transport(FakeChannel(refused(6)))
        with pytest.raises(ChannelLost):
            await transport.es10(GET_EID)
        assert transport.block_size == 255
        transport = Es10Transport(FakeChannel("6110", refused(0)))
        with pytest.raises(ChannelLost):
            await transport.es10(bytes(250))
        assert transport.block_size == 255

    run(scene())


@pytest.mark.parametrize("sw", ["6601", "6F00", "6700"])
def test_a_read_is_repeated_with_smaller_blocks(sw: str) -> None:
    channel = FakeChannel(sw, "9000", EID + "9000")
    assert es10(channel, bytes(250), idempotent=True) == EID
    assert [sent[4:10] for sent in channel.sent] == ["9100FA", "1100F0", "91010A"]


def test_an_order_whose_last_block_was_sent_is_never_sent_again() -> None:
    channel = FakeChannel("9000", "6F00")
    with pytest.raises(StatusWordError) as caught:
        es10(channel, bytes(500))
    assert caught.value.may_have_executed
    assert len(channel.sent) == 2
    channel = FakeChannel("6F00")  # a first block that is the last, and evidence against its size
    with pytest.raises(StatusWordError):
        es10(channel, bytes(250))
    channel = FakeChannel("9000", ChannelLost("gone", reason=LossReason.TIMEOUT))
    with pytest.raises(ChannelLost) as lost:
        es10(channel, bytes(500))
    assert lost.value.may_have_executed


def test_an_order_whose_answer_could_not_be_fetched_was_executed_though_the_channel_was_gone_by_then() -> None:
    gone = ChannelLost("the channel is gone", reason=LossReason.CLOSED, may_have_executed=False)
    with pytest.raises(ChannelLost) as lost:
        es10(FakeChannel("6110", gone), bytes(100))
    assert lost.value.may_have_executed


def test_an_order_that_failed_before_its_last_block_was_certainly_not_executed() -> None:
    with pytest.raises(ChannelLost) as lost:
        es10(FakeChannel("9000", ChannelLost("gone", reason=LossReason.TIMEOUT)), bytes(700))
    assert not lost.value.may_have_executed
    channel = FakeChannel("6F00", "9000", "9000", EID + "9000")
    assert es10(channel, bytes(500)) == EID  # so it may be sent again, smaller


def test_a_request_beyond_256_blocks_is_not_begun() -> None:
    channel = FakeChannel()
    with pytest.raises(RequestTooLarge):
        es10(channel, bytes(256 * 255 + 1))
    assert channel.sent == []


def test_a_way_that_needs_le_gets_it() -> None:
    channel = FakeChannel(EID + "9000", le_on_case4=True)
    assert es10(channel) == EID
    assert channel.sent == [STORE_EID + "00"]


def test_an_answer_without_status_word_is_a_damaged_line() -> None:
    with pytest.raises(ChannelLost) as lost:
        es10(FakeChannel("90"))
    assert lost.value.reason is LossReason.DAMAGED
