"""What is kept of the card's answers, and everything that makes it unknown again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ipad_agent.card.apdu_channel import ChannelLost, LossReason
from ipad_agent.card.es10_functions import Euicc
from ipad_agent.card.isdr_session import IsdrSession
from ipad_agent.card.known_answers import KEPT_S
from ipad_agent.codec.es10 import es10_requests
from ipad_agent.codec.es10.notifications import AllPackageResults
from ipad_agent.errors import IpadError, ModemError
from virtual_time import run

from .fakes import EID_ANSWER, FakeCard

GET_EID = "BF3E035C015A"
INFO1, INFO2, EIMS, NOTIFICATIONS, RESULTS = "BF2000", "BF2200", "BF5500", "BF2B00", "BF2B04A0028200"
PROFILES = es10_requests.get_profiles_request().hex().upper()
READS: dict[str, Callable[[Euicc], Awaitable[Any]]] = {
    INFO1: lambda euicc: euicc.get_euicc_info1(),
    INFO2: lambda euicc: euicc.get_euicc_info2(),
    EIMS: lambda euicc: euicc.get_eim_configuration(),
    PROFILES: lambda euicc: euicc.get_profiles(),
    NOTIFICATIONS: lambda euicc: euicc.retrieve_notifications(),
    RESULTS: lambda euicc: euicc.retrieve_notifications(AllPackageResults()),
}
ALL = set(READS)
ANOTHER_EID = "BF3E125A10890490331234512345123456789012359000"
SIGNATURE = "5F3740" + "22" * 64
PACKAGE = (
    "BF5170302B800465494D315A1089049032123451234512345678901235810105A00EA40C5A0A989400000000000010925F3740" + "11" * 64
)
# Signed results 7 of counter 5 for eIM1: a list of profiles; setDefaultDpAddress; a fallback attribute; an eIM added
LISTED = "BF515AA058301380 0465494D31 810105 830107 3005BF2D02A000".replace(" ", "") + SIGNATURE
FALLBACK_SET = "BF5158A0563011 800465494D31 810105 830107 30038D0100".replace(" ", "") + SIGNATURE
EIM_DELETED = "BF5158A0563011 800465494D31 810105 830107 3003890100".replace(" ", "") + SIGNATURE
DISABLED = "BF5158A0563011 800465494D31 810105 830107 3003840100".replace(" ", "") + SIGNATURE
REFUSED = "BF5153A151300C 800465494D31 810105 820104".replace(" ", "") + SIGNATURE


def a_card() -> FakeCard:
    card = FakeCard()
    card.answers |= {
        INFO1: "BF20058203020300" + "9000",
        INFO2: "BF22009000",
        EIMS: "BF5502A0009000",
        PROFILES: "BF2D02A0009000",
        NOTIFICATIONS: "BF2B02A0009000",
        RESULTS: "BF2B02A0009000",
        PACKAGE: LISTED + "9000",
        "BF3003800107": "BF30038001009000",
        "BF3003800109": "BF300380017F9000",
        "BF65038001419000"[:12]: "BF65038001009000",
    }
    return card


async def ask(euicc: Euicc, *what: str) -> None:
    for request in what or READS:
        await READS[request](euicc)


async def asked_again(card: FakeCard, euicc: Euicc) -> set[str]:
    """What has to be asked when everything is wanted."""
    card.requests.clear()
    await ask(euicc)
    return set(card.requests) - {GET_EID}


def known_after(act: Callable[[FakeCard, Euicc], Awaitable[object]]) -> set[str]:
    """What is unknown after ``act`` on a card of which everything was known."""
    card = a_card()

    async def scene() -> set[str]:
        euicc = Euicc(IsdrSession(card))
        await ask(euicc)
        assert await asked_again(card, euicc) == set()
        await act(card, euicc)
        return await asked_again(card, euicc)

    found: list[set[str]] = []

    async def whole() -> None:
        found.append(await scene())

    run(whole())
    return found[0]


def test_nothing_is_asked_twice_and_known_things_open_no_channel() -> None:
    async def act(card: FakeCard, euicc: Euicc) -> None:
        await euicc.release()
        opened = card.opened
        assert await asked_again(card, euicc) == set()
        assert card.opened == opened

    assert known_after(act) == set()


def test_the_eid_is_asked_of_an_open_channel_each_time_and_proves_that_the_card_is_there() -> None:
    async def scene() -> None:
        card = a_card()
        euicc = Euicc(IsdrSession(card))
        await euicc.get_eid()
        assert card.requests == [GET_EID]
        await euicc.get_eid()
        assert card.requests == [GET_EID] * 2

    run(scene())


# -- what makes everything unknown -------------------------------------------------------------------------------------
async def _reset_behind_our_back(card: FakeCard, euicc: Euicc) -> None:
    card.epoch += 1


async def _recover(card: FakeCard, euicc: Euicc) -> None:
    await euicc.recover()


async def _give_the_port_back(card: FakeCard, euicc: Euicc) -> None:
    await euicc.close()


async def _lose_the_channel(card: FakeCard, euicc: Euicc) -> None:
    card.answers[GET_EID] = [ChannelLost("gone", reason=LossReason.RESET), EID_ANSWER]
    await euicc.get_eid()


async def _another_card(card: FakeCard, euicc: Euicc) -> None:
    await euicc.release()
    card.answers[GET_EID] = ANOTHER_EID
    await euicc.get_eid()


async def _a_card_that_the_modem_did_not_announce(card: FakeCard, euicc: Euicc) -> None:
    await euicc.release()
    await asyncio.sleep(60)
    card.swapped = True


async def _a_week(card: FakeCard, euicc: Euicc) -> None:
    await asyncio.sleep(KEPT_S)


async def _an_order_whose_answer_was_lost(card: FakeCard, euicc: Euicc) -> None:
    card.answers[PACKAGE] = ChannelLost("gone", reason=LossReason.TIMEOUT)
    with pytest.raises(ChannelLost):
        await euicc.load_euicc_package(bytes.fromhex(PACKAGE))


async def _an_answer_that_cannot_be_read(card: FakeCard, euicc: Euicc) -> None:
    card.answers[PACKAGE] = "BF5103A0018000"[:-2] + "9000"
    with pytest.raises(IpadError):
        await euicc.load_euicc_package(bytes.fromhex(PACKAGE))


async def _a_switch(card: FakeCard, euicc: Euicc) -> None:
    card.answers[PACKAGE] = DISABLED + "9000"
    await euicc.load_euicc_package(bytes.fromhex(PACKAGE))


async def _a_refresh_that_comes(card: FakeCard, euicc: Euicc) -> None:
    card.answers[PACKAGE] = LISTED + "910B"
    await euicc.load_euicc_package(bytes.fromhex(PACKAGE))
    await euicc.recover()


async def _a_function_of_our_own(card: FakeCard, euicc: Euicc) -> None:
    card.answers["BF65038001 41".replace(" ", "")] = "BF65038001009000"
    await euicc.set_default_dp("A")


async def _somebody_wants_to_see_the_card_itself(card: FakeCard, euicc: Euicc) -> None:
    euicc.ask_anew()


async def _a_declaration(card: FakeCard, euicc: Euicc) -> None:
    await euicc.declare_ipad()


@pytest.mark.parametrize(
    "act",
    [
        _reset_behind_our_back,
        _recover,
        _give_the_port_back,
        _lose_the_channel,
        _another_card,
        _a_card_that_the_modem_did_not_announce,
        _a_week,
        _an_order_whose_answer_was_lost,
        _an_answer_that_cannot_be_read,
        _a_switch,
        _a_refresh_that_comes,
        _a_function_of_our_own,
        _a_declaration,
        _somebody_wants_to_see_the_card_itself,
    ],
)
def test_everything_is_unknown_after(act: Callable[[FakeCard, Euicc], Awaitable[object]]) -> None:
    assert known_after(act) == ALL


def test_a_removal_that_met_a_reset_makes_everything_unknown() -> None:
    async def act(card: FakeCard, euicc: Euicc) -> None:
        card.answers["BF3003800107"] = [ChannelLost("gone", reason=LossReason.RESET), "BF30038001009000"]
        await euicc.remove_notification(7)

    assert known_after(act) == ALL


def test_what_was_read_before_a_late_sign_of_a_reset_is_not_kept() -> None:
    async def scene() -> None:
        card = a_card()
        euicc = Euicc(IsdrSession(card))
        await euicc.get_eid()
        card.epoch += 1  # the modem tells of it while the channel is open
        await ask(euicc, INFO2)
        await ask(euicc, INFO2)
        assert card.requests.count(INFO2) == 2

    run(scene())


def test_a_port_that_is_gone_is_told_although_everything_is_known() -> None:
    async def scene() -> None:
        card = a_card()
        euicc = Euicc(IsdrSession(card))
        await ask(euicc)
        await euicc.release()
        await asyncio.sleep(60)

        async def gone() -> None:
            raise ModemError("gone")

        card.notice_changes = gone  # type: ignore[method-assign]  # on this object
        with pytest.raises(ModemError):
            await ask(euicc, INFO2)

    run(scene())


# -- what makes a part unknown -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("result", "unknown"),
    [
        (LISTED, {INFO2}),
        (FALLBACK_SET, {INFO2, PROFILES}),
        (EIM_DELETED, {INFO2, EIMS}),
        (REFUSED, {INFO2}),
    ],
)
def test_a_package_makes_unknown_what_it_changed(result: str, unknown: set[str]) -> None:
    async def act(card: FakeCard, euicc: Euicc) -> None:
        card.answers[PACKAGE] = result + "9000"
        await euicc.load_euicc_package(bytes.fromhex(PACKAGE))

    assert known_after(act) == unknown


def test_the_lists_follow_what_is_stored_and_removed() -> None:
    async def act(card: FakeCard, euicc: Euicc) -> None:
        await euicc.load_euicc_package(bytes.fromhex(PACKAGE))
        listed = await euicc.retrieve_notifications(AllPackageResults())
        assert [one.seq_number for one in listed.package_results] == [7]
        assert listed.raw.hex().upper() == "BF2B5FA25D" + LISTED
        await euicc.remove_notification(7)
        listed = await euicc.retrieve_notifications(AllPackageResults())
        assert listed.package_results == ()

    assert known_after(act) == {INFO2}


def test_a_removal_that_the_card_refused_makes_the_lists_unknown() -> None:
    async def act(card: FakeCard, euicc: Euicc) -> None:
        await euicc.remove_notification(9)

    assert known_after(act) == {INFO2, NOTIFICATIONS, RESULTS}


@pytest.mark.parametrize("answer", ["BF2B0381017F9000", "BF2B04A00230009000"])
def test_a_list_that_tells_an_error_or_holds_something_unreadable_is_not_kept(answer: str) -> None:
    async def scene() -> None:
        card = a_card()
        card.answers[NOTIFICATIONS] = answer
        euicc = Euicc(IsdrSession(card))
        await ask(euicc, NOTIFICATIONS)
        await ask(euicc, NOTIFICATIONS)
        assert card.requests.count(NOTIFICATIONS) == 2

    run(scene())
