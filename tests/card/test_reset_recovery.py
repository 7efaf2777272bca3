from __future__ import annotations

import asyncio

import pytest

from ipad_agent.card.apdu_channel import ChannelLost, LossReason, RecoveryPlan
from ipad_agent.card.errors import CardNotReady, CardUnreachable, NotAnEuicc
from ipad_agent.card.es10_functions import Euicc
from ipad_agent.card.es10c_functions import ConsumerEuicc
from ipad_agent.card.isdr_session import IsdrSession
from ipad_agent.codec.identifiers import NO_PROFILE
from ipad_agent.modem.errors import PortLost, PortUnavailable, ResetNotPossible
from virtual_time import run

from .fakes import EID_ANSWER, FakeCard

GET_EID = "BF3E035C015A"
# ProfileRollback answered ok: the simplest order that switches.
ROLLBACK = "BF58038001FF"
ROLLBACK_OK = "BF58030201009000"
PROFILES = "BF2D055C035A9F70"
OLD, NEW = "89490000000000000011", "89490000000000000029"


def enabled(iccid: str) -> str:
    """GetProfilesInfo with one enabled profile."""
    tbcd = "".join(iccid[i + 1] + iccid[i] for i in range(0, 20, 2))
    return "BF2D14A012E3105A0A" + tbcd + "9F7001019000"


def card_with_switch() -> FakeCard:
    card = FakeCard()
    card.answers[ROLLBACK] = ROLLBACK_OK
    card.answers[PROFILES] = enabled(NEW)
    card.iccid = OLD
    return card


def now() -> float:
    return asyncio.get_running_loop().time()


def test_a_lost_card_is_just_opened_again_without_any_reset() -> None:
    async def scene() -> None:
        card = FakeCard()
        euicc = Euicc(IsdrSession(card))
        await euicc.get_eid()
        await euicc.recover()
        assert card.rungs == []
        assert card.opened == 2

    run(scene())


def test_a_card_that_starts_slowly_is_waited_for_in_growing_steps() -> None:
    async def scene() -> None:
        card = FakeCard()
        card.open_errors = [CardNotReady("starting")] * 6
        start = now()
        await Euicc(IsdrSession(card)).recover()
        assert card.rungs == []
        assert 4 < now() - start < 10

    run(scene())


def test_a_switch_is_completed_by_a_reset_and_ends_when_the_modem_sees_the_new_profile() -> None:
    async def scene() -> None:
        card = card_with_switch()
        card.on_reset = lambda rung: setattr(card, "iccid", NEW)
        euicc = Euicc(IsdrSession(card))
        await euicc.profile_rollback()
        assert euicc.reset_due
        await euicc.recover()
        assert card.rungs == [0]
        assert not euicc.reset_due

    run(scene())


def test_the_ladder_is_climbed_while_the_modem_still_sees_the_old_profile() -> None:
    async def scene() -> None:
        card = card_with_switch()
        card.on_reset = lambda rung: setattr(card, "iccid", NEW if rung >= 3 else OLD)
        euicc = Euicc(IsdrSession(card))
        await euicc.profile_rollback()
        await euicc.recover()
        assert card.rungs == [0, 2, 3]

    run(scene())


def test_a_card_that_names_the_disabled_profile_until_its_reset_is_reset_until_it_names_none() -> None:
    async def scene() -> None:
        card = card_with_switch()
        card.answers[PROFILES] = enabled(OLD)

        def reset(rung: int) -> None:
            if rung >= 3:
                card.answers[PROFILES] = "BF2D02A0009000"
                card.iccid = None

        card.on_reset = reset
        euicc = Euicc(IsdrSession(card))
        await euicc.profile_rollback()
        await euicc.recover(expected=NO_PROFILE)
        assert card.rungs == [0, 2, 3]

    run(scene())


def test_a_card_that_names_the_old_profile_until_its_reset_does_not_agree_with_a_modem_that_never_reset_it() -> None:
    async def scene() -> None:
        card = card_with_switch()
        card.answers[PROFILES] = enabled(OLD)

        def reset(rung: int) -> None:
            if rung >= 3:
                card.answers[PROFILES] = enabled(NEW)
                card.iccid = NEW

        card.on_reset = reset
        euicc = Euicc(IsdrSession(card))
        await euicc.profile_rollback()
        await euicc.verify_switched(NEW)
        assert card.rungs == [0, 2, 3]

    run(scene())


