"""Every liberty the codec takes with what a peer sends, by a stable id.

A parsed message names the tolerances it needed in ``.tolerances``; the rooms above count and log them. Unknown
extra fields are no tolerance: the types are extensible, so skipping them is the rule (SGP.32 v1.2, ASN.1 module).
"""

from __future__ import annotations

from typing import Final

from ipad_agent.records import dataclass


@dataclass(frozen=True, slots=True)
class Tolerance:
    """``what`` is the liberty in one sentence, ``reference`` the rule it bends or the peer it is for."""

    id: str
    what: str
    reference: str


CATALOGUE: Final[dict[str, Tolerance]] = {}


def _define(id: str, what: str, reference: str) -> Tolerance:
    if id in CATALOGUE:
        raise ValueError(f"tolerance {id} is defined twice")
    tolerance = CATALOGUE[id] = Tolerance(id, what, reference)
    return tolerance


class Notes:
    """Collects the tolerances one message needs, each once, in the order they were met."""

    __slots__ = ("_ids",)

    def __init__(self) -> None:
        self._ids: dict[str, None] = {}

    def take(self, tolerance: Tolerance) -> None:
        """Say that this liberty was taken."""
        self._ids[tolerance.id] = None

    def add(self, ids: tuple[str, ...]) -> None:
        """Take over what an inner message needed."""
        self._ids.update(dict.fromkeys(ids))

    @property
    def ids(self) -> tuple[str, ...]:
        """What was taken so far."""
        return tuple(self._ids)


