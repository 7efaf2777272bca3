"""IPA eUICC data request: every tag, both dialects, every refusal (SGP.32 v1.2 §2.11.1.2)."""

from __future__ import annotations

import pytest

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.ber.tlv_fields import ResultCode
from ipad_agent.codec.es10.es10_requests import Certificates
from ipad_agent.codec.es10.euicc_info import Version
from ipad_agent.codec.es10.notifications import Criterion, RetrievedNotifications
from ipad_agent.codec.esipa.device_info import Release
from ipad_agent.codec.esipa.ipa_euicc_data import IpaEuiccDataRequest
from ipad_agent.errors import CardError, ModemError, Remedy
from ipad_agent.procedures.packages import data_request_answer

from .fakes import ICCID_A, Bench, eim_config, notification, profile, signed_result


def request(hex_body: str) -> IpaEuiccDataRequest:
    return IpaEuiccDataRequest.parse(tlv.encode(0xBF52, bytes.fromhex(hex_body)))


async def ask(bench: Bench, hex_body: str) -> bytes:
    return await data_request_answer.answer(bench.context, bench.eim, request(hex_body))


async def item(bench: Bench, hex_body: str) -> tlv.Tlv:
    """The content of the only item that was asked for."""
    (element,) = tlv.parse(await ask(bench, hex_body)).require(0xA0).children()
    return element


async def test_the_addresses_come_from_the_card() -> None:
    bench = Bench()
    assert (await item(bench, "5C0181")).value == b"smdp.default.example"
    assert (await item(bench, "5C0183")).value == b"smds.example"


async def test_the_old_dialect_is_answered_in_the_old_dialect() -> None:
    assert (await item(Bench(), "5C0180")).raw == b"\x80\x14smdp.default.example"


async def test_notifications_and_results_travel_as_the_card_signed_them() -> None:
    bench = Bench()
    bench.card.pending = {8: notification(8)}
    bench.card.stored = {5: signed_result(5)}
    assert (await item(bench, "5C01A0")).value == notification(8)
    assert (await item(bench, "5C01A2")).value == signed_result(5)


async def test_infos_travel_as_the_card_wrote_them() -> None:
    bench = Bench()
    assert (await item(bench, "5C02BF22")).raw == bench.card.info2
    assert (await item(bench, "5C02BF20")).raw.hex() == "bf20148203020500a906040411223344aa050403112233"


async def test_an_eim_sees_its_own_association_token_and_nobody_elses() -> None:
    bench = Bench()
    bench.card.configs = (eim_config("somebody else", token=9), eim_config("eim1", token=128))
    assert (await item(bench, "5C0184")).raw.hex() == "84020080"


async def test_without_a_token_the_item_is_left_out() -> None:
    bench = Bench()
    assert await ask(bench, "5C0184") == bytes.fromhex("BF5202A000")


async def test_certificates_lose_their_sequence_tag_to_the_field_tag() -> None:
    # rule T5: A5/A6 are implicit tags over the certificate's 30
    assert await ask(Bench(), "5C02A5A6") == bytes.fromhex("BF5208A006A50101A60102")


async def test_a_key_identifier_may_be_cut_short_and_is_completed_from_the_card() -> None:
    bench = Bench()
    await ask(bench, "5C01A504021122")
    assert "certs 112233" in bench.card.log


async def test_an_unknown_key_identifier_is_refused_by_its_code() -> None:
    assert await ask(Bench(), "5C01A504029999830101") == bytes.fromhex("BF5208A106800101020105")


async def test_a_card_that_does_not_know_the_key_identifier_gives_the_same_code() -> None:
    bench = Bench()
    bench.card.certificates = Certificates(error=ResultCode(1))
    assert await ask(bench, "5C01A5") == bytes.fromhex("BF5205A103020105")


@pytest.mark.parametrize("tags", ["5C015A", "5C02BF2D", "5C00", "", "5C01BF"])
async def test_a_tag_list_that_makes_no_sense_is_incorrect_tag_list(tags: str) -> None:
    assert await ask(Bench(), tags) == bytes.fromhex("BF5205A103020101")


