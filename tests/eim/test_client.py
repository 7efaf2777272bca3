"""The eIM client over a carrier that plays back answers. Message bytes are from SGP.32 v1.2's ASN.1, by hand."""

from __future__ import annotations

import logging

import pytest

from ipad_agent.codec.esipa.eim_package import (
    DownloadTriggerOrder,
    EuiccPackageOrder,
    MalformedPackage,
    NoPackage,
    StateChangeCause,
)
from ipad_agent.codec.identifiers import Eid, Plmn
from ipad_agent.eim.errors import UnreadableAnswer
from ipad_agent.eim.esipa_client import EimClient
from ipad_agent.errors import EimError
from ipad_agent.net import ConnectionLost, PeerBusy, PeerStatus, TransferTimeout, Unreachable

# The EID of SGP.02's examples; GetEimPackage with EID only is BF4F 12 5A 10 <EID>.
EID_HEX = "89049032123451234512345678901235"
EID = Eid.parse(EID_HEX)
MINIMAL = bytes.fromhex("bf4f125a10" + EID_HEX)
FULL = bytes.fromhex("bf4f1c5a10" + EID_HEX + "8000" + "810101" + "820362f210")
NOTHING = bytes.fromhex("bf4f03020101")
UNDEFINED = bytes.fromhex("bf4f0302017f")
# An unsigned package error with association token 3: BF51 { A2 { 80 01 65, 84 01 03 } }.
RESULT = bytes.fromhex("bf5108a206800165840103")
# One eUICC Package, as in the comment of its lines: enable with rollback, getRAT, listProfileInfo; counter 1.
PACKAGE = bytes.fromhex(
    "bf5134" + "302f" + "800165" + "5a10" + EID_HEX + "810101a015a30e5a0a980010325476981032140500a600bf2d005f3700"
)


class Carrier:
    """Plays back ``answers``; an exception among them is raised."""

    scheme = "coaps"
    bytes_sent = 0
    bytes_received = 0

    def __init__(self, *answers: bytes | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, bytes]] = []
        self.closed = False

    async def reach(self) -> None:
        return None

    async def exchange(self, body: bytes, *, function: str) -> bytes:
        self.asked.append((function, body))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        self.closed = True


def client(*answers: bytes | Exception) -> tuple[EimClient, Carrier]:
    carrier = Carrier(*answers)
    return EimClient(carrier, EID, eim_id="eim-1"), carrier


async def test_poll_of_the_smallest_kind_is_21_bytes() -> None:
    eim, carrier = client(NOTHING)
    assert await eim.get_eim_package() == NoPackage(1)
    assert carrier.asked == [("GetEimPackage", MINIMAL)]
    assert len(MINIMAL) == 21
    assert not eim.tolerances


def status(code: str, body: str) -> PeerStatus:
    return PeerStatus(code, body=bytes.fromhex(body))


@pytest.mark.parametrize(("code", "number"), [("404", 1), ("4.04", 1), ("4.04", 2), ("400", 4), ("5.00", 3)])
async def test_an_error_of_esipa_in_the_body_of_a_status_is_the_answer(
    code: str, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ipad_agent")
    eim, carrier = client(status(code, f"bf4f030201{number:02x}"))
    assert await eim.get_eim_package() == NoPackage(number)
    assert len(carrier.asked) == 1
    assert "IPA-3175" in [record.event.id for record in caplog.records if hasattr(record, "event")]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "3c68746d6c3e",
        "bf4f0302017f",  # undefinedError: no more than the status says
        "bf4f00",
        "bf50030201" + "01",
        "bf4f37" + PACKAGE.hex(),  # nothing is done by the word of an answer that says no
        "bf4f060201018501" + "00",
    ],
)
async def test_anything_else_in_the_body_of_a_status_is_no_answer(body: str) -> None:
    eim, _ = client(status("404", body))
    with pytest.raises(PeerStatus, match="404"):
        await eim.get_eim_package()


async def test_a_result_refused_by_a_status_with_its_error_is_refused_by_the_error() -> None:
    eim, carrier = client(status("400", "bf5003020102"), status("400", "bf5003020102"))
    assert (await eim.provide_eim_package_result(RESULT)).error == 2
    assert {function for function, _ in carrier.asked} == {"ProvideEimPackageResult"}


async def test_package_arrives_with_the_bytes_the_eim_signed() -> None:
    eim, _ = client(bytes.fromhex("bf4f37") + PACKAGE)
    package = await eim.get_eim_package()
    assert isinstance(package, EuiccPackageOrder), package
    assert package.raw == PACKAGE


async def test_state_change_and_network_are_told() -> None:
    eim, carrier = client(NOTHING)
    await eim.get_eim_package(state_change=StateChangeCause.FALLBACK, rplmn=Plmn.parse("26201"))
    assert carrier.asked == [("GetEimPackage", FULL)]


