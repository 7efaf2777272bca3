"""Whatever a peer sends, a parser answers with a value or a CodecError, and soon."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ipad_agent import codec
from ipad_agent.codec import schema, tlv
from ipad_agent.errors import CodecError

from . import vectors
from .parsers import PARSERS, SCHEMA_TYPES

SEEDS = sorted(
    {value for name, value in vars(vectors).items() if name.isupper() and isinstance(value, bytes)}
    | {
        bytes.fromhex(text)
        for text in (
            "BF4F03020101",
            "BF5009BF5306800101800102",
            "BF5411A00B80094C50413A312461246282020102",
            "BF5108A206800165840103",
            "BF2B0381017F",
            "BF2D03810101",
            "BF5A03800101",
            "BF5700",
            "BF3C088003612E62810164",
            "BF6409800100810102820101",
            "BF5F05A003810142",
            "BF4103810105",
            "BF3808A10680010A020106",
            "80010530020500",
            "2B0601040182E960",
        )
    }
    | {vectors.EID_DIGITS.encode(), vectors.ICCID_DIGITS.encode(), b"26201", b"LPA:1$smdp.example$A$1.2.3$1"}
)

_READING = ("parse", "from_", "decode", "describe", "render", "read", "split", "check_nesting", "announced")
# Readers that take an element of a list whose walk is fuzzed with the list, or more than the bytes.
_COVERED_WITH_OTHERS = {"schema.decode", "schema.Schema.decode", "notifications.read_criterion"}


def readers() -> Iterator[str]:
    """Public functions and class methods of the codec whose first argument is what a peer sent."""
    for info in pkgutil.iter_modules(codec.__path__):
        module = importlib.import_module(f"ipad_agent.codec.{info.name}")
        for name, member in vars(module).items():
            if name.startswith("_") or getattr(member, "__module__", None) != module.__name__:
                continue
            if inspect.isfunction(member) and name.startswith(_READING):
                yield f"{info.name}.{name}"
            if inspect.isclass(member):
                for attribute, below in vars(member).items():
                    if isinstance(below, classmethod) and attribute.startswith(("parse", "from_")):
                        yield f"{info.name}.{name}.{attribute}"


def test_every_reader_of_the_codec_is_fuzzed() -> None:
    missing = set(readers()) - set(PARSERS) - _COVERED_WITH_OTHERS
    assert not missing, f"add to tests/codec/parsers.py: {sorted(missing)}"


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A known message with a few bytes changed, cut, doubled, moved or wrapped."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        match draw(st.integers(0, 6)):
            case 0 if data:
                data[at] = draw(st.integers(0, 255))
            case 1 if data:
                data[at] ^= 1 << draw(st.integers(0, 7))
            case 2:
                del data[at : at + draw(st.integers(1, 8))]
            case 3:
                data[at:at] = draw(st.binary(min_size=1, max_size=4))
            case 4:
                data[at:at] = data[at : at + draw(st.integers(1, 40))]
            case 5:
                data = data[:at]
            case 6:
                data = bytearray(tlv.encode(draw(st.sampled_from([0x30, 0xA0, 0xBF51, 0xBF2B, 0xBF4F])), bytes(data)))
    return bytes(data)


def run(read: Callable[[bytes], Any], data: bytes, name: str) -> None:
    try:
        value = read(data)
    except CodecError:
        return
    raw = getattr(value, "raw", b"")
    if isinstance(raw, bytes):
        assert raw in data, f"{name} gave bytes that did not arrive"


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated())
def test_mutated_messages_raise_nothing_but_codec_errors(data: bytes) -> None:
    for name, read in PARSERS.items():
        run(read, data, name)
    for type_name in SCHEMA_TYPES:
        with suppress(CodecError):
            schema.decode(type_name, data)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=120))
def test_random_bytes_raise_nothing_but_codec_errors(data: bytes) -> None:
    for name, read in PARSERS.items():
        run(read, data, name)


@pytest.mark.parametrize("seed", SEEDS, ids=range(len(SEEDS)))
def test_messages_cut_at_any_byte_raise_nothing_but_codec_errors(seed: bytes) -> None:
    cuts = range(0, len(seed), max(1, len(seed) // 40))
    for cut in cuts:
        for name, read in PARSERS.items():
            run(read, seed[:cut], name)


def nested(tag: int, depth: int) -> bytes:
    data = b""
    for _ in range(depth):
        data = tlv.encode(tag, data)
    return data


def bombs() -> dict[str, bytes]:
    many = b"\x05\x00" * 8192
    wide = tlv.encode(0xA0, *[tlv.encode(0x30, b"\x80\x01\x65" * 10)] * 8000)
    return {
        "deep": nested(0x30, 20_000),
        "deep with function tags": nested(0xBF51, 5_000),
        "many elements": tlv.encode(0xBF55, tlv.encode(0xA0, many)),
        "too many elements": tlv.encode(0xBF2B, tlv.encode(0xA0, many, many)),
        "wide list of configurations": tlv.encode(0xBF55, wide),
        "wide list of notifications": tlv.encode(0xBF2B, wide),
        "wide list of profiles": tlv.encode(0xBF2D, tlv.encode(0xA0, *[tlv.encode(0xE3, b"\x91\x01\xff" * 10)] * 8000)),
        "wide list of results": tlv.encode(
            0xBF51, tlv.encode(0xA0, tlv.encode(0x30, b"\x80\x01\x65", tlv.encode(0x30, b"\x83\x01\x00" * 8000)))
        ),
        "long text": tlv.encode(0xBF55, tlv.encode(0xA0, tlv.encode(0x30, tlv.encode(0x80, b"e" * 500_000)))),
        "long number": tlv.encode(0xBF30, tlv.encode(0x80, b"\x7f" * 500_000)),
        "long tag list": tlv.encode(0xBF52, tlv.encode(0x5C, b"\x9f\x81\x01" * 100_000)),
        "claims four gigabytes": bytes.fromhex("BF5184FFFFFFFF3000"),
        "beyond the size limit": tlv.encode(0xBF36, bytes(tlv.MAX_SIZE_BYTES + 1)),
        "zeros": bytes(200_000),
        "ones": b"\xff" * 200_000,
        "digits": b"8" * 200_000,
    }


@pytest.mark.parametrize(("name", "data"), bombs().items(), ids=bombs())
def test_no_parser_takes_long_over_a_bomb(name: str, data: bytes) -> None:
    for parser, read in PARSERS.items():
        started = time.perf_counter()
        run(read, data, parser)
        took = time.perf_counter() - started
        assert took < 5, f"{parser} took {took:.1f} s over {name}"
