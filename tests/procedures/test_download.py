"""Profile downloads, directly and through the eIM: what the card gets, what the server and the eIM are told
(SGP.32 v1.2 §3.2.3, SGP.22 v2.5 §3.0.1, §3.1.3).

Long: one procedure, cut off and refused at each of its steps.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable

import pytest

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.es10.es10_requests import ConfiguredAddresses
from ipad_agent.codec.esipa.device_info import IpaFeature
from ipad_agent.codec.esipa.download_trigger import DownloadTrigger
from ipad_agent.codec.esipa.eim_package import ProvideResultResponse, StateChangeCause
from ipad_agent.codec.esipa.esipa_download import AuthenticateClientSmds
from ipad_agent.codec.rsp.es9_messages import EventEntries, EventEntry
from ipad_agent.errors import CardError, EimError, NetworkError, Remedy
from ipad_agent.procedures.context import DownloadRules
from ipad_agent.procedures.records.download_cuts import MAX_UNANSWERED
from ipad_agent.procedures.records.state_changes import snapshot
from ipad_agent.procedures.retrieval.eim_package_retrieval import PollEnd, poll
from ipad_agent.smdp.errors import ServerBusy, ServerStatus

from .downloads import (
    ADDRESS,
    DEFAULT,
    EIM_TRANSACTION,
    ICCID,
    SMDS,
    TRANSACTION,
    Direct,
    MalformedPackageError,
    Relaying,
    Server,
    ServerError,
    StatusError,
    UntrustedError,
    bench,
    certificate,
    code,
    error_of,
    installation_result,
    installs,
    keep,
    metadata,
    outcome,
    package,
    response_of,
    smdp,
    trigger,
)
from .fakes import CHALLENGE, EID, ICCID_A, Bench, profile

BOTH_WAYS = pytest.mark.parametrize("direct", [True, False], ids=["directly", "through the eIM"])

MALFORMED = bytes.fromhex("A007" + "8002E1E2" + "020101")
"""eimPackageResultResponseError { eimTransactionId, invalidPackageFormat(1) }."""
POSTPONED, TIMEOUT, PPR, METADATA, LOADING, UNDEFINED = 1, 2, 3, 4, 5, 127


class RefusedByEimError(EimError):
    """What the eIM says with an error number."""

    remedy = Remedy.GIVE_UP


class BusyError(EimError):
    retry_after_s = 60.0


class LostError(CardError):
    remedy = Remedy.RETRY_AFTER_RESET


class CannotError(CardError):
    remedy = Remedy.GIVE_UP


async def run(made: Bench) -> PollEnd:
    return (await poll(made.context, made.eim)).end


def reasons(made: Bench) -> list[int]:
    """The reasons with which the card was asked to cancel."""
    return [int(entry.split()[1]) for entry in made.card.log if entry.startswith("cancel")]


def old_profile_stayed(made: Bench) -> bool:
    first = made.card.profiles[0]
    return first.enabled and first.iccid_raw == bytes.fromhex(ICCID_A)[2:]


# -- the good case -----------------------------------------------------------------------------------------------------


async def test_directly_the_result_goes_to_the_smdp_and_to_the_eim() -> None:
    made, server = bench(direct=True)
    assert await run(made) is PollEnd.NO_MORE_WORK
    assert server.log == ["initiate", "authenticate", "package"]
    assert made.card.log[:5] == ["challenge", "authenticate", "prepare", "install", "enable"]
    assert smdp(made).notified == [(ADDRESS, installation_result())]
    (result,) = made.link.results
    assert outcome(result).raw == installation_result()
    assert made.card.pending == {}
    assert made.journal.entries() == []


async def test_through_the_eim_the_notification_is_the_result() -> None:
    made, server = bench(direct=False)
    assert await run(made) is PollEnd.NO_MORE_WORK
    assert server.log == ["initiate", "authenticate", "package"]
    assert made.link.notifications == [installation_result()]
    assert made.link.results == []
    assert made.card.pending == {}
    assert made.journal.entries() == []


@BOTH_WAYS
async def test_the_card_gets_what_the_server_signed_byte_for_byte(direct: bool) -> None:
    made, server = bench(direct=direct)
    server.ci_pkid = bytes.fromhex("11")
    seen: list[bytes] = []
    install = made.card.install

    def look(bpp: bytes, on_segment: Callable[[int, int], None]) -> bytes | None:
        seen.append(bpp)
        return install(bpp, on_segment)

    made.card.install = look
    await run(made)
    authenticate, prepare = (tlv.parse(request) for request in made.card.requests)
    signed, certificate_given = (part for part in authenticate if part.tag == 0x30)
    assert signed.require(0x81).value == CHALLENGE
    assert certificate_given.raw == server.auth_certificate
    assert authenticate.require(0x04).value == bytes.fromhex("112233")  # completed from the card's list
    context = authenticate.require(0xA0)
    assert context.require(0x80).text() == "M-1"
    # TAC 35290611 with swapped nibbles
    assert context.require(0xA1).require(0x80).value == bytes.fromhex("53926011")
    assert prepare.find(0x04) is None
    assert seen == [server.package]
    assert server.said == [made.card.authenticated, made.card.prepared]


async def test_the_eim_hears_of_its_transaction_and_of_the_address() -> None:
    made, server = bench(direct=False)
    await run(made)
    assert isinstance(made.link, Relaying)
    assert made.link.eim_transactions == [EIM_TRANSACTION]
    assert server.addresses == [ADDRESS]


async def test_directly_only_the_cis_of_the_card_vouch_for_the_server() -> None:
    made, _ = bench(direct=True)
    await run(made)
    assert smdp(made).pkids[0] == (bytes.fromhex("11223344"),)


@BOTH_WAYS
async def test_other_eims_are_told_of_the_new_profile(direct: bool) -> None:
    made, _ = bench(direct=direct)
    made.others = ("eim2",)
    made.context.changes.learn(str(EID), snapshot(made.card.profiles))
    await run(made)
    assert made.context.changes.pending("eim2") is StateChangeCause.OTHER_EIM
    assert made.context.changes.pending("eim1") is None


@BOTH_WAYS
async def test_a_profile_that_the_card_refuses_is_told_in_the_cards_own_words(direct: bool) -> None:
    made, _ = bench(direct=direct)
    refusal = installation_result(error="80010581010C")
    made.card.install = installs(made, refusal)
    await run(made)
    assert "enable" not in made.card.log
    if direct:
        assert outcome(made.link.results[0]).raw == refusal
        assert smdp(made).notified == [(ADDRESS, refusal)]
    else:
        assert made.link.notifications == [refusal]
        assert made.link.results == []
    assert made.card.pending == {}
    assert old_profile_stayed(made)


async def test_progress_is_told_in_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ipad_agent")
    made, _ = bench(direct=True)
    made.card.install = installs(made, segments=400)
    await run(made)
    ids = [record.event.id for record in caplog.records if hasattr(record, "event")]
    assert ids.count("IPA-4053") == 1
    assert ids.count("IPA-4054") == 8
    assert len(ids) <= 24


# -- where from --------------------------------------------------------------------------------------------------------


async def test_the_default_smdp_is_the_cards_and_gets_an_empty_matching_id() -> None:
    made, server = bench(direct=True)
    server.address = "smdp.default.example"
    made.link.packages = [trigger(DEFAULT)]
    await run(made)
    assert smdp(made).connected[0] == "smdp.default.example"
    context = tlv.parse(made.card.requests[0]).require(0xA0)
    assert context.require(0x80).raw == bytes.fromhex("8000")
    assert outcome(made.link.results[0]).tag == 0xBF37


@pytest.mark.parametrize("data", [DEFAULT, SMDS])
async def test_a_card_without_the_address_it_should_know_is_reported(data: str) -> None:
    made, server = bench(direct=True)
    made.link.packages = [trigger(data)]

    async def nothing() -> ConfiguredAddresses:
        return ConfiguredAddresses(None, None)

    made.card.get_configured_addresses = nothing  # type: ignore[method-assign]
    await run(made)
    assert made.link.results == [MALFORMED]
    assert server.log == []


@pytest.mark.parametrize(
    "data", ["", DEFAULT, code("1$smdp.example")], ids=["no data", "no default SM-DP+", "bad code"]
)
@pytest.mark.parametrize("announced", list(itertools.product([True, False], repeat=2)), ids=str)
@pytest.mark.parametrize("connected", [True, False])
@pytest.mark.parametrize("indirect", [True, False])
async def test_an_order_that_nobody_could_carry_out_is_malformed_in_every_configuration(
    data: str, announced: tuple[bool, bool], connected: bool, indirect: bool
) -> None:
    # SGP.32 §3.2.3.1 and §3.2.3.2, step 3: EimPackageResultResponseError, invalidPackageFormat(1)
    made, server = bench(direct=connected)
    ways = (IpaFeature.DIRECT_RSP_SERVER_COMMUNICATION, IpaFeature.INDIRECT_RSP_SERVER_COMMUNICATION)
    made.features = frozenset(way for way, is_announced in zip(ways, announced, strict=True) if is_announced)
    made.indirect = indirect
    made.link.packages = [trigger(data)]

    async def nothing() -> ConfiguredAddresses:
        return ConfiguredAddresses(None, None)

    made.card.get_configured_addresses = nothing  # type: ignore[method-assign]
    await run(made)
    assert made.link.results == [MALFORMED]
    assert server.log == []
    assert made.journal.entries() == []


@pytest.mark.parametrize("data", [DEFAULT, SMDS])
async def test_a_card_that_cannot_tell_its_addresses_does_not_stop_the_poll(data: str) -> None:
    made, server = bench(direct=True)
    made.link.packages = [trigger(data)]

    async def babble() -> ConfiguredAddresses:
        error = CardError("the answer to GetEuiccConfiguredAddresses cannot be read")
        error.answer = b"\xff"
        raise error

    made.card.get_configured_addresses = babble  # type: ignore[method-assign]
    await run(made)
    assert error_of(made.link.results[0]) == (127, "the answer to GetEuiccConfiguredAddresses cannot be read")
    assert server.log == []


async def test_an_eim_of_v1_0_without_the_field_in_its_entry_gets_its_download() -> None:
    # indirectProfileDownload (89) does not exist in v1.0; the eIM waits for InitiateAuthentication all the same.
    made, server = bench(direct=False)
    made.indirect = False
    await run(made)
    assert server.log == ["initiate", "authenticate", "package"]
    assert made.link.notifications == [installation_result()]


async def test_an_order_without_data_leaves_the_server_to_the_eim() -> None:
    made, server = bench(direct=False)
    made.features |= {IpaFeature.EIM_DOWNLOAD_DATA_HANDLING}
    made.link.packages = [trigger("")]
    server.matching_id = "FROM-EIM"
    server.address = "whatever.example"
    await run(made)
    assert server.addresses == [None]
    assert tlv.parse(made.card.requests[0]).require(0xA0).require(0x80).text() == "FROM-EIM"
    assert made.link.notifications == [installation_result()]


async def test_what_the_eim_made_for_the_card_is_passed_on_as_it_is() -> None:
    made, server = bench(direct=False)
    server.ctx_params1 = bytes.fromhex("A00A80034D2D39A103800100")
    await run(made)
    assert tlv.parse(made.card.requests[0]).require(0xA0).raw == server.ctx_params1


async def test_without_any_way_the_order_is_refused_with_a_reason() -> None:
    made, server = bench(direct=True)
    made.connector = None
    made.features = frozenset({IpaFeature.DIRECT_RSP_SERVER_COMMUNICATION})
    await run(made)
    reason, sentence = error_of(made.link.results[0])
    assert reason == 127
    assert "no way" in sentence
    assert response_of(made.link.results[0]) is None
    assert server.log == []
    assert made.card.log == []


@BOTH_WAYS
async def test_while_the_emergency_profile_is_enabled_nothing_is_downloaded(direct: bool) -> None:
    made, server = bench(direct=direct)
    made.card.profiles = [profile(ICCID_A, enabled=True, more="9F7B01FF")]
    await run(made)
    assert error_of(made.link.results[0])[0] == 104
    assert server.log == []


@pytest.mark.parametrize("text", ["2$smdp.example$M-1", "1$smdp.example", "1$$M-1", "1$smdp.example$M_1"])
async def test_a_malformed_activation_code_is_a_malformed_package(text: str) -> None:
    made, server = bench(direct=True)
    made.link.packages = [trigger(code(text))]
    await run(made)
    assert made.link.results == [MALFORMED]
    assert server.log == []


# -- SM-DS -------------------------------------------------------------------------------------------------------------


def events(*entries: tuple[str, str]) -> EventEntries:
    return EventEntries(TRANSACTION, tuple(EventEntry(event, address) for event, address in entries))


def smds_bench() -> tuple[Bench, Server, Server]:
    """The card's SM-DS and an SM-DP+ behind it."""
    made, server = bench(direct=True)
    smds = Server(address="smds.example", auth_certificate=certificate("2.999.15"))
    smdp(made).servers["smds.example"] = smds
    made.link.packages = [trigger(SMDS)]
    return made, smds, server


