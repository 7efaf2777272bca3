"""The command line as a person meets it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ipad_agent.cli import ipad_agent_command


def ipad_agent(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ipad_agent", *words], capture_output=True, text=True, check=False, timeout=60
    )


def test_a_reader_that_leaves_early_gets_no_complaint() -> None:
    command = f"{sys.executable} -m ipad_agent lab list | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize("words", [[], ["unknown"], ["run", "--nonsense"]])
def test_words_that_make_no_sense_are_a_usage_error(words: list[str]) -> None:
    done = ipad_agent(*words)
    assert done.returncode == 2
    assert "usage: ipad-agent" in done.stderr


def test_check_config_says_that_a_good_file_is_fine(tmp_path: object) -> None:
    file = f"{tmp_path}/config.toml"
    with open(file, "w", encoding="utf-8") as out:
        out.write('[poll]\npreset = "nbiot"\n')
    done = ipad_agent("check-config", file)
    assert (done.returncode, done.stderr) == (0, "")
    assert "fine" in done.stdout


def test_a_file_that_is_not_there_is_named_once() -> None:
    done = ipad_agent("check-config", "/nowhere/config.toml")
    assert done.returncode == 2
    assert (done.stdout + done.stderr).count("/nowhere/config.toml") == 1


def test_check_config_names_every_mistake_with_its_place(tmp_path: object) -> None:
    file = f"{tmp_path}/config.toml"
    with open(file, "w", encoding="utf-8") as out:
        out.write('[poll]\nintervall_s = 5\npreset = "fast"\n[nonsense]\nx = 1\n')
    done = ipad_agent("check-config", file)
    assert done.returncode == 2
    assert "poll.intervall_s" in done.stderr
    assert "interval_s" in done.stderr
    assert "poll.preset" in done.stderr
    assert "nonsense" in done.stderr


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["status"], "`ipactl status` asks it"),
        (["doctor", "--json"], "`ipactl doctor`"),
        (["check"], "Perhaps `ipad-agent check-config`;"),
        (["instal-service"], "Perhaps `ipad-agent install-service`;"),
    ],
)
def test_a_word_of_the_other_command_and_one_that_is_nearly_right_are_answered_by_what_was_meant(
    words: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ipad_agent_command.run(words) == 2
    assert meant in capsys.readouterr().err
