"""The interface ``io.github.ipadagent``: methods, who may call them, and the errors, as tables.

The published file ``io.github.ipadagent.varlink`` is ``text()``; a test keeps the two equal. Methods and fields may be
added; none goes away or changes its meaning.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from ipad_agent.local import local_verbs, status_model
from ipad_agent.records import dataclass

from . import idl_types
from .idl_types import Field
from .peer_credentials import Right

NAME: Final = "io.github.ipadagent"
SERVICE: Final = "org.varlink.service"


@dataclass(frozen=True, slots=True)
class Method:
    """``works``: it touches card, modem, network or disk, so it may not be called all the time. Calls that need
    more than ``Right.READ`` are in the log."""

    name: str
    doc: str
    right: Right
    takes: tuple[Field, ...] = ()
    gives: tuple[Field, ...] = ()
    works: bool = False


METHODS: Final = (
    Method("GetStatus", "Everything, at this moment.", Right.READ, gives=(Field("status", "Status"),)),
    Method(
        "Subscribe",
        "The status now and after each change, and each event as it happens (call with more; without, the status "
        "once). A reply has either a status or an event. Changes that follow each other quickly are told once. recent: "
        "so many past events first. lost: so many events were left out because this client did not read fast enough.",
        Right.READ,
        takes=(Field("status", "?bool"), Field("events", "?bool"), Field("recent", "?int")),
        gives=(Field("status", "?Status"), Field("event", "?Happening"), Field("lost", "?int")),
    ),
    Method(
        "ListEvents",
        "The last events of level info and above, oldest first.",
        Right.READ,
        takes=(Field("count", "?int"),),
        gives=(Field("events", "[]Happening"),),
    ),
    Method(
        "ListHistory",
        "The last things that were done on this device (orders, downloads, switches, rollbacks, resets of the card), "
        "oldest first. They outlive a restart.",
        Right.READ,
        takes=(Field("count", "?int"),),
        gives=(Field("history", "[]HistoryEntry"),),
    ),
    Method("ListProfiles", "The profiles on the card.", Right.READ, gives=(Field("profiles", "[]Profile"),)),
    Method("ListEims", "The remote managers of the card.", Right.READ, gives=(Field("eims", "[]Eim"),)),
    Method(
        "ListOwed",
        "What eIMs and SM-DP+s have not got yet; asks the card.",
        Right.READ,
        gives=(Field("owed", "[]Owed"),),
        works=True,
    ),
    Method(
        "PlanSwitch",
        "What a change to this profile would need and do; changes nothing.",
        Right.READ,
        takes=(Field("iccid", "string"),),
        gives=(Field("plan", "Plan"),),
        works=True,
    ),
    Method(
        "GetConfiguration",
        "The configuration that the agent runs with, and where each value comes from.",
        Right.READ,
        gives=(Field("configuration", "Configuration"),),
    ),
    Method("Metrics", "Figures in Prometheus' text format.", Right.READ, gives=(Field("text", "string"),)),
    Method(
        "Explain",
        "What a message of the log or a warning means.",
        Right.READ,
        takes=(Field("id", "string"),),
        gives=(Field("level", "string"), Field("sentence", "string"), Field("explanation", "string")),
    ),
    Method(
        "Poll",
        "Ask this manager, or all, for work now.",
        Right.CONTROL,
        takes=(Field("eim_id", "?string"),),
        works=True,
    ),
    Method("Rollback", "Go back to the previous profile while a change is not proved yet.", Right.CONTROL, works=True),
    Method("Confirm", "Accept the change under way as proved.", Right.CONTROL, works=True),
    Method(
        "ExecuteFallback",
        "Change to the fallback profile now; nothing is changed when it is enabled already.",
        Right.CONTROL,
        works=True,
    ),
    Method(
        "ReturnFromFallback",
        "Change back from the fallback profile now; the former profile has to prove itself after that.",
        Right.CONTROL,
        works=True,
    ),
    Method(
        "Emergency",
        "Enable or disable the emergency profile.",
        Right.CONTROL,
        takes=(Field("enable", "bool"),),
        works=True,
    ),
    Method(
        "MemoryReset",
        "Reset the card. what: operational-profiles, test-profiles, default-smdp, eims, immediate-enable.",
        Right.CONTROL,
        takes=(Field("what", "[]string"),),
        works=True,
    ),
    Method(
        "Provision",
        "Give a card that nobody manages its first eIMs. data: the content of a file (BF57, a BF55 dump, or bare "
        "EimConfigurationData), in base64. count: how many the card has taken.",
        Right.CONTROL,
        takes=(Field("data", "string", longest=12_000),),
        gives=(Field("count", "int"),),
        works=True,
    ),
    Method(
        "SetDefaultSmdp",
        "Name the card's default SM-DP+; an empty address takes it away.",
        Right.CONTROL,
        takes=(Field("address", "string"),),
        works=True,
    ),
    Method(
        "ConfigureImmediateEnabling",
        "Whether the card lets profiles be enabled right after their download, of an SM-DP+ with this OID or address "
        "where one is named. A card takes it only while nobody manages it.",
        Right.CONTROL,
        takes=(Field("enable", "bool"), Field("smdp_oid", "?string"), Field("smdp_address", "?string")),
        works=True,
    ),
    Method(
        "ActivateIpae",
        "Hand the card over to its own assistant (IPAe), where the configuration allows it (local.ipae_activation).",
        Right.CONTROL,
        works=True,
    ),
    Method(
        "Download",
        "Download a profile with an activation code, straight from the SM-DP+, where the configuration allows it "
        "(download.by_hand). It is installed, not enabled. accept_rules: consent to the profile's policy rules, where "
        "the card asks for the user's. Answers at the end; the download goes on without the caller.",
        Right.CONTROL,
        takes=(
            Field("activation_code", "string", longest=300),
            Field("confirmation_code", "?string"),
            Field("accept_rules", "?bool"),
        ),
        gives=(Field("iccid", "string"),),
        works=True,
    ),
    Method(
        "Doctor",
        "Check layer by layer; one reply for each as it becomes known (call with more).",
        Right.EXAMINE,
        gives=(Field("item", "DoctorItem"),),
        works=True,
    ),
    Method(
        "Bundle",
        "The support bundle, without secrets and full identifiers: a .tar.gz in base64.",
        Right.EXAMINE,
        gives=(Field("bundle", "string"),),
        works=True,
    ),
    Method(
        "SendAt",
        "Send an AT command to the modem, in turn with the agent's own, where the configuration allows it "
        "(local.allow_at). force: also what may change the modem. final: OK, or the modem's error.",
        Right.CONTROL,
        takes=(Field("command", "string"), Field("force", "?bool"), Field("timeout_s", "?float")),
        gives=(Field("lines", "[]string"), Field("final", "string")),
        works=True,
    ),
    Method(
        "Record",
        "Record what goes to and from modem, card and managers for so long, or until it is stopped, into the folder "
        "whose path is told. Its files hold identifiers.",
        Right.CONTROL,
        takes=(Field("seconds", "?float"),),
        gives=(Field("path", "string"),),
        works=True,
    ),
    Method("StopRecording", "End the recording; nothing when there is none.", Right.CONTROL, works=True),
    Method(
        "GetRecorder",
        "Whether what is said is recorded, in which folder, how large it may get, for how long still (absent: until it "
        "is stopped), how many records it has, and why the last recording ended.",
        Right.READ,
        gives=(
            Field("recording", "bool"),
            Field("path", "string"),
            Field("max_bytes", "int"),
            Field("left_s", "?float"),
            Field("records", "int"),
            Field("ended", "string"),
        ),
    ),
)

_NEEDS: Final = {
    Right.READ: "",
    Right.EXAMINE: " Needs the right to examine.",
    Right.CONTROL: " Needs the right to act.",
}
MEMORY_PARTS: Final = frozenset({"operational-profiles", "test-profiles", "default-smdp", "eims", "immediate-enable"})


@dataclass(frozen=True, slots=True)
class Failure:
    """An error of the interface. Every one has ``sentence``, for people; ``facts`` are there where they are known."""

    name: str
    doc: str
    facts: tuple[str, ...] = ()

    @property
    def parameters(self) -> list[Field]:
        return [Field("sentence", "string"), *(Field(name, "?string") for name in self.facts)]


FAILURES: Final = (
    Failure(local_verbs.NOT_READY, "The agent cannot do that at the moment, see sentence.", ("hint",)),
    Failure(local_verbs.BUSY, "Something else is going on, or you ask too often. Try again later.", ("hint",)),
    Failure(
        local_verbs.REFUSED_BY_POLICY, "A rule of the configuration, of the card or of SGP.32 is against it.", ("rule",)
    ),
    Failure(local_verbs.CARD_ERROR, "The card refused. sw: its status word or result code.", ("sw", "hint")),
    Failure(local_verbs.NOT_AUTHORIZED, "The caller's user may not do that. needs: the group that may.", ("needs",)),
    Failure(local_verbs.NOT_FOUND, "There is no such profile, eIM or message.", ("what",)),
    Failure(local_verbs.INVALID, "A parameter has the right type and no usable value.", ("parameter",)),
    Failure(local_verbs.DOWNLOAD_FAILED, "A download that was ordered here ended without a profile."),
)


_HEAD: Final = """\
# ipad-agent: the IoT profile assistant (IPAd, GSMA SGP.32) of this device.
# Times: at_s is seconds since 1970, age_s seconds ago by a clock that does not jump, negative for what is
# still to come. Methods and fields may be added, so ignore those you do not know; none changes its meaning."""


