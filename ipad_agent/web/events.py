"""What the web page's process says (IPA-1385 to IPA-1389); it has a log of its own."""

from __future__ import annotations

from ipad_agent.events import INFO, WARNING, define


@define(
    "IPA-1385",
    INFO,
    "The page about this device is at {address}.",
    "The web page's process listens. It answers nobody who shows no token and comes from no trusted proxy.",
)
def LISTENING(*, address: str) -> None: ...


@define(
    "IPA-1386",
    WARNING,
    "The page at {address} can be reached from other machines, and what it sends is not encrypted.",
    "Whoever is on the way can read the page, and the token when somebody signs in. Let it listen on a loopback "
    "address with a reverse proxy for HTTPS in front, or reach it through SSH.",
)
def NOT_ENCRYPTED(*, address: str) -> None: ...


@define(
    "IPA-1387",
    WARNING,
    "Somebody at {address} showed a wrong token.",
    "A typing error, or somebody tries. Told once a minute for all together. Every wrong token has to wait for its "
    "answer; a new one is made with ipad-agent-web --make-token.",
)
def WRONG_TOKEN(*, address: str) -> None: ...


@define(
    "IPA-1388",
    WARNING,
    "A request for the host {host} was refused.",
    "A browser was led here under a name that is not this page's: a foreign site tries to read it (DNS rebinding), or "
    "the name is right and has to be told with --host. Told once a minute.",
)
def FOREIGN_HOST(*, host: str) -> None: ...


@define(
    "IPA-1389",
    WARNING,
    "A request could not be answered because of a defect of the web page's process: {reason}.",
    "The agent is not concerned. Report it with this line.",
)
def DEFECT(*, reason: str) -> None: ...
