from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from ipad_agent.card.apdu_channel import ChannelLost, LossReason
from ipad_agent.card.errors import (
    FunctionFailed,
    MalformedAnswer,
    NotSupportedByCard,
    StatusWordError,
    TruncatedAnswer,
    WrongRequest,
)
from ipad_agent.card.es10_functions import Euicc
from ipad_agent.card.isdr_session import IsdrSession
from ipad_agent.codec.es10.es10_requests import ResetOption
from ipad_agent.codec.es10.notifications import AllPackageResults, BySeqNumber
from ipad_agent.codec.identifiers import Eid
from ipad_agent.errors import Remedy
from virtual_time import run

from .fakes import EID, FakeCard

LOST = ChannelLost("gone", reason=LossReason.REFUSED)
# EUICCInfo2 of an eUICC that speaks SGP.32 v1.2 and of one that speaks v1.0, cut to what is read here.
INFO2 = "BF220DB40BA0050403010200810082009000"
INFO2_V1_0 = "BF2209B407A00504030100009000"
# A package with one disable (fields as in SGP.32 v1.2 §2.11.1.1), and its signed result: disable ok, seqNumber 7.
PACKAGE = (
    "BF5170302B800465494D315A1089049032123451234512345678901235810105A00EA40C5A0A989400000000000010925F3740" + "11" * 64
)
RESULT = "BF5158A0563011800465494D318101058301073003840100" + "5F3740" + "22" * 64
RESULT_LIST = "BF2B5DA25B" + RESULT


def euicc_of(card: FakeCard) -> Euicc:
    return Euicc(IsdrSession(card))


def test_a_read_goes_out_as_one_store_data_and_comes_back_typed() -> None:
    card = FakeCard()
    assert str(run(euicc_of(card).get_eid())) == EID
    assert card.requests == ["BF3E035C015A"]  # to prove the channel


def test_every_function_sends_what_the_tables_say() -> None:
    async def scene() -> None:
        card = FakeCard()
        euicc = euicc_of(card)
        calls: list[tuple[Callable[[], Awaitable[object]], str]] = [
            (euicc.get_euicc_info1, "BF2000"),
            (euicc.get_euicc_info2, "BF2200"),
            (euicc.get_eim_configuration, "BF5500"),
            (euicc.get_rat, "BF4300"),
            (euicc.get_certs, "BF5600"),
            (euicc.get_configured_addresses, "BF3C00"),
            (euicc.get_connectivity_parameters, "BF5F00"),
            (euicc.retrieve_notifications, "BF2B00"),
            (lambda: euicc.retrieve_notifications(AllPackageResults()), "BF2B04A0028200"),
            (euicc.list_notifications, "BF2800"),
            (lambda: euicc.remove_notification(7), "BF3003800107"),
            (lambda: euicc.set_default_dp("a.b"), "BF65058003612E62"),
            (lambda: euicc.configure_immediate_enabling(enable=True), "BF59028000"),
            (euicc.ipae_activation, "BF420480020780"),
            (lambda: euicc.profile_rollback(refresh=True), "BF58038001FF"),
            (lambda: euicc.execute_fallback(refresh=False), "BF5D03800100"),
            (lambda: euicc.return_from_fallback(refresh=True), "BF5E038001FF"),
            (lambda: euicc.enable_emergency_profile(refresh=True), "BF5B038001FF"),
            (lambda: euicc.disable_emergency_profile(refresh=True), "BF5C038001FF"),
            (euicc.get_challenge, "BF2E00"),
        ]
        for call, request in calls:
            card.requests.clear()
            with pytest.raises(NotSupportedByCard):
                await call()
            assert request in card.requests

    run(scene())


@pytest.mark.parametrize("answer", ["6A88", "6A80", "6D00", "6E00", "9000"])
def test_what_an_older_card_lacks_is_not_supported_and_not_fatal(answer: str) -> None:
    card = FakeCard()
    card.answers["BF5F00"] = answer
    with pytest.raises(NotSupportedByCard) as caught:
        run(euicc_of(card).get_connectivity_parameters())
    assert caught.value.remedy is Remedy.GIVE_UP


