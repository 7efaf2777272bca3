"""The carrier over real UDP sockets, against a server whose misbehaviour is scripted. Timers are short, not slept.

Long: one carrier, one scripted server for all its misbehaviour.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from ipad_agent.clock import SystemClock
from ipad_agent.errors import ConfigError
from ipad_agent.net.coap.coaps_carrier import CoapsCarrier
from ipad_agent.net.coap.coaps_endpoint import CoapsEndpoint
from ipad_agent.net.dns_lookup import Address
from ipad_agent.net.dtls.dtls_backend import DtlsBackend, Psk
from ipad_agent.net.errors import (
    HandshakeFailed,
    PeerBusy,
    PeerStatus,
    ProtocolViolation,
    ResponseTooLarge,
    TransferTimeout,
    TrustRefused,
    Unreachable,
)
from ipad_agent.net.trust.pinned_trust import Trust

from .backends import new_backend
from .certs import Identity, issue
from .coap import (
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
    URI_HOST,
    Message,
    block,
    decode,
)
from .dtls_server import server_context
from .peer import Blocks, Handler, Peer, acks, answer, requests, serve


@pytest.fixture(scope="module")
def server() -> Identity:
    return issue("S", dns=("eim.test",))


class JumpingClock(SystemClock):
    """The machine's clocks, with a jump ahead of the monotonic one."""

    ahead_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


def endpoint(peer: Peer, trust: Trust, **changes: Any) -> CoapsEndpoint:
    short: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": peer.port,
        "ack_timeout_s": 0.05,
        "max_retransmit": 3,
        "handshake_timeout_s": 5,
        "exchange_timeout_s": 20,
    }
    return CoapsEndpoint(trust=trust, **(short | changes))


class Talk:
    """A served peer and a carrier to it."""

    def __init__(self, peer: Peer, carrier: CoapsCarrier, clock: JumpingClock, backend: DtlsBackend) -> None:
        self.peer, self.carrier, self.clock, self.backend = peer, carrier, clock, backend

    async def ask(self, body: bytes = b"\xbf\x4f\x00") -> bytes:
        return await self.carrier.exchange(body, function="GetEimPackage")


@asynccontextmanager
async def talk(
    server: Identity,
    handler: Handler,
    *,
    trust: Trust | None = None,
    drop: Callable[[str, int], bool] | None = None,
    **changes: Any,
) -> AsyncIterator[Talk]:
    async with serve(server_context(server), handler, drop=drop) as peer:
        clock, backend = JumpingClock(), new_backend()
        carrier = CoapsCarrier(
            endpoint(peer, trust or Trust.spki(server.spki), **changes), backend=backend, clock=clock
        )
        try:
            yield Talk(peer, carrier, clock, backend)
        finally:
            await carrier.close()


def echo(peer: Peer, request: Message) -> Message:
    return answer(request, payload=request.payload)


def status(code: int, *options: tuple[int, bytes], payload: bytes = b"") -> Handler:
    return lambda peer, request: answer(request, code, payload, *options)


# -- what a request looks like ---------------------------------------------------------------------------------------


async def test_request_is_a_confirmable_post_to_the_path_of_the_binding(server: Identity) -> None:
    async with talk(server, echo) as t:
        assert await t.ask(b"\x01\x02") == b"\x01\x02"
        [request] = requests(t.peer.messages)
        assert (request.kind, request.code, request.path) == (CON, 2, "gsma/rsp2/asn1")
        assert [number for number, _ in request.options] == [11, 11, 11]
        assert (t.carrier.scheme, t.carrier.traffic.handshakes_full) == ("coaps", 1)
        assert t.carrier.bytes_sent == sum(map(len, t.peer.datagrams_in))
        assert t.carrier.bytes_received > 0


async def test_path_content_format_and_host_are_configurable(server: Identity) -> None:
    async def local(host: str, port: int) -> list[Address]:
        assert host == "eim.test"
        return [Address(socket.AF_INET, ("127.0.0.1", port))]

    async with serve(server_context(server), echo) as peer:
        where = endpoint(peer, Trust.certificate(server.der), host="eim.test", path="/esipa", content_format=42)
        carrier = CoapsCarrier(where, resolver=local)
        await carrier.exchange(b"x", function="GetEimPackage")
        silent = CoapsCarrier(replace(where, send_uri_host=False), resolver=local)
        await silent.exchange(b"x", function="GetEimPackage")
        await carrier.close()
        await silent.close()
        first, second = requests(peer.messages)
        assert (first.path, first.option(CONTENT_FORMAT), first.option(URI_HOST)) == ("esipa", b"\x2a", b"eim.test")
        assert second.option(URI_HOST) is None


