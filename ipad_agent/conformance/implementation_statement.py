"""The implementation conformance statement: each function and procedure of SGP.32, and what an IPAd uses of SGP.22.

The statement itself is ``implementation_statement.toml``, the test cases of v1.3 are in ``release_1_3_cases.toml``;
``docs/conformance.md`` and ``ipad-agent ics`` show both.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any, Final, Literal, get_args

from ipad_agent import __version__
from ipad_agent.records import dataclass

STATEMENT: Final = Path(__file__).with_name("implementation_statement.toml")
CASES: Final = Path(__file__).with_name("release_1_3_cases.toml")
RELEASES: Final = ("SGP.32 v1.2", "SGP.32 v1.3", "SGP.22 v2.5")

Presence = Literal["M", "O", "C"]


@dataclass(frozen=True, slots=True)
class Function:
    """``status``: mandatory, optional, or conditional (one of several ways has to be there). ``places`` are
    ``file:name`` below ``ipad_agent/``, ``tests`` are ``file::name`` below the source tree; ``note`` may be empty."""

    interface: str
    name: str
    clause: str
    status: Presence
    implemented: bool
    places: tuple[str, ...]
    tests: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """A test case that a release gave cause for; ``tests`` as in ``Function``."""

    number: str
    about: str
    tests: tuple[str, ...]


def load_cases(path: Path = CASES) -> tuple[Case, ...]:
    """The cases of SGP.32 v1.3 in order. Raises as ``load``."""
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    return tuple(Case(entry["number"], entry["about"], tuple(entry["tests"])) for entry in document["case"])


def load(path: Path = STATEMENT) -> tuple[Function, ...]:
    """All entries in order. Raises ``ValueError`` or ``TypeError`` for a file that is none."""
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    functions = []
    for entry in document["function"]:
        facts: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()
        }
        function = Function(**facts)
        if function.status not in get_args(Presence):
            raise ValueError(f"{function.name}: {function.status} is no status")
        functions.append(function)
    return tuple(functions)


def as_json(functions: Iterable[Function], cases: Iterable[Case]) -> str:
    """One JSON document for a test house."""
    document = {
        "product": "ipad-agent",
        "version": __version__,
        "releases": RELEASES,
        "functions": [asdict(function) for function in functions],
        "cases": [asdict(case) for case in cases],
    }
    return json.dumps(document, indent=2)


def as_markdown(functions: Iterable[Function], cases: Iterable[Case]) -> str:
    """The page ``docs/conformance.md``."""
    parts = [
        "# Conformance",
        "",
        "What of SGP.32 v1.2 and v1.3, and of SGP.22 v2.5 as far as an IPAd uses it, is implemented, where, and which",
        "tests show it. This is no certificate: no test house has looked at it. `ipad-agent ics --json` prints the",
        "same for machines. M is mandatory, O optional, C conditional: one of several ways must be there.",
        "",
        "`tools/gen_conformance.py` makes this page from the TOML files in `ipad_agent/conformance/`; tests look for",
        "every place and every test that is named in it.",
    ]
    for interface, members in groupby(functions, key=lambda function: function.interface):
        parts += [
            "",
            f"## {interface}",
            "",
            "| Function | Clause | | Implemented | Where | Tests |",
            "|---|---|---|---|---|---|",
        ]
        parts += [_row(function) for function in members]
    parts += ["", "## Test cases of SGP.32 v1.3", "", "| | Case | Tests |", "|---|---|---|"]
    parts += [f"| {case.number} | {case.about} | {_names(case.tests)} |" for case in cases]
    return "\n".join(parts) + "\n"


def _row(function: Function) -> str:
    done = "yes" if function.implemented else "**no**"
    if function.note:
        done = f"{done}: {function.note}"
    places = "<br>".join(f"`{place}`" for place in function.places)
    tests = _names(function.tests)
    return f"| {function.name} | {function.clause} | {function.status} | {done} | {places} | {tests} |"


def _names(tests: Iterable[str]) -> str:
    return "<br>".join(f"`{test.partition('::')[2]}`" for test in tests)
