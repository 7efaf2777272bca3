"""Which function answers which ES10 command; one that no one knows gets the status word of a card without it."""

from __future__ import annotations

from collections.abc import Callable

from ipad_agent.lab import message_record
from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc.errors import StatusError
from ipad_agent.lab.euicc.es10 import (
    card_information,
    consumer_profile_management,
    eim_entries,
    emergency_profile_functions,
    fallback_functions,
    immediate_enabling,
    memory_reset,
    pending_notifications,
)
from ipad_agent.lab.euicc.packages import load_euicc_package, rollback
from ipad_agent.lab.euicc.rsp import card_rsp_session, rsp_authenticate, rsp_cancel, rsp_load, rsp_prepare
from ipad_agent.lab.euicc.state.isdr_state import Isdr, parse
from ipad_agent.lab.euicc.state.profile_list import list_profiles

Handler = Callable[[Isdr, bytes], bytes]
"""Takes the whole command, gives the whole answer (empty: 9000 alone).

``DerError`` becomes 6A80, ``StatusError`` its own status word; in both cases uncommitted changes are undone.
"""


def _get_profiles_info(isdr: Isdr, raw: bytes) -> bytes:
    return list_profiles(isdr, parse(raw))


_COMMON: dict[int, Handler] = {
    **dict.fromkeys(rsp_load.TAGS, rsp_load.load_bound_profile_package),
    0xBF20: card_information.get_euicc_info1,
    0xBF21: rsp_prepare.prepare_download,
    0xBF22: card_information.get_euicc_info2,
    0xBF28: pending_notifications.list_notification,
    0xBF2B: pending_notifications.retrieve_notifications_list,
    0xBF2D: _get_profiles_info,
    0xBF2E: card_rsp_session.get_euicc_challenge,
    0xBF30: pending_notifications.remove_notification,
    0xBF38: rsp_authenticate.authenticate_server,
    0xBF3C: card_information.get_configured_addresses,
    0xBF3E: card_information.get_eid,
    0xBF41: rsp_cancel.cancel_session,
    0xBF43: card_information.get_rat,
}

_IOT: dict[int, Handler] = {
    0xBF42: card_information.ipae_activation,
    0xBF51: load_euicc_package.load_euicc_package,
    0xBF55: eim_entries.get_eim_configuration_data,
    0xBF56: card_information.get_certs,
    0xBF57: eim_entries.add_initial_eim,
    0xBF58: rollback.profile_rollback,
    0xBF59: immediate_enabling.configure_command,
    0xBF5A: immediate_enabling.immediate_enable,
    0xBF5B: emergency_profile_functions.enable_emergency_profile,
    0xBF5C: emergency_profile_functions.disable_emergency_profile,
    0xBF5D: fallback_functions.execute_fallback,
    0xBF5E: fallback_functions.return_from_fallback,
    0xBF5F: card_information.get_connectivity_parameters,
    0xBF65: card_information.set_default_dp_address_command,
}

_FALLBACK_FUNCTIONS = frozenset({0xBF5D, 0xBF5E})

_ES10C: dict[int, Handler] = {
    0xBF29: consumer_profile_management.set_nickname,
    0xBF31: consumer_profile_management.enable_profile,
    0xBF32: consumer_profile_management.disable_profile,
    0xBF33: consumer_profile_management.delete_profile,
    0xBF3F: card_information.set_default_dp_address_command,
}


class Es10:
    """The dispatch of one card. ``register`` adds functions, or puts others in their place."""

    def __init__(self, isdr: Isdr) -> None:
        self._isdr = isdr
        quirks = isdr.quirks
        table = dict(_COMMON)
        if not quirks.consumer:
            table |= _IOT
        if quirks.consumer or quirks.es10c:
            table |= _ES10C
        table[0xBF34 if quirks.consumer else quirks.memory_reset_tag] = memory_reset.euicc_memory_reset
        hidden = quirks.unsupported | (frozenset() if quirks.fallback_supported else _FALLBACK_FUNCTIONS)
        self._table = {tag: handler for tag, handler in table.items() if tag not in hidden}
        self._fragments: set[int] = set(rsp_load.TAGS)

    def register(self, tag: int, handler: Handler, *, fragment: bool = False) -> None:
        """Answer commands that begin with ``tag`` by ``handler``.

        ``fragment``: the command need not be one whole TLV. A BPP segment may be a header with nothing or not all of
        its content behind it (SGP.22 §2.5.5), and such a segment comes as a command of its own.
        """
        self._table[tag] = handler
        (self._fragments.add if fragment else self._fragments.discard)(tag)

    def handler(self, tag: int) -> Handler:
        """What answers commands that begin with ``tag`` now; ``KeyError`` when nothing does."""
        return self._table[tag]

    def execute(self, command: bytes) -> bytes:
        """The answer to one assembled command; ``StatusError`` when there is none."""
        try:
            tag, _ = der.read_tag(command)
            handler = self._table.get(tag)
            if handler is None:
                raise StatusError(self._isdr.quirks.unknown_function_status)
            if tag not in self._fragments:
                parse(command)
            answer = handler(self._isdr, command)
            message_record.note("card-command", command)
            message_record.note("card-answer", answer)
            return der.tlv(tag) if tag in self._isdr.quirks.empty_content else answer
        except der.DerError as error:
            self._isdr.roll_back()
            raise StatusError(0x6A80) from error
        except StatusError:
            self._isdr.roll_back()
            raise
