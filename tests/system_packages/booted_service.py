"""The packages on a booted Debian, from ``apt install`` to ``apt purge``: one machine, one story, in this order.

Run by ``make test-packages`` (not by ``make test``: it needs root, a chroot with systemd, and many minutes). Its
environment: ``IPAD_CHROOT`` the chroot of the suite, ``IPAD_OLD`` and ``IPAD_NEW`` folders with packages of two
versions.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .booted_machine import Machine, until

ROOT = Path(__file__).parents[2]
BASE = Path(os.environ["IPAD_CHROOT"])
OLD, NEW = Path(os.environ["IPAD_OLD"]), Path(os.environ["IPAD_NEW"])
SUITE = tomllib.loads(re.sub(r"^(\w+)=([^\"].*)$", r'\1="\2"', (BASE / "etc/os-release").read_text(), flags=re.M))
UNIT = "ipad-agent.service"
LAB = "/var/lib/lab"
WEB = "ipad-agent-web"
WEB_DEFAULTS = "/etc/default/ipad-agent-web"
NEXT = "89490200002000000027"
THIRD = "89490200003000000033"
SYSTEMD_254 = int(SUITE["VERSION_ID"]) >= 13


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    machine = Machine(BASE, tmp_path_factory.mktemp("machine") / "debian")
    machine.make()
    try:
        for name, folder in (("old", OLD), ("new", NEW)):
            for package in folder.glob("*.deb"):
                target = machine.root / "root" / name / f"{package.name.partition('_')[0]}.deb"
                target.parent.mkdir(exist_ok=True)
                target.write_bytes(package.read_bytes())
        machine.fetch(*(f"/root/old/{name}.deb" for name in ("ipad-agent", "ipad-agent-lab", WEB)))
        machine.boot()
        yield machine
    finally:
        machine.remove()


def ready(machine: Machine) -> None:
    until(lambda: machine.run("systemctl", "is-active", UNIT, check=False).stdout == "active\n", "the service")


def status(machine: Machine) -> dict[str, Any]:
    told = machine.run("ipactl", "status", "--json", check=False).stdout
    return dict(json.loads(told)) if told.strip() else {}


def verdict(machine: Machine) -> str:
    return str(status(machine).get("verdict", {}).get("state"))


def lab(machine: Machine, part: str, *words: str) -> str:
    return machine.run("ipad-agent", "lab", part, "--dir", LAB, *words).stdout


def enabled(machine: Machine) -> str:
    return next((line for line in lab(machine, "card", "profiles").splitlines() if "enabled" in line), "")


def drop_in(machine: Machine, name: str, text: str) -> None:
    machine.write(f"/etc/systemd/system/{UNIT}.d/{name}.conf", text)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", UNIT, check=False)


def remove_drop_in(machine: Machine, name: str) -> None:
    machine.run("rm", "-f", f"/etc/systemd/system/{UNIT}.d/{name}.conf")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", UNIT)
    ready(machine)


def journal(machine: Machine) -> str:
    return machine.run("journalctl", "--unit", UNIT, "--output", "cat", "--no-pager").stdout


BEFORE: set[str] = set()
_KEPT = (
    r"^/(var/(log|cache|lib/(dpkg|apt|systemd|polkit-1|dbus))|run|proc|sys|dev|tmp|root|usr/lib/python3|etc/mailcap)"
)


def files(machine: Machine) -> set[str]:
    found = machine.sh("find / -xdev -not -type d 2>/dev/null || true").splitlines()
    return {name for name in found if not re.match(_KEPT, name)}


def test_apt_installs_it_without_a_word_of_failure(machine: Machine) -> None:
    # Libraries first, so that what the agent's own package leaves behind can be told from what they do.
    machine.sh(
        "cd /root/old && apt-get install -y -qq $(dpkg-deb -f ipad-agent.deb Depends Recommends |"
        " sed 's/^[A-Z].*: //' | tr ',' '\\n' | sed 's/(.*)//; s/|.*//' | grep -v '^ *systemd') >/dev/null"
    )
    BEFORE.update(files(machine))
    installing = machine.run("apt", "install", "-y", "/root/old/ipad-agent.deb")
    said = installing.stdout + installing.stderr
    assert not re.search(r"error|fail|denied", said, flags=re.IGNORECASE), said


def test_the_service_runs_at_once_with_its_user_and_its_name_on_the_bus(machine: Machine) -> None:
    ready(machine)
    assert "217/USER" not in machine.run("systemctl", "status", "--no-pager", UNIT).stdout
    until(lambda: "io.github.ipadagent1" in bus_names(machine), "its name on the bus")
    assert "AccessDenied" not in journal(machine)
    assert machine.property(UNIT, "NRestarts") == "0"
    pid = machine.property(UNIT, "MainPID")
    assert machine.sh(f"stat -c %U /proc/{pid}").strip() == "ipad"


def bus_names(machine: Machine) -> str:
    return machine.run("busctl", "list", "--no-pager").stdout


def resident_kb(machine: Machine) -> int:
    told = machine.sh(f"cat /proc/{machine.property(UNIT, 'MainPID')}/status")
    return next(int(line.split()[1]) for line in told.splitlines() if line.startswith("VmRSS:"))


def test_memory_and_flash_are_told(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    resident = resident_kb(machine)
    size = int(machine.sh("dpkg-query -f '${Installed-Size}' -W ipad-agent"))
    compiled = int(machine.sh("du -sk /usr/lib/ipad-agent").split()[0])
    with capsys.disabled():
        print(f"\n{SUITE['VERSION_CODENAME']}: {resident / 1024:.1f} MB resident at ready; package ", end="")
        print(f"{size / 1024:.1f} MB, its modules with bytecode {compiled / 1024:.1f} MB")
    assert resident < 60_000
    # Everything was compiled when it was installed: the service may write nothing there, and each start would cost it.
    missing = (
        "find /usr/lib/ipad-agent -name '*.py' | while read -r f; do ls ${f%/*}/__pycache__/$(basename $f .py).*.pyc"
    )
    assert "No such file" not in machine.sh(f"{missing} 2>&1 >/dev/null || true; done")


def test_doctor_says_what_is_missing_and_what_to_do(machine: Machine) -> None:
    ran = machine.run("ipactl", "doctor", check=False)
    assert ran.returncode == 6, ran.stdout + ran.stderr
    assert "No modem" in ran.stdout or "no known modem" in ran.stdout.lower()
    assert "What to do:" in ran.stdout
    assert "TLS        ✓" in ran.stdout


def test_hardening_holds_for_the_running_process(machine: Machine) -> None:
    exposure = machine.run("systemd-analyze", "security", "--no-pager", "--threshold=15", UNIT, check=False)
    assert exposure.returncode == 0, exposure.stdout[-200:]
    told = machine.sh(f"cat /proc/{machine.property(UNIT, 'MainPID')}/status")
    fields = dict(line.split(":", 1) for line in told.splitlines())
    assert int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == 0
    assert (fields["NoNewPrivs"].strip(), fields["Seccomp"].strip()) == ("1", "2")


def test_a_newer_systemd_lets_the_restart_delay_grow_and_no_systemd_complains(machine: Machine) -> None:
    machine.run("systemctl", "daemon-reload")
    assert "Unknown key" not in machine.run("journalctl", "-b", "--no-pager").stdout
    if SYSTEMD_254:
        assert machine.property(UNIT, "RestartSteps") == "8"
    assert machine.property(UNIT, "DropInPaths").endswith("10-restart-steps.conf") == SYSTEMD_254


@pytest.mark.parametrize("carrier", ["coaps", "https"])
def test_the_demo_of_the_lab_package_comes_to_its_end(machine: Machine, carrier: str) -> None:
    machine.run("apt", "install", "-y", "/root/old/ipad-agent-lab.deb")
    ran = machine.run("ipad-agent", "demo", "--plain", "--carrier", carrier, check=False)
    assert ran.returncode == 0, ran.stdout
    assert "✗" not in ran.stdout


_LAB_UNIT = f"""
[Unit]
Before={UNIT}
[Service]
Environment=PYTHONUNBUFFERED=1
ExecStart=/usr/bin/ipad-agent lab up --dir {LAB} --eim-port 5684 --https-port 5685
ExecStartPost=/bin/sh -c 'until [ -e {LAB}/control.sock ] && [ -e {LAB}/modem ]; do sleep 0.2; done; \\
    port=$$(readlink -f {LAB}/modem); chgrp dialout $$port; chmod 660 $$port; ln -sf $$port /dev/lab-modem'
