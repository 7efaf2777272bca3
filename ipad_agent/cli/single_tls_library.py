"""One TLS library in the daemon's process instead of two.

All that the daemon says over TLS and DTLS goes through pyOpenSSL, whose wheel brings an OpenSSL of its own. asyncio and
hashlib would load the system's beside it, by ``ssl`` and ``_hashlib``, and the daemon would use neither: 4.7 MB of
memory with wheels, 1.5 MB where a distribution has both share one. So they are loaded here as they are on a Python that
was built without OpenSSL, for which both provide. Whoever imports ``ssl`` afterwards gets it as ever; only asyncio does
without it, to which the daemon leaves no TLS.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Final

_OWN_HASHES: Final = ("_sha2", "_sha256")
"""Python's own SHA-256, by the release. Fedora builds without: then hashlib needs OpenSSL's."""


def load() -> None:
    """To be called before anything else is loaded; does nothing in a process that has one of them already."""
    hidden = ["ssl"]
    if any(find_spec(name) is not None for name in _OWN_HASHES):
        hidden.append("_hashlib")
    if any(name in sys.modules for name in ("asyncio", "hashlib", *hidden)):
        return
    blocked: dict[str, object] = sys.modules  # type: ignore[assignment]  # None is how an import is told to fail
    blocked |= dict.fromkeys(hidden)
    try:
        for name in ("asyncio", "hashlib", "hmac"):
            import_module(name)
    finally:
        for name in hidden:
            sys.modules.pop(name, None)
