"""The device key in a token behind PKCS#11: a TPM 2.0 by tpm2-pkcs11, a secure element, a SoftHSM for tests.

The private half is made in the token, is marked as sensitive and not extractable, and never leaves it; whoever copies
the disk copies no key. PyKCS11 is needed for this alone, and loaded when the configuration names a token. Each use of
the token blocks: a TPM signs within some tenths of a second.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ipad_agent.emulation.device_key import KeyTrouble, SoftwareKey

T = TypeVar("T")

_P256: Final = bytes.fromhex("06082A8648CE3D030107")
"""prime256v1 as CKA_EC_PARAMS has it."""
_LIBRARIES: Final[dict[Path, Any]] = {}
_INSTALL: Final = "Install python3-pykcs11 (Debian), or pip install ipad-agent[pkcs11]."
_ADVICE: Final = {
    "CKR_PIN_INCORRECT": "Correct the PIN in the file; a token locks itself after a few wrong ones.",
    "CKR_PIN_LOCKED": "Unlock the token with its security officer's PIN.",
    "CKR_USER_PIN_NOT_INITIALIZED": "Give the token a user's PIN (pkcs11-tool --init-pin).",
    "CKR_ARGUMENTS_BAD": "Name a file with the token's PIN: card.emulation_key_pin_file.",
}


class Pkcs11Keys:
    """Implements ``KeyPlace``. ``pin`` is called when the token is opened; what it gives is kept nowhere and never
    said. ``token`` and ``label`` are the labels of token and key."""

    def __init__(self, module: Path, token: str, label: str, pin: Callable[[], str | None]) -> None:
        self._module = module
        self._token = token
        self._label = label
        self._pin = pin
        self._library: Any = None
        self._session: Any = None

    def load(self) -> TokenKey | None:
        """The key with the label; None when the token is there and has none. Raises ``KeyTrouble``."""
        return self.used(self._find)

    def create(self) -> TokenKey:
        """A new key where the token has none with the label, else that one. Raises ``KeyTrouble``."""
        known = self.load()
        if known is not None:
            return known
        self.used(self._generate)
        made = self.load()
        if made is None:
            raise KeyTrouble(f"the token {self._token} took a new key and does not show it")
        return made

    def replace(self) -> TokenKey:
        """What a person does who wants a new key: it has another label. Raises ``KeyTrouble``: nothing is ever deleted
        from a token, and a key that is there may be the old one."""
        if self.load() is not None:
            raise KeyTrouble(
                f"the token {self._token} has the key {self._label} already",
                hint="Choose another label in card.emulation_key_label, and say it once more; the old key stays.",
            )
        return self.create()

    @property
    def takes_keys(self) -> bool:
        """Never: what was outside of a token once may be anywhere."""
        return False

    def put(self, key: SoftwareKey) -> None:
        """Raises ``KeyTrouble``."""
        raise KeyTrouble(f"the token {self._token} takes no key that was made elsewhere")

    def used(self, work: Callable[[Any], T]) -> T:
        """``work`` with an open session; once more with a fresh one where the old one is gone, as after a reset of the
        token. Raises ``KeyTrouble``."""
        for last in (self._session is None, True):
            with self._told():
                session = self._opened()
                try:
                    return work(session)
                except self._library.PyKCS11Error:
                    self._session = None
                    if last:
                        raise
        raise AssertionError("the second try ends it")

    # -- the token ---------------------------------------------------------------------------------------------------

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What PKCS#11 says as ``KeyTrouble``, without anything that was given to it."""
        if self._library is None:
            try:
                self._library = importlib.import_module("PyKCS11")
            except ImportError as error:
                raise KeyTrouble(f"a key in a token needs PyKCS11: {error}", hint=_INSTALL) from error
        try:
            yield
        except self._library.PyKCS11Error as error:
            name = str(error).partition(" ")[0]
            raise KeyTrouble(f"the token {self._token} answers {name}", hint=_ADVICE.get(name)) from None

    def _opened(self) -> Any:
        if self._session is not None:
            return self._session
        names, library = self._library, self._loaded()
        slots = [slot for slot in library.getSlotList(tokenPresent=True) if self._named(library, slot)]
        if not slots:
            raise KeyTrouble(f"{self._module} shows no token {self._token}", hint="Look with pkcs11-tool --list-slots.")
        session = library.openSession(slots[0], names.CKF_SERIAL_SESSION | names.CKF_RW_SESSION)
        pin = self._pin()
        if pin is not None:
            try:
                session.login(pin)
            except names.PyKCS11Error as error:
                if not str(error).startswith("CKR_USER_ALREADY_LOGGED_IN"):
                    raise
        self._session = session
        return session

    def _loaded(self) -> Any:
        """The token's library, set up once in this process: whoever let go of it would end the others' sessions too."""
        if self._module not in _LIBRARIES:
            if not self._module.exists():
                hint = "Name the token's library: card.emulation_key_module."
                raise KeyTrouble(f"{self._module} does not exist", hint=hint)
            library = self._library.PyKCS11Lib()
            library.load(str(self._module))
            _LIBRARIES[self._module] = library
        return _LIBRARIES[self._module]

    def _named(self, library: Any, slot: int) -> bool:
        return str(library.getTokenInfo(slot).label).strip(" \0") == self._token

    def _find(self, session: Any) -> TokenKey | None:
        names = self._library
        wanted = [(names.CKA_LABEL, self._label), (names.CKA_KEY_TYPE, names.CKK_EC)]
        private = session.findObjects([(names.CKA_CLASS, names.CKO_PRIVATE_KEY), *wanted])
        public = session.findObjects([(names.CKA_CLASS, names.CKO_PUBLIC_KEY), *wanted])
        if not private and not public:
            return None
        if len(private) != 1 or len(public) != 1:
            halves = f"{len(private)} private and {len(public)} public ones"
            raise KeyTrouble(f"the token {self._token} has no single key pair {self._label}, but {halves}")
        parameters, point = (
            bytes(value) for value in session.getAttributeValue(public[0], [names.CKA_EC_PARAMS, names.CKA_EC_POINT])
        )
        if parameters != _P256:
            raise KeyTrouble(f"the key {self._label} in the token {self._token} is not on P-256")
        return TokenKey(self, _spki(point))

    def _generate(self, session: Any) -> None:
        names = self._library
        common = [
            (names.CKA_TOKEN, names.CK_TRUE),
            (names.CKA_LABEL, self._label),
            (names.CKA_ID, tuple(hashlib.sha256(self._label.encode()).digest()[:8])),
        ]
        public = [*common, (names.CKA_EC_PARAMS, tuple(_P256)), (names.CKA_VERIFY, names.CK_TRUE)]
        private = [
            *common,
            (names.CKA_PRIVATE, names.CK_TRUE),
            (names.CKA_SENSITIVE, names.CK_TRUE),
            (names.CKA_EXTRACTABLE, names.CK_FALSE),
            (names.CKA_SIGN, names.CK_TRUE),
        ]
        session.generateKeyPair(public, private, mecha=names.Mechanism(names.CKM_EC_KEY_PAIR_GEN, None))

    def sign(self, spki: bytes, data: bytes) -> bytes:
        """As ``DeviceKey.sign``, by the key with this public half and no other."""

        def work(session: Any) -> bytes:
            names = self._library
            found = self._find(session)
            if found is None or found.spki != spki:
                raise KeyTrouble(f"the token {self._token} has another key {self._label} now, or none")
            wanted = [(names.CKA_CLASS, names.CKO_PRIVATE_KEY), (names.CKA_LABEL, self._label)]
            (private,) = session.findObjects([*wanted, (names.CKA_KEY_TYPE, names.CKK_EC)])
            digest = hashlib.sha256(data).digest()
            return bytes(session.sign(private, digest, names.Mechanism(names.CKM_ECDSA, None)))

        signature = self.used(work)
        if len(signature) != 64:
            raise KeyTrouble(f"the token {self._token} gives a signature of {len(signature)} bytes instead of 64")
        return signature


class TokenKey:
    """Implements ``DeviceKey``."""

    def __init__(self, keys: Pkcs11Keys, spki: bytes) -> None:
        self._keys = keys
        self._spki = spki

    @property
    def spki(self) -> bytes:
        return self._spki

    def sign(self, data: bytes) -> bytes:
        return self._keys.sign(self._spki, data)


def _spki(point: bytes) -> bytes:
    """From CKA_EC_POINT: an OCTET STRING around the uncompressed point, and with some tokens the point itself."""
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point if len(point) == 65 else point[2:])
    except ValueError as error:
        raise KeyTrouble("the token tells a public key that is no point on P-256") from error
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