@pytest.mark.parametrize("refusal", [PeerStatus("4.00"), PeerStatus("5.00"), UNDEFINED])
async def test_eim_of_an_older_release_is_asked_again_without_optional_fields(refusal: bytes | Exception) -> None:
    eim, carrier = client(refusal, NOTHING, NOTHING)
    assert await eim.get_eim_package(rplmn=Plmn.parse("26201")) == NoPackage(1)
    await eim.get_eim_package(rplmn=Plmn.parse("26201"))
    assert [body for _, body in carrier.asked[1:]] == [MINIMAL, MINIMAL]


async def test_a_state_change_that_was_refused_goes_with_the_next_question_too() -> None:
    eim, carrier = client(PeerStatus("4.00"), NOTHING, NOTHING, NOTHING)
    await eim.get_eim_package(state_change=StateChangeCause.FALLBACK, rplmn=Plmn.parse("26201"))
    await eim.get_eim_package(rplmn=Plmn.parse("26201"))
    await eim.get_eim_package()
    assert [body for _, body in carrier.asked] == [FULL, MINIMAL, FULL, MINIMAL]


async def test_an_eim_that_never_takes_a_state_change_is_not_offered_it_for_ever() -> None:
    refused: list[bytes | Exception] = [PeerStatus("4.00"), NOTHING]
    eim, carrier = client(*refused * 3, NOTHING)
    await eim.get_eim_package(state_change=StateChangeCause.FALLBACK, rplmn=Plmn.parse("26201"))
    for _ in range(3):
        await eim.get_eim_package(rplmn=Plmn.parse("26201"))
    assert [body for _, body in carrier.asked] == [*[FULL, MINIMAL] * 3, MINIMAL]


async def test_eim_that_refuses_the_plain_form_too_is_not_taken_for_old() -> None:
    eim, carrier = client(PeerStatus("5.00", "first"), PeerStatus("5.00", "second"), NOTHING)
    with pytest.raises(PeerStatus, match="first"):
        await eim.get_eim_package(rplmn=Plmn.parse("26201"))
    await eim.get_eim_package(rplmn=Plmn.parse("26201"))
    assert carrier.asked[2][1] != MINIMAL


async def test_a_state_change_offered_again_by_the_caller_is_given_up_after_three_refusals_and_not_before() -> None:
    refused: list[bytes | Exception] = [UNDEFINED, NOTHING]
    eim, carrier = client(*refused * 3)
    untold = []
    for _ in range(3):
        await eim.get_eim_package(state_change=StateChangeCause.FALLBACK, rplmn=Plmn.parse("26201"))
        untold.append(eim.change_untold)
    assert untold == [True, True, False]
    assert [body for _, body in carrier.asked] == [FULL, MINIMAL] * 3


async def test_a_state_change_that_was_taken_is_told() -> None:
    eim, _ = client(NOTHING)
    await eim.get_eim_package(state_change=StateChangeCause.FALLBACK, rplmn=Plmn.parse("26201"))
    assert not eim.change_untold


@pytest.mark.parametrize("trouble", [ConnectionLost("closed"), TransferTimeout("silence"), Unreachable("gone")])
async def test_an_eim_that_answers_one_question_only_has_answered(trouble: Exception) -> None:
    eim, carrier = client(UNDEFINED, trouble)
    assert await eim.get_eim_package(rplmn=Plmn.parse("26201")) == NoPackage(127)
    eim, carrier = client(PeerStatus("5.00", "first"), trouble)
    with pytest.raises(PeerStatus, match="first"):
        await eim.get_eim_package(rplmn=Plmn.parse("26201"))
    assert len(carrier.asked) == 2


async def test_undefined_error_to_both_forms_is_the_answer() -> None:
    eim, _ = client(UNDEFINED, UNDEFINED)
    assert await eim.get_eim_package(rplmn=Plmn.parse("26201")) == NoPackage(127)


@pytest.mark.parametrize("trouble", [PeerStatus("4.04"), PeerBusy(60), Unreachable("gone")])
async def test_other_trouble_is_not_answered_with_a_second_request(trouble: Exception) -> None:
    eim, carrier = client(trouble)
    with pytest.raises(type(trouble)):
        await eim.get_eim_package(rplmn=Plmn.parse("26201"))
    assert len(carrier.asked) == 1


async def test_result_goes_out_unchanged_with_the_eid() -> None:
    eim, carrier = client(bytes.fromhex("bf5009bf5306800101800102"))
    response = await eim.provide_eim_package_result(RESULT)
    assert carrier.asked == [("ProvideEimPackageResult", bytes.fromhex("bf501d5a10" + EID_HEX) + RESULT)]
    assert (response.acknowledged, response.error) == ((1, 2), None)


async def test_result_goes_without_eid_to_an_eim_that_cannot_read_it() -> None:
    eim, carrier = client(PeerStatus("5.00"), bytes.fromhex("bf5003bf5300"), bytes.fromhex("bf50023000"))
    await eim.provide_eim_package_result(RESULT)
    await eim.provide_eim_package_result(RESULT)
    plain = bytes.fromhex("bf500b") + RESULT
    assert [body for _, body in carrier.asked[1:]] == [plain, plain]


