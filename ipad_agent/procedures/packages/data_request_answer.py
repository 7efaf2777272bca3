"""IPA eUICC data request (SGP.32 v1.2 §3.1.2, §2.11.1.2): what the eIM wants to know, from the card and the device.

The answer speaks the dialect of the question. Optional data that does not exist is left out, and so is what the card
does not tell or what nobody can read: an item that is missing is not known, an empty list says that there is nothing.
When nothing at all can be told, that is undefinedError(127). A list of tags that cannot be understood is an error of
its own, never silence.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from ipad_agent.codec.es10.es10_requests import Certificates, ConfiguredAddresses
from ipad_agent.codec.es10.notifications import AllPackageResults, Criterion, RetrievedNotifications
from ipad_agent.codec.esipa.ipa_euicc_data import (
    DataItem,
    DataRequestError,
    IpaEuiccDataRequest,
    encode_ipa_euicc_data,
    encode_ipa_euicc_data_error,
)
from ipad_agent.codec.tolerances import CATALOGUE
from ipad_agent.errors import CardError
from ipad_agent.procedures.context import Association, Context
from ipad_agent.procedures.device_information import device_info
from ipad_agent.procedures.switching.emergency_profile import emergency_enabled

from . import events

_T = TypeVar("_T")


class _Refusal(Exception):
    """The request ends with this ipaEuiccDataErrorCode."""

    def __init__(self, code: DataRequestError) -> None:
        super().__init__(code.name)
        self.code = code


async def answer(context: Context, eim: Association, request: IpaEuiccDataRequest) -> bytes:
    """The IpaEuiccDataResponse (BF52). Raises ``CardError`` or ``ModemError`` only when the card is gone."""
    wanted = ", ".join(sorted(item.name.lower() for item in request.items)) or "nothing it can name"
    events.DATA_REQUEST.emit(eim=eim.eim_id, what=wanted)
    try:
        return await _Answer(context, eim, request).collect()
    except _Refusal as refusal:
        return encode_ipa_euicc_data_error(request.eim_transaction_id, refusal.code, dialect=request.dialect)


class _Answer:
    """One answer being put together, item by item."""

    def __init__(self, context: Context, eim: Association, request: IpaEuiccDataRequest) -> None:
        self._context = context
        self._eim = eim
        self._request = request
        self._told = 0
        self._left_out = 0

    async def collect(self) -> bytes:
        """The data, or ``_Refusal``."""
        request, context, card = self._request, self._context, self._context.card
        if not request.tag_list_ok or request.unknown_tags:
            raise _Refusal(DataRequestError.INCORRECT_TAG_LIST)
        card.ask_anew()  # the eIM wants to see the card, not what this device thinks of it
        if await emergency_enabled(card):
            raise _Refusal(DataRequestError.ECALL_ACTIVE)
        addresses = await self._addresses()
        certificates = await self._certificates()
        notifications = results = info1 = info2 = token = None
        if DataItem.NOTIFICATIONS in request.items:
            notifications = await self._listed(DataItem.NOTIFICATIONS, request.notification_criteria, _notifications)
        if DataItem.PACKAGE_RESULTS in request.items:
            criterion = request.epr_criteria or AllPackageResults()
            results = await self._listed(DataItem.PACKAGE_RESULTS, criterion, _package_results)
        if DataItem.EUICC_INFO1 in request.items:
            info1 = await self._read(DataItem.EUICC_INFO1, card.get_euicc_info1)
        if DataItem.EUICC_INFO2 in request.items:
            info2 = await self._read(DataItem.EUICC_INFO2, card.get_euicc_info2)
        if DataItem.ASSOCIATION_TOKEN in request.items:
            token = await self._read(DataItem.ASSOCIATION_TOKEN, self._token)
        capabilities = context.capabilities.encode() if DataItem.IPA_CAPABILITIES in request.items else None
        device = (await device_info(context.device)).encode() if DataItem.DEVICE_INFO in request.items else None
        if self._left_out and not self._told and capabilities is None and device is None:
            raise _Refusal(DataRequestError.UNDEFINED_ERROR)
        return encode_ipa_euicc_data(
            dialect=request.dialect,
            eim_transaction_id=request.eim_transaction_id,
            notifications=notifications,
            default_smdp_address=addresses.default_smdp,
            package_results=results,
            euicc_info1=None if info1 is None else info1.raw,
            euicc_info2=None if info2 is None else info2.raw,
            root_smds_address=addresses.root_smds,
            association_token=token,
            eum_certificate=certificates.eum_certificate,
            euicc_certificate=certificates.euicc_certificate,
            ipa_capabilities=capabilities,
            device_info=device,
        )

    async def _read(self, item: DataItem, get: Callable[[], Awaitable[_T]]) -> _T | None:
        """What the card says, or None when it does not say it; a card that is gone is raised."""
        try:
            found = await get()
        except CardError as failure:
            if not failure.alive:
                raise
            self._leave_out(item, failure.message)
            return None
        self._told += 1
        return found

    def _leave_out(self, item: DataItem, reason: str) -> None:
        self._left_out += 1
        events.ITEM_LEFT_OUT.emit(eim=self._eim.eim_id, item=item.name.lower(), reason=reason)

    async def _listed(
        self, item: DataItem, criterion: Criterion | None, chosen: Callable[[RetrievedNotifications], Sequence[bytes]]
    ) -> Sequence[bytes] | None:
        """The elements of a list; None when the card refuses it, or when nothing in it can be read."""
        card = self._context.card
        retrieved = await self._read(item, lambda: card.retrieve_notifications(criterion))
        if retrieved is None:
            return None
        elements = chosen(retrieved)
        problem = None
        if retrieved.error is not None:
            problem = f"RetrieveNotificationsList: {retrieved.error.name} ({int(retrieved.error)})"
        elif not elements and retrieved.unreadable:
            problem = f"no element of the list can be read ({retrieved.unreadable[0].reason})"
        if problem is None:
            return elements
        self._told -= 1
        self._leave_out(item, problem)
        return None

    async def _addresses(self) -> ConfiguredAddresses:
        wanted = self._request.items & {DataItem.DEFAULT_SMDP_ADDRESS, DataItem.ROOT_SMDS_ADDRESS}
        found = None
        for item in sorted(wanted, key=lambda item: item.value)[:1]:
            found = await self._read(item, self._context.card.get_configured_addresses)
        if found is None:
            return ConfiguredAddresses(None, None)
        return ConfiguredAddresses(
            found.default_smdp or None if DataItem.DEFAULT_SMDP_ADDRESS in wanted else None,
            found.root_smds or None if DataItem.ROOT_SMDS_ADDRESS in wanted else None,
        )

    async def _token(self) -> int | None:
        """The association token of the asking eIM alone (§4.11), as the card has it now: an eCO may have changed it."""
        for config in await self._context.card.get_eim_configuration():
            if config.eim_id == self._eim.eim_id:
                return config.association_token
        return None

    async def _certificates(self) -> Certificates:
        """EUM and eUICC certificate for the CI the eIM names; it may name it by a prefix of its key identifier."""
        wanted = self._request.items & {DataItem.EUM_CERTIFICATE, DataItem.EUICC_CERTIFICATE}
        if not wanted:
            return Certificates()
        first = min(wanted, key=lambda item: item.value)
        found = await self._read(first, self._get_certs)
        if found is None:
            return Certificates()
        for id in found.tolerances:
            events.CARD_TOLERATED.emit(function="GetCerts", what=CATALOGUE[id].what, tolerance=id)
        if found.error is not None:
            if found.error == 1:
                raise _Refusal(DataRequestError.EUICC_CI_PKID_NOT_FOUND)
            self._told -= 1
            self._leave_out(first, f"GetCerts: {found.error.name} ({int(found.error)})")
            return Certificates()
        eum = found.eum_certificate if DataItem.EUM_CERTIFICATE in wanted else None
        euicc = found.euicc_certificate if DataItem.EUICC_CERTIFICATE in wanted else None
        for item, certificate in ((DataItem.EUM_CERTIFICATE, eum), (DataItem.EUICC_CERTIFICATE, euicc)):
            if item in wanted and certificate is None:
                self._leave_out(item, "the card gave none that can be read")
        if eum is None and euicc is None:
            self._told -= 1
        return Certificates(eum, euicc)

    async def _get_certs(self) -> Certificates:
        card, wanted = self._context.card, self._request.ci_pkid
        if wanted is None:
            return await card.get_certs(None)
        ci_pkid = (await card.get_euicc_info1()).full_ci_pkid(wanted)
        if ci_pkid is None:
            raise _Refusal(DataRequestError.EUICC_CI_PKID_NOT_FOUND)
        return await card.get_certs(ci_pkid)


def _notifications(retrieved: RetrievedNotifications) -> Sequence[bytes]:
    return [notification.raw for notification in retrieved.notifications]


def _package_results(retrieved: RetrievedNotifications) -> Sequence[bytes]:
    return [result.relay_raw for result in retrieved.package_results]
