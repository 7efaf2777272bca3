"""The relay between ESipa and ES9+: a real card and the lab's SM-DP+ on its two ends, and no network."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import pytest

from ipad_agent.lab.crypto import der
from ipad_agent.lab.crypto.der import Node
from ipad_agent.lab.eim import build_order
from ipad_agent.lab.eim.relay.download_relay import RelaySettings
from ipad_agent.lab.pki import Pki
from ipad_agent.lab.smdp import Fault, Metadata, OrderState

from .indirect import (
    ADDRESS,
    CODE,
    DEVICE_INFO,
    DS_ADDRESS,
    ICCID,
    ICCID_BYTES,
    MATCHING,
    Ipa,
    World,
    error_of,
)
from .world import noted, raw_signature, t


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.create(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def world(pki: Pki) -> World:
    return World(pki)


def started(world: World, *words: str) -> Ipa:
    order = world.order(*words)
    return Ipa(world, transaction=order.transaction_id)


def downloaded(ipa: Ipa) -> Node:
    """All steps; the installation result."""
    assert ipa.initiate().tag == 0xA0
    assert ipa.authenticate().tag == 0xA0
    assert ipa.prepare().tag == 0xA0
    return ipa.install()


@pytest.mark.parametrize("curve", ["p256", "brainpool"])
def test_a_profile_is_downloaded_through_the_eim_and_its_result_reaches_the_smdp(tmp_path: Path, curve: str) -> None:
    world = World(Pki.create(tmp_path, curve))
    order = world.order()
    ipa = Ipa(world, transaction=order.transaction_id)
    result = downloaded(ipa)
    assert ipa.notify(result.raw) == b""
    assert world.smdp_order.state is OrderState.INSTALLED
    (record,) = world.smdp.notifications
    assert record.verified
    assert record.raw == result.raw
    assert order.state == "done"
    assert [entry["function"] for entry in noted(world.eim, "rsp")] == [
        "initiateAuthentication",
        "authenticateClient",
        "getBoundProfilePackage",
    ]
    assert any(profile.iccid == ICCID for profile in world.card.state.profiles)


def test_answers_carry_what_the_server_sent_field_by_field(world: World) -> None:
    ipa = started(world)
    ok = ipa.initiate()
    assert [one.tag for one in ok.children] == [0x80, 0x30, 0x5F37, 0x04, 0x30]
    session = world.smdp.sessions.latest
    assert session is not None
    assert ok.get(0x80).value == session.transaction_id
    assert ok.get(0x04).value == world.pki.ci_pkid
    assert ok.children[4].raw == world.pki["dpauth"].cert_der
    ok = ipa.authenticate()
    assert [one.tag for one in ok.children] == [0x80, 0xBF25, 0x30, 0x5F37, 0x30]
    assert ok.get(0xBF25).raw == world.smdp_order.package.metadata.encode()
    assert ok.get(0x5F37).raw == session.smdp_signature2
    ok = ipa.prepare()
    assert [one.tag for one in ok.children] == [0x80, 0xBF36]


def test_what_the_card_signed_goes_on_as_it_came(world: World) -> None:
    ipa = started(world)
    ipa.initiate()
    body = ipa.authenticate_body()
    world.ask(body)
    ipa.authenticated = der.parse(world.ask(body))
    sent = world.smdp.log[-1].request["authenticateServerResponse"]
    assert sent == _b64(ipa.card_response.raw)
    assert world.smdp.log[-1].request["transactionId"] == ipa.server.hex().upper()


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


# Which order (§5.12.1 and the rules of the order)


def test_an_unknown_eim_transaction_is_error_52(world: World) -> None:
    world.order()
    assert error_of(world.ask(Ipa(world, transaction=b"\x01\x02").initiate_body())) == (0x81, 52)


def test_without_transaction_and_without_an_order_on_this_connection_it_is_error_52(world: World) -> None:
    assert error_of(world.ask(Ipa(world, transaction=None).initiate_body())) == (0x81, 52)


def test_without_transaction_the_order_handed_out_on_this_connection_counts(world: World) -> None:
    world.order()
    assert Ipa(world, transaction=None).initiate().tag == 0xA0


def test_another_address_than_ordered_is_error_50_and_nobody_is_asked(world: World) -> None:
    order = world.order()
    ipa = Ipa(world, transaction=order.transaction_id, address="other.example")
    assert error_of(world.ask(ipa.initiate_body())) == (0x81, 50)
    assert not world.smdp.log


def test_the_address_is_compared_without_regard_to_case(world: World) -> None:
    order = world.order()
    assert Ipa(world, transaction=order.transaction_id, address=ADDRESS.upper()).initiate().tag == 0xA0


def test_a_server_with_another_oid_than_ordered_is_error_51(world: World) -> None:
    ipa = started(world, f"{CODE}$2.999.11")
    assert error_of(world.ask(ipa.initiate_body())) == (0x81, 51)
    assert started(world, f"{CODE}$2.999.10").initiate().tag == 0xA0


def test_a_server_that_calls_itself_otherwise_is_error_50(world: World) -> None:
    world.smdp.faults.arm(Fault("initiateAuthentication", "wrong-address", "other.example"))
    assert error_of(world.ask(started(world).initiate_body())) == (0x81, 50)


def test_a_held_order_goes_out_without_data_and_the_eim_finds_server_and_matching_id(world: World) -> None:
    order = world.order(CODE, "--held")
    assert order.transaction_id is not None
    assert world.poll().raw == t("BF54", t("82", order.transaction_id))
    ipa = Ipa(world, transaction=order.transaction_id, address=None)
    assert ipa.initiate().get(0x0C).text() == MATCHING
    ipa.authenticate()
    assert ipa.prepare().tag == 0xA0


def test_an_order_that_nobody_can_place_is_undefined_error(world: World) -> None:
    order = world.order("none")
    assert error_of(world.ask(Ipa(world, transaction=order.transaction_id, address=None).initiate_body())) == (
        0x81,
        127,
    )


def test_the_default_smdp_of_the_card_is_taken_as_the_ipa_names_it(world: World) -> None:
    world.smdp_order.matching_id = ""
    world.smdp_order.eid = world.card.eid
    order = world.order("default")
    ipa = Ipa(world, transaction=order.transaction_id)
    ipa.matching_id = ""
    downloaded(ipa)


# SM-DS


def test_an_event_of_the_smds_comes_back_as_a_trigger_that_can_be_followed(world: World) -> None:
    world.smds.add_event(world.card.eid, MATCHING, ADDRESS)
    order = world.order(f"smds:{DS_ADDRESS}")
    assert order.transaction_id is not None
    ipa = Ipa(world, transaction=order.transaction_id, address=DS_ADDRESS)
    ipa.matching_id = ""
    ipa.initiate()
    found = ipa.authenticate()
    trigger = t("BF54", t("A0", t("80", CODE.encode())), t("82", order.transaction_id))
    assert found.raw == t("A1", t("80", ipa.server), trigger)
    again = Ipa(world, transaction=order.transaction_id)
    assert again.notify(downloaded(again).raw) == b""
    assert order.state == "done"


def test_further_events_are_queued(world: World) -> None:
    world.smds.add_event(world.card.eid, MATCHING, ADDRESS)
    world.smds.add_event(world.card.eid, "LAB-2", ADDRESS)
    order = world.order("smds")
    ipa = Ipa(world, transaction=order.transaction_id, address=DS_ADDRESS)
    ipa.matching_id = ""
    ipa.initiate()
    ipa.authenticate()
    assert [one.code for one in world.device.queue] == ["smds", f"LPA:1${ADDRESS}$LAB-2"]


def test_no_event_is_error_56(world: World) -> None:
    order = world.order("smds")
    ipa = Ipa(world, transaction=order.transaction_id, address=DS_ADDRESS)
    ipa.matching_id = ""
    ipa.initiate()
    assert error_of(world.ask(ipa.authenticate_body())) == (0x82, 56)


# Confirmation code, ctxParams1, minimized answers


@pytest.mark.parametrize(("given", "error"), [("12-34", None), ("12-35", (0x81, 3)), (None, (0x81, 2))])
def test_the_confirmation_code_of_the_order_becomes_hash_cc(
    world: World, given: str | None, error: tuple[int, int] | None
) -> None:
    world.smdp_order.confirmation_code = "12-34"
    ipa = started(world, CODE, *(["--cc", given] if given else []))
    ipa.initiate()
    ok = ipa.authenticate()
    assert (ok.find(0x04) is not None) == (given is not None)
    if given is None:
        # A card refuses to prepare without a code; what it says goes to the server.
        assert error_of(world.ask(ipa.prepare_body())) == (0x81, 1)
        return
    answer = world.ask(ipa.prepare_body())
    assert (error_of(answer) if error else None) == error


def test_a_code_that_nobody_asks_for_is_not_told(world: World) -> None:
    ipa = started(world, CODE, "--cc", "12-34")
    ipa.initiate()
    assert ipa.authenticate().find(0x04) is None


def test_the_confirmation_code_is_no_part_of_lists_and_logs(world: World) -> None:
    order = build_order(["trigger", CODE, "--cc", "12-34"])
    assert "12-34" not in repr(order)
    assert "12-34" not in order.label


def learned(world: World, features: tuple[int, ...]) -> None:
    """What the IPA's data would have told."""
    world.device.features = features
    world.device.device_info = DEVICE_INFO
    world.device.euicc_info1 = world.es10(bytes.fromhex("BF2000")).raw
    world.device.euicc_info2 = world.es10(bytes.fromhex("BF2200")).raw


