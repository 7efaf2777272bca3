"""What leaves the device names nobody: every number and code, in every form, searched for in every kind of export."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest

from ipad_agent.codec.ber.describe_message import describe
from ipad_agent.doctor.bundle.identifier_forms import Known
from ipad_agent.doctor.bundle.leak_check import BundleRefused, check_content
from ipad_agent.recording.gsmtap_pcapng import pcapng
from ipad_agent.recording.recording_format import Record, lines_of, read_lines
from ipad_agent.recording.recording_text import text_lines
from ipad_agent.recording.redacted_recording import redact

from .planted import (
    CONFIRMATION,
    EID,
    HASH_CC,
    ICCID,
    IMEI,
    IMSI,
    MATCHING_ID,
    NEW_PIN,
    NUMBERS,
    ODD_ICCID,
    PASSWORD,
    PIN,
    PROFILES,
    SECRETS,
    Script,
    planted,
    turned,
)

SALT = b"only for this test"


def joined(records: Iterable[Record]) -> bytes:
    """What went over the card's contacts without what cuts it: the data of all commands, then of all answers."""
    sent, received = bytearray(), bytearray()
    for record in records:
        if record.kind == "apdu" and record.way == "sent":
            sent += record.data[5 : 5 + record.data[4]] if len(record.data) > 5 else b""
        elif record.kind == "apdu":
            received += record.data[:-2]
    return bytes(sent + b"|" + received)


def card_lines(records: Iterable[Record], name: str) -> bytes:
    """The same as it stands in AT lines of one kind."""
    sent, received = bytearray(), bytearray()
    for record in records:
        text = record.data.decode("latin-1")
        found = re.search(r'"?([0-9A-Fa-f]{4,})"?\r', text) if record.kind == "at" and name in text else None
        data = b"" if found is None else bytes.fromhex(found[1])
        if record.way == "sent":
            sent += data[5 : 5 + data[4]] if len(data) > 5 else b""
        else:
            received += data[:-2]
    return bytes(sent + b"|" + received)


def needles(number: str) -> set[bytes]:
    """Ways to write it that the code under test did not make."""
    even = number + "F" * (len(number) % 2)
    raw = {turned(number), bytes.fromhex(even), turned("9" + number), turned("A" + number)}
    raw = {octets.strip(b"\xff") for octets in raw}
    texts = {number.encode(), number.encode("utf-16-be")}
    texts |= {octets.hex().rstrip("f").encode() for octets in raw | texts}
    return texts | {text.upper() for text in texts} | {octets for octets in raw if len(octets) >= 6}


def exports(records: Sequence[Record]) -> dict[str, bytes]:
    return {
        "jsonl": b"".join(lines_of(records, version="1", redacted=True)),
        "text": "\n".join(text_lines(records, reveal=True)).encode(),
        "pcapng": b"".join(pcapng(records)),
        "card": joined(records),
        "cgla": card_lines(records, "+CGLA"),
        "csim": card_lines(records, "+CSIM"),
        "lines": b"".join(record.data for record in records if record.kind == "at" and record.way == "received"),
    }


