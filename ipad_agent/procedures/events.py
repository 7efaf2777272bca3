"""What the procedures say."""

from __future__ import annotations

from ipad_agent.events import DEBUG, ERROR, INFO, WARNING, define


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
    "IPA-4007",
    ERROR,
    "The eIM configuration from {source} is not given to the card: {eim} would begin again at {counter}, after {seen}.",
    "With an old counter every order that was ever signed for this card could be replayed. Get a file with a higher "
    "counterValue, or one that asks for an association token, from the eIM's owner, and restart the agent.",
)
def PROVISIONING_STALE(*, source: str, eim: str, counter: int, seen: int) -> None: ...


@define(
    "IPA-4006",
    INFO,
    "The profiles on the card are not as they were last known; every eIM will be told (cause {cause}).",
    "Something other than an eIM's order changed the profiles. The next poll carries notifyStateChange.",
)
def STATE_CHANGED(*, cause: str) -> None: ...


@define(
    "IPA-4010",
    INFO,
    "Asking {eim} for work.",
    "A poll begins: first everything still owed to this eIM is delivered, then packages are fetched.",
)
def POLLING(*, eim: str) -> None: ...


@define(
    "IPA-4011",
    INFO,
    "{eim} has no work for this device.",
    "The normal end of a poll.",
)
def NOTHING_TO_DO(*, eim: str) -> None: ...


@define(
    "IPA-4012",
    WARNING,
    "{eim} answered the request for work with {code} ({meaning}).",
    "eidNotFound or invalidEid: the eIM does not know this eUICC, register its EID there. The next poll is delayed.",
)
def EIM_ERROR(*, eim: str, code: int, meaning: str) -> None: ...


@define(
    "IPA-4013",
    WARNING,
    "{eim} handed out {count} packages in one poll; the rest waits for the next poll.",
    "poll.max_packages protects the link and the card from an eIM that never stops.",
)
def ROUNDS_CAPPED(*, eim: str, count: int) -> None: ...


@define(
    "IPA-4020",
    INFO,
    "{eim} orders: {what}.",
    "A package arrived and was written to the journal before the card is touched.",
)
def PACKAGE_RECEIVED(*, eim: str, what: str) -> None: ...


@define(
    "IPA-4021",
    INFO,
    "The card executed the package: {what}.",
    "The signed result is in the journal now and stays on the card until the eIM acknowledges it.",
)
def PACKAGE_LOADED(*, what: str) -> None: ...


@define(
    "IPA-4080",
    DEBUG,
    "The order of {eim} was carried out; {failed} of {operations} operations failed: {what}.",
    "How the order ended, for the history of this device (`ipactl history`). The eIM gets the card's own words.",
)
def ORDER_CARRIED_OUT(*, eim: str, what: str, operations: int, failed: int) -> None: ...


@define(
    "IPA-4070",
    WARNING,
    "Part of the order of {eim} failed: {what}: {words} ({reason}).",
    "The card executes the operations of an order one after the other and stops at the first that fails. The eIM gets "
    "the card's signed word; `ipactl eims` shows it until an order goes well.",
)
def OPERATION_FAILED(*, eim: str, what: str, words: str, reason: str) -> None: ...


@define(
    "IPA-4022",
    WARNING,
    "The card refused the package: {what}.",
    "The eUICC checks the eIM's signature, the EID and the counter itself. The eIM is told with the card's own words.",
)
def PACKAGE_REFUSED(*, what: str) -> None: ...


@define(
    "IPA-4023",
    ERROR,
    "The card could not take the package: {reason}. The eIM is told undefinedError.",
    "The card answered with an error status instead of a result, so nothing was executed.",
)
def CARD_COULD_NOT(*, reason: str) -> None: ...


@define(
    "IPA-4024",
    INFO,
    "The enabled profile changes; waiting for the card to come back.",
    "After a switch the card is reset by the modem (REFRESH) or by the agent; all channels are opened anew.",
)
def SWITCHING() -> None: ...


