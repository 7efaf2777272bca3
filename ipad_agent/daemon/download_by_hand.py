"""A profile download that a person on the device asks for: what has to be so before one begins, and how a refusal is
said. The download itself is ``procedures.download.device_initiated_download``."""

from __future__ import annotations

from ipad_agent.codec.es10.es10_download import CancelSessionReason
from ipad_agent.codec.esipa.download_trigger import ECALL_ACTIVE
from ipad_agent.codec.rsp.activation_code import ActivationCode
from ipad_agent.config import Config
from ipad_agent.errors import CodecError
from ipad_agent.local import local_verbs
from ipad_agent.local.local_verbs import Refused
from ipad_agent.procedures.context import Context
from ipad_agent.procedures.download import device_initiated_download
from ipad_agent.procedures.ports import Journal
from ipad_agent.procedures.records.local_download_record import LocalDownloads
from ipad_agent.procedures.rsp.download_stop import DownloadStop


def wanted(config: Config, activation_code: str, confirmation_code: str | None) -> ActivationCode:
    """The activation code, before the card is asked for a turn. Raises ``Refused``, without the code in it."""
    if not config.download.by_hand:
        raise Refused(
            local_verbs.REFUSED_BY_POLICY,
            "download.by_hand is false in the configuration: only a manager (eIM) may order downloads.",
            rule="download.by_hand",
        )
    try:
        code = ActivationCode.parse(activation_code)
    except CodecError as error:
        raise Refused(
            local_verbs.INVALID, f"That is {error.message}; it reads LPA:1$ADDRESS$TOKEN.", parameter="activation_code"
        ) from None
    known = confirmation_code if confirmation_code is not None else config.download.confirmation_code_file
    if code.confirmation_code_required and not known:
        raise Refused(
            local_verbs.INVALID, "This activation code wants a confirmation code too.", parameter="confirmation_code"
        )
    return code


async def carry_out(
    context: Context,
    eims: tuple[str, ...],
    journal: Journal,
    code: ActivationCode,
    *,
    confirmation_code: str | None,
    rules_accepted: bool,
) -> str:
    """A job for a turn at the card: the ICCID of the installed profile. Raises ``Refused``, and what the card raises
    when it is gone."""
    if context.switches.open() is not None:
        raise Refused(
            local_verbs.REFUSED_BY_POLICY,
            "A change of the profile is under way and not proved yet; a download begins only after that.",
            rule="switch",
        )
    try:
        return await device_initiated_download.download(
            context,
            LocalDownloads(journal),
            eims,
            code,
            confirmation_code=confirmation_code,
            rules_accepted=rules_accepted,
        )
    except DownloadStop as stop:
        raise _refusal(stop) from None


def _refusal(stop: DownloadStop) -> Refused:
    if stop.reason == ECALL_ACTIVE:
        sentence = "The emergency profile is enabled; nothing is downloaded until it is disabled."
        return Refused(local_verbs.REFUSED_BY_POLICY, sentence, rule="emergency")
    match stop.objection:
        case CancelSessionReason.END_USER_REJECTION:
            sentence = (
                "The profile has policy rules (cannot be disabled or deleted) that nobody has consented to. Nothing "
                "was installed; --accept-rules consents to them."
            )
            return Refused(local_verbs.REFUSED_BY_POLICY, sentence, rule="consent")
        case CancelSessionReason.PPR_NOT_ALLOWED:
            sentence = f"The profile is not allowed on this card: {stop.sentence}. Nothing was installed."
            return Refused(local_verbs.REFUSED_BY_POLICY, sentence, rule="policy-rules")
        case CancelSessionReason.POSTPONED:
            sentence = "The SM-DP+ wants a confirmation code and none was given. The order waits for it there."
            return Refused(local_verbs.INVALID, sentence, parameter="confirmation_code")
        case _:
            return Refused(local_verbs.DOWNLOAD_FAILED, f"No profile was installed: {stop.sentence}.")
