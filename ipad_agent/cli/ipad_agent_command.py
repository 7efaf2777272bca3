"""The ``ipad-agent`` command: ``run``, ``check-config``, ``install-service``, ``remove-service``, ``ics``, ``knock``,
``demo``, ``lab``.

Each subcommand imports what it needs only when it is chosen, so that ``check-config`` works on a box where a library
is broken and the daemon never loads the lab.
"""

from __future__ import annotations

import asyncio
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ipad_agent import __version__
from ipad_agent.errors import ConfigError, IpadError
from ipad_agent.printable import printable_lines

if TYPE_CHECKING:
    import argparse

DEFAULT_CONFIG = Path("/etc/ipad-agent/config.toml")
_NAMED = "the agent of this name, where there are several, one for each modem (file /etc/ipad-agent/NAME.toml)"
EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2


def run(argv: list[str]) -> int:
    """Parse the command line and do it; returns the exit status (0 done, 1 failed, 2 usage or configuration)."""
    if (meant := _meant(argv)) is not None:
        print(printable_lines(meant), file=sys.stderr)
        return EXIT_USAGE
    arguments: Any = _daemon_arguments(argv) or _parser(argv).parse_args(argv)
    handler = _no_lab if hasattr(arguments, "absent") else _HANDLERS[arguments.command]
    try:
        status = handler(arguments)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Somebody read only the beginning (`| head`). Python must not complain about that once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except ConfigError as error:
        print(printable_lines(str(error)), file=sys.stderr)
        return EXIT_USAGE
    except IpadError as error:
        print(printable_lines(f"{error}\n{error.hint}".rstrip()), file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return 130


def _meant(argv: list[str]) -> str | None:
    """What to type instead of a word that is not there; None where the parser has to say what is wrong, if anything."""
    if not argv or argv[0].startswith("-") or argv[0] in _HANDLERS:
        return None
    from ipad_agent.cli.ipactl.command_runner import HANDLERS
    from ipad_agent.similar_names import near

    if argv[0] in HANDLERS:
        return f"ipad-agent is the program that runs; `ipactl {argv[0]}` asks it, and tells it what to do."
    meant = near(argv[0], _HANDLERS)
    if meant is not None:
        return f"There is no command `{argv[0]}`. Perhaps `ipad-agent {meant}`; `ipad-agent --help` has all."
    return None


def _daemon_arguments(argv: list[str]) -> SimpleNamespace | None:
    """Of ``run`` as a service manager says it; None for everything else. The parser of all commands would take 0.7 MB
    of every daemon, for as long as it runs."""
    if argv[:1] != ["run"] or len(argv) % 2 == 0:
        return None
    said: dict[str, str] = {}
    for option, value in zip(argv[1::2], argv[2::2], strict=True):
        if option not in ("--config", "--modem") or option in said or not value or value.startswith("-"):
            return None
        said[option] = value
    config = said.get("--config")
    return SimpleNamespace(command="run", config=None if config is None else Path(config), modem=said.get("--modem"))


def _parser(argv: list[str] | None = None) -> argparse.ArgumentParser:
    """For these words: what belongs to the lab is loaded only when it is named. For all words without them."""
    import argparse

    parser = argparse.ArgumentParser(
        prog="ipad-agent", description="IoT Profile Assistant in the device (IPAd, GSMA SGP.32) for Linux gateways."
    )
    parser.add_argument("--version", action="version", version=f"ipad-agent {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    daemon = commands.add_parser("run", help="run the daemon in the foreground (systemd starts it like this)")
    daemon.add_argument("--config", type=Path, metavar="FILE", help=f"the configuration ({DEFAULT_CONFIG})")
    daemon.add_argument("--modem", metavar="NAME", help=_NAMED)

    check = commands.add_parser("check-config", help="check a configuration file and name everything wrong with it")
    check.add_argument("file", type=Path, nargs="?", metavar="FILE", help=f"the file ({DEFAULT_CONFIG})")
    check.add_argument("--config", type=Path, metavar="FILE", help="the same, as `ipactl config check` takes it")

    check.add_argument("--modem", metavar="NAME", help=_NAMED)

    ics = commands.add_parser("ics", help="what of SGP.32 is implemented, where, and which tests show it")
    ics.add_argument("--json", action="store_true", help="as one JSON document, for a test house")
    install = commands.add_parser(
        "install-service", help="write unit, user, policies and udev rule for an installation by pip, and load them"
    )
    install.add_argument("--program", type=Path, metavar="FILE", help="what the unit starts (default: this program)")
    remove = commands.add_parser("remove-service", help="take away what install-service wrote")
    for service in (install, remove):
        service.add_argument(
            "--root", type=Path, default=Path("/"), metavar="DIR", help="where the system lies, to prepare an image"
        )
        service.add_argument("--dry-run", action="store_true", help="only say what would be done")

    knocking = commands.add_parser("knock", help="have a device poll soon: one UDP datagram that proves the shared key")
    knocking.add_argument("place", metavar="HOST:PORT", help="where the device hears knocks (wake.knock)")
    knocking.add_argument("--key-file", type=Path, required=True, metavar="FILE", help="the key, in hexadecimal")
    if not _lab_is_installed():
        # Words of theirs are taken too, so that the answer is about the package and not about them.
        for name in ("demo", "lab"):
            absent = commands.add_parser(
                name, help="needs the package ipad-agent-lab", prefix_chars="\0", add_help=False
            )
            absent.add_argument("absent", nargs="*")
        return parser

    demo = commands.add_parser("demo", help="watch the agent do its main job against the lab; no hardware needed")
    demo.add_argument("--plain", action="store_true", help="no colours and no bars, also on a terminal")
    demo.add_argument("--carrier", choices=("coaps", "https"), default="coaps", help="how the eIM is reached")
    demo.add_argument(
        "--card", choices=("iot", "consumer"), default="iot", help="an IoT eUICC, or a consumer card that is emulated"
    )

    lab = commands.add_parser("lab", help="a virtual modem, eUICC and eIM for tests and for benches without hardware")
    if argv is not None and "lab" not in argv:
        return parser
    from ipad_agent.fleet.fleet_command import add_arguments as add_fleet
    from ipad_agent.lab.command.lab_command import add_arguments as add_lab
    from ipad_agent.torture.run.torture_command import add_arguments as add_torture

    # The lab must not know these two, which know the agent.
    parts = add_lab(lab)
    add_torture(parts.add_parser("torture", help="random histories of the whole agent in memory, with every fault"))
    add_fleet(
        parts.add_parser("fleet", help="the load of a million devices for their eIM, through an outage and a year")
    )
    return parser


def _lab_is_installed() -> bool:
    """Packages may leave the lab out: a gateway's flash is small."""
    return all(find_spec(f"ipad_agent.{room}") is not None for room in ("lab", "torture", "fleet"))


def _no_lab(arguments: argparse.Namespace) -> int:
    raise IpadError(
        "The lab is not installed here, and the demo needs it.",
        hint="It is a package of its own, for benches: ipad-agent-lab (on Debian: apt install ipad-agent-lab).",
    )


def _let_children_find_the_package() -> None:
    """The lab and the demo start ``python -m ipad_agent``. An installed command runs isolated (-I) with the package in
    a folder that Python does not know by itself, and a child inherits neither."""
    if sys.flags.isolated:
        os.environ["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])


def _run_daemon(arguments: argparse.Namespace) -> int:
    from ipad_agent import agent_names
    from ipad_agent.config import load
    from ipad_agent.daemon.process import run_daemon

    name: str | None = arguments.modem
    file = DEFAULT_CONFIG if name is None else agent_names.file_of(agent_names.checked(name))
    return run_daemon(load(arguments.config or file, modem=name))


def _check_config(arguments: argparse.Namespace) -> int:
    from ipad_agent import agent_names
    from ipad_agent.config import problems
    from ipad_agent.config.errors import lines_of

    name: str | None = arguments.modem
    named = DEFAULT_CONFIG if name is None else agent_names.file_of(agent_names.checked(name))
    file = arguments.file or arguments.config or named
    found = problems(file)
    for line in lines_of(str(file), found):
        print(printable_lines(line), file=sys.stderr)
    if found:
        return EXIT_USAGE
    print(f"{file}: fine")
    return EXIT_OK


def _ics(arguments: argparse.Namespace) -> int:
    from ipad_agent.conformance import implementation_statement

    functions, cases = implementation_statement.load(), implementation_statement.load_cases()
    form = implementation_statement.as_json if arguments.json else implementation_statement.as_markdown
    print(form(functions, cases).rstrip())
    return EXIT_OK


def _knock(arguments: argparse.Namespace) -> int:
    import secrets
    import socket
    import time

    from ipad_agent.config import SecretFile
    from ipad_agent.net.host_address import split_address
    from ipad_agent.wakeup.knock import NONCE_BYTES, knock

    try:
        host, port = split_address(arguments.place)
    except ValueError as error:
        raise ConfigError("HOST:PORT", str(error)) from None
    if port is None:
        raise ConfigError("HOST:PORT", "has no port", allowed="as in wake.knock of the device")
    key = SecretFile(str(arguments.key_file)).read_key()
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as line:
            line.sendto(knock(key, time.time(), secrets.token_bytes(NONCE_BYTES)), address)
    except OSError as error:
        raise IpadError(f"The knock could not be sent: {error.strerror or error}") from None
    print("Sent. A device does not answer a knock; what it makes of it is in its own log.")
    return EXIT_OK


def _install_service(arguments: argparse.Namespace) -> int:
    from ipad_agent.cli.ipactl import command_line, shell_completion
    from ipad_agent.config import commented_configuration
    from ipad_agent.installation.service_installation import Installation

    made = (("bash", shell_completion.bash), ("zsh", shell_completion.zsh), ("fish", shell_completion.fish))
    completions = {shell: "\n".join(lines(command_line.build())) + "\n" for shell, lines in made}
    root = arguments.root.resolve()
    configuration = ("\n".join(commented_configuration.lines()) + "\n").encode()
    done = Installation(
        __version__, configuration, root, arguments.program, completions, dry_run=arguments.dry_run
    ).install()
    if done and not arguments.dry_run and root == Path("/"):
        print("\nNext: look at /etc/ipad-agent/config.toml, then: systemctl enable --now ipad-agent")
    return EXIT_OK if done else EXIT_FAILED


def _remove_service(arguments: argparse.Namespace) -> int:
    from ipad_agent.installation.service_installation import Installation

    done = Installation(__version__, root=arguments.root.resolve(), dry_run=arguments.dry_run).remove()
    return EXIT_OK if done else EXIT_FAILED


def _demo(arguments: argparse.Namespace) -> int:
    _let_children_find_the_package()
    from .demo import play

    return asyncio.run(play(plain=arguments.plain, carrier=arguments.carrier, card=arguments.card))


def _lab(arguments: argparse.Namespace) -> int:
    _let_children_find_the_package()
    if arguments.lab_command == "torture":
        from ipad_agent.torture.run import torture_command

        return torture_command.run(arguments)
    if arguments.lab_command == "fleet":
        from ipad_agent.fleet import fleet_command

        return fleet_command.run(arguments)
    from ipad_agent.lab.command import lab_command

    return lab_command.run(arguments)


_HANDLERS = {
    "run": _run_daemon,
    "check-config": _check_config,
    "install-service": _install_service,
    "remove-service": _remove_service,
    "ics": _ics,
    "knock": _knock,
    "demo": _demo,
    "lab": _lab,
}
