"""What is said about the schedule (IPA-50xx). The functions of this room are pure; whoever asks them speaks."""

from __future__ import annotations

from ipad_agent.events import INFO, WARNING, define

NEXT_POLL = define(
    "IPA-5001",
    INFO,
    "eIM {eim}: {sentence}.",
    "When this eIM is asked for work next, and why then. A poll can be asked for at any time by a local command.",
)
BOOT_LOOP = define(
    "IPA-5002",
    WARNING,
    "The device started {boots} times in quick succession; the first poll waits {wait_s:.0f} s.",
    "Each start would otherwise cost a poll. The delay grows with every such start, up to ten minutes, and ends once "
    "the device has been up for an hour. Look for the reason of the restarts: power supply, watchdog, crash.",
)
RUN_CUT_OFF = define(
    "IPA-5003",
    WARNING,
    "The last poll of eIM {eim} was cut off by a crash or power loss (time {failures} in a row).",
    "What had been received and not finished is in the journal and is carried on; the next poll follows the back-off. "
    "When it repeats, look for a crash in the log or for a supply that cannot bear the transmitting modem.",
)
PACKAGE_LIMIT = define(
    "IPA-5004",
    INFO,
    "eIM {eim} had more than {packages} packages in one run; the run ends and the next begins after a pause.",
    "A limit against an eIM that sends the same package for ever. Nothing is lost: the rest is asked for later.",
)
SCHEDULE_FORGOTTEN = define(
    "IPA-5005",
    WARNING,
    "The stored schedule of eIM {eim} could not be used; starting as after a first boot.",
    "At worst the eIM is asked once more than needed.",
)
