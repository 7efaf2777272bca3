"""A scripted SM-DP+ for the card tests: every message it sends can be bent. Built on ``cryptography`` alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import cmac, hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.x509.oid import NameOID, ObjectIdentifier

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc import Quirks, VirtualEuicc
from ipad_agent.lab.pki import Pki

from .euicc_bench import Bench, bench, card_key, pki, raw_signature, signature_is_good

TRANSACTION = bytes.fromhex("0123456789ABCDEF")
SERVER_CHALLENGE = bytes.fromhex("F0F1F2F3F4F5F6F7F8F9FAFBFCFDFEFF")
ADDRESS = "smdp.lab.example"
HOST_ID = b"lab-host"
# matchingId "M-1"; TAC 35290611 nibble-swapped, no capabilities.
CONTEXT = bytes.fromhex("A00F" + "80034D2D31" + "A108" + "800453926011" + "A100")
NEW_ICCID = "89490200009000000120"
NEW_ICCID_BYTES = bytes.fromhex("98942000000900001002")
ROLE_ARC = "2.23.146.1.2.1."


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def metadata(**changes: bytes | None) -> bytes:
    """BF25; keywords t5A, t91 ... replace, add or (None) leave out fields."""
    fields: dict[str, bytes | None] = {
        "t5A": b"\x5a\x0a" + NEW_ICCID_BYTES,
        "t91": b"\x91\x05Lab C",
        "t92": b"\x92\x06C IoT!",
        "t93": None,
        "t94": None,
        "t95": b"\x95\x01\x02",
        "tB6": None,
        "tB7": None,
        "t99": None,
        "tBF22": None,
        "t9F7B": None,
        "t9F67": None,
    }
    fields.update(changes)
    return der.tlv(0xBF25, *(value for value in fields.values() if value is not None))


def package(size: int = 300, iccid: str | None = None, more_header: bytes = b"") -> bytes:
    """TLVs as a profile package has them: a header, something big, an end."""
    digits = bytes.fromhex((iccid or NEW_ICCID).ljust(20, "F"))
    header = der.tlv(0xA0, b"\x80\x01\x02\x81\x01\x03", der.octets(digits, 0x83), more_header)
    filler = der.tlv(0xA1, der.octets(bytes(i & 0xFF for i in range(size))))
    return header + filler + der.tlv(0xAA, b"\xa0\x00")


class Scp03t:
    """The sender's side of BPP protection, SGP.22 annex G, written for these tests."""

    def __init__(self, chaining: bytes, enc: bytes, mac: bytes) -> None:
        self.chaining, self.enc, self.mac, self.counter = chaining, enc, mac, 1

    def sealed(self, tag: int, plain: bytes) -> bytes:
        zero = Cipher(algorithms.AES(self.enc), modes.CBC(bytes(16))).encryptor()
        vector = zero.update(self.counter.to_bytes(16, "big")) + zero.finalize()
        encryptor = Cipher(algorithms.AES(self.enc), modes.CBC(vector)).encryptor()
        padded = plain + b"\x80" + bytes(15 - len(plain) % 16)
        return self.signed(tag, encryptor.update(padded) + encryptor.finalize())

    def signed(self, tag: int, payload: bytes) -> bytes:
        body = der.tlv(tag, payload + bytes(8))[:-8]
        mac = cmac.CMAC(algorithms.AES(self.mac))
        mac.update(self.chaining + body)
        self.chaining = mac.finalize()
        self.counter += 1
        return body + self.chaining[:8]


def session_keys(key: ec.EllipticCurvePrivateKey, point: bytes, eid: str, host_id: bytes = HOST_ID) -> Scp03t:
    other = ec.EllipticCurvePublicKey.from_encoded_point(key.curve, point)
    secret = key.exchange(ec.ECDH(), other)
    info = b"\x88\x10" + bytes([len(host_id)]) + host_id + b"\x10" + bytes.fromhex(eid)
    block = sha256(secret + b"\0\0\0\1" + info) + sha256(secret + b"\0\0\0\2" + info)
    return Scp03t(block[:16], block[16:32], block[32:48])


