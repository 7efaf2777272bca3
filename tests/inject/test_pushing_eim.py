"""The eIM that pushes is known by what its entry on the card, or the configuration, says of it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ipad_agent.inject.pushing_eim import KnownEim, by_certificates, by_identity
from ipad_agent.lab.pki import Pki
from ipad_agent.net import Psk, Trust
from ipad_agent.net.errors import TrustRefused


def test_a_key_a_certificate_and_a_ca_on_the_card_are_each_enough(pki_folder: Path) -> None:
    pki = Pki.load(pki_folder)
    leaf, ca = pki["eim-tls-issued"].cert_der, pki["eim-ca"].cert_der
    spki = pki["eim-tls-issued"].spki_der
    known = [
        KnownEim("by key", "x", Trust.spki(spki)),
        KnownEim("by certificate", "x", Trust.certificate(leaf)),
        KnownEim("by CA", "localhost", Trust.certificate(ca)),
        KnownEim("by CA, of another name", "elsewhere.example", Trust.certificate(ca)),
        KnownEim("another", "x", Trust.certificate(pki["eim-tls-self"].cert_der)),
        KnownEim("by secret", "x", Trust.psk(), Psk(b"me", bytes(16))),
    ]
    assert by_certificates([leaf, ca], known, now_s=time.time()) == ("by key", "by certificate", "by CA")
    with pytest.raises(TrustRefused):
        by_certificates([pki["euicc"].cert_der], known, now_s=time.time())
    with pytest.raises(TrustRefused):
        by_certificates([], known, now_s=time.time())
    with pytest.raises(TrustRefused):
        by_certificates([leaf, ca], [], now_s=time.time())


def test_a_pre_shared_key_is_found_by_its_identity() -> None:
    known = [KnownEim("a", "x", Trust.psk(), Psk(b"me", bytes(16))), KnownEim("b", "x", Trust.psk(), None)]
    found = by_identity(b"me", known)
    assert found is not None
    assert found.eim_id == "a"
    assert by_identity(b"you", known) is None
