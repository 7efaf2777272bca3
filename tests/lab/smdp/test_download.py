"""A whole download: what the SM-DP+ signs, binds and protects is what a card verifies and opens."""

from __future__ import annotations

import hashlib

import pytest

from ipad_agent.lab.crypto import der
from ipad_agent.lab.pki import Pki
from ipad_agent.lab.smdp import (
    Metadata,
    Order,
    OrderState,
    ProfilePackage,
    ServerIdentity,
    VirtualSmdp,
    hash_cc,
    with_notifications,
)

from .scripted import ADDRESS, CHALLENGE, ICCID, MATCHING, Card, Client, fields_of, signed_by, un64


def test_a_profile_travels_whole_and_its_result_is_verified(pki: Pki) -> None:
    smdp = VirtualSmdp(ServerIdentity.smdp(pki))
    package = ProfilePackage.sample(Metadata(ICCID, notify=with_notifications(ADDRESS)), 5000)
    order = smdp.orders.add(Order(MATCHING, package))
    client = Client(smdp, Card(pki))
    opened = client.download()
    assert opened.transaction == client.transaction
    assert opened.configure == b"\xbf\x24\x00"
    assert opened.metadata == package.metadata.encode() == un64(client.authenticated["profileMetadata"])
    assert opened.elements == package.elements
    assert max(opened.sizes) == 1020
    assert order.state.value == "downloaded"
    reply = client.notify(client.card.installation_result(client.transaction))
    assert (reply.status, reply.body) == (204, None)
    (record,) = smdp.notifications
    assert record.problem is None
    assert record.verified
    assert record.succeeded
    assert (record.eid, record.iccid, record.address, record.events) == (pki.eid, ICCID, ADDRESS, ("install",))
    assert order.state is OrderState.INSTALLED


def test_server_signed1_answers_the_challenge_under_the_right_key(pki: Pki) -> None:
    client = Client(VirtualSmdp(ServerIdentity.smdp(pki)), Card(pki))
    answer = fields_of(client.initiate())
    signed = un64(answer["serverSigned1"])
    # 30 { 80 transactionId, 81 euiccChallenge, 83 serverAddress, 84 serverChallenge } (SGP.22 §5.6.1)
    expected = "8010" + answer["transactionId"] + "8110" + CHALLENGE.hex() + "8310" + ADDRESS.encode().hex() + "8410"
    assert signed[:2].hex() == f"30{len(signed) - 2:02x}"
    assert signed[2:-16].hex() == expected.lower()
    assert answer["transactionId"] == answer["transactionId"].upper()
    assert signed_by(pki["dpauth"].certificate, un64(answer["serverSignature1"]), signed)
    assert un64(answer["serverCertificate"]) == pki["dpauth"].cert_der
    assert un64(answer["euiccCiPKIdToBeUsed"]) == b"\x04\x14" + pki.ci_pkid


def test_smdp_signed2_is_signed_together_with_the_signature_of_the_card(pki: Pki) -> None:
    smdp = VirtualSmdp(ServerIdentity.smdp(pki))
    smdp.orders.add(Order(MATCHING, ProfilePackage.sample(Metadata(ICCID)), confirmation_code="12-34"))
    client = Client(smdp, Card(pki))
    answer = fields_of(client.authenticate())
    signed = un64(answer["smdpSigned2"])
    # 30 { 80 transactionId, 01 ccRequiredFlag } (SGP.22 §5.6.3)
    assert signed.hex() == "3015" + "8010" + client.initiated["transactionId"].lower() + "0101ff"
    assert signed_by(pki["dppb"].certificate, un64(answer["smdpSignature2"]), signed + client.card.euicc_signature1)
    assert un64(answer["smdpCertificate"]) == pki["dppb"].cert_der


def test_session_keys_protect_to_the_end_when_none_replace_them(p256: Pki) -> None:
    smdp = VirtualSmdp(ServerIdentity.smdp(p256))
    package = ProfilePackage.sample(Metadata(ICCID), 2500)
    smdp.orders.add(Order(MATCHING, package, replace_keys=False))
    opened = Client(smdp, Card(p256)).download()
    assert opened.groups == [0xA0, 0xA1, 0xA3]
    assert opened.replace is None
    assert opened.elements == package.elements


