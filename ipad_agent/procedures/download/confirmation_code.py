"""The confirmation code of a download (SGP.22 v2.5 §3.1.3, §5.7.5)."""

from __future__ import annotations

import hashlib

from ipad_agent.codec.esipa.esipa_download import AuthenticateClientOk


def hash_of(code: str, transaction_id: bytes) -> bytes:
    """hashCc: SHA-256 over the SHA-256 of the code and the transaction's bytes."""
    return hashlib.sha256(hashlib.sha256(code.encode()).digest() + transaction_id).digest()


def hash_for(ok: AuthenticateClientOk, transaction_id: bytes, configured: str | None) -> bytes | None:
    """The hash to send when the SM-DP+ asks for one: the eIM's, else from the configured code; None if there is none
    or none is wanted."""
    if not ok.smdp_signed2.confirmation_code_required:
        return None
    if ok.hash_cc is not None or configured is None:
        return ok.hash_cc
    return hash_of(configured, transaction_id)