@dataclass
class Bpp:
    """A bound profile package in parts; ``segments`` is what goes to the card, one command each."""

    initialise: bytes
    first: list[bytes]
    metadata: list[bytes]
    keys: list[bytes]
    elements: list[bytes]

    @property
    def parts(self) -> list[bytes]:
        keys = [der.tlv(0xA2, *self.keys)] if self.keys else []
        return [der.tlv(0xA0, *self.first), der.tlv(0xA1, *self.metadata), *keys, der.tlv(0xA3, *self.elements)]

    @property
    def whole(self) -> bytes:
        return der.tlv(0xBF36, self.initialise, *self.parts)

    @property
    def segments(self) -> list[bytes]:
        whole = self.whole
        result = [whole[: len(whole) - sum(map(len, self.parts))]]
        result += joined_header(0xA0, self.first)
        result += [header(0xA1, self.metadata), *self.metadata]
        if self.keys:
            result += joined_header(0xA2, self.keys)
        return [*result, header(0xA3, self.elements), *self.elements]


def header(tag: int, elements: Sequence[bytes]) -> bytes:
    whole = der.tlv(tag, *elements)
    return whole[: len(whole) - sum(map(len, elements))]


def joined_header(tag: int, elements: Sequence[bytes]) -> list[bytes]:
    return [header(tag, elements) + elements[0], *elements[1:]]


