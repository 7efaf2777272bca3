"""One session at a time: what ends it, cancelling it, and what may follow an installation (SGP.22 §5.7.14)."""

from __future__ import annotations

import pytest

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc import BOOTSTRAP, Quirks

from .euicc_bench import ICCID_A, bench, card_key, delete, disable, enable, pki, signature_is_good
from .rsp_server import NEW_ICCID, NEW_ICCID_BYTES, TRANSACTION, Download, download, metadata, read_result

CANCEL = "BF410D" + "80080123456789ABCDEF" + "8101"
IMMEDIATE_ENABLE = bytes.fromhex("BF5A038001FF")


def cancel(d: Download, reason: int) -> der.Node:
    node = der.parse(d.es10(bytes.fromhex(f"{CANCEL}{reason:02X}")))
    assert node.tag == 0xBF41
    return node


def loading(quirks: Quirks | None = None, count: int = 4) -> tuple[Download, list[bytes]]:
    """A download of which ``count`` segments have arrived, and the rest of them."""
    d = download(quirks)
    d.prepare()
    segments = d.server.bind().segments
    assert d.load(segments[:count]) == b""
    return d, segments[count:]


# --- CancelSession ---


@pytest.mark.parametrize("reason", [0, 1, 2, 3, 4, 5, 127])
def test_each_reason_is_signed(reason: int) -> None:
    d = download()
    d.authenticate()
    ok = cancel(d, reason).get(0xA0)
    signed = ok.get(0x30)
    # By hand from SGP.22 EuiccCancelSessionSigned: transactionId, OID 2.999.10, reason.
    assert signed.raw.hex().upper() == f"301280080123456789ABCDEF810388370A8201{reason:02X}"
    assert signature_is_good(card_key(), ok.get(0x5F37).value, signed.raw)
    assert cancel(d, reason).get(0x81).integer() == 5
    assert der.parse(d.es10(d.server.prepare_request())).path(0xA1, 0x02).integer() == 4


def test_a_session_of_the_other_ci_is_cancelled_with_its_key() -> None:
    world = pki("brainpool", "brainpool")
    d = download(world=world)
    d.prepare()
    ok = cancel(d, 0).get(0xA0)
    assert signature_is_good(card_key(world), ok.get(0x5F37).value, ok.get(0x30).raw)


def test_without_a_session_of_this_transaction_nothing_is_cancelled() -> None:
    d = download()
    assert cancel(d, 0).get(0x81).integer() == 5
    d.challenge()
    assert cancel(d, 0).get(0x81).integer() == 5
    d.authenticate()
    other = der.parse(d.es10(bytes.fromhex("BF4106800101810100")))
    assert other.value == bytes.fromhex("810105")
    d.server.prepared(d.es10(d.server.prepare_request()))


@pytest.mark.parametrize("reason", ["06", "80", "FF"])
def test_a_reason_that_no_one_knows(reason: str) -> None:
    d = download()
    d.authenticate()
    assert d.es10(bytes.fromhex(CANCEL + reason)) == bytes.fromhex("BF410381017F")
    assert cancel(d, 127).find(0xA0) is not None


@pytest.mark.parametrize("request_hex", ["BF4100", "BF410A80080123456789ABCDEF", "BF4103810100", "BF41058000810100"])
def test_a_cancellation_without_transaction_or_reason_is_wrong_data(request_hex: str) -> None:
    d = download()
    d.authenticate()
    assert d.es10(bytes.fromhex(request_hex)) == b""
    assert d.sw == 0x6A80


def test_a_cancelled_installation_leaves_nothing() -> None:
    d, rest = loading()
    assert cancel(d, 5).find(0xA0) is not None
    assert d.es10(rest[0]) == b""
    assert d.sw == 0x6985
    d.b.reset()
    assert (d.card.state.notifications, len(d.card.state.profiles)) == ([], 3)


def test_a_postponed_profile_can_come_later_bound_to_the_same_key() -> None:
    d = download()
    d.prepare()
    point = d.server.euicc_point
    cancel(d, 1)
    assert d.prepare(point).get(0x5F49).value == point


def test_after_an_installation_there_is_nothing_to_cancel() -> None:
    d = download()
    d.install()
    assert cancel(d, 5).get(0x81).integer() == 5


# --- what ends a session ---


@pytest.mark.parametrize("stage", ["challenge", "authenticate", "prepare"])
def test_a_reset_ends_the_session(stage: str) -> None:
    d = download()
    getattr(d, stage)()
    bpp_first = b"\xbf\x36\x00"
    d.b.reset()
    assert d.card.isdr.rsp_session is None
    assert d.es10(bpp_first) == b""
    assert d.sw == 0x6985
    assert cancel(d, 0).get(0x81).integer() == 5
    assert d.card.state.notifications == []


