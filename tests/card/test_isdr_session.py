from __future__ import annotations

from logging import DEBUG, INFO

import pytest

from ipad_agent.card.apdu import ISD_R_AID
from ipad_agent.card.errors import (
    AidNotFound,
    CardNotReady,
    ChannelLost,
    ChannelRefused,
    LossReason,
    NotAnEuicc,
    ResetPending,
    SimBusy,
    StatusWordError,
)
from ipad_agent.card.events import CARD_OPENED, CARD_OPENED_AGAIN
from ipad_agent.card.isdr_session import IsdrSession, iot_template
from ipad_agent.errors import CardError
from ipad_agent.events import listen
from virtual_time import run

from .fakes import EID, EID_ANSWER, FakeCard

GET_EID = "BF3E035C015A"
OTHER_AID = bytes.fromhex("A0000005591010000000008900000300")
NOT_FOUND = AidNotFound("no")
IOT = "80AA000005A903840101"
BOTH = "80AA000008A906830107840101"
LPA = "80AA000005A903830107"
FULL = "80AA00000AA9088100820101830107"


def opened(card: FakeCard, **options: object) -> IsdrSession:
    session = IsdrSession(card, **options)  # type: ignore[arg-type]  # options of each test
    run(session.transport())
    return session


def test_an_open_channel_is_proven_by_the_eid_and_kept() -> None:
    async def scene() -> None:
        card = FakeCard()
        session = IsdrSession(card)
        assert await session.transport() is await session.transport()
        assert str(session.eid) == EID
        assert card.aids == [ISD_R_AID]
        await session.drop()
        await session.transport()
        assert card.opened == 2
        assert card.channels[0].closed

    run(scene())


def test_a_card_is_said_to_be_reached_once_and_not_at_every_look() -> None:
    told: list[str] = []

    async def scene() -> None:
        session = IsdrSession(FakeCard())
        leave = listen(lambda event, facts: told.append(event.id))
        try:
            for _ in range(3):
                await session.transport()
                await session.drop()
        finally:
            leave()

    run(scene())
    reached = [id for id in told if id in (CARD_OPENED.id, CARD_OPENED_AGAIN.id)]
    assert reached == [CARD_OPENED.id, CARD_OPENED_AGAIN.id, CARD_OPENED_AGAIN.id]
    assert (CARD_OPENED.level, CARD_OPENED_AGAIN.level) == (INFO, DEBUG)


def test_aids_are_tried_in_order_until_one_is_there() -> None:
    card = FakeCard()
    card.open_errors = [NOT_FOUND]
    opened(card, aids=(ISD_R_AID, OTHER_AID))
    assert card.aids == [ISD_R_AID, OTHER_AID]


def test_without_any_isdr_the_first_refusal_is_told() -> None:
    card = FakeCard()
    card.open_errors = [NOT_FOUND] * 8
    with pytest.raises(AidNotFound):
        opened(card, terminal_capability="never")


def test_an_ipad_is_declared_before_the_first_channel_after_each_reset_and_only_then() -> None:
    """SGP.32 §3.8.2, §3.8.4: 80 AA 00 00 05 A9 03 84 01 01 on the basic channel."""

    async def scene() -> None:
        card = FakeCard()
        session = IsdrSession(card)
        await session.transport()
        assert card.said == ["capability", "open"]
        assert card.capabilities == [IOT]
        await session.drop()
        await session.transport()
        assert card.capabilities == [IOT]
        card.epoch += 1  # the modem said that the SIM was initialised, or the port is a new one
        await session.transport()
        assert card.capabilities == [IOT]
        await session.drop()
        await session.transport()
        await session.forget()
        await session.transport()
        assert card.capabilities == [IOT, IOT, IOT]
        assert card.said == ["capability", "open", "open", "capability", "open", "capability", "open"]

    run(scene())


def test_terminal_capability_stays_due_while_the_modem_sees_no_card() -> None:
    async def scene() -> None:
        card = FakeCard()
        card.capability_answer = SimBusy("SIM busy")
        card.open_errors = [CardNotReady("no SIM")]
        session = IsdrSession(card)
        with pytest.raises(CardNotReady):
            await session.transport()
        card.capability_answer = "9000"
        await session.transport()
        assert card.capabilities == [IOT, IOT]

    run(scene())


def test_a_modem_without_a_way_to_the_basic_channel_is_asked_once_after_each_reset() -> None:
    async def scene() -> None:
        card = FakeCard()
        card.capability_answer = ChannelRefused("no basic channel")
        session = IsdrSession(card)
        for _ in range(3):
            await session.transport()
            await session.drop()
        assert card.capabilities == [IOT]

    run(scene())


@pytest.mark.parametrize("error", [NOT_FOUND, ChannelRefused("no")])
def test_a_card_that_stays_closed_gets_terminal_capability_in_other_forms(error: AidNotFound) -> None:
    card = FakeCard()
    card.open_errors = [error]
    opened(card)
    assert card.capabilities == [IOT, BOTH]