# -- trust -----------------------------------------------------------------------------------------------------------


async def test_no_application_byte_reaches_a_server_that_is_not_trusted(server: Identity) -> None:
    async with talk(server, echo, trust=Trust.spki(issue("x").spki)) as t:
        with pytest.raises(TrustRefused):
            await t.ask()
        assert t.peer.data == []
        assert all(datagram[0] != 23 for datagram in t.peer.datagrams_in)
        assert t.carrier.traffic.handshakes_failed == 1


async def test_psk_server_is_spoken_to_and_a_wrong_key_is_not(server: Identity) -> None:
    psk = Psk(b"device", b"0123456789abcdef")
    context = server_context(psk={psk.identity: psk.key}, suites=b"PSK-AES128-CCM8:@SECLEVEL=0")
    async with serve(context, echo) as peer:
        good = CoapsCarrier(endpoint(peer, Trust.psk(), psk=psk))
        assert await good.exchange(b"hi", function="x") == b"hi"
        await good.close()
        wrong = CoapsCarrier(
            endpoint(peer, Trust.psk(), psk=Psk(b"device", b"another key here"), handshake_timeout_s=0.2)
        )
        with pytest.raises(HandshakeFailed, match="pre-shared key"):
            await wrong.exchange(b"hi", function="x")
        assert len(peer.data) == 1


# -- blocks ----------------------------------------------------------------------------------------------------------


async def test_large_bodies_travel_in_blocks_of_szx_2_both_ways(server: Identity) -> None:
    blocks = Blocks(lambda path, body: body[::-1], size_exp=2)
    body = random.Random(1).randbytes(1500)
    async with talk(server, blocks, block_size_exp=2) as t:
        assert await t.ask(body) == body[::-1]
        assert blocks.bodies == [body]
        sent = requests(t.peer.messages)
        assert all(len(r.payload) <= 64 for r in sent)
        assert len({r.option(REQUEST_TAG) for r in sent}) == 1
        assert sent[0].option(SIZE1) == (1500).to_bytes(2, "big")
        assert sent[0].option(BLOCK1) == block(0, True, 2)
        assert len({r.token for r in sent}) == len(sent)


async def test_two_transfers_have_two_request_tags(server: Identity) -> None:
    async with talk(server, Blocks(lambda path, body: b"")) as t:
        await t.ask(bytes(3000))
        await t.ask(bytes(3000))
        assert len({r.option(REQUEST_TAG) for r in requests(t.peer.messages)}) == 2


async def test_smaller_block_size_is_remembered_for_the_next_request(server: Identity) -> None:
    blocks = Blocks(lambda path, body: b"ok")

    def small(peer: Peer, request: Message) -> Message:
        if len(request.payload) > 256:
            return answer(request, 0x8D, b"", (BLOCK1, block(0, False, 4)))
        return blocks(peer, request)

    async with talk(server, small) as t:
        assert await t.ask(bytes(1000)) == b"ok"
        before = len(t.peer.messages)
        assert await t.ask(bytes(1000)) == b"ok"
        assert len(t.peer.messages) - before == 4


async def test_requests_go_in_one_datagram_from_then_on_only_where_that_helped(server: Identity) -> None:
    helps = [False]

    def handler(peer: Peer, request: Message) -> Message:
        if request.option(BLOCK1) is None and helps[0]:
            return answer(request, payload=b"ok")
        return answer(request, 0xA0)

    async with talk(server, handler) as t:
        for helps[0], sizes in ((False, [1024, 1500]), (True, [1024, 1500]), (True, [1500])):
            before = len(t.peer.messages)
            with contextlib.suppress(PeerStatus):
                assert await t.ask(bytes(1500)) == b"ok"
            assert [len(message.payload) for message in t.peer.messages[before:]] == sizes


async def test_408_restarts_with_a_new_tag(server: Identity) -> None:
    blocks = Blocks(lambda path, body: b"ok")
    lost = iter([False, True])
    async with talk(server, lambda p, r: answer(r, 0x88) if next(lost, False) else blocks(p, r)) as t:
        assert await t.ask(bytes(3000)) == b"ok"
        assert len({r.option(REQUEST_TAG) for r in requests(t.peer.messages)}) == 2