[Install]
WantedBy=multi-user.target
"""
_BENCH = "[Unit]\nAfter=lab.service\n[Service]\n# A pseudo terminal is no modem.\nDeviceAllow=char-pts rw\n"
_HOOK = """#!/bin/sh
[ "$IPAD_MOMENT" = post-switch ] || exit 0
echo "${IPAD_APN-}" > /run/ipad-agent/apn
"""
_NMCLI = '#!/bin/sh\necho "$(id -un) $*" >>/var/lib/nmcli-was-called\n'


def test_it_starts_at_boot_finds_the_modem_and_polls(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.write("/etc/systemd/system/lab.service", _LAB_UNIT)
    machine.write(f"/etc/systemd/system/{UNIT}.d/bench.conf", _BENCH)
    machine.run("systemctl", "enable", "--now", "lab.service")
    machine.run("systemctl", "restart", "lab.service")  # as at boot: with keys and a card that are there already
    config = machine.sh(f"cat {LAB}/agent.toml")
    config = re.sub(r"^\[(store|local|log)\]\n(?:\S.*\n)*", "", config, flags=re.MULTILINE)
    config = re.sub(r"^(lock_dir|hooks_dir|conditions_dir) .*\n", "", config, flags=re.MULTILINE)
    config = config.replace(f"{LAB}/modem", "/dev/lab-modem").replace(f"{LAB}/", "/etc/ipad-agent/")
    config = config.replace("[site]\n", "").replace("interval_s = 60", "interval_s = 3600")
    config += '\n[site]\napn_table = "apn.toml"\n\n[metrics]\ntextfile = "/var/lib/node-exporter/ipad.prom"\n'
    machine.write("/etc/ipad-agent/apn.toml", '[iccid]\n"8949020000" = "iot.example"\n')
    machine.sh(f"cp -r {LAB}/initial-eim.der {LAB}/ci /etc/ipad-agent/")
    machine.write("/etc/ipad-agent/config.toml", config)
    # docs/site.md: a hook leaves a note, and a path unit that runs as root acts on it.
    machine.write("/etc/ipad-agent/hooks.d/10-apn", _HOOK, 0o755)
    machine.write("/usr/local/bin/nmcli", _NMCLI, 0o755)
    machine.write(
        "/etc/systemd/system/apn.path", "[Path]\nPathChanged=/run/ipad-agent/apn\n[Install]\nWantedBy=paths.target\n"
    )
    command = "/bin/sh -c 'exec nmcli connection modify mobile gsm.apn \"$$(cat /run/ipad-agent/apn)\"'"
    machine.write("/etc/systemd/system/apn.service", f"[Service]\nType=oneshot\nExecStart={command}\n")
    machine.run("systemctl", "enable", "apn.path")
    # docs/diagnostics.md: the folder of node_exporter has to be named.
    machine.sh("install -d -o ipad /var/lib/node-exporter")
    machine.write(f"/etc/systemd/system/{UNIT}.d/textfile.conf", "[Service]\nReadWritePaths=/var/lib/node-exporter\n")
    machine.run("ipad-agent", "check-config", "/etc/ipad-agent/config.toml")
    machine.power_off()
    machine.boot()
    until(lambda: verdict(machine) == "ready", "the first poll")
    assert "ipad" in lab(machine, "eim", "results") or "89049032" in lab(machine, "eim", "results")
    assert machine.run("ipactl", "poll", "--now").returncode == 0
    with capsys.disabled():
        print(f"\n{SUITE['VERSION_CODENAME']}: {resident_kb(machine) / 1024:.1f} MB resident after the first polls")


def test_figures_are_written_where_the_drop_in_allows_it(machine: Machine) -> None:
    until(lambda: machine.run("test", "-s", "/var/lib/node-exporter/ipad.prom", check=False).returncode == 0, "figures")


def test_an_order_switches_the_profile_and_the_documented_hook_calls_nmcli_as_root(machine: Machine) -> None:
    lab(machine, "eim", "queue", "enable", NEXT, "--rollback")
    machine.run("ipactl", "poll", "--now")
    until(lambda: NEXT in enabled(machine), "the new profile")
    until(lambda: verdict(machine) == "ready", "the end of the switch")
    called = machine.sh("cat /var/lib/nmcli-was-called")
    assert "root connection modify mobile gsm.apn iot.example" in called


def test_the_lock_of_another_user_on_the_port_is_heeded(machine: Machine) -> None:
    machine.run("systemctl", "stop", UNIT)
    port = machine.sh("readlink -f /dev/lab-modem").strip()
    name = port.removeprefix("/dev/").replace("/", "_")
    machine.sh(
        "systemd-run --quiet --unit=minicom --uid=daemon --property=SupplementaryGroups=dialout"
        f" sh -c 'printf \"%10d\\n\" $$ >/run/lock/LCK..{name}; chmod 644 /run/lock/LCK..{name}; exec sleep 600'"
    )
    machine.run("systemctl", "start", UNIT)
    until(lambda: verdict(machine) == "no-modem" or "LCK.." in journal(machine), "word of the lock")
    machine.run("systemctl", "stop", "minicom")
    until(lambda: verdict(machine) == "ready", "the port, after its user went away", 180)


def test_a_killed_agent_is_started_again(machine: Machine) -> None:
    pid = machine.property(UNIT, "MainPID")
    machine.run("kill", "-KILL", pid)
    until(lambda: machine.property(UNIT, "MainPID") not in (pid, "0"), "a new process", 60)
    until(lambda: verdict(machine) == "ready", "the agent")
    assert machine.property(UNIT, "NRestarts") == "1"


def test_a_stuck_agent_is_killed_by_the_watchdog_and_started_again(machine: Machine) -> None:
    drop_in(machine, "watchdog", "[Service]\nWatchdogSec=6\nTimeoutStopSec=4\nRestartSec=1\n")
    until(lambda: verdict(machine) == "ready", "the agent")
    pid = machine.property(UNIT, "MainPID")
    machine.run("kill", "-STOP", pid)
    until(lambda: machine.property(UNIT, "MainPID") not in (pid, "0"), "a new process", 60)
    assert "Watchdog timeout" in machine.run("journalctl", "--unit", UNIT, "--no-pager").stdout
    until(lambda: verdict(machine) == "ready", "the agent")
    remove_drop_in(machine, "watchdog")


def test_a_key_that_only_root_reads_comes_as_a_credential(machine: Machine) -> None:
    config = machine.sh("cat /etc/ipad-agent/config.toml")
    names = 'psk_identity = "gateway-17"\npsk_key_file = "$CREDENTIALS_DIRECTORY/eim-psk"\n'
    machine.write("/etc/ipad-agent/config.toml", config.replace("[[eim]]\n", f"[[eim]]\n{names}"))
    machine.write("/etc/ipad-agent/keys/eim-psk", "00112233445566778899aabbccddeeff\n", 0o600)
    try:
        machine.run("systemctl", "restart", UNIT)
        until(lambda: "gave this process no credentials" in poll_failure(machine), "word of the missing credential")
        drop_in(machine, "credential", "[Service]\nLoadCredential=eim-psk:/etc/ipad-agent/keys/eim-psk\n")
        # The lab's eIM knows no pre-shared keys: how far the agent gets shows that it has read this one.
        until(lambda: "handshake" in poll_failure(machine), "a handshake with the key")
    finally:
        machine.write("/etc/ipad-agent/config.toml", config)
        remove_drop_in(machine, "credential")
    until(lambda: verdict(machine) == "ready", "the agent")


def poll_failure(machine: Machine) -> str:
    """What the service has said since its last start, after it was asked to poll."""
    machine.run("ipactl", "poll", "--now", check=False)
    invocation = machine.property(UNIT, "InvocationID")
    return machine.sh(f"journalctl _SYSTEMD_INVOCATION_ID={invocation} --output cat --no-pager | tail -n 15")


_ASK = """
import sys, urllib.error, urllib.request
path, method, token = sys.argv[1:]
request = urllib.request.Request(f"http://127.0.0.1:8632{path}", method=method)
request.add_header("Content-Type", "application/json")
if token:
    request.add_header("Authorization", f"Bearer {token}")