def test_the_channel_is_closed_before_the_reset() -> None:
    async def scene() -> None:
        card = card_with_switch()
        closed_at_reset: list[bool] = []
        card.on_reset = lambda rung: closed_at_reset.append(all(channel.closed for channel in card.channels))
        euicc = Euicc(IsdrSession(card))
        await euicc.profile_rollback()
        await euicc.recover()
        assert all(closed_at_reset)

    run(scene())


def test_a_card_that_keeps_waiting_for_its_reset_is_reset_soon() -> None:
    async def scene() -> None:
        card = card_with_switch()
        euicc = Euicc(IsdrSession(card, terminal_capability="never"))
        await euicc.profile_rollback()
        card.answers[GET_EID] = "6985"

        def reset(rung: int) -> None:
            if rung == 3:
                card.answers[GET_EID] = EID_ANSWER
                card.iccid = NEW

        card.on_reset = reset
        start = now()
        await euicc.recover()
        assert card.rungs == [0, 2, 3]
        assert now() - start < 20  # not 30 s of waiting per rung

    run(scene())


def test_a_rung_that_is_not_possible_is_skipped() -> None:
    async def scene() -> None:
        card = card_with_switch()
        card.rung_errors = {0: ResetNotPossible("no"), 2: PortLost("gone")}
        card.on_reset = lambda rung: setattr(card, "iccid", NEW)
        euicc = Euicc(IsdrSession(card))
        await euicc.profile_rollback()
        await euicc.recover()
        assert card.rungs == [0, 2, 3]

    run(scene())


def test_a_card_that_stays_away_is_unreachable_after_the_whole_ladder() -> None:
    async def scene() -> None:
        card = FakeCard()
        card.open_errors = [CardNotReady("no SIM")] * 1000
        start = now()
        with pytest.raises(CardUnreachable, match="no SIM"):
            await Euicc(IsdrSession(card)).recover()
        assert card.rungs == [0, 2, 3, 5]
        assert now() - start < 5 * 35

    run(scene())


def test_a_card_that_answers_without_an_eid_is_not_reset_for_that() -> None:
    async def scene() -> None:
        card = FakeCard()
        card.answers[GET_EID] = "BF3E009000"
        with pytest.raises(NotAnEuicc):
            await Euicc(IsdrSession(card)).recover()
        assert card.rungs == []

    run(scene())


@pytest.mark.parametrize(
    ("on_card", "by_modem"),
    [
        ("898600B5012345678901", "898600B5012345678901"),
        ("98940000000000000092", NEW),  # the card's list has the order of the other side
    ],
)
def test_card_and_modem_agree_by_the_octets(on_card: str, by_modem: str) -> None:
    async def scene() -> None:
        card = card_with_switch()
        card.answers[PROFILES] = enabled(on_card)
        card.iccid = by_modem
        euicc = Euicc(IsdrSession(card))
        await euicc.profile_rollback()
        await euicc.recover()
        assert card.rungs == [0]

    run(scene())


def test_a_ladder_longer_than_the_time_for_it_is_climbed_on_where_it_was_cut_off() -> None:
    async def scene() -> None:
        card = FakeCard()
        card.open_errors = [CardNotReady("no SIM")] * 1000
        euicc = Euicc(IsdrSession(card), recover_limit_s=80)
        for rungs in ([0, 2], [0, 2, 2, 3, 5], [0, 2, 2, 3, 5, 5]):
            with pytest.raises(CardUnreachable):
                await euicc.recover()
            assert card.rungs == rungs
        with pytest.raises(CardUnreachable):  # the ladder was climbed to its end, so it begins anew
            await euicc.recover()
        assert card.rungs == [0, 2, 2, 3, 5, 5, 0, 2]

    run(scene())


def test_a_card_that_answers_is_usable_although_the_modem_never_notices_the_switch() -> None:
    async def scene() -> None:
        card = card_with_switch()
        euicc = Euicc(IsdrSession(card))
        await euicc.profile_rollback()
        await euicc.recover()
        assert card.rungs == [0, 2, 3, 5]
        await euicc.get_eid()

    run(scene())


def test_a_card_without_enabled_profile_is_not_waited_for_at_the_modem() -> None:
    async def scene() -> None:
        card = card_with_switch()
        card.answers[PROFILES] = "BF2D02A0009000"
        card.iccid = None
        euicc = Euicc(IsdrSession(card))
        await euicc.profile_rollback()
        start = now()
        await euicc.recover()
        assert card.rungs == [0]
        assert now() - start < 2

    run(scene())


def test_recovery_may_be_told_where_to_begin() -> None:
    async def scene() -> None:
        card = FakeCard()
        await Euicc(IsdrSession(card)).recover(first_rung=3)
        assert card.rungs == [3]

    run(scene())


