"""What is said about functions of a maker's bench."""

from __future__ import annotations

from ipad_agent.events import ERROR, INFO, WARNING, define


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


@define(
    "IPA-4273",
    WARNING,
    "The provisioning bundle {path} is not used: {reason}.",
    "Nothing of it was kept and the file is left where it is. A bundle is for a card without an eIM, or for one whose "
    "device key is gone; each is used once. Correct what is named, or have the eIM issue another one, and restart.",
)
def BUNDLE_REFUSED(*, path: str, reason: str) -> None: ...


@define(
    "IPA-4274",
    WARNING,
    "The provisioning bundle {path} is used up and cannot be removed: {reason}. It holds this device's private key.",
    "Whoever reads the file can sign for this device. Remove it, and put the next one into a folder where the agent's "
    "user may remove files, such as its state directory.",
)
def BUNDLE_STAYS(*, path: str, reason: str) -> None: ...


@define(
    "IPA-4373",
    INFO,
    "{eim} knows this device's key now ({how}).",
    "The device bound itself by its provisioning bundle; results that it signs for the emulated card can be verified.",
)
def BOUND(*, eim: str, how: str) -> None: ...


@define(
    "IPA-4374",
    ERROR,
    "{eim} refuses to register this device's key; it is not polled until somebody acts.",
    "The self-binding of the provisioning bundle was answered with 403. Ask the eIM's operator why. `ipactl poll` asks "
    "once more; another bundle, or a registration by `ipactl emulation export`, are the other ways.",
)
def BINDING_REFUSED(*, eim: str) -> None: ...


@define(
    "IPA-4473",
    WARNING,
    "{eim} has no answer to the registration of this device's key (HTTP status {status}); polled all the same, because "
    "somebody asked.",
    "This eIM may not know the self-binding of provisioning bundles. The results of this device count there only once "
    "its operator has registered the key by the file that `ipactl emulation export` writes.",
)
def POLLED_UNBOUND(*, eim: str, status: int) -> None: ...
