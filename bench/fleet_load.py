"""What the schedule of a million devices does to their eIM (see docs/fleet.md).

python bench/fleet_load.py
"""

from __future__ import annotations

from figures import Figure, rows

from ipad_agent.fleet.load_report import load_report
from ipad_agent.fleet.poll_load import Cut, poll_load
from ipad_agent.fleet.schedule_table import schedule_table
from ipad_agent.policy import PRESETS

DAY_S = 86_400.0
OUTAGE = Cut(5.3 * DAY_S, 6 * 3600.0)
NONE = Cut(0.0, 0.0)


def measure(devices: int = 1_000_000) -> list[Figure]:
    """Twelve days, with an outage on the sixth."""
    found = []
    for preset, settings in PRESETS.items():
        load = poll_load(schedule_table(settings), devices=devices, length_s=12 * DAY_S, outage=OUTAGE, power_cut=NONE)
        after = load_report(load, OUTAGE, NONE).outage
        assert after is not None
        name = "load after six hours without the eIM" + ("" if preset == "normal" else f", preset {preset}")
        about = f"busiest ten minutes of {devices:,} devices with an interval of a day, as a multiple of the mean"
        found.append(Figure(name, "times", after.peak, 2.0, about))
    return found


if __name__ == "__main__":
    print("\n".join(rows(measure())))
