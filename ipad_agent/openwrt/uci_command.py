"""The program that the init script calls: UCI on its input, the agent's configuration file as its result.

    uci export ipad | python3 -m ipad_agent.openwrt.uci_command --output /etc/ipad-agent/config.toml

With a mistake anywhere the file stays as it is: the agent goes on, and starts again, with the last configuration that
was right. The file is only written when it changes, and in one step, so that a power cut leaves the old one or the new.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from ipad_agent.config import check
from ipad_agent.printable import printable_lines

from .uci_configuration import translate
from .uci_text import UciSyntaxError, parse

EXIT_OK = 0
EXIT_DISK = 1
EXIT_WRONG = 2


def main(argv: list[str] | None = None) -> int:
    """0: the file is there and up to date; 1: it could not be written; 2: a mistake in UCI. Both leave it alone."""
    parser = argparse.ArgumentParser(
        prog="ipad_agent.openwrt.uci_command", description="Make the agent's configuration file from UCI."
    )
    parser.add_argument("--input", type=Path, metavar="FILE", help="a UCI file instead of the standard input")
    parser.add_argument("--output", type=Path, metavar="FILE", help="the configuration file; without it only check")
    arguments = parser.parse_args(argv)
    try:
        content = arguments.input.read_bytes() if arguments.input is not None else sys.stdin.buffer.read()
        sections = parse(content.decode("utf-8"))
    except OSError as error:
        return _wrong([f"{arguments.input}: {error.strerror or error}"])
    except UnicodeDecodeError as error:
        return _wrong([f"ipad: byte {error.start} is no UTF-8"])
    except UciSyntaxError as error:
        return _wrong([f"ipad: {error}"])
    if not sections:
        # An empty answer is what a failed `uci export` looks like behind a pipe.
        return _wrong(["ipad: no section at all"])
    target: Path = arguments.output or Path("/etc/ipad-agent/config.toml")
    translation = translate(sections, target)
    if translation.problems:
        return _wrong(list(translation.problems))
    if arguments.output is None:
        print("ipad: fine")
        return EXIT_OK
    try:
        _write(target, translation.toml.encode())
    except OSError as error:
        print(printable_lines(f"{target}: {error.strerror or error}"), file=sys.stderr)
        return EXIT_DISK
    for problem in check(target):
        # Nothing that keeps the agent from starting: a file may still come.
        print(printable_lines(f"ipad.{problem}"), file=sys.stderr)
    return EXIT_OK


def _wrong(problems: list[str]) -> int:
    for problem in problems:
        print(printable_lines(problem), file=sys.stderr)
    return EXIT_WRONG


def _write(target: Path, content: bytes) -> None:
    """Replace the file in one step, readable for the agent's user; without a change flash is not worn."""
    try:
        if target.read_bytes() == content:
            return
    except FileNotFoundError:
        pass
    new = target.with_name(target.name + ".new")
    with new.open("wb") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(target)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


if __name__ == "__main__":
    sys.exit(main())
