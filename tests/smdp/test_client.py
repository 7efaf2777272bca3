"""ES9+ and ES11 over a carrier that plays back answers. Objects are hand-made DER, as in SGP.22 v2.5's ASN.1."""

from __future__ import annotations

import base64
import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.codec.esipa.esipa_download import AuthenticateClientOk
from ipad_agent.codec.rsp.es9_messages import EventEntries, EventEntry
from ipad_agent.codec.rsp.rsp_json import FunctionStatus
from ipad_agent.errors import IpadError, NetworkError, Remedy, Side
from ipad_agent.net import (
    AddressForbidden,
    PeerBusy,
    PeerStatus,
    ProgressCallback,
    ProtocolViolation,
    Refusal,
    ResponseTooLarge,
    TrustRefused,
    Unreachable,
)
from ipad_agent.smdp import MEANINGS, AnswerUnreadable, ServerBusy, ServerStatus, SmdpClient, StatusRefused, refusal
from ipad_agent.smdp.errors import MatchingIdRefused, UnknownRefusal

TRANSACTION = bytes.fromhex("0a0b")
CHALLENGE = b"\xc1" * 16
# BF20 { 82 020500 }: enough of EUICCInfo1 to be sent.
INFO1 = bytes.fromhex("bf20058203020500")
# 30 { 80 0A0B, 81 C1.., 83 "smdp.example", 84 C2.. }
SIGNED1 = bytes.fromhex("303680020a0b8110" + "c1" * 16 + "830c736d64702e6578616d706c658410" + "c2" * 16)
SIGNED2 = bytes.fromhex("300780020a0b010100")
SIGNATURE = bytes.fromhex("5f3740" + "5a" * 64)
CERTIFICATE = bytes.fromhex("3003020101")
PKID = bytes.fromhex("0414" + "f5" * 20)
BPP = bytes.fromhex("bf3603bf2300")
AUTHENTICATED = bytes.fromhex("bf3802a000")
PREPARED = bytes.fromhex("bf2102a000")
CANCELLED = bytes.fromhex("bf4102a000")
NOTIFICATION = bytes.fromhex("3005bf2f020c00")


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def ok(**fields: object) -> bytes:
    header = {"functionExecutionStatus": {"status": "Executed-Success"}}
    return json.dumps({"header": header, "transactionId": "0A0B", **fields}).encode()


def failed(subject: str, reason: str, **data: str) -> bytes:
    data = {"subjectCode": subject, "reasonCode": reason, **data}
    return json.dumps({"header": {"functionExecutionStatus": {"status": "Failed", "statusCodeData": data}}}).encode()


def opening(**changes: object) -> bytes:
    fields: dict[str, object] = {
        "serverSigned1": b64(SIGNED1),
        "serverSignature1": b64(SIGNATURE),
        "euiccCiPKIdToBeUsed": b64(PKID),
        "serverCertificate": b64(CERTIFICATE),
    }
    return ok(**{**fields, **changes})


OFFER = ok(smdpSigned2=b64(SIGNED2), smdpSignature2=b64(SIGNATURE), smdpCertificate=b64(CERTIFICATE))


class Carrier:
    """Plays back ``answers``; an exception among them is raised."""

    scheme = "https"
    bytes_sent = 0
    bytes_received = 0

    def __init__(self, *answers: bytes | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, Any]] = []
        self.closed = False

    async def reach(self) -> None:
        return None

    async def exchange(self, body: bytes, *, function: str, progress: ProgressCallback | None = None) -> bytes:
        self.asked.append((function, json.loads(body)))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if progress is not None:
            progress(len(answer), None)
        return answer

    async def close(self) -> None:
        self.closed = True


def link(*answers: bytes | Exception, server: str = "smdp.example") -> tuple[SmdpClient, Carrier]:
    carrier = Carrier(*answers)
    return SmdpClient(carrier, server), carrier


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.event.id for record in caplog.records if hasattr(record, "event")]


# -- a session that goes well ------------------------------------------------------------------------------------------


