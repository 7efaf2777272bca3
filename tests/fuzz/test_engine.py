"""The engine sees what it is there for. Each test plants one fault in a reader."""

from __future__ import annotations

import itertools
import logging
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ipad_agent.codec.ber import tlv
from ipad_agent.errors import CodecError
from ipad_agent.store.journal_format import read_journal

from . import corpus, mutate_ber, run
from .engine import CPU_S, LARGEST_BYTES, MEMORY_BYTES, probe
from .ground import Ground
from .heavy import heavy
from .mutate import mutated
from .shrink import smaller
from .target import Kind, Target
from .targets import TARGETS


def target(read: Callable[[bytes], object], **changes: object) -> Target:
    return Target("planted", Kind.BER, {"read": read}, (CodecError,), "ber", **changes)  # type: ignore[arg-type]


def problem(read: Callable[[bytes], object], *, memory: bool = False) -> str:
    failure = probe(target(read), b"\x30\x00", memory=memory)
    return failure.problem if failure is not None else ""


def test_a_value_and_the_targets_own_error_are_no_failures() -> None:
    assert problem(tlv.parse) == ""
    assert probe(target(tlv.parse), b"\x30") is None


@pytest.mark.parametrize("error", [ValueError("x"), RecursionError(), MemoryError(), SystemExit(1), AssertionError()])
def test_another_error_is_a_failure(error: BaseException) -> None:
    def read(data: bytes) -> object:
        raise error

    assert problem(read).startswith(f"raises {type(error).__name__}")


def test_a_reader_that_does_not_end_is_interrupted_and_told() -> None:
    def read(data: bytes) -> object:
        try:
            for _ in itertools.count():
                pass
        except Exception:  # noqa: BLE001 - as a reader that catches too much would
            pass
        return None

    assert problem(read) == f"does not end within {CPU_S:g} s of processor time"


def test_a_pattern_that_tries_for_ever_is_interrupted_and_told() -> None:
    assert "does not end" in problem(lambda data: re.fullmatch("(a|a)*b", "a" * 40))


def test_memory_beyond_the_limit_is_told() -> None:
    assert problem(lambda data: len(bytes(MEMORY_BYTES + 1)), memory=True).startswith("takes")
    assert problem(lambda data: len(bytes(MEMORY_BYTES // 2)), memory=True) == ""


def test_a_value_that_cannot_be_shown_is_told() -> None:
    class Unshowable:
        def __repr__(self) -> str:
            raise KeyError("x")

    assert problem(lambda data: Unshowable()).startswith("raises KeyError")


@pytest.mark.parametrize("words", ["two\nlines", "\x1b[2J", "\ud800", "\u202e", "x" * 3000])
def test_words_that_are_not_fit_for_the_log_are_told(words: str) -> None:
    def refuse(data: bytes) -> object:
        raise CodecError(words)

    def log(data: bytes) -> None:
        logging.getLogger("ipad_agent").warning("%s", words)

    assert problem(refuse).startswith("says")
    assert problem(log).startswith("says")
    assert probe(target(refuse, logged=False), b"") is None


def test_the_watch_is_off_again_afterwards() -> None:
    logger = logging.getLogger("ipad_agent")
    before = (logger.propagate, logger.level, list(logger.handlers))
    probe(target(tlv.parse), b"\x30")
    assert (logger.propagate, logger.level, list(logger.handlers)) == before


@pytest.mark.parametrize("kind", Kind)
def test_the_same_seed_damages_in_the_same_way_and_within_the_limit(kind: Kind) -> None:
    seeds = [data for one in TARGETS.values() if one.kind is kind for data in corpus.inputs(one)]
    first, second = (
        [mutated(rng, kind, rng.choice(seeds), seeds) for _ in range(200)]
        for rng in (random.Random(1), random.Random(1))
    )
    assert first == second
    assert len(set(first)) > 150
    assert max(map(len, first)) <= LARGEST_BYTES


def test_elements_deep_in_a_message_are_changed_and_the_lengths_around_them_stay_right() -> None:
    # BF51 { 30 { 80 { 01 } A0 { 30 { 81 { 02 } } } } }
    message = bytes.fromhex("bf510c300a800101a005300381 0102".replace(" ", ""))
    rng = random.Random(2)
    changed = [mutate_ber.changed(rng, message, [message]) for _ in range(300)]
    whole = [data for data in changed if data != message and mutate_ber.elements(data) is not None]
    assert len(whole) > 100
    assert any(data.startswith(b"\xbf\x51") and b"\x81\x01\x02" not in data for data in whole)


def test_a_changed_journal_still_has_good_checksums() -> None:
    ground, rng = Ground(TARGETS["journal"]), random.Random(3)
    read = [read_journal(ground.new(rng)) for _ in range(300)]
    assert sum(bool(found.entries) for found in read) > 60


@pytest.mark.parametrize("kind", Kind)
def test_what_is_large_stays_within_the_limit(kind: Kind) -> None:
    assert all(len(data) <= LARGEST_BYTES for _, data in heavy(kind, [b"\x30\x00", b"x" * 60_000, b""]))


def test_a_failing_input_is_made_small() -> None:
    def read(data: bytes) -> object:
        return 1 // (data.count(b"\x2a") == 0)

    planted = target(read)
    failure = probe(planted, bytes(range(200)) * 3)
    assert failure is not None
    assert smaller(planted, failure).data == b"\x2a"


def test_a_run_finds_a_planted_fault_saves_it_once_and_says_so(tmp_path: Path) -> None:
    def read(data: bytes) -> object:
        return 7 // (len(data) % 5)

    said: list[str] = []
    seconds = itertools.count()
    failures = run.fuzz([target(read)], 400, 7, say=said.append, root=tmp_path, clock=lambda: next(seconds) / 4)
    assert failures
    assert len({failure.kind for failure in failures}) == len(failures)
    for failure in failures:
        (path,) = [path for path in (tmp_path / "ber").glob("*.bin") if path.read_bytes() == failure.data]
        assert path.name.startswith("found-")
        assert "Traceback" in path.with_suffix(".txt").read_text()
        assert any(str(path) in line for line in said)


def test_targets_are_chosen_by_the_beginning_of_their_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert [target.name for target in run.chosen("tlv")] == ["tlv"]
    assert len(run.chosen("")) == len(TARGETS)
    assert run.main(["--target", "nothing of that"]) == 2
    assert run.main(["--list"]) == 0
    assert "at-lines" in capsys.readouterr().out
