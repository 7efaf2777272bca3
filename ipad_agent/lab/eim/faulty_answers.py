"""The answers that the eIM gives when it misbehaves on purpose."""

from __future__ import annotations

from . import esipa_messages
from .eim_faults import FUNCTION_OF_TAG, GARBAGE, Fault
from .eim_settings import EimSettings
from .esipa_application import Reply
from .esipa_messages import GetPackage, HandleNotification, OtherFunction, ProvideResult


def function_name(message: esipa_messages.Message) -> str:
    """What a fault calls the function of a request."""
    match message:
        case GetPackage():
            return "get"
        case ProvideResult():
            return "result"
        case HandleNotification():
            return "notification"
        case OtherFunction(node):
            return FUNCTION_OF_TAG.get(node.tag, f"{node.tag:X}")


def instead_of_processing(fault: Fault, function: str, message: esipa_messages.Message, settings: EimSettings) -> Reply:
    """What a request gets that is not processed (``eim_faults.BEFORE``)."""
    match fault.action:
        case "refuse":
            code = fault.value if isinstance(fault.value, int) else esipa_messages.UNDEFINED
            if function == "get":
                return Reply(
                    settings.spelled(esipa_messages.package_error(code, settings.dialect_for(esipa_messages.V1_2)))
                )
            if function == "result":
                return Reply(
                    settings.spelled(esipa_messages.result_error(code, settings.dialect_for(esipa_messages.V1_2)))
                )
            if isinstance(message, OtherFunction) and message.node.tag in esipa_messages.ERROR_TAG:
                return Reply(esipa_messages.function_error(message.node.tag, code))
            return Reply(code="5.00")
        case "redirect":
            return Reply(code="5.00", wire=("redirect", fault.value))
        case "busy":
            return Reply(code="5.03", max_age_s=int(fault.value) if isinstance(fault.value, int | float) else 60)
        case "status":
            return Reply(code=str(fault.value or "5.00"))
        case "crash-before":
            return Reply(lost="crash")
        case _:
            return Reply(lost="silence")


def after_processing(fault: Fault, function: str, body: bytes, settings: EimSettings) -> Reply:
    """What becomes of the right answer ``body`` (``eim_faults.AFTER``)."""
    match fault.action:
        case "wrong":
            other = esipa_messages.acknowledgement([], esipa_messages.V1_2)
            return Reply(
                esipa_messages.package_error(esipa_messages.NO_PACKAGE, esipa_messages.V1_2)
                if function == "result"
                else other
            )
        case "empty":
            return Reply()
        case "garbage":
            return Reply(GARBAGE)
        case "truncated":
            return Reply(body[:-1])
        case "late":
            return Reply(body, delay_s=float(fault.value) if isinstance(fault.value, int | float) else 1.0)
        case "acknowledge":
            numbers = list(fault.value) if isinstance(fault.value, tuple) else []
            return Reply(
                settings.spelled(esipa_messages.acknowledgement(numbers, settings.dialect_for(esipa_messages.V1_2)))
            )
        case "crash-after":
            return Reply(body, lost="crash")
        case _:
            return Reply(body, lost="silence")