async def test_an_event_of_the_smds_leads_to_the_smdp() -> None:
    made, smds, server = smds_bench()
    smds.answers = [events(("EVENT-1", ADDRESS))]
    await run(made)
    assert smdp(made).connected[:2] == ["smds.example", ADDRESS]
    first, second, _ = (tlv.parse(request) for request in made.card.requests)
    assert first.require(0xA0).require(0x80).value == b""
    assert second.require(0xA0).require(0x80).text() == "EVENT-1"
    assert server.log == ["initiate", "authenticate", "package"]
    assert outcome(made.link.results[0]).raw == installation_result()


async def test_an_smds_may_point_to_another_one() -> None:
    made, smds, server = smds_bench()
    second = Server(address="second.example", answers=[events(("EVENT-2", ADDRESS))])
    smdp(made).servers["second.example"] = second
    smds.answers = [events(("EVENT-1", "second.example"))]
    await run(made)
    assert server.log == ["initiate", "authenticate", "package"]
    assert outcome(made.link.results[0]).tag == 0xBF37


async def test_smdss_that_point_to_each_other_are_left_after_eight_servers() -> None:
    made, smds, _ = smds_bench()
    smds.answers = [events(("E", "smds.example"), ("F", "smds.example")) for _ in range(50)]
    await run(made)
    assert smds.log.count("initiate") == 8
    assert "on and on" in error_of(made.link.results[0])[1]