@pytest.mark.parametrize("code", [0x80, 0x84, 0x88])
async def test_an_answer_that_the_server_loses_midway_is_asked_for_again_unless_that_does_something_twice(
    server: Identity, code: int
) -> None:
    blocks = Blocks(lambda path, body: bytes(3000))

    def forgetful(peer: Peer, request: Message) -> Message:
        wanted = request.option(BLOCK2)
        later = wanted is not None and int.from_bytes(wanted, "big") >> 4 == 2
        return answer(request, code) if later and len(blocks.bodies) == 1 else blocks(peer, request)

    async with talk(server, forgetful) as t:
        assert await t.ask() == bytes(3000)
        assert len(blocks.bodies) == 2
        blocks.bodies.clear()
        with pytest.raises(TransferTimeout, match="has not kept its answer"):
            await t.carrier.exchange(b"x", function="GetBoundProfilePackage")
        assert blocks.bodies == [b"x"]


async def test_oversize_answer_is_refused(server: Identity) -> None:
    async with talk(server, Blocks(lambda path, body: bytes(9000)), max_response_bytes=4096) as t:
        with pytest.raises(ResponseTooLarge):
            await t.ask()
        assert len(t.peer.messages) <= 5


# -- statuses --------------------------------------------------------------------------------------------------------


async def test_empty_204_is_an_empty_answer(server: Identity) -> None:
    async with talk(server, status(0x44)) as t:
        assert await t.ask() == b""


async def test_busy_server_says_when_to_come_back(server: Identity) -> None:
    async with talk(server, status(0xA3, (MAX_AGE, b"\x01\x2c"))) as t:
        with pytest.raises(PeerBusy) as caught:
            await t.ask()
        assert caught.value.retry_after_s == 300


async def test_refusals_carry_code_and_words(server: Identity) -> None:
    async with talk(server, status(0x84, payload=b"no such path")) as t:
        with pytest.raises(PeerStatus) as caught:
            await t.ask()
        assert (caught.value.code, caught.value.text) == ("4.04", "no such path")
        assert caught.value.body == b"no such path"


async def test_echo_is_repeated(server: Identity) -> None:
    def wary(peer: Peer, request: Message) -> Message:
        fresh = request.option(ECHO) == b"\x01\x02\x03"
        return answer(request, payload=b"ok") if fresh else answer(request, 0x81, b"", (ECHO, b"\x01\x02\x03"))

    async with talk(server, wary) as t:
        assert await t.ask() == b"ok"


async def test_reset_of_a_request_fails_at_once(server: Identity) -> None:
    async with talk(server, lambda p, r: Message(RST, 0, r.mid), ack_timeout_s=60) as t:
        with pytest.raises(ProtocolViolation, match="Reset"):
            await asyncio.wait_for(t.ask(), 30)


@pytest.mark.parametrize("separate", [False, True])
async def test_answer_with_an_unknown_critical_option_is_rejected_at_once(server: Identity, separate: bool) -> None:
    # RFC 7252 §5.4.1: 2.05 with option 65529, which nobody knows.
    def odd(peer: Peer, request: Message) -> Message:
        if separate:
            return Message(CON, 0x45, 7777, request.token, ((65529, b""),), b"not to be used")
        return answer(request, 0x45, b"not to be used", (65529, b""))

    async with talk(server, odd) as t:
        with pytest.raises(ProtocolViolation, match=r"an unknown critical option \(65529\)"):
            await t.ask()
        await settle(lambda: not separate or t.peer.messages[-1].kind == RST)
        assert len(requests(t.peer.messages)) == 1
        rejected = [m for m in t.peer.messages if m.kind == RST]
        assert [m.mid for m in rejected] == ([7777] if separate else [])


@pytest.mark.parametrize("value", [b"\x00\x00\x00\x00\x05", b"\xff" * 5, b"\xff" * 250])
async def test_max_age_over_four_bytes_is_no_max_age(server: Identity, value: bytes) -> None:
    async with talk(server, status(0xA3, (MAX_AGE, value))) as t:
        with pytest.raises(PeerBusy) as caught:
            await t.ask()
        assert caught.value.retry_after_s == 60  # RFC 7252 §5.10.5


