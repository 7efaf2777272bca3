"""The tables of figures are those of the last run of the benchmarks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = "import json, run; print(json.dumps([*run.pages(json.loads(run.RESULTS.read_text())).values()]))"


def test_the_tables_are_what_the_results_say() -> None:
    told = subprocess.run([sys.executable, "-c", PAGES], cwd=ROOT / "bench", check=True, capture_output=True, text=True)
    for page, text in zip(("bench/README.md", "README.md"), json.loads(told.stdout), strict=True):
        assert (ROOT / page).read_text(encoding="utf-8") == text, f"{page}: run `make bench`, do not edit the table"


def test_each_figure_that_misses_its_goal_is_marked() -> None:
    kept = json.loads((ROOT / "bench" / "results.json").read_text(encoding="utf-8"))
    lines = (ROOT / "bench" / "README.md").read_text(encoding="utf-8").splitlines()
    missed = [plain["name"] for found in kept.values() for plain in found["figures"] if plain["reached"] is False]
    marked = [line.split("|")[1].strip() for line in lines if "(missed)" in line]
    assert sorted(marked) == sorted(missed)


def test_each_figure_that_misses_its_goal_has_a_reason() -> None:
    told = subprocess.run(
        [sys.executable, "-c", "import json, missed_goals; print(json.dumps(missed_goals.REASONS))"],
        cwd=ROOT / "bench",
        check=True,
        capture_output=True,
        text=True,
    )
    reasons = json.loads(told.stdout)
    kept = json.loads((ROOT / "bench" / "results.json").read_text(encoding="utf-8"))
    missed = [plain["name"] for found in kept.values() for plain in found["figures"] if plain["reached"] is False]
    assert [name for name in missed if name not in reasons] == [], "write a sentence into bench/missed_goals.py"


def test_each_benchmark_is_known_to_make_bench_with_words_for_a_quick_round() -> None:
    told = subprocess.run(
        [sys.executable, "-c", "import json, run; print(json.dumps([sorted(run.BENCHMARKS), sorted(run.QUICK)]))"],
        cwd=ROOT / "bench",
        check=True,
        capture_output=True,
        text=True,
    )
    there = sorted(path.stem for path in (ROOT / "bench").glob("*.py") if "def measure(" in path.read_text())
    known, quick = json.loads(told.stdout)
    assert known == quick == there
