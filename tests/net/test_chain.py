"""Whom the verdict trusts, and whom not. Every rule has a test that fails without it."""

from __future__ import annotations

import random
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ipad_agent.net.errors import Refusal, TrustRefused
from ipad_agent.net.trust.certificate_chain import Tolerance, Verdict, judge, names_host
from ipad_agent.net.trust.pinned_trust import NameCheck, Trust

from .certs import CLIENT_AUTH, NOW, NOW_S, SERVER_AUTH, Identity, brainpool, issue, key_usage, p256

HOST = "eim.example.org"


@pytest.fixture(scope="module")
def root() -> Identity:
    return issue("Root", ca=True, usage=key_usage(cert_sign=True))


@pytest.fixture(scope="module")
def middle(root: Identity) -> Identity:
    return issue("Middle", issuer=root, ca=True, path_length=0)


@pytest.fixture(scope="module")
def leaf(middle: Identity) -> Identity:
    return issue("Server", issuer=middle, dns=(HOST,), purposes=(SERVER_AUTH,), send_issuer=True)


@pytest.fixture(scope="module")
def lone() -> Identity:
    """A self-signed server certificate that names nobody."""
    return issue("Lone")


def accept(
    shown: list[bytes], trust: Trust, *, host: str = HOST, now_s: float = NOW_S, clock_plausible: bool = True
) -> Verdict:
    return judge(shown, trust, host=host, now_s=now_s, clock_plausible=clock_plausible)


def refused(
    shown: list[bytes], trust: Trust, *, host: str = HOST, now_s: float = NOW_S, clock_plausible: bool = True
) -> Refusal:
    with pytest.raises(TrustRefused) as caught:
        judge(shown, trust, host=host, now_s=now_s, clock_plausible=clock_plausible)
    return caught.value.reason


# -- pinned to the server itself ------------------------------------------------------------------------------------


def test_pinned_key_of_the_server_is_accepted_whatever_the_name(lone: Identity) -> None:
    assert accept(lone.shown, Trust.spki(lone.spki)).how == "its key is the pinned one"


def test_another_key_is_refused(lone: Identity) -> None:
    assert refused(lone.shown, Trust.spki(issue("Lone").spki)) is Refusal.NO_PATH


def test_key_of_another_certificate_in_the_chain_does_not_make_a_leaf_the_pinned_one(lone: Identity) -> None:
    impostor = issue("Impostor")
    assert refused([impostor.der, lone.der], Trust.spki(lone.spki)) is Refusal.NO_PATH


def test_pinned_certificate_of_the_server_is_accepted(lone: Identity) -> None:
    assert accept(lone.shown, Trust.certificate(lone.der)) == Verdict("its certificate is the trusted one")


def test_certificate_with_the_same_names_but_another_key_is_refused(lone: Identity) -> None:
    assert refused(issue("Lone").shown, Trust.certificate(lone.der)) is Refusal.NO_PATH


def test_renewed_certificate_with_the_pinned_key_is_accepted_and_reported(lone: Identity) -> None:
    renewed = issue("Lone", key=lone.key)
    assert accept(renewed.shown, Trust.certificate(lone.der)).tolerances == (Tolerance.SAME_KEY,)


def test_brainpool_key_and_certificate_pins_are_accepted() -> None:
    server = issue("B", key=brainpool())
    assert accept(server.shown, Trust.spki(server.spki))
    assert accept(server.shown, Trust.certificate(server.der))
    assert refused(server.shown, Trust.spki(issue("B", key=brainpool()).spki)) is Refusal.NO_PATH


def test_rsa_server_is_accepted_by_key_and_by_anchor() -> None:
    ca = issue("RSA CA", key=rsa.generate_private_key(65537, 2048), ca=True)
    server = issue("R", key=rsa.generate_private_key(65537, 2048), issuer=ca, dns=(HOST,))
    assert accept(server.shown, Trust.spki(server.spki))
    assert accept(server.shown, Trust.certificate(ca.der))


# -- pinned to a CA -------------------------------------------------------------------------------------------------


def test_ca_certificate_is_an_anchor(leaf: Identity, root: Identity) -> None:
    assert accept(leaf.shown, Trust.certificate(root.der)).how == "its chain ends in a trusted certificate"


def test_intermediate_ca_is_an_anchor_too(leaf: Identity, middle: Identity) -> None:
    assert accept(leaf.shown, Trust.certificate(middle.der))
    assert accept([leaf.der], Trust.certificate(middle.der))


def test_ca_key_is_an_anchor_with_and_without_its_certificate_in_the_chain(
    leaf: Identity, middle: Identity, root: Identity
) -> None:
    assert accept([leaf.der, middle.der, root.der], Trust.spki(root.spki))
    assert accept([leaf.der, middle.der], Trust.spki(root.spki)).how == "its chain ends in the pinned key"
    assert accept([leaf.der, middle.der], Trust.spki(middle.spki))