@define(
    "IPA-4025",
    INFO,
    "The card is back; enabled profile: {iccid}.",
    "The ISD-R answers again after the switch.",
)
def CARD_BACK(*, iccid: str) -> None: ...


@define(
    "IPA-4026",
    WARNING,
    "The answer to the package was lost ({reason}); reading the card to learn what happened.",
    "The card keeps its signed result; if there is none, the package is loaded once more: its counter prevents "
    "a second execution.",
)
def OUTCOME_UNKNOWN(*, reason: str) -> None: ...


@define(
    "IPA-4027",
    INFO,
    "Result {seq} for {eim} was still on the card; it is delivered now.",
    "An earlier run ended between the card and the eIM. Nothing was lost.",
)
def RECOVERED_RESULT(*, seq: int | None, eim: str) -> None: ...


@define(
    "IPA-4028",
    WARNING,
    "The card's answer to the package cannot be read ({reason}); the eIM gets it as it is.",
    "The card did execute the package. Its answer is signed, so the eIM may make more of it than this agent can.",
)
def ANSWER_UNREADABLE(*, reason: str) -> None: ...


@define(
    "IPA-4030",
    INFO,
    "Result delivered to {eim} ({size_bytes} bytes); acknowledged: {acknowledged}.",
    "The eIM has the signed result; acknowledged numbers are removed from the card.",
)
def RESULT_SENT(*, eim: str, size_bytes: int, acknowledged: str) -> None: ...


@define(
    "IPA-4031",
    WARNING,
    "{eim} took result {seq} but did not acknowledge it; it stays on the card and is sent again at the next poll.",
    "The eIM discards results whose signature or number it does not accept. Look at the eIM's log.",
)
def RESULT_NOT_ACKNOWLEDGED(*, eim: str, seq: int) -> None: ...


@define(
    "IPA-4032",
    WARNING,
    "{eim} refused a result with {code} ({meaning}); it stays owed.",
    "The eIM does not accept this result at the moment; IPA-4340 says when it is offered again. Whoever runs the eIM "
    "can see there why it refuses.",
)
def RESULT_REFUSED(*, eim: str, code: int, meaning: str) -> None: ...


@define(
    "IPA-4033",
    DEBUG,
    "Number {seq} removed from the card ({status}).",
    "RemoveNotificationFromList after the acknowledgement; nothingToDelete is no error.",
)
def REMOVED(*, seq: int, status: int) -> None: ...


@define(
    "IPA-4034",
    INFO,
    "Notification {seq} for {address} handed to {eim}.",
    "The eIM forwards it to the SM-DP+; it was removed from the card.",
)
def NOTIFICATION_SENT(*, seq: int, address: str, eim: str) -> None: ...


@define(
    "IPA-4035",
    WARNING,
    "{eim} did not take notification {seq}: {reason}. It stays on the card.",
    "It is offered again at the next poll.",
)
def NOTIFICATION_KEPT(*, eim: str, seq: int, reason: str) -> None: ...


@define(
    "IPA-4040",
    WARNING,
    "{eim} sent a package that is {problem}; it is told {code}.",
    "unknownPackage: a kind this agent does not know. invalidPackageFormat: bytes that are no package.",
)
def NOT_UNDERSTOOD(*, eim: str, problem: str, code: str) -> None: ...


@define(
    "IPA-4041",
    INFO,
    "{eim} asks for data: {what}.",
    "IpaEuiccDataRequest (SGP.32 §2.11.1.2): answered from the card and from this device.",
)
def DATA_REQUEST(*, eim: str, what: str) -> None: ...


@define(
    "IPA-4044",
    WARNING,
    "{eim} answered again with something that cannot be read; the poll ends.",
    "The eIM was told invalidPackageFormat once in this poll and still sends no message. The next poll comes "
    "after a back-off; look at the eIM's log.",
)
def NOT_UNDERSTOOD_AGAIN(*, eim: str) -> None: ...


