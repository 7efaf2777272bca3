"""What an IPA reads from the card and writes into it, to the byte (SGP.32 v1.2 §5.9, SGP.22 v2.5 §5.7)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc import (
    BOOTSTRAP,
    OPERATOR_A,
    CardError,
    EimConfigError,
    NotificationTarget,
    Quirks,
    StatusError,
    default_card,
    default_profiles,
    eim_configuration,
    tbcd,
)
from ipad_agent.lab.euicc.state.isdr_state import Isdr
from ipad_agent.lab.euicc.state.profile_list import digits

from .euicc_bench import (
    ICCID_A,
    ICCID_B,
    ICCID_BOOTSTRAP,
    Bench,
    Terminal,
    bench,
    card_key,
    disable,
    enable,
    pki,
    signature_is_good,
)

BOOTSTRAP_INFO = (
    "E3475A0A" + ICCID_BOOTSTRAP + "4F10A0000005591010FFFFFFFF8900001000" + "9F700101"
    "910D" + b"Lab Bootstrap".hex().upper() + "9209" + b"Bootstrap".hex().upper() + "950101"
    "9F2601FF9F6701FF"
)


def empty(quirks: Quirks | None = None) -> Bench:
    """A card without any eIM."""
    b = bench(quirks)
    b.terminal.es10("BF640482020204")
    return b


def test_eid() -> None:
    assert bench().terminal.hex("BF3E035C015A") == "BF3E125A10" + pki().eid
    b = bench()
    b.terminal.es10("BF3E035C0142")
    assert b.terminal.sw == 0x6A88


def test_euicc_info1() -> None:
    ci = pki().ci_pkid.hex().upper()
    assert bench().terminal.hex("BF2000") == "BF2035" + "8203020500" + "A9160414" + ci + "AA160414" + ci


def test_euicc_info2_to_the_byte() -> None:
    ci = pki().ci_pkid.hex().upper()
    fields = [
        "8103020301",
        "8203020500",
        "8303010000",
        "840F" + "810100" + "820400053020" + "830400002000",  # free memory: 400000 - 3 * 20000 = 340000 = 053020
        "8504016A069A",  # bits 1 2 4 6, 13 14, 16 19 20 22; one unused
        "86030D0100",
        "8703020300",
        "88020490",  # bits 0 and 3; four unused
        "A9160414" + ci,
        "AA160414" + ci,
        "0403000001",
        "0C0B" + b"IP-LAB-0001".hex().upper(),
        "900100",  # IPAd
        "B40B" + "A0050403010200" + "8100" + "8200",  # version 1.2.0, eCall, fallback
    ]
    assert bench().terminal.hex("BF2200") == "BF228186" + "".join(fields)


def test_consumer_and_v1_cards_say_so() -> None:
    card = default_card(pki(), quirks=Quirks(consumer=True), associated=False)
    terminal = Terminal(card).open()
    info = der.parse(terminal.es10("BF2200"))
    assert info.find(0x90) is None
    assert info.find(0xB4) is None
    terminal.es10("BF5500")
    assert terminal.sw == 0x6A88
    terminal.apdu("00A4040010A0000005591010FFFFFFFF8900000100")
    data, _ = terminal.apdu("00C0000000")
    assert data.hex().upper().endswith("E005" + "8203020500")
    old = der.parse(bench(Quirks.v1_0()).terminal.es10("BF2200"))
    assert old.get(0xB4).raw.hex().upper() == "B407A0050403010000"


def test_profile_list_with_the_default_tags() -> None:
    b = bench()
    b.card.update_profile(OPERATOR_A, ecall=True, nickname="N", icon=b"\xff", icon_type=1, ppr=[1])
    answer = b.terminal.hex("BF2D00")
    assert answer.startswith("BF2D81DEA081DB" + BOOTSTRAP_INFO)
    assert answer.count("9F7001") == 3
    assert "9F7B01FF" in answer
    # neither nickname nor icon nor policy (SGP.32 §5.9.14); a consumer card tells the first two (SGP.22 §5.7.15)
    assert not any(field in answer for field in ("90014E", "9401FF", "9902"))
    consumer = bench(Quirks(consumer=True)).terminal.hex("BF2D00")
    assert "9F67" not in consumer


def test_a_card_may_refuse_the_fields_of_sgp32() -> None:
    b = bench(Quirks(refuses_sgp32_tags=True))
    assert b.terminal.hex("BF2D055C035A9F67") == "BF2D03810101"
    assert b.terminal.hex("BF2D045C025A99").startswith("BF2D")
    assert b.terminal.hex("BF2D00").startswith("BF2D81DA")


def test_profile_list_shows_what_the_tag_list_asks_for() -> None:
    b = bench()
    assert b.terminal.hex("BF2D055C035A9F70") == (
        "BF2D38A036"
        + "".join(f"E3105A0A{i}9F7001{s}" for i, s in ((ICCID_BOOTSTRAP, "01"), (ICCID_A, "00"), (ICCID_B, "00")))
    )
    b.card.update_profile(
        BOOTSTRAP,
        ppr=[1, 2],
        ecall=True,
        gid1=b"\x01",
        dp_oid="2.999.3",
        service_data=b"\x30\x00",
        icon=b"\xff",
        icon_type=1,
        nickname="n",
        notify=[NotificationTarget(1, "a.b")],
    )
    request = "BF2D21" + "A00C5A0A" + ICCID_BOOTSTRAP + "5C11" + "939490B6B7B899BF229F7B9F269F674242"
    fields = [
        "90016E",
        "930101",
        "9401FF",
        "B60B3009" + "80020640" + "8103612E62",
        "B708" + "800362F210" + "810101",
        "B805" + "8003883703",
        "99020560",
        "BF22023000",
        "9F7B01FF",
        "9F2601FF",
        "9F6701FF",
    ]
    assert b.terminal.hex(request) == "BF2D40A03EE33C" + "".join(fields)


@pytest.mark.parametrize(
    ("criterion", "count"),
    [
        ("5A0A" + ICCID_A, 1),
        ("5A0A" + "FF" * 10, 0),
        ("4F10A0000005591010FFFFFFFF8900001200", 1),
        ("950101", 1),
        ("950102", 2),
        ("950100", 0),
    ],
)
def test_profile_list_can_be_searched(criterion: str, count: int) -> None:
    request = der.tlv(0xBF2D, der.tlv(0xA0, bytes.fromhex(criterion)))
    assert len(der.parse(bench().terminal.es10(request)).get(0xA0).children) == count


@pytest.mark.parametrize("bad", ["BF2D02A000", "BF2D04A0029100", "BF2D035C015F", "BF2D06A0049501019500"])
def test_a_profile_list_request_that_makes_no_sense(bad: str) -> None:
    assert bench().terminal.hex(bad) in {"BF2D03810101", ""}


def test_rat() -> None:
    assert bench().terminal.hex("BF4300") == (
        "BF4314A012" + "3010" + "80020560" + "A107" + "3005" + "8003EEEEEE" + "820100"
    )


def test_certificates_have_their_tag_in_place_of_30() -> None:
    b = bench()
    certs = der.parse(b.terminal.es10("BF5600")).get(0xA0)
    assert b"\x30" + certs.get(0xA5).raw[1:] == pki()["eum"].cert_der
    assert b"\x30" + certs.get(0xA6).raw[1:] == pki()["euicc"].cert_der
    assert b.terminal.es10(b"\xbf\x56\x16\x80\x14" + pki().ci_pkid) == b.terminal.es10("BF5600")
    assert b.terminal.hex("BF56168014" + "00" * 20) == "BF5603810101"


def test_addresses() -> None:
    b = bench()
    smdp, smds = b"smdp.lab.example".hex().upper(), b"smds.lab.example".hex().upper()
    assert b.terminal.hex("BF3C00") == "BF3C24" + "8010" + smdp + "8110" + smds
    assert b.terminal.hex("BF6505" + "8003612E62") == "BF6503800100"
    assert b.terminal.hex("BF3C00") == "BF3C17" + "8003612E62" + "8110" + smds
    assert b.terminal.hex("BF65028000") == "BF6503800100"
    assert b.terminal.hex("BF3C00") == "BF3C12" + "8110" + smds


def test_connectivity_parameters_are_those_of_the_enabled_profile() -> None:
    b = bench()
    params = default_profiles()[0].http_params.hex().upper()
    assert (
        b.terminal.hex("BF5F00")
        == f"BF5F{len(params) // 2 + 4:02X}A0{len(params) // 2 + 2:02X}81{len(params) // 2:02X}{params}"
    )
    b.run(enable(ICCID_A))
    b.reset()
    assert b.terminal.hex("BF5F00") == "BF5F03810101"
    b.run(disable(ICCID_A))
    b.reset()
    assert b.terminal.hex("BF5F00") == "BF5F03810101"


def test_ipae_is_not_there() -> None:
    assert bench().terminal.hex("BF420480020780") == "BF4203800101"


def test_notifications_by_a_criterion_that_is_not_known() -> None:
    assert bench().terminal.hex("BF2B04A0028300") == "BF2B0381017F"


# --- AddInitialEim, GetEimConfigurationData ---


def test_initial_eims_are_added_once() -> None:
    b = empty()
    spki = pki()["eim-sign"].spki_der
    first = eim_configuration("x", spki, token=-1)
    second = eim_configuration("y", spki, counter=7)
    request = der.tlv(0xBF57, der.tlv(0xA0, first, second))
    assert b.terminal.hex(request) == "BF5707A005" + "840101" + "0500"
    assert b.terminal.hex(request) == "BF5703810102"
    other = der.tlv(0xBF57, der.tlv(0xA0, eim_configuration("other", spki)))
    assert b.terminal.hex(other) == "BF5703810102"
    stored = der.parse(b.terminal.es10("BF5500")).get(0xA0).children
    # Everything comes back but the counter, which the card never tells.
    assert [c.raw for c in stored[0].children if c.tag != 0x84] == [
        c.raw for c in der.parse(first).children if c.tag not in (0x83, 0x84)
    ]
    assert stored[0].get(0x84).integer() == 1
    assert stored[1].raw == der.seq(*(c.raw for c in der.parse(second).children if c.tag != 0x83))
    assert b.terminal.es10(bytes.fromhex("BF5505A003800179")) == der.tlv(0xBF55, der.tlv(0xA0, stored[1].raw))
    assert b.terminal.hex("BF5505A00380017A") == "BF5502A000"


def test_a_field_of_release_1_3_is_kept_by_a_card_of_that_release() -> None:
    proprietary = bytes.fromhex("AA0B" + "3009" + "80032A0304" + "A102" + "0500")
    for versions, kept in (((b"\x01\x02\x00",), False), ((b"\x01\x02\x00", b"\x01\x03\x00"), True)):
        b = empty(Quirks(iot_versions=versions))
        plain = der.parse(eim_configuration("x", pki()["eim-sign"].spki_der))
        entry = der.seq(plain.value, proprietary)
        assert b.terminal.hex(der.tlv(0xBF57, der.tlv(0xA0, entry))) == "BF5704A0020500"
        assert (proprietary in b.terminal.es10("BF5500")) is kept


def test_a_dump_of_the_configuration_can_be_loaded_again_with_a_counter() -> None:
    source = bench()
    source.card.associate_eim(
        "z",
        pki()["dppb"].cert_der,
        fqdn="z.example:5684",
        tls=pki()["eim-ca"].spki_der,
        protocols=(0, 1, 2),
        ci_pkid=pki().ci_pkid,
        indirect_download=True,
    )
    dump = source.terminal.es10("BF5500")
    target = empty()
    entries = (
        der.seq(*(c.raw for c in entry.children), der.integer(0, 0x83)) for entry in der.parse(dump).get(0xA0).children
    )
    request = der.tlv(0xBF57, der.tlv(0xA0, *entries))
    assert target.terminal.hex(request) == "BF5706A00405000500"
    assert target.terminal.es10("BF5500") == dump


@pytest.mark.parametrize(
    ("configurations", "code"),
    [
        ([], 7),
        ([eim_configuration("a", pki()["eim-sign"].spki_der), eim_configuration("a", pki()["dppb"].spki_der)], 2),
        ([eim_configuration("a", pki()["eim-sign"].spki_der, ci_pkid=bytes(20))], 3),
        ([eim_configuration("a", pki()["eim-sign"].spki_der, token=1)], 5),
        ([eim_configuration("a", pki()["eim-sign"].spki_der, counter=-2)], 6),
        ([eim_configuration("a", pki()["eim-sign"].spki_der, counter=None)], 7),
        ([bytes.fromhex("3006800161830100")], 7),
        ([bytes.fromhex("3003830100")], 7),
    ],
)
def test_initial_eims_are_all_added_or_none(configurations: list[bytes], code: int) -> None:
    b = empty()
    good = eim_configuration("good", pki()["eim-sign"].spki_der, token=-1)
    request = der.tlv(0xBF57, der.tlv(0xA0, *([good, *configurations] if configurations else [])))
    assert b.terminal.hex(request) == f"BF57038101{code:02X}"
    assert b.card.state.eims == []
    assert b.card.state.next_token == 1


def test_initial_eims_need_memory() -> None:
    b = bench(Quirks(max_eims=1))
    b.terminal.es10("BF640482020204")
    two = [eim_configuration(name, pki()["eim-sign"].spki_der) for name in "ab"]
    assert b.terminal.hex(der.tlv(0xBF57, der.tlv(0xA0, *two))) == "BF5703810101"


def test_an_eim_key_that_is_no_p256_or_brainpool_key_is_refused() -> None:
    b = bench()
    for key in (ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()):
        spki = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        with pytest.raises(EimConfigError) as refused:
            b.card.associate_eim("k", spki)
        assert refused.value.result == 7


# --- odds and ends ---


@pytest.mark.parametrize("tag", ["BF31", "BF32", "BF33", "BF29", "BF3F", "BF34", "BF35"])
def test_functions_that_are_not_for_an_ipad_or_not_here_are_unknown(tag: str) -> None:
    b = bench()
    b.terminal.es10(tag + "00")
    assert b.terminal.sw == 0x6A88


def test_functions_can_be_registered_whole_or_in_fragments() -> None:
    b = bench()
    b.card.es10.register(0xBF2E, lambda isdr, raw: b"\xbf\x2e\x03\x80\x01" + raw[-1:])
    b.card.es10.register(0xBF36, lambda isdr, raw: b"", fragment=True)
    b.card.es10.register(0xA0, lambda isdr, raw: raw, fragment=True)
    assert b.terminal.hex("BF2E00") == "BF2E03800100"
    assert b.terminal.hex("BF3682100030") == ""
    assert b.terminal.sw == 0x9000
    assert b.terminal.hex("A08210008700") == "A08210008700"
    b.terminal.es10("BF2E0100" + "00")
    assert b.terminal.sw == 0x6A80


def test_a_command_that_fails_half_way_leaves_nothing_behind() -> None:
    def change_then_fail(isdr: Isdr, raw: bytes) -> bytes:
        isdr.state.default_smdp = "half"
        if raw[-1]:
            raise StatusError(0x6A84)
        raise der.DerError("no")

    b = bench()
    for request, status in (("BF2E0100", 0x6A80), ("BF2E0101", 0x6A84)):
        b.card.es10.register(0xBF2E, change_then_fail, fragment=True)
        b.terminal.es10(request)
        assert b.terminal.sw == status
        assert b.card.state.default_smdp == "smdp.lab.example"


def test_a_consumer_lpa_can_switch_delete_and_name_profiles() -> None:
    b = bench(Quirks(es10c=True))
    by_iccid = f"A00C5A0A{ICCID_A}"
    assert b.terminal.hex("BF3111" + by_iccid + "8101FF") == "BF3103800100"
    assert b.terminal.sw == 0x910B
    b.reset()
    assert b.terminal.hex("BF3111" + by_iccid + "8101FF") == "BF3103800102"
    assert b.terminal.hex("BF330C5A0A" + ICCID_A) == "BF3303800102"
    assert b.terminal.hex("BF2910" + f"5A0A{ICCID_A}" + "90026162") == "BF2903800100"
    assert b.card.state.profile(OPERATOR_A).nickname == "ab"  # type: ignore[union-attr]  # it is there
    by_aid = "A0124F10A0000005591010FFFFFFFF8900001100"
    assert b.terminal.hex("BF3217" + by_aid + "810100") == "BF3203800100"
    assert b.terminal.sw == 0x9000
    b.reset()
    assert b.terminal.hex("BF3217" + by_aid + "810100") == "BF3203800102"
    assert b.terminal.hex("BF330C5A0A" + ICCID_A) == "BF3303800100"
    assert b.terminal.hex("BF330C5A0A" + ICCID_A) == "BF3303800101"
    assert b.terminal.hex("BF3111" + by_iccid + "8101FF") == "BF3103800101"
    assert b.terminal.hex("BF3F028000") == "BF3F03800100"


def test_python_helpers_keep_the_card_sane() -> None:
    b = bench()
    with pytest.raises(CardError, match="already"):
        b.card.add_profile(default_profiles()[1])
    other = default_profiles()[0]
    other.iccid = "89490200009000000022"
    with pytest.raises(CardError, match="enabled"):
        b.card.add_profile(other)
    with pytest.raises(CardError, match="no profile"):
        b.card.update_profile("89490200009000000022", name="x")
    for text in ("8949", "8949020000900000002X"):
        with pytest.raises(ValueError, match="ICCID"):
            tbcd(text)
    assert tbcd("894902000090000000").hex().upper() == "989420000009000000FF"
    assert digits(bytes.fromhex("989420000009000000FF")) == "894902000090000000"


def test_openssl_reads_what_the_card_says(tmp_path: Path) -> None:
    b = bench()
    b.run(enable(ICCID_A))
    b.reset()
    for number, request in enumerate(("BF2200", "BF2D00", "BF5500", "BF5600", "BF2B00", "BF2B04A0028200", "BF4300")):
        file = tmp_path / f"{number}.der"
        file.write_bytes(b.terminal.es10(request))
        shown = subprocess.run(
            ["openssl", "asn1parse", "-inform", "DER", "-in", str(file)], capture_output=True, text=True, check=False
        )
        assert shown.returncode == 0, shown.stderr
        assert "Error" not in shown.stdout + shown.stderr


def test_a_brainpool_card_signs_and_verifies_as_well() -> None:
    world = pki("brainpool", "brainpool")
    b = bench(world=world)
    node = der.parse(b.terminal.es10(b.eim.package(b"\xa6\x00")))
    signed = node.path(0xA0, 0x30)
    assert signature_is_good(card_key(world), node.path(0xA0, 0x5F37).value, signed.raw + b"\x84\x01\x00")
