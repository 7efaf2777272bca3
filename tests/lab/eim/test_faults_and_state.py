"""The switches, the state file, the reports, and that no input gets through as anything but an answer or a refusal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipad_agent.lab.eim import (
    EimSettings,
    Fault,
    OrderError,
    PackageFaults,
    Reply,
    RequestRefusedError,
    StateFileError,
    VirtualEim,
    build_order,
    results_json,
    results_text,
)

from .world import EID, ICCID, ICCID_BYTES, NO_PACKAGE, POLL, Card, make_eim, noted, provide, t

CARD = Card()
EPR = CARD.epr()
RESULT = provide(EPR)
ACKNOWLEDGE_5 = bytes.fromhex("BF50 06 BF53 03 800105")


def waiting(*faults: Fault) -> VirtualEim:
    """An eIM with one handed-out order and these faults armed."""
    eim = make_eim(CARD)
    eim.enqueue(EID, build_order(["enable", ICCID]))
    eim.handle(POLL, peer="p")
    for fault in faults:
        eim.faults.arm(fault)
    return eim


@pytest.mark.parametrize(
    ("fault", "reply"),
    [
        (Fault("result", "refuse"), Reply(bytes.fromhex("BF5003 02017F"))),
        (Fault("result", "refuse", 2), Reply(bytes.fromhex("BF5003 020102"))),
        (Fault("result", "busy", 30), Reply(code="5.03", max_age_s=30)),
        (Fault("result", "status", "4.04"), Reply(code="4.04")),
        (Fault("result", "lose-request"), Reply(lost="silence")),
        (Fault("result", "crash-before"), Reply(lost="crash")),
    ],
)
def test_a_fault_before_processing_leaves_the_order_open(fault: Fault, reply: Reply) -> None:
    eim = waiting(fault)
    assert eim.exchange(RESULT) == reply
    assert eim.device(EID).queue
    assert eim.device(EID).last_seq is None
    assert eim.handle(RESULT) == ACKNOWLEDGE_5  # the next one is served again


@pytest.mark.parametrize(
    ("fault", "reply"),
    [
        (Fault("result", "wrong"), Reply(NO_PACKAGE)),
        (Fault("result", "empty"), Reply(b"")),
        (Fault("result", "garbage"), Reply(bytes.fromhex("FF00DEADBEEF80"))),
        (Fault("result", "truncated"), Reply(ACKNOWLEDGE_5[:-1])),
        (Fault("result", "late", 2.5), Reply(ACKNOWLEDGE_5, delay_s=2.5)),
        (Fault("result", "acknowledge", (9, 200)), Reply(bytes.fromhex("BF50 0A BF53 07 800109 800200C8"))),
        (Fault("result", "lose-answer"), Reply(ACKNOWLEDGE_5, lost="silence")),
        (Fault("result", "crash-after"), Reply(ACKNOWLEDGE_5, lost="crash")),
    ],
)
def test_a_fault_after_processing_has_counted_the_result(fault: Fault, reply: Reply) -> None:
    eim = waiting(fault)
    assert eim.exchange(RESULT) == reply
    assert not eim.device(EID).queue
    assert eim.handle(RESULT) == ACKNOWLEDGE_5  # the repetition


def test_faults_of_polls_and_notifications() -> None:
    eim = make_eim(CARD)
    for fault in (Fault("get", "refuse", 127), Fault("get", "wrong"), Fault("notification", "refuse")):
        eim.faults.arm(fault)
    assert eim.handle(POLL) == bytes.fromhex("BF4F03 02017F")
    assert eim.handle(POLL) == bytes.fromhex("BF5002 3000")
    assert eim.handle(POLL) == NO_PACKAGE
    assert eim.exchange(t("BF3D", t("A0", CARD.notification()))) == Reply(code="5.00")
    assert len(eim.faults) == 0


def test_a_fault_can_last_for_some_time_or_for_ever() -> None:
    eim = make_eim()
    eim.faults.arm(Fault("any", "empty", times=2))
    eim.faults.arm(Fault("get", "garbage", times=-1))
    assert [eim.handle(POLL) for _ in range(4)] == [b"", b"", *[bytes.fromhex("FF00DEADBEEF80")] * 2]
    eim.faults.clear()
    assert eim.handle(POLL) == NO_PACKAGE


def test_faults_with_a_typing_mistake_are_refused() -> None:
    for on, action in (("poll", "empty"), ("get", "explode")):
        with pytest.raises(OrderError):
            Fault(on, action)


# State file


def test_everything_is_there_again_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "eim.json"
    eim = make_eim(CARD, token=5, counter=7, state_path=path)
    enable = build_order(["enable", ICCID])
    enable.faults = PackageFaults(signature="corrupt", counter_offset=1)
    eim.enqueue(EID, enable)
    eim.enqueue(EID, build_order(["data-request", "info1"]))
    eim.enqueue(EID, build_order(["trigger", "default"]))
    first = eim.handle(POLL, now_s=3.0)
    eim.handle(provide(CARD.epr(seq="05", counter="63", tail=bytes.fromhex("840105"))))

    again = VirtualEim(eim.identity, state_path=path)
    assert again.handle(POLL) == first
    device = again.device(EID)
    assert (device.token, device.counter, device.last_seq) == (5, 7, 5)
    assert device.queue == eim.device(EID).queue
    assert device.euicc_spki == eim.device(EID).euicc_spki
    assert device.accepted == eim.device(EID).accepted
    assert list(again.history)[: len(eim.history)] == list(eim.history)


def test_a_repetition_is_recognised_across_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "eim.json"
    eim = make_eim(CARD, state_path=path)
    eim.handle(RESULT)
    again = VirtualEim(eim.identity, state_path=path)
    assert again.handle(RESULT) == ACKNOWLEDGE_5


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"version": 2}', '{"version": 1, "devices": [{}], "history": []}'])
def test_a_state_file_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "eim.json"
    path.write_text(text)
    with pytest.raises(StateFileError, match=r"eim\.json"):
        VirtualEim(make_eim().identity, state_path=path)


def test_a_state_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(StateFileError):
        make_eim(state_path=tmp_path / "nowhere" / "eim.json")


# Reports


def test_results_as_text_and_json_say_what_happened() -> None:
    eim = waiting()
    eim.handle(provide(t("30", EPR, t("A0", CARD.notification("06")))), now_s=86400.0)
    text = results_text(eim)
    assert f"{EID}: counter 1, token none, last result 5" in text
    assert f"done        enable {ICCID}" in text
    assert "1970-01-02 00:00:00  result: " in text
    assert "operation enable, code 0, name ok" in text
    assert f"iccid {ICCID}" in text
    document = json.loads(results_json(eim, EID))
    assert document["devices"][0]["orders"] == [{"order": f"enable {ICCID}", "state": "done", "counter": 1}]
    assert document["history"][-1]["numbers"] == [5, 6]
    assert json.loads(results_json(eim, "0" * 32))["devices"] == []


def test_profile_list_and_other_operation_results_are_readable() -> None:
    eim = waiting()
    profile = t("E3", t("5A", ICCID_BYTES), "9F700101", t("91", b"Operator"), "950102", "9F2601FF")
    results = t("BF2D", t("A0", profile)) + bytes.fromhex("A803 840107 AB0C A00A 3003800165 3003800166 8C0100 02017F")
    eim.handle(provide(CARD.epr(results=results.hex())))
    operations = noted(eim, "result")[0]["facts"]["operations"]
    assert operations[0]["profiles"][0] == {
        "iccid": ICCID,
        "state": "enabled",
        "provider": "Operator",
        "class": "operational",
        "fallback": True,
    }
    assert operations[1] == {"operation": "addEim", "associationToken": 7, "code": 0, "name": "ok"}
    assert operations[2] == {"operation": "listEim", "eims": [{"eimId": "e"}, {"eimId": "f"}]}
    assert [one["operation"] for one in operations[3:]] == ["rollback", "processingTerminated"]
    assert results_text(eim)


def test_history_and_finished_orders_do_not_grow_without_end() -> None:
    eim = make_eim(settings=EimSettings(accept_unknown_devices=True))
    for index in range(1500):
        eim.handle(POLL, peer=str(index))
    assert len(eim.history) == 1000
    assert len(eim.esipa._peers) == 256


# Fuzz

SEEDS = [
    POLL,
    bytes.fromhex("BF4F 1C 5A10" + EID + "8000 810101 820362F210"),
    RESULT,
    provide(t("30", EPR, t("A0", CARD.notification("06"), CARD.installation("07")))),
    provide(CARD.epe("04")),
    provide(bytes.fromhex("BF51 08 A206 800165 840103")),
    provide(t("BF52", t("A0", t("A0", CARD.notification("06")), t("84", "09"), b"\xa6" + CARD.certificate[1:]))),
    provide(t("BF54", "82020A0A", CARD.installation("07"))),
    provide(bytes.fromhex("BF54 08 820101 3003 80017F")),
    provide(bytes.fromhex("A006 800101 020101")),
    t("BF3D", t("A0", CARD.notification())),
    t("BF3D", t("A1", EPR)),
    t("BF50", t("BF52", t("A0", t("80", b"s"), t("BF2B", t("A0", CARD.notification()), t("A2", EPR))))),
]


@settings(max_examples=400, deadline=None)
@given(
    seed=st.sampled_from(SEEDS),
    edits=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255), st.sampled_from("sid")), max_size=6),
)
def test_no_mutation_of_a_request_gets_anything_but_an_answer_or_a_refusal(
    seed: bytes, edits: list[tuple[int, int, str]]
) -> None:
    body = bytearray(seed)
    for position, value, how in edits:
        at = position % (len(body) + 1)
        if how == "i":
            body.insert(at, value)
        elif at < len(body) and how == "s":
            body[at] = value
        elif at < len(body):
            del body[at:]
    _serve(bytes(body))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["BF4F", "BF50", "BF3D", "BF50", ""]))
def test_no_content_gets_anything_but_an_answer_or_a_refusal(content: bytes, tag: str) -> None:
    _serve(t(tag, content) if tag else content)


def test_numbers_of_absurd_size_are_no_way_in() -> None:
    number = t("83", b"\x7f" + b"\xff" * 4000)
    signed = t("30", "800165", "810101", number, t("30", "830100"))
    _serve(provide(t("BF51", t("A0", signed, t("5F37", b"\x00" * 64)))))
    _serve(t("BF4F", t("5A", EID), t("81", b"\x7f" + b"\xff" * 4000)))
    _serve(provide(t("BF52", t("A0", t("84", b"\x7f" + b"\xff" * 4000)))))


def _serve(body: bytes) -> None:
    eim = make_eim(CARD)
    eim.enqueue(EID, build_order(["enable", ICCID]))
    eim.handle(POLL, peer="p")
    try:
        answer = eim.handle(body, peer="p")
    except RequestRefusedError:
        pass
    else:
        assert answer[:2] in (b"\xbf\x4f", b"\xbf\x50", b"\xbf\x39", b"\xbf\x3a", b"\xbf\x3b", b"\xbf\x41", b"")
    json.loads(results_json(eim))
    results_text(eim)


def test_what_downloads_need_is_kept_too(tmp_path: Path) -> None:
    path = tmp_path / "eim.json"
    eim = make_eim(CARD, state_path=path)
    device = eim.device(EID)
    device.euicc_info1, device.euicc_info2 = bytes.fromhex("BF2000"), bytes.fromhex("BF2200")
    device.euicc_certificate, device.eum_certificate = b"\x30\x00", b"\x30\x00"
    device.device_info, device.features = b"\x80\x00", (1, 5)
    eim.enqueue(EID, build_order(["trigger", "LPA:1$dp.example$M", "--held", "--cc", "1234"]))
    again = VirtualEim(eim.identity, state_path=path).device(EID)
    assert again == device
    assert (again.queue[0].held, again.queue[0].confirmation_code) == (True, "1234")


def test_a_state_from_before_downloads_is_read(tmp_path: Path) -> None:
    path = tmp_path / "eim.json"
    eim = make_eim(CARD, state_path=path)
    eim.enqueue(EID, build_order(["trigger", "none"]))
    document = json.loads(path.read_text())
    for name in ("euicc_info1", "euicc_info2", "euicc_certificate", "eum_certificate", "device_info", "features"):
        del document["devices"][0][name]
    for name in ("held", "confirmation_code"):
        del document["devices"][0]["queue"][0][name]
    path.write_text(json.dumps(document))
    assert VirtualEim(eim.identity, state_path=path).device(EID) == eim.device(EID)


def test_what_an_ipa_tells_of_itself_is_learned_for_downloads() -> None:
    eim = make_eim(CARD)
    eim.enqueue(EID, build_order(["data-request", "info1"]))
    eim.handle(POLL, peer="p")
    # euiccInfo1, euiccInfo2, eumCertificate under its tag, features indirect and minimize, TAC
    data = "BF2000 BF2200 A5020500 A80480020244 A906800453926011"
    eim.handle(provide(t("BF52", t("A0", data))))
    device = eim.device(EID)
    assert (device.euicc_info1, device.euicc_info2) == (bytes.fromhex("BF2000"), bytes.fromhex("BF2200"))
    assert device.eum_certificate == bytes.fromhex("30020500")
    assert device.features == (1, 5)
    assert device.device_info == bytes.fromhex("800453926011")