def test_certificates_in_disorder_and_with_strangers_between_are_sorted_out(
    leaf: Identity, middle: Identity, root: Identity, lone: Identity
) -> None:
    assert accept([leaf.der, lone.der, root.der, middle.der, middle.der], Trust.certificate(root.der))


def test_chain_with_a_missing_link_is_refused(leaf: Identity, root: Identity) -> None:
    assert refused([leaf.der], Trust.certificate(root.der)) is Refusal.NO_PATH
    assert refused([leaf.der], Trust.spki(root.spki)) is Refusal.NO_PATH


def test_foreign_ca_is_refused(leaf: Identity) -> None:
    foreign = issue("Root", ca=True)
    assert refused(leaf.shown, Trust.certificate(foreign.der)) is Refusal.NO_PATH
    assert refused(leaf.shown, Trust.spki(foreign.spki)) is Refusal.NO_PATH


def test_ca_of_the_right_name_that_signed_nothing_is_refused(middle: Identity, root: Identity) -> None:
    foreign = issue("Middle", ca=True)
    server = issue("Server", issuer=foreign, dns=(HOST,), send_issuer=True)
    assert refused([server.der, middle.der], Trust.certificate(root.der)) is Refusal.NO_PATH


def test_issuer_that_is_no_ca_is_refused(root: Identity) -> None:
    nobody = issue("Nobody", issuer=root, send_issuer=True)
    server = issue("Server", issuer=nobody, dns=(HOST,), send_issuer=True)
    assert refused(server.shown, Trust.certificate(root.der)) is Refusal.NOT_A_CA


def test_anchor_that_is_no_ca_signs_for_nobody_but_itself() -> None:
    nobody = issue("Nobody")
    server = issue("Server", issuer=nobody, dns=(HOST,))
    assert refused(server.shown, Trust.certificate(nobody.der)) is Refusal.NOT_A_CA


def test_pinned_key_shown_in_a_certificate_that_is_no_ca_signs_for_nobody() -> None:
    nobody = issue("Nobody")
    server = issue("Server", issuer=nobody, dns=(HOST,), send_issuer=True)
    assert refused(server.shown, Trust.spki(nobody.spki)) is Refusal.NOT_A_CA


def test_certificate_without_basic_constraints_is_no_ca(root: Identity) -> None:
    old = issue("Old", issuer=root, constraints=False, send_issuer=True)
    server = issue("Server", issuer=old, dns=(HOST,), send_issuer=True)
    assert refused(server.shown, Trust.certificate(root.der)) is Refusal.NOT_A_CA


def test_ca_that_must_not_sign_certificates_is_refused() -> None:
    mute = issue("Mute", ca=True, usage=key_usage(cert_sign=False))
    server = issue("Server", issuer=mute, dns=(HOST,))
    assert refused(server.shown, Trust.certificate(mute.der)) is Refusal.NOT_A_CA


def test_path_length_is_respected(middle: Identity, root: Identity) -> None:
    deeper = issue("Deeper", issuer=middle, ca=True, send_issuer=True)
    server = issue("Server", issuer=deeper, dns=(HOST,), send_issuer=True)
    assert refused(server.shown, Trust.certificate(root.der)) is Refusal.NOT_A_CA


def test_store_accepts_chains_to_any_of_its_certificates_and_no_other(leaf: Identity, root: Identity) -> None:
    others = [issue(f"CA {n}", ca=True) for n in range(3)]
    assert accept(leaf.shown, Trust.store([*(o.der for o in others), root.der]))
    assert refused(leaf.shown, Trust.store([o.der for o in others])) is Refusal.NO_PATH


def test_second_path_is_taken_when_the_first_one_is_bad(root: Identity) -> None:
    key = p256()
    expired = issue("Cross", issuer=root, key=key, ca=True, not_after=datetime(2025, 6, 1, tzinfo=UTC))
    good = issue("Cross", issuer=root, key=key, ca=True)
    server = issue("Server", issuer=good, dns=(HOST,))
    assert accept([server.der, expired.der, good.der], Trust.certificate(root.der)).tolerances == ()


def test_many_cross_signed_certificates_do_not_keep_the_device_busy() -> None:
    crowd = [issue("Twin", ca=True, key=p256()) for _ in range(1)]
    key = crowd[0].key
    twins = [issue("Twin", key=key, ca=True) for _ in range(8)]
    server = issue("Server", issuer=crowd[0], dns=(HOST,))
    assert refused([server.der, *(t.der for t in twins)], Trust.spki(p256_spki())) is Refusal.LIMIT


def p256_spki() -> bytes:
    return issue("x").spki