def test_ctx_params_are_made_for_an_ipa_that_leaves_them_to_the_eim(world: World) -> None:
    learned(world, (3,))
    ipa = started(world)
    # ctxParams1 { matchingId "LAB-1", deviceInfo { TAC, no capabilities } }, counted by hand
    assert ipa.initiate().get(0xA2).raw == bytes.fromhex("A213 A011 80054C41422D31 A108 800453926011 A100")
    ipa.authenticate()
    assert ipa.prepare().tag == 0xA0


def test_answers_are_short_for_an_ipa_that_minimizes_and_has_metadata_checked(world: World) -> None:
    learned(world, (4, 5))
    ipa = started(world)
    assert [one.tag for one in ipa.initiate().children] == [0x30, 0x5F37, 0x04, 0x30]
    assert [one.tag for one in ipa.authenticate().children] == [0x30, 0x5F37, 0x30]
    assert [one.tag for one in ipa.prepare().children] == [0xBF36]


def test_metadata_in_the_package_that_differs_from_what_was_shown_is_error_50(world: World) -> None:
    learned(world, (4,))
    world.smdp.faults.arm(Fault("getBoundProfilePackage", "bpp-metadata", Metadata(ICCID, name="Other")))
    ipa = started(world)
    ipa.initiate()
    ipa.authenticate()
    assert error_of(world.ask(ipa.prepare_body())) == (0x81, 50)


