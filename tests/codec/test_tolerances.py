"""Every liberty the codec takes is named where it is taken, and only there."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from codec_parsers import json_answer
from ipad_agent.codec.ber.tlv_fields import note_eid, without_padding
from ipad_agent.codec.es10 import es10_requests
from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.codec.es10.euicc_package import EuiccPackageRequest, EuiccPackageResult
from ipad_agent.codec.es10.notifications import NotificationMetadata, PendingNotification
from ipad_agent.codec.es10.profile_info import ProfileInfo
from ipad_agent.codec.esipa import eim_package, esipa_download
from ipad_agent.codec.esipa.ipa_euicc_data import IpaEuiccDataRequest
from ipad_agent.codec.identifiers import Eid
from ipad_agent.codec.rsp import es9_messages
from ipad_agent.codec.rsp.rsp_json import JsonAnswer
from ipad_agent.codec.tolerances import CATALOGUE, Notes

from . import vectors
from .vectors import CERT, EID_DIGITS, SIGNATURE, SPKI, H

Reader = Callable[[bytes], Any]

bpp = json_answer(lambda answer: answer_and(answer, es9_messages.read_bound_profile_package(answer, b"\x0a\x0b")))
opening = json_answer(es9_messages.read_initiate_authentication)


def answer_and(answer: JsonAnswer, _: object) -> JsonAnswer:
    """The answer after it was read, with what was noted."""
    return answer


@dataclass(frozen=True)
class Noted:
    """What it takes to read something of which only the notes matter here."""

    tolerances: tuple[str, ...]


def odd_eid(octets: bytes) -> Noted:
    notes = Notes()
    note_eid(Eid.from_bytes(octets), notes)
    return Noted(notes.ids)


def padded(body: bytes) -> Noted:
    notes = Notes()
    without_padding(body, notes)
    return Noted(notes.ids)


def opening_with(**changes: str | None) -> bytes:
    """The server's opening in JSON, with other fields; None leaves one out."""
    fields = {
        "transactionId": "0A0B",
        "serverSigned1": base64.b64encode(vectors.SERVER_SIGNED1).decode(),
        "serverSignature1": base64.b64encode(SIGNATURE).decode(),
        "euiccCiPKIdToBeUsed": "BAL19Q==",
        "serverCertificate": base64.b64encode(CERT).decode(),
    }
    return json.dumps({name: value for name, value in {**fields, **changes}.items() if value is not None}).encode()


EXAMPLES: dict[str, tuple[Reader, bytes]] = {
    "doubled-tag": (eim_package.parse_get_eim_package_response, H("BF4F 06 BF4F 03 020101")),
    "missing-outer-tag": (eim_package.parse_get_eim_package_response, H("020101")),
    "foreign-outer-tag": (es10_requests.parse_retrieve_notifications, b"\xbf\x2c" + vectors.RETRIEVED[2:]),
    "explicit-key": (EimConfigurationData.parse, H("30 1F 800165 A61A A118", CERT)),
    "key-without-choice": (EimConfigurationData.parse, H("30 60 800165 A5 5B", SPKI)),
    "key-under-other-tag": (EimConfigurationData.parse, H("30 1D 800165 A618 A016", CERT[2:])),
    "empty-key-data": (EimConfigurationData.parse, H("30 05 800165 A500")),
    "unreadable-signing-key": (EimConfigurationData.parse, H("30 09 800165 A504 A0020500")),
    "extra-sequence": (es10_requests.parse_get_profiles, H("BF2D 06 3004 A002 E300")),
    "bare-package-result": (EuiccPackageResult.parse, vectors.RESULT_SIGNED_V10),
    "combined-notification-list": (es10_requests.parse_retrieve_notifications, vectors.RETRIEVED_BOTH_V10),
    "old-tag-list": (IpaEuiccDataRequest.parse, H("BF52 03 5C0180")),
    "old-criterion": (IpaEuiccDataRequest.parse, vectors.DATA_REQUEST_V10),
    "padded-message": (padded, H("BF4F03020101 0D0A")),
    "empty-answer": (eim_package.parse_provide_result_response, b""),
    "certificates-apart": (es10_requests.parse_get_certs, H("BF56 0E A005 A503 020101 A105 A603 020102")),
    "empty-download-data": (eim_package.parse_get_eim_package_response, H("BF4F 05 BF54 02 A000")),
    "unexpected-content": (eim_package.parse_provide_result_response, H("BF50 05 3003 800101")),
    "universal-integer": (eim_package.parse_provide_result_response, H("BF50 06 BF53 03 020105")),
    "context-integer": (es10_requests.parse_profile_rollback, H("BF58 03 800100")),
    "rollback-flag-81": (
        EuiccPackageRequest.parse,
        H("BF51 6F  30 2A 800165 5A10", EID_DIGITS, "810101 A010 A30E 5A0A 989444999999990920F3 8100", SIGNATURE),
    ),
    "mixed-package": (
        EuiccPackageRequest.parse,
        H("BF51 63  30 1E 800165 5A10", EID_DIGITS, "810101 A002 A600 A100", SIGNATURE),
    ),
    "unwrapped-choice": (
        esipa_download.parse_authenticate_client_response,
        b"\xbf\x3b\x81\xd1" + vectors.CLIENT_OK[7:],
    ),
    "aid-80": (PendingNotification.parse, vectors.PIR_OK.replace(b"\x4f\x10", b"\x80\x10")),
    "odd-notification-event": (NotificationMetadata.parse, H("BF2F 09 800105 810180 0C0161")),
    "unreadable-identifier": (ProfileInfo.parse, H("E30C 5A0A AAAAAAAAAAAAAAAAFAAA")),
    "letters-in-identifier": (ProfileInfo.parse, H("E30C 5A0A 9868005B103254769810")),
    "eid-check-digits": (odd_eid, H("89049032123451234512345678901234")),
    "unreadable-bits": (EimConfigurationData.parse, H("30 06 800165 8701C0")),
    "unreadable-text": (ProfileInfo.parse, H("E303 9101FF")),
    "unreadable-operation": (
        EuiccPackageResult.parse,
        H("BF51 57  A0 55  30 10 800165 810101 830102 3005 8301008400", SIGNATURE),
    ),
    "json-without-status": (bpp, b'{"transactionId":"0A0B","boundProfilePackage":"vzYDvyMA"}'),
    "json-status-form": (JsonAnswer.parse, b'{"header":{"functionExecutionStatus":"executed-success"}}'),
    "base64-white-space": (bpp, b'{"boundProfilePackage":"vzYD\\r\\nvyMA"}'),
    "base64-unpadded": (bpp, b'{"boundProfilePackage":"vzYEvyMBAA"}'),
    "base64-url": (bpp, b'{"boundProfilePackage":"vzYFvyMC__8="}'),
    "json-field-case": (bpp, b'{"BoundProfilePackage":"vzYDvyMA"}'),
    "hex-lower-case": (bpp, b'{"transactionId":"0a0b","boundProfilePackage":"vzYDvyMA"}'),
    "json-without-transaction": (bpp, b'{"boundProfilePackage":"vzYDvyMA"}'),
    "json-without-tag": (opening, opening_with(serverSignature1=base64.b64encode(SIGNATURE[3:]).decode())),
    "json-other-field-name": (
        opening,
        opening_with(euiccCiPKIdentifierToBeUsed="BAL19Q==", euiccCiPKIdToBeUsed=None),
    ),
    "unreadable-element": (es10_requests.parse_get_eim_configuration, H("BF55 05 A003 300100")),
}


