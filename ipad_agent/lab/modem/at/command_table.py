"""The command table and what a command answers. The commands themselves are in the ``commands_*`` modules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ipad_agent.lab.modem.virtual_module import Module

from .at_line import Command

__all__ = ["CME_TEXT", "TABLE", "Answer", "AtError", "Handler", "SilenceError", "command", "number"]

# 3GPP TS 27.007 clause 9.2
CME_TEXT = {
    0: "phone failure",
    1: "no connection to phone",
    3: "operation not allowed",
    4: "operation not supported",
    10: "SIM not inserted",
    11: "SIM PIN required",
    13: "SIM failure",
    14: "SIM busy",
    15: "SIM wrong",
    20: "memory full",
    21: "invalid index",
    22: "not found",
    30: "no network service",
    50: "incorrect parameters",
    100: "unknown",
    515: "please wait, init or command processing in progress",
}


class AtError(Exception):
    """The command fails: with ``+CME ERROR: <cme>``, or a plain ``ERROR`` when ``cme`` is ``None``; with ``final`` as
    it stands there. ``delay_s`` until that is said."""

    def __init__(self, cme: int | None = None, *, final: str | None = None, delay_s: float = 0.0) -> None:
        super().__init__(f"CME {cme}")
        self.cme = cme
        self.final = final
        self.delay_s = delay_s


class SilenceError(Exception):
    """The modem takes the command and never says a word to it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Information lines before ``OK``; ``delay_s`` until they come; ``after`` runs once ``OK`` is out."""

    lines: tuple[str, ...] = ()
    delay_s: float = 0.0
    after: Callable[[], None] | None = None


Handler = Callable[[Module, Command], Answer]

TABLE: dict[str, Handler] = {}


def command(*names: str) -> Callable[[Handler], Handler]:
    """Register a handler under these command names."""

    def register(handler: Handler) -> Handler:
        for name in names:
            TABLE[name] = handler
        return handler

    return register


def number(text: str, *, low: int = 0, high: int = 0xFFFFFFFF) -> int:
    """A decimal parameter within bounds; ``AtError(50)`` otherwise."""
    if not text.isascii() or not text.isdecimal() or len(text) > 10 or not low <= int(text) <= high:
        raise AtError(50)
    return int(text)
