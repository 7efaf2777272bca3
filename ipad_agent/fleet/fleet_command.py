"""``ipad-agent lab fleet``: the load that a fleet is for its eIM, before anybody builds one."""

from __future__ import annotations

import argparse
import json
import re
import time
from pathlib import Path
from typing import Final

from ipad_agent.records import replace

DAY_S: Final = 86_400.0
_UNITS: Final = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": DAY_S}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser of ``ipad-agent lab fleet`` its options."""
    parser.add_argument(
        "--devices", type=_devices, default=1_000_000, metavar="N", help="how many (default: a million)"
    )
    parser.add_argument("--days", type=_days, default=365, metavar="N", help="how long (default: 365; at least 10)")
    parser.add_argument("--preset", default="normal", help="poll.preset of the configuration: normal, nbiot")
    parser.add_argument("--interval", type=_span, metavar="TIME", help="poll.interval_s, as 24h or 30min")
    parser.add_argument(
        "--outage", type=_span, default=6 * 3600.0, metavar="TIME", help="of the eIM (default: 6h; 0s: none)"
    )
    parser.add_argument(
        "--power-cut", type=_span, default=1800.0, metavar="TIME", help="of a region (default: 30min; 0s: none)"
    )
    parser.add_argument("--region", type=_share, default=0.05, metavar="SHARE", help="of the devices (default: 0.05)")
    parser.add_argument("--phase-window", type=_span, metavar="TIME", help="poll.phase_window_s")
    parser.add_argument("--fast-phase", type=_span, metavar="TIME", help="poll.fast_phase_s")
    parser.add_argument("--seed", type=int, default=0, metavar="K", help="another draw of the same")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the load around both into this file")
    parser.add_argument("--json", action="store_true", help="print the figures as data")


def run(arguments: argparse.Namespace) -> int:
    """Simulate and print; 0. Raises ``IpadError`` when NumPy is missing."""
    from ipad_agent.errors import ConfigError
    from ipad_agent.policy import PRESETS

    from .load_report import load_report, report_lines
    from .poll_load import Cut, poll_load
    from .schedule_table import schedule_table

    if arguments.preset not in PRESETS:
        raise ConfigError("--preset", f"there is none called {arguments.preset}", allowed=", ".join(PRESETS))
    settings = PRESETS[arguments.preset]
    asked = {
        "interval_s": arguments.interval,
        "phase_window_s": arguments.phase_window,
        "fast_phase_s": arguments.fast_phase,
    }
    settings = replace(settings, **{name: value for name, value in asked.items() if value is not None})
    length_s = arguments.days * DAY_S
    outage = Cut(length_s * 0.3, arguments.outage)
    power_cut = Cut(length_s * 0.7, arguments.power_cut, arguments.region)
    begun_s = time.monotonic()
    load = poll_load(
        schedule_table(settings),
        devices=arguments.devices,
        length_s=length_s,
        outage=outage,
        power_cut=power_cut,
        seed=arguments.seed,
    )
    report = load_report(load, outage, power_cut)
    if arguments.json:
        print(json.dumps(report.plain()))
    else:
        print("\n".join(report_lines(report, outage, power_cut)))
        print(f"computed in {time.monotonic() - begun_s:.1f} s")
    if arguments.svg is not None:
        from .load_picture import load_picture

        arguments.svg.write_text(load_picture(load, report, outage, power_cut), encoding="utf-8")
    return 0


def _span(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(s|min|h|d)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write it as 90s, 30min, 6h or 2d")
    return float(found[1]) * _UNITS[found[2]]


def _devices(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 10_000_000:
        raise argparse.ArgumentTypeError("from 1 to 10000000")
    return int(text)


def _days(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 10 <= int(text) <= 3660:
        raise argparse.ArgumentTypeError("from 10 to 3660")
    return int(text)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError("a share from 0 to 1")
    return share
