"""What a fleet's load was around an outage and a power cut, in numbers and as lines for a person."""

from __future__ import annotations

import importlib
from dataclasses import asdict
from typing import Any, Final

from ipad_agent.records import dataclass

from .poll_load import MINUTE_S, Cut, PollLoad

WINDOW_MINUTES: Final = 10
CALM_RATIO: Final = 1.25
"""Below this many times the mean the load counts as the usual one again."""


@dataclass(frozen=True, slots=True)
class AfterCut:
    """The load after something ended. ``peak`` is the busiest ten minutes as a multiple of the mean, ``peak_after_s``
    when they began after the end; ``calm_after_s``: from then on no ten minutes were over ``CALM_RATIO``."""

    peak: float
    peak_after_s: float
    calm_after_s: float


@dataclass(frozen=True, slots=True)
class LoadReport:
    """``mean_polls`` is what ten minutes bring before anything happened, ``usual_peak`` the busiest ten of that time as
    a multiple of it. ``served_after_s``: when half, 99 % and all of the devices that were refused in the outage had an
    answer."""

    devices: int
    days: float
    polls: int
    refused: int
    mean_polls: float
    usual_peak: float
    outage: AfterCut | None
    served_after_s: tuple[float, float, float] | None
    power_cut: AfterCut | None

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def windows(load: PollLoad) -> Any:
    """Answered polls in the ten minutes from each minute on."""
    numpy = importlib.import_module("numpy")
    return numpy.convolve(load.answered, numpy.ones(WINDOW_MINUTES, dtype=numpy.int64), "valid")


def load_report(load: PollLoad, outage: Cut, power_cut: Cut) -> LoadReport:
    """The figures. What comes first must not begin before the second day, for there is nothing usual before."""
    busy = windows(load)
    cuts = [cut for cut in (outage, power_cut) if cut.real]
    quiet = int(min((cut.begin_s for cut in cuts), default=load.length_s) // MINUTE_S) - WINDOW_MINUTES
    mean = float(load.answered[:quiet].mean()) * WINDOW_MINUTES
    served = load.served_s
    return LoadReport(
        devices=load.devices,
        days=load.length_s / 86_400,
        polls=int(load.answered.sum()),
        refused=int(load.refused.sum()),
        mean_polls=mean,
        usual_peak=float(busy[:quiet].max()) / mean,
        outage=_after(busy, mean, outage, cuts),
        served_after_s=None
        if not len(served)
        else (float(served[len(served) // 2]), float(served[len(served) * 99 // 100]), float(served[-1])),
        power_cut=_after(busy, mean, power_cut, cuts),
    )


def _after(busy: Any, mean: float, cut: Cut, cuts: list[Cut]) -> AfterCut | None:
    if not cut.real:
        return None
    first = int(cut.end_s // MINUTE_S)
    last = int(min((other.begin_s for other in cuts if other.begin_s > cut.begin_s), default=1e18) // MINUTE_S)
    later = busy[first : max(first + 1, last - WINDOW_MINUTES)] / mean
    loud = (later > CALM_RATIO).nonzero()[0]
    calm = int(loud[-1]) + 1 if len(loud) else 0
    return AfterCut(float(later.max()), float(later.argmax()) * MINUTE_S, calm * MINUTE_S)


def report_lines(report: LoadReport, outage: Cut, power_cut: Cut) -> list[str]:
    """The same for a person."""
    lines = [
        f"{report.devices:,} devices for {report.days:,.0f} days: {report.polls:,} polls, {report.refused:,} refused",
        f"  as usual      {report.mean_polls:,.0f} polls in ten minutes, {report.usual_peak:.2f} times that at most",
    ]
    if report.outage is not None:
        lines += _cut_lines(f"eIM away for {_span(outage.length_s)}", report.outage)
    if report.served_after_s is not None:
        half, most, every = (_span(value) for value in report.served_after_s)
        lines.append(
            f"                who was refused had an answer: half after {half}, 99 % after {most}, all after {every}"
        )
    if report.power_cut is not None:
        lines += _cut_lines(
            f"no power for {_span(power_cut.length_s)} in a region with {power_cut.share:.0%} of the devices",
            report.power_cut,
        )
    return lines


def _cut_lines(title: str, after: AfterCut) -> list[str]:
    worst = f"afterwards {after.peak:.2f} times as usual at most, {_span(after.peak_after_s)} after its end"
    return [f"  {title}", f"                {worst}; within {CALM_RATIO} times after {_span(after.calm_after_s)}"]


def _span(seconds: float) -> str:
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 2 * 86_400 else f"{seconds / 86_400:.1f} days"
