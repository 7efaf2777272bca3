"""What the switches make wrong is wrong in just that way, and all else stays right."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography import x509

from ipad_agent.lab.crypto import der
from ipad_agent.lab.crypto.bpp_protection import BspError
from ipad_agent.lab.http import Ending, Request, Response
from ipad_agent.lab.pki import Pki
from ipad_agent.lab.smdp import (
    Fault,
    Front,
    FrontSettings,
    Metadata,
    Order,
    ServerIdentity,
    SmdpError,
    SmdpSettings,
    VirtualSmdp,
)
from ipad_agent.lab.smdp.smdp_https import LENIENT

from .scripted import ADDRESS, CHALLENGE, Card, Client, b64, codes, fields_of, signed_by, un64

INITIATE, AUTHENTICATE, PACKAGE = "initiateAuthentication", "authenticateClient", "getBoundProfilePackage"


def signed1(answer: dict[str, Any]) -> der.Node:
    return der.parse(un64(answer["serverSigned1"]))


def test_a_fault_is_for_so_many_requests_of_its_function(smdp: VirtualSmdp, order: Order, card: Card) -> None:
    smdp.faults.arm(Fault(INITIATE, "status", "8.8.1/3.8", times=2), Fault(AUTHENTICATE, "status", "8.1/6.1"))
    client = Client(smdp, card)
    assert codes(client.initiate() for _ in range(3)) == ["8.8.1/3.8", "8.8.1/3.8", None]
    assert codes(client.authenticate() for _ in range(2)) == ["8.1/6.1", None]


def test_a_fault_for_ever_lasts_until_it_is_cleared(smdp: VirtualSmdp, card: Card) -> None:
    smdp.faults.arm(Fault("any", "http", 503, times=-1))
    assert [smdp.handle(INITIATE, card.initiate()).status for _ in range(5)] == [503] * 5
    smdp.faults.clear()
    assert smdp.handle(INITIATE, card.initiate()).status == 200


def test_several_faults_meet_in_one_answer(smdp: VirtualSmdp, card: Card) -> None:
    smdp.faults.arm(Fault(INITIATE, "wrong-challenge"), Fault(INITIATE, "wrong-ci"))
    answer = fields_of(Client(smdp, card).initiate())
    assert signed1(answer).get(0x81).value != CHALLENGE
    assert answer["euiccCiPKIdToBeUsed"] != b64(b"\x04\x14" + card.pki.ci_pkid)


@pytest.mark.parametrize("action", ["nonsense", "bpp-mac", "wrong-cc-flag"])
def test_what_a_function_cannot_do_is_not_taken(action: str) -> None:
    with pytest.raises(SmdpError):
        Fault(INITIATE, action)
    with pytest.raises(SmdpError):
        Fault("nonsense", "status", "8.1/6.1")


# initiateAuthentication


def test_wrong_contents_are_signed_by_the_right_key(smdp: VirtualSmdp, p256: Pki, card: Card) -> None:
    for action, tag, right in (("wrong-challenge", 0x81, CHALLENGE), ("wrong-address", 0x83, ADDRESS.encode())):
        smdp.faults.arm(Fault(INITIATE, action))
        answer = fields_of(Client(smdp, card).initiate())
        signed = signed1(answer)
        assert signed.get(tag).value != right
        assert signed_by(p256["dpauth"].certificate, un64(answer["serverSignature1"]), signed.raw)


def test_the_wrong_address_can_be_chosen(smdp: VirtualSmdp, card: Card) -> None:
    smdp.faults.arm(Fault(INITIATE, "wrong-address", "evil.example"))
    assert signed1(fields_of(Client(smdp, card).initiate())).get(0x83).text() == "evil.example"


@pytest.mark.parametrize("action", ["wrong-transaction", "signed-transaction"])
def test_transaction_ids_differ_inside_and_outside(smdp: VirtualSmdp, card: Card, action: str) -> None:
    smdp.faults.arm(Fault(INITIATE, action))
    answer = fields_of(Client(smdp, card).initiate())
    inside, outside = signed1(answer).get(0x80).value, bytes.fromhex(answer["transactionId"])
    session = smdp.sessions.latest
    assert session is not None
    assert inside != outside
    assert (inside == session.transaction_id) == (action == "wrong-transaction")


def test_a_wrong_signature_is_wrong(smdp: VirtualSmdp, p256: Pki, card: Card) -> None:
    smdp.faults.arm(Fault(INITIATE, "wrong-signature"))
    answer = fields_of(Client(smdp, card).initiate())
    assert not signed_by(p256["dpauth"].certificate, un64(answer["serverSignature1"]), signed1(answer).raw)


@pytest.mark.parametrize("kind", ["dppb", "expired", "not-yet-valid", "foreign", "other-oid", "dptls", "dsauth"])
def test_a_wrong_certificate_signs_with_its_own_key(smdp: VirtualSmdp, p256: Pki, card: Card, kind: str) -> None:
    smdp.faults.arm(Fault(INITIATE, "wrong-certificate", kind))
    answer = fields_of(Client(smdp, card).initiate())
    shown = x509.load_der_x509_certificate(un64(answer["serverCertificate"]))
    assert un64(answer["serverCertificate"]) != p256["dpauth"].cert_der
    assert signed_by(shown, un64(answer["serverSignature1"]), signed1(answer).raw)
    if kind == "other-oid":
        shown.verify_directly_issued_by(p256["ci"].certificate)
        names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert [oid.dotted_string for oid in names.get_values_for_type(x509.RegisteredID)] == ["2.999.404"]


# authenticateClient


def test_faults_of_the_second_signature(smdp: VirtualSmdp, order: Order, p256: Pki, card: Card) -> None:
    right = p256["dppb"].certificate
    for fault, signature_right, shown_right in (
        (Fault(AUTHENTICATE, "wrong-signature"), False, True),
        (Fault(AUTHENTICATE, "wrong-certificate", "other-oid"), False, False),
        (Fault(AUTHENTICATE, "certificate-shown", "dpauth"), True, False),
        (Fault(AUTHENTICATE, "signed-transaction"), True, True),
    ):
        smdp.faults.arm(fault)
        answer = fields_of(Client(smdp, card).authenticate())
        covered = un64(answer["smdpSigned2"]) + card.euicc_signature1
        assert signed_by(right, un64(answer["smdpSignature2"]), covered) == signature_right, fault
        assert (un64(answer["smdpCertificate"]) == p256["dppb"].cert_der) == shown_right, fault


def test_flag_key_and_metadata_can_be_wrong(smdp: VirtualSmdp, order: Order, card: Card) -> None:
    shown = Metadata("89490200009999999999", name="Another")
    smdp.faults.arm(
        Fault(AUTHENTICATE, "wrong-cc-flag"),
        Fault(AUTHENTICATE, "wrong-otpk", b"\x04" + bytes(64)),
        Fault(AUTHENTICATE, "metadata", shown),
    )
    answer = fields_of(Client(smdp, card).authenticate())
    signed = der.parse(un64(answer["smdpSigned2"]))
    assert signed.get(0x01).boolean()
    assert signed.get(0x5F49).value == b"\x04" + bytes(64)
    assert un64(answer["profileMetadata"]) == shown.encode()


# The package


def package_with(smdp: VirtualSmdp, card: Card, *faults: Fault) -> bytes:
    smdp.faults.arm(*faults)
    return un64(fields_of(Client(smdp, card).get_package())["boundProfilePackage"])


def spoiled(action: str, value: Any = None) -> Fault:
    return Fault(PACKAGE, action, value)


@pytest.mark.parametrize(
    ("action", "value", "tags", "expected"),
    [
        ("bpp-remote-op", 2, (0x82,), b"\x02"),
        ("bpp-key-type", 0x80, (0xA6, 0x80), b"\x80"),
        ("bpp-key-length", 0x20, (0xA6, 0x81), b"\x20"),
        ("bpp-host-id", b"XY", (0xA6, 0x84), b"XY"),
        ("bpp-otpk", b"\x04" + bytes(64), (0x5F49,), b"\x04" + bytes(64)),
    ],
)
def test_fields_of_the_first_command_can_be_wrong_and_are_signed(
    smdp: VirtualSmdp, order: Order, card: Card, action: str, value: Any, tags: tuple[int, ...], expected: bytes
) -> None:
    first = der.parse(package_with(smdp, card, spoiled(action, value))).get(0xBF23)
    assert first.path(*tags).value == expected
    covered = b"".join(child.raw for child in first.children[:-1]) + b"\x5f\x49\x41" + card.otpk()
    assert signed_by(card.pki["dppb"].certificate, first.children[-1].raw, covered)


def test_the_first_command_can_be_of_another_transaction_or_wrongly_signed(
    smdp: VirtualSmdp, order: Order, card: Card
) -> None:
    first = der.parse(package_with(smdp, card, spoiled("bpp-transaction"))).get(0xBF23)
    session = smdp.sessions.latest
    assert session is not None
    assert first.get(0x80).value != session.transaction_id
    with pytest.raises(AssertionError):
        card.open(package_with(smdp, card, spoiled("bpp-signature")), card.pki["dppb"].certificate)


@pytest.mark.parametrize("number", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("action", ["bpp-mac", "bpp-swap", "bpp-drop", "bpp-repeat"])
def test_a_wrong_segment_does_not_open(smdp: VirtualSmdp, order: Order, card: Card, action: str, number: int) -> None:
    # 3000 bytes of elements: 87, 88, 87, then three 86 (numbers 4 to 6).
    whole = package_with(smdp, card)
    assert [len(group.children) for group in der.parse(whole).children[1:]] == [1, 1, 1, 3]
    wrong = package_with(smdp, card, spoiled(action, number))
    if (action, number) == ("bpp-drop", 6):
        assert order.package.elements != card.open(wrong, card.pki["dppb"].certificate).elements
        return
    with pytest.raises((BspError, AssertionError)):
        card.open(wrong, card.pki["dppb"].certificate)


def test_only_the_chosen_segment_has_a_wrong_mac(smdp: VirtualSmdp, order: Order, card: Card) -> None:
    right = package_with(smdp, card)
    wrong = package_with(smdp, card, spoiled("bpp-mac", 5))
    # The same one-time keys: all but BF23 (another transaction) and the one byte is equal.
    first_size = len(der.parse(right).get(0xBF23).raw)
    start = len(right) - len(der.parse(right).value) + first_size
    differences = [i for i in range(start, len(right)) if right[i] != wrong[i]]
    assert len(right) == len(wrong)
    assert len(differences) == 1


def test_a_segment_can_have_a_tag_of_nothing(smdp: VirtualSmdp, order: Order, card: Card) -> None:
    tags = [c.tag for c in der.parse(package_with(smdp, card, spoiled("bpp-tag", 4))).get(0xA3).children]
    assert tags == [0x8A, 0x86, 0x86]


@pytest.mark.parametrize("number", [0, 1, 2, 3, 4, 5])
def test_a_package_can_end_after_any_segment(smdp: VirtualSmdp, order: Order, card: Card, number: int) -> None:
    whole = package_with(smdp, card)
    cut = package_with(smdp, card, spoiled("bpp-cut", number))
    assert len(cut) < len(whole)
    with pytest.raises(der.DerError):
        der.parse(cut)
    # The announced lengths are those of the whole.
    assert cut[:6] == whole[:6]
    segments = [s for group in der.parse(whole).children[1:] for s in group.children]
    if number:
        assert cut.endswith(segments[number - 1].raw)


def test_a_package_can_end_after_any_byte(smdp: VirtualSmdp, order: Order, card: Card) -> None:
    assert len(package_with(smdp, card, spoiled("bpp-cut-bytes", 7))) == 7
    assert package_with(smdp, card, spoiled("bpp-cut-bytes", 0)) == b""


def test_lengths_can_lie(smdp: VirtualSmdp, order: Order, card: Card) -> None:
    with pytest.raises(der.DerError):
        der.parse(package_with(smdp, card, spoiled("bpp-length", 5)), ber=True)
    node, end = der.read(package := package_with(smdp, card, spoiled("bpp-length", -5)), ber=True)
    assert (node.tag, len(package) - end) == (0xBF36, 5)
    with pytest.raises(der.DerError):
        _ = der.parse(package_with(smdp, card, spoiled("bpp-group-length", (0xA3, 9)))).children


def test_long_lengths_are_no_fault_of_the_content(smdp: VirtualSmdp, order: Order, card: Card) -> None:
    package = package_with(smdp, card, spoiled("bpp-long-form"))
    assert package[:4].hex() == "bf368400"
    whole = der.parse(package, ber=True)
    assert [group.header.hex()[:6] for group in whole.children[1:]] == ["a08400", "a18400", "a28400", "a38400"]
    with pytest.raises(der.DerError):
        der.parse(package)


def test_bytes_can_follow_the_package(smdp: VirtualSmdp, order: Order, card: Card) -> None:
    package = package_with(smdp, card, spoiled("bpp-trailing", b"\x00\x01"))
    card.open(package[:-2], card.pki["dppb"].certificate)


def test_contents_can_differ_from_what_was_announced(smdp: VirtualSmdp, order: Order, card: Card) -> None:
    other = Metadata("89490200007777777777")
    opened = card.open(
        package_with(
            smdp,
            card,
            spoiled("bpp-metadata", other),
            spoiled("bpp-elements", b"no profile"),
            spoiled("bpp-configure", bytes.fromhex("bf240102")),
        ),
        card.pki["dppb"].certificate,
    )
    assert (opened.metadata, opened.elements) == (other.encode(), b"no profile")
    assert opened.configure.hex() == "bf240102"
    broken = card.open(
        package_with(smdp, card, spoiled("bpp-metadata", Metadata("", raw=b"\xbf\x25\x05\x5a\x0a"))),
        card.pki["dppb"].certificate,
    )
    assert broken.metadata.hex() == "bf25055a0a"


def test_elements_can_be_protected_with_keys_that_were_not_announced(
    smdp: VirtualSmdp, order: Order, card: Card
) -> None:
    with pytest.raises(BspError, match="MAC"):
        card.open(package_with(smdp, card, spoiled("bpp-keys")), card.pki["dppb"].certificate)


# On the wire


@pytest.fixture
def front(smdp: VirtualSmdp) -> Front:
    return Front(smdp, FrontSettings(rules=LENIENT))


def ask(front: Front, card: Card, *faults: Fault) -> Response:
    front.server.faults.arm(*faults)
    body = json.dumps(card.initiate()).encode()
    return front(Request("POST", "/gsma/rsp2/es9plus/initiateAuthentication", body=body))


def wrong(action: str, value: Any = None) -> Fault:
    return Fault(INITIATE, action, value)


def test_json_can_be_of_a_wrong_shape(front: Front, card: Card) -> None:
    right = json.loads(ask(front, card).body)
    assert isinstance(json.loads(ask(front, card, wrong("shape", "list")).body), list)
    assert isinstance(json.loads(ask(front, card, wrong("shape", "string")).body), str)
    assert json.loads(ask(front, card, wrong("shape", "null")).body) is None
    assert json.loads(ask(front, card, wrong("shape", "number")).body) == 4711
    assert ask(front, card, wrong("shape", "nested")).body.startswith(b"[[[[")
    assert "header" not in json.loads(ask(front, card, wrong("no-header")).body)
    assert "serverSigned1" not in json.loads(ask(front, card, wrong("drop-field", "serverSigned1")).body)
    assert json.loads(ask(front, card, wrong("number-field", "serverSigned1")).body)["serverSigned1"] == 4711
    assert json.loads(ask(front, card, wrong("field", ("x", [1]))).body)["x"] == [1]
    assert right["header"]["functionExecutionStatus"]["status"] == "Executed-Success"
    with pytest.raises(ValueError, match="Expecting"):
        json.loads(ask(front, card, wrong("not-json")).body)


def test_fields_can_be_wrong_inside(front: Front, card: Card) -> None:
    field = json.loads(ask(front, card, wrong("base64", "serverSigned1")).body)["serverSigned1"]
    with pytest.raises(ValueError, match=r"base64|padding"):
        un64(field)
    with pytest.raises(der.DerError):
        der.parse(un64(json.loads(ask(front, card, wrong("der", "serverSigned1")).body)["serverSigned1"]))


def test_the_status_word_can_be_another(front: Front, card: Card) -> None:
    body = json.loads(ask(front, card, wrong("word", "Expired"), wrong("status", "8.8.1/3.8")).body)
    status = body["header"]["functionExecutionStatus"]
    assert (status["status"], status["statusCodeData"]["subjectCode"]) == ("Expired", "8.8.1")


def test_answers_can_be_pages_or_nothing(front: Front, card: Card) -> None:
    page = ask(front, card, wrong("html"))
    assert (page.status, page.content_type) == (500, "text/html; charset=utf-8")
    assert page.body.startswith(b"<!doctype html>")
    busy = ask(front, card, wrong("http", 503))
    assert (busy.status, busy.body[:1]) == (503, b"<")
    empty = ask(front, card, wrong("empty"))
    assert (empty.status, empty.body) == (200, b"")


def test_a_dead_server_does_nothing_and_a_lost_answer_has_done_it(smdp: VirtualSmdp, front: Front, card: Card) -> None:
    response = ask(front, card, wrong("dead"))
    assert (response.answer, response.ending, len(smdp.sessions)) == (False, Ending.ABORT, 0)
    response = ask(front, card, wrong("lose-answer"))
    assert (response.answer, response.ending, len(smdp.sessions)) == (False, Ending.ABORT, 1)


def test_an_oversized_answer_is_still_right_json(front: Front, card: Card) -> None:
    response = ask(front, card, wrong("oversize", 200_000))
    body = response.body + b"".join(response.parts or ())
    assert len(body) == response.length_bytes
    assert len(body) > 200_000
    assert json.loads(body)["header"]["functionExecutionStatus"]["status"] == "Executed-Success"


def test_a_hundred_megabytes_are_not_held_in_memory(front: Front, card: Card) -> None:
    response = ask(front, card, wrong("oversize"))
    assert response.length_bytes is not None
    assert response.length_bytes > 100_000_000
    assert response.parts is not None
    assert len(next(iter(response.parts))) == 65536


def test_transport_switches_reach_the_response(front: Front, card: Card) -> None:
    response = ask(
        front, card, wrong("drip", (3, 0.5)), wrong("late", 2), wrong("cut", 9), wrong("length", 7), wrong("chunked")
    )
    assert (response.drip_bytes, response.drip_s, response.delay_s, response.cut_bytes) == (3, 0.5, 2.0, 9)
    assert response.length_bytes == len(response.body) + 7
    assert response.chunked
    assert ask(front, card, wrong("close")).ending is Ending.CLOSE
    assert ask(front, card, wrong("abort")).ending is Ending.ABORT


def test_a_server_can_sign_another_name_than_it_was_called_by(p256: Pki, card: Card) -> None:
    server = VirtualSmdp(ServerIdentity.smdp(p256), SmdpSettings(signed_address=f"{ADDRESS}:8443"))
    client = Client(server, card)
    assert signed1(fields_of(client.initiate())).get(0x83).text() == f"{ADDRESS}:8443"
    assert client.authenticate().code == "8.2.6/3.8"  # there is no order; the name inside is not minded
