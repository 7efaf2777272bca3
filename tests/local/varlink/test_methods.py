"""What a client gets for what it asks."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from ipad_agent.errors import CardError, ModemError
from ipad_agent.local import local_verbs
from ipad_agent.local.status_model import to_plain
from ipad_agent.local.varlink import varlink_interface
from ipad_agent.local.varlink.client_limits import COMPLAINTS, MAX_EVENTS_WAITING, STATUS_GAP_S, WORK_BURST
from ipad_agent.local.varlink.peer_credentials import Right
from situations import HISTORY, SITUATIONS

from .conftest import Bench
from .service import ICCID, Refusal, refused


async def test_the_service_introduces_itself_to_anybody(bench: Bench) -> None:
    client = await bench.client(uid=5555)
    info = await client.call("org.varlink.service.GetInfo")
    assert info["version"] == "1.2.3"
    assert info["interfaces"] == ["org.varlink.service", "io.github.ipadagent"]
    for name in info["interfaces"]:
        described = await client.call("org.varlink.service.GetInterfaceDescription", {"interface": name})
        assert f"interface {name}" in described["description"]


@pytest.mark.parametrize("situation", SITUATIONS)
async def test_the_status_arrives_whole_in_every_situation(bench: Bench, situation: str) -> None:
    bench.service.now = SITUATIONS[situation]
    client = await bench.client()
    assert (await client.call("GetStatus"))["status"] == to_plain(SITUATIONS[situation])


async def test_lists_are_parts_of_the_status(bench: Bench) -> None:
    client = await bench.client()
    status = (await client.call("GetStatus"))["status"]
    assert (await client.call("ListProfiles"))["profiles"] == status["profiles"] != []
    assert (await client.call("ListEims"))["eims"] == status["eims"] != []
    bench.service.now = SITUATIONS["ready-with-debts"]
    assert len((await client.call("ListOwed"))["owed"]) == 1


@pytest.mark.parametrize(
    ("method", "parameters", "asked"),
    [
        ("Poll", {}, ("poll", None)),
        ("Poll", {"eim_id": None}, ("poll", None)),
        ("Poll", {"eim_id": "eim.example.net"}, ("poll", "eim.example.net")),
        ("Rollback", {}, ("rollback",)),
        ("Confirm", {}, ("confirm",)),
        ("ExecuteFallback", {}, ("execute_fallback",)),
        ("ReturnFromFallback", {}, ("return_from_fallback",)),
        ("Emergency", {"enable": True}, ("emergency", True)),
        ("Emergency", {"enable": False}, ("emergency", False)),
        ("MemoryReset", {"what": ["eims", "test-profiles", "eims"]}, ("memory_reset", ("eims", "test-profiles"))),
        ("SetDefaultSmdp", {"address": "smdp.example"}, ("set_default_smdp", "smdp.example")),
        ("ConfigureImmediateEnabling", {"enable": True}, ("configure_immediate_enabling", True, None, None)),
        ("ActivateIpae", {}, ("activate_ipae",)),
    ],
)
async def test_a_verb_reaches_the_agent(
    bench: Bench, method: str, parameters: dict[str, Any], asked: tuple[object, ...]
) -> None:
    client = await bench.client()
    assert await client.call(method, parameters) == {}
    assert bench.service.calls == [asked]


async def test_a_download_tells_the_profile_and_its_codes_are_in_no_log(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    client = await bench.client()
    wanted = {"activation_code": "LPA:1$smdp.example$TOKEN", "confirmation_code": "98765432", "accept_rules": True}
    with caplog.at_level("DEBUG"):
        answer = await client.call("Download", wanted)
    assert answer == {"iccid": "89490200009000000011"}
    assert bench.service.calls == [("download", "LPA:1$smdp.example$TOKEN", "98765432", True)]
    assert "Download" in caplog.text
    assert not any(secret in caplog.text for secret in ("TOKEN", "98765432"))


async def test_plan_bundle_metrics_record_and_explain_answer(bench: Bench) -> None:
    client = await bench.client()
    plan = (await client.call("PlanSwitch", {"iccid": ICCID}))["plan"]
    assert (plan["target"], plan["lines"][0]["name"]) == (ICCID, "card")
    assert base64.b64decode((await client.call("Bundle"))["bundle"]) == b"\x1f\x8b archive"
    assert "ipad_polls_total 3" in (await client.call("Metrics"))["text"]
    assert (await client.call("Record", {"seconds": 60}))["path"].endswith("record.jsonl")
    assert bench.service.calls[-1:] == [("record", 60.0)]
    await client.call("Record", {})
    assert bench.service.calls[-1:] == [("record", None)]
    told = await client.call("GetRecorder")
    assert (told["recording"], told["left_s"], told["records"]) == (True, 60.0, 12)
    await client.call("StopRecording")
    assert bench.service.calls[-1:] == [("stop_recording",)]
    sent = await client.call("SendAt", {"command": "AT+CSQ", "timeout_s": 5})
    assert (sent["lines"], sent["final"]) == (["+CSQ: 20,99"], "OK")
    assert bench.service.calls[-1:] == [("send_at", "AT+CSQ", False, 5.0)]
    explained = await client.call("Explain", {"id": "ipa-1320"})
    assert explained["level"] == "info"
    assert "{path}" in explained["sentence"]
    assert "ipactl" in explained["explanation"]


async def test_every_method_of_the_interface_is_answered(bench: Bench) -> None:
    """Otherwise a method was added to the table and not to the code, or the other way round."""
    served = bench.server.methods.simple | {"Doctor", "Subscribe"}
    assert served == {method.name for method in varlink_interface.METHODS}


async def test_the_doctor_tells_each_item_as_it_becomes_known(bench: Bench) -> None:
    client = await bench.client()
    client.send("Doctor", more=True)
    first, last = await client.receive(), await client.receive()
    assert first["continues"] is True
    assert first["parameters"]["item"]["layer"] == "modem"
    assert "continues" not in last
    assert last["parameters"]["item"] == {"layer": "card", "sentence": "No card.", "ok": False, "fix": "Insert one."}
    with pytest.raises(Refusal, match=r"org\.varlink\.service\.ExpectedMore"):
        await client.call("Doctor")


async def test_a_doctor_who_finds_nothing_says_so(bench: Bench) -> None:
    bench.service.items.clear()
    client = await bench.client()
    client.send("Doctor", more=True)
    assert (await client.receive())["error"] == "io.github.ipadagent.NotReady"


async def test_a_doctor_whose_patient_has_gone_ends_after_the_step_it_is_in(bench: Bench) -> None:
    client = await bench.client()
    bench.service.may_go_on.clear()
    client.send("Doctor", more=True)
    await bench.until(lambda: bench.service.calls)
    client.close()
    await bench.until(lambda: all(connection.gone for connection in bench.server.connections))
    assert bench.service.finished == []
    bench.service.may_go_on.set()
    await bench.until(lambda: not bench.server.connections)
    assert bench.service.finished[-1] == "doctor closed"


async def test_a_verb_goes_on_when_its_client_has_gone(bench: Bench) -> None:
    client = await bench.client()
    bench.service.may_go_on.clear()
    client.send("Rollback")
    await bench.until(lambda: bench.service.calls)
    client.close()
    other = await bench.client()
    await other.call("GetStatus")
    assert bench.service.finished == []
    bench.service.may_go_on.set()
    await bench.until(lambda: len(bench.server.connections) == 1)
    assert bench.service.finished == ["rollback"]


# -- subscriptions ---------------------------------------------------------------------------------------------------


async def test_a_subscriber_gets_the_status_then_changes_and_events(bench: Bench) -> None:
    bench.service.happen(1)
    client = await bench.client()
    client.send("Subscribe", {"recent": 5}, more=True)
    past = await client.receive()
    assert past["parameters"]["event"]["facts"] == {"number": "1"}
    first = await client.receive()
    assert first["continues"] is True
    assert first["parameters"]["status"]["verdict"]["state"] == "ready"
    bench.service.happen(2)
    assert (await client.receive())["parameters"]["event"]["text"] == "Event 2."
    bench.service.change("no-modem")
    assert (await client.receive())["parameters"]["status"]["verdict"]["state"] == "no-modem"
    client.close()
    await bench.until(lambda: not bench.server.connections)
    assert bench.service.watchers == []
    assert bench.service.listeners == []


async def test_changes_in_quick_succession_are_told_once_with_the_last(bench: Bench) -> None:
    client = await bench.client()
    client.send("Subscribe", {"events": False}, more=True)
    await client.receive()
    for situation in ("polling", "downloading", "no-modem"):
        for _ in range(50):
            bench.service.change(situation)
    bench.service.happen(1)
    told = await client.receive()
    assert told["parameters"]["status"]["verdict"]["state"] == "no-modem"
    bench.service.change("ready")
    assert (await client.receive())["parameters"]["status"]["verdict"]["state"] == "ready"


async def test_changes_that_go_on_and_on_are_told_now_and_then(bench: Bench) -> None:
    client = await bench.client()
    client.send("Subscribe", {"events": False}, more=True)
    await client.receive()
    loop = asyncio.get_running_loop()
    began, told, rounds = loop.time(), 0, 0
    while True:
        bench.service.change("polling" if rounds < 50 else "no-modem")
        rounds += 1
        if rounds <= 50:
            await asyncio.sleep(0.001)
            continue
        told += 1
        if (await client.receive())["parameters"]["status"]["verdict"]["state"] == "no-modem":
            break
    assert told <= 2 + (loop.time() - began) / STATUS_GAP_S


async def test_a_subscriber_may_want_events_only(bench: Bench) -> None:
    client = await bench.client()
    client.send("Subscribe", {"status": False}, more=True)
    await bench.until(lambda: bench.service.listeners)
    bench.service.change("no-modem")
    bench.service.happen(7)
    assert (await client.receive())["parameters"] == {
        "status": None,
        "lost": None,
        "event": {
            "id": "IPA-4010",
            "level": "info",
            "text": "Event 7.",
            "at_s": 1_795_183_331,
            "facts": {"number": "7"},
        },
    }


async def test_events_that_are_too_many_are_left_out_and_counted(bench: Bench) -> None:
    client = await bench.client()
    client.send("Subscribe", {"status": False}, more=True)
    await bench.until(lambda: bench.service.listeners)
    for number in range(MAX_EVENTS_WAITING + 10):
        bench.service.happen(number)
    first = (await client.receive())["parameters"]
    assert first["lost"] == 10
    assert first["event"]["text"] == "Event 10."
    assert (await client.receive())["parameters"]["lost"] is None


async def test_without_more_a_subscription_is_one_status(bench: Bench) -> None:
    client = await bench.client()
    answer = await client.call("Subscribe")
    assert answer["status"]["verdict"]["state"] == "ready"
    assert (await client.call("GetStatus"))["status"] == answer["status"]


async def test_recent_events_can_be_listed(bench: Bench) -> None:
    for number in range(3):
        bench.service.happen(number)
    client = await bench.client()
    assert [event["text"] for event in (await client.call("ListEvents", {"count": 2}))["events"]] == [
        "Event 1.",
        "Event 2.",
    ]
    assert len((await client.call("ListEvents"))["events"]) == 3
    for count in (-1, 10**30):
        with pytest.raises(Refusal, match=r"ipadagent\.InvalidParameter"):
            await client.call("ListEvents", {"count": count})


async def test_the_history_can_be_listed_and_its_end_alone(bench: Bench) -> None:
    client = await bench.client()
    whole = (await client.call("ListHistory"))["history"]
    assert [entry["kind"] for entry in whole] == [entry.kind for entry in HISTORY]
    assert (await client.call("ListHistory", {"count": 2}))["history"] == whole[-2:]
    assert whole[0]["at"] is None
    assert (whole[-1]["outcome"], whole[-1]["at"]["age_s"]) == ("under-way", 40.0)
    for count in (-1, 10**30):
        with pytest.raises(Refusal, match=r"ipadagent\.InvalidParameter"):
            await client.call("ListHistory", {"count": count})


# -- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [failure.name for failure in varlink_interface.FAILURES])
async def test_a_refusal_has_its_name_its_sentence_and_its_facts(bench: Bench, error: str) -> None:
    declared = next(failure for failure in varlink_interface.FAILURES if failure.name == error)
    facts: dict[str, str | int | None] = dict.fromkeys(declared.facts, 7)
    bench.service.trouble = refused(error, "No, because.", **facts, undeclared="x")
    client = await bench.client()
    with pytest.raises(Refusal) as no:
        await client.call("Rollback")
    assert no.value.name == f"io.github.ipadagent.{error}"
    assert no.value.parameters == {"sentence": "No, because.", **dict.fromkeys(declared.facts, "7")}


def test_every_error_of_the_agent_is_one_of_the_interface() -> None:
    names = {value for name, value in vars(local_verbs).items() if name.isupper() and isinstance(value, str)}
    assert names == {failure.name for failure in varlink_interface.FAILURES}


async def test_trouble_of_card_and_modem_is_told_with_its_hint(bench: Bench) -> None:
    client = await bench.client()
    bench.service.trouble = CardError("the card is busy", hint="Wait.")
    with pytest.raises(Refusal) as no:
        await client.call("Confirm")
    assert no.value.name == "io.github.ipadagent.CardError"
    assert no.value.parameters == {"sentence": "the card is busy", "sw": None, "hint": "Wait."}
    bench.service.trouble = ModemError("the port vanished")
    with pytest.raises(Refusal, match="NotReady"):
        await client.call("Confirm")


async def test_a_defect_ends_one_connection_and_nothing_else(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    client, other = await bench.client(), await bench.client()
    bench.service.trouble = ZeroDivisionError("a defect")
    client.send("Rollback")
    assert await client.closed() == b""
    assert "ZeroDivisionError" in caplog.text
    bench.service.trouble = None
    assert (await other.call("GetStatus"))["status"]


@pytest.mark.parametrize(
    ("method", "parameters", "wrong"),
    [
        ("Poll", {"eim_id": 3}, "eim_id"),
        ("Poll", {"eim_id": "a\x00b"}, "eim_id"),
        ("Poll", {"eim_id": "\ud800"}, "eim_id"),
        ("Poll", {"eim_id": "x" * 300}, "eim_id"),
        ("Poll", {"eim": "x"}, "eim"),
        ("Emergency", {}, "enable"),
        ("Emergency", {"enable": 1}, "enable"),
        ("Emergency", {"enable": None}, "enable"),
        ("PlanSwitch", {}, "iccid"),
        ("MemoryReset", {"what": "eims"}, "what"),
        ("MemoryReset", {"what": [1]}, "what"),
        ("Record", {"seconds": "60"}, "seconds"),
        ("Record", {"seconds": True}, "seconds"),
        ("SendAt", {"command": "AT\r"}, "command"),
        ("SendAt", {"command": "AT", "force": 1}, "force"),
        ("ListEvents", {"count": 1.5}, "count"),
        ("Subscribe", {"recent": "all"}, "recent"),
    ],
)
async def test_a_parameter_of_a_wrong_type_is_named(
    bench: Bench, method: str, parameters: dict[str, Any], wrong: str
) -> None:
    client = await bench.client()
    with pytest.raises(Refusal) as no:
        await client.call(method, parameters)
    assert (no.value.name, no.value.parameters) == ("org.varlink.service.InvalidParameter", {"parameter": wrong})
    assert bench.service.calls == []
    assert (await client.call("GetStatus"))["status"], "the connection goes on"


@pytest.mark.parametrize(
    ("method", "parameters", "error"),
    [
        ("PlanSwitch", {"iccid": "8943"}, "InvalidParameter"),
        ("PlanSwitch", {"iccid": "898600G5012345678901"}, "InvalidParameter"),
        ("PlanSwitch", {"iccid": "٣" * 19}, "InvalidParameter"),
        ("MemoryReset", {"what": []}, "InvalidParameter"),
        ("MemoryReset", {"what": ["everything"]}, "InvalidParameter"),
        ("Provision", {"data": ""}, "InvalidParameter"),
        ("Provision", {"data": "no base64!"}, "InvalidParameter"),
        ("Provision", {"data": "AAAA" * 2800}, "InvalidParameter"),
        ("Record", {"seconds": 0}, "InvalidParameter"),
        ("Record", {"seconds": 1e9}, "InvalidParameter"),
        ("Record", {"seconds": 10**400}, "InvalidParameter"),
        ("SendAt", {"command": "AT", "timeout_s": 0}, "InvalidParameter"),
        ("SendAt", {"command": "AT", "timeout_s": 181}, "InvalidParameter"),
        ("Explain", {"id": "IPA-0000"}, "NotFound"),
    ],
)
async def test_a_value_that_makes_no_sense_is_refused_with_a_sentence(
    bench: Bench, method: str, parameters: dict[str, Any], error: str
) -> None:
    client = await bench.client()
    with pytest.raises(Refusal) as no:
        await client.call(method, parameters)
    assert no.value.name == f"io.github.ipadagent.{error}"
    assert no.value.parameters["sentence"]
    assert bench.service.calls == []


async def test_unknown_interfaces_and_methods_are_named(bench: Bench) -> None:
    client = await bench.client()
    for method, error, parameters in (
        ("io.github.other.Get", "InterfaceNotFound", {"interface": "io.github.other"}),
        ("io.github.ipadagent.Explode", "MethodNotFound", {"method": "io.github.ipadagent.Explode"}),
        ("org.varlink.service.Explode", "MethodNotFound", {"method": "org.varlink.service.Explode"}),
    ):
        with pytest.raises(Refusal) as no:
            await client.call(method)
        assert (no.value.name, no.value.parameters) == (f"org.varlink.service.{error}", parameters)
    with pytest.raises(Refusal, match="InterfaceNotFound"):
        await client.call("org.varlink.service.GetInterfaceDescription", {"interface": "x.y"})
    with pytest.raises(Refusal, match="InvalidParameter"):
        await client.call("org.varlink.service.GetInterfaceDescription", {"interface": 3})


async def test_a_call_that_wants_no_answer_gets_none(bench: Bench) -> None:
    client = await bench.client()
    client.send("Poll", oneway=True)
    client.send("Explode", oneway=True)
    client.send("Doctor", oneway=True, more=True)
    client.send("Subscribe", oneway=True, more=True)
    assert (await client.call("Metrics"))["text"]
    assert bench.service.calls == [("poll", None)]


# -- who may do what -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", varlink_interface.METHODS, ids=lambda method: method.name)
async def test_each_method_asks_for_its_right(bench: Bench, method: varlink_interface.Method) -> None:
    given = {"iccid": ICCID, "id": "IPA-1320", "enable": True, "what": ["eims"], "seconds": 1.0, "command": "AT+CSQ"}
    given |= {"data": "MAA=", "address": "smdp.example", "activation_code": "1$a$B"}
    parameters = {field.name: given[field.name] for field in method.takes if not field.type.startswith("?")}
    for uid, right in ((5555, 0), (2000, 1), (1500, 2), (1000, 3)):
        client = await bench.client(uid)
        client.send(method.name, parameters, more=True)
        answer = await client.receive()
        if right >= method.right:
            assert "error" not in answer
        else:
            assert answer["error"] == "io.github.ipadagent.NotAuthorized"
            assert answer["parameters"]["needs"] == f"the right {method.right.name}"
        client.close()
        await bench.until(lambda: not bench.server.connections)


async def test_looking_is_for_everybody_in_the_group_and_acting_is_not() -> None:
    acting = {method.name for method in varlink_interface.METHODS if method.right is Right.CONTROL}
    assert acting == {
        "Poll", "Rollback", "Confirm", "ExecuteFallback", "ReturnFromFallback", "Emergency", "MemoryReset", "Record",
        "StopRecording", "SendAt", "Provision", "SetDefaultSmdp", "ConfigureImmediateEnabling", "ActivateIpae",
        "Download",
    }  # fmt: skip


async def test_who_may_examine_gets_doctor_and_bundle_and_changes_nothing() -> None:
    examining = {method.name for method in varlink_interface.METHODS if method.right is Right.EXAMINE}
    assert examining == {"Doctor", "Bundle"}


async def test_who_asks_for_what_is_in_the_log(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="ipad_agent")
    client = await bench.client(uid=1000)
    await client.call("Rollback")
    assert "User 1000 (process 4711) asks for Rollback." in caplog.text
    readers = [await bench.client(uid=2000) for _ in range(3)]
    for reader in readers:
        with pytest.raises(Refusal):
            await reader.call("Rollback")
    await readers[0].call("PlanSwitch", {"iccid": ICCID})
    assert "PlanSwitch" not in caplog.text
    assert caplog.text.count("User 2000 (process 4711) asked for Rollback and may not") == 1


async def test_those_who_are_refused_cannot_fill_the_log(
    bench: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for uid in range(6000, 6000 + 3 * COMPLAINTS):
        client = await bench.client(uid)
        with pytest.raises(Refusal):
            await client.call("Rollback")
        client.close()
        await bench.until(lambda: not bench.server.connections)
    assert caplog.text.count("and may not") == COMPLAINTS
    monkeypatch.setattr("ipad_agent.local.varlink.client_limits.COMPLAIN_S", 0.0)
    with pytest.raises(Refusal):
        await (await bench.client(uid=2000)).call("Rollback")
    assert caplog.text.count("and may not") == COMPLAINTS + 1


async def test_one_user_cannot_keep_the_card_busy(bench: Bench) -> None:
    client = await bench.client(uid=2000)
    for _ in range(WORK_BURST):
        await client.call("PlanSwitch", {"iccid": ICCID})
    again = await bench.client(uid=2000)
    with pytest.raises(Refusal, match=r"ipadagent\.Busy"):
        await again.call("PlanSwitch", {"iccid": ICCID})
    assert len(bench.service.calls) == WORK_BURST
    assert (await again.call("GetStatus"))["status"], "looking costs the card nothing"
    other = await bench.client(uid=1000)
    await other.call("Poll")


async def test_a_right_that_was_taken_away_ends_in_an_open_connection(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ipad_agent.local.varlink.client_limits.RIGHT_HOLDS_S", 0.0)
    client = await bench.client(uid=1000)
    await client.call("Poll")
    del bench.authority.rights[1000]
    with pytest.raises(Refusal, match="NotAuthorized"):
        await client.call("Poll")
