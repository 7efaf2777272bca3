"""The client's end of the socket against everything that may be at the other end."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.cli.ipactl import varlink_client
from ipad_agent.cli.ipactl.errors import CommandError, NoAnswerError, NotRunningError, RefusedError
from ipad_agent.cli.ipactl.exit_codes import Exit
from ipad_agent.cli.ipactl.varlink_client import Connection

from .fake_agent import Answer, FakeAgent, gives, refuses, streams


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "socket"


@pytest.fixture
def refusing(path: Path) -> Iterator[FakeAgent]:
    answers: dict[str, Answer] = {
        "A": refuses("Busy", sentence="A download is going on."),
        "B": refuses("Busy"),
        "C": refuses("org.varlink.service.MethodNotFound", method="C"),
        "D": refuses("SomethingNew", sentence=7),
        "E": refuses("CardError", sentence="The card says no.", sw="6985", hint="Wait."),
    }
    with FakeAgent(path, answers) as agent:
        yield agent


def test_no_socket_means_that_the_agent_is_not_running_and_how_to_start_it(path: Path) -> None:
    with pytest.raises(NotRunningError) as trouble:
        Connection(str(path))
    assert trouble.value.exit == 8
    assert "systemctl start ipad-agent" in trouble.value.hint


def test_a_socket_that_nobody_serves_any_more_means_the_same(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left_over:
        left_over.bind(str(path))
    with pytest.raises(NotRunningError):
        Connection(str(path))


def test_a_file_that_is_no_socket_is_told(path: Path) -> None:
    path.write_text("")
    with pytest.raises(CommandError):
        Connection(str(path))


def test_a_path_that_no_socket_can_have_is_told(tmp_path: Path) -> None:
    with pytest.raises(CommandError):
        Connection(str(tmp_path / ("x" * 200)))


def test_a_call_names_the_interface_and_gets_the_parameters(path: Path) -> None:
    with FakeAgent(path, {"Explain": gives(level="info")}) as agent, Connection(str(path)) as asking:
        assert asking.call("Explain", {"id": "IPA-1001"}) == {"level": "info"}
        assert agent.requests == [{"method": "io.github.ipadagent.Explain", "parameters": {"id": "IPA-1001"}}]


def test_a_person_who_has_seen_nothing_for_a_while_is_told_once_and_gets_the_answer(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(varlink_client, "SILENT_S", 0.01)
    told: list[str] = []
    asked_on = threading.Event()

    def waits(_: dict[str, Any]) -> Answer:
        assert asked_on.wait(60)
        return gives(owed=[])

    def waiting() -> None:
        told.append("waiting")
        asked_on.set()

    with FakeAgent(path, {"ListOwed": waits}), Connection(str(path), waiting=waiting) as asking:
        assert asking.call("ListOwed") == {"owed": []}
    assert told == ["waiting"]


def test_a_stream_ends_with_the_reply_that_does_not_continue(path: Path) -> None:
    with FakeAgent(path, {"Doctor": streams({"n": 1}, {"n": 2}, {"n": 3})}) as agent, Connection(str(path)) as asking:
        assert list(asking.stream("Doctor")) == [{"n": 1}, {"n": 2}, {"n": 3}]
        assert agent.requests[0]["more"] is True


@pytest.mark.parametrize(
    ("method", "sentence", "exit", "hint"),
    [
        ("A", "A download is going on.", Exit.WAITING, "Try again"),
        ("B", "The agent is busy", Exit.WAITING, "Try again"),
        ("C", "does not know this command", Exit.FAILED, "Restart"),
        ("D", "The agent answered: SomethingNew.", Exit.FAILED, ""),
        ("E", "The card says no.", Exit.FAILED, "Wait."),
    ],
)
def test_a_no_of_the_agent_keeps_its_own_words(
    refusing: FakeAgent, method: str, sentence: str, exit: Exit, hint: str
) -> None:
    with Connection(str(refusing.path)) as asking, pytest.raises(RefusedError) as refusal:
        asking.call(method)
    assert sentence in refusal.value.message
    assert refusal.value.exit == exit
    assert hint in refusal.value.hint


@pytest.mark.parametrize(
    ("error", "exit"),
    [
        ("NotReady", 1),
        ("Busy", 4),
        ("RefusedByPolicy", 3),
        ("CardError", 1),
        ("NotAuthorized", 3),
        ("NotFound", 1),
        ("InvalidParameter", 2),
        ("org.varlink.service.PermissionDenied", 3),
        ("org.varlink.service.MethodNotFound", 1),
    ],
)
def test_every_error_of_the_interface_has_its_exit_status(path: Path, error: str, exit: int) -> None:
    with FakeAgent(path, {"Poll": refuses(error)}), Connection(str(path)) as asking:
        with pytest.raises(RefusedError) as refusal:
            asking.call("Poll")
        assert refusal.value.exit == exit


def test_silence_has_an_end(path: Path) -> None:
    with (
        FakeAgent(path, {"Poll": None}),
        Connection(str(path)) as asking,
        pytest.raises(NoAnswerError, match="in time"),
    ):
        asking.call("Poll", timeout_s=0.05)


def test_half_an_answer_and_then_nothing_has_an_end_too(path: Path) -> None:
    with (
        FakeAgent(path, {"Poll": b'{"parameters": {'}),
        Connection(str(path)) as asking,
        pytest.raises(NotRunningError),
    ):
        asking.call("Poll", timeout_s=5)


def test_a_stream_ticks_while_nothing_comes(path: Path) -> None:
    with FakeAgent(path, {"Subscribe": None}), Connection(str(path)) as asking:
        replies = asking.stream("Subscribe", timeout_s=None, tick_s=0.01)
        assert [next(replies), next(replies)] == [None, None]


def test_a_stream_with_ticks_still_has_its_deadline(path: Path) -> None:
    with FakeAgent(path, {"Doctor": None}), Connection(str(path)) as asking, pytest.raises(NoAnswerError):
        list(asking.stream("Doctor", timeout_s=0.05, tick_s=0.01))


def test_an_endless_answer_is_given_up(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(varlink_client, "LARGEST_REPLY_BYTES", 10_000)
    with FakeAgent(path, {"Poll": b"x" * 2_000_000}):
        asking = Connection(str(path))
        with asking, pytest.raises(NoAnswerError, match="longer"):
            asking.call("Poll", timeout_s=5)


@pytest.mark.parametrize("raw", [b"\0", b"[]\0", b"5\0", b'"x"\0', b"{\0", b"\xff\xfe\0", b"[" * 100_000 + b"\0"])
def test_what_is_no_varlink_is_refused(path: Path, raw: bytes) -> None:
    with FakeAgent(path, {"Poll": raw}):
        asking = Connection(str(path))
        with asking, pytest.raises(NoAnswerError, match="does not speak Varlink"):
            asking.call("Poll", timeout_s=5)


def test_an_answer_in_many_pieces_is_put_together() -> None:
    ours, theirs = socket.socketpair()
    asking = Connection.__new__(Connection)
    asking._socket, asking._buffer = ours, bytearray()
    with ours, theirs:
        theirs.sendall(b'{"parameters": {"a": 1}}\0{"par')
        assert asking._receive(None) == {"parameters": {"a": 1}}
        theirs.sendall(b'ameters": {}}\0')
        assert asking._receive(None) == {"parameters": {}}


def test_an_answer_that_trickles_for_ever_is_given_up_at_its_deadline() -> None:
    ours, theirs = socket.socketpair()
    asking = Connection.__new__(Connection)
    asking._socket, asking._buffer = ours, bytearray()

    def trickle() -> None:
        with contextlib.suppress(OSError):
            while True:
                theirs.sendall(b"x")

    pump = threading.Thread(target=trickle, daemon=True)
    pump.start()
    with ours, theirs, pytest.raises(NoAnswerError, match="in time"):
        asking._receive(time.monotonic() + 0.05)
    pump.join(5)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.fixed_dictionaries({}, optional={"parameters": JSON, "error": JSON, "continues": JSON}))
def test_any_reply_is_parameters_or_an_error_of_ours(reply: dict[str, Any]) -> None:
    try:
        assert isinstance(varlink_client._parameters(reply), dict)
    except CommandError:
        return


@given(st.binary(max_size=40))
def test_any_bytes_are_a_reply_or_an_error_of_ours(raw: bytes) -> None:
    try:
        assert isinstance(varlink_client._parsed(raw), dict)
    except CommandError:
        return


def test_a_socket_of_somebody_else_is_refused_with_a_hint(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", lambda *_: _Denied())
    with pytest.raises(CommandError, match="may not talk") as trouble:
        Connection(str(path))
    assert trouble.value.exit == 3


class _Denied:
    def setsockopt(self, *_: object) -> None: ...

    def close(self) -> None: ...

    def connect(self, _: str) -> None:
        raise PermissionError(13, "Permission denied")
