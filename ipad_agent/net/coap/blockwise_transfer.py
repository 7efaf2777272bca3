"""One request and its answer in blocks (RFC 7959), tied together by Request-Tag (RFC 9175), as a state machine.

``BlockRequest`` goes out, ``BlockResponse`` comes in; sending, tokens and retransmission are the caller's. The CoAP
library has a block-wise client of its own, but that one sends no Request-Tag, knows neither 4.08, 4.13 nor Echo, and
reads answers of any size into memory.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NoReturn

from ipad_agent.net.errors import PeerBusy, PeerStatus, ProtocolViolation, ResponseTooLarge
from ipad_agent.printable import summary
from ipad_agent.records import dataclass

MAX_SIZE_EXP = 6
DEFAULT_MAX_AGE_S = 60  # RFC 7252 §5.10.5
MAX_RESTARTS = 2
MAX_ECHOES = 2
SINGLE_DATAGRAM_LIMIT_BYTES = 8192
_SMALL_SIZE_EXP = 4

CONTINUE = 0x5F
_BAD_REQUEST, _UNAUTHORIZED, _BAD_OPTION = 0x80, 0x81, 0x82
_INCOMPLETE, _TOO_LARGE, _TOO_MANY = 0x88, 0x8D, 0x9D
_INTERNAL_ERROR, _NOT_IMPLEMENTED, _UNAVAILABLE = 0xA0, 0xA1, 0xA3

_WITHOUT_BLOCK1 = (_BAD_REQUEST, _BAD_OPTION, _INTERNAL_ERROR, _NOT_IMPLEMENTED)


@dataclass(frozen=True, slots=True)
class Block:
    """A Block1 or Block2 option."""

    number: int
    more: bool
    size_exp: int

    @property
    def size_bytes(self) -> int:
        return 16 << self.size_exp

    @property
    def offset(self) -> int:
        return self.number << (self.size_exp + 4)


@dataclass(frozen=True, slots=True)
class BlockRequest:
    """One CoAP request of the operation. Path, method and content format are the caller's."""

    payload: bytes
    block1: Block | None = None
    block2: Block | None = None
    request_tag: bytes | None = None
    size1: int | None = None
    echo: bytes | None = None
    size2: int | None = None


@dataclass(frozen=True, slots=True)
class BlockResponse:
    """What matters of one CoAP response; ``code`` is the code's byte (0x44 is 2.04)."""

    code: int
    payload: bytes = b""
    block1: Block | None = None
    block2: Block | None = None
    max_age_s: int | None = None
    echo: bytes | None = None
    etag: bytes | None = None
    size2: int | None = None


class Forgotten(Exception):
    """The server does not know this transfer any more, over another session or in the middle of its answer."""


class Adaptation(Enum):
    """How the operation had to be adapted to the server; the caller reports it."""

    UNBLOCKED = "no Block1"
    SHRUNK = "smaller blocks"
    RESTARTED = "restarted"
    NO_CONTINUE = "no 2.31"
    SOME_ETAGS = "ETag on some blocks"


@dataclass(frozen=True, slots=True)
class Adapted:
    """One adaptation, with the reason in words."""

    kind: Adaptation
    reason: str


