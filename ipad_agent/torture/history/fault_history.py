"""A seed's history: what the world is like at its beginning, and what is done to it when. Plain values, no effects."""

from __future__ import annotations

import random
from typing import Final

from ipad_agent.lab.euicc.state.profile_list import BOOTSTRAP, OPERATOR_A
from ipad_agent.records import dataclass, field, replace

EIM_IDS: Final = ("eim.lab.example", "second.lab.example", "third.lab.example")
DOWNLOADED: Final = "89490200009000000011"
MATCHING_ID: Final = "TORTURE-1"
CODE: Final = f"LPA:1$smdp.lab.example${MATCHING_ID}"
LETTERS: Final = "898602B012345678927"
"""The second operator numbers its profiles as some do in China."""
PROFILES: Final = (BOOTSTRAP, OPERATOR_A, LETTERS)
AT, READER = "at", "reader"
COAP, HTTPS, STRAIGHT = "coap", "https", "straight"


@dataclass(frozen=True, slots=True)
class Setting:
    """The world before anything happens.

    ``way`` is how the card is reached (``at``: the modem room and the lab's modem, ``reader``: straight), ``carrier``
    how eIMs are (``coap``: the CoAP carrier over datagrams, ``https``: TLS over a TCP in memory, ``straight``).
    ``eims`` are associated with the card from the beginning, the others may be added. ``uncovered`` are profiles that
    no network serves, now and for ever. ``quirk`` and ``modem`` name habits of the card and of the module.

    A card that is not ``managed`` knows no eIM yet; ``provisioned`` puts a file with the first eIM on the device.
    ``direct``: downloads do not go through the eIM. ``scripts`` names habits of the site's scripts. ``renames``: the
    modem's port has another name whenever it comes back. ``emulated``: it is a consumer card.
    """

    way: str = READER
    carrier: str = STRAIGHT
    eims: int = 1
    uncovered: frozenset[str] = frozenset()
    quirk: str = ""
    modem: str = "generic"
    preset: str = "normal"
    managed: bool = True
    provisioned: bool = False
    direct: bool = False
    scripts: str = ""
    renames: bool = False
    emulated: bool = False

    def __str__(self) -> str:
        uncovered = ", ".join(f"…{iccid[-6:]}" for iccid in sorted(self.uncovered)) or "none"
        habits = " ".join(filter(None, (self.quirk, self.modem)))
        more = (
            ("" if self.managed else "; no eIM on the card yet" + (", but in a file" if self.provisioned else ""))
            + ("; direct downloads" if self.direct else "")
            + (f"; {self.scripts} scripts" if self.scripts else "")
            + ("; the port changes its name" if self.renames else "")
            + ("; a consumer card, emulated" if self.emulated else "; an IoT card")
        )
        return (
            f"card by {self.way}, eIMs by {self.carrier}, {self.eims} associated, without coverage: {uncovered}"
            f"{'; ' + habits if habits else ''}; schedule {self.preset}{more}"
        )


@dataclass(frozen=True, slots=True)
class FaultStep:
    """Something done to the world ``at_s`` after the beginning. What ``kind`` means and takes is in ``faults``."""

    at_s: float
    kind: str
    values: tuple[str | int | float, ...] = ()

    def __str__(self) -> str:
        return " ".join((self.kind, *map(str, self.values)))


@dataclass(frozen=True, slots=True)
class History:
    """A setting and deeds in the order of their time. ``seed`` also feeds the dice of everything that lives in it."""

    seed: int
    setting: Setting
    faults: tuple[FaultStep, ...] = ()
    heal_at_s: float = 0.0

    def without(self, index: int) -> History:
        """The same without one deed, to see whether it mattered."""
        return replace(self, faults=self.faults[:index] + self.faults[index + 1 :])


@dataclass(slots=True)
class _Author:
    dice: random.Random
    setting: Setting
    at_s: float = 0.0
    faults: list[FaultStep] = field(default_factory=list)
    triggers: int = 0

    def add(self, kind: str, *values: str | int | float, later_s: float = 0.0) -> None:
        self.faults.append(FaultStep(self.at_s + later_s, kind, values))


