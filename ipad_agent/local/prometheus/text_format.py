"""Counters, gauges and histograms, and the text that Prometheus reads (text exposition format 0.0.4).

The client library of Prometheus takes 4.5 MB of memory beside asyncio, for what is 150 lines here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from ipad_agent.printable import printable
from ipad_agent.records import dataclass, field

MAX_SERIES: Final = 200
"""Of one metric. A label whose value comes from outside must not fill the memory."""
OTHER: Final = "other"
_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

Labels = tuple[str, ...]


@dataclass(slots=True)
class Metric:
    """One metric with its series. ``kind``: counter, gauge or histogram; ``labels`` are the names of its labels."""

    name: str
    help: str
    kind: str = "counter"
    labels: Labels = ()
    series: dict[Labels, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or not all(_LABEL.fullmatch(label) for label in self.labels):
            raise ValueError(f"{self.name} {self.labels} cannot be names of a metric and its labels")
        if not self.labels:
            self.series.setdefault((), 0.0)

    def add(self, *values: str, by: float = 1.0) -> None:
        """Count; ``values`` in the order of the labels."""
        place = self._place(values)
        self.series[place] = self.series.get(place, 0.0) + by

    def set(self, value: float, *values: str) -> None:
        """For gauges, and for counters that somebody else keeps."""
        self.series[self._place(values)] = value

    def clear(self) -> None:
        """Forget all series: what a gauge was about is not there any more."""
        self.series.clear()

    def _place(self, values: Labels) -> Labels:
        if len(values) != len(self.labels):
            raise ValueError(f"{self.name} has the labels {self.labels}, not {len(values)} of them")
        values = tuple(printable(value) for value in values)
        return values if values in self.series or len(self.series) < MAX_SERIES else (OTHER,) * len(values)

    def lines(self) -> Iterator[str]:
        """HELP, TYPE and the samples."""
        yield from head(self.name, self.help, self.kind)
        for values, number in sorted(self.series.items()):
            yield f"{self.name}{shown(dict(zip(self.labels, values, strict=True)))} {number_text(number)}"


@dataclass(slots=True)
class Histogram:
    """How long something took, with one label. ``buckets`` are upper bounds, ascending, without the last one, +Inf."""

    name: str
    help: str
    buckets: Sequence[float]
    label: str
    counts: dict[str, list[int]] = field(default_factory=dict)
    sums: dict[str, float] = field(default_factory=dict)

    def observe(self, value: float, label: str) -> None:
        """One more of them."""
        label = printable(label)
        counts = self.counts.setdefault(label, [0] * (len(self.buckets) + 1))
        counts[sum(value > bound for bound in self.buckets)] += 1
        self.sums[label] = self.sums.get(label, 0.0) + value

    def lines(self) -> Iterator[str]:
        """Buckets are cumulative."""
        yield from head(self.name, self.help, "histogram")
        for label, counts in sorted(self.counts.items()):
            total = 0
            for bound, count in zip([*self.buckets, math.inf], counts, strict=True):
                total += count
                yield f"{self.name}_bucket{shown({self.label: label, 'le': number_text(bound)})} {total}"
            yield f"{self.name}_sum{shown({self.label: label})} {number_text(self.sums[label])}"
            yield f"{self.name}_count{shown({self.label: label})} {total}"


def head(name: str, help: str, kind: str) -> Iterator[str]:
    """The two lines before the samples of a metric."""
    escaped = help.replace("\\", r"\\").replace("\n", r"\n")
    yield f"# HELP {name} {escaped}"
    yield f"# TYPE {name} {kind}"


def shown(labels: Mapping[str, str]) -> str:
    """``{a="b",c="d"}``, nothing without labels."""
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return printable(value).replace("\\", r"\\").replace('"', r"\"")


def number_text(value: float) -> str:
    """As Go writes floats."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
