"""What stands on the bus, as one table: names, interfaces, properties, methods and the right each method needs.

Introspection, the check of arguments, the tree of objects and the list of polkit actions all follow from here.
"""

from __future__ import annotations

from typing import Final

from ipad_agent.records import dataclass

BUS_NAME: Final = "io.github.ipadagent1"
"""The digit is the version of this interface; an incompatible one would be a second name."""
ROOT: Final = "/io/github/ipadagent1"
ERROR: Final = f"{BUS_NAME}.Error."

PROPERTIES: Final = "org.freedesktop.DBus.Properties"
OBJECT_MANAGER: Final = "org.freedesktop.DBus.ObjectManager"
INTROSPECTABLE: Final = "org.freedesktop.DBus.Introspectable"
PEER: Final = "org.freedesktop.DBus.Peer"

STATUS: Final = "look"
"""Not an action of polkit: who may look is decided by the groups of the configuration, as on the socket."""
POLL: Final = f"{BUS_NAME}.poll"
PLAN: Final = f"{BUS_NAME}.plan"
SWITCH: Final = f"{BUS_NAME}.switch"
ROLLBACK: Final = f"{BUS_NAME}.rollback"
CONFIRM: Final = f"{BUS_NAME}.confirm"
PROVISION: Final = f"{BUS_NAME}.provision"
CARD: Final = f"{BUS_NAME}.card"
DOWNLOAD: Final = f"{BUS_NAME}.download"
BUNDLE: Final = f"{BUS_NAME}.bundle"
"""Actions as polkit knows them (``systemd/io.github.ipadagent1.policy``)."""


@dataclass(frozen=True, slots=True)
class Arg:
    """One argument of a method or a signal; ``signature`` is one complete D-Bus type."""

    name: str
    signature: str


@dataclass(frozen=True, slots=True)
class Method:
    """``action`` is the right a caller needs; None for what everybody may who reaches us at all."""

    name: str
    takes: tuple[Arg, ...] = ()
    gives: tuple[Arg, ...] = ()
    action: str | None = None

    @property
    def in_signature(self) -> str:
        return "".join(arg.signature for arg in self.takes)

    @property
    def out_signature(self) -> str:
        return "".join(arg.signature for arg in self.gives)


@dataclass(frozen=True, slots=True)
class Signal:
    name: str
    args: tuple[Arg, ...]


@dataclass(frozen=True, slots=True)
class Interface:
    """``properties``: name to signature; all are read-only and all changes are told."""

    name: str
    properties: dict[str, str]
    methods: tuple[Method, ...] = ()
    signals: tuple[Signal, ...] = ()

    def method(self, name: str) -> Method | None:
        return next((method for method in self.methods if method.name == name), None)


SUBSCRIBE: Final = Method("Subscribe", action=STATUS)
UNSUBSCRIBE: Final = Method("Unsubscribe", action=STATUS)
EVENT: Final = Signal("Event", (Arg("id", "s"), Arg("level", "s"), Arg("text", "s"), Arg("facts", "a{ss}")))

MANAGER: Final = Interface(
    f"{BUS_NAME}.Manager",
    {
        "Version": "s",
        "SchemaVersion": "u",
        "State": "s",
        "Severity": "s",
        "Verdict": "s",
        "Next": "s",
        "NextAt": "t",
        "Advice": "s",
        "StartedAt": "t",
        "ClockSet": "b",
        "Operation": "a{sv}",
        "Switch": "a{sv}",
        "Guardian": "a{sv}",
        "Trouble": "a{sv}",
        "HeldBy": "a(ss)",
        "Owed": "aa{sv}",
        "Warnings": "a(sss)",
        "TrafficTotal": "t",
        "TrafficToday": "t",
        "TrafficBudget": "t",
        "TrafficBy": "a(sst)",
        "TrafficByProfile": "a(ssst)",
        "TrafficBudgetTotal": "t",
        "OnlyResults": "b",
        "RadioCycles": "t",
        "RadioCyclesToday": "t",
        "WakeUps": "t",
        "WakeUpsToday": "t",
    },
    (
        Method("GetStatus", (), (Arg("json", "s"),), STATUS),
        Method("Recent", (Arg("count", "u"),), (Arg("events", "a(tsssa{ss})"),), STATUS),
        Method("History", (Arg("count", "u"),), (Arg("json", "s"),), STATUS),
        SUBSCRIBE,
        UNSUBSCRIBE,
        Method("Poll", (Arg("eim_id", "s"),), (), POLL),
        Method(
            "PlanSwitch",
            (Arg("iccid", "s"),),
            (Arg("target", "s"), Arg("possible", "b"), Arg("lines", "a(sss)"), Arg("steps", "as")),
            PLAN,
        ),
        Method("Rollback", action=ROLLBACK),
        Method("Confirm", action=CONFIRM),
        Method("ExecuteFallback", action=SWITCH),
        Method("ReturnFromFallback", action=SWITCH),
        Method("Emergency", (Arg("enable", "b"),), (), SWITCH),
        Method("Provision", (Arg("data", "ay"),), (Arg("count", "u"),), PROVISION),
        Method("SetDefaultSmdp", (Arg("address", "s"),), (), CARD),
        Method(
            "ConfigureImmediateEnabling",
            (Arg("enable", "b"), Arg("smdp_oid", "s"), Arg("smdp_address", "s")),
            (),
            CARD,
        ),
        Method("ActivateIpae", action=CARD),
        Method(
            "Download",
            (Arg("activation_code", "s"), Arg("confirmation_code", "s"), Arg("accept_rules", "b")),
            (Arg("iccid", "s"),),
            DOWNLOAD,
        ),
        Method("Bundle", (), (Arg("archive", "ay"),), BUNDLE),
    ),
    (EVENT,),
)

