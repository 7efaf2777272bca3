"""docs/modems.md against the profiles it is written from."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

from ipad_agent.modem import module_profile_files

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = module_profile_files.load([ROOT / "hw" / "modems"]).profiles


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gen_modems", ROOT / "tools" / "gen_modems.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_manual_of_modules_is_up_to_date() -> None:
    assert (ROOT / "docs" / "modems.md").read_text() == generator().document(SHIPPED), "run tools/gen_modems.py"


def test_every_value_and_every_usb_id_of_every_profile_is_in_the_manual_with_its_evidence() -> None:
    text = (ROOT / "docs" / "modems.md").read_text()
    for profile in SHIPPED:
        start = text.index(f"# {profile.title}\n")
        section = text[start : text.find("\n## ", start) if "\n## " in text[start:] else None]
        rows = [line for line in section.splitlines() if line.startswith("| ") and not line.startswith("| What")]
        ports = set(profile.usb)
        plain = [key for key in profile.set_keys if not key.startswith("usb.")]
        assert len([row for row in rows if "---" not in row]) >= len(plain) + len(ports), profile.name
        assert all(usb_id in section for ports in profile.usb_ports for usb_id in ports.ids), profile.name
        assert all(remark.text in section for remark in profile.remarks), profile.name
        assert all(evidence.source in section.replace("\\|", "|") for evidence in profile.evidence.values()), (
            profile.name
        )


def test_an_entry_of_the_table_leads_to_its_section() -> None:
    tool = generator()
    text = (ROOT / "docs" / "modems.md").read_text()
    headings = {tool._anchor(line.removeprefix("## ")) for line in text.splitlines() if line.startswith("## ")}
    links = {line.split("](#")[1].split(")")[0] for line in text.splitlines() if line.startswith("| [")}
    assert links
    assert links <= headings
