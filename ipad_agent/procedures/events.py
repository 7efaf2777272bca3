"""What the procedures say."""

from __future__ import annotations

from ipad_agent.events import DEBUG, ERROR, INFO, WARNING, define

CARD_READY = define(
    "IPA-4001",
    INFO,
    "The eUICC {eid} answers: {kind}, {profiles} profiles, managed by {eims}.",
    "The start-up procedure read the card. The agent now polls each eIM that the card names.",
)
NOT_AN_IOT_CARD = define(
    "IPA-4002",
    ERROR,
    "The card {eid} is {kind}; an IPAd must leave it alone. It is looked at again in {retry_s:.0f} s.",
    "SGP.32 needs an IoT eUICC in IPAd mode. Insert such a card; nothing was changed on this one.",
)
NO_EIM = define(
    "IPA-4003",
    WARNING,
    "No eIM manages this card and there is nothing to provision it with; looking again in {retry_s:.0f} s.",
    "Set provisioning.initial_eim to the file with the eIM's configuration data, or have the card provisioned.",
)
PROVISIONED = define(
    "IPA-4004",
    INFO,
    "The card accepted {count} eIM configuration(s) from {source}.",
    "AddInitialEim (SGP.32 §5.9.4) succeeded; the agent starts polling.",
)
PROVISIONING_REFUSED = define(
    "IPA-4005",
    ERROR,
    "The card refused the eIM configuration from {source}: {reason}.",
    "Nothing was stored, the list is taken whole or not at all. Correct the file and restart the agent.",
)
STATE_CHANGED = define(
    "IPA-4006",
    INFO,
    "The profiles on the card are not as they were last known; every eIM will be told (cause {cause}).",
    "Something other than an eIM's order changed the profiles. The next poll carries notifyStateChange.",
)
POLLING = define(
    "IPA-4010",
    INFO,
    "Asking {eim} for work.",
    "A poll begins: first everything still owed to this eIM is delivered, then packages are fetched.",
)
NOTHING_TO_DO = define(
    "IPA-4011",
    INFO,
    "{eim} has no work for this device.",
    "The normal end of a poll.",
)
EIM_ERROR = define(
    "IPA-4012",
    WARNING,
    "{eim} answered the request for work with {code} ({meaning}).",
    "eidNotFound or invalidEid: the eIM does not know this eUICC, register its EID there. The next poll is delayed.",
)
ROUNDS_CAPPED = define(
    "IPA-4013",
    WARNING,
    "{eim} handed out {count} packages in one poll; the rest waits for the next poll.",
    "poll.max_packages protects the link and the card from an eIM that never stops.",
)
PACKAGE_RECEIVED = define(
    "IPA-4020",
    INFO,
    "{eim} orders: {what}.",
    "A package arrived and was written to the journal before the card is touched.",
)
PACKAGE_LOADED = define(
    "IPA-4021",
    INFO,
    "The card executed the package: {what}.",
    "The signed result is in the journal now and stays on the card until the eIM acknowledges it.",
)
PACKAGE_REFUSED = define(
    "IPA-4022",
    WARNING,
    "The card refused the package: {what}.",
    "The eUICC checks the eIM's signature, the EID and the counter itself. The eIM is told with the card's own words.",
)
CARD_COULD_NOT = define(
    "IPA-4023",
    ERROR,
    "The card could not take the package: {reason}. The eIM is told undefinedError.",
    "The card answered with an error status instead of a result, so nothing was executed.",
)
SWITCHING = define(
    "IPA-4024",
    INFO,
    "The enabled profile changes; waiting for the card to come back.",
    "After a switch the card is reset by the modem (REFRESH) or by the agent; all channels are opened anew.",
)
CARD_BACK = define(
    "IPA-4025",
    INFO,
    "The card is back; enabled profile: {iccid}.",
    "The ISD-R answers again after the switch.",
)
OUTCOME_UNKNOWN = define(
    "IPA-4026",
    WARNING,
    "The answer to the package was lost ({reason}); reading the card to learn what happened.",
    "The card keeps its signed result; if there is none, the package is loaded once more: its counter prevents "
    "a second execution.",
)
RECOVERED_RESULT = define(
    "IPA-4027",
    INFO,
    "Result {seq} for {eim} was still on the card; it is delivered now.",
    "An earlier run ended between the card and the eIM. Nothing was lost.",
)
ANSWER_UNREADABLE = define(
    "IPA-4028",
    WARNING,
    "The card's answer to the package cannot be read ({reason}); the eIM gets it as it is.",
    "The card did execute the package. Its answer is signed, so the eIM may make more of it than this agent can.",
)
RESULT_SENT = define(
    "IPA-4030",
    INFO,
    "Result delivered to {eim} ({size_bytes} bytes); acknowledged: {acknowledged}.",
    "The eIM has the signed result; acknowledged numbers are removed from the card.",
)
RESULT_NOT_ACKNOWLEDGED = define(
    "IPA-4031",
    WARNING,
    "{eim} took result {seq} but did not acknowledge it; it stays on the card and is sent again at the next poll.",
    "The eIM discards results whose signature or number it does not accept. Look at the eIM's log.",
)
RESULT_REFUSED = define(
    "IPA-4032",
    WARNING,
    "{eim} refused a result with {code} ({meaning}); it stays owed and is sent again at the next poll.",
    "The eIM does not accept results of this eUICC at the moment.",
)
REMOVED = define(
    "IPA-4033",
    DEBUG,
    "Number {seq} removed from the card ({status}).",
    "RemoveNotificationFromList after the acknowledgement; nothingToDelete is no error.",
)
NOTIFICATION_SENT = define(
    "IPA-4034",
    INFO,
    "Notification {seq} for {address} handed to {eim}.",
    "The eIM forwards it to the SM-DP+; it was removed from the card.",
)
NOTIFICATION_KEPT = define(
    "IPA-4035",
    WARNING,
    "{eim} did not take notification {seq}: {reason}. It stays on the card.",
    "It is offered again at the next poll.",
)
NOT_UNDERSTOOD = define(
    "IPA-4040",
    WARNING,
    "{eim} sent a package that is {problem}; it is told {code}.",
    "unknownPackage: a kind this agent does not know. invalidPackageFormat: bytes that are no package.",
)
DATA_REQUEST = define(
    "IPA-4041",
    INFO,
    "{eim} asks for data: {what}.",
    "IpaEuiccDataRequest (SGP.32 §2.11.1.2): answered from the card and from this device.",
)
DOWNLOAD_REFUSED = define(
    "IPA-4042",
    WARNING,
    "{eim} orders a profile download, which this agent cannot do yet; it is told so.",
    "The eIM gets a ProfileDownloadTriggerResult with undefinedError and the reason as text.",
)
NOT_UNDERSTOOD_AGAIN = define(
    "IPA-4044",
    WARNING,
    "{eim} sent again what it was just told cannot be read; the poll ends.",
    "The eIM was told invalidPackageFormat and hands out the same all the same. The next poll comes after a back-off; "
    "look at the eIM's log.",
)
NO_ROOM = define(
    "IPA-4043",
    ERROR,
    "The journal is full; no new work is fetched until what is owed was delivered.",
    "Nothing that is owed is ever dropped. Check the state directory and why results are not accepted.",
)
