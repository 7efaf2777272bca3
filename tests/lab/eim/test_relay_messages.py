"""Every relay message both ways against literal bytes, status by status, and with servers that answer nonsense.

The bytes are written by hand from the schema of SGP.32 v1.2 (annex A) and the JSON fields of SGP.22 §6.5; nobody's
signature is looked at here.

Long: literal messages of one table.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ipad_agent.lab.crypto import der
from ipad_agent.lab.eim import Fault, RequestRefusedError, VirtualEim, build_order
from ipad_agent.lab.eim.orders.download_target import Target, target_of
from ipad_agent.lab.eim.relay.compact_forms import KnownSession, installation_result
from ipad_agent.lab.eim.relay.download_relay import Relay
from ipad_agent.lab.eim.relay.es9_calls import Es9, Es9Error, Servers
from ipad_agent.lab.eim.relay.relay_session import RspSession
from ipad_agent.lab.eim.relay.relay_status import error_for, name_for, status_for

from .world import EID, POLL, Card, identity, noted, t

Json = dict[str, Any]
DONE = {"header": {"functionExecutionStatus": {"status": "Executed-Success"}}}


def failed(code: str) -> Json:
    subject, reason = code.split("/")
    data = {"subjectCode": subject, "reasonCode": reason}
    return {"header": {"functionExecutionStatus": {"status": "Failed", "statusCodeData": data}}}


class Script:
    """An SM-DP+ that answers what it was given and keeps what it was asked."""

    def __init__(self, *answers: Json | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, Json]] = []

    def __call__(self, function: str, body: Json) -> Json:
        self.asked.append((function, body))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def relay_eim(es9: Es9, *, blocking: bool = False) -> VirtualEim:
    """An eIM with an order for smdp.example under transaction 0A0A, handed out."""
    relay = Relay(Servers({"smdp.example": es9}, blocking=blocking))
    eim = VirtualEim(identity(), relay=relay, random_bytes=lambda size: b"\x0a" * 2)
    eim.add_device(EID)
    eim.enqueue(EID, build_order(["trigger", "LPA:1$smdp.example$M-1"]))
    eim.handle(POLL, peer="p")
    return eim


def with_session(es9: Es9, **known: Any) -> VirtualEim:
    """The same with an RSP session 0102 under way."""
    eim = relay_eim(es9)
    device = eim.device(EID)
    assert eim.relay is not None
    session = RspSession(
        device, device.queue[0], target_of("1$smdp.example$M-1"), "smdp.example", KnownSession(b"\x01\x02", **known)
    )
    eim.relay.sessions.add(b"\x01\x02", session)
    return eim


CHALLENGE = "00112233445566778899AABBCCDDEEFF"
INFO1 = "BF20 0D 8203020500 A9020400 AA020400"
# 18 + 14 + 16 + 4 bytes
INITIATE = bytes.fromhex("BF39 34" + "8110" + CHALLENGE + "830C" + b"smdp.example".hex() + INFO1 + "82020A0A")
# ServerSigned1 { 0102, challenge, "smdp.example", 16 x 55 }
SERVER_SIGNED = "30 36" + "80020102" + "8110" + CHALLENGE + "830C" + b"smdp.example".hex() + "8410" + "55" * 16
SIGNATURE = "5F3740" + "66" * 64
CERTIFICATE = "3003020107"
PKID = "0414" + "77" * 20


def b64(text: str) -> str:
    return base64.b64encode(bytes.fromhex(text)).decode()


INITIATED = DONE | {
    "transactionId": "0102",
    "serverSigned1": b64(SERVER_SIGNED),
    "serverSignature1": b64(SIGNATURE),
    "euiccCiPKIdToBeUsed": b64(PKID),
    "serverCertificate": b64(CERTIFICATE),
}


def test_initiate_authentication_both_ways() -> None:
    smdp = Script(INITIATED)
    answer = relay_eim(smdp).handle(INITIATE)
    assert smdp.asked == [
        (
            "initiateAuthentication",
            {
                "euiccChallenge": "ABEiM0RVZneImaq7zN3u/w==",
                "smdpAddress": "smdp.example",
                "euiccInfo1": b64(INFO1),
            },
        )
    ]
    inside = "80020102" + SERVER_SIGNED + SIGNATURE + PKID + CERTIFICATE
    # 4 + 56 + 67 + 22 + 5 = 154 = 9A
    assert answer == bytes.fromhex("BF39 819D A0 819A" + inside)


def authenticate(inside: str) -> bytes:
    return t("BF3B", t("80", "0102"), t("BF38", inside))


# authenticateResponseOk with a signed part, a signature and two certificates of the smallest kind
FULL_ANSWER = "A0 0D 3003800105 5F3701AA 3000 3000"
SMDP_SIGNED2 = "3007 80020102 0101FF"
METADATA = "BF25 0C 5A0A 98942000000900000011"


def test_authenticate_client_both_ways() -> None:
    smdp = Script(
        DONE
        | {
            "transactionId": "0102",
            "profileMetadata": b64(METADATA),
            "smdpSigned2": b64(SMDP_SIGNED2),
            "smdpSignature2": b64(SIGNATURE),
            "smdpCertificate": b64(CERTIFICATE),
        }
    )
    answer = with_session(smdp).handle(authenticate(FULL_ANSWER))
    ((function, asked),) = smdp.asked
    assert function == "authenticateClient"
    assert asked == {"transactionId": "0102", "authenticateServerResponse": b64("BF38 0F" + FULL_ANSWER)}
    # 4 + 15 + 9 + 67 + 5 = 100 = 64
    assert answer == bytes.fromhex("BF3B 66 A0 64 80020102" + METADATA + SMDP_SIGNED2 + SIGNATURE + CERTIFICATE)


def test_an_error_of_the_card_is_handed_to_the_server_as_it_is() -> None:
    smdp = Script(failed("8.1/6.1"))
    answer = with_session(smdp).handle(authenticate("A1 07 80020102 020102"))
    assert smdp.asked[0][1]["authenticateServerResponse"] == b64("BF38 09 A107 80020102 020102")
    assert answer == bytes.fromhex("BF3B 03 820105")


def test_authenticate_client_at_an_smds() -> None:
    smds = Script(
        DONE | {"transactionId": "0102", "eventEntries": [{"eventId": "E-7", "rspServerAddress": "dp.example"}]}
    )
    eim = with_session(smds)
    eim.device(EID).queue[0].code = "smds"
    # profileDownloadTrigger { activationCode "LPA:1$dp.example$E-7", eimTransactionId 0A0A }
    trigger = "BF54 1C A016 8014" + b"LPA:1$dp.example$E-7".hex() + "82020A0A"
    assert eim.handle(authenticate(FULL_ANSWER)) == bytes.fromhex("BF3B 25 A123 80020102" + trigger)


PREPARED = "A0 0A 3004 80020102 5F3701BB"


def get_package(inside: str) -> bytes:
    return t("BF3A", t("80", "0102"), t("BF21", inside))


def test_get_bound_profile_package_both_ways() -> None:
    smdp = Script(DONE | {"transactionId": "0102", "boundProfilePackage": b64("BF36 02 A000")})
    answer = with_session(smdp).handle(get_package(PREPARED))
    assert smdp.asked == [
        ("getBoundProfilePackage", {"transactionId": "0102", "prepareDownloadResponse": b64("BF21 0C" + PREPARED)})
    ]
    assert answer == bytes.fromhex("BF3A 0B A009 80020102 BF3602A000")


def cancel(inside: str) -> bytes:
    return t("BF41", t("80", "0102"), t("A1", inside))


# cancelSessionResponseOk { { 0102, 2.999.10, pprNotAllowed }, signature }
CANCELLED = "A0 12 300C 80020102 810388370A 820103 5F3701CC"


@pytest.mark.parametrize("answer", [DONE, {}])
def test_cancel_session_both_ways_and_an_empty_answer_is_a_good_one(answer: Json) -> None:
    smdp = Script(answer)
    assert with_session(smdp).handle(cancel(CANCELLED)) == bytes.fromhex("BF41 02 A000")
    assert smdp.asked == [
        ("cancelSession", {"transactionId": "0102", "cancelSessionResponse": b64("BF41 14" + CANCELLED)})
    ]


def test_a_compact_cancel_without_reason_has_the_one_the_eim_gave_cause_for() -> None:
    smdp = Script(DONE)
    eim = with_session(smdp, server_oid="2.999.10", cancel_reason=3)
    assert eim.handle(cancel("A2 06 3000 5F3701CC")) == bytes.fromhex("BF41 02 A000")
    assert smdp.asked[0][1]["cancelSessionResponse"] == b64("BF41 14" + CANCELLED)


def test_a_notification_goes_to_the_address_in_it() -> None:
    smdp = Script({})
    raw = Card().notification().hex()
    eim = relay_eim(smdp)
    assert eim.handle(t("BF3D", t("A0", raw))) == b""
    assert smdp.asked == [("handleNotification", {"pendingNotification": b64(raw)})]


def test_notifications_beside_a_result_are_handed_on_too() -> None:
    smdp = Script({})
    card = Card()
    notification = card.notification(seq="06")
    eim = relay_eim(smdp)
    answer = eim.handle(t("BF50", t("5A", EID), t("30", card.epr(), t("A0", notification))))
    assert answer == bytes.fromhex("BF50 09 BF53 06 800105 800106")
    assert smdp.asked == [("handleNotification", {"pendingNotification": b64(notification.hex())})]


@pytest.mark.parametrize(("habit", "code"), [("kept", None), ("refused", "5.02")])
def test_a_notification_that_its_receiver_does_not_take_is_kept_or_refused(habit: str, code: str | None) -> None:
    eim = relay_eim(Script(Es9Error("down")))
    eim.settings.undelivered = habit
    reply = eim.exchange(t("BF3D", t("A0", Card().notification())))
    assert (reply.code, reply.body) == (code, b"")
    assert noted(eim, "forwarded")[0]["why"] == "down"


def test_an_installation_result_ends_no_order_that_was_not_handed_out() -> None:
    card = Card()
    eim = VirtualEim(identity(), relay=Relay(Servers({"smdp.example": Script({})})))
    eim.add_device(EID, certificate_der=card.certificate)
    eim.handle(POLL, peer="p")
    order = eim.enqueue(EID, build_order(["trigger", "none"]))
    result = t("BF3D", t("A0", card.installation()))
    eim.handle(result, peer="p")
    assert order.state == "queued"
    eim.handle(POLL, peer="p")
    eim.handle(result, peer="p")
    assert order.state == "done"


# The name of a server with and without its port


def initiated_as(name: str) -> dict[str, Any]:
    """What a server says that calls itself so."""
    signed = t("30", "80020102", "8110" + CHALLENGE, t("83", name.encode()), "8410" + "55" * 16)
    return INITIATED | {"serverSigned1": base64.b64encode(signed).decode()}


def initiate_at(name: str) -> bytes:
    return t("BF39", "8110" + CHALLENGE, t("83", name.encode()), INFO1, "82020A0A")


@pytest.mark.parametrize(
    ("ordered", "asked", "told", "tag"),
    [
        ("smdp.example", "smdp.example:8443", "smdp.example", "A0"),
        ("smdp.example:8443", "smdp.example", "smdp.example:8443", "A0"),
        ("smdp.example:443", "SMDP.example", "smdp.example", "A0"),
        ("smdp.example:8443", "smdp.example:8444", "smdp.example:8444", "81"),
        ("smdp.example", "smdp.example:8443", "smdp.example:8444", "81"),
        ("smdp.example", "other.example:8443", "smdp.example", "81"),
        ("smdp.example", "smdp.example", "xsmdp.example:8443", "81"),
    ],
)
def test_a_server_is_the_same_with_and_without_its_port(ordered: str, asked: str, told: str, tag: str) -> None:
    eim = relay_eim(Script(initiated_as(told)))
    assert eim.relay is not None
    eim.relay.servers = Servers(otherwise=lambda address: Script(initiated_as(told)))
    eim.device(EID).queue[0].code = f"LPA:1${ordered}$M-1"
    assert der.parse(eim.handle(initiate_at(asked))).children[0].tag == int(tag, 16)


@pytest.mark.parametrize(
    ("relay", "dialect", "of_device", "older"),
    [
        ("auto", "auto", "1.2", False),
        ("auto", "auto", "1.0", True),
        ("auto", "1.3", "1.0", False),
        ("auto", "1.2", "1.2", True),
        ("1.3", "1.2", "1.0", False),
        ("1.1", "1.3", "1.2", True),
    ],
)
def test_an_expired_order_is_told_as_the_release_has_it(relay: str, dialect: str, of_device: str, older: bool) -> None:
    eim = with_session(Script(failed("8.8.5/4.10")))
    assert eim.relay is not None
    eim.relay.settings.release = relay
    eim.settings.dialect = dialect
    eim.device(EID).dialect = of_device
    package = "BF3A 03 810106" if older else "BF3A 03 81017F"
    assert eim.handle(get_package(PREPARED)) == bytes.fromhex(package)


@pytest.mark.parametrize(("release", "error"), [("1.3", "12"), ("1.2", "7F"), ("1.0", "7F")])
def test_before_v1_3_authentication_has_no_number_for_an_expired_order(release: str, error: str) -> None:
    eim = with_session(Script(failed("8.8.5/4.10")))
    assert eim.relay is not None
    eim.relay.settings.release = release
    assert eim.handle(authenticate(FULL_ANSWER)) == bytes.fromhex("BF3B 03 8201" + error)


# Errors by name: SGP.22 tables of §5.6 and §5.8 on the left, SGP.32 schema on the right

TABLE = [
    ("BF39", "8.8.1/3.8", 1),
    ("BF39", "8.8.3/3.1", 2),
    ("BF39", "8.8.2/3.1", 3),
    ("BF39", "8.8.1/3.10", 50),
    ("BF39", "8.8/3.10", 51),
    ("BF39", "8.31.2/3.10", 52),
    ("BF39", "8.8.4/3.7", 127),
    ("BF3B", "8.1.2/6.1", 1),
    ("BF3B", "8.1.2/6.3", 2),
    ("BF3B", "8.1.3/6.1", 3),
    ("BF3B", "8.1.3/6.3", 4),
    ("BF3B", "8.1/6.1", 5),
    ("BF3B", "8.2.6/3.8", 6),
    ("BF3B", "8.1.1/3.8", 7),
    ("BF3B", "8.2.5/4.3", 8),
    ("BF3B", "8.11.1/3.9", 9),
    ("BF3B", "8.10.1/3.9", 10),
    ("BF3B", "8.1/4.8", 11),
    ("BF3B", "8.2.8/1.2", 50),
    ("BF3B", "8.9.5/3.9", 56),
    ("BF3B", "8.2/1.2", 127),
    ("BF3B", "8.8.5/6.4", 127),
    ("BF3B", "8.8.5/4.10", 18),
    ("BF3A", "8.1/6.1", 1),
    ("BF3A", "8.2.7/2.2", 2),
    ("BF3A", "8.2.7/3.8", 3),
    ("BF3A", "8.2.7/6.4", 4),
    ("BF3A", "8.2/3.7", 5),
    ("BF3A", "8.8.5/4.10", 127),
    ("BF3A", "8.2.9/3.11", 50),
    ("BF3A", "8.10.1/3.9", 95),
    ("BF3A", "1.2.1/2.1", 127),
    ("BF41", "8.10.1/3.9", 1),
    ("BF41", "8.1/6.1", 2),
    ("BF41", "8.8/3.10", 127),
]
REQUESTS = {
    "BF39": INITIATE,
    "BF3B": authenticate(FULL_ANSWER),
    "BF3A": get_package(PREPARED),
    "BF41": cancel(CANCELLED),
}


@pytest.mark.parametrize(("tag", "status", "error"), TABLE)
def test_a_refusal_keeps_its_name(tag: str, status: str, error: int) -> None:
    eim = with_session(Script(failed(status)))
    error_tag = "82" if tag == "BF3B" else "81"
    assert eim.handle(REQUESTS[tag]) == bytes.fromhex(f"{tag} 03 {error_tag}01{error:02X}")
    assert eim.device(EID).queue == []
    assert noted(eim, "rsp")[-1]["status"] == status
    if error != 127:
        assert status_for(int(tag, 16), error) == status
        assert f"({error})" in noted(eim, "rsp")[-1]["error"]


def test_statuses_of_an_smds_have_the_same_names() -> None:
    assert [error_for(0xBF39, f"8.9.{n}") for n in ("1/3.8", "2/3.1", "3/3.1")] == [1, 3, 2]
    assert name_for(0xBF39, 3) == "ciPKIdNotSupported"
    assert status_for(0xBF39, 127) == "1.6/4.2"


@pytest.mark.parametrize("tag", ["BF3B", "BF3A", "BF41"])
def test_an_unknown_transaction_has_its_own_error(tag: str) -> None:
    body = REQUESTS[tag].replace(bytes.fromhex("80020102"), bytes.fromhex("80020109"), 1)
    expected = {"BF3B": "BF3B0382010A", "BF3A": "BF3A0381015F", "BF41": "BF4103810101"}
    assert with_session(Script(DONE)).handle(body) == bytes.fromhex(expected[tag])


NONSENSE: list[Json | Exception] = [
    Es9Error("not reached"),
    {},
    {"header": 7},
    {"header": {}},
    {"header": {"functionExecutionStatus": {"status": "Expired"}}},
    DONE,
    DONE | {"transactionId": 5},
    INITIATED | {"transactionId": "XY"},
    INITIATED | {"serverSigned1": "?"},
    INITIATED | {"serverSigned1": 5},
    INITIATED | {"serverSigned1": b64("3000")},
    INITIATED | {"serverCertificate": b64("0400")},
    INITIATED | {"euiccCiPKIdToBeUsed": None},
    DONE | {"eventEntries": 5},
    DONE | {"eventEntries": [5]},
    DONE | {"eventEntries": [{"eventId": 5}]},
    DONE | {"eventEntries": [{"eventId": "E\ud800", "rspServerAddress": "a.b"}]},
    DONE | {"smdpSigned2": b64("3000"), "smdpSignature2": "AA==", "smdpCertificate": "MAA="},
    DONE | {"boundProfilePackage": b64("BF3600"), "transactionId": "zz"},
    DONE | {"boundProfilePackage": "AAAA"},
]


@pytest.mark.parametrize("tag", ["BF39", "BF3B", "BF3A"])
@pytest.mark.parametrize("answer", NONSENSE, ids=range(len(NONSENSE)))
def test_a_server_without_sense_is_undefined_error_and_the_order_stays(tag: str, answer: Json | Exception) -> None:
    eim = with_session(Script(answer))
    (inside,) = der.parse(eim.handle(REQUESTS[tag])).children
    if inside.constructed:
        assert tag == "BF3A" or "eventEntries" in answer  # type: ignore[operator]  # no Exception gets that far
        return
    assert inside.integer() in (127, 56)
    assert len(eim.device(EID).queue) == 1


def test_an_empty_answer_is_one_only_where_nothing_was_asked_for() -> None:
    eim = relay_eim(Script({}))
    eim.handle(INITIATE)
    assert noted(eim, "rsp")[0]["why"] == "the answer is empty"


@pytest.mark.parametrize("size", [15, 17])
def test_a_challenge_of_another_size_is_undefined_error(size: int) -> None:
    smdp = Script(INITIATED)
    body = t("BF39", t("81", bytes(size)), t("83", b"smdp.example"), INFO1, t("82", "0A0A"))
    assert relay_eim(smdp).handle(body) == bytes.fromhex("BF39 03 81017F")
    assert smdp.asked == []


def test_euicc_info1_may_be_left_out_once_it_is_known() -> None:
    smdp = Script(INITIATED)
    eim = relay_eim(smdp)
    short = t("BF39", t("81", CHALLENGE), t("83", b"smdp.example"), t("82", "0A0A"))
    assert eim.handle(short) == bytes.fromhex("BF39 03 81017F")
    eim.handle(INITIATE)
    assert eim.handle(short) == eim.handle(INITIATE)
    assert smdp.asked[1] == smdp.asked[0]


# Compact notifications, byte by byte

KNOWN = KnownSession(b"\x01\x02", server_address="a.b", server_oid="2.999.10", iccid=bytes.fromhex("98" * 10))
# BF2F { seqNumber 5, install, "a.b", ICCID } and 2.999.10, counted by hand: 3 + 4 + 5 + 12 = 24, 4 + 27 + 5 + n
METADATA_OF_5 = "BF2F 18 800105 81020780 0C03612E62 5A0A" + "98" * 10


def test_a_compact_installation_error_is_rebuilt() -> None:
    # 4 + 3 + 10 = 17 = 11; 19 + 4 = 23 = 17
    node = der.parse(bytes.fromhex("A0 17 A011 80020102 020105 A208 A106 800103 81010A 5F3701AA"))
    # BF27: 4 + 27 + 5 + A208 10 = 46 = 2E; BF37: 49 + 4 = 53 = 35
    full = "BF37 35 BF27 2E 80020102" + METADATA_OF_5 + "0603 88370A A208 A106 800103 81010A 5F3701AA"
    assert installation_result(node, KNOWN) == bytes.fromhex(full)


def test_a_compact_result_may_say_that_there_is_no_iccid() -> None:
    # iccidPresent FALSE; AID ...1000; simaResponse left out
    # 4 + 3 + 3 + 8 = 18 = 12; 20 + 3 = 23 = 17
    node = der.parse(bytes.fromhex("A0 17 A012 80020102 020105 010100 A206 A004 4F021000 5F3700"))
    aid = "4F10 A0000005591010FFFFFFFF8900001000"
    # BF2F 0C; A0: 18 + 11 = 29 = 1D; A2 1F; BF27: 4 + 15 + 5 + 33 = 57 = 39; BF37: 60 + 3 = 63 = 3F
    metadata = "BF2F 0C 800105 81020780 0C03612E62"
    full = f"BF37 3F BF27 39 80020102 {metadata} 0603 88370A A21F A01D {aid} 0409 3007A0053003800100 5F3700"
    assert installation_result(node, KNOWN) == bytes.fromhex(full)


def test_a_compact_aid_has_two_bytes() -> None:
    # 4 + 3 + 9 = 16 = 10; 18 + 3 = 21 = 15
    node = der.parse(bytes.fromhex("A0 15 A010 80020102 020105 A207 A005 4F03100000 5F3700"))
    with pytest.raises(der.DerError, match="3 bytes"):
        installation_result(node, KNOWN)


# A relay that takes its time


async def test_a_blocking_server_is_asked_beside_the_event_loop() -> None:
    eim = relay_eim(Script(INITIATED), blocking=True)
    reply = eim.exchange(INITIATE)
    assert reply.later is not None
    assert eim.handle(POLL) != b""
    done = await asyncio.wait_for(reply.later(), 60)
    assert done.body.startswith(bytes.fromhex("BF39 819D A0"))
    assert done.later is None


async def test_a_blocking_server_that_fails_is_an_answer_too() -> None:
    reply = relay_eim(Script(Es9Error("down")), blocking=True).exchange(INITIATE)
    assert reply.later is not None
    assert (await reply.later()).body == bytes.fromhex("BF39 03 81017F")


def test_polls_need_nobody_else_even_with_a_blocking_relay() -> None:
    assert relay_eim(Script(DONE), blocking=True).exchange(POLL).later is None


# Orders and switches


@pytest.mark.parametrize(
    ("code", "target"),
    [
        ("LPA:1$dp.example$M-1", Target("smdp", "dp.example", "M-1")),
        ("lpa:1$dp.example$", Target("smdp", "dp.example", "")),
        ("1$dp.example$M$2.999.10$1", Target("smdp", "dp.example", "M", "2.999.10")),
        ("1$dp.example$M$$1", Target("smdp", "dp.example", "M")),
        ("default", Target("default", None, "")),
        ("smds", Target("smds", None, "")),
        ("smds:ds.example", Target("smds", "ds.example", "")),
        ("none", Target("none")),
        ("2$dp.example$M", Target("none")),
        ("1$$M", Target("none")),
        ("", Target("none")),
    ],
)
def test_a_code_leads_where_it_says(code: str, target: Target) -> None:
    assert target_of(code) == target


@pytest.mark.parametrize(("name", "tag"), [("initiate", "BF39"), ("authenticate", "BF3B"), ("package", "BF3A")])
def test_rsp_functions_can_be_made_to_fail_by_name(name: str, tag: str) -> None:
    eim = with_session(Script(DONE))
    eim.faults.arm(Fault(name, "refuse", 5))
    assert eim.handle(REQUESTS[tag]) == bytes.fromhex(f"{tag} 03 {'82' if tag == 'BF3B' else '81'}0105")


def test_without_a_relay_the_functions_are_undefined_error() -> None:
    eim = with_session(Script(DONE))
    eim.esipa.relay = None
    for tag, body in REQUESTS.items():
        assert eim.handle(body) == bytes.fromhex(f"{tag} 03 {'82' if tag == 'BF3B' else '81'}017F")


# Whatever comes, there is an answer


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), tag=st.sampled_from(sorted(REQUESTS)))
def test_any_change_of_a_request_gets_an_answer(data: st.DataObject, tag: str) -> None:
    body = bytearray(REQUESTS[tag])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at] = data.draw(st.integers(0, 255))
    eim = with_session(Script(INITIATED | {"smdpSigned2": b64(SMDP_SIGNED2), "boundProfilePackage": b64("BF3600")}))
    with contextlib.suppress(RequestRefusedError):
        assert isinstance(eim.handle(bytes(body)), bytes)


@settings(max_examples=150, deadline=None)
@given(inside=st.binary(max_size=60), tag=st.sampled_from([0xBF39, 0xBF3B, 0xBF3A, 0xBF41, 0xBF3D]))
def test_any_content_of_a_request_gets_an_answer(inside: bytes, tag: int) -> None:
    for start in (b"", bytes.fromhex("80020102"), bytes.fromhex("A0"), bytes.fromhex("80020102 A1")):
        with contextlib.suppress(RequestRefusedError):
            assert isinstance(with_session(Script(DONE)).handle(der.tlv(tag, start, inside)), bytes)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = ["header", "transactionId", "serverSigned1", "smdpSigned2", "boundProfilePackage", "eventEntries"]


@settings(max_examples=150, deadline=None)
@given(answer=st.dictionaries(st.sampled_from(NAMES), JSON, max_size=4), tag=st.sampled_from(sorted(REQUESTS)))
def test_any_json_of_a_server_gets_an_answer(answer: Json, tag: str) -> None:
    for full in (answer, DONE | answer, INITIATED | answer):
        assert with_session(Script(full)).handle(REQUESTS[tag])[:2] == bytes.fromhex(tag)
