"""Watches one reader read one input: what it raises, how long it takes, how much memory it wants."""

from __future__ import annotations

import logging
import re
import signal
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType, TracebackType

from ipad_agent.errors import IpadError

from .target import Reader, Target

CPU_S = 2.0
"""For one reader and one input of up to 64 kilobytes. Ten times what the slowest needs on a slow machine."""
MEASURING_FACTOR = 5
"""How much longer it may take while memory is measured."""
LARGEST_BYTES = 65_536
LONGEST_SENTENCE = 2000
"""Of an error or a line of the log, in characters."""
MEMORY_BYTES = 24 << 20
"""Above what was there before, for an input of up to 64 kilobytes: an element of two bytes costs some 300."""

_LOGGER = logging.getLogger("ipad_agent")


class TookTooLong(BaseException):
    """The reader was interrupted. No ``Exception``, so that no reader takes it for one of its own."""


@dataclass(frozen=True, slots=True)
class Failure:
    """``data`` made ``reader`` of ``target`` do what it must not; ``problem`` is one line, ``error`` the exception."""

    target: str
    reader: str
    data: bytes
    problem: str
    error: BaseException | None = None

    @property
    def kind(self) -> str:
        """The same for inputs that fail in the same way and place."""
        where = self.error.__traceback__ if self.error is not None else None
        while where is not None and where.tb_next is not None:
            where = where.tb_next
        place = f"{where.tb_frame.f_code.co_name}:{where.tb_lineno}" if where is not None else ""
        what = type(self.error).__name__ if self.error is not None else re.sub("[0-9]+", "n", self.problem)[:20]
        return f"{self.reader} {what} {place}"

    def __str__(self) -> str:
        shown = self.data if len(self.data) <= 200 else self.data[:200] + b"..."
        return f"{self.target}: {self.reader} {self.problem}\n  input ({len(self.data)} bytes): {shown!r}"


def probe(target: Target, data: bytes, *, memory: bool = False) -> Failure | None:
    """Let every reader of ``target`` read ``data``; the first thing that must not be, or None.

    Call it in the main thread: the watch is a signal.
    """
    # Made once for all readers of an input: most of them take less time than making it.
    with _Log() as log, _interruptions():
        for name, read in target.readers.items():
            problem, error = _watched(read, data, target, log, memory=memory)
            if problem:
                return Failure(target.name, name, data, problem, error)
    return None


def takes(target: Target, name: str, data: bytes) -> bool:
    """Whether this reader reads ``data`` without any error."""
    try:
        with _Log(), _interruptions(), _cpu_time(CPU_S):
            target.readers[name](data)
    except (Exception, TookTooLong):  # noqa: BLE001 - whether it is a right one is for ``probe`` to say
        return False
    return True


def _watched(read: Reader, data: bytes, target: Target, log: _Log, *, memory: bool) -> tuple[str, BaseException | None]:
    limit_s = CPU_S * MEASURING_FACTOR if memory else CPU_S
    log.problem = ""
    try:
        with _cpu_time(limit_s), _memory(memory) as grown:
            problem = _read(read, data, target)
        if grown and grown[0] > MEMORY_BYTES:
            return f"takes {grown[0] >> 20} MB for {len(data)} bytes", None
        return problem or log.problem, None
    except TookTooLong as error:
        return f"does not end within {limit_s:g} s of processor time", error
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, it is what is looked for
        return f"raises {type(error).__name__}: {str(error)[:200]}", error


def _read(read: Reader, data: bytes, target: Target) -> str:
    """What is wrong with the answer, in words; empty when nothing is. Lets through what is not the target's error."""
    try:
        value = read(data)
    except target.errors as error:
        return _unfit_words(error) if target.logged else ""
    repr(value)  # what was read will be shown somewhere
    return ""


def _unfit_words(error: Exception) -> str:
    """Why an error's sentence could not go into the log as it is."""
    hint = error.hint if isinstance(error, IpadError) else ""
    return _unfit(str(error)) or _unfit(hint)


def _unfit(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return f"says what no file can hold: {text[:200]!r}"
    if not text.isprintable():
        return f"says what is not one printable line: {text[:200]!r}"
    if len(text) > LONGEST_SENTENCE:
        return f"says {len(text)} characters: {text[:200]!r}"
    return ""


class _Log(logging.Handler):
    """Hears what the agent would log while it reads; ``problem`` says what is wrong with a line of it."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.problem = ""

    def __enter__(self) -> _Log:
        self._before = (_LOGGER.propagate, _LOGGER.level)
        _LOGGER.addHandler(self)
        _LOGGER.propagate = False
        _LOGGER.setLevel(logging.INFO)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _LOGGER.removeHandler(self)
        _LOGGER.propagate = self._before[0]
        _LOGGER.setLevel(self._before[1])

    def emit(self, record: logging.LogRecord) -> None:
        self.problem = self.problem or _unfit(record.getMessage())


@contextmanager
def _interruptions() -> Iterator[None]:
    """The end of ``_cpu_time`` is an exception."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise TookTooLong

    before = signal.signal(signal.SIGVTALRM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGVTALRM, before)


class _cpu_time:  # noqa: N801 - used as a context manager only
    """Within ``_interruptions``."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s

    def __enter__(self) -> None:
        signal.setitimer(signal.ITIMER_VIRTUAL, self._limit_s)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


class _memory:  # noqa: N801 - used as a context manager only
    """Enters as a list that holds the growth in bytes afterwards; it stays empty when nothing is to be measured."""

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted and not tracemalloc.is_tracing()
        self._grown: list[int] = []

    def __enter__(self) -> list[int]:
        if self._wanted:
            tracemalloc.start()
        return self._grown

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._wanted:
            self._grown.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
