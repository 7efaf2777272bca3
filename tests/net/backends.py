"""The DTLS backend that the tests of this room run over: OpenSSL, or Mbed TLS with ``DTLS_BACKEND=mbedtls``
(``make test-cid``, which brings the library)."""

from __future__ import annotations

import os

from ipad_agent.clock import Clock
from ipad_agent.net.dtls.connection_record import ConnectionShelf
from ipad_agent.net.dtls.dtls_backend import DtlsBackend
from ipad_agent.net.dtls.session_record import SessionMemory

MBEDTLS = os.environ.get("DTLS_BACKEND", "openssl") == "mbedtls"


def new_backend(
    memory: SessionMemory | None = None, clock: Clock | None = None, shelf: ConnectionShelf | None = None
) -> DtlsBackend:
    """One that remembers nothing but what ``memory`` and ``shelf`` hold."""
    if MBEDTLS:
        from ipad_agent.net.dtls.mbedtls_backend import MbedTlsBackend
        from ipad_agent.net.dtls.mbedtls_library import find

        found = find()
        assert found.library is not None, found.reason
        return MbedTlsBackend(found.library, memory, shelf, clock)
    from ipad_agent.net.dtls.openssl_backend import OpenSslBackend

    return OpenSslBackend(memory, clock)
