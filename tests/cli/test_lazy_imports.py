"""What is loaded when: a program loads what this run of it needs. (That one carrier does not load the other is in
``tests/net/test_https.py``.)"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ipad_agent.local.status_model import to_plain
from situations import SITUATIONS

from .fake_agent import FakeAgent, gives

TELL_AT_THE_END = "import atexit, sys; atexit.register(lambda: print('loaded', *sys.modules, file=sys.stderr)); "

# Each of these takes longer to load, or more memory, than the rest of what a run needs.
LIBRARIES = {"aiocoap", "OpenSSL", "h11", "asn1tools", "bitstruct", "dbus_fast", "dbus_next", "tarfile", "sqlite3"}


def loaded(error_output: str) -> set[str]:
    return set(error_output.splitlines()[-1].split()[1:])


def rooms(modules: set[str]) -> set[str]:
    return {name.split(".")[1] for name in modules if name.startswith("ipad_agent.")}


def test_ipactl_status_loads_neither_the_agent_nor_what_takes_long(tmp_path: Path) -> None:
    with FakeAgent(tmp_path / "socket", {"GetStatus": gives(status=to_plain(SITUATIONS["ready"]))}):
        program = f"{TELL_AT_THE_END} from ipad_agent.cli.ipactl import main; sys.exit(main(['status']))"
        environment = os.environ | {"IPACTL_SOCKET": str(tmp_path / "socket")}
        ran = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, env=environment, timeout=120, check=True
        )
    assert ran.stdout.startswith("● ready")
    before = loaded(
        subprocess.run([sys.executable, "-c", TELL_AT_THE_END], capture_output=True, text=True, check=True).stderr
    )
    found = loaded(ran.stderr) - before
    assert rooms(found) == {"cli", "errors", "local", "printable", "records", "similar_names"}
    slow = {"dataclasses", "inspect", "asyncio", "logging", "subprocess", "shutil", "ipaddress", "datetime", "tomllib"}
    assert found & (slow | LIBRARIES) == set()
    commands = {name for name in found if name.startswith("ipad_agent.cli.ipactl.commands.")}
    assert commands == {"ipad_agent.cli.ipactl.commands.query_commands"}


@pytest.mark.parametrize("bus", ["off", "auto"])
def test_the_daemon_at_ready_has_loaded_nothing_of_what_it_may_never_need(tmp_path: Path, bus: str) -> None:
    """No carrier, as no eIM is known yet; no bus where none is wanted or there; never the lab; and no doctor."""
    config = tmp_path / "config.toml"
    config.write_text(
        f'[modem]\nport = "{tmp_path}/no-such-port"\nlock_dir = "{tmp_path}"\n'
        f'[store]\nstate_dir = "{tmp_path}/state"\nruntime_dir = "{tmp_path}/run"\n'
        f'[log]\nstyle = "json"\n[local]\ndbus = "{bus}"\n'
    )
    program = f"{TELL_AT_THE_END} from ipad_agent.__main__ import main; main(['run', '--config', {str(config)!r}])"
    environment = os.environ | {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={tmp_path}/no-bus"}
    with subprocess.Popen(
        [sys.executable, "-c", program], stderr=subprocess.PIPE, text=True, env=environment
    ) as daemon:
        assert daemon.stderr is not None
        for line in daemon.stderr:  # it says that there is no modem once it is ready
            if json.loads(line)["id"] == "IPA-1004":
                break
        daemon.send_signal(signal.SIGTERM)
        rest = daemon.stderr.read()
    found = loaded(rest)
    assert "ipad_agent.agent.main_loop" in found
    assert found & LIBRARIES == set()
    assert rooms(found) & {"lab", "torture", "doctor", "installation", "conformance", "web", "openwrt"} == set()
    assert {name for name in found if name.startswith("ipad_agent.cli.ipactl")} == set()
    assert ("ipad_agent.local.dbus" in found) == (bus == "auto")