@pytest.mark.parametrize("error", [NOT_FOUND, ChannelRefused("no")])
def test_auto_sends_terminal_capability_only_to_a_card_that_stays_closed(error: AidNotFound) -> None:
    card = FakeCard()
    opened(card, terminal_capability="auto")
    assert card.capabilities == []
    card = FakeCard()
    card.open_errors = [error]
    opened(card, terminal_capability="auto")
    assert card.capabilities == [IOT]


@pytest.mark.parametrize("sw", ["6985", "6A82", "6D00"])
def test_a_card_that_refuses_the_first_command_gets_terminal_capability_in_other_forms(sw: str) -> None:
    card = FakeCard()
    card.answers[GET_EID] = [sw, sw, sw, sw, EID_ANSWER]  # asked twice on each channel
    opened(card)
    assert card.capabilities == [IOT, BOTH, LPA]
    assert card.channels[0].closed
    assert card.channels[1].closed


def test_the_form_that_worked_is_sent_first_after_the_next_reset() -> None:
    async def scene() -> None:
        card = FakeCard()
        card.open_errors = [NOT_FOUND, NOT_FOUND]
        session = IsdrSession(card)
        await session.transport()
        assert card.capabilities == [IOT, BOTH, LPA]
        await session.forget()
        card.open_errors = [NOT_FOUND]
        await session.transport()
        assert card.capabilities == [IOT, BOTH, LPA, LPA, IOT]

    run(scene())


def test_all_forms_are_tried_once_between_two_resets_and_the_last_one_does_not_hide_the_ipad() -> None:
    async def scene() -> None:
        card = FakeCard()
        card.answers[GET_EID] = "6985"
        session = IsdrSession(card)
        for _ in range(3):
            with pytest.raises(ResetPending):
                await session.transport()
        assert card.capabilities == [IOT, BOTH, LPA, FULL, IOT]

    run(scene())


def test_terminal_capability_is_never_fatal() -> None:
    for answer in ("6D00", "6E00", "910B", ChannelRefused("no basic channel"), CardNotReady("no SIM")):
        card = FakeCard()
        card.capability_answer = answer
        opened(card)
        assert card.capabilities == [IOT]


def test_never_means_never() -> None:
    card = FakeCard()
    card.open_errors = [NOT_FOUND]
    with pytest.raises(AidNotFound):
        opened(card, terminal_capability="never")
    assert card.capabilities == []


def test_a_card_that_is_not_ready_is_not_bothered_with_other_forms_of_terminal_capability() -> None:
    card = FakeCard()
    card.open_errors = [CardNotReady("no SIM")]
    with pytest.raises(CardNotReady):
        opened(card)
    assert card.capabilities == [IOT]


@pytest.mark.parametrize("answer", ["9000", "BF3E009000", "BF3E025A009000", "300090009000"])
def test_selectable_is_not_yet_an_euicc(answer: str) -> None:
    card = FakeCard()
    card.answers[GET_EID] = answer
    with pytest.raises(NotAnEuicc):
        opened(card)
    assert card.channels[0].closed


@pytest.mark.parametrize(
    ("eid", "tolerance"),
    [
        ("89ABCDEF890490321234512345678901", "letters-in-identifier"),
        ("89049032123451234512345678901234", "eid-check-digits"),
        ("1122", "unreadable-identifier"),
    ],
)
def test_a_card_whose_eid_is_no_proper_number_is_served_and_that_is_counted(
    eid: str, tolerance: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "ipad_agent")
    card = FakeCard()
    value = bytes.fromhex(eid)
    card.answers[GET_EID] = (bytes([0xBF, 0x3E, len(value) + 2, 0x5A, len(value)]) + value).hex() + "9000"
    session = opened(card)
    assert session.eid is not None
    assert str(session.eid) == eid
    assert session.tolerances == {("GetEID", tolerance): 1}
    assert [record.message for record in caplog.records if tolerance in record.message and "card" in record.message]


def test_an_m2m_card_that_refuses_es10_is_no_euicc_of_ours() -> None:
    card = FakeCard()
    card.answers[GET_EID] = "6D00"
    with pytest.raises(NotAnEuicc):
        opened(card)


def test_a_way_that_talks_to_another_application_is_given_up_for_another_way() -> None:
    card = FakeCard()
    card.answers[GET_EID] = ["6D00", "6D00", EID_ANSWER]
    opened(card, terminal_capability="never")
    assert len(card.channels[0].unusable) == 1
    assert card.opened == 2


def test_other_refusals_stay_what_they_are() -> None:
    card = FakeCard()
    card.answers[GET_EID] = "6F00"
    with pytest.raises(StatusWordError):
        opened(card)


# -- several applications ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "refusal", [NOT_FOUND, ChannelRefused("ERROR"), CardNotReady("+CME ERROR: 13"), ChannelRefused("+CME ERROR: 50")]
)
def test_the_next_aid_is_tried_whatever_the_modem_calls_an_application_that_is_not_there(refusal: CardError) -> None:
    async def scene() -> None:
        card = FakeCard()
        card.open_errors = [refusal]
        session = IsdrSession(card, aids=(ISD_R_AID, OTHER_AID))
        await session.transport()
        assert card.aids == [ISD_R_AID, OTHER_AID]
        assert card.capabilities == [IOT]  # no other form before every application was tried
        await session.drop()
        await session.transport()
        assert card.aids == [ISD_R_AID, OTHER_AID, OTHER_AID]  # the one that was there is tried first

    run(scene())


