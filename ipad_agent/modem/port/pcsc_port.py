"""A card in a PC/SC reader on the desk (``modem.port = "pcsc"``), seen as a modem that can do nothing but reach it.

The few AT commands by which a card is found, read and reset are answered here: ``AT+CSIM`` carries APDUs to the reader,
``AT+CFUN`` powers the card off and on. Everything else is refused, as by a modem without a network: nothing is made up.
pyscard is only needed for this, and loaded when a port is opened.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import re
from typing import Any, Final

from ipad_agent.modem.errors import PortUnavailable

from .command_stream import CommandStream

SCHEME: Final = "pcsc"
_INSTALL: Final = "pip install ipad-agent[pcsc], or the package python3-pyscard of Debian; pcscd must run."
_UNPOWER: Final = 2
"""SCARD_UNPOWER_CARD: what a disconnection does to the card, so that the next connection is a cold reset."""
_NO_CARD: Final = "+CME ERROR: 10"
_FAILED: Final = "+CME ERROR: 13"
_CSIM: Final = re.compile(r'AT\+CSIM=(\d+),"?([0-9A-F]+)"?', re.IGNORECASE)
_FUNCTIONALITY: Final = re.compile(r"AT\+CFUN=([014])(?:,[01])?", re.IGNORECASE)
_READ_ICCID: Final = re.compile(r"AT\+CRSM=176,12258,\d+,\d+,\d+", re.IGNORECASE)
_UNDERSTOOD: Final = frozenset({"AT", "ATE0", "ATE1", "ATZ", "AT+CMEE=1", "AT+CMEE=2", "AT+CSIM=?"})


class PcscOpener:
    """Takes the first reader whose name holds ``name`` (any, when it is empty)."""

    def __init__(self, name: str = "") -> None:
        self._name = name

    async def open(self) -> PcscStream:
        """Raises ``PortUnavailable`` without pyscard, pcscd or such a reader. A reader without a card is one."""
        return PcscStream(await asyncio.to_thread(self._reader))

    def _reader(self) -> Any:
        try:
            system = importlib.import_module("smartcard.System")
        except ImportError as error:
            raise PortUnavailable(f"PC/SC readers need pyscard: {error}", hint=_INSTALL) from error
        try:
            readers = list(system.readers())
        except Exception as error:  # what pyscard raises without pcscd is known to pyscard alone
            raise PortUnavailable(f"PC/SC does not answer: {error}", hint=_INSTALL) from error
        for reader in readers:
            if self._name.casefold() in str(reader).casefold():
                return reader
        there = ", ".join(str(reader) for reader in readers) or "none"
        wanted = f"with {self._name!r} in its name" if self._name else "at all"
        raise PortUnavailable(f"there is no PC/SC reader {wanted}; there are: {there}")

    def note_silence(self) -> None:
        """See ``PortOpener``; there is no other way to try."""


class PcscStream(CommandStream):
    """Answers one command after the other; the reader is asked in a thread."""

    def __init__(self, reader: Any) -> None:
        super().__init__()
        self._reader = reader
        self._connection: Any = None

    @property
    def description(self) -> str:
        return f"the PC/SC reader {self._reader}"

    async def close(self) -> None:
        """See ``ByteStream``."""
        await super().close()
        await asyncio.to_thread(self._power_off)

    async def _answer(self, command: str) -> bytes:
        lines = await asyncio.to_thread(self._lines_for, command)
        return "".join(f"\r\n{line}\r\n" for line in lines).encode("ascii", "replace")

    # In the thread

    def _lines_for(self, command: str) -> list[str]:
        upper = command.upper()
        try:
            if upper in _UNDERSTOOD:
                return ["OK"]
            if upper == "AT+CGMI":
                return ["PC/SC", "OK"]
            if upper == "AT+CGMM":
                return [str(self._reader), "OK"]
            if upper == "AT+CFUN?":
                return ["+CFUN: 1", "OK"]
            if upper == "AT+CPIN?":
                self._card()
                return ["+CPIN: READY", "OK"]
            if found := _FUNCTIONALITY.fullmatch(command):
                self._power_off()
                if found[1] == "1":
                    self._card()
                return ["OK"]
            if found := _CSIM.fullmatch(command):
                return self._csim(int(found[1]), found[2])
            if _READ_ICCID.fullmatch(command):
                return self._iccid()
        except Exception as error:  # noqa: BLE001 - pyscard has a dozen exceptions for a card that is gone
            self._power_off()
            gone = type(error).__name__ in ("NoCardException", "CardConnectionException", "NoReadersException")
            return [_NO_CARD if gone else _FAILED]
        return ["ERROR"]

    def _csim(self, length: int, text: str) -> list[str]:
        if length != len(text) or length % 2:
            return ["ERROR"]
        answer = self._transmit(bytes.fromhex(text))
        return [f'+CSIM: {2 * len(answer)},"{answer.hex().upper()}"', "OK"]

    def _iccid(self) -> list[str]:
        for file_id in ("3F00", "2FE2"):
            status = self._transmit(bytes.fromhex("00A4000C02" + file_id))[-2:]
            if status[0] not in (0x90, 0x91, 0x61):
                return [f"+CRSM: {status[0]},{status[1]}", "OK"]
        answer = self._transmit(bytes.fromhex("00B000000A"))
        return [f'+CRSM: {answer[-2]},{answer[-1]},"{answer[:-2].hex().upper()}"', "OK"]

    def _transmit(self, apdu: bytes) -> bytes:
        data, sw1, sw2 = self._card().transmit(list(apdu))
        return bytes(data) + bytes((sw1, sw2))

    def _card(self) -> Any:
        """The connection to the card, made when it is first needed: that powers the card on."""
        if self._connection is None:
            connection = self._reader.createConnection()
            connection.connect(disposition=_UNPOWER)
            self._connection = connection
        return self._connection

    def _power_off(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.disconnect()
