"""``ipactl``: the command for people at the device, and for their scripts. A client of the agent's socket.

Nothing is imported here before it is needed: the command has to answer at once on a small device.
"""

from __future__ import annotations

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Do what the command line says; returns the exit status (see ``exit_codes.Exit``)."""
    from .command_runner import run

    return run(argv)
