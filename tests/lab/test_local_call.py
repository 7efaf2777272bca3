"""The lab's own call to a local socket, against a server written down here."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from ipad_agent.lab.bench.varlink_call import LocalCallError, local_call


async def serve(path: Path, answer: bytes) -> tuple[asyncio.Server, list[bytes]]:
    heard: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\0"))
        writer.write(answer)
        writer.close()

    return await asyncio.start_unix_server(handle, path), heard


async def test_a_call_names_the_method_and_gets_the_parameters_of_the_answer(tmp_path: Path) -> None:
    server, heard = await serve(tmp_path / "s", b'{"parameters":{"status":{"state":"ready"}}}\0')
    async with server:
        assert await local_call(tmp_path / "s", "GetStatus", full=True) == {"status": {"state": "ready"}}
    (request,) = heard
    assert request.endswith(b"\0")
    assert json.loads(request[:-1]) == {"method": "io.github.ipadagent.GetStatus", "parameters": {"full": True}}


async def test_an_answer_without_parameters_is_an_empty_one(tmp_path: Path) -> None:
    server, _ = await serve(tmp_path / "s", b"{}\0")
    async with server:
        assert await local_call(tmp_path / "s", "Confirm") == {}


async def test_a_refusal_has_the_agents_name_for_it(tmp_path: Path) -> None:
    server, _ = await serve(
        tmp_path / "s", b'{"error":"io.github.ipadagent.Busy","parameters":{"sentence":"Later."}}\0'
    )
    async with server:
        with pytest.raises(LocalCallError, match="Later") as caught:
            await local_call(tmp_path / "s", "Confirm")
    assert caught.value.error == "Busy"


@pytest.mark.parametrize("answer", [b"", b"{}", b"no\0", b"[]\0", b'{"parameters":[]}\0', b"\xff\0"])
async def test_what_is_no_answer_is_an_error_of_the_lab(tmp_path: Path, answer: bytes) -> None:
    server, _ = await serve(tmp_path / "s", answer)
    async with server:
        with pytest.raises(LocalCallError):
            await local_call(tmp_path / "s", "Confirm", deadline_s=5)


async def test_nobody_there_is_an_error_of_the_lab(tmp_path: Path) -> None:
    with pytest.raises(LocalCallError, match="no answer"):
        await local_call(tmp_path / "s", "Confirm")
