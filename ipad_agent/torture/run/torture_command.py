"""``ipad-agent lab torture``: run seeds, count broken promises, and tell the story of one."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import Final

from ipad_agent.torture.history.features import DEFAULT, FEATURES, HALF_EMULATED, parse

DEFAULT_SEEDS: Final = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser of ``ipad-agent lab torture`` its options."""
    parser.add_argument("--seeds", type=_count, default=DEFAULT_SEEDS, metavar="N", help="how many random histories")
    parser.add_argument("--first", type=int, default=0, metavar="K", help="the first seed (default: 0)")
    parser.add_argument("--seed", type=int, metavar="K", help="only this seed, told as a story")
    parser.add_argument("--shrink", action="store_true", help="with --seed: leave out every deed that does not matter")
    parser.add_argument("--json", action="store_true", help="one JSON object per seed")
    parser.add_argument("--jobs", type=_count, default=os.cpu_count() or 1, metavar="J", help="processes to use")
    listed = "; ".join(f"{name}: {about}" for name, about in FEATURES.items())
    parser.add_argument(
        "--with",
        dest="features",
        type=_features,
        default=DEFAULT,
        metavar="NAME,...",
        help=f"what histories may have besides the usual; all (with {HALF_EMULATED}: both kinds of cards); "
        f"none ({listed}; default: {','.join(sorted(DEFAULT))})",
    )
    parser.add_argument("--all-covered", action="store_true", help="no profile is without coverage")


def run(arguments: argparse.Namespace) -> int:
    """Do it; 0 when every promise was kept, else 1."""
    if arguments.seed is not None:
        return _one(arguments)
    return _many(arguments)


def _one(arguments: argparse.Namespace) -> int:
    from ipad_agent.torture.history.feature_faults import write_with

    from .history_run import live_through
    from .many_seeds import shortest

    history = write_with(arguments.seed, arguments.features, coverage=not arguments.all_covered)
    ended = live_through(history)
    if arguments.shrink and ended.violations:
        ended = shortest(history, ended.names)
    if arguments.json:
        told = {"digest": ended.log.digest, "story": [str(line) for line in ended.log.lines]}
        print(json.dumps(ended.summary() | told, ensure_ascii=False))
    else:
        print(ended.log)
        print(f"\nSeed {arguments.seed}, story {ended.log.digest}: {_verdict(ended.summary())}")
    return 1 if ended.violations else 0


def _many(arguments: argparse.Namespace) -> int:
    from .many_seeds import Tally, summaries

    tally, begun_s = Tally(), time.monotonic()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    coverage, features = not arguments.all_covered, arguments.features
    for summary in summaries(seeds, jobs=arguments.jobs, coverage=coverage, features=features):
        tally.add(summary)
        if arguments.json:
            print(json.dumps(summary, ensure_ascii=False), flush=True)
        elif not summary["ok"]:
            print(f"seed {summary['seed']}: {_verdict(summary)}", flush=True)
    if not arguments.json:
        took_s = time.monotonic() - begun_s
        ways = ", ".join(f"{way} {count}" for way, count in sorted(tally.ways.items()))
        cards = ", ".join(f"{card} {count}" for card, count in sorted(tally.cards.items()))
        print(
            f"{tally.seeds} seeds in {took_s:.0f} s ({ways}; cards: {cards}): {tally.polls} polls, "
            f"{tally.executed} packages executed, the agent started {tally.runs} times"
        )
        broken = ", ".join(f"{name} {count}" for name, count in tally.violations.most_common())
        print(f"{len(tally.failed)} seeds broke a promise: {broken}" if tally.failed else "Every promise was kept.")
        if tally.failed:
            print(f"ipad-agent lab torture --seed {tally.failed[0]} tells the story of the first.", file=sys.stderr)
    return 1 if tally.failed else 0


def _verdict(summary: dict[str, object]) -> str:
    violations = summary["violations"]
    if not isinstance(violations, dict) or not violations:
        return "every promise was kept"
    return "; ".join(f"{name}: {str(sentence).strip().splitlines()[-1]}" for name, sentence in violations.items())


def _features(text: str) -> frozenset[str]:
    try:
        return parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("1 or more")
    return value
