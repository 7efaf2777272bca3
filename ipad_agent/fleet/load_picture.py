"""The load of a fleet around an outage and a power cut as an SVG: two panels, time from left to right."""

from __future__ import annotations

from typing import Any, Final

from .load_report import LoadReport, windows
from .poll_load import MINUTE_S, Cut, PollLoad

WIDTH: Final = 760
HEIGHT: Final = 170
MARGIN: Final = 44
BEFORE_S: Final = 6 * 3600.0
AFTER_S: Final = 36 * 3600.0
STEP_MINUTES: Final = 5


def load_picture(load: PollLoad, report: LoadReport, outage: Cut, power_cut: Cut) -> str:
    """The SVG document; a panel for each of the two that happened."""
    busy = windows(load)
    panels = [
        (f"The eIM is away for {outage.length_s / 3600:g} h", outage),
        (f"{power_cut.share:.0%} of the devices lose power for {power_cut.length_s / 3600:g} h", power_cut),
    ]
    drawn = [_panel(title, busy, report.mean_polls, cut) for title, cut in panels if cut.real]
    height = (HEIGHT + 2 * MARGIN) * len(drawn)
    body = "\n".join(
        f'<g transform="translate(0 {number * (HEIGHT + 2 * MARGIN)})">\n{panel}\n</g>'
        for number, panel in enumerate(drawn)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH + 2 * MARGIN} {height}" '
        f'font-family="sans-serif" font-size="12">\n'
        f"<title>Polls in ten minutes at the eIM of {report.devices:,} devices, as a multiple of the usual</title>\n"
        f'<rect width="100%" height="100%" fill="#fff"/>\n{body}\n</svg>\n'
    )


def _panel(title: str, busy: Any, mean: float, cut: Cut) -> str:
    first = int((cut.begin_s - BEFORE_S) // MINUTE_S)
    last = min(int((cut.end_s + AFTER_S) // MINUTE_S), len(busy))
    points = [
        (minute, float(busy[minute : minute + STEP_MINUTES].max()) / mean)
        for minute in range(first, last, STEP_MINUTES)
    ]
    top = max(2.5, max(value for _, value in points) * 1.05)

    def x(minute: float) -> float:
        return MARGIN + (minute - first) / (last - first) * WIDTH

    def y(value: float) -> float:
        return MARGIN + HEIGHT - value / top * HEIGHT

    line = " ".join(f"{x(minute):.1f},{y(value):.1f}" for minute, value in points)
    begin, end = x(cut.begin_s / MINUTE_S), x(cut.end_s / MINUTE_S)
    parts = [
        f'<text x="{MARGIN}" y="{MARGIN - 16}" font-weight="bold">{title}</text>',
        f'<rect x="{begin:.1f}" y="{MARGIN}" width="{end - begin:.1f}" height="{HEIGHT}" fill="#f3dede"/>',
    ]
    for value in _marks(top):
        parts.append(f'<path d="M{MARGIN} {y(value):.1f}H{MARGIN + WIDTH}" stroke="#ccc"/>')
        parts.append(f'<text x="{MARGIN - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}×</text>')
    for hour in range(0, int((last - first) / 60) + 1, 6):
        at = x(first + hour * 60)
        parts.append(f'<path d="M{at:.1f} {MARGIN + HEIGHT}v5" stroke="#666"/>')
        label = hour - int(BEFORE_S // 3600)
        parts.append(f'<text x="{at:.1f}" y="{MARGIN + HEIGHT + 18}" text-anchor="middle">{label:+d} h</text>')
    parts.append(f'<polyline points="{line}" fill="none" stroke="#2b5c8a" stroke-width="1.5"/>')
    return "\n".join(parts)


def _marks(top: float) -> list[float]:
    step = next((step for step in (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0) if top / step <= 6), 500.0)
    return [step * number for number in range(int(top / step) + 1)]