def split(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


Bend = Callable[[bytes], bytes]


@dataclass
class Server:
    """One SM-DP+ of one PKI, in the middle of one download."""

    world: Pki
    address: str = ADDRESS
    transaction: bytes = TRANSACTION
    otsk: ec.EllipticCurvePrivateKey = field(init=False)
    euicc_signature1: bytes = b""
    smdp_signature2: bytes = b""
    euicc_point: bytes = b""
    dp: str = "dp"

    def __post_init__(self) -> None:
        self.otsk = ec.generate_private_key(self.world["dpauth"].private_key.curve)

    @property
    def point(self) -> bytes:
        return self.otsk.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )

    def authenticate_request(
        self,
        challenge: bytes,
        *,
        signed: bytes | None = None,
        signature: bytes | None = None,
        certificate: bytes | None = None,
        key: ec.EllipticCurvePrivateKey | None = None,
        ci_pkid: bytes | None = None,
        context: bytes = CONTEXT,
    ) -> bytes:
        if signed is None:
            signed = server_signed1(self.transaction, challenge, self.address)
        if signature is None:
            signature = raw_signature(key or self.world["dpauth"].private_key, signed)
        return der.tlv(
            0xBF38,
            signed,
            der.octets(signature, 0x5F37),
            der.octets(self.world.ci_pkid if ci_pkid is None else ci_pkid),
            certificate or self.world["dpauth"].cert_der,
            context,
        )

    def authenticated(self, answer: bytes) -> der.Node:
        """Check BF38 { A0 }; euiccSigned1."""
        ok = der.parse(answer).get(0xA0)
        signed, signature = ok.get(0x30), ok.get(0x5F37)
        assert signature_is_good(card_key(self.world), signature.value, signed.raw)
        certificates = [child.raw for child in ok.children if child.tag == 0x30][1:]
        assert certificates == [self.world["euicc"].cert_der, self.world["eum"].cert_der]
        self.euicc_signature1 = signature.value
        return signed

    def prepare_request(
        self,
        *,
        confirm: bool = False,
        hash_cc: bytes | None = None,
        point: bytes | None = None,
        signed: bytes | None = None,
        certificate: bytes | None = None,
        key: ec.EllipticCurvePrivateKey | None = None,
        bound: bytes | None = None,
        transaction: bytes | None = None,
    ) -> bytes:
        if signed is None:
            wanted = der.octets(point, 0x5F49) if point is not None else b""
            signed = der.seq(der.octets(transaction or self.transaction, 0x80), der.boolean(confirm), wanted)
        if bound is None:
            bound = bytes.fromhex("5F3740") + self.euicc_signature1
        self.smdp_signature2 = raw_signature(key or self.world["dppb"].private_key, signed + bound)
        return der.tlv(
            0xBF21,
            signed,
            der.octets(self.smdp_signature2, 0x5F37),
            der.octets(hash_cc) if hash_cc is not None else b"",
            certificate or self.world["dppb"].cert_der,
        )

    def prepared(self, answer: bytes) -> der.Node:
        """Check BF21 { A0 }; euiccSigned2."""
        ok = der.parse(answer).get(0xA0)
        signed, signature = ok.get(0x30), ok.get(0x5F37)
        data = signed.raw + bytes.fromhex("5F3740") + self.smdp_signature2
        assert signature_is_good(card_key(self.world), signature.value, data)
        self.euicc_point = signed.get(0x5F49).value
        return signed

    def initialise_request(
        self,
        *,
        operation: bytes = b"\x82\x01\x01",
        transaction: bytes | None = None,
        template: bytes | None = None,
        point: bytes | None = None,
        key: ec.EllipticCurvePrivateKey | None = None,
        euicc_point: bytes | None = None,
    ) -> bytes:
        if template is None:
            template = b"\x80\x01\x88\x81\x01\x10" + der.octets(HOST_ID, 0x84)
        data = (
            operation
            + der.octets(transaction or self.transaction, 0x80)
            + der.tlv(0xA6, template)
            + der.octets(point or self.point, 0x5F49)
        )
        signed = data + der.octets(euicc_point or self.euicc_point, 0x5F49)
        signature = raw_signature(key or self.world["dppb"].private_key, signed)
        return der.tlv(0xBF23, data, der.octets(signature, 0x5F37))

    def bind(
        self,
        *,
        initialise: bytes | None = None,
        configure: bytes = bytes.fromhex("BF2407B805800388370A"),
        stored: bytes | None = None,
        replace_keys: bytes | None = None,
        elements: bytes | None = None,
        piece: int = 250,
        host_id: bytes = HOST_ID,
    ) -> Bpp:
        """Bind a profile to the card's one-time key; ``replace_keys``: 48 bytes, chaining value, PPK-ENC, PPK-MAC."""
        scp = session_keys(self.otsk, self.euicc_point, self.world.eid, host_id)
        first = [scp.sealed(0x87, configure)]
        described = [scp.signed(0x88, part) for part in split(stored or metadata(), piece)]
        keys = []
        if replace_keys is not None:
            chaining, enc, mac = replace_keys[:16], replace_keys[16:32], replace_keys[32:]
            command = der.tlv(0xBF26, der.octets(chaining, 0x80), der.octets(enc, 0x81), der.octets(mac, 0x82))
            keys = [scp.sealed(0x87, command)]
            if len(replace_keys) == 48:
                scp = Scp03t(chaining, enc, mac)
        body = [scp.sealed(0x86, part) for part in split(elements or package(), piece)]
        return Bpp(initialise or self.initialise_request(), first, described, keys, body)


def server_signed1(transaction: bytes, challenge: bytes, address: str = ADDRESS) -> bytes:
    return der.seq(
        der.octets(transaction, 0x80),
        der.octets(challenge, 0x81),
        der.utf8(address, 0x83),
        der.octets(SERVER_CHALLENGE, 0x84),
    )


