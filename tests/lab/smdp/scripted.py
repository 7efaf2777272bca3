"""A card and its LPA in a few lines, on the ``cryptography`` library alone, to talk to the lab's SM-DP+ and SM-DS.

Everything the servers sign is verified here with certificates of the PKI folder, and every TLV that the card sends is
put together by hand. ``Card`` fields may be changed before a call to be a wrong card.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from ipad_agent.lab.crypto import der
from ipad_agent.lab.crypto.bpp_protection import Opener, agree, derive_keys, replaced_keys
from ipad_agent.lab.pki import Pki
from ipad_agent.lab.smdp import Reply, RspServer

ADDRESS = "smdp.lab.example"
DS_ADDRESS = "smds.lab.example"
CHALLENGE = bytes.fromhex("00112233445566778899aabbccddeeff")
MATCHING = "LAB-MATCHING-1"
ICCID = "89490200001000000011"
SMDP_OID = "2.999.10"


def sign(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    """5F37 40 r s."""
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return b"\x5f\x37\x40" + r.to_bytes(32, "big") + s.to_bytes(32, "big")


def signed_by(certificate: x509.Certificate, signature: bytes, data: bytes) -> bool:
    """Whether the TLV 5F37 was made by the certificate's key over ``data``."""
    assert signature[:3] == b"\x5f\x37\x40"
    assert len(signature) == 67
    raw = signature[3:]
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    try:
        key.verify(
            encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")),
            data,
            ec.ECDSA(hashes.SHA256()),
        )
    except InvalidSignature:
        return False
    return True


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def un64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def fields_of(reply: Reply) -> dict[str, Any]:
    """The answer of a function that succeeded."""
    assert reply.status == 200
    assert reply.body is not None
    assert reply.body["header"]["functionExecutionStatus"] == {"status": "Executed-Success"}
    return reply.body


