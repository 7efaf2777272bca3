"""A knock: one datagram that proves a shared key and holds nothing else.

``IPAK`` 01, the time in milliseconds since 1970 (8 bytes), a nonce (16 bytes), and HMAC-SHA256 of all that (32 bytes).
"""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from typing import Final

MAGIC: Final = b"IPAK\x01"
NONCE_BYTES: Final = 16
KNOCK_BYTES: Final = len(MAGIC) + 8 + NONCE_BYTES + 32
WINDOW_S: Final = 120.0
"""How far the sender's clock may be from ours."""
MOST_NONCES: Final = 512
SHORTEST_KEY_BYTES: Final = 16


def knock(key: bytes, now_s: float, nonce: bytes) -> bytes:
    """The datagram; ``now_s`` is seconds since 1970."""
    head = MAGIC + int(now_s * 1000).to_bytes(8, "big") + nonce
    return head + _mac(key, head)


class KnockCheck:
    """Which datagrams are knocks: of the right key, of now, and each once."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._seen: OrderedDict[bytes, float] = OrderedDict()

    def problem(self, datagram: bytes, now_s: float, *, clock_plausible: bool) -> str | None:
        """Why it is no knock, or None; one that is good is good once."""
        if len(datagram) != KNOCK_BYTES or not datagram.startswith(MAGIC):
            return "it is no knock"
        head, mac = datagram[:-32], datagram[-32:]
        if not hmac.compare_digest(mac, _mac(self._key, head)):
            return "it does not prove the key"
        if not clock_plausible:
            return "this device does not know the time yet"
        at_s = int.from_bytes(head[len(MAGIC) : len(MAGIC) + 8], "big") / 1000
        if abs(at_s - now_s) > WINDOW_S:
            return f"its time is {abs(at_s - now_s):.0f} s from ours"
        self._forget(now_s)
        nonce = head[-NONCE_BYTES:]
        if nonce in self._seen:
            return "it came before"
        if len(self._seen) >= MOST_NONCES:
            return "too many knocks in a few minutes"
        self._seen[nonce] = at_s
        return None

    def _forget(self, now_s: float) -> None:
        """What is too old to be taken again need not be remembered."""
        for nonce in [nonce for nonce, at_s in self._seen.items() if abs(at_s - now_s) > WINDOW_S]:
            del self._seen[nonce]


def _mac(key: bytes, head: bytes) -> bytes:
    return hmac.new(key, head, hashlib.sha256).digest()
