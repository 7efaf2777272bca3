"""LoadBoundProfilePackage: segments, protection, the commands inside and the signed result (SGP.22 §2.5.5, §5.5).

Long: one function with twenty kinds of wrong packages.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc import OPERATOR_A, AuthorisationRule, EuiccIdentity, Operator, Quirks, VirtualEuicc

from .euicc_bench import Bench, Eim, Terminal, card_key, pki, signature_is_good
from .rsp_server import (
    HOST_ID,
    NEW_ICCID,
    NEW_ICCID_BYTES,
    TRANSACTION,
    Bpp,
    Download,
    Server,
    download,
    error_of,
    header,
    metadata,
    package,
    read_result,
    session_keys,
)

INITIALISE, CONFIGURE, METADATA, METADATA_2, KEYS, ELEMENTS = range(6)
INCORRECT_INPUT, INVALID_SIGNATURE, INVALID_TRANSACTION, UNSUPPORTED_CRT, UNSUPPORTED_OPERATION = 1, 2, 3, 4, 5
UNSUPPORTED_CLASS, STRUCTURE, SECURITY, ICCID_EXISTS, NO_MEMORY = 6, 7, 8, 9, 10
PE_PROCESSING, DATA_MISMATCH, PPR_NOT_ALLOWED = 12, 13, 15
REPLACE_KEYS = b"\xaa" * 16 + b"\xbb" * 16 + b"\xcc" * 16
FREE_AID = bytes.fromhex("A0000005591010FFFFFFFF8900001300")


def prepared(quirks: Quirks | None = None) -> Download:
    d = download(quirks)
    d.prepare()
    return d


def outcome(d: Download, bpp: Bpp) -> tuple[int | None, int | None]:
    """How the installation ends; whatever it is, the card keeps it and the session is over."""
    before = len(d.card.state.profiles)
    raw = d.load(bpp.segments)
    stored = d.card.state.notifications[-1] if d.card.state.profiles[-1].notify == [] else None
    if stored is not None:
        assert stored.raw == raw
    result = read_result(raw, d.server.world)
    assert (len(d.card.state.profiles) == before + 1) is (result.aid is not None)
    assert d.card.state.installing is None
    assert d.card.isdr.rsp_session is None
    assert d.es10(bytes.fromhex("A10100")) == b""
    assert d.sw == 0x6985
    return result.command, result.reason


# Everything by OpenSSL 3.0 on a command line, from otSK.EUICC 11..12 and otSK.DP 22..22 (EC key files written by hand):
#   openssl pkeyutl -derive                                                       -> the shared secret
#   openssl kdf ... digest:SHA256, hexinfo:8810 08 6c61622d686f7374 10 <EID> X963KDF -> chaining value, S-ENC, S-MAC
#   openssl enc -aes-128-cbc -nopad, IV 0, over the counter                        -> the vector; then over data 80 00..
#   openssl mac ... AES-128-CBC CMAC over chaining value, tag, length, payload     -> the MAC
# EID 89049032000000000000000000000163. In order: ConfigureISDP, StoreMetadata, one profile element under the session
# keys; ReplaceSessionKeys (AA.., BB.., CC..) in its place, and the same profile element under those keys.
BY_HAND = {
    "p256": [
        "87183655DC989125FEAD99BDD573E4ADFE791BE086303A8C5FC4",
        "8829BF251E5A0A9894200000090000100291054C6162204392064320496F54219501029E2EA2D64BB19663",
        "862859EB30289749A57CABAA2C845805FA73C0E020AE606F7B8ACC72D3272CF48C049B9487324C0F74A8",
        (
            "8748BD62F950C5317AB9BB88C91AE6E9EF0BC80C266FC5B9008205C69EE4EFB7D41A4E846466FE38C88D5D5CFE97CEB496F96C102F"
            "F328C642A16E98A49A3CE4DE9F511DF0C4EBD91D34"
        ),
        "8628A4DC0F9BF93888322C8932D0CA8D809DB2887F6A950CF8898CA8353AA7BD11C6DC3A0C567F5A95B9",
    ],
    "brainpool": [
        "8718D2730636E7E1DB19A88C6E64877568499DC7416CF72C51BC",
        "8829BF251E5A0A9894200000090000100291054C6162204392064320496F542195010258FA40FFFC400C9E",
        "862850BB58619DDBCFCDB2330A0EA3E2132504AA7840A0F1C7CE290E8B3CEDC868947AD287847C47FB98",
        (
            "8748D3F1988DFD46DB00E787C7DBCF90E584B3EA0E616E6A68FE051778F2FF639BF57CC89F9E7C1129BB1D9A812BF8392BC02AD6B5"
            "4A6ED9AA5576E3758DF506641A1A474F35BF79C95C"
        ),
        "8628A4DC0F9BF93888322C8932D0CA8D809DB2887F6A950CF8898CA8353AA7BD11C6DC3A0C567F5A95B9",
    ],
}


@pytest.mark.parametrize("curve", BY_HAND)
@pytest.mark.parametrize("with_keys", [False, True])
def test_segments_made_by_hand_are_installed(curve: str, with_keys: bool) -> None:
    d = download(world=pki() if curve == "p256" else pki("brainpool", "brainpool"))
    assert d.server.world.eid == "89049032000000000000000000000163"
    d.card.isdr.random = lambda count: (bytes(8) + b"\x11" * 32)[-count:]
    d.server.otsk = ec.derive_private_key(int("22" * 32, 16), d.server.otsk.curve)
    d.prepare()
    configure, stored, element, keys, element_under_keys = (bytes.fromhex(text) for text in BY_HAND[curve])
    bpp = Bpp(
        d.server.initialise_request(),
        [configure],
        [stored],
        [keys] if with_keys else [],
        [element_under_keys if with_keys else element],
    )
    assert outcome(d, bpp) == (None, None)
    installed = d.card.state.profiles[-1]
    assert (installed.iccid, installed.name, installed.dp_oid) == (NEW_ICCID, "C IoT!", "2.999.10")


def test_the_result_by_hand() -> None:
    # BF27 assembled from SGP.22 ProfileInstallationResultData: seqNumber 1, install, address, ICCID, OID 2.999.10, AID
    # of the fourth ISD-P, and the EUICCResponse of one PEStatus ok.
    d = prepared()
    raw = d.load(d.server.bind().segments)
    data = der.parse(raw).get(0xBF27)
    assert data.raw.hex().upper() == (
        "BF2758" + "80080123456789ABCDEF"
        "BF2F25" + "800101" + "81020780" + "0C10736D64702E6C61622E6578616D706C65" + "5A0A98942000000900001002"
        "060388370A"
        "A21FA01D4F10A0000005591010FFFFFFFF8900001300" + "04093007A0053003800100"
    )
    assert signature_is_good(card_key(), der.parse(raw).get(0x5F37).value, data.raw)


def test_the_result_of_a_failure_by_hand() -> None:
    d = prepared()
    bpp = d.server.bind(initialise=d.server.initialise_request(operation=b"\x82\x01\x02"))
    data = der.parse(d.load(bpp.segments)).get(0xBF27)
    assert data.raw.hex().upper() == (
        "BF2735" + "80080123456789ABCDEF"
        "BF2F19" + "800101" + "81020780" + "0C10736D64702E6C61622E6578616D706C65"
        "060388370A"
        "A208A106" + "800100" + "810105"
    )


def test_a_new_profile_is_there_disabled_and_listed_with_its_metadata() -> None:
    d = prepared()
    targets = der.tlv(
        0xB6, bytes.fromhex("3008" + "80020780" + "81026161"), bytes.fromhex("3008" + "80020430" + "81026262")
    )
    stored = metadata(
        t93=b"\x93\x01\x01",
        t94=b"\x94\x03PNG",
        t95=b"\x95\x01\x01",
        tB6=targets,
        tB7=bytes.fromhex("B708" + "800362F240" + "810101"),
        t99=bytes.fromhex("99020520"),
        t9F7B=b"\x9f\x7b\x01\xff",
        t9F67=b"\x9f\x67\x01\xff",
    )
    d.b.card.isdr.quirks = replace(
        d.card.quirks, rules=(AuthorisationRule((2,), (Operator(b"\x62\xf2\x40", b"", None),)),)
    )
    result = read_result(d.load(d.server.bind(stored=stored).segments))
    assert (result.aid, result.iccid) == (FREE_AID, NEW_ICCID_BYTES)
    tags = "5A4F9F709192939495B6B7B8999F7B9F67"
    request = der.tlv(0xBF2D, der.tlv(0xA0, der.octets(NEW_ICCID_BYTES, 0x5A)), bytes.fromhex(f"5C11{tags}"))
    (info,) = der.parse(d.es10(request)).get(0xA0).children
    assert info.value.hex().upper() == (
        "5A0A98942000000900001002" + "4F10A0000005591010FFFFFFFF8900001300" + "9F700100"
        "91054C61622043" + "92064320496F5421" + "930101" + "9403504E47" + "950101"
        "B61E" + "3008800207808102" + "6161" + "3008800205208102" + "6262" + "3008800204108102" + "6262"
        "B708800362F240810101" + "B805800388370A" + "99020520" + "9F7B01FF" + "9F6701FF"
    )


def test_recipients_of_the_installation_get_notifications_of_their_own() -> None:
    d = prepared()
    targets = bytes.fromhex("B618" + "3008" + "80020780" + "81026161" + "300C800206C08106" + b"b.test".hex())
    raw = d.load(d.server.bind(stored=metadata(tB6=targets)).segments)
    result = read_result(raw)
    pending = [child.raw for child in der.parse(d.es10(bytes.fromhex("BF2B00"))).get(0xA0).children]
    assert pending[0] == raw
    others = [der.parse(p) for p in pending[1:]]
    told = [(o.path(0xBF2F, 0x80).integer(), o.path(0xBF2F, 0x0C).text()) for o in others]
    assert (result.seq, told) == (1, [(2, "aa"), (3, "b.test")])
    assert [o.path(0xBF2F, 0x81).value for o in others] == [b"\x07\x80"] * 2
    assert signature_is_good(card_key(), others[0].get(0x5F37).value, others[0].get(0xBF2F).raw)
    assert d.b.terminal.hex("BF3003800101") == "BF3003800100"
    assert len(der.parse(d.es10(bytes.fromhex("BF2B00"))).get(0xA0).children) == 2


def test_a_profile_under_another_ci_signs_its_notifications_with_that_ci() -> None:
    second = pki("brainpool", "brainpool")
    card = VirtualEuicc(EuiccIdentity.from_pki(pki(), second))
    d = Download(Bench(card, Terminal(card).open(), Eim(second)), Server(second))
    d.prepare()
    targets = bytes.fromhex("B60A" + "3008" + "80020780" + "81026161")
    read_result(d.load(d.server.bind(stored=metadata(tB6=targets)).segments), second)
    other = der.parse(card.state.notifications[-1].raw)
    assert signature_is_good(card_key(second), other.get(0x5F37).value, other.get(0xBF2F).raw)
    assert other.children[2].raw == second["euicc"].cert_der


# --- the pieces ---


def test_intermediate_segments_are_answered_by_a_status_word_alone() -> None:
    d = prepared()
    for segment in d.server.bind(replace_keys=REPLACE_KEYS).segments[:-1]:
        assert d.es10(segment) == b""
        assert d.sw == 0x9000


@pytest.mark.parametrize("piece", [1, 15, 16, 250, 1000])
@pytest.mark.parametrize("replace_keys", [None, REPLACE_KEYS])
def test_metadata_and_elements_may_come_in_any_number_of_pieces(piece: int, replace_keys: bytes | None) -> None:
    d = prepared()
    stored = metadata(t93=b"\x93\x01\x00", t94=der.octets(bytes(1024), 0x94)) if piece > 16 else None
    bpp = d.server.bind(
        piece=piece, replace_keys=replace_keys, stored=stored, elements=package(500 if piece > 1 else 9)
    )
    assert outcome(d, bpp) == (None, None)


def test_lengths_of_headers_may_have_any_form() -> None:
    d = prepared()
    parts = d.server.bind()
    body = header(0xA3, parts.elements)
    long_header = b"\xa3\x83" + sum(map(len, parts.elements)).to_bytes(3, "big")
    segments = [long_header if s == body else s for s in parts.segments]
    whole = parts.initialise + b"".join(segments[1:])
    segments[0] = b"\xbf\x36\x83" + len(whole).to_bytes(3, "big") + parts.initialise
    assert read_result(d.load(segments)).aid == FREE_AID


def test_a_delay_can_be_declared_for_the_segments() -> None:
    d = prepared(Quirks(delays_s={0x86: 1.5, 0xBF37: 9.0}))
    segments = d.server.bind().segments
    d.load(segments[:-1])
    assert d.card.last_delay_s == 1.5
    d.b.terminal.block_bytes = 255
    answers = []
    for raw in segments[-1:]:
        d.card.transmit(bytes([0x81, 0xE2, 0x91, 0x00, len(raw)]) + raw)
        answers.append(d.card.last_delay_s)
    assert answers == [9.0]


def test_without_preparation_segments_are_not_expected() -> None:
    d = download()
    for stage in (lambda: None, d.challenge, d.authenticate):
        stage()
        for raw in ("BF3602BF23", "A0028700", "8700", "A100", "8800", "A200", "A300", "8600"):
            assert d.es10(bytes.fromhex(raw)) == b""
            assert d.sw == 0x6985
    d.prepare()
    assert d.es10(bytes.fromhex("A10100")) == b""
    assert d.sw == 0x6985
    assert read_result(d.load(d.server.bind().segments)).aid == FREE_AID


def rearranged(segments: list[bytes], name: str) -> list[bytes]:
    """Segments of a package with keys: BF36+BF23, A0+87, A1, 88, A2+87, A3, 86..."""
    whole, first, described, meta, keys, body, *elements = segments
    return {
        "nothing but a header": [whole[: -len(der.parse(whole[5:]).raw)]],
        "a second beginning": [whole, first, whole],
        "no ConfigureISDP": [whole, described],
        "metadata before ConfigureISDP": [whole, meta],
        "elements at once": [whole, body],
        "ConfigureISDP twice": [whole, first, first],
        "an 88 in the first part": [whole, b"\xa0" + described[1:] + meta],
        "a header with its element": [whole, first, described + meta],
        "a header without its element": [whole, first, described, meta, keys[:2]],
        "an 86 instead of an 88": [whole, first, described, *elements],
        "more metadata than announced": [whole, first, described, meta, meta],
        "two elements at once": [whole, first, described, meta, keys, body, elements[0] + elements[1]],
        "elements in a second header": [whole, first, described, meta, keys, body, body],
        "half an element": [whole, first, described, meta, keys, body, elements[0][:-1]],
        "an empty part": [whole, first, b"\xa1\x00"],
        "a part that exceeds the package": [whole, first, b"\xa1\x83\x01\x00\x00"],
        "elements that leave a rest": [whole, first, described, meta, keys, b"\xa3\x01"],
        "an element larger than its part": [whole, first, b"\xa1\x04", meta],
        "a length of no form": [whole, first, b"\xa1\x80"],
        "an unfinished header": [whole, first, b"\xa1"],
    }[name]


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("nothing but a header", INITIALISE),
        ("a second beginning", CONFIGURE),
        ("no ConfigureISDP", CONFIGURE),
        ("metadata before ConfigureISDP", CONFIGURE),
        ("elements at once", CONFIGURE),
        ("ConfigureISDP twice", METADATA),
        ("an 88 in the first part", CONFIGURE),
        ("a header with its element", METADATA),
        ("a header without its element", KEYS),
        ("an 86 instead of an 88", METADATA),
        ("more metadata than announced", ELEMENTS),
        ("two elements at once", ELEMENTS),
        ("elements in a second header", ELEMENTS),
        ("half an element", ELEMENTS),
        ("an empty part", METADATA),
        ("a part that exceeds the package", METADATA),
        ("elements that leave a rest", ELEMENTS),
        ("an element larger than its part", METADATA),
        ("a length of no form", METADATA),
        ("an unfinished header", METADATA),
    ],
)
def test_pieces_out_of_order_or_shape_are_a_structure_error(name: str, command: int) -> None:
    d = prepared()
    segments = rearranged(d.server.bind(replace_keys=REPLACE_KEYS).segments, name)
    assert error_of(d.load(segments)) == (command, STRUCTURE)
    assert len(d.card.state.profiles) == 3


def test_a_part_has_to_be_complete_before_the_next() -> None:
    d = prepared()
    bpp = d.server.bind(piece=20, replace_keys=REPLACE_KEYS)
    whole, first, described, meta, *_, keys, body = bpp.segments[: 6 + len(bpp.metadata) - 1]
    assert body == header(0xA3, bpp.elements)
    assert error_of(d.load([whole, first, described, meta, keys])) == (METADATA, STRUCTURE)


@pytest.mark.parametrize("name", ["another command", "longer than the package", "followed by something"])
def test_a_beginning_that_is_not_a_beginning_is_a_structure_error(name: str) -> None:
    d = prepared()
    bpp = d.server.bind()
    whole = bpp.segments[0]
    raw = {
        "another command": whole.replace(b"\xbf\x23", b"\xbf\x24", 1),
        "longer than the package": b"\xbf\x36\x20" + bpp.initialise,
        "followed by something": whole + b"\x05\x00",
    }[name]
    assert error_of(d.load([raw])) == (INITIALISE, STRUCTURE)


# --- protection ---


def spoil(raw: bytes, index: int = -1) -> bytes:
    changed = bytearray(raw)
    changed[index] ^= 0x01
    return bytes(changed)


@pytest.mark.parametrize(
    ("part", "command"),
    [("first", CONFIGURE), ("metadata", METADATA), ("keys", KEYS), ("elements", ELEMENTS)],
)
@pytest.mark.parametrize("index", [-1, 3, -9])
def test_a_bit_changed_anywhere_is_a_security_error(part: str, command: int, index: int) -> None:
    d = prepared()
    bpp = d.server.bind(replace_keys=REPLACE_KEYS)
    getattr(bpp, part)[-1] = spoil(getattr(bpp, part)[-1], index)
    assert outcome(d, bpp) == (command, SECURITY)


def test_elements_in_another_order_are_a_security_error() -> None:
    d = prepared()
    bpp = d.server.bind(piece=100)
    bpp.elements[0], bpp.elements[1] = bpp.elements[1], bpp.elements[0]
    assert outcome(d, bpp) == (ELEMENTS, SECURITY)


@pytest.mark.parametrize("what", ["host id", "eid"])
def test_keys_for_another_host_or_card_are_a_security_error(what: str) -> None:
    d = prepared()
    if what == "host id":
        bpp = d.server.bind(host_id=b"other")
    else:
        d.server.world = replace(d.server.world, eid="89049032000000000000000000000260")
        bpp = d.server.bind()
        d.server.world = pki()
    assert outcome(d, bpp) == (CONFIGURE, SECURITY)


def test_segments_of_more_than_1020_bytes_are_a_structure_error() -> None:
    d = prepared()
    assert outcome(d, d.server.bind(piece=1007)) == (None, None)
    d.card.isdr.state.profiles.pop()
    d.card.isdr.commit()
    d.prepare()
    bpp = d.server.bind(piece=1008, elements=package(2000))
    assert len(bpp.elements[0]) == 1036
    assert outcome(d, bpp) == (ELEMENTS, STRUCTURE)


def test_payload_that_is_no_whole_blocks_is_a_structure_error() -> None:
    d = prepared()
    bpp = d.server.bind()
    # Protected as metadata are: the MAC is right, the payload is three bytes.
    scp = session_keys(d.server.otsk, d.server.euicc_point, d.server.world.eid)
    bpp.first = [scp.signed(0x87, b"\xbf\x24\x00")]
    assert outcome(d, bpp) == (CONFIGURE, STRUCTURE)


# --- InitialiseSecureChannel ---


@pytest.mark.parametrize(
    ("bend", "reason"),
    [
        ({"operation": b"\x82\x01\x02"}, UNSUPPORTED_OPERATION),
        ({"transaction": b"\x01\x02"}, INVALID_TRANSACTION),
        ({"template": bytes.fromhex("800180" + "810110" + "840101")}, UNSUPPORTED_CRT),
        ({"template": bytes.fromhex("800188" + "810120" + "840101")}, UNSUPPORTED_CRT),
        ({"template": bytes.fromhex("800188" + "810110" + "8400")}, UNSUPPORTED_CRT),
        ({"template": bytes.fromhex("800188" + "810110" + "8411" + "00" * 17)}, UNSUPPORTED_CRT),
        ({"template": bytes.fromhex("800188" + "810110")}, UNSUPPORTED_CRT),
        ({"point": b"\x04" + bytes(64)}, INCORRECT_INPUT),
        ({"point": b"\x04"}, INCORRECT_INPUT),
        ({"operation": b""}, INCORRECT_INPUT),
        ({"operation": b"\x82\x00"}, INCORRECT_INPUT),
        ({"key": pki()["dpauth"].private_key}, INVALID_SIGNATURE),
        ({"euicc_point": b"\x04" + bytes(64)}, INVALID_SIGNATURE),
    ],
)
def test_the_beginning_is_checked(bend: dict[str, bytes], reason: int) -> None:
    d = prepared()
    bpp = d.server.bind(initialise=d.server.initialise_request(**bend))  # type: ignore[arg-type] # one field each
    assert outcome(d, bpp) == (INITIALISE, reason)
    assert d.card.state.one_time_keys == []


def test_a_beginning_that_was_changed_on_its_way() -> None:
    d = prepared()
    raw = d.server.initialise_request()
    assert outcome(d, d.server.bind(initialise=raw.replace(HOST_ID, b"bad-host"))) == (INITIALISE, INVALID_SIGNATURE)


def test_a_package_for_an_older_one_time_key_is_refused() -> None:
    d = prepared()
    bpp = d.server.bind()
    d.prepare()
    assert outcome(d, bpp) == (INITIALISE, INVALID_SIGNATURE)


# --- ConfigureISDP, StoreMetadata, ReplaceSessionKeys ---


@pytest.mark.parametrize(
    "command",
    ["", "BF2500", "BF2407B805800388370B", "BF2402B800", "BF24", "BF240100", "BF2400BF2400"],
)
def test_a_configure_isdp_that_is_none_or_of_another_server(command: str) -> None:
    d = prepared()
    assert outcome(d, d.server.bind(configure=bytes.fromhex(command))) == (CONFIGURE, INCORRECT_INPUT)


def test_proprietary_data_are_optional() -> None:
    d = prepared()
    assert outcome(d, d.server.bind(configure=bytes.fromhex("BF2400"))) == (None, None)
    assert d.card.state.profiles[-1].dp_oid == ""


@pytest.mark.parametrize("keys", [b"", REPLACE_KEYS[:-1], REPLACE_KEYS + b"\0"])
def test_keys_of_another_size(keys: bytes) -> None:
    d = prepared()
    assert outcome(d, d.server.bind(replace_keys=keys)) == (KEYS, INCORRECT_INPUT)


@pytest.mark.parametrize(
    "stored",
    [
        metadata(t5A=None),
        metadata(t5A=b"\x5a\x09" + NEW_ICCID_BYTES[:9]),
        metadata(t5A=b"\x5a\x0a" + b"\xff" * 10),
        metadata(t91=None),
        metadata(t91=b"\x91\x01\xff"),
        metadata(t91=b"\x91\x21" + b"x" * 33),
        metadata(t92=None),
        metadata(t92=b"\x92\x41" + b"x" * 65),
        metadata(t93=b"\x93\x01\x02"),
        metadata(t94=der.octets(bytes(1025), 0x94)),
        metadata(t95=b"\x95\x01\x03"),
        metadata(tB6=bytes.fromhex("B60430028100")),
        metadata(tB7=bytes.fromhex("B704800262F2")),
        metadata(tB7=bytes.fromhex("B700")),
        metadata(t99=b"\x99\x00"),
        metadata(t9F7B=b"\x9f\x7b\x00"),
        metadata()[:-1],
        b"\xbf\x26" + metadata()[2:],
    ],
)
def test_metadata_out_of_their_limits(stored: bytes) -> None:
    d = prepared()
    assert outcome(d, d.server.bind(stored=stored)) == (METADATA, INCORRECT_INPUT)


def test_metadata_at_their_limits_and_with_unknown_fields() -> None:
    d = prepared()
    stored = metadata(
        t91=b"\x91\x20" + b"x" * 32,
        t92=b"\x92\x81\x80" + "ü".encode() * 64,
        t93=b"\x93\x01\x00",
        t94=der.octets(bytes(1024), 0x94),
        t95=None,
        tZZ=bytes.fromhex("BF23023000" + "9F0101AA"),
    )
    assert outcome(d, d.server.bind(stored=stored)) == (None, None)
    assert d.card.state.profiles[-1].profile_class == 2


def test_events_that_no_one_knows_are_not_kept() -> None:
    d = prepared()
    targets = bytes.fromhex("B60A" + "3008" + "80020318" + "81026161")  # delete, and one of a later release
    assert read_result(d.load(d.server.bind(stored=metadata(tB6=targets)).segments)).aid is not None
    assert [(t.event, t.address) for t in d.card.state.profiles[-1].notify] == [(3, "aa")]


def test_an_iccid_that_is_there_already() -> None:
    d = prepared()
    stored = metadata(t5A=bytes.fromhex("5A0A98942000000200000072"))
    raw = d.load(d.server.bind(stored=stored).segments)
    result = read_result(raw)
    assert (result.command, result.reason) == (METADATA, ICCID_EXISTS)
    assert result.iccid == bytes.fromhex("98942000000200000072")
    assert d.card.state.profile(OPERATOR_A) is not None


def test_a_class_that_the_card_does_not_take() -> None:
    d = prepared(Quirks(profile_classes=frozenset({1, 2})))
    assert outcome(d, d.server.bind(stored=metadata(t95=b"\x95\x01\x00"))) == (METADATA, UNSUPPORTED_CLASS)
    info = der.parse(d.es10(bytes.fromhex("BF2200")))
    assert info.get(0x88).bits() == {0}


OWNER = bytes.fromhex("B705800362F240")
PPR1_OR_2 = bytes.fromhex("99020560")
PPR2 = bytes.fromhex("99020520")


@pytest.mark.parametrize(
    ("policy", "owner", "quirks", "allowed"),
    [
        (PPR2, OWNER, Quirks(), True),
        (PPR2, None, Quirks(), False),
        (PPR2, bytes.fromhex("B708800362F240810101"), Quirks(), False),  # the rule is for owners without GID
        (PPR2, bytes.fromhex("B708800362F240820101"), Quirks(), False),
        (PPR2, OWNER, Quirks(rules=()), False),
        (PPR2, OWNER, Quirks(forbidden_ppr=frozenset({2})), False),
        (PPR2, OWNER, Quirks(rules=(AuthorisationRule((1,), (Operator(b"\xee\xee\xee"),)),)), False),
        (PPR2, OWNER, Quirks(rules=(AuthorisationRule((2,), (Operator(b"\x62\xf2\xe0"),)),)), True),
        (PPR2, OWNER, Quirks(rules=(AuthorisationRule((2,), (Operator(b"\x62\xf2\x50"),)),)), False),
        (PPR1_OR_2, OWNER, Quirks(), False),  # an operational profile is on the card
        (bytes.fromhex("99020410"), OWNER, Quirks(), False),  # a bit that no one knows
        (bytes.fromhex("99020780"), None, Quirks(), True),  # pprUpdateControl alone is no rule
        (bytes.fromhex("990100"), None, Quirks(rules=()), True),
    ],
)
def test_policy_rules_need_an_authorisation(policy: bytes, owner: bytes | None, quirks: Quirks, allowed: bool) -> None:
    d = prepared(quirks)
    expected = (None, None) if allowed else (METADATA, PPR_NOT_ALLOWED)
    assert outcome(d, d.server.bind(stored=metadata(t99=policy, tB7=owner))) == expected


def test_ppr1_is_allowed_where_no_operational_profile_is() -> None:
    d = prepared()
    state = d.card.isdr.state
    state.profiles = [p for p in state.profiles if p.profile_class != 2]
    d.card.isdr.commit()
    assert outcome(d, d.server.bind(stored=metadata(t99=PPR1_OR_2, tB7=OWNER))) == (None, None)
    assert d.card.state.profiles[-1].ppr == [1, 2]


def test_the_rules_show_where_they_are_asked_for() -> None:
    rules = (AuthorisationRule((2,), (Operator(b"\x62\xf2\x40", b"\x01", b""),), consent_required=True),)
    d = download(Quirks(rules=rules, forbidden_ppr=frozenset({1})))
    assert (
        d.b.terminal.hex("BF4300") == "BF431AA018" + "3016" + "80020520" + "A10C300A800362F2408101018200" + "82020780"
    )
    assert der.parse(d.es10(bytes.fromhex("BF2200"))).get(0x99).bits() == {1}


def test_features_that_the_card_lacks_are_not_taken_from_the_metadata() -> None:
    d = prepared(Quirks(ecall_supported=False, fallback_supported=False))
    stored = metadata(t9F7B=b"\x9f\x7b\x01\xff", t9F67=b"\x9f\x67\x01\xff")
    assert outcome(d, d.server.bind(stored=stored)) == (None, None)
    installed = d.card.state.profiles[-1]
    assert (installed.ecall, installed.fallback_allowed) == (False, False)


# --- memory and profile elements ---


def free_bytes(d: Download) -> int:
    info = der.parse(d.es10(bytes.fromhex("BF2200")))
    resource = der.parse_all(info.get(0x84).value)
    return int.from_bytes(resource[1].value, "big")


def with_memory(free: int) -> Download:
    d = download()
    d.card.isdr.state.free_memory_bytes = 60_000 + free
    d.card.isdr.commit()
    d.prepare()
    assert free_bytes(d) == free
    return d


def test_a_profile_takes_memory_and_gives_it_back() -> None:
    d = with_memory(5_000)
    elements = package(2_000)
    assert outcome(d, d.server.bind(elements=elements)) == (None, None)
    assert free_bytes(d) == 5_000 - 2_000 - len(elements)
    deleted = der.parse(d.b.terminal.es10(d.b.eim.package(der.tlv(0xA5, der.octets(NEW_ICCID_BYTES, 0x5A)))))
    assert deleted.path(0xA0, 0x30, 0x30).value == b"\x85\x01\x00"
    assert free_bytes(d) == 5_000


@pytest.mark.parametrize(
    ("free", "icon", "size", "expected"),
    [
        (1_999, 0, 0, (CONFIGURE, NO_MEMORY)),
        (2_500, 600, 0, (METADATA, NO_MEMORY)),
        (3_000, 500, 501, (ELEMENTS, NO_MEMORY)),
        (3_000, 500, 500, (None, None)),
    ],
)
def test_memory_ends_where_it_ends(free: int, icon: int, size: int, expected: tuple[int | None, int | None]) -> None:
    d = with_memory(free)
    stored = metadata(t93=b"\x93\x01\x00", t94=der.octets(bytes(icon), 0x94)) if icon else None
    assert outcome(d, d.server.bind(stored=stored, elements=bytes(size or 1))) == expected


def test_memory_that_ends_in_the_middle_ends_the_installation_there() -> None:
    d = with_memory(3_000)
    segments = d.server.bind(elements=package(4_000)).segments
    raw = d.load(segments)
    result = read_result(raw)
    assert (result.command, result.reason) == (ELEMENTS, NO_MEMORY)
    assert result.final.get(0x82).value == bytes.fromhex("3007A0053003800102")
    assert free_bytes(d) == 3_000


def test_no_place_for_one_more_profile() -> None:
    d = prepared()
    d.card.isdr.state.free_memory_bytes = 10_000_000
    for number in range(256 - 3):
        aid = d.card.next_aid()
        profile = replace(d.card.state.profiles[1], iccid=f"8949{number:015d}", aid=aid)
        d.card.isdr.state.profiles.append(profile)
    d.card.isdr.commit()
    raw = d.load(d.server.bind().segments)
    assert error_of(raw) == (CONFIGURE, NO_MEMORY)


def test_the_header_of_another_profile() -> None:
    d = prepared()
    elements = package(iccid="89490200009000000138")
    assert outcome(d, d.server.bind(elements=elements)) == (ELEMENTS, DATA_MISMATCH)


def test_the_header_may_have_the_iccid_in_either_order_and_brings_connectivity_parameters() -> None:
    d = prepared()
    elements = package(iccid=NEW_ICCID_BYTES.hex(), more_header=bytes.fromhex("8703350103"))
    assert outcome(d, d.server.bind(elements=elements)) == (None, None)
    assert d.card.state.profiles[-1].http_params == bytes.fromhex("350103")


@pytest.mark.parametrize(
    "elements", [b"\xff\xff", b"\x30\x00", b"\xa0\x01\x00", bytes(100), package()[:-4], b"\x30\x00" + package()[-4:]]
)
def test_elements_are_not_looked_into_unless_the_card_is_strict(elements: bytes) -> None:
    d = prepared()
    assert outcome(d, d.server.bind(elements=elements)) == (None, None)
    strict = prepared(Quirks(check_profile_elements=True))
    if elements != b"\xa0\x01\x00":
        result = read_result(strict.load(strict.server.bind(elements=elements).segments))
        assert (result.command, result.reason) == (ELEMENTS, PE_PROCESSING)
        assert result.final.get(0x82).value == bytes.fromhex("3007A0053003800103")


def test_a_strict_card_takes_a_header_to_an_end() -> None:
    d = prepared(Quirks(check_profile_elements=True))
    assert outcome(d, d.server.bind()) == (None, None)


# --- by order ---


@pytest.mark.parametrize("command", range(6))
@pytest.mark.parametrize("reason", [7, 12, 14, 127])
def test_any_failure_can_be_ordered(command: int, reason: int) -> None:
    d = prepared(Quirks(install_error=(command, reason)))
    bpp = d.server.bind(replace_keys=REPLACE_KEYS)
    assert outcome(d, bpp) == (command, reason)


@pytest.mark.parametrize("command", [0, 1, 2, 4, 5])
def test_a_status_word_instead_of_a_result_leaves_the_session_to_be_cancelled(command: int) -> None:
    d = prepared(Quirks(install_status=(command, 0x6581)))
    for segment in d.server.bind(replace_keys=REPLACE_KEYS).segments:
        assert d.es10(segment) == b""
        if d.sw != 0x9000:
            break
    assert d.sw == 0x6581
    cancelled = der.parse(d.es10(bytes.fromhex("BF410D80080123456789ABCDEF810105")))
    assert cancelled.path(0xA0, 0x30, 0x82).integer() == 5
    assert d.card.state.notifications == []
    d.b.reset()
    assert d.card.state.notifications == []


def test_the_tag_of_the_aid_in_the_result_can_be_another() -> None:
    d = prepared(Quirks(result_aid_tag=0x80))
    raw = d.load(d.server.bind().segments)
    final = der.parse(raw).path(0xBF27, 0xA2, 0xA0)
    assert final.get(0x80).value == FREE_AID
    assert der.parse(raw).path(0xBF27, 0x80).value == TRANSACTION


@pytest.mark.parametrize("lenient", [False, True])
def test_a_segment_over_1020_bytes_is_taken_only_by_a_lenient_card(lenient: bool) -> None:
    d = prepared(Quirks(lenient_segments=lenient))
    bpp = d.server.bind(elements=package(1400), piece=1500)
    assert max(len(segment) for segment in bpp.segments) > 1020
    assert outcome(d, bpp) == ((None, None) if lenient else (ELEMENTS, STRUCTURE))
