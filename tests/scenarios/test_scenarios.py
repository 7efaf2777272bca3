"""Every scenario of the lab ends well, told through the command line as a stranger would: the real agent as a process
of its own, a real pseudo-terminal, real UDP.

    pytest tests/scenarios -k loss-20
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from ipad_agent.lab.bench.real_time_limits import LONGEST_FACTOR
from ipad_agent.lab.scenarios.scenario_runner import SCENARIOS, load_all

SPARE_S = 60.0
"""What starting, tearing down and a busy machine may add to a scenario's own deadline."""

NAMED = {
    "block-wise",
    "brainpool",
    "cgla-only",
    "client-certificate-coaps",
    "client-certificate-https",
    "crash-loop",
    "csim-only",
    "data-request-all",
    "download-60k-apdus",
    "download-bpp-errors",
    "download-cancel-all",
    "download-confirmation-code",
    "download-default-smdp",
    "download-direct",
    "download-indirect-asn1-coaps",
    "download-indirect-asn1-https",
    "download-indirect-json",
    "download-power-cut",
    "download-private-refused",
    "download-ppr-refused",
    "download-smds",
    "echo-and-urcs",
    "eco-all",
    "eim-deletes-itself",
    "emergency",
    "emulated-card-swapped",
    "emulated-data-request",
    "emulated-download-direct",
    "emulated-download-indirect",
    "emulated-eco-all",
    "emulated-fallback-and-return",
    "emulated-immediate-enable",
    "emulated-key-lost",
    "emulated-power-cut",
    "emulated-psmo-all",
    "emulated-rollback",
    "emulated-state-lost",
    "expired-certificate",
    "fallback-and-return",
    "foreign-certificate",
    "four-dialects",
    "iccid-letters",
    "immediate-enable",
    "lab-rest",
    "injection-coaps",
    "injection-https",
    "knock-wake",
    "loss-20",
    "ipae-card",
    "maker-bench",
    "maker-download",
    "malformed-package",
    "modem-csim-truncates",
    "modem-fibocom-fm350",
    "modem-hangup-mid-download",
    "modem-manager-intrudes",
    "modem-quectel-bg95",
    "modem-quectel-rg650e",
    "modem-sierra-em9191",
    "modem-tdtech-mt5700",
    "modem-61xx-or-auto-fetch",
    "modem-uart-speed-up",
    "notification-receivers",
    "odd-card",
    "poll-empty",
    "port-vanishes",
    "psk",
    "psmo-all",
    "recover-results",
    "refresh-ignored",
    "replay",
    "second-aid",
    "sigterm",
    "stranger-v1-eim",
    "sim-busy-at-start",
    "sms-wake",
    "start-disk-read-only",
    "stranger-refuses-results",
    "switch-6985-until-reset",
    "switch-agent-killed-in-window",
    "switch-cable-proves-nothing",
    "switch-disk-emptied",
    "switch-disk-full",
    "switch-disk-read-only",
    "switch-no-coverage-rollback",
    "switch-ok",
    "switch-port-reenumerates",
    "switch-power-cut-in-window",
    "switch-refresh-ignored",
    "switch-result-refused",
    "switch-rollback-not-allowed",
    "two-eims",
    "wrong-pin",
}


def _told() -> list[object]:
    load_all()
    # Tests of the runner register stories of their own; they are told there.
    stories = [
        story
        for story in SCENARIOS.values()
        if story.body.__module__.startswith("ipad_agent.lab.scenarios.")
        and (story.every_day or os.environ.get("EVERY_MODEM") == "1")
    ]
    return [
        pytest.param(story.name, id=story.name, marks=pytest.mark.timeout(_last_resort_s(story.deadline_s) + SPARE_S))
        for story in sorted(stories, key=lambda story: -story.deadline_s)  # none that takes long is left for the end
    ]


def _last_resort_s(deadline_s: float) -> float:
    """When something is wrong with the limits themselves: a story ends by its own, which know what is stuck."""
    return deadline_s * LONGEST_FACTOR + SPARE_S


def _lab(*words: str, limit_s: float) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ipad_agent", "lab", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit_s)


@pytest.mark.parametrize("name", _told())
def test_scenario_ends_well(name: str) -> None:
    run = _lab("run", name, "--json", limit_s=_last_resort_s(load_all()[name].deadline_s))
    assert run.stdout, run.stderr
    report = json.loads(run.stdout)
    assert report["ok"] is True, report.get("why")
    assert run.returncode == 0
    assert report["scenario"] == name
    assert report["steps"]
    assert all(step["ok"] for step in report["steps"])


def test_the_list_has_a_sentence_for_each_scenario() -> None:
    lines = _lab("list", limit_s=SPARE_S).stdout.splitlines()
    about = {name: sentence.strip() for name, _, sentence in (line.partition(" ") for line in lines)}
    assert set(about) >= NAMED
    for name, sentence in about.items():
        assert sentence.endswith("."), name
        assert len(sentence) <= 120, name
