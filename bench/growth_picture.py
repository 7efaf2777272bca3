"""One or two curves as an SVG: a size to the right, what it takes upwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

WIDTH: Final = 520
HEIGHT: Final = 240
MARGIN: Final = 64
COLOURS: Final = ("#2b5c8a", "#b5651d")
LABEL_GAP: Final = 44.0


def growth_picture(title: str, size: str, curves: Sequence[tuple[str, Sequence[tuple[float, float]]]]) -> str:
    """``curves``: what is counted, and its points from left to right; each has a scale of its own from nought to its
    largest value. A broken line from first to last point shows what is straight."""
    sizes = sorted({x for _, points in curves for x, _ in points})
    first, last = sizes[0], sizes[-1]

    def across(x: float) -> float:
        return MARGIN + (x - first) / (last - first) * WIDTH

    body = [f'<text x="{MARGIN}" y="20" font-weight="bold">{title}</text>']
    body.append(f'<path d="M{MARGIN} {MARGIN}V{MARGIN + HEIGHT}H{MARGIN + WIDTH}" fill="none" stroke="#666"/>')
    for number, (name, points) in enumerate(curves):
        top, colour = max(y for _, y in points) or 1.0, COLOURS[number]
        places = [(across(x), MARGIN + HEIGHT - y / top * HEIGHT) for x, y in points]
        (x1, y1), (x2, y2) = places[0], places[-1]
        straight = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        body.append(f'<line {straight} stroke="{colour}" stroke-opacity="0.4" stroke-dasharray="4 4"/>')
        body.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        body += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        told = f"{name}, from 0 to {top:,.0f}"
        body.append(f'<text x="{MARGIN}" y="{38 + 16 * number}" fill="{colour}">{told}</text>')
    beyond = MARGIN - LABEL_GAP
    for x in sizes:
        body.append(f'<path d="M{across(x):.1f} {MARGIN + HEIGHT}v5" stroke="#666"/>')
        if across(x) >= beyond + LABEL_GAP:
            beyond = across(x)
            body.append(f'<text x="{beyond:.1f}" y="{MARGIN + HEIGHT + 18}" text-anchor="middle">{x:,.0f}</text>')
    middle = MARGIN + WIDTH // 2
    body.append(f'<text x="{middle}" y="{MARGIN + HEIGHT + 40}" text-anchor="middle">{size}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH + 2 * MARGIN} {HEIGHT + 2 * MARGIN}" '
        f'font-family="sans-serif" font-size="12">\n<title>{title}</title>\n'
        '<rect width="100%" height="100%" fill="#fff"/>\n' + "\n".join(body) + "\n</svg>\n"
    )
