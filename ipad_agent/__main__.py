"""``ipad-agent``: the command of the daemon, its lab and its demo."""

from __future__ import annotations

import sys


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    from ipad_agent.cli.ipad_agent_command import run

    return run(sys.argv[1:] if argv is None else argv)


if __name__ == "__main__":
    sys.exit(main())
