"""The page can be read in the sun: contrast, and size of letters."""

from __future__ import annotations

import re
from importlib import resources

import pytest

STYLE = resources.files("ipad_agent.web").joinpath("page", "status_page.css").read_text(encoding="utf-8")
LEAST = 7.0
"""Of WCAG 2, level AAA, for text of any size."""


def schemes() -> list[dict[str, str]]:
    """The colours of each scheme: light, dark by choice, dark by the machine's setting."""
    blocks = re.findall(r"\{([^{}]*--paper:[^{}]*)\}", STYLE)
    return [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) for block in blocks]


def brightness(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((brightness(one), brightness(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_measured_as_the_standard_says() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", schemes(), ids=["light", "dark", "dark-by-setting"])
def test_every_text_stands_out_from_its_ground(scheme: dict[str, str]) -> None:
    pairs = [
        (ink, ground) for ink in ("ink", "soft", "good-ink", "bad-ink", "warn-ink") for ground in ("paper", "card")
    ]
    pairs += [("on-colour", ground) for ground in ("good", "busy", "waiting", "bad")]
    low = {pair: contrast(scheme[pair[0]], scheme[pair[1]]) for pair in pairs}
    assert {pair: round(value, 1) for pair, value in low.items() if value < LEAST} == {}


def test_letters_are_larger_than_a_browser_makes_them() -> None:
    found = re.search(r"html \{ font: ([\d.]+)%", STYLE)
    assert found is not None
    assert float(found[1]) > 110


def test_the_two_dark_schemes_are_the_same() -> None:
    assert len(schemes()) == 3
    assert schemes()[1] == schemes()[2] != schemes()[0]
