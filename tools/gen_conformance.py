"""Write docs/conformance.md. Run it after a change of the statement: ``python tools/gen_conformance.py``."""

from __future__ import annotations

from pathlib import Path

from ipad_agent.conformance.implementation_statement import as_markdown, load, load_cases

TARGET = Path(__file__).resolve().parent.parent / "docs" / "conformance.md"


if __name__ == "__main__":
    TARGET.write_text(as_markdown(load(), load_cases()), encoding="utf-8")
