"""Commands that a module does not answer at all: each costs its whole deadline and some seconds of silence after it,
so that one that hangs is not asked again while another one tells the same."""

from __future__ import annotations

from collections.abc import Iterable

from ipad_agent.modem import events


class HangingQueries:
    """Several commands for one thing, such as the ICCID. A command that answers is preferred, one that hung is left out
    as long as another one answers; without one all of them are asked again."""

    def __init__(self) -> None:
        self._hung: set[str] = set()
        self._answering: set[str] = set()

    def worth_asking(self, texts: Iterable[str]) -> tuple[str, ...]:
        """What may be asked now, in the order of ``texts``."""
        known = tuple(texts)
        left_out = self._hung if self._answering.intersection(known) else frozenset[str]()
        return tuple(text for text in known if text not in left_out)

    def answered(self, text: str) -> None:
        """This command told what was asked."""
        self._hung.discard(text)
        self._answering.add(text)

    def hung(self, text: str) -> None:
        """No answer came to this command within its time."""
        self._answering.discard(text)
        if text not in self._hung:
            self._hung.add(text)
            events.QUERY_HANGS.emit(command=text)

    def forget(self) -> None:
        """Another module, or another firmware, may answer."""
        self._hung.clear()
        self._answering.clear()