@pytest.mark.parametrize("answer", ["9000", "6D00", "6A82"])
def test_the_next_aid_is_tried_when_the_first_is_no_euicc(answer: str) -> None:
    card = FakeCard()
    card.answers[GET_EID] = [answer, answer, EID_ANSWER]
    opened(card, aids=(ISD_R_AID, OTHER_AID))
    assert card.aids == [ISD_R_AID, OTHER_AID]
    assert card.channels[0].closed


def test_only_the_last_application_may_cost_others_their_channels() -> None:
    card = FakeCard()
    card.open_errors = [NOT_FOUND]
    opened(card, aids=(ISD_R_AID, OTHER_AID))
    assert card.lasts == [False, True]


def test_a_busy_sim_is_waited_for_once_and_not_for_each_application() -> None:
    card = FakeCard()
    card.open_errors = [SimBusy("SIM busy")]
    with pytest.raises(SimBusy):
        opened(card, aids=(ISD_R_AID, OTHER_AID))
    assert card.aids == [ISD_R_AID]


def test_what_an_application_answered_is_told_before_what_the_modem_made_of_the_others() -> None:
    card = FakeCard()
    card.open_errors = [CardNotReady("+CME ERROR: 13")]
    card.answers[GET_EID] = "6F00"
    with pytest.raises(StatusWordError):
        opened(card, aids=(ISD_R_AID, OTHER_AID))
    card = FakeCard()
    card.open_errors = [ChannelRefused("ERROR"), CardNotReady("+CME ERROR: 10")]
    with pytest.raises(CardNotReady):
        opened(card, aids=(ISD_R_AID, OTHER_AID))


# -- cards that want an Le byte ----------------------------------------------------------------------------------------
def test_a_card_that_gives_data_only_with_le_gets_it_from_then_on() -> None:
    async def scene() -> None:
        card = FakeCard()
        card.wants_le = True
        card.answers["BF2200"] = "BF22009000"
        session = IsdrSession(card)
        transport = await session.transport()
        assert await transport.es10(bytes.fromhex("BF2200")) == bytes.fromhex("BF2200")
        assert card.channels[0].sent == [
            "80E2910006BF3E035C015A",
            "80E2910006BF3E035C015A00",
            "80E2910003BF220000",
        ]
        await session.drop()
        await session.transport()
        assert card.channels[1].sent == ["80E2910006BF3E035C015A00"]
        card.wants_le = False
        card.refuses_le = True  # another card
        await session.drop()
        with pytest.raises(StatusWordError):
            await session.transport()
        await session.transport()
        assert card.channels[3].sent == ["80E2910006BF3E035C015A"]

    run(scene())


@pytest.mark.parametrize("refusal", ["6700", ChannelLost("ERROR", reason=LossReason.REFUSED)])
def test_a_card_without_data_that_refuses_le_is_no_euicc(refusal: str | CardError) -> None:
    card = FakeCard()
    card.answers[GET_EID] = ["9000", refusal]
    with pytest.raises(NotAnEuicc):
        opened(card)


# -- the IoT template --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("select_response", "said"),
    [
        ("6F068400E1028000", None),  # a BIT STRING without its count of unused bits says nothing
        ("6F0A8400A500E10480020640", "no IPAe, a profile is enabled"),
        ("6F0A8400A500E104800206C0", "IPAe supported, a profile is enabled"),
        ("6F04E0028000", None),
    ],
)
def test_what_the_iot_template_says_is_said_once(
    select_response: str, said: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        card = FakeCard()
        card.select_response = bytes.fromhex(select_response)
        session = IsdrSession(card)
        for _ in range(2):
            await session.transport()
            await session.drop()

    with caplog.at_level("INFO"):
        run(scene())
    lines = [record.getMessage() for record in caplog.records if "IoT template" in record.getMessage()]
    assert len(lines) == (said is not None)
    assert said is None or said in lines[0]


def test_the_iot_template_is_found_at_any_place() -> None:
    # A production card: E1 04 80 02 06 C0 behind A5; and one that has it inside.
    assert iot_template(bytes.fromhex("6F0CA5049F6501FFE104800206C0")) == frozenset({0, 1})
    assert iot_template(bytes.fromhex("6F08A506E10480020780")) == frozenset({0})
    assert iot_template(bytes.fromhex("E10480020780")) == frozenset({0})


def test_the_iot_template_is_found_in_the_answer_to_select() -> None:
    assert iot_template(bytes.fromhex("6F0A8400A500E10480020640")) == frozenset({1})
    assert iot_template(bytes.fromhex("6F068400E0028000")) is None
    assert iot_template(b"") is None
    assert iot_template(b"\x6f\x05") is None
