"""Sample values of what the faces show, one for every situation a person may find a device in.

Each is a complete ``Status`` as the agent would make it, with the verdict of the real table, so that screens, socket,
D-Bus, metrics and doctor are all tried with the same devices. Times are fixed: it is 2026-11-20 14:02:11 UTC.

Long: data, one situation after the other.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from ipad_agent.local.status_model import (
    Card,
    Condition,
    Eim,
    Guardian,
    Happening,
    HistoryEntry,
    LastOrder,
    Modem,
    Operation,
    Owed,
    Plan,
    PlanLine,
    Poll,
    Profile,
    ProfileTraffic,
    Radio,
    RadioUse,
    Severity,
    Stage,
    State,
    Status,
    Switch,
    Time,
    Traffic,
    TrafficShare,
    Trouble,
    Verdict,
    Warning,
)
from ipad_agent.local.status_verdict import verdict_of

NOW_S: Final = 1_795_183_331
MINUTE_S: Final = 60.0
HOUR_S: Final = 3600.0
DAY_S: Final = 86_400.0

EID: Final = "89049032000000000000000012345644"
CONSUMER_EID: Final = "89044045222222222222222200000125"
OPERATOR_A: Final = "8943010000000000811"
OPERATOR_B: Final = "8943012345678904713"
BOOTSTRAP: Final = "8949077000000000420"
EIM_ID: Final = "eim.example.net"


def ago(seconds: float) -> Time:
    """So long before now."""
    return Time(NOW_S - int(seconds), seconds)


def ahead(seconds: float) -> Time:
    """So long after now."""
    return Time(NOW_S + int(seconds), -seconds)


CARD: Final = Card(
    EID,
    eid_check_digits_ok=True,
    kind="an IoT eUICC (SGP.32)",
    manageable=True,
    specification="1.2.0",
    firmware="36.17.4",
    free_memory_bytes=412_000,
    fallback_supported=True,
    emergency_supported=True,
)
MODEM: Final = Modem(
    port="/dev/ttyUSB2",
    model="EG25",
    manufacturer="Quectel",
    firmware="EG25GGBR07A08M2G",
    imei="867698041234563",
    profile="quectel-eg25",
    transport="CGLA",
    sim="READY",
    iccid=OPERATOR_A,
)
AT_HOME: Final = Radio("registered at home", True, "262 01", "LTE", -97, "RSRP", "off")
TRAFFIC: Final = Traffic(
    48_211,
    6_120,
    2_000_000,
    (
        TrafficShare("coaps", "poll", 30_011),
        TrafficShare("coaps", "result", 9_200),
        TrafficShare("https", "download", 9_000),
    ),
    by_profile=(
        ProfileTraffic(OPERATOR_A, "coaps", "poll", 30_011),
        ProfileTraffic(OPERATOR_A, "coaps", "result", 9_200),
        ProfileTraffic(OPERATOR_A, "https", "download", 789),
        ProfileTraffic(OPERATOR_B, "https", "download", 8_211),
    ),
    radio=RadioUse(212, 3, 230, 4),
)
PROFILE_A: Final = Profile(
    OPERATOR_A,
    iccid_check_digit_ok=True,
    enabled=True,
    name="Operator A",
    provider="Operator A IoT",
    profile_class="operational",
    fallback_allowed=True,
    changed_by="eIM",
    changed_at=ago(3 * DAY_S),
)
PROFILE_B: Final = Profile(
    OPERATOR_B,
    iccid_check_digit_ok=True,
    enabled=False,
    name="Operator B",
    provider="Operator B",
    profile_class="operational",
    fallback_allowed=True,
    policy_rules=("ppr2",),
    changed_by="eIM",
    changed_at=ago(3 * DAY_S),
)
PROFILE_BOOTSTRAP: Final = Profile(
    BOOTSTRAP,
    iccid_check_digit_ok=True,
    enabled=False,
    name="Bootstrap",
    provider="Example Connect",
    profile_class="provisioning",
    fallback=True,
)
LAST_POLL: Final = Poll(ago(3 * HOUR_S + 4 * MINUTE_S), True, "one package carried out", 1, 1, 2_148, 1.9)
EIM: Final = Eim(
    EIM_ID,
    "eim.example.net",
    "coaps",
    last_poll=LAST_POLL,
    last_success=LAST_POLL.at,
    next_poll=ahead(5 * HOUR_S + 12 * MINUTE_S),
    next_reason="the regular interval",
)
GUARDIAN: Final = Guardian(enabled=True)
PENDING: Final = Verdict(State.STARTING, Severity.BUSY, "")
"""Replaced by the table's verdict in every situation."""


