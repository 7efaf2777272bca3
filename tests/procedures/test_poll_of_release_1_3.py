"""Answers that SGP.32 v1.3 added or made clear, on their way through a poll: relayed, told, or refused."""

from __future__ import annotations

import pytest

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.esipa import eim_package
from ipad_agent.codec.esipa.eim_package import ProvideResultResponse
from ipad_agent.procedures.retrieval.eim_package_retrieval import PollEnd, poll

from .fakes import Bench, package, signed_result

# Written by pycrate's encoder from the v1.3 module: transaction, token 3 and code 15; code 127 alone; none.
WITH_SIZE_OVERFLOW = "BF511BA219800B65696D2E6578616D706C6582040A0B0C0D8401038F010F"
WITH_UNDEFINED = "BF5112A210800B65696D2E6578616D706C658F017F"
WITHOUT = "BF510FA20D800B65696D2E6578616D706C65"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (WITH_SIZE_OVERFLOW, "(15), unsigned"),
        (WITH_UNDEFINED, "(127), unsigned"),
        (WITHOUT, "it does not know this eIM"),
    ],
)
async def test_an_unsigned_error_is_relayed_byte_for_byte_and_its_code_is_told(
    answer: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "ipad_agent")
    bench = Bench()
    bench.card.script.append(bytes.fromhex(answer))
    bench.link.packages.append(eim_package.parse_get_eim_package_response(tlv.encode(0xBF4F, package())))
    await poll(bench.context, bench.eim)
    assert bench.link.results[0].hex().upper() == answer
    assert said in caplog.text


async def test_an_answer_in_the_place_of_a_package_is_unknown_and_ends_the_poll() -> None:
    """BF60 belongs into the answer to a pushed package only."""
    bench = Bench()
    bench.link.packages.append(eim_package.parse_get_eim_package_response(bytes.fromhex("BF4F03BF6000")))
    assert (await poll(bench.context, bench.eim)).end is PollEnd.NO_MORE_WORK
    assert bench.link.results == [bytes.fromhex("A003020102")]


@pytest.mark.parametrize("tag_list", ["5C015A", "5C02BF2D", "5C00", "5C0199"])
async def test_a_question_for_what_nobody_may_ask_is_an_incorrect_tag_list(tag_list: str) -> None:
    bench = Bench()
    question = tlv.encode(0xBF52, bytes.fromhex(tag_list))
    bench.link.packages.append(eim_package.parse_get_eim_package_response(tlv.encode(0xBF4F, question)))
    await poll(bench.context, bench.eim)
    assert bench.link.results == [bytes.fromhex("BF5205A103020101")]


async def test_an_acknowledged_number_that_the_card_does_not_know_is_no_trouble() -> None:
    """Acknowledged does not mean known: an eIM names numbers of results that it threw away, too."""
    bench = Bench()
    bench.card.script.append(signed_result(7))
    bench.link.answers.append(ProvideResultResponse((7, 77)))
    bench.link.packages.append(eim_package.parse_get_eim_package_response(tlv.encode(0xBF4F, package())))
    assert (await poll(bench.context, bench.eim)).end is PollEnd.NO_MORE_WORK
    assert [line for line in bench.card.log if line.startswith("remove")] == ["remove 7", "remove 77"]
    assert bench.card.stored == {}
    assert bench.journal.entries() == []