async def test_download_session_asks_what_the_specification_says_and_keeps_what_was_signed() -> None:
    smdp, carrier = link(opening(), OFFER, ok(boundProfilePackage=b64(BPP)), b"")
    opened = await smdp.initiate_authentication(challenge=CHALLENGE, euicc_info1=INFO1)
    assert (opened.server_signed1.raw, opened.server_signature1) == (SIGNED1, SIGNATURE)
    assert (opened.server_certificate, opened.ci_pkid) == (CERTIFICATE, PKID[2:])
    offer = await smdp.authenticate_client(opened.transaction_id, AUTHENTICATED)
    assert isinstance(offer, AuthenticateClientOk)
    assert (offer.smdp_signed2.raw, offer.smdp_signature2, offer.smdp_certificate) == (SIGNED2, SIGNATURE, CERTIFICATE)
    told: list[tuple[int, int | None]] = []
    package = await smdp.get_bound_profile_package(
        TRANSACTION, PREPARED, progress=lambda done, of: told.append((done, of))
    )
    assert package == BPP
    assert len(told) == 1
    await smdp.handle_notification(NOTIFICATION)
    await smdp.close()
    assert carrier.closed
    assert not smdp.tolerances
    assert carrier.asked == [
        (
            "InitiateAuthentication",
            {"euiccChallenge": "wcHBwcHBwcHBwcHBwcHBwQ==", "euiccInfo1": b64(INFO1), "smdpAddress": "smdp.example"},
        ),
        ("AuthenticateClient", {"transactionId": "0A0B", "authenticateServerResponse": b64(AUTHENTICATED)}),
        ("GetBoundProfilePackage", {"transactionId": "0A0B", "prepareDownloadResponse": b64(PREPARED)}),
        ("HandleNotification", {"pendingNotification": b64(NOTIFICATION)}),
    ]


async def test_events_of_an_sm_ds_arrive() -> None:
    smds, _ = link(ok(eventEntries=[{"eventId": "EV", "rspServerAddress": "smdp.example"}]))
    assert await smds.authenticate_client(TRANSACTION, AUTHENTICATED) == EventEntries(
        TRANSACTION, (EventEntry("EV", "smdp.example"),)
    )


@pytest.mark.parametrize("body", [b"", ok(), b"{}"])
async def test_session_is_cancelled_by_any_success(body: bytes) -> None:
    smdp, carrier = link(body)
    await smdp.cancel_session(TRANSACTION, CANCELLED)
    assert carrier.asked == [("CancelSession", {"transactionId": "0A0B", "cancelSessionResponse": b64(CANCELLED)})]


async def test_empty_answer_to_a_cancel_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ipad_agent")
    smdp, _ = link(b"")
    await smdp.cancel_session(TRANSACTION, CANCELLED)
    assert said(caplog) == ["IPA-9064"]


# -- what the server must have signed ----------------------------------------------------------------------------------


async def test_opening_for_another_challenge_is_refused() -> None:
    smdp, _ = link(opening())
    with pytest.raises(AnswerUnreadable, match="another challenge"):
        await smdp.initiate_authentication(challenge=b"\xc3" * 16, euicc_info1=INFO1)


@pytest.mark.parametrize("server", ["other.example", "mdp.example", "smdp.example.org"])
async def test_opening_signed_for_another_server_is_refused(server: str) -> None:
    smdp, _ = link(opening(), server=server)
    with pytest.raises(AnswerUnreadable, match="another server"):
        await smdp.initiate_authentication(challenge=CHALLENGE, euicc_info1=INFO1)


@pytest.mark.parametrize("server", ["SMDP.example", "smdp.example."])
async def test_name_of_the_server_knows_no_case(server: str) -> None:
    smdp, _ = link(opening(), server=server)
    assert await smdp.initiate_authentication(challenge=CHALLENGE, euicc_info1=INFO1)


async def test_answers_of_another_transaction_are_refused() -> None:
    for body in (ok(boundProfilePackage=b64(BPP), transactionId="0A0C"), ok(boundProfilePackage=b64(INFO1))):
        smdp, _ = link(body)
        with pytest.raises(AnswerUnreadable) as caught:
            await smdp.get_bound_profile_package(TRANSACTION, PREPARED)
        assert caught.value.response == body


# -- refusals ----------------------------------------------------------------------------------------------------------


async def test_refusal_is_typed_and_keeps_number_words_and_answer() -> None:
    body = failed("8.2.6", "3.8", message="Matching ID unknown")
    smdp, _ = link(body)
    with pytest.raises(MatchingIdRefused) as caught:
        await smdp.authenticate_client(TRANSACTION, AUTHENTICATED)
    error = caught.value
    assert (error.esipa_error, error.subject, error.reason, error.response) == (6, "8.2.6", "3.8", body)
    assert (error.side, error.remedy, error.function) == (Side.SMDP, Remedy.GIVE_UP, "AuthenticateClient")
    assert str(error) == ("the matching identifier is refused [AuthenticateClient 8.2.6/3.8 (Matching ID unknown)]")


