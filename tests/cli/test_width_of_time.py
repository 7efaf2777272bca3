"""The time in which ipactl connects is told to the kernel in the width that this system has."""

from __future__ import annotations

import errno
import socket
import struct
from typing import cast

import pytest

from ipad_agent.cli.ipactl.varlink_client import _limit_connecting


class Socket:
    """Takes a time of this many octets and refuses a shorter one, as Linux does."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.taken = b""

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        if len(value) < self.width:
            raise OSError(errno.EINVAL, "Invalid argument")
        self.taken = value


@pytest.mark.parametrize("long", ["=ll", "@ll"])
def test_a_32_bit_machine_with_64_bit_time_is_told_it_in_64_bits(long: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pack = struct.pack
    monkeypatch.setattr(struct, "pack", lambda layout, *values: pack(long if layout == "@ll" else layout, *values))
    kernel = Socket(16)
    _limit_connecting(cast(socket.socket, kernel))
    assert len(kernel.taken) == 16