def test_a_read_after_a_switch_recovers_by_itself_when_the_card_waits_for_its_reset() -> None:
    async def scene() -> None:
        card = card_with_switch()
        card.answers["BF2200"] = ["6985", "BF22009000"]
        card.on_reset = lambda rung: setattr(card, "iccid", NEW)
        euicc = Euicc(IsdrSession(card))
        await euicc.profile_rollback()
        await euicc.get_euicc_info2()
        assert card.rungs == [0]

    run(scene())


def test_a_refused_read_never_resets_a_modem_when_no_switch_is_open() -> None:
    async def scene() -> None:
        card = FakeCard()
        card.answers["BF2200"] = "6985"
        euicc = Euicc(IsdrSession(card))
        with pytest.raises(Exception, match="6985"):
            await euicc.get_euicc_info2()
        assert card.rungs == []

    run(scene())


def test_a_read_waits_for_a_port_that_vanished_and_resets_nothing() -> None:
    async def scene() -> None:
        card = FakeCard()
        card.answers["BF2200"] = [ChannelLost("gone", reason=LossReason.PORT), "BF22009000"]
        euicc = Euicc(IsdrSession(card))
        await euicc.get_eid()
        card.open_errors = [PortUnavailable("away")] * 5
        await euicc.get_euicc_info2()
        assert card.rungs == []
        card.answers["BF2200"] = [ChannelLost("gone", reason=LossReason.PORT), "BF22009000"]
        card.open_errors = [PortUnavailable("away")] * 100
        card.epoch += 1  # or the answer would still be known
        start = now()
        with pytest.raises(PortUnavailable):
            await euicc.get_euicc_info2()
        assert card.rungs == []
        assert 20 < now() - start < 40

    run(scene())


def test_whether_the_card_shall_refresh_follows_the_modem() -> None:
    async def scene() -> None:
        card = card_with_switch()
        card.plan = RecoveryPlan(modem_refreshes=False)
        card.answers["BF5803800100"] = ROLLBACK_OK
        await Euicc(IsdrSession(card)).profile_rollback()
        assert card.requests[-1] == "BF5803800100"

    run(scene())


def test_a_port_that_goes_while_modem_and_card_are_compared_does_not_count_as_agreement() -> None:
    """The card had answered, so the ladder ended as if all were well: the modem was never seen with the new profile."""

    async def scene() -> None:
        card = card_with_switch()
        euicc = Euicc(IsdrSession(card))
        await euicc.profile_rollback()
        whole, card.read_iccid = card.read_iccid, gone  # type: ignore[method-assign]
        card.rung_errors = {rung: PortLost("gone") for rung in (2, 3, 5)}
        with pytest.raises(CardUnreachable, match="the port vanished"):
            await euicc.recover()
        assert euicc.reset_due
        card.read_iccid, card.rung_errors = whole, {}  # type: ignore[method-assign]
        card.on_reset = lambda rung: setattr(card, "iccid", NEW)
        await euicc.recover()
        assert not euicc.reset_due

    run(scene())


def test_a_port_that_goes_between_two_rungs_does_not_count_as_agreement_either() -> None:
    """Torture seed 504267: the card was reached after the first rung, and the port was away for all the others."""

    async def scene() -> None:
        card = card_with_switch()
        euicc = Euicc(IsdrSession(card))
        await euicc.profile_rollback()
        away = PortUnavailable("no known modem among the serial ports")
        card.rung_errors = dict.fromkeys((2, 3, 5), away)

        async def read_iccid() -> str | None:
            card.open_errors = [away] * 1000
            return OLD

        whole, card.read_iccid = card.read_iccid, read_iccid  # type: ignore[method-assign]
        with pytest.raises(CardUnreachable, match="no known modem"):
            await euicc.recover()
        assert euicc.reset_due
        card.read_iccid, card.rung_errors, card.open_errors = whole, {}, []  # type: ignore[method-assign]
        card.on_reset = lambda rung: setattr(card, "iccid", NEW)
        await euicc.recover()
        assert not euicc.reset_due

    run(scene())


async def gone() -> str | None:
    raise PortLost("the port vanished")


def test_a_consumer_card_is_reset_by_taking_its_power_and_not_by_the_radio_alone() -> None:
    """AT+CFUN=4 leaves the card its power with many modules; it then goes on showing the old state."""

    async def scene() -> None:
        card = FakeCard()
        await ConsumerEuicc(IsdrSession(card)).reset()
        assert card.rungs == [3]

    run(scene())