async def test_every_function_refuses_by_status() -> None:
    body = failed("1.2.2", "2.1")
    for call in ("initiate", "client", "bpp", "cancel", "notify"):
        smdp, _ = link(body)
        with pytest.raises(StatusRefused, match="call's number"):
            await {
                "initiate": lambda s: s.initiate_authentication(challenge=CHALLENGE, euicc_info1=INFO1),
                "client": lambda s: s.authenticate_client(TRANSACTION, AUTHENTICATED),
                "bpp": lambda s: s.get_bound_profile_package(TRANSACTION, PREPARED),
                "cancel": lambda s: s.cancel_session(TRANSACTION, CANCELLED),
                "notify": lambda s: s.handle_notification(NOTIFICATION),
            }[call](smdp)


@pytest.mark.parametrize(("function", "subject", "reason"), list(MEANINGS))
def test_every_status_code_has_a_class_a_sentence_and_a_hint(function: str, subject: str, reason: str) -> None:
    error = refusal(function or "CancelSession", FunctionStatus(False, subject, reason))
    assert type(error) is MEANINGS[function, subject, reason][0]
    assert type(error) is not UnknownRefusal
    assert len(error.hint) > 20
    assert f"{subject}/{reason}" in str(error)
    assert error.side is Side.SMDP


# Number by number from SGP.22 v2.5 §5.6 and the ESipa error lists of SGP.32 v1.2.
@pytest.mark.parametrize(
    ("function", "code", "kind", "number"),
    [
        ("InitiateAuthentication", "8.8.1/3.8", "AddressRefused", 1),
        ("InitiateAuthentication", "8.8.2/3.1", "CiUnsupported", 3),
        ("InitiateAuthentication", "8.8.3/3.1", "VersionUnsupported", 2),
        ("AuthenticateClient", "8.1.2/6.1", "CardCertificateRefused", 1),
        ("AuthenticateClient", "8.1.3/6.3", "CardCertificateRefused", 4),
        ("AuthenticateClient", "8.1/6.1", "SignatureRefused", 5),
        ("AuthenticateClient", "8.1.1/3.8", "EidMismatch", 7),
        ("AuthenticateClient", "8.2.5/4.3", "NoEligibleProfile", 8),
        ("AuthenticateClient", "8.1/4.8", "CardFull", 11),
        ("AuthenticateClient", "8.9.5/3.9", "EventUnknown", 56),
        ("GetBoundProfilePackage", "8.2.7/2.2", "ConfirmationCodeRefused", 2),
        ("GetBoundProfilePackage", "8.2.7/6.4", "ConfirmationCodeRefused", 4),
        ("GetBoundProfilePackage", "8.2/3.7", "RebindingRefused", 5),
        ("GetBoundProfilePackage", "8.8.5/4.10", "OrderExpired", 6),
        ("GetBoundProfilePackage", "8.10.1/3.9", "TransactionUnknown", 95),
        ("CancelSession", "8.8/3.10", "WrongServer", 127),
        ("AuthenticateClient", "8.99/6.3", "UnknownRefusal", 127),
    ],
)
def test_status_codes_mean_these_errors(function: str, code: str, kind: str, number: int) -> None:
    subject, _, reason = code.partition("/")
    error = refusal(function, FunctionStatus(False, subject, reason))
    assert (type(error).__name__, error.esipa_error) == (kind, number)


def test_unknown_code_says_its_reason_in_words() -> None:
    assert "refused: expired" in str(refusal("CancelSession", FunctionStatus(False, "8.99", "6.3")))
    assert "no reason that is known" in str(refusal("CancelSession", FunctionStatus(False)))


# -- HTTP errors and broken answers ------------------------------------------------------------------------------------


