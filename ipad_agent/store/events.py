"""What the store says (IPA-12xx)."""

from __future__ import annotations

from ipad_agent.events import DEBUG, ERROR, WARNING, define

DOCUMENT_FROM_BACKUP = define(
    "IPA-1201",
    WARNING,
    "{path} was {fault}; its previous generation is used.",
    "A state file did not pass its checksum, most likely after a power cut or a storage fault. The generation before "
    "it was intact and is used; at most the last change is forgotten, and the card still holds every signed result. "
    "If this repeats, the storage is wearing out.",
)
DOCUMENT_LOST = define(
    "IPA-1202",
    ERROR,
    "{path} was {fault} and there is no intact previous generation; starting without it.",
    "A state file and its backup are both unusable. The agent starts with nothing remembered for it: it reads the "
    "card again and polls as after a first boot. Nothing a person must do; check the storage if it repeats.",
)
JOURNAL_TAIL_TORN = define(
    "IPA-1203",
    WARNING,
    "The last {size_bytes} bytes of the journal were cut off by a power loss and are dropped.",
    "The power went while the agent was writing. The write that was cut had not been relied on yet, so nothing that "
    "is owed is lost. No action needed.",
)
JOURNAL_RECORD_DAMAGED = define(
    "IPA-1204",
    ERROR,
    "{count} damaged record(s) in the journal {path} are skipped; {entries} open entries were recovered.",
    "Records in the middle of the journal fail their checksum, which a power cut cannot do: the storage returned "
    "wrong data. Intact records before and after are used, and the card's own list of results fills the gap. Check "
    "or replace the storage.",
)
JOURNAL_SET_ASIDE = define(
    "IPA-1205",
    ERROR,
    "The journal {path} was written by a newer version ({version}) of the agent; it is kept as {kept} and a new one "
    "is begun.",
    "The agent was probably downgraded. What the newer version owed is kept in the file named but not acted on; the "
    "card still holds the signed results, and they are delivered from there.",
)
JOURNAL_NEARLY_FULL = define(
    "IPA-1206",
    WARNING,
    "{items} things ({size_bytes} bytes) are owed; new work is refused from {limit_items} things or {limit_bytes} "
    "bytes on.",
    "Results or notifications are not being acknowledged. The agent keeps all of them and keeps trying; check that "
    "the eIM can be reached and accepts results.",
)
JOURNAL_FULL = define(
    "IPA-1207",
    ERROR,
    "{items} things ({size_bytes} bytes) are owed; new work of kind {kind} is refused.",
    "The agent never drops what is owed, so it takes no new package until something has been delivered. Check that "
    "the eIM can be reached and acknowledges results.",
)
DISK_REFUSED = define(
    "IPA-1208",
    ERROR,
    "The disk refused: {problem}",
    "A file of the state directory could not be written or read. The agent does not touch the card with new work "
    "while it cannot note it down; it retries on the next occasion. Check free space, mount options and permissions.",
)
JOURNAL_COMPACTED = define(
    "IPA-1209",
    DEBUG,
    "The journal was rewritten: {before_bytes} bytes became {after_bytes}, {entries} entries are open.",
    "Normal housekeeping while nothing else is going on.",
)