def decided(status: Status) -> Status:
    """The same with its verdict."""
    return replace(status, verdict=verdict_of(status))


def with_enabled(iccid: str, by: str, since: Time) -> tuple[Profile, ...]:
    """The three profiles with this one enabled."""
    return tuple(
        replace(profile, enabled=True, changed_by=by, changed_at=since)
        if profile.iccid == iccid
        else replace(profile, enabled=False)
        for profile in (PROFILE_A, PROFILE_B, PROFILE_BOOTSTRAP)
    )


_CALM: Final = Status(
    PENDING,
    taken_at_s=NOW_S,
    clock_set=True,
    uptime_s=9 * DAY_S,
    version="0.1.0",
    card=CARD,
    profiles=(PROFILE_A, PROFILE_B, PROFILE_BOOTSTRAP),
    eims=(EIM,),
    guardian=GUARDIAN,
    modem=MODEM,
    radio=AT_HOME,
    traffic=TRAFFIC,
)
_NO_ANSWER: Final = Poll(ago(2 * MINUTE_S), False, "unreachable", cost_bytes=620, duration_s=93.0)
_FAILING_EIM: Final = replace(
    EIM,
    last_poll=_NO_ANSWER,
    last_success=ago(2 * DAY_S),
    next_poll=ahead(38 * MINUTE_S),
    next_reason="after 5 failures in a row",
    failures=5,
    trouble="no answer within 60 s",
)
_EMULATED_CARD: Final = replace(
    CARD,
    kind="a consumer eUICC (SGP.22), its IoT functions emulated by this device",
    family="emulated",
    specification="SGP.22 v2.3.0",
)
_RESULT: Final = Owed(
    "result", EIM_ID, "result 31 of an order to enable a profile", ago(HOUR_S), 31, ahead(38 * MINUTE_S), 5, "no answer"
)
_NOTE: Final = Owed(
    "notification",
    "smdp.example.org",
    "profile …4713 was installed",
    ago(DAY_S),
    29,
    ahead(40 * MINUTE_S),
    3,
    "the server could not be reached",
)
_STAGES: Final = (
    Stage("card", True, "card and modem agree on …4713"),
    Stage("registration", True, "registered at home (26202)"),
    Stage("ip", True, "10.64.1.9 on wwan0"),
    Stage("dns", True, "84 ms"),
    Stage("eim", False, "no answer yet"),
    Stage("application", None, "no check is configured"),
)
_ARMED: Final = Switch(
    "proving",
    "eIM",
    OPERATOR_A,
    OPERATOR_B,
    "rollback",
    ago(168),
    ahead(252),
    _STAGES,
)


def _failed_switch() -> Switch:
    stages = (
        Stage("card", True, "card and modem agree on …4713"),
        Stage("registration", False, "registration denied by the network (26202)"),
        Stage("ip", None),
        Stage("dns", None),
        Stage("eim", None),
        Stage("application", None),
    )
    return Switch(
        "rolled-back", "eIM", OPERATOR_A, OPERATOR_B, "rollback", ago(21 * MINUTE_S), None, stages, ago(14 * MINUTE_S)
    )


def _without_card(trouble: Trouble, modem: Modem | None) -> Status:
    """A start at which no card was read."""
    return replace(
        _CALM,
        card=None,
        profiles=(),
        eims=(),
        guardian=None,
        modem=modem,
        radio=None,
        traffic=Traffic(),
        uptime_s=240.0,
        trouble=trouble,
    )


