"""The card side of the modem: power, logical channels, session ids, what a module does to an APDU on its way."""

from __future__ import annotations

import logging
from collections.abc import Callable

from .card_interface import Card, CardMuteError, channel_of, class_for_channel, iccid_nibbles, swap_nibbles
from .modem_options import ModemOptions

__all__ = ["BIG_SESSION_BASE", "Uicc", "UiccError", "command_details"]

LOG = logging.getLogger("ipad_agent.lab")

BIG_SESSION_BASE = 1465853795  # the order of magnitude real modules print
_HEX_SESSION_BASE = 0x385A7CF
_MAX_ANSWER_BYTES = 65536
_MAX_ROUNDS = 300
_MAX_PROACTIVE = 8
_SELECTED = (0x90, 0x61, 0x62, 0x63, 0x91, 0x9F)  # SW1 of a SELECT that worked

EF_ICCID = (0x3F00, 0x2FE2)
ADF_USIM = 0x7FFF
AID_ISDR_PREFIX = bytes.fromhex("A0000005591010")
AID_USIM_PREFIX = bytes.fromhex("A0000000871002")


class UiccError(Exception):
    """The card side refused; ``cme`` is the 3GPP TS 27.007 clause 9.2 code the modem reports, None a bare ERROR."""

    def __init__(self, cme: int | None, sentence: str) -> None:
        super().__init__(sentence)
        self.cme = cme


NOT_ALLOWED = 3
NOT_INSERTED = 10
FAILURE = 13
BUSY = 14
NO_FREE_CHANNEL = 20
UNKNOWN_SESSION = 21
NOT_FOUND = 22
_ABSENT = {"cme22": NOT_FOUND, "cme13": FAILURE, "error": None}


