"""The support bundle: what is in it, and above all what is not."""

from __future__ import annotations

import base64
import io
import json
import re
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.config import Config, DownloadConfig, EimConfig, IpaConfig, SecretFile
from ipad_agent.doctor.bundle import redaction, support_bundle
from ipad_agent.doctor.bundle.identifier_forms import Known, base64_forms
from ipad_agent.doctor.bundle.leak_check import BundleRefused, check, leaks
from ipad_agent.doctor.bundle.redaction import Redactor
from ipad_agent.doctor.bundle.support_bundle import (
    Owing,
    Sources,
    build,
    known_in_config,
    known_in_journal,
    known_in_status,
)
from ipad_agent.doctor.doctor_items import Item, Layer, verdict
from ipad_agent.local.status_model import (
    Card,
    Happening,
    HistoryEntry,
    Modem,
    Operation,
    Profile,
    Severity,
    State,
    Status,
    Switch,
    Time,
    Verdict,
    Warning,
)

# By hand: an EID, a 19-digit ICCID, a 20-digit ICCID, an IMEI, an IMSI and a telephone number, and what cards,
# modems and encoders make of them.
EID = "89049032123451234512345678901235"
ICCID = "8949020000123456789"
ICCID_20 = "89490200001234567892"
ICCID_LETTERS = "898600B5012345678901"
ICCID_OCTETS = "0x98680F5B103254769810"
EID_LETTERS = "89ABCDEF890490321234512345678901"
IMEI = "353490069873319"
IMSI = "262019876543210"
MSISDN = "4915112345678"
PSK = bytes.fromhex("00112233445566778899aabbccddeeff")
CODE = b"4711"
MATCHING_ID = b"QX-9PW-7ZZ"
FORMS = {
    "EID": EID,
    "EID in groups": "8904 9032 1234 5123 4512 3456 7890 1235",
    "EID with hyphens": "89049032-12345123-45123456-78901235",
    "EID swapped": "98400923214315325421436587092153",
    "EID in base64": "iQSQMhI0USNFEjRWeJASNQ==",
    "EID as text in base64": base64.b64encode(EID.encode()).decode(),
    "EID in base64 within a message": base64.b64encode(b"\x5a\x10" + bytes.fromhex(EID) + b"x").decode(),
    "EID as text in hex": EID.encode().hex(),
    "ICCID": ICCID,
    "ICCID with its filler": ICCID + "F",
    "ICCID in TBCD": "989420000021436587F9",
    "ICCID in lower TBCD": "989420000021436587f9",
    "ICCID in spaced TBCD": "98 94 20 00 00 21 43 65 87 F9",
    "ICCID in base64 of TBCD": "mJQgAAAhQ2WH+Q==",
    "ICCID in URL-safe base64": "mJQgAAAhQ2WH-Q",
    "ICCID of 20 digits in TBCD": "98942000002143658729",
    "ICCID with letters": ICCID_LETTERS,
    "ICCID with small letters": ICCID_LETTERS.lower(),
    "ICCID with letters in TBCD": "9868005B103254769810",
    "ICCID with letters in lower TBCD": "9868005b103254769810",
    "ICCID with letters in spaced TBCD": "98 68 00 5B 10 32 54 76 98 10",
    "ICCID with letters in base64 of TBCD": base64.b64encode(bytes.fromhex("9868005B103254769810")).decode(),
    "ICCID with letters as text in base64": base64.b64encode(ICCID_LETTERS.encode()).decode(),
    "ICCID with small letters as text in hex": ICCID_LETTERS.lower().encode().hex(),
    "ICCID that cannot be read": ICCID_OCTETS,
    "ICCID that cannot be read, as octets": "98680f5b103254769810",
    "ICCID that cannot be read, with exchanged nibbles": "8986F0B5012345678901",
    "EID with letters": EID_LETTERS,
    "EID with small letters in groups": "89ab cdef 8904 9032 1234 5123 4567 8901",
    "IMEI": IMEI,
    "IMEI in TBCD": "53430960893713F9",
    "IMEI as in deviceInfo": "534309608937139F",
    "IMSI": IMSI,
    "MSISDN": "+" + MSISDN,
    "MSISDN in groups": "+49 151 1234 5678",
    "PSK": PSK.hex(),
    "PSK in upper hex": PSK.hex().upper(),
    "PSK in base64": base64.b64encode(PSK).decode(),
    "code": CODE.decode(),
    "matching id": MATCHING_ID.decode(),
    "activation code": "LPA:1$smdp.example.com$" + MATCHING_ID.decode(),
}
KNOWN = Known(
    frozenset({EID, ICCID, ICCID_20, ICCID_LETTERS, ICCID_OCTETS, EID_LETTERS, IMEI, IMSI, MSISDN}),
    frozenset({PSK, CODE, MATCHING_ID}),
)
SALT = bytes(range(16))


