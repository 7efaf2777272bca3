"""The lab's PKI: what a stranger's verifier finds in the certificates and files."""

from __future__ import annotations

import json
import stat
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ipad_agent.lab.pki import Pki, PkiError, check_digits_ok, make_eid, sign_raw, verify_raw

RSP = ["ci", "eum", "euicc", "dpauth", "dppb", "dptls", "dsauth", "dstls"]
ALL = [*RSP, "eim-sign", "eim-tls-self", "eim-ca", "eim-tls-issued"]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.create(tmp_path_factory.mktemp("pki"), eim_id="eim.test", now=datetime(2026, 1, 2, tzinfo=UTC))


def openssl(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)


def path(pki: Pki, name: str) -> Path:
    return pki.folder / f"{name}.cert.pem"


def test_every_entry_has_its_three_files_and_keys_are_private(pki: Pki) -> None:
    for name in ALL:
        assert path(pki, name).read_bytes() == pki[name].cert_pem
        assert (pki.folder / f"{name}.cert.der").read_bytes() == pki[name].cert_der
        mode = (pki.folder / f"{name}.key.pem").stat().st_mode
        assert stat.S_IMODE(mode) == 0o600, name


def test_a_key_file_with_open_rights_is_closed_when_written_again(tmp_path: Path) -> None:
    (tmp_path / "ci.key.pem").write_text("old")
    (tmp_path / "ci.key.pem").chmod(0o644)
    Pki.create(tmp_path)
    assert stat.S_IMODE((tmp_path / "ci.key.pem").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("name", "issuer"),
    [
        *((signed_by_ci, "ci") for signed_by_ci in ("ci", "eum", "dpauth", "dppb", "dptls", "dsauth", "dstls")),
        *(("eim-tls-issued", "eim-ca"), ("eim-ca", "eim-ca"), ("eim-tls-self", "eim-tls-self")),
    ],
)
def test_openssl_accepts_each_chain(pki: Pki, name: str, issuer: str) -> None:
    # The eUICC itself is left out: openssl compares the serialNumber of the name constraints as a whole, RSP verifiers
    # as the beginning of the EID.
    result = openssl("verify", "-partial_chain", "-trusted", path(pki, issuer), path(pki, name))
    assert result.returncode == 0, result.stderr


def test_the_euicc_certificate_is_issued_by_the_eum(pki: Pki) -> None:
    pki["euicc"].certificate.verify_directly_issued_by(pki["eum"].certificate)
    with pytest.raises((InvalidSignature, ValueError)):
        pki["euicc"].certificate.verify_directly_issued_by(pki["ci"].certificate)


def test_eum_is_tied_to_its_organization_and_eid_prefix(pki: Pki) -> None:
    extensions = pki["eum"].certificate.extensions
    basic = extensions.get_extension_for_class(x509.BasicConstraints)
    assert (basic.critical, basic.value.ca, basic.value.path_length) == (True, True, 0)
    constraints = extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    permitted = constraints.value.permitted_subtrees
    assert permitted is not None
    assert permitted[0].value.rfc4514_string() == "2.5.4.5=89049032,O=RSP Test EUM"
    subject = pki["euicc"].certificate.subject
    assert subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "RSP Test EUM"
    assert subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)[0].value == pki.eid
    assert pki.eid.startswith("89049032")


@pytest.mark.parametrize(
    ("name", "oid"),
    [
        ("ci", "2.23.146.1.2.1.0"),
        ("euicc", "2.23.146.1.2.1.1"),
        ("eum", "2.23.146.1.2.1.2"),
        ("dptls", "2.23.146.1.2.1.3"),
        ("dpauth", "2.23.146.1.2.1.4"),
        ("dppb", "2.23.146.1.2.1.5"),
        ("dstls", "2.23.146.1.2.1.6"),
        ("dsauth", "2.23.146.1.2.1.7"),
    ],
)
def test_each_role_is_told_by_its_policy(pki: Pki, name: str, oid: str) -> None:
    policies = pki[name].certificate.extensions.get_extension_for_class(x509.CertificatePolicies)
    assert [p.policy_identifier.dotted_string for p in policies.value] == [oid]


