"""``ipad-agent``: the command of the daemon, its lab and its demo."""

from __future__ import annotations

import sys


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    words = sys.argv[1:] if argv is None else argv
    if words[:1] == ["run"]:
        from ipad_agent.cli import single_tls_library

        single_tls_library.load()
    from ipad_agent.cli.ipad_agent_command import run

    return run(words)


if __name__ == "__main__":
    sys.exit(main())
