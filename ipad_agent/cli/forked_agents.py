"""Agents forked from one process, for ``ipad-agent lab up --devices``: each is the daemon as it is, in a process of its
own, and what all of them have in common is in memory once.

Standard input gives one JSON list ``[configuration, log]`` a line for each agent to start; standard output says
``ready`` first and then ``[configuration, exit status]`` of each that has ended. The end of the input, or a SIGTERM, is
the end of all agents.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import selectors
import signal
import sys
import time
from pathlib import Path
from typing import Final

END_S: Final = 15.0
"""So long agents may take to end after a SIGTERM. They promise two seconds where the machine has nothing else to do."""


class ForkedAgents:
    """The agents of this process. ``run`` until the end of the input."""

    def __init__(self) -> None:
        self._agents: dict[int, str] = {}

    def run(self) -> int:
        """Obey until the input ends; the exit status."""
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        ends: list[int] = []
        signal.signal(signal.SIGTERM, lambda *_: ends.append(1))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._say("ready")
        waiting = selectors.DefaultSelector()
        waiting.register(0, selectors.EVENT_READ)
        waiting.register(wake_read, selectors.EVENT_READ)
        text = b""
        while not ends:
            ready = {key.fd for key, _ in waiting.select()}
            if wake_read in ready:
                os.read(wake_read, 4096)
                self._reap()
            if 0 in ready:
                more = os.read(0, 65536)
                if not more:
                    break
                *lines, text = (text + more).split(b"\n")
                for line in lines:
                    config, log = json.loads(line)
                    self._start(config, log)
        self._end_all()
        return 0

    def _start(self, config: str, log: str) -> None:
        pid = os.fork()
        if pid:
            self._agents[pid] = config
            return
        status = 1
        try:
            status = _live(Path(config), Path(log))
        finally:
            os._exit(status)  # nothing of this process is the child's to put away

    def _reap(self) -> None:
        while self._agents:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            self._say(json.dumps([self._agents.pop(pid), os.waitstatus_to_exitcode(status)]))

    def _end_all(self) -> None:
        for number, wait_s in ((signal.SIGTERM, END_S), (signal.SIGKILL, END_S)):
            for pid in self._agents:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            until_s = time.monotonic() + wait_s
            while self._agents and time.monotonic() < until_s:
                self._reap()
                time.sleep(0.02)

    @staticmethod
    def _say(line: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # whoever started this is gone; the end of the input comes next
            os.write(1, line.encode() + b"\n")


def _live(config: Path, log: Path) -> int:
    """The daemon in this process, as ``ipad-agent run`` starts it."""
    from ipad_agent.cli.ipad_agent_command import run

    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(said, 1)
    os.dup2(said, 2)
    gc.freeze()  # what is shared is not to be looked through, and so copied, by each of them
    return run(["run", "--config", str(config)])


def _load() -> None:
    """What every agent needs, before there are any."""
    import ipad_agent.cli.ipad_agent_command
    import ipad_agent.daemon.process
    import ipad_agent.net.coap.coaps_carrier
    import ipad_agent.net.dtls.openssl_backend
    import ipad_agent.net.https.https_carrier  # noqa: F401 - only loaded here


def main() -> int:
    """``python -m ipad_agent.cli.forked_agents``."""
    _load()
    gc.collect()
    return ForkedAgents().run()


if __name__ == "__main__":
    sys.exit(main())
