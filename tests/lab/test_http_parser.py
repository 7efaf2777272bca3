"""Bytes to requests: RFC 9112 where a client keeps to it, a status where it does not, never anything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.lab.http import HttpError, Limits, Request, RequestParser

POST = b"POST /a/b?c=d HTTP/1.1\r\nHost: x\r\nContent-Type:  text/plain \r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n"
    b"5;name=value\r\nhello\r\n00A\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n"
)


def parse(*data: bytes, limits: Limits | None = None) -> list[Request]:
    parser = RequestParser(limits)
    found = []
    for piece in data:
        parser.feed(piece)
        while (request := parser.next()) is not None:
            found.append(request)
    return found


def status(data: bytes, limits: Limits | None = None) -> int:
    with pytest.raises(HttpError) as caught:
        parse(data, limits=limits)
    return caught.value.status


def served_or_refused(data: bytes) -> bool:
    try:
        parse(data)
    except HttpError as error:
        return 400 <= error.status <= 505
    return True


def head(*lines: bytes) -> bytes:
    return b"\r\n".join([b"POST / HTTP/1.1", b"Host: x", *lines, b"", b""])


def test_a_request_is_read_with_path_query_headers_and_body() -> None:
    (request,) = parse(POST)
    assert (request.method, request.path, request.query, request.version) == ("POST", "/a/b", "c=d", "1.1")
    assert request.headers == (("Host", "x"), ("Content-Type", "text/plain"), ("Content-Length", "5"))
    assert request.body == b"hello"
    assert request.header("CONTENT-type") == "text/plain"
    assert request.header("missing") is None


def test_chunks_are_put_together() -> None:
    (request,) = parse(CHUNKED)
    assert request.body == b"hello0123456789"


@pytest.mark.parametrize("message", [POST, CHUNKED], ids=["counted", "chunked"])
def test_every_split_of_two_pipelined_requests_gives_the_same(message: bytes) -> None:
    whole = parse(message + message)
    assert len(whole) == 2
    for size in range(1, 2 * len(message)):
        both = message + message
        assert parse(*(both[i : i + size] for i in range(0, len(both), size))) == whole


def test_an_absolute_target_is_reduced_to_its_path() -> None:
    (request,) = parse(b"POST http://host:1/p?q HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (request.path, request.query) == ("/p", "q")


def test_blank_lines_before_a_request_and_bare_line_feeds_are_lived_with() -> None:
    assert [r.body for r in parse(b"\r\n\r\n" + POST + b"\r\n" + POST)] == [b"hello", b"hello"]
    assert parse(b"GET / HTTP/1.0\n\n")[0].version == "1.0"


def test_a_blank_line_after_a_request_is_not_the_begin_of_another() -> None:
    parser = RequestParser()
    parser.feed(POST + b"\r\n")
    assert parser.in_request
    parser.next()
    assert not parser.in_request


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\r\n" * 9, 400),
        (b"\rX", 400),
        (b"POST /\r\n\r\n", 400),
        (b"POST  / HTTP/1.1\r\n\r\n", 400),
        (b"PO ST / HTTP/1.1\r\n\r\n", 400),
        (b"POST /\x7f HTTP/1.1\r\n\r\n", 400),
        (b"POST / SPDY/1\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\n", 505),
        (b"POST / HTTP/1.1\r\n\r\n", 400),
        (head(b"Host: y"), 400),
        (head(b"No colon"), 400),
        (head(b"Blank : x"), 400),
        (head(b" Folded: x"), 400),
        (head(b"Zero: \x00"), 400),
        (head(b"Content-Length: x"), 400),
        (head(b"Content-Length: -1"), 400),
        (head(b"Content-Length: 1_0"), 400),
        (head(b"Content-Length: 5, 6"), 400),
        (head(b"Content-Length: 5", b"Content-Length: 6"), 400),
        (head(b"Content-Length: 5", b"Transfer-Encoding: chunked"), 400),
        (head(b"Transfer-Encoding: gzip, chunked"), 501),
        (head(b"Expect: miracles"), 417),
        (head(b"Transfer-Encoding: chunked") + b"x\r\n", 400),
        (head(b"Transfer-Encoding: chunked") + b"-1\r\n", 400),
        (head(b"Transfer-Encoding: chunked") + b"\r\n", 400),
        (head(b"Transfer-Encoding: chunked") + b"1\r\nab\r\n", 400),
        (head(b"Transfer-Encoding: chunked") + b"0\r\nno trailer\r\n\r\n", 400),
    ],
)
def test_what_is_not_http_has_its_status(data: bytes, expected: int) -> None:
    assert status(data) == expected


def test_equal_lengths_said_twice_are_one() -> None:
    assert parse(head(b"Content-Length: 2", b"Content-Length: 2, 2") + b"ab")[0].body == b"ab"


def test_limits_end_the_reading_before_memory_does() -> None:
    limits = Limits(head_bytes=100, headers=3, body_bytes=10)
    assert status(b"POST /" + b"a" * 100, limits) == 431
    assert status(head(b"a: 1", b"b: 2", b"c: 3"), limits) == 431
    assert parse(head(b"Content-Length: 10") + bytes(10), limits=limits)[0].body == bytes(10)
    assert status(head(b"Content-Length: 11"), limits) == 413
    chunked = head(b"Transfer-Encoding: chunked")
    assert status(chunked + b"B\r\n", limits) == 413
    assert status(chunked + b"8\r\n12345678\r\n3\r\n", limits) == 413
    assert status(chunked + b"1;" + b"x" * 100, limits) == 400
    assert status(chunked + b"0\r\n" + b"a: b\r\n" * 30, limits) == 400


def test_the_wish_for_a_continue_is_told_once_and_only_when_the_body_is_to_come() -> None:
    parser = RequestParser()
    parser.feed(head(b"Expect: 100-continue", b"Content-Length: 2"))
    assert parser.next() is None
    assert parser.wants_continue
    parser.feed(b"ab")
    assert parser.next() is not None
    assert not parser.wants_continue
    parser.feed(head(b"Expect: 100-continue", b"Content-Length: 2") + b"a")
    assert parser.next() is None
    assert not parser.wants_continue


@given(st.binary(max_size=300))
def test_garbage_gives_requests_or_a_status(data: bytes) -> None:
    assert served_or_refused(data)


@given(st.sampled_from([POST, CHUNKED]), st.lists(st.tuples(st.integers(0, 99), st.integers(0, 255)), max_size=4))
def test_mutated_requests_give_requests_or_a_status(message: bytes, changes: list[tuple[int, int]]) -> None:
    data = bytearray(message)
    for place, value in changes:
        data[place % len(data)] = value
    assert served_or_refused(bytes(data))