async def test_longest_max_age_is_a_time(server: Identity) -> None:
    async with talk(server, status(0xA3, (MAX_AGE, b"\xff" * 4))) as t:
        with pytest.raises(PeerBusy) as caught:
            await t.ask()
        assert caught.value.retry_after_s == 4294967295


async def test_an_option_of_text_that_is_none_does_not_cost_the_answer(server: Identity) -> None:
    async with talk(server, status(0x44, (8, b"\xff\xfe"), payload=b"read")) as t:  # 8 is Location-Path
        assert await t.ask() == b"read"
        assert len(requests(t.peer.messages)) == 1


# -- separate responses ----------------------------------------------------------------------------------------------


async def test_separate_response_is_waited_for_and_acknowledged(server: Identity) -> None:
    def later(peer: Peer, request: Message) -> list[Message]:
        return [Message(ACK, 0, request.mid), Message(CON, 0x44, 7777, request.token, (), b"late")]

    async with talk(server, later) as t:
        assert await t.ask() == b"late"
        await settle(lambda: acks(t.peer.messages))
        assert [m.mid for m in acks(t.peer.messages)] == [7777]


async def test_separate_response_stands_for_a_lost_acknowledgement(server: Identity) -> None:
    async with talk(server, lambda p, r: Message(CON, 0x44, 7777, r.token, (), b"late"), ack_timeout_s=60) as t:
        assert await t.ask() == b"late"
        assert await asyncio.wait_for(t.ask(), 30) == b"late"  # not held up by the first request's repetition
        assert len(requests(t.peer.messages)) == 2


async def test_repeated_separate_response_is_acknowledged_again_and_delivered_once(server: Identity) -> None:
    async with talk(server, lambda p, r: [Message(CON, 0x44, 7777, r.token, (), b"late")] * 3) as t:
        assert await t.ask() == b"late"
        await settle(lambda: len(acks(t.peer.messages)) == 3)
        assert not [m for m in t.peer.messages if m.kind == RST]


async def test_non_confirmable_response_is_taken(server: Identity) -> None:
    async with talk(server, lambda p, r: Message(NON, 0x44, 1, r.token, (), b"non")) as t:
        assert await t.ask() == b"non"


async def settle(done: Callable[[], object]) -> None:
    """Let what is under way arrive."""
    async with asyncio.timeout(60):
        while not done():  # noqa: ASYNC110 - the peer's lists have no event; every turn lets one datagram through
            await asyncio.sleep(0)


# -- loss ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2])
async def test_blocks_arrive_whole_over_a_lossy_network(server: Identity, seed: int) -> None:
    random_ = random.Random(seed)
    blocks = Blocks(lambda path, body: body[::-1], size_exp=5)
    body = random.Random(9).randbytes(6000)

    def drop(direction: str, index: int) -> bool:
        return index > 4 and random_.random() < 0.15  # after the handshake: its timer is OpenSSL's second

    async with talk(server, blocks, drop=drop, ack_timeout_s=0.02, max_retransmit=6, block_size_exp=5) as t:
        assert await t.ask(body) == body[::-1]
        assert blocks.bodies == [body]
        assert t.carrier.traffic.retransmissions > 0


async def test_lost_first_flight_is_sent_again(server: Identity) -> None:
    async with talk(server, echo, drop=lambda direction, index: direction == "in" and index == 0) as t:
        assert await t.ask(b"x") == b"x"
        assert t.carrier.traffic.retransmissions == 1


async def test_garbage_inside_and_outside_the_session_is_ignored(server: Identity) -> None:
    random_ = random.Random(3)

    def noisy(peer: Peer, request: Message) -> Message:
        peer.send_raw(random_.randbytes(80))
        for junk in (
            b"\x00",
            b"\x40\x01\x00",
            random_.randbytes(40),
            b"\xff" * 20,
            Message(CON, 0x44, 1, b"other", (), b"wrong token").encode(),
            Message(ACK, 0x44, request.mid ^ 1, request.token, (), b"wrong message id").encode(),
            Message(CON, 2, 5, b"t", (), b"a request").encode(),
            Message(ACK, 0x44, request.mid, request.token).encode() + b"\xd0",
            Message(CON, 0xE1, 6, b"t").encode(),
        ):
            peer.send(junk)
        return answer(request, payload=b"ok")

    async with talk(server, noisy) as t:
        assert await t.ask() == b"ok"
        rejected = {m.mid for m in t.peer.messages if m.kind == RST}
        assert {1, 5, 6} <= rejected