def write(seed: int, *, coverage: bool = True) -> History:
    """The history of a seed. Without ``coverage`` every profile is served."""
    dice = random.Random(f"history {seed}")
    setting = _setting(dice, coverage=coverage)
    author = _Author(dice, setting)
    for _ in range(dice.choice((1, 2, 2, 3, 4))):
        author.at_s += dice.choice((30.0, 120.0, 600.0, 4000.0)) * (0.5 + dice.random())
        for _ in range(dice.choice((1, 1, 2, 3))):
            _order(author)
        for _ in range(dice.choice((0, 1, 1, 2, 3))):
            _fault(author)
        if dice.random() < 0.85:
            author.add("poll now", later_s=dice.choice((0.0, 1.0, 30.0)))
    faults = sorted(author.faults, key=lambda fault: fault.at_s)
    heal_at_s = faults[-1].at_s + dice.choice((60.0, 600.0, 3600.0))
    return History(seed, setting, tuple(faults), heal_at_s)


def _setting(dice: random.Random, *, coverage: bool) -> Setting:
    way = dice.choice((AT, READER))
    carrier = dice.choice((COAP, STRAIGHT))
    uncovered: set[str] = set()
    if dice.random() < 0.5:
        uncovered = set(dice.sample((OPERATOR_A, LETTERS, DOWNLOADED), dice.choice((1, 1, 2))))
    quirk = dice.choice(("", "", "refuse-until-reset", "inline", "few-channels", "old-state"))
    modem = dice.choice(
        ("generic", "generic", "eg25", "eg916q", "sim7600", "sara-r5", "late-refresh", "capped", "deaf")
    )
    return Setting(
        way=way,
        carrier=carrier,
        eims=dice.choice((1, 1, 2, 3)),
        uncovered=frozenset(uncovered) if coverage else frozenset(),
        quirk=quirk,
        modem=modem,
        preset=dice.choice(("normal", "normal", "eager", "nbiot")),
    )


def _order(author: _Author) -> None:
    dice = author.dice
    eim = dice.randrange(author.setting.eims)
    profile = dice.choice((*PROFILES, DOWNLOADED) if author.triggers else PROFILES)
    kind = dice.choices(
        ("enable", "enable-rollback", "disable", "delete", "list", "fallback", "data", "eco", "both", "trigger"),
        (14, 14, 5, 4, 6, 4, 8, 6, 3, 3),
    )[0]
    match kind:
        case "enable":
            words = f"enable {profile}"
        case "enable-rollback":
            words = f"enable {profile} --rollback"
        case "disable":
            words = f"disable {profile}"
        case "delete":
            words = f"delete {profile}"
        case "list":
            words = dice.choice(("list-profiles", "get-rat", "list-profiles + get-rat"))
        case "fallback":
            words = dice.choice((f"set-fallback {profile}", "unset-fallback"))
        case "data":
            words = f"data-request {dice.choice(('info2,device', 'notifications,results', 'token,ipa', 'info1,smdp'))}"
        case "eco":
            _eco(author, eim)
            return
        case "both":
            words = f"list-profiles + enable {profile} --rollback"
        case _:
            if author.triggers:
                return
            author.triggers += 1
            words = f"trigger {CODE}"
    author.add("order", eim, words)


def _eco(author: _Author, eim: int) -> None:
    dice = author.dice
    other = dice.randrange(len(EIM_IDS))
    match dice.choice(("list", "add", "delete", "update")):
        case "list":
            author.add("order", eim, "list-eim")
        case "add":
            author.add("add eIM", eim, other)
        case "delete" if other > 0 or dice.random() < 0.1:
            author.add("order", eim, f"delete-eim {EIM_IDS[other]}")
        case _:
            author.add("update eIM", eim, eim)


_AFTER = ("wrong", "empty", "garbage", "truncated", "lose-answer", "crash-after", "late")
_BEFORE = ("busy", "status", "lose-request", "crash-before", "refuse")


