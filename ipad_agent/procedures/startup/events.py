"""What is said before the first poll: what the card is, who manages it, what a maker's bench or a person set on it."""

from __future__ import annotations

from ipad_agent.events import ERROR, INFO, WARNING, define


@define(
    "IPA-4001",
    INFO,
    "The eUICC {eid} answers: {kind}, {profiles} profiles, managed by {eims}.",
    "The start-up procedure read the card. The agent now polls each eIM that the card names.",
)
def CARD_READY(*, eid: str, kind: str, profiles: int, eims: str) -> None: ...


@define(
    "IPA-4002",
    ERROR,
    "The card {eid} is {kind}; an IPAd must leave it alone. It is looked at again in {retry_s:.0f} s.",
    "SGP.32 needs an IoT eUICC in IPAd mode. Insert such a card; nothing was changed on this one.",
)
def NOT_AN_IOT_CARD(*, eid: str, kind: str, retry_s: float) -> None: ...


@define(
    "IPA-4003",
    WARNING,
    "No eIM manages this card and there is nothing to provision it with; looking again in {retry_s:.0f} s.",
    "Set provisioning.initial_eim to the file with the eIM's configuration data, or have the card provisioned.",
)
def NO_EIM(*, retry_s: float) -> None: ...


@define(
    "IPA-4004",
    INFO,
    "The card accepted {count} eIM configuration(s) from {source}.",
    "AddInitialEim (SGP.32 §5.9.4) succeeded; the agent starts polling.",
)
def PROVISIONED(*, count: int, source: str) -> None: ...


@define(
    "IPA-4005",
    ERROR,
    "The card refused the eIM configuration from {source}: {reason}.",
    "Nothing was stored, the list is taken whole or not at all. Correct the file and restart the agent.",
)
def PROVISIONING_REFUSED(*, source: str, reason: str) -> None: ...


@define(
    "IPA-4006",
    INFO,
    "The profiles on the card are not as they were last known; every eIM will be told (cause {cause}).",
    "Something other than an eIM's order changed the profiles. The next poll carries notifyStateChange.",
)
def STATE_CHANGED(*, cause: str) -> None: ...


@define(
    "IPA-4007",
    ERROR,
    "The eIM configuration from {source} is not given to the card: {eim} would begin again at {counter}, after {seen}.",
    "With an old counter every order that was ever signed for this card could be replayed. Get a file with a higher "
    "counterValue, or one that asks for an association token, from the eIM's owner, and restart the agent.",
)
def PROVISIONING_STALE(*, source: str, eim: str, counter: int, seen: int) -> None: ...


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
    "IPA-4360",
    INFO,
    "The card {eid} was in IPAe mode and is in IPAd mode now: this agent manages it.",
    "It was told once more that this device holds an IPAd (SGP.32 v1.2 §3.8.2).",
)
def IPAE_GAVE_WAY(*, eid: str) -> None: ...


@define(
    "IPA-4361",
    WARNING,
    "The card {eid} stays in IPAe mode; card.take_from_ipae says to insist: it is reset and its IPAe is switched off.",
    "The connection drops for some seconds. It is tried at most once an hour.",
)
def TAKING_FROM_IPAE(*, eid: str) -> None: ...


@define(
    "IPA-4362",
    INFO,
    "The card did not switch its IPAe off: {reason}.",
    "Whether it can be managed all the same is tried next.",
)
def IPAE_NOT_SWITCHED_OFF(*, reason: str) -> None: ...


@define(
    "IPA-4363",
    WARNING,
    "The card {eid} says IPAe mode and lets itself be managed: this agent does so, because card.take_from_ipae is set.",
    "Make sure that nobody manages it through its IPAe: two managers of one card disturb each other.",
)
def TAKEN_ALL_THE_SAME(*, eid: str) -> None: ...


@define(
    "IPA-4364",
    WARNING,
    "The card {eid} is in IPAe mode and cannot be managed from here: {reason}",
    "The card's own IPAe has it. Nothing was changed on it.",
)
def IPAE_KEEPS_CARD(*, eid: str, reason: str) -> None: ...


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


@define(
    "IPA-9070",
    INFO,
    "Tolerated: card {eid} does not say in EUICCInfo2 that it is an IoT eUICC, but lists its eIMs; it is managed.",
    "iotSpecificInfo is missing (SGP.32 v1.2 §5.9.2). A consumer eUICC does not know GetEimConfigurationData.",
)
def IOT_WITHOUT_MARK(*, eid: str) -> None: ...
