"""The conformance statement names only what is there: places in the source, tests in the test tree."""

from __future__ import annotations

import ast
import functools
import json
from pathlib import Path

import pytest

from ipad_agent.__main__ import main
from ipad_agent.conformance.implementation_statement import Function, as_markdown, load, load_cases

ROOT = Path(__file__).resolve().parents[1]
FUNCTIONS = load()


@functools.cache
def names_in(path: Path) -> frozenset[str]:
    """Functions, classes, and methods as ``Class.method``."""
    found = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = [item for item in node.body if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)]
            found |= {f"{node.name}.{method.name}" for method in methods}
    return frozenset(found)


def missing(function: Function) -> list[str]:
    """What is named in the entry and does not exist."""
    wrong = []
    for place in function.places:
        file, _, name = place.partition(":")
        path = ROOT / "ipad_agent" / file
        if not path.exists() or (name and name not in names_in(path)):
            wrong.append(place)
    for test in function.tests:
        file, _, name = test.partition("::")
        if not (ROOT / file).is_file() or name not in names_in(ROOT / file):
            wrong.append(test)
    return wrong


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: f"{function.interface}-{function.name}")
def test_every_place_and_every_test_of_an_entry_exists(function: Function) -> None:
    assert missing(function) == []


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: f"{function.interface}-{function.name}")
def test_what_is_implemented_has_a_place_and_a_test_and_what_is_not_says_no_more(function: Function) -> None:
    if function.implemented:
        assert function.places
        assert function.tests
    else:
        assert function.status != "M"


def test_a_place_or_a_test_that_is_gone_is_missed() -> None:
    function = Function(
        "X", "x", "", "M", True, ("card/apdu.py:no_such", "card/gone.py"), ("tests/test_cli.py::test_no",)
    )
    assert missing(function) == ["card/apdu.py:no_such", "card/gone.py", "tests/test_cli.py::test_no"]


def test_the_page_is_current() -> None:
    page = (ROOT / "docs" / "conformance.md").read_text("utf-8")
    assert page == as_markdown(FUNCTIONS, load_cases()), "run python tools/gen_conformance.py"


def test_the_statement_is_printed_for_people_and_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ics", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["functions"]) == len(FUNCTIONS)
    assert told["functions"][0]["name"] == "LoadEuiccPackage"
    assert [case["number"] for case in told["cases"]] == [case.number for case in load_cases()]
    assert main(["ics"]) == 0
    assert capsys.readouterr().out.startswith("# Conformance\n")