@define(
    "IPA-4036",
    ERROR,
    "The card answers, but its list of results or notifications cannot be read: {reason}. Going on without it.",
    "What is in the list stays on the card and is tried again at the next poll. A modem that cuts long answers is the "
    "usual cause: prefer AT+CGLA in the module's profile.",
)
def LIST_UNREADABLE(*, reason: str) -> None: ...


@define(
    "IPA-4037",
    WARNING,
    "{eim} hands out an order again whose result it has refused; it is not executed a second time.",
    "The result that is recorded is offered again instead, once in a poll. Whoever runs the eIM can see there why it "
    "refuses.",
)
def ORDER_AGAIN(*, eim: str) -> None: ...


@define(
    "IPA-4045",
    ERROR,
    "An order of {eim} could not be written down ({reason}) and was not begun.",
    "What is not in the journal is not done. The eIM keeps the order and hands it out again; check the disk.",
)
def NOT_TAKEN(*, eim: str, reason: str) -> None: ...


@define(
    "IPA-4043",
    ERROR,
    "The journal is full; no new work is fetched until what is owed was delivered.",
    "Nothing that is owed is ever dropped. Check the state directory and why results are not accepted.",
)
def NO_ROOM() -> None: ...


@define(
    "IPA-4050",
    INFO,
    "{eim} orders a profile download; it is carried out {way}.",
    "A ProfileDownloadTriggerRequest (SGP.32 §3.2.3) is in the journal. The other profiles stay as they are until the "
    "new one is installed whole.",
)
def DOWNLOAD_ORDERED(*, eim: str, way: str) -> None: ...


@define(
    "IPA-4051",
    INFO,
    "Authenticating with {server}.",
    "Card and server prove to each other who they are (common mutual authentication, SGP.22 §3.0.1).",
)
def AUTHENTICATING(*, server: str) -> None: ...


@define(
    "IPA-4052",
    WARNING,
    "The clock of this device was never set; the dates of the server's certificates are not judged.",
    "Everything else about the certificates is. Give the device the time (NTP, or from the network).",
)
def DATES_NOT_JUDGED() -> None: ...


@define(
    "IPA-4053",
    INFO,
    "Receiving the profile: {done} of {total} bytes.",
    "The bound profile package comes in. Nothing of it is on the card yet.",
)
def PACKAGE_BYTES(*, done: int, total: str | int) -> None: ...


@define(
    "IPA-4054",
    INFO,
    "Loading the profile: segment {done} of {total} is on the card.",
    "If the power fails now, the card drops the unfinished profile by itself.",
)
def SEGMENTS(*, done: int, total: int | None) -> None: ...


@define(
    "IPA-4055",
    INFO,
    "Profile {iccid} is installed (notification {seq}); it is not enabled by that.",
    "The card signed the installation result; it goes to the SM-DP+ and to the eIM.",
)
def INSTALLED(*, iccid: str, seq: int) -> None: ...


@define(
    "IPA-4056",
    ERROR,
    "The card did not install the profile: {reason} (notification {seq}).",
    "The card's signed words go to the SM-DP+ and to the eIM. The other profiles are untouched.",
)
def NOT_INSTALLED(*, reason: str, seq: str | int) -> None: ...


@define(
    "IPA-4057",
    WARNING,
    "The profile download ended without a profile: {reason}.",
    "The eIM is told; the profiles on the card are as before.",
)
def DOWNLOAD_FAILED(*, reason: str) -> None: ...


@define(
    "IPA-4058",
    INFO,
    "The download session is cancelled ({reason}).",
    "The card signed the cancellation and the server was told.",
)
def SESSION_CANCELLED(*, reason: str) -> None: ...


@define(
    "IPA-4059",
    WARNING,
    "The download session could not be cancelled properly: {problem}.",
    "The card forgets it with the next session, the server after a while.",
)
def CANCEL_INCOMPLETE(*, problem: str) -> None: ...


