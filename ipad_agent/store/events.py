"""What the store says (IPA-12xx)."""

from __future__ import annotations

from ipad_agent.events import DEBUG, ERROR, WARNING, define


@define(
    "IPA-1201",
    WARNING,
    "{path} was {fault}; its previous generation is used.",
    "A state file did not pass its checksum, most likely after a power cut or a storage fault. The generation before "
    "it was intact and is used; at most the last change is forgotten, and the card still holds every signed result. "
    "If this repeats, the storage is wearing out.",
)
def DOCUMENT_FROM_BACKUP(*, path: str, fault: str) -> None: ...


@define(
    "IPA-1202",
    ERROR,
    "{path} was {fault} and there is no intact previous generation; starting without it.",
    "A state file and its backup are both unusable. The agent starts with nothing remembered for it: it reads the "
    "card again and polls as after a first boot. Nothing a person must do; check the storage if it repeats.",
)
def DOCUMENT_LOST(*, path: str, fault: str) -> None: ...


@define(
    "IPA-1203",
    WARNING,
    "The last {size_bytes} bytes of the journal were cut off by a power loss and are dropped.",
    "The power went while the agent was writing. The write that was cut had not been relied on yet, so nothing that "
    "is owed is lost. No action needed.",
)
def JOURNAL_TAIL_TORN(*, size_bytes: int) -> None: ...


@define(
    "IPA-1204",
    ERROR,
    "{count} damaged record(s) in the journal {path} are skipped; {entries} open entries were recovered.",
    "Records in the middle of the journal fail their checksum, which a power cut cannot do: the storage returned "
    "wrong data. Intact records before and after are used, and the card's own list of results fills the gap. Check "
    "or replace the storage.",
)
def JOURNAL_RECORD_DAMAGED(*, count: int, path: str, entries: int) -> None: ...


@define(
    "IPA-1205",
    ERROR,
    "The journal {path} was written by a newer version ({version}) of the agent; it is kept as {kept} and a new one "
    "is begun.",
    "The agent was probably downgraded. What the newer version owed is kept in the file named but not acted on; the "
    "card still holds the signed results, and they are delivered from there.",
)
def JOURNAL_SET_ASIDE(*, path: str, version: int, kept: str) -> None: ...


@define(
    "IPA-1206",
    WARNING,
    "{items} things ({size_bytes} bytes) are owed; new work is refused from {limit_items} things or {limit_bytes} "
    "bytes on.",
    "Results or notifications are not being acknowledged. The agent keeps all of them and keeps trying; check that "
    "the eIM can be reached and accepts results.",
)
def JOURNAL_NEARLY_FULL(*, items: int, size_bytes: int, limit_items: int, limit_bytes: int) -> None: ...


@define(
    "IPA-1207",
    ERROR,
    "{items} things ({size_bytes} bytes) are owed; new work of kind {kind} is refused.",
    "The agent never drops what is owed, so it takes no new package until something has been delivered. Check that "
    "the eIM can be reached and acknowledges results.",
)
def JOURNAL_FULL(*, items: int, size_bytes: int, kind: str) -> None: ...


@define(
    "IPA-1208",
    ERROR,
    "The disk refused: {problem}",
    "A file of the state directory could not be written or read. The agent does not touch the card with new work "
    "while it cannot note it down; it retries on the next occasion. Check free space, mount options and permissions.",
)
def DISK_REFUSED(*, problem: str) -> None: ...


@define(
    "IPA-1210",
    WARNING,
    "The disk takes {path} again; what was kept in memory meanwhile is written.",
    "The disk had refused to write. Nothing that happened meanwhile is lost. Find out why it refused: a full or "
    "read-only file system, or storage that wears out.",
)
def DISK_ACCEPTS(*, path: str) -> None: ...


@define(
    "IPA-1211",
    ERROR,
    "The journal {path} was removed or replaced while the agent runs; it is made anew with the {entries} open entries "
    "in memory.",
    "Another program or a person removed files of the state directory, or mounted something over it. Nothing is lost "
    "as long as the agent runs. Keep others away from the state directory: without the agent running, what it owes "
    "would be forgotten with it.",
)
def JOURNAL_REMOVED(*, path: str, entries: int) -> None: ...


