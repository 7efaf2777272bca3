"""Block-wise transfer as a state machine. The server is a small one written from RFC 7959 for these tests."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.net.coap.blockwise_transfer import Adaptation, Block, BlockRequest, BlockResponse, Forgotten, Transfer
from ipad_agent.net.errors import PeerBusy, PeerStatus, ProtocolViolation, ResponseTooLarge

CHANGED, CONTINUE, CONTENT = 0x44, 0x5F, 0x45


def new_transfer(
    body: bytes, *, size_exp: int = 6, limit: int = 100_000, unblocked: bool = False, repeatable: bool = True
) -> Transfer:
    tags = count(1)
    return Transfer(
        body,
        size_exp=size_exp,
        max_response_bytes=limit,
        new_tag=lambda: next(tags).to_bytes(4, "big"),
        unblocked=unblocked,
        repeatable=repeatable,
    )


class Server:
    """Reassembles Block1 by Request-Tag and serves its answer in blocks of at most ``size_exp``."""

    def __init__(self, answer: bytes, *, size_exp: int = 6) -> None:
        self.answer = answer
        self.size_exp = size_exp
        self.parts: dict[bytes | None, bytes] = {}
        self.body: bytes | None = None
        self.requests: list[BlockRequest] = []

    def __call__(self, request: BlockRequest) -> BlockResponse:
        self.requests.append(request)
        if request.block2 is not None and request.block2.number:
            return self._serve(request.block2)
        block = request.block1
        if block is None:
            self.body = request.payload
            return self._serve(request.block2)
        have = self.parts.get(request.request_tag, b"") if block.number else b""
        if len(have) != block.number * block.size_bytes:
            return BlockResponse(0x88)
        self.parts[request.request_tag] = have + request.payload
        if block.more:
            return BlockResponse(CONTINUE, block1=Block(block.number, True, min(block.size_exp, self.size_exp)))
        self.body = self.parts.pop(request.request_tag)
        return self._serve(request.block2, block1=block)

    def _serve(self, wish: Block | None, *, block1: Block | None = None) -> BlockResponse:
        exp = min(self.size_exp, wish.size_exp if wish else 6)
        offset = wish.offset if wish else 0
        part = self.answer[offset : offset + (16 << exp)]
        more = offset + len(part) < len(self.answer)
        block2 = Block(offset >> (exp + 4), more, exp) if more or offset else None
        return BlockResponse(CHANGED, part, block1=block1, block2=block2)


def run(transfer: Transfer, server: Callable[[BlockRequest], BlockResponse], *, limit: int = 20_000) -> bytes:
    for _ in range(limit):
        done = transfer.accept(server(transfer.next_request()))
        if done is not None:
            return done
    raise AssertionError("the transfer does not end")


@given(st.binary(max_size=5000), st.binary(max_size=5000), st.integers(0, 6), st.integers(0, 6))
def test_any_body_arrives_whole_both_ways_at_any_block_size(body: bytes, answer: bytes, ours: int, theirs: int) -> None:
    server = Server(answer, size_exp=theirs)
    assert run(new_transfer(body, size_exp=ours), server) == answer
    assert server.body == body
    assert all(len(r.payload) <= 16 << ours for r in server.requests)


def test_small_request_carries_no_block_options() -> None:
    server = Server(b"ok")
    run(new_transfer(bytes(1024)), server)
    assert server.requests == [BlockRequest(bytes(1024))]


def test_size_tag_and_wish_for_small_answers_stand_where_the_rfcs_want_them() -> None:
    server = Server(bytes(100), size_exp=2)
    run(new_transfer(bytes(150), size_exp=2), server)
    tag = b"\0\0\0\1"
    assert server.requests == [
        BlockRequest(bytes(64), block1=Block(0, True, 2), request_tag=tag, size1=150),
        BlockRequest(bytes(64), block1=Block(1, True, 2), request_tag=tag),
        BlockRequest(bytes(22), block1=Block(2, False, 2), block2=Block(0, False, 2), request_tag=tag),
        BlockRequest(b"", block2=Block(1, False, 2), request_tag=tag),
    ]


def test_empty_answer_is_an_answer() -> None:
    assert run(new_transfer(b"x"), lambda _: BlockResponse(CHANGED)) == b""


@pytest.mark.parametrize("code", [0x41, 0x44, 0x45])
def test_created_changed_and_content_are_success(code: int) -> None:
    assert run(new_transfer(b"x"), lambda _: BlockResponse(code, b"y")) == b"y"


def test_server_that_wants_smaller_blocks_gets_them_from_the_next_block_on() -> None:
    server = Server(b"", size_exp=2)
    transfer = new_transfer(bytes(range(256)) * 4, size_exp=5)
    run(transfer, server)
    assert server.body == bytes(range(256)) * 4
    assert [r.block1 for r in server.requests][:2] == [Block(0, True, 5), Block(8, True, 2)]
    assert transfer.size_exp == 2


def test_lost_block1_state_restarts_with_a_new_request_tag() -> None:
    server = Server(b"done")
    lost = iter([False, True])

    def forgetful(request: BlockRequest) -> BlockResponse:
        return BlockResponse(0x88) if next(lost, False) else server(request)

    transfer = new_transfer(bytes(3000))
    assert run(transfer, forgetful) == b"done"
    tags = [r.request_tag for r in server.requests]
    assert tags == [b"\0\0\0\1", b"\0\0\0\2", b"\0\0\0\2", b"\0\0\0\2"]
    assert [a.kind for a in transfer.adaptations] == [Adaptation.RESTARTED]


def test_server_that_always_answers_408_is_given_up() -> None:
    with pytest.raises(PeerStatus) as caught:
        run(new_transfer(bytes(3000)), lambda _: BlockResponse(0x88))
    assert caught.value.code == "4.08"


def test_413_with_a_size_is_obeyed() -> None:
    server = Server(b"ok")

    def small(request: BlockRequest) -> BlockResponse:
        return BlockResponse(0x8D, block1=Block(0, False, 3)) if len(request.payload) > 128 else server(request)

    transfer = new_transfer(bytes(900))
    assert run(transfer, small) == b"ok"
    assert (server.body, transfer.size_exp) == (bytes(900), 3)


def test_413_without_a_size_is_retried_once_with_small_blocks() -> None:
    server = Server(b"ok")

    def small(request: BlockRequest) -> BlockResponse:
        return BlockResponse(0x8D) if len(request.payload) > 256 else server(request)

    transfer = new_transfer(bytes(900))
    assert run(transfer, small) == b"ok"
    assert [a.kind for a in transfer.adaptations] == [Adaptation.SHRUNK]
    sent: list[BlockRequest] = []

    def never(request: BlockRequest) -> BlockResponse:
        sent.append(request)
        return BlockResponse(0x8D)

    with pytest.raises(PeerStatus, match=r"4\.13"):
        run(new_transfer(bytes(900)), never)
    assert [len(r.payload) for r in sent] == [900, 256]
    with pytest.raises(PeerStatus, match=r"4\.13"):
        run(new_transfer(bytes(10)), lambda _: BlockResponse(0x8D))


@pytest.mark.parametrize("code", [0x80, 0x82, 0xA0, 0xA1, CHANGED])
def test_server_without_block1_gets_the_request_in_one_datagram(code: int) -> None:
    sent: list[BlockRequest] = []

    def plain(request: BlockRequest) -> BlockResponse:
        sent.append(request)
        return BlockResponse(code) if request.block1 else BlockResponse(CHANGED, b"ok")

    transfer = new_transfer(bytes(1500))
    assert run(transfer, plain) == b"ok"
    assert (len(sent), sent[1].payload, transfer.unblocked) == (2, bytes(1500), True)
    with pytest.raises((PeerStatus, ProtocolViolation)):
        run(new_transfer(bytes(9000)), plain)


def test_a_server_that_passes_over_block1_and_fails_for_another_reason_too_is_asked_twice_at_most() -> None:
    sent: list[BlockRequest] = []

    def failing(request: BlockRequest) -> BlockResponse:
        sent.append(request)
        return BlockResponse(0xA0, b"database")

    with pytest.raises(PeerStatus, match=r"5\.00: database"):
        run(new_transfer(bytes(1500)), failing)
    assert len(sent) == 2


def test_bad_request_to_a_whole_request_is_final() -> None:
    with pytest.raises(PeerStatus) as caught:
        run(new_transfer(b"x"), lambda _: BlockResponse(0x80, "bad\nTLV ☂".encode()))
    assert (caught.value.code, caught.value.text) == ("4.00", "bad TLV ☂")


def test_diagnostics_that_are_no_text_are_left_out() -> None:
    with pytest.raises(PeerStatus) as caught:
        run(new_transfer(b"x"), lambda _: BlockResponse(0xA0, b"\xff\xfe"))
    assert caught.value.text == ""


def test_success_before_the_last_block_is_a_violation_unless_it_names_the_block() -> None:
    with pytest.raises(ProtocolViolation):  # too much for one datagram
        run(new_transfer(bytes(9000)), lambda _: BlockResponse(CHANGED, b"early"))
    answers = iter([BlockResponse(CONTINUE, block1=Block(0, True, 6)), BlockResponse(CHANGED, b"early")])
    with pytest.raises(ProtocolViolation):
        run(new_transfer(bytes(3000)), lambda _: next(answers))
    server = Server(b"ok")

    def old_style(request: BlockRequest) -> BlockResponse:
        response = server(request)
        return BlockResponse(CHANGED, block1=response.block1) if response.code == CONTINUE else response

    transfer = new_transfer(bytes(3000))
    assert run(transfer, old_style) == b"ok"
    assert [a.kind for a in transfer.adaptations] == [Adaptation.NO_CONTINUE]


def test_acknowledgement_of_another_block_is_a_violation() -> None:
    with pytest.raises(ProtocolViolation, match="another block"):
        run(new_transfer(bytes(3000)), lambda _: BlockResponse(CONTINUE, block1=Block(5, True, 6)))


def test_continue_after_the_last_block_is_a_violation() -> None:
    with pytest.raises(ProtocolViolation):
        run(new_transfer(b"x"), lambda _: BlockResponse(CONTINUE))


@pytest.mark.parametrize("code", [0xA3, 0x9D])
def test_busy_server_says_how_long_to_wait(code: int) -> None:
    with pytest.raises(PeerBusy) as caught:
        run(new_transfer(b"x"), lambda _: BlockResponse(code, max_age_s=120))
    assert caught.value.retry_after_s == 120
    with pytest.raises(PeerBusy) as caught:
        run(new_transfer(b"x"), lambda _: BlockResponse(code))
    assert caught.value.retry_after_s == 60


def test_echo_is_repeated_with_the_same_request() -> None:
    server = Server(b"ok")

    def wary(request: BlockRequest) -> BlockResponse:
        return server(request) if request.echo == b"fresh" else BlockResponse(0x81, echo=b"fresh")

    assert run(new_transfer(bytes(1500)), wary) == b"ok"
    assert server.body == bytes(1500)


def test_endless_echo_and_401_without_echo_are_refusals() -> None:
    with pytest.raises(PeerStatus):
        run(new_transfer(b"x"), lambda _: BlockResponse(0x81, echo=b"again"))
    with pytest.raises(PeerStatus):
        run(new_transfer(b"x"), lambda _: BlockResponse(0x81))


# -- answers that lie ------------------------------------------------------------------------------------------------


def test_oversize_answers_are_refused_before_they_fill_the_memory() -> None:
    with pytest.raises(ResponseTooLarge):
        run(new_transfer(b"x", limit=99), lambda _: BlockResponse(CHANGED, bytes(100)))
    server = Server(bytes(50_000))
    with pytest.raises(ResponseTooLarge):
        run(new_transfer(b"x", limit=4096), server)
    assert len(server.requests) == 4
    announced = BlockResponse(CHANGED, bytes(1024), block2=Block(0, True, 6), size2=1 << 30)
    with pytest.raises(ResponseTooLarge):
        run(new_transfer(b"x"), lambda _: announced)


def test_answer_of_exactly_the_limit_is_taken() -> None:
    assert len(run(new_transfer(b"x", limit=2048), Server(bytes(2048)))) == 2048


@pytest.mark.parametrize(
    "response",
    [
        BlockResponse(CHANGED, b"", block2=Block(0, True, 6)),
        BlockResponse(CHANGED, bytes(1000), block2=Block(0, True, 6)),
        BlockResponse(CHANGED, bytes(1025), block2=Block(0, False, 6)),
        BlockResponse(CHANGED, bytes(1024), block2=Block(1, True, 6)),
        BlockResponse(CHANGED, bytes(1024), block2=Block(0, True, 7)),
        BlockResponse(CHANGED, bytes(2048), block2=Block(0, False, 7)),
    ],
)
def test_blocks_of_wrong_size_or_place_are_violations(response: BlockResponse) -> None:
    with pytest.raises(ProtocolViolation):
        run(new_transfer(b"x"), lambda _: response)


def test_same_block_again_instead_of_the_next_is_a_violation() -> None:
    with pytest.raises(ProtocolViolation):
        run(new_transfer(b"x"), lambda _: BlockResponse(CHANGED, bytes(1024), block2=Block(0, True, 6)))


def test_later_block_without_its_option_is_a_violation() -> None:
    answers = iter([BlockResponse(CHANGED, bytes(1024), block2=Block(0, True, 6)), BlockResponse(CHANGED, bytes(5))])
    with pytest.raises(ProtocolViolation):
        run(new_transfer(b"x"), lambda _: next(answers))


def test_answer_that_changes_while_fetched_is_fetched_again() -> None:
    def block(number: int, more: bool, text: bytes, etag: bytes) -> BlockResponse:
        return BlockResponse(CONTENT, text * 1024, block2=Block(number, more, 6), etag=etag)

    answers = iter([block(0, True, b"a", b"1"), block(1, False, b"b", b"2"), block(0, True, b"b", b"2")])
    end = block(1, False, b"b", b"2")
    assert run(new_transfer(b"x"), lambda _: next(answers, end)) == b"b" * 2048


LOST = [
    BlockResponse(0x88),  # a server that keeps answers for a while, like those of aiocoap
    BlockResponse(0x80, b"empty request"),  # one that takes the request for a block for a request of its own
    BlockResponse(0x84),
    BlockResponse(CONTENT, bytes(10), block2=Block(1, False, 6), etag=b"2"),  # one that made its answer anew
]


@pytest.mark.parametrize("lost", LOST)
def test_an_answer_that_is_lost_in_the_middle_is_asked_for_again_where_that_is_harmless(lost: BlockResponse) -> None:
    begin, rest = (
        BlockResponse(CONTENT, bytes(n), block2=Block(n < 1024, n == 1024, 6), etag=b"1") for n in (1024, 10)
    )
    answers = iter([begin, lost, begin, rest])
    assert run(new_transfer(b"x"), lambda _: next(answers)) == bytes(1034)


@pytest.mark.parametrize("lost", LOST)
def test_a_request_that_may_have_had_an_effect_is_not_made_again_for_its_lost_answer(lost: BlockResponse) -> None:
    answers = iter([BlockResponse(CONTENT, bytes(1024), block2=Block(0, True, 6), etag=b"1"), lost])
    asked: list[BlockRequest] = []

    def serve(request: BlockRequest) -> BlockResponse:
        asked.append(request)
        return next(answers)

    transfer = new_transfer(b"x", repeatable=False)
    with pytest.raises(Forgotten):
        run(transfer, serve)
    assert transfer.whole_request_sent
    assert [request.payload for request in asked] == [b"x", b""]


def test_a_request_of_which_the_server_lost_a_part_is_sent_again_whatever_it_does() -> None:
    server = Server(b"done")
    lost = iter([False, True])

    def forgetful(request: BlockRequest) -> BlockResponse:
        return BlockResponse(0x88) if next(lost, False) else server(request)

    assert run(new_transfer(bytes(3000), repeatable=False), forgetful) == b"done"


def test_a_busy_server_in_the_middle_of_its_answer_is_busy() -> None:
    answers = iter([BlockResponse(CONTENT, bytes(1024), block2=Block(0, True, 6)), BlockResponse(0xA3, max_age_s=7)])
    with pytest.raises(PeerBusy):
        run(new_transfer(b"x", repeatable=False), lambda _: next(answers))


@pytest.mark.parametrize(
    ("etags", "remarks"),
    [
        ([b"1", None, None], 1),  # an embedded server: on the first block only
        ([None, b"1", b"1"], 1),
        ([b"1", None, b"1"], 1),
        ([b"1", b"1", b"1"], 0),
        ([None, None, None], 0),
    ],
)
def test_a_block_without_an_etag_says_nothing_about_the_others(etags: list[bytes | None], remarks: int) -> None:
    answers = iter(
        BlockResponse(CONTENT, bytes(1024), block2=Block(number, number < 2, 6), etag=etag)
        for number, etag in enumerate(etags)
    )
    transfer = new_transfer(b"x")
    assert run(transfer, lambda _: next(answers)) == bytes(3072)
    assert [adapted.kind for adapted in transfer.adaptations] == [Adaptation.SOME_ETAGS] * remarks


def test_etags_that_are_there_are_compared_across_a_block_without_one() -> None:
    def block(number: int, etag: bytes | None) -> BlockResponse:
        return BlockResponse(CONTENT, bytes(1024), block2=Block(number, number < 2, 6), etag=etag)

    first = [block(0, b"1"), block(1, None), block(2, b"2")]
    again = [block(0, b"2"), block(1, None), block(2, b"2")]
    answers = iter([*first, *again])
    transfer = new_transfer(b"x")
    assert run(transfer, lambda _: next(answers)) == bytes(3072)
    assert Adaptation.RESTARTED in [adapted.kind for adapted in transfer.adaptations]


RESPONSES = st.builds(
    BlockResponse,
    code=st.sampled_from([CHANGED, CONTENT, CONTINUE, 0x80, 0x81, 0x84, 0x88, 0x8D, 0x9D, 0xA0, 0xA3, 0x46]),
    payload=st.sampled_from([b"", bytes(16), bytes(1024), b"\xff"]),
    block1=st.none() | st.builds(Block, st.integers(0, 5), st.booleans(), st.integers(0, 7)),
    block2=st.none() | st.builds(Block, st.integers(0, 5), st.booleans(), st.integers(0, 7)),
    max_age_s=st.none() | st.integers(0, 1 << 32),
    echo=st.none() | st.binary(max_size=40),
    etag=st.none() | st.binary(max_size=8),
    size2=st.none() | st.integers(0, 1 << 40),
)


@given(st.integers(0, 5000), st.integers(0, 6), st.lists(RESPONSES, min_size=1, max_size=30))
def test_whatever_a_server_answers_the_transfer_ends_or_goes_on_in_bounds(
    size: int, size_exp: int, responses: list[BlockResponse]
) -> None:
    transfer = new_transfer(bytes(size), size_exp=size_exp, limit=4096)
    for response in responses:
        request = transfer.next_request()
        assert len(request.payload) <= max(16 << size_exp, size if transfer.unblocked else 0)
        try:
            done = transfer.accept(response)
        except (PeerBusy, PeerStatus, ProtocolViolation, ResponseTooLarge):
            return
        if done is not None:
            assert len(done) <= 4096
            return