def test_more_than_ten_certificates_are_refused(lone: Identity) -> None:
    assert refused([lone.der] * 11, Trust.spki(lone.spki)) is Refusal.LIMIT


# -- names ----------------------------------------------------------------------------------------------------------


def test_wrong_name_is_refused_behind_a_ca_but_not_behind_a_pin(leaf: Identity, root: Identity) -> None:
    assert refused(leaf.shown, Trust.certificate(root.der), host="other.example.org") is Refusal.WRONG_NAME
    assert refused(leaf.shown, Trust.spki(root.spki), host="other.example.org") is Refusal.WRONG_NAME
    assert accept(leaf.shown, Trust.spki(leaf.spki), host="other.example.org")


def test_certificate_without_any_name_is_refused_behind_a_ca(root: Identity) -> None:
    nameless = issue(HOST, issuer=root)
    assert refused(nameless.shown, Trust.certificate(root.der)) is Refusal.WRONG_NAME


def test_name_check_always_applies_to_pins_and_never_to_nobody(leaf: Identity, root: Identity) -> None:
    pinned = Trust.spki(leaf.spki).with_policy(name_check=NameCheck.ALWAYS)
    assert accept(leaf.shown, pinned)
    assert refused(leaf.shown, pinned, host="other.example.org") is Refusal.WRONG_NAME
    anchored = Trust.certificate(root.der).with_policy(name_check=NameCheck.NEVER)
    assert accept(leaf.shown, anchored, host="other.example.org")


@pytest.mark.parametrize(
    ("host", "dns", "ips", "good"),
    [
        ("eim.example.org", ["EIM.Example.ORG"], [], True),
        ("eim.example.org.", ["eim.example.org"], [], True),
        ("eim.example.org", ["*.example.org"], [], True),
        ("a.eim.example.org", ["*.example.org"], [], False),
        ("example.org", ["*.org"], [], False),
        ("eim.example.org", ["e*.example.org"], [], False),
        ("eim.example.org", ["example.org"], [], False),
        ("192.0.2.1", ["192.0.2.1"], [], False),
        ("192.0.2.1", [], ["192.0.2.1"], True),
        ("192.0.2.1", [], ["192.0.2.2"], False),
        ("2001:db8::1", [], ["2001:0db8:0:0::1"], True),
        ("[2001:db8::1]", [], ["2001:db8::1"], True),
    ],
)
def test_names_match_as_in_rfc_6125(host: str, dns: list[str], ips: list[str], good: bool) -> None:
    assert names_host(host, dns, ips) is good


def test_address_in_the_certificate_stands_for_an_address_as_host(root: Identity) -> None:
    server = issue("S", issuer=root, ips=("192.0.2.7",))
    assert accept(server.shown, Trust.certificate(root.der), host="192.0.2.7")


# -- dates ----------------------------------------------------------------------------------------------------------

AFTER_S = datetime(2046, 1, 1, tzinfo=UTC).timestamp()
BEFORE_S = datetime(2024, 1, 1, tzinfo=UTC).timestamp()


def test_expired_certificate_is_refused_even_when_its_key_is_pinned(lone: Identity, leaf: Identity) -> None:
    assert refused(lone.shown, Trust.spki(lone.spki), now_s=AFTER_S) is Refusal.EXPIRED
    assert refused(lone.shown, Trust.certificate(lone.der), now_s=AFTER_S) is Refusal.EXPIRED


def test_expired_certificate_is_accepted_and_reported_where_allowed(lone: Identity) -> None:
    trust = Trust.spki(lone.spki).with_policy(allow_expired=True)
    assert accept(lone.shown, trust, now_s=AFTER_S).tolerances == (Tolerance.EXPIRED,)


def test_expired_issuer_is_refused(root: Identity) -> None:
    old = issue("Old", issuer=root, ca=True, not_after=NOW - timedelta(days=1), send_issuer=True)
    server = issue("S", issuer=old, dns=(HOST,), send_issuer=True)
    assert refused(server.shown, Trust.certificate(root.der)) is Refusal.EXPIRED


def test_certificate_of_the_far_future_is_refused(lone: Identity) -> None:
    assert refused(lone.shown, Trust.spki(lone.spki), now_s=BEFORE_S) is Refusal.NOT_YET_VALID


def test_certificate_of_the_next_hours_is_accepted_and_reported() -> None:
    fresh = issue("F", not_before=NOW + timedelta(hours=5))
    assert accept(fresh.shown, Trust.spki(fresh.spki)).tolerances == (Tolerance.CLOCK_SKEW,)


def test_dates_are_not_judged_by_a_clock_that_was_never_set(leaf: Identity, root: Identity) -> None:
    verdict = accept(leaf.shown, Trust.certificate(root.der), now_s=1000.0, clock_plausible=False)
    assert verdict.tolerances == (Tolerance.DATES_NOT_JUDGED,)