async def test_mutated_answers_raise_only_the_rooms_own_errors(
    server: Identity, caplog: pytest.LogCaptureFixture
) -> None:
    random_ = random.Random(4)

    def mutate(peer: Peer, request: Message) -> Message:
        good = answer(request, 0x44, b"payload", (BLOCK2, block(0, False, 2)), (MAX_AGE, b"\x3c")).encode()
        for _ in range(40):
            mutant = bytearray(good)
            mutant[random_.randrange(len(mutant))] = random_.randrange(256)
            if mutant[:2] != good[:2] or mutant[4:6] != good[4:6]:
                peer.send(bytes(mutant[: random_.randrange(1, len(mutant) + 1)]))
        return answer(request, payload=b"end")

    caplog.set_level(logging.INFO)
    async with talk(server, mutate) as t:
        for _ in range(20):
            try:
                await t.ask()
            except (PeerStatus, PeerBusy, ProtocolViolation, ResponseTooLarge):
                continue
    assert [r for r in caplog.records if not r.name.startswith("ipad_agent")] == []


# -- sessions --------------------------------------------------------------------------------------------------------


async def test_session_is_kept_during_a_procedure(server: Identity) -> None:
    async with talk(server, echo) as t:
        for _ in range(3):
            await t.ask()
        assert t.peer.handshakes == 1
        assert t.carrier.traffic.handshakes_full == 1


async def test_close_says_goodbye_and_the_next_exchange_resumes(server: Identity) -> None:
    async with talk(server, echo) as t:
        await t.ask()
        await t.carrier.close()
        await settle(lambda: t.peer.closes == 1)
        await t.ask()
        assert (t.carrier.traffic.handshakes_full, t.carrier.traffic.handshakes_resumed) == (1, 1)


async def test_the_port_stays_open_for_the_servers_goodbye_which_would_be_answered_by_icmp(server: Identity) -> None:
    async with talk(server, echo) as t:
        await t.ask()
        association = t.carrier._association
        assert association is not None
        counted = t.carrier.traffic.datagrams_received
        await t.carrier.close()
        assert association._socket is not None
        assert not association._socket.is_closing()
        await settle(lambda: association._socket is None)  # the goodbye came
        assert t.carrier.traffic.datagrams_received == counted  # counted when ours was sent


async def test_idle_session_is_resumed_on_a_fresh_socket_before_the_nat_can_drop_it(server: Identity) -> None:
    async with talk(server, echo, nat_timeout_s=30) as t:
        await t.ask()
        t.clock.ahead_s = 29
        await t.ask()
        assert t.peer.handshakes == 1
        t.clock.ahead_s = 90
        await t.ask()
        assert t.carrier.traffic.handshakes_resumed == 1


async def test_server_that_lost_its_state_gets_one_new_session(server: Identity) -> None:
    async with talk(server, echo, ack_timeout_s=0.02) as t:
        await t.ask(b"one")
        t.peer.restart(server_context(server))
        assert await t.ask(b"two") == b"two"
        assert t.carrier.traffic.handshakes_full == 2


async def test_closed_session_is_replaced_without_waiting(server: Identity) -> None:
    async with talk(server, echo, ack_timeout_s=60) as t:
        await t.ask(b"one")
        t.peer.end_sessions()
        assert await asyncio.wait_for(t.ask(b"two"), 30) == b"two"


async def test_session_ended_under_a_request_is_replaced_once(server: Identity) -> None:
    def leave(peer: Peer, request: Message) -> Message | None:
        if peer.handshakes == 1 and request.payload == b"two":
            asyncio.get_running_loop().call_soon(peer.end_sessions)
            return None
        return echo(peer, request)

    async with talk(server, leave, ack_timeout_s=60) as t:
        await t.ask(b"one")
        assert await asyncio.wait_for(t.ask(b"two"), 30) == b"two"


async def test_silent_server_on_a_fresh_session_is_not_asked_twice(server: Identity) -> None:
    async with talk(server, lambda p, r: None, ack_timeout_s=0.02, max_retransmit=2) as t:
        with pytest.raises(TransferTimeout):
            await t.ask()
        assert t.peer.handshakes == 1
        assert len(t.peer.messages) == 3


