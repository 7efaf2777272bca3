"""An IPA of thirty lines, written from the specification alone: enough to see whether the lab's parts fit together."""

from __future__ import annotations

import re

from ipad_agent.lab.crypto import der
from ipad_agent.lab.modem.line.memory_port import MemoryPort

ISDR = "A0000005591010FFFFFFFF8900000100"


class Hand:
    """Speaks CGLA on a memory port. ES10 by STORE DATA in blocks of 255 bytes (SGP.22 v2.5 §5.7.2)."""

    def __init__(self, port: MemoryPort) -> None:
        self.port = port
        self.session = ""

    def open(self) -> None:
        found = re.search(rb"\+CCHO: (\S+)", self.port.exchange(f'AT+CCHO="{ISDR}"'))
        assert found is not None
        self.session = found[1].decode()

    def apdu(self, apdu: bytes) -> bytes:
        answer = self.port.exchange(f'AT+CGLA={self.session},{2 * len(apdu)},"{apdu.hex().upper()}"')
        found = re.search(rb'\+CGLA: \d+,"([0-9A-F]+)"', answer)
        assert found is not None, answer
        return bytes.fromhex(found[1].decode())

    def es10(self, request: bytes) -> tuple[bytes, int]:
        """The answer's data and its status word."""
        blocks = [request[at : at + 255] for at in range(0, len(request), 255)]
        answer = b""
        for number, block in enumerate(blocks):
            p1 = 0x91 if number == len(blocks) - 1 else 0x11
            answer = self.apdu(bytes([0x80, 0xE2, p1, number, len(block)]) + block)
        data = answer[:-2]
        while answer[-2] == 0x61:
            answer = self.apdu(bytes([0x80, 0xC0, 0x00, 0x00, answer[-1]]))
            data += answer[:-2]
        return data, int.from_bytes(answer[-2:], "big")


def get_eim_package(eid: str) -> bytes:
    return bytes.fromhex(f"BF4F125A10{eid}")


def provide_result(eid: str, result: bytes) -> bytes:
    return der.tlv(0xBF50, der.tlv(0x5A, bytes.fromhex(eid)), result)
