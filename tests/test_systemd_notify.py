from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ipad_agent.daemon.sdnotify import Notifier


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    """The other end, as systemd has it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.settimeout(5)
        yield receiver


def notifier(systemd: socket.socket) -> Notifier:
    return Notifier({"NOTIFY_SOCKET": systemd.getsockname()})


def test_systemd_hears_each_message_in_its_own_words(systemd: socket.socket) -> None:
    told = notifier(systemd)
    assert told.ready("waiting for the modem")
    assert systemd.recv(999) == b"READY=1\nSTATUS=waiting for the modem"
    assert told.status("next poll in 5 h")
    assert systemd.recv(999) == b"STATUS=next poll in 5 h"
    assert told.watchdog()
    assert systemd.recv(999) == b"WATCHDOG=1"
    assert told.stopping()
    assert systemd.recv(999) == b"STOPPING=1"


def test_a_status_of_several_lines_cannot_smuggle_in_another_assignment(systemd: socket.socket) -> None:
    notifier(systemd).status("a\nMAINPID=1\r\nb …")
    assert systemd.recv(999) == "STATUS=a MAINPID=1 b …".encode()


def test_an_abstract_socket_is_reached() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.settimeout(5)
        name = f"ipad-agent-test-{os.getpid()}"
        receiver.bind("\0" + name)
        assert Notifier({"NOTIFY_SOCKET": "@" + name}).watchdog()
        assert receiver.recv(99) == b"WATCHDOG=1"


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1234"}])
def test_without_systemd_nothing_is_told_and_nothing_breaks(environ: dict[str, str]) -> None:
    assert not Notifier(environ).ready("x")


def test_a_systemd_that_is_gone_does_not_break_the_daemon(tmp_path: Path) -> None:
    assert not Notifier({"NOTIFY_SOCKET": str(tmp_path / "none")}).watchdog()


def test_a_systemd_that_does_not_listen_does_not_block_the_daemon(systemd: socket.socket) -> None:
    told = notifier(systemd)
    assert not all(told.status("x" * 1000) for _ in range(10_000))


@pytest.mark.parametrize(
    ("environ", "interval_s"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "7"}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "8"}, None),  # meant for another process
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_fed_at_half_of_what_systemd_allows(environ: dict[str, str], interval_s: float | None) -> None:
    assert Notifier(environ, pid=7).watchdog_interval_s == interval_s
