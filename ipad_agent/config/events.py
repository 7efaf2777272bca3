"""What is said about the configuration (IPA-11xx)."""

from __future__ import annotations

from ipad_agent.events import ERROR, INFO, WARNING, define

CONFIG_LOADED = define(
    "IPA-1101",
    INFO,
    "Configuration {path}: {changed} of {total} keys differ from their defaults.",
    "The file was read and everything in it is allowed.",
)
CONFIG_REFUSED = define(
    "IPA-1102",
    ERROR,
    "Configuration {path}: {problem}",
    "The file has a mistake, so the agent does not start with it. Each mistake is reported on its own with its place "
    "and what is allowed there; correct them all and start again.",
)
SECRET_READABLE = define(
    "IPA-1103",
    WARNING,
    "The key file {path} can be read by other users of this machine.",
    "A pre-shared key should be readable by the agent's user alone: `chmod 600`, or hand it over as a systemd "
    "credential. The key is used all the same.",
)
