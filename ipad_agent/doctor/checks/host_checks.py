"""The machine itself: disk, permissions, clock, TLS library, local interfaces."""

from __future__ import annotations

import errno
import time
from pathlib import Path
from typing import Final

from ipad_agent import config as configuration
from ipad_agent.config import EimConfig, SecretError, SecretFile
from ipad_agent.doctor.doctor_items import Item, Layer
from ipad_agent.doctor.examination_facts import Seen
from ipad_agent.doctor.examined_rooms import DoctorParts
from ipad_agent.errors import ConfigError
from ipad_agent.net import ClientCertificate, clock_is_plausible
from ipad_agent.printable import size_text

LEAST_FREE_BYTES: Final = 1 << 20
LEAST_FREE_FILES: Final = 8


async def config(parts: DoctorParts, _: Seen) -> list[Item]:
    """The file as it is now, and the files it names."""
    path = parts.config.path
    if path is None:
        return [Item(Layer.CONFIG, None, "There is no configuration file; the defaults are used.")]
    problems = configuration.check(path)
    return [
        Item(Layer.CONFIG, False, f"{path}: {problem}.", "Correct this key or file; then restart the agent.")
        for problem in problems
    ] or [Item(Layer.CONFIG, True, f"{path} is in order.")]


async def disk(parts: DoctorParts, _: Seen) -> list[Item]:
    """Whether what is owed can be written down."""
    folder = parts.config.store.state_dir
    try:
        parts.machine.try_write(folder)
    except FileNotFoundError:
        return [_not_there(parts, folder)]
    except OSError as error:
        return [_disk_refuses(folder, error)]
    try:
        space = parts.machine.space(folder)
    except OSError as error:
        return [Item(Layer.DISK, None, f"{folder} can be written; its free space is not told: {error.strerror}.")]
    if space.free_bytes < LEAST_FREE_BYTES or space.free_files < LEAST_FREE_FILES:
        left = f"{size_text(space.free_bytes)} and {space.free_files} files"
        return [Item(Layer.DISK, False, f"{folder} is nearly full: {left} are left.", _MAKE_ROOM)]
    return [Item(Layer.DISK, True, f"{folder} can be written, {size_text(space.free_bytes)} are free.")]


_MAKE_ROOM: Final = "Free space on that file system: without it no order of an eIM is taken."


def _not_there(parts: DoctorParts, folder: Path) -> Item:
    try:
        parts.machine.try_write(folder.parent)
    except OSError:
        sentence = f"{folder} is not there, and this user cannot make it."
        return Item(Layer.DISK, False, sentence, "Create it for the agent's user, or start the service, which does.")
    return Item(Layer.DISK, None, f"{folder} is not there yet; the agent makes it at its first start.")


def _disk_refuses(folder: Path, error: OSError) -> Item:
    sentence = f"{folder} cannot be written: {error.strerror or error}."
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            fix = _MAKE_ROOM
        case errno.EROFS:
            fix = "Mount that file system for writing, or set store.state_dir to a place that is and outlives reboots."
        case errno.EACCES | errno.EPERM:
            fix = "Give the folder to the agent's user, or run the doctor as that user."
        case _:
            fix = "Look at the kernel's messages about this disk."
    return Item(Layer.DISK, False, sentence, fix)


async def permissions(parts: DoctorParts, _: Seen) -> list[Item]:
    """The port and the files with secrets."""
    found: list[Item] = []
    port = parts.config.modem.port
    device = Path(port)
    if port.startswith("/") and not parts.machine.may_use(device):
        try:
            group = parts.machine.group_of(device)
        except OSError:
            group = "of the device"
        found.append(
            Item(
                Layer.PERMISSIONS,
                False,
                f"This user may not use {port}.",
                f"Add the agent's user to the group {group}, and restart the agent.",
            )
        )
    code = parts.config.download.confirmation_code_file
    if code is not None:
        found += _secret("download.confirmation_code_file", code, key=False)
    for eim in parts.config.eim:
        if eim.psk_key_file is not None:
            found += _secret(f"psk_key_file of {eim.id}", eim.psk_key_file, key=True)
        found += _own_certificate(eim)
    return found or [Item(Layer.PERMISSIONS, True, "Port and secret files can be used.")]