class Transfer:
    """One operation: ask ``next_request``, send it, hand the answer to ``accept``, until that returns the body."""

    def __init__(
        self,
        body: bytes,
        *,
        size_exp: int,
        max_response_bytes: int,
        new_tag: Callable[[], bytes],
        unblocked: bool = False,
        ask_size: bool = False,
        repeatable: bool = True,
    ) -> None:
        """``size_exp`` 0..6 gives blocks of 16..1024 bytes both ways; ``unblocked`` never cuts the request.

        ``ask_size`` asks the server how large its answer is (RFC 7959 §4), which ``ahead`` has to know. Unless it is
        ``repeatable``, a request that the server has whole is never sent again: ``accept`` raises ``Forgotten`` when
        the server has not kept its answer until all of it was fetched."""
        self._body = body
        self._new_tag = new_tag
        self._max_response_bytes = max_response_bytes
        self._wanted_exp = size_exp
        self.size_exp = size_exp
        self.unblocked = unblocked
        self.adaptations: list[Adapted] = []
        self._restarts_left = MAX_RESTARTS
        self._echoes_left = MAX_ECHOES
        self._echo: bytes | None = None
        self._sent: BlockRequest | None = None
        self._ask_size = ask_size
        self._repeatable = repeatable
        self._moved = False
        self._fetching: Block | None = None
        self._begin()

    @property
    def body(self) -> bytes:
        """The request."""
        return self._body

    @property
    def begun(self) -> bool:
        """Whether the server has taken or given a part of it already."""
        return self._fetching is not None or self._offset > 0

    @property
    def whole_request_sent(self) -> bool:
        """Whether the server may have the whole request, and so may have acted on it."""
        sent = self._sent
        return sent is not None and (self._fetching is not None or sent.block1 is None or not sent.block1.more)

    @property
    def collected_bytes(self) -> int:
        """How much of the answer has come."""
        return len(self._collected)

    @property
    def size2(self) -> int | None:
        """How large the server says its answer is."""
        return self._size2

    def moved(self) -> None:
        """It goes on over another session, whose server may not know it: the next answer shows that, and ``accept``
        raises ``Forgotten`` when it does not go on where this transfer is."""
        self._moved = self.begun

    def begin_again(self) -> None:
        """From the first byte, with another Request-Tag."""
        self._adapt(Adaptation.RESTARTED, "it does not know it on a new session")
        self._moved = False
        self._begin()

    def smaller(self, least_exp: int = _SMALL_SIZE_EXP) -> bool:
        """Go on with blocks of half the size; False when they are as small as makes sense."""
        if self.unblocked or min(self.size_exp, self._wanted_exp) <= least_exp:
            return False
        self._wanted_exp = min(self._wanted_exp, self.size_exp) - 1
        self.size_exp = self._wanted_exp
        if self._fetching is not None:
            exp = min(self._fetching.size_exp, self._wanted_exp)
            self._fetching = Block(len(self._collected) >> (exp + 4), False, exp)
        return True

    def ahead(self, count: int) -> list[BlockRequest]:
        """Up to ``count`` requests for the blocks after the one that is asked for now.

        Only where the size of the answer is known, for nothing may be asked beyond its end. Their answers are to be
        given to ``accept`` in this order, each after a ``next_request`` of its own, which is then equal.
        """
        now, size_bytes = self._fetching, self._size2
        if now is None or size_bytes is None or self._moved:
            return []
        numbers = range(now.number + 1, now.number + 1 + count)
        blocks = [Block(number, False, now.size_exp) for number in numbers]
        return [
            BlockRequest(b"", block2=block, request_tag=self._tag, echo=self._echo)
            for block in blocks
            if block.offset < size_bytes
        ]

    def next_request(self) -> BlockRequest:
        """What to send now; the same again until an answer is accepted."""
        if self._fetching is not None:
            request = BlockRequest(b"", block2=self._fetching, request_tag=self._tag, echo=self._echo)
        else:
            request = self._next_part()
        self._sent = request
        return request

    def accept(self, response: BlockResponse) -> bytes | None:
        """Take the answer to the last request. Returns the whole body of the answer, or None to go on.

        Raises ``PeerBusy``, ``PeerStatus``, ``ProtocolViolation`` or ``ResponseTooLarge``.
        """
        sent = self._sent
        if sent is None:
            raise ProtocolViolation("an answer before anything was asked")
        code = response.code
        if self._moved and not self._goes_on(response):
            raise Forgotten
        self._moved = False
        if code == _UNAUTHORIZED and response.echo is not None and self._echoes_left:
            self._echoes_left -= 1  # RFC 9175 §2.3: the server wants to see that we are here now
            self._echo = response.echo
            return None
        if code in (_UNAVAILABLE, _TOO_MANY):
            raise PeerBusy(DEFAULT_MAX_AGE_S if response.max_age_s is None else response.max_age_s, _text(response))
        if self._fetching is not None:
            if code >> 5 in (4, 5):
                # Part of the answer is here. Whatever it says now is about a request for blocks, which this server
                # takes for another one or cannot place any more, and not about what it was asked to do.
                self._fetch_again(f"it answered {dotted(code)} in the middle of its answer", response)
                return None
            return self._collect(response)
        if code == _INCOMPLETE and self._restarts_left:
            self._restart("it answered 4.08")
            return None
        if code == _TOO_LARGE:
            self._shrink(response)
            return None
        if sent.block1 is not None and sent.block1.more:
            self._accept_part(sent, sent.block1, response)
            return None
        if code == CONTINUE:
            raise ProtocolViolation("the server asks for more of a request that is complete")
        return self._collect(response)

    def _goes_on(self, response: BlockResponse) -> bool:
        code = response.code
        if code in (_UNAVAILABLE, _TOO_MANY) or (code == _UNAUTHORIZED and response.echo is not None):
            return True
        if not _is_success(code):
            return False
        if self._fetching is None:
            return response.block1 is not None
        block = response.block2
        return block is not None and block.offset == len(self._collected) and response.etag == self._etag

    # -- the request -------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._offset = 0
        self._tag: bytes | None = None
        self._fetching = None
        self._collected = bytearray()
        self._etag: bytes | None = None
        self._size2: int | None = None

    def _next_part(self) -> BlockRequest:
        size = 16 << self.size_exp
        wish = Block(0, False, self._wanted_exp) if self._wanted_exp < MAX_SIZE_EXP else None
        size2 = 0 if self._ask_size else None
        if self.unblocked or (self._offset == 0 and len(self._body) <= size):
            return BlockRequest(self._body, block2=wish, echo=self._echo, size2=size2)
        if self._tag is None:
            self._tag = self._new_tag()
        part = self._body[self._offset : self._offset + size]
        more = self._offset + len(part) < len(self._body)
        return BlockRequest(
            part,
            block1=Block(self._offset // size, more, self.size_exp),
            block2=None if more else wish,
            request_tag=self._tag,
            size1=len(self._body) if self._offset == 0 else None,
            echo=self._echo,
            size2=None if more else size2,
        )

    def _accept_part(self, sent: BlockRequest, block1: Block, response: BlockResponse) -> None:
        code = response.code
        # A server that passes over the option takes a first block for the whole: it cannot read it, with 4.00, 5.00 or
        # an answer in its own words.
        answered_whole = _is_success(code) and code != CONTINUE and response.block1 is None
        if block1.number == 0 and (code in _WITHOUT_BLOCK1 or answered_whole):
            if len(self._body) <= SINGLE_DATAGRAM_LIMIT_BYTES:
                self.unblocked = True
                self._adapt(Adaptation.UNBLOCKED, f"it answered {dotted(code)}")
                self._begin()
                return
            if not answered_whole:
                self._refuse(response, hint="The server takes no requests in blocks and this one needs them.")
        if not _is_success(code):
            self._refuse(response)
        if code != CONTINUE:
            if response.block1 is None:
                raise ProtocolViolation("the server answered before it had the whole request; it does not know Block1")
            self._adapt(Adaptation.NO_CONTINUE, dotted(code))
        answered = response.block1
        if answered is not None and answered.offset != block1.offset and answered.number != block1.number:
            raise ProtocolViolation("the server acknowledged another block than the one it was sent")
        self._offset += len(sent.payload)
        if answered is not None and answered.size_exp < self.size_exp:
            self.size_exp = answered.size_exp  # the offset is a multiple of the smaller size too

    def _shrink(self, response: BlockResponse) -> None:
        """4.13: the server says which size it takes (RFC 7959 §2.9.3), or we guess; once."""
        now = self.size_exp
        if self.unblocked or any(a.kind is Adaptation.SHRUNK for a in self.adaptations):
            self._refuse(response)
        hint = response.block1.size_exp if response.block1 is not None else MAX_SIZE_EXP
        smaller = hint if hint < now else min(now - 1, _SMALL_SIZE_EXP)
        while smaller >= 0 and len(self._body) <= 16 << smaller:
            smaller -= 1  # blocks that would still hold the whole request change nothing
        if smaller < 0:
            self._refuse(response)
        self.size_exp = smaller
        self._adapt(Adaptation.SHRUNK, f"{16 << smaller} bytes")
        self._begin()

    def _restart(self, reason: str) -> None:
        self._restarts_left -= 1
        self._adapt(Adaptation.RESTARTED, reason)
        self._begin()

    # -- the answer --------------------------------------------------------------------------------------------------

    def _collect(self, response: BlockResponse) -> bytes | None:
        if not _is_success(response.code) or response.code == CONTINUE:
            self._refuse(response)
        block = response.block2
        have = len(self._collected)
        if block is None:
            if self._fetching is not None:
                raise ProtocolViolation("a later block of the answer came without the Block2 option")
            self._check_size(len(response.payload))
            return response.payload
        if block.size_exp > MAX_SIZE_EXP or block.offset != have:
            raise ProtocolViolation(f"the answer's block begins at byte {block.offset} instead of {have}")
        if len(response.payload) > block.size_bytes or (block.more and len(response.payload) < block.size_bytes):
            raise ProtocolViolation(f"a block of {block.size_bytes} bytes has {len(response.payload)}")
        if have and response.etag != self._etag:
            if response.etag is not None and self._etag is not None:
                self._fetch_again("its answer changed")
                return None
            # RFC 7959 §2.4 has us compare the tags that are there; a block without one says nothing.
            self._adapt(Adaptation.SOME_ETAGS, f"byte {have}")
        self._etag = self._etag if response.etag is None else response.etag
        self._size2 = response.size2 or self._size2
        self._check_size(max(have + len(response.payload) + block.more, response.size2 or 0))
        self._collected += response.payload
        if not block.more:
            return bytes(self._collected)
        size_exp = min(block.size_exp, self._wanted_exp)
        self._fetching = Block(len(self._collected) >> (size_exp + 4), False, size_exp)
        return None

    def _fetch_again(self, reason: str, refusal: BlockResponse | None = None) -> None:
        """The answer whose beginning is here cannot be had to its end."""
        if not self._repeatable:
            raise Forgotten
        if self._restarts_left:
            self._restart(reason)
        elif refusal is not None:
            self._refuse(refusal)
        else:
            raise ProtocolViolation("the answer keeps changing while it is fetched")

    def _check_size(self, size_bytes: int) -> None:
        if size_bytes > self._max_response_bytes:
            raise ResponseTooLarge(f"the answer is larger than {self._max_response_bytes} bytes")

    # -- words -------------------------------------------------------------------------------------------------------

    def _adapt(self, kind: Adaptation, reason: str) -> None:
        if all(adapted.kind is not kind for adapted in self.adaptations) or kind is Adaptation.RESTARTED:
            self.adaptations.append(Adapted(kind, reason))

    @staticmethod
    def _refuse(response: BlockResponse, *, hint: str | None = None) -> NoReturn:
        raise PeerStatus(dotted(response.code), _text(response), hint=hint, body=response.payload)


def dotted(code: int) -> str:
    """A CoAP code as people write it: ``4.04``."""
    return f"{code >> 5}.{code & 0x1F:02d}"


def _is_success(code: int) -> bool:
    return code >> 5 == 2


def _text(response: BlockResponse) -> str:
    """The diagnostic payload (RFC 7252 §5.5.2), made fit for a log line; empty if it is no text."""
    try:
        text = response.payload[:800].decode("utf-8")
    except UnicodeDecodeError:
        return ""
    return summary(text, 200)
