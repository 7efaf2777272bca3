"""The status as objects: complete, stable, and told only when it changed."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import fields, replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ipad_agent.local import status_model
from ipad_agent.local.dbus.dbus_interfaces import EIM, EUICC, MANAGER, MODEM, OURS, PROFILE, PROPERTIES, ROOT
from ipad_agent.local.dbus.dbus_introspection import introspect
from ipad_agent.local.dbus.dbus_messages import Call, Failure
from ipad_agent.local.dbus.dbus_properties import read, route
from ipad_agent.local.dbus.dbus_values import Variant, count, integer, moment, text
from ipad_agent.local.dbus.status_objects import EimNumbers, Objects, changes, objects_of, path_element, steady

from .fake_service import CALM, FULL, ICCID, NOW_S, OTHER, at


def shown(status: status_model.Status) -> Objects:
    return objects_of(status, EimNumbers())


def one(status: status_model.Status, name: str, path: str = ROOT, interface: str = MANAGER.name) -> object:
    return shown(status)[path][interface][name].value


def words(name: str) -> str:
    return name.replace("_", "").lower()


def test_every_field_of_the_model_is_shown_under_its_name() -> None:
    """A field that the model gains is shown, or named here with its reason."""
    elsewhere = {
        "eid_check_digits_ok": "EidValid",
        "free_memory_bytes": "FreeMemory",
        "iccid_check_digit_ok": "IccidValid",
        "profile_class": "Class",
    }
    for shape, interface in ((status_model.Card, EUICC), (status_model.Profile, PROFILE), (status_model.Eim, EIM)):
        names = {words(name) for name in interface.properties}
        for field in fields(shape):
            if field.name != "last_poll":  # several properties
                assert words(elsewhere.get(field.name, field.name)) in names
    assert {words(name) for name in MODEM.properties} == {
        *(words("module_profile" if field.name == "profile" else field.name) for field in fields(status_model.Modem)),
        *(words(field.name) for field in fields(status_model.Radio)),
    }
    parts = {"Switch": status_model.Switch, "Operation": status_model.Operation, "Trouble": status_model.Trouble}
    for name, part in parts.items():
        value = one(FULL, name)
        assert isinstance(value, dict)
        assert {words(key) for key in value} == {words(field.name) for field in fields(part)}
    rows = one(FULL, "Owed")
    assert isinstance(rows, tuple)
    assert {words(key) for key in rows[0]} == {words(field.name) for field in fields(status_model.Owed)}


def test_what_is_absent_is_empty_or_zero() -> None:
    assert [one(CALM, name) for name in ("Advice", "Operation", "Switch", "TrafficBudget")] == ["", {}, {}, 0]
    assert one(CALM, "LastPollAt", f"{ROOT}/Eim/0", EIM.name) == 0
    without = shown(replace(CALM, card=None, modem=None, profiles=(), eims=()))
    assert set(without) == {ROOT}


def test_times_are_microseconds_since_1970() -> None:
    assert one(CALM, "NextAt") == (NOW_S + 3600) * 1_000_000
    assert one(FULL, "LastPollDuration", f"{ROOT}/Eim/0", EIM.name) == 1_900_000


def test_an_eim_keeps_its_number_when_another_goes() -> None:
    numbers = EimNumbers()
    first, second, third = (status_model.Eim(name) for name in ("a", "b", "c"))
    for eims, paths in (((first, second), {"0", "1"}), ((second,), {"1"}), ((third, second, first), {"2", "1", "0"})):
        found = objects_of(replace(CALM, eims=eims), numbers)
        assert {path.rpartition("/")[2] for path in found if "/Eim/" in path} == paths


def test_only_what_changed_is_told() -> None:
    before = shown(CALM)
    profiles = (replace(CALM.profiles[0], enabled=False), replace(CALM.profiles[1], enabled=True))
    found = changes(before, shown(replace(CALM, profiles=profiles)))
    assert (found.removed, found.added) == ((), ())
    assert found.changed == (
        (f"{ROOT}/Profile/{ICCID}", PROFILE.name, {"Enabled": Variant("b", False)}),
        (f"{ROOT}/Profile/{OTHER}", PROFILE.name, {"Enabled": Variant("b", True)}),
    )
    assert changes(before, before).changed == ()


def test_objects_that_come_and_go_are_told_whole() -> None:
    less, more = shown(replace(CALM, modem=None)), shown(CALM)
    assert changes(less, more).added == ((f"{ROOT}/Modem/0", more[f"{ROOT}/Modem/0"]),)
    assert changes(more, less).removed == ((f"{ROOT}/Modem/0", (MODEM.name,)),)
    assert changes(less, more).changed == ()


def test_moments_that_wander_by_a_second_stay_as_they_were_told() -> None:
    told = shown(FULL)
    assert FULL.switch is not None
    switch = replace(FULL.switch, since=at(-31), deadline=at(61))
    owed = (replace(FULL.owed[0], next_attempt=at(61)),)
    now = steady(told, shown(replace(FULL, taken_at_s=NOW_S + 1, switch=switch, owed=owed)))
    assert changes(told, now).changed == ()


def test_moments_that_moved_and_bytes_are_told_as_they_are() -> None:
    told = shown(FULL)
    traffic = replace(FULL.traffic, total_bytes=5001)
    verdict = replace(FULL.verdict, next_at=at(63))
    (change,) = changes(told, steady(told, shown(replace(FULL, traffic=traffic, verdict=verdict)))).changed
    assert set(change[2]) == {"TrafficTotal", "NextAt"}


def test_the_introspection_is_there_for_every_node_on_the_way() -> None:
    objects = shown(CALM)
    for path, below in (("/", {"io"}), ("/io/github", {"ipadagent1"}), (f"{ROOT}/Profile", {ICCID, OTHER})):
        xml = introspect(objects, path)
        assert xml is not None
        assert {node.get("name") for node in ET.fromstring(xml).iter("node") if node.get("name")} == below
    assert introspect(objects, "/io/git") is None
    assert introspect(objects, f"{ROOT}/Profile/{ICCID}/x") is None


def test_every_interface_has_a_document_that_parses() -> None:
    objects = shown(FULL)
    names = set()
    for path in objects:
        xml = introspect(objects, path)
        assert xml is not None
        names |= {interface.get("name") for interface in ET.fromstring(xml).iter("interface")}
    assert names >= set(OURS)


@given(st.text())
def test_any_name_makes_one_valid_element_of_a_path(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_]+", path_element(name))


@given(st.text(), st.text())
def test_two_names_never_share_a_path(one: str, other: str) -> None:
    assert (path_element(one) == path_element(other)) == (text(one) == text(other))


@given(st.text(alphabet=st.characters(codec=None, categories=None)))
@example("a\ud800b")
def test_any_string_can_be_carried(value: str) -> None:
    carried = text(value)
    assert "\0" not in carried
    carried.encode("utf-8")
    assert len(carried) == len(value)
    if value.isprintable():
        assert carried == value


def test_numbers_are_kept_within_their_types() -> None:
    assert (count(-1), count(2**70), count(2**40, "u"), count(None)) == (0, 2**64 - 1, 2**32 - 1, 0)
    assert (integer(-97), integer(2**40), integer(-(2**40)), integer(None)) == (-97, 2**31 - 1, -(2**31), 0)
    assert (moment(None), moment(status_model.Time(-5, 0.0))) == (0, 0)


@pytest.mark.parametrize(
    ("path", "interface", "member", "body", "says"),
    [
        (ROOT, MANAGER.name, "getStatus", (), " has no method getStatus. Perhaps GetStatus."),
        (ROOT, MANAGER.name, "ExecuteFallbackMechanism", (), "Perhaps ExecuteFallback."),
        (ROOT, MANAGER.name, "Explode", (), " has no method Explode."),
        (ROOT, MANAGER.name, "x" * 255, (), "x."),
        (f"{ROOT}/eUICC/0", "io.github.ipadagent1.eUICC", "Get", (), "Perhaps io.github.ipadagent1.EUICC."),
        (ROOT, "io.github.ipadagent1.eUICC", "Get", (), " has no interface io.github.ipadagent1.eUICC."),
        (ROOT, PROPERTIES, "Get", (MANAGER.name, "state"), "Perhaps State."),
        (ROOT, PROPERTIES, "Get", (MANAGER.name, "EID"), "io.github.ipadagent1.EUICC has Eid."),
        (ROOT, PROPERTIES, "Get", (MANAGER.name, "Colour"), " has no property Colour."),
    ],
)
def test_a_name_that_is_not_there_is_answered_by_the_one_that_was_meant(
    path: str, interface: str, member: str, body: tuple[str, ...], says: str
) -> None:
    call = Call(":1.1", path, interface, member, "s" * len(body), body, 1)
    found = route(shown(FULL), call)
    answer = read(shown(FULL), found[0], call) if isinstance(found, tuple) else found
    assert isinstance(answer, Failure)
    assert answer.sentence.endswith(says)