async def test_an_event_that_leads_nowhere_makes_way_for_the_next() -> None:
    made, smds, server = smds_bench()
    smdp(made).servers["gone.example"] = Server(address="gone.example", failures={"initiate": StatusError()})
    smds.answers = [events(("EVENT-0", "gone.example"), ("EVENT-1", ADDRESS))]
    await run(made)
    assert server.log == ["initiate", "authenticate", "package"]
    assert outcome(made.link.results[0]).tag == 0xBF37


async def test_after_something_reached_the_card_no_other_event_is_tried() -> None:
    made, smds, _ = smds_bench()
    other = Server(address="other.example")
    smdp(made).servers["other.example"] = other
    smds.answers = [events(("EVENT-1", ADDRESS), ("EVENT-2", "other.example"))]

    def fail(bpp: bytes, on_segment: object) -> bytes | None:
        raise CannotError("6A80")

    made.card.install = fail
    await run(made)
    assert other.log == []
    assert "interrupted" in error_of(made.link.results[0])[1]


async def test_an_smds_without_events_is_reported() -> None:
    made, smds, _ = smds_bench()
    smds.answers = [events()]
    await run(made)
    assert "no event" in error_of(made.link.results[0])[1]


async def test_an_event_found_through_the_eim_is_a_new_download_through_it() -> None:
    made, server = bench(direct=False)
    server.address = "smds.example"
    found = DownloadTrigger.parse(
        tlv.encode(0xBF54, bytes.fromhex(code("1$smds.example$EVENT-1")), bytes.fromhex("8202D1D2"))
    )
    server.answers = [AuthenticateClientSmds(TRANSACTION, found)]
    made.link.packages = [trigger(SMDS)]
    await run(made)
    assert isinstance(made.link, Relaying)
    assert made.link.eim_transactions == [EIM_TRANSACTION, bytes.fromhex("D1D2")]
    assert made.link.notifications == [installation_result()]


async def test_no_event_through_the_eim_is_reported() -> None:
    made, server = bench(direct=False)
    server.address = "smds.example"
    server.answers = [AuthenticateClientSmds(TRANSACTION, None)]
    made.link.packages = [trigger(SMDS)]
    await run(made)
    assert "no event" in error_of(made.link.results[0])[1]


# -- a server that is not what it should be: nothing on the card to cancel ---------------------------------------------


def wrong_challenge(server: Server) -> None:
    server.challenge = bytes(16)


def other_address(server: Server) -> None:
    server.address = "evil.example"


def other_oid(server: Server) -> None:
    server.auth_certificate = certificate("2.999.666")


def no_oid(server: Server) -> None:
    server.auth_certificate = certificate(None)


def expired(server: Server) -> None:
    server.auth_certificate = certificate(end="20261231235959Z")


def not_yet(server: Server) -> None:
    server.auth_certificate = certificate(begin="270117000000Z")


def other_transaction(server: Server) -> None:
    server.signed_transaction = bytes.fromhex("FFFF")


def unreadable(server: Server) -> None:
    server.auth_certificate = b"\x30\x00"


def unknown_ci(server: Server) -> None:
    server.ci_pkid = bytes.fromhex("99")


@BOTH_WAYS
@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (wrong_challenge, "another challenge"),
        (other_address, "evil.example"),
        (other_oid, "2.999.666"),
        (no_oid, "missing"),
        (expired, "expired 14 days ago"),
        (not_yet, "not valid yet"),
        (other_transaction, "another transaction"),
        (unreadable, "cannot be read"),
        (unknown_ci, "issuer that the card does not have"),
    ],
)
async def test_a_wrong_server_never_gets_to_the_card(direct: bool, spoil: object, why: str) -> None:
    made, server = bench(direct=direct)
    made.link.packages = [trigger(code("LPA:1$smdp.example$M-1$2.999.10"))]
    assert callable(spoil)
    spoil(server)
    await run(made)
    assert why in error_of(made.link.results[0])[1]
    assert server.log == ["initiate"]
    assert made.card.log == ["challenge"]
    assert made.journal.entries() == []


