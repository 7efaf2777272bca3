"""The shell files for OpenWrt, run by busybox's ash with busybox's own commands. What OpenWrt has besides (rc.common,
procd's functions, UCI, logger) stands here in a few lines; ``chown`` is written down instead of done."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = ROOT / "packaging" / "openwrt" / "ipad-agent" / "files"
SCRIPTS = [FILES / f"ipad-agent.{kind}" for kind in ("init", "hotplug", "rpcd", "uci-defaults")]
COMMANDS = ["basename", "cat", "chmod", "grep", "head", "ln", "ls", "mkdir", "mv", "readlink", "rm", "sed"]
ME = pwd.getpwuid(os.geteuid()).pw_name

# As /etc/rc.common and /lib/functions.sh do it: UCI's export is a shell text of calls.
RC_COMMON = """
config_load() {
    _section=
    package() { :; }
    config() { _section=${2:-$1}; }
    option() { eval "CONFIG_${_section}_$1=\\$2"; }
    list() { :; }
    _text=$(uci export "$1") || return 1
    eval "$_text"
}
config_get() { eval "$1=\\${CONFIG_$2_$3:-\\$4}"; }
config_get_bool() {
    config_get "$@"
    eval "case \\$$1 in 1 | on | true | yes | enabled) $1=1 ;; *) $1=0 ;; esac"
}
for _name in open_instance close_instance set_param add_reload_trigger; do
    eval "procd_$_name() { echo \\"$_name \\$*\\" >>\\"\\$STUB_LOG\\"; }"