EUICC: Final = Interface(
    f"{BUS_NAME}.EUICC",
    {
        "Eid": "s",
        "EidValid": "b",
        "Kind": "s",
        "Family": "s",
        "Manageable": "b",
        "Specification": "s",
        "Firmware": "s",
        "FreeMemory": "t",
        "FallbackSupported": "b",
        "EmergencySupported": "b",
    },
)

PROFILE: Final = Interface(
    f"{BUS_NAME}.Profile",
    {
        "Iccid": "s",
        "IccidValid": "b",
        "Enabled": "b",
        "Name": "s",
        "Provider": "s",
        "Nickname": "s",
        "Class": "s",
        "Fallback": "b",
        "FallbackAllowed": "b",
        "Emergency": "b",
        "PolicyRules": "as",
        "ChangedBy": "s",
        "ChangedAt": "t",
        "ChangedFor": "s",
    },
)

EIM: Final = Interface(
    f"{BUS_NAME}.Eim",
    {
        "EimId": "s",
        "Host": "s",
        "Carrier": "s",
        "OnCard": "b",
        "NextPoll": "t",
        "NextReason": "s",
        "LastSuccess": "t",
        "Failures": "u",
        "Trouble": "s",
        "Answered": "b",
        "LastPollAt": "t",
        "LastPollOk": "b",
        "LastPollOutcome": "s",
        "LastPollPackages": "u",
        "LastPollResults": "u",
        "LastPollBytes": "t",
        "LastPollDuration": "t",
        "LastOrder": "s",
        "LastOrderAt": "t",
        "LastOrderOk": "b",
        "LastOrderWords": "s",
        "LastOrderReason": "s",
        "Handshake": "s",
        "KeyKnown": "b",
    },
)

MODEM: Final = Interface(
    f"{BUS_NAME}.Modem",
    {
        "Port": "s",
        "Model": "s",
        "Manufacturer": "s",
        "Firmware": "s",
        "Imei": "s",
        "ModuleProfile": "s",
        "Transport": "s",
        "Sim": "s",
        "Iccid": "s",
        "Slot": "i",
        "Registration": "s",
        "Registered": "s",
        "Network": "s",
        "Technology": "s",
        "SignalDbm": "i",
        "SignalKind": "s",
        "PowerSaving": "s",
        "Connected": "s",
    },
)

STANDARD: Final = (
    Interface(
        PROPERTIES,
        {},
        (
            Method("Get", (Arg("interface", "s"), Arg("property", "s")), (Arg("value", "v"),)),
            Method("GetAll", (Arg("interface", "s"),), (Arg("properties", "a{sv}"),)),
            Method("Set", (Arg("interface", "s"), Arg("property", "s"), Arg("value", "v"))),
        ),
        (
            Signal(
                "PropertiesChanged",
                (Arg("interface", "s"), Arg("changed", "a{sv}"), Arg("invalidated", "as")),
            ),
        ),
    ),
    Interface(INTROSPECTABLE, {}, (Method("Introspect", (), (Arg("xml", "s"),)),)),
    Interface(PEER, {}, (Method("Ping"), Method("GetMachineId", (), (Arg("machine_uuid", "s"),)))),
)

MANAGER_OF_OBJECTS: Final = Interface(
    OBJECT_MANAGER,
    {},
    (Method("GetManagedObjects", (), (Arg("objects", "a{oa{sa{sv}}}"),)),),
    (
        Signal("InterfacesAdded", (Arg("object", "o"), Arg("interfaces", "a{sa{sv}}"))),
        Signal("InterfacesRemoved", (Arg("object", "o"), Arg("interfaces", "as"))),
    ),
)

OURS: Final = {interface.name: interface for interface in (MANAGER, EUICC, PROFILE, EIM, MODEM)}