def _secret(place: str, file: SecretFile, *, key: bool) -> list[Item]:
    if file.resolve() is None:
        sentence = f"{place}: {file.path} is only there for the service; it was not checked."
        return [Item(Layer.PERMISSIONS, None, sentence)]
    try:
        if key:
            file.read_key()
        else:
            file.read_text()
    except SecretError as error:
        return [Item(Layer.PERMISSIONS, False, f"{place}: {error.message}.", "Correct the file, its owner or mode.")]
    return []


def _own_certificate(eim: EimConfig) -> list[Item]:
    """Whether what this device would show to the eIM can be used."""
    certificate, key = eim.client_certificate, eim.client_key_file
    if certificate is None or key is None:
        return []
    if certificate.resolve() is None or key.resolve() is None:
        sentence = f"client_certificate of {eim.id} is only there for the service; it was not checked."
        return [Item(Layer.PERMISSIONS, None, sentence)]
    try:
        ClientCertificate.from_pem(
            certificate.read_pem(public=True), key.read_pem(), certificate_place=certificate.path, key_place=key.path
        )
    except ConfigError as error:
        sentence = f"client_certificate of {eim.id}: {error.message}."
        return [Item(Layer.PERMISSIONS, False, sentence, "Correct the files, their owner or mode.")]
    return []


async def clock(parts: DoctorParts, _: Seen) -> list[Item]:
    """Whether dates can be judged."""
    now_s = parts.clock.wall()
    shown = shown_time(now_s)
    if clock_is_plausible(now_s):
        return [Item(Layer.CLOCK, True, f"The clock says {shown}.")]
    return [
        Item(
            Layer.CLOCK,
            False,
            f"The clock says {shown}, which cannot be; the dates of certificates are not judged.",
            "Set the clock: let NTP or the network's time do it, or give the device a battery for its clock.",
        )
    ]


def shown_time(at_s: float) -> str:
    """Seconds since 1970 for people, whatever the number."""
    try:
        return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at_s))
    except (OverflowError, ValueError, OSError):
        return f"{at_s:.0f} s since 1970"


async def tls(parts: DoctorParts, _: Seen) -> list[Item]:
    """What the libraries lack of what eIMs ask for."""
    lacking = parts.machine.lacking(psk=any(eim.psk_identity is not None for eim in parts.config.eim))
    found: list[Item] = []
    if lacking.psk is not None:
        found.append(Item(Layer.TLS, False, f"Pre-shared keys cannot be used: {lacking.psk}.", _OTHER_LIBRARY))
    for carrier, missing in (("CoAP over DTLS", lacking.coaps), ("HTTPS", lacking.https)):
        if not missing:
            continue
        sentence = f"For {carrier} the TLS library lacks {', '.join(missing)}."
        if any(name in _INDISPENSABLE for name in missing):
            found.append(Item(Layer.TLS, False, sentence, _OTHER_LIBRARY))
        else:
            found.append(Item(Layer.TLS, None, f"{sentence} Only servers that insist on it cannot be reached."))
    identifying = lacking.identifying
    if identifying and not parts.config.coap.connection_id:
        identifying = "Connection IDs are switched off"
    libraries = "; ".join(filter(None, (lacking.libraries, identifying)))
    return found or [Item(Layer.TLS, True, f"Nothing that eIMs ask for is missing ({libraries}).")]


_INDISPENSABLE: Final = frozenset({"P-256", "ECDHE-ECDSA-AES128-GCM-SHA256"})
_OTHER_LIBRARY: Final = (
    "Install packages that have it: on OpenWrt libopenssl built with these ciphers and curves, elsewhere "
    "python3-cryptography and python3-openssl of the distribution."
)


async def faces(parts: DoctorParts, _: Seen) -> list[Item]:
    """The ways in for people and programs."""
    found = [
        Item(Layer.FACES, face.ok, f"{face.name}: {face.detail}.", None if face.ok is not False else _LOOK_AT_LOG)
        for face in parts.faces()
    ]
    return found or [Item(Layer.FACES, None, "Not checked: a running agent has them; this was checked without one.")]


_LOOK_AT_LOG: Final = "Look at the log of the agent's start; set permissions or the name and restart the agent."
