"""``ipad-agent-web`` as a process: its words, its token, systemd's sockets, and its end when nobody looks."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ipad_agent.web import web_command

from .conftest import Agent
from .web_process import LIMIT_S, TOKEN, WebPage, command, parsed, web


async def test_a_process_of_its_own_serves_the_agents_status(agent: Agent, tmp_path: Path) -> None:
    async with web(agent.path, tmp_path) as page:
        assert (await page.ask("/api/status")).json["status"]["verdict"]["state"] == "ready"
        async with page.live() as browser:
            await browser.next("status")
            agent.change("downloading")
            assert (await browser.next("status"))["status"]["operation"]["name"] == "download"
        assert page.process is not None
        page.process.terminate()
        async with asyncio.timeout(LIMIT_S):
            assert await page.process.wait() == 0
    assert TOKEN not in "".join(page.said)


ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])
"""


async def _activated(line: list[str], listener: socket.socket) -> asyncio.subprocess.Process:
    """Start this the way systemd does: the socket is number 3, and the variables say so."""
    given = listener.fileno()
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", ACTIVATE, str(given), *line, pass_fds=[given], stderr=subprocess.DEVNULL
    )


@pytest.mark.parametrize("kind", ["tcp", "unix"])
async def test_started_by_systemd_it_serves_that_socket_and_ends_when_nobody_looks(
    agent: Agent, tmp_path: Path, kind: str
) -> None:
    if kind == "tcp":
        listener = socket.create_server(("127.0.0.1", 0))
    else:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(tmp_path / "page"))
        listener.listen()
    with listener:
        process = await _activated(command(agent.path, tmp_path, "--idle-exit", "0.2"), listener)
        page = WebPage(listener.getsockname()[1] if kind == "tcp" else 0)
        if kind == "tcp":
            answer = await page.ask("/api/status")
        else:
            reader, writer = await asyncio.open_unix_connection(tmp_path / "page")
            writer.write(page.request("/api/status", headers={"Host": "localhost"}))
            answer = parsed(await reader.read())
            writer.close()
        assert answer.status == 200
        async with asyncio.timeout(LIMIT_S):
            assert await process.wait() == 0
        with socket.socket(listener.family) as later:  # it waits for the next process
            later.connect(listener.getsockname())


async def test_it_stays_while_somebody_looks(agent: Agent, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = await _activated(command(agent.path, tmp_path, "--idle-exit", "0.2"), listener)
        async with WebPage(listener.getsockname()[1]).live() as browser:
            for situation in ("downloading", "ready"):
                await browser.next("status")
                await asyncio.sleep(0.3)  # longer than it waits when nobody looks
                agent.change(situation)
            assert process.returncode is None
        async with asyncio.timeout(LIMIT_S):
            assert await process.wait() == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "nobody could be let in"),
        (["--token-file", "{folder}/missing"], "cannot be read"),
        (["--token-file", "{folder}/short"], "holds no token"),
        (["--user-header", "X Remote"], "no name of a header"),
        (["--user-header", "X-User", "--listen", "127.0.0.1"], "no ADDRESS:PORT"),
        (["--user-header", "X-User", "--listen", "192.0.2.9:1"], "cannot be listened at"),
        (["--make-token", "{folder}/missing/token"], "cannot be written"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    (tmp_path / "short").write_text("secret\n")
    assert web_command.main([word.format(folder=tmp_path) for word in words]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert "secret" not in said


def test_a_new_token_is_for_its_owner_alone_and_replaces_the_former(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "web-token"
    path.write_text("the former one")
    path.chmod(0o644)
    assert web_command.main(["--make-token", str(path)]) == 0
    token = path.read_text().strip()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(token) >= 43
    assert f"/#token={token}" in capsys.readouterr().out
    assert os.listdir(tmp_path) == ["web-token"]


def test_it_needs_nothing_of_the_agent_and_no_tls() -> None:
    """What costs memory is not loaded: neither the agent's rooms nor the libraries that they need."""
    script = "import sys, ipad_agent.web.web_command; print(*sorted(sys.modules))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    rooms = {name.split(".")[1] for name in found if name.startswith("ipad_agent.")}
    assert rooms - {"records"} == {"web", "events", "printable"}
    assert not {"cryptography", "OpenSSL", "aiocoap", "asn1tools"} & set(found)
