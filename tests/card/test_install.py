"""Loading a bound profile package: every segment once, to the first installation result and no further."""

from __future__ import annotations

import pytest

from ipad_agent.card.errors import ChannelLost, MalformedAnswer, MalformedBpp, StatusWordError
from ipad_agent.card.es10_functions import Euicc
from ipad_agent.card.isdr_session import IsdrSession
from virtual_time import run

from .fakes import FakeCard

# Written by hand after SGP.22 v2.5 §2.5.5; the contents are shortened.
BF23 = "BF2303820101"
A0 = "A00487020102"
METADATA = "8803AABBCC"
ELEMENT_1 = "86020102"
ELEMENT_2 = "86020103"
BPP = bytes.fromhex("BF361D" + BF23 + A0 + "A105" + METADATA + "A308" + ELEMENT_1 + ELEMENT_2)
SEGMENTS = ["BF361D" + BF23, A0, "A105", METADATA, "A308", ELEMENT_1, ELEMENT_2]
RESULT = "BF3700"


def card_that_says(answers: dict[str, str | Exception]) -> FakeCard:
    card = FakeCard()
    card.answers.update(dict.fromkeys(SEGMENTS, "9000"))
    card.answers.update(answers)
    return card


def load(card: FakeCard, package: bytes = BPP) -> tuple[bytes | None, list[tuple[int, int]]]:
    steps: list[tuple[int, int]] = []
    euicc = Euicc(IsdrSession(card))
    return run(euicc.install_profile(package, lambda done, total: steps.append((done, total)))), steps


def sent(card: FakeCard) -> list[str]:
    """What the card was asked after the one look at who it is."""
    assert card.requests[0] == "BF3E035C015A"
    return card.requests[1:]


def test_all_segments_are_sent_in_order_and_the_result_is_handed_back() -> None:
    card = card_that_says({ELEMENT_2: RESULT + "9000"})
    result, steps = load(card)
    assert result == bytes.fromhex(RESULT)
    assert sent(card) == SEGMENTS
    assert steps == [(done, 7) for done in range(1, 7)]


def test_the_first_result_ends_the_loading() -> None:
    card = card_that_says({METADATA: RESULT + "9000"})
    result, _ = load(card)
    assert result == bytes.fromhex(RESULT)
    assert sent(card) == SEGMENTS[:4]


def test_a_card_that_never_gives_a_result_is_no_success() -> None:
    card = card_that_says({})
    assert load(card)[0] is None
    assert sent(card) == SEGMENTS


def test_a_package_that_cannot_be_cut_is_not_begun() -> None:
    card = card_that_says({})
    with pytest.raises(MalformedBpp):
        load(card, BPP[:-1])
    assert card.requests == []


@pytest.mark.parametrize(
    ("answer", "error"), [("6A80", StatusWordError), ("30009000", MalformedAnswer), (None, ChannelLost)]
)
def test_what_goes_wrong_in_between_ends_it_and_nothing_is_repeated(answer: str | None, error: type[Exception]) -> None:
    card = card_that_says({})
    card.answers[METADATA] = card.lost() if answer is None else answer
    with pytest.raises(error):
        load(card)
    assert sent(card) == SEGMENTS[:4]
