"""CoAP on a real socket, with a client made of hand-written bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipad_agent.lab.eim import CoapSettings, CoapsServer, DtlsSettings, Fault, Reply, RequestRefusedError, VirtualEim
from ipad_agent.lab.eim.coap.server_blockwise import (
    BadBlock,
    Block,
    Block1Assembler,
    Block2Store,
    Complete,
    Incomplete,
    TooLarge,
)
from ipad_agent.lab.eim.coap.server_transport import CoapTransport

from .clients import (
    ACK,
    BLOCK1,
    BLOCK2,
    CON,
    CONTENT_FORMAT,
    ECHO,
    MAX_AGE,
    NON,
    REQUEST_TAG,
    RST,
    SIZE1,
    SIZE2,
    Coap,
    DtlsClient,
    UdpClient,
    block,
    next_plaintext,
    request,
    shake_hands,
)
from .world import EID, NO_PACKAGE, POLL, identity, make_eim


class Echoing:
    """An application that answers with what ``answer`` makes of the body, and counts."""

    def __init__(self, answer: Callable[[bytes], Reply] = Reply) -> None:
        self.bodies: list[bytes] = []
        self._answer = answer

    def exchange(self, body: bytes, *, now_s: float = 0.0, peer: str = "") -> Reply:
        self.bodies.append(body)
        return self._answer(body)


@asynccontextmanager
async def clear(
    application: Echoing | VirtualEim, settings_: CoapSettings | None = None
) -> AsyncIterator[tuple[CoapsServer, UdpClient]]:
    """A server without DTLS and a socket to it."""
    async with CoapsServer(application, dtls=None, coap=settings_) as server:
        client = await UdpClient.open(server.port)
        yield server, client
        client.close()


async def test_a_poll_gets_2_04_and_the_bytes() -> None:
    async with clear(make_eim()) as (_, client):
        answer = await client.ask(request(POLL, mid=7, token=b"abcdefgh"))
        assert answer == Coap(ACK, 0x44, 7, b"abcdefgh", (), NO_PACKAGE)


async def test_a_notification_gets_2_04_without_payload() -> None:
    async with clear(make_eim()) as (_, client):
        answer = await client.ask(request(bytes.fromhex("BF3D 05 A003 300101")))
        assert (answer.text, answer.payload, answer.options) == ("2.04", b"", ())


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (request(POLL, path=(b"esipa",)), "4.04"),
        (request(POLL, path=()), "4.04"),
        (request(b"", code=1), "4.05"),
        (request(POLL, code=3), "4.05"),
        (request(POLL, options=((9, b""),)), "4.02"),
        (request(POLL, options=((35, b"coap://x"),)), "5.05"),
        (request(POLL, options=((39, b"coap"),)), "5.05"),
        (request(b""), "4.00"),
        (request(b"\xff\x00"), "4.00"),
        (request(POLL, options=((CONTENT_FORMAT, b"\x2a"),)), "2.04"),
        (request(POLL, options=((3, b"localhost"), (7, b"\x16\x34"))), "2.04"),
        (request(POLL, options=((2048, b"elective"),)), "2.04"),
    ],
)
async def test_refusals_have_their_codes_and_harmless_options_none(message: Coap, code: str) -> None:
    async with clear(make_eim()) as (_, client):
        assert (await client.ask(message)).text == code


async def test_path_code_and_content_format_are_settings() -> None:
    coap = CoapSettings(path=("esipa",), success_code="2.05", content_format=42, required_content_format=42)
    async with clear(make_eim(), coap) as (server, client):
        assert server.uri == f"coap://127.0.0.1:{server.port}/esipa"
        answer = await client.ask(request(POLL, path=(b"esipa",), options=((CONTENT_FORMAT, b"\x2a"),)))
        assert (answer.text, answer.option(CONTENT_FORMAT)) == ("2.05", b"\x2a")
        assert (await client.ask(request(POLL, mid=2, path=(b"esipa",)))).text == "4.15"


async def test_a_repeated_message_gets_the_same_answer_and_is_not_served_twice() -> None:
    application = Echoing()
    async with clear(application) as (_, client):
        first = await client.ask(request(b"x"))
        assert await client.ask(request(b"x")) == first
        assert application.bodies == [b"x"]
        await client.ask(request(b"x", mid=2))
        assert application.bodies == [b"x", b"x"]


async def test_non_confirmable_requests_and_pings_are_answered_in_kind() -> None:
    async with clear(make_eim()) as (_, client):
        assert (await client.ask(request(POLL, kind=NON))).kind == NON
        assert await client.ask(Coap(CON, 0, 9)) == Coap(RST, 0, 9)


async def test_blocks_of_a_request_are_joined_whatever_their_tokens() -> None:
    application = Echoing()
    async with clear(application) as (_, client):
        body = bytes(range(100))
        for number in range(7):
            piece = body[number * 16 : number * 16 + 16]
            more = number < 6
            options = ((BLOCK1, block(number, more, 0)), (REQUEST_TAG, b"r"))
            answer = await client.ask(request(piece, mid=number, token=bytes([number]), options=options))
            assert answer.text == ("2.31" if more else "2.04")
            assert answer.uint(BLOCK1) == int.from_bytes(block(number, more, 0), "big")
        assert application.bodies == [body]
        assert answer.payload == body


async def test_two_transfers_with_different_request_tags_or_peers_do_not_mix() -> None:
    application = Echoing()
    async with clear(application) as (server, one):
        two = await UdpClient.open(server.port)
        for client, tag, letter in ((one, b"1", b"a"), (one, b"2", b"b"), (two, b"1", b"c")):
            options = ((BLOCK1, block(0, True, 0)), (REQUEST_TAG, tag))
            await client.ask(request(letter * 16, mid=letter[0], options=options))
        for client, tag, letter in ((one, b"2", b"b"), (two, b"1", b"c"), (one, b"1", b"a")):
            options = ((BLOCK1, block(1, False, 0)), (REQUEST_TAG, tag))
            await client.ask(request(letter, mid=letter[0] + 100, options=options))
        assert application.bodies == [b"b" * 17, b"c" * 17, b"a" * 17]
        two.close()


async def test_a_missing_block_is_4_08_and_the_transfer_can_begin_again() -> None:
    application = Echoing()
    async with clear(application) as (_, client):
        assert (await client.ask(request(b"b", mid=1, options=((BLOCK1, block(1, False, 0)),)))).text == "4.08"
        await client.ask(request(b"a" * 16, mid=2, options=((BLOCK1, block(0, True, 0)),)))
        assert (await client.ask(request(b"c", mid=3, options=((BLOCK1, block(2, False, 0)),)))).text == "4.08"
        await client.ask(request(b"a" * 16, mid=4, options=((BLOCK1, block(0, True, 0)),)))
        assert (await client.ask(request(b"b", mid=5, options=((BLOCK1, block(1, False, 0)),)))).text == "2.04"
        assert application.bodies == [b"a" * 16 + b"b"]


async def test_too_much_is_4_13_with_the_limit() -> None:
    async with clear(Echoing(), CoapSettings(max_body_bytes=20)) as (_, client):
        answer = await client.ask(request(b"x" * 21))
        assert (answer.text, answer.uint(SIZE1)) == ("4.13", 20)
        options = ((BLOCK1, block(0, True, 0)), (SIZE1, b"\x15"))
        assert (await client.ask(request(b"x" * 16, mid=2, options=options))).text == "4.13"
        await client.ask(request(b"x" * 16, mid=3, options=((BLOCK1, block(0, True, 0)),)))
        assert (await client.ask(request(b"x" * 5, mid=4, options=((BLOCK1, block(1, False, 0)),)))).text == "4.13"


async def test_smaller_blocks_can_be_asked_for_or_insisted_on() -> None:
    async with clear(Echoing(), CoapSettings(block_size_exp=2)) as (_, client):
        answer = await client.ask(request(b"x" * 128, options=((BLOCK1, block(0, True, 3)),)))
        assert (answer.text, answer.option(BLOCK1)) == ("2.31", block(0, True, 2))
        answer = await client.ask(request(b"y" * 8, mid=2, options=((BLOCK1, block(2, False, 2)),)))
        assert (answer.text, answer.uint(SIZE2)) == ("2.04", 136)
    async with clear(Echoing(), CoapSettings(block_size_exp=2, insist_on_block_size=True)) as (_, client):
        answer = await client.ask(request(b"x" * 128, options=((BLOCK1, block(0, True, 3)),)))
        assert (answer.text, answer.option(BLOCK1)) == ("4.13", block(0, False, 2))


async def test_an_eim_without_reassembly_says_4_00() -> None:
    async with clear(Echoing(), CoapSettings(reassemble=False)) as (_, client):
        assert (await client.ask(request(b"x" * 16, options=((BLOCK1, block(0, True, 0)),)))).text == "4.00"


async def test_a_long_answer_is_fetched_in_blocks_without_asking_the_application_again() -> None:
    long = bytes(range(256)) * 2
    application = Echoing(lambda body: Reply(long))
    async with clear(application, CoapSettings(block_size_exp=4)) as (_, client):
        first = await client.ask(request(b"x"))
        assert (first.option(BLOCK2), first.uint(SIZE2)) == (block(0, True, 4), 512)
        second = await client.ask(request(b"", mid=2, token=b"other", options=((BLOCK2, block(1, False, 4)),)))
        assert second.option(BLOCK2) == block(1, False, 4)
        assert first.payload + second.payload == long
        smaller = await client.ask(request(b"", mid=3, options=((BLOCK2, block(31, False, 0)),)))
        assert (smaller.payload, smaller.option(BLOCK2)) == (long[-16:], block(31, False, 0))
        assert (await client.ask(request(b"", mid=4, options=((BLOCK2, block(2, False, 4)),)))).text == "4.08"
        assert application.bodies == [b"x"]


async def test_a_client_may_ask_for_small_blocks_from_the_start() -> None:
    async with clear(Echoing()) as (_, client):
        answer = await client.ask(request(b"x" * 40, options=((BLOCK2, block(0, False, 1)),)))
        assert (answer.payload, answer.option(BLOCK2)) == (b"x" * 32, block(0, True, 1))


async def test_a_late_answer_comes_as_a_separate_response() -> None:
    async with clear(Echoing(lambda body: Reply(body, delay_s=0.2))) as (_, client):
        assert await client.ask(request(b"x", mid=5)) == Coap(ACK, 0, 5)
        answer = Coap.decode(await client.receive())
        assert (answer.kind, answer.text, answer.token, answer.payload) == (CON, "2.04", b"T", b"x")
        client.send(Coap(ACK, 0, answer.mid).encode())


async def test_an_answer_that_waits_for_somebody_else_holds_up_nobody() -> None:
    there = asyncio.Event()

    async def later() -> Reply:
        await there.wait()
        return Reply(b"at last")

    async with clear(Echoing(lambda body: Reply(later=later) if body == b"slow" else Reply(body))) as (_, client):
        assert await client.ask(request(b"slow", mid=5, token=b"S")) == Coap(ACK, 0, 5)
        assert (await client.ask(request(b"x", mid=6))).payload == b"x"
        there.set()
        answer = Coap.decode(await client.receive())
        assert (answer.kind, answer.text, answer.token, answer.payload) == (CON, "2.04", b"S", b"at last")
        client.send(Coap(ACK, 0, answer.mid).encode())


@pytest.mark.parametrize(("code", "said"), [("404", "4.04"), ("302", "5.00"), ("what", "5.00"), ("4.15", "4.15")])
async def test_statuses_of_http_are_said_as_coap_says_them(code: str, said: str) -> None:
    async with clear(Echoing(lambda body: Reply(code=code))) as (_, client):
        assert (await client.ask(request(b"x"))).text == said


async def test_a_busy_eim_says_when_to_come_back() -> None:
    eim = make_eim()
    eim.faults.arm(Fault("get", "busy", 120))
    async with clear(eim) as (_, client):
        answer = await client.ask(request(POLL))
        assert (answer.text, answer.uint(MAX_AGE)) == ("5.03", 120)


async def test_a_lost_answer_is_lost_for_its_repetitions_too() -> None:
    eim = make_eim()
    eim.faults.arm(Fault("get", "lose-answer"))
    async with clear(eim) as (_, client):
        client.send(request(POLL, mid=1).encode())
        client.send(request(POLL, mid=1).encode())
        # Answers keep their order here, so the pong shows that nothing was sent before it.
        assert await client.ask(Coap(CON, 0, 9)) == Coap(RST, 0, 9)
        assert (await client.ask(request(POLL, mid=2, token=b"U"))).payload == NO_PACKAGE
        assert len(eim.history) == 3


async def test_echo_is_asked_for_once_per_peer() -> None:
    async with clear(make_eim(), CoapSettings(require_echo=True)) as (_, client):
        challenge = await client.ask(request(POLL))
        value = challenge.option(ECHO)
        assert challenge.text == "4.01"
        assert value is not None
        assert (await client.ask(request(POLL, mid=2, options=((ECHO, value),)))).text == "2.04"
        assert (await client.ask(request(POLL, mid=3, options=((ECHO, b"guess"),)))).text == "4.01"


async def test_garbage_instead_of_coap_leaves_the_server_alive() -> None:
    async with clear(make_eim()) as (server, client):
        good = request(POLL, options=((BLOCK1, block(0, True, 2)),)).encode()
        for size in range(len(good)):
            client.send(good[:size])
        for index in range(len(good)):
            client.send(good[:index] + bytes([good[index] ^ 0xFF]) + good[index + 1 :])
        client.send(bytes.fromhex("4F 02 0001") + b"t" * 15)  # token length 15
        client.send(bytes.fromhex("41 02 0002 54 B1 FF"))  # a path that is not UTF-8
        fresh = await UdpClient.open(server.port)
        assert (await fresh.ask(request(POLL, mid=999))).payload == NO_PACKAGE
        fresh.close()


async def test_a_token_longer_than_coap_allows_gets_no_answer() -> None:
    async with clear(make_eim()) as (_, client):
        good = request(POLL, token=b"12345678").encode()
        client.send(b"\x4f" + good[1:4] + b"123456789012345" + good[12:])
        assert await client.ask(Coap(CON, 0, 9)) == Coap(RST, 0, 9)


def test_peers_in_the_clear_have_a_limit() -> None:
    transport = CoapTransport(_Manager(), max_peers=4)
    for port in range(1, 50):
        transport.datagram_received(request(POLL).encode(), ("192.0.2.1", port))
    assert transport.peer_count == 4


class _Manager:
    """Takes what the transport delivers, as aiocoap's message manager would."""

    def dispatch_message(self, message: object) -> None:
        pass

    def dispatch_error(self, error: object, remote: object) -> None:
        pass


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60), st.booleans())
def test_no_datagram_gets_past_the_decoder_as_an_exception(data: bytes, plausible: bool) -> None:
    transport = CoapTransport(_Manager(), max_peers=4)
    transport.datagram_received(b"\x41\x02\x00\x01T" + data if plausible else data, ("192.0.2.1", len(data)))