SITUATIONS: Final[dict[str, Status]] = {
    name: decided(status)
    for name, status in {
        "starting": replace(
            _CALM,
            card=None,
            profiles=(),
            eims=(),
            modem=None,
            radio=None,
            guardian=None,
            traffic=Traffic(),
            uptime_s=1.2,
        ),
        "fresh": replace(
            _CALM,
            profiles=(replace(PROFILE_BOOTSTRAP, enabled=True),),
            eims=(),
            uptime_s=95.0,
            modem=replace(MODEM, iccid=BOOTSTRAP),
            traffic=Traffic(),
        ),
        "ready": _CALM,
        "ready-with-debts": replace(
            _CALM,
            owed=(_NOTE,),
            warnings=(
                Warning(
                    "IPA-4110",
                    "smdp.example.org has not taken a notification for 1 day; it is tried again in 40 min.",
                    "Nothing, unless it stays so for days: then check that the device may reach smdp.example.org.",
                ),
            ),
        ),
        "polling": replace(
            _CALM,
            operation=Operation("poll", ago(2), EIM_ID),
            eims=(replace(EIM, next_poll=None, next_reason=None),),
        ),
        "downloading": replace(
            _CALM,
            operation=Operation("download", ago(41), EIM_ID, 31_500, 58_400, "bytes"),
            eims=(replace(EIM, next_poll=None, next_reason=None),),
        ),
        "switch-armed": replace(
            _CALM,
            profiles=with_enabled(OPERATOR_B, "eIM", ago(168)),
            modem=replace(MODEM, iccid=OPERATOR_B),
            switch=_ARMED,
            owed=(replace(_RESULT, since=ago(168), next_attempt=None, attempts=0, reason=None),),
            radio=Radio("registered at home", True, "262 02", "LTE", -104, "RSRP"),
        ),
        "switch-armed-in-a-poll": replace(
            _CALM,
            profiles=with_enabled(OPERATOR_B, "eIM", ago(168)),
            modem=replace(MODEM, iccid=OPERATOR_B),
            switch=_ARMED,
            operation=Operation("poll", ago(180), EIM_ID),
            owed=(replace(_RESULT, since=ago(168), next_attempt=None, attempts=0, reason=None),),
            radio=Radio("searching", False),
        ),
        "modem-gone-in-a-switch": replace(
            _CALM,
            profiles=with_enabled(OPERATOR_B, "eIM", ago(168)),
            modem=replace(MODEM, iccid=OPERATOR_B),
            switch=_ARMED,
            owed=(replace(_RESULT, since=ago(168), next_attempt=None, attempts=0, reason=None),),
            radio=Radio("registered at home", True, "262 02", "LTE", -104, "RSRP"),
            trouble=Trouble("modem", "/dev/ttyUSB2 is not there", None, ago(4), ahead(5)),
        ),
        "rolling-back": replace(
            _CALM,
            profiles=with_enabled(OPERATOR_B, "eIM", ago(421)),
            modem=replace(MODEM, iccid=OPERATOR_B),
            switch=replace(_failed_switch(), phase="rolling-back", since=ago(421), ended=None),
            radio=Radio("denied", False, None, "LTE", -104, "RSRP"),
        ),
        "rolled-back": replace(
            _CALM,
            profiles=with_enabled(OPERATOR_A, "rollback", ago(14 * MINUTE_S)),
            switch=_failed_switch(),
            owed=(replace(_RESULT, what="result 32 of going back to profile …0811", seq_number=32, attempts=0),),
        ),
        "no-card": _without_card(
            Trouble(
                "card",
                "the modem says that no SIM card is inserted (+CME ERROR: 10)",
                "Insert the card, or seat it again.",
                ago(3 * MINUTE_S),
                ahead(48),
            ),
            replace(MODEM, sim="not inserted", iccid=None, transport=None),
        ),
        "no-modem": _without_card(
            Trouble("modem", "no known modem is on the USB", None, ago(4 * MINUTE_S), ahead(31)), None
        ),
        "port-held": _without_card(
            Trouble(
                "modem",
                "/dev/ttyUSB2 is held by ModemManager (process 812)",
                "Let ModemManager leave this modem alone: see the udev rule in hw/README.md; then replug the modem.",
                ago(4 * MINUTE_S),
                ahead(31),
            ),
            Modem(port="/dev/ttyUSB2"),
        ),
        "no-coverage": replace(
            _CALM,
            eims=(_FAILING_EIM,),
            radio=Radio("searching", False, None, "LTE", None, None),
            guardian=Guardian(enabled=True, lost_for_s=5 * HOUR_S, acts_at=ahead(19 * HOUR_S), failed_cycles=5),
        ),
        "eim-unreachable": replace(
            _CALM,
            eims=(_FAILING_EIM,),
            owed=(_RESULT,),
            guardian=Guardian(enabled=True, lost_for_s=2 * DAY_S, acts_at=ahead(22 * HOUR_S), failed_cycles=5),
        ),
        "eim-refuses": replace(
            _CALM,
            eims=(
                replace(
                    EIM,
                    trouble="refused our result: undefinedError (127), 3 times; next try in 2 h",
                    answered=True,
                    next_poll=ahead(2 * HOUR_S),
                    next_reason="the eIM refused our result: undefinedError (127), 3 times",
                ),
            ),
            owed=(
                replace(
                    _RESULT, next_attempt=ahead(2 * HOUR_S), attempts=3, reason="undefinedError (127)", seq_number=None
                ),
            ),
        ),
        "eim-errs": replace(
            _CALM,
            eims=(
                replace(
                    _FAILING_EIM,
                    last_poll=replace(_NO_ANSWER, outcome="the eIM answered with an error"),
                    trouble="the server answered 500",
                    answered=True,
                ),
            ),
        ),
        "order-failed": replace(
            _CALM,
            eims=(
                replace(
                    EIM,
                    last_order=LastOrder(
                        LAST_POLL.at,
                        "delete 8943…0811",
                        False,
                        "delete 8943…0811 profileNotInDisabledState",
                        "that profile is enabled, and only a disabled one can be deleted",
                    ),
                ),
            ),
        ),
        "clock-unset": replace(
            _CALM,
            taken_at_s=151,
            clock_set=False,
            uptime_s=151.0,
            profiles=(
                replace(PROFILE_A, changed_by=None, changed_at=None),
                replace(PROFILE_B, changed_by=None, changed_at=None),
                PROFILE_BOOTSTRAP,
            ),
            eims=(
                replace(
                    _FAILING_EIM,
                    last_success=None,
                    failures=3,
                    trouble="its certificate is not valid yet: by this device's clock it is 1970-01-01",
                ),
            ),
            warnings=(
                Warning(
                    "IPA-1105",
                    "The clock of this device was never set: it says 1970-01-01.",
                    "Set the time (timedatectl set-time, or a time server); certificates cannot be checked without it.",
                ),
            ),
        ),
        "consumer-card": replace(
            _CALM,
            card=Card(
                CONSUMER_EID,
                eid_check_digits_ok=True,
                kind="a consumer eUICC (SGP.22)",
                manageable=False,
                family="consumer",
                specification="2.3.0",
            ),
            profiles=(),
            eims=(),
            guardian=None,
        ),
        "emulated-card": replace(
            _CALM,
            card=_EMULATED_CARD,
            eims=(replace(EIM, last_order=LastOrder(ago(3 * HOUR_S), "enable 8949…0811", True)),),
        ),
        "emulated-card-registered": replace(_CALM, card=_EMULATED_CARD, eims=(replace(EIM, key_known=True),)),
        "emulated-card-unknown-to-its-eim": replace(
            _CALM,
            card=_EMULATED_CARD,
            eims=(
                replace(
                    EIM,
                    last_poll=Poll(ago(2 * MINUTE_S), False, "refused", cost_bytes=620, duration_s=1.0),
                    last_success=None,
                    answered=True,
                    failures=2,
                    trouble="eid not found",
                ),
            ),
        ),
        "emulated-card-results-refused": replace(
            _CALM,
            card=_EMULATED_CARD,
            eims=(
                replace(
                    EIM,
                    last_order=LastOrder(ago(HOUR_S), "enable 8949…0811", True),
                    trouble="does not take a result (euiccSignatureInvalid)",
                ),
            ),
            owed=(replace(_RESULT, reason="euiccSignatureInvalid"),),
        ),
        "ipae-card": replace(
            _CALM,
            card=replace(CARD, kind="an IoT eUICC with its own assistant (IPAe)", manageable=False, family="ipae"),
            profiles=(),
            eims=(),
            guardian=None,
        ),
        "held": replace(
            _CALM,
            held_by=(
                Condition("power", "the device runs on battery (31 %)"),
                Condition("window", "changes are allowed from 22:00 to 04:00 only"),
            ),
            eims=(replace(EIM, next_poll=ahead(8 * HOUR_S), next_reason="held back by this site"),),
        ),
        "fallback": replace(
            _CALM,
            profiles=with_enabled(BOOTSTRAP, "fallback", ago(7 * HOUR_S)),
            modem=replace(MODEM, iccid=BOOTSTRAP),
            radio=Radio("roaming", True, "262 01", "LTE", -101, "RSRP"),
            guardian=Guardian(
                enabled=True, failed_cycles=0, in_fallback=True, return_attempts=1, next_return=ahead(17 * HOUR_S)
            ),
        ),
        "emergency": replace(
            _CALM,
            modem=replace(MODEM, iccid=None),
            profiles=(
                *(replace(profile, enabled=False) for profile in (PROFILE_A, PROFILE_B, PROFILE_BOOTSTRAP)),
                Profile(
                    "8949000000000000112",
                    iccid_check_digit_ok=False,
                    enabled=True,
                    name="Emergency calls",
                    profile_class="operational",
                    emergency=True,
                    changed_by="local",
                    changed_at=ago(11 * MINUTE_S),
                ),
            ),
        ),
        "disk-read-only": replace(
            _CALM,
            warnings=(
                Warning(
                    "IPA-1208",
                    "The disk refuses what the agent has to keep: the journal /var/lib/ipad-agent/journal could not be "
                    "written: Read-only file system",
                    "Check free space, mount options and permissions of the state directory, and the storage itself.",
                ),
            ),
        ),
        "trouble": replace(
            _CALM,
            trouble=Trouble(
                "agent",
                "the disk under /var/lib/ipad-agent is full",
                "Make room: the agent must be able to write down what it owes before it touches the card.",
                ago(30),
                ahead(30),
            ),
        ),
    }.items()
}
"""By name. ``State`` has more values than these only where two would look the same."""

