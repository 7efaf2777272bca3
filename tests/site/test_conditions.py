from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ipad_agent.errors import ModemError
from ipad_agent.policy.polling.daily_window import DailyWindow
from ipad_agent.policy.polling.hold_reason import Held
from ipad_agent.site import Conditions, power_supply

from .conftest import Heard
from .places import script, supply

NOON_UTC_S = 1_790_856_000.0  # 2026-10-01 12:00:00 UTC
UNSET_S = 7.0


class Watch:
    """A clock that says what it is told."""

    def __init__(self, wall_s: float = NOON_UTC_S) -> None:
        self.wall_s = wall_s

    def wall(self) -> float:
        return self.wall_s

    def monotonic(self) -> float:
        return 1.0

    def boot_id(self) -> str:
        return "boot"


async def no_signal() -> int | None:
    return None


@pytest.fixture
def berlin() -> Iterator[None]:
    """The machine is two hours before UTC. Not by a name: zone files need not be installed."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "XXX-2"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


def conditions(folder: Path, **options: object) -> Conditions:
    known: dict[str, object] = {
        "clock": Watch(),
        "signal_dbm": no_signal,
        "folder": folder / "conditions.d",
        "timeout_s": 10,
        "supplies": folder / "power_supply",
    }
    return Conditions(**(known | options))  # type: ignore[arg-type]  # options of each test


async def test_nothing_configured_holds_nothing_back(tmp_path: Path) -> None:
    assert await conditions(tmp_path, clock=Watch(UNSET_S)).held() == ()


async def test_a_window_is_in_local_time(tmp_path: Path, berlin: None) -> None:
    for text, held in (("13:00-15:00", False), ("22:00-14:01", False), ("11:00-13:00", True), ("14:01-14:00", True)):
        found = await conditions(tmp_path, windows=(DailyWindow.parse(text),)).held()
        assert [one.name for one in found] == (["windows"] if held else [])
    windows = (DailyWindow.parse("01:00-02:00"), DailyWindow.parse("22:00-24:00"))
    assert await conditions(tmp_path, windows=windows).held() == (
        Held("windows", "it is 14:00, outside of 01:00-02:00, 22:00-24:00"),
    )


async def test_a_clock_that_was_never_set_is_in_no_window(tmp_path: Path) -> None:
    found = conditions(tmp_path, clock=Watch(UNSET_S), windows=(DailyWindow.parse("00:00-24:00"),), clock_needed=True)
    assert await found.held() == (
        Held("clock", "the clock has not been set"),
        Held("windows", "the clock has not been set, so the time of the day is not known"),
    )
    assert await conditions(tmp_path, clock_needed=True).held() == ()


@pytest.mark.parametrize(
    ("supplies", "external"),
    [
        ({}, True),
        ({"BAT0": {"kind": "Battery", "status": "Discharging"}, "AC": {"kind": "Mains", "online": "1"}}, True),
        ({"BAT0": {"kind": "Battery", "status": "Discharging"}, "AC": {"kind": "Mains", "online": "0"}}, False),
        ({"BAT0": {"kind": "Battery", "status": "Full"}, "AC": {"kind": "Mains", "online": "0"}}, False),
        (
            {
                "BAT0": {"kind": "Battery", "status": "Charging"},
                "AC": {"kind": "Mains", "online": "0"},
                "usb": {"kind": "USB_PD", "online": "1"},
            },
            True,
        ),
        ({"BAT0": {"kind": "Battery", "status": "Discharging"}}, False),
        ({"BAT0": {"kind": "Battery", "status": "Charging"}}, True),
        ({"BAT0": {"kind": "Battery"}}, True),
        ({"ups": {"kind": "UPS", "status": "Discharging"}}, False),
        ({"usb": {"kind": "USB", "online": "0"}}, True),  # a socket that nothing is plugged into, and no battery
        ({"mouse": {"kind": "Battery", "status": "Discharging", "scope": "Device"}}, True),
    ],
)
async def test_external_power_is_told_by_the_supplies(
    tmp_path: Path, supplies: dict[str, dict[str, str]], external: bool
) -> None:
    for name, attributes in supplies.items():
        supply(tmp_path / "power_supply", name, **attributes)
    assert power_supply.external(tmp_path / "power_supply") is external
    found = await conditions(tmp_path, external_power=True).held()
    assert found == (() if external else (Held("external_power", "the device runs on its battery"),))
    assert await conditions(tmp_path, external_power=False).held() == ()


async def test_a_weak_signal_holds_and_an_unknown_one_does_not(tmp_path: Path) -> None:
    async def weak() -> int | None:
        return -119

    async def enough() -> int | None:
        return -110

    async def silent() -> int | None:
        raise ModemError("no answer")

    assert await conditions(tmp_path, signal_dbm=weak, min_signal_dbm=-110).held() == (
        Held("min_signal_dbm", "the signal is -119 dBm, less than -110 dBm"),
    )
    for signal in (enough, silent, no_signal):
        assert await conditions(tmp_path, signal_dbm=signal, min_signal_dbm=-110).held() == ()


async def test_the_modem_is_not_asked_for_nothing(tmp_path: Path) -> None:
    async def never() -> int | None:
        raise AssertionError("asked")

    assert await conditions(tmp_path, signal_dbm=never).held() == ()


async def test_a_script_holds_with_its_last_line_as_the_reason(tmp_path: Path, heard: Heard) -> None:
    script(tmp_path / "conditions.d", "10-fine", "echo all is well")
    script(tmp_path / "conditions.d", "20-pump", "echo looking; echo the pump is running; exit 1")
    script(tmp_path / "conditions.d", "30-hangs", "sleep 60")
    script(tmp_path / "conditions.d", "40-broken", "true", shell="#!/nowhere\n")
    assert await conditions(tmp_path, timeout_s=0.3).held() == (
        Held("script 20-pump", "the pump is running"),
        Held("script 30-hangs", "did not answer in 0.3 s"),
        Held("script 40-broken", "cannot be started: No such file or directory"),
    )
    assert heard.ids() == ["IPA-1405"] * 4


async def test_a_script_that_is_refused_holds_nothing_back(tmp_path: Path, heard: Heard) -> None:
    script(tmp_path / "conditions.d", "10", "exit 1", mode=0o777)
    assert await conditions(tmp_path).held() == ()
    assert heard.ids() == ["IPA-1401"]