async def test_page_instead_of_a_status_is_a_server_error_in_its_words(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ipad_agent")
    page = b"<html>Traceback</html>"
    smdp, _ = link(PeerStatus("500", "Traceback", body=page))
    with pytest.raises(ServerStatus, match="HTTP 500: Traceback") as caught:
        await smdp.authenticate_client(TRANSACTION, AUTHENTICATED)
    assert (caught.value.response, caught.value.side) == (page, Side.SMDP)
    assert said(caplog) == ["IPA-9062"]


async def test_status_in_the_body_of_an_http_error_counts(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ipad_agent")
    smdp, _ = link(PeerStatus("400", "x", body=failed("8.2.6", "3.8")))
    with pytest.raises(MatchingIdRefused):
        await smdp.authenticate_client(TRANSACTION, AUTHENTICATED)
    assert said(caplog) == ["IPA-9061"]


async def test_success_in_the_body_of_an_http_error_is_none() -> None:
    smdp, _ = link(PeerStatus("500", "x", body=ok()))
    with pytest.raises(ServerStatus):
        await smdp.cancel_session(TRANSACTION, CANCELLED)


async def test_busy_server_says_when_to_come_back() -> None:
    smdp, _ = link(PeerBusy(90))
    with pytest.raises(ServerBusy) as caught:
        await smdp.handle_notification(NOTIFICATION)
    assert (caught.value.retry_after_s, caught.value.side) == (90, Side.SMDP)


async def test_untrusted_server_is_told_with_what_helps() -> None:
    smdp, _ = link(TrustRefused("no", reason=Refusal.EXPIRED))
    with pytest.raises(TrustRefused) as caught:
        await smdp.handle_notification(NOTIFICATION)
    assert caught.value.reason is Refusal.EXPIRED
    assert "ci_dir" in caught.value.hint


async def test_address_that_is_forbidden_is_told_to_the_owner(caplog: pytest.LogCaptureFixture) -> None:
    smdp, _ = link(AddressForbidden("smdp is not connected to: 10.0.0.1 leads to a private network"))
    with caplog.at_level(logging.WARNING, "ipad_agent"), pytest.raises(AddressForbidden) as caught:
        await smdp.handle_notification(NOTIFICATION)
    assert "allow_private_servers" in caught.value.hint
    (said,) = [record.getMessage() for record in caplog.records if getattr(record, "event").id == "IPA-3202"]  # noqa: B009 - typing
    assert "10.0.0.1 leads to a private network" in said


@pytest.mark.parametrize("trouble", [ProtocolViolation("x"), ResponseTooLarge("x")])
async def test_answers_that_cannot_be_are_the_servers_fault(trouble: Exception) -> None:
    smdp, _ = link(trouble)
    with pytest.raises(AnswerUnreadable):
        await smdp.get_bound_profile_package(TRANSACTION, PREPARED)


async def test_network_trouble_stays_network_trouble() -> None:
    smdp, _ = link(Unreachable("gone"))
    with pytest.raises(NetworkError):
        await smdp.handle_notification(NOTIFICATION)


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b"{}", b'{"header":5}', ok(), b'{"header":{}}'])
async def test_opening_without_content_is_unreadable(body: bytes) -> None:
    smdp, _ = link(body)
    with pytest.raises(AnswerUnreadable):
        await smdp.initiate_authentication(challenge=CHALLENGE, euicc_info1=INFO1)


async def test_content_after_a_notification_is_ignored_and_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ipad_agent")
    smdp, _ = link(b"OK")
    await smdp.handle_notification(NOTIFICATION)
    assert said(caplog) == ["IPA-9063"]


async def test_liberties_are_counted_and_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ipad_agent")
    bare = json.dumps({"transactionId": "0a0b", "boundProfilePackage": "vzYD\r\nvyMA"}).encode()
    smdp, _ = link(bare)
    assert await smdp.get_bound_profile_package(TRANSACTION, PREPARED) == BPP
    assert set(smdp.tolerances) == {"json-without-status", "hex-lower-case", "base64-white-space"}
    assert said(caplog) == ["IPA-9060"] * 3


@given(st.binary(max_size=200) | st.text().map(str.encode))
async def test_any_answer_is_a_value_or_an_error_of_the_agent(body: bytes) -> None:
    smdp, _ = link(body, body, body, body)
    for call in (
        smdp.authenticate_client(TRANSACTION, AUTHENTICATED),
        smdp.get_bound_profile_package(TRANSACTION, PREPARED),
        smdp.cancel_session(TRANSACTION, CANCELLED),
        smdp.handle_notification(NOTIFICATION),
    ):
        try:
            await call
        except IpadError:
            continue