async def test_the_old_dialect_gets_its_error_in_the_old_form() -> None:
    assert await ask(Bench(), "5C02805A") == bytes.fromhex("BF5203810101")


async def test_while_the_emergency_profile_is_enabled_nothing_is_told() -> None:
    bench = Bench()
    bench.card.profiles = [profile(ICCID_A, enabled=True, more="9F7B01FF")]
    assert await ask(bench, "5C0181") == bytes.fromhex("BF5205A103020168")


async def test_the_transaction_is_echoed() -> None:
    assert (await ask(Bench(), "5C018183020102")).endswith(bytes.fromhex("87020102"))


async def test_device_info_has_the_swapped_digits_of_the_imei() -> None:
    # IMEI 35290611-000000-0: TAC 53 92 60 11; the last byte is the check digit 0 above the filler F (SGP.22 §4.2)
    assert (await item(Bench(), "5C01A9")).raw.hex() == "a912800453926011a1008208539260110000000f"


async def test_device_info_names_the_technologies_that_are_known_and_no_others() -> None:
    bench = Bench()
    bench.device.releases_value = {Release.EUTRAN_EPC: Version(13, 0, 0), Release.GSM: Version(99, 0, 0)}
    assert (await item(bench, "5C01A9")).raw.hex() == "a91c800453926011a10a8003630000" + "85030d0000" + (
        "8208539260110000000f"
    )


async def test_a_device_that_hides_its_imei_tells_the_type_that_is_configured() -> None:
    bench = Bench()
    bench.device.imei_value = None
    bench.device.tac_value = "35329061"
    assert (await item(bench, "5C01A9")).raw.hex() == "a908800453230916a100"


async def test_a_modem_that_hides_its_imei_still_gives_an_answer() -> None:
    bench = Bench()
    bench.device.failure = ModemError("no IMEI")
    assert (await item(bench, "5C01A9")).raw.hex() == "a908800400000000a100"


class NotThereError(CardError):
    remedy = Remedy.GIVE_UP


async def test_a_card_without_the_function_is_an_undefined_error_and_a_lost_card_is_raised() -> None:
    bench = Bench()

    async def refuse(ci_pkid: bytes | None = None) -> Certificates:
        raise NotThereError("6A88")

    bench.card.get_certs = refuse  # type: ignore[method-assign]
    assert await ask(bench, "5C01A5") == bytes.fromhex("BF5205A10302017F")

    async def lose(ci_pkid: bytes | None = None) -> Certificates:
        raise CardError("gone")

    bench.card.get_certs = lose  # type: ignore[method-assign]
    with pytest.raises(CardError):
        await ask(bench, "5C01A5")


async def test_an_answer_that_cannot_be_read_is_an_undefined_error_and_not_asked_for_again_for_ever() -> None:
    bench = Bench()

    async def babble(ci_pkid: bytes | None = None) -> Certificates:
        error = CardError("unreadable")
        error.answer = b"\xff"
        raise error

    bench.card.get_certs = babble  # type: ignore[method-assign]
    assert await ask(bench, "5C01A5") == bytes.fromhex("BF5205A10302017F")


# -- what the card does not tell: "unreadable" is never "none" ---------------------------------------------------------

EVERYTHING = "5C0D" + "A081A2BF20BF228384A5A6A8A9"


def unreadable(*_: object) -> None:
    error = CardError("the answer cannot be read")
    error.answer = b"\xff"
    raise error


def lacking(*_: object) -> None:
    raise NotThereError("6A88")


async def items(bench: Bench, hex_body: str) -> dict[int, bytes]:
    """What was told, by tag."""
    content = tlv.parse(await ask(bench, hex_body)).require(0xA0)
    return {element.tag: element.value for element in content}