@define(
    "IPA-1212",
    ERROR,
    "The journal {path} is {fault}: what was owed is not known; {entries} open entries were recovered.",
    "A power cut cannot do this: the storage lost what it had confirmed, or somebody changed the file. The agent asks "
    "the card for the results that it keeps and for a change of the profile that is not proved yet. Check or replace "
    "the storage.",
)
def JOURNAL_HEADLESS(*, path: str, fault: str, entries: int) -> None: ...


@define(
    "IPA-1213",
    ERROR,
    "Starting without the journal: {problem}. No order is taken until it can be read. {hint}",
    "The file is there and the operating system cannot read it, so what is owed is not known. The agent polls, "
    "delivers what the card keeps and guards the connectivity, and tries to read the file again; after an hour it "
    "sets the file aside and begins a new one.",
)
def JOURNAL_UNREAD(*, problem: str, hint: str, path: str) -> None: ...


@define(
    "IPA-1214",
    WARNING,
    "The journal {path} can be read now; {entries} open entries were found in it.",
    "It could not be read when the agent started. What is owed is known again and goes on.",
)
def JOURNAL_READ_LATE(*, path: str, entries: int) -> None: ...


@define(
    "IPA-1215",
    ERROR,
    "The journal {path} cannot be read for an hour; it is kept as {kept} and a new one is begun.",
    "What the file holds is not known. The card still has the signed results that nobody acknowledged, and they are "
    "delivered from there. Check or replace the storage.",
)
def JOURNAL_GIVEN_UP(*, path: str, kept: str) -> None: ...


@define(
    "IPA-1216",
    WARNING,
    "{path} cannot be locked: {problem}. A second agent would not be kept from it.",
    "The state directory is locked so that two agents never use it at once. The disk does not allow that now; the "
    "lock in the runtime directory still does. Check mount options and permissions.",
)
def NOT_LOCKED(*, path: str, problem: str) -> None: ...


@define(
    "IPA-1217",
    ERROR,
    "The state directory {path} was removed or replaced while the agent runs; it is made anew with what is in memory.",
    "Another program or a person removed it, or mounted something over it. Nothing is lost as long as the agent runs.",
)
def STATE_REMOVED(*, path: str) -> None: ...


@define(
    "IPA-1218",
    ERROR,
    "The state directory {path} was replaced, and another agent uses the new one.",
    "Two agents with one card hinder each other. Stop one of them, and keep others away from the state directory.",
)
def STATE_HELD(*, path: str) -> None: ...


@define(
    "IPA-1209",
    DEBUG,
    "The journal was rewritten: {before_bytes} bytes became {after_bytes}, {entries} entries are open.",
    "Normal housekeeping while nothing else is going on.",
)
def JOURNAL_COMPACTED(*, before_bytes: int, after_bytes: int, entries: int) -> None: ...


@define(
    "IPA-1292",
    WARNING,
    "{path} was written by a newer version ({version}) of the agent; it is kept as {kept} and a new one is begun.",
    "The agent was probably downgraded. What the newer version remembered in that file (schedules, counters, what it "
    "learned of eIMs) is not used; it is learned anew. To go on with it, install the newer version, stop it, and give "
    "the file its name back.",
)
def DOCUMENT_SET_ASIDE(*, path: str, version: int, kept: str) -> None: ...


@define(
    "IPA-1230",
    ERROR,
    "{path}, the memory of an emulated card, was damaged and is set aside as {kept}.",
    "What this device kept in the place of the card's IoT functions is lost: its eIMs, their counters and results that "
    "were not delivered. No older copy is used, because an order could be executed twice with it. The card counts as "
    "one that no eIM manages. Give it an eIM configuration whose counter is that of the last package (see "
    "docs/emulation.md).",
)
def EMULATED_CARD_DAMAGED(*, path: str, kept: str) -> None: ...