@define(
    "IPA-4060",
    WARNING,
    "Loading the profile was interrupted ({reason}); asking the card what became of it.",
    "If the card signed a result it is delivered; otherwise the session is cancelled.",
)
def LOADING_INTERRUPTED(*, reason: str) -> None: ...


@define(
    "IPA-4061",
    INFO,
    "The card enabled the new profile at once; waiting for the card to come back.",
    "Immediate enabling was configured on the card (SGP.32 §5.9.15). Every eIM will be told.",
)
def ENABLED_AT_ONCE() -> None: ...


@define(
    "IPA-4062",
    DEBUG,
    "The new profile stays disabled ({reason}).",
    "Immediate enabling is not configured on the card, or not for profiles of this SM-DP+.",
)
def NOT_ENABLED_AT_ONCE(*, reason: str) -> None: ...


@define(
    "IPA-4063",
    WARNING,
    "The profile download did not get through ({reason}); it is begun again at another poll.",
    "Nothing reached the card. It goes on like this, with longer and longer pauses, until it gets through or is given "
    "up by download.give_up_s or download.max_attempts; then the eIM is told. An SM-DP+ that gives no answer at all "
    "while the eIM does is given up after four attempts; an eIM that cannot be reached is waited for.",
)
def DOWNLOAD_LATER(*, reason: str) -> None: ...


@define(
    "IPA-4064",
    INFO,
    "The SM-DS knows {count} event(s) for this card.",
    "The first one that leads to a profile is carried out; others wait at the SM-DS for the next trigger.",
)
def EVENTS_FOUND(*, count: int) -> None: ...


@define(
    "IPA-4065",
    INFO,
    "The card still has the result of the interrupted download (notification {seq}); it is delivered now.",
    "An earlier run ended in the middle of it. The profile is not downloaded again.",
)
def RESULT_FOUND(*, seq: int) -> None: ...


@define(
    "IPA-4066",
    INFO,
    "Notification {seq} delivered to {address}.",
    "The SM-DP+ took it; it was removed from the card.",
)
def NOTIFICATION_DELIVERED(*, seq: int, address: str) -> None: ...


@define(
    "IPA-4067",
    WARNING,
    "{address} does not take notifications ({reason}); {count} stay on the card, next attempt in {pause_s:.0f} s.",
    "Nothing is lost and other receivers are not held up. Newer notifications are tried at once.",
)
def RECEIVER_PAUSED(*, address: str, reason: str, count: int, pause_s: float) -> None: ...


@define(
    "IPA-4365",
    WARNING,
    "{numbers} stay on the card although they were taken: the disk does not have the result yet.",
    "While the disk refuses to write, the card is the only memory that survives a power cut. What was taken is not "
    "delivered again; it is removed as soon as the disk works.",
)
def KEPT_ON_CARD(*, numbers: str) -> None: ...


@define(
    "IPA-4398",
    INFO,
    "The card keeps result {seq} for {eim}, which it does not know any more; it is delivered by its former entry.",
    "The eIM left the card before it acknowledged this result. It is asked to take it, and to say so, once more; then "
    "the card can forget it.",
)
def RESULT_OF_GONE_EIM(*, eim: str, seq: int) -> None: ...


@define(
    "IPA-4366",
    WARNING,
    "The order of {eim} waits, because it cannot be written down how far it is: {reason}",
    "Nothing is given to the card that a power cut could make the agent forget. The order goes on at the next poll "
    "after the disk works again. Check free space, mount options and permissions.",
)
def WAITS_FOR_DISK(*, eim: str, reason: str) -> None: ...


@define(
    "IPA-4068",
    WARNING,
    "{eim} hands out the same download order again although it was told how it ended; it is told in another way.",
    "Some eIMs want the result itself (ProvideEimPackageResult) also of downloads through them. Nothing is downloaded "
    "twice.",
)
def TRIGGER_AGAIN(*, eim: str) -> None: ...


