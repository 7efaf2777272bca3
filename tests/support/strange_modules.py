"""Vices of modules and cards that the lab does not have: what they say is changed on its way to the agent.

device_in_memory.live(story, prepare=says(lambda command, text: text.replace(": ", ":")))
"""

from __future__ import annotations

from collections.abc import Callable

from ipad_agent.lab.modem import AtEngine
from ipad_agent.lab.modem.virtual_module import Output, Send
from ipad_agent.torture.world.torture_world import World

Prepare = Callable[[World], None]
SaidAs = Callable[[str, str], str]
"""The command that came last and what the module says, both as text; returns what arrives."""
AnsweredAs = Callable[[bytes, bytes], bytes]
"""A command APDU and the card's answer with its status word; returns what the module gets."""


def together(*vices: Prepare) -> Prepare:
    """All of them at once."""

    def prepare(world: World) -> None:
        for vice in vices:
            vice(world)

    return prepare


def says(change: SaidAs) -> Prepare:
    """The module's own way to write lines."""

    def prepare(world: World) -> None:
        assert world.modem is not None
        world.modem.engine = _TalkingEngine(world.modem.engine, change)  # type: ignore[assignment]

    return prepare


def answers(change: AnsweredAs) -> Prepare:
    """The card's own way to answer APDUs."""

    def prepare(world: World) -> None:
        assert world.modem is not None
        slot = world.modem.module.uicc._card
        honest = slot.transmit
        slot.transmit = lambda apdu: change(apdu, honest(apdu))  # type: ignore[method-assign]

    return prepare


def refuses(decide: Callable[[bytes], str | None]) -> Prepare:
    """The card answers a command APDU with this status word, in hex, and does not execute it; None lets it through."""

    def prepare(world: World) -> None:
        assert world.modem is not None
        slot = world.modem.module.uicc._card
        honest = slot.transmit

        def transmit(apdu: bytes) -> bytes:
            status = decide(apdu)
            return honest(apdu) if status is None else bytes.fromhex(status)

        slot.transmit = transmit  # type: ignore[method-assign]

    return prepare


def every(number: int, instruction: int, status: str) -> Callable[[bytes], str | None]:
    """For ``refuses``: each so many-th command with this instruction byte; of STORE DATA only those of ES10."""
    count = 0

    def decide(apdu: bytes) -> str | None:
        nonlocal count
        if apdu[1] != instruction or (instruction == 0xE2 and not apdu[0] & 0x80):
            return None
        count += 1
        return status if count % number == 0 else None

    return decide


def es10_answers(tag: int, change: Callable[[bytes], bytes]) -> Prepare:
    """The card's own way to answer one ES10 function."""

    def prepare(world: World) -> None:
        honest = world.card.es10.handler(tag)
        world.card.es10.register(tag, lambda isdr, raw: change(honest(isdr, raw)))

    return prepare


class _TalkingEngine:
    """An ``AtEngine`` whose lines are written in another way."""

    def __init__(self, engine: AtEngine, change: SaidAs) -> None:
        self._engine = engine
        self._change = change

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)

    def feed(self, data: bytes, now_s: float | None = None) -> list[Output]:
        return self._said(self._engine.feed(data, now_s))

    def advance(self, now_s: float) -> list[Output]:
        return self._said(self._engine.advance(now_s))

    def _said(self, outputs: list[Output]) -> list[Output]:
        command = self._engine.commands[-1] if self._engine.commands else ""
        return [
            Send(self._change(command, output.data.decode("latin-1")).encode("latin-1"))
            if isinstance(output, Send)
            else output
            for output in outputs
        ]
