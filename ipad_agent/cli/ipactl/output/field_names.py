"""The names by which scripts ask for one value of an answer (``--fields``), made from the types of the interface.

A name is the way to the value in the JSON form: ``verdict.state``; ``stages[].name`` for each in a list. Names are only
added, as fields of the interface are; ``docs/ipactl.md`` lists them, and a test keeps the two equal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from ipad_agent.local import status_model
from ipad_agent.records import dataclass, is_record

_RECORDS: Final = {
    name: record
    for name, record in vars(status_model).items()
    if isinstance(record, type) and (is_record(record) or hasattr(record, "_fields"))
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command answers: one record, or with ``key`` those below this name in the document. ``names`` are for what
    is no record of the interface."""

    record: type | None = None
    key: str | None = None
    names: tuple[str, ...] = ()

    def all_names(self) -> tuple[str, ...]:
        """In the order of the interface."""
        return self.names if self.record is None else tuple(_names(self.record))


_DONE: Final = Answer(names=("done", "sentence"))
ANSWERS: Final[Mapping[str, Answer]] = {
    "status": Answer(status_model.Status),
    "profiles": Answer(status_model.Profile, "profiles"),
    "eims": Answer(status_model.Eim, "eims"),
    "poll": _DONE,
    "plan": Answer(status_model.Plan, "plan"),
    "switch": _DONE,
    "fallback": _DONE,
    "emergency": _DONE,
    "rollback": _DONE,
    "confirm": _DONE,
    "owed": Answer(status_model.Owed, "owed"),
    "history": Answer(status_model.HistoryEntry, "history"),
    "log": Answer(status_model.Happening),
    "doctor": Answer(status_model.DoctorItem),
    "bundle": Answer(names=("path", "size_bytes")),
    "emulation": Answer(names=("path", "eid", "eim", "counter", "fingerprint", "cards")),
    "budget": Answer(status_model.Traffic, "traffic"),
    "eid": Answer(names=("eid", "check_digits_ok")),
    "config": Answer(key="config", names=("key", "value", "origin")),
    "explain": Answer(names=("id", "level", "sentence", "explanation")),
    "at": Answer(names=("lines", "final")),
    "modem": Answer(
        key="ports",
        names=(
            *("port", "stable", "usb", "interface", "module", "manufacturer", "model", "firmware", "profile"),
            *("use", "held_by", "agent", "asked"),
        ),
    ),
    "setup": Answer(names=("path", "written", "backup")),
    "record": Answer(names=("path", "recording", "left_s", "records", "max_bytes", "ended")),
    "reset-euicc": _DONE,
    "provision": _DONE,
    "download": _DONE,
    "card": _DONE,
}
"""The commands whose answers have names. What the others write has no fixed form."""


def _names(record: type, above: tuple[type, ...] = ()) -> Iterator[str]:
    """Read from the words of the annotations: to evaluate them all takes longer than the rest of the command."""
    for name, hint in record.__annotations__.items():
        words = hint if isinstance(hint, str) else getattr(hint, "__forward_arg__", str(hint))
        inner = next((_RECORDS[word] for word in re.findall(r"\w+", words) if word in _RECORDS), None)
        if inner is None or inner in above:
            yield name
            continue
        place = name + ("[]" if "tuple[" in words else "")
        yield from (f"{place}.{below}" for below in _names(inner, (*above, record)))


def listing() -> Iterator[tuple[str, str]]:
    """Each command that has names, and its names in one line."""
    for command, answer in ANSWERS.items():
        yield command, " ".join(answer.all_names())
