"""The card at its contacts: logical channels, command dispatch, STORE DATA blocks, answers in pieces, REFRESH.

SGP.22 §5.7.2, TS 102 221 §10 and §11, TS 102 223. Synchronous and without a clock: each ``transmit`` is one APDU
in and one out, and time is whatever the caller makes of it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc.errors import PowerLostError, StatusError
from ipad_agent.lab.euicc.packages.load_euicc_package import finish_interrupted
from ipad_agent.lab.euicc.quirks import Quirks, ResponseMode
from ipad_agent.lab.euicc.rsp import installation_result
from ipad_agent.lab.euicc.state.card_state import CardState, StateStore
from ipad_agent.lab.euicc.state.isdr_state import Isdr
from ipad_agent.lab.euicc.state.profile_list import default_profiles

from . import profile_filesystem as files
from .apdu_parsing import CHANNEL_NOT_SUPPORTED, CLASS_NOT_SUPPORTED, WRONG_LENGTH, Command, parse_command
from .es10_dispatch import Es10
from .profile_filesystem import USIM_AID, Selection, ShownProfile

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ipad_agent.lab.euicc.state.card_state import Profile
    from ipad_agent.lab.euicc.state.euicc_identity import EuiccIdentity

log = logging.getLogger("ipad_agent.lab")

ISDR_AID = bytes.fromhex("A0000005591010FFFFFFFF8900000100")
OK = 0x9000
MORE_BLOCKS, LAST_BLOCK = 0x11, 0x91
MAX_ANSWER_BYTES = 0x10000
_CONDITIONS, _INCORRECT_P1_P2, _FILE_NOT_FOUND = 0x6985, 0x6A86, 0x6A82
_FUNCTION, _INS, _NOT_SELECTED = 0x6A81, 0x6D00, 0x6999
_FIRST, _LAST, _NEXT = 0x00, 0x01, 0x02
_IPAD_BIT = 0x01
_MORE_TIME = bytes.fromhex("D009810301020082028182")
_ANSWERED_IN_IPAE_MODE = frozenset(bytes.fromhex(tag) for tag in ("BF3E", "BF20", "BF22", "BF42"))
_ALWAYS_ANSWERED = frozenset({0xC0, 0x12, 0x14, 0xF2})


@dataclass(slots=True)
class _Channel:
    selection: Selection = field(default_factory=Selection)
    blocks: bytearray = field(default_factory=bytearray)
    next_block: int = 0
    answer: bytes = b""


@dataclass(slots=True)
class _PowerCut:
    """An armed power cut: after so many more APDUs, or at a named step."""

    apdus: int | None = None
    answer_lost: bool = False
    step: str | None = None


class SmartCard:
    """One card in a reader. See ``VirtualEuicc`` for what can be done to it from Python."""

    def __init__(
        self,
        identity: EuiccIdentity,
        state_path: Path | None = None,
        quirks: Quirks | None = None,
        *,
        profiles: Iterable[Profile] | None = None,
        default_smdp: str = "smdp.lab.example",
        root_smds: str = "smds.lab.example",
    ) -> None:
        """Power a card on. ``state_path`` is read if it exists; if not, the card begins with ``profiles``.

        Raises ``StateFileError`` for a file that is not this card's.
        """
        self.identity = identity
        self.quirks = quirks or Quirks()
        self.last_delay_s = 0.0
        first = CardState(
            identity.eid,
            profiles=list(default_profiles() if profiles is None else profiles),
            default_smdp=default_smdp,
            factory_smdp=default_smdp,
            root_smds=root_smds,
        )
        self._store = StateStore(state_path, first)
        self.isdr = Isdr(identity, self._store, self.quirks)
        self.isdr.steps = self._at_step
        self.es10 = Es10(self.isdr)
        self._cut: _PowerCut | None = None
        self.reset()

    def reset(self) -> None:
        """Reset, or power on after a cut: channels, sessions and unread answers are gone, profile changes show."""
        self._powered = True
        self._store.roll_back()
        self.isdr.forget_volatile()
        finish_interrupted(self.isdr)
        installation_result.tell_interruption(self.isdr)
        self._channels: dict[int, _Channel] = {0: _Channel()}
        self._ipad_announced = False
        self._proactive: bytes | None = None
        enabled = self.isdr.state.enabled
        self._shown = None if enabled is None else ShownProfile(enabled.iccid, enabled.mcc_mnc)

    @property
    def pending_proactive(self) -> bytes | None:
        """The proactive command that waits for FETCH (91xx was or will be answered)."""
        return self._proactive

    @property
    def active_iccid(self) -> str | None:
        """The profile that the UICC shows to the modem: the one enabled at the last reset."""
        return None if self._shown is None else self._shown.iccid

    @property
    def powered(self) -> bool:
        """False after a power cut, until ``reset``."""
        return self._powered

    def power_cut_after(self, n_apdus: int, *, answer_lost: bool = False) -> None:
        """Cut the power when ``n_apdus`` more were answered; with ``answer_lost`` the last of them has no answer."""
        self._cut = _PowerCut(apdus=n_apdus, answer_lost=answer_lost)

    def power_cut_at(self, step: str) -> None:
        """Cut the power at a named step.

        Of packages and switches: counter-stored, operation-<n>, before-swap, after-swap, before-answer. Of a profile
        download: authenticated, prepared, segment-<n> (n segments are done, from 1), before-install, after-install.
        """
        self._cut = _PowerCut(step=step)

    def queue_proactive(self, command: bytes) -> None:
        """Let a proactive command of the profile's own wait: the next answers end with 91xx."""
        self._proactive = command

    def transmit(self, apdu: bytes) -> bytes:
        """One APDU (channel in CLA): data and status word. ``PowerLostError`` when an armed power cut strikes."""
        if not self._powered:
            raise PowerLostError("the card has no power")
        last = False
        if self._cut is not None and self._cut.apdus is not None:
            if self._cut.apdus <= 0:
                self._lose_power()
            self._cut.apdus -= 1
            last = self._cut.apdus == 0 and self._cut.answer_lost
        self.last_delay_s = 0.0
        try:
            command = parse_command(apdu)
            data = self._dispatch(command)
            answer = self._answer(command, data)
        except StatusError as error:
            answer = error.status.to_bytes(2, "big")
        if last:
            self._lose_power()
        return answer

    # --- power ---

    def _at_step(self, name: str) -> None:
        if self._cut is not None and self._cut.step == name:
            self._lose_power()

    def _lose_power(self) -> None:
        self._powered = False
        self._cut = None
        self._store.roll_back()
        raise PowerLostError("the power was cut")

    # --- dispatch ---

    def _dispatch(self, command: Command) -> bytes:
        channel = self._channels.get(command.channel)
        if channel is None:
            raise StatusError(CHANNEL_NOT_SUPPORTED)
        if self._must_be_reset(command):
            raise StatusError(_CONDITIONS)
        if command.ins != 0xC0:
            channel.answer = b""
        if command.ins != 0xE2:
            channel.blocks.clear()
            channel.next_block = 0
        match command.ins:
            case 0x70:
                return self._manage_channel(command)
            case 0xA4:
                return self._select(channel, command)
            case 0xC0:
                return self._get_response(channel, command)
            case 0xB0:
                return files.read_binary(channel.selection, command.p1, command.p2, self._shown)
            case 0xB2:
                return files.read_record(channel.selection, command.p1, command.p2, self._shown)
        if command.ins not in (0xE2, 0xAA, 0xF2, 0x10, 0x12, 0x14):
            raise StatusError(_INS)
        if command.base != 0x80:
            raise StatusError(CLASS_NOT_SUPPORTED)
        match command.ins:
            case 0xE2:
                return self._store_data(channel, command)
            case 0xAA:
                return self._terminal_capability(command)
            case 0xF2:
                return self._status(channel, command)
            case 0x12:
                return self._fetch(command)
            case 0x14:
                self.isdr.proactive_session_open = False
        return b""

    def _must_be_reset(self, command: Command) -> bool:
        pending = self.quirks.refuse_until_reset and self.isdr.changed_since_reset
        return pending and command.ins not in _ALWAYS_ANSWERED

    def _manage_channel(self, command: Command) -> bytes:
        if command.base != 0x00 or command.data:
            raise StatusError(CLASS_NOT_SUPPORTED if command.base else WRONG_LENGTH)
        number = command.p2
        if command.p1 == 0x80:
            number = number or command.channel
            if number == 0:
                raise StatusError(_INCORRECT_P1_P2)
            if self._channels.pop(number, None) is None:
                raise StatusError(CHANNEL_NOT_SUPPORTED)
            return b""
        if command.p1 != 0x00 or number > 19 or (number and number in self._channels):
            raise StatusError(_INCORRECT_P1_P2)
        free = [n for n in range(1, self.quirks.max_channels + 1) if n not in self._channels]
        if number:
            if number not in free:
                raise StatusError(_FUNCTION)
            self._channels[number] = _Channel()
            return b""
        if command.le is None:
            raise StatusError(0x6C01)
        if not free:
            raise StatusError(_FUNCTION)
        self._check_le(command, 1)
        self._channels[free[0]] = _Channel()
        return bytes([free[0]])

    def _select(self, channel: _Channel, command: Command) -> bytes:
        if command.base != 0x00:
            raise StatusError(CLASS_NOT_SUPPORTED)
        wanted, occurrence = command.p2 & ~0x03, command.p2 & 0x03
        if wanted not in (0x00, 0x04, 0x0C) or (occurrence and command.p1 != 0x04):
            raise StatusError(_INCORRECT_P1_P2)
        if command.p1 == 0x04:
            data = self._select_application(channel, command.data, occurrence)
        else:
            data = files.select_file(
                channel.selection,
                command.p1,
                command.data,
                self._shown,
                terminal_capability=self._takes_terminal_capability,
            )
        return b"" if wanted == 0x0C else data

    def _select_application(self, channel: _Channel, aid: bytes, occurrence: int) -> bytes:
        """SELECT by AID, which may be the beginning of one: the first, last, next or previous application that has it
        (TS 102 221 §11.1.1.2). What is selected stays when there is none."""
        applications = [self.quirks.isdr_aid] if self.quirks.isdr_present else []
        if self._shown is not None:
            applications.append(USIM_AID)
        found = [one for one in applications if len(aid) >= 5 and one.startswith(aid)]
        at = {_FIRST: 0, _LAST: len(found) - 1}.get(occurrence)
        if at is None:
            current = found.index(channel.selection.aid) if channel.selection.aid in found else None
            step = 1 if occurrence == _NEXT else -1
            at = current + step if current is not None else 0 if occurrence == _NEXT else len(found) - 1
        if not 0 <= at < len(found):
            raise StatusError(_FILE_NOT_FOUND)
        if found[at] == self.quirks.isdr_aid:
            channel.selection = Selection(self.quirks.isdr_aid)
            return self._isdr_template()
        channel.selection = Selection(USIM_AID, application=USIM_AID)
        return files.control_parameters(channel.selection)

    @property
    def _takes_terminal_capability(self) -> bool:
        return self.quirks.terminal_capability_status == OK

    def _isdr_template(self) -> bytes:
        """FCI of the ISD-R: E1 of an IoT eUICC (bit 0: it has an IPAe, 1: a profile is on), E0 of a consumer one."""
        if self.quirks.consumer:
            specific = der.tlv(0xE0, der.octets(bytes((2, 5, 0)), 0x82))
        else:
            bits = ([0] if self.quirks.ipae else []) + ([1] if self.isdr.state.enabled else [])
            specific = der.tlv(0xE1, der.bits(bits, 0x80))
        largest = der.octets(b"\xff", 0x9F65)
        return der.tlv(0x6F, der.octets(self.quirks.isdr_aid, 0x84), der.tlv(0xA5, largest), specific)

    def _store_data(self, channel: _Channel, command: Command) -> bytes:
        if channel.selection.aid != self.quirks.isdr_aid:
            raise StatusError(_INS if command.channel == 0 else _NOT_SELECTED)
        if self.quirks.require_terminal_capability and not self._ipad_announced:
            raise StatusError(_CONDITIONS)
        if self.quirks.reject_store_data_le and command.le is not None:
            raise StatusError(WRONG_LENGTH)
        if command.p2 == 0:
            channel.blocks.clear()
            channel.next_block = 0
        if command.p1 not in (MORE_BLOCKS, LAST_BLOCK) or command.p2 != channel.next_block or not command.data:
            channel.blocks.clear()
            channel.next_block = 0
            raise StatusError(_INCORRECT_P1_P2 if command.data else WRONG_LENGTH)
        channel.blocks += command.data
        channel.next_block += 1
        if command.p1 == MORE_BLOCKS:
            return b""
        whole = bytes(channel.blocks)
        channel.blocks.clear()
        channel.next_block = 0
        return self._execute(whole)

    def _execute(self, whole: bytes) -> bytes:
        if self.quirks.ipae_refuses_es10 and self.isdr.ipae_active and whole[:2] not in _ANSWERED_IN_IPAE_MODE:
            raise StatusError(_CONDITIONS)
        answer = self.es10.execute(whole)
        if len(answer) > MAX_ANSWER_BYTES:
            raise StatusError(0x6A84)
        tag, _ = der.read_tag(answer or whole)
        self.last_delay_s = self.quirks.delays_s.get(tag, 0.0)
        log.debug("ES10 %s -> %d bytes", whole[:2].hex().upper(), len(answer))
        if self.isdr.refresh_wanted:
            self.isdr.refresh_wanted = False
            details = bytes((0x01, 0x01, self.quirks.refresh_qualifier))
            self._proactive = der.tlv(0xD0, der.octets(details, 0x81), der.octets(b"\x81\x82", 0x82))
        elif self.quirks.toolkit_after_es10 and self._proactive is None:
            self._proactive = _MORE_TIME
        return answer

    def _terminal_capability(self, command: Command) -> bytes:
        quirks = self.quirks
        if not self._takes_terminal_capability:
            raise StatusError(quirks.terminal_capability_status)
        if command.p1 or command.p2:
            raise StatusError(_INCORRECT_P1_P2)
        if not (quirks.terminal_capability_on_basic if command.channel == 0 else quirks.terminal_capability_on_others):
            raise StatusError(CLASS_NOT_SUPPORTED)
        try:
            template = der.parse(command.data, ber=True)
            iot = template.find(0x84) if template.tag == 0xA9 else None
        except der.DerError as error:
            raise StatusError(0x6A80) from error
        # The modem sends its own as well, in either order: what was announced once stays.
        announced = iot is not None and bool(iot.value) and bool(iot.value[-1] & _IPAD_BIT)
        self._ipad_announced |= announced
        self.isdr.ipad_announced_times += announced
        return b""

    def _status(self, channel: _Channel, command: Command) -> bytes:
        selection = channel.selection
        if command.p1 > 0x02:
            raise StatusError(_INCORRECT_P1_P2)
        match command.p2:
            case 0x00 if selection.aid == self.quirks.isdr_aid:
                return self._isdr_template()
            case 0x00:
                return files.control_parameters(
                    Selection(selection.aid), terminal_capability=self._takes_terminal_capability
                )
            case 0x01:
                return der.octets(selection.aid or b"", 0x84)
            case 0x0C:
                return b""
        raise StatusError(_INCORRECT_P1_P2)

    def _fetch(self, command: Command) -> bytes:
        if self._proactive is None:
            raise StatusError(_CONDITIONS)
        self._check_le(command, len(self._proactive))
        if command.le is not None and command.le < len(self._proactive):
            raise StatusError(0x6C00 | len(self._proactive))
        fetched, self._proactive = self._proactive, None
        self.isdr.proactive_session_open = True
        return fetched

    # --- answers ---

    def _get_response(self, channel: _Channel, command: Command) -> bytes:
        if command.base not in self.quirks.get_response_classes:
            raise StatusError(CLASS_NOT_SUPPORTED)
        if command.p1 or command.p2:
            raise StatusError(_INCORRECT_P1_P2)
        if not channel.answer:
            raise StatusError(_CONDITIONS)
        return channel.answer

    def _answer(self, command: Command, data: bytes) -> bytes:
        """The first piece of ``data`` and its status word; the rest waits for GET RESPONSE."""
        channel = self._channels.get(command.channel)
        if not data or channel is None:
            return self._success()
        mode = self.quirks.response_mode
        if command.data:
            if mode is ResponseMode.WHOLE:
                return data + self._success()
            if mode is ResponseMode.GET_RESPONSE:
                channel.answer = data
                return bytes((0x61, min(len(data), 256) & 0xFF))
        self._check_le(command, len(data))
        size = 256 if command.le is None else command.le
        piece, rest = data[:size], data[size:]
        if command.ins != 0xC0 and not command.data:
            return piece + self._success()  # a file was read in part, as asked
        channel.answer = rest
        return piece + (bytes((0x61, min(len(rest), 256) & 0xFF)) if rest else self._success())

    def _check_le(self, command: Command, available: int) -> None:
        """6Cxx when a command without data asks for more than there is (Le=00 only does on a card with that quirk)."""
        if command.le is None or command.data or command.le <= available:
            return
        if self.quirks.strict_le or command.le < 256:
            raise StatusError(0x6C00 | available)

    def _success(self) -> bytes:
        if self._proactive is not None:
            return bytes((0x91, min(len(self._proactive), 255)))
        return OK.to_bytes(2, "big")