async def test_server_that_is_there_but_does_not_answer_is_not_taken_for_restarted(server: Identity) -> None:
    def babble(peer: Peer, request: Message) -> Message | None:
        return echo(peer, request) if request.payload == b"one" else Message(NON, 0x45, 9, b"other")

    async with talk(server, babble, ack_timeout_s=0.02, max_retransmit=2) as t:
        await t.ask(b"one")
        with pytest.raises(TransferTimeout):
            await t.ask(b"two")
        assert t.peer.handshakes == 1


async def test_server_that_acknowledges_but_never_answers_is_left_at_the_deadline(server: Identity) -> None:
    async with talk(server, lambda p, r: Message(ACK, 0, r.mid), exchange_timeout_s=0.3) as t:
        with pytest.raises(TransferTimeout, match="GetEimPackage"):
            await t.ask()
        for _ in range(1000):  # on a slow machine the deadline is over before the peer reads
            if t.peer.messages:
                break
            await asyncio.sleep(0.01)
        assert len(requests(t.peer.messages)) == 1


async def test_silent_port_is_left_at_the_handshake_deadline(server: Identity) -> None:
    async with talk(server, echo, handshake_timeout_s=0.2) as t:
        t.peer.muted = True
        with pytest.raises(Unreachable, match="did not answer"):
            await t.ask()
        assert t.peer.data == []


async def test_closed_port_is_reported_at_once(server: Identity) -> None:
    async with talk(server, echo, handshake_timeout_s=30) as t:
        t.peer.stop()
        await asyncio.sleep(0)
        with pytest.raises(Unreachable, match="not reachable"):
            await asyncio.wait_for(t.ask(), 60)


async def test_port_closed_under_a_session_is_noticed_at_once(server: Identity) -> None:
    async with talk(server, echo, ack_timeout_s=30, handshake_timeout_s=30) as t:
        await t.ask()
        t.peer.stop()
        await asyncio.sleep(0)
        with pytest.raises(Unreachable, match="not reachable"):
            await asyncio.wait_for(t.ask(), 60)


async def test_network_that_is_away_for_a_moment_does_not_end_the_session(server: Identity) -> None:
    async with talk(server, echo, ack_timeout_s=0.02) as t:
        await t.ask()
        association = t.carrier._association
        assert association is not None
        association.error_received(OSError(101, "Network is unreachable"))
        assert await t.ask(b"x") == b"x"
        assert t.peer.handshakes == 1


