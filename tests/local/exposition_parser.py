"""A strict reader of Prometheus' text format 0.0.4, written from its description and not from our writer.

It refuses what scrapers refuse: samples without their TYPE, families that come in pieces, duplicate series, bad
escapes, bad names, a last line without its end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
_NUMBER = re.compile(r"(?:[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|NaN|[+-]?Inf)\Z")
_SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}


@dataclass
class Family:
    kind: str
    help: str
    samples: Series = field(default_factory=dict)


def parse(text: str) -> dict[str, Family]:
    """Families by name; ``AssertionError`` for what a scraper would not take."""
    assert text.endswith("\n")
    families: dict[str, Family] = {}
    help_of: dict[str, str] = {}
    current = ""
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            name, _, words = line[7:].partition(" ")
            assert name not in help_of, f"second HELP of {name}"
            help_of[name] = words
        elif line.startswith("# TYPE "):
            name, _, kind = line[7:].partition(" ")
            assert _NAME.match(name)
            assert name not in families, f"{name} comes in pieces"
            assert kind in _SUFFIXES
            families[name] = Family(kind, help_of[name])
            current = name
        else:
            assert not line.startswith("#"), line
            assert line, "an empty line"
            sample, labels, value = _sample(line)
            family = families[current]
            assert sample in {current + suffix for suffix in _SUFFIXES[family.kind]}, f"{sample} within {current}"
            place = (sample, frozenset(labels.items()))
            assert place not in family.samples, f"{place} twice"
            family.samples[place] = value
    for name, family in families.items():
        if family.kind == "histogram":
            _check_histogram(name, family)
    return families


def _sample(line: str) -> tuple[str, dict[str, str], float]:
    at = 0
    while at < len(line) and line[at] not in "{ ":
        at += 1
    name, labels = line[:at], dict[str, str]()
    assert _NAME.match(name), name
    if line[at] == "{":
        at += 1
        while line[at] != "}":
            equals = line.index("=", at)
            label = line[at:equals]
            assert _LABEL.match(label), label
            assert label not in labels
            assert line[equals + 1] == '"'
            labels[label], at = _quoted(line, equals + 2)
            if line[at] == ",":
                at += 1
            else:
                assert line[at] == "}"
        at += 1
    assert line[at] == " "
    number = line[at + 1 :]
    assert _NUMBER.match(number), number
    return name, labels, float(number)


def _quoted(line: str, at: int) -> tuple[str, int]:
    value = ""
    while line[at] != '"':
        if line[at] == "\\":
            value += {"\\": "\\", '"': '"', "n": "\n"}[line[at + 1]]
            at += 2
        else:
            value += line[at]
            at += 1
    return value, at + 1


def _check_histogram(name: str, family: Family) -> None:
    groups: dict[frozenset[tuple[str, str]], list[tuple[float, float]]] = {}
    for (sample, labels), value in family.samples.items():
        if sample == name + "_bucket":
            bound = float(dict(labels)["le"])
            rest = frozenset(item for item in labels if item[0] != "le")
            groups.setdefault(rest, []).append((bound, value))
    for rest, buckets in groups.items():
        buckets.sort()
        counts = [count for _, count in buckets]
        assert counts == sorted(counts), "buckets are cumulative"
        assert buckets[-1][0] == float("inf")
        assert family.samples[(name + "_count", rest)] == counts[-1]
        assert (name + "_sum", rest) in family.samples


def value(families: dict[str, Family], name: str, **labels: str) -> float:
    """One sample."""
    family = families[name] if name in families else families[name.rsplit("_", 1)[0]]
    return family.samples[(name, frozenset(labels.items()))]
