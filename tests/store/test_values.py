from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.store.errors import UnstorableValueError
from ipad_agent.store.json_values import UnreadableValueError, Value, dumps, loads, normalise

KEYS = st.text(max_size=8) | st.sampled_from(["$", "$$", "$bytes", "$$bytes"])
VALUES: st.SearchStrategy[Value] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_what_is_written_reads_back_the_same(value: dict[str, Value]) -> None:
    text = dumps(value)
    assert loads(text) == value
    assert b"\n" not in text


@given(st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_any_other_bytes_raise_only_the_error_of_the_reader(data: bytes) -> None:
    with contextlib.suppress(UnreadableValueError):
        loads(data)


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":NaN}',
        b'{"a":1e999}',
        b'{"a":{"$bytes":"AA"}}',
        b'{"a":{"$bytes":"AAAA","b":1}}',
        b'{"a":{"$bytes":7}}',
        b"[1]",
        b"7",
        b"",
        b'{"a":' + b"[" * 100_000,
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":' + b"[" * 33 + b"]" * 33 + b"}",  # deeper than what can be written again
    ],
)
def test_text_that_the_store_never_writes_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableValueError):
        loads(data)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1: 2}, {1, 2}, [[object()]]])
def test_what_is_no_plain_data_is_refused_before_it_reaches_the_disk(value: object) -> None:
    with pytest.raises(UnstorableValueError):
        normalise(value)


def test_data_nested_too_deeply_is_refused_instead_of_overflowing_the_stack() -> None:
    value: object = 1
    for _ in range(100):
        value = [value]
    with pytest.raises(UnstorableValueError):
        normalise(value)


def test_bytes_stay_readable_for_a_person_with_a_base64_decoder() -> None:
    # "vzEB" is base64 (RFC 4648) of BF 31 01.
    assert dumps({"raw": b"\xbf\x31\x01"}) == b'{"raw":{"$bytes":"vzEB"}}'