def a_status(text: str) -> Status:
    """A status with this text wherever a text can be."""
    return Status(
        verdict=Verdict(State.READY, Severity.GOOD, f"polling {text} now", next=f"next {text}", advice=text),
        taken_at_s=1_790_000_000,
        clock_set=True,
        uptime_s=10.0,
        version="0.1.0",
        card=Card(text, True, f"a card ({text})", True, firmware=text),
        profiles=(Profile(text, True, True, name=text, nickname=f"name {text}", changed_by=text),),
        operation=Operation(text, Time(0, 0.0)),
        switch=Switch("armed", text, text, text, "rollback", Time(0, 0.0)),
        modem=Modem(imei=text, iccid=text, model=text),
        warnings=(Warning("IPA-4003", f"look at {text}"),),
    )


PLACES: Mapping[str, object] = {
    "status": lambda text: {"status": a_status(text)},
    "doctor": lambda text: {"doctor": [Item(Layer.EUICC, False, f"The card {text}.", f"do {text}")]},
    "event": lambda text: {"events": [Happening("IPA-4001", "info", f"The card {text}, and ({text})", 0)]},
    "history": lambda text: {
        "history": [
            HistoryEntry(
                "switch", text, text, "done", Time(0, 0.0), eim_id=text, previous=text, target=text, reason=text
            )
        ]
    },
    "config": lambda text: {"config": Config(eim=(EimConfig(id=text, host=None, psk_identity=text),), path=Path(text))},
    "profile": lambda text: {"modem_profile": {"name": text, "evidence": [{"source": f"seen at {text}"}]}},
    "document": lambda text: {"documents": {"profiles": {text: {"known": [text, f"<{text}>"]}}}},
    "journal": lambda text: {"journal": [Owing(text, 5.0, 10)]},
    "versions": lambda text: {"versions": {"library": text}},
    "system": lambda text: {"system": {"kernel": text}},
}


def made_of(place: str, text: str) -> Sources:
    maker = PLACES[place]
    assert callable(maker)
    return Sources(now_s=1_790_000_000.0, known=KNOWN, **maker(text))