# Over DTLS


@asynccontextmanager
async def secured(application: Echoing | VirtualEim) -> AsyncIterator[CoapsServer]:
    async with CoapsServer(application, dtls=DtlsSettings(identity().tls)) as server:
        yield server


async def connect(server: CoapsServer) -> tuple[UdpClient, DtlsClient]:
    udp, dtls = await UdpClient.open(server.port), DtlsClient()
    await shake_hands(udp, dtls)
    return udp, dtls


async def ask(udp: UdpClient, dtls: DtlsClient, message: Coap) -> Coap:
    for datagram in dtls.seal(message.encode()):
        udp.send(datagram)
    return Coap.decode(await next_plaintext(udp, dtls))


async def test_a_poll_over_dtls_in_two_sessions_of_one_address() -> None:
    async with secured(make_eim()) as server:
        udp, first = await connect(server)
        assert (await ask(udp, first, request(POLL))).payload == NO_PACKAGE
        second = DtlsClient()
        await shake_hands(udp, second)
        # The same message id in a new session is a new message.
        assert (await ask(udp, second, request(POLL))).payload == NO_PACKAGE
        assert server.dtls is not None
        assert server.dtls.established_count == 1
        udp.close()


async def test_a_quiet_restart_keeps_the_port_and_forgets_the_peers() -> None:
    application = Echoing()
    async with secured(application) as server:
        port = server.port
        udp, dtls = await connect(server)
        await ask(udp, dtls, request(b"a" * 16, options=((BLOCK1, block(0, True, 0)),)))
        server.restart_quietly()
        for datagram in dtls.seal(request(b"b", mid=2).encode()):
            udp.send(datagram)
        again = DtlsClient()
        await shake_hands(udp, again)  # the only thing that gets an answer
        assert server.port == port
        answer = await ask(udp, again, request(b"b", mid=2, options=((BLOCK1, block(1, False, 0)),)))
        assert answer.text == "4.08"
        assert application.bodies == []
        udp.close()