@BOTH_WAYS
async def test_without_an_oid_in_the_activation_code_any_oid_will_do(direct: bool) -> None:
    made, server = bench(direct=direct)
    server.auth_certificate = server.binding_certificate = certificate("2.999.666")
    await run(made)
    assert "install" in made.card.log


@pytest.mark.parametrize(
    ("asked", "says"),
    [("SMDP.Example", "smdp.example"), ("smdp.example:8443", "smdp.example"), ("smdp.example", "smdp.example.")],
)
async def test_names_that_mean_the_same_server_are_the_same(asked: str, says: str) -> None:
    made, server = bench(direct=True)
    made.link.packages = [trigger(code(f"1${asked}$M-1"))]
    server.address = says
    await run(made)
    assert outcome(made.link.results[0]).tag == 0xBF37


@pytest.mark.parametrize("spoil", [expired, not_yet])
async def test_a_device_without_the_time_does_not_judge_dates_and_says_so(
    spoil: object, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "ipad_agent")
    made, server = bench(direct=True)
    made.clock.wall_s = 86_400.0  # 1970: never set
    assert callable(spoil)
    spoil(server)
    await run(made)
    assert outcome(made.link.results[0]).tag == 0xBF37
    assert [record.event.id for record in caplog.records if hasattr(record, "event")] == ["IPA-4052"]


async def test_expired_certificates_are_taken_where_the_configuration_says_so() -> None:
    made, server = bench(direct=True)
    expired(server)
    made.rules = DownloadRules(allow_expired=True)
    await run(made)
    assert outcome(made.link.results[0]).tag == 0xBF37


# -- after authentication: both sides are told with the right reason ---------------------------------------------------


def swapped_certificates(server: Server, made: Bench) -> None:
    server.binding_certificate = certificate("2.999.666")


def expired_binding(server: Server, made: Bench) -> None:
    server.binding_certificate = certificate(end="20261231235959Z")


def binding_transaction(server: Server, made: Bench) -> None:
    server.binding_transaction = bytes.fromhex("FFFF")


def installed_already(server: Server, made: Bench) -> None:
    made.card.profiles.append(profile(ICCID, enabled=False))


def of_test_class(server: Server, made: Bench) -> None:
    server.metadata = metadata("950100")
    made.card.info2 = bytes.fromhex("BF220D" + "88020780" + "900100" + "B404A0020400")


def unknown_class(server: Server, made: Bench) -> None:
    server.metadata = metadata("950107")


def no_room(server: Server, made: Bench) -> None:
    made.card.info2 = _info2(free="00")


def no_room_for_package(server: Server, made: Bench) -> None:
    made.card.info2 = _info2(free="0400")
    server.package = package(metadata(), elements=bytes(3000))


def policy(server: Server, made: Bench) -> None:
    server.metadata = metadata("B705800362F210" + "99020640")


def other_package(server: Server, made: Bench) -> None:
    server.package = package(metadata(iccid="5A0A98940200000009000020"))


def other_rules_in_package(server: Server, made: Bench) -> None:
    server.package = package(metadata("B705800362F210" + "99020640"))


def truncated(server: Server, made: Bench) -> None:
    server.package = server.package[:-7]


def lying_length(server: Server, made: Bench) -> None:
    server.package = server.package.replace(b"\xa3\x2a\x86\x28", b"\xa3\x2a\x86\x27")


def not_cuttable(server: Server, made: Bench) -> None:
    def refuse(bpp: bytes, on_segment: object) -> bytes | None:
        raise MalformedPackageError("the bound profile package is malformed")

    made.card.install = refuse


def code_missing(server: Server, made: Bench) -> None:
    server.confirmation = True


def _info2(*, free: str) -> bytes:
    resource = tlv.encode(0x84, tlv.encode(0x82, bytes.fromhex(free)))
    return tlv.encode(0xBF22, resource, bytes.fromhex("900100" + "B404A0020400"))


@BOTH_WAYS
@pytest.mark.parametrize(
    ("spoil", "reason", "why"),
    [
        (swapped_certificates, UNDEFINED, "two servers"),
        (expired_binding, UNDEFINED, "expired"),
        (binding_transaction, UNDEFINED, "another transaction"),
        (installed_already, UNDEFINED, "on the card already"),
        (of_test_class, UNDEFINED, "no test profiles"),
        (unknown_class, UNDEFINED, "unknown class"),
        (no_room, UNDEFINED, "0 bytes free"),
        (no_room_for_package, UNDEFINED, "1024 bytes free for 3004"),
        (policy, PPR, "PPR1"),
        (other_package, METADATA, "ICCID"),
        (other_rules_in_package, METADATA, "policy rules"),
        (truncated, LOADING, "malformed"),
        (lying_length, LOADING, "malformed"),
        (not_cuttable, LOADING, "malformed"),
        (code_missing, POSTPONED, "confirmation code"),
    ],
)
async def test_what_is_not_wanted_is_cancelled_on_both_sides(
    direct: bool, spoil: object, reason: int, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "ipad_agent")
    made, server = bench(direct=direct)
    assert callable(spoil)
    spoil(server, made)
    count = len(made.card.profiles)
    await run(made)
    assert reasons(made) == [reason]
    assert server.said[-1] == made.card.cancelled
    assert server.log[-1] == "cancel"
    said = " ".join(record.getMessage() for record in caplog.records)
    assert why in said
    if direct:
        assert why in error_of(made.link.results[0])[1]
    else:
        assert made.link.results == []  # the eIM knows by the cancellation
    assert len(made.card.profiles) == count
    assert old_profile_stayed(made)
    assert made.journal.entries() == []


async def test_an_eim_that_judges_profiles_itself_is_not_second_guessed() -> None:
    made, server = bench(direct=False)
    policy(server, made)
    server.package = package(server.metadata or b"")
    made.features |= {IpaFeature.EIM_PROFILE_METADATA_VERIFICATION}
    await run(made)
    assert made.link.notifications == [installation_result()]


async def test_metadata_that_were_not_shown_are_judged_in_the_package() -> None:
    made, server = bench(direct=False)
    server.metadata = None
    server.package = package(metadata("B705800362F210" + "99020640"))
    await run(made)
    assert reasons(made) == [PPR]
    assert "install" not in made.card.log