async def test_failed_handshakes_leave_no_socket_open(server: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    create, made = loop.create_datagram_endpoint, []

    async def record(*arguments: Any, **options: Any) -> Any:
        transport, protocol = await create(*arguments, **options)
        made.append(transport)
        return transport, protocol

    async with talk(server, echo, handshake_timeout_s=0.05) as t:
        t.peer.muted = True
        monkeypatch.setattr(loop, "create_datagram_endpoint", record)
        for _ in range(3):
            with pytest.raises(Unreachable):
                await t.ask()
        assert [transport.is_closing() for transport in made] == [True] * 3


async def test_cancelled_exchange_leaves_the_carrier_usable(server: Identity) -> None:
    gate = [True]
    async with talk(server, lambda p, r: Message(ACK, 0, r.mid) if gate.pop() else echo(p, r)) as t:
        gate[:] = [False, True]
        task = asyncio.create_task(t.ask())
        await settle(lambda: t.peer.messages)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await t.ask(b"next") == b"next"


async def test_exchanges_wait_for_each_other(server: Identity) -> None:
    async with talk(server, echo) as t:
        assert await asyncio.gather(*(t.ask(bytes([n])) for n in range(5))) == [bytes([n]) for n in range(5)]
        assert t.peer.handshakes == 1


async def test_pin_changed_between_two_carriers_is_not_bypassed_by_the_shared_session(server: Identity) -> None:
    async with talk(server, echo) as t:
        await t.ask()
        await t.carrier.close()
        seen = len(t.peer.data)
        other = CoapsCarrier(endpoint(t.peer, Trust.spki(issue("x").spki)), backend=t.backend)
        with pytest.raises(TrustRefused):
            await other.exchange(b"secret", function="GetEimPackage")
        assert len(t.peer.data) == seen


async def test_session_is_bound_to_everything_that_decides_whom_to_trust(server: Identity) -> None:
    psk = Psk(b"device", b"0123456789abcdef")
    async with talk(server, echo) as t:
        other_key = Psk(b"device", b"another key here")
        endpoints = [
            endpoint(t.peer, Trust.spki(server.spki)),
            endpoint(t.peer, Trust.spki(issue("x").spki)),
            endpoint(t.peer, Trust.spki(server.spki), verify_name="eim.test"),
            endpoint(t.peer, Trust.psk(), psk=psk),
            endpoint(t.peer, Trust.psk(), psk=other_key),
            endpoint(t.peer, Trust.psk(), psk=replace(other_key, identity=b"other")),
        ]
        assert len({CoapsCarrier(e)._settings(1).fingerprint for e in endpoints}) == len(endpoints)


async def test_session_of_an_old_pre_shared_key_is_not_resumed_with_a_new_one() -> None:
    old, new = Psk(b"device", b"0123456789abcdef"), Psk(b"device", b"another key here")
    context = server_context(psk={old.identity: old.key}, suites=b"PSK-AES128-CCM8:@SECLEVEL=0")
    async with serve(context, echo) as peer:
        backend = new_backend()
        first = CoapsCarrier(endpoint(peer, Trust.psk(), psk=old), backend=backend)
        await first.exchange(b"x", function="x")
        await first.close()
        second = CoapsCarrier(endpoint(peer, Trust.psk(), psk=new, handshake_timeout_s=0.2), backend=backend)
        with pytest.raises(HandshakeFailed):
            await second.exchange(b"x", function="x")


async def test_broken_resumption_falls_back_to_a_full_handshake(server: Identity) -> None:
    async with talk(server, echo) as t:
        await t.ask()
        await t.carrier.close()
        # Knows the session's ticket key no more and speaks no suite of the old session: OpenSSL sends an alert.
        t.peer.restart(server_context(server, suites=b"PSK-AES128-CCM8:@SECLEVEL=0", psk={}))
        with pytest.raises(HandshakeFailed):
            await t.ask()
        assert not t.backend.has_session(t.carrier._settings(1))
        t.peer.restart(server_context(server))
        assert await t.ask(b"x") == b"x"


# -- addresses -------------------------------------------------------------------------------------------------------


async def test_every_address_is_tried_and_the_good_one_remembered(server: Identity) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        closed = Address(socket.AF_INET, unused.getsockname())
    async with serve(server_context(server), echo) as peer:
        good = Address(socket.AF_INET, ("127.0.0.1", peer.port))

        async def both(host: str, port: int) -> list[Address]:
            return [closed, good]

        carrier = CoapsCarrier(endpoint(peer, Trust.spki(server.spki)), resolver=both)
        await carrier.exchange(b"x", function="x")
        await carrier.close()
        await carrier.exchange(b"x", function="x")
        await carrier.close()
        assert carrier.traffic.handshakes_failed == 1


async def test_name_without_addresses_is_unreachable(server: Identity) -> None:
    async def nothing(host: str, port: int) -> list[Address]:
        return []

    carrier = CoapsCarrier(CoapsEndpoint("eim.invalid", Trust.spki(server.spki)), resolver=nothing)
    with pytest.raises(Unreachable, match=r"eim\.invalid"):
        await carrier.exchange(b"x", function="x")


# -- configuration ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": ""},
        {"host": "a/b"},
        {"host": "bücher.example"},
        {"port": 0},
        {"block_size_exp": 7},
        {"path": "a//b"},
        {"content_format": 65536},
        {"exchange_timeout_s": 0},
        {"mtu_bytes": 100},
        {"max_response_bytes": 0},
        {"psk": Psk(b"id", b"short")},
        {"psk": Psk(b"id", b"0123456789abcdef")},
    ],
)
def test_wrong_endpoint_values_are_named(server: Identity, wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        replace(CoapsEndpoint("eim.test", Trust.spki(server.spki)), **wrong)  # type: ignore[arg-type]


def test_messages_of_the_tests_own_codec_are_those_of_rfc_7252() -> None:
    # RFC 7252 appendix A, figure 16: CON GET /temperature, MID 0x7d34.
    message = Message(CON, 1, 0x7D34, b"", ((11, b"temperature"),))
    assert message.encode() == bytes.fromhex("44017d34".replace("44", "40", 1)) + b"\xbbtemperature"
    assert decode(message.encode()) == message
