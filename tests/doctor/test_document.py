"""docs/diagnostics.md names what there is: every layer with what it stands on, every figure, every light."""

from __future__ import annotations

import re
from pathlib import Path

from ipad_agent.doctor.bundle.support_bundle import MAX_EVENTS
from ipad_agent.doctor.doctor_items import NEEDS, Layer
from ipad_agent.doctor.examination import TABLE
from ipad_agent.local.flight_recorder import MAX_BYTES, MAX_S
from ipad_agent.local.prometheus.metrics import PREFIX, Metrics
from ipad_agent.local.status_led import LedPattern
from situations import SITUATIONS

TEXT = (Path(__file__).parents[2] / "docs/diagnostics.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of a table without its head."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"][2:]


def test_the_layers_are_those_of_the_table_in_its_order_with_what_they_stand_on() -> None:
    told = {cells[0].strip("`"): re.findall(r"`([a-z-]+)`", cells[2]) for cells in rows(section("The doctor"))}
    assert list(told) == [row.layer.value for row in TABLE]
    assert told == {row.layer.value: [need.value for need in NEEDS.get(row.layer, ())] for row in TABLE}
    assert Layer.VERDICT.value not in told


def test_every_figure_is_told_and_no_other() -> None:
    metrics = Metrics(apdus=lambda: 0, rss_bytes=lambda: 0)
    made = {
        name
        for status in SITUATIONS.values()
        for name in re.findall(rf"^# TYPE {PREFIX}(\w+)", metrics.text(status), re.MULTILINE)
    }
    table = rows(section("Figures for Prometheus"))
    assert {name for cells in table for name in re.findall(r"`(\w+)`", cells[0])} == made


def test_every_light_has_its_row() -> None:
    assert len(rows(section("The light"))) == len(LedPattern)


def test_the_numbers_are_those_of_the_code() -> None:
    assert f"the last {MAX_EVENTS} events" in section("The support bundle")
    assert (MAX_S, MAX_BYTES) == (86_400.0, 4 << 20)
