"""What this room says (IPA-21xx)."""

from __future__ import annotations

from ipad_agent.events import DEBUG, INFO, WARNING, define


@define(
    "IPA-2101",
    INFO,
    "eUICC {eid} reached over {way}.",
    "The ISD-R was selected and told its EID. From here on the card can be asked anything.",
)
def CARD_OPENED(*, eid: str, way: str) -> None: ...


@define(
    "IPA-2170",
    DEBUG,
    "eUICC {eid} reached over {way} once more.",
    "The channel to the card is closed between polls and looks, so that others may use it, and opened anew each time.",
)
def CARD_OPENED_AGAIN(*, eid: str, way: str) -> None: ...


@define(
    "IPA-2102",
    WARNING,
    "STORE DATA blocks of {old} bytes fail over {way} ({evidence}); from now on {new} bytes.",
    "Modem or card did not take blocks of the old size. The smaller size is remembered for this module and firmware. "
    "If this repeats down to 60 bytes, look at the modem's firmware and at the line.",
)
def BLOCK_SIZE_STEPPED_DOWN(*, old: int, way: str, evidence: str, new: int) -> None: ...


@define(
    "IPA-2103",
    WARNING,
    "The card did it, with a warning ({status}).",
    "A status word 62xx or 63xx: the answer is used. Seen often, report it to the card's maker.",
)
def CARD_WARNING(*, status: str) -> None: ...


@define(
    "IPA-2104",
    WARNING,
    "Another eUICC answers: {old} before, {new} now.",
    "The card was swapped, or the modem switched to another slot. All knowledge about the old card is dropped.",
)
def CARD_CHANGED(*, old: str, new: str) -> None: ...


@define(
    "IPA-2105",
    INFO,
    "TERMINAL CAPABILITY {form} sent, card answered {status}.",
    "Some eUICCs open their ISD-R only after the device said that it holds an IPAd (SGP.32 v1.2 §3.8.2). A refusal "
    "is harmless.",
)
def TERMINAL_CAPABILITY_SENT(*, form: str, status: str) -> None: ...


@define(
    "IPA-2106",
    INFO,
    "Card recovery: rung {rung} of the reset ladder.",
    "After a profile change, or when the card stays silent, the agent resets it, in steps from waiting (0) to "
    "restarting the modem (5). Each step is followed by attempts to reach the ISD-R.",
)
def RECOVERING(*, rung: int) -> None: ...


@define(
    "IPA-2107",
    INFO,
    "The card answers again after {seconds:.1f} s (rung {rung}).",
    "ISD-R selected and EID read.",
)
def RECOVERED(*, seconds: float, rung: str | int) -> None: ...


@define(
    "IPA-2108",
    WARNING,
    "Rung {rung} of the reset ladder was not possible: {reason}",
    "The agent goes on with the next rung.",
)
def RUNG_FAILED(*, rung: int, reason: str) -> None: ...


@define(
    "IPA-2109",
    DEBUG,
    "This eUICC does not have {function} ({answer}).",
    "An older or consumer eUICC. The procedure goes on without the function.",
)
def NOT_SUPPORTED(*, function: str, answer: str) -> None: ...


@define(
    "IPA-9021",
    INFO,
    "{function}: the card refused the v1.2 form and took the v1.0 form.",
    "SGP.32 v1.0 wrote this function differently; both forms mean the same.",
)
def OLD_FORM_USED(*, function: str) -> None: ...


@define(
    "IPA-2110",
    INFO,
    "{function} is asked again on a new channel: {reason}",
    "The channel was lost while only reading, or before the card could have seen the whole command; or the card "
    "refused to be read by a status word that does not say that it lacks the function (6F00, 6400 ...).",
)
def READ_REPEATED(*, function: str, reason: str) -> None: ...


@define(
    "IPA-9022",
    INFO,
    "The card answered block {block} of {blocks} with data already; the rest is not sent.",
    "The answer to a chain normally comes after its last block. An early one is the card's final word, "
    "usually an error.",
)
def EARLY_ANSWER(*, block: int, blocks: int) -> None: ...


@define(
    "IPA-9023",
    INFO,
    "The card wants GET RESPONSE with class 00.",
    "Class 80 was refused with 6E00 or 6D00. Both classes are seen on real cards.",
)
def GET_RESPONSE_CLASS() -> None: ...


@define(
    "IPA-9024",
    INFO,
    "RetrieveNotificationsList by number {seq_number} found nothing; the full lists are searched.",
    "Older cards do not search package results by sequence number.",
)
def LISTS_SEARCHED(*, seq_number: int) -> None: ...