def test_an_answer_that_cannot_be_read_keeps_its_bytes() -> None:
    card = FakeCard()
    card.answers["BF2200"] = "BF3C009000"
    with pytest.raises(MalformedAnswer) as caught:
        run(euicc_of(card).get_euicc_info2())
    assert caught.value.raw == bytes.fromhex("BF3C00")
    assert caught.value.answer == bytes.fromhex("BF3C00")  # where the procedures look for it


@pytest.mark.parametrize("failure", [LOST, "6999", "6881", "6A81", "BF22109000"])
def test_a_read_is_repeated_once_on_a_new_channel(failure: str | ChannelLost) -> None:
    card = FakeCard()
    card.answers["BF2200"] = [failure, INFO2]
    assert run(euicc_of(card).get_euicc_info2()).iot is not None
    assert card.opened == 2
    assert card.channels[0].closed


def test_a_read_that_fails_twice_is_an_error() -> None:
    card = FakeCard()
    card.answers["BF2200"] = ["BF22109000", "BF22109000"]
    with pytest.raises(TruncatedAnswer):
        run(euicc_of(card).get_euicc_info2())
    assert len(card.channels[0].unusable) == 1


def test_a_package_goes_to_the_card_byte_for_byte_and_its_result_comes_back_whole() -> None:
    async def scene() -> None:
        card = FakeCard()
        card.answers[PACKAGE] = RESULT + "9000"
        euicc = euicc_of(card)
        result = await euicc.load_euicc_package(bytes.fromhex(PACKAGE))
        assert card.requests[-1] == PACKAGE
        assert result.raw.hex().upper() == RESULT
        assert result.seq_number == 7
        assert result.switched
        assert euicc.reset_due

    run(scene())


def test_a_waiting_refresh_makes_a_reset_due_whatever_the_result_says() -> None:
    async def scene() -> None:
        card = FakeCard()
        card.answers["BF65058003612E62"] = "BF65038001009000"
        euicc = euicc_of(card)
        await euicc.set_default_dp("a.b")
        assert not euicc.reset_due
        card.answers["BF65058003612E62"] = "BF6503800100910B"
        await euicc.set_default_dp("a.b")
        assert euicc.reset_due

    run(scene())


@pytest.mark.parametrize("failure", [LOST, "6F00", ChannelLost("late", reason=LossReason.TIMEOUT)])
def test_a_package_that_the_card_may_have_seen_is_never_sent_again(failure: str | ChannelLost) -> None:
    card = FakeCard()
    card.answers[PACKAGE] = [failure, RESULT + "9000"]
    with pytest.raises((ChannelLost, StatusWordError)) as caught:
        run(euicc_of(card).load_euicc_package(bytes.fromhex(PACKAGE)))
    assert getattr(caught.value, "may_have_executed", None) is True
    assert card.requests.count(PACKAGE) == 1


def test_a_card_without_the_function_is_told_apart_from_one_that_took_a_package_and_says_nothing() -> None:
    """The one has certainly not executed it; the other may have, and has to be asked."""
    lacking, silent = FakeCard(), FakeCard()
    lacking.answers[PACKAGE], silent.answers[PACKAGE] = "6D00", "9000"
    with pytest.raises(NotSupportedByCard):
        run(euicc_of(lacking).load_euicc_package(bytes.fromhex(PACKAGE)))
    with pytest.raises(MalformedAnswer):
        run(euicc_of(silent).load_euicc_package(bytes.fromhex(PACKAGE)))


@pytest.mark.parametrize("failure", ["6999", "6881"])
def test_a_package_that_the_card_cannot_have_seen_is_sent_once_more(failure: str) -> None:
    card = FakeCard()
    card.answers[PACKAGE] = [failure, RESULT + "9000"]
    assert run(euicc_of(card).load_euicc_package(bytes.fromhex(PACKAGE))).seq_number == 7
    assert card.requests.count(PACKAGE) == 2


@pytest.mark.parametrize("raw", ["", "BF64048202 0284", "3000", "BF5100BF64048202 0284", PACKAGE[:-2]])
def test_nothing_but_a_package_can_be_sent_as_a_package(raw: str) -> None:
    card = FakeCard()
    with pytest.raises(WrongRequest):
        run(euicc_of(card).load_euicc_package(bytes.fromhex(raw)))
    assert card.requests == []