def test_forbidden_policy_rules_are_error_50(pki: Pki) -> None:
    world = World(pki, RelaySettings(forbidden_ppr=frozenset({1})))
    package = world.smdp_order.package
    world.smdp_order.package = replace(package, metadata=replace(package.metadata, ppr=(1,)))
    ipa = started(world)
    ipa.initiate()
    assert error_of(world.ask(ipa.authenticate_body())) == (0x82, 50)


def test_the_ci_identifier_may_be_cut(pki: Pki) -> None:
    world = World(pki, RelaySettings(pkid_bytes=4))
    assert started(world).initiate().get(0x04).value == pki.ci_pkid[:4]


# Compact forms: each is taken from what the card really signed, shortened by hand, and must come out the same


def compact_authentication(full: Node) -> bytes:
    signed, signature, euicc, eum = full.get(0xA0).children
    info2, context = signed.get(0xBF22), signed.get(0xA0)
    short = t("A0", info2.get(0x84).raw, t("A2", context.raw))
    return t(
        "BF38", t("A2", short, signature.raw, t("A1", der.parse(euicc.raw).value), t("A2", der.parse(eum.raw).value))
    )


def very_compact_authentication(full: Node) -> bytes:
    signed, signature, *_ = full.get(0xA0).children
    return t("BF38", t("A2", t("A0", signed.get(0xBF22).get(0x84).raw), signature.raw))


