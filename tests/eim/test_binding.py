"""The JSON binding of ESipa (SGP.32 v1.2 §6.4.1) beside the ASN.1 one. Objects are hand-made DER."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.codec.esipa.download_trigger import UseDefaultSmdp
from ipad_agent.codec.esipa.eim_package import EuiccPackageOrder, MalformedPackage, NoPackage, StateChangeCause
from ipad_agent.codec.esipa.esipa_download import AuthenticateClientOk, AuthenticateClientSmds
from ipad_agent.codec.identifiers import Eid, Plmn
from ipad_agent.eim import BINDINGS, EimClient, FunctionRefused, UnreadableAnswer
from ipad_agent.errors import IpadError, Remedy
from ipad_agent.net import PeerStatus

EID_HEX = "89049032123451234512345678901235"
CHALLENGE = b"\xc1" * 16
INFO1 = bytes.fromhex("bf20058203020500")
SIGNED1 = bytes.fromhex("303680020a0b8110" + "c1" * 16 + "830c736d64702e6578616d706c658410" + "c2" * 16)
SIGNED2 = bytes.fromhex("300780020a0b010100")
SIGNATURE = bytes.fromhex("5f3740" + "5a" * 64)
CERTIFICATE = bytes.fromhex("3003020101")
BPP = bytes.fromhex("bf3603bf2300")
TRANSACTION = bytes.fromhex("0a0b")
AUTHENTICATED = bytes.fromhex("bf3802a000")
PREPARED = bytes.fromhex("bf2102a000")
CANCELLED = bytes.fromhex("bf4102a000")
RESULT = bytes.fromhex("bf5108a206800165840103")
NOTIFICATION = bytes.fromhex("3005bf2f020c00")
CONTEXT = bytes.fromhex("a0058003414243")


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def ok(**fields: object) -> bytes:
    return json.dumps({"header": {"functionExecutionStatus": {"status": "Executed-Success"}}, **fields}).encode()


def failed(subject: str, reason: str) -> bytes:
    data = {"subjectCode": subject, "reasonCode": reason, "message": "words of the server"}
    return json.dumps({"header": {"functionExecutionStatus": {"status": "Failed", "statusCodeData": data}}}).encode()


OPENING: dict[str, object] = {
    "transactionId": "0A0B",
    "serverSigned1": b64(SIGNED1),
    "serverSignature1": b64(SIGNATURE),
    "euiccCiPKIdentifierToBeUsed": b64(bytes.fromhex("0402f5f5")),
    "serverCertificate": b64(CERTIFICATE),
}


class Carrier:
    """Plays back ``answers``."""

    scheme = "https"
    bytes_sent = 0
    bytes_received = 0

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, bytes]] = []

    async def reach(self) -> None:
        return None

    async def exchange(self, body: bytes, *, function: str) -> bytes:
        self.asked.append((function, body))
        return self.answers.pop(0)

    async def close(self) -> None:
        return


def client(*answers: bytes, binding: str = "json") -> tuple[EimClient, Carrier]:
    carrier = Carrier(*answers)
    return EimClient(carrier, Eid.parse(EID_HEX), eim_id="eim-1", binding=BINDINGS[binding]), carrier


def sent(carrier: Carrier) -> list[tuple[str, Any]]:
    return [(function, json.loads(body)) for function, body in carrier.asked]


# -- packages, results, notifications ----------------------------------------------------------------------------------


async def test_poll_in_json_has_these_bytes_and_no_header_object() -> None:
    eim, carrier = client(ok(eimPackageError=1), ok(eimPackageError=1))
    assert await eim.get_eim_package() == NoPackage(1)
    await eim.get_eim_package(state_change=StateChangeCause.FALLBACK, rplmn=Plmn.parse("26201"))
    assert carrier.asked == [
        ("GetEimPackage", b'{"eidValue":"89049032123451234512345678901235"}'),
        (
            "GetEimPackage",
            # rPlmn is 62 F2 10 in base64.
            (
                b'{"eidValue":"89049032123451234512345678901235","notifyStateChange":true,"stateChangeCause":1,'
                b'"rPlmn":"YvIQ"}'
            ),
        ),
    ]


async def test_package_in_json_arrives_with_the_bytes_the_eim_signed() -> None:
    signed = "302f80016" + "55a10" + EID_HEX + "810101a015a30e5a0a980010325476981032140500a600bf2d005f3700"
    package = bytes.fromhex("bf5134" + signed)
    eim, _ = client(ok(euiccPackageRequest=b64(package)))
    order = await eim.get_eim_package()
    assert isinstance(order, EuiccPackageOrder)
    assert order.raw == package


@pytest.mark.parametrize(("reason", "number"), [("3.7", 1), ("3.9", 2), ("2.1", 3), ("2.2", 4), ("9.9", 127)])
async def test_failed_status_is_the_error_number_of_asn1(reason: str, number: int) -> None:
    eim, _ = client(failed("8.1.1", reason))
    assert await eim.get_eim_package() == NoPackage(number)
    if number in (2, 3, 4, 127):
        eim, _ = client(failed("8.1.1", reason))
        assert (await eim.provide_eim_package_result(RESULT)).error == number


async def test_failed_status_in_the_body_of_an_http_error_counts_as_with_an_sm_dp_plus() -> None:
    eim, carrier = client()

    async def refuse(body: bytes, *, function: str) -> bytes:
        raise PeerStatus("404", body=failed("8.1.1", "3.7"))

    carrier.exchange = refuse  # type: ignore[method-assign]
    assert await eim.get_eim_package() == NoPackage(1, ())


async def test_words_of_a_failed_status_are_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "ipad_agent")
    eim, _ = client(failed("8.1.1", "3.9"))
    await eim.get_eim_package()
    assert any("8.1.1/3.9 (words of the server)" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(
    ("body", "acknowledged"),
    [(ok(eimAcknowledgements=b64(bytes.fromhex("bf5306800101800102"))), (1, 2)), (ok(), ()), (b"", ())],
)
async def test_result_in_json_is_acknowledged(body: bytes, acknowledged: tuple[int, ...]) -> None:
    eim, carrier = client(body)
    response = await eim.provide_eim_package_result(RESULT)
    assert (response.acknowledged, response.error) == (acknowledged, None)
    assert sent(carrier) == [("ProvideEimPackageResult", {"eidValue": EID_HEX, "eimPackageResult": b64(RESULT)})]


async def test_notification_and_result_as_notification_in_json() -> None:
    eim, carrier = client(b"", ok())
    await eim.handle_notification(NOTIFICATION)
    await eim.handle_result(RESULT)
    provided = bytes.fromhex("bf501d5a10" + EID_HEX) + RESULT
    assert sent(carrier) == [
        ("HandleNotification", {"pendingNotification": b64(NOTIFICATION)}),
        ("HandleNotification", {"provideEimPackageResult": b64(provided)}),
    ]


async def test_result_as_notification_in_asn1() -> None:
    eim, carrier = client(b"", binding="asn1")
    await eim.handle_result(RESULT)
    assert carrier.asked == [
        ("HandleNotification", bytes.fromhex("bf3d20bf501d5a10" + EID_HEX) + RESULT),
    ]


async def test_refused_notification_is_not_delivered() -> None:
    eim, _ = client(failed("8.1", "6.1"))
    with pytest.raises(FunctionRefused, match="words of the server"):
        await eim.handle_notification(NOTIFICATION)


@pytest.mark.parametrize("more", [{}, {"euiccPackageRequest": None, "eimPackageError": None}])
async def test_a_success_with_nothing_in_it_is_no_package_as_in_asn1(more: dict[str, object]) -> None:
    json_eim, _ = client(ok(**more))
    asn1_eim, _ = client(bytes.fromhex("BF4F00"), binding="asn1")
    for eim in (json_eim, asn1_eim):
        assert await eim.get_eim_package() == NoPackage(1, ("empty-answer",))


@pytest.mark.parametrize(
    "body",
    [b"<html>", b"[]", b"{}", ok(ofAReleaseToCome="MAA="), ok(euiccPackageRequest="!"), ok(eimPackageError="x")],
)
async def test_answer_that_is_no_package_is_for_the_eim_to_hear(body: bytes) -> None:
    eim, _ = client(body)
    package = await eim.get_eim_package()
    assert isinstance(package, MalformedPackage)
    assert package.raw == body


async def test_answer_without_status_is_read_and_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ipad_agent")
    eim, _ = client(b'{"eimPackageError":1}')
    assert await eim.get_eim_package() == NoPackage(1)
    assert dict(eim.tolerances) == {"json-without-status": 1}


# -- a download through the eIM, in both bindings ----------------------------------------------------------------------


def opening_asn1() -> bytes:
    content = bytes.fromhex("80020a0b") + SIGNED1 + SIGNATURE + bytes.fromhex("0402f5f5") + CERTIFICATE
    content += bytes.fromhex("0c03414243a207") + CONTEXT
    return bytes.fromhex("bf3981") + bytes([len(content) + 3]) + bytes.fromhex("a081") + bytes([len(content)]) + content


@pytest.mark.parametrize("binding", ["asn1", "json"])
async def test_opening_is_the_same_in_both_bindings(binding: str) -> None:
    body = opening_asn1() if binding == "asn1" else ok(**OPENING, matchingId="ABC", ctxParams1=b64(CONTEXT))
    eim, carrier = client(body, binding=binding)
    opened = await eim.initiate_authentication(
        challenge=CHALLENGE, smdp_address="smdp.example", euicc_info1=INFO1, eim_transaction_id=b"\x0c"
    )
    assert (opened.transaction_id, opened.server_signed1.raw, opened.server_signature1) == (
        TRANSACTION,
        SIGNED1,
        SIGNATURE,
    )
    assert (opened.ci_pkid, opened.server_certificate) == (b"\xf5\xf5", CERTIFICATE)
    assert (opened.matching_id, opened.ctx_params1) == ("ABC", CONTEXT)
    assert not eim.tolerances
    if binding == "json":
        assert sent(carrier) == [
            (
                "InitiateAuthentication",
                {
                    "euiccChallenge": "wcHBwcHBwcHBwcHBwcHBwQ==",
                    "smdpAddress": "smdp.example",
                    "euiccInfo1": b64(INFO1),
                    "eimTransactionId": "0C",
                },
            )
        ]


async def test_profile_and_package_come_through_the_eim_in_json() -> None:
    hash_cc = bytes(range(32))
    eim, carrier = client(
        ok(
            transactionId="0A0B",
            smdpSigned2=b64(SIGNED2),
            smdpSignature2=b64(SIGNATURE),
            smdpCertificate=b64(CERTIFICATE),
            hashCc=b64(b"\x04\x20" + hash_cc),
        ),
        ok(transactionId="0A0B", boundProfilePackage=b64(BPP)),
        b"",
    )
    offer = await eim.authenticate_client(TRANSACTION, AUTHENTICATED)
    assert isinstance(offer, AuthenticateClientOk)
    assert (offer.smdp_signed2.raw, offer.smdp_certificate, offer.hash_cc) == (SIGNED2, CERTIFICATE, hash_cc)
    assert (await eim.get_bound_profile_package(TRANSACTION, PREPARED)).bpp == BPP
    await eim.cancel_session(TRANSACTION, CANCELLED)
    assert sent(carrier) == [
        ("AuthenticateClient", {"transactionId": "0A0B", "authenticateServerResponse": b64(AUTHENTICATED)}),
        ("GetBoundProfilePackage", {"transactionId": "0A0B", "prepareDownloadResponse": b64(PREPARED)}),
        ("CancelSession", {"transactionId": "0A0B", "cancelSessionResponse": b64(CANCELLED)}),
    ]
    assert not eim.tolerances


async def test_event_of_an_sm_ds_comes_through_the_eim_in_json() -> None:
    trigger = bytes.fromhex("bf5404a0028100")
    eim, _ = client(ok(transactionId="0A0B", profileDownloadTrigger=b64(trigger)))
    found = await eim.authenticate_client(TRANSACTION, AUTHENTICATED)
    assert isinstance(found, AuthenticateClientSmds)
    assert found.trigger is not None
    assert (found.trigger.raw, found.trigger.data) == (trigger, UseDefaultSmdp())


@pytest.mark.parametrize(
    ("body", "binding"),
    [(failed("8.31.2", "3.10"), "json"), (bytes.fromhex("bf3903810134"), "asn1")],
)
async def test_refused_opening_has_its_number_and_name(body: bytes, binding: str) -> None:
    eim, _ = client(body, binding=binding)
    with pytest.raises(FunctionRefused) as caught:
        await eim.initiate_authentication(challenge=CHALLENGE)
    assert (int(caught.value.code), caught.value.code.name) == (52, "invalidEimTransactionId")
    assert caught.value.remedy is Remedy.GIVE_UP


@pytest.mark.parametrize(
    ("function", "asn1", "status", "number"),
    [
        ("client", "bf3b03820106", ("8.2.6", "3.8"), 6),
        ("client", "bf3b03820132", ("8.2.8", "1.2"), 50),
        ("bpp", "bf3a03810132", ("8.2.9", "3.11"), 50),
        ("bpp", "bf3a0381015f", ("8.10.1", "3.9"), 95),
        ("cancel", "bf4103810101", ("8.10.1", "3.9"), 1),
    ],
)
async def test_refusals_have_the_same_number_in_both_bindings(
    function: str, asn1: str, status: tuple[str, str], number: int
) -> None:
    for binding, body in (("asn1", bytes.fromhex(asn1)), ("json", failed(*status))):
        eim, _ = client(body, binding=binding)
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "client": partial(eim.authenticate_client, TRANSACTION, AUTHENTICATED),
            "bpp": partial(eim.get_bound_profile_package, TRANSACTION, PREPARED),
            "cancel": partial(eim.cancel_session, TRANSACTION, CANCELLED),
        }
        with pytest.raises(FunctionRefused) as caught:
            await calls[function]()
        assert int(caught.value.code) == number


@pytest.mark.parametrize("missing", ["serverSigned1", "serverSignature1", "serverCertificate"])
async def test_opening_without_a_signed_part_is_unreadable(missing: str) -> None:
    eim, _ = client(ok(**{**OPENING, missing: None}))
    with pytest.raises(UnreadableAnswer, match=missing):
        await eim.initiate_authentication(challenge=CHALLENGE)


async def test_cancel_request_replaces_the_cards_own_tag_in_asn1() -> None:
    eim, carrier = client(bytes.fromhex("bf4102a000"), binding="asn1")
    await eim.cancel_session(TRANSACTION, CANCELLED)
    assert carrier.asked == [("CancelSession", bytes.fromhex("bf410880020a0ba102a000"))]


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
async def test_any_answer_is_a_value_or_an_error_of_the_agent(body: bytes) -> None:
    eim, _ = client(*[body] * 8)
    for call in (
        eim.get_eim_package(),
        eim.provide_eim_package_result(RESULT),
        eim.handle_notification(NOTIFICATION),
        eim.initiate_authentication(challenge=CHALLENGE),
        eim.authenticate_client(TRANSACTION, AUTHENTICATED),
        eim.get_bound_profile_package(TRANSACTION, PREPARED),
        eim.cancel_session(TRANSACTION, CANCELLED),
    ):
        try:
            await call
        except IpadError:
            continue