@define(
    "IPA-4350",
    WARNING,
    "ipa.features names {feature}, which does nothing without downloads through the eIM; it is not announced.",
    "An eIM acts on what is announced. Take it out of the configuration, or change `download.way`.",
)
def FEATURE_NOT_DONE(*, feature: str) -> None: ...


@define(
    "IPA-4352",
    WARNING,
    "{eim} gets no answer about {item}: {reason}.",
    "The card does not tell it, or in a form that cannot be read. What is left out is not known; the rest of the data "
    "request is answered.",
)
def ITEM_LEFT_OUT(*, eim: str, item: str, reason: str) -> None: ...


@define(
    "IPA-4353",
    INFO,
    "Tolerated from the card in {function}: {what} ({tolerance})",
    "The card's answer bends a rule but has one meaning only, so it was read. Its maker may want to know.",
)
def CARD_TOLERATED(*, function: str, what: str, tolerance: str) -> None: ...


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
    "IPA-4340",
    WARNING,
    "{eim} has not taken a result: {reason} ({attempts} so far). All else goes on; the next try is in {wait}.",
    "The result stays owed and is offered again after an hour, two, four, and at last once a day, until the eIM takes "
    "it. Other results, notifications and new orders do not wait for it. `ipactl owed` shows it; whoever runs the eIM "
    "can see there why it refuses.",
)
def RESULT_WAITS(*, eim: str, reason: str, attempts: str, wait: str) -> None: ...


@define(
    "IPA-4341",
    INFO,
    "The card's answer to the removal of number {seq} cannot be used ({reason}); it was delivered, so it is settled.",
    "RemoveNotificationFromList was answered, only not as specified. If the number is still on the card it is offered "
    "again at the next poll, and an eIM that has it acknowledges it again.",
)
def REMOVAL_UNREADABLE(*, seq: int, reason: str) -> None: ...


@define(
    "IPA-4342",
    WARNING,
    "{eim} has refused {count} results; no new work is fetched from it until it takes some of them.",
    "Each is offered again by its own pauses. The limit leaves room in the journal for other eIMs.",
)
def TOO_MANY_REFUSED(*, eim: str, count: int) -> None: ...


@define(
    "IPA-4343",
    INFO,
    "{eim} has not shown that it read of the changed profile state ({cause}); it is told again.",
    "Only a package, or the answer that there is none, shows that the eIM has read the question that said so.",
)
def CHANGE_NOT_TOLD(*, eim: str, cause: str) -> None: ...


@define(
    "IPA-4344",
    INFO,
    "{eim} did not answer the request for work with anything usable: {reason}. The rest of the poll goes on.",
    "Notifications are delivered all the same; the eIM is asked again after a back-off.",
)
def FETCH_REFUSED(*, eim: str, reason: str) -> None: ...


@define(
    "IPA-4346",
    WARNING,
    "The card answers, but its list of profiles cannot be used: {reason}. Going on without it.",
    "What needs the list is not done; everything else is, and the list is asked for again. An unreadable list is never "
    "taken for an empty one. Record the exchange and report it to the card's maker.",
)
def PROFILES_UNREADABLE(*, reason: str) -> None: ...


@define(
    "IPA-4347",
    WARNING,
    "The card answers, but not with what an order of {eim} needs ({reason}); the order goes on at the next poll.",
    "The rest of the poll is made all the same, and the card is not reset. What was ordered is in the journal.",
)
def ORDER_STUCK(*, eim: str, reason: str) -> None: ...


@define(
    "IPA-4345",
    WARNING,
    "An order of {eim} was cut off in {attempts} attempts; it is answered with undefinedError.",
    "The card failed each time while the answer was collected. Other orders do not wait any longer.",
)
def QUESTION_GIVEN_UP(*, eim: str, attempts: int) -> None: ...