def other_bytes(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@dataclass
class Card:
    """The eUICC of a PKI folder. ``spoil`` names what shall be wrong with the next signed thing."""

    pki: Pki
    challenge: bytes = CHALLENGE
    svn: bytes = b"\x02\x05\x00"
    verify_cis: list[bytes] = field(default_factory=list)
    sign_cis: list[bytes] = field(default_factory=list)
    free_bytes: int = 500_000
    resources: bytes | None = None
    rsp_capability: tuple[int, ...] = (0, 3)
    forbidden_ppr: tuple[int, ...] = ()
    otsk: ec.EllipticCurvePrivateKey | None = None
    spoil: str = ""

    def __post_init__(self) -> None:
        self.verify_cis = self.verify_cis or [self.pki.ci_pkid]
        self.sign_cis = self.sign_cis or [self.pki.ci_pkid]
        self.certificate = self.pki["euicc"].cert_der
        self.eum_certificate = self.pki["eum"].cert_der
        self.key = self.pki["euicc"].private_key
        self.euicc_signature1 = b""
        self.seq_number = 1

    def _ci_lists(self) -> bytes:
        return der.tlv(0xA9, *map(der.octets, self.verify_cis)) + der.tlv(0xAA, *map(der.octets, self.sign_cis))

    def info1(self) -> bytes:
        return der.tlv(0xBF20, der.octets(self.svn, 0x82), self._ci_lists())

    def info2(self) -> bytes:
        resources = der.integer(0, 0x81) + der.octets(self.free_bytes.to_bytes(4, "big"), 0x82)
        resources += der.octets(b"\x00\x00\x20\x00", 0x83)
        forbidden = der.bits(self.forbidden_ppr, 0x99) if self.forbidden_ppr else b""
        return der.tlv(
            0xBF22,
            der.octets(b"\x02\x03\x01", 0x81),
            der.octets(self.svn, 0x82),
            der.octets(b"\x01\x00\x00", 0x83),
            der.octets(resources if self.resources is None else self.resources, 0x84),
            der.bits((1, 2), 0x85),
            der.bits(self.rsp_capability, 0x88),
            self._ci_lists(),
            forbidden,
            der.octets(b"\x00\x00\x01"),
            der.utf8("IP-LAB-0001"),
            # A field of a later release: only a server that verifies the received bytes gets the signature right.
            der.octets(b"\x01\x02\x03", 0x9E),
        )

    def initiate(self, address: str = ADDRESS) -> dict[str, Any]:
        return {"euiccChallenge": b64(self.challenge), "smdpAddress": address, "euiccInfo1": b64(self.info1())}

    def authenticate(self, answer: dict[str, Any], matching_id: str | None = MATCHING) -> dict[str, Any]:
        """AuthenticateServer: euiccSigned1 over what the server sent, which is not judged here."""
        signed1 = der.parse(un64(answer["serverSigned1"]))
        device = der.tlv(0xA1, der.octets(b"\x53\x92\x60\x11", 0x80), der.tlv(0xA1))
        matching = der.utf8(matching_id, 0x80) if matching_id is not None else b""
        server_challenge, transaction = signed1.get(0x84).value, signed1.get(0x80).value
        signed = der.seq(
            der.octets(other_bytes(transaction) if self.spoil == "transaction" else transaction, 0x80),
            der.utf8("other.example" if self.spoil == "address" else signed1.get(0x83).text(), 0x83),
            der.octets(other_bytes(server_challenge) if self.spoil == "challenge" else server_challenge, 0x84),
            self.info2(),
            der.tlv(0xA0, matching, device),
        )
        self.euicc_signature1 = sign(self.key, signed)
        shown = other_bytes(self.euicc_signature1) if self.spoil == "signature" else self.euicc_signature1
        response = der.tlv(0xBF38, der.tlv(0xA0, signed, shown, self.certificate, self.eum_certificate))
        return {"transactionId": answer["transactionId"], "authenticateServerResponse": b64(response)}

    def prepare(self, answer: dict[str, Any], confirmation_code: str | None = None) -> dict[str, Any]:
        """PrepareDownload. The one-time key that the server offers is taken if it is ours."""
        signed2 = der.parse(un64(answer["smdpSigned2"]))
        offered = signed2.find(0x5F49)
        if self.otsk is None or offered is None or offered.value != self.otpk():
            self.otsk = ec.generate_private_key(self.key.curve)
        transaction = signed2.get(0x80).value
        code = b""
        if confirmation_code is not None:
            code = der.octets(
                hashlib.sha256(hashlib.sha256(confirmation_code.encode()).digest() + transaction).digest()
            )
        signed = der.seq(
            der.octets(other_bytes(transaction) if self.spoil == "transaction" else transaction, 0x80),
            der.octets(b"\x04" + bytes(64) if self.spoil == "otpk" else self.otpk(), 0x5F49),
            code,
        )
        signature = sign(self.key, signed + un64(answer["smdpSignature2"]))
        shown = other_bytes(signature) if self.spoil == "signature" else signature
        response = der.tlv(0xBF21, der.tlv(0xA0, signed, shown))
        return {"transactionId": answer["transactionId"], "prepareDownloadResponse": b64(response)}

    def otpk(self) -> bytes:
        assert self.otsk is not None
        return self.otsk.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )

    def open(self, package: bytes, dppb: x509.Certificate) -> Opened:
        """LoadBoundProfilePackage, whole: verify, open, put together."""
        whole = der.parse(package)
        assert whole.tag == 0xBF36
        initialise, *groups = whole.children
        assert initialise.tag == 0xBF23
        fields = initialise.children
        assert [node.tag for node in fields] == [0x82, 0x80, 0xA6, 0x5F49, 0x5F37]
        signed = b"".join(node.raw for node in fields[:4]) + b"\x5f\x49\x41" + self.otpk()
        assert signed_by(dppb, fields[4].raw, signed)
        crt = fields[2]
        assert (crt.get(0x80).value, crt.get(0x81).value) == (b"\x88", b"\x10")
        assert fields[0].integer() == 1
        assert self.otsk is not None
        keys = derive_keys(
            agree(self.otsk, fields[3].value), host_id=crt.get(0x84).value, eid=bytes.fromhex(self.pki.eid)
        )
        opener = Opener(keys)
        opened = Opened(transaction=fields[1].value, otpk=fields[3].value, groups=[group.tag for group in groups])
        for group in groups:
            for segment in group.children:
                opened.sizes.append(len(segment.raw))
                match group.tag, segment.tag:
                    case 0xA0, 0x87:
                        opened.configure += opener.decrypt(segment.raw)
                    case 0xA1, 0x88:
                        opened.metadata += opener.verify(segment.raw)
                    case 0xA2, 0x87:
                        opened.replace = opener.decrypt(segment.raw)
                        opener = Opener(replaced_keys(opened.replace))
                    case 0xA3, 0x86:
                        opened.elements += opener.decrypt(segment.raw)
                    case other:
                        raise AssertionError(other)
        return opened

    def installation_result(self, transaction: bytes, error: tuple[int, int] | None = None, **other: Any) -> bytes:
        """BF37."""
        if error is None:
            aid = bytes.fromhex("A0000005591010FFFFFFFF8900001200")
            result = der.tlv(0xA0, der.octets(aid, other.get("aid_tag", 0x4F)), der.octets(bytes.fromhex("3000")))
        else:
            result = der.tlv(0xA1, der.integer(error[0], 0x80), der.integer(error[1], 0x81))
        data = der.tlv(
            0xBF27,
            der.octets(transaction, 0x80),
            self._notification(0, ADDRESS),
            der.oid(other.get("oid", SMDP_OID)),
            der.tlv(0xA2, result),
        )
        signature = sign(self.key, data)
        return der.tlv(0xBF37, data, other_bytes(signature) if self.spoil == "signature" else signature)

    def notification(self, event: int, bits: bytes | None = None) -> bytes:
        """OtherSignedNotification; ``bits`` replaces the whole TLV of the event."""
        data = self._notification(event, ADDRESS, bits)
        signature = sign(self.key, data)
        shown = other_bytes(signature) if self.spoil == "signature" else signature
        return der.seq(data, shown, self.certificate, self.eum_certificate)

    def _notification(self, event: int, address: str, bits: bytes | None = None) -> bytes:
        number, self.seq_number = self.seq_number, self.seq_number + 1
        iccid = der.octets(bytes.fromhex("98942000000100000011"), 0x5A)
        return der.tlv(0xBF2F, der.integer(number, 0x80), bits or der.bits((event,), 0x81), der.utf8(address), iccid)

    def cancel(self, transaction: bytes, reason: int, oid: str = SMDP_OID) -> dict[str, Any]:
        signed = der.seq(der.octets(transaction, 0x80), der.oid(oid, 0x81), der.integer(reason, 0x82))
        signature = sign(self.key, signed)
        shown = other_bytes(signature) if self.spoil == "signature" else signature
        response = der.tlv(0xBF41, der.tlv(0xA0, signed, shown))
        return {"transactionId": transaction.hex().upper(), "cancelSessionResponse": b64(response)}