OWED: Final = (_RESULT, _NOTE)

PLANS: Final[dict[str, Plan]] = {
    "possible": Plan(
        OPERATOR_B,
        True,
        (
            PlanLine("card", True, "The profile is on the card and disabled; the enabled one may be disabled."),
            PlanLine("way back", True, "If the new profile does not work, the card can go back to …0811."),
            PlanLine("APN", True, "iot.b.example, from the site's table."),
            PlanLine("report", True, "The result can also leave over eth0."),
            PlanLine("clock", True, "It was set 12 s ago."),
            PlanLine("coverage", None, "Whether Operator B has coverage here shows only after the change."),
        ),
        (
            "Write down what to go back to, and when.",
            "Enable the profile on the card; reset the card (9 s on this modem when last measured).",
            "Prove it within 7 min: registration, address, name service, manager.",
            "Tell the manager; if there is no proof by then, go back.",
        ),
    ),
    "impossible": Plan(
        OPERATOR_B,
        False,
        (
            PlanLine("card", True, "The profile is on the card and disabled."),
            PlanLine("rules", False, "The enabled profile …0811 must not be disabled (its policy rule ppr1)."),
            PlanLine("power", False, "The device runs on battery (31 %)."),
        ),
        (),
    ),
}

HAPPENINGS: Final = (
    Happening("IPA-4020", "info", "eim.example.net orders: enable profile …4713.", NOW_S - 168, (("eim", EIM_ID),)),
    Happening("IPA-4024", "info", "The enabled profile changes; waiting for the card to come back.", NOW_S - 168),
    Happening("IPA-4025", "info", "The card is back; enabled profile: …4713.", NOW_S - 158),
    Happening(
        "IPA-1005",
        "warning",
        "The poll of eim.example.net failed on the side of the network: no answer within 60 s.",
        NOW_S - 40,
    ),
)


