from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from ipad_agent.config.config_model import SECTIONS, EimConfig
from ipad_agent.config.configuration_manual import render
from ipad_agent.config.secret_file import SecretFile
from ipad_agent.config.value_readers import Reader

PAGE = Path(__file__).parent.parent / "docs" / "configuration.md"
KEYS = [(name, item) for name, kind in (*SECTIONS.items(), ("eim", EimConfig)) for item in fields(kind)]


def test_the_manual_says_what_the_code_does() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run python -m ipad_agent.config.configuration_manual again"


@pytest.mark.parametrize(("section", "item"), KEYS, ids=[f"{section}.{item.name}" for section, item in KEYS])
def test_every_key_is_explained_and_its_default_is_allowed(section: str, item: object) -> None:
    metadata = item.metadata  # type: ignore[attr-defined]  # a dataclasses.Field
    default = item.default  # type: ignore[attr-defined]
    reader: Reader[object] = metadata["reader"]
    assert len(metadata["why"]) > 20
    assert reader.allowed
    if default is None or default == "":
        return  # not set
    if isinstance(default, tuple):
        written: object = [value.hex() if isinstance(value, bytes) else value for value in default]
    else:
        written = str(default) if isinstance(default, Path | SecretFile) else default
    assert reader.read(written, Path("/")) == default
