"""``ipactl`` and the agent's real socket, with an agent of a few lines behind it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ipad_agent.local.local_verbs import REFUSED_BY_POLICY, Refused
from ipad_agent.local.status_model import to_plain
from ipad_agent.local.varlink.peer_credentials import UnixAuthority
from ipad_agent.local.varlink.socket_server import Server
from situations import EID, EIM_ID, HAPPENINGS, OWED, PLANS, SITUATIONS

from .service import Service

CODE = "LPA:1$smdp.example$TOKEN"


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    """The socket serves as long as the test runs; the test's own user may do everything there."""
    made = Service()
    path = tmp_path / "socket"
    server = Server(made, path, UnixAuthority(read_group="", control_group=""), version="0.1.0")
    task = asyncio.create_task(server.run())
    async with asyncio.timeout(60):
        while not path.is_socket():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.001)
    yield made
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def ipactl(tmp_path: Path, *words: str) -> tuple[int, str, str]:
    """Exit status, output and error output of a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "ipad_agent.cli.ipactl",
        "--socket",
        str(tmp_path / "socket"),
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_status_and_its_json(service: Service, tmp_path: Path) -> None:
    exit, out, _ = await ipactl(tmp_path, "status")
    assert (exit, out.split()[:2]) == (0, ["●", "ready"])
    exit, out, _ = await ipactl(tmp_path, "status", "--json")
    assert json.loads(out) == json.loads(json.dumps(to_plain(SITUATIONS["ready"])))


@pytest.mark.parametrize(
    ("words", "call"),
    [
        (["poll"], ("poll", None)),
        (["poll", EIM_ID], ("poll", EIM_ID)),
        (["rollback"], ("rollback",)),
        (["confirm"], ("confirm",)),
        (["fallback"], ("execute_fallback",)),
        (["fallback", "--return"], ("return_from_fallback",)),
        (["emergency", "on"], ("emergency", True)),
        (["reset-euicc", "--what", "eims", "--eid-ends", EID[-4:]], ("memory_reset", ("eims",))),
        (["record", "start", "--for", "60s"], ("record", 60.0)),
        (["card", "set-default-smdp", "smdp.example:8443"], ("set_default_smdp", "smdp.example:8443")),
        (["card", "set-default-smdp", ""], ("set_default_smdp", "")),
        (
            ["card", "immediate-enable", "on", "--smdp-oid", "2.999.1", "--smdp", "smdp.example"],
            ("configure_immediate_enabling", True, "2.999.1", "smdp.example"),
        ),
        (["card", "immediate-enable", "off"], ("configure_immediate_enabling", False, None, None)),
        (["card", "activate-ipae", "--eid-ends", EID[-4:]], ("activate_ipae",)),
        (["download", CODE, "--yes"], ("download", CODE, None, False)),
        (["download", CODE, "--yes", "--accept-rules", "--no-wait"], ("download", CODE, None, True)),
    ],
)
async def test_every_verb_reaches_the_agent(
    service: Service, tmp_path: Path, words: list[str], call: tuple[object, ...]
) -> None:
    exit, _, err = await ipactl(tmp_path, *words)
    assert (exit, err) == (0, "")
    assert service.calls == [call]


async def test_a_refusal_keeps_the_agent_s_words(service: Service, tmp_path: Path) -> None:
    service.refusal = Refused(REFUSED_BY_POLICY, "This site holds changes back.", rule="window")
    exit, _, err = await ipactl(tmp_path, "rollback")
    assert (exit, err) == (3, "✗ This site holds changes back.\n")


async def test_questions_with_answers_of_their_own(service: Service, tmp_path: Path) -> None:
    exit, out, _ = await ipactl(tmp_path, "plan", "4713", "--json")
    assert (exit, json.loads(out)["plan"]) == (0, json.loads(json.dumps(to_plain(PLANS["possible"]))))
    exit, out, _ = await ipactl(tmp_path, "owed", "--json")
    assert (exit, len(json.loads(out)["owed"])) == (4, len(OWED))
    exit, out, _ = await ipactl(tmp_path, "log", "-n", "100")
    assert (exit, out.count("(IPA-")) == (0, len(HAPPENINGS))
    exit, out, _ = await ipactl(tmp_path, "metrics")
    assert (exit, out) == (0, "ipad_polls_total 3\n")
    exit, out, _ = await ipactl(tmp_path, "varlink", "info")
    assert (exit, "interface io.github.ipadagent" in out) == (0, True)


async def test_the_doctor_and_the_bundle(service: Service, tmp_path: Path) -> None:
    exit, out, _ = await ipactl(tmp_path, "doctor")
    assert (exit, out.splitlines()[-1]) == (0, "● Nothing needs to be done.")
    exit, _, _ = await ipactl(tmp_path, "bundle", "-o", str(tmp_path / "b.tar.gz"))
    assert (exit, (tmp_path / "b.tar.gz").read_bytes()) == (0, b"\x1f\x8b archive")


async def test_watch_follows_what_happens(service: Service, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ipad_agent.cli.ipactl", "watch", "--json", "--socket", str(tmp_path / "socket")),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        assert json.loads(await process.stdout.readline())["status"]["verdict"]["state"] == "ready"
        service.change("no-card")
        assert json.loads(await process.stdout.readline())["status"]["verdict"]["state"] == "no-card"
        process.terminate()
        await process.wait()
