from __future__ import annotations

import pytest

from ipad_agent.card.apdu import ISD_R_AID
from ipad_agent.card.errors import AidNotFound, CardNotReady, ChannelRefused, NotAnEuicc, ResetPending, StatusWordError
from ipad_agent.card.isdr_session import IsdrSession, iot_template
from virtual_time import run

from .fakes import EID, EID_ANSWER, FakeCard

GET_EID = "BF3E035C015A"
OTHER_AID = bytes.fromhex("A0000005591010000000008900000300")
NOT_FOUND = AidNotFound("no")
IOT = "80AA000005A903840101"
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


@pytest.mark.parametrize("error", [NOT_FOUND, ChannelRefused("no")])
def test_a_card_that_wants_terminal_capability_gets_it_in_the_form_of_an_ipad(error: AidNotFound) -> None:
    card = FakeCard()
    card.open_errors = [error]
    opened(card)
    assert card.capabilities == [IOT]


@pytest.mark.parametrize("sw", ["6985", "6A82", "6D00"])
def test_a_card_that_refuses_the_first_command_gets_terminal_capability(sw: str) -> None:
    card = FakeCard()
    card.answers[GET_EID] = [sw, sw, EID_ANSWER]
    opened(card)
    assert card.capabilities == [IOT, LPA]
    assert card.channels[0].closed
    assert card.channels[1].closed


def test_the_form_that_worked_is_tried_first_after_the_next_reset() -> None:
    async def scene() -> None:
        card = FakeCard()
        card.open_errors = [NOT_FOUND, NOT_FOUND]
        session = IsdrSession(card)
        await session.transport()
        assert card.capabilities == [IOT, LPA]
        await session.forget()
        card.open_errors = [NOT_FOUND]
        await session.transport()
        assert card.capabilities == [IOT, LPA, LPA]

    run(scene())


def test_all_forms_are_tried_once_between_two_resets() -> None:
    async def scene() -> None:
        card = FakeCard()
        card.answers[GET_EID] = "6985"
        session = IsdrSession(card)
        for _ in range(3):
            with pytest.raises(ResetPending):
                await session.transport()
        assert card.capabilities == [IOT, LPA, FULL]

    run(scene())


def test_terminal_capability_is_never_fatal() -> None:
    for answer in ("6D00", "6E00", "910B", ChannelRefused("no basic channel")):
        card = FakeCard()
        card.capability_answer = answer
        opened(card, terminal_capability="always")
        assert card.capabilities == [IOT]


def test_always_means_before_the_first_channel_after_each_reset() -> None:
    async def scene() -> None:
        card = FakeCard()
        session = IsdrSession(card, terminal_capability="always")
        await session.transport()
        await session.drop()
        await session.transport()
        assert card.capabilities == [IOT]
        await session.forget()
        await session.transport()
        assert card.capabilities == [IOT, IOT]

    run(scene())


def test_never_means_never() -> None:
    card = FakeCard()
    card.open_errors = [NOT_FOUND]
    with pytest.raises(AidNotFound):
        opened(card, terminal_capability="never")
    assert card.capabilities == []


def test_a_card_that_is_not_ready_is_not_bothered_with_terminal_capability() -> None:
    card = FakeCard()
    card.open_errors = [CardNotReady("no SIM")]
    with pytest.raises(CardNotReady):
        opened(card)
    assert card.capabilities == []


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
    card.answers[GET_EID] = ["6D00", EID_ANSWER]
    opened(card, terminal_capability="never")
    assert len(card.channels[0].unusable) == 1
    assert card.opened == 2


def test_other_refusals_stay_what_they_are() -> None:
    card = FakeCard()
    card.answers[GET_EID] = "6F00"
    with pytest.raises(StatusWordError):
        opened(card)


def test_the_iot_template_is_found_in_the_answer_to_select() -> None:
    assert iot_template(bytes.fromhex("6F0A8400A500E10480020640")) == frozenset({1})
    assert iot_template(bytes.fromhex("6F068400E0028000")) is None
    assert iot_template(b"") is None
    assert iot_template(b"\x6f\x05") is None