@pytest.mark.parametrize("failure", [unreadable, lacking])
@pytest.mark.parametrize(
    ("function", "missing"),
    [
        ("retrieve_notifications", {0xA0, 0xA2}),
        ("get_configured_addresses", {0x81, 0x83}),
        ("get_euicc_info1", {0xBF20}),
        ("get_euicc_info2", {0xBF22}),
        ("get_eim_configuration", {0x84}),
        ("get_certs", {0xA5, 0xA6}),
        ("get_profiles", set()),
    ],
)
async def test_one_item_that_the_card_does_not_tell_leaves_out_that_item(
    function: str, missing: set[int], failure: object
) -> None:
    bench = Bench()
    bench.card.configs = (eim_config("eim1", token=7),)
    everything = set(await items(bench, EVERYTHING))
    assert everything == {0xA0, 0x81, 0xA2, 0xBF20, 0xBF22, 0x83, 0x84, 0xA5, 0xA6, 0xA8, 0xA9}

    async def fail(*arguments: object) -> None:
        assert callable(failure)
        failure(*arguments)

    setattr(bench.card, function, fail)
    assert set(await items(bench, EVERYTHING)) == everything - missing


@pytest.mark.parametrize(
    ("question", "function"),
    [
        ("5C01A0", "retrieve_notifications"),
        ("5C0181", "get_configured_addresses"),
        ("5C02BF20", "get_euicc_info1"),
        ("5C0184", "get_eim_configuration"),
        ("5C02A5A6", "get_certs"),
    ],
)
async def test_when_nothing_can_be_told_that_is_an_undefined_error(question: str, function: str) -> None:
    bench = Bench()

    async def fail(*_: object) -> None:
        unreadable()

    setattr(bench.card, function, fail)
    assert await ask(bench, question) == bytes.fromhex("BF5205A10302017F")


# RetrieveNotificationsList: undefinedError(127); a list with an element that is no notification
REFUSED_LIST, UNREADABLE_LIST = "BF2B0381017F", "BF2B04A0023000"


@pytest.mark.parametrize("answer", [REFUSED_LIST, UNREADABLE_LIST])
async def test_a_list_that_the_card_refuses_is_not_an_empty_one(answer: str, caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()

    async def refuse(criterion: Criterion | None = None) -> RetrievedNotifications:
        return RetrievedNotifications.parse(bytes.fromhex(answer))

    bench.card.retrieve_notifications = refuse  # type: ignore[method-assign]
    assert set(await items(bench, "5C03A0A281")) == {0x81}
    assert await ask(bench, "5C01A0") == bytes.fromhex("BF5205A10302017F")
    assert await ask(bench, "5C02BF2B") == bytes.fromhex("BF520381017F")  # in the words of v1.0
    said = [record.getMessage() for record in caplog.records if "gets no answer" in record.getMessage()]
    assert len(said) == 4
    assert "notifications" in said[0]


async def test_an_empty_list_is_told_as_one() -> None:
    assert await ask(Bench(), "5C02A0A2") == bytes.fromhex("BF5206A004A000A200")


async def test_a_certificate_that_cannot_be_read_does_not_hide_the_other() -> None:
    bench = Bench()
    bench.card.certificates = Certificates(None, b"\x30\x01\x02")
    assert await items(bench, "5C02A5A6") == {0xA6: b"\x02"}
    assert await ask(bench, "5C01A5") == bytes.fromhex("BF5205A10302017F")


async def test_certificates_that_the_card_refuses_are_left_out() -> None:
    bench = Bench()
    bench.card.certificates = Certificates(error=ResultCode(127))
    assert set(await items(bench, "5C03A581A6")) == {0x81}


async def test_a_card_that_is_gone_is_no_answer() -> None:
    for function in ("retrieve_notifications", "get_configured_addresses", "get_profiles", "get_euicc_info2"):
        bench = Bench()

        async def lose(*_: object) -> None:
            raise CardError("gone")

        setattr(bench.card, function, lose)
        with pytest.raises(CardError):
            await ask(bench, EVERYTHING)
