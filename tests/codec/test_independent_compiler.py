"""The messages of all scenarios, read and written again by another ASN.1 compiler (pycrate) than the agent's.

``messages/`` is what the lab heard and said in the scenarios, one message of each shape (tools/sort_messages.py). Each
is decoded by pycrate from the very modules of ``asn1/``, encoded again and has to come out as it was; so do the worked
vectors of the codec's own tests.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pytest
from pycrate_asn1c.asnproc import (  # type: ignore[import-untyped]  # it has no annotations
    GLOBAL,
    PycrateGenerator,
    compile_text,
    generate_modules,
)

from ipad_agent.codec.ber import asn1_schema
from ipad_agent.codec.ber.describe_message import describe

from .test_schema import CASES

ROOT = Path(__file__).resolve().parents[2]
MESSAGES = Path(__file__).parent / "messages"
KINDS = ("card-command", "card-answer", "eim-request", "eim-answer")


def messages() -> list[tuple[str, str]]:
    return [(kind, line) for kind in KINDS for line in (MESSAGES / f"{kind}.hex").read_text("ascii").split()]


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The modules of ``asn1/`` as pycrate compiles them."""
    compile_text([path.read_text("utf-8") for path in sorted((ROOT / "asn1").glob("*.asn"))], clean=True)
    target = tmp_path_factory.mktemp("pycrate") / "compiled_modules.py"
    generate_modules(PycrateGenerator, str(target))
    GLOBAL.clear()
    spec = importlib.util.spec_from_file_location("compiled_modules", target)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_are_messages_of_every_kind() -> None:
    assert all((MESSAGES / f"{kind}.hex").read_text("ascii").strip() for kind in KINDS)


def _type(modules: ModuleType, name: str) -> Any:
    for module in (modules.SGP32Definitions, modules.RSPDefinitions):
        if hasattr(module, name):
            return getattr(module, name)
    raise AssertionError(f"{name} is no type of the modules")


def _name(kind: str, message: bytes) -> str:
    prefer: Literal["request", "response"] = "request" if kind in ("card-command", "eim-request") else "response"
    return describe(message, prefer=prefer).name


@pytest.mark.parametrize(("kind", "line"), messages())
def test_another_compiler_reads_and_writes_each_message_as_it_was(kind: str, line: str, modules: ModuleType) -> None:
    message = bytes.fromhex(line)
    other = _type(modules, _name(kind, message))
    other.from_der(message)
    assert other.to_der() == message


@pytest.mark.parametrize(
    ("type_name", "data"), CASES, ids=[f"{name}-{number}" for number, (name, _) in enumerate(CASES)]
)
def test_another_compiler_agrees_on_the_worked_vectors(type_name: str, data: bytes, modules: ModuleType) -> None:
    other = _type(modules, type_name)
    other.from_der(data)
    assert other.to_der() == data


@pytest.mark.parametrize(("kind", "line"), messages())
def test_the_agents_schema_reads_and_writes_each_message_as_it_was(kind: str, line: str) -> None:
    message = bytes.fromhex(line)
    name = _name(kind, message)
    assert asn1_schema.encode(name, asn1_schema.decode(name, message)) == message
