"""Write the interface file and the generated part of docs/local-api.md from the code; ``--check`` only compares."""

from __future__ import annotations

import ast
import inspect
import sys
from pathlib import Path

from ipad_agent.local import status_model
from ipad_agent.local.varlink import client_limits, idl_types, varlink_interface
from ipad_agent.local.varlink.idl_types import Field
from ipad_agent.local.varlink.peer_credentials import Right

ROOT = Path(__file__).resolve().parents[1]
INTERFACE = ROOT / "ipad_agent" / "local" / "varlink" / f"{varlink_interface.NAME}.varlink"
DOCUMENT = ROOT / "docs" / "local-api.md"
BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"
RIGHTS = {Right.NONE: "nothing", Right.READ: "look", Right.EXAMINE: "examine", Right.CONTROL: "act"}


def generated() -> str:
    """Methods, errors, types and limits as Markdown."""
    lines = ["", "## Methods", "", "| method | takes | gives | right | |", "|---|---|---|---|---|"]
    for method in varlink_interface.METHODS:
        takes, gives = _fields(method.takes), _fields(method.gives)
        lines.append(f"| `{method.name}` | {takes} | {gives} | {RIGHTS[method.right]} | {method.doc} |")
    lines += ["", "## Errors of the interface", "", "| error | parameters | |", "|---|---|---|"]
    lines += [
        f"| `{varlink_interface.NAME}.{failure.name}` | {_fields(failure.parameters)} | {failure.doc} |"
        for failure in varlink_interface.FAILURES
    ]
    lines += ["", "## Types", ""]
    for record in idl_types.reachable(
        status_model.Status,
        status_model.Happening,
        status_model.HistoryEntry,
        status_model.Plan,
        status_model.DoctorItem,
    ):
        words = " ".join((record.__doc__ or "").split()).replace("``", "`")
        lines += [f"### {idl_types.name_of(record)}", "", words, "", "| field | type |", "|---|---|"]
        lines += [f"| `{field.name}` | `{field.type}` |" for field in idl_types.fields_of(record)]
        lines.append("")
    lines += ["## Limits", "", "| limit | value | |", "|---|---|---|"]
    lines += [f"| `{name}` | {value:_} | {words} |" for name, value, words in _limits()]
    return "\n".join(lines) + "\n\n"


def _fields(fields: tuple[Field, ...] | list[Field]) -> str:
    return ", ".join(f"`{field.name}: {field.type}`" for field in fields) or "–"


def _limits() -> list[tuple[str, float, str]]:
    """Each constant of ``limits`` with the text below it; one without a text shares that of the next."""
    found: list[tuple[str, float, str]] = []
    waiting: list[str] = []
    for node in ast.parse(inspect.getsource(client_limits)).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            waiting.append(node.target.id)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and waiting:
            words = " ".join(str(node.value.value).split()).replace("``", "`")
            found += [(name, getattr(client_limits, name), words) for name in waiting]
            waiting = []
    return found


def updated(document: str) -> str:
    """The document with its generated part replaced."""
    head, _, rest = document.partition(BEGIN)
    return head + BEGIN + "\n" + generated() + END + rest.partition(END)[2]


def main(arguments: list[str]) -> int:
    document = DOCUMENT.read_text(encoding="utf-8")
    wanted = {DOCUMENT: updated(document), INTERFACE: varlink_interface.text()}
    if "--check" in arguments:
        return int(any(not path.exists() or path.read_text(encoding="utf-8") != text for path, text in wanted.items()))
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
