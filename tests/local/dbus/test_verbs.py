"""From arguments to the agent and back, and the table that all of the bus follows."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.local.dbus import dbus_interfaces, dbus_properties, manager_methods
from ipad_agent.local.dbus.dbus_interfaces import BUS_NAME, MANAGER, OURS, ROOT
from ipad_agent.local.dbus.dbus_messages import Answer, Call, Failure
from ipad_agent.local.dbus.status_objects import EimNumbers, objects_of
from ipad_agent.local.dbus.system_bus import machine_id
from ipad_agent.local.local_verbs import BUSY, Refused
from ipad_agent.local.status_model import Happening

from .fake_service import CALM, FULL, NOW_S, FakeService

SYSTEMD = Path(__file__).parents[3] / "systemd"
ACTIONS = {method.action for method in MANAGER.methods}


def call(member: str, interface: str | None, path: str = ROOT, signature: str = "", *body: object) -> Call:
    return Call(":1.7", path, interface, member, signature, body, 1)


# -- verbs -------------------------------------------------------------------------------------------------------------


def test_every_method_has_its_verb_and_its_right() -> None:
    of_the_session = {dbus_interfaces.SUBSCRIBE.name, dbus_interfaces.UNSUBSCRIBE.name}
    assert set(manager_methods.VERBS) | of_the_session == {method.name for method in MANAGER.methods}
    assert None not in ACTIONS


async def test_the_status_is_the_json_of_the_model() -> None:
    reply = await manager_methods.run(FakeService(FULL), "GetStatus", ())
    assert isinstance(reply, Answer)
    (document,) = reply.body
    assert isinstance(document, str)
    assert json.loads(document)["switch"]["phase"] == "proving"


async def test_the_last_events_come_with_time_and_facts_and_not_without_end() -> None:
    service = FakeService()
    service.past = tuple(Happening(f"IPA-{number:04}", "info", "x\0", NOW_S) for number in range(2000))
    reply = await manager_methods.run(service, "Recent", (2**32 - 1,))
    assert isinstance(reply, Answer)
    (rows,) = reply.body
    assert isinstance(rows, tuple)
    assert len(rows) == manager_methods.RECENT_LIMIT
    assert rows[-1] == (NOW_S * 1_000_000, "IPA-1999", "info", "x\ufffd", {})


async def test_the_history_is_the_json_of_the_model_and_not_without_end() -> None:
    service = FakeService()
    service.done = service.done * 2000
    reply = await manager_methods.run(service, "History", (2**32 - 1,))
    assert isinstance(reply, Answer)
    (document,) = reply.body
    assert isinstance(document, str)
    entries = json.loads(document)
    assert len(entries) == manager_methods.RECENT_LIMIT
    assert (entries[-1]["kind"], entries[-1]["by"], entries[-1]["at"]["at_s"]) == ("switch", "eim", NOW_S - 60)


@pytest.mark.parametrize(
    ("name", "body", "asked"),
    [
        ("Provision", (b"\x30\x00",), ("provision", b"\x30\x00")),
        ("SetDefaultSmdp", ("smdp.example",), ("set_default_smdp", "smdp.example")),
        ("SetDefaultSmdp", ("",), ("set_default_smdp", "")),
        ("ConfigureImmediateEnabling", (True, "", ""), ("configure_immediate_enabling", True, None, None)),
        (
            "ConfigureImmediateEnabling",
            (False, "1.3.6.1", "smdp.example"),
            ("configure_immediate_enabling", False, "1.3.6.1", "smdp.example"),
        ),
        ("ActivateIpae", (), ("activate_ipae",)),
        ("Download", ("LPA:1$a$b", "", False), ("download", "LPA:1$a$b", None, False)),
        ("Download", ("LPA:1$a$b", "1234", True), ("download", "LPA:1$a$b", "1234", True)),
    ],
)
async def test_what_a_maker_asks_for_gets_to_the_agent_as_it_was_meant(
    name: str, body: tuple[object, ...], asked: tuple[object, ...]
) -> None:
    service = FakeService()
    assert isinstance(await manager_methods.run(service, name, body), Answer)
    assert service.asked == [asked]
    service.refusal = Refused("RefusedByPolicy", "Not here.")
    refused = await manager_methods.run(service, name, body)
    assert isinstance(refused, Failure)
    assert refused.name == f"{BUS_NAME}.Error.RefusedByPolicy"


@pytest.mark.parametrize("size", [0, manager_methods.MOST_PROVISIONING_BYTES + 1])
async def test_what_is_no_file_for_a_card_never_reaches_the_agent(size: int) -> None:
    service = FakeService()
    reply = await manager_methods.run(service, "Provision", (bytes(size),))
    assert isinstance(reply, Failure)
    assert (reply.name, service.asked) == (f"{BUS_NAME}.Error.InvalidParameter", [])


@pytest.mark.parametrize("iccid", ["", "8949", "../../etc", "8949000000000000111'", "9" * 40, "８９" * 9])
async def test_what_is_no_iccid_never_reaches_the_agent(iccid: str) -> None:
    service = FakeService()
    reply = await manager_methods.run(service, "PlanSwitch", (iccid,))
    assert isinstance(reply, Failure)
    assert (reply.name, service.asked) == (f"{BUS_NAME}.Error.InvalidParameter", [])


@pytest.mark.parametrize("iccid", ["898600B5012345678901", "898602b012345678901F", "0x98680F5B103254769810"])
async def test_a_profile_with_letters_or_known_by_its_octets_can_be_named(iccid: str) -> None:
    service = FakeService()
    assert isinstance(await manager_methods.run(service, "PlanSwitch", (iccid,)), Answer)
    assert service.asked == [("plan", iccid)]


async def test_a_bundle_that_no_bus_would_carry_is_refused_with_the_way_to_get_it() -> None:
    service = FakeService()
    service.archive = bytes(manager_methods.BUNDLE_LIMIT_BYTES + 1)
    reply = await manager_methods.run(service, "Bundle", ())
    assert isinstance(reply, Failure)
    assert "ipactl bundle" in reply.sentence


@pytest.mark.parametrize(
    ("error", "name"), [(BUSY, "Busy"), ("no name", "Failed"), ("", "Failed"), ("1st", "Failed"), ("a.b", "Failed")]
)
async def test_a_refusal_has_a_name_that_the_bus_accepts(error: str, name: str) -> None:
    service = FakeService()
    service.refusal = Refused(error, "Not\0 now.")
    assert await manager_methods.run(service, "Confirm", ()) == Failure(f"{BUS_NAME}.Error.{name}", "Not\ufffd now.")


# -- reading -----------------------------------------------------------------------------------------------------------

OBJECTS = objects_of(CALM, EimNumbers())
PROPERTIES = dbus_interfaces.PROPERTIES


def test_a_method_is_found_without_its_interface_too() -> None:
    assert dbus_properties.route(OBJECTS, call("Rollback", None)) == (MANAGER.name, MANAGER.method("Rollback"))
    found = dbus_properties.route(OBJECTS, call("Introspect", None, "/io"))
    assert isinstance(found, tuple)
    assert isinstance(dbus_properties.read(OBJECTS, found[0], call("Introspect", None, "/io")), Answer)


def test_all_properties_of_an_object_are_read_without_naming_an_interface() -> None:
    reply = dbus_properties.read(OBJECTS, PROPERTIES, call("GetAll", PROPERTIES, ROOT, "s", ""))
    assert isinstance(reply, Answer)
    assert reply.body == (dict(OBJECTS[ROOT][MANAGER.name]),)
    one = dbus_properties.read(OBJECTS, PROPERTIES, call("Get", PROPERTIES, ROOT, "ss", "", "State"))
    assert one == Answer("v", (OBJECTS[ROOT][MANAGER.name]["State"],))


def test_the_machine_is_named_where_it_has_a_name(tmp_path: Path) -> None:
    path = tmp_path / "machine-id"
    asked = call("GetMachineId", dbus_interfaces.PEER)
    for content, known in ((b"", False), (b"\xff", False), (b"0123456789abcdef0123456789abcdef\n", True)):
        path.write_bytes(content)
        assert isinstance(dbus_properties.peer(asked, machine_id(str(path))), Answer) == known
    assert isinstance(dbus_properties.peer(asked, machine_id(str(tmp_path / "none"))), Failure)
    assert isinstance(dbus_properties.peer(call("Pong", dbus_interfaces.PEER), None), Failure)


@given(
    st.sampled_from([*OBJECTS, "/", "/io", "/x"]),
    st.sampled_from([None, *OURS, PROPERTIES, dbus_interfaces.OBJECT_MANAGER, dbus_interfaces.INTROSPECTABLE, "a.b"]),
    st.sampled_from(["Get", "GetAll", "Set", "Introspect", "GetManagedObjects", "Rollback", "x"]),
    st.sampled_from([("", ()), ("s", ("x",)), ("ss", (MANAGER.name, "State")), ("ssv", ("", "State", 1)), ("u", (1,))]),
)
def test_any_call_of_a_reader_is_answered(
    path: str, interface: str | None, member: str, arguments: tuple[str, tuple[object, ...]]
) -> None:
    asked = call(member, interface, path, arguments[0], *arguments[1])
    found = dbus_properties.route(OBJECTS, asked)
    if isinstance(found, tuple):
        assert found[1].in_signature == asked.signature
        if found[0] != MANAGER.name:
            assert isinstance(dbus_properties.read(OBJECTS, found[0], asked), Answer | Failure)


# -- the files for bus and polkit --------------------------------------------------------------------------------------


def test_polkit_knows_every_right_and_no_other_and_the_agent_may_ask_about_it() -> None:
    actions = ET.parse(SYSTEMD / f"{BUS_NAME}.policy").getroot().findall("action")
    assert {action.get("id") for action in actions} == ACTIONS - {dbus_interfaces.STATUS}, (
        "who may look is no matter of polkit"
    )
    for action in actions:
        owner = action.find("annotate[@key='org.freedesktop.policykit.owner']")
        assert owner is not None
        assert owner.text == "unix-user:ipad", "polkit answers nobody else who is not root"


@pytest.mark.parametrize(
    ("action", "defaults"),
    [
        (dbus_interfaces.POLL, ("auth_admin_keep", "auth_admin_keep", "yes")),
        (dbus_interfaces.PLAN, ("auth_admin_keep",) * 3),
        (dbus_interfaces.SWITCH, ("auth_admin_keep",) * 3),
        (dbus_interfaces.ROLLBACK, ("auth_admin_keep",) * 3),
        (dbus_interfaces.CONFIRM, ("auth_admin_keep",) * 3),
        (dbus_interfaces.BUNDLE, ("auth_admin",) * 3),
    ],
)
def test_what_acts_needs_an_administrator(action: str, defaults: tuple[str, ...]) -> None:
    root = ET.parse(SYSTEMD / f"{BUS_NAME}.policy").getroot()
    (found,) = (entry for entry in root.findall("action") if entry.get("id") == action)
    assert (
        tuple(found.findtext(f"defaults/{who}") for who in ("allow_any", "allow_inactive", "allow_active")) == defaults
    )


def test_the_bus_lets_everybody_call_what_the_agent_answers_and_nothing_else() -> None:
    root = ET.parse(SYSTEMD / f"{BUS_NAME}.conf").getroot()
    owners = {policy.get("user") for policy in root.findall("policy") if policy.find("allow[@own]") is not None}
    assert owners == {"root", "ipad"}
    (default,) = root.findall("policy[@context='default']")
    standard = {interface.name for interface in (*dbus_interfaces.STANDARD, dbus_interfaces.MANAGER_OF_OBJECTS)}
    assert {rule.get("send_interface") for rule in default} == {MANAGER.name, *standard}
    assert {rule.get("send_destination") for rule in default} == {BUS_NAME}


def test_the_manual_names_everything_on_the_bus() -> None:
    manual = (SYSTEMD.parent / "docs" / "dbus.md").read_text(encoding="utf-8")
    for interface in OURS.values():
        assert interface.name.removeprefix(f"{BUS_NAME}.") in manual
        for name in (*interface.properties, *(method.name for method in interface.methods)):
            assert re.search(rf"`{name}[`(]", manual), f"{interface.name}.{name}"
    for action in ACTIONS:
        assert action is not None
        assert f"`{action.removeprefix(BUS_NAME)}`" in manual
