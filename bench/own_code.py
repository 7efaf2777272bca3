"""What our own code takes for one APDU, for one CoAP exchange and for one idle poll, with nothing real around it.

    python bench/own_code.py

Processor time of this process. The channel answers every APDU at once, and the CoAP server is the few bytes of an
acknowledgement; their little work is in the figures. DTLS is left out: it is OpenSSL's. The files of an idle poll are
counted on a device in memory.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any

from figures import Figure, rows
from growth_worlds import CountingDisk, Grown, Meter, Spent, live
from serial_line import QuickCard

from ipad_agent.card.es10_transport import Es10Transport
from ipad_agent.card.isdr_session import IsdrSession
from ipad_agent.lab.modem import AtEngine, personality
from ipad_agent.modem.module_profile_files import load, search_path
from ipad_agent.modem.uicc.modem_card_access import ModemCardAccess
from ipad_agent.net.carrier import Traffic
from ipad_agent.net.coap.blockwise_transfer import BlockRequest
from ipad_agent.net.coap.coap_association import Association, Tuning
from ipad_agent.net.dtls.dtls_backend import DtlsEvent, Established, Received
from ipad_agent.net.trust.certificate_chain import Verdict
from ipad_agent.torture.history.fault_history import COAP, Setting
from ipad_agent.torture.world.memory_serial_line import MemoryModem, MemoryOpener
from ipad_agent.torture.world.process_fence import ProcessFence
from ipad_agent.torture.world.virtual_time_loop import TortureLoop, run

BLOCKS = 60
BLOCK_BYTES = 255
PAYLOAD = bytes(60)
TUNING = Tuning(ack_timeout_s=2.0, max_retransmit=4)
POLLS = 4
OVER_AT = "the same with AT dialogue and modem room, on a line in memory without the lab's share"
PATH = ("gsma", "rsp2", "asn1")


class ReadyChannel:
    """Answers every APDU with 9000."""

    le_on_case4 = False
    max_data_bytes = BLOCK_BYTES
    description = "memory"
    select_response = b""

    async def transceive(self, apdu: bytes, *, deadline_s: float) -> bytes:
        return b"\x90\x00"

    async def close(self) -> None:
        return None

    def note_unusable(self, reason: str) -> None:
        raise RuntimeError(reason)


class PlainClient:
    """Implements ``DtlsClient`` without protecting anything."""

    retransmissions = 0

    def __init__(self) -> None:
        self._out: list[bytes] = []

    def start(self, now_s: float) -> list[DtlsEvent]:
        return [Established(resumed=False, cipher="none", verdict=Verdict("there is nobody"))]

    def feed(self, datagram: bytes, now_s: float) -> list[DtlsEvent]:
        return [Received(datagram)]

    def take(self) -> list[bytes]:
        out, self._out = self._out, []
        return out

    def send(self, data: bytes) -> None:
        self._out.append(data)

    def timeout_at(self) -> float | None:
        return None

    def handle_timeout(self, now_s: float) -> list[DtlsEvent]:
        return []

    def close(self) -> None:
        return None


class AnsweringSocket(asyncio.DatagramTransport):
    """Answers each request with a piggybacked 2.04 and a payload (RFC 7252 §5.2.1)."""

    def __init__(self, association: Association) -> None:
        super().__init__()
        self._association = association
        self._loop = asyncio.get_running_loop()

    def sendto(self, data: Any, addr: Any = None) -> None:
        token_bytes = data[0] & 0x0F
        answer = bytes([0x60 | token_bytes, 0x44]) + data[2 : 4 + token_bytes] + b"\xff" + PAYLOAD
        self._loop.call_soon(self._association.datagram_received, answer, None)

    def abort(self) -> None:
        return None

    close = abort


async def per_apdu_ms(rounds: int) -> float:
    """STORE DATA blocks of 255 bytes in chains of ``BLOCKS``."""
    transport = Es10Transport(ReadyChannel())

    async def chain() -> int:
        before = transport.apdu_count
        await transport.es10(_request(), idempotent=True)
        return transport.apdu_count - before

    return await _median_ms(chain, rounds)


def per_apdu_over_at_ms(way: str, rounds: int) -> float:
    """The same with AT dialogue and modem room against the lab's modem on a line in memory: the agent's share, which a
    profiler tells, of the processor time without one."""

    async def story(loop: TortureLoop) -> float:
        line = MemoryModem(loop, AtEngine(QuickCard(), personality("generic", echo=False, max_line_bytes=1024)))
        access = ModemCardAccess(MemoryOpener(line, ProcessFence(1)), load(search_path()), forced_way=way)
        session = IsdrSession(access, terminal_capability="never")
        try:
            transport = await session.transport()

            async def chain() -> int:
                before = transport.apdu_count
                await transport.es10(_request(), idempotent=True)
                return transport.apdu_count - before

            all_ms, meter = await _median_ms(chain, rounds), Meter(CountingDisk())
            with meter:
                await chain()
            return all_ms * meter.share
        finally:
            await session.drop()
            await access.close()

    return run(story)


def _request() -> bytes:
    """One that takes ``BLOCKS`` blocks."""
    size = BLOCKS * BLOCK_BYTES - 5
    return b"\xbf\x36\x82" + size.to_bytes(2, "big") + bytes(size)


async def per_exchange_ms(rounds: int) -> float:
    """A small request and its piggybacked answer."""
    association = Association(PlainClient(), ("eim.example", 5684), Traffic())
    association.connection_made(AnsweringSocket(association))
    association._process([Established(resumed=False, cipher="none", verdict=Verdict("there is nobody"))])

    async def some() -> int:
        for _ in range(100):
            answer = await association.request(
                BlockRequest(PAYLOAD), path=PATH, uri_host="eim.example", content_format=None, tuning=TUNING
            )
            if answer.payload != PAYLOAD:
                raise RuntimeError("the answer is another one")
        return 100

    spent_ms = await _median_ms(some, rounds)
    association.close()
    return spent_ms


async def _median_ms(work: Callable[[], Awaitable[int]], rounds: int) -> float:
    """Of the processor time of each thing that ``work`` does; it returns how many these were."""
    await work()
    spent = []
    for _ in range(rounds):
        before_s = time.process_time()
        done = await work()
        spent.append((time.process_time() - before_s) / done * 1000)
    return median(spent)


def idle_poll_files() -> tuple[float, float]:
    """Files and bytes that one scheduled idle poll over CoAP writes."""
    found: list[tuple[float, float]] = []

    async def story(device: Grown) -> Spent:
        polls, files, size_bytes = device.eim.polls, device.disk.files, device.disk.written_bytes
        while device.eim.polls < polls + POLLS:  # noqa: ASYNC110 - in virtual time
            await asyncio.sleep(600.0)
        await asyncio.sleep(60.0)
        done = device.eim.polls - polls
        found.append(((device.disk.files - files) / done, (device.disk.written_bytes - size_bytes) / done))
        return Spent(0, 0.0)

    live(story, Setting(carrier=COAP))
    return found[0]


def measure(rounds: int = 50) -> list[Figure]:
    """All of them, in a few seconds."""
    apdu_ms, exchange_ms = asyncio.run(per_apdu_ms(rounds)), asyncio.run(per_exchange_ms(rounds))
    files, size_bytes = idle_poll_files()
    return [
        Figure(
            "CPU of an APDU", "ms", apdu_ms, 0.3, f"median of {rounds} chains of {BLOCKS} blocks; no modem, no line"
        ),
        *(
            Figure(f"CPU of an APDU, AT+{way.upper()}", "ms", per_apdu_over_at_ms(way, rounds), 0.3, OVER_AT)
            for way in ("cgla", "csim")
        ),
        Figure("CPU of a CoAP exchange", "ms", exchange_ms, 1.0, f"median of {rounds} times 100; DTLS left out"),
        Figure("files written by an idle poll", "", files, 1, "each is synced; over CoAP, in memory"),
        Figure("bytes of these files", "bytes", size_bytes, None, "one eIM"),
    ]


if __name__ == "__main__":
    print("\n".join(rows(measure())))
