"""Which release an eIM speaks: told by what it shows, remembered, and right in the first result that it gets.

Message bytes are from the ASN.1 of SGP.32 v1.0 and v1.2, by hand.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from ipad_agent.codec.identifiers import Eid, Plmn
from ipad_agent.eim import BINDINGS, EimClient, FunctionRefused, PeerDialect
from ipad_agent.eim.esipa_dialect import DialectChoice
from ipad_agent.eim.result_offers import MAX_REFUSALS
from ipad_agent.net import PeerBusy, PeerStatus

from .test_client import EID_HEX, NOTHING, Carrier

EID = Eid.parse(EID_HEX)
# A signed result without eimTransactionId: eimId "e", counter 1, seqNumber 5, enable ok; the signature cut to one byte.
SIGNED = bytes.fromhex("bf5116 a014 300e 800165 810101 830105 3003830100 5f370100")
SIGNED_6 = SIGNED.replace(bytes.fromhex("830105"), bytes.fromhex("830106"))
NOTIFICATION = bytes.fromhex("3005bf2f020c00")
COMBINED = bytes.fromhex("3022") + SIGNED + bytes.fromhex("a007") + NOTIFICATION
WITH_EID = bytes.fromhex("bf502b5a10" + EID_HEX) + SIGNED
ALONE = bytes.fromhex("bf5019") + SIGNED
# Data requests: the SM-DP+ address is 81 since v1.1 and was 80 before; 83 is eimTransactionId (since v1.1).
OLD_QUESTION = bytes.fromhex("bf4f06bf52035c0180")
NEW_QUESTION = bytes.fromhex("bf4f06bf52035c0181")
QUESTION_WITH_TRANSACTION = bytes.fromhex("bf4f0abf52075c02bf20830107")
NEUTRAL_QUESTION = bytes.fromhex("bf4f07bf52045c02bf20")
TRIGGER = bytes.fromhex("bf4f0abf5407a005800324412d")
EMPTY_V1_0, EMPTY_V1_2 = bytes.fromhex("bf5000"), bytes.fromhex("bf50023000")
ACKNOWLEDGED = bytes.fromhex("bf5006bf5303800105")
MISSING_EID = bytes.fromhex("bf5003020104")
EID_NOT_FOUND = bytes.fromhex("bf5003020102")
UNDEFINED = bytes.fromhex("bf500302017f")


def package(transaction: str = "", operations: str = "a6 00", list_tag: str = "a0") -> bytes:
    """GetEimPackageResponse with an eUICC package of these operations (default: getRAT)."""
    listed = bytes.fromhex(operations)
    content = bytes.fromhex("800165 5a10" + EID_HEX + "810101" + transaction)
    content += bytes.fromhex(list_tag) + bytes([len(listed)]) + listed
    signed = b"\x30" + bytes([len(content)]) + content + bytes.fromhex("5f3700")
    return bytes.fromhex("bf4f") + bytes([len(signed) + 3]) + bytes.fromhex("bf51") + bytes([len(signed)]) + signed


class Memory:
    def __init__(self) -> None:
        self.document: Mapping[str, object] = {}

    def load(self) -> Mapping[str, object]:
        return self.document

    def save(self, document: Mapping[str, object]) -> None:
        self.document = dict(document)


class HttpsCarrier(Carrier):
    """Also says how the server calls what it speaks."""

    peer_protocol: str | None = None


def client(
    *answers: bytes | Exception, dialect: DialectChoice = "auto", memory: Memory | None = None, binding: str = "asn1"
) -> tuple[EimClient, HttpsCarrier]:
    carrier = HttpsCarrier(*answers)
    known = PeerDialect("eim-1", dialect, memory)
    return EimClient(carrier, EID, eim_id="eim-1", dialect=known, binding=BINDINGS[binding]), carrier


def results(carrier: Carrier) -> list[bytes]:
    return [body for function, body in carrier.asked if function == "ProvideEimPackageResult"]


# -- the first form is the right one -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "order",
    [OLD_QUESTION, NEUTRAL_QUESTION, TRIGGER, package(), package("82080102030405060708")],
    ids=["tags of v1.0", "data request", "trigger", "package", "package with a transaction, as v1.0 has it too"],
)
async def test_the_first_result_for_an_eim_that_may_be_of_v1_0_has_no_eid(order: bytes) -> None:
    eim, carrier = client(order, ACKNOWLEDGED)
    await eim.get_eim_package()
    await eim.provide_eim_package_result(SIGNED)
    assert results(carrier) == [ALONE]


async def test_notifications_do_not_travel_with_a_result_while_their_form_is_not_known() -> None:
    # ePRAndNotifications has A0 { … } since v1.1 and had BF2B { A0 { … } } before.
    eim, carrier = client(ACKNOWLEDGED)
    await eim.provide_eim_package_result(COMBINED)
    assert results(carrier) == [ALONE]


@pytest.mark.parametrize(
    "shown",
    [
        NEW_QUESTION,
        QUESTION_WITH_TRANSACTION,
        package(operations="a8 0c 5a0a98001032547698103214"),
        bytes.fromhex("bf4f03020102"),
    ],
    ids=["tags since v1.1", "transaction in a data request", "setFallbackAttribute", "eidNotFound"],
)
async def test_an_eim_that_shows_a_later_release_gets_the_eid_and_the_notifications(shown: bytes) -> None:
    eim, carrier = client(shown, ACKNOWLEDGED)
    await eim.get_eim_package()
    await eim.provide_eim_package_result(COMBINED)
    assert results(carrier) == [bytes.fromhex("bf50365a10" + EID_HEX) + COMBINED]


@pytest.mark.parametrize(
    ("header", "release"),
    [
        ("gsma/rsp/v1.3.0", "1.3"),
        ("gsma/rsp/v1.4.0", "1.3"),
        ("gsma/rsp/v1.2.0", "1.2"),
        ("gsma/rsp/v1.0.1", "1.0"),
        ("gsma/rsp/v2.1.0", None),
        ("gsma/rsp/v1", None),
        (None, None),
    ],
)
async def test_the_header_of_an_answer_tells_the_release_since_v1_3(header: str | None, release: str | None) -> None:
    memory = Memory()
    eim, carrier = client(NOTHING, memory=memory)
    carrier.peer_protocol = header
    await eim.get_eim_package()
    assert memory.document.get("release") == release


async def test_json_may_carry_the_eid_at_once_for_a_reader_passes_over_unknown_fields() -> None:
    eim, carrier = client(b'{"header":{"functionExecutionStatus":{"status":"Executed-Success"}}}', binding="json")
    await eim.provide_eim_package_result(SIGNED)
    assert b'"eidValue"' in results(carrier)[0]


# -- wrong guesses cost one message ------------------------------------------------------------------------------------


@pytest.mark.parametrize("refusal", [MISSING_EID, EID_NOT_FOUND, PeerStatus("400"), PeerStatus("5.00")])
async def test_an_eim_that_misses_the_eid_gets_it_at_once_and_from_then_on(refusal: bytes | Exception) -> None:
    eim, carrier = client(refusal, ACKNOWLEDGED, ACKNOWLEDGED)
    assert (await eim.provide_eim_package_result(SIGNED)).acknowledged == (5,)
    await eim.provide_eim_package_result(SIGNED)
    assert results(carrier) == [ALONE, WITH_EID, WITH_EID]


@pytest.mark.parametrize("refusal", [MISSING_EID, EID_NOT_FOUND])
async def test_an_eim_that_misses_the_eid_gets_it_although_the_configuration_says_v1_0(refusal: bytes) -> None:
    """v1.0 has no error there, so the configuration is wrong; the switch behind this result must not be taken back for
    that. The next result begins as the configuration has it."""
    eim, carrier = client(refusal, ACKNOWLEDGED, ACKNOWLEDGED, dialect="1.0")
    answer = await eim.provide_eim_package_result(SIGNED)
    assert answer.error is None
    assert results(carrier) == [ALONE, WITH_EID]
    await eim.provide_eim_package_result(SIGNED)
    assert results(carrier) == [ALONE, WITH_EID, ALONE]


async def test_a_form_without_the_eid_that_once_went_better_is_left_again_when_the_eid_is_missed() -> None:
    trouble = PeerStatus("4.00", "not now")
    eim, carrier = client(trouble, EMPTY_V1_2, MISSING_EID, ACKNOWLEDGED, ACKNOWLEDGED, dialect="1.2")
    for _ in range(3):
        answer = await eim.provide_eim_package_result(SIGNED)
    assert results(carrier) == [WITH_EID, ALONE, ALONE, WITH_EID, WITH_EID]
    assert answer.acknowledged == (5,)


async def test_a_form_without_the_eid_is_not_taken_up_when_just_that_is_what_the_eim_refuses() -> None:
    trouble = PeerStatus("4.00", "not now")
    eim, carrier = client(trouble, MISSING_EID, ACKNOWLEDGED, dialect="1.2")
    with pytest.raises(PeerStatus):
        await eim.provide_eim_package_result(SIGNED)
    await eim.provide_eim_package_result(SIGNED)
    assert results(carrier) == [WITH_EID, ALONE, WITH_EID]


async def test_a_result_that_is_refused_in_both_forms_is_refused() -> None:
    eim, _ = client(PeerStatus("500", "first"), PeerStatus("500", "second"), MISSING_EID, UNDEFINED)
    with pytest.raises(PeerStatus, match="first"):
        await eim.provide_eim_package_result(SIGNED)
    assert (await eim.provide_eim_package_result(SIGNED)).error == 127


async def test_an_error_that_is_not_about_the_eid_is_the_answer_and_tells_the_release() -> None:
    # v1.0 has no provideEimPackageResultError at all.
    eim, carrier = client(UNDEFINED, ACKNOWLEDGED)
    assert (await eim.provide_eim_package_result(SIGNED)).error == 127
    await eim.provide_eim_package_result(SIGNED)
    assert results(carrier) == [ALONE, WITH_EID]


async def test_an_eim_of_v1_0_that_refuses_is_not_troubled_with_a_form_that_it_cannot_read() -> None:
    eim, carrier = client(OLD_QUESTION, PeerStatus("500"))
    await eim.get_eim_package()
    with pytest.raises(PeerStatus):
        await eim.provide_eim_package_result(SIGNED)
    assert results(carrier) == [ALONE]


async def test_what_was_tried_out_outweighs_what_an_order_looks_like() -> None:
    eim, carrier = client(MISSING_EID, ACKNOWLEDGED, OLD_QUESTION, ACKNOWLEDGED)
    await eim.provide_eim_package_result(SIGNED)
    await eim.get_eim_package()
    await eim.provide_eim_package_result(SIGNED)
    assert results(carrier)[-1] == WITH_EID


async def test_an_eim_that_was_renewed_is_known_by_its_answers() -> None:
    eim, carrier = client(OLD_QUESTION, EMPTY_V1_2, ACKNOWLEDGED)
    await eim.get_eim_package()
    assert (await eim.provide_eim_package_result(SIGNED)).acknowledged == ()
    await eim.provide_eim_package_result(SIGNED)
    assert results(carrier) == [ALONE, WITH_EID]


# -- what is remembered ------------------------------------------------------------------------------------------------


async def test_the_dialect_is_remembered_over_a_restart() -> None:
    memory = Memory()
    eim, _ = client(OLD_QUESTION, memory=memory)
    await eim.get_eim_package()
    again, carrier = client(EMPTY_V1_0, memory=memory)
    assert (await again.provide_eim_package_result(COMBINED)).acknowledged == (5,)
    assert results(carrier) == [ALONE]


@pytest.mark.parametrize(
    "document", [{"release": "9"}, {"release": "1.0"}, {"release": "1.0", "weight": "x"}, {"taken": 4}]
)
async def test_a_memory_that_makes_no_sense_is_none(document: dict[str, object]) -> None:
    memory = Memory()
    memory.document = document
    eim, carrier = client(ACKNOWLEDGED, memory=memory)
    await eim.provide_eim_package_result(SIGNED)
    assert results(carrier) == [ALONE]


@pytest.mark.parametrize(("configured", "sent"), [("1.0", ALONE), ("1.2", WITH_EID), ("1.3", WITH_EID)])
async def test_the_configuration_overrules_what_the_eim_shows(configured: DialectChoice, sent: bytes) -> None:
    eim, carrier = client(OLD_QUESTION, NEW_QUESTION, ACKNOWLEDGED, dialect=configured)
    await eim.get_eim_package()
    await eim.get_eim_package()
    await eim.provide_eim_package_result(SIGNED)
    assert results(carrier) == [sent]


# -- v1.0: an empty success is the acknowledgement ---------------------------------------------------------------------


@pytest.mark.parametrize("answer", [b"", EMPTY_V1_0, bytes.fromhex("bf5003bf5300")])
async def test_an_empty_success_of_v1_0_acknowledges_the_signed_result(answer: bytes) -> None:
    eim, _ = client(OLD_QUESTION, answer)
    await eim.get_eim_package()
    assert (await eim.provide_eim_package_result(SIGNED)).acknowledged == (5,)


async def test_the_empty_answer_of_v1_0_is_known_even_as_the_first_thing_that_an_eim_says() -> None:
    eim, _ = client(EMPTY_V1_0)
    assert (await eim.provide_eim_package_result(SIGNED)).acknowledged == (5,)


@pytest.mark.parametrize("answer", [b"", EMPTY_V1_2])
async def test_an_empty_success_of_a_later_release_acknowledges_nothing(answer: bytes) -> None:
    eim, _ = client(NEW_QUESTION, answer)
    await eim.get_eim_package()
    assert (await eim.provide_eim_package_result(SIGNED)).acknowledged == ()


async def test_numbers_that_an_eim_of_v1_0_names_are_those_it_means() -> None:
    eim, _ = client(OLD_QUESTION, bytes.fromhex("bf5006bf5303800104"))
    await eim.get_eim_package()
    assert (await eim.provide_eim_package_result(SIGNED)).acknowledged == (4,)


async def test_a_result_that_was_taken_is_not_sent_again_after_a_power_cut_before_its_removal() -> None:
    memory = Memory()
    eim, _ = client(OLD_QUESTION, EMPTY_V1_0, memory=memory)
    await eim.get_eim_package()
    await eim.provide_eim_package_result(COMBINED)
    again, carrier = client(EMPTY_V1_0, memory=memory)
    assert (await again.provide_eim_package_result(SIGNED)).acknowledged == (5,)
    assert results(carrier) == []
    await again.provide_eim_package_result(SIGNED_6)  # another result is another matter
    assert len(results(carrier)) == 1


async def test_a_result_taken_with_nothing_and_refused_when_it_comes_again_was_taken() -> None:
    memory = Memory()
    eim, _ = client(b"", memory=memory)
    assert (await eim.provide_eim_package_result(SIGNED)).acknowledged == ()
    await refuse_both_forms(memory, NOTHING)
    again, _ = client(PeerStatus("500"), PeerStatus("500"), memory=memory)
    assert (await again.provide_eim_package_result(SIGNED)).acknowledged == (5,)


@pytest.mark.parametrize("trouble", [PeerStatus("4.05"), PeerStatus("404"), PeerStatus("503")])
async def test_a_result_answered_with_nothing_is_not_taken_because_of_another_trouble(trouble: PeerStatus) -> None:
    """Nothing leaves the card by an eIM that has another trouble than a result that came before."""
    memory = Memory()
    eim, _ = client(b"", memory=memory)
    assert (await eim.provide_eim_package_result(SIGNED)).acknowledged == ()
    for _ in range(3):
        again, _ = client(trouble, NOTHING, memory=memory)
        with pytest.raises(PeerStatus):
            await again.provide_eim_package_result(SIGNED)
        await again.get_eim_package()
        await again.close()


async def test_one_refusal_of_a_result_answered_with_nothing_concludes_nothing() -> None:
    memory = Memory()
    eim, _ = client(b"", memory=memory)
    assert (await eim.provide_eim_package_result(SIGNED)).acknowledged == ()
    for _ in range(3):
        await refuse_both_forms(memory)  # and nothing else is answered: the eIM is out of order


async def refuse_both_forms(memory: Memory, *then: bytes) -> None:
    """As ``refuse``, by an eIM of unknown release, which is offered the other form too."""
    eim, _ = client(PeerStatus("500"), PeerStatus("500"), *then, memory=memory)
    with pytest.raises(PeerStatus):
        await eim.provide_eim_package_result(SIGNED)
    if then:
        await eim.get_eim_package()
    await eim.close()


async def refuse(memory: Memory, *then: bytes | Exception, result: bytes = SIGNED) -> None:
    """One poll: the owed result is refused, then the eIM is asked for work."""
    eim, _ = client(PeerStatus("500"), *then, memory=memory)
    with pytest.raises(PeerStatus):
        await eim.provide_eim_package_result(result)
    if then:
        await eim.get_eim_package()
    await eim.close()


@pytest.mark.parametrize(("result", "acknowledged"), [(SIGNED, (5,)), (bytes.fromhex("bf5202a000"), ())])
async def test_a_result_that_v1_0_refuses_for_days_is_given_up(result: bytes, acknowledged: tuple[int, ...]) -> None:
    memory = Memory()
    eim, _ = client(OLD_QUESTION, memory=memory)
    await eim.get_eim_package()
    for _ in range(MAX_REFUSALS):
        await refuse(memory, NOTHING, result=result)
    eim, carrier = client(memory=memory)
    assert (await eim.provide_eim_package_result(result)).acknowledged == acknowledged
    assert results(carrier) == []


async def test_a_result_is_not_given_up_while_the_eim_still_hands_out_its_order() -> None:
    """Then the order is not closed on its side, whatever it refuses."""
    memory = Memory()
    eim, _ = client(OLD_QUESTION, memory=memory)
    await eim.get_eim_package()
    for _ in range(MAX_REFUSALS + 2):
        await refuse(memory, package())
    eim, carrier = client(EMPTY_V1_0, memory=memory)
    await eim.provide_eim_package_result(SIGNED)
    assert results(carrier) == [ALONE]


@pytest.mark.parametrize("trouble", ["403", "502", "5.04"])
async def test_another_trouble_than_an_unread_result_does_not_give_it_up(trouble: str) -> None:
    memory = Memory()
    eim, _ = client(OLD_QUESTION, memory=memory)
    await eim.get_eim_package()
    for _ in range(MAX_REFUSALS + 2):
        eim, _ = client(PeerStatus(trouble), NOTHING, memory=memory)
        with pytest.raises(PeerStatus):
            await eim.provide_eim_package_result(SIGNED)
        await eim.get_eim_package()
        await eim.close()
    eim, carrier = client(EMPTY_V1_0, memory=memory)
    await eim.provide_eim_package_result(SIGNED)
    assert results(carrier) == [ALONE]


@pytest.mark.parametrize("then", [(), (bytes.fromhex("bf4f0302017f"),)])
async def test_refusals_of_an_eim_that_answers_nothing_else_do_not_count(then: tuple[bytes, ...]) -> None:
    memory = Memory()
    eim, _ = client(OLD_QUESTION, memory=memory)
    await eim.get_eim_package()
    for _ in range(MAX_REFUSALS):
        await refuse(memory, *then)
    eim, carrier = client(EMPTY_V1_0, memory=memory)
    await eim.provide_eim_package_result(SIGNED)
    assert results(carrier) == [ALONE]


async def test_being_busy_is_no_refusal() -> None:
    memory = Memory()
    eim, carrier = client(OLD_QUESTION, PeerBusy(60), NOTHING, memory=memory)
    await eim.get_eim_package()
    with pytest.raises(PeerBusy):
        await eim.provide_eim_package_result(SIGNED)
    await eim.get_eim_package()
    assert "refused" not in memory.document
    assert len(results(carrier)) == 1


# -- other messages of v1.0 --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "sent"),
    [
        ("A006 800101 020102", "BF50 03 020102"),
        ("BF54 0C 820101 3007 80017F 04024142", "BF50 0C BF54 09 820101 3004 80024142"),
        ("BF54 08 820101 3003 80017F", "BF50 08 BF54 05 820101 3000"),
        ("BF52 05 A103 020101", "BF50 06 BF52 03 810101"),
    ],
    ids=["eimPackageError", "errorResponse under 80", "no errorResponse", "ipaEuiccDataErrorCode"],
)
async def test_errors_have_the_form_of_v1_0(result: str, sent: str) -> None:
    eim, carrier = client(OLD_QUESTION, EMPTY_V1_0)
    await eim.get_eim_package()
    await eim.provide_eim_package_result(bytes.fromhex(result))
    assert [body.hex() for body in results(carrier)] == [bytes.fromhex(sent).hex()]


async def test_a_download_of_v1_0_is_opened_without_a_transaction_of_the_eim() -> None:
    eim, carrier = client(OLD_QUESTION, bytes.fromhex("bf3903810101"))
    await eim.get_eim_package(rplmn=Plmn.parse("26201"))
    with pytest.raises(Exception, match="invalidDpAddress"):
        await eim.initiate_authentication(challenge=bytes(16), smdp_address="a", eim_transaction_id=b"\1")
    assert carrier.asked[-1][1] == bytes.fromhex("bf39158110" + "00" * 16 + "830161")


# -- CancelSession: with and without the tag of the card's answer ------------------------------------------------------

# The card's answer BF41 { A0 { 30 { 80 0A, 81 127 }, 5F37 } }, its signature cut to one byte.
CANCELLED = bytes.fromhex("bf410e a00c 300680010a81017f 5f370100")
BY_X_680 = bytes.fromhex("bf4113 80010a a10e") + CANCELLED[3:]
NESTED = bytes.fromhex("bf4116 80010a a111") + CANCELLED
CLOSED = bytes.fromhex("bf4102a000")
CANCEL_UNDEFINED = bytes.fromhex("bf410381017f")
INVALID_TRANSACTION = bytes.fromhex("bf4103810101")


@pytest.mark.parametrize("refusal", [PeerStatus("500"), PeerStatus("4.00"), CANCEL_UNDEFINED])
async def test_an_eim_that_refuses_one_form_of_a_cancellation_gets_the_other_and_that_is_remembered(
    refusal: bytes | Exception,
) -> None:
    memory = Memory()
    eim, carrier = client(refusal, CLOSED, memory=memory)
    await eim.cancel_session(b"\x0a", CANCELLED)
    assert [body for _, body in carrier.asked] == [BY_X_680, NESTED]
    again, carrier = client(CLOSED, memory=memory)
    await again.cancel_session(b"\x0a", CANCELLED)
    assert [body for _, body in carrier.asked] == [NESTED]


async def test_the_form_by_the_letter_comes_back_when_the_other_is_refused() -> None:
    memory = Memory()
    memory.document = {"nested_cancel": True}
    eim, carrier = client(PeerStatus("400"), CLOSED, CLOSED, memory=memory)
    for _ in range(2):
        await eim.cancel_session(b"\x0a", CANCELLED)
    assert [body for _, body in carrier.asked] == [NESTED, BY_X_680, BY_X_680]


async def test_a_cancellation_refused_in_both_forms_is_refused_by_the_first() -> None:
    memory = Memory()
    eim, _ = client(PeerStatus("500", "first"), PeerStatus("500", "second"), memory=memory)
    with pytest.raises(PeerStatus, match="first"):
        await eim.cancel_session(b"\x0a", CANCELLED)
    eim, _ = client(CANCEL_UNDEFINED, CANCEL_UNDEFINED, memory=memory)
    with pytest.raises(FunctionRefused, match="undefinedError"):
        await eim.cancel_session(b"\x0a", CANCELLED)
    assert not memory.document


@pytest.mark.parametrize("trouble", [INVALID_TRANSACTION, PeerStatus("404"), PeerBusy(60)])
async def test_a_refusal_that_is_not_about_the_form_is_final(trouble: bytes | Exception) -> None:
    eim, carrier = client(trouble)
    with pytest.raises((FunctionRefused, PeerStatus, PeerBusy)):
        await eim.cancel_session(b"\x0a", CANCELLED)
    assert [body for _, body in carrier.asked] == [BY_X_680]


async def test_json_has_one_form_of_a_cancellation() -> None:
    eim, carrier = client(PeerStatus("500"), binding="json")
    with pytest.raises(PeerStatus):
        await eim.cancel_session(b"\x0a", CANCELLED)
    assert len(carrier.asked) == 1
