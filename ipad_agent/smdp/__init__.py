"""What one says to an SM-DP+ (ES9+) or an SM-DS (ES11), and by what they are recognised."""

from .connector import SmdpConnector, SmdpSettings
from .errors import (
    AddressUnusable,
    AnswerUnreadable,
    ServerBusy,
    ServerStatus,
    SmdpError,
    SmdpTrustUnknown,
    StatusRefused,
)
from .es9_client import SmdpClient
from .es9_status_codes import MEANINGS, refusal

__all__ = [
    "MEANINGS",
    "AddressUnusable",
    "AnswerUnreadable",
    "ServerBusy",
    "ServerStatus",
    "SmdpClient",
    "SmdpConnector",
    "SmdpError",
    "SmdpSettings",
    "SmdpTrustUnknown",
    "StatusRefused",
    "refusal",
]
