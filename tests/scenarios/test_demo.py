"""The demo, as a newcomer starts it: over both carriers and with either card, every claim at its end is checked."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from ipad_agent.lab.bench.real_time_limits import LONGEST_FACTOR, scaled

LIMIT_S = 60.0
PATIENCE_S = 20.0


@pytest.mark.parametrize(("carrier", "says"), [("coaps", "CoAP sealed in DTLS 1.2"), ("https", "All went over HTTPS")])
def test_the_demo_downloads_a_profile_switches_to_it_and_proves_it(carrier: str, says: str) -> None:
    began_s = time.monotonic()
    command = [sys.executable, "-m", "ipad_agent", "demo", "--carrier", carrier]
    shown = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S * LONGEST_FACTOR)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert time.monotonic() - began_s < scaled(PATIENCE_S)
    _, _, proved = shown.stdout.partition("What was proved:")
    assert proved.count("✓") == 8
    assert "$ ipactl status\n● ready" in shown.stdout
    assert "ipactl --socket" in shown.stdout  # for a second terminal
    assert "✗" not in proved
    assert says in proved
    assert "piece by piece: 50%" in shown.stdout
    assert "\r" not in shown.stdout
    assert "\x1b" not in shown.stdout


def test_the_demo_of_a_consumer_card_ends_with_results_that_the_eim_verified_by_the_device_key() -> None:
    command = [sys.executable, "-m", "ipad_agent", "demo", "--card", "consumer"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S * LONGEST_FACTOR)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    told, _, proved = shown.stdout.partition("What was proved:")
    told = " ".join(told.split())  # a line may break anywhere
    assert proved.count("✓") == 8
    assert "✗" not in proved
    assert "this device's key signed" in " ".join(proved.split())
    assert "its IoT functions emulated by this device" in told
    steps = [
        "does not know this card yet",
        "registered the device",
        "listProfileInfo ok",
        "installed profile",
        "enable ok",
    ]
    assert sorted(steps, key=told.index) == steps
