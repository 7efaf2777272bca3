"""What a way to the card (AT+CGLA on a session or on session 0, AT+CSIM) carries: whether it opens, how large, how
whole, how fast."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from ipad_agent.card import es10_transport
from ipad_agent.card.apdu_channel import ApduChannel, CardAccess, ModemIdentity, RecoveryPlan
from ipad_agent.card.errors import ChannelLost, ChannelRefused, StatusWordError, TruncatedAnswer
from ipad_agent.card.es10_transport import BLOCK_SIZES, ApduDeadlines, Es10Transport
from ipad_agent.card.isdr_session import IsdrSession
from ipad_agent.codec.ber import tlv
from ipad_agent.codec.es10.es10_requests import get_certs_request, get_eid_request
from ipad_agent.errors import CardError, ModemError
from ipad_agent.records import dataclass

SAMPLES: Final = 20
SAMPLING_S: Final = 4.0
"""Samples are taken until one of the two is reached."""
COMMANDS: Final = {"cgla": "AT+CGLA", "cgla-basic": "AT+CGLA with session 0", "csim": "AT+CSIM"}
"""The ways as a person calls them."""
_LONGEST: Final = {
    "GetCerts": get_certs_request(),
    "GetProfilesInfo": bytes.fromhex("BF2D00"),
    "GetEimConfigurationData": bytes.fromhex("BF5500"),
    "GetEUICCInfo2": bytes.fromhex("BF2200"),
}
DEADLINES: Final = ApduDeadlines(apdu_s=20.0, last_block_s=20.0)


@dataclass(frozen=True, slots=True)
class WayFacts:
    """``opens``: a channel to the ISD-R was opened and the EID was read over it; else ``why`` says what happened, and
    ``refused`` whether the module let nothing through, as opposed to what the card answered or that there is none.

    ``block_bytes`` is the largest STORE DATA that the card answered as it answers small ones, of those that the agent
    uses; None when none was. ``longest_answer_bytes`` is the longest response APDU without its status word that came.
    ``cut_at_bytes``: answers end there although their header announces more. ``failed`` are functions that got no
    answer of the card twice, as over a module that waits for the card no longer than its timer. ``le``: STORE DATA
    with an Le byte is answered. ``host_fetches``: the modem passes 61xx on; False when it collects the answer itself.
    ``p50_ms`` and ``p95_ms`` are those of GetEID, an APDU with its GET RESPONSE.
    """

    way: str
    opens: bool
    why: str = ""
    block_bytes: int | None = None
    longest_answer_bytes: int = 0
    cut_at_bytes: int | None = None
    le: bool | None = None
    host_fetches: bool | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    samples: int = 0
    failed: tuple[str, ...] = ()
    refused: bool = False

    @property
    def usable(self) -> bool:
        """Whether everything that was asked came back whole."""
        return self.opens and self.cut_at_bytes is None and not self.failed


class UnsweptAccess:
    """``CardAccess`` that closes no channel which somebody else may have opened, and leaves none open when it is
    interrupted. ``rungs`` are those of the reset ladder that were climbed."""

    def __init__(self, access: CardAccess) -> None:
        self.rungs: list[int] = []
        self._access = access

    @property
    def epoch(self) -> int:
        return self._access.epoch

    async def notice_changes(self) -> None:
        await self._access.notice_changes()

    async def open(self, aid: bytes, *, last: bool = True) -> ApduChannel:
        opening = asyncio.ensure_future(self._access.open(aid, last=False))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            # Which channel it is, is only known from the answer.
            with contextlib.suppress(CardError, ModemError):
                await (await opening).close()
            raise

    async def send_terminal_capability(self, apdu: bytes) -> bytes:
        return await self._access.send_terminal_capability(apdu)

    async def reset_card(self, *, rung: int) -> None:
        self.rungs.append(rung)
        await self._access.reset_card(rung=rung)

    async def read_iccid(self) -> str | None:
        return await self._access.read_iccid()

    async def identity(self) -> ModemIdentity:
        return await self._access.identity()

    def recovery_plan(self) -> RecoveryPlan:
        return self._access.recovery_plan()

    async def close(self) -> None:
        await self._access.close()


class _Traffic:
    """The APDUs that went by."""

    def __init__(self) -> None:
        self.longest = 0
        self.passed_61 = False
        self.with_data = False
        self._command = b""

    def __call__(self, direction: str, data: bytes) -> None:
        if direction == "sent":
            self._command = data
            return
        command, answer = self._command, data
        self.longest = max(self.longest, len(answer) - 2)
        if len(answer) >= 2 and command[1] == 0xE2:
            self.passed_61 = self.passed_61 or (len(answer) == 2 and answer[-2] == 0x61)
            self.with_data = self.with_data or len(answer) > 2


async def examine(way: str, session: IsdrSession) -> WayFacts:
    """Open, read, measure, close. Raises what ends the line."""
    traffic = _Traffic()
    end = es10_transport.tap(traffic)
    try:
        try:
            await session.transport()
        except CardError as error:
            return WayFacts(way, False, error.message, refused=isinstance(error, ChannelRefused | ChannelLost))
        cut, failed = await _read_longest(session)
        block = await _largest_block(session)
        le = await _takes_le(session)
        times_ms = await sample(lambda: _read(session, get_eid_request()))
        fetches = True if traffic.passed_61 else False if traffic.with_data else None
        p50, p95 = percentile(times_ms, 0.5), percentile(times_ms, 0.95)
        longest = max(0, traffic.longest)
        return WayFacts(way, True, "", block, longest, cut, le, fetches, p50, p95, len(times_ms), failed)
    finally:
        end()
        await session.drop()


async def sample(call: Callable[[], Awaitable[object]]) -> list[float]:
    """How long each of some calls took, in milliseconds; one that fails ends the sampling."""
    loop = asyncio.get_running_loop()
    began_s, times_ms = loop.time(), list[float]()
    while len(times_ms) < SAMPLES and loop.time() - began_s < SAMPLING_S:
        one_s = loop.time()
        try:
            await call()
        except (CardError, ModemError):
            break
        times_ms.append((loop.time() - one_s) * 1000)
    return times_ms


def percentile(values: list[float], share: float) -> float | None:
    """The smallest of the values that at least this share of them does not exceed; None without values."""
    if not values:
        return None
    ordered = sorted(values)
    return round(ordered[max(0, -(-len(ordered) * int(share * 100) // 100) - 1)], 1)


async def _read(session: IsdrSession, request: bytes) -> bytes:
    return await (await session.transport()).es10(request, idempotent=True)


async def _read_longest(session: IsdrSession) -> tuple[int | None, tuple[str, ...]]:
    """Read the longest things a card has to tell: its certificates, and its profiles with all that it knows of them.
    Where answers are cut, and what was not answered."""
    failed: list[str] = []
    for name, request in _LONGEST.items():
        seen = bytearray()

        def collect(direction: str, data: bytes, seen: bytearray = seen) -> None:
            if direction == "received":
                seen.extend(data[:-2])

        transport = await session.transport()
        end = es10_transport.tap(collect)
        try:
            await transport.es10(request, idempotent=True)
        except TruncatedAnswer:
            await session.drop()
            return len(seen), tuple(failed)
        except StatusWordError:
            continue  # this card lacks the function
        except CardError:
            await session.drop()
            if not await _answers(session, request):
                failed.append(name)
        finally:
            end()
    return None, tuple(failed)


async def _answers(session: IsdrSession, request: bytes) -> bool:
    """Once more: a line may be disturbed."""
    try:
        await _read(session, request)
    except StatusWordError:
        return True
    except CardError:
        await session.drop()
        return False
    return True


async def _largest_block(session: IsdrSession) -> int | None:
    """The largest STORE DATA that gets the same answer as the shortest of those that the agent uses, whatever the card
    makes of a list that names its tags so often: equal answers say that both arrived whole."""
    expected: bytes | None = None
    for size in sorted(BLOCK_SIZES, key=lambda size: (size != BLOCK_SIZES[-1], -size)):
        transport = await session.transport()
        transport.block_size = size
        try:
            answer = await transport.es10(profile_question(size), idempotent=True)
        except CardError:
            await session.drop()
            if expected is None:
                return None
            continue
        if expected is None:
            expected = answer
        elif answer == expected and transport.block_size == size:
            return size
    return BLOCK_SIZES[-1]


def profile_question(size_bytes: int) -> bytes:
    """GetProfilesInfo for ICCID and state, in exactly so many bytes: the two tags stand in its list as often as there
    is room."""
    tags = bytes.fromhex("5A9F70")
    for length in range(len(tags), size_bytes):
        filled = tags * (length // 3) + b"\x5a" * (length % 3)
        request = tlv.encode(0xBF2D, tlv.encode(0x5C, filled))
        if len(request) == size_bytes:
            return request
    raise ValueError(f"there is no such question of {size_bytes} bytes")


async def _takes_le(session: IsdrSession) -> bool | None:
    """Whether STORE DATA with an Le byte gets an answer: some modems refuse it, a few cards want it."""
    transport: Es10Transport = await session.transport()
    before, transport.le = transport.le, True
    try:
        return bool(await transport.es10(get_eid_request(), idempotent=True))
    except ChannelLost:
        await session.drop()
        return False
    except CardError:
        return False
    finally:
        transport.le = before
