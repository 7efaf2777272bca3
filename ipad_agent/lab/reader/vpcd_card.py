"""A card for the virtual reader of vsmartcard (vpcd), which pcscd loads like any reader's driver.

vpcd listens (by default on 35963) and the card connects. Each message is two bytes of length and that many bytes. From
vpcd one byte is an order to the card holder, 00 power off, 01 power on, 02 reset, 04 tell the ATR, and anything longer
is a command APDU. Only the ATR and APDUs are answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Protocol

LOG = logging.getLogger("ipad_agent.lab")

POWER_OFF, POWER_ON, RESET, TELL_ATR = 0x00, 0x01, 0x02, 0x04
ATR = bytes.fromhex("3B05") + b"iplab"
"""Direct convention, T=0, five historical bytes; T=0 alone has no check byte."""
MUTE = bytes.fromhex("6F00")
"""For an APDU that the card does not answer: vpcd waits for something."""


class Card(Protocol):
    """What is in the reader. ``transmit`` may raise anything: the reader then sees a card that failed."""

    def transmit(self, apdu: bytes) -> bytes:
        """One command APDU; data and status word."""

    def reset(self) -> None:
        """Power on or reset."""


class VpcdCard:
    """Keeps a card connected to vpcd at ``host:port``, and tries again when nobody listens there.

    ``connected`` is set while it is; ``powered`` is what vpcd made of the card.
    """

    def __init__(self, card: Card, port: int, host: str = "127.0.0.1", *, atr: bytes = ATR, again_s: float = 1.0):
        self.card = card
        self.connected = asyncio.Event()
        self.powered = False
        self._address = (host, port)
        self._atr = atr
        self._again_s = again_s
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> VpcdCard:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        told = False
        while True:
            try:
                reader, writer = await asyncio.open_connection(*self._address)
            except OSError as error:
                if not told:
                    LOG.info("vpcd: nobody listens at %s:%d: %s; trying again", *self._address, error)
                told = True
            else:
                LOG.info("vpcd: the card is in the reader at %s:%d", *self._address)
                told = False
                self.connected.set()
                try:
                    await self._serve(reader, writer)
                finally:
                    self.connected.clear()
                    self.powered = False
                    writer.close()
            await asyncio.sleep(self._again_s)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                size = int.from_bytes(await reader.readexactly(2), "big")
                answer = self._answer(await reader.readexactly(size))
                if answer is not None:
                    writer.write(len(answer).to_bytes(2, "big") + answer)
                    await writer.drain()

    def _answer(self, message: bytes) -> bytes | None:
        """What goes back; None for nothing."""
        if not message:
            return None
        if len(message) == 1:
            return self._order(message[0])
        if not self.powered:
            self._power_on()
        try:
            return self.card.transmit(message)
        except Exception as error:  # noqa: BLE001 - whatever the card does, the reader needs an answer
            LOG.warning("vpcd: the card does not answer: %s", error)
            return MUTE

    def _order(self, order: int) -> bytes | None:
        if order == POWER_OFF:
            self.powered = False
        elif order in (POWER_ON, RESET):
            self._power_on()
        elif order == TELL_ATR:
            return self._atr
        return None

    def _power_on(self) -> None:
        self.powered = True
        self.card.reset()
