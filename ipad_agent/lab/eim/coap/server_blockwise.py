"""Block-wise transfer on the server's side (RFC 7959, RFC 9175), without CoAP messages or clock.

Blocks of one request belong together by peer, path and Request-Tag, never by token: libcoap takes a new token for
every block. A finished answer stays for a while so that its later blocks can be fetched.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

LIFETIME_S = 247.0  # EXCHANGE_LIFETIME of RFC 7252 §4.8.2
MAX_SZX = 6


@dataclass(frozen=True, slots=True)
class Block:
    """A Block1 or Block2 option: block number, more flag, size exponent (16 << szx bytes)."""

    number: int
    more: bool
    szx: int

    @property
    def size_bytes(self) -> int:
        """Bytes in a full block."""
        return 16 << self.szx

    @property
    def offset_bytes(self) -> int:
        """Where the block begins in the body."""
        return self.number * self.size_bytes


@dataclass(frozen=True, slots=True)
class Complete:
    """The whole request body is there."""

    body: bytes


@dataclass(frozen=True, slots=True)
class Continue:
    """2.31; ``block`` goes back as Block1, with the size the server would like."""

    block: Block


@dataclass(frozen=True, slots=True)
class Incomplete:
    """4.08: blocks are missing; the client begins again."""

    reason: str


@dataclass(frozen=True, slots=True)
class BadBlock:
    """4.00: the payload does not have the size its option says."""

    reason: str


@dataclass(frozen=True, slots=True)
class TooLarge:
    """4.13: ``limit_bytes`` as Size1, or a smaller block size as ``block``."""

    limit_bytes: int | None
    block: Block | None = None


Verdict = Complete | Continue | Incomplete | BadBlock | TooLarge


@dataclass(slots=True)
class _Assembly:
    body: bytes
    touched_s: float


class Block1Assembler:
    """Puts request bodies together. ``preferred_szx`` is what clients are asked to go down to."""

    def __init__(
        self,
        *,
        max_body_bytes: int,
        preferred_szx: int = MAX_SZX,
        insist_on_szx: bool = False,
        max_assemblies: int = 64,
    ) -> None:
        self.max_body_bytes = max_body_bytes
        self.preferred_szx = preferred_szx
        self.insist_on_szx = insist_on_szx
        self._max_assemblies = max_assemblies
        self._assemblies: dict[Hashable, _Assembly] = {}

    def __len__(self) -> int:
        return len(self._assemblies)

    def feed(self, key: Hashable, block: Block, payload: bytes, now_s: float, size1: int | None = None) -> Verdict:
        """One block of the request ``key``."""
        self._expire(now_s)
        if block.szx > MAX_SZX:
            return BadBlock("SZX 7 is reserved")
        if block.more and len(payload) != block.size_bytes:
            return BadBlock(f"{len(payload)} bytes in a block of {block.size_bytes} with more to come")
        if len(payload) > block.size_bytes:
            return BadBlock(f"{len(payload)} bytes in a block of {block.size_bytes}")
        if self.insist_on_szx and block.szx > self.preferred_szx:
            return TooLarge(None, Block(0, False, self.preferred_szx))
        if max(block.offset_bytes + len(payload), size1 or 0) > self.max_body_bytes:
            self._assemblies.pop(key, None)
            return TooLarge(self.max_body_bytes)
        if block.number == 0:
            self._begin(key, now_s)
        assembly = self._assemblies.get(key)
        if assembly is None:
            return Incomplete("the first block is not here")
        assembly.touched_s = now_s
        have = assembly.body[block.offset_bytes : block.offset_bytes + len(payload)]
        if block.offset_bytes == len(assembly.body):
            assembly.body += payload
        elif not payload or have != payload:  # not a repetition of what is already here
            del self._assemblies[key]
            return Incomplete(f"block at {block.offset_bytes} does not follow {len(assembly.body)} bytes")
        if block.more:
            return Continue(Block(block.number, True, min(block.szx, self.preferred_szx)))
        del self._assemblies[key]
        return Complete(assembly.body)

    def clear(self) -> None:
        """Forget everything, as a restart does."""
        self._assemblies.clear()

    def _begin(self, key: Hashable, now_s: float) -> None:
        self._assemblies.pop(key, None)
        while len(self._assemblies) >= self._max_assemblies:
            del self._assemblies[min(self._assemblies, key=lambda other: self._assemblies[other].touched_s)]
        self._assemblies[key] = _Assembly(b"", now_s)

    def _expire(self, now_s: float) -> None:
        for key in [key for key, one in self._assemblies.items() if now_s - one.touched_s > LIFETIME_S]:
            del self._assemblies[key]


@dataclass(frozen=True, slots=True)
class Slice:
    """A piece of an answer and its Block2 option."""

    block: Block
    payload: bytes
    total_bytes: int


class Block2Store:
    """Keeps answers that did not fit into one block and hands out their pieces."""

    def __init__(self, *, preferred_szx: int = MAX_SZX, max_answers: int = 64) -> None:
        self.preferred_szx = preferred_szx
        self._max_answers = max_answers
        self._answers: dict[Hashable, tuple[bytes, float]] = {}

    def __len__(self) -> int:
        return len(self._answers)

    def first(self, key: Hashable, body: bytes, wanted: Block | None, now_s: float) -> Slice | None:
        """The first piece of a fresh answer, or None when it fits into one message as it is."""
        self._expire(now_s)
        self._answers.pop(key, None)
        szx = min(self.preferred_szx, MAX_SZX if wanted is None else wanted.szx)
        if len(body) <= 16 << szx:
            return None
        while len(self._answers) >= self._max_answers:
            del self._answers[min(self._answers, key=lambda other: self._answers[other][1])]
        self._answers[key] = (body, now_s)
        return _cut(body, Block(0, False, szx))

    def later(self, key: Hashable, wanted: Block, now_s: float) -> Slice | None:
        """A later piece, or None (4.08) when the answer is not kept or has no such block."""
        self._expire(now_s)
        kept = self._answers.get(key)
        if kept is None or wanted.szx > MAX_SZX or wanted.offset_bytes >= len(kept[0]):
            return None
        self._answers[key] = (kept[0], now_s)
        return _cut(kept[0], wanted)

    def clear(self) -> None:
        """Forget everything, as a restart does."""
        self._answers.clear()

    def _expire(self, now_s: float) -> None:
        for key in [key for key, (_, touched_s) in self._answers.items() if now_s - touched_s > LIFETIME_S]:
            del self._answers[key]


def _cut(body: bytes, wanted: Block) -> Slice:
    # A client may ask with a larger SZX than it got; a smaller one keeps its offsets (RFC 7959 §2.4).
    start = wanted.offset_bytes
    end = start + wanted.size_bytes
    return Slice(Block(wanted.number, end < len(body), wanted.szx), body[start:end], len(body))
