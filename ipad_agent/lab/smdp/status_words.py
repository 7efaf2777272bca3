"""The status codes of ES9+ and ES11 (SGP.22 §5.2.6 and §5.6 to §5.8): subject, reason, and a sentence."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Status:
    """One row: ``subject`` and ``reason`` are the dotted codes, ``message`` is free text for people."""

    subject: str
    reason: str
    message: str

    @property
    def code(self) -> str:
        """``8.2.6/3.8``."""
        return f"{self.subject}/{self.reason}"

    @classmethod
    def parse(cls, code: str) -> Status:
        """The known row with this code, else one without message; ``ValueError`` when it is not ``a.b/c.d``."""
        subject, slash, reason = code.partition("/")
        for part in (subject, reason):
            if not slash or not all(number.isdecimal() for number in part.split(".")):
                raise ValueError(f"{code!r} is not like 8.2.6/3.8")
        return next((row for row in KNOWN if (row.subject, row.reason) == (subject, reason)), cls(subject, reason, ""))


ADDRESS_REFUSED = Status("8.8.1", "3.8", "the address is not that of this SM-DP+")
CI_UNSUPPORTED = Status("8.8.2", "3.1", "none of the proposed CI keys is supported")
SVN_UNSUPPORTED = Status("8.8.3", "3.1", "the eUICC's specification version is not supported")
NO_CERTIFICATE = Status("8.8.4", "3.7", "no certificate of this SM-DP+ can be verified by the eUICC")
EUM_INVALID = Status("8.1.2", "6.1", "the EUM certificate is not valid")
EUM_EXPIRED = Status("8.1.2", "6.3", "the EUM certificate has expired")
EUICC_INVALID = Status("8.1.3", "6.1", "the eUICC certificate is not valid")
EUICC_EXPIRED = Status("8.1.3", "6.3", "the eUICC certificate has expired")
CI_UNKNOWN = Status("8.11.1", "3.9", "the CI of the EUM certificate is not known")
SIGNATURE_INVALID = Status("8.1", "6.1", "the eUICC's signature or what it signed is not valid")
NO_MEMORY = Status("8.1", "4.8", "the eUICC has not enough memory for the profile")
EID_MISMATCH = Status("8.1.1", "3.8", "the profile is reserved for another EID")
MATCHING_ID_REFUSED = Status("8.2.6", "3.8", "the matching ID, or its absence, is refused")
NO_ELIGIBLE_PROFILE = Status("8.2.5", "4.3", "no profile fits this eUICC or device")
NOT_RELEASED = Status("8.2", "1.2", "the profile has not been released")
ORDER_EXPIRED = Status("8.8.5", "4.10", "the download order has expired")
ORDER_RETRIES = Status("8.8.5", "6.4", "the download has been tried too often")
TRANSACTION_UNKNOWN = Status("8.10.1", "3.9", "the transaction ID is not known")
CODE_MISSING = Status("8.2.7", "2.2", "the confirmation code is missing")
CODE_REFUSED = Status("8.2.7", "3.8", "the confirmation code is refused")
CODE_RETRIES = Status("8.2.7", "6.4", "the confirmation code has been tried too often")
REBINDING_REFUSED = Status("8.2", "3.7", "the profile is bound already and is not bound again")
OID_MISMATCH = Status("8.8", "3.10", "the OID is not that of this SM-DP+")
EVENT_UNKNOWN = Status("8.9.5", "3.9", "no event is known for this eUICC")
HEADER_REQUESTER = Status("1.2.1", "2.1", "the function requester identifier is not accepted")
HEADER_CALL = Status("1.2.2", "2.1", "the function call identifier is not accepted")
FIELD_MISSING = Status("1.6", "2.2", "a mandatory element is missing")
FIELD_INVALID = Status("1.6", "2.1", "an element is invalid")
INSTALLATION_FAILED = Status("8.2.10", "4.2", "the eUICC could not install the bound profile package")

KNOWN: tuple[Status, ...] = tuple(value for value in globals().copy().values() if isinstance(value, Status))


def of_smds(status: Status) -> Status:
    """The row as an SM-DS says it: subject 8.9.x where an SM-DP+ has 8.8.x."""
    subject = "8.9" + status.subject[3:] if status.subject.startswith("8.8") else status.subject
    return Status(subject, status.reason, status.message.replace("SM-DP+", "SM-DS"))
