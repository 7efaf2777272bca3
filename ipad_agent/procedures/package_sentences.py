"""Orders and results in a person's words, for the log and for status screens."""

from __future__ import annotations

from ipad_agent.codec.es10.euicc_package import PSMO_NAMES, EuiccPackageRequest, EuiccPackageResult
from ipad_agent.codec.esipa.eim_package import EimPackageError, ResultErrorCode

_PSMO_RESULTS = frozenset(PSMO_NAMES.values()) | {"rollback"}
_CHANGES_PROFILES = frozenset({"enable", "disable", "delete", "rollback"})


def has_psmo(result: EuiccPackageResult) -> bool:
    """Whether the package held PSMOs: then the card's notifications travel with the result (§3.3.1 step 9)."""
    return any(operation.name in _PSMO_RESULTS for operation in result.results)


def changed_profiles(result: EuiccPackageResult) -> bool:
    """Whether profiles were enabled, disabled or deleted: what the other eIMs have to be told."""
    return any(operation.ok and operation.name in _CHANGES_PROFILES for operation in result.results)


def of_order(request: EuiccPackageRequest) -> str:
    """``enable …4711, getRAT (counter 12)``."""
    operations = [
        operation.name + (f" {operation.iccid.short}" if operation.iccid is not None else "")
        for operation in request.operations
    ]
    return f"{', '.join(operations) or 'an empty package'} (counter {request.counter})"


def of_result(result: EuiccPackageResult) -> str:
    """``enable ok, delete profileNotInDisabledState (result 5)``, or why the card refused."""
    if result.variant == "error_signed":
        code = result.error_code
        return "undefined error" if code is None else code.name
    if result.variant == "error_unsigned" and result.error_code is not None:
        return f"{result.error_code.name} ({int(result.error_code)}), unsigned"
    if result.variant == "error_unsigned":
        return "it does not know this eIM, or the eIM's signature does not fit"
    operations = [
        f"{operation.name} {'ok' if operation.ok else 'unreadable' if operation.code is None else operation.code.name}"
        for operation in result.results
    ]
    return f"{', '.join(operations) or 'nothing'} (result {result.seq_number})"


def eim_package_error(code: int) -> str:
    """The name of an error number of GetEimPackage or ProvideEimPackageResult; they share the numbers."""
    try:
        return EimPackageError(code).name.lower().replace("_", " ")
    except ValueError:
        return "a number without a name"


def refusal(code: int) -> str:
    """A provideEimPackageResultError by its name in the specification and its number: ``undefinedError (127)``."""
    try:
        return f"{_as_specified(EimPackageError(code).name)} ({code})"
    except ValueError:
        return f"error {code}"


def result_error(code: ResultErrorCode) -> str:
    """What the eIM is told of an order that this IPA could not process, as the specification writes it:
    ``unknownPackage``. The numbers are those of ``EimPackageError``, and mean something else there."""
    return _as_specified(code.name)


def _as_specified(name: str) -> str:
    first, *rest = name.lower().split("_")
    return first + "".join(word.capitalize() for word in rest)
