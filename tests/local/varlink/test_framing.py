"""Messages out of bytes: whatever arrives is a call, a bad call, or no Varlink; never anything else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.local.varlink import message_framing
from ipad_agent.local.varlink.client_limits import MAX_PIPELINED, MAX_REQUEST_BYTES
from ipad_agent.local.varlink.message_framing import BadCall, Call, Framer, NotVarlink

# A call as systemd's varlinkctl writes it (members in this order, no blanks), typed in by hand.
FOREIGN = b'{"method":"io.github.ipadagent.Poll","parameters":{"eim_id":"eim.example"},"more":true}\0'


def test_a_call_of_another_program_is_understood() -> None:
    (message,) = Framer().feed(FOREIGN)
    call = message_framing.parse_call(message)
    assert call == Call("io.github.ipadagent.Poll", {"eim_id": "eim.example"}, more=True)
    assert (call.interface, call.name) == ("io.github.ipadagent", "Poll")


@given(st.lists(st.binary(max_size=40).map(lambda data: data.replace(b"\0", b"")), max_size=6), st.data())
def test_it_does_not_matter_where_the_bytes_are_cut(messages: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(message + b"\0" for message in messages)
    framer, found = Framer(), []
    while whole:
        size = data.draw(st.integers(1, len(whole)))
        found += framer.feed(whole[:size])
        whole = whole[size:]
    assert found == messages
    assert not framer.partial


def test_a_message_may_be_so_large_and_no_larger() -> None:
    framer = Framer()
    assert framer.feed(b"x" * MAX_REQUEST_BYTES) == []
    assert framer.partial
    assert len(framer.feed(b"\0")) == 1
    framer.feed(b"x" * MAX_REQUEST_BYTES)
    with pytest.raises(NotVarlink):
        framer.feed(b"x")
    with pytest.raises(NotVarlink):
        Framer().feed(b"x" * (MAX_REQUEST_BYTES + 1) + b"\0")


def test_very_many_messages_at_once_are_none() -> None:
    assert len(Framer().feed(b"\0" * MAX_PIPELINED)) == MAX_PIPELINED
    with pytest.raises(NotVarlink):
        Framer().feed(b"\0" * (MAX_PIPELINED + 1))


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"x"',
        b"\xff\xfe",
        b"[" * 10_000,
        b'{"method":' * 1500,
        b"1" * 10_000,
        b'{"method":"a.B","parameters":{"x":NaN}}',
        b'{"method":"a.B"} x',
    ],
)
def test_what_is_no_json_object_is_no_varlink(message: bytes) -> None:
    with pytest.raises(NotVarlink):
        message_framing.parse_call(message)


@pytest.mark.parametrize(
    ("message", "member"),
    [
        ({}, "method"),
        ({"method": 1}, "method"),
        ({"method": "Poll"}, "method"),
        ({"method": "a.B", "parameters": []}, "parameters"),
        ({"method": "a.B", "more": "yes"}, "more"),
        ({"method": "a.B", "oneway": 1}, "oneway"),
        ({"method": "a.B", "upgrade": True}, "upgrade"),
    ],
)
def test_an_object_that_is_no_call_says_which_member_is_wrong(message: object, member: str) -> None:
    with pytest.raises(BadCall) as bad:
        message_framing.parse_call(json.dumps(message).encode())
    assert bad.value.member == member


def test_members_that_are_null_count_as_absent() -> None:
    assert message_framing.parse_call(b'{"method":"a.B","parameters":null,"more":null}') == Call("a.B", {})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = st.sampled_from(["method", "parameters", "more", "oneway", "upgrade", "x"])


@given(st.binary(max_size=200) | st.dictionaries(MEMBERS, JSON).map(lambda found: json.dumps(found).encode()))
def test_any_message_is_a_call_or_one_of_two_errors(message: bytes) -> None:
    try:
        call = message_framing.parse_call(message)
    except (NotVarlink, BadCall):
        return
    assert "." in call.method


@given(st.data())
def test_a_call_with_a_mutated_byte_is_a_call_or_one_of_two_errors(data: st.DataObject) -> None:
    mutated = bytearray(FOREIGN[:-1])
    mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    try:
        message_framing.parse_call(bytes(mutated))
    except (NotVarlink, BadCall):
        return


FINITE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), FINITE))
def test_any_reply_is_one_message_of_ascii(parameters: dict[str, object]) -> None:
    data = message_framing.reply({"x": parameters})
    assert data.isascii()
    assert data.count(b"\0") == 1
    assert json.loads(data[:-1]) == {"parameters": {"x": parameters}}


def test_replies_have_the_form_of_the_protocol() -> None:
    assert message_framing.reply({}) == b'{"parameters":{}}\0'
    assert message_framing.reply({"a": 1}, continues=True) == b'{"parameters":{"a":1},"continues":true}\0'
    assert message_framing.error("a.B", {"c": "d"}) == b'{"error":"a.B","parameters":{"c":"d"}}\0'
    assert message_framing.reply({"text": "é\0"}) == b'{"parameters":{"text":"\\u00e9\\u0000"}}\0'
