"""From the command line to its exit status: one place where every kind of trouble gets its words."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from contextlib import suppress

from ipad_agent.errors import ConfigError, IpadError

from .command_context import CommandContext
from .command_line import HANDLERS, build
from .errors import CommandError, UsageError
from .exit_codes import Exit

INTERRUPTED = 130


def run(argv: list[str] | None) -> int:
    """Parse, do, and say what went wrong. Ends the process by ``SystemExit`` (2) when the words make no sense."""
    _speak_to_any_terminal()
    arguments = build().parse_args(argv)
    command = CommandContext(arguments)
    try:
        status = int(_handler(arguments.command)(command))
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Somebody read only the beginning (`| head`). Python must not complain about that once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILED
    except CommandError as error:
        command.complain(error)
        return error.exit
    except ConfigError as error:
        command.complain(UsageError(str(error), hint=error.hint))
        return Exit.USAGE
    except IpadError as error:
        command.complain(CommandError(error.message, hint=error.hint))
        return Exit.FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def _handler(command: str) -> Callable[[CommandContext], int]:
    module, _, function = HANDLERS[command].rpartition(".")
    handler: Callable[[CommandContext], int] = getattr(importlib.import_module(f".{module}", __package__), function)
    return handler


def _speak_to_any_terminal() -> None:
    """A character that the locale has not got must never end the command."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):  # streams that tests put there
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # TextIOWrapper, or it has none
