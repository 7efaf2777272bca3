"""What the agent says: every message is defined once, with a stable id, a sentence and an explanation.

A room keeps its messages in its own ``events.py``::

    @define("IPA-2003", WARNING, "The port {port} vanished; waiting for it to come back.", "…")
    def PORT_LOST(*, port: Path) -> None: ...

    PORT_LOST.emit(port=path)

The parameters are the event's facts with their types, units in their names; mypy checks every ``emit`` and everything
that reacts to one. ``docs/events.md`` is made from all of them.

``emit`` logs the sentence to the logger ``ipad_agent`` with the id and the facts attached, for journald, for the
JSON log that the demo and the lab read, and for ``explain``. Facts must never hold secrets; EID and ICCID go in
their shortened form.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Mapping
from logging import DEBUG, ERROR, INFO, WARNING
from typing import Any, Final, Generic, ParamSpec, TextIO

from ipad_agent.records import dataclass

from .printable import printable, printable_data, printable_lines

__all__ = ["CATALOGUE", "DEBUG", "ERROR", "INFO", "WARNING", "Event", "configure", "define", "listen"]

LOGGER: Final = logging.getLogger("ipad_agent")
_MARK: Final = "?"
"""For what is not printable: a log may be read on a console that has ASCII only."""

P = ParamSpec("P")
_PLAIN: Final[Mapping[str, type | tuple[type, ...]]] = {"str": str, "int": int, "bool": bool, "float": (int, float)}

CATALOGUE: Final[dict[str, Event[...]]] = {}
_LISTENERS: Final[list[Listener]] = []


@dataclass(frozen=True, slots=True)
class Event(Generic[P]):
    """One thing the agent can say. ``sentence`` is a format string over the facts; ``explanation`` says what it
    means, what happens next and what a person can do; ``fields`` are the names of the facts with their types."""

    id: str
    level: int
    sentence: str
    explanation: str
    fields: Mapping[str, str]

    def text(self, facts: Mapping[str, object]) -> str:
        """The sentence with these facts; the bare sentence when one is missing, which is a defect of the speaker and
        no reason to be silent."""
        try:
            return self.sentence.format_map(facts)
        except (KeyError, ValueError, TypeError, IndexError, AttributeError):
            return self.sentence

    def fits(self, facts: Mapping[str, object]) -> bool:
        """Whether the event's fields are there, with their plain types. Events of this program always fit, by mypy; a
        listener that must not fail asks all the same."""
        return self.fields.keys() <= facts.keys() and all(
            isinstance(facts[name], _PLAIN[kind]) for name, kind in self.fields.items() if kind in _PLAIN
        )

    def emit(self, *_: P.args, **facts: P.kwargs) -> None:
        """Log the sentence, filled with the facts, and tell the listeners."""
        for listener in tuple(_LISTENERS):
            listener(self, facts)
        if LOGGER.isEnabledFor(self.level):
            message = printable(self.sentence.format_map(facts), mark=_MARK)
            # Not by ``LOGGER.log``, which looks for the caller in the stack: nobody is told where it is.
            record = logging.LogRecord(LOGGER.name, self.level, "", 0, message, None, None)
            record.event, record.facts = self, facts
            LOGGER.handle(record)


Listener = Callable[[Event[...], Mapping[str, Any]], None]


def listen(listener: Listener) -> Callable[[], None]:
    """Call ``listener(event, facts)`` for every event, whatever the log level; it must be quick and must not raise.
    Returns the way to end that."""
    _LISTENERS.append(listener)
    return lambda: _LISTENERS.remove(listener)


def trace(error: BaseException) -> None:
    """Log where an error came from, for the report of a defect."""
    LOGGER.error("%s", error, exc_info=error)


def define(id: str, level: int, sentence: str, explanation: str) -> Callable[[Callable[P, None]], Event[P]]:
    """Add a message to the catalogue; an id may be used once only. What is decorated is never called: its parameters
    are the facts."""

    def made(facts: Callable[P, None]) -> Event[P]:
        if id in CATALOGUE:
            raise ValueError(f"event id {id} is defined twice")
        fields = {name: kind for name, kind in facts.__annotations__.items() if name != "return"}
        event: Event[P] = Event(id, level, sentence, explanation, fields)
        CATALOGUE[id] = event
        return event

    return made


_PRIORITY: Final = {DEBUG: 7, INFO: 6, WARNING: 4, ERROR: 3}


class _TextFormatter(logging.Formatter):
    """``<6>IPA-3001 sentence`` for journald, without the prefix on a terminal.

    What libraries say is one line too. Only a traceback has several, each printable and none at the left edge, where it
    could be taken for another message: exceptions carry words of peers.
    """

    def __init__(self, *, with_priority: bool) -> None:
        super().__init__()
        self._with_priority = with_priority

    def format(self, record: logging.LogRecord) -> str:
        event = getattr(record, "event", None)
        message = printable(record.getMessage(), mark=_MARK)
        text = f"{event.id} {message}" if event else message
        if record.exc_info:
            text += "".join(f"\n  {line}" for line in _traceback(self, record).split("\n"))
        if not self._with_priority:
            return f"{time.strftime('%H:%M:%S')} {text}"
        level = _PRIORITY.get(record.levelno, 5)
        return "\n".join(f"<{level}>{line}" for line in text.splitlines())


class _JsonFormatter(logging.Formatter):
    """One JSON object per line: ``{"id", "level", "text", "facts", "t"}``; ``t`` is monotonic seconds."""

    def format(self, record: logging.LogRecord) -> str:
        event = getattr(record, "event", None)
        line: dict[str, object] = {
            "id": event.id if event else None,
            "level": record.levelname.lower(),
            "text": printable(record.getMessage(), mark=_MARK),
            "facts": printable_data(getattr(record, "facts", {})),
            "t": round(time.monotonic(), 6),
        }
        if record.exc_info:
            line["traceback"] = _traceback(self, record)
        return json.dumps(line, default=_shown, ensure_ascii=False)


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    """Printable lines."""
    return printable_lines(formatter.formatException(record.exc_info)) if record.exc_info else ""


def _shown(value: object) -> str:
    return printable(str(value))


def configure(*, level: int, style: str, stream: TextIO | None = None) -> None:
    """Send all messages to ``stream`` (default stderr).

    ``style`` is ``text``, ``journal`` (text with syslog priorities) or ``json`` (an object per line).
    """
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(_JsonFormatter() if style == "json" else _TextFormatter(with_priority=style == "journal"))
    # No format shows them, and every record would ask for them.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(WARNING)
    LOGGER.setLevel(level)