async def test_a_crash_at_the_delivery_forgets_the_session_but_not_the_ticket() -> None:
    eim = make_eim()
    eim.faults.arm(Fault("get", "crash-after"))
    async with secured(eim) as server:
        udp, dtls = await connect(server)
        for datagram in dtls.seal(request(POLL).encode()):
            udp.send(datagram)
        again = DtlsClient()
        await shake_hands(udp, again)
        assert (await ask(udp, again, request(POLL, mid=2))).payload == NO_PACKAGE
        assert len([entry for entry in eim.history if entry["kind"] == "request"]) == 2
        assert eim.history[-1]["eid"] == EID
        udp.close()


async def test_stop_says_goodbye_and_can_be_repeated() -> None:
    server = CoapsServer(make_eim(), dtls=DtlsSettings(identity().tls))
    await server.stop()
    await server.start()
    udp, dtls = await connect(server)
    await server.stop()
    await server.stop()
    assert server.port == 0
    dtls.feed(await udp.receive())
    assert dtls.connection.get_shutdown() & 2  # close_notify came
    udp.close()


async def test_a_request_under_way_is_dropped_when_the_server_stops() -> None:
    application = Echoing(lambda body: Reply(body, delay_s=3600.0))
    async with clear(application) as (_, client):
        assert await client.ask(request(b"x", mid=5)) == Coap(ACK, 0, 5)
    assert application.bodies == [b"x"]