# -- tagging ---------------------------------------------------------------------------------------------------------
DOUBLED_TAG = _define(
    "doubled-tag",
    "An outer tag that is written twice, one inside the other, is read as one.",
    "X.680 §31.2.7: a tagged CHOICE referenced under the same tag keeps one; some ASN.1 compilers nest it.",
)
MISSING_OUTER_TAG = _define(
    "missing-outer-tag",
    "A message without its function tag is read by the tag of its alternative.",
    "SGP.32 v1.0 untagged CHOICE types; eIMs and simulated cards built on them.",
)
FOREIGN_OUTER_TAG = _define(
    "foreign-outer-tag",
    "A notification list under another function's tag is read when every element in it is a notification or result.",
    "SGP.32 v1.2 §5.9.11; seen on a simulated eUICC.",
)
EXPLICIT_KEY = _define(
    "explicit-key",
    "A certificate or public key that kept its SEQUENCE tag inside the context tag is unwrapped.",
    "SGP.32 v1.2 ASN.1 module: IMPLICIT tagging of Certificate and SubjectPublicKeyInfo.",
)
KEY_WITHOUT_CHOICE = _define(
    "key-without-choice",
    "Key data without the A0/A1 that tells key from certificate is told by its shape.",
    "SGP.32 v1.2 EimConfigurationData.eimPublicKeyData, trustedPublicKeyDataTls.",
)
KEY_UNDER_OTHER_TAG = _define(
    "key-under-other-tag",
    "A certificate under the tag of a bare key (or the reverse) is taken for what its shape shows.",
    "SGP.32 v1.2 EimConfigurationData.",
)
EMPTY_KEY_DATA = _define(
    "empty-key-data",
    "An eIM's signing key of length zero counts as absent. (A TLS key never does.)",
    "SGP.32 v1.2 EimConfigurationData, optional fields.",
)
UNREADABLE_KEY = _define(
    "unreadable-signing-key",
    "An eIM's signing key that cannot be read is left out; only the eUICC needs it. (A TLS key is never left out.)",
    "SGP.32 v1.2 EimConfigurationData.eimPublicKeyData.",
)
EXTRA_SEQUENCE = _define(
    "extra-sequence",
    "One SEQUENCE too many around a list is unwrapped.",
    "SGP.32 v1.2 ProfileInfoListResponse; seen on a simulated eUICC.",
)
# -- other releases --------------------------------------------------------------------------------------------------
BARE_RESULT = _define(
    "bare-package-result",
    "An eUICC package result without BF51 around it is read by its A0, A1 or A2.",
    "SGP.32 v1.0 EuiccPackageResult.",
)
COMBINED_LIST = _define(
    "combined-notification-list",
    "The A3 answer with notifications and package results together is read.",
    "SGP.32 v1.0 RetrieveNotificationsListResponse.notificationAndEprList.",
)
OLD_TAG_LIST = _define(
    "old-tag-list",
    "Tags 80, 88 and BF2B in a tag list are read as the SM-DP+ address, the capabilities and the notifications.",
    "SGP.32 v1.0 IpaEuiccData.",
)
OLD_CRITERION = _define(
    "old-criterion",
    "A notification criterion that asks for package results is honoured.",
    "SGP.32 v1.0 IpaEuiccDataRequest.searchCriteria.",
)
# -- answers ---------------------------------------------------------------------------------------------------------
EMPTY_ANSWER = _define(
    "empty-answer",
    "An answer without content counts as 'nothing to say': no package, nothing acknowledged, an empty list.",
    "SGP.32 v1.0 ProvideEimPackageResultResponse; CoAP eIMs that answer with an empty 2.04; simulated eUICCs.",
)
PADDED_MESSAGE = _define(
    "padded-message",
    "Line ends and blanks behind a whole message are left out.",
    "SGP.32 v1.2 §6.3: the body is the message; scripts and templates that end what they write with a line end.",
)
EMPTY_DOWNLOAD_DATA = _define(
    "empty-download-data",
    "Download data of length zero counts as absent: the eIM handles it.",
    "SGP.32 v1.2 ProfileDownloadTriggerRequest.profileDownloadData.",
)
UNEXPECTED_CONTENT = _define(
    "unexpected-content",
    "Content where the answer should be empty is ignored.",
    "SGP.32 v1.2 §6.3.2.7 HandleNotification has no response body.",
)
UNIVERSAL_INTEGER = _define(
    "universal-integer",
    "A number under 02 is read where a context tag belongs.",
    "SGP.32 v1.2 ASN.1 module (AUTOMATIC TAGS); simulated eUICCs and hand-written eIMs.",
)
CONTEXT_INTEGER = _define(
    "context-integer",
    "A number under a context tag is read where 02 belongs.",
    "SGP.32 v1.2 ProfileRollbackResponse.cmdResult and others; simulated eUICCs.",
)
ROLLBACK_81 = _define(
    "rollback-flag-81",
    "rollbackFlag under 81 is read as if it were 05 00.",
    "SGP.32 v1.2 Psmo.enable; a simulated eUICC expects it so.",
)
MIXED_LISTS = _define(
    "mixed-package",
    "A package with PSMOs and eCOs is handed to the eUICC, which judges it.",
    "SGP.32 v1.2 §2.11.1.1.",
)
UNWRAPPED_CHOICE = _define(
    "unwrapped-choice",
    "An alternative without the wrapper that its field prescribes is read when its tag is unmistakable.",
    "X.680 §31.2.7: a tag on an untagged CHOICE is EXPLICIT.",
)
AID_80 = _define(
    "aid-80",
    "The ISD-P AID under 80 is read in an installation result.",
    "SGP.22 v2.5 SuccessResult; seen on a simulated eUICC.",
)
# -- values that stay readable as a whole although one field is not --------------------------------------------------
ODD_EVENT = _define(
    "odd-notification-event",
    "A NotificationEvent that is no BIT STRING with one bit is read when it is one byte with one bit, else left open.",
    "SGP.22 v2.5 NotificationEvent; seen on a simulated eUICC.",
)
UNREADABLE_IDENTIFIER = _define(
    "unreadable-identifier",
    "An EID or ICCID of other octets than it should have is compared and shown by these octets (0x…).",
    "SGP.22 v2.5 Iccid, Octet16.",
)
LETTERS_IN_IDENTIFIER = _define(
    "letters-in-identifier",
    "An EID or ICCID with letters among its digits is an identity like any other.",
    "ITU-T E.118, ETSI TS 102 221 §13.2, SGP.29: digits; ICCIDs such as 898600B5… and 898602B… are in use.",
)
CHECK_DIGITS = _define(
    "eid-check-digits",
    "An EID with wrong check digits is served like any other.",
    "SGP.29 with ISO/IEC 7064 MOD 97-10; test cards and prototypes.",
)
UNREADABLE_BITS = _define(
    "unreadable-bits",
    "A capability that is no BIT STRING counts as absent.",
    "X.690 §8.6.",
)
UNREADABLE_TEXT = _define(
    "unreadable-text",
    "A name that is no UTF-8 is shown with replacement characters.",
    "SGP.22 v2.5 UTF8String fields for display.",
)
UNREADABLE_OPERATION = _define(
    "unreadable-operation",
    "An operation's result that cannot be read counts as not ok; the signed result travels on unchanged.",
    "SGP.32 v1.2 EuiccResultData.",
)
UNREADABLE_ELEMENT = _define(
    "unreadable-element",
    "A list element that cannot be read is set aside and the rest of the list is used.",
    "SGP.32 v1.2 §5.9.11, §5.9.18; one broken entry must not hide the others.",
)
CERTIFICATES_APART = _define(
    "certificates-apart",
    "Certificates of the eUICC outside their common A0, or each in a wrapper of its own, are read by their tags.",
    "SGP.32 v1.2 GetCertsResponse; seen on a virtual eUICC.",
)
# -- JSON of ESipa and ES9+ ------------------------------------------------------------------------------------------
NO_STATUS_HEADER = _define(
    "json-without-status",
    "A JSON answer without its header counts as success when the fields of a success are in it.",
    "SGP.22 v2.5 §6.5.1.4 (JSON response header).",
)
STATUS_FORM = _define(
    "json-status-form",
    "An execution status in another spelling or place is read when it has one meaning only.",
    "SGP.22 v2.5 §6.5.1.4 functionExecutionStatus and statusCodeData.",
)
BASE64_SPACE = _define(
    "base64-white-space",
    "Line breaks and blanks inside base64 are skipped.",
    "SGP.22 v2.5 §6.5.2 (base64 of RFC 4648 has none).",
)
BASE64_PADDING = _define(
    "base64-unpadded",
    "Base64 without its padding is read.",
    "RFC 4648 §3.2.",
)
BASE64_URL = _define(
    "base64-url",
    "Base64 in the alphabet for URLs (- and _) is read.",
    "RFC 4648 §5; SGP.22 v2.5 §6.5.2 means that of §4 (+ and /).",
)
HEX_LOWER_CASE = _define(
    "hex-lower-case",
    "A transaction identifier in lower-case hexadecimal is read.",
    "SGP.22 v2.5 §6.5.2: upper-case digits.",
)
BARE_OCTETS = _define(
    "json-without-tag",
    "A signature, key identifier or hash without its tag and length gets them back.",
    "SGP.22 v2.5 §6.5.2: base64 of the whole data object.",
)
OTHER_FIELD_NAME = _define(
    "json-other-field-name",
    "The key identifier under the name it has on the other interface is read.",
    "euiccCiPKIdToBeUsed of SGP.22 v2.5 §6.5.2.6, euiccCiPKIdentifierToBeUsed of SGP.32 v1.2 §6.4.1.1.",
)
FIELD_CASE = _define(
    "json-field-case",
    "A JSON member whose name has other capital letters is read where no other has that name.",
    "SGP.22 v2.5 §6.5.2, SGP.32 v1.2 §6.4 (names begin with a small letter); serialisers that write their own case.",
)
TRANSACTION_LEFT_OUT = _define(
    "json-without-transaction",
    "An answer that does not repeat the transaction identifier is taken for that of the running session.",
    "SGP.22 v2.5 §6.5.2: transactionId is in every answer.",
)