HISTORY: Final = (
    HistoryEntry(
        "order", "enable 8943…0811 (counter 11)", "eim", "done", None, False, 2.4, "enable ok (result 30)", EIM_ID
    ),
    HistoryEntry("switch", "another profile", "eim", "done", None, False, None, None, EIM_ID, BOOTSTRAP, OPERATOR_A),
    HistoryEntry(
        "switch",
        "the change to the fallback profile",
        "person",
        "failed",
        ago(2 * DAY_S),
        reason="the card refused",
        times=3,
        duration_s=0.0,
    ),
    HistoryEntry(
        "download",
        "a profile, directly",
        "eim",
        "done",
        ago(DAY_S),
        duration_s=131.0,
        reason="8943…4713 is installed",
        eim_id=EIM_ID,
    ),
    HistoryEntry(
        "order",
        "enable 8943…4713 (counter 12)",
        "eim",
        "done",
        ago(600),
        duration_s=2.1,
        reason="enable ok (result 31)",
        eim_id=EIM_ID,
    ),
    HistoryEntry(
        "switch",
        "another profile",
        "eim",
        "rolled-back",
        ago(598),
        duration_s=431.0,
        reason="registration: registration denied by the network (26202)",
        eim_id=EIM_ID,
        previous=OPERATOR_A,
        target=OPERATOR_B,
    ),
    HistoryEntry(
        "rollback",
        "to the former profile",
        "device",
        "done",
        ago(178),
        duration_s=11.0,
        previous=OPERATOR_B,
        target=OPERATOR_A,
    ),
    HistoryEntry("download", "a profile, directly", "eim", "under-way", ago(40), eim_id=EIM_ID),
)


