"""The eUICC as the procedures see it: one method per ES10 function (SGP.32 v1.2 §5.9, SGP.22 v2.5 §5.7).

A function that an older eUICC lacks raises ``NotSupportedByCard``. What is repeated, and what is kept of the answers:
``es10_calls.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.ber.tlv_fields import ResultCode
from ipad_agent.codec.es10 import es10_requests
from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.codec.es10.es10_requests import (
    AddInitialEimResult,
    AuthenticateServerResponse,
    CancelSessionResponse,
    Certificates,
    ConfiguredAddresses,
    ConnectivityParameters,
    MemoryResetResult,
    PrepareDownloadResponse,
    ResetOption,
    RollbackResult,
)
from ipad_agent.codec.es10.euicc_info import EuiccInfo1, EuiccInfo2
from ipad_agent.codec.es10.euicc_package import EuiccPackageResult
from ipad_agent.codec.es10.notifications import (
    AllPackageResults,
    BySeqNumber,
    Criterion,
    ListedNotifications,
    NotificationEvent,
    RetrievedNotifications,
)
from ipad_agent.codec.es10.profile_info import IOT_TAG_LIST, SGP22_TAG_LIST, ProfileInfo, ProfileList, ProfileState
from ipad_agent.codec.es10.rules_authorisation_table import RulesAuthorisationTable
from ipad_agent.codec.identifiers import Eid, same_iccid
from ipad_agent.errors import CodecError
from ipad_agent.records import replace

from . import bpp_segments, events
from .errors import (
    FunctionFailed,
    MalformedAnswer,
    NotSupportedByCard,
    WrongRequest,
)
from .es10_calls import Es10Calls
from .isdr_session import GET_EID, IsdrSession
from .known_answers import OF_PROFILES, Fact

_TAG_LISTS: Final = (IOT_TAG_LIST, SGP22_TAG_LIST, None)
"""What a card is asked to tell of each profile, until it does; at last it chooses itself."""
_OF_THE_MOMENT: Final = frozenset({11, 127})
"""profileChangeOngoing and undefinedError say nothing about the list that was asked with."""
_EMPTY_LIST: Final = bytes.fromhex("BF2B00")
_NOTHING_SAID: Final = RetrievedNotifications.parse(_EMPTY_LIST)


class Euicc:
    """One eUICC behind one way. Calls may come from several tasks; they are executed one after the other.

    All methods raise ``CardError`` or ``ModemError``; a code that the card gives as answer is a value.
    ``give_port_back`` is for a way that others need too: ``release`` lets go of it and not only of the channel.
    """

    def __init__(self, isdr: IsdrSession, *, recover_limit_s: float = 300.0, give_port_back: bool = False) -> None:
        self.isdr = isdr
        self._give_port_back = give_port_back
        self._calls = Es10Calls(isdr, recover_limit_s=recover_limit_s)
        self._tag_list_refused: tuple[Eid | None, int] = (None, 0)
        """The card that refused so many of ``_TAG_LISTS``, which are not asked for again."""

    @property
    def reset_due(self) -> bool:
        """Whether a profile was switched and the reset that completes it was not seen yet."""
        return self._calls.reset_due

    @property
    def apdu_count(self) -> int:
        """Command APDUs sent since the start, for diagnostics."""
        return self.isdr.apdu_count

    async def recover(self, *, first_rung: int | None = None, expected: str | None = None) -> None:
        """Get the card back. After a switched profile this goes through a card reset and ends when the modem sees the
        new profile; otherwise the channel is opened again and the reset ladder is for a card that stays away.
        ``first_rung`` starts at this rung; ``expected`` is the ICCID that the modem has to see, or ``NO_PROFILE``, for
        a card that names the old one until its reset. Raises ``CardUnreachable``."""
        await self._calls.recover(first_rung=first_rung, expected=expected)

    async def verify_switched(self, expected: str | None = None) -> None:
        """As ``recover``, but through a card reset until the modem sees the enabled profile, whatever was seen before:
        after a restart nobody knows whether the reset after a switch was made."""
        self._calls.reset_due = True
        await self.recover(expected=expected)

    async def restart_modem(self) -> None:
        """The hardest reset that the way to the card has, and the card back after it; errors as of ``recover``. A modem
        is restarted by it where its profile allows that, and begins anew with the network."""
        await self.recover(first_rung=max(self.isdr.access.recovery_plan().rungs, default=0))

    async def declare_ipad(self) -> None:
        """Tell the card that this device holds an IPAd, whatever it was told before: the last TERMINAL CAPABILITY
        counts (SGP.32 v1.2 §3.8.2). Never fatal."""
        async with self._calls.lock:
            events.IPAD_DECLARED.emit()
            self._calls.known.drop()
            await self.isdr.declare()

    @property
    def epoch(self) -> int:
        """Grows with every sign of a reset of the card or of another card (see ``CardAccess``)."""
        return self.isdr.access.epoch

    @property
    def eid_now(self) -> Eid | None:
        """Whose channel was opened since the last sign of a reset or of another card, without asking; None when nobody
        has looked since."""
        return self.isdr.eid if self.isdr.opened_in == self.epoch else None

    def ask_anew(self) -> None:
        """Forget what the card said: the next questions go to the card itself."""
        self._calls.known.drop()

    async def release(self) -> None:
        """Close the channel, so that others can use it; the next call opens one again."""
        async with self._calls.lock:
            await self.isdr.drop()
            if self._give_port_back and not self._calls.reset_due:
                await self.isdr.access.close()

    async def close(self) -> None:
        """Close the channel and give the port back."""
        async with self._calls.lock:
            self._calls.known.drop()
            await self.isdr.drop()
            await self.isdr.access.close()

    # -- reading -----------------------------------------------------------------------------------------------------
    async def get_eid(self) -> Eid:
        """GetEID, SGP.22 §5.7.20. The card itself is asked each time, so that the answer shows that it is there; a
        channel that is opened for this was proven by the same question."""
        async with self._calls.lock:
            return await self._calls.repeated("GetEID", self._ask_eid)

    async def get_euicc_info1(self) -> EuiccInfo1:
        """GetEUICCInfo1, §5.9.2."""
        request = es10_requests.get_euicc_info1_request()
        return await self._calls.kept(
            Fact.INFO1, lambda: self._calls.read_locked("GetEUICCInfo1", request, es10_requests.parse_get_euicc_info1)
        )

    async def get_euicc_info2(self) -> EuiccInfo2:
        """GetEUICCInfo2, §5.9.2."""
        request = es10_requests.get_euicc_info2_request()
        return await self._calls.kept(
            Fact.INFO2, lambda: self._calls.read_locked("GetEUICCInfo2", request, es10_requests.parse_get_euicc_info2)
        )

    async def get_eim_configuration(self) -> tuple[EimConfigurationData, ...]:
        """All associated eIMs (GetEimConfigurationData, §5.9.18). The form without criterion is the one that every
        release knows."""
        request = es10_requests.get_eim_configuration_request()
        answer = await self._calls.kept(
            Fact.EIMS,
            lambda: self._calls.read_locked(
                "GetEimConfigurationData", request, es10_requests.parse_get_eim_configuration
            ),
        )
        return answer.configs

    async def get_profiles(self) -> tuple[ProfileInfo, ...]:
        """The profiles on the card (GetProfilesInfo); a card that refuses the list of fields gets a shorter one, and
        at last chooses itself."""
        return (await self._calls.kept(Fact.PROFILES, self._profile_list)).profiles

    async def get_rat(self) -> RulesAuthorisationTable:
        """GetRAT, SGP.22 §5.7.22."""
        return await self._calls.read("GetRAT", es10_requests.get_rat_request(), es10_requests.parse_get_rat)

    async def get_certs(self, ci_pkid: bytes | None = None) -> Certificates:
        """GetCerts, §5.9.10."""
        return await self._calls.read(
            "GetCerts", es10_requests.get_certs_request(ci_pkid), es10_requests.parse_get_certs
        )

    async def get_configured_addresses(self) -> ConfiguredAddresses:
        """GetEuiccConfiguredAddresses, SGP.22 §5.7.3."""
        request = es10_requests.get_configured_addresses_request()
        return await self._calls.read(
            "GetEuiccConfiguredAddresses", request, es10_requests.parse_get_configured_addresses
        )

    async def get_connectivity_parameters(self) -> ConnectivityParameters:
        """GetConnectivityParameters, §5.9.24."""
        request = es10_requests.get_connectivity_parameters_request()
        return await self._calls.read(
            "GetConnectivityParameters", request, es10_requests.parse_get_connectivity_parameters
        )

    # -- notifications and results -----------------------------------------------------------------------------------
    async def retrieve_notifications(self, criterion: Criterion | None = None) -> RetrievedNotifications:
        """RetrieveNotificationsList, §5.9.11. By number it finds package results too, on cards that do not search them
        by going through the lists."""
        if criterion is None or isinstance(criterion, AllPackageResults):
            fact = Fact.NOTIFICATIONS if criterion is None else Fact.RESULTS
            return await self._calls.kept(fact, lambda: self._retrieve(criterion), worth_keeping=_is_whole)
        async with self._calls.lock:
            if not isinstance(criterion, BySeqNumber):
                return await self._retrieve(criterion)
            try:
                found = await self._retrieve(criterion)
            except (NotSupportedByCard, MalformedAnswer):
                found = RetrievedNotifications.parse(_EMPTY_LIST)
            if found.notifications or found.package_results:
                return found
            return await self._search(criterion.seq_number) or found

    async def list_notifications(self, event_kinds: Iterable[NotificationEvent] | None = None) -> ListedNotifications:
        """ListNotification, SGP.22 §5.7.9."""
        request = es10_requests.list_notifications_request(event_kinds)
        return await self._calls.read("ListNotification", request, es10_requests.parse_list_notifications)

    async def remove_notification(self, seq_number: int) -> ResultCode:
        """RemoveNotificationFromList, SGP.22 §5.7.11, for results too. Doing it twice does no harm: the second answer
        is nothingToDelete(1)."""
        request = es10_requests.remove_notification_request(seq_number)
        async with self._calls.lock:
            before = self._calls.known.set_aside()
            code = await self._calls.read_locked(
                "RemoveNotificationFromList", request, es10_requests.parse_remove_notification
            )
            if not self._calls.reset_due and not self.isdr.proactive_pending:
                self._calls.known.put_back(before)
                self._calls.known.removed(seq_number, code)
            return code

    # -- packages and settings ---------------------------------------------------------------------------------------
    async def load_euicc_package(self, raw: bytes) -> EuiccPackageResult:
        """LoadEuiccPackage, §5.9.1: ``raw`` is the whole BF51 as it came. After an error whose
        ``may_have_executed`` is not False the card has to be asked what happened."""
        _require_tag(raw, 0xBF51, "an eUICC package")
        try:
            return await self._calls.change(
                "LoadEuiccPackage",
                raw,
                es10_requests.parse_load_euicc_package,
                lambda answer: answer.switched,
                note=self._calls.known.package_executed,
            )
        except NotSupportedByCard as error:
            if error.__cause__ is not None:
                raise
            # It ended well and told nothing: the card may have executed it.
            raise MalformedAnswer("LoadEuiccPackage: the card answered nothing", raw=b"") from error

    async def add_initial_eim(self, request: bytes) -> AddInitialEimResult:
        """AddInitialEim, §5.9.4: ``request`` is the whole BF57."""
        _require_tag(request, 0xBF57, "an AddInitialEim request")
        return await self._calls.change("AddInitialEim", request, es10_requests.parse_add_initial_eim)

    async def set_default_dp(self, address: str) -> ResultCode:
        """SetDefaultDpAddress, §5.9.25."""
        return await self._calls.change(
            "SetDefaultDpAddress", es10_requests.set_default_dp_request(address), es10_requests.parse_set_default_dp
        )

    async def memory_reset(self, options: Iterable[ResetOption]) -> MemoryResetResult:
        """EuiccMemoryReset, §5.9.5, in the form (BF64 or BF34) of the card's release."""
        chosen = tuple(options)
        versions = info.versions if (info := (await self.get_euicc_info2()).iot) is not None else ()
        v1_0 = not any((version.major, version.minor) >= (1, 1) for version in versions)
        try:
            request = es10_requests.memory_reset_request(chosen, v1_0=v1_0)
        except CodecError as error:
            raise NotSupportedByCard(f"EuiccMemoryReset: {error.message}") from error
        profiles = {
            ResetOption.OPERATIONAL_PROFILES,
            ResetOption.FIELD_LOADED_TEST_PROFILES,
            ResetOption.PRE_LOADED_TEST_PROFILES,
            ResetOption.PROVISIONING_PROFILES,
        }
        return await self._calls.change(
            "EuiccMemoryReset",
            request,
            es10_requests.parse_memory_reset,
            lambda answer: answer.result.ok and bool(profiles & set(chosen)),
        )

    async def configure_immediate_enabling(
        self, *, enable: bool, smdp_oid: bytes | None = None, smdp_address: str | None = None
    ) -> ResultCode:
        """ConfigureImmediateProfileEnabling, §5.9.17."""
        request = es10_requests.configure_immediate_enabling_request(
            enable=enable, smdp_oid=smdp_oid, smdp_address=smdp_address
        )
        return await self._calls.change(
            "ConfigureImmediateProfileEnabling", request, es10_requests.parse_configure_immediate_enabling
        )

    async def ipae_activation(self, *, activate: bool = True) -> ResultCode:
        """IpaeActivation, §3.8. When it succeeds, this agent has no access to the card any more."""
        request = es10_requests.ipae_activation_request(activate=activate)
        return await self._calls.change("IpaeActivation", request, es10_requests.parse_ipae_activation)

    # -- switching ---------------------------------------------------------------------------------------------------
    # ``refresh`` None leaves to the modem's profile whether the card shall issue a REFRESH; without one the caller's
    # ``recover`` resets the card. Either way ``recover`` completes a switch.
    async def immediate_enable(self, *, refresh: bool | None = None) -> ResultCode:
        """ImmediateEnable, §5.9.15; cards of v1.0 know only the form without a field."""
        flag = self._refresh(refresh)
        try:
            return await self._calls.switch(
                "ImmediateEnable",
                es10_requests.immediate_enable_request(refresh=flag),
                es10_requests.parse_immediate_enable,
            )
        except NotSupportedByCard:
            request = es10_requests.immediate_enable_request(refresh=flag, v1_0=True)
            code = await self._calls.switch("ImmediateEnable", request, es10_requests.parse_immediate_enable)
            events.OLD_FORM_USED.emit(function="ImmediateEnable")
            return code

    async def profile_rollback(self, *, refresh: bool | None = None) -> RollbackResult:
        """ProfileRollback, §5.9.16."""
        request = es10_requests.profile_rollback_request(refresh=self._refresh(refresh))
        return await self._calls.change(
            "ProfileRollback", request, es10_requests.parse_profile_rollback, lambda answer: answer.result.ok
        )

    async def execute_fallback(self, *, refresh: bool | None = None) -> ResultCode:
        """ExecuteFallbackMechanism, §5.9.20."""
        request = es10_requests.execute_fallback_request(refresh=self._refresh(refresh))
        return await self._calls.switch("ExecuteFallbackMechanism", request, es10_requests.parse_execute_fallback)

    async def return_from_fallback(self, *, refresh: bool | None = None) -> ResultCode:
        """ReturnFromFallback, §5.9.21."""
        request = es10_requests.return_from_fallback_request(refresh=self._refresh(refresh))
        return await self._calls.switch("ReturnFromFallback", request, es10_requests.parse_return_from_fallback)

    async def enable_emergency_profile(self, *, refresh: bool | None = None) -> ResultCode:
        """EnableEmergencyProfile, §5.9.22."""
        request = es10_requests.enable_emergency_profile_request(refresh=self._refresh(refresh))
        return await self._calls.switch("EnableEmergencyProfile", request, es10_requests.parse_enable_emergency_profile)

    async def disable_emergency_profile(self, *, refresh: bool | None = None) -> ResultCode:
        """DisableEmergencyProfile, §5.9.23."""
        request = es10_requests.disable_emergency_profile_request(refresh=self._refresh(refresh))
        return await self._calls.switch(
            "DisableEmergencyProfile", request, es10_requests.parse_disable_emergency_profile
        )

    # -- download session --------------------------------------------------------------------------------------------
    # The card forgets the session with its channel, so nothing but its beginning is ever repeated.
    async def get_challenge(self) -> bytes:
        """GetEuiccChallenge, SGP.22 §5.7.7: 16 bytes; a new session begins."""
        return await self._calls.read(
            "GetEuiccChallenge", es10_requests.get_challenge_request(), es10_requests.parse_get_challenge
        )

    async def authenticate_server(self, request: bytes) -> AuthenticateServerResponse:
        """AuthenticateServer, SGP.22 §5.7.13: ``request`` is the whole BF38."""
        _require_tag(request, 0xBF38, "an AuthenticateServer request")
        return await self._calls.once("AuthenticateServer", request, es10_requests.parse_authenticate_server)

    async def prepare_download(self, request: bytes) -> PrepareDownloadResponse:
        """PrepareDownload, SGP.22 §5.7.5: ``request`` is the whole BF21."""
        _require_tag(request, 0xBF21, "a PrepareDownload request")
        return await self._calls.once("PrepareDownload", request, es10_requests.parse_prepare_download)

    async def load_bpp_segment(self, segment: bytes) -> bytes | None:
        """One segment of ``bpp_segments.split``; the ProfileInstallationResult (BF37) when the card gives it, which
        ends the loading, else None."""
        async with self._calls.lock:
            self._calls.known.changed(OF_PROFILES)
            answer = await self._calls.send(segment, idempotent=False, answer_due=False)
        if not answer:
            return None
        _require_tag(answer, 0xBF37, "the answer to a segment of a profile", malformed=True)
        return answer

    async def install_profile(self, package: bytes, on_segment: Callable[[int, int], None]) -> bytes | None:
        """Load a bound profile package (BF36) segment by segment (SGP.22 §5.7.6); ``on_segment(done, total)`` after
        each. Ends with the first ProfileInstallationResult (BF37); None when the card took everything and gave none.
        Raises ``MalformedBpp`` before anything is sent; after any other error the card has to be asked."""
        segments = bpp_segments.split(package)
        async with self._calls.lock:
            self._calls.known.changed(OF_PROFILES)
            for done, segment in enumerate(segments, start=1):
                answer = await self._calls.send(segment.data, idempotent=False, answer_due=done == len(segments))
                if answer:
                    _require_tag(answer, 0xBF37, "the answer to a segment of a profile", malformed=True)
                    return answer
                on_segment(done, len(segments))
        return None

    async def cancel_session(self, request: bytes) -> CancelSessionResponse:
        """CancelSession, SGP.22 §5.7.14: ``request`` is the whole BF41."""
        self._calls.known.changed((Fact.NOTIFICATIONS,))
        _require_tag(request, 0xBF41, "a CancelSession request")
        return await self._calls.once("CancelSession", request, es10_requests.parse_cancel_session)

    # -- how cards differ --------------------------------------------------------------------------------------------
    async def _ask_eid(self) -> Eid:
        if self.isdr.is_open:
            return await self._calls.call("GetEID", GET_EID, es10_requests.parse_get_eid, idempotent=True)
        await self.isdr.transport()
        assert self.isdr.eid is not None
        return self.isdr.eid

    async def _profile_list(self) -> ProfileList:
        eid, begin = self._tag_list_refused
        for number, tag_list in enumerate(_TAG_LISTS):
            if number < begin and eid == self.isdr.eid:
                continue
            request = es10_requests.get_profiles_request(tag_list=tag_list)
            try:
                answer = await self._calls.read_locked("GetProfilesInfo", request, es10_requests.parse_get_profiles)
            except NotSupportedByCard:
                if tag_list is None:
                    raise
                self._refuses_tag_list(number)
                continue
            if answer.error is None:
                return answer if answer.doubt is None else await self._with_word_of_modem(answer, answer.doubt)
            if tag_list is None:
                raise FunctionFailed("GetProfilesInfo", int(answer.error), answer.error.name)
            if answer.error not in _OF_THE_MOMENT:
                self._refuses_tag_list(number)
        raise AssertionError("the last list is none")

    async def _with_word_of_modem(self, listed: ProfileList, doubt: str) -> ProfileList:
        """A list that does not tell which profile is enabled: if the modem sees one of those in doubt, that one is.
        Raises ``MalformedAnswer`` when it sees none of them, or errors of the modem side."""
        seen = await self.isdr.access.read_iccid()
        for number, profile in enumerate(listed.profiles):
            iccid = None if profile.iccid is None else str(profile.iccid)
            if profile.state_known or seen is None or iccid is None or not same_iccid(seen, iccid):
                continue
            events.STATE_BY_MODEM.emit(reason=doubt)
            enabled = replace(profile, state=int(ProfileState.ENABLED))
            return replace(listed, profiles=(*listed.profiles[:number], enabled, *listed.profiles[number + 1 :]))
        raise MalformedAnswer(f"the answer to GetProfilesInfo: {doubt}", raw=listed.raw)

    def _refuses_tag_list(self, number: int) -> None:
        self._tag_list_refused = self.isdr.eid, number + 1
        events.SHORTER_TAG_LIST.emit(left_out="the fields of SGP.32" if number == 0 else "the list of fields")

    async def _retrieve(self, criterion: Criterion | None) -> RetrievedNotifications:
        request = es10_requests.retrieve_notifications_request(criterion)
        try:
            return await self._calls.read_locked(
                "RetrieveNotificationsList", request, es10_requests.parse_retrieve_notifications
            )
        except NotSupportedByCard as error:
            if error.__cause__ is not None:
                raise
            events.EMPTY_LIST_TAKEN.emit()
            return _NOTHING_SAID

    async def _search(self, seq_number: int) -> RetrievedNotifications | None:
        """The notification or result with this number from the full lists, as a list of one."""
        events.LISTS_SEARCHED.emit(seq_number=seq_number)
        for result in (await self._retrieve(AllPackageResults())).package_results:
            if result.seq_number == seq_number:
                raw = tlv.encode(0xBF2B, tlv.encode(0xA2, result.relay_raw))
                return RetrievedNotifications(raw, package_results=(result,))
        for notification in (await self._retrieve(None)).notifications:
            if notification.seq_number == seq_number:
                raw = tlv.encode(0xBF2B, tlv.encode(0xA0, notification.raw))
                return RetrievedNotifications(raw, notifications=(notification,))
        return None

    def _refresh(self, wanted: bool | None) -> bool:
        return self.isdr.access.recovery_plan().modem_refreshes if wanted is None else wanted


def _is_whole(answer: RetrievedNotifications) -> bool:
    """Not an answer without data either: it may have got lost, and is asked for again with the next poll."""
    return answer is not _NOTHING_SAID and answer.error is None and not answer.unreadable


def _require_tag(raw: bytes, tag: int, what: str, *, malformed: bool = False) -> None:
    """``raw`` must be exactly one TLV with this tag."""
    try:
        problem = "" if (found := tlv.parse(raw).tag) == tag else f"it begins with {tlv.hex_tag(found)}"
    except CodecError as error:
        problem = error.message
    if problem and malformed:
        raise MalformedAnswer(f"{what} is no {tlv.hex_tag(tag)}: {problem}", raw=raw)
    if problem:
        raise WrongRequest(f"{what} has to be one {tlv.hex_tag(tag)}: {problem}")