def test_the_session_is_the_cards_not_the_channels() -> None:
    d = download()
    d.authenticate()
    d.b.terminal.open()
    d.server.prepared(d.es10(d.server.prepare_request()))
    assert read_result(d.load(d.server.bind().segments)).aid is not None


def test_other_functions_may_come_between_the_segments() -> None:
    d, rest = loading()
    assert d.b.terminal.hex("BF3E035C015A").startswith("BF3E12")
    assert d.b.run(enable(ICCID_A)) == "830100"
    d.b.terminal.es10("BF3E0100")
    assert d.sw == 0x6A80
    assert read_result(d.load(rest)).aid is not None


@pytest.mark.parametrize("told", [True, False])
def test_a_new_challenge_ends_an_installation_like_a_power_cut(told: bool) -> None:
    d, rest = loading(Quirks(report_interruption=told))
    d.challenge()
    results = [read_result(n.raw) for n in d.card.state.notifications]
    assert [(r.command, r.reason) for r in results] == ([(2, 11)] if told else [])
    assert d.card.state.installing is None
    assert d.es10(rest[0]) == b""
    assert d.sw == 0x6985
    d.b.reset()
    assert len(d.card.state.notifications) == len(results)


def test_a_failed_installation_ends_the_session_but_not_the_next_download() -> None:
    d = download()
    d.prepare()
    stored = metadata(t5A=bytes.fromhex("5A0A98942000000200000072"))
    failed = read_result(d.load(d.server.bind(stored=stored).segments))
    done = read_result(d.install())
    assert (failed.seq, failed.reason, done.seq, done.reason) == (1, 9, 2, None)
    listed = der.parse(d.es10(bytes.fromhex("BF2B06A00481020780"))).get(0xA0)
    assert [child.raw for child in listed.children] == [failed.raw, done.raw]
    assert listed.children[1].path(0xBF27, 0x80).value == TRANSACTION


def test_sequence_numbers_are_shared_with_package_results() -> None:
    d = download()
    d.b.run(disable("98942000000100000011"))
    d.b.reset()
    assert read_result(d.install()).seq == 2


# --- ImmediateEnable ---


def enabling(configuration: str = "8000") -> Download:
    b = bench()
    body = bytes.fromhex(configuration)
    assert b.run(der.tlv(0xA7, body)) == "870100"
    return download(b=b)


def test_the_new_profile_may_be_enabled_at_once_and_only_once() -> None:
    d = enabling("8000" + "810388370A" + "8210" + b"SMDP.lab.example".hex())
    d.install()
    assert d.card.profile_states()[NEW_ICCID] is False
    assert d.es10(IMMEDIATE_ENABLE) == bytes.fromhex("BF5A03800100")
    assert d.card.enabled_iccid == NEW_ICCID
    d.b.reset()
    assert d.card.active_iccid == NEW_ICCID
    assert d.es10(IMMEDIATE_ENABLE) == bytes.fromhex("BF5A03800104")


@pytest.mark.parametrize("restriction", ["810388370B", "8201" + b"x".hex()])
def test_a_profile_from_elsewhere_is_not_enabled(restriction: str) -> None:
    d = enabling("8000" + restriction)
    d.install()
    assert d.es10(IMMEDIATE_ENABLE) == bytes.fromhex("BF5A03800101")
    assert d.card.enabled_iccid == BOOTSTRAP


@pytest.mark.parametrize("end", ["challenge", "reset"])
def test_the_next_challenge_or_reset_ends_the_chance(end: str) -> None:
    d = enabling()
    d.install()
    if end == "challenge":
        d.challenge()
    else:
        d.b.reset()
    assert d.es10(IMMEDIATE_ENABLE) == bytes.fromhex("BF5A03800104")


def test_a_failed_installation_gives_no_chance() -> None:
    d = enabling()
    d.prepare()
    bpp = d.server.bind()
    bpp.elements[-1] = bpp.elements[-1][:-1] + bytes([bpp.elements[-1][-1] ^ 1])
    assert read_result(d.load(bpp.segments)).reason == 8
    assert d.es10(IMMEDIATE_ENABLE) == bytes.fromhex("BF5A03800104")


def test_the_new_profile_can_be_enabled_and_deleted_by_a_package() -> None:
    d = download()
    d.install()
    new = NEW_ICCID_BYTES.hex().upper()
    assert d.b.run(enable(new)) == "830100"
    d.b.reset()
    assert d.card.active_iccid == NEW_ICCID
    assert d.b.run(disable(new), delete(new)) == "840100" + "850100"
    assert d.card.state.profile(NEW_ICCID) is None
