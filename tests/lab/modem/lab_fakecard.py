"""A card just good enough to put into the modem: channels, an ISD-R that answers as scripted, three files."""

from __future__ import annotations

from collections.abc import Callable

from ipad_agent.lab.modem.card_interface import CardMuteError

ISDR = bytes.fromhex("A0000005591010FFFFFFFF8900000100")
USIM = bytes.fromhex("A0000000871002FF49FF0589")
REFRESH = bytes.fromhex("D009810301010482028182")
ICCID_A = "89490200001234567897"
ICCID_B = "89882390000012345678"


def tbcd(digits: str) -> bytes:
    padded = digits.ljust(20, "F")
    return bytes(int(padded[at + 1] + padded[at], 16) for at in range(0, 20, 2))


class FakeCard:
    """``on_store_data`` gives the answer to a STORE DATA (data and status word); long answers go out by 61xx."""

    def __init__(self, *, iccid: str | None = ICCID_A, channels: int = 3, inline: bool = False) -> None:
        self.iccid = iccid
        self.visible_iccid = iccid
        self.channels = channels
        self.inline = inline
        self.mute = False
        self.last_delay_s = 0.0
        self.log: list[bytes] = []
        self.resets = 0
        self.open: dict[int, bytes] = {}
        self.proactive: list[bytes] = []
        self.terminal_responses: list[bytes] = []
        self.on_store_data: Callable[[bytes], bytes] = lambda apdu: b"\x90\x00"
        self._waiting: dict[int, bytes] = {}
        self._file = 0

    def reset(self) -> None:
        self.resets += 1
        self.visible_iccid = self.iccid
        self.open.clear()
        self.proactive.clear()
        self._waiting.clear()

    def enable(self, iccid: str) -> bytes:
        """Enable another profile: visible after a reset, a REFRESH waits; the status word of the command."""
        self.iccid = iccid
        self.proactive.append(REFRESH)
        return bytes([0x91, len(REFRESH)])

    def transmit(self, apdu: bytes) -> bytes:
        if self.mute:
            raise CardMuteError("nobody there")
        self.log.append(apdu)
        apdu = apdu.ljust(5, b"\x00")
        cla, ins = apdu[0], apdu[1]
        channel = 4 + (cla & 0x0F) if cla & 0x40 else cla & 0x03
        if channel and channel not in self.open:
            return b"\x68\x81"
        if ins == 0x70:
            return self._manage_channel(apdu)
        if ins == 0xA4:
            return self._select(apdu, channel)
        if ins == 0xB0:
            content = self._files().get(self._file)
            return b"\x69\x86" if content is None else content[apdu[3] : apdu[3] + (apdu[4] or 256)] + b"\x90\x00"
        if ins == 0xB2:
            record = bytes.fromhex("61124F10") + ISDR
            return record + b"\x90\x00" if self._file == 0x2F00 and apdu[2] == 1 else b"\x6a\x83"
        if ins == 0xC0:
            return self._give(channel, apdu[4] or 256)
        if ins == 0xE2:
            return self._answer(channel, self.on_store_data(apdu))
        if ins == 0x12:
            return self.proactive.pop(0) + b"\x90\x00" if self.proactive else b"\x6f\x00"
        if ins == 0x14:
            self.terminal_responses.append(apdu[5:])
            return bytes([0x91, len(self.proactive[0])]) if self.proactive else b"\x90\x00"
        if ins == 0xAA:
            return b"\x90\x00"
        return b"\x6d\x00"

    def _files(self) -> dict[int, bytes]:
        files = {0x2F00: b""}
        if self.visible_iccid is not None:
            files[0x2FE2] = tbcd(self.visible_iccid)
            files[0x6F07] = bytes.fromhex("082926100120436587")
        return files

    def _manage_channel(self, apdu: bytes) -> bytes:
        if apdu[2] == 0x80:
            return b"\x90\x00" if self.open.pop(apdu[3], None) is not None else b"\x68\x81"
        free = [number for number in range(1, self.channels + 1) if number not in self.open]
        if not free:
            return b"\x6a\x81"
        self.open[free[0]] = b""
        return bytes([free[0]]) + b"\x90\x00"

    def _select(self, apdu: bytes, channel: int) -> bytes:
        data = apdu[5 : 5 + apdu[4]]
        if apdu[2] == 0x04:
            known = [aid for aid in (ISDR, USIM if self.visible_iccid else ISDR) if aid.startswith(data)]
            if not known:
                return b"\x6a\x82"
            self.open[channel] = known[0]
            fcp = b"\x6f\x12\x84\x10" + known[0]
            return b"\x90\x00" if apdu[3] == 0x0C else self._answer(channel, fcp + b"\x90\x00")
        file_id = int.from_bytes(data, "big")
        if file_id != 0x3F00 and file_id not in self._files():
            return b"\x6a\x82"
        self._file = file_id
        return b"\x90\x00" if apdu[3] == 0x0C else self._answer(channel, b"\x62\x02\x80\x00\x90\x00")

    def _answer(self, channel: int, answer: bytes) -> bytes:
        if self.inline or len(answer) == 2:
            return answer
        self._waiting[channel] = answer
        return bytes([0x61, min(len(answer) - 2, 256) & 0xFF])

    def _give(self, channel: int, size: int) -> bytes:
        answer = self._waiting.pop(channel, b"\x69\x85")
        data, status = answer[:-2], answer[-2:]
        if len(data) <= size:
            return data + status
        self._waiting[channel] = data[size:] + status
        return data[:size] + bytes([0x61, min(len(data) - size, 256) & 0xFF])
