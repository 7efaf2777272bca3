"""The lab's PKI: every key and certificate that card, eIM, SM-DP+ and SM-DS of the bench need.

``Pki.create`` makes a world of its own; ``Pki.load`` opens one, or a folder of foreign test certificates with a
``manifest.json`` that says which file plays which part. See ``pki_folder`` for the file names and the manifest.
"""

from __future__ import annotations

from ipad_agent.lab.crypto.ecdsa import CURVES, sign_raw, verify_raw

from .credential import Credential, PkiError
from .eid import check_digits_ok, make_eid
from .pki_folder import Pki

__all__ = ["CURVES", "Credential", "Pki", "PkiError", "check_digits_ok", "make_eid", "sign_raw", "verify_raw"]
