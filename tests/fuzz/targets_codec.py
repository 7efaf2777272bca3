"""The codec's parsers, from the table that its own tests keep complete."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from codec_parsers import PARSERS, SCHEMA_TYPES
from ipad_agent.card import bpp_segments
from ipad_agent.card.errors import MalformedBpp
from ipad_agent.card.isdr_session import iot_template
from ipad_agent.codec.ber import asn1_schema
from ipad_agent.codec.es10.connectivity_parameters import connection_of
from ipad_agent.errors import CodecError

from .target import Kind, Reader, Target

GROUPS: Final = {
    "tlv": ("tlv", "describe_message", "object_identifier", "asn1_schema", "short_message"),
    "card-answers": (
        "es10_requests",
        "es10_control",
        "es10c_requests",
        "euicc_info",
        "rules_authorisation_table",
        "eim_configuration",
    ),
    "card-lists": ("notifications", "profile_info"),
    "packages": ("eim_package", "euicc_package", "ipa_euicc_data", "download_trigger"),
    "download": ("es10_download", "esipa_download", "bpp_contents", "certificate"),
    "rsp-json": ("rsp_json", "es9_messages"),
    "identifiers": ("identifiers", "activation_code"),
}
"""Modules of the codec by target."""

_FORMS: Final = {"rsp-json": (Kind.JSON, "rsp-json"), "identifiers": (Kind.LINES, "identifiers")}


def only_what_arrived(read: Callable[[bytes], Any]) -> Reader:
    """Received bytes are the truth: what a parser hands on as received must be a part of the input."""

    def checked(data: bytes) -> object:
        value = read(data)
        raw = getattr(value, "raw", b"")
        if isinstance(raw, bytes) and raw not in data:
            raise AssertionError("it gave bytes that did not arrive")
        return value

    return checked


def _schema_reader(type_name: str) -> Reader:
    return lambda data: asn1_schema.decode(type_name, data)


def _segments(data: bytes) -> object:
    segments = bpp_segments.split(data)
    if b"".join(segment.data for segment in segments) != data:
        raise AssertionError("the segments are not the package")
    return segments


def targets() -> Iterator[Target]:
    """One for each group, and the parsers beside the table."""
    for name, modules in GROUPS.items():
        kind, corpus = _FORMS.get(name, (Kind.BER, "ber"))
        readers = {key: only_what_arrived(PARSERS[key]) for key in PARSERS if key.partition(".")[0] in modules}
        yield Target(name, kind, readers, (CodecError,), corpus, examples=1000)
    yield Target(
        "schema", Kind.BER, {name: _schema_reader(name) for name in SCHEMA_TYPES}, (CodecError,), "ber", slow=True
    )
    yield Target("bpp", Kind.BER, {"split": _segments}, (MalformedBpp,))
    yield Target("select-answer", Kind.BER, {"iot_template": iot_template}, ())
    yield Target("connectivity", Kind.BER, {"connection_of": connection_of}, ())
