"""What the daemon loads: what a configuration does not use stays on the disk, or a small device pays all along."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ipad_agent.cli import ipad_agent_command

ARCHIVES = ("zipfile", "tempfile", "shutil", "bz2", "lzma", "importlib.resources")
PEOPLE = ("difflib", "stringprep", "unicodedata", "ctypes")
"""For messages about mistakes, for international names, and for bindings that lack something."""
OTHER_FACES = ("dbus_fast", "dbus_next", "ipad_agent.web", "ipad_agent.lab", "ipad_agent.doctor", "smartcard")
DAEMON = "from ipad_agent.daemon import process; import ipad_agent.eim, ipad_agent.net as net"


def loaded(program: str) -> list[str]:
    """The modules of a new Python that ran this."""
    ended = subprocess.run(
        [sys.executable, "-c", f"import sys\n{program}\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return ended.stdout.split()


@pytest.mark.parametrize(
    ("carrier", "absent"),
    [("net.HttpsCarrier", ("ipad_agent.net.dtls.openssl_client",)), ("net.CoapsCarrier", ("h11",))],
)
def test_the_daemon_loads_what_one_carrier_needs_and_a_single_tls_library(
    carrier: str, absent: tuple[str, ...]
) -> None:
    first = "from ipad_agent.cli import single_tls_library\nsingle_tls_library.load()"
    modules = loaded(f"{first}\n{DAEMON}\n{carrier}")
    assert "OpenSSL" in modules
    unwanted = (*ARCHIVES, *PEOPLE, *OTHER_FACES, *absent, "ssl", "_ssl", "_hashlib")
    assert [name for name in modules if name in unwanted] == []


def test_whoever_needs_the_other_tls_library_later_gets_it() -> None:
    modules = loaded(
        "from ipad_agent.cli import single_tls_library\nsingle_tls_library.load()\n"
        "import asyncio, hashlib, hmac, ssl\n"
        "assert ssl.get_default_verify_paths()\n"
        "assert hashlib.sha256(b'').hexdigest().startswith('e3b0c442')\n"
        "assert hmac.new(b'k', b'm', 'sha256').hexdigest() == hmac.digest(b'k', b'm', 'sha256').hex()\n"
        "asyncio.run(asyncio.sleep(0))"
    )
    assert "_ssl" in modules


def test_a_process_that_has_tls_already_keeps_it() -> None:
    assert "ssl" in loaded("import asyncio\nfrom ipad_agent.cli import single_tls_library\nsingle_tls_library.load()")


@pytest.mark.parametrize(
    "words",
    [
        ["run"],
        ["run", "--config", "a.toml"],
        ["run", "--modem", "second", "--config", "/etc/ipad-agent/second.toml"],
        ["run", "--config", "-"],
        ["run", "--config"],
        ["run", "--config=a.toml"],
        ["run", "--conf", "a.toml"],
        ["run", "--config", "a", "--config", "b"],
        ["run", "--help"],
        ["run", "--config", "--help"],
        ["run", "--config", ""],
        ["check-config", "a.toml"],
    ],
)
def test_what_is_understood_without_the_parser_is_what_the_parser_understands(words: list[str]) -> None:
    short = ipad_agent_command._daemon_arguments(words)
    if short is None:
        return
    whole = ipad_agent_command._parser(words).parse_args(words)
    assert vars(short) == vars(whole)


def test_a_service_manager_needs_no_parser() -> None:
    assert (
        ipad_agent_command._daemon_arguments(["run", "--modem", "b", "--config", "/etc/ipad-agent/b.toml"]) is not None
    )
    assert ipad_agent_command._daemon_arguments(["run"]) is not None


def test_the_running_daemon_has_mapped_one_tls_library(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        f'[modem]\nport = "{tmp_path}/no-such-port"\nlock_dir = "{tmp_path}"\n'
        f'[store]\nstate_dir = "{tmp_path}/state"\nruntime_dir = "{tmp_path}/run"\n'
        '[local]\ndbus = "off"\n[log]\nstyle = "json"\n'
    )
    command = [sys.executable, "-m", "ipad_agent", "run", "--config", str(config)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as daemon:
        try:
            assert daemon.stderr is not None
            assert any(json.loads(line)["id"] == "IPA-1004" for line in daemon.stderr)
            libraries = {
                Path(line.split()[-1]).name.partition(".")[0]
                for line in Path(f"/proc/{daemon.pid}/maps").read_text(encoding="utf-8").splitlines()
                if ".so" in line
            }
        finally:
            daemon.kill()
    assert "_asyncio" in libraries or "_socket" in libraries
    assert not libraries & {"_ssl", "_hashlib", "_bz2", "_lzma", "_ctypes"}, libraries
