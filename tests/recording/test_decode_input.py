"""What somebody pastes is told apart by itself: recordings, AT lines, APDUs, answers, messages, JSON."""

from __future__ import annotations

import base64

import pytest

from ipad_agent.errors import CodecError
from ipad_agent.recording.decode_input import meaning_lines, octets
from ipad_agent.recording.recording_format import lines_of

from .planted import MATCHING_ID, planted

GET_EID = "BF3E125A1089049032000000000000000012345644"


def said(content: str | bytes, *, reveal: bool = False) -> str:
    lines = meaning_lines(content.encode() if isinstance(content, str) else content, reveal=reveal)
    return "a message" if lines is None else "\n".join(lines)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("81E2910003BF2D00", "STORE DATA, last block 0, 3 bytes, channel 1\n  BF2D ProfileInfoListRequest"),
        ("81:e2:91:00:03:bf:2d:00", "STORE DATA, last block 0, 3 bytes, channel 1\n  BF2D ProfileInfoListRequest"),
        (bytes.fromhex("81E2110080" + "00" * 128), "STORE DATA, block 0, 128 bytes, channel 1"),
        ("00A4040010A0000005591010FFFFFFFF8900000100", "SELECT, A0000005591010FFFFFFFF8900000100 ISD-R, 16 bytes"),
        ("00A40004022FE2", "SELECT, 2FE2 EF_ICCID, 2 bytes, channel 0"),
        ("0070000001", "MANAGE CHANNEL, open, 1 bytes wanted, channel 0"),
        ("00708001", "MANAGE CHANNEL, close, channel 0"),
        ("C1B0000000", "READ BINARY, 256 bytes wanted, channel 5"),
        ("6A82", "6A82: the application or file was not found, no data"),
        (GET_EID + "9000", "9000: done, 21 bytes\n  BF3E GetEuiccDataResponse"),
        ('AT+CGLA=1,16,"81E2910003BF2D00"', "STORE DATA, last block 0, 3 bytes, channel 1)\n    BF2D ProfileInfo"),
        (f'+CSIM: 46,"{GET_EID}9000"', "9000: done, 21 bytes)\n    BF3E GetEuiccDataResponse"),
        ("AT+CIMI\r\n+CME ERROR: 10\r\n", "AT+CIMI    (the subscriber's number (IMSI))\n+CME ERROR: 10    (it did not"),
        ('{"transactionId":"00FF","x":[1,true]}', 'transactionId "00FF"\nx (2)\n  - 1\n  - true'),
    ],
)
def test_it_says_what_it_is(given: str | bytes, words: str) -> None:
    assert words in said(given)


@pytest.mark.parametrize(
    "given", [GET_EID, bytes.fromhex(GET_EID), base64.b64encode(bytes.fromhex(GET_EID)), "BF3E12", "5A0A" + "98" * 10]
)
def test_a_message_is_left_to_the_codec(given: str | bytes) -> None:
    assert said(given) == "a message"


@pytest.mark.parametrize("given", ["00FF", "00FF0000", "AT+NOTHING", "+NOTHING: 1"])
def test_what_nobody_knows_is_refused(given: str) -> None:
    with pytest.raises(CodecError) as refused:
        said(given)
    assert refused.value.message


def test_plain_words_are_no_bytes() -> None:
    assert octets(b"hello, world!") is None


def test_tlvs_in_json_are_read_out_and_codes_are_not_shown() -> None:
    value = base64.b64encode(bytes.fromhex(GET_EID)).decode()
    text = f'{{"matchingId":"{MATCHING_ID.decode()}","response":"{value}"}}'
    assert "eidValue 89049032000000000000000012345644" in said(text)
    assert MATCHING_ID.decode() not in said(text)
    assert MATCHING_ID.decode() in said(text, reveal=True)


def test_a_recording_is_read_out_whole_without_its_codes() -> None:
    content = b"".join(lines_of(planted(), version="1", redacted=False))
    text = said(content)
    assert "GetEimPackage /gsma/rsp2/asn1" in text
    assert "ProfileInfoListResponse" in text
    assert "status" not in text.splitlines()[0]
    trees = "\n".join(line for line in text.splitlines() if line.startswith("      "))
    assert MATCHING_ID.decode() not in trees
    assert text.count("ProfileInfoListResponse") >= 5, "functions in blocks are joined"