@define(
    "IPA-2111",
    WARNING,
    "The card's enabled profile is {card}, the modem still sees {modem} after rung {rung}.",
    "The profile was switched on the card but the modem did not notice; the next rung of the reset ladder follows. If "
    "this was the last one, the connection stays on the old profile until the modem is restarted.",
)
def NOT_YET_SWITCHED(*, card: str, modem: str, rung: int) -> None: ...


@define(
    "IPA-9025",
    INFO,
    "GetProfilesInfo: the card refused the list of fields; it is asked without {left_out}.",
    "Consumer cards and older ones do not know the SGP.32 fields (fallback, emergency) and refuse a list that has "
    "them, and some refuse any list; their own choice of fields is read then.",
)
def SHORTER_TAG_LIST(*, left_out: str) -> None: ...


@define(
    "IPA-9026",
    INFO,
    "RetrieveNotificationsList was answered with nothing; taken as an empty list.",
    "Status 9000 without data. The specification wants an empty list there.",
)
def EMPTY_LIST_TAKEN() -> None: ...


@define(
    "IPA-9010",
    INFO,
    "Tolerated from the card in {function}: {what} ({tolerance})",
    "The card's answer bends a rule but has one meaning only, so it was read. Said once for each card, however often "
    "it happens.",
)
def MESSAGE_TOLERATED(*, function: str, what: str, tolerance: str) -> None: ...


@define(
    "IPA-2112",
    INFO,
    "The card's IoT template (E1) says: {what}.",
    "Part of the answer to SELECT of the ISD-R (SGP.32 v1.2 §3.8). 'IPAe supported' does not say that the card's own "
    "IPAe is active; that is ipaMode. Only some ways to the card show this answer (AT+CSIM does, AT+CCHO does not).",
)
def IOT_TEMPLATE_READ(*, what: str) -> None: ...


@define(
    "IPA-2114",
    INFO,
    "The card gives data only to commands with an Le byte; they carry one from now on.",
    "GetEID was answered with 9000 and nothing, and with the EID when an Le byte was added. Cards, or the modem in "
    "front of them, differ in that.",
)
def LE_WANTED() -> None: ...


@define(
    "IPA-2113",
    INFO,
    "The card says that its own IPAe is active; it is told once more that this device holds an IPAd.",
    "The last TERMINAL CAPABILITY counts, and that of a modem may hide the IPAd (SGP.32 v1.2 §3.8.2, §3.8.4). The card "
    "is looked at again before it is left alone.",
)
def IPAD_DECLARED() -> None: ...


@define(
    "IPA-2115",
    WARNING,
    "The modem ended the last block of an order with an error over {way}; the card may have carried it out.",
    "Many modules wait only some hundred milliseconds for the card, which takes seconds where it decrypts and "
    "installs. The agent opens the card again and reads what became of it; when it happens again another way is tried, "
    "and smaller blocks. Ask the maker of the module for a firmware that waits longer in AT+CGLA and AT+CSIM.",
)
def LAST_BLOCK_REFUSED(*, way: str) -> None: ...


@define(
    "IPA-9068",
    INFO,
    "The card had data for an answer that was {status}; they were fetched.",
    "Over T=0 a warning or a waiting toolkit command takes the place of 61xx, and the data are fetched with length 00 "
    "(ETSI TS 102 221 §7.3.1.1.4).",
)
def UNANNOUNCED_DATA(*, status: str) -> None: ...


@define(
    "IPA-9099",
    INFO,
    "The card fills up its answers: {size_bytes} bytes of zeros or FF behind the data were cut off.",
    "An answer of ES10 is one data object. What follows it and is nothing but filling says nothing.",
)
def PADDING_CUT(*, size_bytes: int) -> None: ...


@define(
    "IPA-9084",
    INFO,
    "The card refuses the first command behind SELECT ({status}) and answers the second; GetEID is sent twice.",
    "Nothing says that an application may do that. Reading the EID changes nothing, so that asking again is safe, and "
    "on a new channel the card would refuse the first command again.",
)
def FIRST_COMMAND_REFUSED(*, status: str) -> None: ...


@define(
    "IPA-9069",
    INFO,
    "The card's list of profiles does not tell which one is enabled; it is the one that the modem sees ({reason}).",
    "The state of a profile is missing, or has a form that nobody can read. What cannot be read is not 'none'.",
)
def STATE_BY_MODEM(*, reason: str) -> None: ...


@define(
    "IPA-2199",
    WARNING,
    "The modem reads from the card that {iccid} is enabled, and works on with another profile's IMSI (rung {rung}).",
    "The module asks the card for the ICCID each time and did not notice the change of profile: it stays in the old "
    "network until that throws it out. The next step of the reset ladder makes it read the card anew.",
)
def OLD_SUBSCRIBER(*, iccid: str, rung: int) -> None: ...
