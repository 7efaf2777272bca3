"""What the doctor wants to know of the machine, each as one question, so that a test can be another machine.

The TLS library is loaded when it is asked for: an agent that has not polled yet has not loaded it.
"""

from __future__ import annotations

import grp
import os
import tempfile
from pathlib import Path
from typing import Final

from ipad_agent.modem.port.port_lock import holders, sees_every_process
from ipad_agent.modem.port.usb_sysfs import Tty, UsbDevice, read_ttys, read_usb_devices
from ipad_agent.net import BackendLacks, Psk, TrustRefused
from ipad_agent.net.dtls.dtls_backend import DtlsSettings
from ipad_agent.net.errors import Refusal
from ipad_agent.net.trust.certificate_chain import Verdict
from ipad_agent.records import dataclass

CURVES: Final = ("P-256", "brainpoolP256r1")
SUITES: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-ECDSA-AES128-CCM8",
)
"""What eIMs ask for: the first two are those of SGP.32 v1.2 §2.6.3, the last is what constrained servers offer."""
HTTPS_SUITES: Final = SUITES[:2]


@dataclass(frozen=True, slots=True)
class Space:
    """Room in a file system."""

    free_bytes: int
    free_files: int


@dataclass(frozen=True, slots=True)
class Lacking:
    """What the TLS libraries lack, by carrier; ``psk`` is why pre-shared keys cannot be used. ``identifying`` is the
    library that offers Connection IDs (RFC 9146), or the reason why there is none, which is no fault."""

    coaps: tuple[str, ...] = ()
    https: tuple[str, ...] = ()
    psk: str | None = None
    libraries: str = ""
    identifying: str = ""


class Machine:
    """This machine. No method raises anything but ``OSError``, where its docstring says so."""

    def ttys(self) -> tuple[Tty, ...]:
        return read_ttys()

    def usb_devices(self) -> tuple[UsbDevice, ...]:
        return read_usb_devices()

    def holders(self, device: Path) -> tuple[tuple[int, str], ...]:
        """Other processes that have the device open, as far as this user may see."""
        return holders(device)

    def sees_every_process(self) -> bool:
        """Whether ``holders`` finds everybody."""
        return sees_every_process()

    def try_write(self, folder: Path) -> None:
        """Write a file there, to the disk, and remove it. Raises ``OSError``."""
        descriptor, name = tempfile.mkstemp(prefix=".doctor-", dir=folder)
        try:
            os.write(descriptor, bytes(4096))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
            os.unlink(name)

    def space(self, folder: Path) -> Space:
        """Raises ``OSError``."""
        found = os.statvfs(folder)
        # Some file systems have no fixed number of files and say 0 of 0.
        return Space(found.f_bavail * found.f_frsize, found.f_favail if found.f_files else 1 << 30)

    def may_use(self, path: Path) -> bool:
        """Whether this user may read and write it; also when it is not there, for then that is what is wrong."""
        return not path.exists() or os.access(path, os.R_OK | os.W_OK)

    def group_of(self, path: Path) -> str:
        """The name of the group a file belongs to. Raises ``OSError``."""
        number = path.stat().st_gid
        try:
            return grp.getgrgid(number).gr_name
        except KeyError:
            return str(number)

    def lacking(self, *, psk: bool) -> Lacking:
        """Ask the libraries by trying."""
        return Lacking(
            _lacking_in_dtls(),
            _lacking_in_tls(),
            _no_psk() if psk else None,
            _library_version(),
            _identifying(),
        )


def _library_version() -> str:
    from OpenSSL import SSL

    return SSL.OpenSSL_version(SSL.OPENSSL_VERSION).decode("ascii", "replace")


def _identifying() -> str:
    from ipad_agent.net.dtls.mbedtls_library import find

    found = find()
    return f"{found.reason}, with Connection IDs" if found.library else f"no Connection IDs: {found.reason}"


def _refuse(_: object) -> Verdict:
    raise TrustRefused("no server is asked here", reason=Refusal.NO_CERTIFICATE)


def _lacking_in_dtls() -> tuple[str, ...]:
    from ipad_agent.net import OpenSslBackend

    missing = []
    for curve in CURVES:
        try:
            OpenSslBackend().client(DtlsSettings("doctor", "", groups=curve), _refuse)
        except BackendLacks:
            missing.append(curve)
    return (*missing, *_unknown_suites(SUITES, level=0))


def _lacking_in_tls() -> tuple[str, ...]:
    from OpenSSL import SSL

    from ipad_agent.net.openssl_context import set_groups

    missing = []
    for curve in CURVES:
        try:
            known = set_groups(SSL.Context(SSL.TLS_METHOD), curve) or not curve.startswith("brainpool")
        except BackendLacks:
            known = False
        if not known:
            missing.append(curve)
    return (*missing, *_unknown_suites(HTTPS_SUITES, level=2))


def _unknown_suites(suites: tuple[str, ...], *, level: int) -> list[str]:
    """Those that the library does not offer at this security level; TLS and DTLS 1.2 have the same ones."""
    from OpenSSL import SSL

    unknown = []
    for suite in suites:
        context = SSL.Context(SSL.TLS_METHOD)
        try:
            context.set_cipher_list(f"{suite}:@SECLEVEL={level}".encode())
            known = SSL.Connection(context, None).get_cipher_list()
        except SSL.Error:
            known = []
        if suite not in known:
            unknown.append(suite)
    return unknown


def _no_psk() -> str | None:
    from ipad_agent.net import OpenSslBackend

    try:
        OpenSslBackend().client(DtlsSettings("doctor", "", psk=Psk(b"doctor", bytes(16))), _refuse)
    except BackendLacks as error:
        return error.message
    return None
