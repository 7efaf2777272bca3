"""The lab in two terminals, and the scenario runner's verdicts."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ipad_agent.lab.bench.bench_options import BenchOptions
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.bench.rsp_servers_on_bench import RspOptions
from ipad_agent.lab.command import lab_command
from ipad_agent.lab.command.lab_orders import ORDERS, obey, usage
from ipad_agent.lab.command.lab_socket import Answer, ControlServer, send_order
from ipad_agent.lab.errors import BenchError, ControlError
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A
from ipad_agent.lab.scenarios.scenario_runner import (
    SCENARIOS,
    Run,
    Scenario,
    load_all,
    run_many,
    run_scenario,
    scenario,
)

from .eim.import_files import written
from .eim.world import new_key

DRIVER = """
import argparse, sys
from ipad_agent.lab.command import lab_command as cli
parser = argparse.ArgumentParser()
cli.add_arguments(parser)
sys.exit(cli.run(parser.parse_args()))
"""


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    lab_command.add_arguments(parser)
    return parser.parse_args(words)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[tuple[Path, dict[str, object], subprocess.Popen[str]]]:
    """A lab in a process of its own: its folder, what it said of itself, and the process."""
    folder = tmp_path / "lab"
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, "up", "--json", "--dir", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield folder, json.loads(process.stdout.readline()), process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_lab_says_how_to_reach_it_takes_orders_and_ends_when_asked(
    lab: tuple[Path, dict[str, object], subprocess.Popen[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, facts, process = lab
    assert Path(str(facts["modem"])).is_symlink()
    assert Path(str(facts["config"])).exists()
    assert str(facts["eim"]).startswith("coaps://127.0.0.1:")
    assert str(facts["https"]).startswith("https://localhost:")
    assert str(facts["smdp"]).endswith("/gsma/rsp2/es9plus/")
    assert lab_command.run(parse("smdp", "--dir", str(folder), "orders", "--json")) == 0
    assert [row["code"] for row in json.loads(capsys.readouterr().out)] == facts["codes"]
    assert lab_command.run(parse("card", "--dir", str(folder), "profiles", "--json")) == 0
    assert [row["iccid"] for row in json.loads(capsys.readouterr().out)][:2] == [BOOTSTRAP, OPERATOR_A]
    assert lab_command.run(parse("eim", "queue", "enable", OPERATOR_A, "--rollback", "--dir", str(folder))) == 0
    assert "queued: enable" in capsys.readouterr().out
    assert lab_command.run(parse("eim", "--dir", str(folder), "results")) == 0
    assert f"enable {OPERATOR_A} --rollback" in capsys.readouterr().out
    assert lab_command.run(parse("eim", "--dir", str(folder), "queue", "enable", "12")) == 2
    assert "ICCID" in capsys.readouterr().err
    assert lab_command.run(parse("down", "--dir", str(folder))) == 0
    assert process.wait(timeout=60) == 0
    assert not Path(str(facts["control"])).exists()
    assert lab_command.run(parse("card", "--dir", str(folder), "profiles")) == 2
    assert "lab up" in capsys.readouterr().err


def test_lab_ends_cleanly_on_a_signal(lab: tuple[Path, dict[str, object], subprocess.Popen[str]]) -> None:
    folder, _, process = lab
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    assert not (folder / "modem").is_symlink()


async def test_every_order_works_or_says_how_it_is_typed(tmp_path: Path) -> None:
    imported = tmp_path / "import.json"
    imported.write_bytes(written(new_key()))
    async with Bench(BenchOptions(provision="card", rsp=RspOptions(), carrier="both")) as bench:
        good = [
            ["eim", "queue", "list-profiles"],
            ["eim", "results"],
            ["eim", "fault", "get", "busy", "60"],
            ["eim", "refuse", "500", "list-profiles", "--again"],
            ["eim", "import", str(imported)],
            ["eim", "bundle", str(tmp_path / "bundle.json")],
            ["eim", "take"],
            ["eim", "well"],
            ["eim", "restart"],
            ["modem", "status"],
            ["modem", "urc", "+CREG:", "2"],
            ["modem", "sms", "+491510000001", "a text"],
            ["modem", "fault", "error", "+CSQ", "2"],
            ["modem", "cell", BOOTSTRAP, "none"],
            ["modem", "cell", BOOTSTRAP, "26201"],
            ["modem", "coverage", BOOTSTRAP, "off"],
            ["modem", "coverage", BOOTSTRAP, "on", "0.5"],
            ["modem", "trace", "5"],
            ["modem", "drop-port", "0.01"],
            ["modem", "restart"],
            ["modem", "get-stuck"],
            ["card", "profiles"],
            ["card", "add", "898600b5012345678901", "With letters"],
            ["eim", "queue", "enable", "898600B5012345678901", "--rollback"],
            ["card", "show"],
            ["card", "pull"],
            ["card", "insert"],
            ["card", "power-cut-at", "after-swap"],
            ["network", "show"],
            ["network", "set", "loss", "0.1", "up"],
            ["network", "off"],
            ["network", "on"],
            ["network", "ethernet", "in"],
            ["network", "ethernet", "out"],
            ["network", "rebind"],
            ["smdp", "orders"],
            ["smdp", "offer", "LAB-2", "8949020000900000002", "--cc", "1234", "--ppr", "1,2", "--event"],
            ["smdp", "offer", "LAB-3", "8949020000900000004", "--size", "800"],
            ["smdp", "offer", "-", "8949020000900000003"],
            ["smdp", "notifications"],
            ["smdp", "fault", "initiateAuthentication", "status", "8.8.1/3.8", "2"],
            ["smdp", "well"],
        ]
        assert {(words[0], words[1]) for words in good} == {(part, name) for part in ORDERS for name in ORDERS[part]}
        for words in good:
            assert obey(bench, words).text
        assert bench.proxy.link.impairments["up"].loss == 0.1
        assert bench.proxy.link.impairments["down"].loss == 0.0
        assert bench.card.profile_states()["898600B5012345678901"] is False
        bad = (
            ["card"],
            ["card", "add"],
            ["card", "add", "8949F"],
            ["card", "add", BOOTSTRAP],
            ["tea", "make"],
            ["eim", "queue"],
            ["modem", "cell"],
            ["modem", "fault", "x"],
        )
        assert [order.matching_id for order in bench.rsp.smdp.orders] == ["LAB-1", "LAB-2", "LAB-3", ""]
        assert [event.event_id for event in bench.rsp.smds.events] == ["LAB-2"]
        worst = (
            ["smdp", "offer", "LAB-2", "8949020000900000002"],
            ["smdp", "offer", "X", "1", "--x"],
            ["smdp", "fault"],
        )
        wrong = (["modem", "coverage", BOOTSTRAP, "maybe"], ["modem", "coverage", "12", "on"], ["network", "ethernet"])
        worse = (["network", "set", "luck", "1"], ["eim", "fault", "get", "dance"], ["modem", "trace", "many"])
        for words in (*bad, *wrong, *worse, *worst):
            with pytest.raises(ControlError):
                obey(bench, words)
    assert all(name in usage() for orders in ORDERS.values() for name in orders)


async def test_control_socket_refuses_what_is_no_order_and_is_private(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 80) / ("y" * 40)
    deep.mkdir(parents=True)

    async def handle(words: Sequence[str]) -> Answer:
        if words == ["no"]:
            raise ControlError("never")
        return Answer(" ".join(words), {"n": len(words)})

    async with ControlServer(deep, handle) as server:
        assert server.path.stat().st_mode & 0o777 == 0o600
        assert await asyncio.to_thread(send_order, deep, ["a", "b"]) == Answer("a b", {"n": 2})
        with pytest.raises(ControlError, match="never"):
            await asyncio.to_thread(send_order, deep, ["no"])
        for junk in (b"\n", b"[]\n", b'{"words": 5}\n', b"\xff\xff\n", b"x" * 2_000_000):
            reader, writer = await _connect(deep)
            with contextlib.suppress(ConnectionError):
                writer.write(junk)
                writer.write_eof()
                answer = await reader.read()
                assert answer == b"" or json.loads(answer)["ok"] is False
            writer.close()
        assert (await asyncio.to_thread(send_order, deep, ["still", "here"])).text == "still here"
    with pytest.raises(ControlError, match="no lab runs"):
        send_order(deep, ["a"])


async def _connect(folder: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    descriptor = os.open(folder, os.O_PATH)
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(f"/proc/self/fd/{descriptor}/control.sock")
    os.close(descriptor)
    return await asyncio.open_unix_connection(sock=connection)


# Scenarios


async def good(run: Run) -> None:
    async with run.step("first") as step:
        step.detail = "fine"
    run.check("second", True)


async def bad(run: Run) -> None:
    run.check("first", True)
    run.check("second", 1 > 2, "1 is not more than 2")
    run.check("third", True)


async def broken(run: Run) -> None:
    async with run.step("waits"):
        raise BenchError("nothing came\nlong story")


async def endless(run: Run) -> None:
    async with run.step("for ever"):
        await asyncio.Event().wait()


async def empty(run: Run) -> None:
    return


async def impatient(run: Run) -> None:
    async with run.step("waits in vain"), asyncio.timeout(0.01):
        await asyncio.Event().wait()


async def no_disk(run: Run) -> None:
    async with run.step("writes"):
        (run.folder / "missing" / "file").write_text("")


async def test_a_good_story_is_ok_and_timed() -> None:
    report = await run_scenario(Scenario("good", "", good))
    assert report.ok
    assert [(step.step, step.ok, step.detail) for step in report.steps] == [
        ("first", True, "fine"),
        ("second", True, ""),
    ]
    row = json.loads(report.to_json())
    assert row["scenario"] == "good"
    assert set(row["steps"][0]) == {"step", "ok", "detail", "t_s"}
    assert "passed" in report.to_text()


@pytest.mark.parametrize(
    ("body", "why", "steps"),
    [
        (bad, "1 is not more than 2", [True, False]),
        (broken, "nothing came\nlong story", [False]),
        (endless, "not over after 0.3 s", [False]),
        (empty, "the story has no steps", []),
        (impatient, "TimeoutError", [False]),
        (no_disk, "FileNotFoundError", [False]),
    ],
)
async def test_a_story_that_does_not_end_well_says_why(body: object, why: str, steps: list[bool]) -> None:
    report = await run_scenario(Scenario("x", "", body, 0.3))  # type: ignore[arg-type]  # one of the bodies above
    assert not report.ok
    assert why in (report.why or "")
    assert [step.ok for step in report.steps] == steps
    assert "failed" in report.to_text()


async def test_the_folder_of_a_story_is_kept_on_request_only() -> None:
    async def uses_folder(run: Run) -> None:
        (run.folder / "log").write_text("x")
        run.check("written", True)

    kept = await run_scenario(Scenario("keeps", "", uses_folder), keep=True)
    assert kept.folder is not None
    assert os.listdir(kept.folder) == ["log"]
    shutil.rmtree(kept.folder)
    assert (await run_scenario(Scenario("tidies", "", uses_folder))).folder is None


async def test_several_stories_are_ok_only_if_all_are() -> None:
    out = io.StringIO()
    stories = [Scenario("a", "", good), Scenario("b", "", bad), Scenario("c", "", good)]
    assert await run_many(stories, out, as_json=True) is False
    assert [json.loads(line)["ok"] for line in out.getvalue().splitlines()] == [True, False, True]
    assert await run_many(stories[:1], out, as_json=False) is True


def test_a_name_is_given_once_and_every_story_has_its_sentence() -> None:
    stories = load_all()
    assert all(story.about.endswith(".") for story in stories.values())
    scenario("only-in-this-test", "It is registered.")(good)
    try:
        with pytest.raises(ValueError, match="two scenarios"):
            scenario("only-in-this-test", "Again.")(good)
    finally:
        del SCENARIOS["only-in-this-test"]


def test_unknown_scenarios_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert lab_command.run(parse("run", "no-such-story")) == 2
    assert "no-such-story; there are " in capsys.readouterr().err
    assert lab_command.run(parse("run", "switch-okk")) == 2
    assert "no scenario switch-okk; perhaps switch-ok" in capsys.readouterr().err
    assert lab_command.run(parse("run", "switch-disk")) == 2
    assert "perhaps switch-disk-full or switch-disk-read-only" in capsys.readouterr().err
    assert lab_command.run(parse("run")) == 2
    assert lab_command.run(parse("list")) == 0


def test_asking_for_the_arguments_loads_no_part_of_the_lab() -> None:
    code = (
        "import argparse, sys\nfrom ipad_agent.lab.command import lab_command\n"
        "lab_command.add_arguments(argparse.ArgumentParser())\n"
        "print([name for name in sys.modules if name.startswith('ipad_agent.lab.') and name.count('.') > 2"
        " and name not in ('ipad_agent.lab.command.lab_command', 'ipad_agent.lab.command.card_arguments')"
        " or name in ('aiocoap', 'OpenSSL', 'cryptography')])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_every_option_of_lab_up_is_in_the_document() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "lab.md").read_text(encoding="utf-8")
    parser = argparse.ArgumentParser()
    up = lab_command.add_arguments(parser).choices["up"]
    options = {option for action in up._actions for option in action.option_strings if option.startswith("--")}
    assert sorted(option for option in options - {"--help"} if f"{option}" not in page) == []
