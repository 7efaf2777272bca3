"""PyKCS11 in a few lines: a token in memory that does what Cryptoki says of the functions that the agent uses."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

P256 = bytes.fromhex("06082A8648CE3D030107")


class PyKCS11Error(Exception):
    """As PyKCS11's: its text begins with the name of the error."""


class Mechanism:
    """Which algorithm."""

    def __init__(self, mechanism: str, param: object = None) -> None:
        self.mechanism = mechanism


class Token:
    """One token with a PIN. ``ends_sessions`` ends the session at that many calls more, as a reset of the token does;
    ``away`` is a token that was pulled out."""

    def __init__(self, label: str = "gateway", pin: str = "314159") -> None:
        self.label = label
        self.pin = pin
        self.pairs: list[tuple[str, ec.EllipticCurvePrivateKey]] = []
        self.away = False
        self.sessions = 0
        self.generation = 0

    def reset(self) -> None:
        """Every open session is gone."""
        self.generation += 1


class Session:
    """Of one generation of the token."""

    def __init__(self, token: Token) -> None:
        self._token = token
        self._generation = token.generation
        self._open = False
        token.sessions += 1

    def login(self, pin: str) -> None:
        if pin != self._token.pin:
            raise PyKCS11Error("CKR_PIN_INCORRECT (0x000000A0)")
        self._open = True

    def findObjects(self, template: list[tuple[str, Any]]) -> list[tuple[str, ec.EllipticCurvePrivateKey]]:  # noqa: N802
        self._alive()
        wanted = dict(template)
        hidden = wanted["CKA_CLASS"] == "private" and not self._open
        found = [pair for pair in self._token.pairs if pair[0] == wanted["CKA_LABEL"]]
        return [] if hidden else found

    def getAttributeValue(self, pair: Any, names: list[str]) -> list[tuple[int, ...]]:  # noqa: N802
        self._alive()
        numbers = pair[1].public_key().public_numbers()
        size = (pair[1].key_size + 7) // 8
        point = b"\x04\x41\x04" + numbers.x.to_bytes(size, "big") + numbers.y.to_bytes(size, "big")
        curve = P256 if isinstance(pair[1].curve, ec.SECP256R1) else b"\x06\x05\x2b\x81\x04\x00\x22"
        values = {"CKA_EC_PARAMS": curve, "CKA_EC_POINT": point}
        return [tuple(values[name]) for name in names]

    def generateKeyPair(self, public: list[Any], private: list[Any], mecha: Mechanism) -> None:  # noqa: N802
        self._alive()
        flags = dict(private)
        assert (flags["CKA_SENSITIVE"], flags["CKA_EXTRACTABLE"], flags["CKA_TOKEN"]) == (1, 0, 1)
        assert bytes(dict(public)["CKA_EC_PARAMS"]) == P256
        self._token.pairs.append((flags["CKA_LABEL"], ec.generate_private_key(ec.SECP256R1())))

    def sign(self, pair: tuple[str, ec.EllipticCurvePrivateKey], digest: bytes, mecha: Mechanism) -> list[int]:
        self._alive()
        algorithm = ec.ECDSA(utils.Prehashed(hashes.SHA256()))
        r, s = utils.decode_dss_signature(pair[1].sign(digest, algorithm))
        return list(r.to_bytes(32, "big") + s.to_bytes(32, "big"))

    def _alive(self) -> None:
        if self._token.away or self._generation != self._token.generation:
            raise PyKCS11Error("CKR_SESSION_HANDLE_INVALID (0x000000B3)")


def library_for(token: Token) -> Any:
    """What ``import PyKCS11`` gives."""

    class PyKCS11Lib:
        def load(self, path: str) -> None:
            return None

        def getSlotList(self, *, tokenPresent: bool) -> list[int]:  # noqa: N802, N803
            return [] if token.away else [4]

        def getTokenInfo(self, slot: int) -> Any:  # noqa: N802
            return SimpleNamespace(label=token.label.ljust(32))

        def openSession(self, slot: int, flags: int) -> Session:  # noqa: N802
            return Session(token)

    names = {
        name: name
        for name in ("CKA_LABEL", "CKA_KEY_TYPE", "CKA_CLASS", "CKA_EC_PARAMS", "CKA_EC_POINT", "CKA_TOKEN", "CKA_ID")
    }
    names |= {name: name for name in ("CKA_PRIVATE", "CKA_SENSITIVE", "CKA_EXTRACTABLE", "CKA_SIGN", "CKA_VERIFY")}
    numbers = {"CK_TRUE": 1, "CK_FALSE": 0, "CKF_SERIAL_SESSION": 4, "CKF_RW_SESSION": 2}
    others = {"CKO_PRIVATE_KEY": "private", "CKO_PUBLIC_KEY": "public", "CKK_EC": "EC"}
    mechanisms = {"CKM_EC_KEY_PAIR_GEN": "make", "CKM_ECDSA": "sign"}
    return SimpleNamespace(
        PyKCS11Lib=PyKCS11Lib,
        PyKCS11Error=PyKCS11Error,
        Mechanism=Mechanism,
        **names,
        **numbers,
        **others,
        **mechanisms,
    )