def signed_but_without_certificates(full: Node) -> bytes:
    signed, signature, *_ = full.get(0xA0).children
    return t("BF38", t("A2", signed.raw, signature.raw))


def test_a_compact_authentication_is_rebuilt_to_the_byte(world: World) -> None:
    learned(world, (5,))
    ipa = started(world)
    ipa.initiate()
    body = ipa.authenticate_body(compact_authentication)
    assert len(body) < len(ipa.card_response.raw)
    assert der.parse(world.ask(body)).children[0].tag == 0xA0
    assert world.smdp.log[-1].request["authenticateServerResponse"] == _b64(ipa.card_response.raw)


def with_whole_certificates(full: Node) -> bytes:
    """The 30 of the certificates is left inside their tags."""
    signed, signature, euicc, eum = full.get(0xA0).children
    return t("BF38", t("A2", signed.raw, signature.raw, t("A1", euicc.raw), t("A2", eum.raw)))


@pytest.mark.parametrize(
    "change", [very_compact_authentication, signed_but_without_certificates, with_whole_certificates]
)
def test_what_the_eim_knows_may_all_be_left_out(world: World, change: object) -> None:
    learned(world, (3, 5))
    info2 = der.parse(world.device.euicc_info2 or b"")
    resources = info2.get(0x84).raw
    # The memory that was free when the eIM heard of it is not what is free now.
    world.device.euicc_info2 = info2.raw.replace(resources, resources[:2] + bytes(len(resources) - 2))
    world.device.euicc_certificate = world.pki["euicc"].cert_der
    world.device.eum_certificate = world.pki["eum"].cert_der
    ipa = started(world)
    ipa.initiate()
    assert ipa.authenticate(change).tag == 0xA0  # type: ignore[arg-type]  # one of the functions above
    assert world.smdp.log[-1].request["authenticateServerResponse"] == _b64(ipa.card_response.raw)


def test_what_is_left_out_and_not_known_is_undefined_error_with_a_reason(world: World) -> None:
    ipa = started(world)
    ipa.initiate()
    assert error_of(world.ask(ipa.authenticate_body(compact_authentication))) == (0x82, 127)
    assert noted(world.eim, "rsp")[-1]["why"] == "euiccInfo2 of this card is not known"


def test_certificates_of_one_download_are_known_in_the_next(world: World) -> None:
    ipa = started(world)
    ipa.initiate()
    ipa.authenticate()
    assert world.device.euicc_certificate == world.pki["euicc"].cert_der
    assert world.device.eum_certificate == world.pki["eum"].cert_der


def compact_prepared(full: Node) -> bytes:
    signed, signature = full.get(0xA0).children
    code = signed.find(0x04)
    short = t("30", signed.get(0x5F49).raw, b"" if code is None else code.raw)
    return t("BF21", t("A2", short, signature.raw))


def without_one_time_key(full: Node) -> bytes:
    return t("BF21", t("A2", t("30"), full.get(0xA0).get(0x5F37).raw))


def test_a_compact_download_response_is_rebuilt_to_the_byte(world: World) -> None:
    full: list[Node] = []

    def change(node: Node) -> bytes:
        full.append(node)
        return compact_prepared(node)

    ipa = started(world)
    ipa.initiate()
    ipa.authenticate()
    assert ipa.prepare(change).tag == 0xA0
    assert world.smdp.log[-1].request["prepareDownloadResponse"] == _b64(full[0].raw)


