"""A recording in which every kind of number and code stands in every form in which one is written."""

from __future__ import annotations

import base64
import json
from typing import Final

from ipad_agent.recording.recording_format import Record

EID: Final = "89049032123456789012345678901224"
ICCID: Final = "89490200002000123450"
ODD_ICCID: Final = "8949020000200099887"
IMSI: Final = "262019876543210"
IMEI: Final = "356938035643809"
TELEPHONE: Final = "4915112345678"
MATCHING_ID: Final = b"QR-TGPRS-7718"
EVENT_ID: Final = b"EVENT-55-XY"
CONFIRMATION: Final = b"CONFIRM-8642"
HASH_CC: Final = bytes(range(0x61, 0x81))
PIN, NEW_PIN, PUK = b"7391", b"80421", b"55512387"
RAND, CK = bytes.fromhex("0F1E2D3C4B5A69788796A5B4C3D2E1F0"), bytes.fromhex("C1C2C3C4C5C6C7C8C9CACBCCCDCECFC0")
PASSWORD: Final = b"hunter2secret"

NUMBERS: Final = (EID, ICCID, ODD_ICCID, IMSI, IMEI, TELEPHONE)
SECRETS: Final = (MATCHING_ID, EVENT_ID, CONFIRMATION, HASH_CC, PIN, NEW_PIN, PUK, CK, PASSWORD)


def tlv(tag: str, value: bytes) -> bytes:
    size = len(value)
    length = bytes([size]) if size < 128 else bytes([0x81, size]) if size < 256 else b"\x82" + size.to_bytes(2, "big")
    return bytes.fromhex(tag) + length + value


def turned(digits: str) -> bytes:
    """TBCD: nibbles exchanged, an odd one filled up with F."""
    digits += "F" * (len(digits) % 2)
    return bytes.fromhex("".join(digits[at + 1] + digits[at] for at in range(0, len(digits), 2)))


def pin_block(pin: bytes) -> bytes:
    return pin.ljust(8, b"\xff")


PROFILES: Final = tlv(
    "BF2D",
    tlv(
        "A0",
        tlv("E3", tlv("5A", turned(ICCID)) + tlv("9F70", b"\x01") + tlv("91", b"Planted " + b"-" * 200))
        + tlv("E3", tlv("5A", turned(ODD_ICCID)) + tlv("9F70", b"\x00")),
    ),
)
TRIGGER: Final = tlv("BF54", tlv("A0", tlv("80", b"LPA:1$smdp.example.com$" + MATCHING_ID)))
PREPARE: Final = tlv(
    "BF21",
    tlv("30", tlv("80", bytes(16)) + tlv("01", b"\xff")) + tlv("5F37", bytes(64)) + tlv("04", HASH_CC) + tlv("30", b""),
)
IMEI_OCTETS: Final = turned(IMEI[:14]) + bytes.fromhex(IMEI[14] + "F")
DEVICE: Final = tlv("A1", tlv("80", turned(IMEI[:8])) + tlv("A1", b"") + tlv("82", IMEI_OCTETS))
AUTHENTICATE: Final = tlv(
    "BF38",
    tlv(
        "30",
        tlv("80", bytes(16)) + tlv("81", bytes(16)) + tlv("83", b"smdp.example.com") + tlv("84", bytes(16)),
    )
    + tlv("5F37", bytes(64))
    + tlv("04", bytes(20))
    + tlv("30", b"")
    + tlv("A0", tlv("80", MATCHING_ID) + DEVICE),
)
POLL: Final = tlv("BF4F", tlv("5A", bytes.fromhex(EID)))
CERTIFICATE: Final = tlv("30", tlv("31", tlv("30", tlv("06", bytes.fromhex("550405")) + tlv("13", EID.encode()))))


class Script:
    """Records in their order, a tenth of a second apart."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def say(self, kind: str, way: str, data: bytes, **facts: str) -> None:
        self.records.append(Record(1.8e9 + len(self.records) / 10, kind, way, data, "s1", facts=facts))

    def line(self, sent: str, *received: str | bytes) -> None:
        self.say("at", "sent", sent.encode() + b"\r")
        for text in received:
            self.say("at", "received", text if isinstance(text, bytes) else f"\r\n{text}\r\n".encode())

    def apdu(self, command: str, answer: str) -> None:
        """On the card's own record, and as AT+CGLA and AT+CSIM in both cases."""
        self.say("apdu", "sent", bytes.fromhex(command))
        self.say("apdu", "received", bytes.fromhex(answer))
        self.line(f'AT+CGLA=1,{len(command)},"{command.upper()}"', f'+CGLA: {len(answer)},"{answer.upper()}"', "OK")
        self.line(f'AT+CSIM={len(command)},"{command.lower()}"', f"+CSIM: {len(answer)},{answer.lower()}", "OK")

    def chain(self, request: bytes, answer: bytes, *, block: int) -> None:
        """STORE DATA in blocks, its answer by GET RESPONSE in pieces of another size."""
        parts = [request[at : at + block] for at in range(0, len(request), block)]
        pieces = [answer[at : at + block + 3] for at in range(0, len(answer), block + 3)]
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            status = f"61{len(pieces[0]):02X}" if last and pieces else "9000"
            self.apdu(f"81E2{0x91 if last else 0x11:02X}{number:02X}{len(part):02X}{part.hex()}", status)
        for number, piece in enumerate(pieces):
            status = f"61{len(pieces[number + 1]):02X}" if number < len(pieces) - 1 else "9000"
            self.apdu(f"81C00000{len(piece):02X}", piece.hex() + status)


