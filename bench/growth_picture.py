"""One curve as an SVG: a size to the right, what it takes upwards, and the line that linear growth would be."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10
from typing import Final

WIDTH, HEIGHT, MARGIN = 520, 240, 64
COLOURS: Final = ("#2b5c8a", "#b5651d")


def growth_picture(
    title: str, size: str, curves: Sequence[tuple[str, Sequence[tuple[float, float]]]], *, logarithmic: bool = False
) -> str:
    """``curves``: what is counted, and its points; each curve has a scale of its own and ends at the top of it.

    ``logarithmic``: the sizes span so much that both directions show their logarithms.
    """
    points = [point for _, curve in curves for point in curve]
    first, last = min(x for x, _ in points), max(x for x, _ in points)
    body = [f'<text x="{MARGIN}" y="24" font-weight="bold">{title}</text>']
    body.append(f'<path d="M{MARGIN} {MARGIN}V{MARGIN + HEIGHT}H{MARGIN + WIDTH}" fill="none" stroke="#666"/>')
    for number, (name, curve) in enumerate(curves):
        top = max(y for _, y in curve) or 1.0
        low = min((y for _, y in curve if y > 0), default=1.0) / 2 if logarithmic else 0.0

        def place(point: tuple[float, float], top: float = top, low: float = low) -> str:
            right = _share(point[0], first, last, logarithmic=logarithmic)
            up = _share(max(point[1], low), low, top, logarithmic=logarithmic)
            return f"{MARGIN + right * WIDTH:.1f},{MARGIN + HEIGHT - up * HEIGHT:.1f}"

        colour = COLOURS[number]
        line = " ".join(map(place, curve))
        body.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        body += [
            f'<circle cx="{at.partition(",")[0]}" cy="{at.partition(",")[2]}" r="3" fill="{colour}"/>'
            for at in map(place, curve)
        ]
        body.append(f'<text x="{MARGIN}" y="{42 + 15 * number}" fill="{colour}">{name}, up to {_text(top)}</text>')
    for x in sorted({x for x, _ in points}):
        at = MARGIN + _share(x, first, last, logarithmic=logarithmic) * WIDTH
        body.append(f'<path d="M{at:.1f} {MARGIN + HEIGHT}v5" stroke="#666"/>')
        body.append(f'<text x="{at:.1f}" y="{MARGIN + HEIGHT + 18}" text-anchor="middle">{_text(x)}</text>')
    middle = MARGIN + WIDTH // 2
    body.append(f'<text x="{middle}" y="{MARGIN + HEIGHT + 38}" text-anchor="middle">{size}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH + 2 * MARGIN} {HEIGHT + 2 * MARGIN}" '
        f'font-family="sans-serif" font-size="12">\n<title>{title}</title>\n'
        '<rect width="100%" height="100%" fill="#fff"/>\n' + "\n".join(body) + "\n</svg>\n"
    )


def _share(value: float, first: float, last: float, *, logarithmic: bool) -> float:
    if logarithmic:
        value, first, last = log10(value), log10(first), log10(last)
    return (value - first) / (last - first) if last > first else 0.0


def _text(value: float) -> str:
    for limit, unit in ((1e6, "M"), (1e4, "k")):
        if value >= limit:
            return f"{value / {'M': 1e6, 'k': 1e3}[unit]:.3g}{unit}"
    return f"{value:.3g}" if value != int(value) else f"{value:.0f}"