@dataclass
class Download:
    """A card on an open channel, and the SM-DP+ that it downloads from."""

    b: Bench
    server: Server

    @property
    def card(self) -> VirtualEuicc:
        return self.b.card

    def es10(self, request: bytes) -> bytes:
        return self.b.terminal.es10(request)

    @property
    def sw(self) -> int:
        return self.b.terminal.sw

    def challenge(self) -> bytes:
        answer = self.es10(bytes.fromhex("BF2E00"))
        assert answer[:5].hex() == "bf2e128010"
        assert len(answer) == 21
        return answer[5:]

    def authenticate(self) -> der.Node:
        return self.server.authenticated(self.es10(self.server.authenticate_request(self.challenge())))

    def prepare(self, point: bytes | None = None) -> der.Node:
        self.authenticate()
        return self.server.prepared(self.es10(self.server.prepare_request(point=point)))

    def load(self, segments: Iterable[bytes]) -> bytes:
        """Send segments until one is answered; that answer."""
        for segment in segments:
            answer = self.es10(segment)
            assert self.sw >> 8 in (0x90, 0x91), hex(self.sw)
            if answer:
                return answer
        return b""

    def install(self) -> bytes:
        self.prepare()
        return self.load(self.server.bind().segments)


def download(quirks: Quirks | None = None, *, world: Pki | None = None, b: Bench | None = None) -> Download:
    world = world or pki()
    return Download(b or bench(quirks, world=world), Server(world))


@dataclass
class Result:
    """What a ProfileInstallationResult says; its signature was good."""

    raw: bytes
    seq: int
    transaction: bytes
    iccid: bytes | None
    address: str
    oid: str
    aid: bytes | None
    command: int | None
    reason: int | None
    final: der.Node


def read_result(raw: bytes, world: Pki | None = None) -> Result:
    node = der.parse(raw)
    assert node.tag == 0xBF37
    data, signature = node.get(0xBF27), node.get(0x5F37)
    assert signature_is_good(card_key(world), signature.value, data.raw)
    notification = data.get(0xBF2F)
    assert notification.get(0x81).value == b"\x07\x80"
    iccid = notification.find(0x5A)
    final = data.get(0xA2).children[0]
    success = final.tag == 0xA0
    return Result(
        raw,
        notification.get(0x80).integer(),
        data.get(0x80).value,
        iccid.value if iccid is not None else None,
        notification.get(0x0C).text(),
        data.get(0x06).oid(),
        final.get(0x4F).value if success else None,
        None if success else final.get(0x80).integer(),
        None if success else final.get(0x81).integer(),
        final,
    )


def error_of(result: bytes, world: Pki | None = None) -> tuple[int | None, int | None]:
    read = read_result(result, world)
    return read.command, read.reason


def certificate(
    world: Pki,
    role: int | None = 4,
    oid: str | Sequence[str] | None = "2.999.10",
    *,
    key: CertificatePublicKeyTypes | None = None,
    issuer: str = "ci",
    extra: Sequence[tuple[x509.ExtensionType, bool]] = (),
    usage: str | None = "digital_signature",
) -> bytes:
    """A server certificate with what the keywords say; DPauth's key unless another is given."""
    now = datetime.now(UTC)
    signer = world[issuer]
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bent")]))
        .issuer_name(signer.certificate.subject)
        .public_key(key or world["dpauth"].public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
    )
    if role is not None:
        policy = x509.PolicyInformation(ObjectIdentifier(f"{ROLE_ARC}{role}"), None)
        builder = builder.add_extension(x509.CertificatePolicies([policy]), critical=True)
    names = [oid] if isinstance(oid, str) else oid
    if names is not None:
        ids: list[x509.GeneralName] = [x509.RegisteredID(ObjectIdentifier(name)) for name in names]
        ids.append(x509.DNSName("smdp.lab.example"))
        builder = builder.add_extension(x509.SubjectAlternativeName(ids), critical=False)
    if usage is not None:
        builder = builder.add_extension(key_usage(usage), critical=True)
    for extension, critical in extra:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(signer.private_key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def key_usage(name: str) -> x509.KeyUsage:
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{n: n == name for n in names})