@BOTH_WAYS
async def test_without_consent_it_is_the_end_user_who_rejects(direct: bool) -> None:
    made, server = bench(direct=direct)
    server.metadata = metadata("B705800362F210" + "99020520")
    server.package = package(server.metadata)
    made.card.rat = bytes.fromhex("BF4315" + "A013" + "3011" + "80020560" + "A1073005" + "8003EEEEEE" + "82020780")
    await run(made)
    assert reasons(made) == [0]
    assert "install" not in made.card.log


@BOTH_WAYS
async def test_policy_rules_that_the_card_authorises_come_with_consent_of_the_configuration(direct: bool) -> None:
    made, server = bench(direct=direct)
    server.metadata = metadata("B705800362F210" + "99020520")
    server.package = package(server.metadata)
    made.card.rat = bytes.fromhex("BF4315" + "A013" + "3011" + "80020560" + "A1073005" + "8003EEEEEE" + "82020780")
    made.rules = DownloadRules(eim_is_consent=True)
    await run(made)
    assert "install" in made.card.log


@pytest.mark.parametrize(
    ("profile_class", "why"), [("950102", "first operational"), ("", "first operational"), ("950101", None)]
)
async def test_a_profile_that_cannot_be_disabled_is_only_for_a_card_without_operational_ones(
    profile_class: str, why: str | None
) -> None:
    made, server = bench(direct=True)
    server.metadata = metadata("B705800362F210" + "99020640")
    server.package = package(server.metadata)
    made.card.rat = bytes.fromhex("BF4314" + "A012" + "3010" + "80020560" + "A1073005" + "8003EEEEEE" + "820100")
    made.card.profiles = [profile(ICCID_A, enabled=True, more=profile_class)]
    await run(made)
    if why is None:
        assert outcome(made.link.results[0]).tag == 0xBF37
    else:
        assert why in error_of(made.link.results[0])[1]
        assert reasons(made) == [PPR]


@BOTH_WAYS
async def test_a_cancellation_the_card_does_not_sign_is_forwarded_and_the_reason_is_told(direct: bool) -> None:
    made, server = bench(direct=direct)
    policy(server, made)
    made.card.cancelled = bytes.fromhex("BF4103810105")
    await run(made)
    assert server.said[-1] == bytes.fromhex("BF4103810105")
    assert made.journal.entries() == []


@BOTH_WAYS
@pytest.mark.parametrize("failure", [StatusError(), NetworkError("silence"), EimError("no")])
async def test_a_server_that_does_not_take_the_cancellation_does_not_hide_the_reason(
    direct: bool, failure: BaseException
) -> None:
    if not direct and isinstance(failure, StatusError):
        failure = RefusedByEimError("no")
    made, server = bench(direct=direct)
    policy(server, made)
    server.failures["cancel"] = failure
    await run(made)
    if not direct and isinstance(failure, RefusedByEimError):
        assert made.link.results == []
    else:
        assert "PPR1" in error_of(made.link.results[0])[1]


@BOTH_WAYS
async def test_a_card_that_cannot_cancel_does_not_hide_the_reason(direct: bool) -> None:
    made, server = bench(direct=direct)
    policy(server, made)
    made.card.cancelled = LostError("silence")
    await run(made)
    assert not server.cancelled
    assert "PPR1" in error_of(made.link.results[0])[1]


# -- confirmation code -------------------------------------------------------------------------------------------------

# openssl dgst -sha256 of openssl dgst -sha256 -binary of '12345678', followed by 11A1
HASH_12345678 = "3b73f805876da63256f53416a1db4c652afee4639a94c394e80dac405f705666"


async def test_the_eims_hash_goes_to_the_card_before_the_configured_code() -> None:
    made, server = bench(direct=False)
    server.confirmation, server.hash_cc = True, bytes(range(32))
    made.rules = DownloadRules(confirmation_code="12345678")
    await run(made)
    assert tlv.parse(made.card.requests[1]).require(0x04).value == bytes(range(32))


@BOTH_WAYS
async def test_the_configured_code_is_used_when_the_eim_gave_none(direct: bool) -> None:
    made, server = bench(direct=direct)
    server.confirmation = True
    made.rules = DownloadRules(confirmation_code="12345678")
    await run(made)
    assert tlv.parse(made.card.requests[1]).require(0x04).value.hex() == HASH_12345678


async def test_a_hash_that_nobody_asked_for_stays_here() -> None:
    made, server = bench(direct=False)
    server.hash_cc = bytes(range(32))
    await run(made)
    assert tlv.parse(made.card.requests[1]).find(0x04) is None


# -- errors of the card are for the server -----------------------------------------------------------------------------


@BOTH_WAYS
@pytest.mark.parametrize(
    ("function", "answer", "why"),
    [
        ("authenticate", bytes.fromhex("BF3809A107800211A1020102"), "invalidSignature"),
        ("prepare", bytes.fromhex("BF2109A107800211A1020101"), "invalidCertificate"),
    ],
)
async def test_a_refusal_of_the_card_is_forwarded_to_the_server(
    direct: bool, function: str, answer: bytes, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "ipad_agent")
    made, server = bench(direct=direct)
    then = {"authenticate": "authenticate", "prepare": "package"}[function]
    server.failures[then] = StatusError("8.1", "6.1") if direct else RefusedByEimError("signature")
    setattr(made.card, {"authenticate": "authenticated", "prepare": "prepared"}[function], answer)
    await run(made)
    assert server.said[-1] == answer
    assert not server.cancelled
    assert reasons(made) == []
    assert why in " ".join(record.getMessage() for record in caplog.records)
    if direct:
        assert why in error_of(made.link.results[0])[1]
    else:
        assert made.link.results == []


@pytest.mark.parametrize("function", ["authenticate", "package"])
async def test_a_refusal_of_the_card_that_does_not_reach_the_eim_is_reported_later(function: str) -> None:
    made, server = bench(direct=False)
    server.failures[function] = NetworkError("silence")
    if function == "authenticate":
        made.card.authenticated = bytes.fromhex("BF3809A107800211A1020102")
    else:
        made.card.prepared = bytes.fromhex("BF2109A107800211A1020101")
    await run(made)
    assert "the card refused" in error_of(made.link.results[0])[1]