def in_base64(content: bytes) -> bytes:
    """Everything in it that could be base64, decoded."""
    found = bytearray()
    for text in re.findall(rb"[A-Za-z0-9+/_-]{12,}", content):
        plain = text.replace(b"-", b"+").replace(b"_", b"/")
        found += base64.b64decode(plain[: len(plain) // 4 * 4]) + b"|"
    return bytes(found)


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return planted()


@pytest.fixture(scope="module")
def before(records: list[Record]) -> dict[str, bytes]:
    return exports(records)


@pytest.fixture(scope="module")
def after(records: list[Record]) -> dict[str, bytes]:
    """What is decoded from base64 besides."""
    made = exports(redact(records, salt=SALT).records)
    return made | {f"base64 in {name}": in_base64(content) for name, content in made.items()}


@pytest.mark.parametrize("number", NUMBERS)
def test_no_number_is_in_any_export_in_any_form(before: dict[str, bytes], after: dict[str, bytes], number: str) -> None:
    assert any(needle in content for needle in needles(number) for content in before.values())
    for name, content in after.items():
        for needle in needles(number):
            assert needle not in content, f"{needle!r} in {name}"


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: secret.hex())
def test_no_code_is_in_any_export_in_any_form(before: dict[str, bytes], after: dict[str, bytes], secret: bytes) -> None:
    forms = {secret, secret.hex().encode(), secret.hex().upper().encode()}
    everything = b"".join(before.values())
    assert any(form in everything or form in in_base64(everything) for form in forms)
    for name, content in after.items():
        for form in forms:
            assert form not in content, f"{form!r} in {name}"


def test_the_last_look_finds_what_the_redaction_would_have_left(
    records: list[Record], before: dict[str, bytes], after: dict[str, bytes]
) -> None:
    redacted = redact(records, salt=SALT)
    known = Known(redacted.numbers, redacted.secrets).usable
    assert set(NUMBERS) <= known.identifiers
    assert {MATCHING_ID, CONFIRMATION} <= known.secrets
    for name, content in after.items():
        check_content(name, content, known)
    for name in ("jsonl", "text", "pcapng"):
        with pytest.raises(BundleRefused, match="would hold"):
            check_content(name, before[name], known)


def test_nothing_gets_longer_or_shorter_on_the_way_to_the_card(records: list[Record]) -> None:
    for before, after in zip(records, redact(records, salt=SALT).records, strict=True):
        assert (before.at_s, before.kind, before.way) == (after.at_s, after.kind, after.way)
        if before.kind in ("at", "apdu"):
            assert len(before.data) == len(after.data)


def test_the_same_number_has_the_same_pseudonym_wherever_it_stands(records: list[Record]) -> None:
    made = redact(records, salt=SALT).records
    lines = b"".join(one.data for one in made if one.kind == "at" and one.way == "received")
    found = re.search(rb"\+QCCID: ([0-9]{20})", lines)
    assert found is not None
    iccid = found[1].decode()
    assert iccid.startswith("89")
    assert iccid != ICCID
    # in TLVs on the card, cut anywhere, in its file, in JSON, in base64
    content = joined(made)
    assert content.count(b"\x5a\x0a" + turned(iccid)) == PROFILES.count(turned(ICCID)) * 5 * 1
    assert turned(iccid) in content.replace(b"\x5a\x0a" + turned(iccid), b"")
    (document,) = [json.loads(one.data) for one in made if one.kind == "es9" and one.way == "sent"]
    assert document["iccid"] == iccid
    assert turned(iccid) in base64.b64decode(document["profiles"][0])
    assert turned(iccid) in base64.b64decode(document["profiles"][1])
    eid = document["eidValue"]
    assert document["note"].startswith(f"the card {eid} with {iccid}")
    assert eid.encode() in base64.b64decode(document["nested"]["certificate"])
    assert base64.b64decode(document["eid"]).hex() == eid
    assert bytes.fromhex(eid) in content


def test_what_is_left_can_still_be_read(records: list[Record]) -> None:
    made = redact(records, salt=SALT).records
    (document,) = [json.loads(one.data) for one in made if one.kind == "es9" and one.way == "sent"]
    tree = "\n".join(describe(base64.b64decode(document["profiles"][0])).lines())
    assert tree.count("iccid 89") == 2
    text = "\n".join(text_lines(made))
    assert "AT+CRSM=176,28423,0,0,9" in text
    assert 'AT+CPIN="****"' in text
    assert "smdp.example.com" in text


def test_check_digits_that_were_right_stay_right() -> None:
    body = int("890490320000010000000123456789") * 100
    right = str(body + 98 - body % 97)  # SGP.29: modulo 97 is 1
    assert int(right) % 97 == 1
    script = Script()
    script.line("AT+CGSN", "356938035643809", "OK")
    script.say("esipa", "sent", bytes.fromhex("BF4F125A10" + right), function="GetEimPackage")
    made = redact(script.records, salt=SALT).records
    assert int(made[-1].data[-16:].hex()) % 97 == 1
    digits = [int(digit) for digit in re.findall(rb"[0-9]{15}", made[1].data)[0].decode()]
    doubled = [digit * 2 - 9 * (digit > 4) if place % 2 else digit for place, digit in enumerate(digits)]
    assert sum(doubled) % 10 == 0


def test_two_exports_have_nothing_in_common(records: list[Record]) -> None:
    first, second = (redact(records).records for _ in range(2))
    assert [one.data for one in first] != [one.data for one in second]
    assert redact(records, salt=SALT).records == redact(records, salt=SALT).records


def test_a_message_that_was_cut_is_left_out(records: list[Record]) -> None:
    script = Script()
    script.say("es9", "received", b'{"iccid": "' + ICCID.encode()[:10])
    cut = replace(script.records[0], cut_bytes=5000)
    (made,) = redact([cut]).records
    assert (made.data, made.cut_bytes) == (b"", 5000)


def test_a_half_line_at_the_edge_of_the_ring_is_no_way_out() -> None:
    script = Script()
    script.say("at", "received", b"D: " + ICCID.encode() + b"\r\n")
    script.say("at", "received", f'\r\n+CGLA: 40,"{turned(ICCID).hex()}"\r\n'.encode())
    for record in redact(script.records).records:
        assert ICCID.encode() not in record.data
        assert turned(ICCID).hex().encode() not in record.data


def blocks_of(value: bytes, size: int) -> list[str]:
    """STORE DATA commands."""
    parts = [value[at : at + size] for at in range(0, len(value), size)]
    return [
        f"81E2{0x91 if number == len(parts) - 1 else 0x11:02X}{number:02X}{len(part):02X}{part.hex().upper()}"
        for number, part in enumerate(parts)
    ]


def test_what_a_modem_repeats_is_joined_like_what_it_was_told() -> None:
    script = Script()
    value = bytes.fromhex("BF3E125A10" + EID)
    for command in blocks_of(value, 12):
        line = f'AT+CSIM={len(command)},"{command}"'
        script.line(line, line.encode() + b"\r", '+CSIM: 4,"9000"', "OK")
    made = redact(script.records).records
    for way in ("sent", "received"):
        text = b"".join(one.data for one in made if one.way == way).decode()
        data = "".join(found[10:] for found in re.findall(r'="?\d*,"([0-9A-F]+)"', text))
        assert data.startswith("BF3E125A10")
        assert EID[:12] not in data
        assert EID[-12:] not in data


def test_what_the_ring_has_lost_the_beginning_of_is_overwritten() -> None:
    """The second half of a number looks like nothing."""
    script = Script()
    second = blocks_of(bytes.fromhex("BF3E125A10" + EID), 12)[1]
    script.apdu("81C0000010", EID[16:] + "9000")
    script.apdu(second, "9000")
    for record in redact(script.records).records:
        assert bytes.fromhex(EID[20:]) not in record.data
        assert EID[20:].encode() not in record.data.upper()


def test_aids_and_addresses_stay() -> None:
    script = Script()
    script.line('AT+CCHO="A0000005591010FFFFFFFF8900000100"', "+CCHO: 1", "OK")
    script.line("AT+CGMR", "EG25GGBR07A08M2G", "OK")
    made = redact(script.records).records
    assert [one.data for one in made] == [one.data for one in script.records]


def test_a_recording_goes_through_its_file_unchanged(records: list[Record]) -> None:
    content = b"".join(lines_of(records, version="1", redacted=False))
    again = read_lines(content.split(b"\n"))
    assert again is not None
    assert again.unreadable_lines == 0
    assert [replace(one, at_s=0) for one in again.records] == [replace(one, at_s=0) for one in records]
    assert all(abs(a.at_s - b.at_s) < 0.002 for a, b in zip(again.records, records, strict=True))


def test_the_planted_pins_and_keys_are_what_the_search_looks_for(before: dict[str, bytes]) -> None:
    """Otherwise a secret that is not in the recording would prove nothing."""
    content = b"".join(before.values())
    assert all(word in content for word in (PIN, NEW_PIN, PASSWORD, HASH_CC, IMSI.encode(), ODD_ICCID.encode()[:10]))
    assert IMEI.encode() in content
    assert EID.encode() in content