try:
    with urllib.request.urlopen(request, timeout=60) as answer:
        print(answer.status, answer.read().decode())
except urllib.error.HTTPError as refusal:
    print(refusal.code, refusal.read().decode())
except OSError as error:
    print(0, error)
"""


def page(machine: Machine, path: str, *, method: str = "GET", token: str = "") -> tuple[int, str]:
    """What a program in the machine gets from the web page; 0 when nobody listens."""
    status, _, body = machine.run("python3", "-c", _ASK, path, method, token).stdout.partition(" ")
    return int(status), body


def web_token(machine: Machine) -> str:
    return machine.sh("cat /etc/ipad-agent/keys/web-token").strip()


def test_the_web_package_switches_nothing_on(machine: Machine) -> None:
    machine.run("apt", "install", "-y", f"/root/old/{WEB}.deb")
    assert machine.run("systemctl", "is-enabled", f"{WEB}.socket", check=False).stdout == "disabled\n"
    assert machine.property(f"{WEB}.socket", "ActiveState") == "inactive"
    assert page(machine, "/")[0] == 0


def test_the_web_page_is_answered_for_its_token_and_its_process_ends_when_nobody_looks(machine: Machine) -> None:
    # As docs/web.md tells it.
    machine.run("ipad-agent-web", "--make-token", "/etc/ipad-agent/keys/web-token")
    machine.write(WEB_DEFAULTS, 'IPAD_AGENT_WEB="--idle-exit 3"\n')
    machine.run("systemctl", "enable", "--now", f"{WEB}.socket")
    assert machine.property(f"{WEB}.service", "ActiveState") == "inactive"
    assert page(machine, "/api/status")[0] == 401
    assert page(machine, "/api/status", token="x" * 43)[0] == 401
    assert "<html" in page(machine, "/")[1]
    code, body = page(machine, "/api/status", token=web_token(machine))
    assert (code, json.loads(body)["status"]["verdict"]["state"]) == (200, "ready")
    # The agent has the device examined for the group of this process.
    assert machine.property(f"{WEB}.service", "ActiveState") == "active"
    found = page(machine, "/api/doctor", method="POST", token=web_token(machine))
    assert found[0] == 200
    assert "TLS" in found[1]
    pid = machine.property(f"{WEB}.service", "MainPID")
    user, group = machine.sh(f"stat -c '%u %G' /proc/{pid}").split()
    assert group == "ipad-examine"
    assert 61184 <= int(user) <= 65519, "a user that exists while it runs (DynamicUser)"
    exposure = machine.run("systemd-analyze", "security", "--no-pager", "--threshold=9", f"{WEB}.service", check=False)
    assert exposure.returncode == 0, exposure.stdout[-200:]
    until(lambda: machine.property(f"{WEB}.service", "ActiveState") == "inactive", "its end when nobody looks", 60)
    assert machine.property(f"{WEB}.service", "Result") == "success"
    assert machine.property(f"{WEB}.socket", "ActiveState") == "active"
    assert page(machine, "/api/status", token=web_token(machine))[0] == 200


def test_an_update_keeps_the_order_in_the_journal_and_its_result_arrives_once(machine: Machine) -> None:
    # The eIM hands out an order and takes no result of it until it is told to.
    lab(machine, "eim", "refuse", "garbage", "enable", THIRD)
    machine.run("ipactl", "poll", "--now", check=False)
    until(lambda: THIRD in enabled(machine), "the order, carried out")
    assert machine.sh("ls -A /var/lib/ipad-agent").strip()
    machine.write(WEB_DEFAULTS, 'IPAD_AGENT_WEB="--idle-exit 600"\n')
    machine.run("systemctl", "stop", f"{WEB}.service")
    assert page(machine, "/")[0] == 200
    looking = machine.property(f"{WEB}.service", "MainPID")
    packages = (f"/root/new/{name}.deb" for name in ("ipad-agent", "ipad-agent-lab", WEB))
    upgrading = machine.run("apt", "install", "-y", *packages)
    assert "Unpacking ipad-agent" in upgrading.stdout
    ready(machine)
    new = subprocess.run(
        ["dpkg-deb", "-f", str(next(NEW.glob("ipad-agent_*.deb"))), "Version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert machine.run("ipactl", "--version").stdout.split()[1] == new.stdout.partition("~")[0].strip()
    # Whoever looks at the page goes on with the new version.
    web_journal = machine.run("journalctl", "--unit", f"{WEB}.*", "--no-pager").stdout
    assert machine.property(f"{WEB}.service", "MainPID") not in (looking, "0"), web_journal[-2000:] + upgrading.stderr
    assert page(machine, "/api/status", token=web_token(machine))[0] == 200
    lab(machine, "eim", "take")
    until(
        lambda: (machine.run("ipactl", "poll", "--now", check=False), verdict(machine))[1] == "ready",
        "the delivery",
        240,
    )
    results = lab(machine, "eim", "results")
    assert "enable" in results
    assert THIRD in enabled(machine)


def test_it_stops_in_good_order(machine: Machine) -> None:
    machine.run("systemctl", "stop", UNIT)
    assert machine.property(UNIT, "Result") == "success"
    assert machine.property(UNIT, "ExecMainStatus") == "0"
    machine.run("systemctl", "start", UNIT)
    ready(machine)


def test_removing_keeps_what_the_device_owes(machine: Machine) -> None:
    machine.run("systemctl", "disable", "--now", "lab.service", "apn.path")
    machine.run("apt", "remove", "-y", "ipad-agent", "ipad-agent-lab", WEB)
    assert page(machine, "/")[0] == 0
    assert machine.property(f"{WEB}.service", "ActiveState") == "inactive"
    assert web_token(machine)
    assert machine.run("systemctl", "is-active", UNIT, check=False).stdout != "active\n"
    assert machine.sh("ls -A /var/lib/ipad-agent").strip()
    assert machine.sh("cat /etc/ipad-agent/config.toml").strip()


def test_purging_leaves_no_trace(machine: Machine) -> None:
    machine.run("apt", "purge", "-y", "ipad-agent", "ipad-agent-lab", WEB)
    own = r"/(etc/systemd/system/(lab\.service|apn\.|ipad-agent.service.d/)|usr/local/bin/nmcli|var/lib/(lab/|n))"
    # What this test itself put there.
    left = {name for name in files(machine) - BEFORE if not re.match(own, name)}
    assert left == set()
    for database in ("passwd", "group"):
        assert "ipad" not in machine.run("getent", database).stdout
    assert not [name for name in machine.sh("ls -A /var/lib /run /etc").split() if "ipad" in name]
    assert machine.sh("find /var/lib/systemd /run/systemd/units -name '*ipad*'") == ""


def test_the_packagers_page_followed_word_for_word_ends_with_a_service_on_the_bus(machine: Machine) -> None:
    page = (ROOT / "packaging" / "README.md").read_text(encoding="utf-8")
    commands = re.search(r"<!-- activation -->\n```sh\n(.*?)```", page, flags=re.DOTALL)
    assert commands is not None
    words = [f"DESTDIR={machine.root}", "PREFIX=/usr", "LAB=no", f"RESTART_STEPS={'yes' if SYSTEMD_254 else 'no'}"]
    subprocess.run(["make", "-C", str(ROOT), "install", *words], check=True, capture_output=True)
    # The one library that not every suite has.
    machine.sh("dpkg-deb -x /root/new/ipad-agent.deb /tmp/x; cp -rn /tmp/x/usr/lib/ipad-agent/. /usr/lib/ipad-agent/")
    began = machine.sh("date +%s").strip()
    for command in commands[1].splitlines():
        # A container has no devices of its own, so udev does not run in it: these two cannot be tried here.
        if not command.startswith("udevadm "):
            machine.run(*command.split())
    ready(machine)
    until(lambda: "io.github.ipadagent1" in bus_names(machine), "its name on the bus")
    said = machine.run("journalctl", "--unit", UNIT, f"--since=@{began}", "--no-pager").stdout
    assert "217/USER" not in said
    assert "AccessDenied" not in said
    assert machine.property(UNIT, "NRestarts") == "0"
