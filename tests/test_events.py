"""The catalogue of messages: what the agent can say is defined once, explained, and always sayable."""

from __future__ import annotations

import ast
import importlib
import logging
import pkgutil
import re
import string
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest

import ipad_agent
from ipad_agent.events import CATALOGUE, DEBUG, ERROR, INFO, WARNING, Event

RANGES = {
    "codec": (90,),
    "agent": (10, 44),
    "emulation": (12,),
    "store": (12,),
    "config": (11,),
    "modem": (20,),
    "card": (21,),
    "net": (30,),
    "eim": (31,),
    "smdp": (32,),
    "inject": (40,),
    "wakeup": (10,),
    "procedures": (40, 42, 43, 44),
    "recording": (40,),
    "local": (13,),
    "web": (13,),
    "site": (14,),
}
DAEMON = (10,)
TOLERANCES = 90


def _walk() -> dict[str, ModuleType]:
    """All modules of the agent but the lab, which has no messages of this kind and is much to import."""
    found = {}
    for info in pkgutil.walk_packages(ipad_agent.__path__, "ipad_agent.", onerror=_raise):
        if not info.name.startswith("ipad_agent.lab") and not info.name.endswith("__main__"):
            found[info.name] = importlib.import_module(info.name)
    return found


def _raise(name: str) -> None:
    raise ImportError(name)


def is_home(module: str) -> bool:
    """``events``, and where a room has more to say ``events_switch`` and the like."""
    last = module.rpartition(".")[2]
    return last.startswith("events") or last.endswith("events")


MODULES = _walk()
HOMES = {
    event.id: name
    for name, module in MODULES.items()
    for event in vars(module).values()
    if isinstance(event, Event) and is_home(name)
}


def fields_of(sentence: str) -> dict[str, str]:
    """Field names of a format string with their format specification."""
    return {name: spec or "" for _, name, spec, _ in string.Formatter().parse(sentence) if name is not None}


def fact_for(spec: str) -> object:
    """A value that a field with this format specification can show."""
    return 7.25 if spec.endswith(("f", "g", "e", "%")) else 7 if spec.endswith(("d", "x", "X", "b")) else "fact"


@pytest.mark.parametrize("event", CATALOGUE.values(), ids=list(CATALOGUE))
def test_a_message_is_complete_and_in_the_range_of_its_room(event: Event[...]) -> None:
    assert re.fullmatch(r"IPA-[0-9]{4}", event.id)
    assert event.level in (DEBUG, INFO, WARNING, ERROR)
    assert event.sentence.strip() == event.sentence
    assert len(event.explanation) >= 20
    assert event.id in HOMES, "messages live in the events.py of their room"
    room = HOMES[event.id].removeprefix("ipad_agent.").split(".")[0]
    assert int(event.id[4:6]) in (*RANGES.get(room, DAEMON), TOLERANCES)


@pytest.mark.parametrize("event", CATALOGUE.values(), ids=list(CATALOGUE))
def test_a_sentence_can_be_filled_with_its_facts(event: Event[...]) -> None:
    fields = fields_of(event.sentence)
    assert all(name.isidentifier() for name in fields), "plain names only"
    text = event.sentence.format_map({name: fact_for(spec) for name, spec in fields.items()})
    assert "{" not in text
    assert len(text) > 10


@pytest.mark.parametrize("event", CATALOGUE.values(), ids=list(CATALOGUE))
def test_a_sentence_says_how_many_places_a_number_has(event: Event[...]) -> None:
    bare = {name for name, spec in fields_of(event.sentence).items() if not spec}
    assert not [name for name, kind in event.fields.items() if kind == "float" and name in bare]


def test_no_message_can_hold_what_must_stay_secret() -> None:
    secret = {"key", "psk", "secret", "password", "activation_code", "confirmation_code", "matching_id", "pin"}
    assert not {
        (event.id, name) for event in CATALOGUE.values() for name in fields_of(event.sentence) if name in secret
    }


def source_of(module: ModuleType) -> str:
    assert module.__file__ is not None
    return Path(module.__file__).read_text(encoding="utf-8")


def without_their_facts(source: str, names: Mapping[str, object]) -> list[str]:
    """Every ``MESSAGE.emit(...)`` in the source that would fail, ``names`` being what the names in it stand for."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "emit":
            event = _resolve(node.func.value, names)
            given = {keyword.arg for keyword in node.keywords}
            # With ** the facts are only known at run time.
            if isinstance(event, Event) and None not in given:
                missing = set(fields_of(event.sentence)) - given
                if missing:
                    found.append(f"line {node.lineno} emits {event.id} without {sorted(missing)}")
    return found


def messages_named(source: str, names: Mapping[str, object]) -> list[Event[...]]:
    """Every message that the source names outside of its definition."""
    resolved = (_resolve(node, names) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.expr))
    return [event for event in resolved if isinstance(event, Event)]


def _resolve(node: ast.expr, names: Mapping[str, object]) -> object:
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        return getattr(_resolve(node.value, names), node.attr, None)
    return None


@pytest.mark.parametrize("name", MODULES)
def test_every_emit_gives_the_facts_its_sentence_needs(name: str) -> None:
    assert without_their_facts(source_of(MODULES[name]), vars(MODULES[name])) == []


def test_every_message_is_said_somewhere() -> None:
    said = {
        event.id
        for name, module in MODULES.items()
        if not is_home(name)
        for event in messages_named(source_of(module), vars(module))
    }
    assert set(CATALOGUE) - said == set()


def test_a_planted_emission_without_its_facts_is_caught() -> None:
    names: dict[str, object] = {"SAID": Event("IPA-9999", INFO, "The port {port} is {state}.", "x", {})}
    assert without_their_facts("SAID.emit(port=1, state=2)\nSAID.emit(**facts)\nother.emit()", names) == []
    planted = "def f():\n    SAID.emit(port=1)\n"
    assert without_their_facts(planted, names) == ["line 2 emits IPA-9999 without ['state']"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("eim.example", "eim.example"),
        ("a\n<3>IPA-9999 forged", "a <3>IPA-9999 forged"),
        ("\x1b[2J\x07\u202e", "?[2J??"),
        ("\ud800", "?"),
        ("é 日本", "é 日本"),
    ],
)
def test_what_a_peer_calls_itself_cannot_forge_a_line_of_the_log(
    name: str, shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ipad_agent")
    event: Event[...] = Event("IPA-9999", INFO, "{name} answers.", "x", {})
    event.emit(name=name)
    assert caplog.messages == [f"{shown} answers."]