def test_a_one_time_key_that_the_server_offered_may_be_left_out(world: World) -> None:
    for change in (compact_prepared, without_one_time_key):
        ipa = started(world)
        ipa.initiate()
        ipa.authenticate()
        assert ipa.prepare(change).tag == 0xA0
    assert world.smdp_order.bindings == 1


def test_a_one_time_key_that_nobody_offered_may_not_be_left_out(world: World) -> None:
    ipa = started(world)
    ipa.initiate()
    ipa.authenticate()
    assert error_of(world.ask(ipa.prepare_body(without_one_time_key))) == (0x81, 127)


def compact_installation(full: Node, *, sima: bool = False) -> bytes:
    data, signature = full.get(0xBF27), full.get(0x5F37)
    success = data.get(0xA2).get(0xA0)
    short = t("A0", t("4F", success.get(0x4F).value[-2:]), success.get(0x04).raw if sima else b"")
    inner = t("A0", data.get(0x80).raw, t("02", data.get(0xBF2F).get(0x80).value), t("A2", short))
    return t("A0", inner, signature.raw)


@pytest.mark.parametrize("sima", [False, True])
def test_a_compact_installation_result_is_rebuilt_to_the_byte(world: World, sima: bool) -> None:
    order = world.order()
    ipa = Ipa(world, transaction=order.transaction_id)
    full = downloaded(ipa)
    assert ipa.notify(compact_installation(full, sima=sima)) == b""
    (record,) = world.smdp.notifications
    assert record.raw == full.raw
    assert record.verified
    assert order.state == "done"


def test_a_compact_notification_gets_the_certificates_of_its_card(world: World) -> None:
    ipa = started(world)
    ipa.notify(downloaded(ipa).raw)
    full = _enable_notification(world)
    metadata, signature = full.get(0xBF2F), full.get(0x5F37)
    ipa.notify(t("A1", t("5A", world.card.eid), metadata.raw, signature.raw))
    assert noted(world.eim, "forwarded")[-1]["ok"] is True
    assert world.smdp.notifications[-1].raw == full.raw


def _enable_notification(world: World) -> Node:
    """An otherSignedNotification as this card would sign it."""
    metadata = t("BF2F", t("80", "09"), t("81", "0640"), t("0C", ADDRESS.encode()), t("5A", ICCID_BYTES))
    signature = t("5F37", raw_signature(world.pki["euicc"].private_key, metadata))
    return der.parse(t("30", metadata, signature, world.pki["euicc"].cert_der, world.pki["eum"].cert_der))


def compact_cancel(full: Node) -> bytes:
    signed, signature = full.get(0xA0).children
    return t("A2", t("30", t("80", signed.get(0x82).value)), signature.raw)


def test_a_cancelled_session_is_cancelled_at_the_server_in_both_forms(world: World) -> None:
    for form in (lambda node: node.value, compact_cancel):
        world.smdp_order.state = OrderState.AVAILABLE
        order = world.order()
        ipa = Ipa(world, transaction=order.transaction_id)
        ipa.initiate()
        ipa.authenticate()
        assert ipa.cancel(3, form) == bytes.fromhex("BF41 02 A000")
        assert world.smdp_order.cancel_reason == 3
        assert order.state == "failed"


def test_a_postponed_download_stays_ordered(world: World) -> None:
    order = world.order()
    ipa = Ipa(world, transaction=order.transaction_id)
    ipa.initiate()
    ipa.authenticate()
    assert ipa.cancel(1) == bytes.fromhex("BF41 02 A000")
    assert order.state == "handed out"


def test_a_cancel_response_with_its_own_tag_inside_is_understood(world: World) -> None:
    ipa = started(world)
    ipa.initiate()
    ipa.authenticate()
    assert ipa.cancel(3, lambda node: node.raw) == bytes.fromhex("BF41 02 A000")