# -- errors of the server ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", ["initiate", "authenticate", "package"])
async def test_a_refusal_of_the_smdp_is_reported_and_not_cancelled(function: str) -> None:
    made, server = bench(direct=True)
    server.failures[function] = StatusError()
    await run(made)
    assert "matching identifier is refused" in error_of(made.link.results[0])[1]
    assert not server.cancelled
    assert reasons(made) == []
    assert server.log.count(function) == 1


REFUSAL = (
    b'{"header":{"functionExecutionStatus":{"status":"Failed",'
    b'"statusCodeData":{"subjectCode":"8.2.6","reasonCode":"3.8"}}}}'
)


@pytest.mark.parametrize(
    ("answer", "told"),
    [(REFUSAL, REFUSAL), (b"", None), (b"<html>" + b"x" * 2000, None), (REFUSAL.ljust(1024), REFUSAL.ljust(1024))],
    ids=["status", "nothing", "page", "just fits"],
)
@pytest.mark.parametrize("failure", [StatusError, ServerError])
@pytest.mark.parametrize("function", ["initiate", "authenticate", "package"])
async def test_the_eim_gets_the_answer_of_the_server_or_none(
    function: str, failure: type[ServerError], answer: bytes, told: bytes | None
) -> None:
    # SGP.32 §2.11.2.3: errorResponse is what the SM-DP+ or SM-DS answered
    made, server = bench(direct=True)
    error = failure() if failure is StatusError else failure("gibberish")
    error.response = answer  # type: ignore[attr-defined]  # as the errors of the smdp room have it
    server.failures[function] = error
    await run(made)
    assert error_of(made.link.results[0])[0] == 127
    assert response_of(made.link.results[0]) == told


async def test_what_this_ipa_thinks_is_no_answer_of_a_server() -> None:
    made, server = bench(direct=True)
    server.challenge = bytes(16)
    await run(made)
    assert response_of(made.link.results[0]) is None


async def test_a_card_whose_answer_cannot_be_read_ends_the_download_and_not_the_poll() -> None:
    for function in ("get_euicc_info1", "get_challenge", "authenticate_server", "prepare_download"):
        made, _ = bench(direct=True)

        async def babble(*_: object, name: str = function) -> None:
            error = CardError(f"the answer to {name} cannot be read")
            error.answer = b"\xff"
            raise error

        setattr(made.card, function, babble)
        assert await run(made) is PollEnd.NO_MORE_WORK
        assert error_of(made.link.results[0]) == (127, f"the answer to {function} cannot be read")
        assert "recover" not in made.card.log


@pytest.mark.parametrize("function", ["authenticate", "package"])
async def test_a_refusal_of_the_eim_is_what_it_knows_itself(function: str) -> None:
    made, server = bench(direct=False)
    server.failures[function] = RefusedByEimError("no")
    await run(made)
    assert made.link.results == []
    assert reasons(made) == []
    assert made.journal.entries() == []


async def test_an_eim_that_refuses_the_first_step_wants_to_hear_the_end() -> None:
    made, server = bench(direct=False)
    server.failures["initiate"] = RefusedByEimError("stale")
    await run(made)
    assert "stale" in error_of(made.link.results[0])[1]


@pytest.mark.parametrize("function", ["authenticate", "package"])
async def test_an_answer_that_cannot_be_used_is_cancelled(function: str) -> None:
    made, server = bench(direct=True)
    server.failures[function] = ServerError("gibberish")
    await run(made)
    assert reasons(made) == [UNDEFINED]
    assert server.cancelled
    assert "gibberish" in error_of(made.link.results[0])[1]


@pytest.mark.parametrize("function", ["authenticate", "package"])
async def test_gibberish_of_the_eim_is_cancelled_through_it(function: str) -> None:
    made, server = bench(direct=False)
    server.failures[function] = EimError("gibberish")
    await run(made)
    assert reasons(made) == [UNDEFINED]
    assert server.cancelled
    assert made.link.results == []


@pytest.mark.parametrize("function", ["initiate", "authenticate", "package"])
async def test_a_download_that_does_not_get_through_is_begun_again_and_in_the_end_reported(function: str) -> None:
    made, server = bench(direct=True)
    made.rules = DownloadRules(max_attempts=5)
    server.failures[function] = NetworkError("silence")
    attempts = 4 if function == "initiate" else 5
    assert await run(made) is PollEnd.MORE_WORK
    for again in range(2, attempts):
        await run(made)
        assert made.link.results == []
        assert server.log.count("initiate") == again
    assert await run(made) is PollEnd.NO_MORE_WORK
    assert server.log.count("initiate") == attempts
    assert "silence" in error_of(made.link.results[0])[1]
    assert reasons(made) == ([] if function == "initiate" else [TIMEOUT] * attempts)
    assert made.journal.entries() == []


async def test_pauses_get_longer_when_a_download_is_cut_off_again_and_again() -> None:
    made, server = bench(direct=True)
    order = made.link.packages[0]
    server.failures["package"] = NetworkError("silence")
    assert await run(made) is PollEnd.MORE_WORK
    made.link.packages = [order]
    assert await run(made) is PollEnd.DOWNLOAD_CUT_OFF


@pytest.mark.parametrize("code", [None, "502", "503", "504"])
async def test_an_smdp_in_maintenance_is_no_smdp_that_never_answers(code: str | None) -> None:
    function = "InitiateAuthentication"
    made, server = bench(direct=True)
    busy = ServerBusy(function, 60.0) if code is None else ServerStatus(function, code, "", b"")
    server.failures["initiate"] = busy
    for _ in range(2 * MAX_UNANSWERED):
        await run(made)
    assert made.link.results == []
    del server.failures["initiate"]
    assert await run(made) is PollEnd.NO_MORE_WORK
    assert made.journal.entries() == []


@pytest.mark.parametrize("code", ["404", "500"])
async def test_an_smdp_that_refuses_by_a_status_is_told_to_the_eim_as_soon_as_silence(code: str) -> None:
    made, server = bench(direct=True)
    server.failures["initiate"] = ServerStatus("InitiateAuthentication", code, "", b"")
    for _ in range(MAX_UNANSWERED):
        await run(made)
    assert len(made.link.results) == 1


