"""How the agent's work grows with what it serves: one picture for each figure, and the page that shows them.

    python bench/growth.py [NAME...]

Writes ``docs/growth/*.svg`` and ``docs/growth.md``. What is counted is in ``growth_worlds.py``: calls and processor
time of the agent's own functions, and bytes. The exponent is that of a line through the logarithms of the upper half
of the sizes: 1 is linear, less is better, and a fixed cost makes it smaller.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import Final

import growth_worlds
from figures import Figure, machine, rows
from growth_picture import growth_picture
from growth_worlds import Spent

DOCS: Final = Path(__file__).resolve().parents[1] / "docs"
LINEAR: Final = 1.1
"""An exponent up to this counts as linear: some things happen once in so many."""

PROCESSOR_TIME: Final = "processor time"


@dataclass(frozen=True, slots=True)
class Axis:
    """What grows, in which steps, and what is done with it. ``bytes_of`` is a field of ``Spent``."""

    name: str
    title: str
    size: str
    sizes: tuple[int, ...]
    work: Callable[[int], Spent]
    said: str
    bytes_of: str = ""
    bytes_name: str = ""


AXES: Final = (
    Axis(
        "direct-download",
        "A download straight from the SM-DP+",
        "bytes of the profile",
        (1_000, 10_000, 60_000, 125_000, 250_000, 500_000, 1_000_000),
        growth_worlds.direct_download,
        "From the order to the acknowledged result; the STORE DATA blocks of the card are most of it.",
    ),
    Axis(
        "coap-download",
        "A download through the eIM, over CoAP",
        "bytes of the profile",
        (1_000, 15_000, 30_000, 60_000, 120_000, 240_000),
        growth_worlds.coap_download,
        "The same in CoAP blocks, DTLS left out. An answer of an eIM may have 256 kB, so this picture ends there.",
    ),
    Axis(
        "profiles",
        "The start of the agent to its first poll and status",
        "further profiles on the card",
        (0, 12, 25, 50, 100),
        growth_worlds.start_with_profiles,
        "The card's list is read, compared with what was known, and shown.",
    ),
    Axis(
        "eims",
        "One idle poll of every eIM",
        "eIMs on the card",
        (1, 2, 3, 4, 6, 8),
        growth_worlds.poll_round,
        "Each poll writes the schedule before and after it, and one file has the schedules of all eIMs: that is what"
        " grows with the square, and is left so: with eight eIMs it is 2.6 kB each time, which on flash is one block of"
        " 4 kB, as a file for each eIM would be.",
        "written_bytes",
        "bytes written",
    ),
    Axis(
        "owed",
        "The delivery of what is owed",
        "results owed to four eIMs",
        (0, 8, 16, 32, 48, 63),
        growth_worlds.delivery,
        "The eIMs take results again after they had refused all of them. The journal takes 64 items.",
        "written_bytes",
        "bytes written",
    ),
    Axis(
        "clients",
        "One idle poll, told to every client of the socket",
        "clients that have subscribed",
        (0, 25, 50, 100, 200),
        growth_worlds.status_to_clients,
        "Each client gets every status and every event as JSON. `local.max_clients` is 32 unless it is configured.",
        "sent_bytes",
        "bytes sent",
    ),
)


@dataclass(frozen=True, slots=True)
class Growth:
    """What was counted along an axis."""

    axis: Axis
    spent: tuple[Spent, ...]

    def curve(self, field: str) -> list[tuple[float, float]]:
        return [(size, float(getattr(one, field))) for size, one in zip(self.axis.sizes, self.spent, strict=True)]

    def exponents(self) -> dict[str, float]:
        """By what is counted, in words."""
        found = {"calls": exponent(self.curve("calls")), PROCESSOR_TIME: exponent(self.curve("cpu_s"))}
        if self.axis.bytes_of:
            found[self.axis.bytes_name] = exponent(self.curve(self.axis.bytes_of))
        return found


def exponent(points: Sequence[tuple[float, float]]) -> float:
    """Of the power that fits the upper half of the points best; points at nought say nothing."""
    upper = [(log(x), log(y)) for x, y in points[len(points) // 2 :] if x > 0 and y > 0]
    if len(upper) < 2:
        return 0.0
    middle_x, middle_y = (sum(values) / len(upper) for values in zip(*upper, strict=True))
    slope: float = sum((x - middle_x) * (y - middle_y) for x, y in upper) / sum((x - middle_x) ** 2 for x, _ in upper)
    return slope


def measured(axes: Sequence[Axis]) -> list[Growth]:
    """One after the other; some two minutes for all."""
    found = []
    for axis in axes:
        print(f"{axis.title} ...", file=sys.stderr, flush=True)
        found.append(Growth(axis, tuple(axis.work(size) for size in axis.sizes)))
    return found


def measure(names: Sequence[str] = (), *, write: bool = True) -> list[Figure]:
    """The exponents as figures; also writes page and pictures, unless told not to."""
    found = measured([axis for axis in AXES if not names or axis.name in names])
    if write:
        write_page(found)
    figures = []
    for growth in found:
        for counted, value in growth.exponents().items():
            name = f"growth of {growth.axis.name}, {counted}"
            about = f"exponent over the upper half of {growth.axis.sizes[0]:,} to {growth.axis.sizes[-1]:,}"
            goal = None if counted == PROCESSOR_TIME else LINEAR  # times differ from run to run
            figures.append(Figure(name, "", value, goal, f"{about} {growth.axis.size}"))
    return figures


def write_page(found: Sequence[Growth]) -> None:
    """``docs/growth.md`` and its pictures. The page needs all of them; some of them make their pictures only."""
    folder = DOCS / "growth"
    folder.mkdir(exist_ok=True)
    for growth in found:
        (folder / f"{growth.axis.name}.svg").write_text(picture(growth), encoding="utf-8")
    if len(found) == len(AXES):
        (DOCS / "growth.md").write_text(page(found), encoding="utf-8")


def picture(growth: Growth) -> str:
    """Calls, and bytes where they say something; processor time depends on the machine and is in the table."""
    curves = [("calls of the agent's functions", growth.curve("calls"))]
    if growth.axis.bytes_of:
        curves.append((growth.axis.bytes_name, growth.curve(growth.axis.bytes_of)))
    return growth_picture(growth.axis.title, growth.axis.size, curves)


def page(found: Sequence[Growth]) -> str:
    """The page in Markdown."""
    lines = [
        "# How the agent grows",
        "",
        "What it costs when there is more of something: calls of the agent's own functions, their processor time",
        "(under a profiler, several times what it is without), and bytes. Agent, card, eIM and SM-DP+ run in memory",
        "and the lab's part is left out. The exponent is that of a line through the logarithms of the upper half of",
        "the sizes: 1 is linear. Calls and bytes are the same on every machine; the times are of",
        f"{machine()}.",
        "",
        "`python bench/growth.py` makes this page and its pictures anew; `tests/test_growth.py` keeps it linear.",
        "",
    ]
    for growth in found:
        axis = growth.axis
        lines += [f"## {axis.title}", "", f"![{axis.title}](growth/{axis.name}.svg)", "", axis.said, ""]
        head = [axis.size, "calls", "ms", *([axis.bytes_name] if axis.bytes_of else [])]
        lines += [f"| {' | '.join(head)} |", "|---:" * len(head) + "|"]
        for size, one in zip(axis.sizes, growth.spent, strict=True):
            cells = [f"{size:,}", f"{one.calls:,}", f"{one.cpu_s * 1000:,.0f}"]
            cells += [f"{getattr(one, axis.bytes_of):,}"] if axis.bytes_of else []
            lines.append(f"| {' | '.join(cells)} |")
        told = ", ".join(f"{counted} {value:.2f}" for counted, value in growth.exponents().items())
        lines += ["", f"Exponents: {told}.", ""]
    return "\n".join(lines[:-1]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(axis.name for axis in AXES)}")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - {axis.name for axis in AXES}
    if unknown:
        parser.error(f"there is no figure {', '.join(sorted(unknown))}")
    print("\n".join(rows(measure(arguments.names))))


if __name__ == "__main__":
    main()