@pytest.mark.parametrize(("name", "oid"), [("dpauth", "2.999.10"), ("dppb", "2.999.10"), ("dptls", "2.999.10")])
def test_the_three_smdp_certificates_carry_one_oid(pki: Pki, name: str, oid: str) -> None:
    names = pki[name].certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [o.dotted_string for o in names.get_values_for_type(x509.RegisteredID)] == [oid]


@pytest.mark.parametrize("name", ["dptls", "dstls", "eim-tls-self", "eim-tls-issued"])
def test_tls_certificates_are_for_both_ends_and_name_their_host(pki: Pki, name: str) -> None:
    extensions = pki[name].certificate.extensions
    use = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(use) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName)


def test_eim_tls_names_the_eim_and_local_addresses(pki: Pki) -> None:
    certificate = pki["eim-tls-self"].certificate
    assert certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "eim.test"
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["eim.test", "localhost"]
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]


def test_spki_and_key_id_are_the_ones_of_the_certificate(pki: Pki) -> None:
    spki = pki["eim-sign"].spki_der
    assert spki[0] == 0x30
    assert spki in pki["eim-sign"].cert_der
    assert len(pki.ci_pkid) == 20
    assert pki.ci_pkid in pki["eum"].cert_der  # as authorityKeyIdentifier


def test_variants_are_expired_early_or_foreign(pki: Pki) -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    good = pki["eim-tls-issued"]
    expired = pki.variant("eim-tls-issued", "expired", now)
    early = pki.variant("eim-tls-issued", "not-yet-valid", now)
    foreign = pki.variant("eim-tls-issued", "foreign", now)
    assert expired.certificate.not_valid_after_utc < now < early.certificate.not_valid_before_utc
    for dated in (expired, early):
        assert dated.spki_der == good.spki_der
        dated.certificate.verify_directly_issued_by(pki["eim-ca"].certificate)
    assert foreign.certificate.subject == good.certificate.subject
    assert foreign.certificate.issuer == good.certificate.issuer
    assert foreign.spki_der != good.spki_der
    with pytest.raises(InvalidSignature):
        foreign.certificate.verify_directly_issued_by(pki["eim-ca"].certificate)
    result = openssl("verify", "-trusted", path(pki, "eim-ca"), path(pki, "eim-tls-issued-expired"))
    assert result.returncode != 0


def test_a_foreign_self_signed_variant_is_signed_by_its_own_key(pki: Pki) -> None:
    foreign = pki.variant("eim-tls-self", "foreign")
    foreign.certificate.verify_directly_issued_by(foreign.certificate)
    assert foreign.spki_der != pki["eim-tls-self"].spki_der


def test_what_was_made_can_be_loaded_with_its_variants(pki: Pki) -> None:
    pki.variant("dptls", "expired")
    again = Pki.load(pki.folder)
    assert set(again) == set(pki) >= {*ALL, "dptls-expired"}
    assert (again.eid, again.eim_id, again.curve, again.ci_pkid) == (pki.eid, "eim.test", "p256", pki.ci_pkid)
    for name in again:
        assert again[name].cert_der == pki[name].cert_der
        assert again[name].key_pem == pki[name].key_pem


def test_brainpool_is_for_the_rsp_world_and_tls_stays_p256(tmp_path: Path) -> None:
    pki = Pki.create(tmp_path, "brainpool")
    for name in ("ci", "eum", "euicc", "dpauth", "eim-sign"):
        assert isinstance(pki[name].public_key.curve, ec.BrainpoolP256R1), name
    assert isinstance(pki["eim-tls-self"].public_key.curve, ec.SECP256R1)
    assert Pki.load(tmp_path).curve == "brainpool"