# -- quality and purpose ----------------------------------------------------------------------------------------------


def test_weak_keys_are_refused_even_as_pins() -> None:
    weak_rsa = issue("W", key=rsa.generate_private_key(65537, 1024))
    weak_ec = issue("W", key=ec.generate_private_key(ec.SECP192R1()))
    assert refused(weak_rsa.shown, Trust.spki(weak_rsa.spki)) is Refusal.WEAK
    assert refused(weak_ec.shown, Trust.spki(weak_ec.spki)) is Refusal.WEAK


def test_signature_with_sha1_is_refused(tmp_path: Path) -> None:
    ca = issue("RSA CA", key=rsa.generate_private_key(65537, 2048), ca=True)
    server = issue(HOST, key=rsa.generate_private_key(65537, 2048))
    (tmp_path / "ca.pem").write_bytes(ca.pem + ca.key_pem)
    (tmp_path / "key.pem").write_bytes(server.key_pem)
    (tmp_path / "names").write_text(f"subjectAltName=DNS:{HOST}\n")
    openssl("req", "-new", "-key", "key.pem", "-subj", "/CN=x", "-out", "request.pem", folder=tmp_path)
    sign = ["x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-set_serial", "1", "-days", "9999"]
    for digest, reason in (("-sha1", Refusal.WEAK), ("-sha256", None)):
        openssl(*sign, digest, "-extfile", "names", "-outform", "DER", "-out", "server.der", folder=tmp_path)
        shown = [(tmp_path / "server.der").read_bytes()]
        now_s = datetime.now(UTC).timestamp()
        for trust in (Trust.certificate(ca.der), Trust.spki(ca.spki)):
            if reason is None:
                assert accept(shown, trust, now_s=now_s)
            else:
                assert refused(shown, trust, now_s=now_s) is reason


def openssl(*arguments: str, folder: Path) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


def test_certificate_for_clients_only_is_refused_behind_a_ca(root: Identity) -> None:
    client = issue("C", issuer=root, dns=(HOST,), purposes=(CLIENT_AUTH,))
    assert refused(client.shown, Trust.certificate(root.der)) is Refusal.WRONG_PURPOSE


def test_unknown_critical_extension_is_refused_behind_a_ca(root: Identity) -> None:
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
    critical = issue("S", issuer=root, dns=(HOST,), extra=((odd, True),))
    harmless = issue("S", issuer=root, dns=(HOST,), extra=((odd, False),))
    assert refused(critical.shown, Trust.certificate(root.der)) is Refusal.WRONG_PURPOSE
    assert accept(harmless.shown, Trust.certificate(root.der))


def test_critical_policies_of_gsma_certificates_are_accepted(root: Identity) -> None:
    policy = x509.PolicyInformation(x509.ObjectIdentifier("2.23.146.1.2.1.3"), None)
    server = issue("S", issuer=root, dns=(HOST,), extra=((x509.CertificatePolicies([policy]), True),))
    assert accept(server.shown, Trust.certificate(root.der))


# -- garbage ----------------------------------------------------------------------------------------------------------


def test_no_certificate_at_all_is_refused(lone: Identity) -> None:
    assert refused([], Trust.spki(lone.spki)) is Refusal.NO_CERTIFICATE


def test_mutated_certificates_are_refused_and_raise_nothing_else(leaf: Identity, root: Identity) -> None:
    random_ = random.Random(20260601)
    trusts = [Trust.certificate(root.der), Trust.spki(root.spki), Trust.store([root.der])]
    for _ in range(600):
        shown = [bytearray(der) for der in leaf.shown]
        victim = shown[random_.randrange(len(shown))]
        for _ in range(random_.randint(1, 3)):
            at = random_.randrange(len(victim))
            match random_.randrange(3):
                case 0:
                    victim[at] = random_.randrange(256)
                case 1:
                    del victim[at : at + random_.randint(1, 8)]
                case _:
                    victim[at:at] = random_.randbytes(random_.randint(1, 4))
        if [bytes(der) for der in shown] == leaf.shown:
            continue
        with pytest.raises(TrustRefused):
            accept([bytes(der) for der in shown], random_.choice(trusts))


def test_fingerprint_changes_with_everything_that_decides(lone: Identity, root: Identity) -> None:
    trust = Trust.spki(lone.spki)
    same = replace(trust, origin="eUICC")
    others = [
        Trust.spki(root.spki),
        Trust.certificate(lone.der),
        Trust.store([lone.der]),
        trust.with_policy(name_check=NameCheck.ALWAYS),
        trust.with_policy(allow_expired=True),
    ]
    assert same.fingerprint == trust.fingerprint
    assert len({trust.fingerprint, *(o.fingerprint for o in others)}) == 6
