"""Every parser of foreign input meets the corpus, damaged forms of it, and what is large or deep."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from codec_parsers import PARSERS

from . import corpus, targets_codec
from .engine import probe
from .ground import Ground
from .heavy import heavy
from .targets import TARGETS

NAMES = sorted(TARGETS)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_the_corpus_is_read_or_refused(name: str) -> None:
    for path in corpus.files(TARGETS[name].folder):
        failure = probe(TARGETS[name], path.read_bytes(), memory=True)
        assert failure is None, f"{path.name}: {failure}"


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_file_of_the_corpus_is_read_or_refused(name: str) -> None:
    target = TARGETS[name]
    ground = Ground(target)

    # A seed says nothing to a person, so there is nothing to make smaller; the failure shows the input.
    @settings(max_examples=target.examples, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(st.integers(0, (1 << 64) - 1))
    def read_or_refused(seed: int) -> None:
        failure = probe(target, ground.new(random.Random(seed)))
        assert failure is None, str(failure)

    read_or_refused()


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_the_corpus_that_ends_too_soon_is_read_or_refused(name: str) -> None:
    for data in corpus.inputs(TARGETS[name]):
        for end in range(0, len(data), max(1, len(data) // 16)):
            failure = probe(TARGETS[name], data[:end])
            assert failure is None, str(failure)


@pytest.mark.parametrize("name", NAMES)
def test_a_large_or_deep_input_is_read_or_refused_soon_and_in_little_memory(name: str) -> None:
    target = TARGETS[name]
    seeds = corpus.inputs(target)
    for number, (what, data) in enumerate(heavy(target.kind, seeds[:: max(1, len(seeds) // 8)])):
        failure = probe(target, data, memory=not target.slow and number % 3 == 0)
        assert failure is None, f"{what}: {failure}"


def test_every_parser_of_the_codec_is_in_exactly_one_target() -> None:
    modules = [module for group in targets_codec.GROUPS.values() for module in group]
    assert len(modules) == len(set(modules))
    assert {key.partition(".")[0] for key in PARSERS} == set(modules)


def test_every_folder_of_the_corpus_belongs_to_a_target_and_every_target_has_one() -> None:
    folders = {path.name for path in corpus.ROOT.iterdir() if path.is_dir()}
    assert folders == {target.folder for target in TARGETS.values()}
    assert all(len(corpus.files(folder)) >= 4 for folder in folders)


def test_every_file_of_the_corpus_is_named_after_where_it_comes_from() -> None:
    for folder in corpus.ROOT.iterdir():
        for path in folder.glob("*") if folder.is_dir() else ():
            assert path.name.partition("-")[0] in corpus.ORIGINS, path
            assert path.suffix == ".bin" or path.with_suffix(".bin").exists(), path