def test_replaced_session_keys_come_in_a_list_of_their_own(smdp: VirtualSmdp, order: Order, card: Card) -> None:
    opened = Client(smdp, card).download()
    assert opened.groups == [0xA0, 0xA1, 0xA2, 0xA3]
    assert opened.replace is not None
    assert opened.replace[:4].hex() == "bf263680"


@pytest.mark.parametrize("size", [1, 1006, 1007, 1008, 2014, 200_000])
def test_packages_of_any_size_are_cut_into_segments(p256: Pki, size: int) -> None:
    smdp = VirtualSmdp(ServerIdentity.smdp(p256))
    elements = hashlib.shake_128(b"profile").digest(size)
    smdp.orders.add(Order(MATCHING, ProfilePackage(Metadata(ICCID), elements)))
    opened = Client(smdp, Card(p256)).download()
    assert opened.elements == elements
    assert len(opened.sizes) == 3 + -(-size // 1007)


def test_big_metadata_takes_several_segments(p256: Pki) -> None:
    metadata = Metadata(ICCID, icon_type=1, icon=bytes(1024), stored_data=der.seq(der.oid("2.999.1", 0x80)))
    smdp = VirtualSmdp(ServerIdentity.smdp(p256))
    smdp.orders.add(Order(MATCHING, ProfilePackage.sample(metadata)))
    opened = Client(smdp, Card(p256)).download()
    assert opened.metadata == metadata.encode()
    assert opened.sizes[1:3] == [1020, 2 + len(opened.metadata) - 1008 + 8]


def test_metadata_is_written_as_the_module_says() -> None:
    metadata = Metadata(
        ICCID,
        service_provider="SP",
        name="N",
        profile_class=0,
        notify=(((0, 1), "a.b"),),
        owner=(b"\x62\xf2\x10", b"\x01", None),
        ppr=(1,),
        ecall=True,
        fallback_allowed=False,
    )
    # By hand from the types in SGP.22 §5.5.3 and SGP.32 (9F7B ecallIndication, 9F67 fallbackAllowed).
    assert metadata.encode().hex() == (
        "bf2539"
        "5a0a98942000000100000011"
        "91025350"
        "92014e"
        "950100"
        "b60b3009" + "800206c0" + "8103612e62"
        "b708" + "800362f210" + "810101"
        "99020640"
        "9f7b01ff"
        "9f670100"
    )


def test_class_operational_is_the_default_and_is_not_written() -> None:
    assert Metadata(ICCID, "S", "N", owner=None).encode().hex() == "bf25125a0a98942000000100000011910153" + "92014e"


def test_hash_of_the_confirmation_code() -> None:
    # printf 12-34 | sha256sum, then sha256sum over that and 0102...10.
    expected = "46fc6192e5d84ab1161b125e6134cee53744ad953f926af06f720c1a7d2a0d35"
    assert hash_cc("12-34", bytes(range(1, 17))).hex() == expected


def test_a_server_of_two_cis_takes_the_one_the_card_signs_with(p256: Pki, brainpool: Pki) -> None:
    smdp = VirtualSmdp(ServerIdentity.smdp(p256, brainpool))
    smdp.orders.add(Order(MATCHING, ProfilePackage.sample(Metadata(ICCID))))
    card = Card(brainpool, verify_cis=[p256.ci_pkid, brainpool.ci_pkid])
    client = Client(smdp, card)
    client.download()
    assert un64(client.initiated["serverCertificate"]) == brainpool["dpauth"].cert_der


def test_bytes_that_no_known_field_explains_are_part_of_what_is_verified(
    smdp: VirtualSmdp, order: Order, card: Card
) -> None:
    # The card's EUICCInfo2 ends with 9E, which is in no release: re-encoding would lose it and break the signature.
    client = Client(smdp, card)
    fields_of(client.authenticate())
    session = smdp.sessions.latest
    assert session is not None
    assert session.euicc_info2.endswith(bytes.fromhex("9e03010203"))