def _item(layer: str, ok: bool | None, sentence: str, fix: str | None = None) -> dict[str, Any]:
    return {"layer": layer, "ok": ok, "sentence": sentence, "fix": fix}


def _examined(*items: dict[str, Any], behind: str | None = None) -> tuple[dict[str, Any], ...]:
    """These items, what could not be checked because of the layer ``behind``, and the one thing to do."""
    wrong = next((item for item in items if item["ok"] is False), None)
    blocked = [] if behind is None else [_item("eim", None, f"Not checked, because of {behind}.")]
    if wrong is None:
        return (*items, *blocked, _item("verdict", True, "Nothing is wrong as far as was checked."))
    return (*items, *blocked, _item("verdict", False, wrong["sentence"], wrong["fix"]))


_USB = _item("usb", True, "Quectel EG25 (2c7c:0125) is on the USB.")
_PORT = _item("port", True, "/dev/ttyUSB2 is open, and nobody else uses it.")
_AT = _item("at", True, "AT is answered within 12 ms.")
_SIM = _item("sim", True, "The modem says that the SIM is ready.")
_CARD = _item("euicc", True, "An IoT eUICC (SGP.32); release v1.2.0; 412 kB free; 3 profiles, one is enabled.")
_NETWORK = _item("registration", True, "The modem is registered at home (CEREG), -97 dBm (RSRP).")
_MANAGED = _item("association", True, "eim.example.net manages this card; coaps to eim.example.net:5684.")