async def test_an_application_that_refuses_is_4_00_with_its_sentence() -> None:
    def refuse(body: bytes) -> Reply:
        raise RequestRefusedError("not like this")

    async with clear(Echoing(refuse)) as (_, client):
        answer = await client.ask(request(b"x"))
        assert (answer.text, answer.payload) == ("4.00", b"not like this")


async def test_a_taken_port_is_an_os_error() -> None:
    async with clear(make_eim()) as (server, _):
        with pytest.raises(OSError, match="in use"):
            await CoapsServer(make_eim(), dtls=None, port=server.port).start()


# Block-wise arithmetic without a network


def test_assembly_bounds_sizes_numbers_and_life_time() -> None:
    blocks = Block1Assembler(max_body_bytes=64, max_assemblies=3)
    assert isinstance(blocks.feed("k", Block(0, True, 7), b"", 0.0), BadBlock)
    assert isinstance(blocks.feed("k", Block(0, True, 0), b"x" * 15, 0.0), BadBlock)
    assert isinstance(blocks.feed("k", Block(0, False, 0), b"x" * 17, 0.0), BadBlock)
    assert isinstance(blocks.feed("k", Block(1 << 19, True, 6), b"x" * 1024, 0.0), TooLarge)
    for key in "abcdef":
        blocks.feed(key, Block(0, True, 0), b"x" * 16, 0.0)
        assert len(blocks) <= 3
    assert isinstance(blocks.feed("a", Block(1, False, 0), b"y", 1.0), Incomplete)
    assert blocks.feed("f", Block(1, False, 0), b"y", 247.0) == Complete(b"x" * 16 + b"y")
    assert isinstance(blocks.feed("e", Block(1, False, 0), b"y", 248.0), Incomplete)


