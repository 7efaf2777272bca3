"""What the parser of any command of ``ipactl`` is made of: the options that commands share, the layout of its help, and
the stand-in for a command that nobody asked for."""

from __future__ import annotations

import argparse
import os
from functools import cache
from typing import Any, Final

from .argument_values import fields, path
from .command_context import DEFAULT_CONFIG, MODEM_VARIABLE, SOCKET_VARIABLE
from .varlink_client import DEFAULT_SOCKET

FORMATS: Final = ("json", "keyvalue", "table")


class OtherCommandError(Exception):
    """Another command was meant than the only one that was built."""


class UnaskedCommand(argparse.ArgumentParser):
    """Stands for a command that nobody asked for: the help of all knows its name and line, its words are not built."""

    def __init__(self, prog: str, **_: object) -> None:
        self.prog = prog

    def add_argument(self, *_: Any, **__: Any) -> Any:
        return None

    def add_subparsers(self, **_: Any) -> Any:
        return self

    def add_parser(self, *_: object, **__: object) -> UnaskedCommand:
        return self

    def parse_known_args(self, *_: Any, **__: Any) -> Any:
        raise OtherCommandError


def add_command(
    parsers: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    help: str,
    description: str | None = None,
    *,
    own_format: bool = False,
) -> argparse.ArgumentParser:
    """A command below another or below all; ``own_format`` as in ``add_common_options``."""
    made = parsers.add_parser(
        name, help=help, description=description, allow_abbrev=False, formatter_class=help_formatter
    )
    if not isinstance(made, UnaskedCommand):
        add_common_options(made, top=False, own_format=own_format)
    return made


def add_common_options(parser: argparse.ArgumentParser, *, top: bool, own_format: bool = False) -> None:
    """Options that may stand before and after the command; after it they have no default of their own. ``own_format``:
    --format says what the command writes into a file, not what it says."""
    defaults: dict[str, Any] = {"json": False, "socket": None, "format": None, "fields": None, "agent_name": None}
    if not top:
        defaults = dict.fromkeys(defaults, argparse.SUPPRESS)
    # `ipactl bundle -o FILE` was there first.
    short = () if parser.prog.endswith(" bundle") else ("-o",)
    if not own_format:
        parser.add_argument(
            *short,
            "--format",
            choices=FORMATS,
            default=defaults["format"],
            help="for programs: as JSON, as lines name:value, or as one line for each thing",
        )
    parser.add_argument(
        "--fields",
        type=fields,
        metavar="NAMES",
        default=defaults["fields"],
        help="only these, with commas between; as a table unless --format says otherwise",
    )
    parser.add_argument("--json", action="store_true", default=defaults["json"], help="as --format json")
    parser.add_argument(
        "--modem",
        dest="agent_name",
        metavar="NAME",
        default=defaults["agent_name"],
        help=f"the agent of this modem, where there are several: ipad-agent@NAME (${MODEM_VARIABLE})",
    )
    parser.add_argument(
        "--socket",
        metavar="PATH",
        default=defaults["socket"],
        help=f"where the agent listens (${SOCKET_VARIABLE}, else {DEFAULT_SOCKET})",
    )


def add_iccid(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("iccid", metavar="ICCID", help="its number, the last four digits at least, or its name")


def add_no_wait(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--no-wait", action="store_true", help="only give the order; `ipactl watch` shows what comes of it"
    )


def add_config_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", type=path, default=DEFAULT_CONFIG, metavar="FILE", help=f"the configuration ({DEFAULT_CONFIG})"
    )


def help_formatter(prog: str) -> argparse.HelpFormatter:
    """With the width looked up once: argparse asks for it at each option, with a module that takes long to load."""
    return argparse.HelpFormatter(prog, width=_help_width())


@cache
def _help_width() -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isascii() and columns.isdigit() and int(columns) > 0:
        return max(int(columns) - 2, 20)
    try:
        return max(os.get_terminal_size(1).columns - 2, 20)
    except OSError:
        return 78