class Uicc:
    """Owns the card. ``on_proactive`` is called once for each answer that ended with 91xx."""

    def __init__(self, card: Card, options: ModemOptions, on_proactive: Callable[[], None]) -> None:
        self._card = card
        self._options = options
        self._on_proactive = on_proactive
        self._channels: set[int] = set()
        self._opened_count = 0
        self._in_own_access = False
        self.sessions: dict[str, int] = {}
        self.powered = False
        self.ready = False
        self.iccid: str | None = None
        self.imsi: str | None = None
        self.proactive_length = 0
        self.apdu_count = 0
        self.card_s = 0.0
        self.reset_count = 0
        self.isdr_held = False
        """An LPA of the module itself has the ISD-R and gives it to nobody else."""

    @property
    def open_channels(self) -> frozenset[int]:
        """Logical channels open on the card, as far as they went through this modem."""
        return frozenset(self._channels)

    # Power

    def power_off(self) -> None:
        """Take the power: channels and sessions are gone."""
        self.powered = self.ready = False
        self.iccid = self.imsi = None
        self._channels.clear()
        self.sessions.clear()

    def power_on(self) -> None:
        """Give the power and reset the card; ``initialise`` must follow before anyone can use it."""
        self.power_off()
        self._card.reset()
        self.reset_count += 1
        self.powered = True

    def initialise(self) -> None:
        """What a modem does with a fresh card: terminal capability, the identity of the enabled profile."""
        if not self.powered:
            return
        self.ready = True
        self.iccid = self.imsi = None
        try:
            if self._options.terminal_capability is not None:
                self._own(self._options.terminal_capability)
            self.iccid = self._read_iccid()
            self.imsi = self._read_imsi() if self.iccid else None
        except UiccError as error:
            LOG.debug("modem: the card cannot be started: %s", error)

    def leak(self, count: int) -> None:
        """Open ``count`` channels that nobody will close: what a crashed owner left behind."""
        for _ in range(count):
            try:
                self._remember_session(self._open_channel())
            except UiccError:
                return

    # APDUs

    def basic(self, apdu: bytes) -> bytes:
        """An APDU as the host wrote it, channel bits included (``+CSIM``)."""
        self._require_ready()
        options = self._options
        instruction = apdu[1]
        if instruction in options.csim_refused_instructions:
            raise UiccError(NOT_ALLOWED, f"instruction {instruction:02X} is not let through")
        if instruction == 0x70:
            if not options.csim_manage_channel:
                return b"\x6a\x81"
            if options.manage_channel_le == "zero" and apdu[4:] != b"\x00":
                return b"\x67\x00"
            if apdu[2] == 0x00 and apdu[3] == 0x00 and len(self._channels) >= options.max_channels:
                return b"\x6a\x81"
        if not options.csim_channels and channel_of(apdu[0]) != 0:
            raise UiccError(0, "commands on a logical channel are not let through")
        if self._is_held(instruction, apdu[5 : 5 + apdu[4]] if len(apdu) > 5 else b""):
            return b"\x69\x85"
        collects = options.auto_fetch or options.csim_auto_fetch
        answer = self._fetched(apdu, channel_of(apdu[0])) if collects else self._raw(apdu)
        cap = options.csim_answer_cap_bytes
        if cap is not None and len(answer) - 2 > cap:
            return answer[:cap] + b"\x90\x00"
        return answer

    def on_session(self, session: str, apdu: bytes) -> bytes:
        """An APDU on a session (``+CGLA``); the modem puts the channel into the class byte."""
        self._require_ready()
        channel = self._channel_of_session(session)
        if channel == 0 and apdu[1] == 0x70 and not self._options.csim_manage_channel:
            return b"\x6a\x81"
        if self._options.class_policy == "patch":
            apdu = bytes([class_for_channel(apdu[0], channel)]) + apdu[1:]
        return self._fetched(apdu, channel) if self._options.auto_fetch else self._raw(apdu)

    def open(self, aid: bytes) -> str:
        """Open a channel and select ``aid``; the session id."""
        self._require_ready()
        if self._is_held(0xA4, aid):
            raise UiccError(NOT_ALLOWED, "the module's own LPA has the ISD-R")
        channel = self._open_channel()
        select = bytes([class_for_channel(0, channel), 0xA4, 0x04, 0x00, len(aid)]) + aid
        answer = self._fetched(select, channel)
        status = int.from_bytes(answer[-2:], "big")
        if status != 0x9000 and status >> 8 not in (0x61, 0x62, 0x63, 0x91):
            self._close_channel(channel)
            absent = _ABSENT[self._options.absent_application]
            raise UiccError(absent if status == 0x6A82 else FAILURE, f"SELECT answered {status:04X}")
        return self._remember_session(channel)

    def close(self, session: str) -> None:
        """Close a session and its channel."""
        self._require_ready()
        channel = self._channel_of_session(session)
        self._close_channel(channel)
        self.sessions = {key: value for key, value in self.sessions.items() if value != channel}

    def read_file(self, path: tuple[int, ...], offset: int, size: int) -> bytes:
        """SELECT by path and READ BINARY on the basic channel; the answer with its status word."""
        return self._after_select(path, bytes([0x00, 0xB0, offset >> 8 & 0x7F, offset & 0xFF, size]))

    def select_file(self, path: tuple[int, ...]) -> bytes:
        """SELECT by path with the FCP returned; data and status word."""
        self._require_ready()
        for file_id in path[:-1]:
            answer = self._own(_select_silently(file_id))
            if answer[-2] not in _SELECTED:
                return answer[-2:]
        return self._fetched(bytes([0x00, 0xA4, 0x00, 0x04, 0x02]) + path[-1].to_bytes(2, "big"), 0)

    def read_record(self, path: tuple[int, ...], record: int, mode: int, size: int) -> bytes:
        """SELECT by path and READ RECORD on the basic channel; the answer with its status word."""
        return self._after_select(path, bytes([0x00, 0xB2, record & 0xFF, mode & 0xFF, size]))

    # Proactive commands

    def fetch_all(self, length: int) -> list[bytes]:
        """FETCH what the card announced, answer each command with "performed"; the commands."""
        fetched: list[bytes] = []
        for _ in range(_MAX_PROACTIVE):
            answer = self._own(bytes([0x80, 0x12, 0x00, 0x00, length]))
            if answer[-2:-1] == b"\x6c":
                answer = self._own(bytes([0x80, 0x12, 0x00, 0x00, answer[-1]]))
            command = answer[:-2]
            details = command_details(command)
            if details is None:
                LOG.debug("modem: FETCH gave nothing usable: %s", answer.hex())
                break
            fetched.append(command)
            body = bytes.fromhex("8103") + details + bytes.fromhex("82028281830100")
            answer = self._own(bytes([0x80, 0x14, 0x00, 0x00, len(body)]) + body)
            if answer[-2] != 0x91:
                break
            length = answer[-1]
        return fetched

    # Inside

    def _require_ready(self) -> None:
        if not self.powered:
            raise UiccError(NOT_INSERTED, "the card has no power")
        if not self.ready:
            raise UiccError(BUSY, "the card is being initialised")

    def _raw(self, apdu: bytes) -> bytes:
        """One APDU to the card; keeps the books of open channels and notices 91xx."""
        self.apdu_count += 1
        try:
            answer = self._card.transmit(apdu)
        except CardMuteError as error:
            raise UiccError(FAILURE, str(error)) from error
        self.card_s += float(getattr(self._card, "last_delay_s", 0.0))
        if len(answer) < 2:
            return b"\x6f\x00"
        if len(apdu) >= 4 and apdu[1] == 0x70 and _worked(answer):
            if apdu[2] == 0x00:
                self._channels.add(answer[0] if len(answer) > 2 else apdu[3])
            elif apdu[2] == 0x80:
                closed = apdu[3] or channel_of(apdu[0])
                self._channels.discard(closed)
                self.sessions = {key: value for key, value in self.sessions.items() if value != closed}
        if answer[-2] == 0x91 and not self._in_own_access:
            self.proactive_length = answer[-1]
            self._on_proactive()
            if self._options.hide_proactive:
                answer = answer[:-2] + b"\x90\x00"
        return answer

    def _is_held(self, instruction: int, aid: bytes) -> bool:
        """Whether this would select an ISD-R that the module's own LPA keeps."""
        return self.isdr_held and instruction == 0xA4 and aid.startswith(AID_ISDR_PREFIX)

    def _own(self, apdu: bytes) -> bytes:
        """An APDU of the modem itself."""
        self._in_own_access = True
        try:
            return self._raw(apdu)
        finally:
            self._in_own_access = False

    def _fetched(self, apdu: bytes, channel: int) -> bytes:
        """An APDU with 61xx and 6Cxx followed up by the modem."""
        answer = self._raw(apdu)
        if answer[-2] == 0x6C:
            le_at = len(apdu) - 1 if len(apdu) == 5 else len(apdu)
            answer = self._raw(apdu[:le_at] + answer[-1:])
        data = bytearray(answer[:-2])
        for _ in range(_MAX_ROUNDS):
            if answer[-2] != 0x61 or len(data) > _MAX_ANSWER_BYTES:
                break
            more = self._raw(bytes([class_for_channel(0x00, channel), 0xC0, 0x00, 0x00, answer[-1]]))
            if more[-2:] == b"\x6e\x00":
                more = self._raw(bytes([class_for_channel(0x80, channel), 0xC0, 0x00, 0x00, answer[-1]]))
            data += more[:-2]
            answer = more
        return bytes(data) + answer[-2:]

    def _open_channel(self) -> int:
        if len(self._channels) >= self._options.max_channels:
            raise UiccError(NO_FREE_CHANNEL, "every channel is taken")
        answer = self._own(bytes.fromhex("0070000001"))
        if not _worked(answer) or len(answer) != 3:
            raise UiccError(NO_FREE_CHANNEL, f"MANAGE CHANNEL answered {answer.hex()}")
        return answer[0]

    def _close_channel(self, channel: int) -> None:
        self._own(bytes([0x00, 0x70, 0x80, channel]))
        self._channels.discard(channel)

    def _remember_session(self, channel: int) -> str:
        self._opened_count += 1
        style = self._options.session_style
        if style == "big":
            session = str(BIG_SESSION_BASE + self._opened_count)
        elif style == "hex16":
            session = f"{_HEX_SESSION_BASE + self._opened_count * 16:016x}"
        else:
            session = next(str(number) for number in range(1, 64) if str(number) not in self.sessions)
        self.sessions[session] = channel
        return session

    def _channel_of_session(self, session: str) -> int:
        if session == "0" and self._options.session_zero_is_basic:
            return 0
        if session not in self.sessions:
            raise UiccError(UNKNOWN_SESSION, f"no session {session[:24]!r}")
        return self.sessions[session]

    def _after_select(self, path: tuple[int, ...], read: bytes) -> bytes:
        self._require_ready()
        for file_id in path:
            answer = self._own(_select_silently(file_id))
            if answer[-2] not in _SELECTED:
                return answer[-2:]
        answer = self._own(read)
        if answer[-2] == 0x6C:
            answer = self._own(read[:4] + answer[-1:])
        return answer

    def _read_iccid(self) -> str | None:
        answer = self.read_file(EF_ICCID, 0, 10)
        return iccid_nibbles(answer[:-2]) if answer[-2:] == b"\x90\x00" else None

    def _read_imsi(self) -> str | None:
        """EF IMSI of the USIM, read on a channel that is closed again."""
        try:
            channel = self._open_channel()
        except UiccError:
            return None
        try:
            cla = class_for_channel(0, channel)
            for apdu in (
                bytes([cla, 0xA4, 0x04, 0x0C, len(AID_USIM_PREFIX)]) + AID_USIM_PREFIX,
                bytes([cla, 0xA4, 0x00, 0x0C, 0x02, 0x6F, 0x07]),
            ):
                if self._own(apdu)[-2] not in (0x90, 0x61):
                    return None
            answer = self._own(bytes([cla, 0xB0, 0x00, 0x00, 0x09]))
        finally:
            self._close_channel(channel)
        if answer[-2:] != b"\x90\x00" or len(answer) < 4:
            return None
        digits = swap_nibbles(answer[1 : 1 + answer[0]])[1:]
        return digits if digits.isdecimal() and digits else None


def _select_silently(file_id: int) -> bytes:
    """SELECT on the basic channel without an answer. 7FFF is the USIM: by its AID, for none may be selected yet."""
    if file_id == ADF_USIM:
        return bytes([0x00, 0xA4, 0x04, 0x0C, len(AID_USIM_PREFIX)]) + AID_USIM_PREFIX
    return bytes([0x00, 0xA4, 0x00, 0x0C, 0x02]) + file_id.to_bytes(2, "big")


def _worked(answer: bytes) -> bool:
    """Done, also when a proactive command waits behind it (91xx)."""
    return answer[-2:] == b"\x90\x00" or answer[-2] == 0x91


def command_details(command: bytes) -> bytes | None:
    """The three bytes of COMMAND DETAILS (tag 81 or 01) in a proactive command ``D0 ...``; ``None`` when absent."""
    if len(command) < 7 or command[0] != 0xD0:
        return None
    at = 3 if command[1] == 0x81 else 2
    if command[at] & 0x7F != 0x01 or command[at + 1] != 0x03:
        return None
    return command[at + 2 : at + 5]
