"""The test cases that SGP.32 v1.3 gives cause for, T01 to T40: each has tests, and those are there.

Whoever removes or renames one is told which case would be without one; ``docs/conformance.md`` lists them.
"""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

from ipad_agent.conformance.implementation_statement import Case, load_cases

ROOT = Path(__file__).parents[1]
CASES = load_cases()


@functools.cache
def names(path: Path) -> frozenset[str]:
    """The tests of a file."""
    if not path.is_file():
        return frozenset()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


def gone(case: Case) -> list[str]:
    """What is named and does not exist."""
    found = []
    for test in case.tests:
        file, _, name = test.partition("::")
        if not re.fullmatch(r"tests/[a-z_0-9/]+\.py", file) or name not in names(ROOT / file):
            found.append(test)
    return found


def test_every_case_has_a_test() -> None:
    assert [case.number for case in CASES] == [f"T{number:02}" for number in range(1, 41)]
    assert all(case.tests for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.number)
def test_the_tests_of_a_case_are_there(case: Case) -> None:
    assert gone(case) == [], f"{case.number} ({case.about})"


def test_a_test_that_is_gone_is_missed() -> None:
    wrong = ("tests/test_cases_of_release_1_3.py::test_no_such", "tests/gone.py::test_x", "ipad_agent/events.py::x")
    assert gone(Case("T00", "nothing", wrong)) == list(wrong)