async def test_the_next_attempt_does_not_wait_for_a_regular_poll_where_the_eim_hands_out_its_order_once() -> None:
    made, server = bench(direct=True)
    server.failures["package"] = NetworkError("silence")
    assert await run(made) is PollEnd.MORE_WORK
    for _ in range(3):
        assert made.link.packages == []
        assert await run(made) is PollEnd.DOWNLOAD_CUT_OFF
    del server.failures["package"]
    assert await run(made) is PollEnd.NO_MORE_WORK
    assert made.journal.entries() == []


async def test_a_download_is_not_given_up_for_an_smdp_out_of_reach_as_long_as_the_eim_is_too() -> None:
    made, server = bench(direct=True)
    server.failures["initiate"] = NetworkError("silence")
    assert await run(made) is PollEnd.MORE_WORK

    async def nobody() -> None:
        raise NetworkError("no way to the eIM")

    made.link.reach = nobody  # type: ignore[method-assign]
    for _ in range(50):
        with pytest.raises(NetworkError, match="no way to the eIM"):
            await run(made)
    assert server.log.count("initiate") == 1
    vars(made.link).pop("reach")
    server.failures.clear()
    assert await run(made) is PollEnd.NO_MORE_WORK
    assert outcome(made.link.results[0]).raw == installation_result()


async def test_the_second_attempt_may_succeed() -> None:
    made, server = bench(direct=True)
    server.failures["package"] = NetworkError("silence")
    await run(made)
    server.failures.clear()
    await run(made)
    assert outcome(made.link.results[0]).raw == installation_result()


async def test_a_server_that_is_not_trusted_is_not_tried_again() -> None:
    made, server = bench(direct=True)
    server.failures["initiate"] = UntrustedError("no CI of the card")
    assert await run(made) is PollEnd.NO_MORE_WORK
    assert "no CI" in error_of(made.link.results[0])[1]


@pytest.mark.parametrize("failure", [NetworkError("silence"), BusyError("later")])
@pytest.mark.parametrize("function", ["initiate", "authenticate", "package"])
async def test_an_eim_out_of_reach_ends_the_poll_and_the_next_one_goes_on(
    function: str, failure: BaseException
) -> None:
    made, server = bench(direct=False)
    made.rules = DownloadRules(max_attempts=10)
    server.failures[function] = failure
    for _ in range(9):
        with pytest.raises((NetworkError, EimError)):
            await run(made)
    server.failures.clear()
    assert await run(made) is PollEnd.NO_MORE_WORK
    assert server.log.count("initiate") == 10
    assert made.link.notifications == [installation_result()]


async def test_an_outage_before_the_first_answer_never_ends_an_order() -> None:
    made, server = bench(direct=False)
    server.failures["initiate"] = NetworkError("silence")
    for _ in range(100):
        with pytest.raises(NetworkError):
            await run(made)
        made.clock.passes(86_400.0)
    server.failures.clear()
    assert await run(made) is PollEnd.NO_MORE_WORK
    assert made.link.notifications == [installation_result()]


@pytest.mark.parametrize("rules", [DownloadRules(max_attempts=3), DownloadRules(give_up_s=2.5 * 3600.0)])
async def test_a_download_that_is_cut_off_too_often_or_for_too_long_is_reported(rules: DownloadRules) -> None:
    made, server = bench(direct=False)
    made.rules = rules
    server.failures["package"] = NetworkError("silence")
    attempts = 2 if rules.max_attempts == 3 else 3
    for _ in range(attempts):
        with pytest.raises(NetworkError):
            await run(made)
        made.clock.passes(3600.0)
    await run(made)
    assert server.log.count("initiate") == attempts + 1
    assert "silence" in error_of(made.link.results[0])[1]


async def test_time_that_passed_in_an_outage_does_not_end_an_order_without_another_attempt() -> None:
    made, server = bench(direct=False)
    server.failures["package"] = NetworkError("silence")
    with pytest.raises(NetworkError):
        await run(made)
    made.clock.passes(30 * 86_400.0)
    server.failures.clear()
    assert await run(made) is PollEnd.NO_MORE_WORK
    assert made.link.notifications == [installation_result()]


# -- errors of card and modem ------------------------------------------------------------------------------------------


async def test_a_card_that_cannot_do_it_is_reported() -> None:
    made, _ = bench(direct=True)
    made.card.authenticated = CannotError("AuthenticateServer: the card answered 6D00")
    await run(made)
    assert "6D00" in error_of(made.link.results[0])[1]


async def test_a_card_that_is_lost_before_loading_gets_one_more_attempt() -> None:
    made, server = bench(direct=True)
    made.card.prepared = LostError("the port vanished")
    for _ in range(2):
        with pytest.raises(LostError):
            await run(made)
    assert await run(made) is PollEnd.NO_MORE_WORK
    assert server.log.count("initiate") == 2
    assert "two attempts" in error_of(made.link.results[0])[1]


def interrupted(made: Bench, failure: BaseException, *, result: bytes | None = None) -> None:
    """Loading fails half-way; the card may have a result all the same."""

    def fail(bpp: bytes, on_segment: object) -> bytes | None:
        if result is not None:
            keep(made, result)
        raise failure

    made.card.install = fail


@BOTH_WAYS
async def test_loading_that_fails_is_cancelled_with_its_own_reason(direct: bool) -> None:
    made, server = bench(direct=direct)
    interrupted(made, CannotError("6A80"))
    await run(made)
    assert reasons(made) == [LOADING]
    assert server.cancelled
    assert server.log.count("initiate") == 1
    assert made.link.notifications == []
    if direct:
        assert "6A80" in error_of(made.link.results[0])[1]
    assert made.journal.entries() == []


@BOTH_WAYS
async def test_a_result_whose_answer_was_lost_is_found_on_the_card(direct: bool) -> None:
    made, server = bench(direct=direct)
    interrupted(made, LostError("the port vanished"), result=installation_result())
    made.card.cancelled = bytes.fromhex("BF4103810105")  # invalidTransactionId: the session is over
    await run(made)
    assert not server.cancelled
    if direct:
        assert outcome(made.link.results[0]).raw == installation_result()
    else:
        assert made.link.notifications == [installation_result()]