DOCTOR: Final[dict[str, tuple[dict[str, Any], ...]]] = {
    "healthy": (
        {"layer": "usb", "ok": True, "sentence": "Quectel EG25 (2c7c:0125) is on the USB.", "fix": None},
        {"layer": "port", "ok": True, "sentence": "/dev/ttyUSB2 belongs to this agent.", "fix": None},
        {"layer": "at", "ok": True, "sentence": "The modem answers within 12 ms.", "fix": None},
        {"layer": "sim", "ok": True, "sentence": "The SIM is ready.", "fix": None},
        {"layer": "euicc", "ok": True, "sentence": "An IoT eUICC (SGP.32) with 3 profiles.", "fix": None},
        {"layer": "registration", "ok": True, "sentence": "Registered at home in 262 01 (LTE).", "fix": None},
        {"layer": "eim", "ok": True, "sentence": "eim.example.net proved who it is within 640 ms.", "fix": None},
        {"layer": "verdict", "ok": True, "sentence": "Nothing needs to be done.", "fix": None},
    ),
    "no-modem": _examined(
        _item(
            "usb",
            False,
            "/dev/ttyUSB2 is not there. There are no serial ports at all.",
            "Check plug, power and cable of the modem; the port's name may have changed: a stable one is in "
            "/dev/serial/by-id, or set modem.port to auto.",
        ),
        behind="the modem on the USB",
    ),
    "no-card": _examined(
        _USB,
        _PORT,
        _AT,
        _item(
            "sim",
            False,
            "There is no usable card: the modem says 'SIM not inserted'.",
            "Check that the card is in its slot, the right way round, and that the modem uses this slot.",
        ),
        behind="the SIM",
    ),
    "no-coverage": _examined(
        _USB,
        _PORT,
        _AT,
        _SIM,
        _CARD,
        _item(
            "registration",
            False,
            "The modem is not in a network: searching (CEREG).",
            "Check the antenna, and whether the operator of the enabled profile has coverage here.",
        ),
        _MANAGED,
        behind="the mobile network",
    ),
    "eim-unreachable": _examined(
        _USB,
        _PORT,
        _AT,
        _SIM,
        _CARD,
        _NETWORK,
        _MANAGED,
        _item("dns", True, "eim.example.net is 192.0.2.7."),
        _item(
            "handshake",
            False,
            "eim.example.net over CoAP over DTLS: the server did not answer the handshake.",
            "Ask the eIM's operator whether it runs, and the network's whether UDP port 5684 is let through.",
        ),
        behind="the secure session",
    ),
    "fresh": _examined(
        _USB,
        _PORT,
        _AT,
        _SIM,
        _CARD,
        _NETWORK,
        _item(
            "association",
            False,
            "No eIM manages this card.",
            "Set provisioning.initial_eim to the file that the eIM's operator gave you; then restart the agent.",
        ),
        behind="the eIM on the card",
    ),
    "ready": _examined(
        _USB,
        _PORT,
        _AT,
        _SIM,
        _CARD,
        _NETWORK,
        _MANAGED,
        _item("dns", True, "eim.example.net is 192.0.2.7."),
        _item("handshake", True, "eim.example.net over CoAP over DTLS: its key is the pinned one (0.6 s)."),
        _item("eim", None, "eim.example.net: the last poll ended: the eIM has nothing waiting."),
    ),
    "switch-armed": _examined(
        _USB,
        *(
            _item(layer, None, "Not checked: the agent is busy with the modem and the card.")
            for layer in ("port", "at", "modem", "sim", "isd-r", "euicc", "registration")
        ),
    ),
    "clock": (
        {"layer": "port", "ok": True, "sentence": "/dev/ttyUSB2 belongs to this agent.", "fix": None},
        {"layer": "euicc", "ok": True, "sentence": "An IoT eUICC (SGP.32) with 3 profiles.", "fix": None},
        {
            "layer": "clock",
            "ok": False,
            "sentence": "This device's clock says 1970-01-01; the network did not tell the time.",
            "fix": "Set the time: timedatectl set-time '2026-11-20 14:02', or give the device a time server.",
        },
        {
            "layer": "eim",
            "ok": None,
            "sentence": "Not checked: without the time no certificate can be judged.",
            "fix": None,
        },
        {"layer": "verdict", "ok": False, "sentence": "The one thing to do: set the clock.", "fix": None},
    ),
    "port-held": (
        {"layer": "usb", "ok": True, "sentence": "Quectel EG25 (2c7c:0125) is on the USB.", "fix": None},
        {
            "layer": "port",
            "ok": False,
            "sentence": "/dev/ttyUSB2 is held by ModemManager (process 812).",
            "fix": "Let ModemManager leave this modem alone: see the udev rule in hw/README.md; then replug the modem.",
        },
        {"layer": "at", "ok": None, "sentence": "Not checked, because of the serial port.", "fix": None},
        {"layer": "euicc", "ok": None, "sentence": "Not checked, because of the serial port.", "fix": None},
        {
            "layer": "verdict",
            "ok": False,
            "sentence": "/dev/ttyUSB2 is held by ModemManager (process 812).",
            "fix": "Let ModemManager leave this modem alone: see the udev rule in hw/README.md; then replug the modem.",
        },
    ),
    "consumer-card": (
        {"layer": "sim", "ok": True, "sentence": "The SIM is ready.", "fix": None},
        {"layer": "isd-r", "ok": True, "sentence": "The card's eSIM application answers.", "fix": None},
        {
            "layer": "euicc",
            "ok": False,
            "sentence": "A consumer eUICC (SGP.22), which this agent must leave alone.",
            "fix": "Insert an IoT eUICC (an eSIM card after SGP.32).",
        },
        {"layer": "association", "ok": None, "sentence": "Not checked, because of the eUICC.", "fix": None},
        {
            "layer": "verdict",
            "ok": False,
            "sentence": "A consumer eUICC (SGP.22), which this agent must leave alone.",
            "fix": "Insert an IoT eUICC (an eSIM card after SGP.32).",
        },
    ),
    "pin": (
        {"layer": "euicc", "ok": True, "sentence": "An IoT eUICC (SGP.32) with 3 profiles.", "fix": None},
        {"layer": "dns", "ok": True, "sentence": "eim.example.net is 192.0.2.7.", "fix": None},
        {
            "layer": "handshake",
            "ok": False,
            "sentence": "eim.example.net shows a key that the card does not know.",
            "fix": "Ask the eIM's operator whether its key changed; only the eIM can give the card a new one.",
        },
        {"layer": "eim", "ok": None, "sentence": "Not checked, because of the secure session.", "fix": None},
        {
            "layer": "verdict",
            "ok": False,
            "sentence": "eim.example.net shows a key that the card does not know.",
            "fix": "Ask the eIM's operator whether its key changed; only the eIM can give the card a new one.",
        },
    ),
}
"""Items of the doctor, in the order in which they come."""
