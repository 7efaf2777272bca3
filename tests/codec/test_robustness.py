"""Whatever a peer sends, a parser answers with a value or a CodecError, and soon.

Damaged messages are for ``tests/fuzz``; here are those that are too large for it, and the list of all parsers.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from codec_parsers import PARSERS
from ipad_agent import codec
from ipad_agent.codec.ber import tlv
from ipad_agent.errors import CodecError

_READING = ("parse", "from_", "decode", "describe", "render", "read", "split", "check_nesting", "announced")
# Readers that take an element of a list whose walk is fuzzed with the list, or more than the bytes.
_COVERED_WITH_OTHERS = {"asn1_schema.decode", "asn1_schema.Schema.decode", "notifications.read_criterion"}


def readers() -> Iterator[str]:
    """Public functions and class methods of the codec whose first argument is what a peer sent."""
    for info in pkgutil.walk_packages(codec.__path__, "ipad_agent.codec."):
        module, short = importlib.import_module(info.name), info.name.rpartition(".")[2]
        for name, member in vars(module).items():
            if name.startswith("_") or getattr(member, "__module__", None) != module.__name__:
                continue
            if inspect.isfunction(member) and name.startswith(_READING):
                yield f"{short}.{name}"
            if inspect.isclass(member):
                for attribute, below in vars(member).items():
                    if isinstance(below, classmethod) and attribute.startswith(("parse", "from_")):
                        yield f"{short}.{name}.{attribute}"


def test_every_reader_of_the_codec_is_fuzzed() -> None:
    missing = set(readers()) - set(PARSERS) - _COVERED_WITH_OTHERS
    assert not missing, f"add to tests/support/codec_parsers.py: {sorted(missing)}"


def run(read: Callable[[bytes], Any], data: bytes, name: str) -> None:
    try:
        value = read(data)
    except CodecError:
        return
    raw = getattr(value, "raw", b"")
    if isinstance(raw, bytes):
        assert raw in data, f"{name} gave bytes that did not arrive"


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
        started = time.process_time()
        run(read, data, parser)
        took = time.process_time() - started
        assert took < 5, f"{parser} took {took:.1f} s over {name}"