def test_every_tolerance_has_an_example_and_a_reference() -> None:
    assert set(EXAMPLES) == set(CATALOGUE)
    for tolerance in CATALOGUE.values():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", tolerance.id)
        assert tolerance.what.endswith((".", ".)"))
        assert tolerance.reference


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_liberty_that_is_taken_is_named(name: str) -> None:
    read, data = EXAMPLES[name]
    assert name in read(data).tolerances


def test_clean_messages_need_no_liberty() -> None:
    clean: list[tuple[Reader, bytes]] = [
        (EimConfigurationData.parse, vectors.EIM_FULL),
        (EuiccPackageRequest.parse, vectors.PACKAGE_ENABLE),
        (EuiccPackageRequest.parse, vectors.PACKAGE_ECO),
        (EuiccPackageResult.parse, vectors.RESULT_SIGNED),
        (EuiccPackageResult.parse, vectors.RESULT_ERROR_SIGNED),
        (es10_requests.parse_retrieve_notifications, vectors.RETRIEVED),
        (es10_requests.parse_retrieve_notifications, vectors.RETRIEVED_RESULTS),
        (es10_requests.parse_list_notifications, vectors.LISTED),
        (IpaEuiccDataRequest.parse, vectors.DATA_REQUEST),
        (es10_requests.parse_get_profiles, vectors.PROFILES),
        (es10_requests.parse_get_rat, vectors.RAT),
        (es10_requests.parse_get_euicc_info1, vectors.INFO1),
        (es10_requests.parse_get_euicc_info2, vectors.INFO2),
        (es10_requests.parse_get_certs, vectors.CERTS),
        (es10_requests.parse_profile_rollback, vectors.ROLLBACK_OK),
        (es10_requests.parse_authenticate_server, vectors.AUTH_OK),
        (es10_requests.parse_prepare_download, vectors.PREPARE_OK),
        (es10_requests.parse_cancel_session, vectors.CANCEL_OK),
        (esipa_download.parse_initiate_authentication_response, vectors.INITIATE_OK),
        (esipa_download.parse_authenticate_client_response, vectors.CLIENT_OK),
        (esipa_download.parse_get_bound_profile_package_response, vectors.BPP_OK),
    ]
    for read, data in clean:
        assert read(data).tolerances == ()


def test_a_liberty_is_named_once_however_often_it_is_taken() -> None:
    notes = Notes()
    for _ in range(3):
        notes.take(CATALOGUE["aid-80"])
    notes.add(("empty-answer", "aid-80"))
    assert notes.ids == ("aid-80", "empty-answer")
