"""The page of troubles is made from the messages, and leaves none out."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from ipad_agent.events import CATALOGUE, WARNING, Event
from ipad_agent.local.status_model import State

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "troubleshooting.md"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gen_troubleshooting", ROOT / "tools" / "gen_troubleshooting.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclasses look for their types
    spec.loader.exec_module(module)
    return module


def test_the_page_is_made_from_the_messages(tool: ModuleType) -> None:
    assert PAGE.read_text(encoding="utf-8") == tool.page(), "run python tools/gen_troubleshooting.py"


def test_every_message_of_trouble_is_there_once(tool: ModuleType) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert tool.told()
    assert [event.id for event in tool.told() if text.count(f"[{event.id}]") != 1] == []


def test_every_id_that_is_placed_by_hand_exists_and_is_placed_once(tool: ModuleType) -> None:
    tool.told()
    placed = [id for symptom in tool.SYMPTOMS for id in symptom.ids]
    assert len(placed) == len(set(placed))
    assert [id for id in placed if id not in CATALOGUE] == []


def test_every_state_that_a_person_may_see_has_a_symptom(tool: ModuleType) -> None:
    known = {state for symptom in tool.SYMPTOMS for state in symptom.states} | set(tool.HEALTHY)
    assert known == {state.value for state in State}, "SYMPTOMS in tools/gen_troubleshooting.py"


def test_a_message_of_a_new_room_is_noticed(tool: ModuleType) -> None:
    strange: Event[...] = Event("IPA-7001", WARNING, "Something.", "It means something.", {})
    with pytest.raises(LookupError, match="IPA-7001 has no symptom"):
        tool.symptom_of(strange)


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda path: path.name
)
def test_every_link_of_a_document_leads_somewhere(path: Path) -> None:
    """To files, and to headings of files that are Markdown."""
    text = re.sub(r"^(```+)[\s\S]*?^\1", "", path.read_text(encoding="utf-8"), flags=re.M)
    lost = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        name, _, heading = target.partition("#")
        if "://" in target or name.startswith("mailto:"):
            continue
        file = (path.parent / name).resolve() if name else path
        if not file.exists() or (heading and heading not in _headings(file)):
            lost.append(target)
    assert lost == []


def _headings(path: Path) -> set[str]:
    """Their names in links, as the usual readers of Markdown make them."""
    titles = re.findall(r"^#+\s+(.*)$", path.read_text(encoding="utf-8"), re.M)
    kept = ("".join(letter for letter in title.lower() if letter.isalnum() or letter in " -_") for title in titles)
    return {title.strip().replace(" ", "-") for title in kept}
