"""The ``ipad-agent-web`` command: its words, its sockets, its log and its end."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import socket
import sys
from pathlib import Path
from typing import Final

from ipad_agent import __version__
from ipad_agent import events as catalogue
from ipad_agent.printable import is_printable, printable

from . import events
from .agent_connection import AgentConnection
from .page_requests import PageRequests
from .page_server import PageServer
from .web_access import LONGEST_TOKEN, SHORTEST_TOKEN, WebAccess, is_loopback, new_token

AGENT_SOCKET: Final = "/run/ipad-agent/io.github.ipadagent"
LISTEN: Final = "127.0.0.1:8632"
IDLE_EXIT_S: Final = 60.0
BACKLOG: Final = 32
FIRST_FD: Final = 3
EXIT_USAGE: Final = 2
_HEADER_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")


class UsageError(Exception):
    """The command line, or a file that it names, is no use; the text says why and what to do."""


def main(argv: list[str] | None = None) -> int:
    """Serve the page until SIGTERM, or make a token; the exit status."""
    arguments = _parser().parse_args(sys.argv[1:] if argv is None else argv)
    try:
        if arguments.make_token is not None:
            return make_token(arguments.make_token)
        catalogue.configure(level=catalogue.INFO, style="journal" if "JOURNAL_STREAM" in os.environ else "text")
        return asyncio.run(_serve(arguments))
    except UsageError as error:
        print(f"ipad-agent-web: {printable(str(error))}", file=sys.stderr)
        return EXIT_USAGE


def make_token(path: Path) -> int:
    """Write a new token where only its owner can read it; a former one is replaced, and with it all that signed in."""
    token = new_token()
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{token}\n")
            file.flush()
            os.fsync(file.fileno())
        beside.rename(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from None
    print(f"{path} holds a new token. Whoever has it can read everything about this device:\n\n  {token}\n")
    print("Restart the service if it runs. The page asks for the token; behind # in its address it is taken too:")
    print(f"\n  http://{LISTEN}/#token={token}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ipad-agent-web",
        description="A page about the device for people with a browser and no shell. It reads the agent's socket and "
        "changes nothing. Started by systemd it serves the sockets of ipad-agent-web.socket.",
    )
    parser.add_argument("--version", action="version", version=f"ipad-agent-web {__version__}")
    parser.add_argument(
        "--listen", default=LISTEN, metavar="ADDRESS:PORT", help="where, unless systemd says it (default: %(default)s)"
    )
    parser.add_argument("--socket", default=AGENT_SOCKET, metavar="PATH", help="the agent's (default: %(default)s)")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="holds the token that opens the page")
    parser.add_argument(
        "--user-header",
        metavar="NAME",
        help="believe a reverse proxy on this machine that names the user it let in, in this header",
    )
    parser.add_argument(
        "--host", action="append", default=[], metavar="NAME", help="a name of this page besides localhost; repeatable"
    )
    parser.add_argument(
        "--idle-exit",
        type=float,
        default=IDLE_EXIT_S,
        metavar="SECONDS",
        help="started by systemd, end when nobody looks for so long; 0: never (default: %(default).0f)",
    )
    parser.add_argument("--make-token", type=Path, metavar="FILE", help="write a new token there, show it, and end")
    return parser


async def _serve(arguments: argparse.Namespace) -> int:
    access = _access(arguments)
    given = _given_sockets()
    sockets = given or [_listener(arguments.listen)]
    for one in sockets:
        address = _shown(one)
        events.LISTENING.emit(address=address)
        if one.family != socket.AF_UNIX and not is_loopback(str(one.getsockname()[0]).partition("%")[0]):
            events.NOT_ENCRYPTED.emit(address=address)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    requests = PageRequests(access, AgentConnection(arguments.socket))
    idle_exit_s = arguments.idle_exit if given and arguments.idle_exit > 0 else None
    await PageServer(requests, sockets, idle_exit_s=idle_exit_s).run(stop)
    return 0


def _access(arguments: argparse.Namespace) -> WebAccess:
    header: str | None = arguments.user_header
    if header is not None and not _HEADER_NAME.fullmatch(header):
        raise UsageError(f"--user-header {header} is no name of a header")
    token = None if arguments.token_file is None else _token(arguments.token_file)
    if token is None and header is None:
        raise UsageError(
            "nobody could be let in: --token-file names the file of a token (make one with --make-token FILE), "
            "--user-header the header of a reverse proxy that lets people in itself"
        )
    return WebAccess(token, header, frozenset(name.lower().rstrip(".") for name in arguments.host))


def _token(path: Path) -> str:
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise UsageError(f"the token in {path} cannot be read: {error}") from None
    if not SHORTEST_TOKEN <= len(token) <= LONGEST_TOKEN or not is_printable(token):
        raise UsageError(f"{path} holds no token of {SHORTEST_TOKEN} to {LONGEST_TOKEN} characters; see --make-token")
    return token


def _given_sockets() -> list[socket.socket]:
    """Those that systemd opened for us (sd_listen_fds)."""
    pid, count = os.environ.pop("LISTEN_PID", ""), os.environ.pop("LISTEN_FDS", "")
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    found = [socket.socket(fileno=number) for number in range(FIRST_FD, FIRST_FD + int(count))]
    for one in found:
        one.set_inheritable(False)
        one.setblocking(False)
    return found


def _listener(where: str) -> socket.socket:
    host, _, port = where.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal():
        raise UsageError(f"--listen {where} is no ADDRESS:PORT")
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            host, int(port), type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST | socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, number)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        raise UsageError(f"{where} cannot be listened at: {error}") from None
    return listener


def _shown(one: socket.socket) -> str:
    name = one.getsockname()
    if one.family == socket.AF_UNIX:
        return str(name)
    return f"http://[{name[0]}]:{name[1]}/" if ":" in name[0] else f"http://{name[0]}:{name[1]}/"