def unpacked(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        found = {}
        for member in tar:
            file = tar.extractfile(member)
            assert file is not None
            found[member.name.removeprefix("ipad-agent-bundle/")] = file.read()
        return found


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("form", FORMS)
def test_what_must_not_leave_the_device_is_in_no_file_whatever_its_form_and_source(place: str, form: str) -> None:
    planted = FORMS[form]
    archive = build(made_of(place, planted), salt=SALT)
    everything = b"\n".join(unpacked(archive).values())
    assert planted.encode() not in everything
    assert planted.lower().encode() not in everything.lower()
    if form == "EID in groups":
        assert EID.encode() not in everything.replace(b" ", b"")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("form", FORMS)
def test_the_last_look_bites_when_the_redaction_is_missing(
    place: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Redactor, "text", lambda self, text: text)
    monkeypatch.setattr(Redactor, "plain", lambda self, value: value)
    with pytest.raises(BundleRefused) as refused:
        build(made_of(place, FORMS[form]), salt=SALT)
    assert re.search(r"ipad-agent-bundle/[A-Za-z-]+\.(txt|json) holds", str(refused.value))
    assert FORMS[form] not in str(refused.value)


@pytest.mark.parametrize("raw", [bytes.fromhex(EID), bytes.fromhex("989420000021436587F9"), PSK])
def test_raw_bytes_of_identifiers_and_keys_are_found(raw: bytes) -> None:
    with tarfile.open(fileobj=(target := io.BytesIO()), mode="w:gz") as tar:
        entry = tarfile.TarInfo("trace.bin")
        entry.size = len(raw) + 2
        tar.addfile(entry, io.BytesIO(b"<" + raw + b">"))
    with pytest.raises(BundleRefused, match=r"trace\.bin"):
        check(target.getvalue(), KNOWN)


def test_the_name_of_a_file_is_looked_at_too() -> None:
    archive = support_bundle.pack({f"card-{ICCID}.txt": "x"}, 0)
    assert [leak.what for leak in leaks(archive, KNOWN)] == ["an identifier in digits or hex"]


@pytest.mark.parametrize("broken", [b"", b"\x1f\x8b\x08\x00rubbish", b"x" * 100])
def test_an_archive_that_cannot_be_read_back_is_refused(broken: bytes) -> None:
    with pytest.raises(BundleRefused):
        check(broken, KNOWN)


def test_a_truncated_archive_is_refused() -> None:
    archive = support_bundle.pack({"a.txt": "x" * 100_000}, 0)
    with pytest.raises(BundleRefused):
        check(archive[: len(archive) // 2], KNOWN)


def test_without_anything_to_find_nothing_is_refused() -> None:
    check(support_bundle.pack({"a.txt": "all is well, code 47110, IPA-4711x"}, 0), KNOWN)


@given(st.binary(min_size=6, max_size=20), st.binary(max_size=5), st.binary(max_size=5))
def test_base64_is_recognised_at_every_alignment(data: bytes, before: bytes, after: bytes) -> None:
    encoded = base64.b64encode(before + data + after).decode()
    assert any(form in encoded for form in base64_forms(data))


# -- what the redaction leaves -------------------------------------------------------------------------------------


def redactor(known: Known = KNOWN, salt: bytes = SALT) -> Redactor:
    return Redactor(known, salt=salt)


def test_equal_stays_equal_within_a_bundle_in_every_form_and_in_no_other_bundle() -> None:
    one = redactor()
    shown = one.text(ICCID)
    assert re.fullmatch(r"8949…6789#[0-9a-f]{6}", shown)
    assert one.text("989420000021436587F9") == one.text("mJQgAAAhQ2WH+Q==") == shown
    assert one.text(ICCID) != one.text(ICCID_20)
    assert redactor(salt=b"another").text(ICCID) != shown


def test_the_salt_is_made_anew_for_each_bundle() -> None:
    sources = made_of("system", EID)
    shown = [re.search(rb"#([0-9a-f]{6})", unpacked(build(sources))["system.txt"]) for _ in range(2)]
    assert shown[0] is not None
    assert shown[1] is not None
    assert shown[0][1] != shown[1][1]


@pytest.mark.parametrize(
    "text",
    [
        EID,
        ICCID,
        ICCID_LETTERS,
        "898602b012345678901",
        ICCID_OCTETS,
        IMEI,
        IMSI,
        "+" + MSISDN,
        "89 49 02 00 00 12 34 56 78 9",
        "LPA:1$host$SECRET-ID",
        "1$h$SECRET",
    ],
)
def test_identifiers_that_nobody_named_are_recognised_by_their_looks(text: str) -> None:
    shown = redactor(Known()).text(f"it is {text}, really")
    assert text not in shown
    assert "SECRET" not in shown
    assert shown.startswith("it is ")
    assert shown.endswith(", really")


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21 01:20 UTC info IPA-2011 rung 3",
        "2026-11-21 01:20:33 1 APDU",
        "port 5684 at 10.64.0.2",
        "3 412 kB of 65536 free",
        "firmware EG25GGBR07A08M2G",
        "registered in 26201",
        "OpenSSL 3.0.19 27 Jan 2026",
    ],
)
def test_what_is_no_identifier_is_left_alone(text: str) -> None:
    assert redactor(Known()).text(text) == text


@pytest.mark.parametrize(
    "text", ["BF2D8201" + "5A0A" + "989420000021436587F9", "bf 2d 5a 0a 98 94 20 00 00 21 43 65 87 f9"]
)
def test_dumps_of_messages_are_left_out(text: str) -> None:
    assert re.search(r"bytes\]|#", redactor(Known()).text(text))
    assert "436587" not in redactor(Known()).text(text).replace(" ", "")


@pytest.mark.parametrize(
    "name",
    [
        "matching_id",
        "matchingId",
        "activation_code",
        "confirmation_code",
        "token",
        "association_token",
        "psk",
        "key",
        "pin",
    ],
)
def test_what_is_secret_by_its_name_is_removed_whatever_it_is(name: str) -> None:
    assert redactor(Known()).plain({name: "hush"}) == {name: "[removed]"}
    assert redactor(Known()).plain({name: 17}) == {name: "[removed]"}
    assert redactor(Known()).plain({name: None}) == {name: None}


def test_data_keeps_its_shape() -> None:
    value = {"a": [1, 2.5, True, None, "text"], "b": {"c": b"\x00" * 7}, "n": 89049032123451234512345678901235}
    shown = redactor().plain(value)
    assert isinstance(shown, dict)
    assert shown["a"] == [1, 2.5, True, None, "text"]
    assert shown["b"] == {"c": "[7 bytes]"}
    assert shown["n"] == redactor().short(EID)


@given(st.text(), st.sampled_from(sorted(FORMS.values())), st.text())
def test_no_text_around_it_hides_an_identifier_from_the_last_look_and_the_redaction_together(
    before: str, planted: str, after: str
) -> None:
    shown = redactor().text(f"{before} {planted} {after}")
    if not shown.isascii():
        shown = shown.encode("utf-8", "replace").decode()
    assert leaks(support_bundle.pack({"x.txt": shown}, 0), KNOWN) == []


# -- what is known without being told ------------------------------------------------------------------------------


def test_the_status_names_what_to_look_for() -> None:
    status = replace(a_status("1"), card=Card(EID, True, "x", True), modem=Modem(imei=IMEI, iccid=ICCID))
    assert known_in_status(status).identifiers == {"1", EID, IMEI, ICCID}
    assert known_in_status(None) == Known()


@pytest.mark.parametrize("odd", ["0", "000", "", "x"])
def test_an_identifier_that_identifies_nobody_spoils_no_bundle(odd: str) -> None:
    status = replace(a_status("fine"), modem=Modem(imei=odd))
    assert b"fine" in unpacked(build(Sources(now_s=0, status=status, known=Known(frozenset({odd})))))["README.txt"]


@pytest.mark.parametrize("code", ["1", "21", "300", "4711", "pfad", 'q"x\\', "\u00fcber"])
def test_a_short_code_is_removed_and_its_bundle_is_not_refused(code: str) -> None:
    sources = replace(whole(), known=Known(frozenset(), frozenset({code.encode()})), system={"kernel": f"is {code}."})
    assert b"is [removed]." in unpacked(build(sources))["system.txt"].replace(b"[removed]: is", b"kernel: is")


def test_the_configuration_names_keys_and_codes(tmp_path: Path) -> None:
    key, code = tmp_path / "key", tmp_path / "code"
    key.write_text(PSK.hex())
    code.write_text("4711\n")
    config = Config(
        eim=(
            EimConfig(id="a", psk_identity="i", psk_key_file=SecretFile(str(key))),
            EimConfig(id="b", psk_identity="i", psk_key_file=SecretFile(str(tmp_path / "missing"))),
        ),
        download=DownloadConfig(confirmation_code_file=SecretFile(str(code))),
        ipa=IpaConfig(imei=IMEI),
    )
    assert known_in_config(config) == Known(frozenset({IMEI}), frozenset({PSK, CODE}))


def test_a_key_in_a_file_of_the_configuration_is_looked_for_in_the_finished_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "key"
    key.write_text(PSK.hex())
    config = Config(eim=(EimConfig(id="a", psk_identity="i", psk_key_file=SecretFile(str(key))),))
    sources = Sources(now_s=0, config=config, system={"kernel": PSK.hex()})
    build(sources)
    monkeypatch.setattr(Redactor, "text", lambda self, text: text)
    with pytest.raises(BundleRefused, match=r"system\.txt holds a secret"):
        build(sources)


def test_orders_in_the_journal_name_cards_profiles_and_matching_ids() -> None:
    order = bytes.fromhex("5A0A989420000021436587F9") + b"\x80\x20" + b"1$smdp.example.com$" + MATCHING_ID
    found = known_in_journal([{"order": order, "kind": "trigger", "loads": 1}, {"x": bytes.fromhex("5A10" + EID)}])
    assert found == Known(frozenset({ICCID, EID}), frozenset({MATCHING_ID}))


# -- what is in it -------------------------------------------------------------------------------------------------


def whole() -> Sources:
    items = [Item(Layer.AT, True, "AT is answered."), Item(Layer.DNS, False, "No name.", "Ask for one.")]
    return Sources(
        now_s=1_790_000_000.0,
        status=a_status("x"),
        doctor=[*items, verdict(items)],
        events=[Happening("IPA-1003", "info", f"event {number}", 1_790_000_000) for number in range(900)],
        history=[
            HistoryEntry("order", "enable", "eim", "done", Time(1_790_000_000, 5.0), duration_s=2.0, eim_id="eim.x"),
            HistoryEntry("switch", "x", "person", "failed", None, False, previous=ICCID, reason="no such", times=3),
        ],
        config=Config(),
        documents={"schedule": {"eim.example": {"failures": 3}}},
        journal=[Owing("package", 60.0, 300), Owing("switch", None, 40)],
        versions=support_bundle.versions(),
        system=support_bundle.system(),
    )


def test_the_first_page_is_for_people_who_open_one_file_only() -> None:
    found = unpacked(build(whole()))
    assert next(iter(found)) == "README.txt"
    page = found["README.txt"].decode()
    for expected in (
        "ready: polling x now",
        "The one thing to do: Ask for one.",
        "FAIL dns",
        "event 899",
        "events.txt",
    ):
        assert expected in page
    assert "event 100\n" not in page


def test_every_source_has_its_file() -> None:
    found = unpacked(build(whole()))
    assert json.loads(found["status.json"])["verdict"]["state"] == "ready"
    assert json.loads(found["documents.json"])["schedule"]["eim.example"]["failures"] == 3
    assert len(found["events.txt"].splitlines()) == support_bundle.MAX_EVENTS
    assert b"poll.interval_s" in found["config.txt"]
    assert found["journal.txt"] == b"package, 60 s old, 300 bytes\nswitch, of an earlier boot, 40 bytes\n"
    order, switch = found["history.txt"].decode().splitlines()
    assert order.endswith("order, enable, by eim eim.x, done after 2 s")
    assert switch.startswith("at an unknown time (the clock was not set), switch, x, by person, from 8949…6789#")
    assert switch.endswith("to none, failed, no such (3 times)")
    assert b"ipad-agent 0" in found["versions.txt"]
    assert b"kernel: " in found["system.txt"]
    assert b"aiocoap 0." in found["versions.txt"]


def test_a_bundle_without_an_agent_says_so() -> None:
    found = unpacked(build(Sources(now_s=0.0)))
    assert b"The agent was not running." in found["README.txt"]
    assert found["status.json"] == b"null\n"


def test_a_clock_beyond_all_calendars_makes_no_broken_archive() -> None:
    for now_s in (-5.0, 1e18):
        assert unpacked(build(Sources(now_s=now_s)))


def test_of_a_file_without_end_the_end_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(support_bundle, "MAX_FILE_BYTES", 100)
    found = unpacked(build(whole()))
    assert len(found["events.txt"]) == 100
    assert found["events.txt"].endswith(b"event 899\n")


def test_the_host_is_not_named() -> None:
    import platform

    name = platform.node()
    assert name not in " ".join(support_bundle.system().values()).split()


def test_a_name_of_a_secret_is_a_pattern_that_can_fail() -> None:
    assert redaction._SECRET_NAMES.search("failures") is None
    assert redaction._SECRET_NAMES.search("psk_identity") is None
    assert redaction._SECRET_NAMES.search("ci_pkid") is None