def test_foreign_folder_of_test_certificates_is_mapped_by_its_manifest(pki: Pki, tmp_path: Path) -> None:
    (tmp_path / "certs").mkdir()
    for name in ("ci", "eum", "euicc"):
        (tmp_path / "certs" / f"CERT_{name}.der").write_bytes(pki[name].cert_der)
    traditional = pki["euicc"].private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    # the block that `openssl ecparam -name prime256v1 -genkey` writes first; its body is the curve's OID
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    (tmp_path / "SK.pem").write_bytes(parameters + traditional)
    files = {name: {"cert": f"certs/CERT_{name}.der"} for name in ("ci", "eum", "euicc")}
    files["euicc"]["key"] = "SK.pem"
    (tmp_path / "manifest.json").write_text(json.dumps({"files": files}))
    loaded = Pki.load(tmp_path)
    assert (loaded.eid, loaded.ci_pkid, loaded.curve) == (pki.eid, pki.ci_pkid, "p256")
    assert loaded["euicc"].private_key.public_key() == pki["euicc"].public_key
    with pytest.raises(PkiError):
        _ = loaded["eum"].private_key


def test_a_key_that_does_not_fit_its_certificate_is_refused(pki: Pki, tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_bytes(pki["eum"].cert_pem)
    (tmp_path / "k.pem").write_bytes(pki["ci"].key_pem)
    (tmp_path / "manifest.json").write_text(json.dumps({"files": {"eum": {"cert": "c.pem", "key": "k.pem"}}}))
    with pytest.raises(PkiError, match="not the key"):
        Pki.load(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"files": []}', '{"files": {"ci": {}}}', '{"files": {"ci": {"cert": "no"}}}']
)
def test_a_broken_manifest_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(PkiError):
        Pki.load(tmp_path)


def test_eid_check_digits() -> None:
    # SGP.22's own example EID 89049032123451234512345678901235: its first 30 digits give 35
    assert make_eid(1234512345123456789012, "89049032") == "89049032123451234512345678901235"
    assert check_digits_ok("89049032123451234512345678901235")
    assert not check_digits_ok("89049032123451234512345678901236")
    assert not check_digits_ok("8904903212345123451234567890123")
    for number in (0, 1, 12345, 10**22 - 1):
        assert check_digits_ok(make_eid(number))
    with pytest.raises(ValueError, match="no EID"):
        make_eid(10**22)


def test_a_card_may_have_an_eid_that_is_no_number_but_32_digits_it_has(tmp_path: Path) -> None:
    pki = Pki.create(tmp_path, eid="89abcdef890490321234512345678901")
    assert pki.eid == Pki.load(tmp_path).eid == "89ABCDEF890490321234512345678901"
    assert not check_digits_ok(pki.eid)
    with pytest.raises(PkiError, match="no EID"):
        Pki.create(tmp_path / "other", eid="8904")


def test_raw_signatures_are_64_bytes_and_bound_to_key_and_data(pki: Pki) -> None:
    key = pki["euicc"].private_key
    signature = sign_raw(key, b"data")
    assert len(signature) == 64
    assert verify_raw(key.public_key(), signature, b"data")
    assert not verify_raw(key.public_key(), signature, b"date")
    assert not verify_raw(pki["eum"].public_key, signature, b"data")
    assert not verify_raw(key.public_key(), signature[:63], b"data")
    assert not verify_raw(key.public_key(), signature[:32] + b"\0" + signature[32:], b"data")  # same numbers, 65 bytes
    assert not verify_raw(key.public_key(), bytes(64), b"data")


@pytest.mark.parametrize("entry", ["eim-tls-self", "eim-tls-issued", "dptls"])
def test_an_rsa_variant_has_the_names_and_the_issuer_of_the_original(pki: Pki, entry: str) -> None:
    made = pki.variant(entry, "rsa")
    key = made.certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == 2048
    assert made.certificate.subject == pki[entry].certificate.subject
    names = [
        one.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        for one in (made, pki[entry])
    ]
    assert names[0] == names[1]
    issuer = {"eim-tls-self": made, "eim-tls-issued": pki["eim-ca"], "dptls": pki["ci"]}[entry]
    made.certificate.verify_directly_issued_by(issuer.certificate)
    with pytest.raises(PkiError, match="elliptic curve"):
        _ = made.private_key
    again = Pki.load(pki.folder)[f"{entry}-rsa"]
    assert again.key_pem == made.key_pem
    assert again.certificate == made.certificate
