"""The LED on a sysfs of our own, with and without the kernel's triggers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ipad_agent.local.status_led import OF_STATE, Led, LedPattern, light_of
from ipad_agent.local.status_model import State
from situations import SITUATIONS
from virtual_time import run

ALL = "none kbd-scrolllock timer oneshot [heartbeat] pattern"
NONE = "[none] mmc0"


class FakeLed:
    """A folder as the kernel makes it, as far as reading what was written goes."""

    def __init__(self, root: Path, triggers: str = ALL, brightness: str = "0", full: str = "255") -> None:
        self.folder = root / "green:status"
        self.folder.mkdir()
        for name, value in (("trigger", triggers), ("brightness", brightness), ("max_brightness", full)):
            (self.folder / name).write_text(value + "\n")
        for name in ("delay_on", "delay_off", "pattern"):
            (self.folder / name).write_text("500\n")
        self.led = Led("green:status", root=root)

    def of(self, name: str) -> str:
        """What was written last: a file keeps the rest of a longer text that stood there before."""
        return (self.folder / name).read_text().split("\n")[0]


def test_every_state_has_its_light() -> None:
    assert set(OF_STATE) == set(State)


@pytest.mark.parametrize(
    ("situation", "light"),
    [
        ("ready", LedPattern.SOLID),
        ("polling", LedPattern.SLOW),
        ("switch-armed", LedPattern.DOUBLE),
        ("rolling-back", LedPattern.FAST),
        ("rolled-back", LedPattern.FAST),
        ("no-card", LedPattern.OFF),
        ("no-modem", LedPattern.OFF),
    ],
)
def test_what_a_person_sees_in_a_situation(situation: str, light: LedPattern) -> None:
    assert light_of(SITUATIONS[situation]) is light


def test_steady_light_and_none(tmp_path: Path) -> None:
    fake = FakeLed(tmp_path)
    fake.led.show(LedPattern.SOLID)
    assert (fake.of("trigger"), fake.of("brightness")) == ("none", "255")
    fake.led.show(LedPattern.OFF)
    assert fake.of("brightness") == "0"


def test_the_kernel_blinks_where_it_can(tmp_path: Path) -> None:
    fake = FakeLed(tmp_path, ALL)
    fake.led.show(LedPattern.SLOW)
    assert (fake.of("trigger"), fake.of("delay_on"), fake.of("delay_off")) == ("timer", "1000", "1000")
    (fake.folder / "trigger").write_text(ALL)
    fake.led.show(LedPattern.DOUBLE)
    assert fake.of("trigger") == "pattern"
    assert fake.of("pattern") == "255 100 255 0 0 100 0 0 255 100 255 0 0 700 0 0"


@pytest.mark.parametrize(
    ("light", "expected"), [(LedPattern.SLOW, "10" * 2), (LedPattern.DOUBLE, "1010" * 2), (LedPattern.FAST, "10" * 2)]
)
def test_without_triggers_it_is_switched_from_here(tmp_path: Path, light: LedPattern, expected: str) -> None:
    fake = FakeLed(tmp_path, NONE, full="1")
    seen: list[str] = []

    async def story() -> None:
        fake.led.show(light)
        for _ in range(2):
            for ms in light.value:
                await asyncio.sleep(0.001)
                seen.append(fake.of("brightness"))
                await asyncio.sleep(ms / 1000 - 0.001)
        fake.led.show(LedPattern.SOLID)
        await asyncio.sleep(5)
        assert fake.of("brightness") == "1"
        fake.led.close()

    run(story())
    assert "".join(seen) == expected


def test_a_user_who_may_not_set_the_times_of_a_trigger_blinks_without_it(tmp_path: Path) -> None:
    fake = FakeLed(tmp_path, ALL)
    (fake.folder / "delay_on").unlink()

    async def story() -> None:
        fake.led.show(LedPattern.FAST)
        assert fake.of("trigger") == "none"
        await asyncio.sleep(0.001)
        assert fake.of("brightness") == "255"
        await asyncio.sleep(0.1)
        assert fake.of("brightness") == "0"
        fake.led.close()

    run(story())


def test_a_led_whose_trigger_is_none_needs_no_right_to_change_it(tmp_path: Path) -> None:
    fake = FakeLed(tmp_path, NONE)
    fake.led.show(LedPattern.SOLID)
    assert (fake.folder / "trigger").read_text() == NONE + "\n"


def test_the_same_light_again_writes_nothing(tmp_path: Path) -> None:
    fake = FakeLed(tmp_path)
    fake.led.show(LedPattern.SOLID)
    (fake.folder / "brightness").write_text("7\n")
    fake.led.show(LedPattern.SOLID)
    assert fake.of("brightness") == "7"


def test_what_it_did_before_comes_back(tmp_path: Path) -> None:
    fake = FakeLed(tmp_path, ALL)
    fake.led.show(LedPattern.FAST)
    fake.led.close()
    assert fake.of("trigger") == "heartbeat"


def test_its_brightness_and_its_own_blinking_come_back_too(tmp_path: Path) -> None:
    fake = FakeLed(tmp_path, NONE, brightness="3")
    fake.led.show(LedPattern.SOLID)
    fake.led.close()
    assert fake.of("brightness") == "3"
    (fake.folder / "trigger").write_text("none [timer]")
    (fake.folder / "delay_on").write_text("123\n")
    again = Led("green:status", root=tmp_path)
    again.show(LedPattern.SLOW)
    again.close()
    assert (fake.of("trigger"), fake.of("delay_on")) == ("timer", "123")


def test_a_led_that_was_never_used_is_left_alone(tmp_path: Path) -> None:
    fake = FakeLed(tmp_path)
    fake.led.close()
    assert (fake.folder / "trigger").read_text() == ALL + "\n"


def test_a_led_that_is_not_there_is_told_once_and_makes_no_files(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    led = Led("missing", root=tmp_path)
    led.show(LedPattern.SOLID)
    led.show(LedPattern.FAST)
    led.close()
    assert len(caplog.records) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_led_that_vanishes_while_it_blinks_ends_quietly(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fake = FakeLed(tmp_path, NONE)

    async def story() -> None:
        fake.led.show(LedPattern.FAST)
        await asyncio.sleep(0.05)
        (fake.folder / "brightness").unlink()
        await asyncio.sleep(1)
        fake.led.show(LedPattern.SOLID)
        fake.led.close()

    run(story())
    assert len(caplog.records) == 1
