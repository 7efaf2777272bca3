"""Names become addresses within a deadline."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from ipad_agent.net.dns_lookup import MAX_ADDRESSES, Address, resolve
from ipad_agent.net.errors import Unreachable


def replace_getaddrinfo(monkeypatch: pytest.MonkeyPatch, lookup: Callable[[], Any]) -> None:
    async def getaddrinfo(host: str, port: int, **_: object) -> object:
        result = lookup()
        return await result if asyncio.iscoroutine(result) else result

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)


def entry(address: str) -> tuple[object, ...]:
    return (socket.AF_INET, socket.SOCK_DGRAM, 17, "", (address, 5684))


async def test_addresses_stand_for_themselves() -> None:
    assert await resolve("127.0.0.1", 5684, timeout_s=5) == [Address(socket.AF_INET, ("127.0.0.1", 5684))]


async def test_order_is_kept_doubles_are_dropped_and_the_number_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_getaddrinfo(monkeypatch, lambda: [entry("192.0.2.1")] * 2 + [entry(f"192.0.2.{n}") for n in range(2, 9)])
    found = await resolve("eim.test", 5684, timeout_s=5)
    assert [str(address) for address in found] == [f"192.0.2.{n}" for n in range(1, 1 + MAX_ADDRESSES)]


async def test_unknown_name_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    replace_getaddrinfo(monkeypatch, fail)
    with pytest.raises(Unreachable, match=r"eim\.invalid.*not known"):
        await resolve("eim.invalid", 5684, timeout_s=5)


async def test_silent_name_server_is_left_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_getaddrinfo(monkeypatch, lambda: asyncio.sleep(60))
    with pytest.raises(Unreachable, match="no answer"):
        await resolve("eim.test", 5684, timeout_s=0.01)


async def test_name_that_cannot_be_encoded_is_unreachable() -> None:
    with pytest.raises(Unreachable):
        await resolve("a" * 70 + ".test", 5684, timeout_s=5)
