"""Writes docs/troubleshooting.md from the explained events: ``python tools/gen_troubleshooting.py``.

A symptom is what a person sees first. Which message belongs to which is said here by ids; a message that is named
nowhere goes to the symptom of its room, so that a new one is never missing.
"""

from __future__ import annotations

import importlib
import logging
import pkgutil
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ipad_agent
from ipad_agent.events import CATALOGUE, WARNING, Event

PAGE = Path(__file__).resolve().parents[1] / "docs" / "troubleshooting.md"


@dataclass(frozen=True, slots=True)
class Symptom:
    """``states`` are words of ``ipactl status``; ``look`` is what to do first; ``ids`` are messages that belong here
    whatever their room is, ``rooms`` the beginnings of ids that belong here otherwise."""

    title: str
    states: Sequence[str]
    look: str
    ids: Sequence[str] = ()
    rooms: Sequence[str] = ()


SYMPTOMS = (
    Symptom(
        "The modem is not found, or does not answer",
        ("no-modem",),
        "Power and cable first; then `ipactl doctor`, whose lines `usb`, `port` and `at` tell which it is. Most "
        "often another program holds the port: ModemManager must leave it alone ([hw/README.md](../hw/README.md)).",
        ids=("IPA-1004",),
        rooms=("IPA-20",),
    ),
    Symptom(
        "The modem answers, the card does not",
        ("no-card",),
        "Take the card out, look at its contacts, put it back; then `ipactl doctor`, lines `sim`, `isd-r` and `euicc`.",
        ids=("IPA-1010", "IPA-1013", "IPA-4036", "IPA-4346", "IPA-4347"),
        rooms=("IPA-21",),
    ),
    Symptom(
        "The card is there and is not managed from here",
        ("consumer-card", "ipae-card", "unmanaged"),
        "`ipactl eid` shows the card's number. A card for telephones (SGP.22) is left alone, unless the IoT "
        "functions are [emulated](emulation.md); one without eIM needs an `initial-eim.der`: [where to get "
        "one](getting-an-eim.md).",
        ids=(
            "IPA-1230",
            "IPA-1231",
            "IPA-1233",
            "IPA-1234",
            "IPA-1235",
            "IPA-4002",
            "IPA-4003",
            "IPA-4005",
            "IPA-4007",
            "IPA-4273",
            "IPA-4274",
            "IPA-4374",
            "IPA-4473",
            "IPA-4361",
            "IPA-4363",
            "IPA-4364",
            "IPA-2104",
        ),
    ),
    Symptom(
        "No network",
        ("no-coverage",),
        "Antenna, coverage, contract. `ipactl status` shows what the modem says of its registration, the doctor's line "
        "`registration` how strong the signal is.",
        ids=("IPA-4310", "IPA-2012", "IPA-2022"),
    ),
    Symptom(
        "The eIM is not reached",
        ("eim-unreachable",),
        "`ipactl doctor`, lines `dns`, `route` and `handshake`: a name that is not found, a way that is blocked, and a "
        "key or certificate that is not the right one are different troubles.",
        ids=("IPA-1005", "IPA-1007", "IPA-9031"),
        rooms=("IPA-30",),
    ),
    Symptom(
        "The eIM answers, but not with what was asked for",
        ("eim-refuses",),
        "Nothing can be repaired on the device. `ipactl owed` shows what is still to be delivered and why it was not "
        "taken; whoever runs the eIM can see the other half.",
        ids=(
            *("IPA-4012", "IPA-4013", "IPA-4031", "IPA-4032", "IPA-4035", "IPA-4037", "IPA-4040", "IPA-4044"),
            *("IPA-4068", "IPA-4340", "IPA-4342", "IPA-4352"),
        ),
        rooms=("IPA-31", "IPA-90"),
    ),
    Symptom(
        "An order was not carried out",
        ("order-failed",),
        "`ipactl eims` has the card's own words and ours, `ipactl history` the orders before it. The eIM was told the "
        "same. The state ends when another of its orders goes well.",
        rooms=("IPA-40", "IPA-43"),
    ),
    Symptom(
        "A download ends without a profile",
        ("downloading",),
        "`ipactl log` names the step at which it ended. A code that was used already and a card without room are the "
        "most frequent reasons.",
        ids=(
            *(
                "IPA-4052",
                "IPA-4056",
                "IPA-4057",
                "IPA-4059",
                "IPA-4060",
                "IPA-4063",
                "IPA-4067",
                "IPA-4410",
                "IPA-4411",
            ),
        ),
        rooms=("IPA-32",),
    ),
    Symptom(
        "A new profile did not work and the device went back",
        ("switching", "rolling-back", "rolled-back"),
        "The status names the stage that failed: registration, address, name service, manager. Coverage, APN and "
        "contract of the *new* profile are to be looked at, not those of the one that works. "
        "[lifecycle.md](lifecycle.md) has the whole life of a switch.",
        rooms=("IPA-42",),
    ),
    Symptom(
        "The device uses its fallback or emergency profile",
        ("fallback", "emergency"),
        "Find out why the former profile lost its network; the device tries to return by itself. "
        "`ipactl fallback --return` tries now.",
        ids=("IPA-4301", "IPA-4302", "IPA-4303", "IPA-4304", "IPA-4320", "IPA-4321", "IPA-4322", "IPA-4323"),
    ),
    Symptom(
        "Nothing is fetched although everything works",
        ("held", "starting"),
        "The site's own conditions hold work back; `ipactl status` names them. See [site.md](site.md).",
        ids=("IPA-4231",),
        rooms=("IPA-14",),
    ),
    Symptom(
        "The agent cannot keep what it has to keep",
        ("trouble",),
        "`df -h /var/lib/ipad-agent` and the permissions of that folder; `ipactl doctor`, line `disk`. Until the disk "
        "takes writes again, no new order is begun, so that nothing is lost.",
        ids=("IPA-1008", "IPA-4043", "IPA-4045", "IPA-4365", "IPA-4366", "IPA-4367", "IPA-4368"),
        rooms=("IPA-12",),
    ),
    Symptom(
        "ipactl, D-Bus, the web page, figures or the LED do not work",
        (),
        "`systemctl status ipad-agent` says whether the agent runs. Who may do what is said by "
        "[groups](local-api.md#who-may-do-what).",
        ids=("IPA-1011",),
        rooms=("IPA-13",),
    ),
    Symptom(
        "It uses too much data",
        (),
        "`ipactl budget` shows what was spent and for what.",
        ids=("IPA-1012", "IPA-4400"),
    ),
    Symptom(
        "Something in the configuration is not right",
        (),
        "`ipad-agent check-config FILE` names everything wrong with a file, with its place.",
        ids=("IPA-4350",),
        rooms=("IPA-11",),
    ),
    Symptom(
        "A defect of the agent",
        (),
        "Report it, with the file that `ipactl bundle` writes ([what is in it](support-bundle.md)).",
        ids=("IPA-1006", "IPA-1327", "IPA-1349", "IPA-1389"),
        rooms=("IPA-10",),
    ),
)
HEALTHY = ("ready", "polling")

