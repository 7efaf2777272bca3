"""What a person is told to configure exists: every key named in a hint, an explanation or an error is in the model."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

import ipad_agent
from ipad_agent.config.config_model import SECTIONS, EimConfig
from ipad_agent.errors import IpadError
from ipad_agent.events import CATALOGUE

ROOT = Path(ipad_agent.__path__[0])
SOURCES = [path for path in sorted(ROOT.rglob("*.py")) if not {"lab", "torture"} & set(path.relative_to(ROOT).parts)]
KINDS = {**SECTIONS, "eim": EimConfig}
KEYS = {name: {item.name for item in fields(kind)} for name, kind in KINDS.items()}
ALL_KEYS = set().union(*KEYS.values())

# A section of the configuration, a dot and a word: nothing else in a sentence looks like that.
_PLACE = re.compile(r"(?<![\w./-])(" + "|".join(KEYS) + r")\.([a-z][a-z0-9_]*)\b")
# Other dotted words in hints are files.
_DOTTED = re.compile(r"(?<![\w./-])([a-z_]+)\.([a-z][a-z0-9_]*)\b")
_FILES = {"md", "rules", "toml", "py", "json", "service", "conf"}
_WITH_UNDERSCORE = re.compile(r"(?<![\w./{$])[a-z][a-z0-9]*(?:_[a-z0-9]+)+(?![\w/}])")


def places(text: str) -> list[str]:
    """Keys named with their section that do not exist."""
    return [f"{section}.{key}" for section, key in _PLACE.findall(text) if key not in KEYS[section]]


def unknown(text: str) -> list[str]:
    """What looks like a key in a sentence for people and is none."""
    dotted = [f"{first}.{last}" for first, last in _DOTTED.findall(text) if first not in KEYS and last not in _FILES]
    bare = [word for word in _WITH_UNDERSCORE.findall(text) if word not in ALL_KEYS and word not in SECTIONS]
    return places(text) + dotted + bare


def string_constants(source: str) -> Iterator[str]:
    """Every string of the source that is no docstring, f-strings piece by piece."""
    tree = ast.parse(source)
    docstrings = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def given_hints(source: str) -> Iterator[str]:
    """Every string in what is given as ``hint=`` or ``allowed=``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg in ("hint", "allowed"):
                    yield from (
                        node.value
                        for node in ast.walk(keyword.value)
                        if isinstance(node, ast.Constant) and isinstance(node.value, str)
                    )


def error_classes() -> list[type[IpadError]]:
    for path in SOURCES:
        if path.name not in ("__init__.py", "__main__.py") and path.parent.name != "cli":  # the demo loads the lab
            importlib.import_module(".".join(("ipad_agent", *path.relative_to(ROOT).with_suffix("").parts)))
    found: list[type[IpadError]] = [IpadError]
    for kind in found:
        found += [sub for sub in kind.__subclasses__() if sub not in found]
    return found


@pytest.mark.parametrize("path", SOURCES, ids=[str(path.relative_to(ROOT)) for path in SOURCES])
def test_every_key_named_in_the_agents_words_exists(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert [place for text in string_constants(source) for place in places(text)] == []
    if "config" not in path.relative_to(ROOT).parts:  # the reader of the configuration puts its sentences together
        assert [word for text in given_hints(source) for word in unknown(text)] == []


@pytest.mark.parametrize("kind", error_classes(), ids=lambda kind: kind.__name__)
def test_the_hint_of_an_error_names_no_key_that_does_not_exist(kind: type[IpadError]) -> None:
    assert unknown(kind.default_hint) == []


@pytest.mark.parametrize("id", CATALOGUE)
def test_the_explanation_of_a_message_names_no_key_that_does_not_exist(id: str) -> None:
    assert unknown(CATALOGUE[id].explanation) == []


def test_planted_keys_are_caught() -> None:
    assert unknown("Set card.aids or modem.port, see hw/README.md and hw/99-ipad-agent.rules.") == ["card.aids"]
    assert unknown("Raise max_answer_bytes, or modme.port.") == ["modme.port", "max_answer_bytes"]
    source = 'f("x", hint=f"see {y} in card.aids")\n"""modem.ports in a docstring"""\nz = "store.dir"\n'
    assert sorted(place for text in string_constants(source) for place in places(text)) == ["card.aids", "store.dir"]
    assert list(given_hints(source)) == ["see ", " in card.aids"]
    assert list(given_hints('f(hint="set card.aids")')) == ["set card.aids"]
