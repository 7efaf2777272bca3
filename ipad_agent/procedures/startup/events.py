"""What is said about functions of a maker's bench."""

from __future__ import annotations

from ipad_agent.events import WARNING, define


@define(
    "IPA-4290",
    WARNING,
    "The card's default SM-DP+ is {address} now, as ordered on this device.",
    "SetDefaultDpAddress (SGP.32 §5.9.25). A download by the default SM-DP+ goes there from now on.",
)
def DEFAULT_SMDP_SET(*, address: str) -> None: ...


@define(
    "IPA-4291",
    WARNING,
    "Immediate enabling of downloaded profiles is {state} now, as ordered on this device.",
    "ConfigureImmediateProfileEnabling (SGP.32 §5.9.17). A card takes it only as long as no eIM manages it.",
)
def IMMEDIATE_ENABLING_SET(*, state: str) -> None: ...


@define(
    "IPA-4292",
    WARNING,
    "The card's own assistant (IPAe) was activated, as ordered on this device. This agent has no access any more.",
    "IpaeActivation (SGP.32 §3.8). card.take_from_ipae tells the agent to take the card back.",
)
def IPAE_ACTIVATED() -> None: ...
