"""What is said about the configuration (IPA-11xx)."""

from __future__ import annotations

from ipad_agent.events import WARNING, define


@define(
    "IPA-1103",
    WARNING,
    "The key file {path} can be read by other users of this machine.",
    "A secret key should be readable by the agent's user alone: `chmod 600`, or hand it over as a systemd "
    "credential. The key is used all the same.",
)
def SECRET_READABLE(*, path: str) -> None: ...
