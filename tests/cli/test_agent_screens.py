"""What a real agent shows in situations that were once told wrongly. ``agent_screens.py`` writes the files anew."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from .agent_screens import FOLDER, NAMES, screen

GOLDEN: tuple[Path, ...] = (FOLDER, FOLDER.parent / "golden")
UNTRUE: tuple[str, ...] = (
    r"The device changes to the fallback profile",
    r"The device goes back (to the former profile|from the fallback profile)\.",
    r"unkn…nown|…nown",
    r"<\d+ \w+>",
    r"accepted 0 eIM",
    r"does not exist$",
)
"""Sentences that were wrong wherever they stood, as regular expressions."""


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


@pytest.mark.parametrize("name", NAMES)
def test_a_real_agent_shows_what_was_read_and_approved(name: str) -> None:
    assert screen(name) == (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()


def test_every_screen_of_a_real_agent_is_kept_in_a_file() -> None:
    assert sorted(NAMES) == sorted(file.stem for file in FOLDER.glob("*.txt"))


@pytest.mark.parametrize("sentence", UNTRUE)
def test_what_was_untrue_is_said_in_no_golden_file(sentence: str) -> None:
    files = [file for folder in GOLDEN for file in folder.glob("*.txt")]
    assert len(files) > len(NAMES)
    assert not [file.name for file in files if re.search(sentence, file.read_text(encoding="utf-8"), re.MULTILINE)]


def text(name: str) -> str:
    """A golden screen in one line, so that no line break hides a sentence."""
    return " ".join((FOLDER / f"{name}.txt").read_text(encoding="utf-8").split())


def test_a_healthy_device_is_never_said_to_have_lost_its_connection() -> None:
    for name in ("fallback-already", "fallback-by-a-person", "no-wait"):
        assert "connection was lost" not in text(name)
    assert "nothing was changed" in text("fallback-already")
    assert "● ready" in text("fallback-already")
    assert "connection was lost" in text("fallback-by-the-guardian")


def test_failed_orders_are_nowhere_the_whole_story_of_a_ready_device() -> None:
    before_the_good_one = text("orders-that-failed").split("$ ipactl status")[1:3]
    assert all("✗ order-failed" in shown and "● ready" not in shown for shown in before_the_good_one)
    assert all("profileNotInEnabledState (that profile is not enabled)" in shown for shown in before_the_good_one)


@pytest.mark.parametrize("name", ["poll-without-modem", "poll-without-card", "poll-without-eim"])
def test_a_poll_that_cannot_be_made_says_what_prevents_it(name: str) -> None:
    first = text(name).split("$ ipactl")[1]
    assert "asks every manager" not in first
    assert first.rstrip().endswith("[1]")


def test_a_download_is_known_at_its_end_and_stays_the_eims() -> None:
    told = text("download").split("$ ipactl profiles")
    assert all("by a download that eim.lab.example ordered" in shown for shown in told[1:3])
    assert "by somebody on this device" not in text("download")
    assert "segment 8 of 8" in text("download")
    assert "336 kB free" in text("download")