HEAD = """# Troubleshooting

Begin on the device with three commands. The first says how it is, the second where the fault is, the third what was
said on the way:

```sh
ipactl status
ipactl doctor
ipactl log
```

Below: what one sees, what to do first, and what the messages of the log mean that belong to it. `ipactl explain` says
the same of a single message. Without a shell there is [the web page](web.md); what is sent to somebody who helps is
made by `ipactl bundle`.

This page is made from the messages themselves (`python tools/gen_troubleshooting.py`); a test compares.
"""


def symptom_of(event: Event[...]) -> Symptom:
    """Where a message belongs."""
    for symptom in SYMPTOMS:
        if event.id in symptom.ids:
            return symptom
    for symptom in SYMPTOMS:
        if event.id.startswith(tuple(symptom.rooms)):
            return symptom
    raise LookupError(f"{event.id} has no symptom: name it, or its room, in tools/gen_troubleshooting.py")


def told() -> list[Event[...]]:
    """The messages that tell of trouble, in order."""
    for module in pkgutil.walk_packages(ipad_agent.__path__, "ipad_agent."):
        if module.name.endswith("events"):
            importlib.import_module(module.name)
    return [event for _, event in sorted(CATALOGUE.items()) if event.level >= WARNING]


def page() -> str:
    """The text of the page."""
    events = told()
    parts = [HEAD]
    parts += [f"- [{symptom.title}](#{anchor(symptom.title)}){_states(symptom)}" for symptom in SYMPTOMS]
    parts.append("")
    for symptom in SYMPTOMS:
        parts += [f"## {symptom.title}\n", f"{symptom.look}\n"]
        mine = [event for event in events if symptom_of(event) is symptom]
        if mine:
            parts += ["| message | what it means, and what to do |", "|---|---|"]
            parts += [_row(event) for event in mine]
            parts.append("")
    return "\n".join(parts).rstrip() + "\n"


def anchor(title: str) -> str:
    """The name of a heading in a link."""
    kept = (letter for letter in title.lower() if letter.isalnum() or letter in " -_")
    return "".join(kept).replace(" ", "-")


def _states(symptom: Symptom) -> str:
    return f": status {', '.join(f'`{state}`' for state in symptom.states)}" if symptom.states else ""


def _row(event: Event[...]) -> str:
    level = logging.getLevelName(event.level).lower()
    link = f"[{event.id}](events.md#{anchor(f'{event.id} ({level})')})"
    return f"| {link} {_cell(_read(event.sentence))} | {_cell(event.explanation)} |"


def _read(sentence: str) -> str:
    """With the names of its facts in italics instead of a program's braces."""
    return re.sub(r"\{(\w+?)(?:_s|_bytes|_ms)?(?::[^}]*)?\}", lambda found: f"*{found[1].replace('_', ' ')}*", sentence)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE.name, file=sys.stderr)
