"""The history of a seed with features: each adds its own deeds and leaves all others as they were."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from ipad_agent.records import replace

from .fault_history import AT, CODE, HTTPS, FaultStep, History, write
from .features import (
    DIRECT_DOWNLOAD,
    DISK_REFUSES,
    EIM_ERRORS,
    EMULATED,
    HALF_EMULATED,
    MODEM_STUCK,
    NO_EIM,
    PERSON,
    PORT_NAME,
    SECURED_WEB,
    SITE_SCRIPTS,
)

ERRNOS: Final = (errno.EROFS, errno.EIO, errno.ENOSPC)
SMDP_FAULTS: Final = ("http", "dead", "status", "empty", "not-json", "html")


def write_with(seed: int, features: Iterable[str], *, coverage: bool = True) -> History:
    """The history of a seed with these features. ``KeyError`` for one that does not exist."""
    history = write(seed, coverage=coverage)
    for name in sorted(set(features)):
        history = _ADD[name](history, random.Random(f"{name} {seed}"))
    return replace(history, faults=tuple(sorted(history.faults, key=lambda fault: fault.at_s)))


def _moments(history: History, dice: random.Random, count: int) -> list[float]:
    """Times at which something is going on: shortly after a deed."""
    faults = [fault for fault in history.faults if fault.kind in ("order", "poll now")] or list(history.faults)
    return [dice.choice(faults).at_s + dice.choice((0.5, 10.0, 60.0, 200.0, 600.0)) for _ in range(count)]


def _with(history: History, *faults: FaultStep) -> History:
    last_s = max(fault.at_s for fault in (*history.faults, *faults))
    return replace(history, faults=(*history.faults, *faults), heal_at_s=max(history.heal_at_s, last_s + 60.0))


def _direct_download(history: History, dice: random.Random) -> History:
    history = replace(history, setting=replace(history.setting, direct=True))
    faults = []
    ordered = any(fault.kind == "order" and "trigger" in str(fault.values[1]) for fault in history.faults)
    if not ordered and dice.random() < 0.6:
        at_s = dice.choice([fault.at_s for fault in history.faults])
        faults.append(FaultStep(at_s, "order", (dice.randrange(history.setting.eims), f"trigger {CODE}")))
        if dice.random() < 0.7:
            faults.append(FaultStep(at_s + 5.0, "poll now", ()))
    if dice.random() < 0.5:
        values = dice.choice(("any", "handleNotification")), dice.choice(SMDP_FAULTS), dice.choice((1, 1, 3))
        faults.append(FaultStep(_moments(history, dice, 1)[0], "SM-DP+ fault", values))
    return _with(history, *faults)


def _https(history: History, dice: random.Random) -> History:
    if dice.random() < 0.5:
        return history
    history = replace(history, setting=replace(history.setting, carrier=HTTPS))
    faults = []
    for at_s in _moments(history, dice, dice.choice((0, 1, 2))):
        eim = dice.randrange(history.setting.eims)
        kind = dice.choice(("hang up", "impostor", "TCP stall"))
        match kind:
            case "hang up":
                faults.append(FaultStep(at_s, kind, (eim, dice.randrange(1, 400))))
            case "impostor":
                faults.append(FaultStep(at_s, kind, (eim, dice.choice((60.0, 3600.0)))))
            case _:
                faults.append(FaultStep(at_s, kind, (dice.choice((5.0, 50.0, 500.0)),)))
    return _with(history, *faults)


def _site_scripts(history: History, dice: random.Random) -> History:
    scripts = dice.choice(("", "slow", "hanging", "proving"))
    history = replace(history, setting=replace(history.setting, scripts=scripts))
    if dice.random() < 0.4:
        history = _with(
            history, FaultStep(_moments(history, dice, 1)[0], "site holds", (dice.choice((600.0, 7200.0, 90_000.0)),))
        )
    return history


def _disk_refuses(history: History, dice: random.Random) -> History:
    duration = (1.0, 30.0, 500.0, 5000.0)
    faults = [
        FaultStep(at_s, "disk refuses", (dice.choice(ERRNOS), dice.choice(duration)))
        for at_s in _moments(history, dice, dice.choice((0, 1, 1, 2)))
    ]
    if dice.random() < 0.5:
        at_s = dice.choice(history.faults).at_s
        faults.append(FaultStep(at_s, "disk refuses a proof", (dice.choice(ERRNOS), dice.choice(duration))))
    return _with(history, *faults) if faults else history


def _no_eim(history: History, dice: random.Random) -> History:
    if dice.random() < 0.6:
        return history
    return replace(history, setting=replace(history.setting, managed=False, provisioned=dice.random() < 0.7))


def _port_name(history: History, dice: random.Random) -> History:
    if history.setting.way != AT:
        return history
    history = replace(history, setting=replace(history.setting, renames=True))
    faults = [
        FaultStep(at_s, "drop port", (dice.choice((1.0, 10.0, 100.0)), dice.choice((1, 20, 200))))
        for at_s in _moments(history, dice, dice.choice((0, 1, 1, 2)))
    ]
    return _with(history, *faults) if faults else history


def _modem_stuck(history: History, dice: random.Random) -> History:
    if history.setting.way != AT:
        return history
    moments = _moments(history, dice, dice.choice((0, 1, 1, 2)))
    faults = [FaultStep(at_s, "modem stuck", (dice.choice((1, 20, 200)),)) for at_s in moments]
    return _with(history, *faults) if faults else history


def _person(history: History, dice: random.Random) -> History:
    faults = []
    for at_s in _moments(history, dice, dice.choice((1, 1, 2, 3))):
        words = dice.choice(("rollback", "confirm", "fallback", "fallback", "fallback --return", "download", "owed"))
        faults.append(FaultStep(at_s, "ipactl", (words, dice.choice((1, 20, 200)))))
    return _with(history, *faults)


def _eim_errors(history: History, dice: random.Random) -> History:
    faults = []
    for at_s in _moments(history, dice, dice.choice((1, 1, 2, 3))):
        what = dice.choice(("status", "status after", "undefined error", "any"))
        on = dice.choice(("get", "result", "result", "notification", "any"))
        lasts_s = dice.choice((300.0, 7200.0, 100_000.0))
        values = dice.randrange(history.setting.eims), on, what, dice.choice((0.3, 0.7, 1.0)), lasts_s
        faults.append(FaultStep(at_s, "eIM errors", values))
    return _with(history, *faults)


def _emulated(history: History, dice: random.Random) -> History:
    """Besides, the power goes more often just before and behind what is done to the card."""
    history = replace(history, setting=replace(history.setting, emulated=True))
    faults = []
    for at_s in _moments(history, dice, dice.choice((0, 1, 1, 2))):
        match dice.choice(("card cut", "outage", "disk cut", "card step")):
            case "card cut":
                faults.append(FaultStep(at_s, "card cut", (dice.randrange(0, 60), dice.randrange(2))))
            case "outage":
                faults.append(FaultStep(at_s, "outage", (dice.randrange(1, 120),)))
            case "disk cut":
                faults.append(FaultStep(at_s, "disk cut", (dice.randrange(1, 6000),)))
            case _:
                faults.append(FaultStep(at_s, "card step", ("after-swap",)))
    return _with(history, *faults) if faults else history


def _half_emulated(history: History, dice: random.Random) -> History:
    return history if history.setting.emulated or dice.random() < 0.5 else _emulated(history, dice)


_ADD: Final[Mapping[str, Callable[[History, random.Random], History]]] = {
    DIRECT_DOWNLOAD: _direct_download,
    SECURED_WEB: _https,
    SITE_SCRIPTS: _site_scripts,
    DISK_REFUSES: _disk_refuses,
    NO_EIM: _no_eim,
    PORT_NAME: _port_name,
    MODEM_STUCK: _modem_stuck,
    PERSON: _person,
    EIM_ERRORS: _eim_errors,
    EMULATED: _emulated,
    HALF_EMULATED: _half_emulated,
}