@BOTH_WAYS
async def test_a_card_that_has_to_be_brought_back_is_asked_then(direct: bool) -> None:
    made, _ = bench(direct=direct)
    interrupted(made, LostError("the port vanished"))
    made.card.cancelled = LostError("still gone")

    async def recover(*, first_rung: int | None = None, expected: str | None = None) -> None:
        keep(made, installation_result())

    made.card.recover = recover  # type: ignore[method-assign]
    await run(made)
    sent = made.link.notifications if not direct else [outcome(made.link.results[0]).raw]
    assert sent == [installation_result()]


@BOTH_WAYS
async def test_a_result_of_another_session_is_not_taken_for_this_one(direct: bool) -> None:
    made, _ = bench(direct=direct)
    interrupted(made, LostError("gone"), result=installation_result(4, transaction=bytes.fromhex("0099")))
    made.card.cancelled = bytes.fromhex("BF4103810105")
    await run(made)
    if direct:
        assert "interrupted" in error_of(made.link.results[0])[1]
    assert made.card.pending == {}  # delivered, but not as the result of this order


async def test_a_card_that_takes_everything_and_says_nothing_is_asked() -> None:
    made, _ = bench(direct=True)
    made.card.install = lambda bpp, on_segment: None
    await run(made)
    assert reasons(made) == [LOADING]
    assert "gave no result" in error_of(made.link.results[0])[1]


async def test_a_result_that_cannot_be_read_is_delivered_as_it_is() -> None:
    made, _ = bench(direct=True)
    made.card.install = lambda bpp, on_segment: bytes.fromhex("BF37023000")
    await run(made)
    assert outcome(made.link.results[0]).raw == bytes.fromhex("BF37023000")
    assert "enable" not in made.card.log


# -- immediate enabling ------------------------------------------------------------------------------------------------


@BOTH_WAYS
async def test_a_card_that_enables_at_once_is_awaited_and_every_eim_is_told(direct: bool) -> None:
    made, _ = bench(direct=direct)
    made.others = ("eim2",)
    made.card.enabled_at_once = 0
    await run(made)
    assert made.card.log[4:6] == ["enable", "verify"]
    assert made.context.changes.pending("eim2") is StateChangeCause.IMMEDIATE_ENABLE_PROFILE
    # eim1 was told by the question that ended this poll
    assert made.link.asked[-1][0] is StateChangeCause.IMMEDIATE_ENABLE_PROFILE


@pytest.mark.parametrize(("answer", "results_before"), [(0, [1]), (1, [0])], ids=["enabled", "not enabled"])
async def test_the_server_is_only_told_at_once_when_the_network_did_not_just_change(
    answer: int, results_before: list[int]
) -> None:
    made, _ = bench(direct=True)
    made.card.enabled_at_once = answer
    seen: list[int] = []

    class Notified(list[tuple[str, bytes]]):
        def append(self, item: tuple[str, bytes]) -> None:
            seen.append(len(made.link.results))
            super().append(item)

    smdp(made).notified = Notified()
    await run(made)
    assert smdp(made).notified == [(ADDRESS, installation_result())]
    assert seen == results_before


@pytest.mark.parametrize("answer", [1, 4, 5, CannotError("6D00")])
async def test_a_card_that_does_not_enable_at_once_keeps_the_profile_disabled(answer: int | BaseException) -> None:
    made, _ = bench(direct=True)
    made.others = ("eim2",)
    made.card.enabled_at_once = answer
    await run(made)
    assert "recover" not in made.card.log
    assert made.context.changes.pending("eim2") is None
    assert outcome(made.link.results[0]).raw == installation_result()


async def test_when_the_answer_to_enabling_is_lost_the_profiles_tell() -> None:
    made, _ = bench(direct=True)
    made.others = ("eim2",)
    made.context.changes.learn("89049032000000000000000000000124", {"89012345678901234123": "enabled"})
    made.card.enabled_at_once = LostError("the port vanished")
    await run(made)
    assert "recover" in made.card.log
    assert made.context.changes.pending("eim2") is StateChangeCause.IMMEDIATE_ENABLE_PROFILE


# -- telling -----------------------------------------------------------------------------------------------------------


async def test_an_eim_that_asks_again_although_it_was_told_gets_the_result_in_another_way() -> None:
    made, server = bench(direct=False)
    made.link.packages = [trigger(), trigger()]
    assert await run(made) is PollEnd.NO_MORE_WORK
    assert server.log.count("initiate") == 1
    assert made.link.notifications == [installation_result()]
    assert outcome(made.link.results[0]).raw == installation_result()


async def test_two_orders_without_a_transaction_may_be_two_profiles() -> None:
    made, server = bench(direct=False)
    made.link.packages = [trigger(transaction=None), trigger(transaction=None)]
    await run(made)
    assert server.log.count("initiate") == 2


async def test_a_failure_is_told_again_in_the_same_way() -> None:
    made, server = bench(direct=False)
    policy(server, made)
    made.link.packages = [trigger(), trigger()]
    await run(made)
    assert server.log.count("initiate") == 1
    assert "PPR1" in error_of(made.link.results[0])[1]


async def test_a_notification_that_the_eim_does_not_take_is_replaced_by_the_result() -> None:
    made, _ = bench(direct=False)
    made.link.notification_answers = [EimError("no such function")] * 9
    await run(made)
    assert outcome(made.link.results[0]).raw == installation_result()
    assert made.journal.entries() == []


async def test_an_acknowledgement_of_an_eim_that_forwards_removes_the_result() -> None:
    made, _ = bench(direct=False)
    made.link.notification_answers = [EimError("no such function")] * 9
    made.link.answers = [ProvideResultResponse((5,))]
    await run(made)
    assert made.card.pending == {}


async def test_a_dead_smdp_does_not_keep_the_eim_from_the_result() -> None:
    made, _ = bench(direct=True)
    smdp(made).dead[ADDRESS] = NetworkError("silence")
    made.link.answers = [ProvideResultResponse((5,))]  # acknowledged, but not by the SM-DP+
    await run(made)
    assert outcome(made.link.results[0]).raw == installation_result()
    assert made.card.pending == {5: installation_result()}
    assert made.journal.entries() == []
    smdp(made).dead.clear()
    made.clock.wall_s += 1300
    await run(made)
    assert smdp(made).notified == [(ADDRESS, installation_result())]
    assert made.card.pending == {}


def test_a_link_of_the_bench_is_a_connector() -> None:
    assert isinstance(bench(direct=True)[0].connector, Direct)
