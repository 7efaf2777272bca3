"""The PKI of the torture run, read from ``keys`` without touching a disk."""

from __future__ import annotations

import base64
import functools
import json
import zlib
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ipad_agent.lab.pki import Credential, Pki

from .torture_keys import EID, ENTRIES

EIM_ID = "eim.lab.example"


@functools.cache
def torture_pki() -> Pki:
    """The same PKI every time; its folder does not exist and nothing may ask for more than the entries."""
    rows = json.loads(zlib.decompress(base64.b64decode("".join(ENTRIES))))
    entries = {}
    for name, (certificate, key) in rows.items():
        private = serialization.load_der_private_key(base64.b64decode(key), None)
        assert isinstance(private, ec.EllipticCurvePrivateKey)
        entries[name] = Credential(name, x509.load_der_x509_certificate(base64.b64decode(certificate)), private)
    return Pki(Path("/nonexistent"), "p256", EID, EIM_ID, "2.999.10", "2.999.15", entries)