def test_a_block_that_comes_again_is_no_harm_and_a_different_one_is() -> None:
    blocks = Block1Assembler(max_body_bytes=64)
    blocks.feed("k", Block(0, True, 0), b"x" * 16, 0.0)
    blocks.feed("k", Block(1, True, 0), b"y" * 16, 0.0)
    blocks.feed("k", Block(1, True, 0), b"y" * 16, 0.0)
    assert blocks.feed("k", Block(2, False, 0), b"z", 0.0) == Complete(b"x" * 16 + b"y" * 16 + b"z")
    blocks.feed("k", Block(0, True, 0), b"x" * 16, 0.0)
    blocks.feed("k", Block(1, True, 0), b"y" * 16, 0.0)
    assert isinstance(blocks.feed("k", Block(1, True, 0), b"Y" * 16, 0.0), Incomplete)


def test_kept_answers_have_a_limit_and_a_life_time() -> None:
    store = Block2Store(preferred_szx=0, max_answers=2)
    assert store.first("a", b"x" * 16, None, 0.0) is None
    for key in "abc":
        assert store.first(key, b"x" * 20, None, 0.0) is not None
    assert len(store) == 2
    assert store.later("a", Block(1, False, 0), 0.0) is None
    piece = store.later("c", Block(1, False, 0), 0.0)
    assert piece is not None
    assert piece.payload == b"x" * 4
    assert store.later("c", Block(2, False, 0), 0.0) is None
    assert store.later("c", Block(1, False, 0), 300.0) is None
    assert len(store) == 0