done
. "$INIT"
"$@"
"""


class Router:
    """A folder with what an OpenWrt system has in the places that the init script knows."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bin = root / "bin"
        self.log = root / "stub.log"
        self.config = root / "etc/ipad-agent/config.toml"
        self.uci = root / "etc/config/ipad"
        self.state = root / "etc/ipad-agent/state"
        for folder in ("bin", "etc/config", "etc/ipad-agent", "dev", "tmp"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        busybox = shutil.which("busybox")
        assert busybox is not None, "busybox is needed: tools/system-packages.sh installs it"
        # A copy: the commands are links to it, and nothing that goes wrong here may reach the machine's own.
        self._busybox = Path(shutil.copy(busybox, self.bin / "busybox"))
        for name in COMMANDS:
            (self.bin / name).symlink_to(self._busybox)
        self.program("chown", 'echo "chown $*" >>"$STUB_LOG"')
        self.program("logger", 'echo "log $*" >>"$STUB_LOG"')
        self.program("uci", f'[ "$*" = "export ipad" ] && exec cat {self.uci}')
        self.program("python3", f'exec {sys.executable} "$@"')
        self.program("rc.common", RC_COMMON)
        # A user `ipad` that is the one who runs the tests.
        as_me = f'for a; do shift; [ "$a" != ipad ] || a={ME}; set -- "$@" "$a"; done'
        for name in ("id", "find"):
            self.program(name, f'{as_me}; exec {self._busybox} {name} "$@"')
        script = (FILES / "ipad-agent.init").read_text()
        # What is in memory on a router, whatever this folder's own path begins with.
        script = script.replace("/tmp/* | /var/* | /run/*)", f"{root}/tmp/*)")
        for place in ("/etc/ipad-agent", "/etc/sysupgrade.conf", "/dev/tty"):
            assert place in script
            script = script.replace(place, f"{root}{place}")
        (root / "init").write_text(script)
        self.write_uci()

    def program(self, name: str, text: str) -> None:
        path = self.bin / name
        path.unlink(missing_ok=True)  # a link to busybox itself, which must not be written through
        path.write_text(f"#!{self._busybox} ash\n{text}\n")
        path.chmod(0o755)

    def write_uci(self, more: str = "", *, user: str = ME, state: str | None = None) -> None:
        self.uci.write_text(
            f"config service 'service'\n\toption user '{user}'\n"
            f"config store 'store'\n\toption state_dir '{state or self.state}'\n"
            f"\toption runtime_dir '{self.root}/tmp/run'\n{more}"
        )

    def run(self, *command: str) -> int:
        self.log.write_text("")
        environment = {
            "PATH": str(self.bin),
            "STUB_LOG": str(self.log),
            "INIT": str(self.root / "init"),
        }
        result = subprocess.run(
            [self._busybox, "ash", str(self.bin / "rc.common"), *command],
            env=environment,
            cwd=self.root / "tmp",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.output = result.stdout
        assert result.stderr == "", result.stderr
        return result.returncode

    def said(self, begin: str) -> list[str]:
        return [line for line in self.log.read_text().splitlines() if line.startswith(begin)]


@pytest.fixture
def router(tmp_path: Path) -> Router:
    return Router(tmp_path)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    program = shutil.which("shellcheck")
    assert program is not None, "shellcheck is needed: tools/system-packages.sh installs it"
    result = subprocess.run([program, str(script)], capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_busybox_can_read_every_script(script: Path) -> None:
    result = subprocess.run(["busybox", "ash", "-n", str(script)], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_the_service_is_started_with_the_configuration_from_uci(router: Router) -> None:
    router.write_uci("config poll 'poll'\n\toption interval_s '3600'\n")
    assert router.run("start_service") == 0
    assert tomllib.loads(router.config.read_text())["poll"] == {"interval_s": 3600}
    assert router.said("open_instance")
    assert router.said("close_instance")
    assert f"set_param command /usr/bin/ipad-agent run --config {router.config}" in router.said("set_param")
    assert f"set_param user {ME}" in router.said("set_param")
    assert router.state.stat().st_mode & 0o777 == 0o700
    assert router.said("log") == []


def test_procd_never_gives_the_agent_up(router: Router) -> None:
    router.run("start_service")
    (respawn,) = router.said("set_param respawn")
    threshold_s, timeout_s, retry = respawn.split()[2:]
    # procd stops starting a service that ended more than `retry` times, unless that is 0.
    assert (int(retry), int(timeout_s) >= 15, int(threshold_s)) == (0, True, 3600)


def test_a_change_of_uci_reloads_and_procd_compares_the_configuration_file(router: Router) -> None:
    assert router.run("service_triggers") == 0
    assert router.said("add_reload_trigger") == ["add_reload_trigger ipad"]
    router.run("start_service")
    assert router.said("set_param file") == [f"set_param file {router.config}"]


@pytest.mark.parametrize(
    ("broken", "word"),
    [
        ("config poll 'poll'\n\toption interval_s 'often'\n", 'ipad.poll.interval_s: "often" is no number'),
        ("config pol 'poll'\n", "ipad.pol: is not known; did you mean poll?"),
    ],
)
def test_bad_uci_keeps_the_running_configuration_and_says_why(router: Router, broken: str, word: str) -> None:
    router.write_uci("config poll 'poll'\n\toption interval_s '3600'\n")
    router.run("start_service")
    before = router.config.read_bytes()
    router.write_uci(broken)
    assert router.run("start_service") == 0
    assert router.config.read_bytes() == before
    assert router.said("set_param file") == [f"set_param file {router.config}"], "unchanged: procd leaves it running"
    errors = router.said("log -t ipad-agent -p daemon.err")
    assert any(word in line for line in errors)
    assert any("keeps the last configuration that was right" in line for line in errors)


@pytest.mark.parametrize(
    "failing",
    ["echo 'uci: Parse error (invalid command) at line 3, byte 1' >&2; exit 1", "echo 'config poll cut_off'; exit 1"],
    ids=["with a reason", "in the middle"],
)
def test_a_uci_file_that_uci_cannot_read_keeps_the_running_configuration(router: Router, failing: str) -> None:
    router.run("start_service")
    before = router.config.read_bytes()
    router.program("uci", failing)
    # config_load fails as well then, so nobody can say that the service is not wanted.
    router.run("start_service")
    assert router.config.read_bytes() == before
    assert any("uci export ipad" in line for line in router.said("log -t ipad-agent -p daemon.err"))
    assert f"set_param user {ME}" in router.said("set_param"), "procd would restart it for another user"


def test_without_any_right_configuration_so_far_the_agent_is_not_started(router: Router) -> None:
    router.write_uci("config modem 'modem'\n\toption baud 'fast'\n")
    assert router.run("start_service") == 1
    assert not router.config.exists()
    assert router.said("open_instance") == []
    assert any("Not started" in line for line in router.said("log"))


def test_a_service_that_is_switched_off_is_not_started_and_says_how_to_switch_it_on(router: Router) -> None:
    router.uci.write_text("config service 'service'\n\toption enabled '0'\n")
    assert router.run("start_service") == 0
    assert router.said("open_instance") == []
    assert any("uci set ipad.service.enabled=1" in line for line in router.said("log"))


def test_an_unknown_user_is_not_taken_for_root(router: Router) -> None:
    router.write_uci(user="nosuchuser")
    router.run("start_service")
    assert "set_param user ipad" in router.said("set_param")
    assert any('no user "nosuchuser"' in line for line in router.said("log"))
    router.program("id", "exit 1")
    router.write_uci(user="root")
    router.run("start_service")
    assert any("runs as root" in line for line in router.said("log -t ipad-agent -p daemon.err"))


def test_the_state_is_given_to_the_user_that_has_another_number_after_an_upgrade(router: Router) -> None:
    router.state.mkdir(parents=True)
    (router.state / "journal").write_text("owed")
    router.write_uci(user="nobody")
    router.run("start_service")
    group = subprocess.run(["id", "-gn", "nobody"], capture_output=True, text=True, check=True).stdout.strip()
    assert f"chown -h nobody:{group} {router.state}/journal" in router.said("chown")
    router.write_uci(user=ME)
    router.run("start_service")
    assert not [line for line in router.said("chown") if "journal" in line], "flash is not worn by every start"


def test_a_state_folder_that_does_not_last_is_named_in_the_log(router: Router) -> None:
    lost = router.root / "tmp" / "state"
    router.write_uci(state=str(lost))
    router.run("start_service")
    assert any("is lost at every reboot" in line for line in router.said("log -t ipad-agent -p daemon.err"))
    elsewhere = router.root / "srv"
    router.write_uci(state=str(elsewhere))
    router.run("start_service")
    assert any("sysupgrade does not keep" in line for line in router.said("log"))
    (router.root / "etc/sysupgrade.conf").write_text(f"{elsewhere}\n")
    router.run("start_service")
    assert not router.said("log")


def test_modules_in_the_working_directory_are_not_run_as_root(router: Router) -> None:
    harm = router.root / "harm"
    (router.root / "tmp" / "tomllib.py").write_text(f"open({str(harm)!r}, 'w')\n")
    assert router.run("start_service") == 0
    assert not harm.exists()


def test_check_names_what_is_wrong_and_starts_nothing(router: Router) -> None:
    assert router.run("check") == 0
    assert router.output == "ipad: fine\n"
    router.write_uci("config modem 'modem'\n\toption baud 'fast'\n")
    assert router.run("check") == 2
    assert router.output.startswith('ipad.modem.baud: "fast" is no number')
    assert not router.config.exists()


def test_sysupgrade_keeps_the_state_the_keys_and_the_last_right_configuration(router: Router) -> None:
    router.run("start_service")
    (router.state / "journal").write_text("owed")
    (router.root / "etc/ipad-agent/keys/eim-psk").write_text("00")
    # sysupgrade runs find over the lines of all files in keep.d.
    kept: set[str] = set()
    for line in (FILES / "ipad-agent.keep").read_text().split():
        found = subprocess.run(
            ["busybox", "find", f"{router.root}{line}", "-type", "f"], capture_output=True, text=True, check=True
        )
        kept |= {path.removeprefix(str(router.root)) for path in found.stdout.split()}
    assert kept >= {f"/etc/ipad-agent/{name}" for name in ("config.toml", "state/journal", "keys/eim-psk")}


class Plugged:
    """A USB modem in a folder that looks like /sys, and its ports in one like /dev."""

    def __init__(self, router: Router, ids: str, interfaces: int = 4) -> None:
        self.router, self.sys, self.dev = router, router.root / "sys", router.root / "dev"
        device = self.sys / "devices/pci0/usb1/1-1"
        device.mkdir(parents=True)
        (device / "idVendor").write_text(ids.split(":")[0] + "\n")
        (device / "idProduct").write_text(ids.split(":")[1] + "\n")
        (self.sys / "class/tty").mkdir(parents=True)
        for number in range(interfaces):
            port = device / f"1-1:1.{number}" / f"ttyUSB{number}"
            (port / "tty" / port.name).mkdir(parents=True)
            (port.parent / "bInterfaceNumber").write_text(f"{number:02x}\n")
            (port / "tty" / port.name / "device").symlink_to(port)
            (self.sys / "class/tty" / port.name).symlink_to(port / "tty" / port.name)
            (self.dev / port.name).touch()
        self.link = self.dev / "ipad-agent-modem"

    def event(self, action: str, name: str) -> None:
        self.router.log.write_text("")
        environment = {
            "PATH": str(self.router.bin),
            "STUB_LOG": str(self.router.log),
            "IPAD_SYS": str(self.sys),
            "IPAD_DEV": str(self.dev),
            "ACTION": action,
            "DEVICENAME": name,
        }
        command = [str(self.router.bin / "busybox"), "ash", str(FILES / "ipad-agent.hotplug")]
        result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_the_second_at_port_of_a_modem_gets_its_name_and_the_others_only_the_group(router: Router) -> None:
    plugged = Plugged(router, "2c7c:0125")
    for number in range(4):
        plugged.event("add", f"ttyUSB{number}")
        assert router.said("chown") == [f"chown root:ipad {plugged.dev}/ttyUSB{number}"]
        assert (plugged.dev / f"ttyUSB{number}").stat().st_mode & 0o777 == 0o660
        assert plugged.link.is_symlink() == (number == 3)
    assert plugged.link.resolve() == plugged.dev / "ttyUSB3"


def test_the_name_goes_with_its_port_and_not_with_another(router: Router) -> None:
    plugged = Plugged(router, "1e0e:9001")
    plugged.event("add", "ttyUSB3")
    plugged.event("remove", "ttyUSB2")
    assert plugged.link.is_symlink()
    plugged.event("remove", "ttyUSB3")
    assert not plugged.link.is_symlink()


def test_the_name_follows_a_modem_that_comes_back_under_another_number(router: Router) -> None:
    plugged = Plugged(router, "2c7c:0125")
    plugged.link.symlink_to(plugged.dev / "ttyUSB9")
    plugged.event("add", "ttyUSB3")
    assert plugged.link.resolve() == plugged.dev / "ttyUSB3"


@pytest.mark.parametrize("name", ["ttyS0", "console", "tty1", "wwan0at0", "ttyUSB"])
def test_other_devices_are_left_alone(router: Router, name: str) -> None:
    plugged = Plugged(router, "2c7c:0125")
    (plugged.dev / name).touch()
    plugged.event("add", name)
    assert router.said("chown") == []


def test_an_unknown_modem_gets_no_name(router: Router) -> None:
    plugged = Plugged(router, "dead:beef")
    plugged.event("add", "ttyUSB3")
    assert router.said("chown")
    assert not plugged.link.is_symlink()


def test_rpcd_is_asked_to_read_its_objects_anew_after_an_installation() -> None:
    text = (FILES / "ipad-agent.uci-defaults").read_text()
    assert "/etc/init.d/rpcd reload" in text
    assert text.rstrip().endswith("exit 0"), "else it would be run again at every boot"
