"""The key by which this device signs in the place of an emulated card: ECDSA on P-256 with SHA-256.

What it proves is that this device said it, not that a certified eUICC did (docs/emulation.md). One key per
installation. It is made once, under a lock, and never replaced by the agent: an eIM that registered it would refuse
every result of another. ``DeviceKey`` is all that the rest knows of it, so that one in a token
(``keys/pkcs11_key.py``) stands in the place of the one in a file.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
from pathlib import Path
from typing import ClassVar, Final, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from ipad_agent.errors import IpadError, Remedy

NAME: Final = "device-key.pem"
_MAX_FILE_BYTES: Final = 16 << 10
_CURVES: Final = (ec.SECP256R1, ec.BrainpoolP256R1)
"""What an eIM may sign with (SGP.32 §2.6.1)."""


class KeyTrouble(IpadError):
    """The device key cannot be used. It is never replaced because of that."""

    remedy: ClassVar[Remedy] = Remedy.ASK_PERSON
    default_hint = "Look at the file and its permissions; docs/emulation.md tells what to do when the key is lost."


class DeviceKey(Protocol):
    """Whatever holds the private key."""

    @property
    def spki(self) -> bytes:
        """The public key as DER SubjectPublicKeyInfo: P-256, named curve, uncompressed; 91 octets."""

    def sign(self, data: bytes) -> bytes:
        """ECDSA with SHA-256 over ``data``: 64 octets, r then s. Raises ``KeyTrouble``."""


class SoftwareKey:
    """A private key in memory."""

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        if not isinstance(private.curve, ec.SECP256R1):
            raise KeyTrouble(f"the device key is on the curve {private.curve.name} instead of P-256")
        self._private = private
        self._spki = private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    @property
    def spki(self) -> bytes:
        return self._spki

    @property
    def private(self) -> ec.EllipticCurvePrivateKey:
        """For the file that it is kept in."""
        return self._private

    def sign(self, data: bytes) -> bytes:
        r, s = decode_dss_signature(self._private.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def fingerprint(spki: bytes) -> str:
    """How people compare keys: SHA-256 over the SubjectPublicKeyInfo in capital hexadecimal digits."""
    return hashlib.sha256(spki).hexdigest().upper()


def verify(spki: bytes, signature: bytes, data: bytes) -> bool:
    """Whether ``signature`` (64 octets, r then s) is of this key over ``data``. Raises ``KeyTrouble`` when the key is
    none that an eIM may have."""
    try:
        key = serialization.load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyTrouble(f"a public key that cannot be read: {error}") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, _CURVES):
        raise KeyTrouble("a public key that is neither on P-256 nor on brainpoolP256r1")
    if len(signature) != 64:
        return False
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    try:
        key.verify(encode_dss_signature(r, s), data, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


class KeyFile:
    """The key in ``device-key.pem`` of the state directory: PKCS#8, mode 0600, never a symbolic link."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.path = directory / NAME

    def load(self) -> SoftwareKey | None:
        """The key; None when there is no file. Raises ``KeyTrouble`` for one that cannot be used, or that others may
        read."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise KeyTrouble(f"{self.path} cannot be read: {error.strerror}") from error
        with open(descriptor, "rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            data = file.read(_MAX_FILE_BYTES)
        if mode & 0o077:
            raise KeyTrouble(
                f"{self.path} may be read by others (mode {mode:04o})",
                hint=f"Whoever read it can sign for this device. Make a new key, or chmod 600 {self.path}.",
            )
        return _private(data, str(self.path))

    def create(self) -> SoftwareKey:
        """A new key where there is none, else the one that is there; whoever comes at the same time gets the same.
        Raises ``KeyTrouble``."""
        return self._locked(ec.generate_private_key(ec.SECP256R1()))

    def replace(self) -> SoftwareKey:
        """A new key, because a person wants one; the old one stays beside it. Raises ``KeyTrouble``."""
        self._set_aside()
        return self.create()

    @property
    def takes_keys(self) -> bool:
        """See ``KeyPlace``."""
        return True

    def put(self, key: SoftwareKey) -> None:
        """This key and no other, because a person brought it; what was there stays beside it. Raises ``KeyTrouble``."""
        with contextlib.suppress(KeyTrouble):  # one that cannot be used makes room
            known = self.load()
            if known is not None and known.spki == key.spki:
                return
        self._set_aside()
        if self._locked(key.private).spki != key.spki:
            raise KeyTrouble(f"{self.path} was made by somebody else at the same moment")

    def _set_aside(self) -> None:
        try:
            with contextlib.suppress(FileNotFoundError):
                os.rename(self.path, self.path.with_suffix(".old.pem"))
        except OSError as error:
            raise KeyTrouble(f"{self.path} cannot be set aside: {error.strerror}") from error

    def _locked(self, new: ec.EllipticCurvePrivateKey) -> SoftwareKey:
        try:
            os.makedirs(self._directory, mode=0o700, exist_ok=True)
            lock = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                known = self.load()
                if known is None:
                    self._write(new)
                    os.fsync(lock)
            finally:
                os.close(lock)
        except OSError as error:
            raise KeyTrouble(f"{self.path} cannot be written: {error.strerror}") from error
        return SoftwareKey(new) if known is None else known

    def _write(self, key: ec.EllipticCurvePrivateKey) -> None:
        text = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        temporary = self.path.with_suffix(".tmp")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        with open(os.open(temporary, flags, 0o600), "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, self.path)


def _private(data: bytes, place: str) -> SoftwareKey:
    load = serialization.load_pem_private_key if data.startswith(b"-----") else serialization.load_der_private_key
    try:
        key = load(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyTrouble(f"{place} cannot be read as a private key") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise KeyTrouble(f"{place} is no key on an elliptic curve")
    return SoftwareKey(key)
