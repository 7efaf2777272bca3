"""``docs/ipactl.md`` shows screens as they are, and the exit statuses as they are.

``PYTHONPATH=tests/support python tests/cli/golden.py`` brings the page up to date as well.
"""

from __future__ import annotations

from .golden import DOCUMENT, document


def test_the_page_shows_what_the_command_shows() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(DOCUMENT.read_text(encoding="utf-8"))


def test_the_page_shows_some_screens() -> None:
    assert DOCUMENT.read_text(encoding="utf-8").count("```text ") >= 5