@cache
def text() -> str:
    """The interface in Varlink's language."""
    parts = [_HEAD, f"interface {NAME}"]
    for record in idl_types.reachable(
        status_model.Status,
        status_model.Happening,
        status_model.HistoryEntry,
        status_model.Plan,
        status_model.DoctorItem,
        status_model.Configuration,
    ):
        declared = f"type {idl_types.name_of(record)} {idl_types.struct(idl_types.fields_of(record))}"
        parts += ["", idl_types.comment(record.__doc__ or ""), declared]
    for method in METHODS:
        needs = _NEEDS[method.right]
        declared = f"method {method.name}{idl_types.struct([*method.takes])} -> {idl_types.struct([*method.gives])}"
        parts += ["", idl_types.comment(method.doc + needs), declared]
    for failure in FAILURES:
        declared = f"error {failure.name} {idl_types.struct(failure.parameters)}"
        parts += ["", idl_types.comment(failure.doc), declared]
    return "\n".join(parts) + "\n"


SERVICE_TEXT: Final = f"""# What every Varlink service can be asked.
interface {SERVICE}

method GetInfo() -> (vendor: string, product: string, version: string, url: string, interfaces: []string)

method GetInterfaceDescription(interface: string) -> (description: string)

error InterfaceNotFound (interface: string)

error MethodNotFound (method: string)

error MethodNotImplemented (method: string)

error InvalidParameter (parameter: string)

error PermissionDenied ()

error ExpectedMore ()
"""
