"""Browsers that want too much, say what is no HTTP, or never end."""

from __future__ import annotations

import asyncio

import pytest

from ipad_agent.web import page_requests, page_server

from .conftest import Agent
from .web_process import WebPage, parsed, until


async def test_a_request_may_not_be_large(page: WebPage) -> None:
    head = await page.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * (page_server.MAX_HEAD_BYTES + 1))
    assert parsed(head).status == 431
    declared = page.request("/api/login", method="POST", headers={"Content-Length": "99999999999999999999"})
    assert parsed(await page.raw(declared)).status == 413
    chunked = page.request("/api/login", method="POST", headers={"Content-Length": "", "Transfer-Encoding": "chunked"})
    assert parsed(await page.raw(chunked + b"2000\r\n" + b"x" * 0x2000 + b"\r\n")).status == 413


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 TLS\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_answered_as_such_and_ends(page: WebPage, data: bytes) -> None:
    assert parsed(await page.raw(data)).status == 400
    assert (await page.ask("/api/status")).status == 200


async def test_a_request_that_does_not_come_to_its_end_is_given_up(
    page: WebPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_server, "REQUEST_S", 0.05)
    assert await page.raw(b"GET / HTTP/1.1\r\nHost: local") == b""


async def test_a_connection_on_which_nothing_is_asked_is_closed(page: WebPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_server, "IDLE_S", 0.05)
    assert await page.raw(b"") == b""


async def test_several_requests_go_over_one_connection(page: WebPage) -> None:
    kept = page.request("/api/status", headers={"Connection": ""})
    answers = await page.raw(kept + kept + page.request("/"))
    assert answers.count(b"HTTP/1.1 200 ") == 3


async def test_there_are_only_so_many_connections(page: WebPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_server, "MAX_CONNECTIONS", 2)
    waiting = [await asyncio.open_connection("127.0.0.1", page.port) for _ in range(2)]
    for _, writer in waiting:
        writer.write(b"GET /")
    assert parsed(await page.raw(b"")).status == 503
    for _, writer in waiting:
        writer.close()
        await writer.wait_closed()
    async with asyncio.timeout(60):
        while (await page.ask("/")).status != 200:  # noqa: ASYNC110 - they are seen to be gone a moment later
            await asyncio.sleep(0.001)


async def test_only_so_many_look_live_and_those_who_go_make_room(
    agent: Agent, page: WebPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_requests, "MAX_STREAMS", 1)
    async with page.live() as browser:
        await browser.next("status")
        assert (await page.ask("/api/live")).status == 503
        assert (await page.ask("/api/live", method="HEAD")).status == 503
    await until(lambda: not agent.listeners)
    for _ in range(3):
        assert (await page.ask("/api/live", method="HEAD")).status == 200, "which begins nothing"
    async with page.live() as browser:
        await browser.next("status")


async def test_a_live_connection_with_nothing_to_tell_gives_signs_of_life(
    agent: Agent, page: WebPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_requests, "KEEP_ALIVE_S", 0.01)
    reader, writer = await asyncio.open_connection("127.0.0.1", page.port)
    writer.write(page.request("/api/live"))
    async with asyncio.timeout(60):
        await reader.readuntil(b": still here\n\n")
    writer.close()


async def test_a_wrong_token_waits_for_its_answer(page: WebPage) -> None:
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    await page.ask("/api/login", method="POST", body={"token": "wrong"})
    assert loop.time() - began_s >= page_requests.WRONG_TOKEN_S >= 1
