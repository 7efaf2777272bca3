"""LoadBoundProfilePackage (SGP.22 §5.7.6): a command for each segment, an answer to the last or the first bad one.

What a power cut must not break: the begin of an installation is committed before its first segment is looked at, and
the last commit holds the profile, the result, the notifications and the end of that record together. A cut in between
leaves the record alone, which the next start turns into a result that says "interruption".
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc.errors import StatusError
from ipad_agent.lab.euicc.state.card_state import INSTALL, Installing, Profile
from ipad_agent.lab.euicc.state.isdr_state import Installed
from ipad_agent.lab.euicc.state.profile_switching import add_notifications

from . import installation_result, one_time_keys
from .card_rsp_session import session_of
from .package_segments import ALL_88, ELEMENT, PACKAGE, SegmentError
from .rsp_install import COMMANDS, STORE_METADATA, STORE_METADATA_2, Installation, InstallError

if TYPE_CHECKING:
    from ipad_agent.lab.euicc.state.isdr_state import Isdr

    from .card_rsp_session import RspSession
    from .session_steps import Authenticated, Prepared

log = logging.getLogger("ipad_agent.lab")

TAGS = (PACKAGE, *ELEMENT, *set(ELEMENT.values()))
"""First tags of the segments; a segment need not be a whole TLV."""
_CONDITIONS = 0x6985


def load_bound_profile_package(isdr: Isdr, raw: bytes) -> bytes:
    """One segment: nothing, or BF37 with which the installation has ended; 6985 when no package is expected."""
    session = session_of(isdr)
    if session is None or session.authenticated is None or session.prepared is None:
        raise StatusError(_CONDITIONS)
    tag, _ = der.read_tag(raw)
    installation = session.installation
    if (installation is None) is not (tag == PACKAGE):
        # A second BF36, or a segment of a package that has not begun.
        if installation is None:
            raise StatusError(_CONDITIONS)
        return _fail(isdr, session.prepared, installation, installation_result.STRUCTURE_ERROR)
    if installation is None:
        installation = _begin(isdr, session, session.authenticated, session.prepared)
    try:
        profile = _carry_out(isdr, installation, raw)
    except SegmentError:
        return _fail(isdr, session.prepared, installation, installation_result.STRUCTURE_ERROR)
    except InstallError as refusal:
        if refusal.command is not None:
            installation.about.command = refusal.command
        return _fail(isdr, session.prepared, installation, refusal.reason)
    if profile is not None:
        return _succeed(isdr, session.authenticated, session.prepared, installation.about, profile)
    installation.done += 1
    isdr.step(f"segment-{installation.done}")
    return b""


def _begin(isdr: Isdr, session: RspSession, known: Authenticated, prepared: Prepared) -> Installation:
    about = Installing(known.transaction_id, known.certificate.oid, known.address, known.ci.ci_pkid)
    session.installation = Installation(isdr, known, prepared, about)
    _record(isdr, about)
    return session.installation


def _carry_out(isdr: Isdr, installation: Installation, raw: bytes) -> Profile | None:
    segments, about = installation.segments, installation.about
    if not installation.done:
        _stop_by_quirk(isdr, about.command)
        installation.initialise(segments.begin(raw))
        return None
    try:
        piece = segments.take(raw)
    except SegmentError:
        _set_command(isdr, installation, segments.expected_part)
        raise
    _set_command(isdr, installation, segments.part)
    _stop_by_quirk(isdr, about.command)
    if piece is None:
        return None
    profile = installation.take(piece)
    if piece.last and piece.part == ALL_88:
        _record(isdr, about)
    return profile


def _stop_by_quirk(isdr: Isdr, command: int) -> None:
    wanted = isdr.quirks.install_status
    if wanted is not None and wanted[0] == command:
        raise StatusError(wanted[1])
    error = isdr.quirks.install_error
    if error is not None and command == (STORE_METADATA if error[0] == STORE_METADATA_2 else error[0]):
        raise InstallError(error[1], error[0])


def _set_command(isdr: Isdr, installation: Installation, part: int) -> None:
    """Remember in which command an interruption would be."""
    command = COMMANDS[part]
    if installation.about.command != command:
        installation.about.command = command
        _record(isdr, installation.about)


def _record(isdr: Isdr, about: Installing) -> None:
    isdr.state.installing = about
    isdr.commit()


def _fail(isdr: Isdr, prepared: Prepared, installation: Installation, reason: int) -> bytes:
    """The result of a failure; the session is over, and its one-time key with it."""
    log.info("profile installation failed in command %d with %d", installation.about.command, reason)
    raw = installation_result.failure(isdr, installation.about, reason)
    one_time_keys.forget(isdr, prepared.one_time_key)
    isdr.state.installing = None
    isdr.rsp_session = None
    isdr.commit()
    return raw


def _succeed(isdr: Isdr, known: Authenticated, prepared: Prepared, about: Installing, profile: Profile) -> bytes:
    """The profile is there, disabled; ImmediateEnable may follow until the next challenge or reset."""
    isdr.step("before-install")
    state = isdr.state
    state.profiles.append(profile)
    raw = installation_result.success(isdr, about, profile.aid)
    add_notifications(isdr, profile, INSTALL)
    one_time_keys.forget(isdr, prepared.one_time_key)
    state.installing = None
    isdr.rsp_session = None
    isdr.installed = Installed(profile.iccid, known.certificate.oid, known.address)
    isdr.commit()
    isdr.step("after-install")
    return raw
