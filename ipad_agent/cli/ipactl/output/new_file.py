"""A file that a command makes for a person: never over another one, and gone again when nothing comes of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from ipad_agent.cli.ipactl.errors import CommandError

OWNER_ONLY: Final = 0o600
READABLE: Final = 0o644
STANDARD_OUTPUT: Final = "-"


@contextmanager
def new_file(path: Path, *, mode: int = OWNER_ONLY, hint: str = "Choose another name.") -> Iterator[BinaryIO]:
    """Yields it open for writing; ``-`` is the standard output. ``mode``: who may read it.

    It is made before the first byte is known: a folder that cannot be written is told before the work is done.
    Raises CommandError when it exists, with ``hint``, or cannot be written.
    """
    if str(path) == STANDARD_OUTPUT:
        yield sys.stdout.buffer
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except FileExistsError:
        raise CommandError(f"{path} exists already.", hint=hint) from None
    except OSError as error:
        raise _not_written(path, error) from None
    finished = False
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        finished = True
    except OSError as error:
        raise _not_written(path, error) from None
    finally:
        if not finished:
            with suppress(OSError):  # another user's folder by now
                path.unlink()


def _not_written(path: Path, error: OSError) -> CommandError:
    return CommandError(f"{path} cannot be written: {error.strerror or error}.")