def test_requests_of_other_functions_are_checked_the_same_way() -> None:
    async def scene() -> None:
        card = FakeCard()
        euicc = euicc_of(card)
        reset = bytes.fromhex("BF640482020284")
        for call in (euicc.add_initial_eim, euicc.authenticate_server, euicc.prepare_download, euicc.cancel_session):
            with pytest.raises(WrongRequest):
                await call(reset)
        assert card.requests == []

    run(scene())


def test_a_result_is_found_by_its_number_on_cards_that_do_not_search_results() -> None:
    async def scene() -> None:
        for answer in ("BF2B02A0009000", "9000", "6A80", "BF2B0381017F9000"):
            card = FakeCard()
            card.answers["BF2B05A003800107"] = answer
            card.answers["BF2B04A0028200"] = RESULT_LIST + "9000"
            found = await euicc_of(card).retrieve_notifications(BySeqNumber(7))
            assert [result.seq_number for result in found.package_results] == [7]
            assert found.raw.hex().upper() == RESULT_LIST

    run(scene())


def test_a_number_that_nobody_knows_is_an_empty_list() -> None:
    card = FakeCard()
    card.answers["BF2B05A003800109"] = "BF2B02A0009000"
    card.answers["BF2B04A0028200"] = RESULT_LIST + "9000"
    card.answers["BF2B00"] = "BF2B02A0009000"
    found = run(euicc_of(card).retrieve_notifications(BySeqNumber(9)))
    assert found.notifications == ()
    assert found.package_results == ()


def test_an_empty_answer_is_an_empty_list_of_results() -> None:
    card = FakeCard()
    card.answers["BF2B04A0028200"] = "9000"
    assert run(euicc_of(card).retrieve_notifications(AllPackageResults())).package_results == ()


PROFILE = "E3105A0A989400000000000010929F700101"


WITH_SGP32, WITH_SGP22, WITHOUT = (
    "BF2D135C115A4F9F7090919295B6B7999F269F679F7B",
    "BF2D0D5C0B5A4F9F7090919295B6B799",
    "BF2D00",
)


@pytest.mark.parametrize("refusal", ["BF2D038101019000", "6A80"])
@pytest.mark.parametrize("lists", [[WITH_SGP32, WITH_SGP22], [WITH_SGP32, WITH_SGP22, WITHOUT]])
def test_a_card_that_refuses_fields_is_asked_for_fewer_and_not_again_for_more(refusal: str, lists: list[str]) -> None:
    async def scene() -> None:
        card = FakeCard()
        card.answers |= dict.fromkeys(lists, refusal) | {lists[-1]: "BF2D14A012" + PROFILE + "9000"}
        euicc = euicc_of(card)
        for asked in (lists, lists[-1:]):
            before = len(card.requests)
            euicc.ask_anew()
            (profile,) = await euicc.get_profiles()
            assert profile.enabled
            assert [one for one in card.requests[before:] if one.startswith("BF2D")] == asked

    run(scene())


def test_a_card_that_has_no_list_of_profiles_at_all_lacks_the_function() -> None:
    card = FakeCard()
    card.answers |= dict.fromkeys((WITH_SGP32, WITH_SGP22, WITHOUT), "6D00")
    with pytest.raises(NotSupportedByCard):
        run(euicc_of(card).get_profiles())


@pytest.mark.parametrize("trouble", ["BF2D0381010B9000", "BF2D0381017F9000"])  # profileChangeOngoing, undefinedError
def test_what_goes_wrong_for_a_moment_says_nothing_about_the_list_of_fields(trouble: str) -> None:
    async def scene() -> None:
        card = FakeCard()
        card.answers |= dict.fromkeys((WITH_SGP32, WITH_SGP22, WITHOUT), trouble)
        euicc = euicc_of(card)
        with pytest.raises(FunctionFailed):
            await euicc.get_profiles()
        card.answers[WITH_SGP32] = "BF2D14A012" + PROFILE + "9000"
        before = len(card.requests)
        assert len(await euicc.get_profiles()) == 1
        assert card.requests[before:] == [WITH_SGP32]

    run(scene())


def test_another_card_is_asked_for_everything_again() -> None:
    async def scene() -> None:
        card = FakeCard()
        card.answers |= {WITH_SGP32: "6A80", WITH_SGP22: "BF2D14A012" + PROFILE + "9000"}
        euicc = euicc_of(card)
        await euicc.get_profiles()
        euicc._tag_list_refused = (Eid.parse("89049032000000000000000000000124"), 1)
        card.answers[WITH_SGP32] = card.answers[WITH_SGP22]
        before = len(card.requests)
        euicc.ask_anew()
        await euicc.get_profiles()
        assert card.requests[before:] == [WITH_SGP32]

    run(scene())