async def test_known_old_eim_gets_the_plain_forms_at_once() -> None:
    # v1.0 GetEimPackageRequest: 5A, 80 notifyStateChange; 81 would be the network there and the cause since v1.1.
    carrier = Carrier(NOTHING, NOTHING, bytes.fromhex("bf5000"))
    eim = EimClient(carrier, EID, dialect="1.0")
    await eim.get_eim_package(rplmn=Plmn.parse("26201"))
    await eim.get_eim_package(state_change=StateChangeCause.LOCAL)
    await eim.provide_eim_package_result(RESULT)
    changed = bytes.fromhex("bf4f145a10" + EID_HEX + "8000")
    assert [body for _, body in carrier.asked] == [MINIMAL, changed, bytes.fromhex("bf500b") + RESULT]


@pytest.mark.parametrize("body", ["", "bf5000", "bf50023000"])
async def test_result_without_acknowledgement_is_accepted(body: str) -> None:
    eim, _ = client(bytes.fromhex(body))
    assert (await eim.provide_eim_package_result(RESULT)).acknowledged == ()


async def test_error_of_the_eim_to_a_result_is_in_the_answer() -> None:
    eim, _ = client(bytes.fromhex("bf500302017f"))
    assert (await eim.provide_eim_package_result(RESULT)).error == 127


async def test_notification_is_delivered_by_an_empty_answer() -> None:
    eim, carrier = client(b"")
    notification = bytes.fromhex("3005bf2f020c00")
    await eim.handle_notification(notification)
    assert carrier.asked == [("HandleNotification", bytes.fromhex("bf3d09a007") + notification)]


async def test_notification_that_was_refused_raises() -> None:
    eim, _ = client(PeerStatus("5.00"))
    with pytest.raises(PeerStatus):
        await eim.handle_notification(bytes.fromhex("3000"))


NO_ESIPA = ["ff", "bf4f05020101", "bf2003020101", "bf5002300000", b"<html>502 Bad Gateway</html>".hex()]


@pytest.mark.parametrize("body", NO_ESIPA)
async def test_answer_to_a_result_that_is_no_esipa_counts_as_not_delivered(body: str) -> None:
    eim, _ = client(bytes.fromhex(body))
    with pytest.raises(EimError) as caught:
        await eim.provide_eim_package_result(RESULT)
    assert isinstance(caught.value, UnreadableAnswer)


@pytest.mark.parametrize("body", NO_ESIPA)
async def test_question_answered_with_no_esipa_gives_a_malformed_package_so_that_the_eim_is_told(body: str) -> None:
    eim, carrier = client(bytes.fromhex(body))
    package = await eim.get_eim_package(rplmn=Plmn.parse("26201"))
    assert isinstance(package, MalformedPackage)
    assert (package.raw, package.eim_transaction_id) == (bytes.fromhex(body), None)
    assert package.reason
    assert len(carrier.asked) == 1


@pytest.mark.parametrize("padding", [b"\n", b"\r\n\r\n", b" \t\n"])
async def test_a_message_with_blanks_behind_it_is_that_message(padding: bytes) -> None:
    eim, _ = client(NOTHING + padding, bytes.fromhex("bf4f37") + PACKAGE + padding, padding)
    assert await eim.get_eim_package() == NoPackage(1)
    package = await eim.get_eim_package()
    assert isinstance(package, EuiccPackageOrder), package
    assert package.raw == PACKAGE
    assert (await eim.provide_eim_package_result(RESULT)).acknowledged == ()
    assert eim.tolerances["padded-message"] == 3


@pytest.mark.parametrize("rest", [b"x", b"\n.", NOTHING, b"\0"])
async def test_a_message_with_something_else_behind_it_is_none(rest: bytes) -> None:
    eim, _ = client(NOTHING + rest)
    assert isinstance(await eim.get_eim_package(), MalformedPackage)


async def test_a_message_that_ends_in_zero_bytes_or_blanks_keeps_them() -> None:
    eim, _ = client(bytes.fromhex("bf4f07" + "bf5404" + "82020020"))
    package = await eim.get_eim_package()
    assert isinstance(package, DownloadTriggerOrder), package
    assert package.eim_transaction_id == b"\0 "


async def test_package_that_cannot_be_read_is_no_error_of_the_client() -> None:
    eim, _ = client(bytes.fromhex("bf4f05bf51023000"))
    assert isinstance(await eim.get_eim_package(), MalformedPackage)


async def test_tolerances_are_counted_and_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ipad_agent")
    eim, _ = client(b"", b"")
    assert isinstance(await eim.get_eim_package(), NoPackage)
    await eim.get_eim_package()
    assert list(eim.tolerances.values()) == [2]
    assert [r.event.id for r in caplog.records if hasattr(r, "event")] == ["IPA-9050", "IPA-9050"]


async def test_close_ends_the_association() -> None:
    eim, carrier = client()
    await eim.close()
    assert carrier.closed
