"""The lab's card and the lab's SM-DP+ together, with nothing between them but bytes and base64."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc import EuiccIdentity, Quirks, VirtualEuicc, default_card
from ipad_agent.lab.euicc.rsp.card_rsp_session import session_of
from ipad_agent.lab.smdp import (
    Fault,
    Metadata,
    Order,
    OrderState,
    ProfilePackage,
    ServerIdentity,
    VirtualSmdp,
    hash_cc,
    with_notifications,
)

from .euicc_bench import Terminal, pki
from .rsp_server import NEW_ICCID, split

ADDRESS = "smdp.lab.example"
MATCHING = "M-1"
DEVICE = bytes.fromhex("A108" + "800453926011" + "A100")


@dataclass
class Lpa:
    """Carries messages; decides nothing."""

    terminal: Terminal
    smdp: VirtualSmdp
    prepared: dict[str, Any] | None = None

    def call(self, function: str, **fields: str) -> dict[str, Any]:
        reply = self.smdp.handle(function, fields)
        assert reply.status == 200, reply
        assert reply.body is not None
        assert reply.body["header"]["functionExecutionStatus"] == {"status": "Executed-Success"}, reply.body
        return reply.body

    def es10(self, *parts: bytes, tag: int) -> bytes:
        return self.terminal.es10(der.tlv(tag, *parts))

    def authenticate(self) -> bytes:
        challenge = der.parse(self.es10(tag=0xBF2E)).get(0x80).value
        info1 = self.es10(tag=0xBF20)
        answer = self.call(
            "initiateAuthentication", euiccChallenge=b64(challenge), smdpAddress=ADDRESS, euiccInfo1=b64(info1)
        )
        return self.es10(
            *(un64(answer[name]) for name in ("serverSigned1", "serverSignature1")),
            *(un64(answer[name]) for name in ("euiccCiPKIdToBeUsed", "serverCertificate")),
            der.tlv(0xA0, der.utf8(MATCHING, 0x80), DEVICE),
            tag=0xBF38,
        )

    def prepare(self, code: str | None = None) -> bytes:
        authenticated = self.authenticate()
        transaction = der.parse(authenticated).path(0xA0, 0x30, 0x80).value
        answer = self.call(
            "authenticateClient", transactionId=transaction.hex().upper(), authenticateServerResponse=b64(authenticated)
        )
        self.prepared = answer
        hashed = der.octets(hash_cc(code, transaction)) if code is not None else b""
        return self.es10(
            un64(answer["smdpSigned2"]),
            un64(answer["smdpSignature2"]),
            hashed,
            un64(answer["smdpCertificate"]),
            tag=0xBF21,
        )

    def package(self, code: str | None = None) -> bytes:
        prepared = self.prepare(code)
        transaction = der.parse(prepared).path(0xA0, 0x30, 0x80).value
        answer = self.call(
            "getBoundProfilePackage", transactionId=transaction.hex().upper(), prepareDownloadResponse=b64(prepared)
        )
        return un64(answer["boundProfilePackage"])

    def load(self, package: bytes, limit: int | None = None) -> bytes:
        for segment in segments_of(package)[:limit]:
            answer = self.terminal.es10(segment)
            assert self.terminal.sw == 0x9000, hex(self.terminal.sw)
            if answer:
                return answer
        return b""

    def download(self, code: str | None = None) -> bytes:
        return self.load(self.package(code))

    def deliver(self) -> None:
        """Every pending notification, as it is, removed when the server has it."""
        pending = der.parse(self.terminal.es10(bytes.fromhex("BF2B00"))).get(0xA0).children
        for notification in pending:
            reply = self.smdp.handle("handleNotification", {"pendingNotification": b64(notification.raw)})
            assert reply.status == 204
            metadata = notification.path(0xBF27, 0xBF2F) if notification.tag == 0xBF37 else notification.get(0xBF2F)
            removed = self.es10(metadata.get(0x80).raw, tag=0xBF30)
            assert removed == bytes.fromhex("BF3003800100")


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def un64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def segments_of(package: bytes) -> list[bytes]:
    """Cut a BF36 as SGP.22 §2.5.5 says, from the bytes as they are."""
    node = der.parse(package, ber=True)
    initialise, *parts = node.children
    segments = [node.header + initialise.raw]
    for part in parts:
        elements = [child.raw for child in part.children]
        if part.tag in (0xA0, 0xA2):
            segments += [part.header + elements[0], *elements[1:]]
        else:
            segments += [part.header, *elements]
    return segments


def world(
    curve: str = "p256",
    *,
    quirks: Quirks | None = None,
    path: Path | None = None,
    metadata: Metadata | None = None,
    size_bytes: int = 3000,
    **order: Any,
) -> tuple[Lpa, Order, VirtualEuicc]:
    keys = pki() if curve == "p256" else pki("brainpool", "brainpool")
    card = default_card(keys, path, quirks)
    smdp = VirtualSmdp(ServerIdentity.smdp(keys))
    package = ProfilePackage.sample(
        metadata or Metadata(NEW_ICCID, notify=with_notifications(ADDRESS)), size_bytes=size_bytes
    )
    return Lpa(Terminal(card).open(), smdp), smdp.orders.add(Order(MATCHING, package, **order)), card


@pytest.mark.parametrize("curve", ["p256", "brainpool"])
@pytest.mark.parametrize("replace_keys", [True, False])
def test_a_whole_download_and_its_notifications(curve: str, replace_keys: bool) -> None:
    lpa, order, card = world(curve, quirks=Quirks(check_profile_elements=True), replace_keys=replace_keys)
    result = der.parse(lpa.download())
    assert result.path(0xBF27, 0xA2, 0xA0, 0x4F).value == card.state.profiles[-1].aid
    lpa.deliver()
    records = lpa.smdp.notifications
    assert [(r.kind, r.verified, r.iccid) for r in records] == [
        (records[0].kind, True, NEW_ICCID),
        (records[1].kind, True, NEW_ICCID),
    ]
    assert order.state is OrderState.INSTALLED
    assert card.state.notifications == []
    installed = card.state.profiles[-1]
    assert (installed.iccid, installed.enabled, installed.name) == (NEW_ICCID, False, "Lab Profile")
    assert [target.event for target in installed.notify] == [0, 1, 2, 3]


def test_big_metadata_and_a_big_package() -> None:
    metadata = Metadata(NEW_ICCID, icon_type=1, icon=bytes(1024), ppr=(2,), fallback_allowed=True)
    lpa, _, card = world(metadata=metadata, size_bytes=60_000)
    assert der.parse(lpa.download()).path(0xBF27, 0xA2).find(0xA0) is not None
    installed = card.state.profiles[-1]
    assert (len(installed.icon), installed.ppr, installed.fallback_allowed) == (1024, [2], True)
    assert installed.size_bytes > 60_000


def test_a_confirmation_code_on_its_way_through_the_card() -> None:
    lpa, _, _ = world(confirmation_code="1234")
    assert der.parse(lpa.prepare()).path(0xA1, 0x02).integer() == 127
    assert der.parse(lpa.download("1234")).path(0xBF27, 0xA2).find(0xA0) is not None


def test_the_card_of_two_cis_with_a_server_of_one() -> None:
    first, second = pki(), pki("brainpool", "brainpool")
    card = VirtualEuicc(EuiccIdentity.from_pki(first, second))
    smdp = VirtualSmdp(ServerIdentity.smdp(second))
    smdp.orders.add(Order(MATCHING, ProfilePackage.sample(Metadata(NEW_ICCID, notify=with_notifications(ADDRESS)))))
    lpa = Lpa(Terminal(card).open(), smdp)
    assert der.parse(lpa.download()).path(0xBF27, 0xA2).find(0xA0) is not None
    lpa.deliver()
    assert [record.problem for record in smdp.notifications] == [None, None]


def test_an_interrupted_download_is_bound_to_the_same_key_again(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    lpa, order, _ = world(path=path, max_bindings=1)
    package = lpa.package()
    assert lpa.load(package, -1) == b""
    again = Lpa(Terminal(default_card(pki(), path)).open(), lpa.smdp)
    again.deliver()
    assert lpa.smdp.notifications[0].error == (5, 11)
    order.state = OrderState.AVAILABLE  # an operator who lets the order go on
    assert der.parse(again.download()).path(0xBF27, 0xA2).find(0xA0) is not None
    assert order.bindings == 1


def test_a_cancellation_is_believed() -> None:
    lpa, order, _ = world()
    prepared = der.parse(lpa.prepare())
    transaction = prepared.path(0xA0, 0x30, 0x80)
    cancelled = lpa.es10(transaction.raw, b"\x81\x01\x03", tag=0xBF41)
    lpa.call("cancelSession", transactionId=transaction.value.hex().upper(), cancelSessionResponse=b64(cancelled))
    assert order.cancel_reason == 3


@pytest.mark.parametrize(
    ("action", "value", "code"),
    [
        ("wrong-challenge", None, 6),
        ("wrong-signature", None, 2),
        ("wrong-certificate", "foreign", 1),
        ("wrong-certificate", "dppb", 1),
        ("wrong-ci", None, 7),
    ],
)
def test_a_wrong_server_is_refused(action: str, value: object, code: int) -> None:
    lpa, _, _ = world()
    lpa.smdp.faults.arm(Fault("initiateAuthentication", action, value))
    assert der.parse(lpa.authenticate()).path(0xA1, 0x02).integer() == code
    assert der.parse(lpa.download()).path(0xBF27, 0xA2).find(0xA0) is not None


@pytest.mark.parametrize(
    ("action", "value", "code"),
    [
        ("wrong-signature", None, 2),
        ("wrong-certificate", "foreign", 1),
        ("wrong-certificate", "other-oid", 1),
        ("certificate-shown", "dpauth", 1),
        ("signed-transaction", None, 5),
        ("wrong-cc-flag", None, 127),
    ],
)
def test_a_wrong_preparation_is_refused(action: str, value: object, code: int) -> None:
    lpa, _, _ = world()
    lpa.smdp.faults.arm(Fault("authenticateClient", action, value))
    assert der.parse(lpa.prepare()).path(0xA1, 0x02).integer() == code


@pytest.mark.parametrize(
    ("action", "value", "error"),
    [
        ("bpp-signature", None, (0, 2)),
        ("bpp-transaction", None, (0, 3)),
        ("bpp-remote-op", 2, (0, 5)),
        ("bpp-key-type", 0x80, (0, 4)),
        ("bpp-key-length", 0x20, (0, 4)),
        ("bpp-host-id", b"other", (1, 8)),
        ("bpp-otpk", b"\x04" + bytes(64), (0, 1)),
        ("bpp-configure", b"\xbf\x25\x00", (1, 1)),
        ("bpp-metadata", Metadata("89490200002000000027"), (2, 9)),
        ("bpp-metadata", Metadata(NEW_ICCID, raw=b"\xbf\x25\x00"), (2, 1)),
        ("bpp-metadata", Metadata(NEW_ICCID, ppr=(1,)), (2, 15)),
        ("bpp-metadata", Metadata(NEW_ICCID[:-1] + "1"), (5, 13)),
        ("bpp-elements", bytes(100), (5, 12)),
        ("bpp-elements", bytes(400_000), (5, 10)),
        ("bpp-keys", None, (5, 8)),
        ("bpp-mac", 1, (1, 8)),
        ("bpp-mac", 2, (2, 8)),
        ("bpp-mac", 3, (4, 8)),
        ("bpp-mac", 4, (5, 8)),
        ("bpp-mac", 99, (5, 8)),
        ("bpp-swap", 4, (5, 8)),
        ("bpp-drop", 4, (5, 8)),
        ("bpp-repeat", 4, (5, 8)),
    ],
)
def test_a_wrong_package_ends_with_a_result_that_the_server_believes(
    action: str, value: object, error: tuple[int, int]
) -> None:
    lpa, order, card = world(quirks=Quirks(check_profile_elements=True))
    lpa.smdp.faults.arm(Fault("getBoundProfilePackage", action, value))
    before = card.profile_states()
    raw = lpa.download()
    final = der.parse(raw).path(0xBF27, 0xA2, 0xA1)
    assert (final.get(0x80).integer(), final.get(0x81).integer()) == error
    assert card.profile_states() == before
    lpa.deliver()
    (record,) = lpa.smdp.notifications
    if action != "bpp-transaction":
        assert (record.problem, record.error, order.state) == (None, error, OrderState.ERROR)


def test_a_segment_that_is_no_command_leaves_the_session_to_be_cancelled() -> None:
    lpa, order, card = world()
    lpa.smdp.faults.arm(Fault("getBoundProfilePackage", "bpp-tag", 4))
    for segment in segments_of(lpa.package()):
        assert lpa.terminal.es10(segment) == b""
        if lpa.terminal.sw != 0x9000:
            break
    assert lpa.terminal.sw == 0x6A88
    session = session_of(card.isdr)
    assert session is not None
    known = session.authenticated
    assert known is not None
    cancelled = lpa.es10(der.octets(known.transaction_id, 0x80), b"\x81\x01\x05", tag=0xBF41)
    transaction = known.transaction_id.hex().upper()
    lpa.call("cancelSession", transactionId=transaction, cancelSessionResponse=b64(cancelled))
    assert (order.cancel_reason, card.state.notifications) == (5, [])


def test_lengths_in_long_form_are_cut_and_read_as_they_are() -> None:
    lpa, _, _ = world()
    lpa.smdp.faults.arm(Fault("getBoundProfilePackage", "bpp-long-form"))
    assert der.parse(lpa.download()).path(0xBF27, 0xA2).find(0xA0) is not None


def test_any_block_size_will_do() -> None:
    lpa, _, _ = world()
    lpa.terminal.block_bytes = 100
    assert len(split(bytes(1020), 100)) == 11
    assert der.parse(lpa.download()).path(0xBF27, 0xA2).find(0xA0) is not None
