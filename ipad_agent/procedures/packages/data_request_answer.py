"""IPA eUICC data request (SGP.32 v1.2 §3.1.2, §2.11.1.2): what the eIM wants to know, from the card and the device.

The answer speaks the dialect of the question. Optional data that does not exist is left out; a list of tags that
cannot be understood is an error of its own, never silence.
"""

from __future__ import annotations

from ipad_agent.codec.es10.notifications import AllPackageResults
from ipad_agent.codec.esipa.ipa_euicc_data import (
    DataItem,
    DataRequestError,
    IpaEuiccDataRequest,
    encode_ipa_euicc_data,
    encode_ipa_euicc_data_error,
)
from ipad_agent.errors import CardError
from ipad_agent.procedures import events
from ipad_agent.procedures.context import Association, Context
from ipad_agent.procedures.device_information import device_info
from ipad_agent.procedures.switching.emergency_profile import emergency_active


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
        return await _collect(context, eim, request)
    except _Refusal as refusal:
        return encode_ipa_euicc_data_error(request.eim_transaction_id, refusal.code, dialect=request.dialect)
    except CardError as failure:
        if not failure.alive:
            raise
        events.CARD_COULD_NOT.emit(reason=failure.message)
        return encode_ipa_euicc_data_error(
            request.eim_transaction_id, DataRequestError.UNDEFINED_ERROR, dialect=request.dialect
        )


async def _collect(context: Context, eim: Association, request: IpaEuiccDataRequest) -> bytes:
    if not request.tag_list_ok or request.unknown_tags:
        raise _Refusal(DataRequestError.INCORRECT_TAG_LIST)
    card, items = context.card, request.items
    if emergency_active(await card.get_profiles()):
        raise _Refusal(DataRequestError.ECALL_ACTIVE)
    smdp = smds = None
    if items & {DataItem.DEFAULT_SMDP_ADDRESS, DataItem.ROOT_SMDS_ADDRESS}:
        addresses = await card.get_configured_addresses()
        smdp, smds = addresses.default_smdp or None, addresses.root_smds or None
    eum_certificate = euicc_certificate = None
    if items & {DataItem.EUM_CERTIFICATE, DataItem.EUICC_CERTIFICATE}:
        eum_certificate, euicc_certificate = await _certificates(context, request.ci_pkid)
    notifications = results = None
    if DataItem.NOTIFICATIONS in items:
        retrieved = await card.retrieve_notifications(request.notification_criteria)
        notifications = [notification.raw for notification in retrieved.notifications]
    if DataItem.PACKAGE_RESULTS in items:
        retrieved = await card.retrieve_notifications(request.epr_criteria or AllPackageResults())
        results = [result.relay_raw for result in retrieved.package_results]
    return encode_ipa_euicc_data(
        dialect=request.dialect,
        eim_transaction_id=request.eim_transaction_id,
        notifications=notifications,
        default_smdp_address=smdp if DataItem.DEFAULT_SMDP_ADDRESS in items else None,
        package_results=results,
        euicc_info1=(await card.get_euicc_info1()).raw if DataItem.EUICC_INFO1 in items else None,
        euicc_info2=(await card.get_euicc_info2()).raw if DataItem.EUICC_INFO2 in items else None,
        root_smds_address=smds if DataItem.ROOT_SMDS_ADDRESS in items else None,
        association_token=await _token(context, eim) if DataItem.ASSOCIATION_TOKEN in items else None,
        eum_certificate=eum_certificate if DataItem.EUM_CERTIFICATE in items else None,
        euicc_certificate=euicc_certificate if DataItem.EUICC_CERTIFICATE in items else None,
        ipa_capabilities=context.capabilities.encode() if DataItem.IPA_CAPABILITIES in items else None,
        device_info=(await device_info(context.device)).encode() if DataItem.DEVICE_INFO in items else None,
    )


async def _token(context: Context, eim: Association) -> int | None:
    """The association token of the asking eIM alone (§4.11), as the card has it now: an eCO may have changed it."""
    for config in await context.card.get_eim_configuration():
        if config.eim_id == eim.eim_id:
            return config.association_token
    return None


async def _certificates(context: Context, wanted: bytes | None) -> tuple[bytes | None, bytes | None]:
    """EUM and eUICC certificate for the CI the eIM names; it may name it by a prefix of its key identifier."""
    ci_pkid = None
    if wanted is not None:
        ci_pkid = (await context.card.get_euicc_info1()).full_ci_pkid(wanted)
        if ci_pkid is None:
            raise _Refusal(DataRequestError.EUICC_CI_PKID_NOT_FOUND)
    certificates = await context.card.get_certs(ci_pkid)
    if certificates.error is not None:
        raise _Refusal(
            DataRequestError.EUICC_CI_PKID_NOT_FOUND if certificates.error == 1 else DataRequestError.UNDEFINED_ERROR
        )
    return certificates.eum_certificate, certificates.euicc_certificate