def _fault(author: _Author) -> None:
    dice, setting = author.dice, author.setting
    steps = dice.choice((dice.randrange(1, 60), dice.randrange(1, 400), dice.randrange(1, 3000)))
    later_s = dice.choice((0.0, 0.5, 5.0, 40.0))
    kinds = ["kill", "outage", "disk cut", "disk full", "clock", "eim", "eim", "weather", "blackout", "card cut"]
    kinds += ["card step", "eim restart", "kill", "outage"]
    kinds += ["at", "at", "drop port", "modem restart"] if setting.way == AT else ["reader", "reader", "reader away"]
    kinds += ["rebind", "impostor"] if setting.carrier == COAP else []
    match dice.choice(kinds):
        case "kill":
            author.add("kill", steps, later_s=later_s)
        case "outage":
            author.add("outage", steps, later_s=later_s)
        case "disk cut":
            author.add("disk cut", dice.choice((dice.randrange(1, 300), dice.randrange(1, 6000))), later_s=later_s)
        case "disk full":
            author.add("disk full", dice.randrange(0, 4000), later_s=later_s)
        case "clock":
            author.add("clock", dice.choice((-1.8e9, -86400.0, -300.0, 300.0, 86400.0, 3.0e7)), later_s=later_s)
        case "eim":
            _eim_fault(author)
        case "weather":
            values = tuple(dice.choice((0.0, 0.1, 0.3, 0.6)) for _ in range(3))
            author.add("weather", *values, dice.choice((0.04, 0.4, 3.0)), later_s=later_s)
        case "blackout":
            author.add("blackout", dice.choice((5.0, 60.0, 900.0, 7200.0)), later_s=later_s)
        case "card cut":
            author.add("card cut", dice.randrange(0, 60), dice.randrange(2), later_s=later_s)
        case "card step":
            step = dice.choice(("counter-stored", "operation-0", "before-swap", "after-swap", "before-answer"))
            author.add("card step", step, later_s=later_s)
        case "eim restart":
            author.add("restart eIM", dice.randrange(setting.eims), later_s=later_s)
        case "at":
            kind = dice.choice(("silent", "lost-answer", "garbage", "error", "cme", "late", "truncate", "echo-damage"))
            prefix = dice.choice(("", "+CGLA", "+CSIM", "+CCHO", "+CCHC"))
            author.add(
                "at fault",
                kind,
                prefix,
                dice.randrange(0, 12),
                dice.choice((1, 1, 2, 5)),
                dice.choice((13, 14, 100)),
                dice.choice((1.0, 8.0, 40.0)),
                later_s=later_s,
            )
        case "drop port":
            author.add("drop port", dice.choice((1.0, 10.0, 100.0)), steps, later_s=later_s)
        case "modem restart":
            author.add("modem restart", steps, later_s=later_s)
        case "reader":
            kind = dice.choice(("lost", "answer-lost", "cut", "cut-after", "garbage", "short"))
            author.add("reader fault", kind, steps, later_s=later_s)
        case "reader away":
            author.add("reader away", dice.choice((1.0, 30.0, 400.0)), steps, later_s=later_s)
        case "rebind":
            author.add("rebind", steps, later_s=later_s)
        case "impostor":
            author.add("impostor", dice.randrange(setting.eims), dice.choice((60.0, 3600.0)), later_s=later_s)


def _eim_fault(author: _Author) -> None:
    dice = author.dice
    action = dice.choice(_AFTER + _BEFORE)
    on = dice.choice(("get", "result", "result", "notification", "any"))
    value: int | float | str = ""
    match action:
        case "busy":
            value = dice.choice((10, 120, 3000))
        case "status":
            value = dice.choice(("5.00", "4.04", "4.00", "5.04"))
        case "late":
            value = dice.choice((1.0, 5.0, 200.0))
        case "refuse":
            value = dice.choice((127, 1, 2)) if on == "get" else 127
    author.add("eIM fault", dice.randrange(author.setting.eims), on, action, dice.choice((1, 1, 2, 4)), value)