def test_a_profile_list_that_is_refused_altogether_is_an_error() -> None:
    card = FakeCard()
    card.answers["BF2D00"] = "BF2D0381010B9000"
    with pytest.raises(FunctionFailed) as caught:
        run(euicc_of(card).get_profiles())
    assert caught.value.code == 11


def test_immediate_enable_falls_back_to_the_form_of_v1_0() -> None:
    async def scene() -> None:
        card = FakeCard()
        card.answers["BF5A038001FF"] = "6A80"
        card.answers["BF5A00"] = "BF5A038001009000"
        euicc = euicc_of(card)
        assert await euicc.immediate_enable() == 0
        assert euicc.reset_due
        assert card.requests[-2:] == ["BF5A038001FF", "BF5A00"]

    run(scene())


def test_memory_reset_has_the_form_of_the_cards_release() -> None:
    async def scene() -> None:
        card = FakeCard()
        card.answers["BF2200"] = INFO2
        card.answers["BF640482020284"] = "BF64068001008101009000"
        euicc = euicc_of(card)
        both = (ResetOption.OPERATIONAL_PROFILES, ResetOption.EIM_CONFIGURATION)
        answer = await euicc.memory_reset(both)
        assert answer.result == 0
        assert euicc.reset_due
        # v1.0 has the eIM configuration at bit 3 of BF34.
        card = FakeCard()
        card.answers["BF2200"] = INFO2_V1_0
        card.answers["BF340482020490"] = "BF34038001009000"
        assert (await euicc_of(card).memory_reset(both)).result == 0
        with pytest.raises(NotSupportedByCard):
            await euicc_of(card).memory_reset((ResetOption.PROVISIONING_PROFILES,))

    run(scene())


def test_segments_of_a_profile_give_nothing_until_the_installation_result() -> None:
    async def scene() -> None:
        card = FakeCard()
        card.answers["A10A"] = "9000"
        card.answers["88020102"] = "BF3702BF279000"
        card.answers["86020102"] = "BF37009000"
        card.answers["86020103"] = "30009000"
        euicc = euicc_of(card)
        assert await euicc.load_bpp_segment(bytes.fromhex("A10A")) is None
        assert await euicc.load_bpp_segment(bytes.fromhex("86020102")) == bytes.fromhex("BF3700")
        with pytest.raises(MalformedAnswer):
            await euicc.load_bpp_segment(bytes.fromhex("86020103"))

    run(scene())


def test_a_segment_is_never_sent_twice() -> None:
    card = FakeCard()
    card.answers["86020102"] = [LOST, "9000"]
    with pytest.raises(ChannelLost):
        run(euicc_of(card).load_bpp_segment(bytes.fromhex("86020102")))
    assert card.requests.count("86020102") == 1


def test_calls_of_two_tasks_do_not_mix_their_blocks() -> None:
    async def scene() -> None:
        card = FakeCard()
        card.answers[PACKAGE] = RESULT + "9000"
        card.answers["BF2200"] = INFO2
        euicc = euicc_of(card)
        await asyncio.gather(euicc.load_euicc_package(bytes.fromhex(PACKAGE)), euicc.get_euicc_info2(), euicc.get_eid())
        assert card.opened == 1

    run(scene())


def test_close_gives_channel_and_port_back() -> None:
    async def scene() -> None:
        card = FakeCard()
        euicc = euicc_of(card)
        await euicc.get_eid()
        assert euicc.apdu_count == 1
        await euicc.close()
        assert card.channels[0].closed
        assert card.closed
        assert euicc.apdu_count == 1

    run(scene())


def test_the_port_is_given_back_with_the_channel_only_where_others_need_it() -> None:
    async def scene(*, give_port_back: bool) -> int:
        card = FakeCard()
        closings = 0

        async def close() -> None:
            nonlocal closings
            closings += 1

        card.close = close  # type: ignore[method-assign]
        euicc = Euicc(IsdrSession(card), give_port_back=give_port_back)
        await euicc.get_eid()
        await euicc.release()
        return closings

    assert run(scene(give_port_back=True)) == 1
    assert run(scene(give_port_back=False)) == 0