@dataclass
class Opened:
    """What was in a bound profile package."""

    transaction: bytes
    otpk: bytes
    groups: list[int]
    configure: bytes = b""
    metadata: bytes = b""
    replace: bytes | None = None
    elements: bytes = b""
    sizes: list[int] = field(default_factory=list)


@dataclass
class Client:
    """The LPA between card and server: calls functions one after the other and keeps the answers."""

    server: RspServer
    card: Card
    address: str = ADDRESS
    initiated: dict[str, Any] = field(default_factory=dict)
    authenticated: dict[str, Any] = field(default_factory=dict)

    @property
    def transaction(self) -> bytes:
        return bytes.fromhex(self.initiated["transactionId"])

    def initiate(self) -> Reply:
        reply = self.server.handle("initiateAuthentication", self.card.initiate(self.address))
        if reply.code is None and reply.body is not None:
            self.initiated = reply.body
        return reply

    def authenticate(self, matching_id: str | None = MATCHING) -> Reply:
        """initiateAuthentication where it has not been done, then authenticateClient."""
        if not self.initiated:
            fields_of(self.initiate())
        reply = self.server.handle("authenticateClient", self.card.authenticate(self.initiated, matching_id))
        if reply.code is None and reply.body is not None:
            self.authenticated = reply.body
        return reply

    def get_package(self, confirmation_code: str | None = None, matching_id: str | None = MATCHING) -> Reply:
        """All that is missing, then getBoundProfilePackage."""
        if not self.authenticated:
            fields_of(self.authenticate(matching_id))
        return self.server.handle("getBoundProfilePackage", self.card.prepare(self.authenticated, confirmation_code))

    def download(self, confirmation_code: str | None = None, matching_id: str | None = MATCHING) -> Opened:
        """From the beginning to the opened package."""
        answer = fields_of(self.get_package(confirmation_code, matching_id))
        return self.card.open(un64(answer["boundProfilePackage"]), self.card.pki["dppb"].certificate)

    def notify(self, raw: bytes) -> Reply:
        return self.server.handle("handleNotification", {"pendingNotification": b64(raw)})

    def cancel(self, reason: int = 0, oid: str = SMDP_OID) -> Reply:
        return self.server.handle("cancelSession", self.card.cancel(self.transaction, reason, oid))


def codes(replies: Iterable[Reply]) -> list[str | None]:
    """The status codes of some answers, None for success."""
    return [reply.code for reply in replies]
