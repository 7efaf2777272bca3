"""The ``ipad-agent`` command: ``run``, ``check-config``, ``demo`` and ``lab``.

Each subcommand imports what it needs only when it is chosen, so that ``check-config`` works on a box where a library
is broken and the daemon never loads the lab.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

from ipad_agent import __version__
from ipad_agent.errors import ConfigError, IpadError
from ipad_agent.printable import printable_lines

DEFAULT_CONFIG = Path("/etc/ipad-agent/config.toml")
EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2


def run(argv: list[str]) -> int:
    """Parse the command line and do it; returns the exit status (0 done, 1 failed, 2 usage or configuration)."""
    arguments = _parser().parse_args(argv)
    handler = _HANDLERS[arguments.command]
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ipad-agent", description="IoT Profile Assistant in the device (IPAd, GSMA SGP.32) for Linux gateways."
    )
    parser.add_argument("--version", action="version", version=f"ipad-agent {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    daemon = commands.add_parser("run", help="run the daemon in the foreground (systemd starts it like this)")
    daemon.add_argument("--config", type=Path, default=DEFAULT_CONFIG, metavar="FILE")

    check = commands.add_parser("check-config", help="check a configuration file and name everything wrong with it")
    check.add_argument("file", type=Path, nargs="?", metavar="FILE", help=f"the file ({DEFAULT_CONFIG})")
    check.add_argument("--config", type=Path, metavar="FILE", help="the same, as `ipactl config check` takes it")

    demo = commands.add_parser("demo", help="watch the agent do its main job against the lab; no hardware needed")
    demo.add_argument("--plain", action="store_true", help="no colours and no bars, also on a terminal")
    demo.add_argument("--carrier", choices=("coaps", "https"), default="coaps", help="how the eIM is reached")

    lab = commands.add_parser("lab", help="a virtual modem, eUICC and eIM for tests and for benches without hardware")
    from ipad_agent.lab.command.lab_command import add_arguments as add_lab
    from ipad_agent.torture.run.torture_command import add_arguments as add_torture

    # The lab must not know the torture run, which knows the agent.
    parts = add_lab(lab)
    add_torture(parts.add_parser("torture", help="random histories of the whole agent in memory, with every fault"))
    return parser


def _run_daemon(arguments: argparse.Namespace) -> int:
    from ipad_agent.config import load
    from ipad_agent.daemon.process import run_daemon

    return run_daemon(load(arguments.config))


def _check_config(arguments: argparse.Namespace) -> int:
    from ipad_agent.config import problems
    from ipad_agent.config.errors import lines_of

    file = arguments.file or arguments.config or DEFAULT_CONFIG
    found = problems(file)
    for line in lines_of(str(file), found):
        print(printable_lines(line), file=sys.stderr)
    if found:
        return EXIT_USAGE
    print(f"{file}: fine")
    return EXIT_OK


def _demo(arguments: argparse.Namespace) -> int:
    from .demo import play

    return asyncio.run(play(plain=arguments.plain, carrier=arguments.carrier))


def _lab(arguments: argparse.Namespace) -> int:
    if arguments.lab_command == "torture":
        from ipad_agent.torture.run import torture_command

        return torture_command.run(arguments)
    from ipad_agent.lab.command import lab_command

    return lab_command.run(arguments)


_HANDLERS = {"run": _run_daemon, "check-config": _check_config, "demo": _demo, "lab": _lab}