def planted() -> list[Record]:
    """The whole of it."""
    script = Script()
    script.line("AT+CGSN", IMEI, "OK")
    script.line("AT+CIMI", IMSI, "OK")
    script.line("AT+QCCID", f"+QCCID: {ICCID}", "OK")
    script.line("AT^ICCID?", "^ICCID: " + turned(ODD_ICCID).hex().upper(), "OK")
    script.line("AT+CNUM", f'+CNUM: "","+{TELEPHONE}",145', "OK")
    # A line in two pieces, with something else between them.
    script.say("at", "received", b"\r\n+QCCID: " + ICCID[:9].encode())
    script.say("esipa", "sent", POLL, function="GetEimPackage", path="/gsma/rsp2/asn1")
    script.say("at", "received", ICCID[9:].encode() + b"\r\n")
    script.line(f'AT+CPIN="{PIN.decode()}"', b'AT+CPIN="' + PIN + b'"\r', "OK")
    script.line(f"AT+CPIN={PUK.decode()},{NEW_PIN.decode()}", "OK")
    script.line(f'AT+CPWD="SC","{PIN.decode()}","{NEW_PIN.decode()}"', "OK")
    script.line(f'AT+CLCK="SC",1,"{PIN.decode()}"', "OK")
    script.line(f'AT+CGAUTH=1,2,"{PASSWORD.decode()}","user"', "OK")
    script.apdu("0020000108" + pin_block(PIN).hex(), "9000")
    script.apdu("0024000110" + (pin_block(PIN) + pin_block(NEW_PIN)).hex(), "9000")
    script.apdu("002C000110" + (pin_block(PUK) + pin_block(NEW_PIN)).hex(), "63C2")
    script.apdu("008800812110" + RAND.hex() + "10" + RAND.hex()[:30], "DB" + "10" + CK.hex() + "9000")
    # Files of the card: by SELECT and READ BINARY, and by number.
    script.apdu("00A40004022FE2", "9000")
    script.apdu("00B000000A", turned(ICCID).hex() + "9000")
    script.apdu("00A4080404" + "7FFF6F07", "9000")
    imsi = "08" + turned("9" + IMSI).hex()
    script.apdu("00B0000009", imsi + "9000")
    script.line("AT+CRSM=176,28423,0,0,9", f'+CRSM: 144,0,"{imsi.upper()}"', "OK")
    script.line("AT+CRSM=176,12258,0,0,10", f'+CRSM: 144,0,"{turned(ODD_ICCID).hex().upper()}"', "OK")
    script.line("AT+CRSM=176,28424,0,0,33", f'+CRSM: 144,0,"07{CK.hex().upper()}{CK.hex().upper()}"', "OK")
    script.apdu("8014000013" + "8103012601" + "820282811408" + turned("A" + IMEI).hex() + "00", "9000")
    # ES10, whole and in blocks whose borders lie within numbers.
    for block in (250, 61, 40, 23, 13):
        script.chain(bytes.fromhex("BF2D00"), PROFILES, block=block)
        script.chain(bytes.fromhex("BF3E035C015A"), tlv("BF3E", tlv("5A", bytes.fromhex(EID))), block=block)
        script.chain(AUTHENTICATE, CERTIFICATE, block=block)
        script.chain(PREPARE, b"", block=block)
        script.chain(TRIGGER, b"", block=block)
    script.say("esipa", "received", TRIGGER, function="GetEimPackage", status="2.04")
    script.say("esipa", "sent", PROFILES, function="ProvideEimPackageResult")
    script.say("es9", "sent", document(), function="AuthenticateClient", path="/gsma/rsp2/es9plus/authenticateClient")
    script.say("es9", "received", b"<html>no device " + ICCID.encode() + b" here</html>", status="404")
    script.say("es9", "received", b"\x80\xff" + ICCID.encode() + b"\xfe", status="200")
    script.say("esipa", "received", b"", problem=f"nothing for {EID}")
    return script.records


def document() -> bytes:
    """JSON with numbers in words, in base64 of both alphabets, and in TLVs of it."""
    certificate = base64.b64encode(CERTIFICATE).decode()
    value = {
        "eidValue": EID,
        "eid": base64.b64encode(bytes.fromhex(EID)).decode(),
        "iccid": ICCID,
        "imei": IMEI,
        "matchingId": MATCHING_ID.decode(),
        "confirmationCode": CONFIRMATION.decode(),
        "hashCc": base64.b64encode(HASH_CC).decode(),
        "activationCode": "1$smdp.example.com$" + MATCHING_ID.decode(),
        "eventEntries": [{"eventId": EVENT_ID.decode(), "rspServerAddress": "smdp.example.com"}],
        "note": f"the card {EID} with {ICCID} in {IMEI}",
        "nested": {"certificate": certificate, "unpadded": certificate.rstrip("=")},
        "response": base64.b64encode(AUTHENTICATE).decode(),
        "prepare": base64.urlsafe_b64encode(PREPARE).decode(),
        "profiles": [base64.b64encode(PROFILES).decode(), base64.b64encode(b"x" + PROFILES).decode()],
        "number": int(IMSI),
    }
    return json.dumps(value).encode()
